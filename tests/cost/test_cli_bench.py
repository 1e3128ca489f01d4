"""``cbam-course bench``: all run on the same numbers, and what they took is told."""

import json

import pytest
import torch
from click.testing import CliRunner

from cbam_course import attention, cli
from cbam_course.cli import benchmarks

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_blocks_run_by_turns(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmarks, "SHAPES", ((2, 32, 6, 5),))
    arguments = ["bench", "block", "--repeats", "2", "--json", str(tmp_path / "block.json")]
    result = CliRunner().invoke(cli.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "block.json").read_text(encoding="utf-8"))
    rows = {(row["layout"], row["block"]): row for row in kept["rows"]}
    for layout in ("contiguous_format", "channels_last"):
        assert {(layout, block) for block in ("course", "course, not fused", "tutorial")} <= {*rows}
    for row in rows.values():
        for kind in benchmarks.KINDS:
            assert len(row[kind]) == 2 and min(row[kind]) > 0
            assert f"{min(row[kind]):.2f}" in result.output
    assert f"'torch': '{torch.__version__}'" in result.output and kept["threads"] == 1


def test_networks_take_their_steps_by_turns(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmarks, "NETWORKS", {"cifar_resnet": (32, 32, 10)})
    file = tmp_path / "networks.json"
    arguments = ["bench", "networks", "--repeats", "1", "--json", str(file)]
    result = CliRunner().invoke(cli.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = {row["block"]: row for row in json.loads(file.read_text(encoding="utf-8"))["rows"]}
    assert {"none", "course", "course, not fused", "tutorial"} <= rows.keys()
    kept = {block: row["kept"] for block, row in rows.items()}
    assert kept["none"] < kept["course"] < kept["tutorial"] <= kept["course, not fused"]
    for row in rows.values():
        assert row["peak"] > row["kept"] and min(row["training"]) > 0
        assert f"kept {row['kept'] / 1e6:6.1f} MB" in result.output


def test_the_tutorials_block_is_cbam():
    ours, theirs = attention.CBAM(32), benchmarks.tutorial_cbam(32)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        other.data.copy_(one)
    x = torch.randn(2, 32, 6, 5)
    torch.testing.assert_close(theirs(x), ours(x))
