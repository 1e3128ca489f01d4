"""``cbam-course bench``: both loops run on the same images, and what they took is told."""

from importlib import import_module

import pytest
import torch
from click.testing import CliRunner

from cbam_course import cli, data

pytestmark = pytest.mark.usefixtures("one_thread")


def test_both_loops_run_by_turns():
    arguments = "bench --dataset shapes --images 20 --test-images 10 --epochs 1 --seeds 2"
    arguments = [*arguments.split(), "--device", "cpu"]
    result = CliRunner().invoke(cli.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    *told, last = result.output.splitlines()
    assert [line.split()[:3] for line in told] == [
        [loop, "seed", seed] for seed in "01" for loop in ("tutorial", "course")
    ]
    assert "times as long on cpu" in last


def test_the_tutorials_batches_are_whole(monkeypatch):
    images, seen = data.shapes(train=10, test=10), []

    class Watched(torch.nn.CrossEntropyLoss):
        def forward(self, logits, y):
            seen.extend(y.tolist())
            return super().forward(logits, y)

    monkeypatch.setattr(torch.nn, "CrossEntropyLoss", Watched)
    groups = {"train": (images.x_train, images.y_train), "test": (images.x_test, images.y_test)}
    # The package's own name `bench` is the command.
    import_module("cbam_course.cli.bench").tutorial(groups, 1, 0, "cpu", workers=0)
    assert sorted(seen[:10]) == sorted(images.y_train) and seen[10:] == list(images.y_test)
