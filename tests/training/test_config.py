"""The configuration: through JSON and back, what it refuses, and the names it knows."""

import json
from dataclasses import replace

import pytest
import torch

from cbam_course import attention, labels, models
from cbam_course.config import CHOICES, TrainConfig
from cbam_course.training import build_model
from tests.support.runs import TINY


def test_through_json():
    config = replace(
        TINY, attention_options={"reduction": 2, "spatial_options": {"pools": ("max",)}},
        insertion_points=["stages.0"],
    )  # fmt: skip
    again = TrainConfig(**json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.widths == (4, 8) and again.insertion_points == ("stages.0",)


def test_the_defaults_are_the_tutorials():
    config = TrainConfig()
    with torch.device("meta"):
        model = build_model(config, 10)
    assert [stage.convolutions[-2].num_features for stage in model.stages] == [64, 128, 256]
    assert model.dropout.p == 0.5
    assert (config.model, config.optimizer, config.batch_size) == ("cifar-cnn", "adam", 128)
    assert (config.learning_rate, config.weight_decay) == (1e-3, 1e-4)
    assert config.crop and config.flip


def test_names_are_those_of_the_rooms():
    assert tuple(labels.LABELS) == attention.ATTENTION_NAMES
    assert tuple(name.replace("-", "_") for name in labels.MODEL_NAMES) == models.MODEL_NAMES
    assert TrainConfig.__dataclass_fields__.keys() >= CHOICES.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "vgg"}, "model must be one of 'cifar-cnn', .*, 'custom'; got 'vgg'"),
        ({"attention": "bam"}, "attention must be one of 'none', 'se', .*; got 'bam'"),
        ({"attention": None}, "got None"),
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be at least 0; got nan"),
        ({"attention": "none", "control": "frozen"}, "control 'frozen' would be ignored: it needs"),
        ({"attention": "none", "insertion_points": ("stages.0",)}, r"\('stages.0',\) would be"),
        ({"start_as_identity": True, "control": "frozen"}, "exclude each other"),
        ({"model": "custom", "control": "frozen"}, "'frozen' would be ignored"),
        ({"watch": "test"}, "needs the schedule 'plateau'; got 'onecycle'"),
        ({"watch": "peek", "schedule": "plateau"}, "watch 'peek' needs a peek_size; got None"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (8, -8)}, "widths"),
        ({"attention_options": {"reduction": 4, "x": 1}}, "do not fit 'cbam-fc'.*'x'"),
        ({"control": "constant"}, "do not fit 'cbam-fc'.*'reduction'"),
        ({"attention_options": {"reduction": 64}}, "reduction 64 leaves no hidden unit for 4"),
        ({"attention": "none"}, "'none' takes no options"),
        ({"insertion_points": ("layer1",)}, "no module is called 'layer1'"),
        ({"model_options": {"depths": [1, 1]}}, "do not fit 'cbam-fc' and 'cifar-cnn': .*'depths'"),
        ({"model_options": {"dropout": 0.1}, "dropout": 0.2}, "multiple values .*'dropout'"),
        ({"model": "custom"}, "the model 'custom' has to be handed over"),
    ],
)
def test_networks_that_cannot_be_built(changes, message):
    config = replace(TINY, **changes)
    with pytest.raises(ValueError, match=message):
        build_model(config, 10)
