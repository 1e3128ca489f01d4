"""Networks as ONNX files, believed only after they have run beside the network itself."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO, StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from .attention.block import check_flag, check_number, check_positive
from .files import write_whole
from .models.checks import unwrapped

OPSET = 20
"""The ONNX operator set that files are written in, unless told otherwise.

PyTorch 2.11 to 2.15 choose it themselves, PyTorch 2.4 can write no newer one, and onnxruntime reads
it since 1.17.
"""

OLDEST_OPSET = 18
"""The oldest one that PyTorch's present exporter can write without a conversion."""

PACKAGES = ("onnx", "onnxruntime", "onnxscript")

MOST_BYTES = 2**31 - 2**20
"""Of weights in one ONNX file, which may have 2 GiB: some room is left for the graph."""


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
        lines = [
            f"{self.path}: {_size(self.bytes)}, opset {self.opset}",
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
    opset: int | None = None,
    dynamic_batch: bool = True,
    tolerance: float = 1e-4,
    inputs: Tensor | None = None,
) -> OnnxExport:
    r"""Write ``model`` to an ONNX file, after having compared the two in onnxruntime.

    The file computes what ``model`` computes in eval mode, in float32, with an input called
    ``input`` and an output called ``output``. The export works on a copy on the CPU: ``model``
    stays as it is, on its device and in its mode. Both then compute the same random images, drawn
    from a normal distribution, in batches of 1, 2 and 5, and ``inputs`` if given. With outputs y of
    PyTorch and :math:`\hat y` of onnxruntime, the file is written only if

    .. math::

        \max |\hat y - y| \le \text{tolerance} \cdot s(\max |y|), \qquad
        s(m) = \begin{cases} m & m < 1 \\ 1 & 1 \le m \le 10 \\ m / 10 & m > 10 \end{cases}

    for each batch, so that ``tolerance`` is the largest difference allowed in logits of the usual
    size. Untrained networks have others: a MobileNet v2 of 1e-9, a ResNet-101 of 1e4.

    Args:
        model: a network with one input, a batch of images, and one output.
        path: the file, in a folder that is there; a file of that name is replaced.
        input_size: channels, height and width of an image.
        opset: version of the ONNX operator set, 18 or newer; ``None`` for 20.
        dynamic_batch: whether the number of images is free; otherwise it is 1.
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
    onnx, _, _ = _packages()
    path = Path(path)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"path must name a file in a folder that is there, got {str(path)!r}")
    size = _check_size(input_size)
    opset = OPSET if opset is None else check_positive("opset", opset)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ValueError(f"opset must be from {OLDEST_OPSET} to {newest}, got {opset}")
    check_flag("dynamic_batch", dynamic_batch)
    if check_number("tolerance", tolerance) < 0:
        raise ValueError(f"tolerance must not be negative, got {tolerance!r}")

    counts = (1, 2, 5) if dynamic_batch else (1, 1)
    generator = torch.Generator().manual_seed(0)  # the reader's random numbers are left alone
    batches = [torch.randn(n, *size, generator=generator, device="cpu") for n in counts]
    checked = ["random images in batches of 1, 2 and 5" if dynamic_batch else "2 random images"]
    if inputs is not None:
        batches.append(_check_images(inputs, size))
        checked.append(f"{len(inputs)} given")
    network = _copy(model)
    outputs = [_outputs(network, batch) for batch in batches]

    proto = _convert(network, batches[1], opset, dynamic_batch)
    content = proto.SerializeToString()
    try:
        onnx.checker.check_model(content, full_check=True)
    except Exception as error:  # one of the checker, or of the inference of shapes
        raise ExportMismatch(f"onnx finds the file wrong: {_reason(error)}") from error
    written = next(entry.version for entry in proto.opset_import if not entry.domain)
    if written != opset:
        raise ValueError(f"this PyTorch cannot write opset {opset}, only {written}")

    session = _session(content)
    difference = max(
        _check_outputs(session, network, batch, output, tolerance)
        for batch, output in zip(batches, outputs, strict=True)
    )
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


def compare_onnx(model: nn.Module, path: str | os.PathLike[str], inputs: Tensor) -> float:
    r"""Largest absolute difference between an ONNX file and a network, over ``inputs``.

    .. math:: \max |\hat y - y|

    The network computes y in eval mode, in float32 on the CPU, from a copy; onnxruntime computes
    :math:`\hat y` from the file, in parts if its batch size is fixed.

    Args:
        model: the network.
        path: the ONNX file.
        inputs: images, ``[N, C, H, W]``.

    Raises:
        ExportMismatch: if onnxruntime cannot run the file on these images, or the outputs are not
            of one shape.
        ValueError: if ``inputs`` are not such images or do not fit the network.
        ModuleNotFoundError: if a package is missing.
        OSError: if the file cannot be read.
    """
    _packages()
    inputs = _check_images(inputs)
    expected = _outputs(_copy(model), inputs)
    return _difference(_session(Path(path).read_bytes()), inputs, expected)


def _packages() -> tuple[ModuleType, ...]:
    """The three packages, which take a second to load and are needed here alone."""
    try:
        with _silence():
            return tuple(import_module(name) for name in PACKAGES)
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise ModuleNotFoundError(
            f"the package {error.name} is missing; install it with: pip install {error.name}",
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


def _copy(model: object) -> nn.Module:
    """The network once more: on the CPU, in float32, in eval mode."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a module, got {model!r}")
    tensors = [*model.parameters(), *model.buffers()]
    if any(tensor.is_meta for tensor in tensors):
        raise ValueError("model has no values to write: it is on the meta device")
    if sum(tensor.numel() for tensor in tensors) * 4 > MOST_BYTES:
        raise ValueError("model is too large for one ONNX file, which may have 2 GiB")
    try:
        copied = deepcopy(model)
    except Exception as error:  # as of the older weight_norm, after a call
        raise ValueError(f"{type(model).__name__} cannot be copied: {_reason(error)}") from error
    return unwrapped(copied).to(device="cpu", dtype=torch.float32).eval()


def _check_size(input_size: object) -> tuple[int, ...]:
    numbers = tuple(input_size) if isinstance(input_size, Sequence) else ()
    if len(numbers) != 3 or isinstance(input_size, str):
        raise ValueError(
            f"input_size must be channels, height and width, such as (3, 224, 224); "
            f"got {input_size!r}"
        )
    return tuple(check_positive("each number of input_size", number) for number in numbers)


def _check_images(inputs: object, size: tuple[int, ...] | None = None) -> Tensor:
    expected = "[N, C, H, W]" if size is None else f"[N, {', '.join(map(str, size))}]"
    got = f"{inputs.dtype} {list(inputs.shape)}" if isinstance(inputs, Tensor) else repr(inputs)
    if (
        not isinstance(inputs, Tensor)
        or not inputs.is_floating_point()
        or inputs.dim() != 4
        or len(inputs) < 1
        or size not in (None, tuple(inputs.shape[1:]))
    ):
        raise ValueError(f"inputs must be a floating-point tensor {expected}, got {got}")
    return inputs.detach().to(device="cpu", dtype=torch.float32)


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


def _convert(network: nn.Module, images: Tensor, opset: int, dynamic_batch: bool) -> Any:
    """The network as an ONNX ``ModelProto``; ``images`` is an example of its input."""
    if not dynamic_batch:
        images = images[:1]
    options: dict[str, Any] = {"opset_version": opset, "verbose": False}
    options |= {"input_names": ["input"], "output_names": ["output"]}
    try:
        with _silence(), torch.no_grad():
            if torch.__version__ >= (2, 9):  # since then this exporter is PyTorch's own default
                free = ({0: torch.export.Dim("batch")},) if dynamic_batch else None
                program = torch.onnx.export(
                    network, (images,), dynamo=True, dynamic_shapes=free, **options
                )
                proto = program.model_proto
            else:
                proto = _trace(network, images, dynamic_batch, options)
    except Exception as error:  # of many kinds
        batches = "any batch size" if dynamic_batch else "batch size 1"
        raise ValueError(
            f"PyTorch cannot export {type(network).__name__} for {batches} to opset {opset}: "
            f"{_reason(error)}"
        ) from error
    _forget_origins(proto)
    return proto


def _trace(network: nn.Module, images: Tensor, dynamic_batch: bool, options: dict[str, Any]) -> Any:
    """:func:`_convert` by the exporter that PyTorch had before."""
    import onnx

    file = BytesIO()
    free = {"input": {0: "batch"}, "output": {0: "batch"}} if dynamic_batch else None
    torch.onnx.export(network, (images,), file, dynamic_axes=free, **options)
    return onnx.load_model_from_string(file.getvalue())


def _forget_origins(proto: Any) -> None:
    """Remove the exporter's notes, which name folders of this computer at every operator."""
    nodes = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
    values = [*proto.graph.input, *proto.graph.output, *proto.graph.value_info]
    for item in (proto, proto.graph, *proto.functions, *nodes, *values, *proto.graph.initializer):
        item.ClearField("doc_string")
        # Others, such as the module a node belongs to, serve those who look at the graph.
        kept = [note for note in item.metadata_props if not note.key.startswith("pkg.")]
        item.ClearField("metadata_props")
        item.metadata_props.extend(kept)


def _session(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    # Left to itself it takes every core, also those that are not this process's to take.
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's have no class of their own
        raise ExportMismatch(f"onnxruntime cannot load the file: {_reason(error)}") from error


def _check_outputs(
    session: Any, network: nn.Module, images: Tensor, outputs: Tensor, tolerance: float
) -> float:
    """The largest difference from the network's outputs, or an :class:`ExportMismatch`."""
    difference = _difference(session, images, outputs)
    largest = outputs.abs().max().item()
    allowed = tolerance * min(largest, max(1.0, largest / 10))
    if difference <= allowed:
        return difference
    message = (
        f"onnxruntime and PyTorch differ by {difference:.2g} where {allowed:.2g} is allowed, "
        f"in outputs of up to {largest:.2g} for images {list(images.shape)}"
    )
    # Deep networks can make much of a rounding error; then it is in PyTorch's outputs as well.
    with suppress(RuntimeError), torch.no_grad():
        exact = network.double()(images.double())
        rounding = (exact - outputs).abs().max().item()
        message += f"; PyTorch itself is off by {rounding:.2g} in float32"
        if difference <= 10 * rounding:
            message += ", so it may be but rounding: raise the tolerance"
    raise ExportMismatch(message)


def _difference(session: Any, images: Tensor, outputs: Tensor) -> float:
    source = session.get_inputs()[0]
    fixed = source.shape[0] if source.shape and isinstance(source.shape[0], int) else None
    try:
        parts = [
            session.run(None, {source.name: part.numpy()})[0]
            for part in images.split(fixed or len(images))
        ]
    except Exception as error:  # onnxruntime's have no class of their own
        raise ExportMismatch(
            f"onnxruntime cannot run the file on images {list(images.shape)}: {_reason(error)}"
        ) from error
    found = torch.cat([torch.from_numpy(part) for part in parts])
    if found.shape != outputs.shape:
        raise ExportMismatch(
            f"onnxruntime puts out {list(found.shape)}, PyTorch {list(outputs.shape)}"
        )
    return (found - outputs).abs().max().item()


def _shape(value: Any) -> tuple[int | str, ...]:
    return tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)


def _reason(error: BaseException) -> str:
    """The first line of what caused ``error`` in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
