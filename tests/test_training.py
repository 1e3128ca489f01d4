"""Training: the loop, its chance and its record; stopped and continued runs."""

import json
import os
import subprocess
import sys
import warnings
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Adam

from cbam_course import data, training
from cbam_course.files import write_whole
from cbam_course.training import DeviceImages, History, TrainConfig, read_checkpoint, train
from cbam_course.training.device import memory_format
from cbam_course.training.images import PADDING
from cbam_course.training.learner import Learner
from cbam_course.training.loop import seed_epoch, train_epoch

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = TrainConfig(
    attention="cbam-fc",
    attention_options={"reduction": 4},
    widths=(4, 8),
    epochs=3,
    batch_size=16,
    learning_rate=0.01,
    device="cpu",
)


FIXED = [name for name in training.config.SCHEDULES if name != "plateau"]
"""The schedules that do not look at the test images."""


@pytest.fixture(scope="module")
def images():
    # 40 is not a multiple of 16: the last batch of an epoch is a smaller one.
    return data.shapes(train=40, test=20)


def weights(run):
    return run.model.state_dict()


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def metrics(history):
    """What must be the same whenever and wherever a run is repeated: all but the seconds."""
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]
    return rows, history.iteration_loss


def files(folder):
    """The names and contents of a run's files; the lock is none of them."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}


def train_quietly(config, images=None, **options):
    return train(config, images, progress=False, **options)


# The loop


def test_learns_a_tiny_batch_by_heart(images):
    config = replace(
        TINY, widths=(8, 16), epochs=40, batch_size=20, learning_rate=0.03, dropout=0.0,
        train_size=20, crop=False, flip=False, schedule="constant", weight_decay=0.0,
    )  # fmt: skip
    run = train_quietly(config, images)
    assert run.history.last["train_loss"] < 0.1 < 1 < run.history.epochs[0]["train_loss"]
    assert run.history.last["train_accuracy"] == 1


def test_same_seed_same_bits(images):
    one, other = train_quietly(TINY, images), train_quietly(TINY, images)
    assert_same_weights(weights(one), weights(other))
    assert metrics(one.history) == metrics(other.history)


def test_another_seed_another_run(images):
    one = train_quietly(TINY, images)
    other = train_quietly(replace(TINY, seed=1), images)
    assert one.history.iteration_loss != other.history.iteration_loss


def test_state_of_the_caller_does_not_matter(images):
    torch.manual_seed(1)
    one = train_quietly(TINY, images)
    torch.manual_seed(2)
    assert_same_weights(weights(one), weights(train_quietly(TINY, images)))


def test_the_test_images_never_influence_training(images):
    shuffled = replace(
        images, x_test=255 - images.x_test, y_test=np.roll(images.y_test, 1), masks_test=None,
        masks_train=None,
    )  # fmt: skip
    for schedule in FIXED:
        config = replace(TINY, schedule=schedule, epochs=2)
        one, other = train_quietly(config, images), train_quietly(config, shuffled)
        assert_same_weights(weights(one), weights(other))
        assert one.history.iteration_loss == other.history.iteration_loss
        assert one.history.last["test_loss"] != other.history.last["test_loss"]


def test_equals_a_loop_written_out(images):
    """The whole run again, image by image and with PyTorch's plainest tools."""
    config = replace(TINY, epochs=2, schedule="onecycle")
    run = train_quietly(config, images)

    seed_epoch(config.seed, 0)
    model = config.build_model(10)
    optimizer = Adam(model.parameters(), lr=0.01, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.01, total_steps=6, cycle_momentum=False
    )
    losses = []
    for epoch in (1, 2):
        generator = seed_epoch(config.seed, epoch)
        order = torch.randperm(40, generator=generator)
        corners = torch.randint(9, (40, 2), generator=generator)
        mirrored = torch.rand(40, generator=generator) < 0.5
        model.train()
        for start in (0, 16, 32):
            batch = [
                slow_cut(images.x_train[order[i]], *corners[i].tolist(), bool(mirrored[i]))
                for i in range(start, min(start + 16, 40))
            ]
            x = (torch.from_numpy(np.stack(batch)) / 255 - torch.tensor(images.mean)) / (
                torch.tensor(images.std)
            )
            y = torch.from_numpy(images.y_train[order[start : start + 16]]).long()
            loss = nn.functional.cross_entropy(model(x.float().permute(0, 3, 1, 2)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    assert run.history.iteration_loss == pytest.approx(losses, rel=1e-3)
    row = run.history.epochs[0]
    assert row["train_loss"] == pytest.approx(
        (16 * losses[0] + 16 * losses[1] + 8 * losses[2]) / 40
    )


def test_evaluate_is_exact_whatever_the_batches(images):
    run = train_quietly(replace(TINY, epochs=1), images)
    testing = DeviceImages(images.x_test, images.y_test, images.mean, images.std)
    ((x, y),) = testing.batches(20)
    with torch.no_grad():
        logits = run.model(x)
    expected = nn.functional.cross_entropy(logits, y).item()
    accuracy = (logits.argmax(1) == y).float().mean().item()
    for size in (1, 7, 20, 100):
        result = training.evaluate(run.model, testing, batch_size=size)
        assert result == pytest.approx((expected, accuracy), rel=1e-5)
    assert not run.model.training
    assert run.history.last["test_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_network_of_ones_own(images):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                          nn.Linear(4, 10))  # fmt: skip
    run = train_quietly(TINY, images, model=model)
    assert run.model is model
    # Nothing is said of the network that TINY names: it was not trained.
    assert run.history.config == TrainConfig(
        model="custom", epochs=3, batch_size=16, learning_rate=0.01, device="cpu"
    )
    assert run.history.model == {"class": "Sequential", "parameters": 4 * 27 + 4 + 50}
    assert repr(run).startswith("Run(Sequential, History(3 of 3 epochs, test accuracy ")


def test_what_is_said_of_a_network_of_ones_own_is_kept(images):
    config = TrainConfig(model="custom", attention="eca", widths=(7,), epochs=1, device="cpu")
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    run = train_quietly(config, images, model=model)
    assert run.history.config == config
    assert "test_accuracy_attention_off" not in run.history.final


def test_images_of_ones_own(images):
    run = train_quietly(TINY, replace(images, name="mine"))
    assert run.history.config.dataset == "custom"
    assert run.history.data["name"] == "mine"


def test_default_data_and_subsets():
    config = replace(TINY, train_size=30, test_size=10)
    loaded = training.load_data(config)
    assert (loaded.name, len(loaded.x_train), len(loaded.x_test)) == ("shapes", 30, 10)
    run = train_quietly(replace(config, epochs=1, train_size=20), loaded)
    assert (run.history.data["train"], run.history.data["test"]) == (20, 10)


def test_no_longer_a_number(images):
    config = replace(TINY, learning_rate=1e30, schedule="constant")
    with pytest.raises(FloatingPointError, match=r"epoch \d; try a learning rate below 1e\+30"):
        train_quietly(config, images)


def test_a_test_loss_that_is_no_longer_a_number(images, tmp_path):
    class FailsInTests(nn.Sequential):
        def forward(self, x):
            return super().forward(x) * (1 if self.training else float("nan"))

    model = FailsInTests(nn.Flatten(), nn.Linear(3072, 10))
    with pytest.raises(FloatingPointError, match=r"test loss .* in epoch 1; try a learning rate"):
        train_quietly(TINY, images, model=model, folder=tmp_path)
    assert files(tmp_path) == {}


def test_float32_on_the_cpu_and_bfloat16_on_demand(images):
    run = train_quietly(replace(TINY, epochs=1), images)
    assert run.history.sessions[0]["precision"] == "float32"
    run = train_quietly(replace(TINY, epochs=1, precision="bfloat16"), images)
    assert run.history.sessions[0]["precision"] == "bfloat16"
    assert all(p.dtype == torch.float32 for p in run.model.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("precision", ["auto", "float16", "bfloat16", "float32"])
def test_learns_on_a_gpu(images, precision, tmp_path):
    config = replace(
        TINY, widths=(16, 32), epochs=30, batch_size=20, dropout=0.0, train_size=20, crop=False,
        flip=False, schedule="constant", device="cuda", precision=precision,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = train_quietly(config, images, folder=tmp_path)
    assert run.history.last["train_accuracy"] > 0.9
    assert training.load_run(tmp_path)[1].last == run.history.last


# Chance in the images


def slow_cut(image, top, left, mirrored):
    """Pad one image with black, cut a window, mirror it: one image at a time."""
    height, width, channels = image.shape
    padded = np.zeros((height + 2 * PADDING, width + 2 * PADDING, channels), np.uint8)
    padded[PADDING : PADDING + height, PADDING : PADDING + width] = image
    window = padded[top : top + height, left : left + width]
    return window[:, ::-1].copy() if mirrored else window


def test_cut_against_one_image_at_a_time():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, 6, 9, 3), dtype=np.uint8)
    pictures = DeviceImages(x, np.zeros(30), (0, 0, 0), (1, 1, 1))
    chosen = torch.from_numpy(rng.permutation(30))
    corners = torch.from_numpy(rng.integers(0, 9, (30, 2)))
    corners[:4] = torch.tensor([[0, 0], [0, 8], [8, 0], [8, 8]])
    mirrored = torch.from_numpy(rng.random(30) < 0.5)
    result = pictures.cut(chosen, corners, mirrored).numpy()
    for i in range(30):
        expected = slow_cut(x[chosen[i]], *corners[i].tolist(), bool(mirrored[i]))
        np.testing.assert_array_equal(result[i], expected)


def test_shuffled_batches_show_every_image_once(images):
    pictures = DeviceImages(images.x_train, np.arange(40), images.mean, images.std)
    batches = list(
        pictures.shuffled_batches(16, torch.Generator().manual_seed(0), crop=False, flip=False)
    )
    assert [len(y) for _, y in batches] == [16, 16, 8]
    labels = torch.cat([y for _, y in batches])
    assert sorted(labels.tolist()) == list(range(40)) != labels.tolist()
    shown = torch.cat([x for x, _ in batches])
    ((untouched, _),) = pictures.batches(40)
    assert torch.equal(shown, untouched[labels])


def test_crops_and_flips_differ_from_image_to_image():
    """One image 2,000 times: all 81 shifts come up in both directions, about equally often."""
    x = np.random.default_rng(0).integers(1, 256, (1, 8, 8, 3), dtype=np.uint8).repeat(2000, 0)
    pictures = DeviceImages(x, np.zeros(2000), (0, 0, 0), (1, 1, 1))
    ((shown, _),) = pictures.shuffled_batches(2000, torch.Generator().manual_seed(0))
    unique, counts = torch.unique((shown * 255).round(), dim=0, return_counts=True)
    assert len(unique) == 81 * 2
    assert counts.max() < 35

    def kinds(**options):
        generator = torch.Generator().manual_seed(0)
        ((shown, _),) = pictures.shuffled_batches(2000, generator, **options)
        return len(torch.unique((shown * 255).round(), dim=0))

    assert kinds(flip=False) == 81
    assert kinds(crop=False) == 2
    assert kinds(crop=False, flip=False) == 1


def test_normalized_with_the_true_mean_and_deviation(images):
    pictures = DeviceImages(images.x_train, images.y_train, images.mean, images.std)
    ((x, _),) = pictures.batches(40)
    assert x.shape == (40, 3, 32, 32)
    assert x.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(x.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(dim=(0, 2, 3), correction=0), torch.ones(3))


def test_channels_are_last_but_on_apples_gpu(images, monkeypatch):
    assert memory_format(torch.device("cpu")) == torch.channels_last
    assert memory_format(torch.device("cuda")) == torch.channels_last
    assert memory_format(torch.device("mps")) == torch.contiguous_format
    pictures = DeviceImages(images.x_train, images.y_train, images.mean, images.std)
    monkeypatch.setattr(training.images, "memory_format", lambda device: torch.contiguous_format)
    ((x, _),) = pictures.batches(40)
    assert x.is_contiguous()


def test_the_callers_default_device_does_not_matter(images):
    pictures = DeviceImages(images.x_train, images.y_train, images.mean, images.std)
    expected = list(pictures.shuffled_batches(16, seed_epoch(0, 1)))
    with torch.device("meta"):
        batches = list(pictures.shuffled_batches(16, seed_epoch(0, 1)))
    torch.testing.assert_close(batches, expected, rtol=0, atol=0)


def test_a_constant_channel_is_refused(images):
    x = images.x_train.copy()
    x[..., 1] = 7
    with pytest.raises(ValueError, match="a color channel is constant: its standard deviation is"):
        train_quietly(TINY, replace(images, x_train=x))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((2, 4, 4, 3)), [0, 0], r"uint8 array \[N, H, W, C\].*float64 \[2, 4, 4, 3\]"),
        (np.zeros((0, 4, 4, 3), np.uint8), [], r"at least 1.*\[0, 4, 4, 3\]"),
        (np.zeros((4, 4, 3), np.uint8), [0, 0], r"\[4, 4, 3\]"),
        (np.zeros((2, 4, 4, 3), np.uint8), [0], r"2 images need as many labels, got \[1\]"),
    ],
)
def test_images_that_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        DeviceImages(x, np.asarray(y), (0, 0, 0), (1, 1, 1))


def test_epochs_and_seeds_do_not_share_their_chance():
    draws = {
        torch.rand(1, generator=seed_epoch(seed, epoch)).item()
        for seed in range(20)
        for epoch in range(20)
    }
    assert len(draws) == 400


# The schedule of the learning rate


def learning_rates(schedule, steps):
    optimizer = Adam([nn.Parameter(torch.zeros(1))], lr=0.02)
    scheduler = training.make_schedule(
        optimizer, replace(TINY, schedule=schedule, learning_rate=0.02), steps
    )
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_schedules_from_end_to_end():
    rates = learning_rates("onecycle", 100)
    assert rates[0] == pytest.approx(0.02 / 25)
    assert max(rates) == rates[29] == pytest.approx(0.02)
    assert rates[-1] < 1e-6
    rates = learning_rates("cosine", 100)
    assert rates[0] == max(rates) == pytest.approx(0.02)
    assert rates[50] == pytest.approx(0.01)
    assert 0 < rates[-1] < 1e-5
    assert set(learning_rates("constant", 100)) == {0.02}


@pytest.mark.parametrize("schedule", FIXED)
def test_the_shortest_run_has_a_schedule(schedule):
    assert len(learning_rates(schedule, 1)) == 1
    assert len(learning_rates(schedule, 2)) == 2


def test_the_record_tells_each_epochs_last_rate(images):
    run = train_quietly(replace(TINY, schedule="cosine"), images)
    expected = learning_rates("cosine", 9)
    assert [row["learning_rate"] for row in run.history.epochs] == pytest.approx(
        [expected[i] / 2 for i in (2, 5, 8)]
    )


# Stopping and continuing


@pytest.mark.parametrize("schedule", training.config.SCHEDULES)
def test_a_continued_run_is_the_same_to_the_bit(images, tmp_path, schedule):
    config = replace(TINY, schedule=schedule, epochs=4)
    whole = train_quietly(config, images, folder=tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(history):
        if len(history.epochs) in (1, 3):
            raise Stop

    for _ in range(2):
        with pytest.raises(Stop):
            train_quietly(config, images, folder=tmp_path / "parts", resume=True, on_epoch=stop)
    parts = train_quietly(config, images, folder=tmp_path / "parts", resume=True)
    assert_same_weights(weights(whole), weights(parts))
    assert metrics(whole.history) == metrics(parts.history)
    assert [s["first_epoch"] for s in parts.history.sessions] == [1, 2, 4]
    one, other = (read_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert one["scheduler"] == other["scheduler"]
    assert one["scaler"] == other["scaler"]
    states = (one["optimizer"]["state"], other["optimizer"]["state"])
    torch.testing.assert_close(*states, rtol=0, atol=0)


def run_script(script, *arguments):
    """Run a Python script in another process."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(training.__file__).parents[2]),
    }
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


KILLED = """
import json, os, signal, sys
import torch
from cbam_course import data
from cbam_course.training import TrainConfig, train

torch.set_num_threads(1)
config = TrainConfig.from_dict(json.loads(sys.argv[1]))
replace, saved = os.replace, []

def kill_during_the_second_checkpoint(source, target):
    saved.append(target)
    if [path.name for path in saved].count("checkpoint.pt") == 2:
        with open(source, "r+b") as file:
            file.truncate(1000)  # half written
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = kill_during_the_second_checkpoint
train(config, data.shapes(train=40, test=20), folder=sys.argv[2], progress=False)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_while_it_saves_and_continued(images, tmp_path):
    result = run_script(KILLED, json.dumps(TINY.to_dict()), tmp_path)
    assert result.returncode == -9, result.stderr
    assert len(History.from_json(tmp_path / "history.json").epochs) == 1
    run = train_quietly(TINY, images, folder=tmp_path, resume=True)
    whole = train_quietly(TINY, images)
    assert_same_weights(weights(run), weights(whole))
    assert metrics(run.history) == metrics(whole.history)
    assert sorted(files(tmp_path)) == ["checkpoint.pt", "history.json"]


def test_a_finished_run_stays_as_it_is(images, tmp_path):
    whole = train_quietly(TINY, images, folder=tmp_path)
    again = train_quietly(TINY, images, folder=tmp_path, resume=True)
    assert again.history == whole.history
    assert_same_weights(weights(again), weights(whole))


@pytest.mark.parametrize("damage", ["missing", "stale"])
def test_resuming_mends_the_history_file(images, tmp_path, damage):
    run = train_quietly(TINY, images, folder=tmp_path)
    path = tmp_path / "history.json"
    path.unlink()
    if damage == "stale":
        replace(run.history, epochs=run.history.epochs[:2]).to_json(path)
    train_quietly(TINY, images, folder=tmp_path, resume=True)
    assert History.from_json(path) == run.history


def test_a_run_that_moved_keeps_its_new_device(images, tmp_path):
    class Stop(Exception):
        pass

    def stop(history):
        raise Stop

    for device in ("cpu", "cpu:0"):
        with pytest.raises(Stop):
            config = replace(TINY, device=device)
            train_quietly(config, images, folder=tmp_path, resume=True, on_epoch=stop)
        assert History.from_json(tmp_path / "history.json").config == config
    assert len(training.load_run(tmp_path).history.epochs) == 2


def test_a_state_of_another_device_and_precision(images):
    """A run on a CPU goes on with float16, or where Adam is fused and was not."""

    def prepare(precision):
        model = TINY.build_model(10)
        return Learner.prepare(model, TINY, 3, torch.device("cpu"), precision)

    pictures = DeviceImages(images.x_train, images.y_train, images.mean, images.std)
    before = prepare(torch.float32)
    train_epoch(before, pictures, TINY, 1)
    state = before.state_dict()
    assert state["scaler"] == {}
    state["optimizer"]["param_groups"][0]["fused"] = None

    after = prepare(torch.float16)
    after.load_state_dict(state)
    assert after.optimizer.param_groups[0]["fused"] is True
    assert state["optimizer"]["param_groups"][0]["fused"] is None
    assert_same_weights(before.model.state_dict(), after.model.state_dict())
    # The scale is what is tested here; not every CPU can calculate with float16.
    train_epoch(replace(after, precision=torch.float32), pictures, TINY, 2)
    assert after.scaler.is_enabled()
    assert not torch.equal(before.model.classifier.weight, after.model.classifier.weight)


def test_numbers_of_numpy_can_be_saved(images, tmp_path):
    config = replace(
        TINY, epochs=1, widths=tuple(np.array([4, 8])), learning_rate=np.float64(1e-3),
        weight_decay=np.float64(0),
        dropout=np.float64(0.1),
    )  # fmt: skip
    assert {type(config.learning_rate), type(config.weight_decay), type(config.dropout)} == {float}
    run = train_quietly(config, images, folder=tmp_path)
    assert train_quietly(config, images, folder=tmp_path, resume=True).history == run.history


def test_two_runs_in_one_folder(images, tmp_path):
    def train_there_too(history):
        with pytest.raises(ValueError, match="another process is training in"):
            train_quietly(TINY, images, folder=tmp_path, resume=True)

    run = train_quietly(TINY, images, folder=tmp_path, on_epoch=train_there_too)
    assert len(run.history.epochs) == 3


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def disk_full(file):
        file.write(b"ne")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_whole(path, disk_full)
    assert files(tmp_path) == {"file": b"old"}


def test_resume_with_nothing_there_starts(images, tmp_path):
    run = train_quietly(TINY, images, folder=tmp_path / "new" / "run", resume=True)
    assert len(run.history.epochs) == 3


def test_load_run(images, tmp_path):
    run = train_quietly(TINY, images, folder=tmp_path)
    model, history = training.load_run(tmp_path)
    assert_same_weights(model.state_dict(), weights(run))
    assert history == run.history and not model.training


def test_runs_that_cannot_be_continued(images, tmp_path):
    train_quietly(replace(TINY, epochs=1), images, folder=tmp_path)
    before = files(tmp_path)

    def refused(message, config=replace(TINY, epochs=1), data=images, resume=True, **options):  # noqa: B008
        with pytest.raises(ValueError, match=message):
            train_quietly(config, data, folder=tmp_path, resume=resume, **options)

    refused(r"has a run already; continue it \(resume=True, or --resume", resume=False)
    refused("seed was 0 and is now 7", replace(TINY, epochs=1, seed=7))
    refused(
        r"epochs was 1 and is now 3, batch_size was 16 and is now 8",
        replace(TINY, batch_size=8),
    )
    refused("other images or labels", data=replace(images, y_test=np.roll(images.y_test, 1)))
    refused("model was 'cifar-cnn' and is now 'custom'", model=nn.Flatten())
    assert before == files(tmp_path)


def test_the_weights_of_another_network_are_refused(images, tmp_path):
    def network(size):
        return nn.Sequential(nn.Flatten(), nn.Linear(3072, size), nn.Linear(size, 10))

    config = replace(TINY, epochs=1)
    train_quietly(config, images, model=network(2), folder=tmp_path)
    with pytest.raises(ValueError, match="checkpoint.pt do not fit this network"):
        train_quietly(config, images, model=network(3), folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="'custom' has to be handed over"):
        training.load_run(tmp_path)


@pytest.mark.parametrize("damage", ["torn", "empty", "text", "other", "format", "flipped"])
def test_a_damaged_checkpoint_is_refused(images, tmp_path, damage):
    train_quietly(replace(TINY, epochs=1), images, folder=tmp_path)
    path = tmp_path / "checkpoint.pt"
    content = path.read_bytes()
    if damage == "torn":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not a checkpoint")
    elif damage == "other":
        torch.save({"weights": torch.zeros(3)}, path)
    elif damage == "format":
        torch.save({**torch.load(path), "format": 99}, path)
    else:
        weight = read_checkpoint(tmp_path)["model"]["classifier.weight"].numpy().tobytes()
        path.write_bytes(content.replace(weight, b"\x80" + weight[1:], 1))
    broken = path.read_bytes()
    with pytest.raises(ValueError, match="damaged or not a checkpoint.*choose another folder"):
        train_quietly(replace(TINY, epochs=1), images, folder=tmp_path, resume=True)
    assert path.read_bytes() == broken


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "was-run",))

    torch.save({"format": 1, "history": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="damaged or not a checkpoint"):
        read_checkpoint(tmp_path)
    assert not (tmp_path / "was-run").exists()


def test_folders_that_are_refused(images, tmp_path):
    with pytest.raises(ValueError, match="resume needs the folder"):
        train_quietly(TINY, images, resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file; the run needs a folder"):
        train_quietly(TINY, images, folder=tmp_path / "file")


# The configuration


def test_config_through_json():
    config = replace(
        TINY, attention_options={"reduction": 2, "spatial_options": {"pools": ("max",)}}
    )
    again = TrainConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.widths == (4, 8)
    assert TrainConfig.from_dict({}) == TrainConfig()
    assert config.differences(TINY) == ["attention_options"]


def test_config_is_the_tutorials_by_default():
    config = TrainConfig()
    with torch.device("meta"):
        model = config.build_model(10)
    assert [stage.convolutions[-2].num_features for stage in model.stages] == [64, 128, 256]
    assert model.dropout.p == 0.5
    assert (config.model, config.optimizer, config.batch_size) == ("cifar-cnn", "adam", 128)
    assert (config.learning_rate, config.weight_decay) == (1e-3, 1e-4)
    assert config.crop and config.flip


def test_making_a_config_draws_no_random_numbers():
    before = torch.get_rng_state()
    TrainConfig(attention="cbam-fc")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "vgg"}, "model must be one of 'cifar-cnn', .*, 'custom'; got 'vgg'"),
        ({"attention": "bam"}, "attention must be one of 'none', 'se', .*; got 'bam'"),
        ({"attention": None}, "got None"),
        ({"dataset": "mnist"}, "dataset must be one of 'shapes', 'cifar10', 'custom'; got 'mnist'"),
        ({"schedule": "step"}, "schedule must be one of 'onecycle', .*; got 'step'"),
        ({"precision": "int8"}, "precision must be one of 'auto', .*; got 'int8'"),
        ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
        ({"epochs": 2.0}, "got 2.0"),
        ({"batch_size": True}, "batch_size must be an integer of at least 1, got True"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"train_size": 0}, "train_size must be an integer of at least 1, got 0"),
        ({"test_size": "all"}, "test_size must be .* got 'all'"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0, got 0"),
        ({"learning_rate": float("inf")}, "got inf"),
        ({"weight_decay": -1e-4}, "weight_decay must be a number of at least 0, got -0.0001"),
        ({"weight_decay": "1e-4"}, "got '1e-4'"),
        ({"crop": 1}, "crop must be True or False, got 1"),
        ({"flip": "yes"}, "flip must be True or False, got 'yes'"),
        ({"device": 0}, "device must be a name such as 'cpu' or 'cuda', got 0"),
        ({"dropout": 1}, "dropout must be at least 0 and below 1, got 1"),
        ({"widths": (8, -8)}, r"widths must be .* got \(8, -8\)"),
        ({"widths": 8}, "widths must be .* got 8"),
        ({"attention_options": [4]}, r"must be a dictionary such as .* got \[4\]"),
        ({"attention_options": {"reduction": 4, "x": 1}}, "do not fit 'cbam-fc'.*'x'"),
        ({"attention_options": {"reduction": torch.ones(1)}}, "numbers, texts and lists only"),
        ({"attention_options": {"reduction": 64}}, "reduction 64 leaves no hidden unit for 4"),
        ({"attention": "none"}, "'none' takes no options"),
        ({"attention_options": {"reduction": 4, "channels": 3}}, "channels cannot be an option"),
        (
            {"control": "random"},
            "control must be one of 'none', 'constant', 'frozen'; got 'random'",
        ),
        ({"control": "constant"}, "'constant' takes no attention_options, got .*reduction"),
        ({"attention": "none", "control": "frozen"}, "control 'frozen' needs attention"),
        ({"attention": "none", "attention_places": ("stages.0",)}, r"\('stages.0',\) needs att"),
        ({"attention": "none", "start_as_identity": True}, "start_as_identity True needs att"),
        ({"start_as_identity": True, "control": "frozen"}, "exclude each other"),
        ({"start_as_identity": 1}, "start_as_identity must be True or False, got 1"),
        ({"validation_size": 0}, "validation_size must be an integer of at least 1, got 0"),
        ({"attention_places": "stages.0"}, "such as .*'layer1'.*; got 'stages.0'"),
        ({"attention_places": ()}, r"or None; got \(\)"),
        ({"attention_places": ("stages.0", 1)}, "'stages.0', 1"),
        ({"attention_places": ("layer1",)}, "no module is called 'layer1'"),
        ({"optimizer": "lion"}, "optimizer must be one of 'adam', 'sgd'; got 'lion'"),
        ({"label_smoothing": 1.1}, "label_smoothing must be at most 1, got 1.1"),
        ({"label_smoothing": -0.1}, "label_smoothing must be a number of at least 0, got -0.1"),
        ({"model_options": ["depths"]}, r"model_options must be .*'depths'.* got \['depths'\]"),
        ({"model_options": {"depths": [1, 1]}}, "do not fit 'cbam-fc' and 'cifar-cnn': .*'depths'"),
        ({"model_options": {"dropout": 0.1}, "dropout": 0.2}, "dropout is given twice"),
        ({"model_options": {"num_classes": 3}}, "num_classes cannot be among the model_options"),
        ({"model": "resnet18"}, "do not fit 'cbam-fc' and 'resnet18': .*'widths'"),
        ({"model": "custom", "control": "frozen"}, "'frozen' would be ignored"),
        ({"model": "custom", "start_as_identity": True}, "True would be ignored"),
        ({"model": "custom", "attention_places": ("stages.0",)}, "would be ignored: .*'custom'"),
    ],
)
def test_config_refuses(changes, message):
    for _ in range(2):  # what has been built once is not built again; what could not be, is
        with pytest.raises(ValueError, match=message):
            replace(TINY, **changes)


def test_config_of_unknown_fields():
    with pytest.raises(ValueError, match="has no field 'lr', 'optimiser'"):
        TrainConfig.from_dict({"lr": 0.1, "optimiser": "sgd"})


def test_custom_needs_to_be_handed_over(images):
    with pytest.raises(ValueError, match="model 'custom' has to be handed over"):
        train_quietly(replace(TINY, model="custom"), images)
    with pytest.raises(ValueError, match="data set 'custom' has to be handed over"):
        train_quietly(replace(TINY, dataset="custom"))


def test_devices_and_precisions():
    assert training.choose_device("cpu") == torch.device("cpu")
    assert training.choose_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("cuda:99", "abacus"):
        with pytest.raises(ValueError, match=f"device '{name}' is not to be had here .*'auto'"):
            training.choose_device(name)
    cpu = torch.device("cpu")
    assert training.choose_precision("auto", cpu) == torch.float32
    assert training.choose_precision("bfloat16", cpu) == torch.bfloat16
    with pytest.raises(ValueError, match="'float16' needs an NVIDIA GPU, got device 'cpu'"):
        training.choose_precision("float16", cpu)
    with pytest.raises(ValueError, match="precision must be .* got 'int8'"):
        training.choose_precision("int8", cpu)


@pytest.mark.parametrize(("answers", "expected"), [
    ([True], torch.bfloat16),
    ([False], torch.float16),  # Colab's T4
    ([TypeError, (8, 0)], torch.bfloat16),  # a PyTorch that does not know the question
    ([TypeError, (7, 5)], torch.float16),
])  # fmt: skip
def test_precision_on_a_gpu(monkeypatch, answers, expected):
    def is_supported(including_emulation=True):
        assert not including_emulation
        if answers[0] is TypeError:
            raise TypeError
        return answers[0]

    asked = []
    monkeypatch.setattr(torch.cuda, "device", lambda device: asked.append(device) or nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: answers[-1])
    device = torch.device("cuda:1")
    assert training.choose_precision("auto", device) == expected
    assert asked == [device]


# The record


def test_history_through_json(images, tmp_path):
    history = train_quietly(TINY, images, folder=tmp_path).history
    assert History.from_json(tmp_path / "history.json") == history
    assert len(history.epochs) == 3 and len(history.iteration_loss) == 9
    assert set(history.last) == {
        "epoch", "learning_rate", "train_loss", "train_accuracy", "test_loss", "test_accuracy",
        "seconds",
    }  # fmt: skip
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3]
    assert history.seconds == pytest.approx(sum(row["seconds"] for row in history.epochs))


def test_history_tells_where_it_comes_from(images):
    history = train_quietly(replace(TINY, epochs=1), images).history
    (session,) = history.sessions
    assert session["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert set(session["versions"]) == {"python", "cbam_course", "torch", "torchvision", "numpy"}
    assert session["device"].startswith("cpu")
    assert session["started"] <= session["finished"] and session["started"].endswith("+00:00")
    assert session["commit"] is None or len(session["commit"].removesuffix("-dirty")) == 40
    assert history.data["train"] == 40 and len(history.data["sha256"]) == 64
    changed = replace(images, y_test=np.roll(images.y_test, 1))
    assert training.history.describe_data(changed)["sha256"] != history.data["sha256"]


def test_history_as_a_table(images):
    history = train_quietly(TINY, images).history
    header, *lines = history.table().splitlines()
    assert header.split() == "epoch train loss accuracy test loss accuracy seconds".split()
    assert [int(line.split()[0]) for line in lines] == [1, 2, 3]
    assert f"{history.last['test_accuracy']:.2%}" in lines[-1]
    assert history.table(last=1).splitlines() == [header, lines[-1]]


def test_history_as_curves(images):
    from matplotlib import pyplot

    history = train_quietly(TINY, images).history
    figure = history.plot()
    steps, losses, accuracies = figure.axes
    assert len(steps.lines[0].get_ydata()) == 9
    np.testing.assert_allclose(
        losses.lines[1].get_ydata(), [row["test_loss"] for row in history.epochs]
    )
    np.testing.assert_allclose(
        accuracies.lines[0].get_ydata(), [row["train_accuracy"] for row in history.epochs]
    )
    assert all(axes.get_title() and axes.get_xlabel() for axes in figure.axes)
    pyplot.close(figure)


def test_an_empty_history():
    history = History(TINY, {}, {})
    assert repr(history) == "History(0 of 3 epochs)"
    for use in (lambda: history.last, history.plot):
        with pytest.raises(ValueError, match="no epoch has been finished yet"):
            use()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "not the history of a training run in format 1"),
        ('{"format": 2}', "format 1"),
        ('{"format": 1}', "lacks 'config'"),
        ('{"format": 1, "config": {}}', "lacks 'model'"),
        ("{", "history.json: "),
    ],
)
def test_other_files_are_no_history(tmp_path, text, message):
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        History.from_json(tmp_path / "history.json")


def test_progress_goes_to_stderr(images, capfd):
    train(replace(TINY, epochs=1), images)
    captured = capfd.readouterr()
    assert captured.out == "" and "3/3" in captured.err
    train(replace(TINY, epochs=1), images, progress=False)
    assert capfd.readouterr().err == ""
