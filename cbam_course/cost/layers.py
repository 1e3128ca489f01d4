"""Which layer of a network did which work: each product, booked to the module that asked for it."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

# The underscore notwithstanding, this is where PyTorch's notes ("Extending PyTorch") have it.
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

Model = nn.Module | Callable[[], nn.Module]
InputSize = Sequence[int]


@dataclass
class Run:
    """One call of a module: its inputs, the shape of its output, and its own multiply-accumulates.

    ``macs`` are those of layers, ``left_out`` those of products of two activations; what the
    modules inside did is in runs of their own.
    """

    module: nn.Module
    inputs: list[Tensor]
    output: tuple[int, ...] = ()
    macs: int = 0
    left_out: int = 0

    @property
    def kind(self) -> str:
        return type(self.module).__name__

    @property
    def input(self) -> tuple[int, ...]:
        return tuple(self.inputs[0].shape) if self.inputs else ()


def follow(model: Model, input_size: InputSize = (3, 224, 224)) -> tuple[nn.Module, list[Run]]:
    """Run a copy of ``model`` once, in evaluation mode: the copy, and what each module did.

    The copy runs on the meta device, where nothing is computed and every operator is made of the
    same parts; or, if its way depends on the values of tensors, on the CPU.

    Raises:
        ValueError: if ``model`` does not run on such an input.
    """
    model, example = made(model), torch.zeros(1, *input_size, device="meta")
    for device in ("meta", "cpu"):
        try:
            copied, (x,) = on_device(device, model, [example])
            return copied, _follow(copied, x)
        except Exception as error:
            failure = error
    raise ValueError(
        f"{type(model).__name__} does not run on an input of shape {list(example.shape)}: {failure}"
    ) from failure


def made(model: Model) -> nn.Module:
    """``model``, or what it makes: on the meta device, or on the CPU if it needs values."""
    if isinstance(model, nn.Module):
        return model
    with torch.random.fork_rng([]):
        try:
            with torch.device("meta"):
                return model()
        except (NotImplementedError, RuntimeError):
            return model()


def on_device(
    device: str, model: nn.Module, inputs: list[Tensor]
) -> tuple[nn.Module, list[Tensor]]:
    """Copies of ``model``, in evaluation mode, and of ``inputs``, in float32 on ``device``."""

    def moved(tensor: Tensor) -> Tensor:
        dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
        if tensor.is_meta:
            return torch.zeros_like(tensor, dtype=dtype, device=device)
        return tensor.detach().to(device, dtype, copy=True)

    # The copies are made here, so that a weight with two names stays one; and a result that a
    # module keeps, such as its last map, has a history that cannot be copied otherwise.
    kept = [*model.buffers(), *(value for m in model.modules() for value in vars(m).values())]
    copies = {id(x): moved(x) for x in kept if isinstance(x, Tensor)}
    copies |= {id(p): nn.Parameter(moved(p), p.requires_grad) for p in model.parameters()}
    return copy.deepcopy(model, copies).eval(), [moved(x) for x in inputs]


def _follow(model: nn.Module, x: Tensor) -> list[Run]:
    runs, running = [], []

    def enter(module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        runs.append(Run(module, [x.detach() for x in tensors((args, kwargs))]))
        running.append(runs[-1])

    def leave(module: nn.Module, args: tuple, output: Any) -> None:
        running.pop().output = next((tuple(x.shape) for x in tensors(output)), ())

    hooks = []
    for module in model.modules():
        hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        hooks.append(module.register_forward_hook(leave))
    with torch.random.fork_rng([]), torch.no_grad(), x.device:
        with sdpa_kernel(SDPBackend.MATH), _Products(model, running):
            model(x)
    for hook in hooks:
        hook.remove()
    return runs


class _Products(TorchDispatchMode):
    """While active, add each convolution and matrix product to the innermost run.

    The formulas are those of :class:`torch.utils.flop_counter.FlopCounterMode`, which counts a
    multiply-accumulate as two operations.
    """

    def __init__(self, model: nn.Module, running: list[Run]) -> None:
        super().__init__()
        self.running = running
        weights = (*model.parameters(), *model.buffers())
        self.weights = {x.untyped_storage() for x in weights}  # which a tensor's views share

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func.overloadpacket)
        if formula is None:
            # In inference mode `linear` and `matmul` arrive whole: look at what they are made of.
            with self:
                out = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if out is NotImplemented else out
        out = func(*args, **kwargs)
        macs = formula(*args, **kwargs, out_val=out) // 2
        name, factors = func.overloadpacket.__name__, tensors(args)[-2:]
        batched = "bmm" in name or "attention" in name
        if batched and not any(x.untyped_storage() in self.weights for x in factors):
            self.running[-1].left_out += macs
        else:
            self.running[-1].macs += macs
        return out


def tensors(values: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dictionaries."""
    return [x for x in tree_leaves(values) if isinstance(x, Tensor)]
