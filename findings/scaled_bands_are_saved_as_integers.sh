#!/usr/bin/env bash
# rioxarray saves reflectances as the whole numbers below them where the scales of a file differ from band to band.
#
# Seen with: rioxarray 0.19.0, xarray 2026.9.0, rasterio 1.4.4, Python 3.11
# Expected: what open_rasterio(..., mask_and_scale=True) reads, to_netcdf(), to_zarr() and rio.to_raster() write back, packed
#   by the scales or as floats. So it is where all bands have one scale.
# Instead: the encoding keeps the integers' type, and scales and offsets as the lists "scales" and "offsets", which neither
#   xarray nor rio.to_raster() applies. Values are cut to integers: 0.35 becomes 0, and, where 0 is the no-data value,
#   missing. The GeoTIFF has the scales again, so that what is left is scaled a second time. Nothing is said.
#   What helps: array.encoding = {} before it is saved.
# Output as seen:
#   one scale: read 0.35, by netCDF 0.35, by GeoTIFF 0.35
#   a scale for each band: read 0.35, by netCDF nan, by GeoTIFF nan
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet rioxarray==0.19.0 xarray==2026.9.0 rasterio==1.4.4 netCDF4==1.7.4
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import rasterio
import rioxarray
import xarray as xr
from rasterio import Affine


def seen(title, scales):
    profile = dict(driver="GTiff", width=4, height=4, count=2, dtype="uint16", nodata=0, crs="EPSG:32632")
    with rasterio.open("a.tif", "w", transform=Affine(10, 0, 600_000, 0, -10, 5_700_000), **profile) as file:
        file.write(np.full((2, 4, 4), 3500, dtype="uint16"))
        file.scales = scales
    array = rioxarray.open_rasterio("a.tif", mask_and_scale=True)
    array.to_dataset(name="values").to_netcdf("a.nc")
    array.rio.to_raster("b.tif")
    with xr.open_dataset("a.nc") as content:
        by_netcdf = float(content["values"][0, 0, 0])
    again = rioxarray.open_rasterio("b.tif", mask_and_scale=True)
    found = float(array[0, 0, 0]), by_netcdf, float(again[0, 0, 0])
    print(f"{title}: read {found[0]:.2g}, by netCDF {found[1]:.2g}, by GeoTIFF {found[2]:.2g}")
    return found


one = seen("one scale", (0.0001, 0.0001))
each = seen("a scale for each band", (0.0001, 0.001))
if np.allclose(one, 0.35, atol=1e-3) and abs(each[0] - 0.35) < 1e-3 and np.isnan(each[1:]).all():
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
