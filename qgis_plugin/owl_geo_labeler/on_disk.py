"""Whether files are there, with an OSError where nobody can tell, as on a disconnected share.

pathlib says since Python 3.14 that such a file is not there, and since 3.13 that such a folder is
empty.
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path

_NO_FILES = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP)
_NO_FILES_OF_WINDOWS = (21, 123, 1921)  # no disk in the drive, no name for a file, a broken link


def exists(path: Path) -> bool:
    """Return whether there is a file or folder; raises OSError."""
    return _mode(path) is not None


def is_file(path: Path) -> bool:
    """Return whether there is a file, and it is no folder; raises OSError."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_dir(path: Path) -> bool:
    """Return whether there is a folder; raises OSError."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted, nothing if there is none; raises OSError."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _mode(path: Path) -> int | None:
    """Return what kind of file there is, None if there is none; raises OSError."""
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in _NO_FILES or getattr(error, "winerror", 0) in _NO_FILES_OF_WINDOWS:
            return None
        raise
    except ValueError:  # a null character
        return None
