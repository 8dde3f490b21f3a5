"""Timing several ways of doing one thing in turn, so that drift affects all of them alike."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping

# The environment for processes that are timed from their start. An installed package keeps its
# bytecode; where Python is told to keep none, each process would compile all that it imports.
AS_INSTALLED = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}


def interleaved(ways: Mapping[str, Callable[[], int]], repeats: int = 5) -> dict[str, float]:
    """Return items per second for each way, the median of ``repeats`` after one warm-up.

    Each way does its work once and returns how many items it handled.
    """
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, work in ways.items():
            started = time.perf_counter()
            items = work()
            if turn:
                rates[name].append(items / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in rates.items()}


def table(title: str, rates: Mapping[str, float], ours: str) -> str:
    """Return a table of rates, each with the speed of ``ours`` as a multiple of it."""
    width = max(map(len, rates))
    lines = [title, f"  {'':<{width}}  patches/s  ours is"]
    for name, rate in rates.items():
        ratio = "" if name == ours else f"{rates[ours] / rate:>6.2f} x"
        lines.append(f"  {name:<{width}}  {rate:>9,.0f}  {ratio}".rstrip())
    return "\n".join(lines)
