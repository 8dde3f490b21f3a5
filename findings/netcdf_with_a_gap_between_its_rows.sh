#!/usr/bin/env bash
# GDAL spreads the rows of a NetCDF file evenly over a gap, unless it is at the first, the middle or the last two of them.
#
# Seen with: rasterio 1.4.4 (its wheel has GDAL 3.10.3), rioxarray 0.19.0, xarray 2026.9.0, netCDF4 1.7.4, numpy 2.4.6,
#   Python 3.11
# Expected: a NetCDF file with rows left out (a strip of tiles that nobody has, empty rows that were dropped) is read by its
#   coordinates, or has no geotransform: GDAL "verifies that the Lat/Lon array is equally spaced", says its manual, and
#   refuses coordinates for a rounding error.
# Instead: the check looks at three steps: between the first two coordinates, the two in the middle, and the last two. A gap
#   anywhere else passes, and the pixel size becomes the mean step. With 40 of 256 rows missing, pixels of 10 m are said
#   to be 11.86 m high, and rows lie up to 214 m from where the file says they do. rioxarray.open_rasterio is given the
#   coordinates by GDAL and has the same; xarray.open_dataset has the right ones, and rio.to_raster() of that spreads them
#   over the gap in its turn, wherever it is. No warning is given.
# Output as seen:
#   farthest a row is off by    rasterio  open_rasterio xarray  to_raster
#   256 rows                    0 m       0 m           0 m     0 m
#   without rows 1 to 40        no place  no place      0 m     398 m
#   without rows 109 to 148     no place  no place      0 m     201 m
#   without rows 100 to 139     214 m     214 m         0 m     214 m
#   warnings of the last: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet rasterio==1.4.4 rioxarray==0.19.0 xarray==2026.9.0 netCDF4==1.7.4 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import warnings

import numpy as np
import pyproj
import rasterio
import rioxarray
import xarray as xr

Y = 5_000_000 - 5 - 10.0 * np.arange(256)
X = 500_000 + 5 + 10.0 * np.arange(100)
UNITS = {"units": "m"}


def written(rows):
    """Write and return the given rows; each pixel holds the coordinate of its row."""
    y = Y[rows]
    content = xr.Dataset(
        {"red": (("y", "x"), np.repeat(y[:, None], len(X), axis=1), {"grid_mapping": "crs"})},
        {
            "y": ("y", y, UNITS | {"standard_name": "projection_y_coordinate"}),
            "x": ("x", X, UNITS | {"standard_name": "projection_x_coordinate"}),
            "crs": ((), 0, pyproj.CRS(32631).to_cf()),
        },
    )
    content.to_netcdf("cube.nc")
    return content


def off(path):
    """Return how far from their own coordinate GDAL puts rows, in metres, None if it puts them nowhere."""
    with rasterio.open(path) as file:
        if file.transform.is_identity:
            return None
        pixels = file.read(1)[:, 0]
        return float(max(abs(file.xy(row, 0)[1] - pixels[row]) for row in range(file.height)))


def seen(title, rows):
    content = written(rows)
    by_gdal = off("cube.nc")
    with xr.open_dataset("cube.nc", decode_coords="all") as again:
        by_xarray = float(abs(again.y - again["red"][:, 0]).max())
        again["red"].rio.to_raster("saved.tif")
    with rioxarray.open_rasterio("cube.nc", driver="netCDF") as raster:
        by_rioxarray = None if by_gdal is None else float(abs(raster.y - raster[0, :, 0]).max())
    found = by_gdal, by_rioxarray, by_xarray, off("saved.tif")
    words = ["no place" if metres is None else f"{metres:.0f} m" for metres in found]
    print("{:<27} {:<9} {:<13} {:<7} {}".format(title, *words))
    return found


print("{:<27} {:<9} {:<13} {:<7} {}".format("farthest a row is off by", "rasterio", "open_rasterio", "xarray", "to_raster"))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # which say that a file has no geotransform, where that is so
    whole = seen("256 rows", np.arange(256))
    early = seen("without rows 1 to 40", np.r_[0:1, 41:256])
    middle = seen("without rows 109 to 148", np.r_[0:109, 149:256])
with warnings.catch_warnings(record=True) as told:
    warnings.filterwarnings("always", category=UserWarning)
    unseen = seen("without rows 100 to 139", np.r_[0:100, 140:256])
print("warnings of the last:", len(told))
noticed = early[0] is None and middle[0] is None
spread = all((metres or 0) > 200 for metres in (unseen[0], unseen[1], early[3], middle[3], unseen[3]))
right = max(whole) < 0.1 and max(found[2] for found in (early, middle, unseen)) < 0.1
if noticed and spread and right and not told:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
