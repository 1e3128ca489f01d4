"""Networks as ONNX files, believed only after they have run beside the network itself."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import torch
from torch import nn

from .files import write_whole

OPSET = 20
"""The ONNX operator set that files are written in.

PyTorch 2.11 to 2.15 choose it themselves, and onnxruntime reads it since 1.17.
"""


@dataclass(frozen=True)
class OnnxExport:
    """What :func:`export_onnx` wrote, and how it was checked; ``print`` it.

    Attributes:
        path: the file.
        opset: version of the ONNX operator set.
        input: shape of the input, called ``input``: numbers, and ``"batch"`` for a free one.
        output: shape of the output, called ``output``.
        difference: largest absolute difference between onnxruntime's outputs and PyTorch's.
        largest: largest absolute output of PyTorch, to judge the difference by.
    """

    path: Path
    opset: int
    input: tuple[int | str, ...]
    output: tuple[int | str, ...]
    difference: float
    largest: float

    def __str__(self) -> str:
        return (
            f"{self.path}: opset {self.opset}\n"
            f"input [{', '.join(map(str, self.input))}], "
            f"output [{', '.join(map(str, self.output))}]\n"
            f"largest difference from PyTorch {self.difference:.1e}, "
            f"in outputs of up to {self.largest:.2g}"
        )


def export_onnx(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    input_size: Sequence[int] = (3, 224, 224),
    tolerance: float = 1e-4,
) -> OnnxExport:
    r"""Write ``model`` to an ONNX file, after having compared the two in onnxruntime.

    The file computes what ``model`` computes in eval mode, in float32, for any number of images,
    with an input called ``input`` and an output called ``output``. The export works on a copy on
    the CPU: ``model`` stays as it is, on its device and in its mode. Both then compute the same
    random images, drawn from a normal distribution, in batches of 1, 2 and 5. With outputs y of
    PyTorch and :math:`\hat y` of onnxruntime, the file is written only if

    .. math:: \max |\hat y - y| \le \text{tolerance} \cdot \max |y|

    Args:
        model: a network with one input, a batch of images, and one output, a tensor.
        path: the file, in a folder that is there; a file of that name is replaced.
        input_size: channels, height and width of an image.
        tolerance: see above. Deep, untrained networks make much of rounding, and need more.

    Returns:
        The report.

    Raises:
        ValueError: if PyTorch cannot export the network, or onnxruntime cannot run
            the file or does not agree with PyTorch.
        ModuleNotFoundError: if a package is missing; the message says how to install it.
        OSError: if the file cannot be written.

    Whatever is raised, no file is left behind, and one that was there is as before.
    """
    try:
        with _silence():
            import onnxruntime
            import onnxscript  # noqa: F401  PyTorch's exporter needs it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the export needs the package {error.name}; install it with: "
            "pip install 'cbam-course[export]'"
        ) from None
    network = getattr(model, "_orig_mod", model)  # inside of what torch.compile makes
    network = deepcopy(network).to(device="cpu", dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(0)  # the reader's random numbers are left alone
    batches = [torch.randn(n, *input_size, generator=generator, device="cpu") for n in (1, 2, 5)]
    with torch.no_grad():
        expected = torch.cat([network(batch) for batch in batches])
    name = type(model).__name__
    try:
        with _silence(), torch.no_grad():
            proto = torch.onnx.export(
                network,
                (batches[1],),
                input_names=["input"],
                output_names=["output"],
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            ).model_proto
    except Exception as error:  # of many kinds
        raise ValueError(
            f"PyTorch cannot export {name} for any batch size: {_reason(error)}"
        ) from error
    # The exporter's notes name folders of this computer at every operator.
    for node in (*proto.graph.node, *(node for f in proto.functions for node in f.node)):
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    content = proto.SerializeToString()
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors
    # Left to itself it takes every core, also those that are not this process's to take.
    settings.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(content, settings, ["CPUExecutionProvider"])
        found = [session.run(None, {"input": batch.numpy()})[0] for batch in batches]
    except Exception as error:  # onnxruntime has no class of its own for its errors
        raise ValueError(f"onnxruntime cannot run {name}: {_reason(error)}") from error
    difference = (torch.cat([*map(torch.from_numpy, found)]) - expected).abs().max().item()
    largest = expected.abs().max().item()
    if not difference <= tolerance * largest:
        raise ValueError(
            f"onnxruntime and PyTorch differ by {difference:.2g}, in outputs of up to "
            f"{largest:.2g}; where deep, untrained networks make much of rounding, raise the "
            "tolerance"
        )
    write_whole(Path(path), lambda file: file.write(content))
    shapes = (
        tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*proto.graph.input, *proto.graph.output)
    )
    return OnnxExport(Path(path), OPSET, *shapes, difference, largest)


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


def _reason(error: BaseException) -> str:
    """The first line of what caused ``error`` in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]
