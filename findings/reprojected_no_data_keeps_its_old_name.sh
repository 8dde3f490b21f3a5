#!/usr/bin/env bash
# rioxarray's reproject(nodata=...) fills with the new no-data value and goes on declaring the old one.
#
# Seen with: rioxarray 0.19.0, xarray 2026.9.0, rasterio 1.4.4, Python 3.11
# Expected: array.rio.reproject(crs, nodata=-1) of a raster with the no-data value -9999 has -1 where pixels are missing, and
#   declares -1, in rio.nodata and in the file that rio.to_raster() writes, as gdalwarp -dstnodata -1 does.
# Instead: missing pixels, and the rim that a turn adds, are -1, and rio.nodata and the GeoTIFF say -9999, so that they are
#   values like any other for whoever reads them. With nodata=-9999, or none, both agree.
# Output as seen:
#   nodata=None: missing are -9999, declared is -9999, in the GeoTIFF -9999
#   nodata=-1: missing are -1, declared is -9999, in the GeoTIFF -9999
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet rioxarray==0.19.0 xarray==2026.9.0 rasterio==1.4.4
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import rasterio
import rioxarray
from rasterio import Affine

pixels = np.full((1, 40, 40), 500, dtype="int16")
pixels[:, 10:20, 10:20] = -9999
profile = dict(driver="GTiff", width=40, height=40, count=1, dtype="int16", nodata=-9999, crs="EPSG:32632")
with rasterio.open("a.tif", "w", transform=Affine(10, 0, 600_000, 0, -10, 5_700_000), **profile) as file:
    file.write(pixels)
array = rioxarray.open_rasterio("a.tif")

found = []
for nodata in (None, -1):
    moved = array.rio.reproject("EPSG:4326", nodata=nodata)
    moved.rio.to_raster("b.tif")
    with rasterio.open("b.tif") as file:
        declared = file.nodata
    found.append((int(moved.min()) if nodata is None else int(moved.values[moved.values < 0].max()), int(moved.rio.nodata), int(declared)))
    print(f"nodata={nodata}: missing are {found[-1][0]}, declared is {found[-1][1]}, in the GeoTIFF {found[-1][2]}")
if found == [(-9999, -9999, -9999), (-1, -9999, -9999)]:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
