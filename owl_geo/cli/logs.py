"""What goes to stderr: log records, progress and the last line, for people or for a scheduler.

Plain, a line is ``warning: ...``, with the time before it under -v. With --log-json every line is
an object: time (ISO 8601, UTC), level, logger, message; progress has work, done and total besides,
and what ends a command its exit_code. Results go to stdout either way.
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

if TYPE_CHECKING:
    from owl_geo.work.progress import Progress

JSON_FLAG = "--log-json"
_LOGGER = "owl_geo"
QUICK = 2.0  # seconds of work of which nothing is said
_TELLING = 8.0  # seconds of work from which its pace is known
_LINE_EVERY = 10.0  # and between two lines, where there is no terminal


def one_line(text: str) -> str:
    """Join what a library may have spread over lines."""
    return " ".join(text.split()).removesuffix(".")


def wants_json(arguments: Sequence[str]) -> bool:
    """Say whether the command line asks for JSON, whatever else is wrong with it."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return JSON_FLAG in before


def show_log(verbosity: int, *, as_json: bool) -> None:
    """Show log records on stderr: warnings, with -v more; other libraries' too with JSON."""
    log = logging.getLogger(_LOGGER)
    handler = _JsonHandler() if as_json else _LineHandler(timed=verbosity > 0)
    log.handlers = [*(h for h in log.handlers if not isinstance(h, _Shown)), handler]
    log.propagate = False
    # zarr leaves tasks behind where a store is damaged, and asyncio would tell of each
    logging.getLogger("asyncio").addHandler(logging.NullHandler())
    log.setLevel(logging.INFO if verbosity > 0 else logging.WARNING)
    if as_json:  # what others say must not stand between the objects as plain text
        root = logging.getLogger()
        root.handlers = [*(h for h in root.handlers if not isinstance(h, _Shown)), handler]
        logging.captureWarnings(True)


def end(message: str, code: int, *, as_json: bool) -> int:
    """Say why a command ends with another code than 0, and return the code."""
    if as_json:
        level = "warning" if code == FINISHED_BUT else "error"
        _emit(level, _LOGGER, message.removeprefix("error: "), exit_code=code)
    else:
        click.echo(message, err=True)
    return code


FINISHED_BUT = 3  # the exit code of what is done but for some scenes


def defect(error: BaseException) -> None:
    """Show the traceback of a defect as an object."""
    text = "".join(traceback.format_exception(error))
    _emit("critical", _LOGGER, one_line(repr(error)), exit_code=1, traceback=text)


def lines(work: str, *, as_json: bool, timed: bool) -> Progress:
    """Return a progress callback that prints a line now and then; as JSON, the last one too."""
    begun = time.monotonic()
    due = [begun + QUICK]
    said: list[int] = []

    def update(done: int, total: int) -> None:
        now = time.monotonic()
        is_last = done >= total > 0
        # work that ends before anything was said of it needs no word
        if not (as_json and is_last) and (now < due[0] or (is_last and not said)):
            return
        said.append(done)
        due[0] = now + _LINE_EVERY
        message = f"{work}: {done} of {total} ({done / max(total, 1):.0%})"
        left = seconds_left(done, total, now - begun)
        if left is not None:
            message += f", about {duration(left)} left"
        if as_json:
            known = {} if left is None else {"seconds_left": round(left, 1)}
            _emit("info", _LOGGER, message, work=work, done=done, total=total, **known)
        else:
            click.echo(f"{_now()} {message}" if timed else message, err=True)

    return update


def seconds_left(done: int, total: int, seconds: float) -> float | None:
    """Return what is left of work that goes on as fast as so far; None where nothing tells.

    What it costs to begin is in the first seconds, so these tell only where much is done in them.
    """
    told = 0 < done < total and (seconds >= _TELLING or done >= total / 4)
    return seconds / done * (total - done) if told else None


def duration(seconds: float) -> str:
    """Return a time for people: ``40 s``, ``5 min``, ``1.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class _Shown(logging.Handler):
    """What this module added to a logger."""


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
