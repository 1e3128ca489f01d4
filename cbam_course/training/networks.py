"""The network that a configuration names."""

from functools import partial

import torch
from torch import nn

from cbam_course.attention import (
    ConstantGate,
    attention_blocks,
    make_attention,
    starting_as_identity,
)
from cbam_course.config import TrainConfig


def build_model(config: TrainConfig, num_classes: int, in_channels: int = 3) -> nn.Module:
    """The network a configuration names, with fresh random weights.

    Raises:
        ValueError: if the model is ``"custom"``, or for whatever the network or the block refuses.
    """
    from cbam_course import models  # whose torchvision takes seconds to load

    if config.model == "custom":
        raise ValueError("the model 'custom' has to be handed over: train(config, model=...)")
    given = {name: getattr(config, name) for name in ("widths", "dropout")}
    given = {name: value for name, value in given.items() if value is not None}
    options, where = config.attention_options, config.insertion_points
    try:
        if config.control == "constant":
            attention = partial(ConstantGate, **options)
        else:
            attention = make_attention(config.attention, **options)
        if config.start_as_identity:
            attention = starting_as_identity(attention)
        model = models.make_model(
            config.model,
            attention if where is None else None,
            weights=None,
            num_classes=num_classes,
            in_channels=in_channels,
            **given,
            **config.model_options,
        )
        if where is not None:
            example = torch.zeros(1, in_channels, 32, 32)
            models.insert_attention(model, attention, where, example=example)
    except TypeError as error:
        raise ValueError(
            f"attention_options {options} and model_options {config.model_options} do not fit "
            f"{config.attention!r} and {config.model!r}: {error}"
        ) from None
    if config.control == "frozen":
        for block in attention_blocks(model).values():
            block.requires_grad_(False)
    return model
