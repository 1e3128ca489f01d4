"""The tools beside the count by hand: the same numbers as theirs, and where they differ."""

import ptflops
import pytest
import torch
import torch.nn.functional as F
import torchinfo
import torchvision
from torch import nn

from cbam_course.attention import make_attention
from cbam_course.cost import TOOLS, compare, count, explain
from cbam_course.models import CifarCNN

pytestmark = pytest.mark.usefixtures("one_thread")


def on_meta(make, *arguments, **options):
    """Make a model without memory."""
    with torch.device("meta"):
        return make(*arguments, **options)


def measured(model, input_size):
    """What the tools say."""
    return compare({"model": model}, input_size).loc["model", list(TOOLS)].to_dict()


def asked(model, input_size):
    """What the tools say, asked in the plain way."""
    options = {"as_strings": False, "print_per_layer_stat": False}
    answers = {"torchinfo": torchinfo.summary(model, (1, *input_size), verbose=0).total_mult_adds}
    for backend in ("pytorch", "aten"):  # aten leaves its hooks, and so comes last
        macs, _ = ptflops.get_model_complexity_info(model, input_size, backend=backend, **options)
        answers[f"ptflops {backend}"] = int(macs)
    return answers


def cifar_cnn():
    return CifarCNN(make_attention("cbam-fc", reduction=4), widths=(8, 8))


def swin():
    """Its layers are written as functions, its self-attention as matrix products."""
    return torchvision.models.SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4])


# One table


@pytest.mark.parametrize(
    ("make", "input_size"),
    [
        (cifar_cnn, (3, 16, 16)),
        (swin, (3, 32, 32)),
        (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (9, 16)),
    ],
)
def test_our_way_of_asking_changes_no_answer(make, input_size):
    """Of a copy, of a copy of a model without values, and of the model itself."""
    model = make()
    expected = asked(make(), input_size)
    assert measured(model, input_size) == expected
    assert measured(on_meta(make), input_size) == expected
    assert measured(model.half(), input_size) == expected


class Stubborn(nn.Module):
    """Works on the meta device, and nowhere else."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        if not x.is_meta:
            raise RuntimeError("no values, please")
        return self.linear(x)


def test_a_tool_that_fails():
    model = on_meta(Stubborn)
    table = compare({"stubborn": model, "linear": nn.Linear(3, 2)}, (3,))
    assert table.loc["stubborn", "by hand"] == 6
    assert table.loc["stubborn", list(TOOLS)].isna().all()
    assert table.loc["linear", list(TOOLS)].tolist() == [8, 8, 8]
    why = explain(model, (3,))
    assert why["tool"].tolist() == list(TOOLS) and why["difference"].isna().all()
    assert set(why["because"]) == {"it cannot count this model"}


# Where they differ


@pytest.mark.parametrize(
    ("make", "input_size"),
    [
        (cifar_cnn, (3, 16, 16)),
        (swin, (3, 32, 32)),
        (lambda: nn.LSTM(4, 4), (5, 4)),
    ],
)
def test_differences_add_up(make, input_size):
    model = on_meta(make)
    by_hand, why = count(model, input_size).macs, explain(model, input_size)
    for tool, total in measured(model, input_size).items():
        assert why.loc[why["tool"] == tool, "difference"].sum() == total - by_hand
    assert (why["difference"] != 0).all()
    assert why["because"].str.len().gt(0).all()


def reasons(model, input_size):
    return explain(model, input_size).set_index(["tool", "kind"])["because"].to_dict()


def test_reasons():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Sigmoid())
    assert reasons(layers, (3, 8, 8)) == {
        ("torchinfo", "Conv2d"): "additions of the bias",
        ("torchinfo", "GroupNorm"): "each parameter once",
        ("ptflops aten", "Conv2d"): "additions of the bias",
        ("ptflops pytorch", "Conv2d"): "additions of the bias",
        ("ptflops pytorch", "GroupNorm"): "twice each element of the input",
    }
    # A linear layer of a sequence: torchinfo does not see that it runs at every position.
    assert reasons(nn.Linear(4, 3, bias=False), (7, 4)) == {
        ("torchinfo", "Linear"): "each parameter once"
    }


# What is left as it was


def test_pytorch_is_left_as_it_was_and_nothing_is_printed(capfd):
    from ptflops.aten_ops import ATEN_OPS_MAPPING
    from ptflops.pytorch_ops import FUNCTIONAL_MAPPING, MODULES_MAPPING, TENSOR_OPS_MAPPING
    from torchinfo import torchinfo

    tables = (ATEN_OPS_MAPPING, FUNCTIONAL_MAPPING, MODULES_MAPPING, TENSOR_OPS_MAPPING)
    rules = [dict(table) for table in tables]
    functions = {name: getattr(F, name) for name in ("relu", "max_pool2d", "adaptive_avg_pool2d")}
    matmul = torch.matmul
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    explain(model, (3, 8, 8))
    with pytest.raises(ValueError, match="does not run"):
        count(model, (4, 8, 8))
    explain(on_meta(Stubborn), (3,))  # every tool fails
    assert {name: getattr(F, name) for name in functions} == functions
    assert torch.matmul is matmul
    assert list(tables) == rules
    assert torchinfo._cached_forward_pass == {}
    assert count(nn.Linear(2, 2), (2,)).macs == 4  # no hook of the failed runs is in the way
    assert capfd.readouterr() == ("", "")
