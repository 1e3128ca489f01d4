"""A figure of the course is shown once, and a diagram leaves pyplot able to show the next one."""

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

FIRST = "from cbam_course import diagrams\ndiagrams.spatial_attention()"
SECOND = "import matplotlib.pyplot as plt\nplt.plot([0, 1]);"


def test_figures_after_a_first_diagram_are_shown():
    notebook = new_notebook(cells=[new_code_cell(FIRST), new_code_cell(SECOND)])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    shown = [[o.output_type for o in cell.outputs] for cell in notebook.cells]
    assert shown == [["execute_result"], ["display_data"]]
