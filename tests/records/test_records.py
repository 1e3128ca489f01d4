"""Records: what is read and what is refused, the tables, their statistics, and the figures."""

import json
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch

from cbam_course import records
from cbam_course.attention import CBAM, fused_attention
from cbam_course.cost import traffic
from cbam_course.models import make_model
from cbam_course.plotting import COLORS
from cbam_course.records import (
    Experiment,
    Variant,
    experiments,
    reading,
    run_name,
    statistics,
)
from cbam_course.records.measured import COLORS as COLORED
from cbam_course.records.measured import MEASURED
from cbam_course.training import History
from tests.support.made_records import (
    BASE,
    TINY,
    WITH_SE,
    made_record,
    write,
    write_records,
)
from tests.support.provenance import gaps

matplotlib.use("Agg")

PLAIN, SE, ECA = (0.50, 0.52, 0.51), (0.53, 0.52, 0.54), (0.50, 0.53, 0.51)
SHIPPED = sorted(reading.SHIPPED.glob("*.json"))


@pytest.fixture(autouse=True)
def nothing_shipped(request, tmp_path, monkeypatch):
    """The made-up records are the only ones, but in tests of the course's own."""
    if "shipped" not in request.node.name:
        monkeypatch.setattr(reading, "SHIPPED", tmp_path / "none")


@pytest.fixture
def folder(tmp_path):
    return write_records(tmp_path / "records", {"plain": PLAIN, "SE": SE, "ECA": ECA})


# The records of the course


def test_shipped_records_tell_where_they_are_from():
    found = {path.stem: json.loads(path.read_text()) for path in SHIPPED}
    assert {name: missing for name, record in found.items() if (missing := gaps(record))} == {}
    assert not any(record["iteration_loss"] for record in found.values())  # for no table
    assert list(reading.read()) == sorted(found)


def test_shipped_records_are_of_one_set_of_images():
    sums = {}
    for record in reading.read().values():
        data = record["data"]
        key = data["name"], *(data.get(group) for group in ("train", "validation", "test", "peek"))
        sums.setdefault(key, set()).add(tuple(sorted(data["sha256"].items())))
    assert all(len(found) == 1 for found in sums.values())


def test_shipped_runs_that_peek_are_their_baselines_until_the_rate_is_halved():
    found = reading.read()
    runs = {(v.name, run.seed): run_name(run) for v, run in experiments()["small-peeking"].runs()}
    compared = 0
    for seed in range(10):
        names = [runs[name, seed] for name in ("held-out images", "test images")]
        for one, other in zip(*(found[name]["epochs"] for name in names), strict=True):
            if one["learning_rate"] != other["learning_rate"]:
                break
            assert one | {"seconds": 0} == other | {"seconds": 0}
            compared += 1
    assert compared > 10


def test_gaps_in_the_provenance_would_be_found_in_shipped_records():
    record = made_record(BASE, 0.5, commit="0" * 40 + "-dirty").to_dict()
    assert gaps(record) == ["a commit without changes since"]
    del record["data"]["sha256"]["test"]
    record["epochs"][0]["test_loss"] = float("nan")
    assert len(gaps(record)) == 3


def test_all_shipped_files_are_records_of_some_experiment():
    wanted = {run_name(run) for each in experiments().values() for _, run in each.runs()}
    assert {path.stem for path in SHIPPED} <= wanted


# Reading


def test_records_of_a_folder_are_added_to_the_course_s_own(folder, tmp_path, monkeypatch):
    found = records.load(folder)
    assert len(found) == 9 and records.load() == {}
    for name, history in found.items():
        assert isinstance(history, History) and run_name(history.config) == name
    own = write_records(tmp_path / "own", {"plain": (0.9,)})
    monkeypatch.setattr(reading, "SHIPPED", own)
    table = records.table(TINY, folder=folder)
    assert table["test_accuracy"].tolist()[:2] == [90, 52] and len(table) == 9


def half_a_run():
    record = made_record(BASE, 0.5).to_dict()
    return json.dumps(record | {"epochs": record["epochs"][:1]}).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"format": 2, "config": {"mod', "JSONDecodeError"),
        (b"\xff\xfe\x00", "UnicodeDecodeError"),
        (b"[1, 2]", "TypeError"),
        (b'{"format": 2, "loss": 3}', "KeyError: 'config'"),
        (b'{"format": 1}', "format 1, not 2"),
        (half_a_run(), "not finished: it has 1 epochs"),
        (json.dumps(made_record(WITH_SE, 0.5).to_dict()).encode(), "another run than its name"),
    ],
)
def test_a_file_that_is_no_record_is_named_and_left_alone(folder, content, problem):
    path = folder / f"{run_name(BASE)}.json"
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=rf"{path.name} is left out: it is no record .*{problem}"):
        assert len(records.table(TINY, folder=folder)) == 8
    assert path.read_bytes() == content


def test_a_changed_file_is_read_again(folder):
    assert records.table(TINY, folder=folder)["test_accuracy"][0] == 50
    write_records(folder, {"plain": (0.625,)})
    assert records.table(TINY, folder=folder)["test_accuracy"][0] == 62.5


# Tables


def test_a_row_for_each_run(folder):
    table = records.table(TINY, folder=folder)
    assert table["variant"].tolist() == ["plain"] * 3 + ["SE"] * 3 + ["ECA"] * 3
    assert table["baseline"].tolist() == [""] * 3 + ["plain"] * 6
    assert table["seed"].tolist() == [0, 1, 2] * 3
    np.testing.assert_allclose(table["test_accuracy"], 100 * np.concatenate([PLAIN, SE, ECA]))
    np.testing.assert_allclose(table["train_accuracy"], table["test_accuracy"] / 2)
    assert set(table["seconds"]) == {6.0} and set(table["epochs"]) == {2}
    assert set(table["device"]) == {"cpu, 1 thread"} and set(table["commit"]) == {"0123456789" * 4}
    assert table["run"][3] == run_name(WITH_SE)
    assert records.describe(table) == "3 seeds, recorded on cpu, 1 thread"


def test_a_run_that_moved_and_several_commits_are_told(folder):
    moved = made_record(BASE, 0.5, commit="f" * 40)
    moved.sessions.append(moved.sessions[0] | {"device": "NVIDIA H200", "first_epoch": 2})
    table = records.table(TINY, folder=write(folder, moved))
    assert table["device"][0] == "cpu, 1 thread, then NVIDIA H200"
    assert records.describe(table) == (
        "3 seeds, recorded on cpu, 1 thread, then NVIDIA H200 and on cpu, 1 thread, from 2 commits"
    )


def test_nothing_recorded_yet(tmp_path):
    table = records.table(TINY, folder=tmp_path)
    assert table.empty and records.describe(table) == "no record yet"
    assert records.summary(table).empty
    assert records.curves(TINY, folder=tmp_path).empty
    for show in (records.show_differences, records.show_curves):
        with pytest.raises(ValueError, match="no run of these experiments is recorded yet"):
            show(TINY, folder=tmp_path)
    folder = write_records(tmp_path, {"SE": SE})
    with pytest.raises(ValueError, match="nothing to compare"):
        records.show_differences(TINY, folder=folder)
    with pytest.raises(FileNotFoundError, match="there is no folder .*recrods"):
        records.table(TINY, folder=tmp_path / "recrods")


@pytest.mark.parametrize(("group", "did"), [("train", "learned from"), ("test", "was tested on")])
def test_runs_on_other_images_are_not_compared(folder, group, did):
    other = made_record(WITH_SE, 0.5)
    other.data["sha256"][group] = "ef" * 32
    write(folder, other)
    message = rf"tiny: {run_name(WITH_SE)} cannot be compared .* {did} other images \(\d+ of shapes"
    for use in (records.table, records.show_differences):
        with pytest.raises(ValueError, match=message):
            use(TINY, folder=folder)


def test_the_larger_version_is_shown_once_it_is_recorded(tmp_path):
    assert records.largest("order", tmp_path) == "small-order"  # no record of it in the course
    (_, first), *others = experiments()["order"].runs()
    write(tmp_path, *(made_record(config, 0.5) for _, config in others))
    assert records.largest("order", tmp_path) == "small-order"
    write(tmp_path, made_record(first, 0.5))
    assert records.largest("order", tmp_path) == "order"
    with pytest.raises(ValueError, match="experiment must be one of .*; got 'sizes'"):
        records.largest("sizes")


def test_curves_have_a_row_for_each_epoch(folder):
    record = made_record(replace(BASE, validation_size=10), 0.5)
    for row in record.epochs:
        row |= {"validation_loss": 2.0, "validation_accuracy": 0.125, "peek_accuracy": 0.5}
    held = Experiment("held", "cpu", "Held out?", (Variant("held", record.config),), seeds=(0,))
    curves = records.curves(TINY, held, folder=write(folder, record))
    assert len(curves) == 18 + 2 and curves["epoch"].tolist()[:4] == [1, 2, 1, 2]
    assert curves["test_accuracy"].tolist()[:2] == [25, 50]
    of_validation = curves[["validation_loss", "validation_accuracy"]]
    assert of_validation[:18].isna().all(axis=None)
    assert of_validation[18:].values.tolist() == [[2.0, 12.5]] * 2
    assert curves["peek_accuracy"].tolist()[18:] == [50, 50]


def test_switched_off_networks_are_compared_with_themselves(tmp_path):
    folder = write_records(tmp_path, {"SE": SE}, off=0.25)
    table = records.table(TINY, folder=folder, attention_off=True)
    assert table["variant"].tolist() == ["SE"] * 3 + ["SE, switched off"] * 3
    found = records.summary(table).loc["SE, switched off"]
    assert found["difference"] == pytest.approx(25 - 53) and found["pairs"] == 3


# Statistics


def test_summary_by_hand(folder):
    found = records.summary(records.table(TINY, folder=folder))
    assert found.index.tolist() == ["plain", "SE", "ECA"]
    # SE's differences are 3, 0 and 3: mean 2, standard deviation 3 ** 0.5, so a standard error of
    # 1; Student's t for 2 degrees of freedom is 4.302653 (97.5 %), and p = 1 - t / (t^2 + 2)^0.5.
    se = found.loc["SE"]
    assert (se["seeds"], se["pairs"], se["parameters"]) == (3, 3, 100)
    assert (se["accuracy"], se["sd"], se["difference"]) == pytest.approx((53, 1, 2))
    assert se["high"] - se["accuracy"] == pytest.approx(4.302653 / 3**0.5)
    assert se["difference_low"] == pytest.approx(2 - 4.302653)
    assert se["p"] == pytest.approx(1 - 2 / 6**0.5)
    assert set(found["comparisons"]) == {2}
    assert se["p_holm"] == pytest.approx(2 * se["p"])
    assert found.loc["plain", "pairs"] == 0
    assert found.loc["plain", ["difference", "p", "p_holm"]].isna().all()
    both = records.summary(records.table(TINY, replace(TINY, name="other"), folder=folder))
    assert both.index.names == ["experiment", "variant"] and len(both) == 6
    assert both.loc[("other", "SE"), "comparisons"] == 4


@pytest.mark.parametrize(
    ("plain", "se", "pairs", "difference", "spread"),
    [
        ((0.5, 0.6), SE, 2, (3 - 8) / 2, True),
        (PLAIN[:1], SE[:1], 1, 3, False),
        ((0.4995, 0.1), (0.5005, 0.101), 2, 0.1, False),  # equal but for rounding
    ],
)
@pytest.mark.filterwarnings("error")
def test_only_common_seeds_are_paired(tmp_path, plain, se, pairs, difference, spread):
    folder = write_records(tmp_path, {"plain": plain, "SE": se})
    found = records.summary(records.table(TINY, folder=folder)).loc["SE"]
    assert (found["seeds"], found["pairs"]) == (len(se), pairs)
    assert found["difference"] == pytest.approx(difference)
    assert found[["difference_low", "difference_high", "p"]].notna().eq(spread).all()
    assert found["comparisons"] == spread
    if pairs == 1:  # one seed has no interval
        assert found[["sd", "low", "high"]].isna().all()


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5, np.nan, 0.02], [0.5, np.nan, 0.04]),
        ([0.6, 0.7], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm_by_hand(p, adjusted):
    np.testing.assert_allclose(statistics.holm(np.array(p)), adjusted)


# Figures


def texts(figure):
    figure.draw_without_rendering()
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_differences_are_drawn_where_the_summary_says(folder):
    figure = records.show_differences(TINY, folder=folder)
    (axes,) = figure.axes
    found = records.summary(records.table(TINY, folder=folder))
    means = {
        line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines if line.get_zorder() == 4
    }
    assert means == pytest.approx(
        {0: found.loc["SE", "difference"], 1: found.loc["ECA", "difference"]}
    )
    dots = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots[0], [3, 0, 3])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["SE", "ECA"]
    assert "not corrected for 2 comparisons" in texts(figure)
    assert "above that of “plain”" in texts(figure)
    assert "+2.00  [−2.30, +6.30]" in texts(figure)
    assert "3 seeds, recorded on cpu, 1 thread" in texts(figure)
    again = replace(TINY, name="second", question="Does it help again?")
    both = records.show_differences(TINY, again, folder=folder)
    titles = [axes.get_title(loc="left") for axes in both.axes]
    assert titles == [TINY.question, again.question]


@pytest.mark.filterwarnings("error")
def test_one_seed_is_drawn(tmp_path):
    folder = write_records(tmp_path, {"plain": PLAIN[:1], "SE": SE[:1]})
    for show in (records.show_differences, records.show_curves):
        assert "1 seed, recorded on cpu, 1 thread" in texts(show(TINY, folder=folder))


def test_curves_show_every_seed_and_the_baseline(folder):
    figure = records.show_curves(TINY, folder=folder)
    assert [axes.get_title() for axes in figure.axes] == ["SE", "ECA"]
    for axes, method in zip(figure.axes, ("se", "eca"), strict=True):
        assert len(axes.lines) == 2 * (3 + 1)
        assert sum(line.get_color() == COLORS[method] for line in axes.lines) == 4
        assert len(axes.collections) == 2  # the bands
    mean = figure.axes[0].lines[-1]
    np.testing.assert_allclose(mean.get_ydata(), [26.5, 53])


# What was measured


def test_recorded_speeds_are_the_fastest_of_their_runs():
    for name in ("block", "networks"):
        first = json.loads((MEASURED / f"{name}.json").read_text(encoding="utf-8"))["rows"][0]
        row = records.speed(name).iloc[0]
        assert row["block"] == first["block"]
        assert row["training"] == min(first["training"]) < max(first["training"])
        assert row["inference"] == min(first["inference"]) < row["training"]
    assert row["kept"] == first["kept"] / 10**6


def test_the_recorded_memory_is_what_traffic_counts_today():
    networks = records.speed("networks").set_index(["network", "block"])["kept"]
    with fused_attention(False):
        network = make_model("cifar_resnet", CBAM)
        kept = 16 * traffic(network, torch.zeros(8, 3, 32, 32)).kept  # recorded for 128 images
    assert kept / 10**6 == pytest.approx(networks["cifar_resnet", "course, not fused"], rel=0.01)


def test_the_pairs_of_imagenet_are_drawn():
    pairs = records.imagenet_pairs()
    assert pairs["source"].str.contains("@|the same").all() and pairs["block"].isin(COLORED).all()
    first = pairs.iloc[0]
    assert first["difference"] == pytest.approx(0.56) and first["plus_minus"] == 0.11
    drawn = records.show_imagenet_pairs().axes[0].lines
    assert sum(len(line.get_xydata()) for line in drawn if line.get_label() in COLORED) == len(
        pairs
    )
