"""``cbam-course bench``: CBAM against the block of others, by turns, alone and in networks."""

import json
import platform
import random
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from torch import Tensor, nn

SHAPES = ((32, 64, 32, 32), (8, 256, 56, 56), (32, 512, 14, 14))
LAYOUTS = ("contiguous_format", "channels_last")
NETWORKS = {"resnet50": (8, 224), "cifar_resnet": (128, 32)}
"""Networks with the sizes of their batches and images."""


@click.group()
def bench() -> None:
    """Time the course's CBAM against others on this machine, alone or in networks.

    \b
      cbam-course bench block
      cbam-course bench networks
    """  # noqa: D301


def measuring(command: Callable) -> Callable:
    """What both commands take."""
    for option in (
        click.option("--json", "file", type=click.Path(path_type=Path), help="Keep all times."),
        click.option("--device", default="cpu", help='"cpu", or "cuda" for a GPU.'),
        click.option("--threads", type=click.IntRange(1), default=1, help="Of the CPU."),
        click.option("--repeats", type=click.IntRange(1), default=10, help="Of each, by turns."),
    ):
        command = option(command)
    return command


@bench.command(context_settings={"show_default": True})
@measuring
@click.option("--compile", "compiled", is_flag=True, help="Also what torch.compile makes of them.")
def block(repeats: int, threads: int, device: str, file: Path | None, compiled: bool) -> None:
    """Time CBAM forward and backward, and without a gradient, in float32.

    The peers are the usual tutorial code and, if it is installed, timm's CbamModule. All blocks run
    by turns in one process: a busy machine slows all of them, and the minimum tells most. It is
    printed in milliseconds. On a CPU torch.compile does without the option that would have each
    input copied to channels_last.
    """
    import pandas as pd
    import torch

    about, rows, fastest = conditions(device, threads), [], {}
    for shape in SHAPES:
        for layout in LAYOUTS:
            form = {"memory_format": getattr(torch, layout)}
            x, grad = (torch.randn(shape, device=device).contiguous(**form) for _ in range(2))
            blocks = {name: make(shape[1]).to(device, **form) for name, make in _blocks().items()}
            if compiled:
                torch.compiler.reset()
                how = {"options": {"layout_optimization": False}, "dynamic": False}
                del blocks["course, not fused"]  # compiled, there is one way
                blocks |= {f"{n}, compiled": torch.compile(b, **how) for n, b in blocks.items()}
            times = by_turns(blocks, x, grad, repeats, fused={"course"})
            rows.append({"shape": shape, "layout": layout, **times})
            for kind, of_blocks in times.items():
                fastest[shape, layout, kind] = {name: min(of_blocks[name]) for name in of_blocks}
    click.echo(pd.DataFrame(fastest).T.to_string(float_format="%.2f"))
    _keep(file, about, rows)


@bench.command(context_settings={"show_default": True})
@measuring
def networks(repeats: int, threads: int, device: str, file: Path | None) -> None:
    """Time a training step of networks without and with CBAM, in eager float32.

    A ResNet-50 and the ResNet-20 for CIFAR, each without attention, with the usual tutorial code,
    timm's CbamModule if it is installed, and the course's block, as it is and as it is written. A
    step is a forward and a backward pass; the fastest is printed. Memory is what the passes hold
    beyond the network and the images, counted by ``cbam_course.cost.traffic``.
    """
    import torch

    from cbam_course.attention import fused_attention
    from cbam_course.cost import traffic
    from cbam_course.models import make_model

    about, rows = conditions(device, threads), []
    for name, (batch, size) in NETWORKS.items():
        x = torch.randn(batch, 3, size, size, device=device)
        makers = {"none": None, **_blocks()}
        models = {block: make_model(name, make).to(device) for block, make in makers.items()}
        seconds = {block: [] for block in models}
        for repeat in range(repeats + 1):
            for block, model in random.sample(list(models.items()), len(models)):
                with fused_attention(block == "course"):
                    took = _seconds(partial(_step, model, x), model, x, False, True)
                if repeat:  # the first is to warm up
                    seconds[block].append(took)
        for block, model in models.items():
            with fused_attention(block == "course"):
                found = traffic(model, x)
            row = {"network": name, "batch": batch, "size": size, "block": block}
            rows.append(row | {"seconds": seconds[block], "kept": found.kept, "peak": found.peak})
            click.echo(
                f"{name:15} {block:18} {min(seconds[block]):6.3f} s"
                f"  kept {found.kept / 1e6:6.1f} MB  peak {found.peak / 1e6:6.1f} MB"
            )
    _keep(file, about, rows)


def _step(model: "nn.Module", x: "Tensor") -> None:
    """A forward and a backward pass; the loss takes all images to be of one class."""
    from torch.nn.functional import cross_entropy

    cross_entropy(model(x), x.new_zeros(len(x)).long()).backward()


def conditions(device: str, threads: int) -> dict[str, Any]:
    """Versions, machine and threads, which are set and printed."""
    import torch

    torch.set_num_threads(threads)
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    versions |= {"timm": version("timm")} if find_spec("timm") else {}
    machine = torch.cuda.get_device_name(device) if device != "cpu" else _processor()
    click.echo(f"{versions}, {machine}, {threads} threads")
    return {"versions": versions, "machine": machine, "threads": threads}


def _processor() -> str:
    """What Linux tells of the processor, elsewhere what Python knows."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _keep(file: Path | None, about: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """As :func:`cbam_course.records.speed` reads it."""
    if file is not None:
        file.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def _blocks() -> dict[str, Any]:
    """The blocks that are compared, by name: functions of the number of channels."""
    from cbam_course.attention import CBAM

    blocks = {"course": CBAM, "course, not fused": CBAM, "tutorial": tutorial_cbam}
    if find_spec("timm"):
        from timm.layers.cbam import CbamModule

        blocks["timm"] = CbamModule
    return blocks


def by_turns(
    blocks: "dict[str, nn.Module]",
    x: "Tensor",
    grad: "Tensor",
    repeats: int,
    fused: set | None = None,
) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of all blocks by turns, so that a busy machine slows all of them alike.

    Args:
        blocks: the blocks by name, which take ``x``.
        x: a feature map [B, C, H, W].
        grad: the gradient of the output, of the shape of ``x``.
        repeats: how often each is timed, after one run that is not.
        fused: the names of those that may use the fused function; ``None`` for all.

    Returns:
        Of ``"training"`` (forward and backward) and ``"inference"``, each block's milliseconds.
    """
    from cbam_course.attention import fused_attention

    taken = {kind: {name: [] for name in blocks} for kind in ("training", "inference")}
    for repeat in range(repeats + 1):
        # In another order each time: memory that one frees, the next one may find in the cache.
        for name, one in random.sample(list(blocks.items()), len(blocks)):
            with fused_attention(fused is None or name in fused):
                trained = _seconds(lambda one=one: one(x).backward(grad), one, x, True, True)
                inferred = _seconds(lambda one=one: one(x), one, x, False, False)
            if repeat:  # the first is to warm up
                taken["training"][name].append(1e3 * trained)
                taken["inference"][name].append(1e3 * inferred)
    return taken


def _seconds(run: Any, one: "nn.Module", x: "Tensor", to_x: bool, gradient: bool) -> float:
    """The seconds of ``run``, with gradients of the module's weights, and of ``x`` if wanted."""
    import torch

    one.zero_grad()
    x.grad = None
    x.requires_grad_(to_x)
    with torch.set_grad_enabled(gradient):
        wait = torch.cuda.synchronize if x.is_cuda else bool
        wait()
        started = time.perf_counter()
        run()
        wait()
        return time.perf_counter() - started


def tutorial_cbam(channels: int, reduction: int = 16) -> "nn.Module":
    """The block as most tutorials write it."""
    import torch
    from torch import nn

    class Tutorial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.avg_pool, self.max_pool = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)
            hidden = channels // reduction
            self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
            self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)
            self.relu, self.sigmoid = nn.ReLU(), nn.Sigmoid()
            self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            avg_out = self.fc2(self.relu(self.fc1(self.avg_pool(x))))
            max_out = self.fc2(self.relu(self.fc1(self.max_pool(x))))
            x = self.sigmoid(avg_out + max_out) * x
            avg_out = torch.mean(x, dim=1, keepdim=True)
            max_out, _ = torch.max(x, dim=1, keepdim=True)
            return self.sigmoid(self.conv(torch.cat([avg_out, max_out], dim=1))) * x

    return Tutorial()
