#!/usr/bin/env bash
# stackstac 0.5.1, pystac 1.15.2, rasterio 1.4.4, xarray 2026.9.0, dask 2026.8.0, numpy 2.4.6, pandas 2.3.3 (Python 3.11).
#
# stackstac.stack has rescale=True by default, which turns numbers into reflectance by the scale and offset of the STAC
# item. STAC 1.1 moved these from "raster:bands" into "bands", or beside the file's address where all bands share them.
# One expects an item of 1.1 to give what the same item of 1.0 gives, or an error. Instead nothing is rescaled, and nothing
# warns: 0.2 becomes 3000. By a factor alone, an index of two bands would not change; by the offset of -0.1, which
# Sentinel-2 has since 2022, it does: the same leaves have an NDVI of 0.5 by one item and 0.4 by the other. Where old
# and new items of one collection are stacked together, each date keeps its own unit.
#
# pystac leaves "raster:bands" of a 1.0 item where it is as it migrates the item to 1.1, so that an item may say 1.1 and be
# rescaled. The way out is to copy scale and offset back to "raster:bands" first.
#
# Output as seen, for a pixel with 3000 in red and 7000 in near infrared:
#   1.0                    red 0.2     NDVI 0.500
#   1.1, in "bands"        red 3000    NDVI 0.400
#   1.1, in the asset      red 3000    NDVI 0.400
#   1.0, migrated to 1.1   red 0.2     NDVI 0.500
#   1.0 and 1.1 together   red 0.2 and 3000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  stackstac==0.5.1 pystac==1.15.2 rasterio==1.4.4 xarray==2026.9.0 dask==2026.8.0 numpy==2.4.6 pandas==2.3.3
"$folder/venv/bin/python" -W ignore - "$folder" >"$folder/now" <<'PYTHON'
import sys

import numpy as np
import pystac
import rasterio
import stackstac
from rasterio.transform import from_origin

BOUNDS = (600_000, 5_699_840, 600_160, 5_700_000)
NUMBERS = {"red": 3000, "nir": 7000}
ABOUT = {"scale": 0.0001, "offset": -0.1}
PREFIXED = {f"raster:{name}": value for name, value in ABOUT.items()}

for band, number in NUMBERS.items():
    grid = {"height": 16, "width": 16, "transform": from_origin(BOUNDS[0], BOUNDS[3], 10, 10), "crs": 32632}
    with rasterio.open(f"{sys.argv[1]}/{band}.tif", "w", driver="GTiff", count=1, dtype="uint16", **grid) as file:
        file.write(np.full((16, 16), number, dtype="uint16"), 1)


def item(version, day, stated):
    assets = {
        band: {"href": f"{sys.argv[1]}/{band}.tif", "type": "image/tiff; application=geotiff", **stated}
        for band in NUMBERS
    }
    raster = "v1.1.0" if version == "1.0.0" else "v2.0.0"
    return {
        "type": "Feature",
        "stac_version": version,
        "stac_extensions": [f"https://stac-extensions.github.io/raster/{raster}/schema.json"],
        "id": f"day-{day}",
        "bbox": [10.4, 51.4, 10.5, 51.5],
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[10.4, 51.4], [10.5, 51.4], [10.5, 51.5], [10.4, 51.5], [10.4, 51.4]]],
        },
        "properties": {"datetime": f"2026-06-{day:02}T10:00:00Z"},
        "links": [],
        "assets": assets,
    }


def stacked(*items):
    cube = stackstac.stack(items, assets=list(NUMBERS), epsg=32632, resolution=10, bounds=BOUNDS)
    return cube.compute()[:, :, 8, 8].values  # (dates, bands)


old = item("1.0.0", 1, {"raster:bands": [ABOUT]})
new = item("1.1.0", 2, {"bands": [PREFIXED]})
ITEMS = {
    "1.0": old,
    '1.1, in "bands"': new,
    "1.1, in the asset": item("1.1.0", 3, PREFIXED),
    "1.0, migrated to 1.1": pystac.Item.from_dict(old, migrate=True).to_dict(transform_hrefs=False),
}
for name, one in ITEMS.items():
    ((red, nir),) = stacked(one)
    print(f"{name:23}red {red:<8.4g}NDVI {(nir - red) / (nir + red):.3f}")
print(f"{'1.0 and 1.1 together':23}red", " and ".join(f"{red:.4g}" for red in stacked(old, new)[:, 0]))
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
