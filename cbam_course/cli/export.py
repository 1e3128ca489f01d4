"""``cbam-course export``: a network as an ONNX file."""

from pathlib import Path
from typing import Any

import click

from cbam_course.labels import MODEL_NAMES

from .options import attention_options, model_options


class _ModelName(click.Choice):
    """A name of a network; ``_`` is read as ``-``, for those who come from Python."""

    def convert(self, value: Any, *context: Any) -> Any:
        return super().convert(value.replace("_", "-"), *context)


@click.command(context_settings={"show_default": True})
@click.argument("model", type=_ModelName(MODEL_NAMES), metavar="MODEL")
@attention_options("The block at each insertion point of the network.")
@model_options("An argument of the network, such as version=v1 or widen=1.5")
@click.option("--num-classes", type=int, help="Number of classes.")
@click.option("--in-channels", type=int, default=3, help="Channels of an image.")
@click.option(
    "--size", type=int, help="Height and width of an image.  [default: 224; 32 for cifar-...]"
)
@click.option(
    "--weights",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help="The weights, as .pt, .pth or .safetensors.  [default: random ones]",
)
@click.option("--opset", type=int, default=20, help="Version of the ONNX operator set.")
@click.option(
    "--tolerance",
    type=float,
    default=1e-4,
    help="By how much onnxruntime and PyTorch may differ.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The file to write, such as model.onnx.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def export(
    model: str,
    attention: str,
    attention_options: dict[str, Any],
    model_options: dict[str, Any],
    num_classes: int | None,
    in_channels: int,
    size: int | None,
    weights: Path | None,
    opset: int,
    tolerance: float,
    out: Path,
    force: bool,
) -> None:
    """Write a network to an ONNX file.

    MODEL is one of cifar-cnn, cifar-resnet, resnet18, resnet34, resnet50, resnet101, wide-resnet18,
    resnext50-32x4d, resnext101-32x4d, mobilenet-v1 and mobilenet-v2. The file is written only if
    onnxruntime computes from it what PyTorch computes, in float32, for any batch size.

    \b
      cbam-course export resnet50 --attention cbam-fc --num-classes 10 \\
        --weights weights.pth --out model.onnx
      cbam-course export cifar-cnn --attention cbam-fc \\
        --weights runs/shapes-cbam-fc-seed0/checkpoint.pt --out shapes.onnx
    """  # noqa: D301
    if size is None:
        size = 32 if model.startswith("cifar-") else 224
    if out.exists() and not force:
        raise click.ClickException(f"{out} is there already; --force replaces it")

    import torch

    from cbam_course.attention import make_attention
    from cbam_course.export import export_onnx
    from cbam_course.models import make_model

    torch.manual_seed(0)  # what is not loaded is random, and the same every time
    try:
        network = make_model(
            model,
            make_attention(attention, **attention_options),
            weights=weights,
            num_classes=num_classes,
            in_channels=in_channels,
            **model_options,
        )
        if weights is not None:
            click.echo(network.load_report)
        report = export_onnx(
            network, out, input_size=(in_channels, size, size), opset=opset, tolerance=tolerance
        )
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(report)
