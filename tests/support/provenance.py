"""What a record has to tell, so that its numbers can be traced and its run be done again."""

import re
from math import isfinite
from typing import Any

VERSIONS = ("python", "cbam_course", "torch", "torchvision", "numpy")

MEASURED = (
    "learning_rate", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds",
)  # fmt: skip


def gaps(record: dict[str, Any]) -> list[str]:
    """What is missing in a record's provenance: nothing in any record of the course.

    Args:
        record: a record as its JSON file has it.
    """
    config, sessions, epochs = record["config"], record["sessions"], record["epochs"]
    found = []

    def need(what: str, there: object) -> None:
        if not there:
            found.append(what)

    need("the seed", isinstance(config.get("seed"), int))
    need("the number of parameters", record["model"].get("parameters"))
    sums = record["data"].get("sha256", {})
    for group in ("train", "test"):
        need(
            f"the checksum of the {group} images", re.fullmatch("[0-9a-f]{64}", sums.get(group, ""))
        )
    sizes = [record["data"].get(name) for name in ("train", "test")]
    need("the number of images", all(isinstance(size, int) and size > 0 for size in sizes))

    for session in sessions:
        versions = session.get("versions", {})
        for name in VERSIONS:
            need(f"the version of {name}", versions.get(name))
        need("the device", session.get("device"))
        need("the precision", session.get("precision"))
        need("the system", session.get("system"))
        need("the times", session.get("started") and session.get("finished"))
        commit = str(session.get("commit"))
        need("the commit", re.fullmatch("[0-9a-f]{40}(-dirty)?", commit))
        need("a commit without changes since", not commit.endswith("-dirty"))

    firsts = [session.get("first_epoch") for session in sessions]
    need("the session of every epoch", firsts[:1] == [1] and firsts == sorted(firsts))
    numbers = [row.get("epoch") for row in epochs]
    need("every epoch", numbers == list(range(1, config["epochs"] + 1)))
    values = [row.get(name) for row in epochs for name in MEASURED]
    values += [record["final"].get(name) for name in ("test_loss", "test_accuracy")]
    numeric = (isinstance(value, (int, float)) and isfinite(value) for value in values)
    need("every number of every epoch", all(numeric))
    return list(dict.fromkeys(found))
