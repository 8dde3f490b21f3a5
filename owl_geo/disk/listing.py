"""What lies in folders, with an OSError where one of them cannot be read.

``Path.glob`` passes over a folder that may not be read, and since Python 3.13 over one that cannot
be reached, as on a share that is disconnected: a run would have no rounds, a table in parts fewer
rows.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted; nothing where there is no such folder."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def matching(pattern: str) -> tuple[list[str], list[OSError]]:
    """Return what matches a pattern of ``glob``, sorted, and why folders could not be read.

    ``glob`` says nothing of folders in which there may be more.
    """
    refused: list[OSError] = []
    parts = Path(pattern).parts
    for depth, part in enumerate(parts):
        if glob.has_magic(part):
            before = str(Path(*parts[:depth]))
            for folder in _matches(before) if glob.has_magic(before) else [before]:
                for _, below, _ in os.walk(folder, onerror=refused.append):
                    below[:] = [n for n in below if part == "**" and not n.startswith(".")]
    of_folders = {str(error.filename): error for error in refused}
    gone = (FileNotFoundError, NotADirectoryError)
    return _matches(pattern), [e for e in of_folders.values() if not isinstance(e, gone)]


def _matches(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - ** and escapes


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file in a folder and in those below it, in any order."""

    def refuse(error: OSError) -> None:
        raise error

    for top, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            yield Path(top, name)
