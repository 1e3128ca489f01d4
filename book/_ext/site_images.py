"""Images as a page needs them: small files, with their size, loaded when they come into view."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms.images import BaseImageConverter

# Bytes: below this nothing is to be saved.
SMALL = 20_000
IMAGE = re.compile(r'<img (?=[^>]*src="[^"]*_images/([^"]+\.(?:png|webp|jpe?g))")')


def setup(app: Sphinx) -> dict[str, bool]:
    """Convert images, and write their sizes into the pages."""
    app.add_post_transform(AsWebP)
    app.connect("html-page-context", add_sizes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_webp(source: Path, target: Path) -> None:
    """Write a PNG as WebP: a drawing without loss, a photograph in high quality.

    Which of the two an image is, the sizes tell: the smaller file is kept.
    """
    exact = target.with_suffix(".exact.webp")
    with Image.open(source) as image:
        opaque = image.convert("RGB")
    opaque.save(exact, lossless=True, quality=60, method=2)
    opaque.save(target, quality=88, method=4)
    if exact.stat().st_size <= target.stat().st_size:
        exact.replace(target)
    else:
        exact.unlink()


class AsWebP(BaseImageConverter):
    """Show a PNG of some size as WebP, which is kept for the next build."""

    default_priority = 150

    def match(self, node: nodes.image) -> bool:
        """Whether the image is a PNG that is worth it."""
        path = Path(self.app.srcdir, node["uri"])
        is_here = path.suffix == ".png" and path.is_file()
        return self.app.builder.name == "html" and is_here and path.stat().st_size > SMALL

    def handle(self, node: nodes.image) -> None:
        """Put the WebP in the image's place."""
        source = Path(self.app.srcdir, node["uri"])
        target = Path(self.imagedir, f"{source.stem}.webp")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.stat().st_mtime < source.stat().st_mtime:
            write_webp(source, target)
        node["uri"] = node["candidates"]["*"] = str(target)
        self.env.original_image_uri[str(target)] = str(source)
        self.env.images.add_file(self.env.docname, str(target))


def add_sizes(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Say how large an image is before it is there, so that text below it keeps its position."""
    sources = {name: source for source, name in app.builder.images.items()}

    def with_size(found: re.Match) -> str:
        with Image.open(Path(app.srcdir, sources[found[1]])) as image:
            width, height = image.size
        return f'{found[0]}loading="lazy" width="{width}" height="{height}" '

    context["body"] = IMAGE.sub(with_size, context.get("body", ""))
