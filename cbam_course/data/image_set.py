"""One labelled set of small images, split into training and test images."""

from dataclasses import dataclass
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
        ValueError: Images or labels have another shape or dtype than stated here, or a label
            names no class.
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
        for split in ("train", "test"):
            x, y = getattr(self, f"x_{split}"), getattr(self, f"y_{split}")
            if x.dtype != np.uint8 or x.shape[1:3] != (IMAGE_SIZE, IMAGE_SIZE) or x.ndim != 4:
                wanted = f"x_{split} must be uint8 [N, {IMAGE_SIZE}, {IMAGE_SIZE}, C]"
                raise ValueError(f"{wanted}, got {x.dtype} {list(x.shape)}")
            if y.dtype != np.uint8 or y.shape != (len(x),) or (y >= len(self.classes)).any():
                raise ValueError(f"y_{split} must hold a class, in uint8, for each of its images")

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
            ValueError: A class has too few images.
        """
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
