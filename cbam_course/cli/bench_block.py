"""``cbam-course bench block``: the CBAM block against the same block of others, by turns."""

import importlib.metadata
import importlib.util
import json
import platform
import random
import time
from pathlib import Path
from statistics import geometric_mean, median
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from torch import Tensor, nn

SHAPES = ((32, 64, 32, 32), (8, 256, 56, 56), (32, 512, 14, 14))
LAYOUTS = ("contiguous_format", "channels_last")


@click.command(context_settings={"show_default": True})
@click.option("--repeats", type=click.IntRange(1), default=20, help="Runs of each block, by turns.")
@click.option("--threads", type=click.IntRange(1), default=1, help="Of the CPU.")
@click.option("--device", default="cpu", help='"cpu", or "cuda" for a GPU.')
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Keep all.")
def block(repeats: int, threads: int, device: str, file: Path | None) -> None:
    """Time CBAM forward and backward, and without a gradient, in eager float32.

    The peers are the usual tutorial code and, if it is installed, timm's CbamModule. All blocks run
    by turns in one process: a busy machine slows all of them, and the minimum tells most.
    """
    import torch

    torch.set_num_threads(threads)
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    versions |= {name: importlib.metadata.version(name) for name in _timm()}
    machine = torch.cuda.get_device_name(device) if device != "cpu" else _processor()
    click.echo(f"{versions}, {machine}, {threads} threads; milliseconds: minimum (median)")
    rows = [
        {"shape": shape, "layout": layout, **_case(shape, layout, repeats, device)}
        for shape in SHAPES
        for layout in LAYOUTS
    ]
    for name in ("training", "inference"):
        factor = geometric_mean(row["faster"][name] for row in rows)
        worst = min(row["faster"][name] for row in rows)
        click.echo(f"{name}: {factor:.2f} times the fastest peer on average, {worst:.2f} at worst")
    if file is not None:
        told = {"versions": versions, "machine": machine, "threads": threads, "rows": rows}
        file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _timm() -> list[str]:
    return ["timm"] if importlib.util.find_spec("timm") else []


def _processor() -> str:
    """What Linux tells of the processor, elsewhere what Python knows."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _case(shape: tuple, layout: str, repeats: int, device: str) -> dict[str, dict]:
    """The milliseconds of all blocks at one shape, and how much faster than the peers ours is."""
    import torch

    from cbam_course.attention import CBAM

    blocks = {"course": CBAM(shape[1]), "tutorial": tutorial_cbam(shape[1])}
    blocks["course, not fused"] = blocks["course"]
    if _timm():
        from timm.layers.cbam import CbamModule

        blocks["timm"] = CbamModule(shape[1])
    form = getattr(torch, layout)
    x, grad = (torch.randn(shape, device=device).contiguous(memory_format=form) for _ in range(2))
    blocks = {k: b.to(device, memory_format=form) for k, b in blocks.items()}
    seconds = by_turns(blocks, x, grad, repeats, fused={"course"})
    faster = {}
    for kind, times in seconds.items():
        told = (f"{name} {min(each):.2f} ({median(each):.2f})" for name, each in times.items())
        peers = [min(each) for name, each in times.items() if not name.startswith("course")]
        faster[kind] = min(peers) / min(times["course"])
        click.echo(f"{list(shape)} {layout} {kind}: {faster[kind]:.2f} times; {', '.join(told)}")
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
                trained = _seconds(lambda one=one: one(x).backward(grad), one, x, True)
                inferred = _seconds(lambda one=one: one(x), one, x, False)
            if repeat:  # the first is to warm up
                taken["training"][name].append(1e3 * trained)
                taken["inference"][name].append(1e3 * inferred)
    return taken


def _seconds(run: Any, one: "nn.Module", x: "Tensor", gradient: bool) -> float:
    import torch

    one.zero_grad()
    x.grad = None
    x.requires_grad_(gradient)
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
