"""Options that are read from the configuration, and what several subcommands take."""

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, Field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from cbam_course.config import CHOICES, TrainConfig
from cbam_course.labels import LABELS

if TYPE_CHECKING:
    from torch import nn

PYTHON_WORDS = {"True": True, "False": False, "None": None}
"""What JSON writes true, false and null: the documentation of the blocks is in Python's words."""

SPELLINGS = {
    "learning_rate": ("--lr", "--learning-rate"),
    "attention_options": ("--attention-option",),
    "model_options": ("--model-option",),
}
"""The options that are not called like their fields."""


BLOCKS = f"[{'|'.join(LABELS)}|timm:NAME]"
"""The blocks as the help shows them: the course's, and timm's, such as timm:gc."""

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
DATA_FOLDER = click.option("--data-folder", type=FOLDER, help="Where CIFAR-10 is or is to be kept.")


@contextmanager
def told_in_a_line(*errors: type[Exception]) -> Iterator[None]:
    """For a command that ends with the message of such an error, and without a traceback."""
    try:
        yield
    except errors as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def interruptible(how: str = "the same command goes on from here") -> Iterator[None]:
    """For a command that Ctrl-C or a request to end stops, and that says how it can go on."""
    for number in (signal.SIGINT, signal.SIGTERM):  # see cbam_course/__main__.py
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"Stopped; {how}.", err=True)
        sys.exit(130)


def values(kind: Callable[[str], Any], mark: str, example: str) -> Callable[[str], tuple]:
    """A type of option: values of one kind with a mark between them, such as 16,32,64."""

    def value(text: str) -> tuple:
        try:
            return tuple(map(kind, text.split(mark)))
        except ValueError:
            raise click.BadParameter(f"{text!r} is not of the form {example}") from None

    value.__name__ = "value,..."  # as the help shows it
    return value


def _named_values(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, Any]:
    """``("reduction=8", "bias=True")`` as a dictionary."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE, such as reduction=8")
        try:
            values[name.strip()] = json.loads(value)
        except ValueError:
            values[name.strip()] = PYTHON_WORDS.get(value.strip(), value)
    return values


def _named(name: str, help: str) -> Callable:
    """A repeated option, of which the command gets a dictionary."""
    return click.option(
        SPELLINGS[name][0], name, multiple=True, metavar="NAME=VALUE", callback=_named_values,
        help=f"{help} May be repeated.",
    )  # fmt: skip


def network_options(command: Callable) -> Callable:
    """What a command about networks takes: blocks, arguments, and the shape of an image.

    The command gets ``attention`` (a name), ``attention_options`` and ``model_options``
    (dictionaries), and ``input_size`` (a tuple or ``None``).
    """
    for option in (
        click.option(
            "--input", "input_size", type=values(int, "x", "3x224x224"), metavar="CxHxW",
            help="Shape of an image.  [default: 3x224x224; 3x32x32 for cifar-...]",
        ),
        _named("model_options", "An argument of the network, such as num_classes=10."),
        _named("attention_options", "An argument of the block, such as reduction=8."),
        click.option(
            "--attention", metavar=BLOCKS, default="none",
            help="The block at each insertion point of the network.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def find_network(name: str, options: dict[str, Any]) -> "Callable[[Any], nn.Module]":
    """A function ``attention factory -> network``: the course's network, or torchvision's."""
    from torchvision.models import get_model

    from cbam_course.models import MODEL_NAMES, insert_attention, make_model

    if name.replace("-", "_") in MODEL_NAMES:
        return partial(make_model, name, **options)

    def torchvisions(attention: Any) -> "nn.Module":
        network = get_model(name, **{"weights": None, **options})
        if attention is not None:
            insert_attention(network, attention)
        return network

    return torchvisions


def default_size(name: str) -> tuple[int, ...]:
    """Shape of an image for a network of that name."""
    return (3, 32, 32) if name.startswith("cifar") else (3, 224, 224)


def configuration(command: Callable) -> Callable:
    """An option for each field of :class:`~cbam_course.config.TrainConfig`, told by its docstring.

    The command gets every field by its name.
    """
    told = _told()
    for field in reversed(fields(TrainConfig)):
        command = _option(field, told[field.name])(command)
    return command


def _option(field: Field, help: str) -> Callable:
    name = field.name
    if field.default is MISSING:
        return _named(name, help)
    spellings = SPELLINGS.get(name, (f"--{name.replace('_', '-')}",))
    # Of `int | None` the type is int, of `tuple[int, ...] | None` it is tuple[int, ...].
    kind = (get_args(field.type) or (field.type,))[0]
    metavar = BLOCKS if name == "attention" else None  # the configuration knows timm's, too
    if name in CHOICES and name != "attention":
        kind = click.Choice([name for name in CHOICES[name] if name not in (None, "custom")])
    elif kind is bool:
        spellings = (f"{spellings[0]}/--no-{spellings[0][2:]}",)
    elif get_args(kind):
        kind = values(get_args(kind)[0], ",", "16,32,64")
    return click.option(
        *spellings, name, type=kind, metavar=metavar, default=field.default, help=help
    )


def _told() -> dict[str, str]:
    """The first sentence about each field in the configuration's docstring, as plain text."""
    told = {}
    entries = re.findall(r"^        (\w+): (.+(?:\n {12}.+)*)", TrainConfig.__doc__ or "", re.M)
    for name, meaning in entries:
        sentence = re.split(r"(?<=[^.])[.;] ", " ".join(meaning.split()))[0].rstrip(".")
        told[name] = f"{sentence[0].upper()}{sentence[1:]}.".replace("`", "")
    return told
