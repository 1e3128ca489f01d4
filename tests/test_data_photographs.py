"""The photographs and their hand-made feature channels."""

import pytest
import torch

from cbam_course.data import filter_bank, photographs

NAMES = (
    "red over green", "green over red", "blue over yellow", "yellow over blue",
    "brightness", "vertical edges", "horizontal edges", "fine detail",
)  # fmt: skip


@pytest.fixture(scope="module")
def pictures():
    return photographs()


def channel(image: torch.Tensor, name: str, size: int = 32) -> torch.Tensor:
    bank = filter_bank(image, size)
    return bank.maps[0, bank.names.index(name)]


def plain(red: float, green: float, blue: float) -> torch.Tensor:
    return torch.tensor([red, green, blue])[:, None, None].expand(3, 40, 40)


def test_photographs(pictures):
    shapes = {name: tuple(picture.shape) for name, picture in pictures.items()}
    assert shapes == {
        "flower": (3, 427, 640),
        "temple": (3, 427, 640),
        "portrait": (3, 600, 512),
    }
    for picture in pictures.values():
        assert picture.dtype == torch.uint8
        assert picture.is_contiguous()
        assert picture.float().std() > 40


def test_photographs_can_be_changed_without_harm(pictures):
    first = photographs()["flower"]
    first.zero_()
    assert photographs()["flower"].any()


def test_bank_of_every_photograph(pictures):
    for picture in pictures.values():
        bank = filter_bank(picture)
        assert bank.names == NAMES
        assert bank.maps.shape == (1, 8, 64, 64)
        assert bank.maps.dtype == torch.float32
        assert bank.maps.min() == 0
        assert bank.maps.max() <= 1
        # One range: no channel drowns the others by its scale alone.
        assert (bank.maps.amax((2, 3)) > 0.15).all()


def test_flower_separates_what_from_where(pictures):
    """The flower's colors fill the middle of the picture, the leaves' color its corners."""
    maps = dict(zip(NAMES, filter_bank(pictures["flower"]).maps[0], strict=True))
    middle, corner = (slice(26, 38), slice(26, 38)), (slice(0, 8), slice(0, 8))
    assert maps["red over green"][middle].mean() > 10 * maps["red over green"][corner].mean()
    assert maps["green over red"][middle].mean() < 0.01 < maps["green over red"][corner].mean()
    for name in ("vertical edges", "horizontal edges", "fine detail"):
        assert maps[name][middle].mean() > 2 * maps[name][corner].mean()


@pytest.mark.parametrize(
    "color, expected",
    [
        ((0.8, 0.2, 0.5), {"red over green": 0.9}),
        ((0.2, 0.6, 0.4), {"green over red": 0.6}),
        ((0.2, 0.2, 0.6), {"blue over yellow": 0.6}),
        ((0.6, 0.6, 0.2), {"yellow over blue": 0.6}),
        ((1.0, 0.0, 0.5), {"red over green": 1.0}),
        ((0.5, 0.5, 0.5), {}),
    ],
)
def test_plain_colors(color, expected):
    maps = filter_bank(plain(*color), size=8).maps[0]
    expected = expected | {"brightness": sum(color) / 3}
    for name, values in zip(NAMES, maps, strict=True):
        torch.testing.assert_close(values, torch.full((8, 8), expected.get(name, 0.0)))


def test_edges_have_directions():
    step = torch.zeros(3, 32, 32)
    step[:, :, 16:] = 0.25
    for image, own, other in (
        (step, "vertical edges", "horizontal edges"),
        (step.mT, "horizontal edges", "vertical edges"),
    ):
        found = channel(image, own)
        assert found.max().item() == pytest.approx(0.75)
        assert (found > 0).sum() == 64  # the two lines of pixels beside the step, nothing else
        assert channel(image, other).max() == 0


def test_fine_detail_sees_a_single_pixel():
    image = torch.zeros(3, 32, 32)
    image[:, 10, 20] = 0.1
    detail = channel(image, "fine detail")
    assert detail[10, 20].item() == pytest.approx(0.6)
    assert (detail > 0).sum() == 5


def test_central_square_is_taken():
    wide = torch.zeros(3, 32, 96)
    wide[:, :, 32:64] = 1
    assert (channel(wide, "brightness") == 1).all()
    assert (channel(wide.mT, "brightness") == 1).all()


def test_bytes_and_floats_agree(pictures):
    image = pictures["temple"]
    from_bytes, from_floats = filter_bank(image), filter_bank(image.double() / 255)
    torch.testing.assert_close(from_bytes.maps, from_floats.maps)


@pytest.mark.parametrize(
    "image, message",
    [
        (torch.zeros(1, 32, 32), r"\[3, H, W\], got \[1, 32, 32\]"),
        (torch.zeros(2, 3, 32, 32), r"got \[2, 3, 32, 32\]"),
        (torch.zeros(3, 0, 32), r"got \[3, 0, 32\]"),
        (torch.zeros(3, 32, 32, dtype=torch.int64), "int64"),
        (torch.full((3, 32, 32), 200.0), "0 to 1, got 200 to 200"),
        (torch.full((3, 32, 32), torch.nan), "nan"),
        ("flower", "got a str"),
    ],
)
def test_bad_images_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        filter_bank(image)


@pytest.mark.parametrize("size", [3, 0, 64.0, True, None])
def test_bad_sizes_are_refused(size):
    with pytest.raises(ValueError, match="size"):
        filter_bank(torch.zeros(3, 32, 32), size=size)
