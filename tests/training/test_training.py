"""A training run: its loop against one written out, its chance, its images and its record."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from cbam_course import data, training
from cbam_course.training import DeviceImages, History
from cbam_course.training.learner import Learner
from cbam_course.training.loop import choose_images, load_data, seed_epoch
from tests.support.provenance import gaps
from tests.support.runs import (
    CUSTOM,
    TINY,
    assert_same_weights,
    files,
    fresh,
    metrics,
    train_quietly,
)

# The loop


def test_the_seed_decides_and_the_callers_state_does_not(images):
    config = replace(TINY, epochs=2)
    torch.manual_seed(1)
    one = train_quietly(config, images)
    torch.manual_seed(2)
    same, other = train_quietly(config, images), train_quietly(replace(config, seed=1), images)
    assert_same_weights(one.model, same.model)
    assert metrics(one.history) == metrics(same.history)
    assert one.history.iteration_loss == pytest.approx(PINNED, abs=1e-4)
    assert one.history.iteration_loss != other.history.iteration_loss
    seeds = [(seed, epoch) for seed in range(5) for epoch in range(5)]
    assert len({torch.rand(1, generator=seed_epoch(*each)).item() for each in seeds}) == 25


PINNED = [2.352589, 2.276484, 2.377013, 2.261684, 2.384483, 2.2901]
"""Recorded when the order of the images, the crops and dropout were last changed on purpose."""


def by_hand(config, images, epochs):
    """A run with SGD, written out: the losses of its steps, and the test losses."""
    model = fresh(config)
    parameters = [
        p for name, p in model.named_parameters()
        if config.control != "frozen" or ".attention." not in name
    ]  # fmt: skip
    momentum = [torch.zeros_like(p) for p in parameters]
    store = DeviceImages(images.x_train, images.y_train, images.mean, images.std)
    testing = DeviceImages(images.x_test, images.y_test, images.mean, images.std)
    losses, tests = [], []
    for epoch in range(1, epochs + 1):
        generator = seed_epoch(config.seed, epoch)
        model.train()
        for x, y in store.shuffled_batches(config.batch_size, generator):
            target = nn.functional.one_hot(y, 10) * (1 - config.label_smoothing)
            target = target + config.label_smoothing / 10
            loss = -(target * model(x).log_softmax(1)).sum(1).mean()
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for p, g, m in zip(parameters, gradients, momentum, strict=True):
                    g = g + config.weight_decay * p
                    m.mul_(0.9).add_(g)
                    p.sub_(config.learning_rate * (g + 0.9 * m))
            losses.append(loss.item())
        tests.append(training.evaluate(model, testing)[0])
    return losses, tests


@pytest.mark.parametrize("control", ["none", "frozen"])
def test_sgd_with_smoothed_labels_by_hand(images, control):
    config = replace(
        TINY, optimizer="sgd", label_smoothing=0.2, schedule="constant", weight_decay=0.01,
        control=control, epochs=2,
    )  # fmt: skip
    history = train_quietly(config, images).history
    losses, tests = by_hand(config, images, 2)
    assert history.iteration_loss == pytest.approx(losses, rel=1e-4)
    # In tests the labels are what they are.
    assert [row["test_loss"] for row in history.epochs] == pytest.approx(tests, rel=1e-3)
    first = history.epochs[0]["train_loss"]  # a smaller batch counts for less
    assert first == pytest.approx((16 * losses[0] + 16 * losses[1] + 8 * losses[2]) / 40, rel=1e-4)


def test_evaluate_is_exact_whatever_the_batches(images, monkeypatch):
    run = train_quietly(replace(TINY, epochs=1), images)
    testing = DeviceImages(images.x_test, images.y_test, images.mean, images.std)
    ((x, y),) = testing.batches(20)
    with torch.no_grad():
        logits = run.model(x)
    expected = nn.functional.cross_entropy(logits, y).item()
    accuracy = (logits.argmax(1) == y).float().mean().item()
    for size in (1, 7, 20):
        monkeypatch.setattr(DeviceImages, "large_batch", size)
        result = training.evaluate(run.model, testing)
        assert result == pytest.approx((expected, accuracy), rel=1e-5)
    assert not run.model.training
    assert run.history.last["test_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_end_of_a_run_with_every_gate_at_1(images):
    run = train_quietly(TINY, images)
    final = run.history.final
    assert final["test_loss"] == run.history.last["test_loss"]
    assert not any(module._forward_hooks for module in run.model.modules())
    testing = DeviceImages(images.x_test, images.y_test, images.mean, images.std)
    for stage in run.model.stages:
        stage.attention = nn.Identity()
    _, accuracy = training.evaluate(run.model, testing)
    assert final["test_accuracy_attention_off"] == pytest.approx(accuracy)
    plain = train_quietly(replace(TINY, attention="none", attention_options={}), images)
    assert set(plain.history.final) == {"test_loss", "test_accuracy"}


def test_no_longer_a_number(images, tmp_path):
    class FailsInTests(nn.Sequential):
        def forward(self, x):
            return super().forward(x) * (1 if self.training else float("nan"))

    model = FailsInTests(nn.Flatten(), nn.Linear(3072, 10))
    with pytest.raises(FloatingPointError, match=r"test loss .* in epoch 1; try a learning rate"):
        train_quietly(CUSTOM, images, model=model, folder=tmp_path)
    assert files(tmp_path) == {}


# What is handed over


def test_a_network_of_ones_own(images):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                          nn.Linear(4, 10))  # fmt: skip
    config = replace(CUSTOM, attention="eca", widths=(7,))  # noted, without effect
    run = train_quietly(config, images, model=model)
    assert run.model is model and run.history.config == config
    assert run.history.model == {"class": "Sequential", "parameters": 4 * 27 + 4 + 50}
    assert repr(run).startswith("Run(Sequential, History(3 of 3 epochs, test accuracy ")
    with pytest.raises(ValueError, match="model 'custom' has to be handed over"):
        train_quietly(config, images)
    with pytest.raises(ValueError, match="needs model='custom', got 'cifar-cnn'"):
        train_quietly(TINY, images, model=model)


def test_images_of_ones_own(images):
    run = train_quietly(replace(TINY, epochs=1), replace(images, name="mine"))
    assert run.history.config.dataset == "custom"
    assert run.history.data["name"] == "mine"
    with pytest.raises(ValueError, match="data set 'custom' has to be handed over"):
        train_quietly(replace(TINY, dataset="custom"))


# The images of a run


def test_groups_share_no_image_and_hold_what_they_should(images):
    config = replace(TINY, train_size=20, validation_size=10, test_size=10, peek_size=5)
    groups = choose_images(config, images)
    sizes = {name: len(labels) for name, (_, labels) in groups.items()}
    assert sizes == {"train": 20, "validation": 10, "test": 10, "peek": 5}
    for split, names in (("train", ("train", "validation")), ("test", ("test", "peek"))):
        drawn = [image.tobytes() for name in names for image in groups[name][0]]
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= {image.tobytes() for image in getattr(images, f"x_{split}")}
    # What is set apart changes nothing of what is learned from.
    np.testing.assert_array_equal(
        choose_images(replace(TINY, train_size=20), images)["train"][0], groups["train"][0]
    )
    with pytest.raises(ValueError, match="this set has 4"):
        choose_images(replace(TINY, train_size=40, validation_size=10), images)
    # The shapes are as many as a configuration wants.
    config = replace(TINY, train_size=33, test_size=15, peek_size=5)
    drawn = choose_images(config, load_data(config))
    sizes = {name: len(labels) for name, (_, labels) in drawn.items()}
    assert sizes == {"train": 33, "test": 15, "peek": 5}


def test_validation_images_are_looked_at_and_not_learned_from(images):
    config = replace(TINY, train_size=30, validation_size=10)
    model, history = train_quietly(config, images)
    fewer = train_quietly(replace(TINY, train_size=30), images).history
    assert history.iteration_loss == fewer.iteration_loss
    assert [r["test_loss"] for r in history.epochs] == [r["test_loss"] for r in fewer.epochs]
    groups = choose_images(config, images)
    mean, std = data.channel_statistics(groups["train"][0])
    loss, accuracy = training.evaluate(model, DeviceImages(*groups["validation"], mean, std))
    assert history.last["validation_loss"] == pytest.approx(loss, rel=1e-5)
    assert history.last["validation_accuracy"] == accuracy


def test_the_test_images_never_influence_training(images):
    other = replace(
        images, x_test=255 - images.x_test, y_test=np.roll(images.y_test, 1), masks_test=None,
        masks_train=None,
    )  # fmt: skip
    config = replace(TINY, epochs=1)
    one, another = train_quietly(config, images), train_quietly(config, other)
    assert_same_weights(one.model, another.model)
    assert one.history.last["test_loss"] != another.history.last["test_loss"]


# The schedule of the learning rate


def learning_rates(schedule, steps):
    config = replace(TINY, schedule=schedule, learning_rate=0.02, epochs=1)
    learner = Learner(fresh(config), config, steps, torch.device("cpu"), torch.float32)
    rates = []
    for _ in range(steps):
        learner.optimizer.step()
        rates.append(learner.after_step())
    return rates


def test_schedules_from_end_to_end(images):
    rates = learning_rates("onecycle", 100)
    assert rates[0] == pytest.approx(0.02 / 25)
    assert max(rates) == rates[29] == pytest.approx(0.02)
    assert rates[-1] < 1e-6
    rates = learning_rates("cosine", 100)
    assert rates[0] == max(rates) == pytest.approx(0.02)
    assert rates[50] == pytest.approx(0.01)
    assert 0 < rates[-1] < 1e-5
    assert set(learning_rates("constant", 100)) == {0.02}
    # The record tells the rate of each epoch's last step.
    history = train_quietly(replace(TINY, schedule="cosine"), images).history
    expected = learning_rates("cosine", 9)
    assert [row["learning_rate"] for row in history.epochs] == pytest.approx(
        [expected[i] / 2 for i in (2, 5, 8)]
    )


PEEKING = replace(
    TINY, train_size=20, validation_size=20, test_size=10, peek_size=5, schedule="plateau",
    epochs=9,
)  # fmt: skip
"""Sizes by which a test's loss tells the groups apart."""


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, 20),
        ({"validation_size": None}, 10),
        ({"watch": "peek"}, 5),
        ({"watch": "test"}, 10),
    ],
)
def test_plateau_halves_the_rate_when_the_watched_loss_does_not_fall(
    images, monkeypatch, changes, size
):
    """By default it watches the images held out or, if there are none, the test images."""
    falling, evaluate = iter(range(1000, 0, -1)), training.loop.evaluate

    def fixed(model, images, *arguments):
        loss = 1.0 if len(images) == size else float(next(falling))
        return loss, evaluate(model, images, *arguments)[1]

    monkeypatch.setattr(training.loop, "evaluate", fixed)
    history = train_quietly(replace(PEEKING, **changes), images).history
    # The first loss is the best; the sixth that is no better, after epoch 7, is one too many.
    rates = [row["learning_rate"] for row in history.epochs]
    assert rates == [0.01] * 7 + [0.005] * 2


# Where it is computed


def test_devices_and_precisions(images, monkeypatch):
    assert training.choose_device("cpu") == torch.device("cpu")
    assert training.choose_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("cuda:99", "abacus"):
        with pytest.raises(ValueError, match=f"device '{name}' is not to be had here .*'auto'"):
            training.choose_device(name)
    cpu = torch.device("cpu")
    assert training.choose_precision("auto", cpu) == torch.float32
    with pytest.raises(ValueError, match="'float16' needs an NVIDIA GPU, got device 'cpu'"):
        training.choose_precision("float16", cpu)
    for capability, expected in (((8, 0), torch.bfloat16), ((7, 5), torch.float16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        assert training.choose_precision("auto", torch.device("cuda")) == expected
    for asked, precision in (("auto", "float32"), ("bfloat16", "bfloat16")):
        run = train_quietly(replace(TINY, epochs=1, precision=asked), images)
        assert run.history.sessions[0]["precision"] == precision
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


def test_compile_is_for_training_alone(images, monkeypatch):
    compiled = []

    def compile(network, **options):
        compiled.append(options)
        return nn.Sequential(network)

    monkeypatch.setattr(torch, "compile", compile)
    config = replace(TINY, epochs=2, compile=True)
    run = train_quietly(config, images)
    assert compiled == [{"dynamic": False, "mode": "default"}]
    plain = train_quietly(replace(config, compile=False), images)
    assert len(compiled) == 1
    assert run.history.iteration_loss == plain.history.iteration_loss
    assert_same_weights(run.model, plain.model)


# The record


def test_the_record_and_its_file(images, tmp_path):
    config = replace(TINY, train_size=20, validation_size=10)
    history = train_quietly(config, images, folder=tmp_path).history
    path = tmp_path / "history.json"
    assert History.from_json(path) == history
    assert json.loads(path.read_text()) == history.to_dict()
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3]
    assert len(history.iteration_loss) == 6
    assert history.seconds == pytest.approx(sum(row["seconds"] for row in history.epochs))
    assert set(gaps(history.to_dict())) <= {"the commit", "a commit without changes since"}
    (session,) = history.sessions
    assert session["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert session["started"] <= session["finished"] and session["started"].endswith("+00:00")
    assert {name: history.data[name] for name in ("train", "validation", "test")} == {
        "train": 20, "validation": 10, "test": 20,
    }  # fmt: skip
    for text, message in (('{"format": 1}', "not the history .* in format 2"), ("{", "Expecting")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            History.from_json(path)


def test_curves(images):
    history = train_quietly(replace(TINY, train_size=20, validation_size=10), images).history
    figure = history.plot()
    steps, losses, accuracies = figure.axes
    assert len(steps.lines[0].get_ydata()) == 6
    for axes, quantity in ((losses, "loss"), (accuracies, "accuracy")):
        assert [line.get_label() for line in axes.lines] == ["train", "validation", "test"]
        for line in axes.lines:
            expected = [row[f"{line.get_label()}_{quantity}"] for row in history.epochs]
            np.testing.assert_allclose(line.get_ydata(), expected)
    assert all(axes.get_title() and axes.get_xlabel() for axes in figure.axes)
