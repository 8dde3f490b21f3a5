"""The one tree of errors: everything that a user can fix ends as an OwlError of one line.

OwlError
 ├── ConfigError    owl.toml, or an option that becomes part of it
 ├── SourceError    scenes, bands, masks, the area of interest
 │    └── SceneError     one scene, which the message names
 ├── LayerError     layers that concepts, an oracle or an area of interest are made from
 ├── BatchError     a batch GeoPackage that cannot be ingested
 ├── ClusterError   a cluster that does not answer or loses its workers
 └── RunError       the run folder and the state of the run
      └── BusyError      another process is working there

The message says what is wrong and where, the remedy what to do, both without a final full stop. The
command line prints them as ``error: message; remedy`` and exits with 1; any other exception is a
defect and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from os import PathLike
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """What is wrong with something that an error has yet to name.

    Args:
        what: the end of a message that begins with its name.
        remedy: what to do about it; empty if that is obvious or unknown.
    """

    what: str
    remedy: str = ""


class OwlError(Exception):
    """Base of every error that a user can fix.

    Args:
        message: what is wrong, and where.
        remedy: what to do about it, as an instruction; empty if that is obvious or unknown.
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
        settings: the settings concerned, as in owl.toml: ``source.patch_size``.
        fault: what is wrong with them, using only the last part of each name.
    """

    def __init__(
        self, message: str, *, remedy: str = "", settings: Sequence[str] = (), fault: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.settings = tuple(settings)
        self.fault = fault


class SourceError(OwlError):
    """A scene cannot be opened, read, or cut into patches."""


class SceneError(SourceError):
    """A scene cannot be used, and the message names it; others may name its file alone."""


class LayerError(OwlError):
    """A vector or raster layer cannot be read or lies elsewhere on Earth."""


class BatchError(OwlError):
    """A batch GeoPackage does not fit the run, or holds something that is not an answer."""


class ClusterError(OwlError):
    """A cluster cannot be reached, or loses its workers again and again."""


class RunError(OwlError):
    """The run folder is missing, foreign, damaged, or not ready for the request."""


class BusyError(RunError):
    """Another process is working in the folder; the same command will succeed once it is done."""


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most similar to a wrong one; None if none is similar."""
    near = difflib.get_close_matches(wrong, list(dict.fromkeys(map(str, known))), n=1)
    return near[0] if near else None


_LISTED = 20  # known words in a message, which is one line


def check_list(name: str, value: object) -> None:
    """Raise ConfigError for one text where a list is wanted, whose letters are one, or no list."""
    if isinstance(value, str | PathLike):
        text = str(value)
        raise ConfigError(f"{name} is {text!r}, but it must be a list", remedy=f"write [{text!r}]")
    if not isinstance(value, Iterable):
        raise ConfigError(f"{name} is {brief(value)}, but it must be a list")


def check_texts(name: str, value: object) -> None:
    """Raise ConfigError for what is no list of texts or paths."""
    check_list(name, value)
    for one in value if isinstance(value, list | tuple) else ():
        if not isinstance(one, str | PathLike):
            raise ConfigError(f"{name} has {brief(one)} in it, but it must be a list of texts")


def check_number(name: str, value: object, *, whole: bool = False) -> None:
    """Raise ConfigError for what is no number, or no whole one; NumPy's are numbers too."""
    if not isinstance(value, Integral if whole else Real):
        kind = "a whole number" if whole else "a number"
        raise ConfigError(f"{name} is {brief(value)}, but it must be {kind}")


def check_text(name: str, value: object) -> None:
    """Raise ConfigError for what is no text."""
    if not isinstance(value, str):
        raise ConfigError(f"{name} is {brief(value)}, but it must be a text")


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"`` for the most similar known word, else the known words."""
    known = list(dict.fromkeys(str(word) for word in known))
    near = nearest(wrong, known)
    if near is not None:
        return f"did you mean {near!r}?"
    shown = known if len(known) <= _LISTED + 1 else known[:_LISTED]  # "1 more" is no shorter
    more = f" and {len(known) - len(shown):,} more" if len(shown) < len(known) else ""
    return f"known: {', '.join(shown)}{more}" if known else ""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return a ``suggestion`` as the end of a message: ``"; did you mean 'x'?"``, or ``""``."""
    remedy = suggestion(wrong, known)
    return f"; {remedy}" if remedy else ""


def known_labels(label: str, allowed: Collection[str]) -> str:
    """Return what a run's labels are, after the most similar one if there is one."""
    near = suggestion(label, allowed)
    return f"{near} known: {', '.join(allowed)}" if near.endswith("?") else near


def not_a_label(label: str, allowed: Collection[str], more: str = "") -> str:
    """Say that a label is none of a run's; ``more`` says of how many other answers that is so."""
    known = known_labels(label, allowed)
    return f"is labelled {brief(label)}, which is not a label of this run{more}; {known}"


_SHOWN = 80  # characters of a value in a message


def brief(value: object) -> str:
    """Return a value for a message, quoted, and shortened if it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def printable(text: str) -> str:
    """Return what somebody typed in one line, without the control characters of a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


# Errors that a path causes, wherever it is used first.
_PATH_ERRORS = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES)

# Errors of a share or a drive that is away, of which the systems have these or those.
_AWAY = (
    *("EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENOTCONN", "ESTALE", "ETIMEDOUT"),
    *("ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EREMOTEIO", "ENODEV", "ENXIO", "EIO"),
)
_AWAY_ERRORS = tuple(getattr(errno, name) for name in _AWAY if hasattr(errno, name))

# Errors of a disk, a quota or a limit that leaves no room for what is written. Windows has no
# quota with a number of its own.
NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


# What Windows says where a program has a file open, which then stays in its place; the first also
# where it may not be written.
_IN_USE = (5, 32, 33)


def closing_it(error: BaseException) -> str:
    """Return what to do where Windows keeps a file that is open, empty for any other error."""
    if getattr(error, "winerror", None) not in _IN_USE:
        return ""
    return "close it where it is open, for example in QGIS, and run the command again"


def system_error(error: Exception) -> OwlError | None:
    """Return what to say of what the system lacks or refuses, or None for any other error."""
    if isinstance(error, MemoryError):
        why = " ".join(str(error).split()).removesuffix(".")
        return OwlError(f"not enough memory: {why}")
    if not isinstance(error, OSError):
        return None
    if error.errno in _PATH_ERRORS and error.filename is not None:
        what = f"{brief(str(error.filename))}: {error.strerror}"
        return OwlError(what, remedy="choose another path")
    if error.errno in _AWAY_ERRORS and error.filename is not None:
        fault = no_access(printable(str(error.filename)), error)
        return OwlError(fault.what, remedy=fault.remedy)
    if error.errno in (*NO_ROOM, errno.EIO):
        return OwlError(f"cannot write the output: {error.strerror}")
    if error.errno == errno.ENOENT and error.filename is None and _is_nowhere():
        return OwlError("the folder you are in no longer exists", remedy="change to one that does")
    return None


def no_access(path: object, error: OSError) -> Fault:
    """Say of a file or folder that the system refuses it, or does not tell if it is there."""
    reason = error.strerror or str(error)
    if error.errno is not None and error.filename is None:  # of a library, with words of its own
        reason = os.strerror(error.errno)
    if error.errno in (*_AWAY_ERRORS, errno.ENOENT):  # the latter of a share on Windows
        return Fault(
            f"cannot reach {path}: {reason}", remedy="check that its drive or share is connected"
        )
    remedy = "choose another path" if error.errno in _PATH_ERRORS else ""
    return Fault(f"cannot read {path}: {reason}", remedy)


def _is_nowhere() -> bool:
    """Return whether the working folder was removed, so that relative paths lead nowhere."""
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def where_instead(path: str | Path) -> str:
    """Return a remedy for a file that does not exist: a similar name, or what to check."""
    file, mark, layer = str(path).partition("|layername=")  # as QGIS names a layer of a file
    if mark and Path(file).exists():
        return f"name the file {file} alone, with layer = {layer!r}, or save that layer by itself"
    path = Path(path)
    folder = path.absolute().parent
    if not folder.is_dir():
        return "check the path, since its folder does not exist either"
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        names = []
    near = nearest(path.name, names)
    if near is not None:
        return f"did you mean {near!r}?"
    return "check the name, and the folder you are in"
