#!/usr/bin/env bash
# Tiles that nobody has written yet are missing in xarray's Zarr 2, and 0 in its Zarr 3, whatever _FillValue says.
#
# Seen with: xarray 2026.9.0, zarr 3.1.6, dask 2026.8.0, Python 3.11
# Expected: a store that is laid out first, with to_zarr(compute=False), and then filled region by region, reads as missing
#   where no region has been written. So it does with zarr_format=2, since _FillValue is the array's fill value there.
# Instead: with zarr_format=3, which has been the default since zarr-python 3, _FillValue is an attribute, and the array's
#   own fill value stays 0. What is not there reads as 0 times the scale: a reflectance of 0, valid in every pixel, in no
#   way different from a tile of real zeros, which is not stored either. Nothing is said. What helps: "fill_value" beside
#   "_FillValue" in the encoding.
# Output as seen:
#   Zarr 2: missing 48 of 64, unwritten pixels are nan
#   Zarr 3: missing 0 of 64, unwritten pixels are 0.0
#   Zarr 3 with fill_value too: missing 48 of 64, unwritten pixels are nan
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet xarray==2026.9.0 zarr==3.1.6 dask==2026.8.0
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import sys

import dask.array
import numpy as np
import xarray as xr

PACKED = {"dtype": "uint16", "scale_factor": 0.0001, "_FillValue": 65535}


def read(name, zarr_format, **encoding):
    """Return what a store of 8 x 8 pixels holds of which a quarter is written."""
    empty = dask.array.full((8, 8), np.nan, chunks=(4, 4), dtype="float32")
    layout = xr.Dataset({"red": (("y", "x"), empty)})
    layout.to_zarr(name, compute=False, zarr_format=zarr_format, encoding={"red": PACKED | encoding})
    tile = xr.Dataset({"red": (("y", "x"), np.full((4, 4), 0.25, dtype="float32"))})
    tile.to_zarr(name, region={"y": slice(0, 4), "x": slice(0, 4)})
    return xr.open_zarr(name)["red"].to_numpy()


stores = {
    "Zarr 2": read("two.zarr", 2),
    "Zarr 3": read("three.zarr", 3),
    "Zarr 3 with fill_value too": read("both.zarr", 3, fill_value=65535),
}
for title, pixels in stores.items():
    print(f"{title}: missing {np.isnan(pixels).sum()} of 64, unwritten pixels are {pixels[7, 7]}")
missing = [int(np.isnan(pixels).sum()) for pixels in stores.values()]
if missing == [48, 0, 48] and stores["Zarr 3"][7, 7] == 0:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
