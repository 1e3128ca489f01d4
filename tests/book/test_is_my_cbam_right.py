"""The page on the checker: its report, its museum and its table are what the code gives."""

import json
import re
import textwrap

import pytest
import torch
from torch import nn

from cbam_course.checker import check
from cbam_course.checker.report import FINDINGS
from cbam_course.cli import main
from tests.support import wrong_blocks
from tests.support.project import ROOT
from tests.support.wrong_blocks import WRONG, Right
from tests.tools import train_wrong_blocks

PAGE = (ROOT / "book" / "is_my_cbam_right.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
BY_TITLE = {name.lower(): name for name in WRONG}


def museum_block(title):
    """What makes the block of the museum, and the code that has to name its mistake."""
    return WRONG[BY_TITLE[title.lower()]]


def test_the_report_on_the_first_screen_is_printed():
    printed = re.search(r"```text\n(.*?)\n```", PAGE, re.DOTALL)[1]
    block, _ = museum_block("average added twice")
    assert printed == str(check(block, 64, reduction=8))


def test_the_command_on_the_first_screen_is_one():
    line = re.search(r"```bash\ncbam-course check (.*?)\n```", PAGE)[1]
    options = main.commands["check"].make_context("check", line.split()).params
    assert options["block"] == "my_blocks.py:CBAM" and options["channels"] == 64
    assert options["arguments"] == {"reduction": 8}


@pytest.mark.parametrize("title", ENTRIES)
def test_what_catches_a_block_of_the_museum(title):
    block, code = museum_block(title)
    found = {one.code: one.got for one in check(block).findings}
    said = re.search(r"\*\*Caught as\*\* `([\w-]+)`: (.*?)\n\n", ENTRIES[title] + "\n\n", re.DOTALL)
    assert said[1] == code and code in found
    assert found[code] in re.findall(r"`(.+?)`", said[2])


def shown_block(title):
    """The block that the lines on the page make, put into the class that they are lines of."""
    code = re.search(r"```python\n(.*?)```", ENTRIES[title], re.DOTALL)[1]
    eca = type("Eca", (nn.Module,), {"forward": wrong_blocks.EcaKernelIgnored.forward})
    names = {"Base": eca if title.startswith("ECA") else Right, "Right": Right, "nn": nn}
    if code.startswith("def "):
        code = f"class Shown(Base):\n{textwrap.indent(code, '    ')}\nblock = Shown(64)"
    exec(code, names)
    return names["block"]


@pytest.mark.parametrize("title", ENTRIES)
def test_the_lines_shown_are_those_of_the_museum(title):
    shown, (make, _) = shown_block(title), museum_block(title)
    theirs, x = make(64), torch.randn(2, 64, 9, 8)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    shown.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(shown(x), theirs(x), rtol=0, atol=0)


def test_all_codes_exist_and_all_public_mistakes_are_shown():
    text = PAGE[PAGE.index("## The museum") :]
    public = {code for code, entry in FINDINGS.items() if "seen" in entry}
    named = {code for code in FINDINGS if f"`{code}`" in text}
    assert public <= named
    coded = set(re.findall(r"(?:Caught as\*\* |\()`([\w-]+)`", text))
    assert coded <= set(FINDINGS)
    assert len(ENTRIES) >= 14 and f"{len(WRONG)} blocks" in text


def test_the_table_is_that_of_the_recorded_runs():
    record = json.loads(train_wrong_blocks.RECORD.read_text(encoding="utf-8"))
    rows = re.findall(r"^\| .+ \| [\d.]+ \| .*\|$", PAGE, re.MULTILINE)
    assert rows == train_wrong_blocks.table(record)
    runs = {(run["block"], run["seed"]): run["test_accuracy"] for run in record["runs"]}
    assert len(runs) == len(record["runs"]) == len(record["seeds"]) * len(rows)
    assert all(len(accuracies) == record["config"]["epochs"] for accuracies in runs.values())


def test_what_the_page_says_of_the_table():
    record = json.loads(train_wrong_blocks.RECORD.read_text(encoding="utf-8"))
    last = {(run["block"], run["seed"]): run["test_accuracy"][-1] for run in record["runs"]}
    right = [last["right block", seed] for seed in record["seeds"]]
    points = {
        name: [100 * (last[name, seed] - own) for seed, own in enumerate(right)]
        for name in train_wrong_blocks.CHOSEN
    }
    means = {name: sum(values) / len(values) for name, values in points.items()}
    gain, loss = means.pop("residual"), means.pop("no sigmoid on the spatial map")
    text = " ".join(PAGE.split())
    assert f"gains {gain:.1f} points, with every seed" in text and min(points["residual"]) > 0
    assert f"{-loss:.1f} points are lost, and some with every seed" in text
    assert max(points["no sigmoid on the spatial map"]) < 0
    least, most = min(means.values()), max(means.values())
    assert f"a little higher, by {least:.1f} to {most:.1f} points" in text and least > 0
    rows = [row for row in train_wrong_blocks.table(record) if row.split(" | ")[0][2:] in means]
    clear = [row for row in rows if "to +" in row and "| -" not in row]
    assert len(means) == 7 and len(clear) == 1 and "maximum of a window" in clear[0]
    assert f"{100 * sum(right) / len(right):.0f} % for the right block" in text


def test_the_record_is_of_what_the_command_trains():
    record = json.loads(train_wrong_blocks.RECORD.read_text(encoding="utf-8"))
    blocks = train_wrong_blocks.blocks()
    assert {run["block"] for run in record["runs"]} == set(blocks)
    assert record["seeds"] == list(train_wrong_blocks.SEEDS) and len(record["seeds"]) >= 5
    config = train_wrong_blocks.CONFIG.to_dict()
    assert record["config"] == {name: config[name] for name in record["config"]}
    for run in record["runs"]:
        network = train_wrong_blocks.network(blocks[run["block"]])
        assert run["parameters"] == sum(p.numel() for p in network.parameters())
