"""``cbam-course export``: what it writes, says and refuses."""

import os
import sys

import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner

from cbam_course import cli
from cbam_course.attention import make_attention
from cbam_course.models import make_model

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = ("cifar-cnn", "--input", "3x8x8", "--model-option", "widths=[4,8]")


def run(*arguments):
    """Run ``cbam-course export`` in this process."""
    arguments = [str(argument) for argument in ("export", *arguments)]
    return CliRunner().invoke(cli.main, arguments, prog_name="cbam-course")


def assert_refused(result, message, code=1):
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    error = result.stderr.strip().splitlines()[-1]
    assert error.startswith("Error: ") and message in error
    assert "onnxruntime" not in result.stdout


def test_a_network_with_its_weights(tmp_path):
    torch.manual_seed(3)
    options = {"num_classes": 7, "widths": (4, 8), "in_channels": 2}
    network = make_model("cifar_cnn", make_attention("se", reduction=2), **options)
    safetensors.torch.save_file(network.state_dict(), tmp_path / "weights.safetensors")
    out = tmp_path / "model.onnx"
    result = run(
        "cifar-cnn", "--model-option", "widths=[4,8]", "--model-option", "in_channels=2",
        "--model-option", "num_classes=7",
        "--attention", "se", "--attention-option", "reduction=2",
        "--input", "2x32x32", "--weights", tmp_path / "weights.safetensors", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("loaded ") and lines[4] == f"{out}: opset 20"
    assert lines[5] == "input [batch, 2, 32, 32], output [batch, 7]"
    assert result.stderr == "" and set(os.listdir(tmp_path)) == {"weights.safetensors", out.name}
    stored = {tensor.name for tensor in onnx.load(out).graph.initializer}
    assert "stages.1.attention.mlp.0.weight" in stored
    images = torch.randn(3, 2, 32, 32)
    [found] = onnxruntime.InferenceSession(out).run(None, {"input": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), network.eval()(images).detach())


def test_random_weights_are_the_same_every_time(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "cbam_course.export.export_onnx", lambda network, *_, **__: seen.append(network)
    )
    for _ in range(2):
        run(*TINY, "--out", tmp_path / "model.onnx")
    one, again = (network.state_dict().values() for network in seen)
    assert all(map(torch.equal, one, again))


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ("--model-option num_classes=0", "num_classes must be an integer of at least 1; got 0", 1),
        ("--attention se", "reduction 16 leaves no hidden unit for 4 channels", 1),
        ("--model-option depth=3", "unexpected keyword argument 'depth'", 1),
        ("--input 1x8x8", "expected input[1, 1, 8, 8] to have 3 channels", 1),
        ("--weights {folder}/empty.pt", "empty.pt is", 1),
        ("--out {folder}/nowhere/model.onnx", "No such file or directory", 1),
        ("--weights {folder}/none.pt", "none.pt' does not exist", 2),
    ],
)
def test_refusals_are_one_line(tmp_path, arguments, message, code):
    (tmp_path / "empty.pt").touch()
    options = [text.format(folder=tmp_path) for text in arguments.split()]
    result = run(*TINY, "--out", tmp_path / "model.onnx", *options)
    assert_refused(result, message, code)
    assert os.listdir(tmp_path) == ["empty.pt"]


def test_an_unknown_network():
    assert_refused(run("resnet5o", "--out", "model.onnx"), "Unknown model resnet5o")


def test_a_missing_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = run(*TINY, "--out", tmp_path / "model.onnx")
    assert_refused(result, "pip install 'cbam-course[export]'")
