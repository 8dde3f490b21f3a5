"""What the path of a table of vectors says before it is opened: its name, and its parts."""

from __future__ import annotations

from pathlib import Path

from owl_geo.disk.listing import files_below
from owl_geo.disk.suffixes import PARQUET
from owl_geo.settings.paths import absolute
from owl_geo.settings.sources import VectorsSettings


def name_of_table(settings: VectorsSettings) -> str:
    """Return the name of the table: its own, or else that of its file or folder."""
    path = absolute(Path(settings.path))
    return settings.name or (path.name if path.is_dir() else path.stem)


def parts_of(folder: Path) -> list[Path]:
    """Return the files of a table in parts, in the order of their paths; hidden ones are none.

    Raises OSError where a folder among them cannot be read.
    """
    parts = (path for path in files_below(folder) if path.suffix.lower() in PARQUET)
    hidden = (".", "_")
    return sorted(p for p in parts if not any(n.startswith(hidden) for n in _names(p, folder)))


def _names(path: Path, folder: Path) -> tuple[str, ...]:
    return path.relative_to(folder).parts
