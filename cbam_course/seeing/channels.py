"""What channel weights have to do with the classes."""

import torch
from torch import Tensor


def share_between_classes(weights: Tensor, labels: Tensor) -> float:
    r"""How much of the variation of channel weights is explained by the class of the image.

    .. math:: \eta^2 = \frac{\sum_c \sum_k n_k (\bar w_{kc} - \bar w_c)^2}
                            {\sum_c \sum_n (w_{nc} - \bar w_c)^2}

    over channels c, classes k and images n: 0 if all classes have the same mean weights, 1 if all
    images of a class have the same weights. Classes that tell nothing give about
    :math:`(K - 1) / (N - 1)` for K classes and N images.

    Args:
        weights: ``[N, C]`` or ``[N, C, 1, 1]``.
        labels: ``[N]``, the class of each image.

    Raises:
        ValueError: if the shapes do not fit, or the weights are the same for all images.
    """
    weights = torch.as_tensor(weights).flatten(1).double()
    labels = torch.as_tensor(labels).long()
    if labels.shape != weights.shape[:1]:
        raise ValueError(f"{len(weights)} images need as many labels, got {list(labels.shape)}")
    centered = weights - weights.mean(dim=0)
    total = centered.square().sum()
    if total == 0:
        raise ValueError("the weights are the same for all images: there is nothing to explain")
    between = sum(
        (labels == k).sum() * centered[labels == k].mean(dim=0).square().sum()
        for k in labels.unique()
    )
    return float(between / total)
