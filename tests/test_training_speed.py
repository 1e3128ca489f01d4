"""The benchmark of the two loops: that it runs, and that both learn the same network."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from cbam_course import data
from cbam_course.training import TrainConfig

pytestmark = pytest.mark.usefixtures("one_thread")

PATH = Path(__file__).parents[1] / "benchmarks" / "train_speed.py"


@pytest.fixture(scope="module")
def benchmark():
    if not PATH.exists():
        pytest.skip("the benchmarks are not installed")
    spec = importlib.util.spec_from_file_location("train_speed", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_loops_are_compared(benchmark, monkeypatch, capsys):
    images = data.shapes(train=20, test=10)
    made, original = [], benchmark.CifarCNN

    def network(*arguments):
        made.append(original(*arguments, widths=(16, 16)))
        return made[-1]

    monkeypatch.setattr(benchmark, "CifarCNN", network)
    config = TrainConfig(attention="cbam-fc", widths=(16, 16), epochs=2, device="cpu")
    record = benchmark.compare(images, config, [0, 1], workers=0)
    assert json.loads(json.dumps(record)) == record
    assert [(r["loop"], r["seed"]) for r in record["runs"]] == [
        ("tutorial", 0), ("course", 0), ("tutorial", 1), ("course", 1),
    ]  # fmt: skip
    seconds = {
        loop: sum(r["seconds"] for r in record["runs"] if r["loop"] == loop)
        for loop in ("tutorial", "course")
    }
    assert record["factor"] == pytest.approx(seconds["tutorial"] / seconds["course"], rel=0.05)
    assert record["course"]["epochs"] == record["tutorial"]["epochs"] == 2
    assert record["data"]["train"] == 20 and "commit" in record
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert len(made) == 2
    course = config.build_model(10)
    assert made[0].state_dict().keys() == course.state_dict().keys()


def test_the_tutorials_pictures_are_whole(benchmark):
    images = data.shapes(train=10, test=10)
    to_numbers = benchmark.transforms.Compose(
        [
            benchmark.transforms.ToTensor(),
            benchmark.transforms.Normalize(benchmark.MEAN, benchmark.STD),
        ]
    )
    pictures = benchmark.Pictures(images.x_train, images.y_train, to_numbers)
    x, y = pictures[3]
    mean, std = torch.tensor(benchmark.MEAN), torch.tensor(benchmark.STD)
    expected = (torch.from_numpy(images.x_train[3]) / 255 - mean) / std
    torch.testing.assert_close(x, expected.permute(2, 0, 1))
    assert y == images.y_train[3] and len(pictures) == 10
