"""The tools beside the count by hand: the same numbers as theirs, and where they differ."""

import ptflops
import pytest
import torch
import torch.nn.functional as F
import torchinfo
import torchvision
from torch import nn

from cbam_course.attention import CBAM, make_attention
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


def test_resnet50():
    """The numbers that the course quotes."""
    with torch.device("meta"):
        model = torchvision.models.resnet50()
    table = compare({"ResNet-50 v1.5": model})
    assert table.index.tolist() == ["ResNet-50 v1.5"]
    assert table.columns.tolist() == [
        "parameters", "by hand", "torchinfo", "ptflops aten", "ptflops pytorch", "left out",
        "attention's parameters", "attention's by hand",
    ]  # fmt: skip
    assert table.iloc[0].tolist() == [
        25_557_032, 4_089_184_256, 4_089_238_376, 4_089_185_256, 4_132_436_968, 0, 0, 0,
    ]  # fmt: skip

    why = explain(model).set_index(["tool", "kind"])
    assert why["difference"].to_dict() == {
        ("torchinfo", "BatchNorm2d"): 53_120,
        ("torchinfo", "Linear"): 1000,
        ("ptflops aten", "Linear"): 1000,
        ("ptflops pytorch", "BatchNorm2d"): 2 * 11_113_984,
        ("ptflops pytorch", "ReLU"): 2 * 9_608_704,
        ("ptflops pytorch", "MaxPool2d"): 2 * 64 * 112 * 112,
        ("ptflops pytorch", "AdaptiveAvgPool2d"): 2 * 2048 * 7 * 7,
        ("ptflops pytorch", "Linear"): 1000,
    }
    twice = "once each element of the input, for the module and again for its function"
    assert why["because"].to_dict() == {
        ("torchinfo", "BatchNorm2d"): "each parameter once",
        ("torchinfo", "Linear"): "additions of the bias",
        ("ptflops aten", "Linear"): "additions of the bias",
        ("ptflops pytorch", "BatchNorm2d"): "twice each element of the input",
        ("ptflops pytorch", "ReLU"): twice,
        ("ptflops pytorch", "MaxPool2d"): twice,
        ("ptflops pytorch", "AdaptiveAvgPool2d"): twice,
        ("ptflops pytorch", "Linear"): "additions of the bias",
    }
    # What ptflops says when it does not count functions: each of these once.
    again = why.loc["ptflops pytorch"].loc[["ReLU", "MaxPool2d", "AdaptiveAvgPool2d"]]
    assert 4_132_436_968 - again["difference"].sum() // 2 == 4_121_925_096


class Spelled(nn.Module):
    """The small block of the tutorial, with its pools in one of three spellings.

    Two things in it are functions whatever the spelling, so that ptflops does not see them: the
    sigmoids and the products.
    """

    def __init__(self, mode, pools):
        super().__init__()
        if mode == "fc":
            self.mlp = nn.Sequential(
                nn.Conv2d(32, 8, 1, bias=False), nn.ReLU(), nn.Conv2d(8, 32, 1, bias=False)
            )
        else:
            self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        if pools == "modules":
            self.pools = nn.ModuleList([nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)])
        elif pools == "functions":
            self.pools = [
                lambda x: F.adaptive_avg_pool2d(x, 1), lambda x: F.adaptive_max_pool2d(x, 1)
            ]  # fmt: skip
        else:
            self.pools = [
                lambda x: x.mean(dim=(2, 3), keepdim=True),
                lambda x: x.amax(dim=(2, 3), keepdim=True),
            ]

    def channel(self, pooled):
        if hasattr(self, "mlp"):
            return self.mlp(pooled)
        return self.conv(pooled.flatten(2).mT).mT[..., None]

    def forward(self, x):
        first, second = (self.channel(pool(x)) for pool in self.pools)
        x = x * first.add_(second).sigmoid()
        maps = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * self.spatial(maps).sigmoid()


@pytest.mark.parametrize(
    ("mode", "parameters", "by_hand", "pytorch"),
    [
        ("fc", 610, 26_112, {"modules": 58_912, "functions": 42_528, "methods": 26_144}),
        ("conv", 101, 25_280, {"modules": 58_048, "functions": 41_664, "methods": 25_280}),
    ],
)
def test_the_small_block_of_the_tutorial(mode, parameters, by_hand, pytorch):
    blocks = {pools: Spelled(mode, pools) for pools in pytorch}
    blocks["ours"] = CBAM(32, 4) if mode == "fc" else CBAM(32, mode="conv")
    table = compare(blocks, (32, 16, 16))
    assert set(table["parameters"]) == {parameters}
    for column in ("by hand", "torchinfo", "ptflops aten"):
        assert set(table[column]) == {by_hand}, column
    assert table["ptflops pytorch"].to_dict() == {**pytorch, "ours": pytorch["methods"]}
    assert table["attention's by hand"].tolist() == [0, 0, 0, 1]
    assert table["attention's parameters"].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("make", "input_size"),
    [
        (cifar_cnn, (3, 16, 16)),
        (lambda: torchvision.models.mobilenet_v3_small(), (3, 64, 64)),
        (swin, (3, 32, 32)),
        (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (9, 16)),
        (lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2), nn.GELU()), (4, 5, 5)),
    ],
)
def test_our_way_of_asking_changes_no_answer(make, input_size):
    """Of a copy, of a copy of a model without values, and of the model itself."""
    model = make()
    expected = asked(make(), input_size)
    assert measured(model, input_size) == expected
    assert measured(on_meta(make), input_size) == expected
    assert measured(model.half(), input_size) == expected


def test_fewer_tools():
    model = on_meta(nn.Linear, 3, 2)
    table = compare({"linear": model}, (3,), tools=())
    assert table.columns[:3].tolist() == ["parameters", "by hand", "left out"]
    table = compare({"linear": model}, (3,), tools=["ptflops aten"])
    assert table.columns[1:4].tolist() == ["by hand", "ptflops aten", "left out"]
    assert compare({}).empty


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
    assert why["because"].str.contains("no values, please").all()


# Where they differ


@pytest.mark.parametrize(
    ("make", "input_size"),
    [
        (cifar_cnn, (3, 16, 16)),
        (swin, (3, 32, 32)),
        (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (9, 16)),
        (lambda: nn.Sequential(shared := nn.Conv2d(4, 4, 1), nn.Sequential(shared)), (4, 5, 5)),
        (lambda: nn.LSTM(4, 4), (5, 4)),
    ],
)
def test_differences_add_up(make, input_size):
    model = on_meta(make)
    by_hand, why = count(model, input_size).macs, explain(model, input_size)
    for tool, total in measured(model, input_size).items():
        assert why.loc[why["tool"] == tool, "difference"].sum() == total - by_hand
    assert (why["tool counts"] - why["by hand"] == why["difference"]).all()
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
    # A linear layer of a sequence: torchinfo does not see that it runs at every place.
    assert reasons(nn.Linear(4, 3, bias=False), (7, 4)) == {
        ("torchinfo", "Linear"): "each parameter once, however many outputs it serves"
    }


class Written(nn.Module):
    """Layers and products without modules."""

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(4, 4))

    def forward(self, x):
        x = F.linear(x, self.matrix)
        return torch.einsum("bnc,bmc->bnm", x, x)


def test_reasons_without_modules():
    assert count(on_meta(Written), (7, 4)).left_out == 7 * 7 * 4
    assert reasons(on_meta(Written), (7, 4)) == {
        ("torchinfo", "Written"): "not counted",
        ("ptflops aten", "Written"): "another rule",
        ("ptflops pytorch", "Written"): "not counted",
    }


def test_layers_under_two_names():
    """ptflops pytorch adds up what stands under every name."""
    shared = nn.Conv2d(4, 4, 1, bias=False)
    model = nn.Sequential(shared, nn.Sequential(shared))
    assert measured(model, (4, 5, 5))["ptflops pytorch"] == 2 * count(model, (4, 5, 5)).macs
    assert reasons(model, (4, 5, 5)) == {
        ("ptflops pytorch", "(elsewhere)"): (
            "work outside the layers, or layers under several names"
        )
    }


# What is left as it was


def test_pytorch_is_left_as_it_was():
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


def test_tools_are_silent(capfd):
    explain(CifarCNN(make_attention("cbam-fc", reduction=4), widths=(8, 8)), (3, 16, 16))
    explain(on_meta(Stubborn), (3,))
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_models_on_a_gpu():
    model = torchvision.models.resnet18()
    expected = measured(model, (3, 64, 64))
    assert measured(model.cuda().half(), (3, 64, 64)) == expected


def test_unknown_tools():
    with pytest.raises(ValueError, match="tool must be one of 'torchinfo', .* got 'thop'"):
        compare({"linear": nn.Linear(3, 3)}, (3,), tools=["thop"])
