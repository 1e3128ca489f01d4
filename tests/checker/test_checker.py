"""The checker finds what is wrong with a block, names it, and lets right blocks pass."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from cbam_course.attention import (
    CBAM,
    ECA,
    ConstantGate,
    SqueezeExcitation,
)
from cbam_course.checker import check
from cbam_course.cli import main
from tests.support import attention_cases, right_blocks
from tests.support.project import ROOT
from tests.support.right_blocks import RIGHT
from tests.support.wrong_blocks import WRONG


def codes(report, wrong=None):
    return {one.code for one in report.findings if wrong in (None, one.wrong)}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_block_is_found(name):
    block, code = WRONG[name]
    report = check(block)
    assert report.verdict == "wrong" and report.exit_code == 1
    assert code in codes(report, wrong=True)
    assert all(one.sentence and one.place for one in report.findings)
    assert all(one.given and one.got for one in report.findings if one.wrong)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_block_passes(name):
    block, kind, deviations = RIGHT[name]
    report = check(block)
    assert (report.kind, codes(report)) == (kind, set(deviations)), str(report)
    assert report.verdict == ("deviates" if deviations else "right") and report.exit_code == 0


@pytest.mark.parametrize("name", right_blocks.elsewhere())
def test_blocks_of_the_libraries_pass(name):
    block, arguments, kind, deviations = right_blocks.elsewhere()[name]
    report = check(block, 64, **arguments)
    assert (report.kind, codes(report)) == (kind, set(deviations)), str(report)


@pytest.mark.parametrize("case", attention_cases.ALL[::4], ids=str)  # all: make checker
def test_this_package_passes(case):
    report = check(case.make(24).float(), 24)
    assert report.verdict in ("right", "deviates"), str(report)


@pytest.mark.parametrize(("channels", "reduction", "kernel"), [(4, 4, 9), (37, 3, 1), (96, 8, 5)])
def test_any_channels_reduction_and_kernel(channels, reduction, kernel):
    report = check(CBAM(channels, reduction, kernel), channels)
    assert (report.kind, report.verdict) == ("CBAM", "right"), str(report)
    assert report.details["spatial kernel"] == f"{kernel} x {kernel}"
    assert report.details["hidden units"] == channels // reduction


def test_the_block_and_the_random_numbers_are_left_alone():
    block = CBAM(16, 4).train()
    before = {name: value.clone() for name, value in block.state_dict().items()}
    state = torch.get_rng_state()
    check(block, 16)
    assert torch.equal(torch.get_rng_state(), state) and block.training
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())
    assert all(parameter.grad is None for parameter in block.parameters())


class Needs(nn.Module):
    def __init__(self, channels, height):
        super().__init__()

    def forward(self, x):
        return undefined  # noqa: F821


class SimAM(nn.Module):
    def forward(self, x):
        far = (x - x.mean((2, 3), keepdim=True)).square()
        return x * (far / (4 * far.mean((2, 3), keepdim=True)) + 0.5).sigmoid()


class SCSE(nn.Module):
    """Concurrent spatial and channel squeeze-and-excitation."""

    def __init__(self, channels):
        super().__init__()
        self.squeeze, self.conv = SqueezeExcitation(channels), nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        return self.squeeze(x) + x * self.conv(x).sigmoid()


class PixelAttention(nn.Module):
    """Two convolutions of all channels make the map of the positions."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, x):
        return x * self.second(self.first(x).relu()).sigmoid()


class OnlyOnLargeMaps(right_blocks.Options):
    def forward(self, x):
        return super().forward(x) if x.shape[-1] > 14 else x * self.channel(x)


class Sequence(nn.Module):
    def forward(self, x):
        batch, channels, length = x.shape


@pytest.mark.parametrize(
    "block, reason",
    [
        (Needs, "missing 1 required positional argument: 'height'. Give what it needs by keyword"),
        (nn.Conv2d(64, 64, 3), "is no product of x and a gate, and no map: shape [4, 64, 10, 8]"),
        (lambda channels: "text", "it made str, and not a torch.nn.Module"),
        (nn.Linear(3, 3), "mat1 and mat2 shapes cannot be multiplied"),
        (nn.Softmax2d(), "is no product of x and a gate"),
        (nn.Sequential(CBAM(64), nn.ReLU()), "each value is changed by itself"),
        (SimAM(), "the block has no parameter"),
        (SimAM, "the block has no parameter"),
        (SCSE, "this is scSE, or the like"),
        (PixelAttention, "as in pixel attention"),
        (OnlyOnLargeMaps, "on maps of 24 x 20 it computes something else than on 12 x 10"),
        (Sequence(), "called with feature maps [B, C, H, W], and raised ValueError: too many"),
        (nn.Sequential(CBAM(64), nn.BatchNorm2d(64)), "it is not 0 where x is 0"),
        (nn.SiLU(), "each value is changed by itself"),
    ],
)
def test_what_cannot_be_judged_is_told_in_a_line(block, reason):
    report = check(block)
    assert report.verdict == "cannot judge" and report.kind == "none of these"
    assert reason in report.reason and "\n" not in report.reason


def test_arguments_of_the_check():
    with pytest.raises(ValueError, match="at least 4; got 2"):
        check(CBAM, 2)
    with pytest.raises(ValueError, match="made already, so reduction would be ignored"):
        check(CBAM(64), 64, reduction=8)
    assert codes(check(Needs, 64, height=1)) == {"undefined-name"}


def test_a_gate_that_does_not_look_is_constant():
    assert codes(check(ConstantGate)) == codes(check(nn.Identity())) == {"constant-gate"}


def test_the_equation_is_that_of_the_kind():
    (bias,) = check(SqueezeExcitation(16, 4), 16).findings
    assert bias.code == "bias" and bias.place == "M_c(F) = sigmoid(MLP(AvgPool F))"


@pytest.mark.parametrize("name", ["pools in the batch, biases", "CBAM's authors'"])
def test_one_hidden_unit_that_may_be_silent(name):
    block, kind, deviations = RIGHT[name]
    report = check(block, 16)
    assert (report.kind, codes(report)) == (kind, set(deviations)), str(report)
    assert codes(check(WRONG["maps added"][0], 16)) == {"sum-of-maps"}


def test_an_activation_that_is_like_relu_for_large_values():
    assert codes(check(right_blocks.options(act=nn.SiLU), 256)) == {"activation"}


def test_arguments_of_blocks_that_are_not_made_from_channels():
    assert check(right_blocks.TwoKernels).details["spatial kernel"] == "7 x 7"
    for sizes in ((3, 7), [3, 7], [3, 5]):  # a list is what the command makes of several numbers
        assert check(right_blocks.TwoKernels, 64, sizes=sizes).verdict == "right"
    assert check(right_blocks.Spatial, 64, kernel_size=3).details["spatial kernel"] == "3 x 3"


def test_a_block_that_has_run_and_keeps_its_maps():
    block = right_blocks.KeepsMaps(64, returns="both")
    block(torch.randn(2, 64, 8, 8))
    assert check(block).verdict == "right" and block.last.requires_grad


def test_half_precision_and_eca_s_kernel():
    assert check(CBAM(64).half()).verdict == "right"
    assert check(ECA, 64, kernel_size=5).details["channel kernel"] == 5


class EvenFails(nn.Module):
    """The even kernel is taken and fails when the block is called."""

    def __init__(self, channels, kernel_size=7):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x):
        return x * self.conv(torch.cat([x.mean(1, True), x.amax(1, True)], 1)).sigmoid()


def test_an_argument_that_fails_late():
    assert codes(check(EvenFails, 64, kernel_size=4), wrong=True) == {"fails-late"}
    assert check(EvenFails, 64, kernel_size=3).verdict == "right"


def run(*arguments):
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


def test_the_command(tmp_path):
    file = ROOT / "book" / "copy" / "cbam.py"
    result = run(f"{file}:CBAM", "--arg", "reduction=8", "--json")
    assert result.exit_code == 0 and json.loads(result.output)["details"]["reduction"] == 8
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from tests.support.wrong_blocks import Unshared\n"
        "class Broken: pass\n"
        "if __name__ == '__main__': raise SystemExit('ran as a program')\n"
    )
    result = run(f"{mine}:Unshared")
    assert result.exit_code == 1 and "[unshared-mlp]" in result.output
    result = run(f"{mine}:Broken")
    assert result.exit_code == 2 and "it made Broken, and not a torch.nn.Module" in result.output
    mine.write_text("1 / 0")
    result = run(f"{mine}:Any")
    assert result.exit_code == 2 and "raised ZeroDivisionError" in result.output
    for wrong in ("mine.py", f"{tmp_path}/none.py:CBAM", f"{file}:nothing"):
        result = run(wrong)
        assert result.exit_code == 2 and result.output.count("Error: ") == 1
