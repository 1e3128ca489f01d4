"""The count by hand: multiply-accumulates of convolutions and fully connected layers."""

from dataclasses import dataclass

import pandas as pd

from cbam_course.attention import attention_blocks

from .layers import InputSize, Model, follow


@dataclass(frozen=True, eq=False, repr=False)
class Cost:
    """What :func:`count` found; printed as a few aligned lines.

    Attributes:
        parameters: number of parameters, trainable or not; a shared one counts once.
        macs: multiply-accumulates of convolutions and fully connected layers.
        attention_parameters: the part of ``parameters`` in this course's attention blocks.
        attention_macs: the part of ``macs`` in them.
        left_out: multiply-accumulates of products of two activations, no part of ``macs``.
        layers: one row per layer that holds parameters or did counted work, with columns ``layer``
            (its name in the model), ``kind`` (its class), ``input`` and ``output`` (shapes at its
            first call), ``parameters``, ``calls``, ``macs``, ``left_out`` and ``attention``
            (whether it is in an attention block).
    """

    parameters: int
    macs: int
    attention_parameters: int
    attention_macs: int
    left_out: int
    layers: pd.DataFrame

    def __str__(self) -> str:
        parameters = self.attention_parameters / max(self.parameters, 1)
        macs = self.attention_macs / max(self.macs, 1)
        lines = [
            ("parameters", self.parameters, ""),
            ("  of attention blocks", self.attention_parameters, f"{parameters:.1%}"),
            ("multiply-accumulates", self.macs, "convolutions and fully connected layers"),
            ("  of attention blocks", self.attention_macs, f"{macs:.1%}"),
        ]
        if self.left_out:
            lines.append(("left out", self.left_out, "products of two activations"))
        width = max(len(f"{number:,}") for _, number, _ in lines)
        return "\n".join(f"{name:21} {n:>{width},}  {note}".rstrip() for name, n, note in lines)

    __repr__ = __str__


def count(model: Model, input_size: InputSize = (3, 224, 224)) -> Cost:
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
    ``nn.Conv2d`` and ``nn.Linear``, and a layer that runs twice twice. A batched product without a
    parameter or buffer of the model, as in the self-attention of a Transformer, is left out and
    reported as such. Operators that hide a product of another kind count nothing: ``nn.Bilinear``,
    ``torch.cdist``, deformable convolutions.

    A copy of the model runs once, in evaluation mode, and on the meta device if it can: nothing is
    computed then. The model itself stays as it is.

    Args:
        model: the model, or a function that makes it, which is called on the meta device.
        input_size: shape of one example, without the batch; the batch has size 1.

    Raises:
        ValueError: if the model cannot be copied, or does not take such an input.
    """
    model, runs = follow(model, input_size)
    blocks = {m for block in attention_blocks(model).values() for m in block.modules()}
    rows, seen = [], set()
    for name, module in model.named_modules():
        own = set(module.parameters(recurse=False)) - seen
        seen |= own
        calls = [run for run in runs if run.module is module]
        rows.append(
            {
                "layer": name,
                "kind": type(module).__name__,
                "input": calls[0].input if calls else None,
                "output": calls[0].output if calls else None,
                "parameters": sum(p.numel() for p in own),
                "calls": len(calls),
                "macs": sum(run.macs for run in calls),
                "left_out": sum(run.left_out for run in calls),
                "attention": module in blocks,
            }
        )
    layers = pd.DataFrame(rows)
    counted = layers[["parameters", "macs", "left_out"]]
    total, part = counted.sum(), counted[layers["attention"]].sum()
    return Cost(
        parameters=int(total["parameters"]),
        macs=int(total["macs"]),
        attention_parameters=int(part["parameters"]),
        attention_macs=int(part["macs"]),
        left_out=int(total["left_out"]),
        layers=layers[counted.any(axis="columns")].reset_index(drop=True),
    )
