"""Whether files and folders are there, with an OSError where nobody can tell.

Since Python 3.14, ``Path.exists`` and its like say of what cannot be reached or looked at, as on a
share that is disconnected, that it is not there: answers would count as none, a folder as free. Ask
here wherever something is made, left out, or said to be missing because of the answer.
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path

from owl_geo.errors import Fault, OwlError, RunError, no_access, where_instead

_NO_FILES = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP)
_NO_FILES_OF_WINDOWS = (21, 123, 1921)  # no disk in the drive, no name for a file, a broken link
# No way to a computer, none to what it shares, a network that was there. For C and for Python, that
# is mostly no such file.
_NO_SHARES_OF_WINDOWS = (51, 53, 59, 64, 67, 1231, 1232)


def exists(path: str | Path) -> bool:
    """Return whether there is a file or a folder; raises OSError."""
    return _mode(path) is not None


def is_file(path: str | Path) -> bool:
    """Return whether there is a file, and it is no folder; raises OSError."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_dir(path: str | Path) -> bool:
    """Return whether there is a folder; raises OSError."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def check_exists(path: str | Path, error: type[OwlError], setting: str = "") -> None:
    """Raise ``error`` where there is no file or folder, and where nobody can tell.

    The message begins with ``setting``, which names the path, if it is given.
    """
    fault = absence(path)
    if fault is not None:
        begin = f"{setting}: " if setting else ""
        raise error(f"{begin}{fault.what}", remedy=fault.remedy)


def absence(path: str | Path) -> Fault | None:
    """Return that there is no file or folder, or that nobody can tell; None if there is one."""
    try:
        is_there = exists(path)
    except OSError as error:
        return no_access(path, error)
    if is_there:
        return None
    if Path(path).is_symlink():
        return Fault(
            f"{path} is a link to {Path(path).readlink()}, where there is nothing",
            "correct the link, or connect the disk that it leads to",
        )
    return Fault(f"{path} does not exist", where_instead(path))


def check_not_refused(path: str | Path, error: Exception) -> None:
    """Raise RunError where a file could not be read because the system refused, or cannot reach it.

    Ask before a file is taken for lost or damaged, so that nothing is made in its place.
    """
    if isinstance(error, OSError) and error.errno not in (None, errno.EISDIR, *_NO_FILES):
        fault = no_access(path, error)
        raise RunError(fault.what, remedy=fault.remedy) from error


def _mode(path: str | Path) -> int | None:
    """Return what kind of file there is, None if there is none; raises OSError."""
    try:
        return Path(path).stat().st_mode
    except OSError as error:
        code = getattr(error, "winerror", None)
        if code in _NO_SHARES_OF_WINDOWS:
            raise
        if error.errno in _NO_FILES or code in _NO_FILES_OF_WINDOWS:
            return None
        raise
    except ValueError:  # a null character
        return None
