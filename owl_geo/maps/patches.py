"""Predictions as tables: every patch of a scene, and the most probable patches of all scenes."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from owl_geo.disk import gpkg
from owl_geo.disk.atomic import writing_file
from owl_geo.errors import RunError
from owl_geo.maps.outputs import FinishedScenes, Output
from owl_geo.maps.style import patches_style
from owl_geo.types import FloatArray, IntArray

LAYER = "predictions"
_ROWS = 100_000  # per row group; this bounds the memory for names
_BEFORE = ("patch_id", "rank", "probability", "uncertainty", "class", "label")
_AFTER = ("scene", "scene_crs")


class Frames(Output):
    """The most probable patches of all scenes as polygons, styled for QGIS."""

    is_shown = True

    def whole(self, folder: Path) -> Path:
        """Return the GeoPackage."""
        return folder / f"{self.name}.gpkg"

    def write_whole(self, folder: Path, scenes: FinishedScenes) -> None:
        """Write the GeoPackage."""
        write_patches(
            self.whole(folder),
            scenes.best(),
            positive=scenes.legend.positive,
            concepts=scenes.concepts,
        )


def table_path(folder: Path, file: str) -> Path:
    """Return the file that holds the predictions for all patches of a scene."""
    return folder / "patches" / f"{file}.parquet"


def write_table(
    path: Path,
    patch_ids: pd.Series,
    positions: IntArray,
    probabilities: FloatArray,
    uncertainty: FloatArray,
    *,
    classes: Sequence[str],
    positive: str,
) -> None:
    """Write patch_id, probability, uncertainty and class of each patch as Parquet.

    ``patch_ids`` are those of the pool, of which the patches are at ``positions`` ``(n,)``;
    ``probabilities`` is ``(n, classes)``, ``uncertainty`` ``(n,)``. Raises RunError if the disk is
    full or the folder cannot be written.
    """
    names = np.array(classes, dtype=object)
    schema = pa.schema(
        {
            "patch_id": pa.large_string(),
            "probability": pa.float32(),
            "uncertainty": pa.float32(),
            "class": pa.string(),
        }
    )
    with writing_file(path) as partial, pq.ParquetWriter(partial, schema) as writer:
        for start in range(0, len(positions), _ROWS):
            rows = slice(start, start + _ROWS)
            columns = {
                "patch_id": patch_ids.iloc[positions[rows]],
                "probability": probabilities[rows, list(classes).index(positive)],
                "uncertainty": uncertainty[rows],
                "class": names[probabilities[rows].argmax(axis=1)],
            }
            writer.write_table(pa.table(columns, schema=schema))


def read_table(path: Path, positions: IntArray) -> Iterator[tuple[IntArray, pd.DataFrame]]:
    """Yield probability, uncertainty and class of some patches after others, with their positions.

    ``positions`` ``(n,)`` are those that were given to ``write_table``. Raises RunError if the
    table is missing or damaged.
    """
    done = 0
    try:
        columns = ["probability", "uncertainty", "class"]
        for batch in pq.ParquetFile(path).iter_batches(_ROWS, columns=columns):
            yield positions[done : done + len(batch)], batch.to_pandas()
            done += len(batch)
        if done != len(positions):
            raise ValueError(f"{done} rows of {len(positions)} patches")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RunError(
            f"{path} is damaged", remedy="run `owl-geo predict RUN --overwrite`"
        ) from error


def most_probable(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the ``count`` rows of highest probability, highest first, ties in their order."""
    order = np.argsort(-table["probability"].to_numpy(), kind="stable")[:count]
    return table.iloc[order]


def write_patches(
    path: Path, patches: gpd.GeoDataFrame, *, positive: str, concepts: Sequence[str]
) -> None:
    """Write patches, the most probable first, as the layer ``predictions`` of a GeoPackage.

    ``patches`` has patch_id, probability, uncertainty, class, label (None where nobody answered), a
    column per name in ``concepts``, scene, scene_crs, and footprints. The file opens styled in QGIS
    and replaces an existing one. A concept that has the name of another column gets ``_`` appended.
    Raises RunError if the disk is full or the folder cannot be written.
    """
    columns: dict[str, object] = {"rank": np.arange(1, len(patches) + 1, dtype=np.int64)}
    for name in ("probability", "uncertainty"):
        columns[name] = patches[name].to_numpy(dtype=np.float64)
    renamed = free_names(concepts, {*_BEFORE, *_AFTER, gpkg.FEATURE_ID, gpkg.GEOMETRY})
    columns |= {name: gpkg.typed(patches[name]) for name in _BEFORE if name not in columns}
    data = {
        **{name: columns[name] for name in _BEFORE},
        **{new: gpkg.typed(patches[old]) for old, new in renamed.items()},
        **{name: gpkg.typed(patches[name]) for name in _AFTER},
    }
    frame = gpd.GeoDataFrame(data, geometry=patches.geometry.array, crs=patches.crs)
    style = patches_style(list(data), positive, list(renamed.values()))

    def add_style(connection: sqlite3.Connection) -> None:
        about = f"coloured by the probability of {positive}"
        gpkg.add_style(connection, LAYER, style, name="owl-geo predictions", about=about)

    with writing_file(path) as partial:
        try:
            gpkg.create(partial, frame, LAYER, spatial_index=True, finish=add_style)
        except sqlite3.Error as error:
            raise OSError(str(error)) from error


def free_names(concepts: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """Return a column name for each concept, none of those ``taken``, which are in lower case.

    Names in SQLite are case-insensitive.
    """
    taken, names = set(taken), {}
    for concept in concepts:
        name = concept
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        names[concept] = name
    return names
