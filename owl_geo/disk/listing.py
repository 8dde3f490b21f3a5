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


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file in a folder and in those below it, in any order."""

    def refuse(error: OSError) -> None:
        raise error

    for top, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            yield Path(top, name)


def passed_over(pattern: str) -> Iterator[tuple[str, OSError]]:
    """Yield the folders in which ``glob.glob`` looks for matches and which it cannot read.

    With ``**`` in the pattern, these may be in any folder below.
    """
    path = Path(pattern)
    for child in (path, *path.parents):
        if not glob.has_magic(child.name):
            continue
        # without a separator at the end, which makes glob leave out a folder that it cannot reach
        before = str(child.parent)
        found = glob.glob(before, recursive=True) if glob.has_magic(before) else [before]  # noqa: PTH207 - as the pattern is read
        for folder in sorted(found):
            try:
                os.scandir(folder).close()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                yield folder.rstrip(os.sep), error
