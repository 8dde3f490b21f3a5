"""What every patch source promises, and the one way its index is laid out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

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
    known = {crs_of(text) for text in {grid.crs for grid in grids.values()}}
    common = known.pop() if len(known) == 1 else crs_of(GEOGRAPHIC)
    points, ids, scene = [], [], []
    for name, (row_off, col_off) in windows.items():
        grid = grids[name]
        corners = grids_.corners(grid, row_off, col_off, size)  # (n, 4, 2)
        crs = crs_of(grid.crs)
        if crs != common:
            placed = transformer(crs, common).transform(corners[..., 0], corners[..., 1])
            corners = np.stack(placed, axis=-1)
        points.append(corners)
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
    footprints = shapely.polygons(np.concatenate(points))
    return gpd.GeoDataFrame(pd.DataFrame(table), geometry=footprints, crs=common)


def positions_of(index: gpd.GeoDataFrame, ids: Sequence[str]) -> IntArray:
    """Return the row of each id in the index, ``(n,)``; raises SourceError for an unknown id."""
    positions = pd.Index(index["patch_id"]).get_indexer(pd.Index(ids))
    if (positions < 0).any():
        unknown = ids[int(np.argmax(positions < 0))]
        raise SourceError(f"no patch {unknown!r} in the index of {len(index)} patches")
    return np.asarray(positions, dtype=np.int64)
