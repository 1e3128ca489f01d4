"""Pointing, energy, what classes explain, and the figures."""

import numpy as np
import pytest
import torch

from cbam_course import seeing
from cbam_course.data import shapes
from cbam_course.records.statistics import Interval

MASKS = torch.zeros(2, 4, 4, dtype=torch.bool)
MASKS[0, :2, 2:] = True  # top right
MASKS[1, 3, 0] = True  # bottom left


def test_ties_are_shared():
    """A map without contrast points everywhere: as often as a random position it hits."""
    flat = torch.full((2, 4, 4), 0.3)
    assert torch.allclose(seeing.pointing_hits(flat, MASKS), MASKS.float().mean(dim=(1, 2)))
    assert torch.allclose(seeing.energy_inside(flat, MASKS), MASKS.float().mean(dim=(1, 2)))
    assert torch.allclose(seeing.energy_inside(0 * flat, MASKS), MASKS.float().mean(dim=(1, 2)))


def test_hits_by_hand():
    maps = torch.zeros(2, 4, 4)
    maps[0, 1, 3] = maps[1, 0, 3] = 1
    assert seeing.pointing_hits(maps, MASKS).tolist() == [1, 0]
    assert seeing.pointing_hits(maps[:, None], MASKS).tolist() == [1, 0]
    coarse = torch.zeros(1, 1, 8, 8)
    coarse[0, 0, 2, 5] = 1  # covers rows 8 to 11, columns 20 to 23
    mask = torch.zeros(1, 32, 32, dtype=torch.bool)
    mask[0, 8:12, 20:24] = True
    assert seeing.pointing_hits(coarse, mask).tolist() == [1]
    assert seeing.pointing_hits(coarse, ~mask).tolist() == [0]


@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        (torch.ones(1, 4, 4), MASKS, "N as of masks"),
        (torch.full((2, 4, 4), torch.nan), MASKS, "nan"),
        (torch.ones(2, 3, 4, 4), MASKS, r"\[N, 1, h, w\]"),
        (-torch.ones(2, 4, 4), MASKS, "negative"),
    ],
)
def test_maps_that_cannot_point_are_refused(maps, masks, message):
    with pytest.raises(ValueError, match=message):
        seeing.energy_inside(maps, masks)


def test_share_of_nothing_and_all():
    labels = torch.arange(1000) % 10
    noise = torch.rand(1000, 50, 1, 1, generator=torch.Generator().manual_seed(0))
    assert seeing.share_between_classes(noise, labels) == pytest.approx(9 / 999, rel=0.15)
    assert seeing.share_between_classes(labels[:, None].float(), labels) == pytest.approx(1)
    with pytest.raises(ValueError, match="same for all"):
        seeing.share_between_classes(torch.ones(1000, 2), labels)


def test_image_tensors_are_the_trainers():
    images = shapes(train=100, test=20)
    x, y = seeing.image_tensors(images, 10)
    by_hand = (images.x_test[:10] / 255 - images.mean) / images.std
    assert torch.allclose(x, torch.tensor(by_hand).permute(0, 3, 1, 2).float(), atol=1e-5)
    assert y.tolist() == images.y_test[:10].tolist()


def test_figures():
    values = {"one": [0.1, 0.2], "two": Interval(0.3, 0.2, 0.4), "three": [0.5]}
    figure = seeing.show_estimates({"a": values, "b": {"one": [0.3]}}, xlabel="x", reference=0)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["one", "two", "three"]
    rows = {"image": [np.zeros((4, 4, 3), np.uint8)] * 2, "map": [np.eye(4), np.eye(2)]}
    figure = seeing.show_gallery(rows, ["a", "b"])
    assert figure.axes[2].get_ylabel() == "map\n0.00 to 1.00"
    figure = seeing.show_weights_by_class({"block": np.eye(3)}, ["a", "b", "c"])
    assert len(figure.axes) == 2
    with pytest.raises(ValueError, match="zip"):
        seeing.show_gallery({"image": [np.eye(2)] * 2, "map": [np.eye(2)]})
