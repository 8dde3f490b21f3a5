"""The pool's work, divided into pieces that are the same whoever does them, with results in order.

Results must not depend on who did the work: pieces follow the pool and never the number of workers,
and linear algebra within a piece runs on one thread.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np

from owl_geo.types import IntArray
from owl_geo.work.one_thread import one_thread

T = TypeVar("T")
R = TypeVar("R")

_MOST_THREADS = 8  # each holds pixels of its own
# Patches per piece: fewer do not justify reading a file's blocks, or handing out a piece at all.
_LARGE, _SMALL = 2048, 64
_ENOUGH = 16  # pieces to hand out, if the pool is large enough


class Workers(Protocol):
    """Whoever does a piece of work: threads of this process, or a cluster."""

    def map(
        self,
        function: Callable[[T], R],
        items: Iterable[Any],
        *,
        fetch: Callable[[Any], T] | None = None,
    ) -> Iterator[R]:
        """Yield ``function(item)`` for each item, in the order of the items.

        The function is sent to every worker once and may be large; items are many and small. An
        error in one of them is raised here, and work that has not started is abandoned. With
        ``fetch``, the function gets ``fetch(item)``, which is called in this process.
        """


class Threads:
    """Threads of this process: ``n``, or one per available processor, up to eight."""

    def __init__(self, n: int | None = None) -> None:
        self._n = n or min(processors(), _MOST_THREADS)

    def map(
        self,
        function: Callable[[T], R],
        items: Iterable[Any],
        *,
        fetch: Callable[[Any], T] | None = None,
    ) -> Iterator[R]:
        """Yield results in order; at most one more item than there are threads is in progress."""
        running: deque[Future[R]] = deque()

        def work(item: Any) -> R:
            return function(item if fetch is None else fetch(item))

        with one_thread(), ThreadPoolExecutor(self._n, "owl-geo-work") as pool:
            try:
                for item in items:
                    running.append(pool.submit(work, item))
                    if len(running) > self._n + 1:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def pieces(positions: IntArray, chunk_starts: IntArray) -> list[IntArray]:
    """Cut ascending positions of an index where reading moves on to other blocks.

    Neighbouring chunks are joined until a piece has at least 2,048 patches. A pool that would give
    only a few such pieces is cut evenly instead: reading it is the smaller part of the work.
    """
    n = len(positions)
    if n < _ENOUGH * _LARGE:
        size = max(n // _ENOUGH, _SMALL)
        return [positions[start : start + size] for start in range(0, n, size)]
    cuts = np.searchsorted(positions, chunk_starts[1:])
    kept, last = [], 0
    for cut in cuts.tolist():
        if cut - last >= _LARGE:
            kept.append(cut)
            last = cut
    return [piece for piece in np.split(positions, kept) if len(piece)]


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS or Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
