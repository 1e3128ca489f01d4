"""The hand-derived count: multiply-accumulates of convolutions and fully connected layers."""

from dataclasses import dataclass

import pandas as pd
from torch import Tensor, nn

from cbam_course.attention import CBAM, IdentityStart
from cbam_course.attention.block import AttentionBlock

from .layers import Layers
from .operators import Operators
from .running import Inputs, InputSize, check_model, make_inputs, undisturbed

ATTENTION_BLOCKS = (AttentionBlock, CBAM, IdentityStart)
"""The classes of this course's attention blocks."""


@dataclass(frozen=True, eq=False, repr=False)
class Cost:
    """What :func:`count` found; printed as a few aligned lines.

    Attributes:
        parameters: number of parameters, trainable or not; a shared one counts once.
        macs: multiply-accumulates of convolutions and fully connected layers.
        attention_parameters: the part of ``parameters`` in attention blocks.
        attention_macs: the part of ``macs`` in attention blocks.
        left_out: multiply-accumulates of products of two activations, by operator; they are no
            part of ``macs``.
        layers: one row per layer that holds parameters or did counted work, with columns ``layer``
            (its name in the model), ``kind`` (its class), ``input`` and ``output`` (shapes at its
            first call), ``parameters``, ``calls``, ``rule`` (the count spelled out), ``macs``,
            ``left_out`` and ``attention``.
    """

    parameters: int
    macs: int
    attention_parameters: int
    attention_macs: int
    left_out: dict[str, int]
    layers: pd.DataFrame

    def __str__(self) -> str:
        parameters = f"{self.attention_parameters / max(self.parameters, 1):.1%}"
        macs = f"{self.attention_macs / max(self.macs, 1):.1%}"
        lines = [
            ("parameters", self.parameters, ""),
            ("  of attention blocks", self.attention_parameters, parameters),
            ("multiply-accumulates", self.macs, "convolutions and fully connected layers"),
            ("  of attention blocks", self.attention_macs, macs),
        ]
        lines += [
            ("left out", macs, f"{operator}, products of two activations")
            for operator, macs in self.left_out.items()
        ]
        width = max(len(f"{number:,}") for _, number, _ in lines)
        return "\n".join(f"{name:21} {n:>{width},}  {note}".rstrip() for name, n, note in lines)

    __repr__ = __str__


def count(
    model: nn.Module,
    input_size: InputSize = (3, 224, 224),
    *,
    inputs: Inputs = None,
    attention: type | tuple[type, ...] = (),
) -> Cost:
    r"""Count parameters and multiply-accumulates by the rule of the papers.

    For a convolution with output ``[B, C_out, H, W]``, and a fully connected layer with output
    ``[..., out_features]``,

    .. math::

        \text{convolution: } B\, C_{out} H W \cdot \frac{C_{in}}{\text{groups}} k_h k_w
        \qquad
        \text{fully connected: } (\text{elements of the output}) \cdot \text{in\_features}

    Nothing else counts: no bias, normalization, activation, pooling or element-wise product. The
    kernel of a transposed convolution is applied to every element of its *input*:
    :math:`B\, C_{in} H W \cdot \frac{C_{out}}{\text{groups}} k_h k_w`.

    What counts is what runs, however it is written: ``F.conv2d`` and ``x @ weight`` as well as
    ``nn.Conv2d`` and ``nn.Linear``, and a layer that runs twice twice. A matrix product is a fully
    connected layer if one of its factors does not depend on the input; a product of two activations
    (as in the self-attention of a Transformer) is left out, and reported as such. Operators that
    hide a product of another kind count nothing: ``nn.Bilinear``, ``torch.cdist``.

    The model runs once, in evaluation mode and without gradients, where it is: on the meta device
    nothing is computed. Its modes, buffers and gradients and the random numbers are afterwards what
    they were.

    Args:
        model: the model.
        input_size: shape of one example, without the batch; the batch has size 1.
        inputs: the model's input, or a tuple of its inputs, instead of ``input_size``.
        attention: classes to count as attention blocks besides those of this course, such as
            ``torchvision.ops.SqueezeExcitation``.

    Raises:
        ValueError: if ``model`` is no module or has parameters without a shape yet, if
            ``input_size`` is not a shape, or if the model does not take such an input.
    """
    check_model(model)
    layers = follow(model, make_inputs(model, input_size, inputs), _attention_types(attention))
    table = layers.table()
    blocks = table[table["attention"]]
    return Cost(
        parameters=int(table["parameters"].sum()),
        macs=int(table["macs"].sum()),
        attention_parameters=int(blocks["parameters"].sum()),
        attention_macs=int(blocks["macs"].sum()),
        left_out=dict(layers.left_out),
        layers=table,
    )


def follow(
    model: nn.Module, inputs: tuple[Tensor, ...], attention: tuple[type, ...] = ()
) -> Layers:
    """Run ``model`` once, and return what each of its modules did."""
    layers = Layers(model, attention)
    # The operators are told of the buffers that run, which are copies.
    with undisturbed(model, inputs), layers.following(), Operators(model, layers.record):
        model(*inputs)
    return layers


def _attention_types(types: object) -> tuple[type, ...]:
    types = (types,) if isinstance(types, type) else types
    if not isinstance(types, (tuple, list)) or not all(isinstance(t, type) for t in types):
        raise ValueError(f"attention must be a class or a tuple of classes, got {types!r}")
    return (*ATTENTION_BLOCKS, *types)
