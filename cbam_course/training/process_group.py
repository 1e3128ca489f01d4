"""Training in several processes at once, as ``torchrun`` starts them: DistributedDataParallel.

Each process has the whole network and all images, and takes its share of every batch. After the
backward pass the gradients are averaged, so that all processes make the same step.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn


def group_size() -> int:
    """The number of processes that train together; 1 without ``torchrun``."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def group_rank() -> int:
    """The number of this process among them, from 0. The first one alone writes and speaks."""
    return int(os.environ["RANK"]) if group_size() > 1 else 0


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the processes that ``torchrun`` has started, if it has, for the time of the block.

    Args:
        device: where to train, as in :class:`~cbam_course.training.TrainConfig`. With ``"cuda"``,
            or ``"auto"`` where there are GPUs, each process gets a GPU of its own.

    Raises:
        RuntimeError: if there are not enough GPUs.
    """
    if group_size() == 1:
        yield
        return
    options = {}
    if device.startswith("cuda") or device == "auto" and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # "cuda" is this one from now on
        options["device_id"] = torch.device("cuda", torch.cuda.current_device())
    distributed.init_process_group("nccl" if options else "gloo", **options)
    yield
    # Not after an error: the others may not know of it, and to leave would be to wait for them.
    distributed.destroy_process_group()


def shared(model: nn.Module, device: torch.device) -> tuple[nn.Module, nn.Module]:
    """A network on its device, and what to call in training so that gradients are averaged.

    On NVIDIA GPUs BatchNorm then takes its statistics over the whole batch. Elsewhere each process
    normalizes its share by the statistics of the share, and the running statistics are those of
    the first process.
    """
    if group_size() == 1:
        return model, model
    if device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model).to(device)
    return model, nn.parallel.DistributedDataParallel(model)


def share_buffers(model: nn.Module) -> None:
    """Give all processes the buffers of the first: BatchNorm's running statistics."""
    if group_size() > 1:
        for buffer in model.buffers():
            distributed.broadcast(buffer, 0)


def total(values: Tensor) -> Tensor:
    """The sums over the processes, value by value."""
    if group_size() > 1:
        distributed.all_reduce(values)
    return values


def check_batches(images: int, batch_size: int) -> None:
    """Raise a ``ValueError`` unless each process gets an image of every batch."""
    smallest = min(batch_size, images % batch_size or batch_size)
    if smallest < group_size():
        raise ValueError(
            f"{images} images in batches of {batch_size} leave {smallest} for the last step, too "
            f"few for {group_size()} processes; choose another batch size"
        )
