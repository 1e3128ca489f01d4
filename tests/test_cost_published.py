"""The printed costs of three papers: as printed, computed again, explained where they differ."""

import re
from importlib.resources import files

import pandas as pd
import pytest
import torch
from torch import nn

from cbam_course.attention import CBAM, ECA, SqueezeExcitation, make_attention
from cbam_course.cost import (
    CONVENTIONS,
    RULES,
    conventions,
    count,
    eca_parameters,
    network_costs,
    operations,
    published,
    reproduce,
    sources,
)
from cbam_course.cost.bam import BAM
from cbam_course.cost.networks import BASES, FACTORIES, Network, network_cost, network_of
from cbam_course.cost.notes import NOT_COMPUTED, NOTES
from cbam_course.cost.rules import ElementWork

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


@pytest.mark.parametrize(("paper", "table"), TABLES)
def test_every_row_of_a_table_is_there(paper, table):
    rows = published(paper, table)
    assert len(rows) == TABLES[paper, table][0]
    assert set(rows["paper"]) == {paper} and set(rows["table"]) == {table}
    assert rows["row"].is_unique
    for quantity, place in (("parameters", 1), ("flops", 2)):
        printed = rows[quantity].notna().sum() if quantity in rows else 0
        assert printed == TABLES[paper, table][place][2]


def test_all_rows_of_all_papers():
    rows = published()
    assert len(rows) == 93 == sum(number for number, _, _ in TABLES.values())
    assert set(zip(rows["paper"], rows["table"], strict=True)) == set(TABLES)
    assert len(published("CBAM")) == 44 and len(published(table=3)) == 4 + 13 + 6
    assert (len(published("CBAM", 4)), len(published("CBAM", "4"))) == (24, 24)


def test_printed_values_keep_their_digits_and_unit():
    rows = published()
    for quantity in ("parameters", "flops"):
        assert rows[quantity].dropna().map(lambda t: bool(re.fullmatch(r"[\d.]+ [MG]", t))).all()
    table = published("CBAM", 4).set_index("row")
    assert table.loc["ResNet50 + SE", "flops"] == "3.860 G"
    assert table.loc["ResNet34", "parameters"] == "21.80 M"
    assert published("SE-Net", 3)["flops"].dropna().iloc[0] == "569 M"
    # Within a table each quantity has one number of digits.
    digits = rows.melt(["paper", "table"], ["parameters", "flops"]).dropna()
    digits["digits"] = digits["value"].str.extract(r"\.?(\d*) [MG]$")[0].str.len()
    digits = digits[digits["value"].str.contains(".", regex=False)]
    assert (digits.groupby(["paper", "table", "variable"])["digits"].nunique() == 1).all()


def test_errors_and_what_was_confirmed():
    rows = published()
    assert not rows["top1_error"].isna().any() and rows["top1_error"].between(20, 36).all()
    both = rows.dropna(subset=["top5_error"])
    assert (both["top5_error"] < both["top1_error"]).all()
    assert rows["cost_confirmed"].dtype == bool and rows["error_confirmed"].dtype == bool
    assert (rows["cost_confirmed"].sum(), rows["error_confirmed"].sum()) == (63, 70)
    assert published("CBAM", 4)["cost_confirmed"].sum() == 12
    eca = published("ECA-Net")
    for name in ("top1", "top5"):
        assert ((eca[f"{name}_error"] + eca[f"{name}_accuracy"] - 100).abs() < 1e-9).all()
    assert published("ECA-Net", 2).set_index("row").loc["SE", "parameter_formula"] == "2*C^2/r"


def test_columns_without_a_value_are_left_out():
    assert "flops" not in published("CBAM", 3) and "top1_accuracy" not in published("CBAM", 3)


def test_sources_name_the_papers():
    table = sources().set_index("paper")
    assert set(table.index) == {paper for paper, _ in TABLES}
    assert dict(table["arxiv"]) == {
        "CBAM": "1807.06521", "ECA-Net": "1910.03151", "SE-Net": "1709.01507",
    }  # fmt: skip
    assert set(table.columns) == {"authors", "title", "venue", "year", "arxiv"}
    assert files("cbam_course.cost").joinpath("published.json").is_file()


@pytest.mark.parametrize("function", [published, reproduce])
def test_unknown_papers_and_tables_are_refused(function):
    with pytest.raises(ValueError, match="paper must be one of 'CBAM', 'ECA-Net', 'SE-Net'"):
        function("BAM")
    with pytest.raises(ValueError, match="table of SE-Net must be one of '2', '3'; got 4"):
        function("SE-Net", 4)
    with pytest.raises(ValueError, match="table of any paper .* got 'five'"):
        function(table="five")


# The cells, computed again


@pytest.mark.parametrize(("paper", "table"), TABLES)
def test_as_many_cells_match_as_should(cells, paper, table):
    of_table = cells[(cells["paper"] == paper) & (cells["table"] == table)]
    for quantity, expected in zip(("parameters", "FLOPs"), TABLES[paper, table][1:], strict=True):
        match = of_table["match"][of_table["quantity"] == quantity]
        assert (match.sum(), match.count(), len(match)) == expected, quantity


def test_all_48_cells_of_cbams_table_4(cells):
    table = cells[(cells["paper"] == "CBAM") & (cells["table"] == "4")]
    assert len(table) == 48 and table["match"].all()
    assert (table["printed"] == table["computed"]).all() and set(table["convention"]) == {"CBAM"}


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
    assert set(missing["note"]) == set(NOT_COMPUTED.values())


def test_cells_carry_their_convention_and_confirmation(cells):
    assert cells["match"].dtype == "boolean" and cells["confirmed"].dtype == bool
    assert set(cells["convention"]) == set(CONVENTIONS)
    unconfirmed = cells[~cells["confirmed"]]
    assert len(unconfirmed) == 6 + 8 + 24 + 6 + 16
    assert not cells.duplicated(["paper", "table", "row", "quantity"]).any()
    one = reproduce("SE-Net", 3)
    pd.testing.assert_frame_equal(
        one, cells.merge(one[["paper", "table"]].drop_duplicates()).astype({"match": "boolean"})
    )


def test_tables_without_costs_have_no_cells():
    assert reproduce("CBAM", 3).empty and list(reproduce("CBAM", 3)) == list(reproduce("CBAM", 5))


def test_notes_belong_to_printed_cells(cells):
    names = {(c.paper, c.table, c.row, c.quantity.lower()) for c in cells.itertuples()}
    assert set(NOTES) <= names
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
    rows = published("SE-Net", 2).set_index("row")["flops"].dropna()
    kinds = ("conv + FC", "additions", "scaling", "averages")
    found = {kind: set() for kind in kinds}
    for row, printed in rows.items():
        with ElementWork() as work:
            macs = count(network_of("SE-Net", "2", row).make()).macs
        for kind in kinds:  # each adds to the ones before
            macs += work.elements[kind]
            if f"{macs / 1e9:.2f} G" == printed:
                found[kind].add(row)
    bases = {f"{name} (re-implementation)" for name in ("ResNet-50", "ResNet-101", "ResNeXt-50")}
    assert found["conv + FC"] == {"ResNet-50 (re-implementation)"}
    assert found["additions"] == found["scaling"] == bases | {"SE-ResNet-50"}
    assert found["averages"] == bases | {"SE-ResNet-101", "SE-ResNeXt-50", "SE-ResNeXt-101"}


def test_se_mobilenet_has_se_after_the_pointwise_convolutions():
    model = network_of("SE-Net", "3", "SE-MobileNet").make()
    sizes = [layer.conv.kernel_size for layer in model.features if attends(layer.attention)]
    assert sizes == [(1, 1)] * 13
    everywhere = network_of("CBAM", "5", "MobileNet + SE").make()
    assert sum(attends(layer.attention) for layer in everywhere.features) == 27


def attends(module):
    return not isinstance(module, nn.Identity)


# The rules, by hand and by the tool itself


class Tiny(nn.Module):
    """Every kind of work once: [3, 8, 8] -> [4, 8, 8] -> [4, 4, 4] -> [4] -> [5]."""

    def __init__(self, attention):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=True)
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.attention = attention
        self.average = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        x = self.relu(self.conv(x))
        x = self.relu(x + self.attention(self.bn(self.grouped(x))))
        return self.fc(self.average(self.pool(x)).flatten(1))


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
    assert {rule: operations(model, rule, (3, 8, 8)) for rule in RULES} == expected


def test_rules_by_hand_on_a_shared_mlp_and_eca():
    model = Tiny(CBAM(4, 2, 3, channel_options={"layer": "linear"}))
    mlp, spatial = 4 * 2 + 2 * 4, 8 * 8 * 2 * 9
    plain = Tiny(nn.Identity())
    extra = {rule: operations(model, rule, (3, 8, 8)) - operations(plain, rule, (3, 8, 8))
             for rule in RULES}  # fmt: skip
    assert extra["conv + FC"] == 2 * mlp + spatial
    assert extra["conv + FC, shared once"] == mlp + spatial
    run = 2 * (2 * 4 - 1) + 4 * (2 * 2 - 1)
    assert extra["thop 0.0.22"] == run + 2 + spatial
    assert extra["thop 0.0.31 of September 2019"] == 2 * run + spatial
    eca = Tiny(ECA(4, kernel_size=3))
    for rule in ("thop 0.0.22", "thop 0.0.31 of September 2019"):
        change = operations(eca, rule, (3, 8, 8)) - operations(plain, rule, (3, 8, 8))
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
    network = Network(builder, attention=attention, bias=False)
    assert network_cost(network, "thop 0.0.22")[1] == pytest.approx(first, rel=3e-7)
    cost = network_cost(network, "thop 0.0.31 of September 2019")[1]
    assert cost == pytest.approx(later, rel=3e-7)


def test_operations_leave_the_model_alone_and_refuse_nonsense():
    model = Tiny(SqueezeExcitation(4, 2)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for rule in RULES:
        operations(model, rule, (3, 8, 8))
    assert model.training and all(m.training for m in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with pytest.raises(ValueError, match="rule must be one of 'conv \\+ FC'.*got 'thop'"):
        operations(model, "thop", (3, 8, 8))
    for rule in RULES:
        with pytest.raises(ValueError, match="model must be a module"):
            operations(None, rule)
        with pytest.raises(ValueError, match="input_size must be"):
            operations(model, rule, 224)
        with pytest.raises(ValueError, match="does not run on an input"):
            operations(model, rule, (4, 8, 8))
        assert not any(m._forward_hooks for m in model.modules())


# The conventions


def test_conventions_are_told_as_a_table():
    table = conventions().set_index("convention")
    assert list(table.index) == list(CONVENTIONS)
    assert table.loc["CBAM", "M"] == "10^6" and table.loc["ECA-Net, table 3", "M"] == "2^20"
    assert table.loc["CBAM", "ResNet"] == "v1" and table.loc["ECA-Net, table 3", "ResNet"] == "v1.5"
    assert (table["formula"].map(len) > 20).all() and (table["because"] != "").all()
    for name, convention in CONVENTIONS.items():
        assert convention.unit("G") == {"10^9": 10**9, "2^30": 2**30}[table.loc[name, "G"]]
        assert convention.rule in RULES and table.loc[name, "rule"] == convention.rule


def test_eca_parameters_two_ways():
    assert (eca_parameters(), eca_parameters((3, 5, 5, 7))) == (86, 80)
    assert eca_parameters(depths=(3, 4, 23, 3)) == 3 * 5 + 4 * 5 + 23 * 5 + 3 * 7
    model = Network("resnet50", attention="eca").make()
    blocks = [module for module in model.modules() if isinstance(module, ECA)]
    assert len(blocks) == 16 and sum(p.numel() for b in blocks for p in b.parameters()) == 86
    with pytest.raises(ValueError, match="one number for each stage"):
        eca_parameters((3, 5, 7))


# The networks


def test_networks_are_made_without_values_or_random_numbers():
    before = torch.random.get_rng_state()
    for name, width in BASES.values():
        model = Network(name, width).make()
        assert {value.device.type for value in model.state_dict().values()} == {"meta"}
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [kind for kind in FACTORIES if kind not in ("none", "bam")])
def test_blocks_have_biases_as_told(kind, bias):
    block = FACTORIES[kind](bias)(32)
    mlp = getattr(block, "channel_attention", block)
    if kind == "eca":
        assert sum(p.numel() for p in block.parameters()) == 3
    else:
        assert all((layer.bias is not None) == (bias or kind == "rounded se")
                   for layer in mlp.mlp[::2])  # fmt: skip
    assert block(torch.randn(2, 32, 7, 7)).shape == (2, 32, 7, 7)


def test_bias_and_version_follow_the_convention():
    assert network_of("ECA-Net", "3", "ResNet-50 + SENet") == Network(
        "resnet50", None, "se", "v1.5", bias=False
    )
    assert network_of("CBAM", "4", "WideResNet18 (widen=1.5) + CBAM") == Network(
        "wide_resnet18", 1.5, "cbam", "v1", bias=True
    )
    assert network_of("SE-Net", "2", "SE-ResNeXt-50").version == "v1.5"
    assert network_of("SE-Net", "2", "SE-ResNet-101").version == "v1"
    assert network_of("CBAM", "4", "ResNeXt101 (32x4d)").version == "v1"
    assert not network_of("ECA-Net", "supplement", "ResNet-34 + SENet").bias
    assert network_of("ECA-Net", "supplement", "ResNet-34 + CBAM").bias
    assert network_of("ECA-Net", "3", "ResNet-50 + GCNet") is None


def test_hidden_units_of_the_rounded_se():
    # int(0.7 * 512) = 358 channels: 358 / 16 = 22.4, but int(0.7 * 1024) / 16 = 44.75.
    assert FACTORIES["rounded se"](True)(716).mlp[0].out_channels == 45
    assert make_attention("se")(716).mlp[0].out_channels == 44
    network = Network("mobilenet_v1", 0.7, "se")
    assert f"{network_cost(network)[0] / 1e6:.2f}" == "2.70"
    rounded = Network("mobilenet_v1", 0.7, "rounded se")
    assert f"{network_cost(rounded)[0] / 1e6:.2f}" == "2.71"


def test_bam_and_table_1_by_hand():
    model = Network("resnet50", attention="bam", version="v1").make()
    blocks = [(m.channel[0].in_features, m) for m in model.modules() if isinstance(m, BAM)]
    parameters = macs = 0
    for (channels, block), size in zip(blocks, (56, 28, 14), strict=True):
        hidden = channels // 16
        channel = channels * hidden + hidden + 2 * hidden + hidden * channels + channels
        spatial = channels * hidden + 3 * hidden + 2 * (9 * hidden**2 + 3 * hidden) + hidden + 1
        assert sum(p.numel() for p in block.parameters()) == channel + spatial
        parameters += channel + spatial
        macs += 2 * channels * hidden
        macs += size**2 * (channels * hidden + 2 * 9 * hidden**2 + hidden)
    assert [channels for channels, _ in blocks] == [256, 512, 1024]
    plain = network_cost(Network("resnet50", version="v1"))
    found = network_cost(Network("resnet50", attention="bam", version="v1"))
    assert found == (plain[0] + parameters, plain[1] + macs)
    assert f"{found[0] / 1e6:.3f}" == "25.915"
    assert (f"{found[1] / 1e9:.3f}", f"{(plain[1] + 2 * macs) / 1e9:.3f}") == ("3.940", "4.022")
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


def test_counts_are_those_of_count():
    network = Network("resnet50", attention="cbam", version="v1")
    cost = count(network.make())
    assert network_cost(network) == (cost.parameters, cost.macs)
