"""A network with all that changes while it learns."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
)

from cbam_course.config import TrainConfig

from .device import memory_format
from .process_group import group_size, shared


@dataclass
class Learner:
    """A network, its optimizer, the schedule of its learning rate and the scale of its loss.

    ``network`` is what to call in training: ``model`` itself, or what shares its gradients with
    other processes, or the compiled one. It has the same weights.
    """

    model: nn.Module
    network: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    scaler: torch.amp.GradScaler
    device: torch.device
    precision: torch.dtype

    @classmethod
    def prepare(
        cls,
        model: nn.Module,
        config: TrainConfig,
        steps_per_epoch: int,
        device: torch.device,
        precision: torch.dtype,
    ) -> "Learner":
        """Put ``model`` on the device and make what it takes to train it as ``config`` says."""
        model.to(device, memory_format=memory_format(device, model))
        model, network = shared(model, device)
        options = {
            "lr": config.learning_rate,
            "weight_decay": config.weight_decay,
            "fused": device.type in ("cpu", "cuda"),
        }
        learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if config.optimizer == "sgd":
            optimizer = SGD(learned, momentum=0.9, nesterov=True, **options)
        else:
            optimizer = Adam(learned, **options)
        steps = config.epochs * steps_per_epoch
        match config.schedule:  # all but "plateau" never look at a loss
            case "onecycle":
                scheduler = OneCycleLR(
                    optimizer, config.learning_rate, total_steps=steps, cycle_momentum=False
                )
            case "cosine":
                scheduler = CosineAnnealingLR(optimizer, T_max=steps)
            case "plateau":
                scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=5)
            case "constant":
                scheduler = ConstantLR(optimizer, factor=1.0)
        # Small float16 gradients would vanish, so the loss is scaled up before the backward pass.
        # The usual first scale of 65536 overflows and skips the first steps; this one does not.
        scaler = torch.amp.GradScaler(
            device.type, init_scale=1024.0, enabled=precision == torch.float16
        )
        if config.compile:
            # In a small network a GPU waits for Python, step after step; CUDA graphs do without
            # Python. The last batch of an epoch has another size and is compiled for itself.
            graphs = device.type == "cuda" and group_size() == 1
            mode = "reduce-overhead" if graphs else "default"
            network = torch.compile(network, dynamic=False, mode=mode)
        return cls(model, network, optimizer, scheduler, scaler, device, precision)

    def after_step(self) -> float:
        """Move the learning rate on; returns the one that the step had."""
        used = self.optimizer.param_groups[0]["lr"]
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()
        return used

    def after_epoch(self, loss: float) -> None:
        """Let a schedule that looks at a loss look at this one."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
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
