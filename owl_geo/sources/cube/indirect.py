"""Stores that say in which other files pixels lie: they are opened in Python, and not here."""

from __future__ import annotations

import json
from pathlib import Path

from owl_geo.disk.presence import exists, is_dir
from owl_geo.errors import Fault

_BEGINNING = 4096  # bytes in which a file of references shows what it is
_AS_ZARR = "write what you need as Zarr (Dataset.to_zarr)"


def why_indirect(path: str) -> Fault | None:
    """Return what a local file or folder is, and what to do, where it only refers to pixels.

    These are repositories of Icechunk, and kerchunk's references in JSON or Parquet.
    """
    folder = Path(path)
    if not is_dir(path):
        return _kerchunk() if path.lower().endswith(".json") and _refers(folder) else None
    if exists(folder / "snapshots") and (exists(folder / "refs") or exists(folder / "repo")):
        return Fault(
            "it is an Icechunk repository",
            remedy=f"open it with icechunk in Python, and {_AS_ZARR}",
        )
    if exists(folder / ".zmetadata") and not exists(folder / ".zgroup"):
        try:
            stated = json.loads((folder / ".zmetadata").read_bytes())
        except (OSError, ValueError):
            return None
        if isinstance(stated, dict) and "record_size" in stated:
            return _kerchunk()
    return None


def _kerchunk() -> Fault:
    return Fault(
        "it refers to parts of other files (kerchunk)",
        remedy='open it in Python with xarray.open_dataset(PATH, engine="kerchunk"), and '
        f"{_AS_ZARR}",
    )


def _refers(path: Path) -> bool:
    """Return whether a file begins as references do, in either version of their layout."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError:
        return False
    return any(word in beginning for word in (b'"refs"', b'"templates"', b'.zgroup"', b'.zarray"'))
