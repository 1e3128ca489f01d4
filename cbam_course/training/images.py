"""Images kept on the device as bytes, and the batches made of them there."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .device import memory_format
from .process_group import group_rank, group_size

PADDING = 4
"""Pixels of black put around an image before a random crop, hence the farthest shift."""


class DeviceImages:
    """Labelled images on the device, uint8 as they are stored; batches are normalized floats.

    A data loader that cuts one image at a time can keep a GPU waiting. All of CIFAR-10 takes 240 MB
    here, so it moves to the device once and whole batches are cut there.

    Args:
        images: uint8 ``[N, H, W, C]``.
        labels: ``[N]``, indices of classes.
        mean, std: of the training pixels in [0, 1], one value per channel.
        device: where to keep them.
        image_size: height and width to resize each batch to, bilinearly; ``None`` to leave it.
        layout: how a batch is stored; ``None`` for what the device likes best.

    Raises:
        ValueError: if the images are not ``[N, H, W, C]`` bytes, or a standard deviation is 0.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device | str = "cpu",
        *,
        image_size: int | None = None,
        layout: torch.memory_format | None = None,
    ) -> None:
        if images.ndim != 4 or images.dtype != np.uint8:
            shape = list(images.shape)
            raise ValueError(f"images must be uint8 [N, H, W, C], got {images.dtype} {shape}")
        if not all(std):
            raise ValueError(f"images cannot be normalized: a channel is constant, std is {std}")
        self.height, self.width = images.shape[1:3]
        self.size = (image_size, image_size) if image_size else (self.height, self.width)
        self.layout = layout or memory_format(torch.device(device))
        border = (PADDING, PADDING)
        padded = np.pad(images, ((0, 0), border, border, (0, 0)))
        self.padded = torch.from_numpy(padded).to(device)
        self.labels = torch.tensor(labels, dtype=torch.int64, device=device)
        # (x / 255 - mean) / std in one product and one sum.
        std = torch.tensor(std, dtype=torch.float32, device=device)
        self.scale = 1 / (255 * std)
        self.shift = -torch.tensor(mean, dtype=torch.float32, device=device) / std

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def large_batch(self) -> int:
        """How many images at a time are fast to look at when no gradients are wanted."""
        # Small batches stay in a processor's cache; large ones keep a GPU busy.
        on_gpu = max(1, 2**21 // (self.size[0] * self.size[1]))
        return 100 if self.labels.device.type == "cpu" else on_gpu

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in their order, untouched: pairs ``[B, C, H, W]`` and ``[B]``.

        Each process of a process group gets whole batches, by turns.
        """
        bottom, right = PADDING + self.height, PADDING + self.width
        turn, turns = group_rank() * batch_size, group_size() * batch_size
        for start in range(turn, len(self), turns):
            batch = slice(start, start + batch_size)
            images = self.padded[batch, PADDING:bottom, PADDING:right]
            yield self.normalize(images), self.labels[batch]

    def shuffled_batches(
        self, batch_size: int, generator: torch.Generator, *, crop: bool = True, flip: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, in a random order, each shifted and mirrored at random.

        Each process of a process group gets its share of every batch.

        Args:
            batch_size: images in a batch; the last batch takes what is left.
            generator: a CPU generator; the same one gives the same batches on every device.
            crop: shift by -4 to 4 pixels in either direction.
            flip: mirror left to right with probability one half.

        Yields:
            Pairs of normalized images ``[B, C, H, W]`` and labels ``[B]``.
        """
        n, device = len(self), self.labels.device
        # Named, because the caller may have set another default device.
        chance = {"generator": generator, "device": "cpu"}
        order = torch.randperm(n, **chance)
        corners = torch.randint(2 * PADDING + 1, (n, 2), **chance)
        mirrored = torch.rand(n, **chance) < 0.5
        if not crop:
            corners.fill_(PADDING)
        if not flip:
            mirrored.fill_(False)
        order, corners, mirrored = order.to(device), corners.to(device), mirrored.to(device)
        for start in range(0, n, batch_size):
            batch = slice(start + group_rank(), start + batch_size, group_size())
            images = self.cut(order[batch], corners[batch], mirrored[batch])
            yield self.normalize(images), self.labels[order[batch]]

    def cut(self, chosen: Tensor, corners: Tensor, mirrored: Tensor) -> Tensor:
        """Cut one window out of each chosen image and its black border, all at once.

        Args:
            chosen: ``[B]``, which images.
            corners: ``[B, 2]``, top row and left column of each window; 4, 4 is the image itself.
            mirrored: ``[B]``, whether to read a window's columns from right to left.

        Returns:
            uint8 ``[B, H, W, C]``.
        """
        down = torch.arange(self.height, device=corners.device)
        across = torch.arange(self.width, device=corners.device)
        across = torch.where(mirrored[:, None], across.flip(0), across)
        rows, columns = corners[:, :1] + down, corners[:, 1:] + across
        return self.padded[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]

    def normalize(self, images: Tensor) -> Tensor:
        """Bytes ``[B, H, W, C]`` -> floats ``[B, C, H, W]``."""
        images = images.float().mul_(self.scale).add_(self.shift).permute(0, 3, 1, 2)
        if self.size != (self.height, self.width):
            smaller = self.size[0] < min(self.height, self.width)
            images = F.interpolate(images, self.size, mode="bilinear", antialias=smaller)
        return images.contiguous(memory_format=self.layout)
