"""The container of images: what it refuses, its statistics and its balanced subsets."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

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
        ({"x_train": np.zeros((40, 3, 32, 32), np.uint8)}, r"x_train .*uint8 \[40, 3, 32, 32\]"),
        ({"x_train": np.zeros((40, 32, 32, 3), np.float32)}, "x_train .*got float32"),
        ({"x_train": np.zeros((40, 32, 32, 4), np.uint8)}, r"x_test .*32, 4\], got uint8 \[20"),
        ({"x_train": np.zeros((40, 32, 32, 0), np.uint8)}, r"x_train .*32, 3\], got uint8"),
        ({"x_train": [[0]]}, "x_train must be a NumPy .*got a list"),
        ({"y_train": np.zeros(39, np.uint8)}, r"y_train .*\[40\], got uint8 \[39\]"),
        ({"y_train": np.zeros(40, np.int64)}, "y_train .*got int64"),
        ({"y_test": np.full(20, 4, np.uint8)}, "y_test holds the label 4.*only 4 classes"),
        ({"classes": ("a", "a", "b", "c")}, "different names"),
        ({"classes": ()}, "1 to 256"),
        ({"masks_train": np.zeros((40, 32, 32), bool)}, "together"),
    ],
)
def test_bad_fields_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_images_may_have_any_number_of_channels():
    rng = np.random.default_rng(1)
    arrays = {
        f"x_{split}": rng.integers(0, 256, (count, 32, 32, 6), np.uint8)
        for split, count in (("train", 40), ("test", 20))
    }
    images = make(**arrays)
    pixels = images.x_train.astype(np.float64) / 255
    np.testing.assert_allclose(images.mean, pixels.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(images.std, pixels.std((0, 1, 2)), rtol=1e-9)
    assert images.subset(8, 4).x_train.shape == (8, 32, 32, 6)


def test_bad_masks_are_refused():
    with pytest.raises(ValueError, match="masks_test .*bool.*got uint8"):
        make(masks=True, masks_test=np.zeros((20, 32, 32), np.uint8))


def test_fields_cannot_be_replaced():
    with pytest.raises(FrozenInstanceError):
        make().name = "other"


def test_statistics_are_those_of_all_training_pixels():
    images = make(count=37)
    pixels = images.x_train.astype(np.float64) / 255
    np.testing.assert_allclose(images.mean, pixels.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(images.std, pixels.std((0, 1, 2)), rtol=1e-9)


def test_statistics_of_one_flat_color():
    flat = np.broadcast_to(np.array([0, 51, 255], np.uint8), (40, 32, 32, 3))
    images = make(x_train=flat)
    assert images.mean == (0.0, 0.2, 1.0)
    assert images.std == (0.0, 0.0, 0.0)


def test_repr_tells_the_counts():
    assert repr(make()) == "ImageSet('toy': 40 training and 20 test images, 4 classes)"
    assert "with object masks" in repr(make(masks=True))


def test_subset_is_balanced_and_keeps_rows_together():
    images = make(masks=True)
    part = images.subset(train=10, test=8, seed=1)
    assert np.bincount(part.y_train).tolist() == [3, 3, 2, 2]
    assert np.bincount(part.y_test).tolist() == [2, 2, 2, 2]
    # Random pixels make every image unique: each must come with its own label and mask.
    for n in range(len(part.x_train)):
        origin = np.flatnonzero((images.x_train == part.x_train[n]).all((1, 2, 3)))
        assert len(origin) == 1
        assert part.y_train[n] == images.y_train[origin[0]]
        assert (part.masks_train[n] == images.masks_train[origin[0]]).all()


def test_subset_depends_on_the_seed_and_nests():
    images = make(count=400)
    chosen = {
        (count, seed): {image.tobytes() for image in images.subset(count, seed=seed).x_train}
        for count in (40, 80)
        for seed in (0, 1)
    }
    assert len(chosen[40, 0]) == 40
    assert chosen[40, 0] < chosen[80, 0]
    assert chosen[40, 0] != chosen[40, 1]
    again = {image.tobytes() for image in images.subset(40, seed=0).x_train}
    assert chosen[40, 0] == again


def test_subset_leaves_the_other_split_whole():
    images = make()
    part = images.subset(test=4)
    assert part.x_train is images.x_train
    assert len(part.x_test) == 4


def test_all_images_need_not_be_balanced():
    images = make(count=35)
    assert images.subset(train=35).x_train is images.x_train


@pytest.mark.parametrize("count", [-1, 2.0, True, "10", 44])
def test_subset_refuses_impossible_counts(count):
    with pytest.raises(ValueError, match="train"):
        make().subset(train=count)


def test_hold_out_divides_the_training_images():
    images = make(masks=True, count=40)
    divided = images.hold_out(10, seed=1)
    assert np.bincount(divided.y_test).tolist() == [3, 3, 2, 2]
    assert np.bincount(divided.y_train).tolist() == [7, 7, 8, 8]
    # Random pixels make every image unique.
    found = []
    for x, y, mask in [
        *zip(divided.x_train, divided.y_train, divided.masks_train, strict=True),
        *zip(divided.x_test, divided.y_test, divided.masks_test, strict=True),
    ]:
        [origin] = np.flatnonzero((images.x_train == x).all((1, 2, 3)))
        assert y == images.y_train[origin]
        assert (mask == images.masks_train[origin]).all()
        found.append(origin)
    assert sorted(found) == list(range(40))


def test_hold_out_leaves_what_a_subset_of_that_size_keeps():
    images = make(count=400)
    divided = images.hold_out(80)
    np.testing.assert_array_equal(divided.x_train, images.subset(train=320).x_train)
    assert not (images.hold_out(80, seed=1).x_train == divided.x_train).all()


@pytest.mark.parametrize("count", [-1, 0, 2.0, True, "10"])
def test_hold_out_refuses_what_is_no_count(count):
    with pytest.raises(ValueError, match="count must be a whole number of images >= 1"):
        make().hold_out(count)


def test_hold_out_refuses_impossible_counts():
    with pytest.raises(ValueError, match="of 40 training images at most 39 .* got count=40"):
        make().hold_out(40)
    uneven = make(y_train=np.array([0] * 37 + [1, 2, 3], np.uint8))
    with pytest.raises(
        ValueError, match="count=8 needs 2 images of class 1, .* has 1 .of 40 train"
    ):
        uneven.hold_out(8)
