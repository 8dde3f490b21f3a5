"""STAC items in Parquet: a row an item, as stac-geoparquet has them.

The properties of an item are columns of their own there. An asset is a part of a nested column, and
null where an item lacks it.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from owl_geo.disk.suffixes import PARQUET
from owl_geo.errors import SourceError

_NEEDED = {"id", "assets"}
_NO_PROPERTIES = {"type", "stac_version", "stac_extensions", "geometry", "bbox", "links", *_NEEDED}


def is_stac_table(path: str) -> bool:
    """Return whether a file holds items: it is Parquet, and has the columns of a STAC item."""
    if not path.lower().endswith(PARQUET) or not Path(path).is_file():
        return False
    import pyarrow.parquet as pq  # takes long to import, for what few scenes are

    try:
        return set(pq.read_schema(path).names) >= _NEEDED
    except (OSError, ValueError):  # among the latter are pyarrow's own
        return False


def features_of(path: str) -> list[dict[str, Any]]:
    """Return the items of a table as JSON has them, without geometries and links.

    Raises SourceError where the table cannot be read.
    """
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = set(file.schema_arrow.names) - {"geometry", "bbox", "links"}
        rows = file.read(columns=sorted(names)).to_pylist()
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path} as a table of STAC items: {error}") from error
    return [_feature(row) for row in rows]


def _feature(row: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = _told(row)
    properties = {name: value for name, value in told.items() if name not in _NO_PROPERTIES}
    assets = {key: asset for key, asset in told.get("assets", {}).items() if "href" in asset}
    return {"id": told.get("id"), "assets": assets, "properties": properties}


def _told(value: Any) -> Any:
    """Return a value as JSON has it: what is null is not there, and a moment is text."""
    if isinstance(value, dict):
        return {name: _told(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        if value and all(isinstance(part, tuple) for part in value):  # a column of the type map
            return _told(dict(value))
        return [_told(part) for part in value]
    return value.isoformat() if isinstance(value, datetime.date) else value
