"""Work that is done before it is asked for, or after all was answered, while people label."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from owl_geo.work.progress import Progress, Reporter

log = logging.getLogger("owl_geo")

_TICK = 0.05  # seconds between two looks at the work that is waited for


class _Stopped(BaseException):
    """The work is no longer wanted; raised in its thread, where it reports its progress."""


class Ahead:
    """One piece of work in a thread of its own, which can be stopped, or waited for.

    It may be followed by a piece that can be done at any other time, and gives way to whoever waits
    for the first. An error in it is left to whoever needs the result: they will meet it, and can
    report it.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._unwanted = threading.Event()
        self._gives_way = threading.Event()  # the first piece is done
        self._latest: tuple[str, int, int] | None = None

    @property
    def is_working(self) -> bool:
        """Whether there is work that has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, work: Callable[[], None], then: Callable[[], None] | None = None) -> None:
        """Begin the work, which must report its progress to ``report``, after any other's end.

        ``then`` is the piece that gives way; it must report its progress too.
        """
        self.stop()
        self._unwanted.clear()
        self._gives_way.clear()
        self._latest = None
        self._thread = threading.Thread(
            target=self._do, args=(work, then), name="owl-geo-ahead", daemon=True
        )
        self._thread.start()

    def report(self, what: str) -> Progress:
        """Report the progress of a part of the work; a ``Reporter``."""
        self._go_on()

        def update(done: int, total: int) -> None:
            self._latest = (what, done, total)
            self._go_on()

        return update

    def wait(self, report: Reporter) -> None:
        """Wait for the work, whose progress goes to ``report``, until that raises an error.

        It gets the same progress again where there is no other, so that waiting can be given up
        while the work tells of none. A piece that gives way is stopped.
        """
        tell: dict[str, Progress | None] = {}
        while self._thread is not None and self.is_working:
            if self._gives_way.is_set():
                break
            self._thread.join(_TICK)
            what, done, total = self._latest or ("Preparing", 0, 1)
            if what not in tell:
                tell[what] = report(what)
            progress = tell[what]
            if progress is not None:
                progress(done, total)
        self.stop()

    def stop(self) -> None:
        """Stop the work, and wait until it has stopped: at most for the piece in hand."""
        self._unwanted.set()
        if self._thread is not None:
            self._thread.join()
        self._thread = None

    def _go_on(self) -> None:
        if self._unwanted.is_set():
            raise _Stopped

    def _do(self, work: Callable[[], None], then: Callable[[], None] | None) -> None:
        with suppress(_Stopped):
            try:
                work()
                self._gives_way.set()
                if then is not None:
                    then()
            except Exception as error:  # noqa: BLE001 - whoever needs the result will meet the error too
                log.debug("not prepared: %s", error)
