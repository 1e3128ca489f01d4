"""One labelled set of small images, split into training and test images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

#: Height and width of every image in this course, CIFAR-10's.
IMAGE_SIZE = 32


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Training and test images with their labels, and object masks where they are known.

    Args:
        name: Short name of the set, such as ``"cifar10"``.
        x_train: Training images, uint8 of shape [N, 32, 32, C], values 0 to 255; of the C channels
            the first three are red, green and blue.
        y_train: Training labels, uint8 of shape [N], indices into ``classes``.
        x_test: Test images, uint8 of shape [M, 32, 32, C].
        y_test: Test labels, uint8 of shape [M].
        classes: Names of the classes; label ``i`` means ``classes[i]``.
        masks_train: True where a training image shows its object, bool of shape [N, 32, 32];
            None if nobody knows (photographs without such a record).
        masks_test: The same for the test images, [M, 32, 32].

    Raises:
        ValueError: An array has another shape or dtype than stated here, images and labels differ
            in number, a label names no class, or only one of the two mask arrays is given.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    masks_train: np.ndarray | None = None
    masks_test: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        if len(set(self.classes)) != len(self.classes) or not 1 <= len(self.classes) <= 256:
            raise ValueError(f"classes must be 1 to 256 different names, got {self.classes}")
        if (self.masks_train is None) != (self.masks_test is None):
            raise ValueError("masks_train and masks_test must be given together or both be None")
        picture = (IMAGE_SIZE, IMAGE_SIZE)
        shape = np.shape(self.x_train)
        channels = shape[3] if shape[1:3] == picture and len(shape) == 4 and shape[3] else 3
        for split in ("train", "test"):
            count = _check(self, f"x_{split}", np.uint8, (*picture, channels))
            _check(self, f"y_{split}", np.uint8, (), count)
            if self.masks_train is not None:
                _check(self, f"masks_{split}", np.bool_, picture, count)
            labels = getattr(self, f"y_{split}")
            if labels.size and labels.max() >= len(self.classes):
                raise ValueError(
                    f"y_{split} holds the label {labels.max()}, but there are only"
                    f" {len(self.classes)} classes (labels 0 to {len(self.classes) - 1})"
                )

    @cached_property
    def mean(self) -> tuple[float, ...]:
        """Mean of the training pixels in [0, 1], one value per channel."""
        return self._statistics[0]

    @cached_property
    def std(self) -> tuple[float, ...]:
        r"""Standard deviation of the training pixels in [0, 1], one value per channel.

        .. math:: \sigma_c = \sqrt{\tfrac{1}{N H W} \sum_{n,i,j} (x_{nijc} - \mu_c)^2}

        over all pixels of all images. For CIFAR-10 this is (0.2470, 0.2435, 0.2616); the widely
        copied (0.2023, 0.1994, 0.2010) is the mean of the single images' standard deviations,
        which leaves out how images differ from one another.
        """
        return self._statistics[1]

    @cached_property
    def _statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if not len(self.x_train):
            raise ValueError(f"{self.name} has no training images to take statistics of")
        # Integer sums are exact whatever their order; rows of 32 pixels keep NumPy's loops long.
        channels = self.x_train.shape[3]
        rows = np.ascontiguousarray(self.x_train).reshape(-1, IMAGE_SIZE * channels)
        total = np.zeros(IMAGE_SIZE * channels, np.int64)
        squares = np.zeros(IMAGE_SIZE * channels, np.int64)
        for start in range(0, len(rows), 16384):
            chunk = rows[start : start + 16384].astype(np.int64)
            total += chunk.sum(0)
            squares += np.einsum("ij,ij->j", chunk, chunk)
        pixels = self.x_train.size // channels
        mean = total.reshape(-1, channels).sum(0) / pixels
        variance = squares.reshape(-1, channels).sum(0) / pixels - mean**2
        std = np.sqrt(np.maximum(variance, 0))
        return tuple((mean / 255).tolist()), tuple((std / 255).tolist())

    def subset(self, train: int | None = None, test: int | None = None, seed: int = 0) -> ImageSet:
        """Draw a smaller set at random with the same number of images of every class.

        Counts that the number of classes does not divide give some classes one image more. The
        images keep their order, and a smaller subset lies within a larger one of the same seed.

        Args:
            train: Number of training images, None for all.
            test: Number of test images, None for all.
            seed: Which random choice.

        Returns:
            A new set with the same name and classes, masks included.

        Raises:
            ValueError: A count is negative, or a class has too few images for it.
        """
        changes: dict[str, np.ndarray] = {}
        for number, (split, count) in enumerate((("train", train), ("test", test))):
            labels = getattr(self, f"y_{split}")
            # All images are all images, balanced or not.
            if count is None or (count == len(labels) and not isinstance(count, bool)):
                continue
            kept = _balanced_choice(labels, len(self.classes), count, (seed, number), split, split)
            for field in (f"x_{split}", f"y_{split}", f"masks_{split}"):
                if getattr(self, field) is not None:
                    changes[field] = getattr(self, field)[kept]
        return replace(self, **changes)

    def hold_out(self, count: int, seed: int = 0) -> ImageSet:
        """Divide the training images: ``count`` of them, equally many of every class, to choose by.

        Whoever chooses by the test images, a learning rate or when to stop, can no longer report
        them. The images held out are there to be looked at instead.

        Args:
            count: Number of images to hold out, at least 1.
            seed: Which random choice.

        Returns:
            A new set whose test images are those held out and whose training images are the rest,
            masks included. The test images of this set are in neither. With equally many images of
            every class before and after, the rest is what ``subset(train=...)`` keeps of so many.

        Raises:
            ValueError: ``count`` is not a whole number of at least 1, no image would be left to
                train on, or a class has too few images for it.
        """
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
            raise ValueError(f"count must be a whole number of images >= 1, got {count!r}")
        if count >= len(self.y_train):
            raise ValueError(
                f"of {len(self.y_train)} training images at most {len(self.y_train) - 1} can be"
                f" held out, got count={count}"
            )
        held = _balanced_choice(
            self.y_train, len(self.classes), count, (seed, 0), "count", "train", last=True
        )
        rest = np.setdiff1d(np.arange(len(self.y_train)), held)
        changes = {}
        for name in ("x", "y", "masks"):
            if (array := getattr(self, f"{name}_train")) is not None:
                changes |= {f"{name}_train": array[rest], f"{name}_test": array[held]}
        return replace(self, **changes)

    def __repr__(self) -> str:
        masks = "" if self.masks_train is None else ", with object masks"
        return (
            f"ImageSet({self.name!r}: {len(self.x_train):,} training and {len(self.x_test):,} test"
            f" images, {len(self.classes)} classes{masks})"
        )


def _check(
    images: ImageSet, field: str, dtype: type, shape: tuple[int, ...], count: int | None = None
) -> int:
    """Check one array's type, dtype, shape and number of images; return that number."""
    array = getattr(images, field)
    wanted = f"{np.dtype(dtype)} array of shape {[count or 'N', *shape]}".replace("'", "")
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{field} must be a NumPy {wanted}, got a {type(array).__name__}")
    right_count = array.ndim > 0 and count in (None, len(array))
    if array.dtype != dtype or array.shape[1:] != shape or not right_count:
        raise ValueError(f"{field} must be a {wanted}, got {array.dtype} {list(array.shape)}")
    return len(array)


def _balanced_choice(
    labels: np.ndarray,
    classes: int,
    count: int,
    seed: tuple[int, int],
    argument: str,
    split: str,
    *,
    last: bool = False,
) -> np.ndarray:
    """Choose ``count`` indices, equally many of every class, in increasing order.

    The classes are shuffled; ``last`` takes from their ends instead of their beginnings.
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
        raise ValueError(f"{argument} must be a whole number of images >= 0, got {count!r}")
    keys = np.random.default_rng(seed).random(len(labels))
    kept = []
    for label in range(classes):
        members = np.flatnonzero(labels == label)
        share = count // classes + (label < count % classes)
        if share > len(members):
            raise ValueError(
                f"{argument}={count} needs {share} images of class {label},"
                f" but this set has {len(members)} (of {len(labels)} {split} images)"
            )
        shuffled = members[np.argsort(keys[members], kind="stable")]
        kept.append(shuffled[len(shuffled) - share :] if last else shuffled[:share])
    return np.sort(np.concatenate(kept))
