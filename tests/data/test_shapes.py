"""The drawn shapes: reproducible bytes, true masks, balance, and a task for shapes, not colors."""

import hashlib

import numpy as np
import pytest

from cbam_course.data import SHAPES_CLASSES, shapes


@pytest.fixture(scope="module")
def drawn():
    return shapes()


def arrays(images):
    fields = ("x_train", "y_train", "masks_train", "x_test", "y_test", "masks_test")
    return [getattr(images, field) for field in fields]


def test_bytes_are_the_same_everywhere(drawn):
    # Exact on purpose: the drawing avoids every operation that machines round differently. Checked
    # with NumPy 1.26 and 2.4, with and without AVX2, AVX-512 and fused multiply-add.
    expected = "0146f422842f88702fd1f2d0e25b2357d0e710f698acc5485c63588771ff4584"
    digest = hashlib.sha256()
    for array in arrays(drawn):
        digest.update(np.ascontiguousarray(array).tobytes())
    assert digest.hexdigest() == expected


def test_arrays_are_what_they_should_be(drawn):
    assert drawn.classes == SHAPES_CLASSES and len(SHAPES_CLASSES) == 10
    assert drawn.x_train.shape == (4000, 32, 32, 3) and drawn.x_train.dtype == np.uint8
    assert drawn.masks_test.shape == (1000, 32, 32) and drawn.masks_test.dtype == np.bool_
    assert drawn.x_train.flags.c_contiguous
    assert len(shapes(train=0, test=3).x_train) == 0
    with pytest.raises(ValueError, match="negative"):
        shapes(train=-1)


def test_more_images_extend_the_set(drawn):
    part = shapes(train=333, test=7)
    for small, large in zip(arrays(part), arrays(drawn), strict=True):
        assert (small == large[: len(small)]).all()


def test_masks_lie_where_the_object_is(drawn):
    """Within its mask an image has one fill color; around it that color is rare."""
    x, masks = drawn.x_test.astype(np.float64) / 255, drawn.masks_test
    inside = (x * masks[..., None]).sum((1, 2)) / masks.sum((1, 2))[:, None]
    away = np.abs(x - inside[:, None, None]).mean(-1)

    def mean_over(chosen):
        return (away * chosen).sum((1, 2)) / chosen.sum((1, 2))

    within, without = mean_over(masks), mean_over(~masks)
    assert (within < without).mean() > 0.99 and np.median(without / within) > 3
    # The same masks moved five pixels aside fit visibly worse.
    assert (within < mean_over(np.roll(masks, 5, axis=2))).mean() > 0.99


def test_colors_tell_nothing_about_the_class(drawn):
    """Mean object colors differ between classes by no more than chance allows."""
    masks = drawn.masks_train[..., None]
    color = (drawn.x_train * masks).sum((1, 2)) / masks.sum((1, 2))
    means = np.array([color[drawn.y_train == label].mean(axis=0) for label in range(10)])
    standard_error = color.std(axis=0) / np.sqrt(400)  # of a mean over 400 images
    assert (np.abs(means - color.mean(axis=0)) < 4 * standard_error).all()
