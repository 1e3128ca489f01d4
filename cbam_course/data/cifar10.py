"""CIFAR-10, downloaded once with torchvision and kept as one file that loads at once."""

import os
import socket
import sys
import tempfile
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import numpy as np

from cbam_course.files import write_whole

from .image_set import ImageSet

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

CACHE_NAME = "cifar10.npz"
FOLDER_VARIABLE = "CBAM_COURSE_DATA"
USUAL_FOLDER = "~/.cache/cbam-course"

ALTERNATIVES = (
    "Without a network, use the embedded set: data.shapes() in Python, --dataset shapes on the"
    f" command line. A copy from elsewhere ({CACHE_NAME}, or the unpacked cifar-10-batches-py) is"
    f" found in the folder that you pass or that {FOLDER_VARIABLE} names."
)

#: Number of images and the sum of their :func:`content_keys` (modulo 2**64) of the two splits.
EXPECTED = {
    "train": (50_000, 0xA11AA90F746FA224),
    "test": (10_000, 0xF42B411C221AB433),
}

ORDER_FILE = Path(__file__).with_name("cifar10_order.npy")
"""The course's order: for each of its 50,000 + 10,000 positions, in uint16, the rank that the image
there has among all images of its split, sorted by their content keys."""

# Seconds without a single byte from the host after which the download gives up; torchvision sets
# no limit of its own, so a stalled connection would hang for good.
STALL_SECONDS = 60


class DatasetUnavailable(RuntimeError):
    """CIFAR-10 is not on this machine and could not be, or was not to be, downloaded."""


def cifar10(folder: str | os.PathLike[str] | None = None, download: bool = True) -> ImageSet:
    """Load CIFAR-10: 50,000 training and 10,000 test photographs of ten classes, 32 x 32 pixels.

    The images are kept decoded in one file, ``cifar10.npz``. Where it is missing, a copy in
    torchvision's layout (``cifar-10-batches-py``) in the same folder is decoded, and failing that
    the archive is downloaded (170 MB) with torchvision, which checks its MD5 sum.

    An image is known by its content: whatever order a copy has, the images come in one order,
    that of the recorded runs. So a subset means the same images everywhere.

    Args:
        folder: Where the file is or is to be. None means the folder named by the environment
            variable ``CBAM_COURSE_DATA``, or else ``~/.cache/cbam-course``.
        download: Whether a missing set may be downloaded.

    Returns:
        The set, images in uint8 of shape [N, 32, 32, 3], without object masks.

    Raises:
        DatasetUnavailable: The set is missing and was not or could not be downloaded.
        ValueError: The file is damaged or holds something else. It is left as it is.

    Source: Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.
    """
    folder = Path(folder or os.environ.get(FOLDER_VARIABLE) or USUAL_FOLDER).expanduser()
    path = folder / CACHE_NAME
    if path.exists():
        arrays = _read(path)
    else:
        arrays = _decode(folder, download)
        with suppress(OSError):  # a folder that cannot be written to: they are decoded every time
            write_whole(path, lambda file: np.savez(file, **arrays))
    return ImageSet("cifar10", **arrays, classes=CIFAR10_CLASSES)


def content_keys(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    r"""One 64-bit number per labelled image that depends on its content alone.

    With the pixels of image :math:`n` read as 384 words :math:`w_{nj}` of 64 bits,

    .. math:: k_n = m\Big(y_n + \sum_j a_j w_{nj}\Big) \mod 2^{64}

    where the :math:`a_j` are fixed odd numbers and :math:`m` mixes the bits of a word. The inner
    sum changes with every single changed word. Sorted by their keys, the images of any copy stand
    in one order, and the sum of all keys tells whether a copy is whole. It guards against damage
    and mix-ups, not forgery.

    Args:
        images: uint8 [N, 32, 32, 3].
        labels: uint8 [N].

    Returns:
        uint64 [N], the same on every machine.
    """
    words = np.ascontiguousarray(images).reshape(len(images), -1).view("<u8")
    factors = np.random.PCG64(10).random_raw(words.shape[1]) | np.uint64(1)
    mixed = np.einsum("ij,j->i", words, factors) + labels
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):  # MurmurHash3's finalizer
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(multiplier)
    return mixed ^ (mixed >> np.uint64(33))


def _in_order(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Check that these are CIFAR-10's images, whole, and put them in the course's order."""
    ordered = {}
    ranks = dict(zip(EXPECTED, np.split(np.load(ORDER_FILE), [EXPECTED["train"][0]]), strict=True))
    for split, (count, expected) in EXPECTED.items():
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        keys = content_keys(images, labels)
        if len(keys) != count or int(keys.sum(dtype=np.uint64)) != expected:
            raise ValueError(f"the {split} images or labels do not have CIFAR-10's checksum")
        order = np.argsort(keys, kind="stable")[ranks[split]]
        if (order != np.arange(count)).any():
            images, labels = images[order], labels[order]
        ordered |= {f"x_{split}": images, f"y_{split}": labels}
    return ordered


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read the decoded file."""
    with path.open("rb") as file:
        try:
            archive = np.load(file)
            names = [f"{kind}_{split}" for split in EXPECTED for kind in "xy"]
            return _in_order({name: archive[name] for name in names})
        # A file damaged here or there makes zipfile and NumPy fail in a dozen ways.
        except Exception as error:
            raise ValueError(
                f"{path} is damaged or is not CIFAR-10: {error}. Delete that file to have it"
                " made again, or name another folder."
            ) from error


def _decode(folder: Path, download: bool) -> dict[str, np.ndarray]:
    """Decode what torchvision left in this folder, if it is whole, or else a download."""
    # torchvision takes a second to import and is needed only until the set is decoded.
    from torchvision.datasets import CIFAR10

    def decode(folder: str | os.PathLike[str]) -> dict[str, np.ndarray]:
        arrays = {}
        for split in EXPECTED:
            part = CIFAR10(folder, train=split == "train")  # which checks the MD5 sums
            arrays[f"x_{split}"] = np.ascontiguousarray(part.data)
            arrays[f"y_{split}"] = np.asarray(part.targets, np.uint8)
        return _in_order(arrays)

    try:
        return decode(folder)
    except RuntimeError:
        pass  # a batch is missing or damaged
    if not download:
        raise DatasetUnavailable(
            f"There is no whole copy of CIFAR-10 in {folder}, and download=False. {ALTERNATIVES}"
        )
    print(
        f"Downloading CIFAR-10 (170 MB, once) to {folder}. Its host is slow at times:"
        " this can take from a minute to an hour.",
        file=sys.stderr,
    )
    limit = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(STALL_SECONDS)
        folder.mkdir(parents=True, exist_ok=True)
        # A folder of its own: two processes that both miss the set do not disturb each other.
        with tempfile.TemporaryDirectory(dir=folder, prefix="cifar10-") as staging:
            CIFAR10(staging, download=True)
            return decode(staging)
    except (OSError, RuntimeError, HTTPException) as error:
        raise DatasetUnavailable(
            f"CIFAR-10 could not be downloaded to {folder}"
            f" ({type(error).__name__}: {error}). {ALTERNATIVES}"
        ) from error
    finally:
        socket.setdefaulttimeout(limit)
