"""The printed costs of three papers: as printed, computed again, explained where they differ."""

import pandas as pd
import pytest
import torch
from torch import nn

from cbam_course.attention import SqueezeExcitation
from cbam_course.cost import reproduce
from cbam_course.cost.bam import BAM
from cbam_course.cost.layers import follow
from cbam_course.cost.published import printed_rows
from cbam_course.cost.reproduce import costs
from cbam_course.cost.rules import RULES, operations

# Chapter 7 prints how many cells of each table match, and all that do not.
ROWS = {
    ("CBAM", "1"): 4, ("CBAM", "2"): 6, ("CBAM", "3"): 4, ("CBAM", "4"): 24, ("CBAM", "5"): 6,
    ("ECA-Net", "2"): 10, ("ECA-Net", "3"): 13, ("ECA-Net", "supplement"): 8,
    ("SE-Net", "2"): 12, ("SE-Net", "3"): 6,
}  # fmt: skip


# The printed rows


def test_all_rows_of_all_papers():
    rows = pd.DataFrame(printed_rows())
    assert rows.groupby(["paper", "table"]).size().to_dict() == ROWS
    assert not rows.duplicated(["paper", "table", "row"]).any()
    assert (rows["cost_confirmed"].sum(), rows["error_confirmed"].sum()) == (63, 70)
    eca = rows[rows["paper"] == "ECA-Net"]
    for name in ("top1", "top5"):
        assert ((eca[f"{name}_error"] + eca[f"{name}_accuracy"] - 100).abs() < 1e-9).all()


def test_unknown_papers_and_tables_are_refused():
    with pytest.raises(ValueError, match="no table None of paper 'BAM'; there are {'CBAM': "):
        reproduce("BAM")
    with pytest.raises(ValueError, match="no table 4 of paper 'SE-Net'; .*'SE-Net': .'2', '3'."):
        reproduce("SE-Net", 4)


# The cells, computed again


def test_cells_that_do_not_match_are_explained():
    cells = pd.concat([reproduce("CBAM", 1), reproduce("CBAM", "2"), reproduce("SE-Net", 3)])
    notes = {(cell.table, cell.row, cell.quantity): cell.note for cell in cells.itertuples()}
    different = cells[~cells["match"].fillna(True)]
    alternatives = different["alternative"].tolist()
    assert alternatives == ["25.92 M", "3.94 G"] * 2 + ["25.92 M", "4.02 G", "3.860 G", "3.866 G"]
    # Where another reading gives what is printed, all is told but for one cell.
    unexplained = different["note"].str.startswith("Not explained.")
    told = different["printed"] == different["alternative"]
    assert told.tolist() == [True] * 7 + [False] and (unexplained == ~told).all()
    assert (different["note"] != "").all() and not cells["note"].str.contains("[{}]").any()
    note = notes["2", "ResNet50 + channel + spatial (1x1 conv, k=3)", "FLOPs"]
    assert "3.866" in note and "k = 7, 3.862, perhaps" in note
    assert "575" in notes["3", "SE-MobileNet", "FLOPs"]
    missing = cells[cells["match"].isna()]
    assert set(missing["computed"]) == {"not computed"} and (missing["note"] != "").all()


# The rules, by hand and by the tool itself


class BasicBlock(nn.Module):
    """A residual block by its name."""

    def __init__(self, attention):
        super().__init__()
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.attention = attention

    def forward(self, x):
        return x + self.attention(self.bn(self.grouped(x)))


class Tiny(nn.Module):
    """Every kind of work once: [3, 8, 8] -> [4, 8, 8] -> [4, 4, 4] -> [4] -> [5]."""

    def __init__(self, attention):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=True)
        self.block = BasicBlock(attention)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        x = self.relu(self.block(self.relu(self.conv(x))))
        return self.fc(self.average(self.pool(x)).flatten(1))


def by_rules(model):
    _, runs = follow(model, (3, 8, 8))
    return {rule: operations(rule, runs) for rule in RULES}


CONV = 4 * 8 * 8 * 3 * 9 + 4 * 8 * 8 * 2 * 9
FC = 4 * 5
MAP = 4 * 8 * 8


def test_rules_by_hand_on_a_tiny_network_with_se():
    model = Tiny(SqueezeExcitation(4, reduction=2, layer="linear"))
    se = 4 * 2 + 2 * 4
    expected = {
        "conv + FC": CONV + FC + se,
        "conv + FC, shared once": CONV + FC + se,
        "conv + FC + additions": CONV + FC + se + MAP,
        "conv + FC + additions + scaling": CONV + FC + se + 2 * MAP,
        # SE averages 8 x 8 places, the end of the network 4 x 4.
        "conv + FC + additions + scaling + averages": CONV + FC + se + 3 * MAP + 4 * 4 * 4,
        "thop 0.0.22": CONV
        + 4 * 8 * 8 * 3  # the bias, once per input channel
        + 4 * MAP  # BatchNorm
        + MAP  # the ReLU runs twice and counts once
        + 4 * 4 * 4 * 3  # max-pool: 3, not 9
        + 4 * (64 + 1)  # SE's average
        + 2 * (2 * 4 - 1) + 2 + 4 * (2 * 2 - 1)  # SE's MLP with its ReLU
        + 4 * (16 + 1)  # the last average
        + 5 * (2 * 4 - 1),
        "thop 0.0.31 of September 2019": CONV
        + 4 * 8 * 8  # the bias
        + 4 * MAP
        + 4 * (64 + 1)
        + 2 * (2 * 4 - 1) + 4 * (2 * 2 - 1)
        + 4 * (16 + 1)
        + 5 * (2 * 4 - 1),
    }  # fmt: skip
    assert by_rules(model) == expected


# What the tool itself printed, once, for models whose SE and ECA pool with nn.AdaptiveAvgPool2d.
# It adds up in 32-bit floats, hence the tolerance.
@pytest.mark.parametrize(
    ("builder", "attention", "first", "later"),
    [
        ("resnet18", "none", 1826702336, 1824544768),
        ("resnet18", "se", 1827629056, 1825471488),
        ("resnet18", "eca", 1827466240, 1825308672),
        ("resnet18", "cbam", 1827690880, 1825705472),
        ("resnet50", "cbam", 4149086976, 4147175680),
    ],
)
def test_thop_rules_agree_with_thop(builder, attention, first, later):
    found = costs(builder, attention, bias=False)
    assert found["thop 0.0.22"] == pytest.approx(first, rel=3e-7)
    assert found["thop 0.0.31 of September 2019"] == pytest.approx(later, rel=3e-7)


# The networks


def test_bam_and_table_1_by_hand():
    parameters = macs = 0
    for channels, size in zip((256, 512, 1024), (56, 28, 14), strict=True):
        hidden = channels // 16
        channel = channels * hidden + hidden + 2 * hidden + hidden * channels + channels
        spatial = channels * hidden + 3 * hidden + 2 * (9 * hidden**2 + 3 * hidden) + hidden + 1
        assert sum(p.numel() for p in BAM(channels).parameters()) == channel + spatial
        parameters += channel + spatial
        macs += 2 * channels * hidden
        macs += size**2 * (channels * hidden + 2 * 9 * hidden**2 + hidden)
    plain, found = (costs("resnet50", kind, version="v1") for kind in ("none", "bam"))
    assert found["parameters"] == plain["parameters"] + parameters
    assert f"{found['parameters'] / 1e6:.3f}" == "25.915"
    assert found["conv + FC"] == plain["conv + FC"] + macs
    assert f"{found['conv + FC'] / 1e9:.3f}" == "3.940"
    assert f"{(plain['conv + FC'] + 2 * macs) / 1e9:.3f}" == "4.022"
    assert BAM(32).eval()(torch.randn(2, 32, 9, 9)).shape == (2, 32, 9, 9)
