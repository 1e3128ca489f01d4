"""Networks made for their shapes alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


@contextmanager
def shapes_only() -> Iterator[None]:
    """Make tensors on the "meta" device meanwhile: they take no memory and draw no random numbers.

    What would fill them with first values is left out, since it takes half of the time.
    """
    with torch.device("meta"), _WithoutValues():
        yield


class _WithoutValues(TorchFunctionMode):
    """Leaves a tensor on the meta device as it is where it would be given values."""

    FILLING = frozenset({Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_})

    def __torch_function__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in self.FILLING and args[0].is_meta:
            return args[0]
        return function(*args, **(kwargs or {}))
