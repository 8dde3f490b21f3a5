#!/usr/bin/env bash
# A window of a raster tile index (GTI) that begins exactly where a tile ends reads as missing.
#
# Seen with: rasterio 1.4.4 (its wheel has GDAL 3.10.3), geopandas 1.1.1, Python 3.11; right in GDAL 3.12
# Expected: any window has the pixels that reading the whole raster gives there.
# Instead: two tiles of 64 x 64 pixels, one above the other. A window of rows 64 to 95 lies in the lower tile alone and
#   reads as the no-data value; rows 63 to 94 read right, and so does the whole. No error and no warning is given, so
#   what a program sees depends on how it cuts the raster up.
# Output as seen:
#   GDAL 3.10.3
#   whole raster, row 64: [2]
#   rows 64 to 95:        [0]
#   rows 63 to 94:        [1 2]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet rasterio==1.4.4 geopandas==1.1.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import geopandas as gpd
import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window
from shapely.geometry import box

names, outlines = [], []
for number in (1, 2):
    top = 5_000_000 - 640 * (number - 1)
    names.append(f"t{number}.tif")
    with rasterio.open(
        names[-1], "w", driver="GTiff", width=64, height=64, count=1, dtype="uint8", nodata=0, crs="EPSG:32631",
        transform=from_origin(500_000, top, 10, 10),
    ) as tile:
        tile.write(np.full((1, 64, 64), number, np.uint8))
    outlines.append(box(500_000, top - 640, 500_640, top))
frame = gpd.GeoDataFrame({"location": names}, geometry=outlines, crs="EPSG:32631")
frame.to_file("tiles.gti.gpkg", driver="GPKG", layer="tiles")
print("GDAL", rasterio.__gdal_version__)
with rasterio.open("tiles.gti.gpkg") as index:
    whole = np.unique(index.read(1)[64])
    at_border = np.unique(index.read(1, window=Window(0, 64, 32, 32)))
    before = np.unique(index.read(1, window=Window(0, 63, 32, 32)))
print("whole raster, row 64:", whole)
print("rows 64 to 95:       ", at_border)
print("rows 63 to 94:       ", before)
if whole.tolist() == [2] and at_border.tolist() == [0] and before.tolist() == [1, 2]:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
