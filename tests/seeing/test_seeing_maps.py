"""Reading maps, running with other maps, exchanging them."""

import pytest
import torch
from torch import nn

from cbam_course import seeing
from cbam_course.attention import ATTENTION_NAMES, attention_off, make_attention
from cbam_course.models import CifarCNN

CHANNEL = "stages.{}.attention.channel_attention"
SPATIAL = "stages.{}.attention.spatial_attention"


def network(attention="cbam-fc"):
    torch.manual_seed(0)
    options = {"reduction": 4} if attention in ("se", "channel-fc", "cbam-fc") else {}
    model = CifarCNN(make_attention(attention, **options), widths=(8, 12, 16), dropout=0.0)
    return model.eval()


@pytest.fixture
def x():
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([0, 1, 2, 2, 1, 0])


def test_maps_by_hand(x):
    """The maps are those the blocks return when the network is run by hand."""
    model = network()
    maps = seeing.read_maps(model, x)
    with torch.no_grad():
        features = x
        for number, stage in enumerate(model.stages):
            features = features if number == 0 else nn.functional.max_pool2d(features, 2)
            features, both = stage.attention(stage.convolutions(features), return_map=True)
            assert torch.equal(maps[CHANNEL.format(number)], both.channel)
            assert torch.equal(maps[SPATIAL.format(number)], both.spatial)
    assert list(maps) == [half.format(n) for n in range(3) for half in (CHANNEL, SPATIAL)]


@pytest.mark.parametrize("name", [name for name in ATTENTION_NAMES if name != "none"])
def test_own_maps_change_nothing(name, x):
    model = network(name)
    with torch.no_grad():
        own = model(x)
    assert torch.equal(seeing.predict(model, x), own)
    assert torch.equal(seeing.predict(model, x, seeing.read_maps(model, x)), own)


def test_later_gates_react(x):
    """A changed channel map reaches the spatial half, which computes its own map from it."""
    model, inside = network(), {}
    maps = seeing.read_maps(model, x)
    hook = model.stages[0].attention.spatial_attention.register_forward_hook(
        lambda m, i, o: inside.update(seen=i[0], map=o[1])
    )
    given = maps[CHANNEL.format(0)] * 0.1
    seeing.predict(model, x, {CHANNEL.format(0): given})
    hook.remove()
    with torch.no_grad():
        features = model.stages[0].convolutions(x)
    assert torch.allclose(inside["seen"], features * given)
    assert not torch.allclose(inside["map"], maps[SPATIAL.format(0)])


def test_batches_do_not_matter(x):
    model = network()
    own = seeing.read_maps(model, x)
    many = seeing.read_maps(model, torch.cat([x] * 40))  # 240: three batches, the last one smaller
    assert all(torch.allclose(m, torch.cat([own[n]] * 40), atol=1e-6) for n, m in many.items())
    whole = seeing.predict(model, torch.cat([x] * 40), {n: m.flip(0) for n, m in many.items()})
    few = seeing.predict(model, x, {n: m.flip(0) for n, m in own.items()})
    assert torch.allclose(whole, torch.cat([few] * 40), atol=1e-5)


def test_maps_that_do_not_fit_are_refused_and_leave_nothing_behind(x):
    model = network()
    own = seeing.predict(model, x)
    with pytest.raises(ValueError, match="no gate 'stages.9'.*stages.0.attention"):
        seeing.predict(model, x, {"stages.9": torch.ones(1)})
    with pytest.raises(RuntimeError, match="expanded size"):
        seeing.predict(model, x, {CHANNEL.format(0): torch.ones(6, 5, 1, 1)})
    assert torch.equal(seeing.predict(model, x), own)


def test_a_network_without_maps_is_refused(x):
    with pytest.raises(ValueError, match="no attention"):
        seeing.read_maps(CifarCNN(widths=(4, 4, 4)), x)


@pytest.mark.parametrize("same_class", [True, False])
def test_partners(same_class):
    labels = torch.tensor([2, 0, 1, 1, 0, 2, 0, 2, 1])
    chosen = seeing.partners(labels, same_class=same_class)
    assert sorted(chosen.tolist()) == list(range(9))
    assert (chosen != torch.arange(9)).all()
    assert torch.equal(labels[chosen], labels if same_class else (labels + 1) % 3)
    with pytest.raises(ValueError, match=r"equally many images, got \[2, 1\]"):
        seeing.partners(torch.tensor([0, 0, 1]), same_class=same_class)


def test_interventions(x):
    maps = seeing.read_maps(network(), x)
    changed = seeing.interventions(maps, LABELS)
    channel, spatial = CHANNEL.format(2), SPATIAL.format(0)
    assert set(changed["both set to 1"]) == set(maps)
    assert (changed["channel maps set to 1"][channel] == 1).all()
    assert set(changed["spatial maps averaged"]) == {n for n in maps if "spatial" in n}
    assert torch.allclose(changed["both averaged"][spatial][0], maps[spatial].mean(dim=0))
    assert torch.equal(changed["channel maps from the same class"][channel][0], maps[channel][5])
    assert torch.equal(changed["channel maps from another class"][channel][0], maps[channel][1])
    assert torch.equal(changed["spatial maps from another image"][spatial][5], maps[spatial][4])
    own = maps[channel].flatten(1)
    for name, keep in (("highest", slice(None, 12)), ("lowest", slice(4, None))):
        got = changed[f"{name} quarter dropped"][channel].flatten(1)
        kept = own.argsort(dim=1)[:, keep]
        assert ((got == 0).sum(dim=1) == 4).all()
        assert torch.equal(got.gather(1, kept), own.gather(1, kept))
    chance = changed["any quarter dropped"][channel].flatten(1)
    assert ((chance == 0).sum(dim=1) == 4).all()
    assert len({tuple(row) for row in (chance == 0).tolist()}) > 1


def test_measure_counts(x):
    model = network()
    found = seeing.measure(model, x, LABELS)
    right = model(x).argmax(dim=1) == LABELS
    assert found["accuracy"] == pytest.approx(right.float().mean().item(), abs=1e-4)
    with attention_off(model):
        off = model(x).argmax(dim=1) == LABELS
    change = found["changes"]["both set to 1"]
    assert change["gained"] - change["lost"] == int(off.sum()) - int(right.sum())
    assert [len(row) for row in found["weights"][CHANNEL.format(1)]] == [12] * 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("stage", "frozen"), [(0, False), (2, True)])
def test_grad_cam_is_that_of_captum(x, stage, frozen):
    from captum.attr import LayerGradCam

    model, target = network(), torch.tensor([0, 9, 3, 3, 1, 5])
    expected = LayerGradCam(model, model.stages[stage]).attribute(x, target=target)
    model.requires_grad_(not frozen)
    found = seeing.grad_cam(model, model.stages[stage], x, target)
    torch.testing.assert_close(found, expected.detach())
    assert all(parameter.grad is None for parameter in model.parameters())
