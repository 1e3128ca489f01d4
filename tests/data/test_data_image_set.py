"""The container of images: what it refuses, its statistics and its balanced groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbam_course.data import ImageSet


def make(count: int = 40, tests: int = 20, masks: bool = False, **changes) -> ImageSet:
    rng = np.random.default_rng(0)
    fields = {
        "name": "toy",
        "x_train": rng.integers(0, 256, (count, 32, 32, 3), np.uint8),
        "y_train": np.arange(count, dtype=np.uint8) % 4,
        "x_test": rng.integers(0, 256, (tests, 32, 32, 3), np.uint8),
        "y_test": np.arange(tests, dtype=np.uint8) % 4,
        "classes": ("a", "b", "c", "d"),
    }
    if masks:
        fields["masks_train"] = rng.integers(0, 2, (count, 32, 32)).astype(bool)
        fields["masks_test"] = rng.integers(0, 2, (tests, 32, 32)).astype(bool)
    return ImageSet(**(fields | changes))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"x_train": np.zeros((40, 3, 32, 9), np.uint8)}, r"x_train .*uint8 \[40, 3, 32, 9\]"),
        ({"x_train": np.zeros((40, 32, 32, 3), np.float32)}, "x_train .*got float32"),
        ({"y_train": np.zeros(39, np.uint8)}, "y_train must hold a class"),
        ({"y_test": np.full(20, 4, np.uint8)}, "y_test must hold a class"),
    ],
)
def test_bad_fields_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_repr_tells_the_counts():
    assert repr(make()) == "ImageSet('toy': 40 training and 20 test images, 4 classes)"
    assert "with object masks" in repr(make(masks=True))


@pytest.mark.parametrize("channels", [1, 6])
def test_statistics_are_those_of_all_training_pixels(channels):
    rng = np.random.default_rng(1)
    images = make(
        x_train=rng.integers(0, 256, (40, 32, 32, channels), np.uint8),
        x_test=rng.integers(0, 256, (20, 32, 32, channels), np.uint8),
    )
    pixels = images.x_train.astype(np.float64) / 255
    np.testing.assert_allclose(images.mean, pixels.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(images.std, pixels.std((0, 1, 2)), rtol=1e-9)


# Groups

SIZES = st.integers(0, 13)
LABELED = make(count=163)  # of class 3 there is one image less


@given(st.lists(SIZES, min_size=1, max_size=3), SIZES, st.integers(0, 3))
def test_groups_are_balanced_disjoint_and_steady(sizes, more, seed):
    groups = LABELED.draw("train", *sizes, seed=seed)
    for size, group in zip(sizes, groups, strict=True):
        counts = np.bincount(LABELED.y_train[group], minlength=4)
        assert len(group) == size and np.ptp(counts) <= 1 and (np.diff(group) > 0).all()
    together = np.concatenate(groups)
    assert len(set(together.tolist())) == len(together)
    # What comes behind a group never changes it, and a smaller group lies within a larger one.
    *before, rest = LABELED.draw("train", *sizes, None, seed=seed)
    assert all((one == other).all() for one, other in zip(groups, before, strict=True))
    assert sorted([*together, *rest]) == list(range(163))
    [larger] = LABELED.draw("train", sizes[0] + more, seed=seed)
    assert set(groups[0]) <= set(larger)


def test_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match=r"44 train images need 11 of class 0.* has 10 \(of 40"):
        make().draw("train", 44)
    with pytest.raises(ValueError, match=r"16 \+ 8 test images need 6 of class 0.* has 5 \(of 20"):
        make().draw("test", 16, 8)
