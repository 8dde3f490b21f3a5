"""The grid of a run as a layer: every patch with what is known about it, part by part."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET  # nosec B405 # only to write

import numpy as np
import pandas as pd
import pyarrow as pa
from pyproj import CRS

from owl_geo.disk import gpkg, polygons, qml
from owl_geo.disk.atomic import writing_file
from owl_geo.errors import RunError
from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.footprints import corners_in
from owl_geo.ground.windows import PoolWindows
from owl_geo.maps.patches import free_names
from owl_geo.types import IntArray

LAYER = "patches"
COLUMNS_BEFORE = {
    "patch_id": pa.string(),
    "label": pa.string(),
    "annotators": pa.string(),
    "round": pa.int64(),
    "probability": pa.float64(),
    "uncertainty": pa.float64(),
    "held_out": pa.bool_(),
}
COLUMNS_AFTER = {"scene": pa.string(), "scene_crs": pa.string()}
_OF_FORMATS = (gpkg.FEATURE_ID, gpkg.GEOMETRY, polygons.GEOMETRY, "wkt")
_GPKG = ".gpkg"
_SUFFIXES = (_GPKG, *polygons.SUFFIXES)
_ROWS = 50_000  # at once; this bounds the memory for polygons
_GREY = "#9A9A9A"


@dataclass(frozen=True)
class GridLayer:
    """The n patches of a layer, what the concepts say of them, and which classes they may have.

    Args:
        windows: where they lie, in the order of the index.
        concepts: one column per concept, row by row.
        classes: the labels that a patch may have, besides unsure and skip.
        positive: the class that ``probability`` is of.
        crs: that of the footprints, where the format does not expect longitude and latitude.
    """

    windows: PoolWindows
    concepts: pd.DataFrame
    classes: tuple[str, ...]
    positive: str
    crs: CRS


def check_format(path: Path) -> None:
    """Raise RunError unless the file's name ends in a format that can be written."""
    if path.suffix.lower() not in _SUFFIXES:
        *others, last = _SUFFIXES
        raise RunError(
            f"{path} is not a format for patches",
            remedy=f"let the name end in {', '.join(others)} or {last}",
        )


def write_grid(
    path: Path, layer: GridLayer, parts: Iterable[tuple[IntArray, pd.DataFrame]]
) -> None:
    """Write patches as polygons; the file appears whole or not at all, and replaces another.

    ``parts`` are the positions of some patches and their ``COLUMNS_BEFORE`` and ``COLUMNS_AFTER``,
    row by row; together they are all patches. A GeoPackage opens styled in QGIS. A concept that has
    the name of another column gets ``_`` appended. Raises RunError if the disk is full or the
    folder cannot be written, and what making the parts raises.
    """
    check_format(path)
    suffix, n = path.suffix.lower(), len(layer.windows)
    crs = crs_of(GEOGRAPHIC) if suffix in polygons.IN_DEGREES else layer.crs
    names = free_names(
        list(layer.concepts),
        {*COLUMNS_BEFORE, *COLUMNS_AFTER, *_OF_FORMATS},
    )
    schema = pa.schema(
        {
            **COLUMNS_BEFORE,
            **{new: _type(layer.concepts[old]) for old, new in names.items()},
            **COLUMNS_AFTER,
        }
    ).append(
        pa.field(polygons.GEOMETRY, pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
    )
    batches = _batches(layer, parts, schema, names, crs)
    with writing_file(path) as partial:
        if suffix != _GPKG:
            polygons.write(partial, schema, batches, crs=crs, n=n)
            return
        style = _style(schema.names[:-1], layer, list(names.values()))

        def add_style(connection: sqlite3.Connection) -> None:
            gpkg.add_style(
                connection, LAYER, style, name="owl-geo patches", about="coloured by label"
            )

        gpkg.clear_made(partial)
        try:
            gpkg.create_in_parts(partial, schema, batches, LAYER, crs=crs, n=n, finish=add_style)
        except sqlite3.Error as error:
            raise OSError(str(error)) from error


def _type(column: pd.Series) -> pa.DataType:
    if pd.api.types.infer_dtype(column, skipna=True) == "boolean":
        return pa.bool_()
    return pa.float64() if pd.api.types.is_numeric_dtype(column.dtype) else pa.string()


def _batches(
    layer: GridLayer,
    parts: Iterable[tuple[IntArray, pd.DataFrame]],
    schema: pa.Schema,
    names: Mapping[str, str],
    crs: CRS,
) -> Iterator[pa.RecordBatch]:
    for positions, table in parts:
        for start in range(0, len(table), _ROWS):
            some, known = positions[start : start + _ROWS], table.iloc[start : start + _ROWS]
            concepts = layer.concepts.iloc[some].rename(columns=names)
            columns = [
                _array((concepts if name in concepts else known)[name], schema.field(name).type)
                for name in schema.names[:-1]
            ]
            outlines = polygons.as_wkb(corners_in(layer.windows.take(some), crs))
            yield pa.record_batch([*columns, outlines], schema=schema)


def _array(values: pd.Series, kind: pa.DataType) -> pa.Array:
    if kind == pa.string():
        values = values.map(str, na_action="ignore").astype(object)
    elif kind == pa.float64():
        values = values.astype(np.float64)  # what is missing becomes null
    return pa.array(values, type=kind, from_pandas=True)


def _style(columns: Sequence[str], layer: GridLayer, concepts: Sequence[str]) -> str:
    """Return the QML: answered patches in the colours of a batch, a thin grid of all others."""
    root = qml.root()
    root.append(qml.by_label(layer.classes, [qml.frame(_GREY, 0.1)]))
    aliases = {
        "patch_id": "Patch",
        "label": "Label",
        "annotators": "Annotators",
        "round": "Asked in round",
        "probability": f"Probability of {layer.positive}",
        "uncertainty": "Uncertainty",
        "held_out": "Held out for the test",
        "scene": "Scene",
        "scene_crs": "CRS of the scene",
    }
    group = ET.SubElement(root, "aliases")
    for index, name in enumerate(columns):
        ET.SubElement(group, "alias", field=name, index=str(index), name=aliases.get(name, ""))
    ET.SubElement(root, "previewExpression").text = '"patch_id"'
    rows = {
        "Label": "coalesce(\"label\", '(not answered)')",
        "Annotators": '"annotators"',
        "Asked in round": '"round"',
        f"Probability of {layer.positive}": 'round("probability", 3)',
        "Uncertainty": 'round("uncertainty", 3)',
        **{name: qml.column(name) for name in concepts},
    }
    ET.SubElement(root, "mapTip").text = qml.map_tip('"patch_id"', rows)
    return ET.tostring(root, encoding="unicode")
