"""The file to copy: equal to the package, and it runs as it stands, with PyTorch alone."""

import ast
import importlib.util
import re

import nbformat
import pytest
import torch
import torchvision
from matplotlib import pyplot
from torch import nn

from cbam_course import attention, cost, records
from tests.support.project import ROOT, address, colab_link

FILE, PAGE = ROOT / "book" / "copy" / "cbam.py", ROOT / "book" / "copy_this.md"
spec = importlib.util.spec_from_file_location("copied_cbam", FILE)
copied = importlib.util.module_from_spec(spec)
spec.loader.exec_module(copied)

# The row of the page, the class in the file, the same block of the package, and its record's name.
BLOCKS = {
    "SqueezeExcitation": (copied.SqueezeExcitation, attention.SqueezeExcitation, "SE"),
    "ECA": (copied.ECA, attention.ECA, "ECA"),
    "ChannelAttention": (copied.ChannelAttention, attention.ChannelAttention, "channel (FC)"),
    'ChannelAttention(mode="conv")': (
        lambda c: copied.ChannelAttention(c, mode="conv"),
        attention.make_attention("channel-conv"),
        "channel (Conv)",
    ),
    "SpatialAttention": (
        lambda c: copied.SpatialAttention(),
        attention.make_attention("spatial"),
        "spatial",
    ),
    "CBAM": (copied.CBAM, attention.CBAM, "CBAM (FC)"),
    'CBAM(mode="conv")': (
        lambda c: copied.CBAM(c, mode="conv"),
        attention.make_attention("cbam-conv"),
        "CBAM (Conv)",
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("channels", [16, 64, 256])
def test_the_same_block_with_the_same_weights(name, channels):
    theirs, ours, _ = BLOCKS[name]
    theirs, ours = theirs(channels), ours(channels)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, channels, 7, 5, requires_grad=True)
    torch.testing.assert_close(theirs(x), ours(x))
    torch.testing.assert_close(*(torch.autograd.grad(b(x).sum(), x)[0] for b in (theirs, ours)))


def test_what_the_page_says_each_costs():
    rows = re.findall(
        r"^\| `(\S.*?)` \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \|$", PAGE.read_text("utf-8"), re.M
    )
    assert [row[0] for row in rows] == list(BLOCKS)
    fastest = records.curves("small-blocks").groupby("variant")["seconds"].min()
    for name, parameters, macs, seconds in rows:
        make, _, variant = BLOCKS[name]
        counted = cost.count(make(256), (256, 14, 14))
        assert (f"{counted.parameters:,}", f"{counted.macs:,}") == (parameters, macs), name
        assert f"{fastest[variant]:.1f}" == seconds, name
    assert f"| none | 0 | 0 | {fastest['no attention']:.1f} |" in PAGE.read_text("utf-8")


def test_the_notebook_is_the_file():
    notebook = nbformat.read(FILE.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    text = FILE.read_text(encoding="utf-8")
    assert (
        "\n\n\n".join(code[:7]) == text[text.index("import math") : text.index("\n\n\nif __name__")]
    )
    assert colab_link("book/copy/cbam.ipynb", address()) in notebook.cells[0].source


def test_it_is_short_and_needs_pytorch_alone():
    text = FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 250
    tree = ast.parse(text)
    at_once, anywhere = (
        {
            (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        for nodes in (tree.body, ast.walk(tree))
    )
    assert at_once == {"copy", "fnmatch", "math", "torch"}
    # What downloads weights or images, and draws, is asked for only then.
    assert anywhere == at_once | {"torchvision", "matplotlib"}


@pytest.mark.parametrize("depth", [18, 50])
def test_a_network_keeps_its_scores_until_it_learns(depth, monkeypatch):
    torch.manual_seed(0)
    trained = torchvision.models.get_model(f"resnet{depth}", num_classes=10).eval()
    monkeypatch.setattr(torchvision.models, "get_model", lambda name, weights: trained)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = trained(x)
        network = copied.resnet_cbam(depth, weights="DEFAULT", num_classes=10)
        assert torch.equal(network(x), before)
        blocks = [m for m in network.modules() if isinstance(m, copied.StartAsIdentity)]
        assert len(blocks) == {18: 8, 50: 16}[depth]
        for block in blocks:
            block.gate.fill_(1.0)
        assert not torch.allclose(network(x), before)
        with pytest.raises(ValueError, match="has attention already"):
            copied.add_attention(network, "layer*.*.bn*")
        with pytest.raises(ValueError, match="no module of the network matches"):
            copied.add_attention(network, "stage*")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: copied.CBAM(8), "leaves no hidden unit for 8 channels"),
        (lambda: copied.ECA(64, 4), "kernel_size must be odd"),
        (lambda: copied.SpatialAttention(6), "kernel_size must be odd"),
        (lambda: copied.ChannelAttention(64, mode="eca"), "mode must be 'fc' or 'conv'"),
    ],
)
def test_mistakes_are_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_it_trains_and_draws_its_curves(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    y = torch.arange(100) % 10
    x = (25 * y[:, None, None, None]).expand(100, 3, 32, 32).byte()
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3), copied.CBAM(16, reduction=4), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    images, before = (x[:80], y[:80], x[80:], y[80:]), net[0].weight.detach().clone()
    accuracies = copied.train_cifar10(net, epochs=2, batch_size=20, images=images)
    pyplot.close()
    told = re.findall(
        r"^epoch (\d): loss ([\d.]+), test accuracy ([\d.]+)%$", capsys.readouterr().out, re.M
    )
    assert [(int(e), float(a) / 100) for e, _, a in told] == [*enumerate(accuracies, 1)]
    assert len(told) == 2 and not torch.equal(net[0].weight, before)
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_it_is_exported_and_traced():
    block = nn.Sequential(nn.Conv2d(3, 16, 1), copied.CBAM(16)).eval()
    x = torch.randn(2, 3, 8, 8)
    program = torch.export.export(block, (x,))
    torch.testing.assert_close(program.module()(x), block(x))
    torch.testing.assert_close(torch.jit.trace(block, x)(x), block(x))
