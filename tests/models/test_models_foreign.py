"""Checkpoints of other repositories: one rename each, and the outputs agree."""

import argparse

import pytest
import timm
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torchvision.models.resnet import BasicBlock, ResNet

from cbam_course import models
from cbam_course.attention import CBAM, ECA, SqueezeExcitation
from cbam_course.models import load_weights, official_cbam, read_weights
from tests.support.networks import randomize_statistics

# The blocks as the repositories spell them: names, shapes and what they compute.


class MoskomuleSE(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 16, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channels // 16, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return x * self.fc(self.avg_pool(x).flatten(1))[:, :, None, None].expand_as(x)


class AuthorsECA(nn.Module):
    def __init__(self, channels):
        super().__init__()
        k = 5 if channels > 256 else 3  # the name of the file tells: k3557 for the four stages
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)

    def forward(self, x):
        y = self.conv(self.avg_pool(x).squeeze(-1).transpose(-1, -2))
        return x * y.transpose(-1, -2).unsqueeze(-1).sigmoid().expand_as(x)


class LuuuyiChannel(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Conv2d(channels, channels // 16, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // 16, channels, 1, bias=False),
        )

    def forward(self, x):
        pools = nn.functional.adaptive_avg_pool2d(x, 1), nn.functional.adaptive_max_pool2d(x, 1)
        return sum(map(self.fc, pools)).sigmoid()


class LuuuyiSpatial(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x):
        maps = x.mean(dim=1, keepdim=True), x.max(dim=1, keepdim=True).values
        return self.conv1(torch.cat(maps, dim=1)).sigmoid()


def their_network(**parts):
    """A ResNet-18 whose residual blocks have these parts, in this order, before the addition."""

    class Theirs(BasicBlock):
        def __init__(self, inplanes, planes, *arguments, **options):
            super().__init__(inplanes, planes, *arguments, **options)
            for name, make in parts.items():
                setattr(self, name, make(planes))

        def forward(self, x):
            out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            for name in parts:
                refined = getattr(self, name)(out)
                out = refined if refined.shape == out.shape else refined * out
            return self.relu(out + (x if self.downsample is None else self.downsample(x)))

    torch.manual_seed(0)
    network = ResNet(Theirs, [2, 2, 2, 2], num_classes=10)
    randomize_statistics(network)
    return network.eval()


def eca_of_the_authors(channels):
    return ECA(channels, kernel_size=5 if channels > 256 else 3)


FOREIGN = {
    "moskomule": ({"se": MoskomuleSE}, lambda c: SqueezeExcitation(c, bias=False)),
    "ecanet": ({"eca": AuthorsECA}, eca_of_the_authors),
    "luuuyi": ({"ca": LuuuyiChannel, "sa": lambda c: LuuuyiSpatial()}, CBAM),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_outputs_agree_after_the_rename(name):
    parts, ours = FOREIGN[name]
    theirs = their_network(**parts)
    assert models.layout(theirs.state_dict()) == name
    network = models.resnet18(ours, weights=theirs.state_dict()).eval()
    assert network.load_report.fresh == network.load_report.unused == ()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(x), theirs(x), rtol=1e-5, atol=1e-5)


# Trained attention is not dropped without a word.


@pytest.mark.parametrize(
    "attention, options",
    [("se", {}), ("eca", {}), ("spatial", {}), (official_cbam, {"start_as_identity": True})],
)
def test_another_block_is_refused_unless_asked_for(attention, options):
    trained = models.to_official(models.resnet18(official_cbam, num_classes=10))
    message = "layer1.0.attention is another block .* replace_attention=True"
    with pytest.raises(ValueError, match=message):
        models.resnet18(attention, weights=trained, **options)
    network = models.resnet18(attention, num_classes=10, **options)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_weights(network, trained)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    report = load_weights(network, trained, replace_attention=True)
    assert "8 attention blocks" in str(report) and report.fresh and report.unused


def test_a_block_that_only_one_of_the_two_has():
    plain = models.resnet18(num_classes=10)
    assert load_weights(models.resnet18("se", num_classes=10), plain.state_dict()).fresh
    trained = models.resnet18("se", num_classes=10).state_dict()
    assert load_weights(plain, trained).unused


# timm: what loads, what converts, and why the rest is refused; the table of the page on models.

TIMM = {
    "resnet18": (None, "resnet18", ""),
    "resnet50": (None, "resnet50", ""),
    # timm rounds the hidden units up to a multiple of 8.
    "seresnet18": (lambda c: SqueezeExcitation(c, 8 if c == 64 else 16), "resnet18", ""),
    "seresnet50": ("se", "resnet50", ""),
    "resnext50_32x4d": (None, "resnext50_32x4d", ""),
    "resnet50d": (None, "resnet50", "deep stem"),
    "ecaresnet50t": ("eca", "resnet50", "deep stem"),
    "gcresnet50t": (None, "resnet50", "do not fit ResNet"),
    "regnety_002": (None, "resnet50", "do not fit ResNet"),
}


@pytest.mark.parametrize("name", TIMM)
def test_checkpoints_of_timm(name):
    attention, ours, refusal = TIMM[name]
    torch.manual_seed(0)
    theirs = timm.create_model(name, num_classes=10).eval()
    randomize_statistics(theirs)
    if refusal:
        with pytest.raises(ValueError, match=refusal):
            models.make_model(ours, attention, weights=theirs.state_dict())
        return
    network = models.make_model(ours, attention, weights=theirs.state_dict()).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(x), theirs(x), rtol=1e-4, atol=1e-4)


# Files around the state dict


@pytest.fixture
def state():
    return {key: value.detach() for key, value in nn.Linear(2, 3).state_dict().items()}


@pytest.mark.parametrize("entry", ["state_dict", "model", "model_state_dict", "net"])
def test_the_entry_with_the_weights_is_found(tmp_path, state, entry):
    torch.save({"epoch": 3, entry: state, "optimizer": {"lr": 0.1}}, tmp_path / "file.pth")
    assert read_weights(tmp_path / "file.pth").keys() == state.keys()


def test_an_entry_is_named(tmp_path, state):
    twice = {key: 2 * value for key, value in state.items()}
    torch.save({"net": state, "ema": twice}, tmp_path / "file.pth")
    with pytest.raises(ValueError, match=r"\['net', 'ema'\]: say which by entry="):
        read_weights(tmp_path / "file.pth")
    assert torch.equal(read_weights(tmp_path / "file.pth", "ema")["bias"], twice["bias"])
    with pytest.raises(ValueError, match="say which by entry=; got 'best'"):
        read_weights(tmp_path / "file.pth", "best")


def test_what_lies_beside_the_weights(tmp_path, state):
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1)}, tmp_path / "file.pth")
    with pytest.raises(
        ValueError, match="would run argparse.Namespace.*beside something else.* save them alone"
    ):
        read_weights(tmp_path / "file.pth")


def test_an_averaged_model(tmp_path):
    network = models.CifarCNN(widths=(4, 8))
    load_weights(models.CifarCNN(widths=(4, 8)), AveragedModel(network).state_dict())


def test_a_prefix_is_named():
    network = models.CifarCNN(widths=(4, 8))
    wrapped = {f"model.{key}": value for key, value in network.state_dict().items()}
    with pytest.raises(ValueError, match="begins with 'model.': leave that out"):
        load_weights(network, wrapped)
