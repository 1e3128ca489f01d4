"""Stopped and continued runs are equal to the last bit; what cannot be continued is refused."""

import errno
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cbam_course import files as whole_files
from cbam_course import training
from cbam_course.training import DeviceImages
from cbam_course.training.checkpoint import read_checkpoint
from cbam_course.training.learner import Learner
from cbam_course.training.loop import train_epoch
from tests.support.runs import (
    CUSTOM,
    TINY,
    Stop,
    assert_same_weights,
    files,
    fresh,
    metrics,
    stop_after,
    train_quietly,
)

KINDS = {
    "plateau": {"schedule": "plateau", "optimizer": "sgd"},
    "held out": {"schedule": "plateau", "dropout": 0.5, "train_size": 30, "validation_size": 10,
                 "start_as_identity": True},
    "frozen": {"control": "frozen", "optimizer": "sgd", "schedule": "cosine"},
}  # fmt: skip


def assert_same_run(whole, parts):
    """Of two folders: all that training changes, and the record."""
    (one, _), (other, _) = read_checkpoint(whole), read_checkpoint(parts)
    for part in ("model", "optimizer"):
        torch.testing.assert_close(one[part], other[part], rtol=0, atol=0)
    assert one["scheduler"] == other["scheduler"] and one["scaler"] == other["scaler"]
    runs = [training.load_run(folder) for folder in (whole, parts)]
    assert_same_weights(*(run.model for run in runs))
    assert metrics(runs[0].history) == metrics(runs[1].history)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stopped_between_epochs(images, tmp_path, kind):
    config = replace(TINY, **KINDS[kind])
    train_quietly(config, images, folder=tmp_path / "whole")
    parts = tmp_path / "parts"
    for epochs in (1, 2):
        with pytest.raises(Stop):
            train_quietly(config, images, folder=parts, resume=True, on_epoch=stop_after(epochs))
        assert training.load_run(parts).history.final == {}
    run = train_quietly(config, images, folder=parts, resume=True)
    assert [session["first_epoch"] for session in run.history.sessions] == [1, 2, 3]
    assert_same_run(tmp_path / "whole", parts)


def test_a_full_disk_leaves_the_last_checkpoint(images, tmp_path, monkeypatch):
    """The history may be an epoch ahead of the checkpoint; the run continues from the latter."""

    class FullDisk(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_full(path, mode):
        return FullDisk(path, mode) if "checkpoint" in path.name else open(path, mode)

    def fill_then(history):
        if len(history.epochs) == 2:
            monkeypatch.setattr(whole_files, "open", open_full, raising=False)

    with pytest.raises(OSError, match="No space left on device"):
        train_quietly(TINY, images, folder=tmp_path / "parts", on_epoch=fill_then)
    monkeypatch.undo()
    assert sorted(files(tmp_path / "parts")) == ["checkpoint.pt", "history.json"]
    assert len(training.load_run(tmp_path / "parts").history.epochs) == 2
    train_quietly(TINY, images, folder=tmp_path / "parts", resume=True)
    train_quietly(TINY, images, folder=tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_stays_as_it_is(images, tmp_path):
    whole = train_quietly(TINY, images, folder=tmp_path)
    again = train_quietly(TINY, images, folder=tmp_path, resume=True)
    assert again.history == whole.history
    assert_same_weights(again.model, whole.model)
    model, history = training.load_run(tmp_path)
    assert history == whole.history and not model.training
    assert_same_weights(model, whole.model)


def test_a_state_of_another_device_and_precision(images):
    """A run on a CPU goes on with float16, or where Adam is fused and was not."""

    def prepare(precision):
        return Learner(fresh(TINY), TINY, 3, torch.device("cpu"), precision)

    store = DeviceImages(images.x_train, images.y_train, images.mean, images.std)
    before = prepare(torch.float32)
    train_epoch(before, store, TINY, 1)
    state = before.state_dict()
    assert state["scaler"] == {}
    state["optimizer"]["param_groups"][0]["fused"] = None

    after = prepare(torch.float16)
    after.load_state_dict(state)
    assert after.optimizer.param_groups[0]["fused"] is True
    assert state["optimizer"]["param_groups"][0]["fused"] is None
    assert_same_weights(before.model, after.model)
    after.precision = torch.float32  # not every CPU can calculate with float16
    train_epoch(after, store, TINY, 2)
    assert after.scaler.is_enabled()
    assert not torch.equal(before.model.classifier.weight, after.model.classifier.weight)


# What is refused


def test_two_runs_in_one_folder(images, tmp_path):
    def train_there_too(history):
        with pytest.raises(ValueError, match="another process is training in"):
            train_quietly(TINY, images, folder=tmp_path, resume=True)

    run = train_quietly(TINY, images, folder=tmp_path, on_epoch=train_there_too)
    assert len(run.history.epochs) == 3


def test_runs_that_cannot_be_continued(images, tmp_path):
    config = replace(TINY, epochs=1)
    train_quietly(config, images, folder=tmp_path)
    before = files(tmp_path)

    def refused(message, config=config, data=images, resume=True, **options):
        with pytest.raises(ValueError, match=message):
            train_quietly(config, data, folder=tmp_path, resume=resume, **options)

    refused(r"has a run already; continue it \(resume=True, or --resume", resume=False)
    refused(
        r"epochs was 1 and is now 3, batch_size was 16 and is now 8", replace(TINY, batch_size=8)
    )
    refused("other images or labels", data=replace(images, y_test=np.roll(images.y_test, 1)))
    assert before == files(tmp_path)


def test_a_network_of_ones_own_is_continued_with_one_like_it(images, tmp_path):
    def network(size):
        return nn.Sequential(nn.Flatten(), nn.Linear(3072, size), nn.Linear(size, 10))

    config = replace(CUSTOM, epochs=1)
    run = train_quietly(config, images, model=network(2), folder=tmp_path)
    again = train_quietly(config, images, model=network(2), folder=tmp_path, resume=True)
    assert_same_weights(run.model, again.model)
    with pytest.raises(RuntimeError, match="size mismatch"):
        train_quietly(config, images, model=network(3), folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="'custom' has to be handed over"):
        training.load_run(tmp_path)


@pytest.mark.parametrize("damage", ["torn", "other"])
def test_a_damaged_checkpoint_is_refused(images, tmp_path, damage):
    """And stays as it is."""
    train_quietly(replace(TINY, epochs=1), images, folder=tmp_path)
    path = tmp_path / "checkpoint.pt"
    content = path.read_bytes()
    if damage == "torn":
        path.write_bytes(content[: len(content) // 2])
    else:
        torch.save({"weights": torch.zeros(3)}, path)
    broken = path.read_bytes()
    with pytest.raises(ValueError, match="damaged or not a checkpoint.*choose another folder"):
        train_quietly(replace(TINY, epochs=1), images, folder=tmp_path, resume=True)
    assert path.read_bytes() == broken


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "was-run",))

    torch.save({"history": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="damaged or not a checkpoint"):
        read_checkpoint(tmp_path)
    assert not (tmp_path / "was-run").exists()
