"""The patches of an index, scene by scene, as geometry in each scene's own CRS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.ground import grid as grids_
from owl_geo.ground.projections import GEOGRAPHIC, crs_of, transformer
from owl_geo.types import AnyArray, IntArray, SceneGrid
from owl_geo.work.workers import Workers

LON_LAT = crs_of(GEOGRAPHIC)

_AT_ONCE = 10_000  # patches


@dataclass(frozen=True)
class ScenePatches:
    """The n patches of one scene; ``positions`` are their rows in the index."""

    grid: SceneGrid
    size: int  # pixels
    positions: IntArray  # (n,)
    row_off: IntArray  # (n,)
    col_off: IntArray  # (n,)

    def cut_up(self) -> Iterator[ScenePatches]:
        """Yield the patches, some thousands at a time."""
        for start in range(0, len(self.positions), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            yield ScenePatches(
                self.grid, self.size, self.positions[part], self.row_off[part], self.col_off[part]
            )

    @cached_property
    def crs(self) -> CRS:
        """The scene's CRS."""
        return crs_of(self.grid.crs)

    @cached_property
    def corners(self) -> NDArray[np.float64]:
        """Corners in the scene's CRS, ``(n, 4, 2)``."""
        return grids_.corners(self.grid, self.row_off, self.col_off, self.size)

    @cached_property
    def footprints(self) -> AnyArray:
        """Polygons in the scene's CRS, ``(n,)``."""
        return np.asarray(shapely.polygons(self.corners))

    def corners_in(self, crs: CRS) -> NDArray[np.float64]:
        """Corners in another CRS, ``(n, 4, 2)``, infinite where they have no place in it."""
        return reproject(self.corners, self.crs, crs)

    def centres_lonlat(self) -> NDArray[np.float64]:
        """Longitude and latitude of the patches' centres in degrees, ``(n, 2)``."""
        centres = grids_.centres(self.grid, self.row_off, self.col_off, self.size)
        return reproject(centres, self.crs, LON_LAT)


@dataclass(frozen=True)
class Pool:
    """All patches of an index, scene by scene."""

    scenes: tuple[ScenePatches, ...]
    n_patches: int

    def fill(
        self,
        default: str | float,
        compute: Callable[[ScenePatches], AnyArray],
        workers: Workers,
        parts: Sequence[ScenePatches],
    ) -> AnyArray:
        """Let workers compute the values of each part; return all, in the order of the index.

        A text as default makes an object array, a number float64.
        """
        kind = object if isinstance(default, str) else np.float64
        values = np.full(self.n_patches, default, dtype=kind)
        for part, found in zip(parts, workers.map(compute, parts), strict=True):
            values[part.positions] = found
        return values

    @property
    def parts(self) -> list[ScenePatches]:
        """The scenes, large ones cut up: polygons of all their patches would fill the memory."""
        return [part for scene in self.scenes for part in scene.cut_up()]

    def centres_lonlat(self) -> NDArray[np.float64]:
        """Longitude and latitude of the patches' centres in degrees, ``(n, 2)``."""
        centres = np.empty((self.n_patches, 2))
        for scene in self.scenes:
            centres[scene.positions] = scene.centres_lonlat()
        return centres


def pool_of(index: pd.DataFrame, grids: Mapping[str, SceneGrid], patch_size: int) -> Pool:
    """Split a source's index into its scenes, in the order in which they first come."""
    codes, names = pd.factorize(index["scene"].to_numpy(dtype=object))
    row_off = index["row_off"].to_numpy(dtype=np.int64)
    col_off = index["col_off"].to_numpy(dtype=np.int64)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    scenes = [
        ScenePatches(grids[name], patch_size, rows, row_off[rows], col_off[rows])
        for name, rows in zip(names, np.split(order, ends[:-1]), strict=True)
    ]
    return Pool(tuple(scenes), len(index))


def reproject(points: NDArray[np.float64], source: CRS, target: CRS) -> NDArray[np.float64]:
    """Return points ``(..., 2)``, x before y, in another CRS; infinite where that has no place."""
    if source == target:
        return points
    there = transformer(source, target).transform(points[..., 0], points[..., 1])
    return np.stack(there, axis=-1)
