"""``cbam-course experiments``: what it lists, does and shows."""

import re
from collections import Counter
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from cbam_course import cli, data, records, training
from cbam_course.records import reading, run_name
from tests.support.made_records import BASE, TINY, WITH_ECA, WITH_SE, write_records

pytestmark = pytest.mark.usefixtures("one_thread")

ALL = {"plain": (0.5,) * 3, "SE": (0.5,) * 3, "ECA": (0.5,) * 3}
FULL = replace(TINY, name="full", tier="gpu", seeds=(7, 8))


@pytest.fixture(autouse=True)
def tiny_alone(monkeypatch, tmp_path):
    """One tiny experiment, of which nothing is shipped, and a full one for a GPU."""

    def experiments(tier=None):
        known = {"full": FULL, "tiny": TINY}
        return {name: e for name, e in known.items() if tier in (None, e.tier)}

    monkeypatch.setattr(reading, "SHIPPED", tmp_path / "none")
    monkeypatch.setattr(records, "experiments", experiments)


def run(*arguments, code=0):
    result = CliRunner().invoke(cli.main, ["experiments", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def test_run_does_what_lacks_a_record_and_list_shows_it(tmp_path):
    out = write_records(tmp_path / "records", {**ALL, "SE": (0.5, 0.5), "ECA": ()})
    full, tiny = run("list", "--out", out).splitlines()
    assert full.startswith("full ") and "gpu  3 x 2  runs,   0 recorded,   6 to do  " in full
    question = "Does a block help a tiny network?"
    assert tiny == f"{'tiny':24} cpu  3 x 3  runs,   5 recorded,   4 to do  {question}"
    lines = run("run", "tiny", "--out", out, "--device", "cpu").splitlines()
    assert lines[0] == "4 runs without a record"
    lacking = [(WITH_ECA, 0), (WITH_ECA, 1), (WITH_SE, 2), (WITH_ECA, 2)]
    names = [run_name(replace(config, seed=seed)) for config, seed in lacking]
    assert re.fullmatch(rf"\[1/4\] {names[0]}: epoch 1, [\d.]+% in \d+ s", lines[1])
    done = [line for line in lines if " recorded: " in line]
    assert re.fullmatch(rf"\[1/4\] {names[0]} recorded: [\d.]+% in \d+ s on cpu, .*", done[0])
    assert [line.split()[1] for line in done] == names
    assert sum(": epoch " in line for line in lines) == 8
    assert lines[-1] == f"4 recorded in {out}, 0 failed, 0 done elsewhere, 0 left"
    assert " 9 recorded,   0 to do " in run("list", "tiny", "--out", out)
    again = run("run", "--out", out, "--device", "cpu").splitlines()
    assert again == [
        "0 runs without a record",
        "The others want a GPU, and take days without: full",
        f"0 recorded in {out}, 0 failed, 0 done elsewhere, 0 left",
    ]


def test_the_budget_counts_and_what_is_cut_off_is_kept(tmp_path, monkeypatch):
    shipped = write_records(tmp_path / "shipped", {"plain": (0.5, 0.5, 0.5)})
    monkeypatch.setattr(reading, "SHIPPED", shipped)
    assert " 3 recorded,   6 to do " in run("list", "tiny")
    begun = run("run", "--out", tmp_path / "out", "--budget", "0s", "--device", "cpu")
    assert begun.startswith("6 runs without a record\n0 recorded") and begun.endswith("6 left\n")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20m", 1200), ("1h30m", 5400), ("0.5h", 1800), ("20", None), ("", None), ("-5m", None)],
)
def test_budgets(text, seconds, monkeypatch, tmp_path):
    asked = []

    def queue(*_, budget, **__):
        asked.append(budget)
        return Counter()

    monkeypatch.setattr(records, "run_queue", queue)
    options = ("run", "--out", tmp_path, "--budget", text)
    if seconds is None:
        assert "is not a time such as 20m, 90s or 1h30m" in run(*options, code=2)
    else:
        run(*options)
        assert seconds / 2 < asked[0] <= seconds  # what loading took is taken off


@pytest.mark.parametrize(("gpu", "tier"), [(True, "gpu"), (False, "cpu")])
def test_the_tier_is_the_device_s(gpu, tier, monkeypatch, tmp_path):
    asked = []
    found = torch.device("cuda" if gpu else "cpu")
    monkeypatch.setattr(
        training, "choose_device", lambda name: found if name == "auto" else torch.device(name)
    )
    monkeypatch.setattr(records, "experiments", lambda tier: asked.append(tier) or {"tiny": TINY})
    monkeypatch.setattr(records, "run_queue", lambda *_, **__: Counter())
    run("run", "--out", tmp_path)
    run("run", "--out", tmp_path, "--device", "cpu")
    run("run", "--out", tmp_path, "tiny")
    assert asked == [tier, "cpu", None]


def test_a_failure_is_told_and_the_exit_code_says_so(tmp_path):
    out = write_records(tmp_path, {**ALL, "ECA": (0.5, 0.5)})
    _, last = [*TINY.runs()][-1]
    name = run_name(last)
    (out / ".unfinished" / name).mkdir(parents=True)
    (out / ".unfinished" / name / "checkpoint.pt").write_text("damaged")
    output = run("run", "--out", out, "--device", "cpu", code=1)
    assert f"{name} failed: ValueError: " in output
    assert "checkpoint.pt is damaged" in output and "0 recorded" in output and "1 failed" in output


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "run_queue", interrupted)
    assert "the same command goes on from here" in run("run", "--out", tmp_path, code=130)


def test_what_cannot_be_is_told_in_a_line(tmp_path, monkeypatch):
    output = run("run", "--out", tmp_path, "huge", code=1)
    assert output == "Error: no experiment 'huge'; there are full, tiny\n"
    assert "Error: " in run("run", "--out", tmp_path, "--device", "toaster", code=1)
    (tmp_path / f"{run_name(BASE)}.json").write_text("{")
    with pytest.warns(UserWarning, match=rf"{run_name(BASE)}.json is left out: it is no record"):
        assert " 0 recorded,   9 to do " in run("list", "tiny", "--out", tmp_path)
    output = run("list", "--out", tmp_path / "recrods", code=1)
    assert output.startswith("Error: there is no folder ") and "recrods" in output

    def unavailable(*_, **__):
        raise data.DatasetUnavailable("CIFAR-10 cannot be had")

    monkeypatch.setattr(records, "run_queue", unavailable)
    output = run("run", "--out", tmp_path, "--device", "cpu", code=1)
    assert output.splitlines()[-1] == "Error: CIFAR-10 cannot be had"
