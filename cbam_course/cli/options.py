"""Options that are read from the configuration, and what several subcommands take."""

import json
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click

from cbam_course.config import CHOICES, TrainConfig
from cbam_course.labels import LABELS

PYTHON_WORDS = {"True": True, "False": False, "None": None}
"""What JSON writes true, false and null: the documentation of the blocks is in Python's words."""

NAMES = {
    "learning_rate": ("--lr", "--learning-rate"),
    "attention_options": ("--attention-option",),
    "model_options": ("--model-option",),
    "attention_places": ("--attention-place",),
}
"""The options that are not called like their fields."""

DATA_FOLDER = click.option(
    "--data-folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where CIFAR-10 is or is to be kept.",
)


def named_values(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, Any]:
    """Callback of a repeated option: ``("reduction=8", "bias=True")`` as a dictionary."""
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


def attention_options(help: str) -> Callable:
    """The options ``--attention`` and ``--attention-option`` of a command.

    The command gets ``attention``, a name, and ``attention_options``, a dictionary.

    Args:
        help: where the block goes.
    """

    def decorate(command: Callable) -> Callable:
        command = _repeated("attention_options", "An argument of the block, such as reduction=8")(
            command
        )
        kind = click.Choice(tuple(LABELS))
        return click.option("--attention", type=kind, default="none", help=help)(command)

    return decorate


def model_options(help: str) -> Callable:
    """The option ``--model-option`` of a command, which gets ``model_options``, a dictionary.

    Args:
        help: what it is an argument of, and an example.
    """
    return _repeated("model_options", help)


def configuration(command: Callable) -> Callable:
    """An option for each field of :class:`~cbam_course.config.TrainConfig`, told by its docstring.

    The command gets every field by its name.
    """
    told = _told()
    for field in reversed(fields(TrainConfig)):
        default = {} if field.default is MISSING else field.default
        command = _option(field.name, field.type, default, told[field.name])(command)
    return command


def _option(name: str, kind: Any, default: Any, help: str) -> Callable:
    names = NAMES.get(name, (f"--{name.replace('_', '-')}",))
    if kind is bool:
        return click.option(f"{names[0]}/--no-{names[0][2:]}", name, default=default, help=help)
    if default == {}:
        return _repeated(name, help)
    if name == "attention_places":
        return click.option(
            *names, name, multiple=True, metavar="PATTERN", help=f"{help} May be repeated.",
            callback=lambda context, option, patterns: patterns or None,
        )  # fmt: skip
    if name == "widths":
        return click.option(*names, name, metavar="N,N,N", callback=_numbers, help=help)
    if name in CHOICES:
        choices = [choice for choice in CHOICES[name] if choice not in (None, "custom")]
        return click.option(*names, name, type=click.Choice(choices), default=default, help=help)
    plain = {int: int, int | None: int, float: float, float | None: float}.get(kind, str)
    return click.option(*names, name, type=plain, default=default, help=help)


def _repeated(name: str, help: str) -> Callable:
    return click.option(
        NAMES[name][0], name, multiple=True, metavar="NAME=VALUE", callback=named_values,
        help=f"{help.rstrip('.')}; may be repeated.",
    )  # fmt: skip


def _numbers(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 64,128,256") from None


def _told() -> dict[str, str]:
    """The first sentence about each field in the configuration's docstring, as plain text."""
    text = TrainConfig.__doc__ or ""
    told = {}
    for name, meaning in re.findall(r"^        (\w+): (.+(?:\n {12}.+)*)", text, re.M):
        meaning = " ".join(meaning.split())
        meaning = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", meaning).replace("`", "")
        # {"depths": [9, 9]} is typed as depths=[9,9].
        meaning = re.sub(
            r'\{"(\w+)": (.+?)\}', lambda m: f"{m[1]}={m[2].replace(' ', '')}", meaning
        )
        sentence = re.split(r"(?<=[^.])[.;] ", meaning)[0].rstrip(".")
        told[name] = f"{sentence[0].upper()}{sentence[1:]}."
    return told
