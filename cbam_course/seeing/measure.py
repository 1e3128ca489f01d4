"""What the chapter reads off a network, as numbers that can be kept when the images cannot."""

import json
from typing import Any

from torch import Tensor, nn

from cbam_course.training import DeviceImages

from .channels import share_between_classes
from .interventions import interventions
from .maps import predict, read_maps
from .shipped import FOLDER


def measure(model: nn.Module, x: Tensor, labels: Tensor) -> dict[str, Any]:
    """Measure a network with CBAM: its channel weights by class, and what interventions change.

    Args:
        model: the network.
        x: images, ``[N, C, H, W]``, normalized.
        labels: their classes, ``[N]``; equally many of each.

    Returns:
        ``images`` (N), ``accuracy``; ``weights``, from each gate of channels to its mean weights
        for each class; ``share``, from each such gate to
        :func:`~cbam_course.seeing.share_between_classes`; ``spatial``, from each gate of places to
        the standard deviation of its maps over places and over images; ``changes``, from each of
        the :func:`~cbam_course.seeing.interventions` to the numbers of images that are
        ``gained`` (classified rightly only with the changed maps) and ``lost``.

    Raises:
        ValueError: as :func:`~cbam_course.seeing.interventions`.
    """
    maps = read_maps(model, x)
    right = predict(model, x).argmax(dim=1) == labels
    channel = {n: m.flatten(1) for n, m in maps.items() if m.shape[1] > 1}
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
                "over places": round(float(m.std(dim=(2, 3)).mean()), 4),
                "over images": round(float(m.std(dim=0).mean()), 4),
            }
            for n, m in maps.items()
            if m.shape[1] == 1
        },
        "changes": changes,
    }


def shipped_measurements(name: str = "cifar10") -> dict[int, dict[str, Any]]:
    """What :func:`measure` gave for shipped networks on test images that cannot be shipped.

    Args:
        name: ``"cifar10"``.

    Returns:
        From seed to measurements.

    Raises:
        ValueError: if there are none of that name.
    """
    path = FOLDER / "measured" / f"{name}.json"
    if not path.exists():
        raise ValueError(f"there are no measurements of {name!r}")
    content = json.loads(path.read_text(encoding="utf-8"))
    return {int(seed): values for seed, values in content.items()}


def image_tensors(images: Any, count: int | None = None) -> tuple[Tensor, Tensor]:
    """The first test images of a set as a network wants them, and their labels.

    Args:
        images: the set, as :func:`~cbam_course.data.shapes` returns it.
        count: how many; ``None`` for all.

    Returns:
        Normalized floats ``[N, C, H, W]`` and labels ``[N]``.
    """
    tested = slice(None if count is None else count)
    store = DeviceImages(images.x_test[tested], images.y_test[tested], images.mean, images.std)
    return next(store.batches(len(store)))
