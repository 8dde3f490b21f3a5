"""What the parts of a Parquet table hold together: their columns, and the names of their folders.

pyarrow takes the columns of the first part for those of all, and leaves out what others have.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

if TYPE_CHECKING:
    from pyarrow.dataset import Partitioning

_VERSIONED = {  # what only their folders hold
    "Delta Lake": "_delta_log",
    "Apache Iceberg": "metadata/*.metadata.json",
    "Apache Hudi": ".hoodie",
}


def versioned_as(folder: Path) -> str | None:
    """Return the format of a table that keeps files of earlier versions in its folder, or None.

    Only its log says which files count. The folder of its data, or of a partition, is part of it.
    """
    for name, sign in _VERSIONED.items():
        if any(folder.glob(sign)):
            return name
    inner = folder.name == "data" or "=" in folder.name
    return versioned_as(folder.parent) if inner else None


@dataclass(frozen=True)
class Parts:
    """A file, or the files of a folder, each with its own columns, the first part first."""

    path: Path
    schemas: Mapping[str, pa.Schema]

    @cached_property
    def in_names(self) -> tuple[str, ...]:
        """Attributes that the names of folders hold, ``class=mine``, and no part itself does."""
        if not self.path.is_dir():
            return ()
        folders = (PurePath(file).relative_to(self.path).parts[:-1] for file in self.schemas)
        named = {key for names in folders for name in names for key in _keys(name)}
        return tuple(sorted(named.difference(*(one.names for one in self.schemas.values()))))

    @property
    def partitioning(self) -> Partitioning | None:
        """How to read what the names of folders hold, None where they hold nothing.

        Values are text, as they stand there: pyarrow would take ``zone=07`` for the number 7.
        """
        from pyarrow import dataset  # takes long to import, for what few layers are

        in_folders = pa.schema([(name, pa.string()) for name in self.in_names])
        return dataset.partitioning(in_folders, flavor="hive") if self.in_names else None

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of all parts, with the metadata of the first."""
        first = next(iter(self.schemas.values()))
        joined = [found[0] for found in self._columns.values()]
        in_folders = [pa.field(name, pa.string()) for name in self.in_names]
        about = dict(first.metadata or {})
        if len(self.schemas) > 1:
            about.pop(b"pandas", None)  # types of the first part, which may not hold other values
        return pa.schema([*joined, *in_folders], metadata=about)

    @property
    def options(self) -> dict[str, Any]:
        """What ``pq.read_table`` has to be told."""
        told: dict[str, Any] = {"partitioning": self.partitioning}
        return told | {"schema": self.schema} if len(self.schemas) > 1 else told

    def check_alike(self, columns: Collection[str]) -> None:
        """Raise ValueError where a column holds one kind of value in a part, another in a later."""
        for name in columns:
            _, other = self._columns.get(name, (None, None))
            if other is not None:
                kinds = {
                    path: _plain(own.field(name))
                    for path, own in self.schemas.items()
                    if name in own.names
                }
                first = next(path for path in kinds if not _joined(kinds[path], kinds[other]))
                raise ValueError(
                    f"{name!r} is {kinds[first].type} in {Path(first).name} and "
                    f"{kinds[other].type} in {Path(other).name}: write it alike in all parts"
                )

    @cached_property
    def _columns(self) -> dict[str, tuple[pa.Field, str | None]]:
        """Return each column, with the part that holds another kind of value, if one does."""
        if len(self.schemas) == 1:
            return {entry.name: (entry, None) for one in self.schemas.values() for entry in one}
        found: dict[str, tuple[pa.Field, str | None]] = {}
        for path, schema in self.schemas.items():
            for entry in map(_plain, schema):
                known, other = found.get(entry.name, (entry, None))
                both = _joined(known, entry)
                found[entry.name] = (both or known, other or (None if both else path))
        return found


def _keys(name: str) -> list[str]:
    key, equals, _ = name.partition("=")
    return [unquote(key)] if equals else []


def _plain(entry: pa.Field) -> pa.Field:
    """Return a column of categories as one of their values, as other parts may have it.

    A part may lack any column.
    """
    kind = entry.type.value_type if pa.types.is_dictionary(entry.type) else entry.type
    return entry.with_type(kind).with_nullable(True)


def _joined(one: pa.Field, other: pa.Field) -> pa.Field | None:
    """Return a column that holds the values of both without loss, None where there is none."""
    if one.type == other.type:
        return one
    try:
        both = pa.unify_schemas(
            [pa.schema([one]), pa.schema([other])], promote_options="permissive"
        )
    except pa.ArrowException:
        return None
    return both.field(0)
