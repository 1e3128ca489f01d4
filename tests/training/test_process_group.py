"""Several processes train one network: shares, sums, errors, and the same result as of one."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from cbam_course import data, training
from cbam_course.models import CifarCNN
from cbam_course.training import DeviceImages, History, TrainConfig, train
from cbam_course.training.loop import seed_epoch
from cbam_course.training.process_group import group_rank, process_group, shared
from tests.support.project import ROOT
from tests.support.runs import Stop, stop_after

# 42 leaves 2 images for the last step: one for each of two processes.
CONFIG = TrainConfig(
    model="custom", train_size=42, test_size=30, epochs=2, batch_size=8, learning_rate=0.01,
    schedule="plateau", device="cpu",
)  # fmt: skip


def make_network():
    """Without BatchNorm and dropout two processes compute what one does, but for rounding."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, 10))  # fmt: skip


def in_each_process(folder):
    """What each of two processes does, which writes what there is to compare."""
    torch.set_num_threads(1)
    told = {"calls": 0, "errors": []}

    def run(config=CONFIG, model=None, **options):
        def on_epoch(history):
            told["calls"] += 1

        torch.manual_seed(group_rank())  # the first process decides the weights
        model = make_network() if model is None else model
        return train(config, model=model, progress=False, on_epoch=on_epoch, **options)

    def refused(*arguments, **options):
        try:
            run(*arguments, **options)
        except Exception as error:
            told["errors"].append((type(error).__name__, str(error)))

    with process_group("cpu"):
        whole = run(folder=folder / "whole")
        resumed = run(folder=folder / "parts", resume=True)
        refused(folder=folder / "whole")
        refused(replace(CONFIG, batch_size=41))
        refused(replace(CONFIG, learning_rate=1e30))
        ours = CifarCNN(widths=(4, 8))
        normed = run(replace(CONFIG, epochs=1), ours)
        told["history"] = whole.history.to_dict()
        told["resumed"] = resumed.history.iteration_loss
        told["normed"] = normed.history.epochs[0]["test_loss"]
        told["running"] = ours.stages[0].convolutions[1].running_mean.tolist()
        torch.save(whole.model.state_dict(), folder / f"{group_rank()}.pt")
    (folder / f"{group_rank()}.json").write_text(json.dumps(told))


def torchrun(*command):
    """Start two processes, as on one computer."""
    if not torch.distributed.is_gloo_available():
        pytest.skip("needs gloo")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return subprocess.run(
        [*launcher, "-m", *map(str, command)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def images():
    return data.shapes(train=42, test=30)


def test_two_processes_are_as_good_as_one(images, tmp_path):
    options = {"model": make_network(), "progress": False, "folder": tmp_path / "parts"}
    with pytest.raises(Stop):  # two processes will continue what one has begun
        train(CONFIG, on_epoch=stop_after(1), **options)
    result = torchrun("tests.training.test_process_group", tmp_path)
    assert result.returncode == 0, result.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    one = train(CONFIG, images, model=make_network(), progress=False)

    expected = pytest.approx(one.history.iteration_loss, rel=1e-4)
    for told in (first, second):
        assert told["history"]["iteration_loss"] == expected and told["resumed"] == expected
        for row, other in zip(told["history"]["epochs"], one.history.epochs, strict=True):
            for name in ("train_loss", "test_loss", "test_accuracy", "train_accuracy"):
                assert row[name] == pytest.approx(other[name], rel=1e-4), name
        assert told["history"]["sessions"][0]["processes"] == 2
    for rank in range(2):
        weights = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(weights, dict(one.model.state_dict()), rtol=1e-3, atol=1e-5)

    # The first process alone speaks, and all learn of an error.
    assert first["calls"] == 2 + 1 + 1 and second["calls"] == 0
    assert first["errors"] == second["errors"]
    kinds, messages = zip(*first["errors"], strict=True)
    assert kinds == ("ValueError", "ValueError", "FloatingPointError")
    assert "has a run already" in messages[0] and "too few for 2 processes" in messages[1]
    # What BatchNorm has counted in the first process is what all of them test with.
    assert first["normed"] == second["normed"] and first["running"] == second["running"]

    kept = History.from_json(tmp_path / "whole" / "history.json")
    assert kept.to_dict() == first["history"]
    names = sorted(p.name for p in (tmp_path / "whole").iterdir() if p.name[0] != ".")
    assert names == ["checkpoint.pt", "history.json"]


def test_the_command_in_two_processes(tmp_path):
    options = "--widths 4,8 --train-size 20 --test-size 10 --batch-size 10 --epochs 1 --device cpu"
    result = torchrun("cbam_course", "train", *options.split(), "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    words = [line.split()[0] for line in result.stdout.splitlines()]
    assert words == ["epoch", "1", "1,278", "Kept"]  # the first process alone speaks
    model, history = training.load_run(tmp_path)
    assert history.config.model == "cifar-cnn" and history.sessions[0]["processes"] == 2
    assert not any(name.startswith("module.") for name in model.state_dict())


# What can be tested in one process


def as_process(monkeypatch, rank, size):
    """What torchrun tells a process."""
    told = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": str(size), "RANK": str(rank)}
    for name, value in told.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_shares_are_the_batches(images, monkeypatch, size):
    store = DeviceImages(images.x_train, range(42), images.mean, images.std)
    batches = [y.tolist() for _, y in store.shuffled_batches(16, seed_epoch(0, 1))]
    shares, tests = [], []
    for rank in range(size):
        as_process(monkeypatch, rank, size)
        shares.append([y.tolist() for _, y in store.shuffled_batches(16, seed_epoch(0, 1))])
        tests += [y.tolist() for _, y in store.batches(10)]
    for step, batch in enumerate(batches):
        assert sorted(sum((share[step] for share in shares), [])) == sorted(batch)
        sizes = {len(share[step]) for share in shares}
        assert max(sizes) - min(sizes) <= 1
    assert sorted(sum(tests, [])) == list(range(42))
    assert {len(batch) for batch in tests} == {10, 2}


def test_on_gpus_batchnorm_sees_the_whole_batch(monkeypatch):
    as_process(monkeypatch, 0, 2)
    monkeypatch.setattr(nn.parallel, "DistributedDataParallel", lambda model: model)
    monkeypatch.setattr(nn.Module, "to", lambda self, *a, **k: self)
    for device, kind in (("cuda", nn.SyncBatchNorm), ("cpu", nn.BatchNorm2d)):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        converted, _ = shared(network, torch.device(device))
        assert type(converted[1]) is kind
        assert converted.state_dict().keys() == network.state_dict().keys()


if __name__ == "__main__":
    in_each_process(Path(sys.argv[1]))
