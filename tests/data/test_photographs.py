"""The photographs and their hand-made feature channels."""

import pytest
import torch

from cbam_course.data import filter_bank, photographs

NAMES = (
    "red over green", "green over red", "blue over yellow", "yellow over blue",
    "brightness", "vertical edges", "horizontal edges", "fine detail",
)  # fmt: skip


def channel(image: torch.Tensor, name: str, size: int = 32) -> torch.Tensor:
    bank = filter_bank(image, size)
    return bank.maps[0, bank.names.index(name)]


def test_photographs():
    images = photographs()
    assert {name: tuple(image.shape) for name, image in images.items()} == {
        "flower": (3, 427, 640),
        "temple": (3, 427, 640),
        "portrait": (3, 600, 512),
    }
    assert all(i.dtype == torch.uint8 and i.is_contiguous() for i in images.values())
    images["flower"].zero_()
    assert photographs()["flower"].any()  # the next call gives a fresh one


# Means of the channels, as the chapters print and draw them.
MEANS = {
    "flower": (0.161969, 0.153868, 0.064901, 0.204637, 0.280909, 0.144792, 0.156032, 0.107565),
    "temple": (0.045043, 0.038000, 0.047797, 0.073347, 0.564979, 0.114675, 0.188163, 0.117905),
    "portrait": (0.114569, 0.040237, 0.126378, 0.094707, 0.331041, 0.235536, 0.246844, 0.185098),
}


def test_the_banks_of_the_photographs():
    for name, image in photographs().items():
        bank = filter_bank(image)
        assert bank.names == NAMES
        assert bank.maps.shape == (1, 8, 64, 64) and bank.maps.dtype == torch.float32
        assert bank.maps.min() == 0 and bank.maps.max() <= 1
        torch.testing.assert_close(
            bank.maps.mean((2, 3))[0], torch.tensor(MEANS[name]), atol=2e-5, rtol=0
        )
        torch.testing.assert_close(bank.maps, filter_bank(image.double() / 255).maps)


@pytest.mark.parametrize(
    "color, expected",
    [
        ((0.8, 0.2, 0.5), {"red over green": 0.9}),
        ((0.2, 0.6, 0.4), {"green over red": 0.6}),
        ((0.2, 0.2, 0.6), {"blue over yellow": 0.6}),
        ((0.6, 0.6, 0.2), {"yellow over blue": 0.6}),
        ((1.0, 0.0, 0.5), {"red over green": 1.0}),
    ],
)
def test_plain_colors(color, expected):
    image = torch.tensor(color)[:, None, None].expand(3, 40, 40)
    maps = filter_bank(image, size=8).maps[0]
    expected = expected | {"brightness": sum(color) / 3}
    for name, values in zip(NAMES, maps, strict=True):
        torch.testing.assert_close(values, torch.full((8, 8), expected.get(name, 0.0)))


def test_edges_a_point_and_the_central_square():
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
    point = torch.zeros(3, 32, 32)
    point[:, 10, 20] = 0.1
    detail = channel(point, "fine detail")
    assert detail[10, 20].item() == pytest.approx(0.6) and (detail > 0).sum() == 5
    wide = torch.zeros(3, 32, 96)
    wide[:, :, 32:64] = 1
    for image in (wide, wide.mT):  # of which the central square is taken
        assert (channel(image, "brightness") == 1).all()


@pytest.mark.parametrize(
    "image, message",
    [
        (torch.zeros(2, 32, 32), "not enough values to unpack"),
        (torch.full((3, 32, 32), 200.0), "0 to 1, got 200 to 200"),
        (torch.full((3, 32, 32), torch.nan), "nan"),
    ],
)
def test_bad_images_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        filter_bank(image)
