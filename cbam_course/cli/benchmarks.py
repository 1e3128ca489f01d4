"""``cbam-course bench``: CBAM against the block of others, by turns, alone and in networks."""

import json
import platform
import random
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from torch import Tensor, nn

SHAPES = ((32, 64, 32, 32), (8, 256, 56, 56), (32, 512, 14, 14))
LAYOUTS = ("contiguous_format", "channels_last")
NETWORKS = {"resnet50": (8, 224, 1000), "cifar_resnet": (128, 32, 10)}
"""Networks with the sizes of their batches and images, and how many classes they tell apart."""
KINDS = ["training", "inference"]
"""Forward and backward, and without a gradient."""


@click.command(context_settings={"show_default": True})
@click.argument("what", type=click.Choice(["block", "networks"]))
@click.option("--json", "file", type=click.Path(path_type=Path), help="Keep all times.")
@click.option("--device", default="cpu", help='"cpu", or "cuda" for a GPU.')
@click.option("--threads", type=click.IntRange(1), default=1, help="Of the CPU.")
@click.option("--repeats", type=click.IntRange(1), default=10, help="Of each, by turns.")
@click.option("--compile", "compiled", is_flag=True, help="Also the block as torch.compile has it.")
def bench(
    what: str, file: Path | None, device: str, threads: int, repeats: int, compiled: bool
) -> None:
    """Time the course's CBAM against others on this machine, alone or in networks.

    The peers are the usual tutorial code and, if it is installed, timm's CbamModule. The course's
    block runs as it is and as it is written. All run by turns in one process, in float32: a busy
    machine slows all of them, and the minimum tells most. It is printed in milliseconds.

    block: forward and backward, and without a gradient. On a CPU torch.compile does without the
    option that would have each input copied to channels_last.

    networks: the same of a ResNet-50 and the ResNet-20 for CIFAR, without attention and with each
    block. Memory is what the two passes hold beyond the network and the images, counted by
    cbam_course.cost.traffic.

    \b
      cbam-course bench block
      cbam-course bench networks
    """  # noqa: D301
    import torch

    if compiled and what != "block":
        raise click.UsageError("--compile goes with the block alone")
    torch.set_num_threads(threads)
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    versions |= {"timm": version("timm")} if find_spec("timm") else {}
    machine = torch.cuda.get_device_name(device) if device != "cpu" else _processor()
    click.echo(f"{versions}, {machine}, {threads} threads")
    if what == "networks":
        rows = _networks(device, repeats)
    else:
        rows = _blocks(device, repeats, compiled)
    if file is not None:  # as cbam_course.records.speed reads it
        kept = {"versions": versions, "machine": machine, "threads": threads, "rows": rows}
        file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _blocks(device: str, repeats: int, compiled: bool) -> list[dict[str, Any]]:
    """All times of the blocks, of each shape and layout; the shortest are printed."""
    import pandas as pd
    import torch

    rows = []
    for shape in SHAPES:
        for layout in LAYOUTS:
            form = {"memory_format": getattr(torch, layout)}
            x, grad = (torch.randn(shape, device=device).contiguous(**form) for _ in range(2))
            blocks = {name: make(shape[1]).to(device, **form) for name, make in _makers().items()}
            if compiled:
                torch.compiler.reset()
                how = {"options": {"layout_optimization": False}, "dynamic": False}
                del blocks["course, not fused"]  # compiled, there is one way
                blocks |= {f"{n}, compiled": torch.compile(b, **how) for n, b in blocks.items()}
            for block, times in by_turns(blocks, x, grad, repeats, fused={"course"}).items():
                rows.append({"shape": shape, "layout": layout, "block": block, **times})
    table = pd.DataFrame(rows)
    table[KINDS] = table[KINDS].map(min)
    fastest = table.pivot(index=["shape", "layout"], columns="block", values=KINDS)
    fastest = fastest.stack(0, future_stack=True)
    click.echo(fastest.to_string(float_format="%.2f"))
    return rows


def _networks(device: str, repeats: int) -> list[dict[str, Any]]:
    """All times of the networks and the memory of their passes; the shortest are printed."""
    import torch

    from cbam_course.attention import fused_attention
    from cbam_course.cost import traffic
    from cbam_course.models import make_model

    rows = []
    for name, (batch, size, classes) in NETWORKS.items():
        x = torch.randn(batch, 3, size, size, device=device)
        grad = torch.randn(batch, classes, device=device) / batch
        makers = {"none": None, **_makers()}
        models = {block: make_model(name, make).to(device) for block, make in makers.items()}
        times = by_turns(models, x, grad, repeats, fused={"course"}, grad_of_x=False)
        for block, taken in times.items():
            with fused_attention(block == "course"):
                memory = traffic(models[block], x)
            row = {"network": name, "batch": batch, "size": size, "block": block}
            rows.append(row | taken | {"kept": memory.kept, "peak": memory.peak})
            fastest = "".join(f"  {kind} {min(taken[kind]):5.0f}" for kind in KINDS)
            click.echo(
                f"{name:13} {block:18}{fastest}  kept {memory.kept / 1e6:6.1f} MB"
                f"  peak {memory.peak / 1e6:6.1f} MB"
            )
    return rows


def _processor() -> str:
    """What Linux tells of the processor, elsewhere what Python knows."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _makers() -> dict[str, Any]:
    """The blocks that are compared, by name: functions of the number of channels."""
    from cbam_course.attention import CBAM

    makers = {"course": CBAM, "course, not fused": CBAM, "tutorial": tutorial_cbam}
    if find_spec("timm"):
        from timm.layers.cbam import CbamModule

        makers["timm"] = CbamModule
    return makers


def by_turns(
    blocks: "dict[str, nn.Module]",
    x: "Tensor",
    grad: "Tensor",
    repeats: int,
    fused: set | None = None,
    grad_of_x: bool = True,
) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of all blocks by turns, so that a busy machine slows all of them alike.

    Args:
        blocks: the blocks or networks by name, which take ``x``.
        x: feature maps or images [B, C, H, W].
        grad: the gradient of the output, of its shape.
        repeats: how often each is timed, after one run that is not.
        fused: the names of those that may use the fused function; ``None`` for all.
        grad_of_x: whether the gradient of ``x`` is computed, too.

    Returns:
        Of each block the milliseconds of ``"training"`` (forward and backward) and ``"inference"``.
    """
    import torch

    from cbam_course.attention import fused_attention

    def milliseconds(run: Callable[[], object]) -> float:
        wait = torch.cuda.synchronize if x.is_cuda else bool
        wait()
        started = time.perf_counter()
        run()
        wait()
        return 1e3 * (time.perf_counter() - started)

    taken = {name: {kind: [] for kind in KINDS} for name in blocks}
    for repeat in range(repeats + 1):
        # In another order each time: memory that one frees, the next one may find in the cache.
        for name, one in random.sample(list(blocks.items()), len(blocks)):
            one.zero_grad()
            x.grad = None
            with fused_attention(fused is None or name in fused):
                x.requires_grad_(grad_of_x)
                trained = milliseconds(lambda one=one: one(x).backward(grad))
                x.requires_grad_(False)
                with torch.no_grad():
                    inferred = milliseconds(lambda one=one: one(x))
            if repeat:  # the first is to warm up
                taken[name]["training"].append(round(trained, 3))
                taken[name]["inference"].append(round(inferred, 3))
    return taken


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
