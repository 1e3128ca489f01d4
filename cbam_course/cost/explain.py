"""Where the tools differ from the count by hand: their numbers taken apart by kind of layer."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
from ptflops.aten_ops import ATEN_OPS_MAPPING
from ptflops.pytorch_ops import FUNCTIONAL_MAPPING, MODULES_MAPPING, TENSOR_OPS_MAPPING
from torch import nn

from .count import follow
from .layers import Layers
from .running import Inputs, InputSize, check_model, make_inputs
from .tools import TOOLS, ToolFailed, check_tool, stand_in, torchinfo_summary

OTHER = "(elsewhere)"
"""In place of a kind of layer: what a tool adds to, or drops from, the sum over the layers."""
ELSEWHERE = "layers under several names, or within one it knows"
TIMES = {1: "once", 2: "twice", 3: "three times", 4: "four times"}


def explain(
    model: nn.Module,
    input_size: InputSize = (3, 224, 224),
    *,
    inputs: Inputs = None,
    tools: Iterable[str] = tuple(TOOLS),
) -> pd.DataFrame:
    """Where each tool's multiply-accumulates differ from those by hand, and why.

    The tools run, and each number they add is booked to the kind of layer (the class of the
    innermost module) that runs. The reason is found by comparing the difference with what could
    make it: the additions of biases, the number of parameters, of elements of input and output. If
    none of these gives the very number, it says ``"another rule"``.

    Args:
        model: the model.
        input_size: shape of one example, without the batch; the batch has size 1.
        inputs: the model's input, or a tuple of its inputs, instead of ``input_size``.
        tools: which of :data:`TOOLS` to explain.

    Returns:
        One row per tool and kind of layer that differ, with columns ``tool``, ``kind``, ``by
        hand``, ``tool counts``, ``difference`` and ``because``. For every tool the differences sum
        up to its total minus that by hand. A tool that fails has one row, which says why.

    Raises:
        ValueError: for an unknown tool, and for what :func:`~cbam_course.cost.count` refuses.
    """
    check_model(model)
    tools = tuple(map(check_tool, tools))
    expected = _by_kind(follow(model, make_inputs(model, input_size, inputs)))
    rows = []
    for tool in tools:
        try:
            found = _taken_apart(tool, model, input_size, inputs)
        except ToolFailed as error:
            rows.append((tool, OTHER, None, None, None, str(error)))
            continue
        for kind in {**expected, **found}:
            work, count = expected.get(kind, Work()), found.get(kind, Counts())
            if count.total != work.macs:
                because = ELSEWHERE if kind == OTHER else work.reason(count)
                difference = count.total - work.macs
                rows.append((tool, kind, work.macs, count.total, difference, because))
    columns = ["tool", "kind", "by hand", "tool counts", "difference", "because"]
    numbers = {name: "Int64" for name in columns[2:5]}
    return pd.DataFrame(rows, columns=columns).astype(numbers)


@dataclass
class Counts:
    """What a tool counts for one kind of layer."""

    module: int = 0
    function: int = 0

    @property
    def total(self) -> int:
        return self.module + self.function


@dataclass
class Work:
    """What the layers of one kind did, and what a tool might count of it."""

    macs: int = 0
    left_out: int = 0
    biases: int = 0
    parameters: int = 0
    input_elements: int = 0
    output_elements: int = 0

    def reason(self, counts: Counts) -> str:
        """Why a tool counts something else than ``macs``, in words."""
        if self.macs == 0 and counts.module == counts.function:
            return f"{self._reason(counts.module)}, for the module and again for its function"
        return self._reason(counts.total)

    def _reason(self, count: int) -> str:
        extra = count - self.macs
        if count == 0:
            return "not counted"
        if extra == self.biases:
            return "additions of the bias"
        if extra == self.left_out:
            return "products of two activations"
        if extra == self.biases + self.left_out:
            return "additions of the bias, products of two activations"
        if count == self.parameters:
            return "each parameter once" + (", however many outputs it serves" if self.macs else "")
        if self.macs:
            return "another rule"
        for place, elements in (("input", self.input_elements), ("output", self.output_elements)):
            if elements and extra % elements == 0 and extra // elements in TIMES:
                return f"{TIMES[extra // elements]} each element of the {place}"
        return "another rule"


def _by_kind(layers: Layers) -> dict[str, Work]:
    kinds: dict[str, Work] = {}
    for layer in layers:
        work = kinds.setdefault(layer.kind, Work())
        work.macs += layer.macs
        work.left_out += layer.left_out
        work.biases += layer.biases
        work.parameters += layer.parameters * layer.calls
        work.input_elements += layer.input_elements
        work.output_elements += layer.output_elements
    return kinds


def _taken_apart(
    tool: str, model: nn.Module, input_size: InputSize, inputs: Inputs
) -> dict[str, Counts]:
    """What ``tool`` counts, by kind of layer."""
    kinds: defaultdict[str, Counts] = defaultdict(Counts)
    copied, inputs = stand_in(model, input_size, inputs)
    if tool == "torchinfo":
        summary = torchinfo_summary(copied, inputs)
        total = summary.total_mult_adds
        for layer in summary.summary_list:
            if layer.is_leaf_layer:
                kinds[layer.class_name].module += layer.macs
    else:
        layers = Layers(copied)
        with layers.following(), _watched(kinds, layers):
            total = TOOLS[tool](copied, inputs)
    rest = total - sum(counts.total for counts in kinds.values())
    if rest:
        kinds[OTHER].module = rest
    return kinds


@contextmanager
def _watched(kinds: defaultdict[str, Counts], layers: Layers) -> Iterator[None]:
    """Have ptflops's tables of rules note, for each number they give, what ran."""

    def of_module(rule: Callable) -> Callable:
        def noted(module: nn.Module, inputs: Any, output: Any) -> None:
            before = module.__flops__
            rule(module, inputs, output)
            kinds[type(module).__name__].module += module.__flops__ - before

        return noted

    def of_function(rule: Callable) -> Callable:
        def noted(*args: Any, **kwargs: Any) -> int:
            macs = rule(*args, **kwargs)
            kinds[layers.running.kind].function += int(macs)
            return macs

        return noted

    with ExitStack() as stack:
        stack.enter_context(_replaced(MODULES_MAPPING, of_module))
        for rules in (FUNCTIONAL_MAPPING, TENSOR_OPS_MAPPING, ATEN_OPS_MAPPING):
            stack.enter_context(_replaced(rules, of_function))
        yield


@contextmanager
def _replaced(rules: dict[Any, Callable], wrap: Callable[[Callable], Callable]) -> Iterator[None]:
    before = dict(rules)
    rules.update({key: wrap(rule) for key, rule in before.items()})
    try:
        yield
    finally:
        rules.update(before)
