"""What a fork reads of a source that its parent has read, in processes of their own.

A fork of the process that runs the tests would inherit locks as other tests' threads held them.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import subprocess
import sys
from typing import Any

_TIMES = 30  # that each reads


def read_at_once(source: Any) -> set[str]:
    """Return digests of all patches, as a process reads them before it forks and then beside it.

    Files that the two shared would have one position, which each moves for the other.
    """
    done = subprocess.run(
        [sys.executable, __file__],
        input=pickle.dumps(source),
        capture_output=True,
        check=True,
        env={**os.environ, "GDAL_CACHEMAX": "0"},  # so that the files are read each time
    )
    return set(done.stdout.decode().split())


def digest(source: Any) -> str:
    """Return a digest of all patches of a source."""
    found = hashlib.sha256()
    for _, patches in source.stream():
        found.update(patches.tobytes())
    return found.hexdigest()


def _often(source: Any) -> str:
    return " ".join(digest(source) for _ in range(_TIMES))


def _put(source: Any, queue: Any) -> None:
    queue.put(_often(source))


def _main() -> None:
    source = pickle.load(sys.stdin.buffer)
    print(digest(source))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_put, args=(source, queue), daemon=True)
    child.start()
    print(_often(source), queue.get(timeout=60))
    child.join()


if __name__ == "__main__":
    _main()
