"""Executes docs/example.ipynb in an empty folder and stores its output and figures."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent / "example.ipynb"


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Return the notebook with fresh outputs; raise CellExecutionError if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    for cell in notebook.cells:
        # warnings name the folder, which is gone by then; a page shows plain text, not HTML
        kept = [output for output in cell.get("outputs", ()) if output.get("name") != "stderr"]
        for output in kept:
            output.get("data", {}).pop("text/html", None)
        if cell.cell_type == "code":
            cell.outputs = kept
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    }
    return notebook


if __name__ == "__main__":
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK
    with tempfile.TemporaryDirectory() as empty:
        nbformat.write(executed(source, Path(empty)), NOTEBOOK)
