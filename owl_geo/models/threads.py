"""The number of threads that torch computes with, which affects the last digits of results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let each thread started in this context compute alone; restores the setting at the end.

    A new thread inherits torch's number of threads. So the number is set here, by whoever hands out
    the work, and not by the workers, which would also set it for whatever is trained next.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
