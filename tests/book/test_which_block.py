"""The page on the choice: its costs are counted."""

import re

import pytest
import torch

from cbam_course import cost, models
from cbam_course.attention import fast
from tests.support.project import ROOT

PAGE = (ROOT / "book" / "which_block.md").read_text(encoding="utf-8")
COSTS = re.findall(
    r"^\| `?([\w:-]+)`? \| ([\d,]+) \| ([\d.]+) × 10⁹ \| (\d+) MB \|$", PAGE, re.MULTILINE
)


def kept_for_backward(name, device):
    """The bytes of activations that a forward pass keeps, for one of two images.

    Two, as a batch of one has nothing to normalize in some blocks.
    """
    with torch.device(device):
        model = models.make_model("resnet50", name).train()
        images = torch.zeros(2, 3, 224, 224)
    own = {p.untyped_storage()._cdata for p in (*model.parameters(), *model.buffers())}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()  # on the meta device all data are at 0
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(images)
    return sum(size for storage, size in kept.items() if storage not in own) / 2


def test_all_rows_of_the_table_are_seen():
    assert len(COSTS) == 9 and COSTS[0][0] == "none"


@pytest.mark.parametrize("name, parameters, billion, megabytes", COSTS, ids=lambda value: value)
def test_the_costs_are_counted(name, parameters, billion, megabytes, monkeypatch):
    monkeypatch.setattr(fast, "SMALLEST", 0)  # as in a larger batch
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    found = cost.count(lambda: models.make_model("resnet50", name))
    assert f"{found.parameters:,}" == parameters
    assert f"{found.macs / 1e9:.3f}" == billion
    # The fused function of CBAM takes real numbers alone.
    kept = kept_for_backward(name, "cpu" if name.startswith("cbam") else "meta")
    assert kept / 1e6 == pytest.approx(int(megabytes), rel=0.01)
    if name == "cbam-fc":
        written = kept_for_backward(name, "meta")
        assert f"as it is usually written CBAM keeps {written / 1e6:.0f} MB" in PAGE


def test_which_global_contexts_gate_and_which_add():
    timm = pytest.importorskip("timm")
    added = "The GC blocks of the rows above, GCNet's and those of timm's ResNet-33ts, add to them"
    assert "(`timm:gc` gates the features." in PAGE and added in PAGE
    with torch.device("meta"):
        networks = models.make_model("resnet18", "timm:gc"), timm.create_model("gcresnet33ts")
    gating, adding = (
        [m for m in network.modules() if type(m).__name__ == "GlobalContext"]
        for network in networks
    )
    assert gating and all(m.mlp_scale is not None and m.mlp_add is None for m in gating)
    assert adding and all(m.mlp_scale is None and m.mlp_add is not None for m in adding)
