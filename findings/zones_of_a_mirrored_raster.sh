#!/usr/bin/env bash
# exactextract 0.3.0, xarray 2026.9.0, rioxarray 0.19.0, geopandas 1.2.0, numpy 2.4.6 (Python 3.11).
#
# exactextract computes means within polygons from rasters of xarray too. A raster whose rows go from south to north has
# the right means, so one expects that the coordinates of both axes count. Those of the columns do not: where x decreases,
# the first column is taken for the westernmost, and a polygon gets the mean of the place that lies as far from the other
# border. The count of pixels is the same, and nothing warns. rioxarray cuts the same raster right.
#
# Columns run from east to west after isel(x=slice(None, None, -1)) or sortby("x", ascending=False), and in grids that
# were turned by 180 degrees. The way out is to call sortby("x") first.
#
# Output as seen, for a raster of 60 x 80 pixels of 10 m that holds the number of each column counted from the west, and
# a polygon over the columns 10 to 19; "by centres" is computed by numpy from the coordinates:
#   order of the pixels       by centres  rioxarray  exactextract  pixels
#   as usual                  14.5        14.5       14.5          100
#   from south to north       14.5        14.5       14.5          100
#   from east to west         14.5        14.5       64.5          100
#   turned by 180 degrees     14.5        14.5       64.5          100
#   east to west, sorted      14.5        14.5       14.5          100
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  exactextract==0.3.0 xarray==2026.9.0 rioxarray==0.19.0 rasterio==1.4.4 geopandas==1.2.0 numpy==2.4.6 \
  pandas==3.1.1 shapely==2.1.2
"$folder/venv/bin/python" -W ignore - >"$folder/now" <<'PYTHON'
import geopandas as gpd
import numpy as np
import rioxarray  # noqa: F401  # what xarray calls rio
import shapely
import xarray as xr
from exactextract import exact_extract

CRS = "EPSG:32632"
X = 500_005 + 10.0 * np.arange(80)
Y = 4_999_995 - 10.0 * np.arange(60)
usual = xr.DataArray(np.tile(np.arange(80.0), (60, 1)), dims=("y", "x"), coords={"y": Y, "x": X}, name="column")
usual = usual.rio.write_crs(CRS)
zone = shapely.box(500_100, 4_999_700, 500_200, 4_999_800)
zones = gpd.GeoDataFrame(geometry=[zone], crs=CRS)
ORDERS = {
    "as usual": usual,
    "from south to north": usual.isel(y=slice(None, None, -1)),
    "from east to west": usual.isel(x=slice(None, None, -1)),
    "turned by 180 degrees": usual.isel(x=slice(None, None, -1), y=slice(None, None, -1)),
    "east to west, sorted": usual.isel(x=slice(None, None, -1)).sortby("x"),
}
print(f"{'order of the pixels':26}{'by centres':12}{'rioxarray':11}{'exactextract':14}pixels")
for name, raster in ORDERS.items():
    inside = shapely.contains_xy(zone, *np.meshgrid(raster.x, raster.y))
    by_centres = raster.values[inside].mean()
    clipped = raster.rio.clip([zone]).mean().item()
    found = exact_extract(raster, zones, ["mean", "count"], output="pandas").iloc[0]
    print(f"{name:26}{by_centres:<12}{clipped:<11}{found['mean']:<14}{found['count']:.0f}")
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
