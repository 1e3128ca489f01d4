"""The noise-channel experiment."""

import numpy as np
import pytest
import torch

from cbam_course import seeing
from cbam_course.data import shapes
from cbam_course.models import CifarCNN


def test_noise_is_noise_and_the_rest_is_not():
    images = seeing.noisy_shapes(200, 100)
    plain = shapes(200, 100)
    assert np.array_equal(images.x_train[..., :3], plain.x_train)
    assert np.array_equal(images.x_test[..., :3], plain.x_test)
    assert np.array_equal(images.y_test, plain.y_test)
    noise = images.x_train[..., 3:]
    assert noise.shape == (200, 32, 32, 3)
    assert noise.min() == 0 and noise.max() == 255
    assert noise.mean() == pytest.approx(127.5, abs=1)
    pictures = noise.reshape(-1, 32 * 32 * 3).astype(float)
    off_diagonal = np.corrcoef(pictures)[~np.eye(200, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.12  # every image has its own
    assert not np.array_equal(noise[:100], images.x_test[..., 3:])
    again = seeing.noisy_shapes(200, 100)
    assert np.array_equal(again.x_train, images.x_train)
    assert not np.array_equal(seeing.noisy_shapes(200, 100, seed=1).x_train, images.x_train)


@pytest.mark.parametrize("channels", [0, 1, 3])
def test_statistics(channels):
    images = seeing.noisy_shapes(50, 10, noise_channels=channels)
    pixels = images.x_train.reshape(-1, 3 + channels) / 255
    assert images.mean == pytest.approx(tuple(pixels.mean(axis=0)))
    assert images.std == pytest.approx(tuple(pixels.std(axis=0)))
    if channels == 0:
        assert images.mean == pytest.approx(shapes(50, 10).mean)


def test_gate_stands_first():
    torch.manual_seed(0)
    model = seeing.FirstGate(CifarCNN(widths=(4, 4, 4), in_channels=6), 6).eval()
    x = torch.randn(2, 6, 32, 32)
    weights = seeing.read_maps(model, x)["first"]
    assert weights.shape == (2, 6, 1, 1)
    assert torch.allclose(model(x), model.network(x * weights), atol=1e-6)
    assert sum(p.numel() for p in model.first.parameters()) == 2 * (36 + 6)


def test_arms():
    seen = {}
    for arm in ("plain", "gated"):
        run = seeing.train_with_noise(arm, 3, epochs=1, images=20)
        seen[arm] = run.history
        assert run.history.config.seed == 3
    assert seen["gated"].model["class"] == "FirstGate"
    assert seen["plain"].data["sha256"] == seen["gated"].data["sha256"]
    assert "test_accuracy_attention_off" in seen["gated"].final
    with pytest.raises(ValueError, match="arm must be one of 'rgb', 'plain', 'gated'"):
        seeing.train_with_noise("none")
    with pytest.raises(ValueError, match="noise_channels"):
        seeing.noisy_shapes(10, 10, noise_channels=-1)
