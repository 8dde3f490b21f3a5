"""Maps of patches as georeferenced arrays, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from pyproj import CRS
from rasterio.errors import RasterioError

from owl_geo.errors import RunError
from owl_geo.ground.grid import to_xy
from owl_geo.maps.cell_map import cell_maps
from owl_geo.maps.outputs import Legend, ScenePrediction
from owl_geo.types import AnyArray, SceneGrid

if TYPE_CHECKING:
    import xarray


def to_dataarray(values: AnyArray, grid: SceneGrid, bands: Sequence[str]) -> xarray.DataArray:
    """Return ``values`` ``(bands, height, width)`` with the coordinates of their grid.

    Dimensions are band, y and x, with the cell centres as ``x`` and ``y``; on a rotated grid, whose
    rows are not lines of equal y, they are ``xc`` and ``yc`` over both dimensions. The CRS and the
    transform are in ``spatial_ref``, where CF conventions and rioxarray look for them.
    """
    import xarray

    crs = CRS.from_user_input(grid.crs)
    a, b, c, d, e, f = grid.transform
    reference = {
        **crs.to_cf(),
        "spatial_ref": crs.to_wkt(),
        "GeoTransform": f"{c} {a} {b} {f} {d} {e}",
    }
    array = xarray.DataArray(
        values,
        dims=("band", "y", "x"),
        coords={
            "band": list(bands),
            **_centres(grid, crs),
            "spatial_ref": xarray.Variable((), 0, reference),
        },
    )
    array.encoding["grid_mapping"] = "spatial_ref"
    return array


def _centres(grid: SceneGrid, crs: CRS) -> dict[str, tuple[object, AnyArray, dict[str, str]]]:
    row = np.arange(grid.height) + 0.5
    col = np.arange(grid.width) + 0.5
    kind = "longitude" if crs.is_geographic else "projection_x_coordinate"
    other = "latitude" if crs.is_geographic else "projection_y_coordinate"
    about_x = {"axis": "X", "standard_name": kind}
    about_y = {"axis": "Y", "standard_name": other}
    _, b, _, d, _, _ = grid.transform
    if b == d == 0:
        x = to_xy(grid, np.zeros_like(col), col)[:, 0]
        y = to_xy(grid, row, np.zeros_like(row))[:, 1]
        return {"y": ("y", y, about_y), "x": ("x", x, about_x)}
    xy = to_xy(grid, row[:, None] + 0 * col, col + 0 * row[:, None])
    return {
        "yc": (("y", "x"), xy[..., 1], about_y),
        "xc": (("y", "x"), xy[..., 0], about_x),
    }


def read_maps(folder: Path, file: str, legend: Legend) -> xarray.Dataset:
    """Read the maps of a scene: probability and uncertainty as float32, class as uint8, and others.

    Each is a DataArray ``(y, x)`` with coordinates and CRS. Cells without a patch are not-a-number,
    and 255 in the class map. Raises RunError if a file is missing or damaged.
    """
    files = {output.name: _read(output.path(folder, file)) for output in cell_maps()}
    grid = next(grid for _, grid in files.values())  # all files share one grid
    return _maps({name: values for name, (values, _) in files.items()}, grid, legend)


def _read(path: Path) -> tuple[AnyArray, SceneGrid]:
    try:
        with rasterio.open(path) as dataset:
            transform = tuple(dataset.transform)[:6]
            crs = dataset.crs.to_wkt()
            grid = SceneGrid(path.stem, crs, transform, dataset.height, dataset.width)
            return dataset.read(), grid
    except RasterioError as error:
        raise RunError(
            f"{path} is missing or damaged", remedy="run `owl-geo predict RUN --overwrite`"
        ) from error


def maps_of(prediction: ScenePrediction, legend: Legend) -> xarray.Dataset:
    """Return what ``predict`` would write and ``read_maps`` read, without writing files."""
    arrays = {output.name: output.array(prediction, legend) for output in cell_maps()}
    return _maps(arrays, prediction.cells.grid, legend)


def _maps(arrays: Mapping[str, AnyArray], grid: SceneGrid, legend: Legend) -> xarray.Dataset:
    """Combine the bands of all maps into one dataset."""
    import xarray

    maps = xarray.Dataset()
    for output in cell_maps():
        bands = to_dataarray(arrays[output.name], grid, output.bands).to_dataset(dim="band")
        maps = maps.assign({name: bands[name] for name in output.bands})
        for band, attributes in output.attributes(legend).items():
            maps[band].attrs = dict(attributes)
    for array in maps.values():
        array.encoding["grid_mapping"] = "spatial_ref"
    maps.attrs = {"classes": list(legend.classes), "positive": legend.positive}
    return maps
