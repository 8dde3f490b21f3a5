"""Searches side by side, in processes that end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

import torch

from owl_geo.models.threads import one_thread_each

T = TypeVar("T")


def in_processes(do: Callable[[T], None], jobs: Sequence[T], processes: int) -> Iterator[None]:
    """Do every job, in as many processes as are given, and yield after each.

    Each computes with one thread. With one process, or one job, it is this one. What a job raises
    cancels those that have not begun; an interrupt ends those at work too.
    """
    if processes <= 1 or len(jobs) <= 1:
        with one_thread_each():
            for job in jobs:
                do(job)
                yield
        return
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_begin, initargs=(os.getpid(),)
    ) as executor:
        with _without_interrupts():
            waiting = [executor.submit(do, job) for job in jobs]
        try:
            for done in as_completed(waiting):
                done.result()
                yield
        except BaseException as error:
            executor.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):  # an interrupt does not wait for whole searches
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()
            raise


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let the processes that are started here never be interrupted: who started them ends them.

    A terminal interrupts all of them, and each would print a traceback. An interrupt that comes
    meanwhile is not lost.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(parent: int) -> None:
    """Use one thread, since there is a process per processor, and exit with the parent."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: int) -> None:
    """Exit when the parent is gone: a killed parent cannot stop the processes that it started."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
