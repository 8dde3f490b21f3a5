"""The rows of a batch's GeoPackage, through GDAL.

QGIS's own connection reads the file too, and a second SQLite would not know its locks. GDAL's own
patience with locks is five seconds per statement, which its setting shortens only while it opens a
file; so it is set again in each connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from osgeo import gdal, ogr

from . import schema
from .quiet import quiet
from .session import Answer, NewRow

OF_PLACE = ("patch_id", "scene", "scene_crs", "batch_id", "round")
_PATIENCE = "PRAGMA busy_timeout = 100"  # milliseconds
_OPEN_PATIENCE_MS = "100"


class GdalFailure(Exception):
    """GDAL or SQLite could not do it; the text is theirs."""

    @property
    def is_lock(self) -> bool:
        """Whether another program has locked the file, which only the text says."""
        return "locked" in str(self) or "busy" in str(self)


@dataclass(frozen=True)
class Row:
    """What a row of the file holds at the moment."""

    fid: int
    patch_id: str
    is_noticed: bool
    answer: Answer


@contextmanager
def opened(path: Path, mode: int) -> Iterator[gdal.Dataset]:
    """Open a GeoPackage and close it again; raises GdalFailure, also if it is locked."""
    with quiet():
        gdal.SetThreadLocalConfigOption("SQLITE_BUSY_TIMEOUT", _OPEN_PATIENCE_MS)
        try:
            file = gdal.OpenEx(str(path), gdal.OF_VECTOR | mode, allowed_drivers=["GPKG"])
        except RuntimeError as error:
            raise GdalFailure(str(error)) from error
        finally:
            gdal.SetThreadLocalConfigOption("SQLITE_BUSY_TIMEOUT", None)
        if file is None:
            raise GdalFailure(gdal.GetLastErrorMsg() or "it cannot be opened")
        try:
            shown = file.ExecuteSQL(_PATIENCE)
            if shown is not None:
                file.ReleaseResultSet(shown)
            yield file
        except RuntimeError as error:  # where another plugin has switched GDAL to exceptions
            raise GdalFailure(str(error)) from error
        finally:
            file = None  # closes it


def begin_reading(file: gdal.Dataset) -> None:
    """Begin to read in the transaction; raises GdalFailure if the file is locked.

    GDAL says of a row that is locked what it says of one that is not there.
    """
    gdal.ErrorReset()
    shown = file.ExecuteSQL("SELECT COUNT(*) FROM gpkg_contents")
    is_read = shown is not None and shown.GetNextFeature() is not None
    if shown is not None:
        file.ReleaseResultSet(shown)
    if not is_read:
        raise GdalFailure(gdal.GetLastErrorMsg() or "database is locked")


def place_rows(layer: ogr.Layer) -> list[Row]:
    """Return the rows of places, but not answers that are kept beside another."""
    return [
        _row(feature)
        for feature in layer
        if has_place(feature) or feature.IsFieldSetAndNotNull("rank")
    ]


def has_place(feature: ogr.Feature) -> bool:
    """Whether a row has a polygon; QGIS makes an empty one where it saves a row without."""
    polygon = feature.GetGeometryRef()
    return polygon is not None and not polygon.IsEmpty()


def _row(feature: ogr.Feature) -> Row:
    return Row(
        feature.GetFID(),
        str(feature.GetField("patch_id")),
        not feature.IsFieldSetAndNotNull("rank"),
        answer_of(feature),
    )


def answer_of(feature: ogr.Feature) -> Answer:
    """Return the answer that a row holds. Raises GdalFailure if a column was deleted."""
    lost = [name for name in schema.EDITABLE_COLUMNS if feature.GetFieldIndex(name) < 0]
    if lost:
        raise GdalFailure(f"it has no column {lost[0]}")
    values = {name: feature.GetField(name) for name in schema.EDITABLE_COLUMNS}
    return Answer(**{name: None if v in (None, "") else str(v) for name, v in values.items()})


def set_answer(layer: ogr.Layer, feature: ogr.Feature, answer: Answer) -> None:
    """Store an answer in its row."""
    _fill(feature, answer.values())
    checked(layer.SetFeature, feature)


def add_row(layer: ogr.Layer, row: NewRow, answer: Answer) -> int:
    """Add a row for a place beside the batch, and return its feature id."""
    feature = ogr.Feature(layer.GetLayerDefn())
    _fill(feature, {**row.values, **answer.values()})
    feature.SetGeometryDirectly(ogr.CreateGeometryFromWkb(row.wkb))
    checked(layer.CreateFeature, feature)
    return int(feature.GetFID())


def keep_beside(layer: ogr.Layer, beside: ogr.Feature, answer: Answer) -> None:
    """Keep an answer beside that of a row, as one more row without a polygon."""
    row = ogr.Feature(layer.GetLayerDefn())
    fixed = {name: beside.GetField(name) for name in OF_PLACE}
    _fill(row, {**fixed, **answer.values()})
    checked(layer.CreateFeature, row)


def _fill(feature: ogr.Feature, values: Mapping[str, object]) -> None:
    """Set some fields of a row, without storing it."""
    for name, value in values.items():
        if value is None:
            feature.SetFieldNull(name)
        else:
            feature.SetField(name, value)


def checked(call: Callable[..., int], *arguments: object) -> None:
    """Call GDAL; raises GdalFailure if it says that it could not."""
    gdal.ErrorReset()
    if call(*arguments) != ogr.OGRERR_NONE:
        raise GdalFailure(gdal.GetLastErrorMsg() or "it cannot be written")
