"""The drawn shapes: reproducible bytes, true masks, balance, and a task for shapes, not colors."""

import hashlib

import numpy as np
import pytest

from cbam_course.data import SHAPES_CLASSES, shapes
from cbam_course.data.outlines import OUTLINES


@pytest.fixture(scope="module")
def drawn():
    return shapes(train=2000, test=500, seed=0)


def digest(*arrays: np.ndarray) -> str:
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def test_arrays_are_what_they_should_be(drawn):
    assert drawn.name == "shapes"
    assert drawn.classes == SHAPES_CLASSES
    assert len(SHAPES_CLASSES) == 10
    assert drawn.x_train.shape == (2000, 32, 32, 3) and drawn.x_train.dtype == np.uint8
    assert drawn.masks_test.shape == (500, 32, 32) and drawn.masks_test.dtype == np.bool_
    assert drawn.x_train.flags.c_contiguous


def test_bytes_are_the_same_everywhere():
    # Exact on purpose: the drawing avoids every operation that machines round differently. Checked
    # with NumPy 1.26 and 2.4, with and without AVX2, AVX-512 and fused multiply-add.
    part = shapes(train=20, test=0, seed=0)
    assert digest(part.x_train, part.y_train, part.masks_train) == (
        "38a9425a64c68cfe5c5f85b6827a92084250aa8bd70ca6d6ed4b1f91c9108237"
    )


def test_more_images_extend_the_set(drawn):
    part = shapes(train=333, test=7, seed=0)
    for field in ("x_train", "y_train", "masks_train", "x_test", "y_test", "masks_test"):
        small, large = getattr(part, field), getattr(drawn, field)
        assert (small == large[: len(small)]).all(), field


def test_seeds_and_splits_share_no_image(drawn):
    other = shapes(train=500, test=0, seed=1)
    seen = [image.tobytes() for x in (drawn.x_train, drawn.x_test, other.x_train) for image in x]
    assert len(set(seen)) == 3000
    assert (drawn.y_train[:500] != drawn.y_test).any()


@pytest.mark.parametrize("count", [10, 500])
def test_every_run_of_ten_holds_every_class(count):
    labels = shapes(train=count, test=0, seed=2).y_train
    assert (np.sort(labels.reshape(-1, 10), axis=1) == np.arange(10)).all()


def test_masks_have_sensible_areas(drawn):
    area = drawn.masks_train.sum((1, 2))
    assert area.min() >= 10, "some object is almost hidden"
    assert area.max() <= 260
    for label in range(10):
        assert 50 < area[drawn.y_train == label].mean() < 150


def test_masks_lie_where_the_object_is(drawn):
    """Within its mask an image has one fill color; around it that color is rare."""
    x, masks = drawn.x_train.astype(np.float64) / 255, drawn.masks_train
    inside = (x * masks[..., None]).sum((1, 2)) / masks.sum((1, 2))[:, None]
    away = np.abs(x - inside[:, None, None]).mean(-1)
    within = (away * masks).sum((1, 2)) / masks.sum((1, 2))
    without = (away * ~masks).sum((1, 2)) / (~masks).sum((1, 2))
    assert (within < without).mean() > 0.99
    assert np.median(without / within) > 3
    # The same masks moved five pixels aside fit visibly worse.
    moved = np.roll(masks, 5, axis=2)
    shifted = (away * moved).sum((1, 2)) / moved.sum((1, 2))
    assert (within < shifted).mean() > 0.99


def test_masks_leave_out_what_covers_the_object(drawn):
    """Hardly a pixel within a mask has a color far from the object's: lines across it are out."""
    strange = [
        (np.abs(image[mask] - np.median(image[mask], axis=0)).max(1) > 110).mean()
        for image, mask in zip(drawn.x_test.astype(np.float64), drawn.masks_test, strict=True)
    ]
    assert np.mean(strange) < 0.002


def test_masks_tell_ring_from_disc(drawn):
    """The middle of a disc's bounding box is filled, that of a ring is not."""
    filled = {}
    for name in ("disc", "ring"):
        centers = []
        for mask in drawn.masks_train[drawn.y_train == SHAPES_CLASSES.index(name)]:
            rows, columns = np.nonzero(mask)
            middle = mask[(rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2]
            centers.append(middle)
        filled[name] = np.mean(centers)
    assert filled["disc"] > 0.8
    assert filled["ring"] < 0.2


def test_outlines_fit_the_unit_circle():
    grid = np.linspace(-1.5, 1.5, 301, dtype=np.float32)
    x, y = np.meshgrid(grid, grid)
    for name, outline in OUTLINES.items():
        inside = outline(x, y) < 0
        assert 0.3 < inside.mean() * 9 / np.pi < 0.8, name
        assert np.sqrt(x * x + y * y)[inside].max() <= 1.01, name


def test_a_linear_classifier_is_little_better_than_chance(drawn):
    def flat(images):
        return images.reshape(len(images), -1).astype(np.float64) / 255 - 0.5

    train, targets = flat(drawn.x_train), np.eye(10)[drawn.y_train] - 0.1
    # Ridge regression in its dual form: as many unknowns as images, not pixels.
    dual = np.linalg.solve(train @ train.T + 100 * np.eye(len(train)), targets)
    guesses = (flat(drawn.x_test) @ train.T @ dual).argmax(1)
    assert (guesses == drawn.y_test).mean() < 0.25


def test_colors_tell_nothing_about_the_class(drawn):
    """Mean object colors differ between classes by no more than chance allows."""
    masks = drawn.masks_train[..., None]
    color = (drawn.x_train * masks).sum((1, 2)) / masks.sum((1, 2))
    for channel in range(3):
        values = color[:, channel]
        spread = values.std() / np.sqrt(200)  # standard error of a mean over 200 images
        means = [values[drawn.y_train == label].mean() for label in range(10)]
        assert np.abs(np.array(means) - values.mean()).max() < 4 * spread


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"train": -1}, "train .*-1"),
        ({"test": 2.5}, "test .*2.5"),
        ({"train": True}, "train .*True"),
        ({"seed": -1}, r"seed .*0 to 4294967295"),
        ({"seed": 2**32}, "seed"),
        ({"seed": None}, "seed"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        shapes(**arguments)


def test_an_empty_split_is_fine():
    assert len(shapes(train=0, test=3).x_train) == 0
