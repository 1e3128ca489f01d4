"""What the course changes in the site that Jupyter Book makes."""

from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Leave Thebe out: no page runs code, and its settings would be declared twice on each."""
    app.connect("builder-inited", leave_thebe_out, priority=0)
    app.connect("html-page-context", add_touch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def leave_thebe_out(app: Sphinx) -> None:
    """Disconnect the functions of sphinx-thebe, which Jupyter Book always loads."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)


def add_touch(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Load the script of the things to touch on the pages that have one."""
    if 'class="cbam-touch"' in context.get("body", ""):
        # What is added to one page stays on that page. The file is in book/site, since Jupyter
        # Book would load every script in book/_static on every page.
        app.add_js_file("../touch/touch.js", loading_method="defer")
