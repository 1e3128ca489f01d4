"""``cbam-course experiments``: what it lists, does and shows."""

import re

import pytest
import torch
from click.testing import CliRunner
from made_records import BASE, TINY, WITH_SE, made_record, write_records

from cbam_course import cli, data, training
from cbam_course import experiments as room
from cbam_course.experiments import run_name
from cbam_course.records import reading, tables

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def tiny_alone(monkeypatch, tmp_path):
    """One tiny experiment, of which nothing is shipped."""
    monkeypatch.setattr(reading, "SHIPPED", tmp_path / "none")
    monkeypatch.setattr(room, "experiments", lambda tier=None: {TINY.name: TINY})
    monkeypatch.setattr(tables, "experiments", lambda: {TINY.name: TINY})
    tables.definitions.cache_clear()
    yield
    tables.definitions.cache_clear()


def run(*arguments, code=0):
    result = CliRunner().invoke(cli.main, ["experiments", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize("command", ["list", "run", "status"])
def test_help_has_an_example(command):
    assert f"cbam-course experiments {command} " in run(command, "--help")


def test_list():
    assert run("list") == (
        "experiment  tier  variants x seeds  question\n"
        "tiny        cpu   3 x 3             Does a block help a tiny network?\n"
    )


def test_run_does_what_lacks_a_record_and_status_shows_it(tmp_path):
    out = write_records(tmp_path / "records", {"plain": (0.5, 0.5, 0.5), "SE": (0.5, 0.5)})
    status = run("status", "--out", out)
    assert "tiny        3 x 3             5 / 9     cpu, 1 thread  24 s\n" in status
    assert "5 of 9 runs are recorded.\n" in status
    lines = run("run", "tiny", "--out", out, "--device", "cpu").splitlines()
    assert lines[0] == "4 runs without a record"
    assert re.fullmatch(r"\[1/4\] tiny: ECA, seed 0: [\d.]+% in 0 s on cpu, 1 thread", lines[1])
    assert [line.split(":")[1] for line in lines[1:5]] == [
        " ECA, seed 0", " ECA, seed 1", " SE, seed 2", " ECA, seed 2",
    ]  # fmt: skip
    assert lines[5] == f"4 recorded in {out}"
    assert re.fullmatch(r"8 epochs in \d+ s: [\d,]+ training images a second", lines[6])
    assert "9 of 9 runs are recorded.\n" in run("status", "--out", out)
    again = run("run", "--out", out, "--device", "cpu").splitlines()
    assert again == ["0 runs without a record", f"0 recorded in {out}"]


def test_shipped_records_count(tmp_path, monkeypatch):
    shipped = write_records(tmp_path / "shipped", {"plain": (0.5, 0.5, 0.5)})
    monkeypatch.setattr(reading, "SHIPPED", shipped)
    assert "3 of 9 runs are recorded" in run("status")
    begun = run("run", "--out", tmp_path / "out", "--budget", "0s", "--device", "cpu")
    assert begun == f"6 runs without a record\n0 recorded in {tmp_path / 'out'}; 6 left\n"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20m", 1200), ("90s", 90), ("1h", 3600), ("1h30m", 5400), ("0.5h", 1800), ("1m 30s", None),
     ("20", None), ("", None), ("m", None), ("-5m", None), ("20 minutes", None)],
)  # fmt: skip
def test_budgets(text, seconds, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(room, "run_queue", lambda *_, budget, **__: asked.append(budget))
    options = ("run", "--out", tmp_path, "--budget", text)
    if seconds is None:
        assert "is not a time such as 20m, 90s or 1h30m" in run(*options, code=2)
    else:
        run(*options)
        assert asked == [pytest.approx(seconds, abs=30)] and asked[0] <= seconds


@pytest.mark.parametrize(("gpu", "tier"), [(True, "gpu"), (False, "cpu")])
def test_the_tier_is_the_device_s(gpu, tier, monkeypatch, tmp_path):
    asked = []
    found = torch.device("cuda" if gpu else "cpu")
    monkeypatch.setattr(
        training, "choose_device", lambda name: found if name == "auto" else torch.device(name)
    )
    monkeypatch.setattr(room, "experiments", lambda tier: asked.append(tier) or {TINY.name: TINY})
    monkeypatch.setattr(room, "run_queue", lambda *_, **__: None)
    run("run", "--out", tmp_path)
    run("run", "--out", tmp_path, "--device", "cpu")
    run("run", "--out", tmp_path, "--tier", "gpu")
    run("run", "--out", tmp_path, "tiny")
    assert asked == [tier, "cpu", "gpu", None]


def test_a_failure_is_told_and_the_exit_code_says_so(tmp_path):
    out = write_records(tmp_path, {"plain": (0.5,) * 3, "SE": (0.5,) * 3, "ECA": (0.5,) * 2})
    (out / ".unfinished").mkdir()
    name = run_name(room.Variant("last", [*TINY.runs()][-1]).config)
    (out / ".unfinished" / name).mkdir()
    (out / ".unfinished" / name / "checkpoint.pt").write_text("damaged")
    output = run("run", "--out", out, "--device", "cpu", code=1)
    assert f"tiny: ECA, seed 2 ({name}) failed: ValueError: " in output
    assert "checkpoint.pt is damaged" in output and "0 recorded" in output and "1 failed" in output
    assert f"Begun, to be continued: {name}" in run("status", "--out", out)


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "run_queue", interrupted)
    assert "the same command goes on from here" in run("run", "--out", tmp_path, code=130)


def test_refusals_are_one_line(tmp_path, monkeypatch):
    output = run("run", "--out", tmp_path, "huge", code=1)
    assert output == "Error: no experiment 'huge'; there are tiny\n"
    assert "Error: " in run("run", "--out", tmp_path, "--device", "toaster", code=1)

    def unavailable(*_, **__):
        raise data.DatasetUnavailable("CIFAR-10 cannot be had")

    monkeypatch.setattr(room, "run_queue", unavailable)
    output = run("run", "--out", tmp_path, "--device", "cpu", code=1)
    assert output.splitlines()[-1] == "Error: CIFAR-10 cannot be had"


def test_status_names_what_it_cannot_count(tmp_path):
    (tmp_path / f"{run_name(BASE)}.json").write_text("{")
    stranger = WITH_SE.from_dict(WITH_SE.to_dict() | {"epochs": 1})
    made_record(stranger, 0.5, commit=None).to_json(tmp_path / f"{run_name(stranger)}.json")
    output = run("status", "--out", tmp_path)
    assert "tiny        3 x 3             0 / 9     -       unknown\n" in output
    assert "one at a time: 0 s, and 9 runs of which no record tells.\n" in output
    assert f"Of no experiment any more:\n  {tmp_path / run_name(stranger)}.json\n" in output
    assert re.search(rf"move the file away:\n  {tmp_path / run_name(BASE)}.json: .*damaged", output)
    assert "The provenance of 1 record lacks the commit." in output
