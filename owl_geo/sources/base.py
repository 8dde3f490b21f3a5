"""What every patch source promises, and the one way its index is laid out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS, Transformer

from owl_geo import grid as grids_
from owl_geo.errors import SourceError
from owl_geo.types import FloatArray, IntArray, SceneGrid

GEOGRAPHIC = "EPSG:4326"


@runtime_checkable
class PatchSource(Protocol):
    """Where patches come from; nothing downstream asks which kind of source it has."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the second axis of ``read``."""

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """The pixel grid of each scene, by scene name."""

    @property
    def index(self) -> gpd.GeoDataFrame:
        """All patches in reading order: patch_id, scene, row_off, col_off, valid_fraction, any
        concept the source itself gives, and geometry (the footprint, in one CRS)."""

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return float32 ``(n, bands, height, width)``, finite, in the order of ``ids``.

        Raises SourceError for an id that is not in the index or pixels that cannot be read.
        """

    def stream(
        self, ids: Sequence[str] | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[list[str], FloatArray]]:
        """Yield ``(ids, patches)``, at most ``batch_size`` at a time, in the order of the index.

        All patches, or those of ``ids`` in whatever order they are given; memory stays bounded.
        """


def build_index(
    grids: Mapping[str, SceneGrid],
    windows: Mapping[str, tuple[IntArray, IntArray]],
    size: int,
    columns: Mapping[str, Sequence[object]],
) -> gpd.GeoDataFrame:
    """Lay out a source's index: scene by scene, each with its windows in the order given.

    ``windows`` has ``(row_off, col_off)`` per scene; ``columns`` has further columns over all
    patches. Footprints are in the scenes' own CRS where they share one, else in EPSG:4326.
    """
    crs_names = {CRS.from_user_input(grid.crs) for grid in grids.values()}
    common = crs_names.pop() if len(crs_names) == 1 else CRS.from_user_input(GEOGRAPHIC)
    parts = []
    for name, (row_off, col_off) in windows.items():
        grid = grids[name]
        points = grids_.corners(grid, row_off, col_off, size)  # (n, 4, 2)
        if CRS.from_user_input(grid.crs) != common:
            to_common = Transformer.from_crs(grid.crs, common, always_xy=True)
            points = np.stack(to_common.transform(points[..., 0], points[..., 1]), axis=-1)
        parts.append(
            pd.DataFrame(
                {
                    "patch_id": grids_.patch_ids(name, row_off, col_off),
                    "scene": name,
                    "row_off": row_off,
                    "col_off": col_off,
                    "geometry": shapely.polygons(points),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    for name, values in columns.items():
        table[name] = values
    order = ["patch_id", "scene", "row_off", "col_off", *columns, "geometry"]
    return gpd.GeoDataFrame(table[order], geometry="geometry", crs=common)


def positions_of(index: gpd.GeoDataFrame, ids: Sequence[str]) -> IntArray:
    """Return the row of each id in the index, ``(n,)``; raises SourceError for an unknown id."""
    positions = pd.Index(index["patch_id"]).get_indexer(pd.Index(ids))
    if (positions < 0).any():
        unknown = ids[int(np.argmax(positions < 0))]
        raise SourceError(f"no patch {unknown!r} in the index of {len(index)} patches")
    return np.asarray(positions, dtype=np.int64)
