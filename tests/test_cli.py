"""The ``cbam-course`` command: what it says, keeps and refuses, and how it stops."""

import os
import re
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import cbam_course
from cbam_course import attention, cli, models, training
from cbam_course.cli.options import ATTENTION_NAMES, MODEL_NAMES
from cbam_course.cli.train import CONTROLS, DATASETS, OPTIMIZERS, PRECISIONS, SCHEDULES
from cbam_course.data import DatasetUnavailable

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = "--widths 4,8 --train-size 40 --test-size 20 --batch-size 16 --device cpu".split()


@pytest.fixture(autouse=True)
def interruptible():
    """Let Ctrl-C count even where the tests were started with it ignored, as by nohup."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run(*arguments):
    """Run ``cbam-course`` in this process."""
    return CliRunner().invoke(cli.main, [str(a) for a in arguments], prog_name="cbam-course")


def start(*arguments):
    """Start ``python -m cbam_course`` in another process."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(cbam_course.__file__).parents[1]),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "cbam_course", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def files(folder):
    """The names and contents of a run's files; the lock is none of them."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}


def record(folder):
    """What must agree between runs with the same configuration."""
    history = training.History.from_json(folder / "history.json")
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]
    return rows, history.iteration_loss


# Help


def test_version_and_help():
    assert run("--version").output == f"cbam-course, version {cbam_course.__version__}\n"
    for option in ("-h", "--help"):
        assert re.search("train +Train a network", run(option).output)


@pytest.mark.parametrize("command", cli.main.commands)
def test_help_does_not_wait_for_pytorch(command):
    script = (
        "import sys; from cbam_course.cli import main\n"
        f"try: main(['{command}', '--help'])\n"
        "finally: assert not {'torch', 'matplotlib', 'numpy', 'pandas'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(cbam_course.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert f"cbam-course {command} " in result.stdout  # an example


def test_names_are_those_of_the_rooms():
    assert ATTENTION_NAMES == attention.ATTENTION_NAMES
    assert tuple(name.replace("-", "_") for name in MODEL_NAMES) == models.MODEL_NAMES
    assert DATASETS == tuple(n for n in training.config.DATASET_NAMES if n != "custom")
    assert (*MODEL_NAMES, "custom") == training.config.MODEL_NAMES
    assert CONTROLS == training.config.CONTROLS
    assert OPTIMIZERS == training.config.OPTIMIZERS
    assert SCHEDULES == training.config.SCHEDULES
    assert PRECISIONS == training.config.PRECISIONS


def test_every_field_is_an_option_with_the_same_default():
    options = {option.name: option for option in cli.train.params}
    context = cli.train.make_context("train", [])
    for field in fields(training.TrainConfig):
        assert field.name in options
        assert context.params[field.name] == getattr(training.TrainConfig(), field.name)
    # A name is chosen from a list, and a list that grows is not forgotten here.
    for name in ("model", "attention", "control", "dataset", "optimizer", "schedule", "precision"):
        assert len(options[name].type.choices) > 1


# A run


def test_a_run_and_what_it_leaves(tmp_path):
    out = tmp_path / "run"
    result = run(
        "train", *TINY, "--epochs", 7, "--attention", "cbam-fc", "--lr", "0.01", "--no-flip",
        "--attention-option", "reduction=2", "--attention-option", "order=parallel", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = result.stdout.splitlines()
    assert [line.split()[0] for line in table] == ["epoch", *"34567", "7", "Kept"]
    assert table[-1] == f"Kept in {out}: history.json, checkpoint.pt, curves.png"
    assert "7 epochs in " in table[-2] and "parameters" in table[-2]
    assert [line.split()[0] for line in result.stderr.splitlines()] == ["epoch", *"1234567"]
    assert sorted(files(out)) == ["checkpoint.pt", "curves.png", "history.json"]

    history = training.History.from_json(out / "history.json")
    assert history.config == training.TrainConfig(
        attention="cbam-fc",
        attention_options={"reduction": 2, "order": "parallel"},
        widths=(4, 8),
        train_size=40,
        test_size=20,
        epochs=7,
        batch_size=16,
        learning_rate=0.01,
        flip=False,
        device="cpu",
    )
    with Image.open(out / "curves.png") as picture:
        picture.verify()
        assert picture.format == "PNG" and picture.width > 1000


def test_default_folder_and_quiet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("train", *TINY, "--epochs", 1, "--attention", "eca", "--seed", 3, "--quiet")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert Path("runs/shapes-eca-seed3/history.json").exists()
    assert "1 epoch in" in result.stdout


def test_another_network_with_options_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(
        "train", *TINY, "--epochs", 1, "--model", "cifar-resnet", "--model-option", "depths=[1,1]",
        "--attention", "cbam-fc", "--attention-option", "reduction=2",
        "--attention-place", "layer1", "--attention-place", "layer2.0.bn2",
        "--control", "frozen", "--optimizer", "sgd", "--label-smoothing", "0.1",
        "--schedule", "plateau", "--validation-size", 10,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    folder = Path("runs/shapes-cifar-resnet-frozen-cbam-fc-seed0")
    model, history = training.load_run(folder)
    assert list(attention.attention_blocks(model)) == ["layer1.attention", "layer2.0.bn2.attention"]
    assert history.config == training.TrainConfig(
        model="cifar-resnet",
        model_options={"depths": [1, 1]},
        widths=(4, 8),
        attention="cbam-fc",
        attention_options={"reduction": 2},
        attention_places=("layer1", "layer2.0.bn2"),
        control="frozen",
        train_size=40,
        test_size=20,
        validation_size=10,
        epochs=1,
        batch_size=16,
        optimizer="sgd",
        label_smoothing=0.1,
        schedule="plateau",
        device="cpu",
    )
    result = run("train", "--out", folder, "--resume")
    assert result.exit_code == 0, result.output


def test_options_in_the_words_of_python_and_of_json(tmp_path):
    for words in (("True", "None"), ("true", "null")):
        bias, other = words
        with cli.train.make_context(
            "train", ["--attention-option", f"bias={bias}", "--attention-option", f"x={other}"]
        ) as context:
            assert context.params["attention_options"] == {"bias": True, "x": None}
    result = run(
        "train", *TINY, "--epochs", 1, "--attention", "se", "--attention-option", "bias=False",
        "--attention-option", "reduction=2", "--start-as-identity", "--out", tmp_path / "run",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    history = training.History.from_json(tmp_path / "run" / "history.json")
    assert history.config.attention_options == {"bias": False, "reduction": 2}
    assert history.config.start_as_identity


def test_the_same_command_gives_the_same_record(tmp_path):
    for name in "ab":
        assert run("train", *TINY, "--epochs", 2, "--out", tmp_path / name).exit_code == 0
    assert record(tmp_path / "a") == record(tmp_path / "b")


def test_resume_takes_its_options_from_the_run(tmp_path):
    out = tmp_path / "run"
    assert run("train", *TINY, "--epochs", 1, "--out", out, "--seed", 4).exit_code == 0
    result = run("train", "--out", out, "--resume")
    assert result.exit_code == 0 and "1 epoch in" in result.stdout, result.output
    result = run("train", "--out", out, "--resume", "--seed", 4, "--widths", "4,8")
    assert result.exit_code == 0, result.output


def test_resume_with_nothing_there_starts(tmp_path):
    result = run("train", *TINY, "--epochs", 1, "--out", tmp_path / "new", "--resume")
    assert result.exit_code == 0
    assert result.stderr.startswith(f"There is no run in {tmp_path / 'new'} to continue")


# What it refuses


def assert_refused(result, message, code=1):
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    *usage, error = result.stderr.strip().splitlines()
    assert error.startswith("Error: ") and message in error
    assert len(usage) == (3 if code == 2 else 0)
    assert result.stdout == ""


def test_a_run_is_not_overwritten(tmp_path):
    out = tmp_path / "run"
    run("train", *TINY, "--epochs", 1, "--out", out)
    before = files(out)
    assert_refused(run("train", *TINY, "--epochs", 1, "--out", out), "has a run already")
    assert_refused(
        run("train", "--out", out, "--resume", "--epochs", 2, "--lr", 1),
        "epochs was 1 and is now 2, learning_rate was 0.001 and is now 1.0",
    )
    assert before == files(out)
    (out / "checkpoint.pt").write_bytes(before["checkpoint.pt"][:500])
    assert_refused(run("train", "--out", out, "--resume"), "damaged or not a checkpoint")


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ("--epochs 0", "epochs must be an integer of at least 1, got 0", 1),
        ("--lr -1", "learning_rate must be a number above 0, got -1.0", 1),
        ("--attention se --widths 8,8", "reduction 16 leaves no hidden unit for 8 channels", 1),
        ("--attention se --attention-option kernel=3", "do not fit 'se'", 1),
        ("--device abacus", "device 'abacus' is not to be had here", 1),
        ("--precision float16 --device cpu", "'float16' needs an NVIDIA GPU", 1),
        ("--widths 8,x", "'8,x' is not a list of numbers such as 64,128,256", 2),
        ("--attention bam", "'bam' is not one of 'none', 'se'", 2),
        ("--attention-option reduction", "'reduction' is not of the form NAME=VALUE", 2),
        ("--epochs many", "'many' is not a valid integer", 2),
        ("--colour blue", "No such option", 2),
        ("--model vgg", "'vgg' is not one of 'cifar-cnn', 'cifar-resnet'", 2),
        ("--model custom", "'custom' is not one of", 2),
        ("--model-option depths=3", "do not fit 'none' and 'cifar-cnn'", 1),
        ("--control frozen", "control 'frozen' needs attention; got attention 'none'", 1),
        ("--attention eca --attention-place layer1", "no module is called 'layer1'", 1),
        ("--lr 1e30 --schedule constant", "the training loss is no longer a number", 1),
    ],
)
def test_refusals_are_one_line(tmp_path, arguments, message, code):
    options = ["--train-size", 20, "--test-size", 10, "--batch-size", 5, "--quiet"]
    if "--widths" not in arguments:
        options += ["--widths", "16,16"]
    result = run("train", *options, "--out", tmp_path / "run", *arguments.split())
    assert_refused(result, message, code)


def test_cifar10_that_cannot_be_had(tmp_path, monkeypatch):
    def unavailable(folder=None, download=True):
        raise DatasetUnavailable(f"CIFAR-10 is not in {folder}")

    monkeypatch.setattr("cbam_course.data.cifar10", unavailable)
    result = run(
        "train", "--dataset", "cifar10", "--data-folder", tmp_path, "--out", tmp_path / "run"
    )
    assert_refused(result, f"CIFAR-10 is not in {tmp_path}")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    result = run("train", *TINY, "--epochs", 1, "--quiet", "--out", tmp_path / "file" / "run")
    assert_refused(result, "file")


# How it stops


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_stopped_in_the_middle_and_continued(tmp_path, monkeypatch):
    """Ctrl-C in a real process, then a request to end in this one, then on to the end."""
    out = tmp_path / "my run"
    arguments = ["train", *TINY, "--epochs", 20, "--out", out]
    message = (
        f"Stopped after epoch {{}} of 20; continue with: cbam-course train --out '{out}' --resume"
    )

    process = start(*arguments, "--data-folder", tmp_path)
    header, first = process.stderr.readline(), process.stderr.readline()
    assert header.startswith("epoch") and first.split()[0] == "1", header + first
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert output == ""
    done = len(training.load_run(out).history.epochs)
    assert 1 <= done < 20
    assert errors.splitlines()[-1] == f"{message.format(done)} --data-folder {tmp_path}"

    with monkeypatch.context() as patch:
        patch.setattr(
            "cbam_course.training.loop.evaluate",
            lambda *arguments: signal.raise_signal(signal.SIGTERM),
        )
        result = run("train", "--out", out, "--resume", "--quiet")
    assert result.exit_code == 143
    assert result.stderr == f"{message.format(done)}\n"

    assert run("train", "--out", out, "--resume").exit_code == 0
    assert run(*arguments[:-1], tmp_path / "whole").exit_code == 0
    assert record(out) == record(tmp_path / "whole")


def test_stopped_before_the_first_epoch_ends(tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("cbam_course.training.loop.train_epoch", interrupted)
    before = signal.getsignal(signal.SIGINT)
    result = run("train", *TINY, "--out", tmp_path / "run", "--quiet")
    assert result.exit_code == 130
    assert result.stderr == "Stopped before the end of the first epoch: nothing was kept.\n"
    assert signal.getsignal(signal.SIGINT) is before


# As one of the processes that torchrun has started


@pytest.mark.parametrize(
    ("rank", "error", "message"),
    [
        (0, ValueError("too small"), "Error: too small"),
        (1, ValueError("too small"), ""),
        (1, training.distributed.FirstProcessFailed("too small"), ""),
        (1, OSError("disk full"), "Error: process 1: disk full"),
        (
            1,
            RuntimeError("Connection closed by peer\nmore"),
            "Error: process 1: Connection closed ",
        ),
        (0, RuntimeError("a bug"), None),
    ],
)
def test_an_error_is_told_once(tmp_path, monkeypatch, rank, error, message):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(training, "train", fail)
    monkeypatch.setattr(training.distributed, "group_rank", lambda: rank)
    result = run("train", *TINY, "--out", tmp_path / "run")
    assert result.exit_code == 1 and result.stdout == ""
    if message is None:
        assert result.exception is error
    else:
        assert result.stderr.startswith(message)
        assert len(result.stderr.splitlines()) == bool(message)


@pytest.mark.parametrize("rank", [0, 1])
def test_several_processes_are_continued_by_torchrun(tmp_path, monkeypatch, rank):
    def interrupted(*arguments, on_epoch, **options):
        on_epoch(history)
        signal.raise_signal(signal.SIGTERM)

    out = tmp_path / "run"
    assert run("train", *TINY, "--epochs", 1, "--out", out, "--quiet").exit_code == 0
    history = training.History.from_json(out / "history.json")
    monkeypatch.setattr(training, "train", interrupted)
    monkeypatch.setattr(training.distributed, "joined", lambda device: nullcontext())
    monkeypatch.setattr(training.distributed, "group_rank", lambda: rank)
    monkeypatch.setattr(training.distributed, "group_size", lambda: 2)
    result = run("train", "--out", out, "--resume", "--quiet")
    assert result.exit_code == 143
    command = f"torchrun --nproc_per_node=2 -m cbam_course train --out {out} --resume"
    said = f"Stopped after epoch 1 of 1; continue with: {command}\n"
    assert result.stderr == (said if rank == 0 else "")
