"""``cbam-course export``: a network as an ONNX file."""

from pathlib import Path
from typing import Any

import click

from .options import FILE, default_size, find_network, network_options, told_in_a_line


@click.command(context_settings={"show_default": True})
@click.argument("model", metavar="MODEL")
@network_options
@click.option(
    "--weights", type=click.Path(dir_okay=False, exists=True, path_type=Path), metavar="FILE",
    help="The weights, as .pt, .pth or .safetensors.  [default: random ones]",
)  # fmt: skip
@click.option(
    "--out", type=FILE, required=True, metavar="FILE",
    help="The file to write, such as model.onnx.",
)  # fmt: skip
@told_in_a_line(ValueError, TypeError, RuntimeError, OSError, ModuleNotFoundError)
def export(
    model: str,
    attention: str,
    attention_options: dict[str, Any],
    model_options: dict[str, Any],
    input_size: tuple[int, ...] | None,
    weights: Path | None,
    out: Path,
) -> None:
    """Write a network to an ONNX file.

    MODEL is a network of the course or of torchvision, as for the command cost. The file is written
    only if onnxruntime computes from it what PyTorch computes, in float32, for any batch size.

    \b
      cbam-course export resnet50 --attention cbam-fc --weights weights.pth --out model.onnx
      cbam-course export cifar-cnn --attention cbam-fc \\
        --weights runs/shapes-cbam-fc-seed0/checkpoint.pt --out shapes.onnx
    """  # noqa: D301
    import torch

    from cbam_course.attention import make_attention
    from cbam_course.export import export_onnx

    torch.manual_seed(0)  # what is not loaded is random, and the same every time
    options = model_options if weights is None else {**model_options, "weights": weights}
    network = find_network(model, options)(make_attention(attention, **attention_options))
    if weights is not None:
        click.echo(network.load_report)
    click.echo(export_onnx(network, out, input_size=input_size or default_size(model)))
