"""``cbam-course cost``: the tables it prints and writes, and what it refuses."""

import pytest
import torchvision
from click.testing import CliRunner

from cbam_course import cli
from cbam_course.attention import make_attention
from cbam_course.cost import TOOLS, compare, count
from cbam_course.models import make_model

pytestmark = pytest.mark.usefixtures("one_thread")


def run(*arguments):
    """Run ``cbam-course cost`` in this process."""
    return CliRunner().invoke(
        cli.main, ["cost", *map(str, arguments)], prog_name="cbam-course", catch_exceptions=False
    )


def lines(result):
    """The lines of the table, with one space between words."""
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()) for line in result.output.splitlines()]


def test_without_and_with_attention():
    result = run("cifar-cnn", "--attention", "cbam-fc")
    networks = {"cifar-cnn": make_model("cifar_cnn"), "+": make_model("cifar_cnn", "cbam-fc")}
    plain, cbam = compare(networks, (3, 32, 32)).to_dict("records")
    same = ("parameters", "by hand", *TOOLS, "left out")
    shares = ("attention's parameters", "attention's by hand")
    assert lines(result) == [
        "cifar-cnn cifar-cnn + cbam-fc",
        "input 3x32x32 3x32x32",
        *(f"{name} {plain[name]:,} {cbam[name]:,}" for name in same),
        *(f"{name} 0.00% {cbam[name]:.2%}" for name in shares),
    ]


def test_networks_of_torchvision():
    table = lines(run("squeezenet1_1", "shufflenet_v2_x0_5", "--input", "3x64x64"))
    assert table[0] == "squeezenet1_1 shufflenet_v2_x0_5"
    builders = torchvision.models.squeezenet1_1, torchvision.models.shufflenet_v2_x0_5
    one, other = (count(build, (3, 64, 64)).macs for build in builders)
    assert f"by hand {one:,} {other:,}" in table


def test_options_of_networks_and_blocks():
    result = run(
        "resnet18", "--model-option", "num_classes=10", "--model-option", "in_channels=1",
        "--attention", "se", "--attention-option", "reduction=8", "--input", "1x64x64",
    )  # fmt: skip
    options = {"num_classes": 10, "in_channels": 1}
    plain, se = (
        count(make_model("resnet18", attention, **options), (1, 64, 64)).parameters
        for attention in (None, make_attention("se", reduction=8))
    )
    assert lines(result)[1:3] == ["input 1x64x64 1x64x64", f"parameters {plain:,} {se:,}"]


def test_a_tool_that_fails(monkeypatch):
    monkeypatch.delattr("torchinfo.summary")
    assert "torchinfo <NA>" in lines(run("cifar-cnn"))


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ("resnet5o", "Unknown model resnet5o", 1),
        ("squeezenet1_1 --model-option num_classes=-1", "negative dimension", 1),
        ("resnet18 --attention se --attention-option colour=9", "argument 'colour'", 1),
        ("squeezenet1_1 --attention se", "SqueezeNet has no residual branches", 1),
        ("resnet18 --input 4x64x64", "ResNet does not run on an input of shape", 1),
        ("resnet18 --input big", "'big' is not of the form 3x224x224", 2),
        ("", "Missing argument 'MODEL...'", 2),
    ],
)  # fmt: skip
def test_refusals_are_one_line(arguments, message, code):
    result = run(*arguments.split())
    assert result.exit_code == code, result.output
    *usage, error = result.stderr.strip().splitlines()
    assert error.startswith("Error: ") and message in error
    assert len(usage) == (3 if code == 2 else 0)
