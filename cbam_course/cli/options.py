"""What several subcommands take: the names of blocks and networks, and NAME=VALUE options."""

import json
from collections.abc import Callable
from typing import Any

import click

# The names are those of cbam_course.attention and cbam_course.models, written out because importing
# either loads PyTorch, and help should not take seconds. A test compares them.
ATTENTION_NAMES = (
    "none", "se", "eca", "channel-fc", "channel-conv", "spatial", "cbam-fc", "cbam-conv",
)  # fmt: skip
MODEL_NAMES = (
    "cifar-cnn", "cifar-resnet", "resnet18", "resnet34", "resnet50", "resnet101", "wide-resnet18",
    "resnext50-32x4d", "resnext101-32x4d", "mobilenet-v1", "mobilenet-v2",
)  # fmt: skip

PYTHON_WORDS = {"True": True, "False": False, "None": None}
"""What JSON writes true, false and null: the documentation of the blocks is in Python's words."""


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
        command = click.option(
            "--attention-option",
            "attention_options",
            multiple=True,
            metavar="NAME=VALUE",
            callback=named_values,
            help="An argument of the block, such as reduction=8; may be repeated.",
        )(command)
        return click.option(
            "--attention", type=click.Choice(ATTENTION_NAMES), default="none", help=help
        )(command)

    return decorate


def model_options(help: str) -> Callable:
    """The option ``--model-option`` of a command, which gets ``model_options``, a dictionary.

    Args:
        help: what it is an argument of, and an example.
    """
    return click.option(
        "--model-option",
        "model_options",
        multiple=True,
        metavar="NAME=VALUE",
        callback=named_values,
        help=f"{help}; may be repeated.",
    )
