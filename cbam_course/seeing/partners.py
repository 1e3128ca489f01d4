"""Who exchanges maps with whom."""

import torch
from torch import Tensor


def partners(labels: Tensor, *, same_class: bool) -> Tensor:
    """Choose another image for each image, so that every image is chosen once.

    Args:
        labels: ``[N]``, the class of each image, 0 to K - 1, with equally many images of each.
        same_class: whether the partner is the next image of the same class, or an image of the
            next class.

    Returns:
        Indices ``[N]``.

    Raises:
        ValueError: if the classes are not equally many, or there is no other image to choose.
    """
    labels = torch.as_tensor(labels).long()
    if labels.dim() != 1 or len(labels) == 0:
        raise ValueError(f"labels must be [N] with N at least 1, got {list(labels.shape)}")
    counts = labels.bincount()
    if len(set(counts.tolist())) > 1:
        raise ValueError(f"every class must have equally many images, got {counts.tolist()}")
    members = labels.argsort(stable=True).view(len(counts), -1)  # [K, N / K]
    if members.shape[same_class] < 2:
        raise ValueError("there is no other image to exchange maps with")
    chosen = torch.empty_like(labels)
    chosen[members] = members.roll(-1, dims=int(same_class))
    return chosen
