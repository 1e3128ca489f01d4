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
        size, shape = (IMAGE_SIZE, IMAGE_SIZE), np.shape(self.x_train)
        channels = shape[3] if len(shape) == 4 and shape[1:3] == size and shape[3] else 3
        for split in ("train", "test"):
            count = len(getattr(self, f"x_{split}"))
            wanted = {
                f"x_{split}": (np.uint8, (count, *size, channels)),
                f"y_{split}": (np.uint8, (count,)),
                f"masks_{split}": (np.bool_, (count, *size)),
            }
            for name, (dtype, shape) in wanted.items():
                array = getattr(self, name)
                if array is None and name.startswith("masks"):
                    continue
                if getattr(array, "dtype", None) != dtype or array.shape != shape:
                    found = getattr(array, "dtype", type(array).__name__)
                    raise ValueError(
                        f"{name} must be a NumPy {np.dtype(dtype)} array of shape {list(shape)},"
                        f" got {found} {list(np.shape(array))}"
                    )
            labels = getattr(self, f"y_{split}")
            if labels.size and labels.max() >= len(self.classes):
                raise ValueError(
                    f"y_{split} holds the label {labels.max()}, but there are only"
                    f" {len(self.classes)} classes (labels 0 to {len(self.classes) - 1})"
                )

    @cached_property
    def mean(self) -> tuple[float, ...]:
        """Mean of the training pixels in [0, 1], one value per channel."""
        return channel_statistics(self.x_train)[0]

    @cached_property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of the training pixels in [0, 1], one value per channel."""
        return channel_statistics(self.x_train)[1]

    def draw(self, split: str, *counts: int | None, seed: int = 0) -> list[np.ndarray]:
        """Draw groups of images at random that share no image, each balanced over the classes.

        The images of a class are shuffled once, by the seed; the first group takes its share from
        the beginning, the next one goes on from there. So a smaller group lies within a larger one
        of the same seed, and what comes behind a group never changes it.

        Args:
            split: ``"train"`` or ``"test"``.
            counts: Number of images of each group; at most one may be None, for all that the
                others leave. Counts that the number of classes does not divide give some classes
                one image more.
            seed: Which random choice.

        Returns:
            For each group the indices of its images, in increasing order.

        Raises:
            ValueError: A count is no whole number of at least 0, two are None, or a class has too
                few images.
        """
        for count in counts:
            whole = isinstance(count, (int, np.integer)) and not isinstance(count, bool)
            if count is not None and (not whole or count < 0):
                raise ValueError(f"{split} images are counted in whole numbers >= 0, got {count!r}")
        if counts.count(None) > 1:
            raise ValueError(f"at most one count may be None, got {counts}")
        labels, classes = getattr(self, f"y_{split}"), len(self.classes)
        keys = np.random.default_rng((seed, ("train", "test").index(split))).random(len(labels))
        groups: list[list[np.ndarray]] = [[] for _ in counts]
        for label in range(classes):
            members = np.flatnonzero(labels == label)
            shuffled = members[np.argsort(keys[members], kind="stable")]
            shares = [c if c is None else c // classes + (label < c % classes) for c in counts]
            needed = sum(share or 0 for share in shares)
            if needed > len(members):
                raise ValueError(
                    f"{' + '.join(str(c) for c in counts if c)} {split} images need {needed} of"
                    f" class {label}, but this set has {len(members)} (of {len(labels)} in all)"
                )
            shares = [len(members) - needed if share is None else share for share in shares]
            for group, part in zip(groups, np.split(shuffled, np.cumsum(shares)), strict=False):
                group.append(part)
        return [np.sort(np.concatenate(group)) for group in groups]

    def subset(self, train: int | None = None, test: int | None = None, seed: int = 0) -> ImageSet:
        """Draw a smaller set at random with the same number of images of every class.

        Args:
            train: Number of training images, None for all.
            test: Number of test images, None for all.
            seed: Which random choice, as in :meth:`draw`.

        Returns:
            A new set with the same name and classes, masks included.

        Raises:
            ValueError: A count is negative, or a class has too few images for it.
        """
        changes: dict[str, np.ndarray] = {}
        for split, count in (("train", train), ("test", test)):
            # All images are all images, balanced or not.
            everything = len(getattr(self, f"y_{split}"))
            if count is None or (count == everything and not isinstance(count, bool)):
                continue
            [kept] = self.draw(split, count, seed=seed)
            for field in (f"x_{split}", f"y_{split}", f"masks_{split}"):
                if getattr(self, field) is not None:
                    changes[field] = getattr(self, field)[kept]
        return replace(self, **changes)

    def __repr__(self) -> str:
        masks = "" if self.masks_train is None else ", with object masks"
        return (
            f"ImageSet({self.name!r}: {len(self.x_train):,} training and {len(self.x_test):,} test"
            f" images, {len(self.classes)} classes{masks})"
        )


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    r"""Mean and standard deviation of the pixels in [0, 1], one value per channel.

    .. math:: \sigma_c = \sqrt{\tfrac{1}{N H W} \sum_{n,i,j} (x_{nijc} - \mu_c)^2}

    over all pixels of all images. For CIFAR-10 this is (0.2470, 0.2435, 0.2616); the widely copied
    (0.2023, 0.1994, 0.2010) is the mean of the single images' standard deviations, which leaves out
    how images differ from one another.

    Args:
        images: uint8 [N, H, W, C] with N at least 1.

    Returns:
        The means and the standard deviations.

    Raises:
        ValueError: There are no images.
    """
    if not len(images):
        raise ValueError("there are no training images to take statistics of")
    # How often each channel has each value: sums of integers are exact whatever their order.
    values, pixels = np.arange(256), images[..., 0].size
    counts = np.zeros((images.shape[3], 256), np.int64)
    for start in range(0, len(images), 1000):
        for channel, count in enumerate(counts):
            part = images[start : start + 1000, ..., channel]
            count += np.bincount(part.ravel(), minlength=256)
    mean = counts @ values / pixels
    variance = counts @ values**2 / pixels - mean**2
    std = np.sqrt(np.maximum(variance, 0))
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())
