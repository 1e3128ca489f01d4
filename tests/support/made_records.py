"""Records made up for tests: what a run would have left, without the run."""

from dataclasses import replace

from cbam_course.config import TrainConfig
from cbam_course.records import Experiment, Variant, run_name
from cbam_course.training import History

BASE = TrainConfig(widths=(4,), dropout=0.0, train_size=40, test_size=20, epochs=2, batch_size=20)
WITH_SE = replace(BASE, attention="se", attention_options={"reduction": 2})
WITH_ECA = replace(BASE, attention="eca")

TINY = Experiment(
    "tiny",
    "cpu",
    "Does a block help a tiny network?",
    (Variant("plain", BASE), Variant("SE", WITH_SE, "plain"), Variant("ECA", WITH_ECA, "plain")),
    seeds=(0, 1, 2),
)
"""Three variants and three seeds, each run a fraction of a second."""

SESSION = {
    "first_epoch": 1,
    "started": "2026-01-02T03:04:05+00:00",
    "finished": "2026-01-02T03:05:05+00:00",
    "device": "cpu, 1 thread",
    "precision": "float32",
    "system": "Linux x86_64",
    "versions": dict.fromkeys(("python", "cbam_course", "torch", "torchvision", "numpy"), "1.0"),
    "commit": "0123456789" * 4,
}


def made_record(config, accuracy, *, off=None, seconds=3.0, parameters=100, **session):
    """A finished run that reached ``accuracy`` in its last epoch, half of it in the first."""
    values = {"learning_rate": 0.1, "train_loss": 1.0, "test_loss": 1.5, "seconds": seconds}
    shares = [accuracy * (n + 1) / config.epochs for n in range(config.epochs)]
    epochs = [
        {"epoch": n + 1, "train_accuracy": share / 2, "test_accuracy": share, **values}
        for n, share in enumerate(shares)
    ]
    final = {"test_loss": 1.5, "test_accuracy": accuracy}
    if off is not None:
        final["test_accuracy_attention_off"] = off
    data = {"name": config.dataset, "train": 40, "test": 20, "classes": []}
    data["sha256"] = {"train": "ab" * 32, "test": "cd" * 32}
    model = {"class": "CifarCNN", "parameters": parameters}
    return History(config, model, data, [SESSION | session], epochs, [], final)


def write(folder, *histories):
    """Write records to a folder, each under the name of its run; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for history in histories:
        history.to_json(folder / f"{run_name(history.config)}.json")
    return folder


def write_records(folder, accuracies, experiment=TINY, **details):
    """Records of an experiment: ``accuracies`` from variant to the accuracies of its seeds."""
    made = [
        made_record(config, accuracy, **details)
        for variant, config in experiment.runs()
        for accuracy in accuracies.get(variant.name, ())[config.seed : config.seed + 1]
    ]
    return write(folder, *made)
