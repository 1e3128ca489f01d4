"""Reading maps, running with other maps, exchanging them."""

import pytest
import torch
from torch import nn

from cbam_course import seeing
from cbam_course.attention import ATTENTION_NAMES, attention_off, make_attention
from cbam_course.models import CifarCNN

GATED = [name for name in ATTENTION_NAMES if name != "none"]


def network(attention="cbam-fc", **options):
    torch.manual_seed(0)
    options = {"reduction": 4} | options if attention == "cbam-fc" else options
    model = CifarCNN(make_attention(attention, **options), widths=(8, 12, 16), dropout=0.0)
    return model.eval()


@pytest.fixture
def x():
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_maps_by_hand(x):
    """The maps are those the blocks return when the network is run by hand."""
    model = network()
    maps = seeing.read_maps(model, x)
    with torch.no_grad():
        features = x
        for number, stage in enumerate(model.stages):
            features = features if number == 0 else nn.functional.max_pool2d(features, 2)
            features, both = stage.attention(stage.convolutions(features), return_map=True)
            name = f"stages.{number}.attention"
            assert torch.equal(maps[f"{name}.channel_attention"], both.channel)
            assert torch.equal(maps[f"{name}.spatial_attention"], both.spatial)
    assert len(maps) == 6
    assert list(maps)[:2] == [
        "stages.0.attention.channel_attention",
        "stages.0.attention.spatial_attention",
    ]


@pytest.mark.parametrize("name", GATED)
def test_own_maps_change_nothing(name, x):
    options = {"reduction": 4} if name in ("se", "channel-fc", "cbam-fc") else {}
    model = network(name, **options)
    with torch.no_grad():
        own = model(x)
    assert torch.equal(seeing.predict(model, x), own)
    assert torch.equal(seeing.predict(model, x, seeing.read_maps(model, x)), own)


def test_ones_are_attention_off(x):
    model = network()
    ones = {n: torch.ones_like(m[:1]) for n, m in seeing.read_maps(model, x).items()}
    with attention_off(model), torch.no_grad():
        off = model(x)
    assert torch.allclose(seeing.predict(model, x, ones), off)
    assert not torch.allclose(seeing.predict(model, x), off)


def test_later_gates_react(x):
    """A changed channel map reaches the spatial half, which computes its own map from it."""
    model = network()
    name = "stages.0.attention.channel_attention"
    maps = seeing.read_maps(model, x)
    inside = {}
    spatial = model.stages[0].attention.spatial_attention
    hook = spatial.register_forward_hook(lambda m, i, o: inside.update(seen=i[0], map=o[1]))
    with seeing.given_maps(model, {name: maps[name] * 0.1}), torch.no_grad():
        model(x)
    hook.remove()
    features = model.stages[0].convolutions(x)
    assert torch.allclose(inside["seen"], features * maps[name] * 0.1)
    assert not torch.allclose(inside["map"], maps["stages.0.attention.spatial_attention"])


def test_batches_do_not_matter(x):
    model = network()
    many = torch.cat([x] * 40)  # 240 images: three batches, the last one smaller
    maps = seeing.read_maps(model, many)
    assert {len(m) for m in maps.values()} == {240}
    whole = seeing.predict(model, many, {n: m.flip(0) for n, m in maps.items()})
    with seeing.given_maps(model, {n: m.flip(0) for n, m in maps.items()}), torch.no_grad():
        at_once = model(many)
    assert torch.allclose(whole, at_once, atol=1e-5)


def test_network_is_left_as_it_was(x):
    model = network()
    before = {n: v.clone() for n, v in model.state_dict().items()}
    own = seeing.predict(model, x)
    name = "stages.0.attention.channel_attention"
    with pytest.raises(RuntimeError, match="stop"), seeing.given_maps(model, {name: x[:1, :1]}):
        raise RuntimeError("stop")
    assert torch.equal(seeing.predict(model, x), own)
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())


def test_refusals(x):
    model = network()
    maps = seeing.read_maps(model, x)
    name, wrong = next(iter(maps.items()))
    with pytest.raises(ValueError, match="no gate 'stages.9'.*stages.0.attention"):
        seeing.predict(model, x, {"stages.9": wrong})
    with pytest.raises(ValueError, match=r"must have the shape \[6, 8, 1, 1\]"):
        seeing.predict(model, x, {name: wrong[:, :5]})
    with pytest.raises(ValueError, match="1 for each of 6 images, got 4"):
        seeing.predict(model, x, {name: wrong[:4]})
    with pytest.raises(ValueError, match="no attention"):
        seeing.read_maps(CifarCNN(widths=(4, 4, 4)), x)
    for function in (seeing.read_maps, seeing.predict):
        with pytest.raises(ValueError, match="N at least 1"):
            function(model, x[:0])


@pytest.mark.parametrize("same_class", [True, False])
def test_partners(same_class):
    labels = torch.tensor([2, 0, 1, 1, 0, 2, 0, 2, 1])
    chosen = seeing.partners(labels, same_class=same_class)
    assert sorted(chosen.tolist()) == list(range(9))
    assert (chosen != torch.arange(9)).all()
    wanted = labels if same_class else (labels + 1) % 3
    assert torch.equal(labels[chosen], wanted)


def test_partners_refuse():
    with pytest.raises(ValueError, match=r"equally many images, got \[2, 1\]"):
        seeing.partners(torch.tensor([0, 0, 1]), same_class=True)
    with pytest.raises(ValueError, match="no other image"):
        seeing.partners(torch.tensor([0, 1]), same_class=True)
    with pytest.raises(ValueError, match="no other image"):
        seeing.partners(torch.tensor([0, 0]), same_class=False)
    with pytest.raises(ValueError, match=r"\[N\]"):
        seeing.partners(torch.zeros(0), same_class=False)


def test_interventions(x):
    model = network()
    maps = seeing.read_maps(model, x)
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    changed = seeing.interventions(maps, labels)
    channel = "stages.2.attention.channel_attention"
    spatial = "stages.0.attention.spatial_attention"
    assert set(changed["both set to 1"]) == set(changed["both averaged"]) == set(maps)
    assert (changed["channel maps set to 1"][channel] == 1).all()
    assert set(changed["spatial maps averaged"]) == {n for n in maps if "spatial" in n}
    assert torch.allclose(changed["both averaged"][spatial][0], maps[spatial].mean(dim=0))
    assert torch.equal(changed["channel maps from the same class"][channel][0], maps[channel][5])
    assert torch.equal(changed["channel maps from another class"][channel][0], maps[channel][1])
    assert torch.equal(changed["spatial maps from another image"][spatial][5], maps[spatial][4])
    for name, keep in (("highest", slice(None, 12)), ("lowest", slice(4, None))):
        got = changed[f"{name} quarter dropped"][channel].flatten(1)
        order = maps[channel].flatten(1).argsort(dim=1)
        assert ((got == 0).sum(dim=1) == 4).all()
        kept = order[:, keep]
        assert torch.equal(got.gather(1, kept), maps[channel].flatten(1).gather(1, kept))
    chance = changed["any quarter dropped"][channel].flatten(1)
    assert ((chance == 0).sum(dim=1) == 4).all()
    assert len({tuple(row) for row in (chance == 0).tolist()}) > 1
    again = seeing.interventions(maps, labels)["any quarter dropped"][channel].flatten(1)
    assert torch.equal(again, chance)
    with pytest.raises(ValueError, match="channel maps and spatial maps"):
        seeing.interventions({channel: maps[channel]}, labels)


def test_measure_counts(x):
    model = network()
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    found = seeing.measure(model, x, labels)
    right = model(x).argmax(dim=1) == labels
    assert found["accuracy"] == pytest.approx(right.float().mean().item(), abs=1e-4)
    with attention_off(model):
        off = model(x).argmax(dim=1) == labels
    change = found["changes"]["both set to 1"]
    assert change["gained"] - change["lost"] == int(off.sum()) - int(right.sum())
    assert [len(row) for row in found["weights"]["stages.1.attention.channel_attention"]] == [
        12
    ] * 3


def test_grad_cam_is_the_class_activation_map(x):
    """The network ends in an average and a linear layer, where both are one."""
    model, target = network(), torch.tensor([0, 9, 3, 3, 1, 5])
    found = seeing.grad_cam(model, model.stages[-1], x, target)
    with torch.no_grad():
        weight = model.classifier.weight[target]
        by_hand = torch.einsum("nc,nchw->nhw", weight, model.features(x)) / 64
    assert found.shape == (6, 1, 8, 8)
    assert not found.requires_grad
    assert torch.allclose(found[:, 0], by_hand, atol=1e-6)
