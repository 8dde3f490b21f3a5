"""Reading one step ahead of the work."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Yield the items of a generator; a thread makes the next one while the caller uses this one.

    The generator runs in that one thread only, closing included. When the iteration ends, is closed
    early or fails, the thread has stopped before control returns.
    """
    end = object()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="owl-geo-read") as thread:
        try:
            coming = thread.submit(next, items, end)
            while (item := coming.result()) is not end:
                coming = thread.submit(next, items, end)
                yield item  # type: ignore[misc]  # mypy does not narrow by identity
        finally:
            thread.submit(items.close).result()
