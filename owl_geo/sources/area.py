"""The area of interest: polygons in any CRS that a patch's centre must lie in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import shapely
from pyproj import CRS

from owl_geo.disk.presence import exists
from owl_geo.errors import SourceError, where_instead
from owl_geo.ground.accuracy import warn_if_inaccurate
from owl_geo.ground.crs import GEOGRAPHIC, crs_of, leads_nowhere, turns_of
from owl_geo.ground.grid import bounds
from owl_geo.ground.raster_files import check_is_file
from owl_geo.ground.tiling import tile
from owl_geo.ground.transformations import transformer
from owl_geo.ground.vector import UNREADABLE, read_table, reason, repaired
from owl_geo.ground.vector_files import list_layers
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.settings.paths import is_local
from owl_geo.types import BoolArray, SceneGrid
from owl_geo.wording import as_typed, counted

if TYPE_CHECKING:
    from owl_geo.sources.unopened import TiledSettings


class AreaOfInterest:
    """Polygons of a vector file.

    Raises SourceError where the file cannot be read, has no CRS, or has no polygon.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        check_is_file(self.path, SourceError)
        file, mark, layer = self.path.partition("|layername=")  # as QGIS names a layer of a file
        if mark and exists(file):
            raise SourceError(
                f"the area of interest is a file with one layer, not {self.path}",
                remedy=_saved_alone(file, layer),
            )
        try:
            # a GeoPackage may have tables beside its layer, such as QGIS's styles
            layers = [name for name, kind in list_layers(self.path) if kind is not None]
            if len(layers) > 1:
                raise SourceError(
                    f"the area of interest {self.path} has several layers: {', '.join(layers)}",
                    remedy=_saved_alone(self.path, "LAYER"),
                )
            table = read_table(self.path, layer=next(iter(layers), None), columns=[], force_2d=True)
        except UNREADABLE as error:
            is_gone = is_local(self.path) and not exists(self.path)
            raise SourceError(
                f"cannot read the area of interest {self.path}: {reason(error)}",
                remedy=where_instead(self.path) if is_gone else "",
            ) from error
        if not isinstance(table, gpd.GeoDataFrame):
            raise SourceError(f"the area of interest {self.path} has no geometry")
        if table.crs is None:
            raise SourceError(
                f"the area of interest {self.path} has no CRS", remedy="assign one first"
            )
        fault = leads_nowhere(table.crs)
        if fault:
            raise SourceError(
                f"the area of interest {self.path}: {fault}", remedy="assign the right one first"
            )
        self._crs: CRS = table.crs
        shapes = repaired(table.geometry.to_numpy())
        area = shapely.union_all([shape for shape in shapes if shape is not None])
        if not area.area > 0:
            raise SourceError(
                f"the area of interest {self.path} has no polygon "
                f"({counted(len(table), 'feature')})",
                remedy="draw some in QGIS, or leave it out",
            )
        shapely.prepare(area)
        self._area = area
        self._is_compared = False  # with the first scene that is asked about

    def contains_centres(self, windows: Windows) -> BoolArray:
        """Return which windows of a scene have their centre within the area, ``(n,)``."""
        if not self._is_compared:
            warn_if_inaccurate(f"the area of interest {self.path}", self._crs, [windows])
            self._is_compared = True
        # centres go to the area's CRS, where its edges are straight
        centres = windows.centres_in(self._crs)
        inside = [
            shapely.contains_xy(self._area, centres + np.array([turn, 0]))
            for turn in turns_of(self._crs)
        ]
        return np.asarray(np.any(inside, axis=0))

    def elsewhere(self, grids: Iterable[SceneGrid]) -> str:
        """Return the extents of the area and of the scenes, for a message."""
        area = _lonlat(self._crs, *shapely.bounds(self._area).tolist())
        scenes = np.array([_lonlat(crs_of(g.crs), *bounds(g)) for g in grids])
        extent = (*scenes[:, :2].min(axis=0), *scenes[:, 2:].max(axis=0))
        return (
            f"the area of interest {self.path} covers {_degrees(area)}, "
            f"the scenes cover {_degrees(extent)}"
        )


def _saved_alone(file: str, layer: str) -> str:
    """Return how a layer becomes a file of its own, of which the others are no part."""
    command = f"ogr2ogr aoi.gpkg {as_typed(file)} {as_typed(layer)}"
    return f"save the one you mean as a file of its own, for example with `{command}`"


def windows_in_area(grids: Mapping[str, SceneGrid], settings: TiledSettings) -> PoolWindows:
    """Return the windows that scenes are cut into, with their centre in the area if there is one.

    Raises SourceError where the area cannot be read.
    """
    area = AreaOfInterest(settings.aoi) if settings.aoi else None
    size, stride = settings.patch_size, settings.stride or settings.patch_size
    cut = [tile(grid, size, stride).windows for grid in grids.values()]
    inside = cut if area is None else [part.take(area.contains_centres(part)) for part in cut]
    return PoolWindows(
        grids,
        scene=np.repeat(np.arange(len(inside)), [len(part) for part in inside]),
        row_off=np.concatenate([part.row_off for part in inside]),
        col_off=np.concatenate([part.col_off for part in inside]),
        patch_size=size,
    )


def _lonlat(
    crs: CRS, x_min: float, y_min: float, x_max: float, y_max: float
) -> tuple[float, float, float, float]:
    to_lonlat = transformer(crs, crs_of(GEOGRAPHIC))
    west, south, east, north = to_lonlat.transform_bounds(x_min, y_min, x_max, y_max)
    return west, south, east, north


def _degrees(extent: Iterable[float]) -> str:
    west, south, east, north = extent
    return f"lon {west:.4f} to {east:.4f}, lat {south:.4f} to {north:.4f}"
