"""What the course changes in the site that Jupyter Book makes."""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Leave Thebe out: no page runs code, and its settings would be declared twice on each."""
    app.connect("builder-inited", leave_thebe_out, priority=0)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def leave_thebe_out(app: Sphinx) -> None:
    """Disconnect the functions of sphinx-thebe, which Jupyter Book always loads."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)
