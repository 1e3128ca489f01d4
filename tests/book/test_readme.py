"""What the read-me and the welcome page show holds: images, code, commands, lists of chapters."""

import io
import re

import click
import nbformat
import numpy as np
from PIL import Image

from cbam_course import diagrams
from cbam_course.cli import main
from tests.support.project import ROOT, chapters
from tests.tools import welcome_image

README = (ROOT / "README.md").read_text(encoding="utf-8")


def same_image(path, figure, dpi):
    """The mean difference of a stored image and a figure, in steps of 255."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    stored, now = (Image.open(file).convert("RGB") for file in (path, drawn))
    assert stored.size == now.size
    return np.abs(np.asarray(stored, float) - np.asarray(now, float)).mean()


def test_the_stored_images_are_the_drawings():
    # The stored images have fewer colors, and fonts are drawn a little differently elsewhere.
    static = ROOT / "book" / "_static"
    assert same_image(static / "cbam.png", diagrams.cbam(), dpi=150) < 1.5
    assert same_image(static / "cbam-stacked.png", diagrams.cbam(stacked=True), dpi=150) < 1.5


def test_the_strip_is_what_the_network_computes():
    assert same_image(welcome_image.FILE, welcome_image.strip(), dpi=120) < 1.5
    said, with_gates_open = (
        answer.replace("%", " %").split(" ", 1) for answer in welcome_image.answers()
    )
    page = " ".join((ROOT / "book" / "intro.md").read_text(encoding="utf-8").split())
    assert f'says "{said[0]}" ({said[1]}); with every gate held open it says' in page
    assert f'it says "{with_gates_open[0]}" ({with_gates_open[1]})' in page


def test_the_code_runs_and_gives_the_shapes_beside_it():
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    names = {}
    exec(code, names)
    shapes = dict(re.findall(r"(refined|maps\.\w+)(?: = block\(x\)  #)? (\[[\d, ]+\])", code))
    assert set(shapes) == {"refined", "maps.channel", "maps.spatial"}
    for expression, shape in shapes.items():
        assert str(list(eval(expression, names).shape)) == shape


def test_the_commands_exist():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", README, re.MULTILINE))
    assert {"book", "test"} <= named <= set(targets)


def test_the_subcommands_and_their_options_exist():
    code = "\n".join(re.findall(r"```bash\n(.*?)```", README, re.DOTALL))
    lines = code.replace("\\\n", " ").splitlines()
    called = [
        re.sub(r".*-m cbam_course", "cbam-course", line).partition("#")[0].split()[1:]
        for line in lines
        if line.startswith("cbam-course") or "-m cbam_course" in line
    ]
    assert {"train", "cost", "export", "experiments", "grade", "bench"} <= {c[0] for c in called}
    folders = []
    for name, *arguments in called:
        command = main.commands[name]
        while isinstance(command, click.Group):
            name, *arguments = arguments
            command = command.commands[name]
        # Names and values of all options, but nothing is done.
        command.make_context(name, list(arguments))
        if name == "train" and "--resume" not in arguments:
            folders.append(arguments[arguments.index("--out") + 1])
    # Typed one after the other, no command meets what an earlier one has left.
    assert len(set(folders)) == len(folders) >= 3


def test_all_chapters_are_listed():
    assert re.findall(r"\(notebooks/([^)]+)\)", README) == [path.name for path in chapters()]


def test_the_welcome_page_lists_all_chapters_with_their_minutes():
    page = (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
    listed = re.findall(
        r"^:::\{grid-item-card\} \d+ (.+)\n:link: \.\./notebooks/(\w+)\n"
        r"(?:.*\n)+?(\d+) minutes$",
        page,
        re.MULTILINE,
    )
    said = []
    for path in chapters():
        text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
        title = re.match("# (.+)", text)[1]
        minutes = re.search(r"\*\*In this chapter\*\* \((\d+) minutes to read", text)[1]
        said.append((title, path.stem, minutes))
    assert [row[1:] for row in listed] == [row[1:] for row in said]
    for (short, *_), (title, *_) in zip(listed, said, strict=True):
        assert title.startswith(short)
