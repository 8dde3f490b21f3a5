#!/usr/bin/env bash
# xarray 2026.9.0, rasterix 0.2.4, numpy 2.4.6, affine 3.0.1 (Python 3.11).
#
# For large rasters xarray has indexes that compute a pixel from a coordinate instead of holding the coordinates of all:
# its own RangeIndex, and RasterIndex of rasterix. sel(method="nearest") takes the nearest pixel, so one expects a point
# left of the raster to get its first column, as with an index of coordinates, or an error. Instead the position that is
# computed is negative, and counts from the end as in numpy: 5 m west of the raster one gets its easternmost column, the
# farthest instead of the nearest, and north of it the southernmost row. East and south of it one gets an IndexError, so
# that it takes a point on these sides to notice. A box that lies 100 to 300 m west of the raster has all but ten of its
# columns with RangeIndex (RasterIndex is right here).
#
# Labelled points are looked up like this, and some lie just outside the scene. Each of them is then learned with the
# features of the opposite border. A tolerance does not help: RangeIndex refuses it, RasterIndex ignores it. The way
# out is to compare the points with the bounds first.
#
# Output as seen, for a raster of 100 x 100 pixels of 10 m; "nearest" is computed by numpy from the distances:
#   column at a point    nearest  coordinates  RangeIndex  RasterIndex
#   in the middle        50       50           50          50
#   5 m west             0        0            99          99
#   205 m west           0        0            79          79
#   5 m east             99       99           IndexError  IndexError
#   5 m west, within 5   none     KeyError     ValueError  99
#   row at a point       nearest  coordinates  RangeIndex  RasterIndex
#   5 m north            0        0            99          99
#   5 m south            99       99           IndexError  IndexError
#   columns in a box     inside   coordinates  RangeIndex  RasterIndex
#   100 to 300 m west    0        0            90          0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  xarray==2026.9.0 rasterix==0.2.4 numpy==2.4.6 affine==3.0.1
"$folder/venv/bin/python" -W ignore - >"$folder/now" <<'PYTHON'
import numpy as np
import xarray as xr
from affine import Affine
from rasterix import RasterIndex
from xarray.indexes import RangeIndex

X = 500_005 + 10.0 * np.arange(100)
Y = 4_999_995 - 10.0 * np.arange(100)
ROWS, COLUMNS = np.mgrid[:100, :100]
PIXELS = {"row": (("y", "x"), ROWS), "column": (("y", "x"), COLUMNS)}
x_range = RangeIndex.arange(500_005, 501_005, 10, dim="x")
y_range = RangeIndex.arange(4_999_995, 4_998_995, -10, dim="y")
ranges = xr.Coordinates.from_xindex(x_range) | xr.Coordinates.from_xindex(y_range)
grid = Affine(10, 0, 500_000, 0, -10, 5_000_000)
raster_index = RasterIndex.from_transform(grid, width=100, height=100)
RASTERS = (
    xr.Dataset(PIXELS, {"y": Y, "x": X}),
    xr.Dataset(PIXELS, ranges),
    xr.Dataset(PIXELS, xr.Coordinates.from_xindex(raster_index)),
)
for raster in RASTERS:
    assert np.array_equal(raster.x, X) and np.array_equal(raster.y, Y)


def at(raster, what, x, y, **tolerance):
    point = {"x": xr.DataArray([x], dims="point"), "y": xr.DataArray([y], dims="point")}
    try:
        return raster.sel(point, method="nearest", **tolerance)[what].item()
    except (IndexError, KeyError, ValueError) as error:
        return type(error).__name__


def line(*words):
    print("{:<20} {:<8} {:<12} {:<11} {}".format(*words))


HEADS = ("coordinates", "RangeIndex", "RasterIndex")
MIDDLE = 500_505, 4_999_495
line("column at a point", "nearest", *HEADS)
for where, x in (
    ("in the middle", MIDDLE[0]),
    ("5 m west", 499_995),
    ("205 m west", 499_795),
    ("5 m east", 501_005),
):
    line(where, abs(X - x).argmin(), *(at(raster, "column", x, MIDDLE[1]) for raster in RASTERS))
line("5 m west, within 5", "none", *(at(raster, "column", 499_995, MIDDLE[1], tolerance=5) for raster in RASTERS))
line("row at a point", "nearest", *HEADS)
for where, y in (("5 m north", 5_000_005), ("5 m south", 4_998_995)):
    line(where, abs(Y - y).argmin(), *(at(raster, "row", MIDDLE[0], y) for raster in RASTERS))
line("columns in a box", "inside", *HEADS)
box = slice(499_700, 499_900)
inside = ((X >= box.start) & (X <= box.stop)).sum()
line(
    "100 to 300 m west",
    inside,
    *(raster.sel(x=box, method=method).sizes["x"] for raster, method in zip(RASTERS, (None, "nearest", None))),
)
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
