"""An engine that is killed at random while a search goes on: the search is the same as without.

``OWL_KILLS=50 pytest -s tests/engine/test_engine_kills.py`` kills it fifty times.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from killed_engines import compare

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and kills processes")

KILLS = int(os.environ.get("OWL_KILLS", "2"))


def test_killed_at_random_it_does_the_same_search(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        print(fresh.submit(compare, tmp_path, KILLS).result())
