"""What the fields of a configuration do: networks, places, controls, optimizers, schedules."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from cbam_course import data, training
from cbam_course.attention import (
    ConstantGate,
    IdentityStart,
    attention_blocks,
    attention_off,
)
from cbam_course.training import DeviceImages, TrainConfig, read_checkpoint, train
from cbam_course.training.loop import seed_epoch

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = TrainConfig(
    model="cifar-resnet",
    model_options={"depths": [1, 1]},
    widths=(4, 8),
    attention="cbam-fc",
    attention_options={"reduction": 2},
    epochs=2,
    batch_size=20,
    learning_rate=0.05,
    device="cpu",
)


@pytest.fixture(scope="module")
def images():
    return data.shapes(train=40, test=20)


def train_quietly(config, images, **options):
    return train(config, images, progress=False, **options)


def fresh(config):
    """The network as the run of ``config`` begins with it."""
    seed_epoch(config.seed, 0)
    return config.build_model(10)


def changed(config, images):
    """Names of the parameters that a run has changed."""
    before, after = fresh(config).state_dict(), train_quietly(config, images).model
    return {n for n, p in after.named_parameters() if not torch.equal(before[n], p)}


# The network


@pytest.mark.parametrize(
    ("changes", "kind", "parameters"),
    [
        ({"model": "cifar-resnet"}, "ResNet", 272_474),
        ({"model": "cifar-resnet", "model_options": {"depths": [9, 9, 9]}}, "ResNet", 855_770),
        ({"model": "resnet18"}, "ResNet", 11_689_512 - 990 * 513),
        ({"model": "mobilenet-v2"}, "MobileNetV2", 3_504_872 - 990 * 1281),
        ({"model": "cifar-cnn", "widths": (4, 8)}, "CifarCNN", None),
    ],
)
def test_networks_by_name(changes, kind, parameters):
    config = TrainConfig(**changes)
    with torch.device("meta"):
        model = config.build_model(10)
    assert type(model).__name__ == kind
    assert parameters in (None, sum(p.numel() for p in model.parameters()))
    again = TrainConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config


def test_widths_and_options_are_those_of_the_builder():
    by_field = fresh(replace(TINY, model_options={"depths": [1, 1]}))
    by_option = fresh(
        replace(TINY, widths=None, model_options={"depths": [1, 1], "widths": [4, 8]})
    )
    assert str(by_field) == str(by_option)
    assert by_field.conv1.out_channels == 4 and by_field.fc.in_features == 8
    narrow = TrainConfig(model_options={"dropout": 0.3}, widths=(4, 8)).build_model(10)
    assert narrow.dropout.p == 0.3


def test_places_of_the_attention():
    at_home = fresh(TINY)
    assert list(attention_blocks(at_home)) == ["layer1.0.attention", "layer2.0.attention"]
    config = replace(TINY, attention_places=["layer*.0.bn2"])
    assert config.attention_places == ("layer*.0.bn2",)
    same = fresh(config)
    assert list(attention_blocks(same)) == ["layer1.0.bn2.attention", "layer2.0.bn2.attention"]
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(same(x), at_home(x))
    elsewhere = fresh(replace(TINY, attention_places=("layer2",)))
    assert list(attention_blocks(elsewhere)) == ["layer2.attention"]


# Controls


def test_a_frozen_block_keeps_its_random_weights(images):
    config = replace(TINY, control="frozen")
    learned = changed(config, images)
    everything = {name for name, _ in fresh(TINY).named_parameters()}
    blocks = {name for name in everything if ".attention." in name}
    assert blocks and learned == everything - blocks
    assert changed(TINY, images) == everything
    before, after = fresh(TINY).state_dict(), fresh(config).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_constant_gate_in_the_place_of_each_block(images):
    config = replace(TINY, control="constant", attention_options={})
    model = fresh(config)
    assert [type(block) for block in attention_blocks(model).values()] == [ConstantGate] * 2
    assert {"layer1.0.attention.weight", "layer2.0.attention.weight"} <= changed(config, images)
    # The rest of the network begins as it does with the block itself.
    blocks, gates = fresh(TINY).state_dict(), model.state_dict()
    common = blocks.keys() & gates.keys()
    assert len(common) == len(gates) - 2
    assert all(torch.equal(blocks[name], gates[name]) for name in common)


def test_the_end_of_a_run_with_every_gate_at_1(images):
    run = train_quietly(TINY, images)
    final = run.history.final
    assert final["test_loss"] == run.history.last["test_loss"]
    assert final["test_accuracy"] == run.history.last["test_accuracy"]
    testing = DeviceImages(images.x_test, images.y_test, images.mean, images.std)
    ((x, y),) = testing.batches(20)
    with torch.no_grad():
        for residual in (run.model.layer1[0], run.model.layer2[0]):
            residual.attention = nn.Identity()
        accuracy = (run.model(x).argmax(1) == y).float().mean().item()
    assert final["test_accuracy_attention_off"] == pytest.approx(accuracy)
    plain = train_quietly(replace(TINY, attention="none", attention_options={}), images)
    assert set(plain.history.final) == {"test_loss", "test_accuracy"}


def test_the_accuracy_without_gates_is_measured_once_and_changes_nothing(images, monkeypatch):
    calls = []
    evaluate = training.loop.evaluate

    def counted(model, *arguments):
        calls.append(sum(len(m._forward_hooks) for m in model.modules()))
        return evaluate(model, *arguments)

    monkeypatch.setattr(training.loop, "evaluate", counted)
    run = train_quietly(TINY, images)
    assert calls == [0, 0, 2]
    assert not any(m._forward_hooks for m in run.model.modules())
    with attention_off(run.model):
        assert any(m._forward_hooks for m in run.model.modules())


# Optimizer, loss and schedule


def by_hand(config, images, epochs):
    """A run with SGD, written out: the losses of its steps, and the test losses."""
    model = fresh(config)
    parameters = [p for p in model.parameters() if p.requires_grad]
    momentum = [torch.zeros_like(p) for p in parameters]
    training_images = DeviceImages(images.x_train, images.y_train, images.mean, images.std)
    testing = DeviceImages(images.x_test, images.y_test, images.mean, images.std)
    losses, tests = [], []
    for epoch in range(1, epochs + 1):
        generator = seed_epoch(config.seed, epoch)
        model.train()
        for x, y in training_images.shuffled_batches(config.batch_size, generator):
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
        control=control,
    )  # fmt: skip
    history = train_quietly(config, images).history
    losses, tests = by_hand(config, images, 2)
    assert history.iteration_loss == pytest.approx(losses, rel=1e-4)
    # In tests the labels are what they are.
    assert [row["test_loss"] for row in history.epochs] == pytest.approx(tests, rel=1e-3)


def test_plateau_halves_the_rate_when_the_test_loss_does_not_fall(images, monkeypatch):
    evaluate = training.loop.evaluate
    monkeypatch.setattr(
        training.loop, "evaluate", lambda *arguments: (1.0, evaluate(*arguments)[1])
    )
    config = replace(TINY, schedule="plateau", epochs=15)
    rates = [row["learning_rate"] for row in train_quietly(config, images).history.epochs]
    # The first loss is the best; the sixth that is no better, after epoch 7, is one too many.
    assert rates == [0.05] * 7 + [0.025] * 6 + [0.0125] * 2


# Images held out


def test_held_out_images_are_watched_and_not_learned_from(images):
    config = replace(TINY, validation_size=10)
    history = train_quietly(config, images).history
    fewer = train_quietly(replace(TINY, train_size=30), images).history
    assert history.iteration_loss == fewer.iteration_loss
    for row, without in zip(history.epochs, fewer.epochs, strict=True):
        assert row["test_loss"] == without["test_loss"]

    divided = images.hold_out(10)
    model = train_quietly(config, images).model
    held = DeviceImages(divided.x_test, divided.y_test, divided.mean, divided.std)
    loss, accuracy = training.evaluate(model, held)
    assert history.last["validation_loss"] == pytest.approx(loss, rel=1e-5)
    assert history.last["validation_accuracy"] == accuracy
    sizes = {name: history.data[name] for name in ("train", "validation", "test")}
    assert sizes == {"train": 30, "validation": 10, "test": 20}
    assert "validation" not in fewer.data


def test_plateau_looks_at_the_images_held_out(images, monkeypatch):
    evaluate = training.loop.evaluate
    # The loss on the 20 test images always falls, that on the 10 held out never does.
    falling = iter(range(1000, 0, -1))

    def fixed(model, images, precision):
        loss = 1.0 if len(images) == 10 else float(next(falling))
        return loss, evaluate(model, images, precision)[1]

    monkeypatch.setattr(training.loop, "evaluate", fixed)
    config = replace(TINY, schedule="plateau", epochs=9)
    held_out = train_quietly(replace(config, validation_size=10), images).history
    assert [row["learning_rate"] for row in held_out.epochs] == [0.05] * 7 + [0.025] * 2
    peeking = train_quietly(config, images).history
    assert [row["learning_rate"] for row in peeking.epochs] == [0.05] * 9


def test_with_images_held_out_no_schedule_depends_on_the_test_images(images):
    config = replace(TINY, schedule="plateau", epochs=9, learning_rate=0.5, validation_size=10)
    wrong = replace(images, y_test=(images.y_test + 1) % 10)
    runs = [train_quietly(config, one).history for one in (images, wrong)]
    assert runs[0].iteration_loss == runs[1].iteration_loss
    assert runs[0].last["test_loss"] != runs[1].last["test_loss"]
    # It halves the rate at least once, so there was something to be steered.
    assert runs[0].last["learning_rate"] < 0.5


def test_more_images_cannot_be_held_out_than_there_are(images):
    with pytest.raises(ValueError, match="of 40 training images at most 39"):
        train_quietly(replace(TINY, validation_size=40), images)


def test_the_table_and_the_curves_show_the_images_held_out(images):
    history = train_quietly(replace(TINY, validation_size=10), images).history
    header, *rows = history.table().splitlines()
    assert header.split("  ")[1:4] and "valid loss" in header
    assert f"{history.last['validation_loss']:.4f}" in rows[-1]
    assert len({len(line) for line in (header, *rows)}) == 1
    _, losses, accuracies = history.plot().axes
    for axes in (losses, accuracies):
        labels = [line.get_label() for line in axes.get_lines()]
        assert labels == ["train", "validation", "test"]


# Starting as the identity


@pytest.mark.parametrize("places", [None, ("layer1", "layer2")])
def test_training_can_start_from_the_network_without_attention(places):
    config = replace(TINY, start_as_identity=True, attention_places=places)
    model = fresh(config).eval()
    blocks = attention_blocks(model)
    assert len(blocks) == 2 and all(isinstance(b, IdentityStart) for b in blocks.values())
    plain = fresh(replace(TINY, attention="none", attention_options={})).eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(model(x), plain(x))


def test_the_gates_of_blocks_that_start_as_the_identity_learn(images):
    learned = changed(replace(TINY, start_as_identity=True), images)
    assert {name for name in learned if name.endswith("attention.gate")} == {
        "layer1.0.attention.gate", "layer2.0.attention.gate",
    }  # fmt: skip
    assert any(".attention.block.channel" in name for name in learned)


def test_constant_gates_can_start_as_the_identity():
    config = replace(TINY, control="constant", attention_options={}, start_as_identity=True)
    for block in attention_blocks(config.build_model(10)).values():
        assert isinstance(block, IdentityStart) and isinstance(block.block, ConstantGate)


# Stopping and continuing


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "plateau", "optimizer": "sgd"},
        {"schedule": "plateau", "validation_size": 10, "start_as_identity": True},
        {"control": "frozen", "optimizer": "sgd", "schedule": "cosine"},
        {"control": "constant", "attention_options": {}},
        {"attention_places": ("layer1", "layer2"), "label_smoothing": 0.1},
        {"model": "mobilenet-v2", "model_options": {}, "widths": None},
    ],
    ids=["plateau", "held-out", "frozen", "constant", "places", "mobilenet"],
)
def test_a_continued_run_is_the_same_to_the_bit(images, tmp_path, changes):
    config = replace(TINY, epochs=3, **changes)
    whole = train_quietly(config, images, folder=tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(history):
        if len(history.epochs) == 2:
            raise Stop

    with pytest.raises(Stop):
        train_quietly(config, images, folder=tmp_path / "parts", on_epoch=stop)
    assert training.load_run(tmp_path / "parts").history.final == {}
    parts = train_quietly(config, images, folder=tmp_path / "parts", resume=True)
    assert parts.history.iteration_loss == whole.history.iteration_loss
    assert parts.history.final == whole.history.final
    one, other = (read_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    for part in ("model", "optimizer"):
        torch.testing.assert_close(one[part], other[part], rtol=0, atol=0)
    assert one["scheduler"] == other["scheduler"]

    model, history = training.load_run(tmp_path / "parts")
    assert history == parts.history
    torch.testing.assert_close(model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)


def test_plateau_remembers_its_best_loss(images, tmp_path):
    """Epochs that were no better before the interruption count after it."""
    config = replace(TINY, schedule="plateau", epochs=9, learning_rate=0.5)
    tests = iter([1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])

    class Stop(Exception):
        pass

    def stop(history):
        if len(history.epochs) == 5:
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        evaluate = training.loop.evaluate
        patch.setattr(training.loop, "evaluate", lambda *a: (next(tests, 2.0), evaluate(*a)[1]))
        with pytest.raises(Stop):
            train_quietly(config, images, folder=tmp_path, on_epoch=stop)
        history = train_quietly(config, images, folder=tmp_path, resume=True).history
    assert [row["learning_rate"] for row in history.epochs] == [0.5] * 7 + [0.25] * 2
