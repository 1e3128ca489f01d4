"""Stopped and continued runs are equal to the last bit; what cannot be continued is refused."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cbam_course import files as whole_files
from cbam_course import training
from cbam_course.files import write_whole
from cbam_course.training import DeviceImages, History, read_checkpoint
from cbam_course.training.learner import Learner
from cbam_course.training.loop import train_epoch
from tests.support.project import ROOT
from tests.support.runs import (
    TINY,
    Stop,
    assert_same_weights,
    files,
    fresh,
    interrupt_after,
    metrics,
    stop_after,
    train_quietly,
)

KINDS = {
    "onecycle": {},
    "plateau": {"schedule": "plateau", "optimizer": "sgd"},
    "held out": {"schedule": "plateau", "train_size": 30, "validation_size": 10,
                 "start_as_identity": True},
    "frozen": {"control": "frozen", "optimizer": "sgd", "schedule": "cosine"},
}  # fmt: skip


def assert_same_run(whole, parts):
    """Of two folders: all that training changes, and the record."""
    one, other = read_checkpoint(whole), read_checkpoint(parts)
    for part in ("model", "optimizer"):
        torch.testing.assert_close(one[part], other[part], rtol=0, atol=0)
    assert one["scheduler"] == other["scheduler"] and one["scaler"] == other["scaler"]
    runs = [training.load_run(folder) for folder in (whole, parts)]
    assert_same_weights(*(run.model for run in runs))
    assert metrics(runs[0].history) == metrics(runs[1].history)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stopped_between_epochs(images, tmp_path, kind):
    config = replace(TINY, epochs=4, **KINDS[kind])
    train_quietly(config, images, folder=tmp_path / "whole")
    parts = tmp_path / "parts"
    for epochs in (1, 3):
        with pytest.raises(Stop):
            train_quietly(config, images, folder=parts, resume=True, on_epoch=stop_after(epochs))
        assert training.load_run(parts).history.final == {}
    run = train_quietly(config, images, folder=parts, resume=True)
    assert [session["first_epoch"] for session in run.history.sessions] == [1, 2, 4]
    assert_same_run(tmp_path / "whole", parts)


@pytest.mark.parametrize("kind", ["onecycle", "held out"])
def test_a_run_interrupted_within_epochs(images, tmp_path, kind):
    """After the first step, the last one and between two; with dropout."""
    config = replace(TINY, dropout=0.5, **KINDS[kind])
    train_quietly(config, images, folder=tmp_path / "whole")
    parts = tmp_path / "parts"
    steps = -(-(config.train_size or 40) // 16)
    done = []
    for calls in (1, steps - 1, steps + 2):
        assert interrupt_after(calls, config, images, parts)
        state = read_checkpoint(parts)
        done.append((len(state["history"]["epochs"]), len(state["progress"]["losses"])))
        assert all(row["seconds"] > 0 for row in History.from_json(parts / "history.json").epochs)
    assert done == [(0, 1), (0, steps), (2, 2)]
    assert not interrupt_after(100, config, images, parts)
    assert_same_run(tmp_path / "whole", parts)


KILLED = """
import json, os, signal, sys
import torch
from cbam_course import data
from cbam_course.training import TrainConfig, train

torch.set_num_threads(1)
config = TrainConfig(**json.loads(sys.argv[1]))
replace, saved = os.replace, []

def kill_during_the_second_checkpoint(source, target):
    saved.append(target)
    if [path.name for path in saved].count("checkpoint.pt") == 2:
        with open(source, "r+b") as file:
            file.truncate(1000)  # half written
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = kill_during_the_second_checkpoint
train(config, data.shapes(train=40, test=20), folder=sys.argv[2], progress=False)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_while_it_saves(images, tmp_path):
    command = [sys.executable, "-c", KILLED, json.dumps(TINY.to_dict()), tmp_path / "parts"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert len(History.from_json(tmp_path / "parts" / "history.json").epochs) == 1
    train_quietly(TINY, images, folder=tmp_path / "parts", resume=True)
    train_quietly(TINY, images, folder=tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert sorted(files(tmp_path / "parts")) == ["checkpoint.pt", "history.json"]


class FullDisk(io.FileIO):
    """A file on a disk with no space left."""

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_last_checkpoint(images, tmp_path, monkeypatch):
    def fill_then(history):
        if len(history.epochs) == 2:
            monkeypatch.setattr(whole_files, "open", FullDisk, raising=False)

    with pytest.raises(OSError, match="No space left on device: '.*/checkpoint.pt'$"):
        train_quietly(TINY, images, folder=tmp_path / "parts", on_epoch=fill_then)
    monkeypatch.undo()
    assert sorted(files(tmp_path / "parts")) == ["checkpoint.pt", "history.json"]
    assert len(training.load_run(tmp_path / "parts").history.epochs) == 2
    train_quietly(TINY, images, folder=tmp_path / "parts", resume=True)
    train_quietly(TINY, images, folder=tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_write_that_fails_leaves_the_old_file_and_names_it(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file):
        file.write(b"ne")
        raise OSError("of its own")

    with pytest.raises(OSError, match="of its own"):
        write_whole(path, fail)
    (tmp_path / "folder").mkdir()
    for bad in (tmp_path / "missing" / "file", tmp_path / "folder"):
        with pytest.raises(OSError) as caught:
            write_whole(bad, lambda file: file.write(b"new"))
        assert caught.value.filename == str(bad) and ".tmp" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]
    assert path.read_text() == "old"


def test_a_finished_run_stays_as_it_is(images, tmp_path):
    whole = train_quietly(TINY, images, folder=tmp_path)
    again = train_quietly(TINY, images, folder=tmp_path, resume=True)
    assert again.history == whole.history
    assert_same_weights(again.model, whole.model)
    model, history = training.load_run(tmp_path)
    assert history == whole.history and not model.training
    assert_same_weights(model, whole.model)
    # A history that is an epoch behind its checkpoint is brought up to it.
    replace(history, epochs=history.epochs[:2]).to_json(tmp_path / "history.json")
    train_quietly(TINY, images, folder=tmp_path, resume=True)
    assert History.from_json(tmp_path / "history.json") == whole.history


def test_a_run_that_moved_keeps_its_new_device(images, tmp_path):
    for number, device in enumerate(("cpu", "cpu:0"), start=1):
        config = replace(TINY, device=device)
        with pytest.raises(Stop):
            train_quietly(config, images, folder=tmp_path, resume=True, on_epoch=stop_after(number))
        assert History.from_json(tmp_path / "history.json").config == config


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
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    refused("model was 'cifar-cnn' and is now 'custom'", model=model)
    assert before == files(tmp_path)


def test_a_network_of_ones_own_is_continued_with_one_like_it(images, tmp_path):
    def network(size):
        return nn.Sequential(nn.Flatten(), nn.Linear(3072, size), nn.Linear(size, 10))

    config = replace(TINY, epochs=1)
    run = train_quietly(config, images, model=network(2), folder=tmp_path)
    again = train_quietly(config, images, model=network(2), folder=tmp_path, resume=True)
    assert_same_weights(run.model, again.model)
    with pytest.raises(RuntimeError, match="size mismatch"):
        train_quietly(config, images, model=network(3), folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="'custom' has to be handed over"):
        training.load_run(tmp_path)


@pytest.mark.parametrize("damage", ["torn", "other", "format", "flipped"])
def test_a_damaged_checkpoint_is_refused(images, tmp_path, damage):
    train_quietly(replace(TINY, epochs=1), images, folder=tmp_path)
    path = tmp_path / "checkpoint.pt"
    content = path.read_bytes()
    if damage == "torn":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "other":
        torch.save({"weights": torch.zeros(3)}, path)
    elif damage == "format":
        torch.save({**torch.load(path), "format": 1}, path)
    else:
        weight = read_checkpoint(tmp_path)["model"]["classifier.weight"].numpy().tobytes()
        path.write_bytes(content.replace(weight, b"\x80" + weight[1:], 1))
    broken = path.read_bytes()
    with pytest.raises(ValueError, match="damaged or not a checkpoint.*choose another folder"):
        train_quietly(replace(TINY, epochs=1), images, folder=tmp_path, resume=True)
    assert path.read_bytes() == broken


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "was-run",))

    torch.save({"format": 3, "history": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="damaged or not a checkpoint"):
        read_checkpoint(tmp_path)
    assert not (tmp_path / "was-run").exists()
