"""The exercises of chapter 11, making it fast."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cbam_course.cost import traffic

from .errors import Stopped, Wrong
from .framework import exercise
from .trial import Trial, with_bugs
from .values import number, same_numbers


@exercise("11.1", "Bytes of a pass")
def bytes_of_a_pass(trial: Trial, size, residual, gate_back, se_forward, milliseconds) -> None:
    mistakes = {
        1_600_000: "So many numbers there are. How many bytes has each?",
        128_000: "That is one image's map. The batch has 50 of them.",
    }
    number(size, 6_400_000, "size", mistakes)
    number(residual, 3, "residual", {2: "Two maps are read, and one is written."})
    mistakes = {
        2: "That is the gradient of `x`. The map wants one too.",
        5: "The product `g * x` still has to be summed, which reads it once more.",
    }
    number(gate_back, 6, "gate_back", mistakes)
    number(se_forward, 3, "se_forward", {2: "The average reads the whole map as well."})
    number(milliseconds, 24, "milliseconds", {0.024: "That is in seconds."})
    trial.stamp("Stamp", size, residual, gate_back, se_forward, milliseconds)


def gradients(
    trial: Trial, function: Callable, inputs: Sequence[Tensor], grad: Tensor
) -> tuple[Tensor, ...]:
    """Output and gradients of a learner's function; it may not change the gradient it is given."""
    leaves = [each.clone().requires_grad_() for each in inputs]
    y, given = trial.call(function, *leaves), grad.clone()
    trial.tensor(y, "What your function returns")
    trial.expect(y.requires_grad, "The output has no gradient: use the function's `apply`.")
    found = trial.call(lambda: torch.autograd.grad(y, leaves, given, allow_unused=True))
    for k, each in enumerate(found, 1):
        trial.expect(each is not None, f"`backward` returns no gradient of input {k}.")
    return y, *found, given


@exercise("11.2", "Keep less")
def keep_less(trial: Trial, Swish) -> None:
    apply = getattr(Swish, "apply", Swish)
    for shape in ((2, 6, 5, 4), (3, 7)):
        x, grad = 2 * trial.randn(*shape), trial.randn(*shape)
        x[0, 0] = 0
        gate = x.sigmoid()
        y, found, given = gradients(trial, apply, [x], grad)
        trial.compare(y, x * gate, "The output")
        slope = gate * (1 - gate)
        mistakes = [
            (grad * gate, "The gate depends on `x` too: a product has two derivatives."),
            (gate + x * slope, "The gradient that comes in is a factor too, by the chain rule."),
            (grad * x * slope, "`x` is a factor as well: a product has two derivatives."),
        ]
        trial.compare(found, grad * (gate + x * slope), "The gradient", mistakes)
        unharmed(trial, given, grad)
        trial.show(f"Gradient for a tensor of {len(shape)} axes", found)
    x = trial.randn(4, 8, 16, 16)
    kept = trial.call(lambda: traffic(apply, x)).kept / (8 * x.numel())
    trial.expect(
        kept < 0.01,
        f"The values are right, and {kept:.2g} maps are kept beyond the input. What can the "
        "backward pass compute again?",
    )
    trial.show("Maps kept beyond the input", kept)


def unharmed(trial: Trial, given: Tensor, grad: Tensor) -> None:
    trial.expect(
        torch.equal(given, grad),
        "The gradient that comes in is changed, but others may need it: write into new tensors "
        "only.",
    )


@exercise("11.3", "A gradient that looks right")
def gradient_that_looks_right(trial: Trial, Weigh) -> None:
    apply = getattr(Weigh, "apply", Weigh)
    messages = (
        "`grad` is overwritten before it is used again.",
        "A weight that is used at many positions gets the sum of their gradients.",
    )
    for shape in ((2, 3, 1, 1), (2, 1, 4, 5), (2, 3, 4, 5), (1, 3, 1, 1)):
        x, grad = trial.features(2, 3, 4, 5), trial.randn(2, 3, 4, 5)
        weights = trial.rand(*shape)
        about = f"For weights of shape {list(shape)}"
        try:
            y, to_x, to_weights, given = gradients(trial, apply, [x, weights], grad)
        except Stopped as error:
            if "invalid gradient at index 1" not in str(error):
                raise
            raise Wrong(
                f"{about} the gradient has another shape. Over which axes are they used more than "
                "once?"
            ) from None
        trial.compare(y, x * weights, f"{about} the output")
        trial.compare(to_x, grad * weights, f"{about} the gradient of `x`")

        def given_bugs(in_place: bool, mean: bool, x=x, grad=grad, weights=weights) -> Tensor:
            product = (grad * weights if in_place else grad) * x
            total = product.sum_to_size(weights.shape)
            return total * weights.numel() / product.numel() if mean else total

        without_x = grad.sum_to_size(weights.shape)
        bugs = [
            *with_bugs(given_bugs, *messages),
            (without_x, "The derivative of `x * weights` by the weights is `x`: it is a factor."),
        ]
        name = f"{about} the gradient of `weights`"
        trial.compare(to_weights, given_bugs(False, False), name, bugs)
        unharmed(trial, given, grad)
        trial.show(about, to_weights)


@exercise("11.4", "One pass or many")
def one_pass_or_many(trial: Trial, times) -> None:
    f = 4 * trial.integer(10**6, 10**7)
    gate = [(0, f, 64), (0, f, f), (0, f, 64), (10**6, 64, 64), (0, f, f)]
    pool = [(0, 2 * f, f), (0, f, 256)]
    cases = {
        "A gate": (gate, 2e11, 1e10),
        "A sum and its pool": (pool, 2e11, 1e10),
        "One operator": ([(10**9, f, f)], 1e11, 2e10),
    }
    for k in range(4):
        operators = [
            (10 ** trial.integer(6, 10), trial.integer(10**6, 10**8), trial.integer(10**6, 10**8))
            for _ in range(trial.integer(2, 5))
        ]
        cases[f"Operators, drawn {k + 1}"] = operators, 1e11, 1e9 * trial.integer(5, 40)
    for name, (operators, peak, bandwidth) in cases.items():
        macs = [m / peak for m, _, _ in operators]
        moved = [(read + written) / bandwidth for _, read, written in operators]
        outer = (operators[0][1] + operators[-1][2]) / bandwidth
        eager, fused = sum(map(max, macs, moved)), max(sum(macs), outer)
        mistakes = [
            ((max(sum(macs), sum(moved)), fused), "Each operator waits for its own limit."),
            ((eager, max(sum(macs), sum(moved))), "What lies between is neither read nor written."),
            (
                (sum(macs) + sum(moved), sum(macs) + outer),
                "The slower of the two limits is the time: arithmetic and bytes go on together.",
            ),
            ((1000 * eager, 1000 * fused), "Seconds are asked for."),
            ((eager, max(macs[0], outer)), "All multiply-accumulates remain in the single pass."),
            ((eager, outer), "All multiply-accumulates remain in the single pass."),
        ]
        found = trial.call(times, list(operators), peak, bandwidth)
        found = same_numbers(found, (eager, fused), f"{name}: `times`", mistakes)
        trial.show(f"{name}, ms", [1000 * value for value in found])
