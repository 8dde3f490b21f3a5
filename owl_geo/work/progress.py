"""How long-running work reports its progress: what it calls, and who decides what is shown."""

from __future__ import annotations

from collections.abc import Callable

# Called with (done, total) while work is in progress.
Progress = Callable[[int, int], None]

# Given the name of a piece of work, returns the function to call as it progresses.
Reporter = Callable[[str], Progress | None]


def silent(_work: str) -> Progress | None:
    """Report nothing."""
    return None


def part_of(progress: Progress | None, number: int, n_parts: int) -> Progress | None:
    """Report part ``number`` (from 0) of ``n_parts`` equally long parts as part of the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, n_parts * total)


def stretch_of(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Report a stretch of the whole, ``total``, of which ``before`` was done before it."""
    if progress is None:
        return None
    return lambda done, _of_stretch: progress(before + done, total)
