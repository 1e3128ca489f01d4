"""The gradients are those of finite differences, to the input and to every parameter."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.func import functional_call

from tests.support import attention_cases as cases


def as_function(block):
    """The block as a function of its input and its parameters, which come after it."""
    names = [name for name, _ in block.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in block.parameters()]

    def function(x, *parameters):
        refined, maps = functional_call(
            block, dict(zip(names, parameters, strict=True)), (x,), {"return_map": True}
        )
        maps = (maps,) if torch.is_tensor(maps) else [each for each in maps if each is not None]
        return refined, *maps

    return function, values


def small_input():
    return cases.features(2, 4, 3, 3).requires_grad_()


@pytest.mark.parametrize("case", cases.ALL, ids=str)
def test_gradients(case):
    function, parameters = as_function(case.make(4))
    assert gradcheck(function, (small_input(), *parameters), fast_mode=True)


def test_gradients_through_batch_statistics():
    function, parameters = as_function(cases.FEW["spatial-bn"].make(4).train())
    assert gradcheck(function, (small_input(), *parameters))


@cases.few
def test_same_values_with_and_without_a_gradient(case):
    """The maximum is found in two ways, one for each."""
    block, x = case.make(6), cases.features(2, 6, 4, 5)
    expected = block(x.clone().requires_grad_())
    assert expected.requires_grad
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            assert torch.equal(block(x), expected)


@pytest.mark.parametrize(("kind", "axes"), [("fc", (2, 3)), ("eca", (2, 3)), ("spatial", 1)])
def test_one_of_equal_maxima_gets_the_gradient(kind, axes):
    """After a ReLU many values tie at zero; the gradient is neither lost nor counted twice."""
    block = cases.Case(kind, {"pools": "max", **({"reduction": 2} if kind == "fc" else {})}).make(
        4, seed=2
    )
    tied = torch.ones(1, 4, 3, 3, dtype=torch.float64).requires_grad_()
    untied = (1 + 1e-9 * cases.features(1, 4, 3, 3)).requires_grad_()
    found, expected = (
        torch.autograd.grad(block.attention_map(x).sum(), x)[0] for x in (tied, untied)
    )
    torch.testing.assert_close(found.sum(axes), expected.sum(axes))
    assert (found != 0).sum(axes).eq(1).all()
