"""Fixtures that every test may use."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("hypothesis"):  # QGIS's own Python, which runs tests/qgis, has it not
    from hypothesis import settings
    from in_process import owl  # noqa: F401 - a fixture
    from memory_stores import memory_stores  # noqa: F401 - a fixture
    from postgis_server import (  # noqa: F401 - fixtures
        annotators,
        keeper,
        server,
        store_of_all_tests,
        team,
    )
    from qgis_tests import qgis_python  # noqa: F401 - a fixture

    # the same examples on every run, and no deadline: a busy machine is no reason to fail
    settings.register_profile("steady", derandomize=True, deadline=None)
    settings.load_profile("steady")


# Files of few tests that take minutes: begun first, so that no core waits for them in the end.
LONGEST = (
    "plugin/test_qgis_plugin.py",
    "journeys/test_demo.py",
    "journeys/test_readme.py",
    "cli/test_sample.py",
    "models/test_compiled.py",
    "plugin/test_store_qgis.py",
    "plugin/test_qgis_desktop.py",
    "journeys/test_tutorial.py",
    "cli/test_cli.py",
    "journeys/test_first_hour.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; all others keep their order."""
    folder = Path(__file__).parent
    longest = {folder / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: longest.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real imagery and OSM extracts; tests that need it skip without one."""
    folder = os.environ.get("OWL_TEST_DATA")
    if not folder:
        pytest.skip("OWL_TEST_DATA does not name a folder of real data")
    path = Path(folder)
    assert path.is_dir(), f"OWL_TEST_DATA names {folder}, which is no folder"
    return path
