"""``cbam-course cost``: parameters and multiply-accumulates of networks."""

import warnings
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from itertools import product
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import attention_options, model_options

if TYPE_CHECKING:
    from torch import nn


class _Size(click.ParamType):
    """A shape such as 3x224x224."""

    name = "size"

    def convert(self, value: Any, *context: Any) -> tuple[int, ...]:
        try:
            size = tuple(int(part) for part in value.lower().split("x"))
        except ValueError:
            size = ()
        if not size or min(size) < 1:
            self.fail(f"{value!r} is not a shape such as 3x224x224", *context)
        return size


@click.command(context_settings={"show_default": True})
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@attention_options("Count the networks with this block too.")
@model_options("An argument of the networks, such as num_classes=10")
@click.option(
    "--input",
    "input_size",
    type=_Size(),
    metavar="CxHxW",
    help="Shape of an image.  [default: 3x224x224; 3x32x32 for cifar-...]",
)
@click.option("--layers", is_flag=True, help="Show the layers instead of the totals.")
@click.option("--tools/--no-tools", default=True, help="Ask torchinfo and ptflops too.")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the table, or with --layers that of the layers, to FILE.",
)
def cost(
    models: tuple[str, ...],
    attention: str,
    attention_options: dict[str, Any],
    model_options: dict[str, Any],
    input_size: tuple[int, ...] | None,
    layers: bool,
    tools: bool,
    csv_file: Path | None,
) -> None:
    """Count parameters and multiply-accumulates of networks.

    MODEL is a network of the course (cifar-cnn, cifar-resnet, resnet50, mobilenet-v1 and so on) or
    one of torchvision's for classification (vgg16, convnext_tiny and so on). With --attention each
    is counted without and with the block.

    By hand means: convolutions and fully connected layers, without bias; products of two
    activations are left out. Nothing is computed for that; the tools run the network once each.

    \b
      cbam-course cost resnet50 --attention cbam-fc
      cbam-course cost cifar-cnn --attention eca --layers
      cbam-course cost resnet18 vgg16 convnext_tiny --no-tools --csv costs.csv
    """  # noqa: D301
    import pandas as pd

    from cbam_course.attention import make_attention
    from cbam_course.cost import TOOLS, compare, count

    tables = []
    try:
        factory = make_attention(attention, **attention_options)
        blocks = {"": None} if factory is None else {"": None, f" + {attention}": factory}
        for name, (suffix, block) in product(dict.fromkeys(models), blocks.items()):
            make = partial(_maker(name, model_options), block)
            size = input_size or ((3, 32, 32) if name.startswith("cifar") else (3, 224, 224))
            if layers:
                table = count(make, size).layers
                table.index = [name + suffix] * len(table)
            else:
                table = compare({name + suffix: make}, size, tools=TOOLS if tools else ())
                table.insert(0, "input", [size])
            tables.append(table)
        table = pd.concat(tables).rename_axis("model")
        if csv_file is not None:
            table.map(lambda value: _shape(value) or value).to_csv(csv_file)
    except (ValueError, TypeError, RuntimeError, OSError) as error:  # of torchvision's, or ours
        raise click.ClickException(str(error)) from None
    if layers:
        for name, one in table.groupby("model", sort=False):
            click.echo(f"{name}\n{one.map(_shown).to_string(index=False)}\n")
    else:
        click.echo(table.map(_shown).rename_axis(None).T.to_string())
    if csv_file is not None:
        click.echo(f"Written to {csv_file}")


def _maker(name: str, options: dict[str, Any]) -> Callable[..., "nn.Module"]:
    """A function ``attention factory -> network``: the course's network, or torchvision's."""
    from torchvision import models as torchvision_models

    from cbam_course.models import MODEL_NAMES, insert_attention, make_model

    def torchvisions(attention: Any) -> "nn.Module":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # on initial weights, which no one sees
            network = torchvision_models.get_model(name, weights=None, **options)
        if attention is not None:
            insert_attention(network, attention)
        return network

    others = torchvision_models.list_models(module=torchvision_models)
    if name.replace("-", "_") in MODEL_NAMES:
        return partial(make_model, name, **options)
    if name in others:
        return torchvisions
    close = get_close_matches(name.replace("-", "_"), {*MODEL_NAMES, *others})
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise ValueError(f"there is no network {name!r} in the course or in torchvision{hint}")


def _shape(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else ""


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2%}"
    if isinstance(value, Integral) and not isinstance(value, bool):
        return f"{value:,}"
    return _shape(value) or str(value)
