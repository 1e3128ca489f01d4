"""``cbam-course train``: its options, what it says, keeps and refuses, and how it stops."""

import re
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import cbam_course
from cbam_course import cli, training
from cbam_course.config import CHOICES, TrainConfig
from cbam_course.training import History
from tests.support.project import ROOT
from tests.support.runs import files, metrics

TINY = "--widths 4,8 --train-size 40 --test-size 20 --batch-size 16 --device cpu".split()


def run(*arguments):
    """Run ``cbam-course`` in this process."""
    return CliRunner().invoke(cli.main, [str(a) for a in arguments], prog_name="cbam-course")


def record(folder):
    return metrics(History.from_json(folder / "history.json"))


# Help


def test_help_has_an_example_and_waits_for_no_library():
    """Nor does it need the extra of the grader, nor does the grader's import."""
    script = (
        "import sys; import cbam_course.grading; from cbam_course.cli import main\n"
        "for command in main.commands: main([command, '--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'matplotlib', 'numpy', 'pandas', 'IPython'}\n"
        "assert not heavy & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert run("--version").output == f"cbam-course, version {cbam_course.__version__}\n"
    for command in cli.main.commands:
        assert f"cbam-course {command} " in result.stdout


def test_every_field_is_an_option_with_help_and_the_same_default():
    options = {option.name: option for option in cli.train.params}
    context = cli.train.make_context("train", [])
    for field in fields(TrainConfig):
        assert context.params[field.name] == getattr(TrainConfig(), field.name)
        help = options[field.name].help
        assert re.match(r'["A-Z].*\.$', help) and len(help) > 15, (field.name, help)
        # A word of the package or of Python's documentation would say nothing here.
        assert not re.search(r"[`~]|:\w+:|_NAMES|\b(None|dict)\b", help), (field.name, help)
        assert help.count("(") == help.count(")"), (field.name, help)
    for name in CHOICES.keys() - {"watch", "attention"}:
        assert len(options[name].type.choices) > 1
    assert "[none|se|eca|" in run("train", "--help").output


# A run


def test_a_run_and_what_it_leaves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(
        "train", *TINY, "--epochs", 2, "--attention", "cbam-fc", "--lr", "0.01", "--no-flip",
        "--train-size", 30, "--validation-size", 10,
        "--attention-option", "reduction=2", "--attention-option", "order=parallel",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table, out = result.stdout.splitlines(), Path("runs/shapes-cbam-fc-seed0")
    titles = "epoch train loss accuracy validation loss accuracy test loss accuracy seconds"
    assert table[0].split() == titles.split()
    assert [line.split()[0] for line in table[1:-2]] == ["1", "2"]
    assert table[-1] == f"Kept in {out}: history.json, checkpoint.pt, curves.png"
    assert "parameters, trained in" in table[-2]
    assert sorted(files(out)) == ["checkpoint.pt", "curves.png", "history.json"]
    assert training.load_run(out).history.config == TrainConfig(
        attention="cbam-fc",
        attention_options={"reduction": 2, "order": "parallel"},
        widths=(4, 8),
        train_size=30,
        validation_size=10,
        test_size=20,
        epochs=2,
        batch_size=16,
        learning_rate=0.01,
        flip=False,
        device="cpu",
    )
    with Image.open(out / "curves.png") as image:
        image.verify()
        assert image.format == "PNG" and image.width > 1000


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ("--model-option depths=[1,1]", {"model_options": {"depths": [1, 1]}}),
        ("--attention-option bias=True", {"attention_options": {"bias": True}}),
        ("--attention-option x=null", {"attention_options": {"x": None}}),
        ("--insertion-points layer1,l*.bn2", {"insertion_points": ("layer1", "l*.bn2")}),
        ("--control frozen --optimizer sgd", {"control": "frozen", "optimizer": "sgd"}),
        ("--schedule plateau --watch peek", {"schedule": "plateau", "watch": "peek"}),
        ("--label-smoothing 0.1 --seed 3", {"label_smoothing": 0.1, "seed": 3}),
    ],
)
def test_options_are_fields(options, fields):
    """In the words of Python and of JSON; a single value, several, or a name with its value."""
    with cli.train.make_context("train", options.split()) as context:
        assert context.params.items() >= fields.items()


# What it refuses


def assert_refused(result, message, code=1):
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    *usage, error = result.stderr.strip().splitlines()
    assert error.startswith("Error: ") and message in error
    assert len(usage) == (3 if code == 2 else 0)
    assert result.stdout == ""


def test_a_run_is_not_overwritten(tmp_path):
    (tmp_path / "file").touch()
    assert_refused(run("train", *TINY, "--out", tmp_path / "file" / "run"), "file")
    out = tmp_path / "run"
    assert_refused(run("train", *TINY, "--out", out, "--resume"), "No such file or directory")
    run("train", *TINY, "--epochs", 1, "--out", out)
    before = files(out)
    assert_refused(run("train", *TINY, "--epochs", 1, "--out", out), "has a run already")
    options = ["--epochs", 2, "--lr", 1]
    changed = "epochs was 1 and is now 2, learning_rate was 0.001 and is now 1.0"
    assert_refused(run("train", "--out", out, "--resume", *options), changed)
    assert before == files(out)


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ("--epochs 0", "epochs must be at least 1; got 0", 1),
        ("--attention se --attention-option kernel=3", "do not fit 'se'", 1),
        ("--device abacus", "device 'abacus' is not to be had here", 1),
        ("--widths 8,x", "'8,x' is not of the form 16,32,64", 2),
        ("--attention bam", "attention must be one of 'none', 'se', 'eca'", 1),
        ("--attention-option reduction", "'reduction' is not of the form NAME=VALUE", 2),
        ("--model custom", "'custom' is not one of 'cifar-cnn', 'cifar-resnet'", 2),
        ("--lr 1e30 --schedule constant", "the training loss is no longer a number", 1),
    ],
)
def test_refusals_are_one_line(tmp_path, arguments, message, code):
    options = ["--train-size", 20, "--test-size", 10, "--batch-size", 5]
    if "--widths" not in arguments:
        options += ["--widths", "16,16"]
    result = run("train", *options, "--out", tmp_path / "run", *arguments.split())
    assert_refused(result, message, code)


# How it stops


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_stopped_and_continued(tmp_path, monkeypatch, name):
    out, steps, after_step = tmp_path / "run", [], training.Learner.after_step

    def after(learner):  # the fifth of the nine steps is in the second epoch
        steps.append(learner)
        if len(steps) == 5:
            signal.raise_signal(getattr(signal, name))
        return after_step(learner)

    with monkeypatch.context() as patch:
        patch.setattr(training.Learner, "after_step", after)
        result = run("train", *TINY, "--epochs", 3, "--out", out)
    assert result.exit_code == 130, result.output
    how = f"the same command with --out {out} --resume continues after the last whole epoch"
    assert result.stderr == f"Stopped; {how}.\n"
    assert len(record(out)[0]) == 1
    # As the run, whether said again or not.
    options = ["--seed", 0] if name == "SIGINT" else []
    assert run("train", "--out", out, "--resume", *options).exit_code == 0
    assert run("train", *TINY, "--epochs", 3, "--out", tmp_path / "whole").exit_code == 0
    assert record(out) == record(tmp_path / "whole")


def test_ctrl_c_before_any_command_is_no_traceback():
    code = "import signal, cbam_course.__main__; signal.raise_signal(signal.SIGINT); print('on')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("", "") and ended.returncode in (-2, 1)
