"""What holds for every block, every option, every shape and every memory layout."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from cbam_course.attention import ECA
from tests.support import attention_cases as cases

steady = settings(derandomize=True, deadline=None, database=None, max_examples=100)

LAYOUTS = {
    "contiguous": lambda b, c, h, w: cases.features(b, c, h, w),
    "channels last": lambda b, c, h, w: cases.features(b, h, w, c).permute(0, 3, 1, 2),
    "transposed": lambda b, c, h, w: cases.features(b, c, w, h).transpose(2, 3),
    "every other": lambda b, c, h, w: cases.features(b, c, 2 * h, 2 * w)[:, :, ::2, 1::2],
    "expanded": lambda b, c, h, w: cases.features(1, c, h, w).expand(b, c, h, w),
}
inputs = st.builds(
    lambda layout, *shape: LAYOUTS[layout](*shape),
    st.sampled_from(sorted(LAYOUTS)),
    st.integers(1, 3),
    st.integers(2, 9),
    st.integers(1, 6),
    st.integers(1, 6),
)
flags, reductions = st.booleans(), st.integers(1, 2)
odd = st.sampled_from([1, 3, 5, 7])


def pools(*names):
    return st.lists(st.sampled_from(names), min_size=1, unique=True).map(tuple)


def options(kind, required, optional=None):
    return st.builds(
        cases.Case, st.just(kind), st.fixed_dictionaries(required, optional=optional or {})
    )


both, layers = pools("avg", "max"), st.sampled_from(["conv", "linear"])
se = options("se", {"reduction": reductions}, {"bias": flags, "layer": layers})
fc_options = {"pools": both, "bias": flags, "layer": layers}
fc = options("fc", {"reduction": reductions}, fc_options)
eca = options("eca", {}, {"kernel_size": odd, "pools": both})
spatial_options = {"pools": pools("avg", "max", "conv"), "batch_norm": flags, "bias": flags}
spatial = options("spatial", {"kernel_size": odd}, spatial_options)
cbam = st.builds(
    cases.cbam,
    st.sampled_from(cases.ORDERS),
    channel_options=st.fixed_dictionaries({}, optional=fc_options),
    spatial_options=st.fixed_dictionaries({}, optional=spatial_options),
    kernel_size=odd,
)
singles = st.one_of(se, fc, eca, spatial)


@steady
@given(st.one_of(singles, cbam), inputs)
def test_shape_and_values(case, x):
    block, before = case.make(x.shape[1]), x.clone()
    refined, maps = block(x, return_map=True)
    assert refined.shape == x.shape and refined.dtype == x.dtype
    assert torch.equal(x, before)
    expected, expected_maps = case.expected(block, x.numpy())
    assert_allclose(refined.detach(), expected, rtol=1e-12, atol=1e-12)
    if case.kind != "cbam":
        maps, expected_maps = (maps,), (expected_maps,)
    for found, wanted in zip(maps, expected_maps, strict=True):
        assert (found is None) == (wanted is None)
        if found is not None:
            assert_allclose(found.detach(), wanted, rtol=1e-12, atol=1e-12)
            assert 0 < found.min() and found.max() < 1


@steady
@given(singles, inputs)
def test_refined_is_map_times_features(case, x):
    block = case.make(x.shape[1])
    refined, attention = block(x, return_map=True)
    places = (1, *x.shape[2:]) if case.kind == "spatial" else (x.shape[1], 1, 1)
    assert attention.shape == (x.shape[0], *places)
    assert torch.equal(refined, attention * x)
    assert torch.equal(attention, block.attention_map(x))


@steady
@given(st.one_of(singles, cbam), inputs)
def test_images_of_a_batch_do_not_meet(case, x):
    block = case.make(x.shape[1])
    alone = torch.cat([block(image[None]) for image in x])
    torch.testing.assert_close(block(x), alone, rtol=1e-12, atol=1e-12)


def shuffled(count):
    """A permutation that moves something, whenever there is something to move."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(3)).roll(1)


@steady
@given(st.one_of(se, fc, eca), inputs)
def test_channel_attention_does_not_see_the_arrangement_of_places(case, x):
    block = case.make(x.shape[1])
    moved = x.flatten(2)[:, :, shuffled(x[0, 0].numel())].reshape(x.shape)
    close(block.attention_map(moved), block.attention_map(x))


@steady
@given(spatial.filter(lambda case: "conv" not in case.options.get("pools", ())), inputs)
def test_spatial_attention_does_not_see_the_order_of_channels(case, x):
    block = case.make(x.shape[1])
    close(block.attention_map(x[:, shuffled(x.shape[1])]), block.attention_map(x))


@steady
@given(fc, inputs)
def test_shared_mlp_has_no_preferred_order_of_channels(case, x):
    """Renumber the channels, and the weights with them: the map is renumbered, no more."""
    block, order = case.make(x.shape[1]), shuffled(x.shape[1])
    expected = block.attention_map(x)[:, order]
    first, _, second = block.mlp
    first.weight.data = first.weight.data[:, order]
    second.weight.data = second.weight.data[order]
    if second.bias is not None:
        second.bias.data = second.bias.data[order]
    close(block.attention_map(x[:, order]), expected)


def test_eca_depends_on_the_order_of_channels():
    """Its kernel joins neighbors: exchange two channels, and the weights of others change."""
    block, x = ECA(8, 3).double(), cases.features(1, 8, 4, 4)
    block.conv.weight.data = torch.tensor([[[1.0, 2.0, -1.0]]], dtype=torch.float64)
    exchanged = block.attention_map(x[:, [7, 1, 2, 3, 4, 5, 6, 0]])[:, [7, 1, 2, 3, 4, 5, 6, 0]]
    changed = (exchanged - block.attention_map(x)).abs().flatten() > 1e-6
    assert changed.tolist() == [True, True, False, False, False, False, True, True]


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
