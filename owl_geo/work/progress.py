"""How long work tells how far it is: what it calls, and who decides what is shown."""

from __future__ import annotations

from collections.abc import Callable

# Called with (done, total) while long work goes on.
Progress = Callable[[int, int], None]

# Given the name of a piece of work, returns what is called as it goes on.
Reporter = Callable[[str], Progress | None]


def silent(_work: str) -> Progress | None:
    """Report nothing."""
    return None


def part_of(progress: Progress | None, number: int, n_parts: int) -> Progress | None:
    """Report on part ``number``, from 0, of ``n_parts`` that take equally long as on the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, n_parts * total)
