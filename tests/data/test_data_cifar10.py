"""CIFAR-10: one order for every copy, what is refused, what is downloaded, and no half files.

The downloads run torchvision's own code against a server on this machine that offers a made-up
archive of 60 images in CIFAR-10's format.
"""

import hashlib
import importlib
import io
import os
import pickle
import socket
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from cbam_course.data import CIFAR10_CLASSES, DatasetUnavailable, cifar10
from cbam_course.records import reading
from cbam_course.training import TrainConfig
from cbam_course.training.history import describe_data
from cbam_course.training.loop import choose_images

# `import cbam_course.data.cifar10` would name the function of the same name.
module = importlib.import_module("cbam_course.data.cifar10")

COUNTS = {"train": 50, "test": 10}


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    made = {}
    for split, count in COUNTS.items():
        made[f"x_{split}"] = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        made[f"y_{split}"] = (np.arange(count) % 10).astype(np.uint8)
    return made


@pytest.fixture
def small(arrays, monkeypatch, tmp_path_factory):
    """Let the made-up images, in the order they have in ``arrays``, pass for CIFAR-10."""
    expected, ranks = {}, []
    for split, count in COUNTS.items():
        keys = module.content_keys(arrays[f"x_{split}"], arrays[f"y_{split}"])
        expected[split] = count, int(keys.sum(dtype=np.uint64))
        ranks.append(np.argsort(np.argsort(keys)).astype(np.uint16))
    file = tmp_path_factory.mktemp("order") / "order.npy"
    np.save(file, np.concatenate(ranks))
    monkeypatch.setattr(module, "EXPECTED", expected)
    monkeypatch.setattr(module, "ORDER_FILE", file)


def shuffled(arrays, seed):
    """The same images, each with its label, in another order."""
    made = {}
    for split, count in COUNTS.items():
        order = np.random.default_rng(seed).permutation(count)
        made |= {name: arrays[name][order] for name in (f"x_{split}", f"y_{split}")}
    return made


def equal(images, arrays) -> bool:
    return all((getattr(images, name) == array).all() for name, array in arrays.items())


# The cache file


@pytest.fixture
def cached(arrays, small, tmp_path):
    path = tmp_path / "cifar10.npz"
    np.savez(path, **arrays)
    return path


def test_cache_is_loaded(cached, arrays):
    images = cifar10(cached.parent, download=False)
    assert equal(images, arrays)
    assert images.classes == CIFAR10_CLASSES
    assert images.masks_train is None
    assert os.listdir(cached.parent) == ["cifar10.npz"]


def test_folder_comes_from_argument_then_environment(cached, monkeypatch, tmp_path):
    monkeypatch.setenv("CBAM_COURSE_DATA", str(cached.parent))
    assert len(cifar10(download=False).x_test) == 10
    with pytest.raises(
        DatasetUnavailable, match=r"elsewhere, .*data\.shapes\(\).*--dataset shapes"
    ):
        cifar10(tmp_path / "elsewhere", download=False)
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture
def home(monkeypatch, tmp_path):
    for name in ("CBAM_COURSE_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", lambda path: tmp_path.joinpath(*path.parts[1:]))
    return tmp_path


@pytest.mark.parametrize(
    "platform, expected",
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local")],
)
def test_cache_folder_of_each_platform(platform, expected, monkeypatch, home):
    monkeypatch.setattr(sys, "platform", platform)
    assert module.cache_folder() == home / expected / "cbam-course"
    variable = {"linux": "XDG_CACHE_HOME", "win32": "LOCALAPPDATA"}.get(platform)
    if variable:
        monkeypatch.setenv(variable, "~/base")
        assert module.cache_folder() == home / "base" / "cbam-course"


def test_no_home_folder_is_reported(monkeypatch, home):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(DatasetUnavailable, match="environment variable CBAM_COURSE_DATA"):
        cifar10(download=False)


def refused(path: Path, message: str) -> None:
    """The file must be refused with advice, and stay as it is."""
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message) as caught:
        cifar10(path.parent)
    assert str(path) in str(caught.value)
    assert "Delete that file" in str(caught.value)
    assert path.read_bytes() == before


def test_cut_off_and_other_files_are_refused(cached):
    whole = cached.read_bytes()
    np.save(cached.with_suffix(".npy"), np.zeros(3))
    other = cached.with_suffix(".npy").read_bytes()
    for content in (b"", whole[:1], whole[:50_000], whole[:-1], other, b"<html>404</html>"):
        cached.write_bytes(content)
        refused(cached, "is damaged or is not CIFAR-10")


def test_a_single_changed_byte_anywhere_is_refused(cached, arrays):
    whole = cached.read_bytes()
    for position in np.random.default_rng(0).integers(0, len(whole), 30):
        changed = bytearray(whole)
        changed[position] ^= 0x10
        cached.write_bytes(changed)
        # Some bytes of a zip file, such as its time stamps, carry no data.
        try:
            images = cifar10(cached.parent, download=False)
        except ValueError:
            continue
        assert equal(images, arrays)


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("x_train", lambda x: x.astype(np.float32), ""),
        ("y_test", lambda y: y.astype(np.int64), ""),
        ("x_test", lambda x: x.transpose(0, 3, 1, 2), "checksum"),
        ("x_train", lambda x: x[:-1], ""),
        ("y_train", lambda y: y + 1, "checksum"),
        ("x_train", lambda x: np.concatenate([x[:1], x[:-1]]), "checksum"),
        ("y_train", lambda y: y.astype(object), "pickle"),
    ],
)
def test_other_contents_are_refused(cached, arrays, name, change, message):
    np.savez(cached, **(arrays | {name: change(arrays[name])}))
    refused(cached, f"is damaged or is not CIFAR-10: .*{message}")
    np.savez(cached, **{key: array for key, array in arrays.items() if key != name})
    refused(cached, f"{name} is not a file in the archive")


def test_a_copy_in_another_order_is_put_in_order(cached, arrays):
    copy = shuffled(arrays, seed=1)
    assert not (copy["y_train"] == arrays["y_train"]).all()
    np.savez(cached, **copy)
    assert equal(cifar10(cached.parent, download=False), arrays)


def test_keys_depend_on_every_pixel_its_position_and_the_label(arrays):
    x, y = arrays["x_train"], arrays["y_train"]
    keys = module.content_keys(x, y)
    assert keys.dtype == np.uint64 and len(set(keys.tolist())) == len(x)
    order = np.random.default_rng(3).permutation(len(x))
    assert (module.content_keys(x[order], y[order]) == keys[order]).all()
    for row, column in [(0, 0), (15, 7), (31, 31)]:
        changed = x.copy()
        changed[:, row, column, 2] ^= 1
        assert (module.content_keys(changed, y) != keys).all()
    assert (module.content_keys(x[:, ::-1], y) != keys).all()
    assert (module.content_keys(x, (y + 1) % 10) != keys).all()


# torchvision's layout and the download


@pytest.fixture(scope="module")
def archive(arrays):
    """An archive in CIFAR-10's format, and the sums that torchvision is to check.

    Its images are in an order of their own, as those of the true archive are.
    """
    arrays = shuffled(arrays, seed=4)
    files = {}
    for number in range(5):
        files[f"data_batch_{number + 1}"] = ("train", slice(number * 10, number * 10 + 10))
    files["test_batch"] = ("test", slice(None))
    packed, sums = io.BytesIO(), {}

    def add(tar, name, content):
        data = pickle.dumps(content)
        info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
        sums[name] = hashlib.md5(data).hexdigest()

    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, (split, part) in files.items():
            pixels = arrays[f"x_{split}"][part].transpose(0, 3, 1, 2).reshape(10, -1)
            add(tar, name, {"data": pixels, "labels": arrays[f"y_{split}"][part].tolist()})
        add(tar, "batches.meta", {"label_names": list(CIFAR10_CLASSES)})
    return packed.getvalue(), sums


@pytest.fixture
def offered(archive, small, monkeypatch, tmp_path_factory):
    """The archive's file on a server from which torchvision downloads it."""
    content, sums = archive
    file = tmp_path_factory.mktemp("host") / CIFAR10.filename
    file.write_bytes(content)
    handler = partial(SimpleHTTPRequestHandler, directory=file.parent)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/{file.name}"
    monkeypatch.setattr(CIFAR10, "url", address)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(content).hexdigest())
    for field in ("train_list", "test_list"):
        names = [name for name, _ in getattr(CIFAR10, field)]
        monkeypatch.setattr(CIFAR10, field, [[name, sums[name]] for name in names])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    monkeypatch.setenv("no_proxy", "*")
    yield file
    server.shutdown()
    server.server_close()


def test_download_is_decoded_and_kept(offered, arrays, tmp_path, capfd):
    folder = tmp_path / "new" / "folder"
    assert equal(cifar10(folder), arrays)
    assert "170 MB" in capfd.readouterr().err
    assert set(os.listdir(folder)) == {"cifar10.npz"}
    offered.unlink()
    assert equal(cifar10(folder), arrays)


@pytest.mark.parametrize(
    ("behavior", "reason"), [("cut", ""), ("stall", "timed out"), ("missing", "404")]
)
def test_a_download_that_fails_can_be_repeated(
    offered, archive, arrays, tmp_path, monkeypatch, behavior, reason
):
    offered.write_bytes(archive[0][:5000])
    if behavior == "missing":
        offered.unlink()
    with monkeypatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as silent:
        if behavior == "stall":
            patch.setattr(module, "STALL_SECONDS", 0.2)
            patch.setattr(CIFAR10, "url", f"http://127.0.0.1:{silent.getsockname()[1]}/archive")
        with pytest.raises(DatasetUnavailable, match=rf"{reason}.*data\.shapes\(\)"):
            cifar10(tmp_path)
    assert os.listdir(tmp_path) == [] and socket.getdefaulttimeout() is None
    offered.write_bytes(archive[0])
    assert equal(cifar10(tmp_path), arrays)
    assert os.listdir(tmp_path) == ["cifar10.npz"]


def test_no_network_gives_one_clear_error(offered, tmp_path, monkeypatch):
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/archive")
    with pytest.raises(DatasetUnavailable, match=r"data\.shapes\(\)") as caught:
        cifar10(tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message and "\n" not in message and len(message) < 600
    assert isinstance(caught.value.__cause__, OSError)


def test_folder_that_cannot_be_made_is_reported(offered, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetUnavailable, match="file"):
        cifar10(tmp_path / "file" / "folder")


def unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "cifar-10-batches-py"


@pytest.mark.parametrize("left", ["folder", "archive", "archive and torn folder"])
def test_what_torchvision_left_is_used(offered, arrays, tmp_path, left):
    if left == "folder":
        unpack(offered, tmp_path)
    else:
        (tmp_path / "cifar-10-python.tar.gz").write_bytes(offered.read_bytes())
    if "torn" in left:
        (tmp_path / "cifar-10-batches-py").mkdir()
    there = set(os.listdir(tmp_path))
    assert equal(cifar10(tmp_path, download=False), arrays)
    assert set(os.listdir(tmp_path)) == there | {"cifar10.npz"}


def test_torn_torchvision_copy_is_not_used(offered, arrays, tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(offered.read_bytes()[:5000])
    batch = unpack(offered, tmp_path) / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(DatasetUnavailable, match="no whole copy"):
        cifar10(tmp_path, download=False)
    assert equal(cifar10(tmp_path), arrays)


def test_folder_that_cannot_be_written_still_serves(offered, arrays, tmp_path, monkeypatch):
    def full(file, **_):
        file.write(b"PK\x03\x04 half an archive")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    unpack(offered, tmp_path)
    with pytest.warns(UserWarning, match="No space left"):
        assert equal(cifar10(tmp_path, download=False), arrays)
    assert set(os.listdir(tmp_path)) == {"cifar-10-batches-py"}


# The true data, where a copy is at hand


@pytest.fixture(scope="module")
def true_images():
    if not (module.cache_folder() / module.CACHE_NAME).exists():
        pytest.skip("no copy of CIFAR-10 here: set CBAM_COURSE_DATA to a folder that has one")
    return cifar10(download=False)


def test_true_images_are_those_of_the_shipped_records(true_images):
    one_of_each = {record["config"]["model"]: record for record in reading.read().values()}
    one_of_each |= {record["data"]["train"]: record for record in reading.read().values()}
    assert len(one_of_each) >= 3
    for record in one_of_each.values():
        groups = choose_images(TrainConfig(**record["config"]), true_images)
        assert describe_data(true_images, groups) == record["data"]


def test_true_cifar10(true_images):
    images = true_images
    assert np.bincount(images.y_train).tolist() == [5000] * 10
    assert np.bincount(images.y_test).tolist() == [1000] * 10
    # The statistics that are published for the original files.
    assert images.mean == pytest.approx((0.49139968, 0.48215841, 0.44653091), abs=1e-8)
    assert images.std == pytest.approx((0.24703223, 0.24348513, 0.26158784), abs=1e-8)
