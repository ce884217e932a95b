"""Run the notebooks top to bottom, each in a new kernel, and save them with what they printed.

What is saved is text, static HTML and pictures. A live widget is left out: without its kernel JupyterLab
shows an error in its place. So are times and versions: a second run changes nothing in the files.

    python scripts/execute_notebooks.py [NOTEBOOK ...]
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(path: Path) -> None:
    """Run one notebook in its own folder and write it back; where a cell raises, nothing is written."""
    nbformat.write(run(path), path)


def run(path: Path, *arguments: str) -> nbformat.NotebookNode:
    """Run one notebook in its own folder, in a kernel that is started with `arguments`; it is not written.

    Raises nbclient's CellExecutionError, with the cell and its error, when a cell raises.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    NotebookClient(notebook, timeout=120, kernel_name="python3", store_widget_state=False,
                   record_timing=False, resources={"metadata": {"path": path.parent}},
                   extra_arguments=list(arguments)).execute()
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = saved(cell.outputs)
    return notebook


def saved(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """The outputs without live widgets, and text that came in pieces, as chance had it, in one."""
    kept: list[nbformat.NotebookNode] = []
    for output in outputs:
        output.get("data", {}).pop(WIDGET_VIEW, None)
        if kept and output.output_type == "stream" and output.name == kept[-1].get("name"):
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def main() -> None:
    """Run the notebooks that are named, or all."""
    for path in map(Path, sys.argv[1:] or sorted((ROOT / "notebooks").glob("*.ipynb"))):
        execute(path.resolve())
        print(path)


if __name__ == "__main__":
    main()
