"""A block of the learner's against the course's class, whatever its layers are and are called.

The learner's parameters are found by their shapes: axes of size 1 do not count, so a linear layer
and a 1x1 convolution are the same, and a matrix may be stored transposed. Then both blocks get the
same values. A correct block has one way at least to share them out that gives the same output.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from .errors import Wrong
from .trial import Mistakes, Trial, close, difference

MOST_WAYS = 200


def match(
    trial: Trial,
    block: nn.Module,
    truth: nn.Module,
    inputs: Sequence[Tensor],
    *,
    name: str = "Your block's output",
    hint: str = "",
    optional: Sequence[str] = (),
    flips: Mapping[str, int] = {},
    mistakes: Callable[[nn.Module, Tensor], Mistakes] | None = None,
) -> list[Tensor]:
    """Give ``block`` the random parameters of ``truth`` and compare what they make of ``inputs``.

    Args:
        trial: the trial of the check.
        block: a module of the learner's.
        truth: a module of the course's, with all parameters that the block may have.
        inputs: feature maps.
        name: how a message calls the output.
        hint: added when the parameters do not fit, to say what they should be.
        optional: endings of the names of parameters that the block may lack, such as ``"bias"``;
            they are zero, so that blocks with and without them print the same.
        flips: parameters that the block may hold reversed along an axis, by their names in
            ``truth``, such as ``{"conv.weight": 1}`` for the order of the convolution's inputs.
        mistakes: from the truth and an input to pairs of a wrong output and its message.

    Returns:
        The learner's outputs, in float64.

    Raises:
        Wrong: if it is no module, its parameters do not fit, or an output differs.
    """
    if not isinstance(block, nn.Module):
        raise Wrong(f"Your block should be an nn.Module; it is of type {type(block).__name__}.")
    trial.fill(truth, skip=optional)
    block = block.double().eval()
    trial.call(block, inputs[0])  # lazy layers get their shapes here
    block = block.double()
    with torch.no_grad():
        expected = [truth(x) for x in inputs]
        # One list a mistake: its output for every input, and the message.
        known = list(zip(*(mistakes(truth, x) for x in inputs), strict=True)) if mistakes else []
        first = message = None
        for values in islice(_assignments(block, truth, optional, flips), MOST_WAYS):
            for parameter, value in values:
                parameter.data.copy_(value)
            outputs = [trial.tensor(trial.call(block, x), name) for x in inputs]
            if _all_close(outputs, expected):
                return outputs
            first = first or outputs
            for cases in known:
                wrong = [case[0] for case in cases]
                if message is None and _all_close(outputs, wrong):
                    message = cases[0][1]
    if first is None:
        raise Wrong(_inventory(block, truth, optional, hint))
    if message:
        raise Wrong(message)
    got, right = next(p for p in zip(first, expected, strict=True) if not close(*p))
    raise Wrong(f"{name} {difference(got, right)}")


def _all_close(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(close(one, other) for one, other in zip(some, others, strict=True))


def count_parameters(trial: Trial, block: nn.Module, x: Tensor) -> int:
    """The number of parameters of a learner's block that takes ``x``."""
    trial.call(block.double(), x)  # lazy layers get their shapes here
    return sum(parameter.numel() for parameter in block.parameters())


def _assignments(
    block: nn.Module, truth: nn.Module, optional: Sequence[str], flips: Mapping[str, int]
) -> Iterator[list[tuple[nn.Parameter, Tensor]]]:
    """Every way to share out the values of ``truth`` among the parameters of ``block``."""
    wanted = [(name, value.detach().clone()) for name, value in truth.named_parameters()]

    def search(place: int, left: list[nn.Parameter]) -> Iterator[list]:
        if place == len(wanted):
            if not left:
                yield []
            return
        name, value = wanted[place]
        for parameter in left:
            rest = [other for other in left if other is not parameter]
            for view in _views(value, parameter.shape, flips.get(name)):
                for more in search(place + 1, rest):
                    yield [(parameter, view), *more]
        if name.endswith(tuple(optional)):
            yield from search(place + 1, left)

    return search(0, list(block.parameters()))


def _views(value: Tensor, shape: torch.Size, flip: int | None) -> Iterator[Tensor]:
    """``value`` in the given shape: as it is, transposed, or reversed along an axis."""
    versions = [value] if flip is None else [value, value.flip(flip)]
    for version in versions:
        squeezed = version.squeeze()
        for turned in (squeezed, squeezed.T) if squeezed.dim() == 2 else (squeezed,):
            if list(turned.shape) == [n for n in shape if n > 1]:
                yield turned.reshape(shape)


def _inventory(block: nn.Module, truth: nn.Module, optional: Sequence[str], hint: str) -> str:
    mine = [f"{name} {list(value.shape)}" for name, value in block.named_parameters()]
    right = [
        f"{list(value.squeeze().shape)}{' if you like' if name.endswith(tuple(optional)) else ''}"
        for name, value in truth.named_parameters()
    ]
    return (
        f"Your block has the parameters {', '.join(mine) or 'none'}; expected shapes, up to axes "
        f"of size 1: {', '.join(right)}. {hint}"
    ).rstrip()
