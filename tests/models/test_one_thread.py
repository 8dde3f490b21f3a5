"""Linear algebra on one thread, also of libraries that come later."""

from __future__ import annotations

import os
import subprocess
import sys

COUNTS = """
from threadpoolctl import threadpool_info
from owl_geo.work.one_thread import one_thread

def threads():
    return {one["filepath"]: one["num_threads"] for one in threadpool_info()}

import numpy
with one_thread():
    assert threads() and set(threads().values()) == {1}
import sklearn.tree  # brings OpenMP, and scipy with a BLAS of its own
before = threads()
assert max(before.values()) > 1, before
with one_thread():
    assert set(threads().values()) == {1}
    with one_thread("blas"):
        assert set(threads().values()) == {1}
    assert set(threads().values()) == {1}
assert threads() == before
"""


def test_one_thread_holds_for_what_is_imported_later_and_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTS],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
