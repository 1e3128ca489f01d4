"""A block of the learner's against the course's class, whatever its layers are and are called.

The learner's parameters are recognized by their shapes, and get the values of the course's block.
Axes of size 1 do not count, so a linear layer and a 1x1 convolution are the same; all matrices may
be stored transposed, for ``x @ W``; and a kernel that reads two maps may be a convolution for each
of them, or a matrix that multiplies windows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

import torch
from torch import Tensor, nn

from .errors import Wrong
from .trial import Mistakes, Trial, close, difference


def match(
    trial: Trial,
    block: nn.Module,
    truth: nn.Module,
    inputs: Sequence[Tensor],
    *,
    hint: str = "",
    flips: Mapping[str, int] = {},
    mistakes: Callable[[nn.Module, Tensor], Mistakes] | None = None,
) -> list[Tensor]:
    """Give ``block`` the random parameters of ``truth`` and compare what they make of ``inputs``.

    Args:
        trial: what fills the truth and calls the block.
        block: a module of the learner's.
        truth: a module of the course's.
        inputs: feature maps.
        hint: added when the parameters do not fit, to say what they should be.
        flips: parameters that the block may hold reversed along an axis, by their names in
            ``truth``, such as ``{"conv.weight": 1}`` for the order of the convolution's inputs.
        mistakes: from the truth and an input to pairs of a wrong output and its message.

    Returns:
        The learner's outputs, in float64.

    Raises:
        Wrong: if it is no module, its parameters do not fit, or an output differs.
    """
    trial.fill(truth)
    count_parameters(trial, block, inputs[0])
    with torch.no_grad():
        expected = [truth(x) for x in inputs]
        # One entry a mistake: its outputs for all inputs, and the message.
        known = []
        for cases in zip(*(mistakes(truth, x) for x in inputs), strict=True) if mistakes else ():
            known.append(([wrong for wrong, _ in cases], cases[0][1]))
        tries = []
        for values in _layouts(truth, flips):
            pairs = _shared_out(values, list(block.parameters()))
            if pairs is None:
                continue
            for parameter, value in pairs:
                parameter.data.copy_(value)
            outputs = [trial.tensor(trial.call(block, x), "Your block's output") for x in inputs]
            if _all_close(outputs, expected):
                return outputs
            tries.append(outputs)
    if not tries:
        mine = [f"{name} {list(value.shape)}" for name, value in block.named_parameters()]
        right = [str(list(value.squeeze().shape)) for value in truth.parameters()]
        raise Wrong(
            f"Your block has the parameters {', '.join(mine) or 'none'}; expected shapes, up to "
            f"axes of size 1: {', '.join(right)}. {hint}".rstrip()
        )
    for outputs, (wrong, message) in product(tries, known):
        if _all_close(outputs, wrong):
            raise Wrong(message)
    got, right = next(p for p in zip(tries[0], expected, strict=True) if not close(*p))
    raise Wrong(f"Your block's output {difference(got, right)}")


def as_module(block: object) -> nn.Module:
    """Return a learner's block in float64 and eval mode if it is a module, else raise ``Wrong``."""
    if not isinstance(block, nn.Module):
        raise Wrong(f"Your block should be an nn.Module; it is of type {type(block).__name__}.")
    return block.double().eval()


def count_parameters(trial: Trial, block: nn.Module, x: Tensor) -> int:
    """The number of parameters of a learner's block that takes ``x``."""
    trial.call(as_module(block), x)  # lazy layers get their shapes here
    return sum(parameter.numel() for parameter in block.parameters())


def expect_parameters(
    trial: Trial, make: Callable, arguments: Sequence[int], right: int, hint: str
) -> None:
    """Raise ``Wrong`` unless a block that is made for ``arguments`` has so many parameters.

    The first argument is the number of channels.
    """
    x = trial.features(1, arguments[0], 2, 2)
    found = count_parameters(trial, trial.call(make, *arguments), x)
    trial.expect(
        found == right,
        f"Made with the arguments {', '.join(map(str, arguments))} your block has {found} "
        f"parameters, expected {right}: {hint}",
    )


def _all_close(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(close(one, other) for one, other in zip(some, others, strict=True))


def _layouts(truth: nn.Module, flips: Mapping[str, int]) -> Iterator[list[Tensor]]:
    """The parameters of ``truth``, without axes of size 1: as they are, reversed, transposed."""
    named = {name: value.detach() for name, value in truth.named_parameters()}
    for transposed, flipped in product((False, True), (False, True) if flips else (False,)):
        values = [v.flip(flips[n]) if flipped and n in flips else v for n, v in named.items()]
        values = [value.squeeze() for value in values]
        yield [v.T if transposed and v.dim() == 2 else v for v in values]


def _shared_out(
    values: Sequence[Tensor], parameters: Sequence[nn.Parameter]
) -> list[tuple[nn.Parameter, Tensor]] | None:
    """Each parameter with the value of its shape, or None if they do not fit one another."""
    shapes = [[n for n in parameter.shape if n > 1] for parameter in parameters]
    left: list[Tensor] = []
    for value in values:
        if list(value.shape) in shapes or value.dim() == 0:
            left.append(value)
        elif [value.numel()] in shapes:
            left.append(value.flatten())
        else:
            left.extend(value.unbind())
    if len(left) != len(parameters):
        return None
    pairs = []
    for parameter, wanted in zip(parameters, shapes, strict=True):
        k = next((k for k, value in enumerate(left) if list(value.shape) == wanted), None)
        if k is None:
            return None
        pairs.append((parameter, left.pop(k).reshape(parameter.shape)))
    return pairs
