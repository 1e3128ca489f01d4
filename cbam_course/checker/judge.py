"""The way from a block to a report."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .contract import contract, ignored_arguments, make, one_line
from .halves import Half
from .probe import CannotJudge, Probe, as_map, differs, features, spread
from .report import PLACES, Report, finding


def check(block: Any, channels: int = 64, /, **arguments: Any) -> Report:
    r"""Judge whether a block is a right CBAM, or a right half or relative of one.

    .. math:: F' = M_c(F) \otimes F, \qquad F'' = M_s(F') \otimes F'

    A copy of the block is given features and weights, and what it computes is compared with what
    the equations say. Names and source are not looked at, and the block itself is left as it is.

    Args:
        block: a module that is called with a feature map ``[B, C, H, W]`` and nothing else; or a
            class or factory that makes one from the number of channels.
        channels: number of channels C, at least 4.
        arguments: further arguments of the class or factory.

    Returns:
        The report: kind, verdict, findings. Print it, show it, or take it apart.

    Raises:
        ValueError: if there are fewer than 4 channels, or arguments for a module made already.

    Example:
        >>> from cbam_course.attention import CBAM
        >>> check(CBAM, 64, reduction=8).verdict
        'right'
    """
    if not isinstance(channels, int) or channels < 4:
        raise ValueError(f"channels must be an integer of at least 4; got {channels!r}")
    if isinstance(block, nn.Module) and arguments:
        raise ValueError(f"the block is made already, so {', '.join(arguments)} would be ignored")
    while isinstance(block, partial) and not block.args:
        block, arguments = block.func, block.keywords | arguments
    report, threads = Report(), torch.get_num_threads()
    torch.set_num_threads(1)  # the sums are tiny
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _judge(report, block, channels, arguments)
    except CannotJudge as why:
        report.reason = str(why)
    except Exception as error:  # whatever the block does
        said = one_line(error)
        report.reason = f"the block is called with feature maps [B, C, H, W], and raised {said}"
        if isinstance(error, NameError):
            report.findings.append(finding("undefined-name", one_line(error)))
    finally:
        torch.set_num_threads(threads)
    return report


def _judge(report: Report, block: Any, channels: int, arguments: dict[str, Any]) -> None:
    add = report.findings.append
    made = block if isinstance(block, nn.Module) else make(block, channels, arguments)
    try:
        probe = Probe(made, channels)
    except Exception as error:
        with suppress(Exception):  # of an instance, or without the arguments too
            Probe(make(block, channels, {}), channels)
            add(finding("fails-late", one_line(error), names=" and ".join(arguments)))
        raise
    report.findings += contract(probe)
    if {"random", "batch"} & {one.code for one in report.findings}:
        return
    _what_it_returns(probe, report)
    _identity_start(probe, report)
    halves = _halves(probe, report)
    for half in halves:
        report.findings += half.activation()
    if halves and all(half.judged for half in halves) and not _range(halves, report):
        for half in halves:
            report.findings += half.look(report.details)
        if len(halves) == 2 and report.verdict != "wrong":
            _composition(halves, report)
    _name(halves, report)
    before = [value.clone() for value in probe.block.buffers()]
    with torch.no_grad():
        probe.block.train()(features(channels).to(probe.type))
    if any(not torch.equal(*pair) for pair in zip(before, probe.block.buffers(), strict=True)):
        add(finding("batch-norm"))
    if not isinstance(block, nn.Module):
        for name in ignored_arguments(block, channels, arguments):
            # ECA's kernel follows from the channels; who asks for another one has to get it.
            asked = name in arguments or report.kind != "ECA"
            add(finding("ignored-argument" if asked else "unused-argument", "the same", names=name))


def _what_it_returns(probe: Probe, report: Report) -> None:
    """Refined features, which are zero where the features are, or a map."""
    probe.draw()
    x = features(probe.channels)
    holes = torch.rand(x.shape) < 0.2
    x = x.masked_fill(holes, 0.0)
    y = probe(x)
    report.details["returns"] = "refined features"
    if y.shape == x.shape and not differs(y[holes], 0):
        return
    probe.adds = y.shape == x.shape and _is_map(y - x, x)
    if not probe.adds and not _is_map(y, x):
        why = "it is not 0 where x is 0, as behind a BatchNorm or where channels are mixed"
        if y.shape != x.shape:
            why = f"shape {list(y.shape)} for x of shape {list(x.shape)}"
        raise CannotJudge(f"block(x) is no product of x and a gate, and no map: {why}")
    probe.refines = False
    report.details["returns"] = "features plus a map" if probe.adds else "a map"
    code = "map-added" if probe.adds else "returns-map"
    report.findings.append(finding(code, differs(y[holes], 0) if probe.adds else ""))


def _is_map(y: Tensor, x: Tensor) -> bool:
    """Whether an answer has the shape of a map, or is one that has been expanded."""
    if y.shape == x.shape:
        flat = y.flatten(2)
        return any(not differs(flat, flat.mean(axis, keepdim=True)) for axis in (1, 2))
    return as_map(y).shape in ((*x.shape[:2], 1, 1), (len(x), 1, *x.shape[2:]))


def _identity_start(probe: Probe, report: Report) -> None:
    """A learned scale at whose zero the block is the identity is set to one."""
    x = features(probe.channels)
    for name in probe.parameters if probe.refines else ():
        starts = True
        for seed in range(5):  # with one of them a few hidden units may all be silent
            probe.draw(seed=seed)
            starts = starts and bool(differs(probe.gate(x), 1))
            probe.zero([name])
            starts = starts and not differs(probe.gate(x), 1)
        if starts:
            probe.fixed.add(name)
            report.findings.append(finding("identity-start", names=name))


def _halves(probe: Probe, report: Report) -> list[Half]:
    """The halves of a block, told by where its gate differs; a finding where there are none."""
    x, names, add = features(probe.channels), list(probe.parameters), report.findings.append
    probe.zero()
    still = probe.gate(x)
    if apart := differs(still, still.mean()):
        other = torch.cat([features(probe.channels, seed=1)[:, :, :6], x[:, :, 6:]], dim=2)
        if probe.refines and not differs((still / x.flatten(2)).std(), 0):
            add(finding("features-twice", "a gate in proportion to the features"))
        elif not differs(probe.gate(other)[..., 60:], still[..., 60:]):
            raise CannotJudge("each value is changed by itself: by a ReLU, or the like")
        elif names:
            add(finding("hidden-weights", apart))
        else:
            raise CannotJudge(
                "the block has no parameter: attention without any, such as SimAM, or weights that "
                "are no nn.Parameter"
            )
        return []
    same, flat = True, {1, 2}
    for seed in range(8):  # with some weights the few hidden units may all be silent
        probe.draw(gain=0.6, seed=seed)
        gate = probe.gate(x)
        same = same and not differs(gate, gate[:1])
        here = {axis for axis in (1, 2) if not differs(gate, gate.mean(axis, keepdim=True))}
        flat &= here
        if not here:
            return _two(probe, gate, seed, report)
    if same:
        add(finding("constant-gate", "the same gates", names="four images"))
        return []
    half = Half(probe, "channel" if flat == {2} else "spatial", names, [])
    if probe.refines and abs(half.start - 1.5) < 1e-4:
        _residual(probe, report)
        half.start -= 1
    return [half]


def _residual(probe: Probe, report: Report) -> None:
    probe.rest = 1.0
    report.findings.append(finding("residual", "1 more than that"))


def _two(probe: Probe, gate: Tensor, seed: int, report: Report) -> list[Half]:
    """Both halves: which parameter belongs to which, and which half comes first."""
    x = features(probe.channels)
    a, b, c, d = gate[:, :-1, :-1], gate[:, :-1, 1:], gate[:, 1:, :-1], gate[:, 1:, 1:]
    if not differs((a + d) / gate.mean(), (b + c) / gate.mean()):
        pools = x.mean(1), x.amax(1)
        one, two = (probe.gate(spread(*pools, probe.channels, s).movedim(3, 1)) for s in (0, 1))
        if differs(one[:, :1] - one[:, :1, :1], two[:, :1] - two[:, :1, :1]):
            raise CannotJudge(
                "this is scSE, or the like: two weighted features are added, and the positions' "
                "weights come from all channels"
            )
        report.findings.append(finding("sum-of-maps", "a sum of two"))
        return []
    # A product of two maps has rank one. If a constant is added to it, this is the constant.
    far = (a + d - b - c).abs() > 0.01
    rest = ((a * d - b * c) / (a + d - b - c))[far]
    if len(rest) and not differs(rest, 1):
        _residual(probe, report)
        gate = gate - 1
    owners: dict[tuple[bool, bool], list[str]] = {}
    for name in probe.parameters:
        channels = positions = False
        for base in range(seed, seed + 4):  # with one of them a few hidden units may all be silent
            probe.draw(gain=0.6, seed=base)
            one = probe.gate(x)
            probe.draw([name], 0.6, seed=base + 9)
            other = probe.gate(x)
            scale = (other * one).abs().max()  # does the ratio of both gates differ along an axis?
            channels |= bool(differs(other * one[:, :1] / scale, other[:, :1] * one / scale))
            positions |= bool(differs(other * one[..., :1] / scale, other[..., :1] * one / scale))
        owners.setdefault((channels, positions), []).append(name)
    # A parameter of the half that comes first changes both maps.
    channel_own, spatial_own = owners.get((True, False), []), owners.get((False, True), [])
    both, order = owners.get((True, True), []), "parallel"
    if both and not channel_own:
        order, channel_own, both = "channel-spatial", both, []
    elif both and not spatial_own:
        order, spatial_own, both = "spatial-channel", both, []
    if both or not (channel_own and spatial_own):
        raise CannotJudge(
            "the gate is no product of a channel map and a spatial map: BAM, coordinate attention, "
            "triplet attention and GAM have none"
        )
    report.details["order"] = order
    if order != "channel-spatial":
        names = "parallel, with both maps from the block's input" if order == "parallel" else order
        report.findings.append(finding("order", names=names))
    second = {"channel-spatial": "spatial", "spatial-channel": "channel"}.get(order)
    return [
        Half(probe, name, own, others, 2.0 if name == second else 1.0)
        for name, own, others in (
            ("channel", channel_own, spatial_own), ("spatial", spatial_own, channel_own),
        )
    ]  # fmt: skip


def _range(halves: list[Half], report: Report) -> bool:
    """Whether the gates run to something else than 1."""
    total = halves[0].start * 2 ** len(halves)
    if any(one.code == "constant-gate" for one in report.findings) or abs(total - 1) < 1e-3:
        return False
    report.findings.append(finding("gate-range", f"gates from 0 to {total:.3g}"))
    return True


def _composition(halves: list[Half], report: Report) -> None:
    """Whether two right halves are put together as the equations say."""
    probe, order = halves[0].probe, report.details["order"]
    x = features(probe.channels, seed=5)
    product, seen = torch.ones(()), x
    for half in halves[::-1] if order == "spatial-channel" else halves:
        half.draw(seed=5)
        shape = (len(x), -1, 1, 1) if half.name == "channel" else (len(x), 1, *x.shape[2:])
        product = product * half.map(seen).view(shape)
        seen = x if order == "parallel" else x * product
    for half in halves:
        probe.draw(half.own, seed=5)
    if apart := differs(probe.gate(x), product.expand_as(x).flatten(2)):
        report.findings.append(finding("composition", apart))


def _name(halves: list[Half], report: Report) -> None:
    """The kind of the block; SE and ECA have one pool by their papers."""
    kinds = {half.name: f"{half.name} attention" for half in halves}
    report.kind = "CBAM" if len(kinds) == 2 else next(iter(kinds.values()), report.kind)
    mode = report.details.get("mode")
    if report.kind == "channel attention" and halves[0].pools == ["avg"] and mode in ("fc", "conv"):
        if halves[0].times != 2 or mode == "conv":
            report.kind = "squeeze-and-excitation" if mode == "fc" else "ECA"
            report.findings[:] = [
                replace(one, place=PLACES[report.kind]) if one.place == PLACES["channel"] else one
                for one in report.findings
                if one.code != "one-pool"
            ]
