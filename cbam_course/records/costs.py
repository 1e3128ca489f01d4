"""What the networks of an experiment cost, beside what they are worth."""

import json
from functools import cache, partial

import pandas as pd

from cbam_course.config import OF_THE_NETWORK, TrainConfig

from .experiment import Experiment
from .tables import find


def costs(*experiments: str | Experiment) -> pd.DataFrame:
    """Parameters and multiply-accumulates of the variants of experiments, by the papers' rule.

    They are counted from the configurations (see :func:`cbam_course.cost.count`), so they need no
    records, and join those of :func:`cbam_course.records.summary` by their index.

    Args:
        experiments: as for :func:`cbam_course.records.table`.

    Returns:
        One row per variant with the columns ``parameters`` and ``macs``, the multiply-accumulates
        of one image. The index is the variant, or, for several experiments, the experiment and the
        variant.

    Raises:
        ValueError: for an unknown experiment.
    """
    rows = [
        (experiment.name, variant.name, *_of_network(variant.config))
        for experiment in map(find, experiments)
        for variant in experiment.variants
    ]
    table = pd.DataFrame(rows, columns=["experiment", "variant", "parameters", "macs"])
    table = table.set_index(["experiment", "variant"])
    return table if len(experiments) > 1 else table.droplevel("experiment")


def _of_network(config: TrainConfig) -> tuple[int, int]:
    # Whatever else a configuration says, its network costs the same.
    decisive = (*OF_THE_NETWORK, "model", "dataset", "image_size")
    network = {name: value for name, value in config.to_dict().items() if name in decisive}
    return _count(json.dumps(network, sort_keys=True))


@cache
def _count(network: str) -> tuple[int, int]:
    from cbam_course.cost import count
    from cbam_course.training.networks import build_model

    config = TrainConfig(**json.loads(network))
    channels = 6 if config.dataset == "cifar10-noise" else 3
    size = config.image_size or 32
    found = count(partial(build_model, config, 10, channels), (channels, size, size))
    return found.parameters, found.macs
