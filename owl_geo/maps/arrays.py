"""Maps of patches as arrays that know where they lie, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from pyproj import CRS
from rasterio.errors import RasterioError

from owl_geo.errors import RunError
from owl_geo.ground.grid import to_xy
from owl_geo.maps.cells import Cells, means
from owl_geo.maps.cog import BANDS, NO_CLASS
from owl_geo.types import AnyArray, FloatArray, SceneGrid

if TYPE_CHECKING:
    import xarray


def to_dataarray(values: AnyArray, grid: SceneGrid, bands: Sequence[str]) -> xarray.DataArray:
    """Return ``values`` ``(bands, height, width)`` with the coordinates of their grid.

    Dimensions are band, y and x, with the centres of the cells as ``x`` and ``y``; on a rotated
    grid, whose rows are no lines of equal y, as ``xc`` and ``yc`` over both. The CRS and the
    transform stand in ``spatial_ref``, where CF conventions and rioxarray look for them.
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


def read_maps(
    probability_path: Path, class_path: Path, *, classes: Sequence[str], positive: str
) -> xarray.Dataset:
    """Read the two maps of a scene: probability and uncertainty in float32, class in uint8.

    Each is a DataArray ``(y, x)`` with coordinates and CRS; where no patch lies, not-a-number, and
    255 as class. Raises RunError where a file is missing or damaged.
    """
    try:
        with rasterio.open(probability_path) as dataset:
            transform = tuple(dataset.transform)[:6]
            grid = SceneGrid(
                probability_path.stem,
                dataset.crs.to_wkt(),
                transform,
                dataset.height,
                dataset.width,
            )
            values = dataset.read()
        with rasterio.open(class_path) as dataset:
            best = dataset.read()
    except RasterioError as error:
        raise RunError(
            f"{probability_path} is missing or damaged; run `owl-geo predict` with --overwrite"
        ) from error
    return _maps(values, best, grid, classes, positive)


def maps_of(
    cells: Cells,
    probabilities: FloatArray,
    uncertainty: FloatArray,
    *,
    classes: Sequence[str],
    positive: str,
) -> xarray.Dataset:
    """Return what ``write_maps`` would write and ``read_maps`` read, without files between."""
    number = list(classes).index(positive)
    shape = (cells.grid.height, cells.grid.width)
    values, best = np.empty((2, *shape), np.float32), np.empty((1, *shape), np.uint8)
    for row, part in means(cells, np.column_stack([probabilities, uncertainty])):
        rows = slice(row, row + part.shape[1])
        values[:, rows] = part[[number, -1]]
        best[0, rows] = part[:-1].argmax(axis=0)
        best[0, rows][np.isnan(part[0])] = NO_CLASS
    return _maps(values, best, cells.grid, classes, positive)


def _maps(
    values: AnyArray, best: AnyArray, grid: SceneGrid, classes: Sequence[str], positive: str
) -> xarray.Dataset:
    maps = to_dataarray(values, grid, BANDS).to_dataset(dim="band")
    maps["class"] = to_dataarray(best, grid, ["class"]).squeeze("band", drop=True)
    maps["class"].attrs = {
        "_FillValue": NO_CLASS,
        "flag_values": np.arange(len(classes), dtype=np.uint8),
        "flag_meanings": " ".join(name.replace(" ", "_") for name in classes),
    }
    maps["probability"].attrs = {"long_name": f"probability of {positive}"}
    for array in maps.values():
        array.encoding["grid_mapping"] = "spatial_ref"
    maps.attrs = {"classes": list(classes), "positive": positive}
    return maps
