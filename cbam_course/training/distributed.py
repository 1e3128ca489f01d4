"""Training in several processes at once, as ``torchrun`` starts them: DistributedDataParallel.

Each process has the whole network and all images, and takes its share of every batch. After the
backward pass the gradients are averaged, so that all processes make the same step.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

Result = TypeVar("Result")


class FirstProcessFailed(RuntimeError):
    """The first process has met an error, and tells of it itself."""


@dataclass(frozen=True)
class Team:
    """The processes that train one network together, seen from one of them.

    Args:
        rank: number of this process, from 0. The first one alone writes files and shows progress.
        size: how many there are. One process alone is a team too, in which nothing is exchanged.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and speaks for all."""
        return self.rank == 0

    def check_batches(self, images: int, batch_size: int) -> None:
        """Raise a ``ValueError`` unless each process gets an image of every batch."""
        smallest = min(batch_size, images % batch_size or batch_size)
        if smallest < self.size:
            raise ValueError(
                f"{images} images in batches of {batch_size} leave {smallest} for the last step, "
                f"too few for {self.size} processes; choose another batch size"
            )

    def share(self, start: int, batch_size: int) -> slice:
        """Which images of the batch from ``start`` on are for this process."""
        return slice(start + self.rank, start + batch_size, self.size)

    def with_common_statistics(self, model: nn.Module, device: torch.device) -> nn.Module:
        """``model`` with BatchNorm over the whole batch, where PyTorch has that: on NVIDIA GPUs.

        Elsewhere each process normalizes its share by the statistics of the share, and the
        running statistics are those of the first process.
        """
        if self.size == 1 or device.type != "cuda":
            return model
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)

    def wrap(self, model: nn.Module) -> nn.Module:
        """What to call in training: the gradients of its parameters are the team's mean."""
        if self.size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def share_statistics(self, model: nn.Module) -> None:
        """Give all processes the buffers of the first: BatchNorm's running statistics."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    def sum(self, *numbers: float) -> tuple[float, ...]:
        """The sums over the team, number by number."""
        if self.size == 1:
            return numbers
        total = torch.tensor(numbers, dtype=torch.float64, device=_exchange_device())
        distributed.all_reduce(total)
        return tuple(total.tolist())

    def mean(self, values: Tensor) -> Tensor:
        """The means over the team, value by value."""
        if self.size == 1:
            return values
        total = values.clone()
        distributed.all_reduce(total)
        return total / self.size

    def lead(self, action: Callable[[], Result]) -> Result:
        """Let the first process do something, and give all of them its result.

        Raises:
            FirstProcessFailed: in the other processes, if it could not.
        """
        if self.size == 1:
            return action()
        outcome: list[Any] = [None, None]
        if self.leads:
            try:
                outcome[0] = action()
            except Exception as error:  # the others would wait for this process for ever
                outcome[1] = error
        distributed.broadcast_object_list(outcome, 0, device=_exchange_device())
        result, error = outcome
        if error is not None:
            raise error if self.leads else FirstProcessFailed(str(error))
        return result


ALONE = Team()


def team() -> Team:
    """The team that this process is in."""
    if distributed.is_available() and distributed.is_initialized():
        return Team(distributed.get_rank(), distributed.get_world_size())
    return ALONE


@contextmanager
def joined(device: str) -> Iterator[Team]:
    """Join the processes that ``torchrun`` has started, if it has, for the time of the block.

    Args:
        device: where to train, as in :class:`~cbam_course.training.TrainConfig`. With ``"cuda"``,
            or ``"auto"`` where there are GPUs, each process gets a GPU of its own.

    Raises:
        ValueError: if there are not enough GPUs, or ``device`` is one of them.
    """
    processes = group_size()
    if processes == 1:
        yield ALONE
        return
    options = {}
    if device == "auto" and torch.cuda.is_available() or device.startswith("cuda"):
        if device not in ("auto", "cuda"):
            raise ValueError(f"device {device!r} is one GPU for {processes} processes; say 'cuda'")
        here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", processes)), torch.cuda.device_count()
        if here > gpus:
            raise ValueError(
                f"{here} processes need as many GPUs, and there are {gpus}; start fewer processes, "
                "or say --device cpu"
            )
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)  # from now on "cuda" is this one
        options["device_id"] = own
    distributed.init_process_group("nccl" if options else "gloo", **options)
    yield team()
    # Not after an error: the others may not know of it, and to leave would be to wait for them.
    distributed.destroy_process_group()


def group_size() -> int:
    """The number of processes that ``torchrun`` has started, 1 without it."""
    launched = "TORCHELASTIC_RUN_ID" in os.environ
    return int(os.environ["WORLD_SIZE"]) if launched else 1


def group_rank() -> int:
    """The number of this process among them, from 0."""
    return int(os.environ["RANK"]) if group_size() > 1 else 0


def _exchange_device() -> torch.device:
    """Where tensors must be for the processes to exchange them."""
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
