"""The noise-channel experiment."""

import hashlib

import numpy as np

from cbam_course.data import shapes, with_noise
from tests.tools import train_noise


def test_noise_is_noise_and_the_rest_is_not():
    plain = shapes(200, 100)
    images = with_noise(plain)
    assert np.array_equal(images.x_train[..., :3], plain.x_train)
    assert np.array_equal(images.x_test[..., :3], plain.x_test)
    noise = images.x_train[..., 3:].reshape(200, -1).astype(float)
    off_diagonal = np.corrcoef(noise)[~np.eye(200, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.12  # every image has its own
    # The same bytes everywhere, as those of the shapes.
    digest = hashlib.sha256(images.x_train.tobytes() + images.x_test.tobytes()).hexdigest()
    assert digest == "ce018add2626bbb356e8d1244b5be481bcf78adac57405ff78571e391a277fe3"


def test_a_run_behind_a_gate():
    history = train_noise.run("gated", 3, epochs=1, images=20).history
    assert history.model["class"] == "FirstGate" and "test_accuracy_attention_off" in history.final
