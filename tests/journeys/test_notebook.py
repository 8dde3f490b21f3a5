"""The notebook of the documentation runs, and ends with what its text promises."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    specification = importlib.util.spec_from_file_location("runner", DOCS / "run_notebook.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_cell_runs_and_the_search_beats_chance(runner: ModuleType, tmp_path: Path) -> None:
    notebook = runner.executed(DOCS / "example.ipynb", tmp_path)  # raises where a cell fails
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    told = "".join(output.get("text", "") for output in outputs)
    found, by_chance = map(int, re.findall(r"^found (\d+), by chance (\d+)$", told, re.M)[0])
    assert found > 2 * by_chance
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert "/tmp" not in told


def test_a_cell_that_fails_is_noticed(runner: ModuleType, tmp_path: Path) -> None:
    import nbformat
    from nbclient.exceptions import CellExecutionError

    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("owl_geo.none")])
    nbformat.write(broken, tmp_path / "broken.ipynb")
    with pytest.raises(CellExecutionError):
        runner.executed(tmp_path / "broken.ipynb", tmp_path)


def test_what_is_stored_was_executed(runner: ModuleType) -> None:
    import nbformat

    notebook = nbformat.read(runner.NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
