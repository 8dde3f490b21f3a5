#!/usr/bin/env bash
# rio-stac 0.12.0, rasterio 1.4.4, numpy 2.4.6 (Python 3.11).
#
# rio-stac writes STAC items of rasters, with the share of valid pixels of each band where with_raster is set. Of a raster
# in which no value stands for missing data it writes 100 divided by the number of pixels, 0.01 for 100 x 100, as if
# nearly all of it were missing; the other statistics are right. Where such a value is declared, all is right. So whoever
# chooses scenes by valid_percent leaves out just those that lack nothing. Nothing warns.
#
# The way out is to declare a value for missing data, even one that no pixel has, before items are written.
#
# Output as seen, for 100 x 100 pixels of uint16, all of which but the missing ones are 1 or more:
#   missing value   missing   valid_percent   of all   mean right
#   None            0         0.01            100      yes
#   0               0         100.0           100      yes
#   0               2500      75.0            75       yes
#   65535           0         100.0           100      yes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  rio-stac==0.12.0 rasterio==1.4.4 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - "$folder" >"$folder/now" <<'PYTHON'
import sys

import numpy as np
import rasterio
import rio_stac
from rasterio.transform import from_origin

print("missing value   missing   valid_percent   of all   mean right")
for nodata, missing in ((None, 0), (0, 0), (0, 2500), (65535, 0)):
    pixels = np.random.default_rng(0).integers(1, 9000, 10_000, dtype=np.uint16)
    pixels[:missing] = nodata or 0
    path = f"{sys.argv[1]}/{nodata}_{missing}.tif"
    grid = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_200_000, 10, 10)}
    shape = {"width": 100, "height": 100, "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", "GTiff", nodata=nodata, **grid, **shape) as file:
        file.write(pixels.reshape(1, 100, 100))
    item = rio_stac.create_stac_item(path, with_raster=True)
    found = item.assets["asset"].extra_fields["raster:bands"][0]["statistics"]
    is_right = "yes" if np.isclose(found["mean"], pixels[missing:].mean()) else "no"
    share = 100 - missing / 100
    print(f"{nodata!s:<15} {missing:<9} {found['valid_percent']:<15} {share:<8g} {is_right}")
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
