"""``cbam-course cost``: parameters and multiply-accumulates of networks."""

from functools import partial
from numbers import Integral
from typing import Any

import click

from .options import default_size, find_network, network_options, told_in_a_line


@click.command(context_settings={"show_default": True})
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@network_options
# Of torchvision's, or ours.
@told_in_a_line(ValueError, TypeError, RuntimeError, ModuleNotFoundError)
def cost(
    models: tuple[str, ...],
    attention: str,
    attention_options: dict[str, Any],
    model_options: dict[str, Any],
    input_size: tuple[int, ...] | None,
) -> None:
    """Count parameters and multiply-accumulates of networks.

    MODEL is a network of the course (cifar-cnn, cifar-resnet, resnet50, mobilenet-v1 and so on) or
    one of torchvision's for classification (vgg16, convnext_tiny and so on). With --attention each
    is counted without and with the block.

    By hand means: convolutions and fully connected layers, without bias; products of two
    activations are left out. Nothing is computed for that; torchinfo and ptflops run the network
    once each.

    \b
      cbam-course cost resnet50 --attention cbam-fc
      cbam-course cost resnet18 vgg16 convnext_tiny
    """  # noqa: D301
    import pandas as pd

    from cbam_course.attention import make_attention
    from cbam_course.cost import compare

    tables, blocks = [], {"": None}
    if (factory := make_attention(attention, **attention_options)) is not None:
        blocks[f" + {attention}"] = factory
    for name in dict.fromkeys(models):
        make, size = find_network(name, model_options), input_size or default_size(name)
        networks = {name + suffix: partial(make, block) for suffix, block in blocks.items()}
        table = compare(networks, size)
        table.insert(0, "input", "x".join(map(str, size)))
        tables.append(table)
    click.echo(pd.concat(tables).map(_shown).rename_axis(None).T.to_string())


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2%}"
    return f"{value:,}" if isinstance(value, Integral) else str(value)
