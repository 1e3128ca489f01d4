"""``cbam-course cost``: parameters and multiply-accumulates of networks."""

import warnings
from collections.abc import Callable
from difflib import get_close_matches
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import attention_options, model_options

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

LINES = {
    "input": "input",
    "parameters": "parameters",
    "attention's parameters": "  of attention blocks",
    "by hand": "multiply-accumulates by hand",
    "attention's by hand": "  of attention blocks",
    "left out": "  left out",
    "torchinfo": "  by torchinfo",
    "ptflops aten": "  by ptflops, aten",
    "ptflops pytorch": "  by ptflops, pytorch",
}
"""The lines of the table, in their order; the shares and what is left out only if there is any."""
OPTIONAL = ("attention's parameters", "attention's by hand", "left out")


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
@click.option("--layers", is_flag=True, help="Show each layer, and how it is counted.")
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

    from cbam_course.cost import TOOLS, compare, count

    networks = _networks(models, attention, attention_options, model_options)
    rows, details = [], {}
    for name, (size, network) in networks.items():
        size = input_size or size
        try:
            row = compare({name: network}, size, tools=TOOLS if tools else ())
            if layers:
                details[name] = count(network, size).layers
        except ValueError as error:
            raise click.ClickException(f"{name}: {error}") from None
        row.insert(0, "input", _shape(size))
        rows.append(row)
    table = pd.concat(rows).rename_axis("model")
    for name, one in details.items():
        click.echo(f"{name}\n{_layers_text(one)}\n")
    click.echo(_text(table))
    if csv_file is not None:
        _write(pd.concat(details, names=["model"]).droplevel(1) if layers else table, csv_file)


def _networks(
    models: tuple[str, ...],
    attention: str,
    attention_options: dict[str, Any],
    model_options: dict[str, Any],
) -> dict[str, tuple[tuple[int, ...], "nn.Module"]]:
    """The networks by the name of their column, each with the size of its images."""
    from cbam_course.attention import make_attention
    from cbam_course.cost import make_without_memory

    networks = {}
    try:
        factory = make_attention(attention, **attention_options)
        for name in dict.fromkeys(models):
            make = _maker(name, model_options)
            small = name.replace("-", "_").startswith("cifar_")
            size = (3, 32, 32) if small else (3, 224, 224)
            networks[name] = size, make_without_memory(make)
            if factory is not None:
                with_block = make_without_memory(lambda make=make: make(factory))
                networks[f"{name} + {attention}"] = size, with_block
    except (ValueError, TypeError, RuntimeError, OSError) as error:  # of torchvision's, or ours
        raise click.ClickException(str(error)) from None
    return networks


def _maker(name: str, options: dict[str, Any]) -> Callable[..., "nn.Module"]:
    """A function ``attention factory -> network``: the course's network, or torchvision's."""
    from torchvision import models as torchvision_models

    from cbam_course.models import MODEL_NAMES, insert_attention, make_model

    def torchvisions(attention: Any = None) -> "nn.Module":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # on initial weights, which no one sees
            network = torchvision_models.get_model(name, weights=None, **options)
        if attention is not None:
            insert_attention(network, attention)
        return network

    others = torchvision_models.list_models(module=torchvision_models)
    if name.replace("-", "_") in MODEL_NAMES:
        return lambda attention=None: make_model(name, attention, **options)
    if name in others:
        return torchvisions
    close = get_close_matches(name.replace("-", "_"), {*MODEL_NAMES, *others})
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise ValueError(f"there is no network {name!r} in the course or in torchvision{hint}")


def _shape(size: tuple[int, ...] | str | None) -> str:
    return size if isinstance(size, str) else "x".join(map(str, size or ()))


def _text(table: "pd.DataFrame") -> str:
    """The networks side by side, one line per number."""
    lines = [["", *table.index]]
    for column, label in LINES.items():
        if column in table and (column not in OPTIONAL or table[column].any()):
            lines.append([label, *map(_number, table[column])])
    text = _aligned(lines, left=(0,))
    if table.isna().any(axis=None):
        text += "\n-: this tool cannot count this network"
    return text


def _layers_text(layers: "pd.DataFrame") -> str:
    """One line per layer; those of attention blocks are marked."""
    columns = ["layer", "kind", "output", "parameters", "calls", "rule", "macs"]
    if layers["left_out"].any():
        columns.append("left_out")
    lines = [columns]
    for layer in layers.to_dict("records"):
        layer["layer"] += " *" * layer["attention"]
        layer["output"] = _shape(layer["output"])
        lines.append([_number(layer[column]) for column in columns])
    mark = "\n*: in an attention block" if layers["attention"].any() else ""
    return _aligned(lines, left=(0, 1)) + mark


def _aligned(lines: list[list[str]], left: tuple[int, ...]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _number(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.2%}"
    return f"{value:,}" if isinstance(value, Integral) else "-"


def _write(table: "pd.DataFrame", path: Path) -> None:
    from cbam_course.files import write_whole

    shapes = {name: table[name].map(_shape) for name in ("input", "output") if name in table}
    try:
        write_whole(path, table.assign(**shapes).to_csv)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Written to {path}")
