"""Whole checkpoints of others: what loads, what is refused, and what no weight tells."""

import pytest
import timm
import torch
from torch.optim.swa_utils import AveragedModel

from cbam_course import models
from cbam_course.attention import SqueezeExcitation
from cbam_course.models import load_weights, official_cbam
from tests.support.networks import randomize_statistics

# Trained attention is not dropped without a word.


@pytest.mark.parametrize(
    "attention, options",
    [("eca", {}), (official_cbam, {"start_as_identity": True})],
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
    "resnet50": (None, "resnet50", ""),
    # timm rounds the hidden units up to a multiple of 8.
    "seresnet18": (lambda c: SqueezeExcitation(c, 8 if c == 64 else 16), "resnet18", ""),
    "resnext50_32x4d": (None, "resnext50_32x4d", ""),
    "resnet50d": (None, "resnet50", "deep stem"),
    "ecaresnet50t": ("eca", "resnet50", "deep stem"),
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


def test_what_no_weight_tells():
    """A stem that pools by averages has the keys of one that pools by maxima."""
    torch.manual_seed(0)
    theirs = timm.create_model("resnetaa50", num_classes=10).eval()
    network = models.resnet50(weights=theirs.state_dict()).eval()
    assert network.load_report.fresh == network.load_report.unused == ()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(network(x), theirs(x), atol=1e-2)


def test_an_averaged_model():
    network = models.CifarCNN(widths=(4, 8))
    load_weights(models.CifarCNN(widths=(4, 8)), AveragedModel(network).state_dict())


def test_a_prefix_is_named():
    network = models.CifarCNN(widths=(4, 8))
    wrapped = {f"model.{key}": value for key, value in network.state_dict().items()}
    with pytest.raises(ValueError, match="begins with 'model.': leave that out"):
        load_weights(network, wrapped)
