"""What the chapter reads off a network, as numbers that can be kept when the images cannot."""

from typing import Any

import torch
from torch import Tensor, nn

from cbam_course.data import ImageSet

from .causal_tests import interventions
from .maps import predict, read_maps


def image_tensors(images: ImageSet, count: int | None = None) -> tuple[Tensor, Tensor]:
    """The first test images of a set as a network wants them, and their labels.

    Args:
        images: the set, as :func:`~cbam_course.data.shapes` returns it.
        count: how many; ``None`` for all.

    Returns:
        Normalized floats ``[N, C, H, W]`` and labels ``[N]``.
    """
    mean, std = torch.tensor(images.mean), torch.tensor(images.std)
    x = torch.from_numpy(images.x_test[:count]) * (1 / (255 * std)) - mean / std
    return x.permute(0, 3, 1, 2).contiguous(), torch.from_numpy(images.y_test[:count]).long()


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
        ValueError: if the weights are the same for all images.
    """
    weights = weights.flatten(1).double()
    centered = weights - weights.mean(dim=0)
    total = centered.square().sum()
    if total == 0:
        raise ValueError("the weights are the same for all images: there is nothing to explain")
    between = sum(
        (labels == k).sum() * centered[labels == k].mean(dim=0).square().sum()
        for k in labels.unique()
    )
    return float(between / total)


def measure(model: nn.Module, x: Tensor, labels: Tensor) -> dict[str, Any]:
    """Measure a network with CBAM: its channel weights by class, and what interventions change.

    Args:
        model: the network.
        x: images, ``[N, C, H, W]``, normalized.
        labels: their classes, ``[N]``; equally many of each.

    Returns:
        ``images`` (N), ``accuracy``; ``weights``, from each gate of channels to its mean weights
        for each class; ``share``, from each such gate to :func:`share_between_classes`;
        ``spatial``, from each gate of positions to the standard deviation of its maps over
        positions and over images (under the keys ``over positions`` and ``over images``);
        ``changes``, from each of the :func:`~cbam_course.seeing.interventions` to the numbers of
        images that are ``gained`` (classified rightly only with the changed maps) and ``lost``.

    Raises:
        ValueError: as :func:`~cbam_course.seeing.interventions`.
    """
    maps = read_maps(model, x)
    right = predict(model, x).argmax(dim=1) == labels
    channel = {n: m.flatten(1) for n, m in maps.items() if m.shape[1] > 1}
    spatial = {n: m for n, m in maps.items() if m.shape[1] == 1}
    classes = range(int(labels.max()) + 1)
    changes = {}
    for name, changed in interventions(maps, labels).items():
        now = predict(model, x, changed).argmax(dim=1) == labels
        changes[name] = {"gained": int((now & ~right).sum()), "lost": int((right & ~now).sum())}
    return {
        "images": len(x),
        "accuracy": round(float(right.double().mean()), 4),
        "weights": {
            n: [[round(v, 3) for v in m[labels == k].mean(dim=0).tolist()] for k in classes]
            for n, m in channel.items()
        },
        "share": {n: round(share_between_classes(m, labels), 4) for n, m in channel.items()},
        "spatial": {
            n: {
                "over positions": round(float(m.std(dim=(2, 3)).mean()), 4),
                "over images": round(float(m.std(dim=0).mean()), 4),
            }
            for n, m in spatial.items()
        },
        "changes": changes,
    }
