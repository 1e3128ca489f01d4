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
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

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


def test_the_file_is_loaded_and_put_in_order(cached, arrays, monkeypatch, tmp_path):
    for copy in (arrays, shuffled(arrays, seed=1)):
        np.savez(cached, **copy)
        images = cifar10(cached.parent, download=False)
        assert equal(images, arrays)
    assert images.classes == CIFAR10_CLASSES and images.masks_train is None
    assert os.listdir(cached.parent) == ["cifar10.npz"]
    monkeypatch.setenv("CBAM_COURSE_DATA", str(cached.parent))
    assert equal(cifar10(download=False), arrays)
    with pytest.raises(DatasetUnavailable, match=r"elsewhere, .*data\.shapes\(\).*--dataset"):
        cifar10(tmp_path / "elsewhere", download=False)
    assert not (tmp_path / "elsewhere").exists()


def test_damaged_and_other_files_are_refused(cached, arrays):
    """With advice, and the file stays as it is."""
    whole, damaged = cached.read_bytes(), []
    np.save(cached.with_suffix(".npy"), np.zeros(3))
    other = cached.with_suffix(".npy").read_bytes()
    damaged += [b"", whole[:1], whole[:50_000], whole[:-1], other, b"<html>404</html>"]
    for name, change in (
        ("x_train", lambda x: x.astype(np.float32)),
        ("x_test", lambda x: x.transpose(0, 3, 1, 2)),
        ("x_train", lambda x: x[:-1]),
        ("y_train", lambda y: y + 1),
        ("x_train", lambda x: np.concatenate([x[:1], x[:-1]])),
        ("y_train", lambda y: y.astype(object)),
    ):
        np.savez(cached, **(arrays | {name: change(arrays[name])}))
        damaged.append(cached.read_bytes())
    for content in damaged:
        cached.write_bytes(content)
        advice = rf"{cached} is damaged or is not CIFAR-10: .*Delete that file"
        with pytest.raises(ValueError, match=f"(?s){advice}"):
            cifar10(cached.parent)
        assert cached.read_bytes() == content


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


def test_what_torchvision_left_is_used_if_it_is_whole(offered, arrays, tmp_path, monkeypatch):
    with tarfile.open(offered) as tar:
        tar.extractall(tmp_path, filter="data")

    def full(file, **_):
        file.write(b"PK\x03\x04 half an archive")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        assert equal(cifar10(tmp_path, download=False), arrays)  # it serves all the same
    assert os.listdir(tmp_path) == ["cifar-10-batches-py"]
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(DatasetUnavailable, match="no whole copy"):
        cifar10(tmp_path, download=False)
    assert equal(cifar10(tmp_path), arrays)


# The true data, where a copy is at hand


@pytest.fixture(scope="module")
def true_images():
    try:
        return cifar10(download=False)
    except DatasetUnavailable:
        pytest.skip("no copy of CIFAR-10 here: set CBAM_COURSE_DATA to a folder that has one")


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
