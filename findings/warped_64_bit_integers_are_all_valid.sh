#!/usr/bin/env bash
# rasterio 1.4.4, which brings GDAL 3.10.3, numpy 2.4.6 (Python 3.11).
#
# Land cover that was computed with NumPy is easily saved in NumPy's default type, int64, with nodata 0. Opened as it
# is, its mask is right. Seen through a WarpedVRT, to lie on the grid of a scene, one expects the same mask, the more
# so since the view still says that its nodata is 0. Up to 32 bits, and for floating point, it is so. Of int64 and
# uint64 every pixel passes as valid, whatever the resampling, and whether nodata is given again or not: class 0 becomes
# the most frequent of all. The values are right, and nodata is left out of averages.
#
# The way out is to compare the pixels with the view's nodata instead of asking for its mask.
#
# Output as seen, the share of valid pixels, of which a quarter should be missing; in brackets, the view's nodata:
#   int32:    read 0.75, nearest 0.75 (0.0), average 0.75 (0.0)
#   float64:  read 0.75, nearest 0.75 (0.0), average 0.75 (0.0)
#   int64:    read 0.75, nearest 1.00 (0.0), average 1.00 (0.0)
#   uint64:   read 0.75, nearest 1.00 (0.0), average 1.00 (0.0)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  rasterio==1.4.4 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - "$folder" >"$folder/now" <<'PYTHON'
import sys

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

FINE = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
COARSE = rasterio.Affine(20, 0, 500_000, 0, -20, 5_000_000)
cover = np.full((8, 8), 3)
cover[:, :2] = 0

for kind in ("int32", "float64", "int64", "uint64"):
    path = f"{sys.argv[1]}/{kind}.tif"
    options = {"width": 8, "height": 8, "count": 1, "dtype": kind, "nodata": 0}
    with rasterio.open(path, "w", "GTiff", crs="EPSG:32631", transform=FINE, **options) as file:
        file.write(cover.astype(kind), 1)
    with rasterio.open(path) as file:
        told = [f"read {(file.read_masks(1) != 0).mean():.2f}"]
        for name in ("nearest", "average"):
            grid = {"transform": COARSE, "width": 4, "height": 4}
            with WarpedVRT(file, resampling=Resampling[name], **grid) as view:
                valid = (view.read_masks(1) != 0).mean()
                told.append(f"{name} {valid:.2f} ({view.nodata})")
    print(f"{kind + ':':<9} {', '.join(told)}")
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
