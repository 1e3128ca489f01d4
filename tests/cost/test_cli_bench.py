"""``cbam-course bench``: both loops run on the same images, and what they took is told and kept."""

import json
from importlib import import_module

import pytest
import torch
from click.testing import CliRunner

from cbam_course import cli, data

pytestmark = pytest.mark.usefixtures("one_thread")


def test_both_loops_run_by_turns(tmp_path):
    file = tmp_path / "bench.json"
    arguments = "bench --dataset shapes --images 20 --test-images 10 --epochs 1 --seeds 2"
    arguments = [*arguments.split(), "--workers", "0", "--device", "cpu", "--json", str(file)]
    result = CliRunner().invoke(cli.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    *told, last = result.output.splitlines()
    runs = json.loads(file.read_text("utf-8"))["runs"]
    assert [(run["loop"], run["seed"]) for run in runs] == [
        ("tutorial", 0), ("course", 0), ("tutorial", 1), ("course", 1),
    ]  # fmt: skip
    assert [line.split()[0] for line in told] == ["tutorial", "course"] * 2
    assert all(run["seconds"] > 0 and 0 <= run["accuracy"] <= 1 for run in runs)
    assert "times as long on cpu" in last


def test_the_tutorials_batches_are_whole(monkeypatch):
    images, seen = data.shapes(train=10, test=10), []

    class Watched(torch.nn.CrossEntropyLoss):
        def forward(self, logits, y):
            seen.extend(y.tolist())
            return super().forward(logits, y)

    monkeypatch.setattr(torch.nn, "CrossEntropyLoss", Watched)
    # The package's own name `bench` is the command.
    import_module("cbam_course.cli.bench").tutorial(images, 1, 0, "cpu", workers=0)
    assert sorted(seen[:10]) == sorted(images.y_train) and seen[10:] == list(images.y_test)
