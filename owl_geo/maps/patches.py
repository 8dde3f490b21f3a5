"""Predictions as tables: every patch of a scene, and the most probable patches of all scenes."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow

from owl_geo.disk import gpkg
from owl_geo.disk.atomic import disk_errors, writing_file
from owl_geo.errors import RunError
from owl_geo.maps.outputs import FinishedScenes, Output
from owl_geo.maps.style import patches_style
from owl_geo.types import FloatArray

LAYER = "predictions"
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
    patch_ids: Sequence[str],
    probabilities: FloatArray,
    uncertainty: FloatArray,
    *,
    classes: Sequence[str],
    positive: str,
) -> None:
    """Write patch_id, probability, uncertainty and class of each patch as Parquet.

    ``probabilities`` is ``(n, classes)``, ``uncertainty`` ``(n,)``. Raises RunError if the disk is
    full or the folder cannot be written.
    """
    names = np.array(classes, dtype=object)
    table = pd.DataFrame(
        {
            "patch_id": list(patch_ids),
            "probability": probabilities[:, list(classes).index(positive)],
            "uncertainty": uncertainty,
            "class": names[probabilities.argmax(axis=1)],
        }
    )
    with writing_file(path) as partial:
        table.to_parquet(partial, index=False)


def read_table(path: Path) -> pd.DataFrame:
    """Read what ``write_table`` wrote; raises RunError if it is missing or damaged."""
    try:
        return pd.read_parquet(path, columns=["patch_id", "probability", "uncertainty", "class"])
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise RunError(
            f"{path} is damaged", remedy="run `owl-geo predict` with --overwrite"
        ) from error


def most_probable(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the ``count`` rows of highest probability, highest first, ties in their order."""
    order = np.argsort(-table["probability"].to_numpy(), kind="stable")[:count]
    return table.iloc[order].reset_index(drop=True)


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
    data = {
        **{
            name: columns.get(name, gpkg.typed(patches[name])) for name in _BEFORE if name != "rank"
        },
        **{new: gpkg.typed(patches[old]) for old, new in renamed.items()},
        **{name: gpkg.typed(patches[name]) for name in _AFTER},
    }
    data = {"patch_id": data.pop("patch_id"), "rank": columns["rank"], **data}
    frame = gpd.GeoDataFrame(data, geometry=patches.geometry.array, crs=patches.crs)
    style = patches_style(list(data), positive, list(renamed.values()))

    def add_style(connection: sqlite3.Connection) -> None:
        about = f"coloured by the probability of {positive}"
        gpkg.add_style(connection, LAYER, style, name="owl-geo predictions", about=about)

    with disk_errors(path):
        partial = path.with_name(f".{path.stem}.partial{path.suffix}")
        partial.unlink(missing_ok=True)
        try:
            gpkg.create(partial, frame, LAYER, spatial_index=True, finish=add_style)
            partial.replace(path)
        except sqlite3.Error as error:
            raise OSError(str(error)) from error
        finally:
            partial.unlink(missing_ok=True)


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
