"""Files of weights: state dicts are read, and nothing else is."""

import io
import pickle

import pytest
import safetensors.torch
import torch
from torch import nn

from cbam_course.models import read_weights

SUFFIXES = (".pth", ".safetensors")


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 2))


def assert_equal(found, expected):
    assert type(found) is dict and list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype and not found[key].requires_grad
        assert torch.equal(found[key], value)


def saved(content, legacy=False) -> bytes:
    file = io.BytesIO()
    # PyTorch's format before version 1.6, in which the authors of CBAM published their weights.
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def test_files(tmp_path):
    state = network().state_dict()
    state |= {"half": torch.randn(3).half(), "brain": torch.randn(3, 2).bfloat16()}
    state["empty"] = torch.empty(0, 3)
    torch.save(state, tmp_path / "a.bin")
    safetensors.torch.save_file(state, tmp_path / "a.SafeTensors")
    torch.save(dict(network().named_parameters()), tmp_path / "parameters.pt")
    assert_equal(read_weights(tmp_path / "a.bin"), state)
    found = read_weights(tmp_path / "a.SafeTensors")
    assert_equal({key: found[key] for key in state}, state)
    assert len(read_weights(tmp_path / "parameters.pt")) == 6


@pytest.mark.parametrize("legacy", [False, True])
def test_the_authors_checkpoint(tmp_path, legacy):
    """As their training script writes it, of a model in nn.DataParallel."""
    model = nn.DataParallel(network())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    checkpoint = {
        "epoch": 90,
        "arch": "resnet",
        "state_dict": model.state_dict(),
        "best_prec1": torch.tensor(77.3),
        "optimizer": optimizer.state_dict(),
    }
    path = tmp_path / "RESNET50_CBAM.pth.tar"
    path.write_bytes(saved(checkpoint, legacy))
    assert_equal(read_weights(path), model.module.state_dict())
    path.write_bytes(saved({"model": model.state_dict(), "args": {"lr": 0.1}}, legacy))
    assert_equal(read_weights(path), model.module.state_dict())


# What is refused


class MakesAFile:
    """Unpickling it opens a file for writing."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("legacy", [False, True])
def test_no_code_is_run(tmp_path, legacy, suffix):
    trap, path = tmp_path / "trap", tmp_path / f"weights{suffix}"
    path.write_bytes(saved({"weight": torch.ones(3), "trap": MakesAFile(trap)}, legacy))
    with pytest.raises(ValueError, match=f"weights{suffix} is empty or torn, or holds") as refusal:
        read_weights(path)
    assert not trap.exists()
    assert "weights_only" not in str(refusal.value)  # no advice to run it
    pickle.loads(pickle.dumps(MakesAFile(trap))).close()
    assert trap.exists()  # it would have worked


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
FORMATS = {
    "a.pth": saved,
    "a.pt": lambda state: saved(state, legacy=True),
    "a.safetensors": safetensors.torch.save,
}


@pytest.mark.parametrize("name", FORMATS)
def test_no_files_torn_files_and_pointers_to_files(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=name):
        read_weights(tmp_path / name)
    data = FORMATS[name](dict(network().state_dict()))
    lengths = (0, 1, 8, *range(16, len(data), 397), len(data) - 1)
    for content in (POINTER, *(data[:length] for length in lengths)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is empty or torn"):
            read_weights(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        torch.ones(1),
        {"epoch": 3, "lr": 0.1},
        {"state_dict": {}},
        {"a": torch.ones(1), 3: torch.ones(1)},
        {"model": {"a": torch.ones(1), "b": [1]}},
    ],
    ids=str,
)
def test_other_contents(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="a.pth is no state dict, tensors by name; got "):
        read_weights(tmp_path / "a.pth")
