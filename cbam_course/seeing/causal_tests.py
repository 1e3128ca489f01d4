"""The maps of a network, changed in the ways that ask what they are good for."""

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
        ValueError: if the classes have not equally many images.
    """
    counts = labels.bincount()
    if len(counts.unique()) != 1:
        raise ValueError(f"every class must have equally many images, got {counts.tolist()}")
    members = labels.argsort(stable=True).view(len(counts), -1)  # [K, N / K]
    chosen = torch.empty_like(labels)
    chosen[members] = members.roll(-1, dims=int(same_class))
    return chosen


def interventions(
    maps: dict[str, Tensor], labels: Tensor, *, seed: int = 0
) -> dict[str, dict[str, Tensor]]:
    """Other maps for :func:`~cbam_course.seeing.predict`, a dozen questions to a network with CBAM.

    Set to 1
        What is the product with the map good for, be it for all images the same?
    Averaged over the images
        What is it good for that every image has a map of its own?
    Swapped with another image, of the same or of the next class
        Does the map carry what is special to the image, or to its class?
    A quarter of the channels dropped, those with the highest weights, the lowest, or any
        Are the weights a measure of importance?

    Args:
        maps: what :func:`~cbam_course.seeing.read_maps` returns.
        labels: the class of each image; equally many of each.
        seed: of the choice of the channels that are dropped at random.

    Returns:
        From the name of each intervention to the maps that it changes.

    Raises:
        ValueError: if :func:`partners` refuses the labels.
    """
    channel = {n: m for n, m in maps.items() if m.shape[1] > 1}
    spatial = {n: m for n, m in maps.items() if m.shape[1] == 1}
    same, other = (partners(labels, same_class=answer) for answer in (True, False))
    generator = torch.Generator().manual_seed(seed)
    chance = {n: torch.rand(m.shape, generator=generator).to(m) for n, m in channel.items()}
    averages = {n: m.mean(dim=0, keepdim=True) for n, m in maps.items()}
    ones = {n: torch.ones_like(m[:1]) for n, m in maps.items()}
    return {
        "both set to 1": ones,
        "channel maps set to 1": {n: ones[n] for n in channel},
        "spatial maps set to 1": {n: ones[n] for n in spatial},
        "both averaged": averages,
        "channel maps averaged": {n: averages[n] for n in channel},
        "spatial maps averaged": {n: averages[n] for n in spatial},
        "channel maps from the same class": {n: m[same] for n, m in channel.items()},
        "channel maps from another class": {n: m[other] for n, m in channel.items()},
        "spatial maps from another image": {n: m[other] for n, m in spatial.items()},
        "highest quarter dropped": {n: _dropped(m, m) for n, m in channel.items()},
        "any quarter dropped": {n: _dropped(m, chance[n]) for n, m in channel.items()},
        "lowest quarter dropped": {n: _dropped(m, -m) for n, m in channel.items()},
    }


def _dropped(maps: Tensor, score: Tensor) -> Tensor:
    """The maps with 0 for the quarter of each image's channels that score highest."""
    count = maps.shape[1] // 4
    return maps.scatter(1, score.topk(count, dim=1).indices, 0.0)
