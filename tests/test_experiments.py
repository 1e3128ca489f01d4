"""Experiments and their queue: what is wanted, what is still to do, and doing it just once."""

import doctest
import os
import signal
import time
from collections import Counter
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path

import pytest
from made_records import BASE, TINY, WITH_SE, made_record

from cbam_course.data import DatasetUnavailable
from cbam_course.experiments import (
    Experiment,
    Variant,
    experiment,
    experiments,
    pending,
    run_name,
    run_queue,
)
from cbam_course.experiments.queue import _Team, _work, process_context
from cbam_course.experiments.worker import UNFINISHED, Worker
from cbam_course.records.tables import definitions
from cbam_course.training import History, read_checkpoint
from cbam_course.training.checkpoint import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")

DEFINED = definitions()  # experiments(), made once for all tests
LONG = replace(BASE, epochs=6)


# Definitions


def test_the_example_of_a_name_is_true():
    assert doctest.testmod(experiment).attempted and doctest.testmod(experiment).failed == 0


def _learned_from(config):
    """Number of images that a network of this configuration learns from."""
    everything = 50_000 if config.train_size is None else config.train_size
    return everything - (config.validation_size or 0)


@pytest.mark.parametrize("name", DEFINED)
def test_an_experiment_is_a_fair_comparison(name):
    defined = DEFINED[name]
    assert defined.name == name and defined.question.endswith("?")
    names = [run_name(run) for run in defined.runs()]
    assert len(set(names)) == len(names) == len(defined.variants) * len(defined.seeds)
    configs = {variant.name: variant.config for variant in defined.variants}
    for variant in defined.variants:
        assert variant.config.dataset != "custom" and variant.config.model != "custom"
        if variant.baseline is not None:
            # What decides the training is the same on both sides.
            changed = set(variant.config.differences(configs[variant.baseline]))
            images = {_learned_from(c) for c in (variant.config, configs[variant.baseline])}
            assert len(images) == 1
            assert changed and changed.isdisjoint(
                {"dataset", "test_size", "epochs", "batch_size", "optimizer"}
                | {"learning_rate", "weight_decay", "schedule", "crop", "flip", "precision"}
            )


def test_the_tiers_are_told_apart():
    small = [name for name, defined in DEFINED.items() if defined.tier == "cpu"]
    assert list(DEFINED)[-len(small) :] == small == list(experiments("cpu"))
    with pytest.raises(ValueError, match="'cpu' or 'gpu', got 'tpu'"):
        experiments("tpu")


@pytest.mark.parametrize("name", ["controls", "small-controls"])
def test_the_wider_baseline_has_about_as_many_parameters(name):
    def parameters(config):
        return sum(p.numel() for p in config.build_model(num_classes=10).parameters())

    configs = {variant.name: variant.config for variant in DEFINED[name].variants}
    cbam, wider = configs["CBAM (FC)"], configs["wider, no attention"]
    gap = abs(parameters(wider) - parameters(cbam))
    *most, last = wider.widths
    for other in (last - 1, last + 1):
        assert gap <= abs(parameters(replace(wider, widths=(*most, other))) - parameters(cbam))


def test_names_ignore_what_does_not_decide():
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
    with pytest.raises(ValueError, match=r"baseline of 'SE' must be one of .*, got 'none'"):
        Experiment("e", "cpu", "?", (plain, Variant("SE", WITH_SE, "none")))
    with pytest.raises(ValueError, match="tier must be one of cpu, gpu; got 'tpu'"):
        Experiment("e", "tpu", "?", (plain,))


# What is to do


def test_pending_is_what_lacks_a_file_seed_by_seed(tmp_path):
    other = Experiment("other", "cpu", "?", (Variant("plain", BASE), Variant("long", LONG)))
    runs = pending([TINY, other], [tmp_path])
    names = [(run.attention, run.epochs, run.seed) for run in runs]
    tiny = [(attention, 2, seed) for seed in range(3) for attention in ("none", "se", "eca")]
    assert names[:9] == tiny
    # The plain runs of three seeds are wanted by both and done once.
    assert names[9:] == [("none", 6, 0), ("none", 6, 1), ("none", 6, 2), ("none", 2, 3),
                         ("none", 6, 3), ("none", 2, 4), ("none", 6, 4)]  # fmt: skip
    (tmp_path / f"{run_name(BASE)}.json").write_text("damaged")
    assert pending([TINY, other], [tmp_path]) == runs[1:]
    assert pending([TINY], []) == runs[:9]


# Doing it


def do(runs, out, **options):
    events = []
    run_queue(runs, out, device="cpu", on_event=events.append, **options)
    return events


def ends(events):
    return [(event.run, event.kind) for event in events if event.kind != "epoch"]


def records(out):
    return {path.stem: History.from_json(path) for path in Path(out).glob("*.json")}


def test_a_queue_leaves_records_and_nothing_else(tmp_path):
    runs = [BASE, WITH_SE]
    events = do(runs, tmp_path)
    assert ends(events) == [(run_name(run), "recorded") for run in runs]
    assert [event.images for event in events] == [40, 40, 0, 40, 40, 0]
    found = records(tmp_path)
    assert [found[run_name(run)].config for run in runs] == runs
    for event in events[2::3]:
        history = found[event.run]
        assert event.test_accuracy == history.final["test_accuracy"]
        assert event.device == history.sessions[0]["device"]
        assert len(history.epochs) == 2 and history.iteration_loss == []
    assert "test_accuracy_attention_off" in found[run_name(WITH_SE)].final
    assert not any((tmp_path / UNFINISHED).iterdir())
    # Once more: nothing is repeated, nothing is overwritten.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert ends(do(runs, tmp_path)) == [(run_name(run), "elsewhere") for run in runs]
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}


def test_a_damaged_file_is_not_overwritten(tmp_path):
    path = tmp_path / f"{run_name(BASE)}.json"
    path.write_text("damaged")
    assert ends(do([BASE], tmp_path)) == [(path.stem, "elsewhere")]
    assert path.read_text() == "damaged"


def test_one_failure_does_not_stop_the_others(tmp_path):
    bad = replace(BASE, learning_rate=1e30, schedule="constant")
    events = do([bad, BASE], tmp_path)
    assert ends(events) == [(run_name(bad), "failed"), (run_name(BASE), "recorded")]
    (failure,) = (event for event in events if event.kind == "failed")
    assert failure.error.startswith("FloatingPointError: the t")
    assert len(records(tmp_path)) == 1


def test_the_data_are_read_once_for_runs_with_the_same(tmp_path, monkeypatch):
    from cbam_course import data

    asked = []
    whole = replace(data.shapes(60, 30), name="cifar10")
    monkeypatch.setattr(data, "cifar10", lambda folder: asked.append(folder) or whole)
    cifar = replace(BASE, dataset="cifar10")
    do([cifar, replace(cifar, train_size=50), replace(cifar, seed=1)], tmp_path, data_folder="here")
    assert asked == ["here"]
    assert Counter(h.data["train"] for h in records(tmp_path).values()) == {40: 2, 50: 1}
    assert {h.data["name"] for h in records(tmp_path).values()} == {"cifar10"}


def test_data_that_cannot_be_had_stop_the_queue(tmp_path, monkeypatch):
    from cbam_course import data

    def unavailable(folder):
        raise DatasetUnavailable("no network")

    monkeypatch.setattr(data, "cifar10", unavailable)
    with pytest.raises(DatasetUnavailable):
        do([BASE, replace(BASE, dataset="cifar10")], tmp_path)


# The budget


def test_no_time_no_runs(tmp_path):
    assert ends(do([BASE, WITH_SE], tmp_path, budget=0)) == [(run_name(BASE), "stopped")]
    assert records(tmp_path) == {}


def test_a_run_stopped_by_the_budget_goes_on_from_its_last_epoch(tmp_path, monkeypatch):
    clock = [0.0]
    save = RunFolder.save

    def ten_seconds_later(self, learner, history):
        clock[0] += 10
        history.epochs[-1]["seconds"] = 10.0
        save(self, learner, history)

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(RunFolder, "save", ten_seconds_later)
    events = do([LONG, BASE], tmp_path, budget=35)
    # After 30 s a fourth epoch would end after the budget: it is not begun, nor is the next run.
    assert [event.kind for event in events] == ["epoch", "epoch", "epoch", "stopped"]
    assert records(tmp_path) == {}
    events = do([LONG, BASE], tmp_path, budget=1000)
    assert [e.kind for e in events] == ["epoch"] * 3 + ["recorded"] + ["epoch"] * 2 + ["recorded"]
    history = records(tmp_path)[run_name(LONG)]
    assert [session["first_epoch"] for session in history.sessions] == [1, 4]


# Processes


def test_two_processes_share_the_runs_and_a_killed_one_harms_nothing(tmp_path):
    runs = [LONG, *(replace(BASE, seed=seed) for seed in range(3))]
    team = []
    make = _Team.__init__
    events = []

    def on_event(event):
        events.append(event)
        of_long = [e.kind for e in events if e.run == run_name(LONG)]
        if event.run == run_name(LONG) and of_long == ["epoch", "epoch"]:
            (member,) = (m for m in team[0].members.values() if m.run == event.run)
            os.kill(member.process.pid, signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Team, "__init__", lambda self, *a: (team.append(self), make(self, *a))[0])
        run_queue(runs, tmp_path, jobs=2, device="cpu", on_event=on_event)
    assert Counter(ends(events)) == Counter(
        [(run_name(LONG), "failed"), *((run_name(run), "recorded") for run in runs[1:])]
    )
    (failure,) = (event for event in events if event.kind == "failed")
    assert failure.error == "its process ended with exit code -9"
    # What was killed in the middle is there up to an epoch, and goes on from there.
    folder = tmp_path / UNFINISHED / run_name(LONG)
    done = len(History.loads(read_checkpoint(folder)["history"]).epochs)
    assert 2 <= done < 6
    events = do(runs, tmp_path)
    assert len([event for event in events if event.kind == "epoch"]) == 6 - done
    history = records(tmp_path)[run_name(LONG)]
    assert [session["first_epoch"] for session in history.sessions] == [1, done + 1]
    # It has learned what an undisturbed run learns.
    do([LONG], tmp_path / "undisturbed")
    undisturbed = records(tmp_path / "undisturbed")[run_name(LONG)]
    for mine, other in zip(history.epochs, undisturbed.epochs, strict=True):
        assert mine["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)


def queue_apart(runs, out, connection):
    connection.send("ready")
    connection.recv()
    run_queue(runs, out, device="cpu", on_event=connection.send)
    connection.close()


def start(target, *arguments):
    context = process_context()
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*arguments, theirs))
    process.start()
    theirs.close()
    return process, ours


def received(connection):
    while wait([connection], timeout=120):
        try:
            yield connection.recv()
        except (EOFError, OSError):
            return
    raise TimeoutError


def test_two_queues_on_one_folder_share_the_work(tmp_path):
    runs = [replace(BASE, seed=seed) for seed in range(6)]
    queues = [start(queue_apart, runs, tmp_path) for _ in range(2)]
    assert [connection.recv() for _, connection in queues] == ["ready"] * 2
    for _, connection in queues:
        connection.send("go")
    events = [list(received(connection)) for _, connection in queues]
    for process, _ in queues:
        process.join()
    recorded = [[run for run, kind in ends(of_one) if kind == "recorded"] for of_one in events]
    assert sorted(sum(recorded, [])) == sorted(map(run_name, runs))  # each by one of them
    assert all(recorded)
    for history in records(tmp_path).values():
        assert len(history.sessions) == 1 and len(history.epochs) == 2


def test_a_queue_killed_at_any_moment_leaves_its_folder_usable(tmp_path):
    process, connection = start(queue_apart, [LONG, BASE], tmp_path)
    connection.recv()
    connection.send("go")
    for _ in range(2):
        assert connection.recv().run == run_name(LONG)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    # As it is after a death between the record and the end of its folder, or within a file.
    (tmp_path / f"{run_name(BASE)}.json.tmp").write_text("{")
    leftover = tmp_path / UNFINISHED / run_name(WITH_SE)
    leftover.mkdir()
    made_record(WITH_SE, 0.5).to_json(tmp_path / f"{leftover.name}.json")
    events = do([LONG, BASE, WITH_SE], tmp_path)
    assert [kind for _, kind in ends(events)] == ["recorded", "recorded", "elsewhere"]
    assert sum(event.kind == "epoch" for event in events) < 6 + 2
    assert not any((tmp_path / UNFINISHED).iterdir())


def test_workers_end_when_nobody_listens(tmp_path):
    process, connection = start(_work, Worker(tmp_path, device="cpu"), 1)
    assert connection.recv() is None
    connection.send(replace(BASE, epochs=10_000))
    assert connection.recv().kind == "epoch"
    connection.close()  # as when the first process is killed
    process.join(timeout=60)
    assert process.exitcode == 0


def test_ctrl_c_ends_the_processes(tmp_path):
    team = []
    make = _Team.__init__

    def interrupt(event):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Team, "__init__", lambda self, *a: (team.append(self), make(self, *a))[0])
        with pytest.raises(KeyboardInterrupt):
            run_queue([LONG, WITH_SE], tmp_path, jobs=2, device="cpu", on_event=interrupt)
    assert len(team[0].members) == 2
    assert not any(member.process.is_alive() for member in team[0].members.values())
    assert [kind for _, kind in ends(do([LONG, WITH_SE], tmp_path))] == ["recorded"] * 2
