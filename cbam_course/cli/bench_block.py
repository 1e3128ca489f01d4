"""``cbam-course bench block`` and ``networks``: CBAM against the block of others, by turns."""

import importlib.metadata
import importlib.util
import json
import platform
import random
import time
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from torch import Tensor, nn

SHAPES = ((32, 64, 32, 32), (8, 256, 56, 56), (32, 512, 14, 14))
LAYOUTS = ("contiguous_format", "channels_last")
NETWORKS = {"resnet50": (8, 224), "cifar_resnet": (128, 32)}
"""Networks with the sizes of their batches and images."""


@click.command(context_settings={"show_default": True})
@click.option("--repeats", type=click.IntRange(1), default=20, help="Runs of each block, by turns.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Of the CPU.")
@click.option("--device", default="cpu", help='"cpu", or "cuda" for a GPU.')
@click.option("--compile", "compiled", is_flag=True, help="Also what torch.compile makes of them.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Keep all.")
def block(repeats: int, threads: int, device: str, compiled: bool, file: Path | None) -> None:
    """Time CBAM forward and backward, and without a gradient, in float32.

    The peers are the usual tutorial code and, if it is installed, timm's CbamModule. All blocks run
    by turns in one process: a busy machine slows all of them, and the minimum tells most. Compiled
    blocks are compared with compiled ones; on a CPU without the option that would have each input
    copied to channels_last.
    """
    about = conditions(device, threads)
    click.echo("milliseconds: minimum (median)")
    rows = [
        {"shape": shape, "layout": layout, **_case(shape, layout, repeats, device, compiled)}
        for shape in SHAPES
        for layout in LAYOUTS
    ]
    for name in rows[0]["faster"]:
        factor = geometric_mean(row["faster"][name] for row in rows)
        worst = min(row["faster"][name] for row in rows)
        click.echo(f"{name}: {factor:.2f} times the fastest peer on average, {worst:.2f} at worst")
    if file is not None:
        file.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


@click.command(context_settings={"show_default": True})
@click.option("--repeats", type=click.IntRange(1), default=5, help="Steps of each, by turns.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Of the CPU.")
@click.option("--device", default="cpu", help='"cpu", or "cuda" for a GPU.')
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Keep all.")
def networks(repeats: int, threads: int, device: str, file: Path | None) -> None:
    """Time a training step of networks without and with CBAM, in eager float32.

    A ResNet-50 and the ResNet-20 for CIFAR, each without attention, with the usual tutorial code,
    timm's CbamModule if it is installed, and the course's block, as it is and as it is written. A
    step is a forward and a backward pass. Memory is what the passes hold beyond the network and
    the images, counted by ``cbam_course.cost.traffic``.
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
            row |= {"seconds": seconds[block], "kept": found.kept, "peak": found.peak}
            rows.append(row)
            click.echo(
                f"{name:15} {block:18} {min(seconds[block]):6.3f} s ({median(seconds[block]):.3f})"
                f"  kept {found.kept / 1e6:6.1f} MB  peak {found.peak / 1e6:6.1f} MB"
            )
    if file is not None:
        file.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def _step(model: "nn.Module", x: "Tensor") -> None:
    """A forward and a backward pass; the loss takes all images to be of one class."""
    from torch.nn.functional import cross_entropy

    cross_entropy(model(x), x.new_zeros(len(x)).long()).backward()


def conditions(device: str, threads: int) -> dict[str, Any]:
    """Versions, machine and threads, which are set and printed."""
    import torch

    torch.set_num_threads(threads)
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    versions |= {name: importlib.metadata.version(name) for name in _timm()}
    machine = torch.cuda.get_device_name(device) if device != "cpu" else _processor()
    click.echo(f"{versions}, {machine}, {threads} threads")
    return {"versions": versions, "machine": machine, "threads": threads}


def _timm() -> list[str]:
    return ["timm"] if importlib.util.find_spec("timm") else []


def _processor() -> str:
    """What Linux tells of the processor, elsewhere what Python knows."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _blocks() -> dict[str, Any]:
    """The blocks that are compared, by name: functions of the number of channels."""
    from cbam_course.attention import CBAM

    blocks = {"course": CBAM, "course, not fused": CBAM, "tutorial": tutorial_cbam}
    if _timm():
        from timm.layers.cbam import CbamModule

        blocks["timm"] = CbamModule
    return blocks


def _case(shape: tuple, layout: str, repeats: int, device: str, compiled: bool) -> dict[str, dict]:
    """The milliseconds of all blocks at one shape, and how much faster than the peers ours is."""
    import torch

    form = getattr(torch, layout)
    x, grad = (torch.randn(shape, device=device).contiguous(memory_format=form) for _ in range(2))
    blocks = {name: make(shape[1]) for name, make in _blocks().items()}
    blocks = {name: one.to(device, memory_format=form) for name, one in blocks.items()}
    if compiled:
        torch.compiler.reset()
        how = {"options": {"layout_optimization": False}, "dynamic": False}
        del blocks["course, not fused"]  # compiled, there is one way
        blocks |= {f"{name}, compiled": torch.compile(one, **how) for name, one in blocks.items()}
    seconds = by_turns(blocks, x, grad, repeats, fused={"course"})
    faster = {}
    for kind, times in seconds.items():
        told = (f"{name} {min(each):.2f} ({median(each):.2f})" for name, each in times.items())
        click.echo(f"{list(shape)} {layout} {kind}: {', '.join(told)}")
        for ending in ("", ", compiled") if compiled else ("",):
            peers = [min(times[name + ending]) for name in ("tutorial", *_timm())]
            faster[kind + ending] = min(peers) / min(times[f"course{ending}"])
    click.echo(f"  times the fastest peer: {', '.join(f'{k} {v:.2f}' for k, v in faster.items())}")
    return {**seconds, "faster": faster}


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
