"""The network that a configuration names."""

import torch
from torch import nn

from cbam_course import models
from cbam_course.attention import (
    AttentionFactory,
    ConstantGate,
    attention_blocks,
    make_attention,
    starting_as_identity,
)
from cbam_course.config import TrainConfig


def build_model(config: TrainConfig, num_classes: int, in_channels: int = 3) -> nn.Module:
    """The network a configuration names, with fresh random weights.

    Args:
        config: names the network and its attention.
        num_classes: number of classes.
        in_channels: channels of the images.

    Raises:
        ValueError: if the model is ``"custom"``, or for whatever the network or the block refuses.
    """
    if config.model == "custom":
        raise ValueError("the model 'custom' has to be handed over: train(config, model=...)")
    if decided := sorted({"weights", "num_classes", "in_channels"} & config.model_options.keys()):
        raise ValueError(
            f"{' and '.join(decided)} cannot be among the model_options: a run starts from random "
            "weights, and the images decide the classes and channels"
        )
    given = {"widths": config.widths, "dropout": config.dropout}
    options = {name: value for name, value in given.items() if value is not None}
    if twice := sorted(options.keys() & config.model_options.keys()):
        raise ValueError(f"{' and '.join(twice)} is given twice: also in model_options")
    options |= config.model_options
    where, attention = config.attention_places, _attention(config)
    try:
        model = models.make_model(
            config.model,
            attention if where is None else None,
            num_classes=num_classes,
            in_channels=in_channels,
            **options,
        )
        if where is not None:
            models.insert_attention(
                model, attention, where, example=torch.zeros(1, in_channels, 32, 32)
            )
    except TypeError as error:
        raise ValueError(
            f"attention_options {config.attention_options} and model options {options} do not fit "
            f"{config.attention!r} and {config.model!r}: {error}"
        ) from None
    if config.control == "frozen":
        for block in attention_blocks(model).values():
            block.requires_grad_(False)
    return model


def _attention(config: TrainConfig) -> AttentionFactory | None:
    if config.control == "constant":
        factory = ConstantGate
    else:
        factory = make_attention(config.attention, **config.attention_options)
    return starting_as_identity(factory) if config.start_as_identity else factory
