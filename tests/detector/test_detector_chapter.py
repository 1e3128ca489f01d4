"""What chapter 13 builds and claims: its listed network, its solutions, its reading of runs."""

import ast

import nbformat
import pytest
import torch
from torch import nn

from cbam_course import records
from cbam_course.attention import make_attention, starting_as_identity
from cbam_course.detector import SEEDS, results
from tests.support.notebook_rules import code_cells
from tests.support.project import ROOT

NOTEBOOK = nbformat.read(ROOT / "notebooks" / "13_in_a_detector.ipynb", as_version=4)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def chapter():
    """The chapter's functions and classes, its rows, and a plain network made of them."""
    names = {"torch": torch, "nn": nn, "make_attention": make_attention}
    names["starting_as_identity"] = starting_as_identity
    for cell in code_cells(NOTEBOOK)[1:]:
        for node in ast.parse(cell.source).body:
            rows = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "rows"
            if rows or isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                exec(ast.unparse(node), names)
    names["plain"] = names["ListedNetwork"](names["rows"]).eval()
    return names


def test_the_listed_network_computes_what_its_rows_say(chapter):
    network = chapter["plain"]
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        layer = network.layers
        third = layer[2](layer[1](layer[0](x)))
        top = layer[4](layer[3](third))
        fine = layer[7](torch.cat([nn.functional.interpolate(top, scale_factor=2), third], 1))
        coarse = layer[10](torch.cat([layer[8](fine), top], 1))
        expected = [layer[11][0](fine), layer[11][1](coarse)]
        assert all(map(torch.equal, network(x), expected))


def test_the_corrected_row_starts_as_the_same_network(chapter):
    """With its keys renamed as its numbers are, the outputs are those of the plain network."""
    plain, position = chapter["plain"], 4
    rows = chapter["shifted"](chapter["rows"], position)
    rows.insert(position, [[-1], "cbam"])
    network = chapter["ListedNetwork"](rows).eval()
    renamed = {}
    for key, value in plain.state_dict().items():
        number, rest = key.removeprefix("layers.").split(".", 1)
        renamed[f"layers.{int(number) + (int(number) >= position)}.{rest}"] = value
    missing = network.load_state_dict(renamed, strict=False)
    assert not missing.unexpected_keys
    assert all(key.startswith(f"layers.{position}.") for key in missing.missing_keys)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert all(map(torch.equal, network(x), plain(x)))


@pytest.mark.parametrize("metric", ["map50", "map"])
def test_no_variant_can_be_told_from_the_plain_detector(metric):
    """One interval of six misses zero; corrected for six comparisons it is no result."""
    summary = records.summary(results(metric=metric)).drop("plain")
    assert (summary["p_holm"] > 0.1).all() and (summary["difference_high"] > 0).all()
    assert list(summary.index[summary["difference_low"] > 0]) == ["CBAM, body"]


def test_every_shipped_seed_has_all_variants():
    runs = results()
    assert list(runs.groupby("seed")["variant"].nunique()) == [7] * len(SEEDS)
