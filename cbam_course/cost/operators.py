"""The convolutions and matrix products that a model asks for, however it is written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

# The underscore notwithstanding, this is where PyTorch's notes ("Extending PyTorch") have it.
from torch.utils._python_dispatch import TorchDispatchMode

# PyTorch's matrix products, and where the two factors are among their arguments.
PRODUCTS = {
    "mm": 0, "bmm": 0, "mv": 0, "dot": 0, "vdot": 0,
    "addmm": 1, "baddbmm": 1, "addbmm": 1, "addmv": 1,
}  # fmt: skip
CONVOLUTIONS = ("convolution", "_convolution", "deform_conv2d")
# All the fully connected layers of a recurrent network at once, where a device has such operators.
RECURRENT = ("mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn")


@dataclass(frozen=True)
class Operation:
    """One convolution or matrix product that ran.

    Attributes:
        operator: its name in PyTorch's library of operators, such as ``"convolution"``.
        macs: its multiply-accumulates.
        rule: how they come about, as a Python expression: ``"64*112*112 * 3*7*7"``.
        counts: whether it is a layer's work, and not a product of two activations.
        biases: how many elements a bias is added to, which no rule here counts.
    """

    operator: str
    macs: int
    rule: str
    counts: bool
    biases: int


class Operators(TorchDispatchMode):
    """While active, tell ``record`` of every convolution and matrix product.

    Which tensors depend on the model's input is followed through all operators: what is computed
    from parameters, buffers and constants alone does not.
    """

    def __init__(self, model: nn.Module, record: Callable[[Operation], None]) -> None:
        super().__init__()
        self.record = record
        self.fixed = _Storages()
        for tensor in (*model.parameters(), *model.buffers()):
            self.fixed.add(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.name().partition("::")[2].partition(".")[0].rstrip("_")
        count = _formula(name)
        if count is None:
            # In inference mode `linear` and `matmul` arrive whole: look at what they are made of.
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out

        # Asked before the operator runs, for it may work in place.
        fixed = all(tensor in self.fixed for tensor in _tensors((args, kwargs)))
        layer = name not in PRODUCTS or any(x in self.fixed for x in _factors(name, args))
        out = func(*args, **kwargs)
        for tensor in _tensors(out):
            self.fixed.add(tensor) if fixed else self.fixed.remove(tensor)
        if count is not None:
            macs, rule = count(name, args, out)
            biases = out.numel() if layer and _has_bias(name, args) else 0
            self.record(Operation(name, macs, rule, layer and count != _self_attention, biases))
        return out


def _formula(name: str) -> Callable[[str, tuple, Tensor], tuple[int, str]] | None:
    if name in CONVOLUTIONS:
        return _convolution
    if name in PRODUCTS:
        return _product
    if name in RECURRENT:
        return _recurrent
    # One operator for both products of self-attention, and for every kind of device another one.
    if name.startswith("_scaled_dot_product") and "attention" in name:
        return _self_attention
    return None


def _convolution(name: str, args: tuple, out: Tensor) -> tuple[int, str]:
    x, weight = args[:2]
    transposed = name != "deform_conv2d" and args[6]
    return _times(x if transposed else out, weight.shape[1:])


def _product(name: str, args: tuple, out: Tensor) -> tuple[int, str]:
    first, _ = _factors(name, args)
    summed = first.shape[:1] if name == "addbmm" else ()
    return _times(out, (*summed, first.shape[-1]))


def _recurrent(name: str, args: tuple, out: Any) -> tuple[int, str]:
    x, weights = args[0], sum(w.numel() for w in _tensors(args[1:3]) if w.dim() == 2)
    return _times(x[..., 0], (weights,))


def _self_attention(name: str, args: tuple, out: Any) -> tuple[int, str]:
    query, key, value = args[:3]
    macs, rule = _times(query[..., 0], (key.shape[-2],))
    widths = (query.shape[-1], value.shape[-1])
    return macs * sum(widths), f"{rule} * ({widths[0]} + {widths[1]})"


def _factors(name: str, args: tuple) -> tuple[Tensor, ...]:
    start = PRODUCTS.get(name)
    return () if start is None else args[start : start + 2]


def _has_bias(name: str, args: tuple) -> bool:
    if name in CONVOLUTIONS:
        return args[4 if name == "deform_conv2d" else 2] is not None
    return PRODUCTS.get(name) == 1


def _times(elements: Tensor, each: tuple[int, ...]) -> tuple[int, str]:
    """So many multiply-accumulates for each element; a batch of 1 is not spelled out."""
    shape = [n for i, n in enumerate(elements.shape) if i or n != 1] or [1]
    macs = elements.numel()
    for n in each:
        macs *= n
    return macs, f"{'*'.join(map(str, shape))} * {'*'.join(map(str, each))}"


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)


class _Storages:
    """A set of tensors that holds, with a tensor, all its views."""

    def __init__(self) -> None:
        # Kept by its id, a storage cannot give way to another one of the same id.
        self._kept: dict[int, object] = {}

    @staticmethod
    def _storage(tensor: Tensor) -> object:
        try:
            return tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # sparse tensors have none
            return tensor

    def __contains__(self, tensor: Tensor) -> bool:
        return id(self._storage(tensor)) in self._kept

    def add(self, tensor: Tensor) -> None:
        storage = self._storage(tensor)
        self._kept[id(storage)] = storage

    def remove(self, tensor: Tensor) -> None:
        self._kept.pop(id(self._storage(tensor)), None)
