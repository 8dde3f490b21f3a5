"""The interpreters that have QGIS and owl_geo, the tests in QGIS, and batches for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from chosen import chosen_patches

QGIS_TESTS = Path(__file__).parents[1] / "qgis"
# tests/qgis/newer_qgis.sh names a way to it from another root file system
CORE_PYTHON = os.environ.get("OWL_CORE_PYTHON", sys.executable)

BINARY = ("absent", "present")
MANY = ("other", "mill", "mine", "quarry", "tannery", "brickworks", "landfill")
QUOTES = ('no "thing"', "it's <b>&amp;", "ü 村 %]")
BATCHES = {
    "binary": (BINARY, chosen_patches(9)),
    "many": (MANY, chosen_patches(16)),
    "one": (BINARY, chosen_patches(1)),
    "degrees": (BINARY, chosen_patches(5, crs="EPSG:4326", corner=(9.5, 47.2), edge=0.004)),
    "quotes": (QUOTES, chosen_patches(8)),
}


@pytest.fixture(scope="module")
def qgis_python() -> str:
    """The interpreter that has QGIS."""
    python = os.environ.get("OWL_QGIS_PYTHON", "/usr/bin/python3")
    try:
        done = subprocess.run([python, "-c", "import qgis.core, pytest"], capture_output=True)
        missing = done.returncode != 0
    except OSError:
        missing = True
    if missing:
        message = f"{python} has no QGIS with pytest; OWL_QGIS_PYTHON may name one that has"
        if os.environ.get("OWL_REQUIRE_QGIS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return python
