"""timm's blocks by name: made, put into networks, switched off, frozen and recorded."""

import pickle

import pytest
import torch
from timm.layers import create_attn

from cbam_course import attention, cost, labels, models, training
from cbam_course.attention import attention_blocks, attention_off, make_attention
from cbam_course.attention.factory import TIMM
from cbam_course.records.experiment import run_name


@pytest.mark.parametrize("name", ["ecam", "gc", "coord", "sk"])
def test_the_block_is_timms(name):
    factory = pickle.loads(pickle.dumps(make_attention(TIMM + name)))
    torch.manual_seed(0)
    ours = factory(32).eval()
    torch.manual_seed(0)
    theirs = create_attn(name, 32).eval()
    x = torch.randn(2, 32, 9, 8)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=0)


def test_options_are_timms():
    assert make_attention("timm:se", rd_channels=5)(32).fc1.out_channels == 5
    with pytest.raises(TypeError, match="reduction"):
        make_attention("timm:gc", reduction=4)(32)


def put_in(how):
    if how == "make_model":
        return models.make_model("cifar_cnn", "timm:se", widths=(16, 32))
    model = models.CifarCNN(None, widths=(16, 32))
    where, example = ["stages.0", "stages.1"], torch.zeros(1, 3, 32, 32)
    models.insert_attention(model, "timm:se", where, example=example)
    return model


@pytest.mark.parametrize("how", ["make_model", "insert_attention"])
def test_the_course_knows_the_blocks_that_it_has_put_in(how):
    model = put_in(how).eval()
    assert [type(b).__name__ for b in attention_blocks(model).values()] == ["SEModule"] * 2
    plain = models.CifarCNN(None, widths=(16, 32)).eval()
    state = model.state_dict()
    plain.load_state_dict({key: state[key] for key in plain.state_dict()})
    x = torch.randn(2, 3, 32, 32)
    assert not torch.allclose(model(x), plain(x))
    with attention_off(model):
        torch.testing.assert_close(model(x), plain(x))
    # Hidden units of 8 for 16 and 32 channels, and biases.
    expected = (2 * 16 * 8 + 8 + 16) + (2 * 32 * 8 + 8 + 32)
    assert cost.count(model, (3, 32, 32)).attention_parameters == expected


def test_a_configuration_takes_the_name():
    config = training.TrainConfig(attention="timm:gc", widths=(16, 32), control="frozen")
    model = training.build_model(training.TrainConfig(**config.to_dict()), 10)
    assert [type(b).__name__ for b in attention_blocks(model).values()] == ["GlobalContext"] * 2
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if ".attention." in name}
    assert run_name(config).startswith("cifar-cnn-timm-gc-")  # no colon in a file's name
    assert labels.TIMM == attention.factory.TIMM
