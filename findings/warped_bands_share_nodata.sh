#!/usr/bin/env bash
# rasterio 1.4.4, which brings GDAL 3.10.3, numpy 2.4.6 (Python 3.11).
#
# A raster of two bands with nodata 0, of which the first lacks some columns (a dead detector, a swath that ends
# earlier). One expects rasterio's WarpedVRT to leave what is missing in a band out of that band, whatever the others
# hold. With "nearest" it does. With "average" or "bilinear" the zeros of the first band are averaged in as data
# wherever the second band has data: 1000 beside a hole becomes 500. Where everything is missing, the result is 1
# instead of 0, and passes as valid. The same band alone is right.
#
# rasterio has GDAL take a pixel as missing only where all bands are missing (UNIFIED_SRC_NODATA=YES), and GDAL moves
# a valid result that equals nodata to the next value. The way out is WarpedVRT(..., UNIFIED_SRC_NODATA="NO").
#
# Output as seen, a row of four pixels, each the mean of 2 x 2; -- is masked:
#   the band alone, average:             [-- 1000 1000 1000]
#   both bands, nearest:                 [-- 1000 1000 1000]
#   both bands, average:                 [1 500 1000 1000]
#   both bands, bilinear:                [1 500 1000 1000]
#   both bands, average, not unified:    [-- 1000 1000 1000]
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

FINE = rasterio.Affine(20, 0, 500_000, 0, -20, 5_000_000)
COARSE = rasterio.Affine(40, 0, 500_000, 0, -40, 5_000_000)
holed = np.full((8, 8), 1000, dtype="uint16")
holed[:, :3] = 0
whole = np.full((8, 8), 2000, dtype="uint16")


def write(path, *bands):
    options = {"width": 8, "height": 8, "count": len(bands), "dtype": "uint16", "nodata": 0}
    with rasterio.open(path, "w", "GTiff", crs="EPSG:32631", transform=FINE, **options) as file:
        file.write(np.stack(bands))
    return path


def warped(path, resampling, **options):
    options |= {"resampling": Resampling[resampling], "transform": COARSE, "width": 4, "height": 4}
    with rasterio.open(path) as file, WarpedVRT(file, **options) as view:
        return view.read(1, masked=True)[0]


alone = write(f"{sys.argv[1]}/alone.tif", holed)
both = write(f"{sys.argv[1]}/both.tif", holed, whole)
for what, row in {
    "the band alone, average": warped(alone, "average"),
    "both bands, nearest": warped(both, "nearest"),
    "both bands, average": warped(both, "average"),
    "both bands, bilinear": warped(both, "bilinear"),
    "both bands, average, not unified": warped(both, "average", UNIFIED_SRC_NODATA="NO"),
}.items():
    print(f"{what + ':':<37}{row}")
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
