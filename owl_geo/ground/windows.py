"""Square windows of scenes as values: what a patch is before its pixels are read.

``Windows`` are those of one scene, ``PoolWindows`` those of many, row by row as in an index. Both
hold only offsets, and compute corners, centres and polygons on demand: a million polygons take more
memory than everything else that a run keeps about a million patches, and follow from two numbers
and the scene's grid. So windows are cheap to keep, and to send to another process.

Rows and columns are whole pixels, counted from the scene's first row and column, and are passed by
keyword, so that they cannot be swapped. Coordinates are x before y, whatever the axis order of the
CRS, in its units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS

from owl_geo.ground.crs import Place, crs_of, place_of
from owl_geo.ground.grid import refined, to_xy
from owl_geo.ground.transformations import metres_from_earth_centre, reproject
from owl_geo.types import AnyArray, BoolArray, IntArray, SceneGrid

Points = NDArray[np.float64]  # (..., 2), x before y
Rows = slice | IntArray | BoolArray  # which of n windows: a slice, positions, or a mask


@dataclass(frozen=True, eq=False)
class Windows:
    """n square windows of one scene, in any order; they may overlap.

    Args:
        grid: the pixel grid of the scene.
        row_off: first row of each window, pixels ``(n,)``.
        col_off: first column of each window, pixels ``(n,)``.
        patch_size: height and width of each window in pixels.

    Raises TypeError for offsets that are not whole numbers, and ValueError for offsets that differ
    in shape or windows without a pixel.
    """

    grid: SceneGrid
    _: KW_ONLY
    row_off: IntArray
    col_off: IntArray
    patch_size: int

    def __post_init__(self) -> None:
        for name in ("row_off", "col_off"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        _check(self.patch_size, self.row_off, self.col_off)

    def __len__(self) -> int:
        return len(self.row_off)

    @property
    def crs(self) -> CRS:
        """The scene's CRS."""
        return crs_of(self.grid.crs)

    @property
    def ids(self) -> list[str]:
        """The patch_id of each window, ``<scene>/<row_off>/<col_off>``, n strings."""
        offsets = zip(self.row_off.tolist(), self.col_off.tolist(), strict=True)
        return [f"{self.grid.name}/{row}/{col}" for row, col in offsets]

    def take(self, rows: Rows) -> Windows:
        """Return some of the windows, in the order of ``rows``."""
        return replace(self, row_off=self.row_off[rows], col_off=self.col_off[rows])

    def refined(self, factor: int) -> Windows:
        """Return the same squares of ground, each pixel split into ``factor`` x ``factor``."""
        return Windows(
            refined(self.grid, factor),
            row_off=self.row_off * factor,
            col_off=self.col_off * factor,
            patch_size=self.patch_size * factor,
        )

    def corners(self) -> Points:
        """Return the corners of each window in the scene's CRS, ``(n, 4, 2)``.

        They are upper left, upper right, lower right and lower left in pixel space, however the
        map is oriented.
        """
        size = self.patch_size
        row = self.row_off[:, None] + np.array([0, 0, size, size])
        col = self.col_off[:, None] + np.array([0, size, size, 0])
        return to_xy(self.grid, row.astype(np.float64), col.astype(np.float64))

    @property
    def place(self) -> Place | None:
        """Longitude and latitude of the scene's centre, roughly; None if it is not on Earth."""
        row, col = np.array(self.grid.height / 2), np.array(self.grid.width / 2)
        return place_of(self.crs, *to_xy(self.grid, row, col).tolist())

    def corners_in(self, crs: CRS) -> Points:
        """Return the corners in another CRS, ``(n, 4, 2)``, infinite outside its domain."""
        return reproject(self.corners(), self.crs, crs, self.place)

    def centres(self) -> Points:
        """Return the centre of each window in the scene's CRS, ``(n, 2)``."""
        half = self.patch_size / 2
        return to_xy(self.grid, self.row_off + half, self.col_off + half)

    def centres_in(self, crs: CRS) -> Points:
        """Return the centres in another CRS, ``(n, 2)``, infinite outside its domain."""
        return reproject(self.centres(), self.crs, crs, self.place)

    def footprints(self) -> AnyArray:
        """Return the polygon of each window in the scene's CRS, shapely objects ``(n,)``."""
        return np.asarray(shapely.polygons(self.corners()))

    def bounds(self) -> tuple[float, float, float, float]:
        """Return the extent of all windows in the scene's CRS: minimum x and y, maximum x and y.

        Raises ValueError if there is no window.
        """
        corners = self.corners().reshape(-1, 2)
        (x_min, y_min), (x_max, y_max) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return x_min, y_min, x_max, y_max


@dataclass(frozen=True, eq=False)
class PoolWindows:
    """n square windows of many scenes, row by row as in an index.

    Args:
        grids: the pixel grid of each scene by name, including scenes that have no window here.
        scene: the scene of each window, as a position in ``grids``, ``(n,)``.
        row_off: first row of each window, pixels of its scene ``(n,)``.
        col_off: first column of each window, pixels of its scene ``(n,)``.
        patch_size: height and width of each window in pixels.

    Raises as ``Windows`` does.
    """

    grids: Mapping[str, SceneGrid]
    _: KW_ONLY
    scene: IntArray
    row_off: IntArray
    col_off: IntArray
    patch_size: int

    def __post_init__(self) -> None:
        for name in ("scene", "row_off", "col_off"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        _check(self.patch_size, self.row_off, self.col_off, self.scene)

    @classmethod
    def from_index(
        cls, index: pd.DataFrame, grids: Mapping[str, SceneGrid], patch_size: int
    ) -> PoolWindows:
        """Return the window of each row of a patch index with scene, row_off and col_off.

        Raises KeyError for a scene that ``grids`` lacks.
        """
        position = {name: number for number, name in enumerate(grids)}
        codes, names = pd.factorize(index["scene"], use_na_sentinel=False)
        numbers = np.array([position[name] for name in names], dtype=np.int64)
        return cls(
            dict(grids),
            # of a single scene, one number stands for millions
            scene=np.broadcast_to(numbers, len(index)) if len(names) == 1 else numbers[codes],
            row_off=index["row_off"].to_numpy(dtype=np.int64),
            col_off=index["col_off"].to_numpy(dtype=np.int64),
            patch_size=patch_size,
        )

    def __len__(self) -> int:
        return len(self.row_off)

    @property
    def ids(self) -> list[str]:
        """The patch_id of each window, ``<scene>/<row_off>/<col_off>``, n strings."""
        names = list(self.grids)
        columns = (self.scene.tolist(), self.row_off.tolist(), self.col_off.tolist())
        return [f"{names[code]}/{row}/{col}" for code, row, col in zip(*columns, strict=True)]

    def take(self, rows: Rows) -> PoolWindows:
        """Return some of the windows, in the order of ``rows``; the grids stay the same."""
        return replace(
            self, scene=self.scene[rows], row_off=self.row_off[rows], col_off=self.col_off[rows]
        )

    def joined(self, other: PoolWindows) -> PoolWindows:
        """Return these windows and behind them others of the same size.

        Scenes of one name must have one grid. Raises ValueError for other sizes.
        """
        if other.patch_size != self.patch_size:
            raise ValueError(f"windows of {self.patch_size} and of {other.patch_size} pixels")
        grids = {**self.grids, **other.grids}
        position = {name: number for number, name in enumerate(grids)}
        scene = np.array([position[name] for name in other.grids], dtype=np.int64)[other.scene]
        return PoolWindows(
            grids,
            scene=np.concatenate([self.scene, scene]),
            row_off=np.concatenate([self.row_off, other.row_off]),
            col_off=np.concatenate([self.col_off, other.col_off]),
            patch_size=self.patch_size,
        )

    def shifted_down(self, pixels: int) -> PoolWindows:
        """Return the windows moved ``pixels`` rows away from the first row of their scenes."""
        return replace(self, row_off=self.row_off + pixels)

    def of_scene(self, name: str) -> Windows:
        """Return the windows of one scene; raises KeyError where ``grids`` lacks it."""
        grid = self.grids[name]
        here = self.scene == list(self.grids).index(name)
        return self._within(grid, slice(None) if here.all() else here)

    def by_scene(self) -> Iterator[tuple[IntArray, Windows]]:
        """Yield each scene's windows with their positions among these n, each ``(k,)``.

        Scenes come in the order of their first windows; scenes without windows are left out.
        """
        grids = list(self.grids.values())
        if len(self) and (self.scene == self.scene[0]).all():  # of millions, none is copied
            yield (
                np.arange(len(self), dtype=np.int64),
                self._within(grids[self.scene[0]], slice(None)),
            )
            return
        codes, scenes = pd.factorize(self.scene)
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(scenes)))
        for scene, positions in zip(scenes, np.split(order, ends)[:-1], strict=True):
            yield positions, self._within(grids[scene], positions)

    def runs(self) -> Iterator[Windows]:
        """Yield stretches of consecutive windows that belong to one scene."""
        grids = list(self.grids.values())
        starts = np.flatnonzero(np.diff(self.scene, prepend=-1)).tolist()
        for start, stop in zip(starts, [*starts, len(self)][1:], strict=True):
            yield self._within(grids[self.scene[start]], slice(start, stop))

    def corners_in(self, crs: CRS) -> Points:
        """Return the corners of each window in one CRS, ``(n, 4, 2)``, as ``Windows`` does."""
        corners = np.empty((len(self), 4, 2))
        for positions, windows in self.by_scene():
            corners[positions] = windows.corners_in(crs)
        return corners

    def centres_in(self, crs: CRS) -> Points:
        """Return the centre of each window in one CRS, ``(n, 2)``, as ``Windows`` does."""
        centres = np.empty((len(self), 2))
        for positions, windows in self.by_scene():
            centres[positions] = windows.centres_in(crs)
        return centres

    def centres_on_earth(self) -> NDArray[np.float64]:
        """Return the centres as x, y and z in metres from the Earth's centre, ``(n, 3)``.

        So windows of scenes in different CRSs can be compared. Coordinates outside the domain of a
        CRS are infinite.
        """
        metres = np.empty((len(self), 3))
        for positions, windows in self.by_scene():
            metres[positions] = metres_from_earth_centre(windows.centres(), windows.crs)
        return metres

    def _within(self, grid: SceneGrid, rows: Rows) -> Windows:
        return Windows(
            grid,
            row_off=self.row_off[rows],
            col_off=self.col_off[rows],
            patch_size=self.patch_size,
        )


def parse_patch_id(patch_id: str) -> tuple[str, int, int]:
    """Split a patch_id into scene, first row and first column.

    Raises ValueError for a string that is not a patch_id.
    """
    scene, row, col = patch_id.rsplit("/", 2)
    return scene, int(row), int(col)


def _whole(name: str, values: ArrayLike) -> IntArray:
    """Return whole numbers as a read-only int64 array."""
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):  # coordinates, perhaps, in place of pixels
        raise TypeError(f"{name} are {array.dtype}, not whole pixels")
    whole = array.astype(np.int64, copy=False).view()
    whole.flags.writeable = False
    return whole


def _check(patch_size: int, *columns: IntArray) -> None:
    if patch_size < 1:
        raise ValueError(f"windows of {patch_size} pixels are empty")
    shapes = {column.shape for column in columns}
    if len(shapes) > 1 or columns[0].ndim != 1:
        raise ValueError(f"offsets have the shapes {sorted(shapes)}, but must share one shape (n,)")
