"""The printed costs of three papers: as printed, computed again, explained where they differ."""

import re

import pandas as pd
import pytest
import torch
from torch import nn

from cbam_course.attention import CBAM, ECA, SqueezeExcitation
from cbam_course.cost import conventions, network_costs, reproduce
from cbam_course.cost.bam import BAM
from cbam_course.cost.layers import follow
from cbam_course.cost.published import printed_rows, stored
from cbam_course.cost.reproduce import BLOCKS, costs
from cbam_course.cost.rules import RULES

# Table: printed rows, cells of parameters that match, are computed, are printed, and of FLOPs.
TABLES = {
    ("CBAM", "1"): (4, (1, 4, 4), (1, 4, 4)),
    ("CBAM", "2"): (6, (6, 6, 6), (4, 6, 6)),
    ("CBAM", "3"): (4, (0, 0, 0), (0, 0, 0)),
    ("CBAM", "4"): (24, (24, 24, 24), (24, 24, 24)),
    ("CBAM", "5"): (6, (5, 6, 6), (6, 6, 6)),
    ("ECA-Net", "2"): (10, (0, 0, 0), (0, 0, 0)),
    ("ECA-Net", "3"): (13, (8, 8, 13), (7, 8, 13)),
    ("ECA-Net", "supplement"): (8, (8, 8, 8), (8, 8, 8)),
    ("SE-Net", "2"): (12, (0, 0, 0), (6, 8, 8)),
    ("SE-Net", "3"): (6, (2, 2, 4), (2, 2, 4)),
}

# Every computed cell that does not match: printed, computed, and what another reading gives.
DIFFERENT = {
    ("CBAM", "1", "ResNet50 + AvgPool (SE)", "parameters"): ("25.92 M", "28.09 M", "25.92 M"),
    ("CBAM", "1", "ResNet50 + AvgPool (SE)", "FLOPs"): ("3.94 G", "3.86 G", "3.94 G"),
    ("CBAM", "1", "ResNet50 + MaxPool", "parameters"): ("25.92 M", "28.09 M", "25.92 M"),
    ("CBAM", "1", "ResNet50 + MaxPool", "FLOPs"): ("3.94 G", "3.86 G", "3.94 G"),
    ("CBAM", "1", "ResNet50 + AvgPool & MaxPool", "parameters"): (
        "25.92 M", "28.09 M", "25.92 M",
    ),
    ("CBAM", "1", "ResNet50 + AvgPool & MaxPool", "FLOPs"): ("4.02 G", "3.86 G", "4.02 G"),
    ("CBAM", "2", "ResNet50 + channel", "FLOPs"): ("3.860 G", "3.863 G", "3.860 G"),
    ("CBAM", "2", "ResNet50 + channel + spatial (1x1 conv, k=3)", "FLOPs"): (
        "3.862 G", "3.869 G", "3.866 G",
    ),
    ("CBAM", "5", "MobileNet alpha=0.7 + SE", "parameters"): ("2.71 M", "2.70 M", "2.71 M"),
    ("ECA-Net", "3", "ResNet-50 + CBAM", "FLOPs"): ("3.87 G", "3.86 G", "3.87 G"),
    ("SE-Net", "2", "SE-ResNet-50", "FLOPs"): ("3.87 G", "3.88 G", "3.87 G"),
    ("SE-Net", "2", "ResNeXt-101 (re-implementation)", "FLOPs"): ("7.99 G", "7.98 G", "7.99 G"),
}  # fmt: skip


@pytest.fixture(scope="module")
def cells():
    return reproduce()


def key(cell):
    return cell.paper, cell.table, cell.row, cell.quantity


# The printed rows


def test_all_rows_of_all_papers():
    rows = pd.DataFrame(printed_rows())
    assert rows.groupby(["paper", "table"]).size().to_dict() == {k: t[0] for k, t in TABLES.items()}
    assert not rows.duplicated(["paper", "table", "row"]).any()
    assert len(printed_rows("CBAM", 4)) == len(printed_rows("CBAM", "4")) == 24


def test_printed_values_keep_their_digits_and_unit():
    rows = pd.DataFrame(printed_rows())
    for quantity in ("parameters", "flops"):
        assert rows[quantity].dropna().map(lambda t: bool(re.fullmatch(r"[\d.]+ [MG]", t))).all()
    table = rows[(rows["paper"] == "CBAM") & (rows["table"] == "4")].set_index("row")
    assert table.loc["ResNet50 + SE", "flops"] == "3.860 G"
    assert table.loc["ResNet34", "parameters"] == "21.80 M"
    # Within a table each quantity has one number of digits.
    digits = rows.melt(["paper", "table"], ["parameters", "flops"]).dropna()
    digits["digits"] = digits["value"].str.extract(r"\.?(\d*) [MG]$")[0].str.len()
    digits = digits[digits["value"].str.contains(".", regex=False)]
    assert (digits.groupby(["paper", "table", "variable"])["digits"].nunique() == 1).all()


def test_errors_and_what_was_confirmed():
    rows = pd.DataFrame(printed_rows())
    assert not rows["top1_error"].isna().any() and rows["top1_error"].between(20, 36).all()
    both = rows.dropna(subset=["top5_error"])
    assert (both["top5_error"] < both["top1_error"]).all()
    assert (rows["cost_confirmed"].sum(), rows["error_confirmed"].sum()) == (63, 71)
    eca = rows[rows["paper"] == "ECA-Net"]
    for name in ("top1", "top5"):
        assert ((eca[f"{name}_error"] + eca[f"{name}_accuracy"] - 100).abs() < 1e-9).all()


def test_unknown_papers_and_tables_are_refused():
    with pytest.raises(ValueError, match="no table None of paper 'BAM'; there are {'CBAM': "):
        reproduce("BAM")
    with pytest.raises(ValueError, match="no table 4 of paper 'SE-Net'; .*'SE-Net': .'2', '3'."):
        reproduce("SE-Net", 4)


# The cells, computed again


@pytest.mark.parametrize(("paper", "table"), TABLES)
def test_as_many_cells_match_as_should(cells, paper, table):
    of_table = cells[(cells["paper"] == paper) & (cells["table"] == table)]
    for quantity, expected in zip(("parameters", "FLOPs"), TABLES[paper, table][1:], strict=True):
        match = of_table["match"][of_table["quantity"] == quantity]
        assert (match.sum(), match.count(), len(match)) == expected, quantity


def test_cells_that_do_not_match_are_these_and_explained(cells):
    different = cells[~cells["match"].fillna(True)]
    found = {key(cell): (cell.printed, cell.computed, cell.alternative) for cell in
             different.itertuples()}  # fmt: skip
    assert found == DIFFERENT
    assert (different["note"] != "").all()
    # Where another reading gives what is printed, all is told but for two cells.
    unexplained = different[different["note"].str.startswith("Not explained.")]
    assert [key(cell)[:3] for cell in unexplained.itertuples()] == [
        ("CBAM", "2", "ResNet50 + channel + spatial (1x1 conv, k=3)"),
        ("SE-Net", "2", "ResNeXt-101 (re-implementation)"),
    ]
    explained = different.drop(unexplained.index)
    assert (explained["printed"] == explained["alternative"]).all()


def test_cells_that_are_not_computed_say_why(cells):
    missing = cells[cells["match"].isna()]
    assert len(missing) == 14 and set(missing["computed"]) == {"not computed"}
    assert missing["note"].str.contains("not? .*in this course|no block of this course").all()


def test_cells_carry_their_convention_and_confirmation(cells):
    assert cells["match"].dtype == "boolean" and cells["confirmed"].dtype == bool
    assert set(cells["convention"]) == set(conventions()["convention"])
    unconfirmed = cells[~cells["confirmed"]]
    assert len(unconfirmed) == 6 + 8 + 24 + 6 + 16
    assert not cells.duplicated(["paper", "table", "row", "quantity"]).any()
    one = reproduce("SE-Net", 3)
    same = cells[(cells["paper"] == "SE-Net") & (cells["table"] == "3")]
    pd.testing.assert_frame_equal(one, same.reset_index(drop=True))


def test_tables_without_costs_have_no_cells():
    assert reproduce("CBAM", 3).empty and list(reproduce("CBAM", 3)) == list(reproduce("CBAM", 5))


def test_notes_belong_to_printed_cells(cells):
    for row in printed_rows():
        assert set(row.get("notes", ())) <= {"parameters", "flops"} & set(row)
    assert not cells["note"].str.contains("[{}]").any()


def test_notes_that_quote_numbers(cells):
    notes = {key(cell): cell.note for cell in cells.itertuples()}
    note = notes["CBAM", "2", "ResNet50 + channel + spatial (1x1 conv, k=3)", "FLOPs"]
    assert "3.866" in note and "k = 7, 3.862, perhaps" in note
    assert "4.089 for v1.5" in notes["CBAM", "4", "ResNet50", "FLOPs"]
    note = notes["SE-Net", "2", "ResNeXt-101 (re-implementation)", "FLOPs"]
    assert "7.99 with two" in note and "ResNeXt-50 at 4.24" in note and "3.87 of ResNet-50" in note
    note = notes["ECA-Net", "3", "ResNet-50 + ECA-Net", "parameters"]
    assert "hold 86 parameters" in note and "says 80" in note
    assert "26.79" in notes["ECA-Net", "3", "ResNet-50 + SENet", "parameters"]
    assert "1.701" in notes["ECA-Net", "supplement", "ResNet-18", "FLOPs"]
    assert "575" in notes["SE-Net", "3", "SE-MobileNet", "FLOPs"]
    for row in ("AvgPool (SE)", "MaxPool", "AvgPool & MaxPool"):
        assert "inference" in notes["CBAM", "1", f"ResNet50 + {row}", "FLOPs"]


def test_which_of_se_nets_flops_come_out_by_which_rule():
    rules = ["conv + FC"]
    for more in ("additions", "scaling", "averages"):
        rules.append(f"{rules[-1]} + {more}")
    found = {rule: set() for rule in rules}
    for row in printed_rows("SE-Net", 2):
        if "flops" in row:
            network = {"version": "v1.5" if "X" in row["row"] else "v1", **row["network"]}
            for rule in rules:
                if f"{costs(**network)[rule] / 1e9:.2f} G" == row["flops"]:
                    found[rule].add(row["row"].removesuffix(" (re-implementation)"))
    bases = {"ResNet-50", "ResNet-101", "ResNeXt-50"}
    assert list(found.values()) == [
        {"ResNet-50"},
        bases | {"SE-ResNet-50"},
        bases | {"SE-ResNet-50"},
        bases | {"SE-ResNet-101", "SE-ResNeXt-50", "SE-ResNeXt-101"},
    ]


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


def operations(model, rule):
    """The operations by one rule."""
    _, runs = follow(model, (3, 8, 8))
    return RULES[rule].total(runs)


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
    assert {rule: operations(model, rule) for rule in RULES} == expected


def test_rules_by_hand_on_a_shared_mlp_and_eca():
    model = Tiny(CBAM(4, 2, 3, channel_options={"layer": "linear"}))
    mlp, spatial = 4 * 2 + 2 * 4, 8 * 8 * 2 * 9
    plain = Tiny(nn.Identity())
    extra = {rule: operations(model, rule) - operations(plain, rule)
             for rule in RULES}  # fmt: skip
    assert extra["conv + FC"] == 2 * mlp + spatial
    assert extra["conv + FC, shared once"] == mlp + spatial
    run = 2 * (2 * 4 - 1) + 4 * (2 * 2 - 1)
    assert extra["thop 0.0.22"] == run + 2 + spatial
    assert extra["thop 0.0.31 of September 2019"] == 2 * run + spatial
    eca = Tiny(ECA(4, kernel_size=3))
    for rule in ("thop 0.0.22", "thop 0.0.31 of September 2019"):
        change = operations(eca, rule) - operations(plain, rule)
        assert change == 4 * 3 + 4 * (64 + 1)


# What the tool itself printed, once, for models whose SE and ECA pool with nn.AdaptiveAvgPool2d.
# It adds up in 32-bit floats, hence the tolerance.
@pytest.mark.parametrize(
    ("builder", "attention", "first", "later"),
    [
        ("resnet18", "none", 1826702336, 1824544768),
        ("resnet18", "se", 1827629056, 1825471488),
        ("resnet18", "eca", 1827466240, 1825308672),
        ("resnet18", "cbam", 1827690880, 1825705472),
        ("resnet50", "none", 4142713856, 4135789568),
        ("resnet50", "se", 4153263104, 4146338816),
        ("resnet50", "eca", 4148336128, 4141411840),
        ("resnet50", "cbam", 4149086976, 4147175680),
    ],
)
def test_thop_rules_agree_with_thop(builder, attention, first, later):
    found = costs(builder, attention, bias=False)
    assert found["thop 0.0.22"] == pytest.approx(first, rel=3e-7)
    assert found["thop 0.0.31 of September 2019"] == pytest.approx(later, rel=3e-7)


# The conventions


def test_conventions_are_told_as_a_table():
    table = conventions().set_index("convention")
    assert table.loc["CBAM", "M"] == "10^6" and table.loc["ECA-Net, table 3", "M"] == "2^20"
    assert table.loc["CBAM", "ResNet"] == "v1" and table.loc["ECA-Net, table 3", "ResNet"] == "v1.5"
    assert (table["because"] != "").all()
    assert set(table["rule"]) <= set(RULES)
    assert (table["M"] == "2^20").tolist() == (table["G"] == "2^30").tolist()


# The networks


def test_every_row_with_a_network_has_known_parts():
    rows = [row for row in printed_rows() if "network" in row]
    assert {row["network"]["attention"] for row in rows} <= set(BLOCKS)
    assert {row["convention"] for row in rows} == {c["convention"] for c in stored()["conventions"]}


def test_parameters_of_the_parts():
    """The ECA blocks of ResNet-50 hold 86 by equation 12; SE has 2 C^2 / r + C / r + C."""
    plain = costs("resnet50")["parameters"]
    assert costs("resnet50", "eca")["parameters"] - plain == 3 * 5 + 4 * 5 + 6 * 5 + 3 * 7 == 86
    stages = ((3, 256), (4, 512), (6, 1024), (3, 2048))
    weights = sum(blocks * 2 * c * c // 16 for blocks, c in stages)
    biases = sum(blocks * (c // 16 + c) for blocks, c in stages)
    assert costs("resnet50", "se", bias=False)["parameters"] - plain == weights
    assert costs("resnet50", "se")["parameters"] - plain == weights + biases
    assert costs("resnet50", "cbam")["parameters"] - plain == weights + biases + 16 * 98
    # int(0.7 * 512) = 358 channels: 358 / 16 = 22.4, but int(0.7 * 1024) / 16 = 44.75.
    found = [costs("mobilenet_v1", kind, alpha=0.7)["parameters"] for kind in ("se", "rounded se")]
    assert [f"{number / 1e6:.2f}" for number in found] == ["2.70", "2.71"]


def test_se_mobilenet_has_se_after_the_pointwise_convolutions():
    everywhere, pointwise = (
        costs("mobilenet_v1", kind)["parameters"] - costs("mobilenet_v1")["parameters"]
        for kind in ("se", "se, pointwise")
    )
    widths = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    assert pointwise == sum(2 * c * (c // 16) + c // 16 + c for c in widths)
    depthwise = (32, 32, *widths[:-1])  # the first convolution's, and 13 depthwise ones'
    rest = sum(2 * c * (c // 16) + c // 16 + c for c in depthwise)
    assert everywhere == pointwise + rest


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


def test_costs_of_networks_are_those_of_the_cells(cells):
    table = network_costs()
    assert len(table) == 30 and list(table["attention"]) == ["none", "se", "cbam-fc"] * 10
    suffix = table["attention"].map({"none": "", "se": " + SE", "cbam-fc": " + CBAM"})
    rows = cells[(cells["paper"] == "CBAM") & cells["table"].isin(["4", "5"])]
    millions, billions = table["parameters"] / 1e6, table["macs"] / 1e9
    for quantity, counts in (("parameters", millions), ("FLOPs", billions)):
        computed = rows[rows["quantity"] == quantity].set_index("row")["computed"]
        digits, unit = (2, "M") if quantity == "parameters" else (3, "G")
        assert list(computed.index) == list(table["network"] + suffix)
        assert list(computed) == [f"{number:.{digits}f} {unit}" for number in counts]
