"""How many threads torch computes with: a number that results depend on in their last digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let threads that begin within compute alone; what holds for the caller comes back.

    Torch hands its number of threads on to every thread that begins. So it is set here, by whoever
    hands out the work, and not by those who do it: they would set it for what is trained next, too.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
