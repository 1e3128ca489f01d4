"""The experiments of the course, in the order of their worth."""

from dataclasses import replace
from typing import Any

from cbam_course.attention import ATTENTION_NAMES
from cbam_course.labels import LABELS
from cbam_course.training import TrainConfig

from .experiment import Experiment, Variant

# Each experiment exists in two sizes. What is small on a CPU is the network, the number of images
# and of epochs; what is asked is the same.

TUTORIAL = TrainConfig(dataset="cifar10", epochs=50, schedule="cosine")
"""The training chapter's tutorial: its network and recipe, with a schedule that does not peek."""

SMALL_TUTORIAL = TrainConfig(
    widths=(16, 32, 64),
    dropout=0.1,
    dataset="cifar10",
    train_size=8_000,
    test_size=2_000,
    epochs=6,
    batch_size=64,
    learning_rate=4e-3,
)

RESNET = TrainConfig(
    model="cifar-resnet",
    widths=(16, 32, 64),
    dataset="cifar10",
    epochs=60,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=5e-4,
)
"""ResNet-20 at its full width."""

SMALL_RESNET = TrainConfig(
    model="cifar-resnet",
    widths=(8, 16, 32),
    dataset="cifar10",
    train_size=4_000,
    test_size=2_000,
    epochs=5,
    batch_size=64,
    learning_rate=1e-2,
)

MOBILENET = TrainConfig(
    model="mobilenet-v2",
    dataset="cifar10",
    image_size=112,
    epochs=20,
    batch_size=32,
    optimizer="sgd",
    learning_rate=1e-2,
    weight_decay=0.0,
    schedule="constant",
    crop=False,
    flip=False,
)
"""The recipe of the tutorial with the noise, which prints size, epochs, batch and learning rate.

Its optimizer is not known; a learning rate of 0.01 is usual for SGD with momentum. Of all else
there is as little as possible: no schedule, no weight decay, no random shifts and mirroring.
"""

FAST = TrainConfig(
    model="cifar-resnet",
    model_options={"depths": [1, 1, 1, 1]},
    widths=(64, 128, 256, 512),
    dataset="cifar10",
    epochs=20,
    batch_size=512,
    optimizer="sgd",
    learning_rate=0.4,
    weight_decay=5e-4,
    label_smoothing=0.1,
)
"""A wide ResNet-10 and few epochs, meant to reach 94 % within 10 seconds on one H200.

It awaits its record: nobody has measured it yet. Batch size, highest learning rate, weight decay,
Nesterov's momentum and the widths are those of Page's ResNet-9 (David Page, "How to train your
ResNet", 2018 and 2019), which reached 94 % in 24 epochs, and in fewer with more tricks than this
recipe has.
"""

RESNEXT = {"block": "bottleneck", "depths": [2, 2, 2], "groups": 4, "width_per_group": 16}
"""What makes a ResNeXt-20 of it: as many layers, in bottleneck blocks with 4 groups."""

REDUCTION = 4
"""For all but the tutorial's network, which keeps 16: that leaves no hidden unit for 8 channels."""

FULLY_CONNECTED = ("se", "channel-fc", "cbam-fc")
"""The blocks that have a reduction ratio."""


def experiments(tier: str | None = None) -> dict[str, Experiment]:
    """The experiments by name, the most valuable first.

    Args:
        tier: ``"cpu"`` or ``"gpu"``, or ``None`` for both: then those of the GPU are first.

    Raises:
        ValueError: for another tier.
    """
    if tier is None:
        return experiments("gpu") | experiments("cpu")
    if tier not in ("cpu", "gpu"):
        raise ValueError(f"tier must be 'cpu' or 'gpu', got {tier!r}")
    small = tier == "cpu"
    plain, resnet = (SMALL_TUTORIAL, SMALL_RESNET) if small else (TUTORIAL, RESNET)
    made = [_blocks(tier, plain), _controls(tier, plain)]
    if not small:
        made += [_as_printed()]
    made += [
        _peeking(tier, plain),
        _channel_pools(tier, resnet),
        _spatial(tier, resnet),
        _order(tier, resnet),
        _reduction(tier, resnet),
        _eca_kernel(tier, resnet),
        _placement(tier, resnet),
        _backbone(tier, resnet),
        _start(tier, resnet),
    ]
    made += [_replication(resnet)] if small else [_noise(), _fast()]
    return {experiment.name: experiment for experiment in made}


def with_attention(base: TrainConfig, attention: str, **options: Any) -> TrainConfig:
    """``base`` with a block, whose reduction suits the network."""
    if base.widths is not None and attention in FULLY_CONNECTED:
        options = {"reduction": REDUCTION, **options}
    return replace(base, attention=attention, attention_options=options)


def _name(tier: str, name: str) -> str:
    return name if tier == "gpu" else f"small-{name}"


def _compared(name: str, tier: str, question: str, configs: dict[str, TrainConfig]) -> Experiment:
    """An experiment whose first variant is the baseline of all others."""
    baseline, *others = configs
    variants = [Variant(baseline, configs[baseline])]
    variants += [Variant(other, configs[other], baseline) for other in others]
    return Experiment(_name(tier, name), tier, question, tuple(variants))


def _blocks(tier: str, base: TrainConfig) -> Experiment:
    configs = {LABELS[name]: with_attention(base, name) for name in ATTENTION_NAMES}
    return _compared("blocks", tier, "Which block helps the tutorial's network?", configs)


def _as_printed() -> Experiment:
    base = replace(TUTORIAL, schedule="plateau", precision="float32")
    configs = {LABELS[name]: with_attention(base, name) for name in ATTENTION_NAMES}
    question = "What does the tutorial's own recipe give, whose schedule looks at the test loss?"
    return _compared("as-printed", "gpu", question, configs)


def _peeking(tier: str, base: TrainConfig) -> Experiment:
    base = replace(with_attention(base, "cbam-fc"), schedule="plateau")
    train, held = 50_000, 5_000
    if tier == "cpu":  # more epochs than elsewhere, so that the schedule has something to do
        base = replace(base, epochs=40)
        train, held = 5_000, 1_000
    configs = {  # both learn from the same images
        "held-out images": replace(base, train_size=train, validation_size=held),
        "test images": replace(base, train_size=train - held),
    }
    question = "What does a schedule gain by looking at the test images?"
    return replace(_compared("peeking", tier, question, configs), seeds=tuple(range(10)))


def _controls(tier: str, base: TrainConfig) -> Experiment:
    cbam = with_attention(base, "cbam-fc")
    # The widths whose number of parameters is nearest to that of the network with CBAM.
    wider = (16, 32, 66) if tier == "cpu" else (64, 128, 258)
    configs = {
        LABELS["none"]: base,
        LABELS["cbam-fc"]: cbam,
        "wider, no attention": replace(base, widths=wider),
        "constant gate": replace(cbam, attention_options={}, control="constant"),
        "frozen random CBAM": replace(cbam, control="frozen"),
    }
    question = "Is it the attention, or the parameters, the gates, or chance?"
    return _compared("controls", tier, question, configs)


def _channel_pools(tier: str, base: TrainConfig) -> Experiment:
    configs = {LABELS["none"]: base} | {
        " + ".join(pools): with_attention(base, "channel-fc", **_unless_default(pools))
        for pools in (("avg",), ("max",), ("avg", "max"))
    }
    return _compared("channel-pools", tier, "Average, maximum, or both?", configs)


def _unless_default(pools: tuple[str, ...]) -> dict[str, Any]:
    # The default is left out, so that it is the same run as elsewhere.
    return {} if pools == ("avg", "max") else {"pools": pools}


def _spatial(tier: str, base: TrainConfig) -> Experiment:
    configs = {LABELS["channel-fc"]: with_attention(base, "channel-fc")}
    for size in (1, 3, 5):
        configs[f"{size}x{size}"] = with_attention(base, "cbam-fc", kernel_size=size)
    configs["7x7"] = with_attention(base, "cbam-fc")
    for pool in ("avg", "max", "conv"):
        options = {"spatial_options": {"pools": [pool]}}
        configs[f"7x7, {pool} only"] = with_attention(base, "cbam-fc", **options)
    question = "Does the spatial half add to the channel half, with which kernel and pools?"
    return _compared("spatial", tier, question, configs)


def _order(tier: str, base: TrainConfig) -> Experiment:
    configs = {
        LABELS["none"]: base,
        "channel only": with_attention(base, "channel-fc"),
        "spatial only": with_attention(base, "spatial"),
        "channel, then spatial": with_attention(base, "cbam-fc"),
        "spatial, then channel": with_attention(base, "cbam-fc", order="spatial-channel"),
        "in parallel": with_attention(base, "cbam-fc", order="parallel"),
    }
    return _compared("order", tier, "Which half first?", configs)


def _reduction(tier: str, base: TrainConfig) -> Experiment:
    if tier == "cpu":
        ratios = (2, 4, 8)
    else:  # twice the width, so that a ratio of 32 leaves a hidden unit
        base, ratios = replace(base, widths=(32, 64, 128)), (2, 4, 8, 16, 32)
    configs = {LABELS["none"]: base}
    for ratio in ratios:
        configs[f"r = {ratio}"] = with_attention(base, "cbam-fc", reduction=ratio)
    return _compared("reduction", tier, "How narrow may the MLP be?", configs)


def _eca_kernel(tier: str, base: TrainConfig) -> Experiment:
    configs = {LABELS["none"]: base}
    for size in (1, 3, 5, 7, 9):
        configs[f"k = {size}"] = with_attention(base, "eca", kernel_size=size)
    return _compared("eca-kernel", tier, "How many neighbors does ECA need?", configs)


def _placement(tier: str, base: TrainConfig) -> Experiment:
    cbam = with_attention(base, "cbam-fc")
    places = {
        "last block of each stage": ("layer*.2.bn2",),
        "first stage": ("layer1.*.bn2",),
        "last stage": ("layer3.*.bn2",),
        "after each stage": ("layer1", "layer2", "layer3"),
    }
    configs = {LABELS["none"]: base, "every block": cbam} | {
        name: replace(cbam, attention_places=where) for name, where in places.items()
    }
    return _compared("placement", tier, "Where in the network?", configs)


def _backbone(tier: str, base: TrainConfig) -> Experiment:
    backbones = {
        "plain": _without_shortcuts(base),
        "ResNet-20": base,
        "wide": replace(base, widths=_twice(base)),
        "ResNeXt": replace(base, model_options=RESNEXT),
    }
    variants = []
    for name, config in backbones.items():
        variants.append(Variant(name, config))
        variants.append(Variant(f"{name} + CBAM", with_attention(config, "cbam-fc"), name))
    question = "Does CBAM help every kind of network?"
    return Experiment(_name(tier, "backbone"), tier, question, tuple(variants))


def _without_shortcuts(base: TrainConfig) -> TrainConfig:
    return replace(base, model="cifar-cnn", widths=_twice(base), dropout=0.0)


def _twice(base: TrainConfig) -> tuple[int, ...]:
    return tuple(2 * width for width in base.widths)


def _start(tier: str, base: TrainConfig) -> Experiment:
    plain = _without_shortcuts(base)
    behind = ("layer1", "layer2", "layer3")
    places = {  # no shortcut leads around the blocks of the first two
        "plain + CBAM": ("plain", with_attention(plain, "cbam-fc")),
        "after each stage": (
            "ResNet-20",
            replace(with_attention(base, "cbam-fc"), attention_places=behind),
        ),
        "in every block": ("ResNet-20", with_attention(base, "cbam-fc")),
    }
    variants = [Variant("plain", plain), Variant("ResNet-20", base)]
    for name, (baseline, config) in places.items():
        start = replace(config, start_as_identity=True)
        variants.append(Variant(name, config, baseline))
        variants.append(Variant(f"{name}, from the identity", start, baseline))
    question = "Does CBAM do better if it starts as the identity?"
    return Experiment(_name(tier, "start"), tier, question, tuple(variants))


def _replication(base: TrainConfig) -> Experiment:
    # What stood out among the other small experiments, with seeds that had no part in it.
    configs = {
        LABELS["none"]: base,
        LABELS["cbam-fc"]: with_attention(base, "cbam-fc"),
        "CBAM in parallel": with_attention(base, "cbam-fc", order="parallel"),
        "ECA, k = 3": with_attention(base, "eca", kernel_size=3),
    }
    question = "Do the winners win again, with fresh seeds?"
    return replace(_compared("replication", "cpu", question, configs), seeds=tuple(range(5, 20)))


def _noise() -> Experiment:
    noisy = replace(MOBILENET, noise_channels=3)
    # The tutorial's block: an MLP of linear layers with biases, as wide as there are channels.
    block = {"reduction": 1, "bias": True, "layer": "linear"}
    last, first = (
        replace(
            config, attention="channel-fc", attention_options=block, model_options={"where": where}
        )
        for config, where in ((MOBILENET, "last"), (noisy, "first"))
    )
    variants = (
        Variant("RGB", MOBILENET),
        Variant("RGB, attention last", last, "RGB"),
        Variant("RGB + noise", noisy, "RGB"),
        Variant("RGB + noise, attention first", first, "RGB + noise"),
    )
    question = "Does attention on the input notice channels of noise?"
    return Experiment("noise", "gpu", question, variants, seeds=(0, 1, 2))


def _fast() -> Experiment:
    configs = {
        LABELS["none"]: FAST,
        LABELS["cbam-fc"]: with_attention(FAST, "cbam-fc", reduction=16),
    }
    return _compared("fast", "gpu", "How soon does a network with CBAM reach 94 %?", configs)
