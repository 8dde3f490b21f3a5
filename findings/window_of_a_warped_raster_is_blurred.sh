#!/usr/bin/env bash
# rasterio 1.4.4, which brings GDAL 3.10.3, numpy 2.4.6 (Python 3.11).
#
# A scene is seen in the UTM zone of its neighbour through a WarpedVRT of about the same pixel size. One expects a
# window of it to have the pixels that the whole has there, the more so with tolerance=0, by which positions are exact.
# With "nearest" it has. With "bilinear" and "cubic" no pixel is the same: read as a window, the patch is blurred, and
# an eighth of its contrast is lost. The same open dataset gives both, whichever is read first.
#
# GDAL widens its kernel where a raster is made coarser, and takes how much from the size of the source rectangle
# that it happens to read over that of the target: here once for the whole, and once per block of 128 x 512 pixels for
# a window. Grids of two zones are turned against each other, and the rectangle around a turned flat block is by far too
# high. GDAL's manual tells of such ratios in 2026, for gdalwarp, where the chunks show; rasterio's documentation of
# WarpedVRT does not. The way out is WarpedVRT(..., XSCALE="1", YSCALE="1"). What is right is computed here with numpy,
# from the positions that PROJ gives.
#
# Patches that are embedded one by one thus differ from those cut out of a mosaic that was read at once, and a search
# for the one among the other compares sharp with blurred.
#
# Output as seen, for 64 x 64 pixels in the middle of a scene of noise with standard deviation 100:
#   nearest:                   whole and window agree in 100 % of the pixels
#   bilinear:                  whole and window agree in 0 % of the pixels
#   cubic:                     whole and window agree in 0 % of the pixels
#   bilinear, scales of 1:     whole and window agree in 100 % of the pixels
#   bilinear             numpy  whole  window  window, scales of 1
#   standard deviation   67     67     59      67
#   farthest from numpy  0      0      106     0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  rasterio==1.4.4 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - "$folder/scene.tif" >"$folder/now" <<'PYTHON'
import sys

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform
from rasterio.windows import Window

PATCH = Window(500, 500, 64, 64)
noise = np.random.default_rng(0).normal(1000, 100, (1000, 1000)).astype("float32")
options = {"width": 1000, "height": 1000, "count": 1, "dtype": "float32", "crs": "EPSG:32631"}
grid = rasterio.Affine(10, 0, 700_000, 0, -10, 5_000_000)
with rasterio.open(sys.argv[1], "w", "GTiff", transform=grid, **options) as scene:
    scene.write(noise, 1)


def by_numpy(to_target):
    columns, rows = np.meshgrid(PATCH.col_off + np.arange(64) + 0.5, PATCH.row_off + np.arange(64) + 0.5)
    x, y = to_target * (columns.ravel(), rows.ravel())
    x, y = transform("EPSG:32632", "EPSG:32631", x, y)
    column, row = ~grid * (np.array(x), np.array(y))
    left, top = np.floor(column - 0.5).astype(int), np.floor(row - 0.5).astype(int)
    right, low = column - 0.5 - left, row - 0.5 - top
    upper = noise[top, left] * (1 - right) + noise[top, left + 1] * right
    lower = noise[top + 1, left] * (1 - right) + noise[top + 1, left + 1] * right
    return (upper * (1 - low) + lower * low).reshape(64, 64)


def patches(resampling, **scales):
    with rasterio.open(sys.argv[1]) as scene, WarpedVRT(
        scene, crs="EPSG:32632", resampling=Resampling[resampling], nodata=-1, tolerance=0, **scales
    ) as warped:
        whole = warped.read(1)[PATCH.toslices()]
        return whole, warped.read(1, window=PATCH), by_numpy(warped.transform)


ONE = {"XSCALE": "1", "YSCALE": "1"}
for what, (whole, window, _) in {
    "nearest": patches("nearest"),
    "bilinear": patches("bilinear"),
    "cubic": patches("cubic"),
    "bilinear, scales of 1": patches("bilinear", **ONE),
}.items():
    print(f"{what + ':':<26} whole and window agree in {(whole == window).mean():.0%} of the pixels".replace("%", " %"))
whole, window, right = patches("bilinear")
seen = right, whole, window, patches("bilinear", **ONE)[1]
TABLE = "{:<20} {:<6} {:<6} {:<7} {}"
print(TABLE.format("bilinear", "numpy", "whole", "window", "window, scales of 1"))
print(TABLE.format("standard deviation", *(f"{patch.std():.0f}" for patch in seen)))
print(TABLE.format("farthest from numpy", *(f"{abs(patch - right).max():.0f}" for patch in seen)))
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
