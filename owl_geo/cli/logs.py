"""What goes to stderr: log records, progress and the last line, for people or for a scheduler.

As text, a line is ``warning: ...``, preceded by the time with -v. With --log-json, every line is an
object with time (ISO 8601, UTC), level, logger and message; progress also has work, done and total,
and the line that ends a command has its exit_code. Results go to stdout in both cases.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from owl_geo.wording import per_cent

if TYPE_CHECKING:
    from owl_geo.work.progress import Progress

JSON_FLAG = "--log-json"
_LOGGER = "owl_geo"
QUICK = 2.0  # seconds of work without a progress line
_STEADY = 8.0  # seconds of work after which its pace is known
_LINE_EVERY = 10.0  # seconds between two lines if there is no terminal


def one_line(text: str) -> str:
    """Join a message that a library may have spread over several lines."""
    return " ".join(text.split()).removesuffix(".")


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether the command line asks for JSON, even if it is invalid otherwise."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return JSON_FLAG in before


def show_log(verbosity: int, *, as_json: bool) -> None:
    """Show log records on stderr: warnings, more with -v; those of other libraries with JSON."""
    log = logging.getLogger(_LOGGER)
    handler = _JsonHandler() if as_json else _LineHandler(timed=verbosity > 0)
    log.handlers = [*(h for h in log.handlers if not isinstance(h, _Shown)), handler]
    log.propagate = False
    # zarr leaves tasks behind if a store is damaged, and asyncio would report each
    logging.getLogger("asyncio").addHandler(logging.NullHandler())
    log.setLevel(logging.INFO if verbosity > 0 else logging.WARNING)
    if as_json:  # no plain text of other libraries may appear between the objects
        root = logging.getLogger()
        root.handlers = [*(h for h in root.handlers if not isinstance(h, _Shown)), handler]
        logging.captureWarnings(True)


def end(message: str, code: int, *, as_json: bool) -> int:
    """Report why a command ends with a code other than 0, and return the code."""
    if as_json:
        level = "warning" if code == FINISHED_BUT else "error"
        _emit(level, _LOGGER, message.removeprefix("error: "), exit_code=code)
    else:
        click.echo(message, err=True)
    return code


FINISHED_BUT = 3  # exit code of a command that finished except for some scenes


def defect(error: BaseException) -> None:
    """Write the traceback of a defect as an object."""
    text = "".join(traceback.format_exception(error))
    _emit("critical", _LOGGER, one_line(repr(error)), exit_code=1, traceback=text)


def lines(work: str, *, as_json: bool, timed: bool) -> Progress:
    """Return a progress callback that prints a line now and then; with JSON, also the last one."""
    begun = time.monotonic()
    due = [begun + QUICK]
    is_shown = False

    def update(done: int, total: int) -> None:
        nonlocal is_shown
        now = time.monotonic()
        is_last = done >= total > 0
        # work that ends before its first line needs none
        if not (as_json and is_last) and (now < due[0] or (is_last and not is_shown)):
            return
        is_shown = True
        due[0] = now + _LINE_EVERY
        message = f"{work}: {done:,} of {total:,} ({per_cent(done / max(total, 1))})"
        left = seconds_left(done, total, now - begun)
        if left is not None:
            message += f", about {duration(left)} left"
        if as_json:
            estimate = {} if left is None else {"seconds_left": round(left, 1)}
            _emit("info", _LOGGER, message, work=work, done=done, total=total, **estimate)
        else:
            click.echo(f"{_now()} {message}" if timed else message, err=True)

    return update


def seconds_left(done: int, total: int, seconds: float) -> float | None:
    """Return the seconds left if work goes on at the same pace; None if the pace is not known yet.

    The first seconds include the cost of starting, so they count only if much is already done.
    """
    is_known = 0 < done < total and (seconds >= _STEADY or done >= total / 4)
    return seconds / done * (total - done) if is_known else None


def duration(seconds: float) -> str:
    """Return a readable duration: ``40 s``, ``5 min``, ``1.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class _Shown(logging.Handler):
    """A handler that this module added to a logger."""


class _LineHandler(_Shown):
    def __init__(self, *, timed: bool) -> None:
        super().__init__()
        self._timed = timed

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.lower()}: {one_line(record.getMessage())}"
        click.echo(f"{_now()} {text}" if self._timed else text, err=True)


class _JsonHandler(_Shown):
    def emit(self, record: logging.LogRecord) -> None:
        _emit(record.levelname.lower(), record.name, one_line(record.getMessage()))


def _now() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _emit(level: str, logger: str, message: str, **further: Any) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    values = {"time": now, "level": level, "logger": logger, "message": message, **further}
    # one write, so that lines of several threads do not mix
    sys.stderr.write(json.dumps(values, ensure_ascii=False) + "\n")
    sys.stderr.flush()
