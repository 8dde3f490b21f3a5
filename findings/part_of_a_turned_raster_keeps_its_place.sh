#!/usr/bin/env bash
# A part that rioxarray cuts out of a raster that is turned against its CRS is written at the corner of the whole.
#
# Seen with: rioxarray 0.19.0, xarray 2026.9.0, rasterio 1.4.4, Python 3.11
# Expected: array.isel(x=..., y=...) has the transform of its own pixels, in rio.transform(), in the GeoTIFF of
#   rio.to_raster() and in the attribute GeoTransform that to_netcdf() and to_zarr() write. So it is, but for the
#   attribute, where rows and columns follow the axes of the CRS.
# Instead: a turned raster gets coordinates of two dimensions, xc and yc, in place of x and y, and its transform is the one
#   that was read, whatever has been cut out since. rio.bounds() and the GeoTIFF have it too; rio.to_raster() warns that
#   it cannot recalculate, which is also what it says of the whole raster, where nothing is wrong. xc and yc stay right,
#   and so does rio.isel_window(), which moves the transform.
# Output as seen:
#   along the axes: cut out by isel 0 m off, as GeoTIFF 0 m off
#   turned by 30 degrees: cut out by isel 539 m off, as GeoTIFF 539 m off, by xc and yc 0 m off, by isel_window 0 m off
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
from rasterio.windows import Window

ROW, COL, SIZE = 20, 50, 10
FIRST = Affine.translation(COL, ROW)  # of the part


def off(found, right):
    """Return how far apart two corners are, in metres."""
    return float(np.hypot(found.c - right.c, found.f - right.f))


def seen(degrees):
    whole = Affine.translation(600_000, 5_700_000) * Affine.rotation(degrees) * Affine.scale(10, -10)
    profile = dict(driver="GTiff", width=100, height=100, count=1, dtype="uint16", crs="EPSG:32632")
    with rasterio.open("whole.tif", "w", transform=whole, **profile) as file:
        file.write(np.ones((1, 100, 100), dtype="uint16"))
    array = rioxarray.open_rasterio("whole.tif")
    part = array.isel(x=slice(COL, COL + SIZE), y=slice(ROW, ROW + SIZE))
    right = whole * FIRST
    part.rio.to_raster("part.tif")
    with rasterio.open("part.tif") as file:
        result = {"cut out by isel": off(part.rio.transform(), right), "as GeoTIFF": off(file.transform, right)}
    if "xc" in part.coords:
        x, y = right * (0.5, 0.5)
        centre = float(np.hypot(part.xc[0, 0] - x, part.yc[0, 0] - y))
        window = array.rio.isel_window(Window(COL, ROW, SIZE, SIZE))
        result |= {"by xc and yc": centre, "by isel_window": off(window.rio.transform(), right)}
    return result


found = {"along the axes": seen(0), "turned by 30 degrees": seen(30)}
for title, values in found.items():
    print(f"{title}: " + ", ".join(f"{name} {metres:.0f} m off" for name, metres in values.items()))
plain, turned = (list(values.values()) for values in found.values())
if max(plain) < 1 and min(turned[:2]) > 500 and max(turned[2:]) < 1:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
