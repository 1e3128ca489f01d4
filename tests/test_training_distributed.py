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
from cbam_course.training import DeviceImages, TrainConfig, train
from cbam_course.training.distributed import ALONE, FirstProcessFailed, Team, joined, team
from cbam_course.training.learner import Learner
from cbam_course.training.loop import seed_epoch

pytestmark = pytest.mark.usefixtures("one_thread")

# 42 leaves 2 images for the last step: one for each of two processes.
CONFIG = TrainConfig(
    model="custom", train_size=42, test_size=30, epochs=3, batch_size=8, learning_rate=0.01,
    schedule="plateau", noise_channels=1, device="cpu",
)  # fmt: skip


def make_network():
    """Without BatchNorm and dropout two processes compute what one does, but for rounding."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, 10))  # fmt: skip


SCRIPT = """
import json, sys
from dataclasses import replace
from pathlib import Path
import torch
from test_training_distributed import CONFIG, make_network
from cbam_course.models import CifarCNN
from cbam_course.training import train
from cbam_course.training.distributed import joined, team

torch.set_num_threads(1)
folder = Path(sys.argv[1])
told = {"calls": 0, "errors": []}

def run(config=CONFIG, model=None, **options):
    def on_epoch(history):
        told["calls"] += 1

    torch.manual_seed(team().rank)  # the first process decides the weights
    model = make_network() if model is None else model
    return train(config, model=model, progress=False, on_epoch=on_epoch, **options)

def refused(*arguments, **options):
    try:
        run(*arguments, **options)
    except Exception as error:
        told["errors"].append([type(error).__name__, str(error)])

with joined("cpu") as members:
    whole = run(folder=folder / "whole")
    resumed = run(folder=folder / "parts", resume=True)
    refused(folder=folder / "whole")
    refused(replace(CONFIG, batch_size=41))
    refused(replace(CONFIG, learning_rate=1e30))
    ours = CifarCNN(widths=(4, 8), in_channels=4)
    normed = run(replace(CONFIG, epochs=1), ours)
    told["history"] = whole.history.to_dict()
    told["resumed"] = resumed.history.iteration_loss
    told["normed"] = normed.history.epochs[0]["test_loss"]
    told["running"] = ours.stages[0].convolutions[1].running_mean.tolist()
    torch.save(whole.model.state_dict(), folder / f"{members.rank}.pt")
    (folder / f"{members.rank}.json").write_text(json.dumps(told))
assert team().size == 1
"""


def torchrun(*command, timeout=120):
    """Start two processes, as on one computer."""
    tests = Path(__file__).parent
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)]),
    }
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*launcher, "--nproc_per_node=2", *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


needs_gloo = pytest.mark.skipif(
    sys.platform == "win32" or not torch.distributed.is_gloo_available(), reason="needs gloo"
)


@pytest.fixture(scope="module")
def images():
    return data.shapes(train=42, test=30)


@needs_gloo
def test_two_processes_are_as_good_as_one(images, tmp_path):
    one = train(CONFIG, images, model=make_network(), progress=False)

    class Stop(Exception):
        pass

    def stop(history):
        raise Stop

    with pytest.raises(Stop):  # two processes will continue what one has begun
        train(
            CONFIG, model=make_network(), folder=tmp_path / "parts", progress=False, on_epoch=stop
        )
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    result = torchrun(script, tmp_path)
    assert result.returncode == 0, result.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))

    for told in (first, second):
        rows = told["history"]["epochs"]
        assert told["history"]["iteration_loss"] == pytest.approx(
            one.history.iteration_loss, rel=1e-4
        )
        assert told["resumed"] == pytest.approx(one.history.iteration_loss, rel=1e-4)
        for row, expected in zip(rows, one.history.epochs, strict=True):
            for name in ("train_loss", "test_loss", "test_accuracy", "train_accuracy"):
                assert row[name] == pytest.approx(expected[name], rel=1e-4), name
        assert told["history"]["sessions"][0]["processes"] == 2
    for rank in range(2):
        other = torch.load(tmp_path / f"{rank}.pt")
        for name, weight in one.model.state_dict().items():
            torch.testing.assert_close(other[name], weight, rtol=1e-3, atol=1e-5)

    # The first process alone speaks, and all learn of an error.
    assert first["calls"] == 3 + 2 + 1 and second["calls"] == 0
    kinds, messages = zip(*first["errors"], strict=True)
    assert kinds == ("ValueError", "ValueError", "FloatingPointError")
    assert "has a run already" in messages[0] and "too few for 2 processes" in messages[1]
    kinds, others = zip(*second["errors"], strict=True)
    assert kinds == ("FirstProcessFailed", "ValueError", "FloatingPointError")
    assert others == messages
    # What BatchNorm has counted in the first process is what all of them test with.
    assert first["normed"] == second["normed"]
    assert first["running"] == second["running"]

    kept = training.History.from_json(tmp_path / "whole" / "history.json")
    assert kept.to_dict() == first["history"]
    names = sorted(p.name for p in (tmp_path / "whole").iterdir() if p.name[0] != ".")
    assert names == ["checkpoint.pt", "history.json"]


@needs_gloo
def test_the_command_in_two_processes(tmp_path):
    options = "--widths 4,8 --train-size 20 --test-size 10 --batch-size 10 --epochs 1".split()
    command = ["-m", "cbam_course", "train", *options, "--device", "cpu", "--out", tmp_path / "run"]
    result = torchrun(*command)
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["epoch", "1", "1", "Kept"]
    assert result.stderr.count("test loss") == 1
    model, history = training.load_run(tmp_path / "run")
    assert history.config.model == "cifar-cnn" and "processes" in history.sessions[0]
    assert not any(name.startswith("module.") for name in model.state_dict())


# One process alone, and what can be tested without another


def test_alone_nothing_is_exchanged():
    assert team() is ALONE and ALONE.leads
    assert ALONE.sum(1.5, 2) == (1.5, 2)
    values, network = torch.ones(3), nn.Flatten()
    assert ALONE.mean(values) is values
    assert ALONE.wrap(network) is network
    assert ALONE.with_common_statistics(network, torch.device("cuda")) is network
    assert ALONE.lead(lambda: 7) == 7
    with joined("cpu") as members:
        assert members is ALONE
    assert issubclass(FirstProcessFailed, RuntimeError)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_shares_are_the_batches(images, size):
    def shares(rank):
        store = DeviceImages(
            images.x_train, range(42), images.mean, images.std, team=Team(rank, size)
        )
        return [y.tolist() for _, y in store.shuffled_batches(16, seed_epoch(0, 1))]

    whole = DeviceImages(images.x_train, range(42), images.mean, images.std)
    batches = [y.tolist() for _, y in whole.shuffled_batches(16, seed_epoch(0, 1))]
    parts = [shares(rank) for rank in range(size)]
    for step, batch in enumerate(batches):
        assert sorted(sum((part[step] for part in parts), [])) == sorted(batch)
        sizes = {len(part[step]) for part in parts}
        assert max(sizes) - min(sizes) <= 1

    tests = [
        y.tolist()
        for rank in range(size)
        for _, y in DeviceImages(
            images.x_train, range(42), images.mean, images.std, team=Team(rank, size)
        ).batches(10)
    ]
    assert sorted(sum(tests, [])) == list(range(42))
    assert {len(batch) for batch in tests} == {10, 2}


def test_batches_that_are_too_small():
    for batch_size in (1, 41, 2 * 41):
        with pytest.raises(ValueError, match="too few for 2 processes; choose another batch size"):
            Team(0, 2).check_batches(42 if batch_size < 82 else 1, batch_size)
    for batch_size in (2, 8, 42, 100):
        Team(1, 2).check_batches(42, batch_size)
    ALONE.check_batches(42, 41)


def test_dropout_differs_between_processes_and_the_order_does_not(monkeypatch):
    drawn = []
    for rank in range(2):
        monkeypatch.setattr(training.loop, "current_team", lambda rank=rank: Team(rank, 2))
        generator = seed_epoch(0, 1)
        drawn.append((torch.rand(1).item(), torch.rand(1, generator=generator).item()))
    assert drawn[0][0] != drawn[1][0] and drawn[0][1] == drawn[1][1]


def test_on_gpus_batchnorm_sees_the_whole_batch():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    keys = network.state_dict().keys()
    converted = Team(0, 2).with_common_statistics(network, torch.device("cuda"))
    assert isinstance(converted[1], nn.SyncBatchNorm) and converted.state_dict().keys() == keys
    network = nn.Sequential(nn.BatchNorm2d(4))
    assert Team(0, 2).with_common_statistics(network, torch.device("cpu")) is network
    assert isinstance(network[0], nn.BatchNorm2d)


@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [
        ("cuda", 1, "2 processes need as many GPUs, and there are 1; start fewer"),
        ("auto", 1, "2 processes need as many GPUs"),
        ("cuda:1", 2, "device 'cuda:1' is one GPU for 2 processes; say 'cuda'"),
    ],
)
def test_a_gpu_for_each_process(monkeypatch, device, gpus, message):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(ValueError, match=message), joined(device):
        pass


def test_each_process_takes_its_own_gpu(monkeypatch):
    environment = {
        "TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "RANK": "3", "LOCAL_WORLD_SIZE": "2",
        "LOCAL_RANK": "1",
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: done.append(device))
    for name in ("init_process_group", "destroy_process_group"):
        monkeypatch.setattr(
            torch.distributed, name, lambda *a, name=name, **k: done.append((name, a, k))
        )
    own = torch.device("cuda", 1)
    with joined("auto"):
        assert done == [own, ("init_process_group", ("nccl",), {"device_id": own})]
    assert done[2:] == [("destroy_process_group", (), {})]
    with pytest.raises(KeyError), joined("auto"):
        raise KeyError
    assert len(done) == 5  # after an error nobody waits for the others


# Compiling


def test_compile_is_for_training_alone(images, monkeypatch, tmp_path):
    compiled = []

    def compile(network, **options):
        compiled.append(options)
        return torch.nn.Sequential(network)

    monkeypatch.setattr(torch, "compile", compile)
    config = TrainConfig(
        widths=(4, 8), epochs=2, batch_size=21, device="cpu", compile=True, attention="eca"
    )
    run = train(config, images, progress=False, folder=tmp_path)
    assert compiled == [{"dynamic": False, "mode": "default"}]
    plain = train(replace(config, compile=False), images, progress=False)
    assert len(compiled) == 1
    assert run.history.iteration_loss == plain.history.iteration_loss
    assert run.model.state_dict().keys() == plain.model.state_dict().keys()
    # A machine without a compiler can go on with it.
    other = replace(config, compile=False)
    assert (
        train(other, images, progress=False, folder=tmp_path, resume=True).history.config == other
    )

    model = config.build_model(10)
    with monkeypatch.context() as patch:
        patch.setattr(nn.Module, "to", lambda self, *a, **k: self)
        cuda = torch.device("cuda")
        patch.setattr("cbam_course.training.learner.SGD", lambda p, **k: torch.optim.SGD(p, lr=1))
        config = replace(config, optimizer="sgd")
        learner = Learner.prepare(model, config, 2, cuda, torch.bfloat16)
    assert learner.model is model and learner.network is not model
    assert compiled[1] == {"dynamic": False, "mode": "reduce-overhead"}
