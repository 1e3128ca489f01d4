"""The curves of a training run."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cbam_course import plotting

from .history import History


def plot_history(history: History) -> Figure:
    """Three panels: the loss of every step, the losses and the accuracies of every epoch.

    Args:
        history: a run with at least one epoch.

    Returns:
        The figure; training is gray and dashed, testing has the color of the run's attention, and
        the images held out, if there are any, are dotted.

    Raises:
        ValueError: if no epoch has been finished yet.
    """
    if not history.epochs:
        raise ValueError("there is nothing to plot: no epoch has been finished yet")
    color, gray = plotting.COLORS[history.config.attention], "#8A939B"
    if history.config.attention == "none":
        gray = "#AEB6BD"
    epochs = [row["epoch"] for row in history.epochs]
    kinds = [("train", gray, "o", "--"), ("test", color, "s", "-")]
    if "validation" in history.data["sha256"]:
        kinds.insert(1, ("validation", plotting.INK, "^", ":"))

    with plotting.course_style():
        figure, (steps, losses, accuracies) = plt.subplots(1, 3, figsize=(plotting.PAGE_WIDTH, 3.2))
        plotting.shown_as_value(figure)
        loss = np.array(history.iteration_loss)
        # Single steps are noisy: the line is the mean over a twentieth of the run.
        window = max(1, len(loss) // 20)
        mean = np.convolve(loss, np.full(window, 1 / window), mode="valid")
        steps.plot(np.arange(1, len(loss) + 1), loss, color="#C9CFD4", linewidth=0.8)
        steps.plot(np.arange(len(mean)) + (window + 1) / 2, mean, color=plotting.INK)
        steps.set(title="Training loss, each step", xlabel="step")

        for axes, quantity in ((losses, "loss"), (accuracies, "accuracy")):
            for kind, tone, marker, line in kinds:
                values = [row[f"{kind}_{quantity}"] for row in history.epochs]
                # Markers would hide the curves of a long run.
                marker = marker if len(epochs) <= 12 else None
                axes.plot(
                    epochs, values, color=tone, linestyle=line, marker=marker, markersize=5,
                    label=kind,
                )  # fmt: skip
            axes.set(title=f"{quantity.capitalize()}, each epoch", xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
            axes.legend()
        accuracies.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        for axes in (steps, losses):
            axes.set_ylim(bottom=0)
        for axes in (steps, losses, accuracies):
            axes.grid(axis="y")
    return figure
