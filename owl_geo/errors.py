"""The one error tree: everything a user can mend ends as an OwlError with one line to read.

OwlError
 ├── ConfigError    owl.toml, or an option that becomes part of it
 ├── SourceError    scenes, bands, masks, the area of interest
 ├── LayerError     layers that concepts, an oracle or an area of interest are made from
 ├── BatchError     a batch GeoPackage that cannot be taken in
 ├── ClusterError   a cluster that does not answer or loses its workers
 └── RunError       the run folder and where the run stands
      └── BusyError      another process is at work there

The message says what is wrong and where, the remedy what to do, both without a final full stop. The
command line prints them as ``error: message; remedy`` and exits with 1; everything else is a defect
and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class OwlError(Exception):
    """Base of every error that a user can mend.

    Args:
        message: what is wrong, and where.
        remedy: what to do about it; empty if the message already says so, or nobody can know.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class ConfigError(OwlError):
    """A setting is missing, unknown, or has a value that cannot work.

    Args:
        message: what is wrong, and where.
        remedy: what to do about it.
        settings: the settings that it is about, as owl.toml has them: ``source.patch_size``.
        fault: what is wrong with them, which calls each by the last part of its name.
    """

    def __init__(
        self, message: str, *, remedy: str = "", settings: Sequence[str] = (), fault: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.settings = tuple(settings)
        self.fault = fault


class SourceError(OwlError):
    """A scene cannot be opened, read, or cut into patches."""


class LayerError(OwlError):
    """A vector or raster layer cannot be read or lies elsewhere on Earth."""


class BatchError(OwlError):
    """A batch GeoPackage does not fit the run, or holds what is no answer."""


class ClusterError(OwlError):
    """A cluster cannot be reached, or loses its workers again and again."""


class RunError(OwlError):
    """The run folder is missing, foreign, damaged, or not ready for the request."""


class BusyError(RunError):
    """Another process is at work in the folder; the same will do once it is done."""


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like a wrong one; None where none is like it."""
    near = difflib.get_close_matches(wrong, list(dict.fromkeys(map(str, known))), n=1)
    return near[0] if near else None


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"`` for the nearest known word, else the list of known words."""
    known = list(dict.fromkeys(str(word) for word in known))
    near = nearest(wrong, known)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"known: {', '.join(known)}" if known else ""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return a ``suggestion`` as the end of a message: ``"; did you mean 'x'?"``, or nothing."""
    remedy = suggestion(wrong, known)
    return f"; {remedy}" if remedy else ""


_SHOWN = 80  # characters of a value in a message


def brief(value: object) -> str:
    """Return a value for a message, quoted, its beginning at least."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def where_instead(path: str | Path) -> str:
    """Return where to look for a file that does not exist: a like name beside it, or the folder."""
    path = Path(path)
    folder = path.absolute().parent
    if not folder.is_dir():
        return "its folder does not exist either; check the path"
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        names = []
    near = nearest(path.name, names)
    if near is not None:
        return f"did you mean {near!r}?"
    return "check the name, and the folder you are in"
