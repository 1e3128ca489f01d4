"""The strip on the welcome page: one image, its weights and map in a trained network, the answers.

`python -m tests.tools.welcome_image` writes it again.
"""

import torch
from matplotlib.figure import Figure

from cbam_course import data, plotting, seeing
from cbam_course.attention import attention_off
from tests.support.project import ROOT

FILE = ROOT / "book" / "_static" / "strip.png"
SCENE = 0
"""A heart among lines and spots, the first of the test images."""


def answers() -> tuple[str, str]:
    """What the network says of the scene, and what with every gate set to 1."""
    run, x = seeing.shipped_run("shapes"), seeing.image_tensors(data.shapes(), 1)[0]
    said = []
    with torch.no_grad():
        said.append(run.model(x).softmax(1)[0])
        with attention_off(run.model):
            said.append(run.model(x).softmax(1)[0])
    names = run.history.data["classes"]
    return tuple(f"{names[scores.argmax()]} {scores.max():.0%}" for scores in said)


@plotting.course_style()
def strip() -> Figure:
    """Draw the image, the first block's channel weights and spatial map, and what is left."""
    run, shapes = seeing.shipped_run("shapes"), data.shapes()
    x = seeing.image_tensors(shapes, 1)[0]
    maps, refined = list(seeing.read_maps(run.model, x).values()), []
    with run.model.stages[0].attention.register_forward_hook(
        lambda block, args, output: refined.append(output[0].mean(0))
    ):
        run.model(x)
    weights = maps[0].flatten().tolist()
    figure, (cells,) = plotting.page(1, 4, 2.15)
    titles = (
        "an image", "its channel weights", "its spatial map", "the features, weighted",
    )  # fmt: skip
    for axes, title in zip(cells, titles, strict=True):
        axes.set_title(title, fontsize=12)
    cells[0].imshow(shapes.x_test[SCENE])
    cells[1].bar(range(len(weights)), weights, color=plotting.OTHER_COLORS[0])
    cells[1].set(ylim=(0, 1), xticks=[], yticks=[0, 1], xlabel="12 channels")
    cells[2].imshow(maps[1][0, 0], cmap=plotting.ATTENTION_COLORMAP)
    cells[3].imshow(refined[0].detach(), cmap=plotting.ATTENTION_COLORMAP)
    for axes in (cells[0], *cells[2:]):
        plotting.without_frame(axes)
    cells[1].set_box_aspect(1)
    return figure


if __name__ == "__main__":
    strip().savefig(FILE, dpi=120)
    print(FILE, *answers())
