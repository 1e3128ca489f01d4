"""A network with all that changes while it learns."""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, lr_scheduler

from cbam_course.config import TrainConfig

from .device import memory_format
from .process_group import group_size, shared


class Learner:
    """A network, its optimizer, the schedule of its learning rate and the scale of its loss.

    ``network`` is what to call in training: ``model`` itself, or what shares its gradients with
    other processes, or the compiled one. It has the same weights.

    Args:
        model: the network; it is put on the device.
        config: how to train it.
        steps_per_epoch: from which the length of a schedule follows.
        device, precision: where to train, and the type of number to calculate with.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        steps_per_epoch: int,
        device: torch.device,
        precision: torch.dtype,
    ) -> None:
        self.device, self.precision = device, precision
        model.to(device, memory_format=memory_format(device, model))
        self.model, self.network = shared(model, device)
        optimizers = {"adam": Adam, "sgd": partial(SGD, momentum=0.9, nesterov=True)}
        self.optimizer = optimizers[config.optimizer](
            [parameter for parameter in self.model.parameters() if parameter.requires_grad],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=device.type in ("cpu", "cuda"),
        )
        steps = config.epochs * steps_per_epoch
        one_cycle = {"max_lr": config.learning_rate, "total_steps": steps, "cycle_momentum": False}
        schedules = {
            "onecycle": partial(lr_scheduler.OneCycleLR, **one_cycle),
            "cosine": partial(lr_scheduler.CosineAnnealingLR, T_max=steps),
            "plateau": partial(lr_scheduler.ReduceLROnPlateau, factor=0.5, patience=5),
            "constant": partial(lr_scheduler.ConstantLR, factor=1.0),
        }
        self.scheduler = schedules[config.schedule](self.optimizer)
        self.watches_loss = config.schedule == "plateau"
        # Small float16 gradients would vanish, so the loss is scaled up before the backward pass.
        # The usual first scale of 65536 overflows and skips the first steps; this one does not.
        self.scaler = torch.amp.GradScaler(
            device.type, init_scale=1024.0, enabled=precision == torch.float16
        )
        if config.compile:
            # In a small network a GPU waits for Python, step after step; CUDA graphs do without
            # Python. The last batch of an epoch has another size and is compiled for itself.
            graphs = device.type == "cuda" and group_size() == 1
            mode = "reduce-overhead" if graphs else "default"
            self.network = torch.compile(self.network, dynamic=False, mode=mode)

    def after_step(self) -> float:
        """Move the learning rate on; returns the one that the step had."""
        used = self.optimizer.param_groups[0]["lr"]
        if not self.watches_loss:
            self.scheduler.step()
        return used

    def after_epoch(self, loss: float) -> None:
        """Let a schedule that looks at a loss look at this one."""
        if self.watches_loss:
            self.scheduler.step(loss)

    def state_dict(self) -> dict[str, Any]:
        """All that training changes, for a checkpoint."""
        parts = ("model", "optimizer", "scheduler", "scaler")
        return {part: getattr(self, part).state_dict() for part in parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where :meth:`state_dict` was taken."""
        self.model.load_state_dict(state["model"])
        # Whether Adam is fused depends on the device, and the run may come from another one. It
        # has to be known before the loading, which puts the step counts where it wants them.
        fused = self.optimizer.defaults["fused"]
        groups = [{**group, "fused": fused} for group in state["optimizer"]["param_groups"]]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
        self.scheduler.load_state_dict(state["scheduler"])
        if state["scaler"]:  # empty if the run has been without float16 so far
            self.scaler.load_state_dict(state["scaler"])
