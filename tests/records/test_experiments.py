"""Experiments and their queue: what is wanted, what is still to do, and doing it just once."""

import doctest
import hashlib
import itertools
import multiprocessing
import os
import re
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cbam_course import data, training
from cbam_course.data import DatasetUnavailable
from cbam_course.records import (
    Experiment,
    Variant,
    experiment,
    experiments,
    pending,
    queue,
    run_name,
    run_queue,
)
from cbam_course.records.queue import UNFINISHED
from cbam_course.training import History
from cbam_course.training.networks import build_model
from tests.support.made_records import BASE, TINY, WITH_SE, made_record, write

pytestmark = pytest.mark.usefixtures("one_thread")

DEFINED = experiments()
LONG = replace(BASE, epochs=6)

NETWORK = (
    "model", "model_options", "widths", "dropout", "attention", "attention_options",
    "insertion_points", "control", "start_as_identity",
)  # fmt: skip

# Definitions


def test_no_definition_has_changed():
    """Each run's name holds its whole configuration; a change would disown the records."""
    lines = [
        f"{name} {variant.name} {variant.baseline} {run_name(run)}"
        for name, defined in DEFINED.items()
        for variant, run in defined.runs()
    ]
    assert len(lines) == 1028
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == (
        "0e3454436c5f98c46440a80f209a041a9c3fda26f1a7b0c34d1975fde6c9f1b3"
    )


def _learned_from(config):
    """Number of images that a network of this configuration learns from."""
    if config.train_size is not None:
        return config.train_size
    return 50_000 - (config.validation_size or 0)


@pytest.mark.parametrize("name", DEFINED)
def test_an_experiment_is_a_fair_comparison(name):
    defined = DEFINED[name]
    assert defined.name == name and defined.question.endswith("?")
    configs = {variant.name: variant.config for variant in defined.variants}
    for variant in defined.variants:
        assert variant.config.dataset != "custom" and variant.config.model != "custom"
        if variant.baseline is not None:
            # What decides the training is the same on both sides.
            baseline = configs[variant.baseline]
            values, others = vars(variant.config), vars(baseline)
            changed = {name for name in values if values[name] != others[name]}
            assert _learned_from(variant.config) == _learned_from(baseline)
            assert changed and changed <= {*NETWORK, "watch"}


def test_every_network_can_be_built_and_called():
    configs = {
        str([getattr(variant.config, field) for field in (*NETWORK, "dataset", "image_size")]): (
            variant.config
        )
        for defined in DEFINED.values()
        for variant in defined.variants
    }
    for config in configs.values():
        if config.model == "cifar-resnet" and not config.insertion_points:
            # One block of a stage is as good as three.
            config = replace(config, model_options={"depths": [1, 1, 1], **config.model_options})
        channels, size = 6 if config.dataset == "cifar10-noise" else 3, config.image_size or 32
        model = build_model(config, 10, channels)
        with torch.no_grad():  # the meta device would take longer than these small networks
            assert model(torch.zeros(2, channels, size, size)).shape == (2, 10)


def test_the_tiers_are_told_apart():
    small = [name for name, defined in DEFINED.items() if defined.tier == "cpu"]
    assert list(DEFINED)[-len(small) :] == small == list(experiments("cpu"))


@pytest.mark.parametrize("name", ["controls", "small-controls", "small-resnet-controls"])
def test_the_wider_baseline_has_about_as_many_parameters(name):
    def parameters(config):
        return sum(p.numel() for p in build_model(config, 10).parameters())

    configs = {variant.name: variant.config for variant in DEFINED[name].variants}
    cbam, wider = configs["CBAM (FC)"], configs["wider, no attention"]
    gap = abs(parameters(wider) - parameters(cbam))
    *most, last = wider.widths
    for other in (last - 1, last + 1):
        assert gap <= abs(parameters(replace(wider, widths=(*most, other))) - parameters(cbam))


def test_names_ignore_what_does_not_decide():
    found = doctest.testmod(experiment)
    assert found.attempted and found.failed == 0
    name = run_name(BASE)
    assert name == run_name(replace(BASE, device="cpu")) == run_name(BASE.to_dict())
    assert run_name(replace(BASE, seed=1)) == name.replace("seed0", "seed1")
    assert run_name(replace(BASE, epochs=3)) != name
    older = BASE.to_dict()
    del older["label_smoothing"]  # as in a record from before there was such a field
    assert run_name(older) == name


def test_bad_experiments_are_refused():
    plain = Variant("plain", BASE)
    with pytest.raises(ValueError, match="two variants of one name"):
        Experiment("e", "cpu", "?", (plain, plain))
    with pytest.raises(ValueError, match=r"a baseline must be one of .*, got none"):
        Experiment("e", "cpu", "?", (plain, Variant("SE", WITH_SE, "none")))


# What is to do


def test_pending_is_what_lacks_a_file_seed_by_seed(tmp_path):
    other = Experiment("other", "cpu", "?", (Variant("plain", BASE), Variant("long", LONG)))
    runs = pending([TINY, other], tmp_path)
    names = [(run.attention, run.epochs, run.seed) for run in runs]
    tiny = [(attention, 2, seed) for seed in range(3) for attention in ("none", "se", "eca")]
    assert names[:9] == tiny
    # The plain runs of three seeds are wanted by both and done once.
    assert names[9:] == [("none", 6, 0), ("none", 6, 1), ("none", 6, 2), ("none", 2, 3),
                         ("none", 6, 3), ("none", 2, 4), ("none", 6, 4)]  # fmt: skip
    (tmp_path / f"{run_name(BASE)}.json").write_text("damaged")
    assert pending([TINY, other], tmp_path) == runs[1:]
    assert pending([TINY]) == runs[:9]


# Doing it


def do(runs, out, **options):
    """How the runs ended, and what was said of them, without the accuracies and the seconds."""
    lines = []
    ends = run_queue(runs, out, device="cpu", say=lines.append, **options)
    return ends, [re.split(", |: [0-9]", line)[0] for line in lines]


def recorded(out):
    return {path.stem: History.from_json(path) for path in Path(out).glob("*.json")}


def learned(history):
    """What must be the same however often a run was interrupted: all but the seconds."""
    return [row | {"seconds": 0} for row in history.epochs], history.final


def test_a_queue_leaves_records_and_nothing_else(tmp_path):
    runs = [BASE, WITH_SE]
    ends, lines = do(runs, tmp_path)
    assert ends == {"recorded": 2}
    names = [f"[{number}/2] {run_name(run)}" for number, run in enumerate(runs, start=1)]
    told = (": epoch 1", ": epoch 2", " recorded")
    assert lines == [f"{name}{what}" for name in names for what in told]
    found = recorded(tmp_path)
    for run in runs:
        history = found[run_name(run)]
        assert history.config == run
        assert len(history.epochs) == 2 and history.iteration_loss == []
    assert "test_accuracy_attention_off" in found[run_name(WITH_SE)].final
    assert not any((tmp_path / UNFINISHED).iterdir())
    by_hand = training.train(replace(WITH_SE, device="cpu"), progress=False).history
    assert learned(by_hand) == learned(found[run_name(WITH_SE)])
    # Once more: nothing is repeated, nothing is overwritten, not even what is damaged.
    (tmp_path / f"{run_name(BASE)}.json").write_text("damaged")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert do(runs, tmp_path) == ({"elsewhere": 2}, [])
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}


def test_one_failure_does_not_stop_the_others(tmp_path):
    bad = replace(BASE, learning_rate=1e30, schedule="constant")
    ends, lines = do([bad, BASE], tmp_path)
    assert ends == {"failed": 1, "recorded": 1}
    assert lines[0].startswith(f"[1/2] {run_name(bad)} failed: FloatingPointError: the t")
    assert len(recorded(tmp_path)) == 1


def test_the_data_are_read_once_for_runs_with_the_same(tmp_path, monkeypatch):
    asked = []
    whole = replace(data.shapes(60, 30), name="cifar10")
    monkeypatch.setattr(data, "cifar10", lambda folder: asked.append(folder) or whole)
    cifar, here = replace(BASE, dataset="cifar10"), str(tmp_path / "data")
    runs = [cifar, replace(cifar, train_size=50), replace(cifar, seed=1)]
    do(runs, tmp_path, data_folder=here)
    assert asked == [here]
    assert Counter(h.data["train"] for h in recorded(tmp_path).values()) == {40: 2, 50: 1}
    assert {h.data["name"] for h in recorded(tmp_path).values()} == {"cifar10"}


def test_data_that_cannot_be_had_stop_the_queue(tmp_path, monkeypatch):
    def unavailable(folder):
        raise DatasetUnavailable("no network")

    monkeypatch.setattr(data, "cifar10", unavailable)
    with pytest.raises(DatasetUnavailable):
        do([BASE, replace(BASE, dataset="cifar10")], tmp_path, data_folder=str(tmp_path))


# The budget


def test_an_epoch_that_would_not_fit_is_not_begun(tmp_path, monkeypatch):
    do([LONG], tmp_path / "undisturbed")
    assert do([LONG, BASE], tmp_path, budget=0) == ({}, [])
    now = itertools.count()  # a second passes whenever the queue looks at the clock
    monkeypatch.setattr(queue, "time", SimpleNamespace(time=lambda: next(now)))
    add_epoch = History.add_epoch
    monkeypatch.setattr(
        History,
        "add_epoch",
        lambda self, row, losses: add_epoch(self, row | {"seconds": 2}, losses),
    )
    # Begun at 0; after the first epoch it is 2, after the second 3, when two seconds are too many.
    ends, lines = do([LONG, BASE], tmp_path, budget=4)
    assert ends == {} and len(lines) == 2
    assert (tmp_path / UNFINISHED / run_name(LONG) / "checkpoint.pt").exists()
    ends, lines = do([LONG, BASE], tmp_path, budget=500)
    assert ends == {"recorded": 2} and len(lines) == 4 + 1 + 2 + 1
    history = recorded(tmp_path)[run_name(LONG)]
    assert [session["first_epoch"] for session in history.sessions] == [1, 3]
    assert learned(history) == learned(recorded(tmp_path / "undisturbed")[run_name(LONG)])


# Processes


def queue_apart(runs, out, connection):
    connection.send("ready")
    connection.recv()
    ends = run_queue(runs, out, device="cpu", say=connection.send)
    connection.send(ends)


def start(runs, out):
    """A queue in a process of its own, which has loaded all it needs and waits for a word."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cbam_course.records"])  # PyTorch is loaded once for both
    ours, theirs = context.Pipe()
    process = context.Process(target=queue_apart, args=(runs, out, theirs), daemon=True)
    process.start()
    theirs.close()  # so that the death of the process ends our waiting
    assert ours.recv() == "ready"
    return process, ours


def test_two_queues_on_one_folder_share_the_work(tmp_path):
    runs = [replace(BASE, seed=seed) for seed in range(4)]
    process, connection = start(runs, tmp_path)
    connection.send("go")
    mine, _ = do(runs, tmp_path)
    while not isinstance(theirs := connection.recv(), Counter):
        pass
    process.join()
    assert mine + theirs == {"recorded": 4, "elsewhere": 4}  # each by one of them
    assert recorded(tmp_path).keys() == set(map(run_name, runs))
    for history in recorded(tmp_path).values():
        assert len(history.sessions) == 1 and len(history.epochs) == 2


def test_a_queue_killed_at_any_moment_leaves_its_folder_usable(tmp_path):
    process, connection = start([LONG, BASE], tmp_path)
    connection.send("go")
    for _ in range(2):
        assert run_name(LONG) in connection.recv()
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    # As it is after a death between the record and the end of its folder, or within a file.
    (tmp_path / f"{run_name(BASE)}.json.tmp").write_text("{")
    leftover = tmp_path / UNFINISHED / run_name(WITH_SE)
    leftover.mkdir()
    write(tmp_path, made_record(WITH_SE, 0.5))
    runs = [LONG, BASE, WITH_SE]
    ends, lines = do(runs, tmp_path)
    assert ends["recorded"] + ends["elsewhere"] == 3 and ends["elsewhere"] >= 1
    assert sum(": epoch " in line for line in lines) < 6 + 2
    assert not any((tmp_path / UNFINISHED).iterdir())
    assert recorded(tmp_path).keys() == set(map(run_name, runs))
