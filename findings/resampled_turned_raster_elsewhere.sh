#!/usr/bin/env bash
# sedonadb 0.5.0, geoarrow-pyarrow 0.3.0, pyarrow 26.0.1, rasterio 1.4.4, numpy 2.4.6, pandas 3.1.1 (Python 3.11).
#
# RS_Resample gives a raster another number of rows and columns and keeps the ground that it covers; so its documentation
# says, of rasters that are turned against the axes too (a change of the pixel size, it refuses for them). The pixels are
# right, but a turned raster comes out at another place and in another shape: its pixel sizes are those of the rectangle
# around it, divided by the new numbers of rows and columns, and its skews stay what they were. That it is so even where
# the number of rows and columns stays the same shows that no resampling is meant to do this. Nothing warns, and a raster
# that is north up or south up is right.
#
# Whatever is read from it at a point is then the value of another place. The way out is to warp such rasters north up
# before they are read.
#
# Output as seen, for a raster of 3 x 4 pixels of 10 m, whose pixels are numbered from 1 to 12; "found again" counts the
# pixels at whose centre the resampled raster has their number, and "moved" is how far its last corner lies from where it
# was:
#   turned by   rows x columns   found again   moved
#   0           3 x 4            12 of 12      0 m
#   0           6 x 8            12 of 12      0 m
#   10          3 x 4            10 of 12      9 m
#   10          6 x 8            7 of 12       10 m
#   30          3 x 4            2 of 12       25 m
#   30          6 x 8            1 of 12       30 m
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  sedonadb==0.5.0 geoarrow-pyarrow==0.3.0 pyarrow==26.0.1 rasterio==1.4.4 numpy==2.4.6 pandas==3.1.1
"$folder/venv/bin/python" -W ignore - "$folder" >"$folder/now" <<'PYTHON'
import math
import sys

import numpy as np
import rasterio
import sedonadb
from rasterio import Affine

ROWS, COLUMNS = 3, 4
numbers = np.arange(1, ROWS * COLUMNS + 1, dtype=np.uint8).reshape(ROWS, COLUMNS)
sedona = sedonadb.connect()


def asked(sql):
    """Return the one value that a query gives."""
    return sedona.sql(f"SELECT {sql}").to_pandas().iloc[0, 0]


print("turned by   rows x columns   found again   moved")
for degrees in (0, 10, 30):
    path = f"{sys.argv[1]}/turned_{degrees}.tif"
    place = Affine.translation(500_000, 5_200_000) * Affine.rotation(degrees) * Affine.scale(10, -10)
    shape = {"height": ROWS, "width": COLUMNS, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", "GTiff", crs="EPSG:32632", transform=place, **shape) as file:
        file.write(numbers, 1)
    for times in (1, 2):
        rows, columns = times * ROWS, times * COLUMNS
        raster = f"RS_Resample(RS_FromPath('{path}'), {columns}, {rows}, false, 'NearestNeighbor')"
        found = 0
        for row, column in np.ndindex(ROWS, COLUMNS):
            x, y = place * (column + 0.5, row + 0.5)
            value = asked(f"RS_Value({raster}, ST_SetSRID(ST_Point({x!r}, {y!r}), 32632), 1)")
            found += bool(value == numbers[row, column])
        a, d, b, e, c, f = map(float, asked(f"RS_GeoReference({raster})").split())
        corner = Affine(a, b, c, d, e, f) * (columns, rows)
        moved = math.dist(corner, place * (COLUMNS, ROWS))
        print(f"{degrees:<11} {f'{rows} x {columns}':<16} {f'{found} of 12':<13} {moved:.0f} m")
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
