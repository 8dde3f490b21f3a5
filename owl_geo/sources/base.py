"""What every patch source promises, and the one way its index is laid out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from owl_geo import grid as grids_
from owl_geo.errors import SourceError
from owl_geo.projections import GEOGRAPHIC, crs_of, transformer
from owl_geo.types import AnyArray, FloatArray, IntArray, SceneGrid


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
    columns: Mapping[str, Sequence[object] | AnyArray],
) -> gpd.GeoDataFrame:
    """Lay out a source's index: scene by scene, each with its windows in the order given.

    ``windows`` has ``(row_off, col_off)`` per scene; ``columns`` has further columns over all
    patches. Footprints are in the scenes' own CRS where they share one, else in EPSG:4326.
    """
    common = common_crs(grids.values())
    footprints, ids, scene = [], [], []
    for name, (row_off, col_off) in windows.items():
        footprints.append(_footprints(grids[name], row_off, col_off, size, common))
        ids += grids_.patch_ids(name, row_off, col_off)
        scene += [name] * len(row_off)
    rows, cols = zip(*windows.values(), strict=True)
    table = {
        "patch_id": ids,
        "scene": scene,
        "row_off": np.concatenate(rows),
        "col_off": np.concatenate(cols),
        **columns,
    }
    geometry = np.concatenate(footprints)
    return gpd.GeoDataFrame(pd.DataFrame(table), geometry=geometry, crs=common)


def common_crs(grids: Iterable[SceneGrid]) -> CRS:
    """Return the CRS that footprints of these scenes are in: theirs, or EPSG:4326 of several."""
    known = {crs_of(text) for text in {grid.crs for grid in grids}}
    return known.pop() if len(known) == 1 else crs_of(GEOGRAPHIC)


def relaid(
    index: gpd.GeoDataFrame, grids: Mapping[str, SceneGrid], size: int, crs: CRS
) -> gpd.GeoDataFrame:
    """Return the index with footprints in another CRS, made from the windows as at first."""
    if index.crs == crs:
        return index
    footprints: AnyArray = np.full(len(index), None, dtype=object)
    row_off = index["row_off"].to_numpy(dtype=np.int64)
    col_off = index["col_off"].to_numpy(dtype=np.int64)
    for name, rows in index.groupby("scene", sort=False).indices.items():
        footprints[rows] = _footprints(grids[name], row_off[rows], col_off[rows], size, crs)
    return index.set_geometry(gpd.GeoSeries(footprints, index.index, crs=crs))


def _footprints(
    grid: SceneGrid, row_off: IntArray, col_off: IntArray, size: int, crs: CRS
) -> AnyArray:
    corners = grids_.corners(grid, row_off, col_off, size)  # (n, 4, 2)
    own = crs_of(grid.crs)
    if own != crs:
        placed = transformer(own, crs).transform(corners[..., 0], corners[..., 1])
        corners = np.stack(placed, axis=-1)
    return np.asarray(shapely.polygons(corners))


def positions_of(index: gpd.GeoDataFrame, ids: Sequence[str]) -> IntArray:
    """Return the row of each id in the index, ``(n,)``; raises SourceError for an unknown id."""
    positions = pd.Index(index["patch_id"]).get_indexer(pd.Index(ids))
    if (positions < 0).any():
        unknown = ids[int(np.argmax(positions < 0))]
        raise SourceError(f"no patch {unknown!r} in the index of {len(index)} patches")
    return np.asarray(positions, dtype=np.int64)
