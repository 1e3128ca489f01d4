"""Files of weights: what was written is read, and nothing else is."""

import io
import os
import pickle
import random
import zipfile

import pytest
import safetensors.torch
import torch
from torch import nn

from cbam_course.models import read_weights, write_weights

SUFFIXES = (".pth", ".pt", ".safetensors")
suffixes = pytest.mark.parametrize("suffix", SUFFIXES)


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


@suffixes
def test_what_was_written_is_read(tmp_path, suffix):
    state = network().state_dict()
    state["half"] = torch.randn(3).half()
    state["brain"] = torch.randn(3, 2).bfloat16()
    state["empty"] = torch.empty(0, 3)
    path = tmp_path / f"weights{suffix}"
    write_weights(state, path)
    found = read_weights(str(path))
    assert_equal({key: found[key] for key in state}, dict(state))
    network(1).load_state_dict({key: found[key] for key in network().state_dict()}, strict=True)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@suffixes
def test_others_read_what_was_written(tmp_path, suffix):
    state, path = network().state_dict(), tmp_path / f"weights{suffix}"
    write_weights(state, path)
    if suffix == ".safetensors":
        found = safetensors.torch.load_file(path)
        assert_equal({key: found[key] for key in state}, state)
    else:
        assert_equal(torch.load(path, weights_only=True), state)


def test_files_of_others_are_read(tmp_path):
    state = network().state_dict()
    torch.save(state, tmp_path / "a.bin")
    safetensors.torch.save_file(state, tmp_path / "a.SafeTensors")
    (tmp_path / "old.pth.tar").write_bytes(saved(state, legacy=True))
    torch.save(dict(network().named_parameters()), tmp_path / "parameters.pt")
    assert_equal(read_weights(tmp_path / "a.bin"), state)
    assert_equal(read_weights(tmp_path / "old.pth.tar"), state)
    found = read_weights(tmp_path / "a.SafeTensors")
    assert_equal({key: found[key] for key in state}, state)
    assert len(read_weights(tmp_path / "parameters.pt")) == 6


@suffixes
def test_tensors_that_share_memory(tmp_path, suffix):
    shared = torch.arange(6.0)
    large = torch.randn(100_000)
    state = {"a": shared, "b": shared, "view": large[:3], "turned": torch.randn(4, 3).T}
    path = tmp_path / f"weights{suffix}"
    write_weights(state, path)
    assert path.stat().st_size < 10_000  # not the memory behind the view
    found = read_weights(path)
    assert_equal({key: found[key] for key in state}, state)
    found["a"].zero_()
    assert shared.any() and found["b"].any()


@pytest.mark.parametrize("legacy", [False, True])
def test_the_authors_checkpoint(tmp_path, legacy):
    """Made by their training script from a model in nn.DataParallel."""
    model = nn.DataParallel(network())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 3, 10, 10)[:, :, :, :10]).sum().backward()
    optimizer.step()
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


@pytest.mark.parametrize("entry", ["state_dict", "model"])
def test_checkpoints(tmp_path, entry):
    state = network().state_dict()
    torch.save({entry: state, "epoch": 3, "args": {"lr": 0.1}}, tmp_path / "c.pth")
    assert_equal(read_weights(tmp_path / "c.pth"), state)


def test_module_is_left_out_only_if_all_have_it(tmp_path):
    state = {"module.a": torch.ones(2), "module.module.b": torch.ones(1)}
    torch.save(state, tmp_path / "all.pth")
    assert list(read_weights(tmp_path / "all.pth")) == ["a", "module.b"]
    torch.save({**state, "c": torch.ones(1)}, tmp_path / "some.pth")
    assert list(read_weights(tmp_path / "some.pth")) == ["module.a", "module.module.b", "c"]


# What is refused


class MakesAFile:
    """Unpickling it opens a file for writing."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_no_code_is_run(tmp_path, kind, suffix):
    trap, path = tmp_path / "trap", tmp_path / f"weights{suffix}"
    content = {"weight": torch.ones(3), "trap": MakesAFile(trap)}
    data = {
        "zip": lambda: saved(content),
        "legacy": lambda: saved(content, legacy=True),
        "pickle": lambda: pickle.dumps(MakesAFile(trap), protocol=2),
    }[kind]()
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"weights{suffix} (holds more|is torn)") as refusal:
        read_weights(path)
    assert not trap.exists()
    assert "weights_only" not in str(refusal.value)  # no advice to run it
    if suffix != ".safetensors":
        assert "reading it would run" in str(refusal.value) and "open" in str(refusal.value)

    pickle.loads(pickle.dumps(MakesAFile(trap))).close()
    assert trap.exists()  # it would have worked


def test_a_whole_model(tmp_path):
    torch.save(network(), tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"run torch\.nn.*Sequential.*save its model.state_dict"):
        read_weights(tmp_path / "model.pth")


@pytest.mark.filterwarnings("ignore:.*is deprecated")
def test_a_torchscript_program(tmp_path):
    file = tmp_path / "model.pt"
    torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(file)
    with pytest.raises(ValueError, match="model.pt is a TorchScript program"):
        read_weights(file)


@suffixes
def test_folders_empty_files_and_no_files(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(FileNotFoundError, match=f"a{suffix}"):
        read_weights(path)
    path.touch()
    with pytest.raises(ValueError, match=f"a{suffix} is empty"):
        read_weights(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=f"a{suffix} is a folder"):
        read_weights(path)


def a_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return file.getvalue()


FOREIGN = {
    "text": b"404",
    "page": b"<!DOCTYPE html><html>Not found</html>" * 9,
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "zip": a_zip(),
    "bytes": bytes(range(256)) * 9,
    "zeros": bytes(1000),
}


@suffixes
@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_foreign_files(tmp_path, content, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"a{suffix} is torn, or not a file of"):
        read_weights(path)


FORMATS = {
    "a.pth": saved,
    "a.pt": lambda state: saved(state, legacy=True),
    "a.safetensors": safetensors.torch.save,
}


@pytest.mark.parametrize("name", FORMATS)
def test_torn_files(tmp_path, name):
    data = FORMATS[name](dict(network().state_dict()))
    for length in sorted({1, 2, 4, 8, *range(16, len(data), 97), len(data) - 1}):
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(ValueError, match=f"{name} (is torn|holds more)"):
            read_weights(tmp_path / name)


def test_damaged_files(tmp_path):
    """One wrong bit is found, unless it is where nothing depends on it."""
    state, path = network().state_dict(), tmp_path / "a.pth"
    data, numbers = saved(state), random.Random(0)
    refused = 0
    for _ in range(60):
        wrong = bytearray(data)
        wrong[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
        path.write_bytes(wrong)
        try:
            found = read_weights(path)
        except ValueError:
            refused += 1
        else:
            assert_equal(found, state)
    assert refused > 5
    place = data.find(state["2.weight"].numpy().tobytes())
    wrong = bytearray(data)
    wrong[place] ^= 1
    path.write_bytes(wrong)
    with pytest.raises(ValueError, match="a.pth is torn.*another checksum"):
        read_weights(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "holds a list, not a state dict"),
        (torch.ones(1), "holds a Tensor, not a state dict"),
        ({}, "holds no tensors, so no state dict; it has nothing at all"),
        ({"epoch": 3, "lr": 0.1}, "holds no tensors.* has 'epoch', 'lr'"),
        ({"state_dict": {}}, "holds no tensors"),
        ({"a": torch.ones(1), "b": 3}, "holds no tensor at 'b', but int"),
        ({"a": torch.ones(1), 3: torch.ones(1)}, "holds a key that is no name: 3"),
        ({"model": {"a": torch.ones(1), "b": [1]}}, "holds no tensor at 'b', but list"),
        ({"a": torch.ones(1, device="meta")}, "holds a tensor without values .* at 'a'"),
    ],
    ids=str,
)
def test_other_contents(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=f"a.pth {message}"):
        read_weights(tmp_path / "a.pth")
    state = content["model"] if isinstance(content, dict) and "model" in content else content
    with pytest.raises(ValueError, match=f"state dict to write {message}"):
        write_weights(state, tmp_path / "b.pth")
    assert not (tmp_path / "b.pth").exists()


@pytest.mark.parametrize("name", ["weights", "weights.bin", "weights.npz", "weights.pth.tar"])
def test_refuses_other_endings(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.pth, \.pt, \.safetensors files; got .*weights"):
        write_weights(network().state_dict(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@suffixes
def test_a_full_disk_leaves_the_old_file(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"a{suffix}"
    old = network().state_dict()
    write_weights(old, path)

    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_weights(network(1).state_dict(), path)
    monkeypatch.undo()
    found = read_weights(path)
    assert_equal({key: found[key] for key in old}, old)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
