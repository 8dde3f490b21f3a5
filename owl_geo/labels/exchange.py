"""Answers as files for exchange: GeoPackage or CSV, out of one run and into another."""

from __future__ import annotations

import csv
import math
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.disk import gpkg
from owl_geo.disk.atomic import writing_file
from owl_geo.disk.presence import check_exists, is_dir, is_file
from owl_geo.disk.text_files import encoding_of
from owl_geo.errors import BatchError, suggestion
from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.windows import Points
from owl_geo.labels.base import reprojected
from owl_geo.schema import BATCH_LAYER, CONSENSUS, LABELS_COLUMNS, LABELS_LAYER
from owl_geo.wording import as_typed, counted

WKT = "wkt"  # the column of a CSV that holds the footprint, in EPSG:4326
_LARGEST = (540.0, 90.0)  # degrees; from -180 to 360, and half a turn more across an end
_RING = 5  # points of the outline of a patch; the last is the first again
_STRAIGHT = 0.01  # of a patch's edge: an edge that bends less is straight in another CRS
_CUT = 10  # letters of a name in a Shapefile
_NEEDED = ("patch_id", "label")
_NOR_PLACES = ", and no coordinates, such as lon and lat"
_FORMATS = (".gpkg", ".csv")


def check_format(path: Path) -> None:
    """Raise BatchError unless the name ends in .gpkg or .csv."""
    if path.suffix.lower() not in _FORMATS:
        raise BatchError(f"{path} is neither .gpkg nor .csv", remedy="use one of these extensions")


def write_answers(path: Path, answers: pd.DataFrame, footprints: gpd.GeoSeries) -> None:
    """Write answers with the footprints of their patches; the file appears whole or not at all.

    ``answers`` has columns of ``LABELS_COLUMNS``, patch_id among them; ``footprints`` is indexed by
    patch_id. A GeoPackage holds them in the layer ``labels`` in the footprints' CRS, a CSV as
    well-known text in EPSG:4326. An existing file is replaced. Raises BatchError or RunError.
    """
    check_format(path)
    polygons = footprints.loc[answers["patch_id"]]
    with writing_file(path) as partial:
        if path.suffix.lower() == ".csv":
            in_degrees = reprojected(polygons.array, footprints.crs, crs_of(GEOGRAPHIC))
            outlines = shapely.to_wkt(np.array(in_degrees, dtype=object), rounding_precision=9)
            answers.assign(**{WKT: outlines}).to_csv(partial, index=False, lineterminator="\n")
        else:
            columns = {name: gpkg.typed(answers[name]) for name in answers.columns}
            if "round" in columns:
                columns["round"] = answers["round"].to_numpy(dtype=np.int64)
            frame = gpd.GeoDataFrame(columns, geometry=polygons.array, crs=footprints.crs)
            gpkg.create(partial, frame, LABELS_LAYER, spatial_index=True)


def of_consensus(current: pd.DataFrame) -> pd.DataFrame:
    """Return the labels of ``LabelStore.current`` as answers of the annotator ``consensus``.

    Thus a joint decision carries no single name, and no annotator is compared with themselves.
    """
    return current[["patch_id", "label"]].assign(annotator=CONSENSUS)


@dataclass(frozen=True)
class ReadAnswers:
    """Answers of a file, in its order."""

    rows: pd.DataFrame  # LABELS_COLUMNS as text, None where the file has no value
    corners: Points  # of each footprint in degrees, x before y, (n, 4, 2); NaN where there is none
    points: Points  # where a row has a point instead, in degrees, (n, 2); NaN elsewhere


def read_answers(path: Path) -> ReadAnswers:
    """Read answers from a GeoPackage's layer ``labels``, or from a CSV with a header.

    The columns patch_id and label are required, and others than LABELS_COLUMNS ignored. Raises
    BatchError with one line.
    """
    check_format(path)
    check_exists(path, BatchError)
    if is_dir(path):
        raise BatchError(f"{path} is a folder", remedy="name the file in it")
    if not is_file(path):
        raise BatchError(f"{path} is not a file")
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_layer(path)
    except (OSError, ValueError, csv.Error, sqlite3.Error) as error:
        reason = " ".join(str(error).split())
        remedy = "save it as CSV in UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        raise BatchError(f"{path} cannot be read as answers: {reason}", remedy=remedy) from error
    _check_has_needed(path, table.columns)
    return _answers_in(path, table)


def _check_has_needed(path: Path, names: Iterable[str]) -> None:
    """Raise BatchError where the columns of a file are not those of answers."""
    known = list(names)
    for name in _NEEDED:
        if name not in known:
            raise BatchError(
                f"{path} has no column {name!r}{_NOR_PLACES if name == _NEEDED[0] else ''}",
                remedy=suggestion(name, known),
            )


def read_exported(path: str, layer: str | None) -> ReadAnswers | None:
    """Read answers that a GIS has saved as a layer of another format; None for other features.

    These have the columns patch_id and label. A Shapefile cuts the names of others to ten letters.
    ``layer`` is needed only where the file has several. Raises BatchError where outlines lie
    nowhere on Earth, and what ``ground.vector.UNREADABLE`` names.
    """
    from owl_geo.ground import vector_files  # which takes long to import
    from owl_geo.ground.vector import read_table

    if layer is None:
        layers = [name for name, kind in vector_files.list_layers(path) if kind is not None]
        if len(layers) != 1:
            return None
        layer = layers[0]
    fields = vector_files.attributes(path, layer)
    written = {name[:_CUT] if fields.are_cut else name: name for name in LABELS_COLUMNS}
    if not {*_NEEDED} <= {*fields.names}:
        return None
    names = [name for name in written if name in fields.names]
    table = read_table(path, columns=names, layer=layer).rename(columns=written)
    shapes = pd.Series(np.array(table.geometry, dtype=object), dtype=object)
    rows = pd.DataFrame(table.drop(columns=table.geometry.name))
    return _answers_in(Path(path), _with_outlines(rows, shapes, table.crs))


def _answers_in(path: Path, table: pd.DataFrame) -> ReadAnswers:
    rows = table.reindex(columns=list(LABELS_COLUMNS)).astype(object)
    texts = {name: [_text(value) for value in rows[name]] for name in rows.columns}
    answers = pd.DataFrame(texts, dtype=object)  # otherwise None would become NaN
    outlines = table[WKT] if WKT in table.columns else pd.Series([None] * len(table), dtype=object)
    shapes = _shapes(outlines.to_numpy(dtype=object))
    corners, points = corners_of(shapes), _points(shapes)
    if (np.abs(corners) > _LARGEST).any() or (np.abs(points) > _LARGEST).any():
        raise BatchError(
            f"{path}: the outlines in its column {WKT!r} are not in longitude and latitude",
            remedy="write them in EPSG:4326, or leave the column out",
        )
    return ReadAnswers(answers, corners, points)


def _shapes(outlines: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return outlines, text or geometries, as geometries; None for what is neither."""
    texts = [text if isinstance(text, str) else None for text in outlines]
    read = shapely.from_wkt(texts, "ignore")
    return np.where([text is None for text in texts], outlines, read)


def _points(shapes: NDArray[np.object_]) -> Points:
    points = np.full((len(shapes), 2), np.nan)
    for row, shape in enumerate(shapes):
        if isinstance(shape, shapely.Point) and not shape.is_empty:
            points[row] = shape.x, shape.y
    return points


def corners_of(shapes: NDArray[np.object_]) -> Points:
    """Return the corners of outlines ``(n, 4, 2)``; NaN where there is no area."""
    corners = np.full((len(shapes), 4, 2), np.nan)
    for row, shape in enumerate(shapes):
        if isinstance(shape, shapely.Polygon | shapely.MultiPolygon):
            corners[row] = _corners_of(shape)
    return corners


def _corners_of(shape: shapely.Polygon | shapely.MultiPolygon) -> Points | float:
    """Return the corners of one outline ``(4, 2)``, or NaN if it encloses nothing.

    Programs save polygons as multipolygons, and with points along their edges. What has other
    corners, because it was edited, is as large as the rectangle around it.
    """
    if len(shapely.get_parts(shape)) == 1:
        shape = shapely.get_parts(shape)[0]
    if shapely.get_num_coordinates(shape) != _RING:
        plain = shapely.simplify(shape, _STRAIGHT * math.sqrt(shape.area))
        is_plain = shapely.get_num_coordinates(plain) == _RING
        shape = plain if is_plain else shapely.oriented_envelope(shape)
    is_area = isinstance(shape, shapely.Polygon) and not shape.is_empty
    return shapely.get_coordinates(shape)[:4] if is_area else math.nan


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding=encoding_of(path), newline="") as file:
        first = file.readline()
        file.seek(0)
        lines = csv.reader(file, strict=True, delimiter=_delimiter(first))
        header = next(lines, [])
        # GDAL writes the name in capitals
        names = [
            WKT if name.strip().lower() == WKT and WKT not in header else name for name in header
        ]
        _check_has_needed(path, names)  # of another table, it does not matter what its rows hold
        rows = []
        for row in lines:
            if row and len(row) != len(header):
                raise ValueError(
                    f"line {lines.line_num} has {counted(len(row), 'value')}, "
                    f"the header {len(header)}"
                )
            if row:
                rows.append(row)
    for name in (*LABELS_COLUMNS, WKT):
        if names.count(name) > 1:
            raise ValueError(f"the header has {name!r} {names.count(name)} times")
    table = pd.DataFrame(rows, columns=names, dtype=object)
    # spreadsheets write columns without a name behind the table
    return table.loc[:, ~table.columns.duplicated()]


def _delimiter(header: str) -> str:
    """Return the delimiter: a comma, or what spreadsheets write besides, a semicolon or a tab."""
    for delimiter in (";", "\t"):
        plain = [name.strip().strip('"') for name in header.split(delimiter)]
        if len(plain) > 1 and ("," not in header or any(name in plain for name in _NEEDED)):
            return delimiter
    return ","


def _read_layer(path: Path) -> pd.DataFrame:
    kind = gpkg.foreign_kind(path)
    if kind is not None:
        raise BatchError(f"{path} is {kind}, not a GeoPackage")
    with closing(gpkg.connect_to_foreign(path)) as connection:
        layers = gpkg.layers(connection) or []
        layer = LABELS_LAYER
        if LABELS_LAYER not in layers and _is_table_of_own(connection, layers):
            layer = BATCH_LAYER
        elif LABELS_LAYER not in layers:
            others = f"; it has {', '.join(layers)}" if layers else ""
            raise BatchError(
                f"{path} has no layer {LABELS_LAYER!r}{others}",
                remedy=f"read a batch with `owl-geo ingest RUN {as_typed(path)}`"
                if BATCH_LAYER in layers
                else "",
            )
        # a table's name cannot be a parameter; this one is a constant
        present = [row[1] for row in connection.execute(f"PRAGMA table_info({layer})")]
        columns = [name for name in LABELS_COLUMNS if name in present]
        geometry, srs_id = gpkg.geometry_column(connection, layer)
        names = ", ".join(map(gpkg.quoted, [*columns, geometry]))
        rows = connection.execute(
            f"SELECT {names} FROM {gpkg.quoted(layer)} ORDER BY rowid"  # noqa: S608 - quoted names
        ).fetchall()
        crs = gpkg.crs_of(connection, srs_id)
    table = pd.DataFrame(rows, columns=[*columns, WKT], dtype=object)
    shapes = pd.Series(gpkg.from_blobs(table[WKT].tolist()), dtype=object)
    return _with_outlines(table, shapes, crs)


def _is_table_of_own(connection: sqlite3.Connection, layers: Sequence[str]) -> bool:
    """Return whether a batch was saved with some of its columns only, and so is no batch."""
    if BATCH_LAYER not in layers:
        return False
    present = {row[1] for row in connection.execute(f"PRAGMA table_info({BATCH_LAYER})")}
    return {*_NEEDED} <= present and not {*LABELS_COLUMNS} <= present


def _with_outlines(table: pd.DataFrame, shapes: pd.Series, crs: CRS | None) -> pd.DataFrame:
    """Return a table with the outlines of its rows in degrees; None where there is no CRS."""
    outlines = pd.Series([None] * len(table), dtype=object)
    if crs is not None:
        is_known = shapes.notna()
        outlines[is_known] = reprojected(shapes[is_known], crs, crs_of(GEOGRAPHIC))
    return table.assign(**{WKT: outlines})


def _text(value: object) -> str | None:
    """Return a value as text, None where it is missing.

    In a column of whole numbers, such as those of annotators, a missing one makes floats of all.
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    return str(value).strip() or None
