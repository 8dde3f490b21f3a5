"""Consolidated metadata of a Zarr store that are older than what its arrays and groups say.

A program that appends dates, adds a variable or corrects an attribute changes the metadata of the
arrays, and not always the copy of all of them in one place. Zarr reads that copy where there is
one, and nothing beyond what it says.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

# of an array, what decides its values, in the terms of Zarr 2 and 3
_TERMS = ("shape", "dtype", "data_type", "fill_value", "attributes")


def differing(store: str, group: str | None) -> list[str]:
    """Return the names of arrays that the copy lacks, or of which it says something else, sorted.

    Those of one group count, and itself, as ``group``; none where there is no copy. What cannot be
    read is left to Zarr.
    """
    try:
        files = _Files(Path(store))
        return sorted(_differing(files, (group or "").strip("/")))
    except (OSError, ValueError, LookupError, AttributeError, TypeError, zipfile.BadZipFile):
        return []


class _Files:
    """The small files of a store, in a folder or an archive."""

    def __init__(self, path: Path) -> None:
        self._folder = path if path.is_dir() else None
        self._texts: dict[str, bytes] = {}
        if self._folder is None:
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.rsplit("/", 1)[-1] in ("zarr.json", ".zarray", ".zattrs", ".zmetadata"):
                        self._texts[name] = archive.read(name)

    def json(self, name: str) -> dict[str, Any] | None:
        """Return what a file holds, None where it is not there."""
        if self._folder is None:
            text = self._texts.get(name)
        else:
            path = self._folder / name
            text = path.read_bytes() if path.is_file() else None
        return None if text is None else dict(json.loads(text))

    def within(self, group: str) -> Iterator[str]:
        """Yield the names of what lies in a group."""
        if self._folder is not None:
            yield from (one.name for one in (self._folder / group).iterdir() if one.is_dir())
            return
        start = f"{group}/" if group else ""
        inside = (name[len(start) :] for name in self._texts if name.startswith(start))
        yield from {name.split("/")[0] for name in inside if name.count("/") == 1}


def _differing(files: _Files, group: str) -> set[str]:
    start = f"{group}/" if group else ""
    copies = _copies(files, start)
    if copies is None:
        return set()
    found = set()
    for name in {*copies, *files.within(group)}:
        own = _own(files, f"{start}{name}")
        if own is not None and _text(own) != _text(copies.get(name)):
            found.add(name)
    if _of_group(files, group) != _copy_of_group(files, group):
        found.add("group")
    return found


def _of_group(files: _Files, group: str) -> Mapping[str, Any]:
    """Return the attributes that a group has itself, none where there is no group."""
    start = f"{group}/" if group else ""
    node = files.json(f"{start}zarr.json")
    attributes = files.json(f"{start}.zattrs") if node is None else node.get("attributes")
    return attributes or {}


def _copy_of_group(files: _Files, group: str) -> Mapping[str, Any]:
    """Return the attributes that the copy has of a group; in Zarr 3, the root has the copy."""
    whole = files.json(".zmetadata")
    if whole is not None:
        return dict(whole["metadata"].get(f"{group}/.zattrs" if group else ".zattrs", {}))
    root = files.json("zarr.json") or {}
    if not group:
        return root.get("attributes") or {}
    copy = root["consolidated_metadata"]["metadata"].get(group) or {}
    return copy.get("attributes") or {}


def _copies(files: _Files, start: str) -> dict[str, Mapping[str, Any]] | None:
    """Return what the copy says of the arrays of a group, by their names; None without a copy."""
    whole = files.json(".zmetadata")
    if whole is not None:
        entries = dict(whole["metadata"])
        names = [key[len(start) : -len("/.zarray")] for key in entries if key.endswith("/.zarray")]
        names = [key for key in names if "/" not in key and f"{start}{key}/.zarray" in entries]
        return {
            name: {
                **entries[f"{start}{name}/.zarray"],
                "attributes": entries.get(f"{start}{name}/.zattrs", {}),
            }
            for name in names
        }
    root = files.json("zarr.json")
    if root is None or not root.get("consolidated_metadata"):
        return None
    entries = root["consolidated_metadata"]["metadata"]
    return {
        name: entry
        for key, entry in entries.items()
        if key.startswith(start)
        and "/" not in (name := key[len(start) :])
        and entry.get("node_type") == "array"
    }


def _own(files: _Files, path: str) -> Mapping[str, Any] | None:
    """Return what an array says of itself, None where there is none."""
    array = files.json(f"{path}/.zarray")
    if array is not None:
        with suppress(FileNotFoundError):
            return {**array, "attributes": files.json(f"{path}/.zattrs") or {}}
    node = files.json(f"{path}/zarr.json")
    return node if node is not None and node.get("node_type") == "array" else None


def _text(array: Mapping[str, Any] | None) -> str | None:
    """Return the terms in one form; not-a-number, which some programs write, is like itself."""
    if array is None:
        return None
    return json.dumps({term: array.get(term) for term in _TERMS}, sort_keys=True)
