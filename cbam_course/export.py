"""Networks as ONNX files, believed only after they have run beside the network itself."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO, StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from .attention.arguments import check, check_integer
from .files import write_whole

OPSET = 20
"""The ONNX operator set that files are written in, unless told otherwise.

PyTorch 2.11 to 2.15 choose it themselves, and onnxruntime reads it since 1.17.
"""

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""What comes with ``pip install "cbam-course[export]"``."""


class ExportMismatch(ValueError):
    """The ONNX file does not compute what the network computes."""


@dataclass(frozen=True)
class OnnxExport:
    """What :func:`export_onnx` wrote, and how it was checked; ``print`` it.

    Attributes:
        path: the file.
        bytes: its size.
        opset: version of the ONNX operator set.
        input: shape of the input, called ``input``: numbers, and ``"batch"`` for a free one.
        output: shape of the output, called ``output``.
        checked: with which images onnxruntime and PyTorch were compared.
        difference: largest absolute difference between their outputs.
        largest: largest absolute output of PyTorch, to judge the difference by.
        variation: most that an output of PyTorch changes from image to image.
    """

    path: Path
    bytes: int
    opset: int
    input: tuple[int | str, ...]
    output: tuple[int | str, ...]
    checked: tuple[str, ...]
    difference: float
    largest: float
    variation: float

    def __str__(self) -> str:
        size = f"{self.bytes / 1e6:.1f} MB" if self.bytes >= 1e6 else f"{self.bytes / 1e3:.1f} kB"
        lines = [
            f"{self.path}: {size}, opset {self.opset}",
            f"input [{', '.join(map(str, self.input))}], "
            f"output [{', '.join(map(str, self.output))}]",
            f"checked in onnxruntime on {' and on '.join(self.checked)}:",
            f"largest difference from PyTorch {self.difference:.1e}, "
            f"in outputs of up to {self.largest:.2g}",
        ]
        if self.variation <= 100 * self.difference:
            lines.append(
                f"From image to image they vary by {self.variation:.1e} only, "
                "so the check says little: is the network untrained?"
            )
        return "\n".join(lines)


def export_onnx(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    input_size: Sequence[int] = (3, 224, 224),
    opset: int = OPSET,
    tolerance: float = 1e-4,
    inputs: Tensor | None = None,
) -> OnnxExport:
    r"""Write ``model`` to an ONNX file, after having compared the two in onnxruntime.

    The file computes what ``model`` computes in eval mode, in float32, for any number of images,
    with an input called ``input`` and an output called ``output``. The export works on a copy on
    the CPU: ``model`` stays as it is, on its device and in its mode. Both then compute the same
    random images, drawn from a normal distribution, in batches of 1, 2 and 5, and ``inputs`` if
    given. With outputs y of PyTorch and :math:`\hat y` of onnxruntime, the file is written only if

    .. math::

        \max |\hat y - y| \le \text{tolerance} \cdot s(\max |y|), \qquad
        s(m) = \begin{cases} m & m < 1 \\ 1 & 1 \le m \le 10 \\ m / 10 & m > 10 \end{cases}

    for each batch, so that ``tolerance`` is the largest difference allowed in logits of the usual
    size. Untrained networks have others: a MobileNet v2 of 1e-9, a ResNet-101 of 1e4.

    Args:
        model: a network with one input, a batch of images, and one output.
        path: the file, in a folder that is there; a file of that name is replaced.
        input_size: channels, height and width of an image.
        opset: version of the ONNX operator set, 18 or newer.
        tolerance: see above.
        inputs: further images to compare with, such as real ones, ``[N, *input_size]``.

    Returns:
        The report.

    Raises:
        ExportMismatch: if onnxruntime does not agree with PyTorch, or cannot run the file.
        ValueError: if an argument is not of its kind, the images do not fit the network, or PyTorch
            cannot export it.
        ModuleNotFoundError: if a package is missing; the message says how to install it.
        OSError: if the file cannot be written.

    Whatever is raised, no file is left behind, and one that was there is as before.
    """
    onnx, onnxruntime, _ = _packages()
    path, size = (
        Path(path),
        tuple(check_integer("each number of input_size", n) for n in input_size),
    )
    there = path.absolute().parent.is_dir() and not path.is_dir()
    check("path", str(path), there, "a file in a folder that is there")
    check("input_size", input_size, len(size) == 3, "channels, height and width of an image")
    check("tolerance", tolerance, tolerance >= 0, "at least 0")

    generator = torch.Generator().manual_seed(0)  # the reader's random numbers are left alone
    batches = [torch.randn(n, *size, generator=generator, device="cpu") for n in (1, 2, 5)]
    checked = ["random images in batches of 1, 2 and 5"]
    if inputs is not None:
        fine = inputs.is_floating_point() and inputs.shape[1:] == size and len(inputs) > 0
        if not fine:
            raise ValueError(
                f"inputs must be a floating-point tensor [N, {', '.join(map(str, size))}]; got "
                f"{inputs.dtype} {list(inputs.shape)}"
            )
        batches.append(inputs.detach().to(device="cpu", dtype=torch.float32))
        checked.append(f"{len(inputs)} given")
    network = _copy(model)
    outputs = [_outputs(network, batch) for batch in batches]

    proto = _convert(network, batches[1], opset)
    content = proto.SerializeToString()
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors
    # Left to itself it takes every core, also those that are not this process's to take.
    settings.intra_op_num_threads = torch.get_num_threads()
    try:
        onnx.checker.check_model(content, full_check=True)
        session = onnxruntime.InferenceSession(content, settings, ["CPUExecutionProvider"])
        found = [session.run(None, {"input": batch.numpy()})[0] for batch in batches]
    except Exception as error:  # onnx and onnxruntime have no class of their own for theirs
        raise ExportMismatch(f"onnxruntime cannot run the file: {_reason(error)}") from error
    difference = 0.0
    for one, expected in zip(map(torch.from_numpy, found), outputs, strict=True):
        difference = max(difference, _difference(one, expected, tolerance))
    write_whole(path, lambda file: file.write(content))
    every = torch.cat(outputs)
    return OnnxExport(
        path=path,
        bytes=len(content),
        opset=opset,
        input=_shape(proto.graph.input[0]),
        output=_shape(proto.graph.output[0]),
        checked=tuple(checked),
        difference=difference,
        largest=every.abs().max().item(),
        variation=(every.amax(dim=0) - every.amin(dim=0)).max().item(),
    )


def _packages() -> tuple[ModuleType, ...]:
    """The three packages, which take a second to load and are needed here alone."""
    try:
        with _silence():
            return tuple(import_module(name) for name in PACKAGES)
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise ModuleNotFoundError(
            f"the export needs the package {error.name}; install it with: "
            "pip install 'cbam-course[export]'",
            name=error.name,
        ) from None


@contextmanager
def _silence() -> Iterator[None]:
    """Keep back what PyTorch says to its own developers; errors are raised, not said."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _copy(model: nn.Module) -> nn.Module:
    """The network once more: on the CPU, in float32, in eval mode, without wrappers."""
    check("model", model, isinstance(model, nn.Module), "a module")
    try:
        copied = deepcopy(model)
    except Exception as error:  # as of the older weight_norm, after a call
        raise ValueError(f"{type(model).__name__} cannot be copied: {_reason(error)}") from error
    # The names that the network has inside of nn.DataParallel and of what torch.compile makes.
    wrappers = nn.DataParallel | nn.parallel.DistributedDataParallel
    while isinstance(copied, wrappers) or "_orig_mod" in dict(copied.named_children()):
        copied = copied.module if isinstance(copied, wrappers) else copied._orig_mod
    return copied.to(device="cpu", dtype=torch.float32).eval()


def _outputs(network: nn.Module, images: Tensor) -> Tensor:
    name, shape = type(network).__name__, list(images.shape)
    try:
        with torch.no_grad():
            outputs = network(images)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(f"{name} cannot take images {shape}: {_reason(error)}") from error
    if not isinstance(outputs, Tensor):
        raise ValueError(f"{name} must put out one tensor, it put out a {type(outputs).__name__}")
    if not outputs.isfinite().all():
        raise ValueError(f"{name} puts out values that are not finite on images {shape}")
    return outputs


def _convert(network: nn.Module, images: Tensor, opset: int) -> Any:
    """The network as an ONNX ``ModelProto``; ``images`` is an example of its input."""
    options = {"opset_version": opset, "input_names": ["input"], "output_names": ["output"]}
    try:
        with _silence(), torch.no_grad():
            if torch.__version__ >= (2, 9):  # since then this exporter is PyTorch's own default
                free = ({0: torch.export.Dim("batch")},)
                program = torch.onnx.export(
                    network, (images,), dynamo=True, dynamic_shapes=free, **options
                )
                proto = program.model_proto
            else:
                file, free = BytesIO(), {"input": {0: "batch"}, "output": {0: "batch"}}
                torch.onnx.export(network, (images,), file, dynamic_axes=free, **options)
                proto = import_module("onnx").load_model_from_string(file.getvalue())
    except Exception as error:  # of many kinds
        raise ValueError(
            f"PyTorch cannot export {type(network).__name__} for any batch size to opset {opset}: "
            f"{_reason(error)}"
        ) from error
    written = next(entry.version for entry in proto.opset_import if not entry.domain)
    if written != opset:
        raise ValueError(f"this PyTorch cannot write opset {opset}, only {written}")
    # The exporter's notes name folders of this computer at every operator. Others, such as the
    # module that a node belongs to, serve those who look at the graph.
    nodes = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
    values = [*proto.graph.input, *proto.graph.output, *proto.graph.value_info]
    for item in (proto, proto.graph, *proto.functions, *nodes, *values, *proto.graph.initializer):
        item.ClearField("doc_string")
        kept = [note for note in item.metadata_props if not note.key.startswith("pkg.")]
        item.ClearField("metadata_props")
        item.metadata_props.extend(kept)
    return proto


def _difference(found: Tensor, expected: Tensor, tolerance: float) -> float:
    """The largest difference between outputs, or an :class:`ExportMismatch` if it is too large."""
    if found.shape != expected.shape:
        shapes = f"onnxruntime puts out {list(found.shape)}, PyTorch {list(expected.shape)}"
        raise ExportMismatch(shapes)
    difference = (found - expected).abs().max().item()
    largest = expected.abs().max().item()
    allowed = tolerance * min(largest, max(1.0, largest / 10))
    if not difference <= allowed:
        raise ExportMismatch(
            f"onnxruntime and PyTorch differ by {difference:.2g} where {allowed:.2g} is allowed, "
            f"in outputs of up to {largest:.2g}, for {len(expected)} images; where deep, untrained "
            "networks make much of rounding, raise the tolerance"
        )
    return difference


def _shape(value: Any) -> tuple[int | str, ...]:
    return tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)


def _reason(error: BaseException) -> str:
    """The first line of what caused ``error`` in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]
