"""The noise-channel experiment."""

import hashlib

import numpy as np
import pytest
import torch

from cbam_course import seeing
from cbam_course.data import shapes, with_noise
from cbam_course.models import CifarCNN
from cbam_course.seeing.noise import FirstGate


def test_noise_is_noise_and_the_rest_is_not():
    plain = shapes(200, 100)
    images = with_noise(plain)
    assert np.array_equal(images.x_train[..., :3], plain.x_train)
    assert np.array_equal(images.x_test[..., :3], plain.x_test)
    assert np.array_equal(images.y_test, plain.y_test)
    noise = images.x_train[..., 3:]
    assert noise.min() == 0 and noise.max() == 255
    off_diagonal = np.corrcoef(noise.reshape(200, -1).astype(float))[~np.eye(200, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.12  # every image has its own
    pixels = images.x_train.reshape(-1, 6) / 255
    assert images.mean == pytest.approx(tuple(pixels.mean(axis=0)))
    assert images.std == pytest.approx(tuple(pixels.std(axis=0)))
    # The same bytes everywhere, as those of the shapes.
    digest = hashlib.sha256(images.x_train.tobytes() + images.x_test.tobytes()).hexdigest()
    assert digest == "ce018add2626bbb356e8d1244b5be481bcf78adac57405ff78571e391a277fe3"


def test_gate_stands_first():
    torch.manual_seed(0)
    model = FirstGate(CifarCNN(widths=(4, 4, 4), in_channels=6), 6).eval()
    x = torch.randn(2, 6, 32, 32)
    weights = seeing.read_maps(model, x)["first"]
    assert weights.shape == (2, 6, 1, 1)
    assert torch.allclose(model(x), model.network(x * weights), atol=1e-6)
    assert sum(p.numel() for p in model.first.parameters()) == 2 * (36 + 6)


def test_arms():
    seen = {
        arm: seeing.train_with_noise(arm, 3, epochs=1, images=20).history
        for arm in seeing.NOISE_ARMS
    }
    assert seen["gated"].model["class"] == "FirstGate"
    assert (
        seen["plain"].data["sha256"] == seen["gated"].data["sha256"] != seen["rgb"].data["sha256"]
    )
    assert "test_accuracy_attention_off" in seen["gated"].final
    with pytest.raises(ValueError, match="arm must be one of 'rgb', 'plain', 'gated'"):
        seeing.train_with_noise("none")
