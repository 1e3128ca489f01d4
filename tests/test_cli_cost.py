"""``cbam-course cost``: the tables it prints and writes, and what it refuses."""

import pandas as pd
import pytest
import torchvision
from click.testing import CliRunner

from cbam_course import cli
from cbam_course.cost import compare, count
from cbam_course.models import make_model

pytestmark = pytest.mark.usefixtures("one_thread")


def run(*arguments):
    """Run ``cbam-course cost`` in this process."""
    return CliRunner().invoke(
        cli.main, ["cost", *map(str, arguments)], prog_name="cbam-course", catch_exceptions=False
    )


def lines(result):
    """The lines of the table: the words before the numbers, and the numbers as they are shown."""
    assert result.exit_code == 0, result.output
    rows = [line.split("  ") for line in result.output.splitlines()]
    return [[cell.strip() for cell in row if cell.strip()] for row in rows]


def test_without_and_with_attention():
    result = run("resnet18", "--attention", "cbam-fc", "--no-tools")
    plain, cbam = count(make_model("resnet18")), count(make_model("resnet18", "cbam-fc"))
    assert lines(result) == [
        ["resnet18", "resnet18 + cbam-fc"],
        ["input", "3x224x224", "3x224x224"],
        ["parameters", f"{plain.parameters:,}", f"{cbam.parameters:,}"],
        ["of attention blocks", "0.00%", f"{cbam.attention_parameters / cbam.parameters:.2%}"],
        ["multiply-accumulates by hand", f"{plain.macs:,}", f"{cbam.macs:,}"],
        ["of attention blocks", "0.00%", f"{cbam.attention_macs / cbam.macs:.2%}"],
    ]
    ends = {len(line) for line in result.output.splitlines()}
    assert len(ends) == 1, "the numbers end below each other"


def test_tools():
    result = run("cifar-cnn")
    (row,) = compare({"": make_model("cifar_cnn")}, (3, 32, 32)).to_dict("records")
    assert lines(result)[1:] == [
        ["input", "3x32x32"],
        ["parameters", f"{row['parameters']:,}"],
        ["multiply-accumulates by hand", f"{row['by hand']:,}"],
        ["by torchinfo", f"{row['torchinfo']:,}"],
        ["by ptflops, aten", f"{row['ptflops aten']:,}"],
        ["by ptflops, pytorch", f"{row['ptflops pytorch']:,}"],
    ]


def test_networks_of_torchvision():
    table = lines(run("vgg16", "vit_b_16", "resnet50", "--no-tools", "--input", "3x224x224"))
    assert table[0] == ["vgg16", "vit_b_16", "resnet50"]
    assert table[3:] == [
        ["multiply-accumulates by hand", "15,470,264,320", "16,848,500,736", "4,089,184,256"],
        ["left out", "0", "715,327,488", "0"],
    ]


def test_attention_in_networks_of_torchvision():
    table = lines(run("vgg11", "--attention", "eca", "--no-tools"))
    assert table[0] == ["vgg11", "vgg11 + eca"]
    before, after = (int(n.replace(",", "")) for n in table[2][1:])
    assert 0 < after - before < 100


def test_networks_that_cannot_be_made_without_values():
    """Their builders look at the values of tensors, which the meta device does not have."""
    table = lines(run("regnet_y_400mf", "--no-tools"))
    expected = count(torchvision.models.regnet_y_400mf()).macs
    assert table[-1] == ["multiply-accumulates by hand", f"{expected:,}"]


def test_no_warnings_about_initial_weights(recwarn):
    assert run("googlenet", "--no-tools", "--model-option", "aux_logits=false").stderr == ""
    assert not [w for w in recwarn if issubclass(w.category, FutureWarning)]


def test_options_of_networks_and_blocks():
    result = run(
        "resnet18", "--model-option", "num_classes=10", "--model-option", "in_channels=1",
        "--attention", "se", "--attention-option", "reduction=8", "--input", "1x64X64",
        "--no-tools",
    )  # fmt: skip
    from cbam_course.attention import make_attention

    options = {"num_classes": 10, "in_channels": 1}
    expected = [
        count(make_model("resnet18", attention, **options), (1, 64, 64)).parameters
        for attention in (None, make_attention("se", reduction=8))
    ]
    assert lines(result)[1:3] == [
        ["input", "1x64x64", "1x64x64"],
        ["parameters", *(f"{n:,}" for n in expected)],
    ]


def test_layers():
    result = run("cifar-cnn", "--attention", "cbam-fc", "--layers", "--no-tools")
    plain, cbam, table = result.output.split("\n\n")
    assert plain.splitlines()[0] == "cifar-cnn" and cbam.splitlines()[0] == "cifar-cnn + cbam-fc"
    assert plain.splitlines()[2].split() == (
        "stages.0.convolutions.0 Conv2d 1x64x32x32 1,792 1 64*32*32 * 3*3*3 1,769,472".split()
    )
    assert len(plain.splitlines()) == 2 + 13 and len(cbam.splitlines()) == 2 + 13 + 9 + 1
    mark = "stages.0.attention.channel_attention.mlp.0 *  Conv2d"
    assert sum(line.startswith(mark) for line in cbam.splitlines()) == 1
    assert cbam.splitlines()[-1] == "*: in an attention block"
    assert "left_out" not in result.output
    assert table.splitlines()[0].split() == ["cifar-cnn", "cifar-cnn", "+", "cbam-fc"]


def test_layers_with_products_left_out():
    result = run("vit_b_32", "--layers", "--no-tools")
    header = result.output.splitlines()[1].split()
    assert header[-2:] == ["macs", "left_out"]
    rows = [line.split() for line in result.output.splitlines() if "MultiheadAttention" in line]
    assert len(rows) == 12 and {row[-1] for row in rows} == {f"{2 * 50 * 50 * 768:,}"}


def test_csv(tmp_path):
    file = tmp_path / "costs.csv"
    result = run("cifar-cnn", "--attention", "se", "--csv", file)
    assert result.output.splitlines()[-1] == f"Written to {file}"
    table = pd.read_csv(file, index_col="model")
    models = {"cifar-cnn": make_model("cifar_cnn"), "cifar-cnn + se": make_model("cifar_cnn", "se")}
    expected = compare(models, (3, 32, 32))
    assert table["input"].tolist() == ["3x32x32"] * 2
    pd.testing.assert_frame_equal(
        table.drop(columns="input"), expected, check_dtype=False, check_names=False
    )

    assert run("cifar-cnn", "--layers", "--no-tools", "--csv", file).exit_code == 0
    table = pd.read_csv(file).set_index("model")
    assert set(table.index) == {"cifar-cnn"}
    assert table["macs"].sum() == expected.loc["cifar-cnn", "by hand"]
    assert table.iloc[0][["layer", "input", "output"]].tolist() == [
        "stages.0.convolutions.0", "1x3x32x32", "1x64x32x32",
    ]  # fmt: skip


def test_a_tool_that_fails(monkeypatch):
    from cbam_course.cost import ToolFailed, tools

    def fail(model, inputs):
        raise ToolFailed("no")

    monkeypatch.setitem(tools.TOOLS, "torchinfo", fail)
    table = lines(run("cifar-cnn"))
    assert ["by torchinfo", "-"] in table
    assert table[-1] == ["-: this tool cannot count this network"]


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ("resnet5o", "there is no network 'resnet5o' in the course or in torchvision", 1),
        ("resnet5o", "; did you mean resnet50 or ", 1),
        ("Resnet-18", "did you mean resnet18", 1),
        ("abacus", "there is no network 'abacus' in the course or in torchvision", 1),
        ("resnet18 --model-option color=3", "unexpected keyword argument 'color'", 1),
        ("alexnet --model-option num_classes=-1", "negative dimension", 1),
        ("vgg16 --attention se --attention-option reduction=99", "99 leaves no hidden", 1),
        ("vgg16 --attention se --attention-option colour=9", "argument 'colour'", 1),
        ("vit_b_16 --attention se", "VisionTransformer has none of the places", 1),
        ("resnet18 --input 4x64x64", "resnet18: ResNet does not run on an input of shape", 1),
        ("resnet18 --csv no/such/folder.csv", "no/such", 1),
        ("resnet18 --input 3x0", "'3x0' is not a shape such as 3x224x224", 2),
        ("resnet18 --input big", "'big' is not a shape such as 3x224x224", 2),
        ("resnet18 --attention bam", "'bam' is not one of 'none', 'se'", 2),
        ("", "Missing argument 'MODEL...'", 2),
    ],
)  # fmt: skip
def test_refusals_are_one_line(arguments, message, code):
    result = run(*arguments.split(), "--no-tools")
    assert result.exit_code == code, result.output
    *usage, error = result.stderr.strip().splitlines()
    assert error.startswith("Error: ") and message in error
    assert len(usage) == (3 if code == 2 else 0)
