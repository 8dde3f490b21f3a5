#!/usr/bin/env bash
# xarray 2026.9.0, zarr 3.1.6, numpy 2.4.6, pandas 3.1.1 (Python 3.11).
#
# A data cube grows by to_zarr(append_dim="time"), an acquisition at a time. xarray stores dates as whole numbers of the
# largest unit that fits the first ones: days, where these are at midnight. One expects an acquisition at 10:30 to be
# converted to the unit of the store, or refused. Instead it is counted in minutes, and these numbers are stored as days:
# two days after the first image becomes ten years after it, or the year 40047 where the unit counts from 2000. A warning
# says that the dates are serialized in minutes "instead", as it does where that is true, since a new store gets the unit
# that is named. Reading the cube warns of nothing, and a selection by date finds one image fewer.
#
# The data are not treated like that: values appended to a store with another scale and offset are converted to its own.
# The way out is to name a unit when the store is made: encoding={"time": {"units": "seconds since 1970-01-01", "dtype":
# "int64"}}. A float64 is right too.
#
# Output as seen, for a store with 1 and 2 June 2026 at midnight, to which 3 June at 10:30 is appended:
#   format 2, as by default               2036-01-10 00:00, images in June 2026: 2
#   format 2, days since 2000             40047-09-06 00:00, images in June 2026: 2
#   format 2, floats                      2026-06-03 10:30, images in June 2026: 3
#   format 2, seconds                     2026-06-03 10:30, images in June 2026: 3
#   format 3, as by default               2036-01-10 00:00, images in June 2026: 2
#   format 3, days since 2000             40047-09-06 00:00, images in June 2026: 2
#   format 3, floats                      2026-06-03 10:30, images in June 2026: 3
#   format 3, seconds                     2026-06-03 10:30, images in June 2026: 3
#   values with another scale: stored 280, appended 300, read 280 300
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  xarray==2026.9.0 zarr==3.1.6 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1 cftime==1.6.5
"$folder/venv/bin/python" -W ignore - "$folder" >"$folder/now" <<'PYTHON'
import sys

import numpy as np
import pandas as pd
import xarray as xr

STORE = f"{sys.argv[1]}/cube.zarr"
UNITS = {
    "as by default": {},
    "days since 2000": {"units": "days since 2000-01-01"},
    "floats": {"dtype": "float64"},
    "seconds": {"units": "seconds since 1970-01-01", "dtype": "int64"},
}


def cube(value, *times):
    values = np.full((len(times), 2, 2), value, dtype="float32")
    return xr.Dataset({"t2m": (("time", "y", "x"), values)}, coords={"time": pd.to_datetime(list(times))})


for format in (2, 3):
    for name, encoding in UNITS.items():
        first = cube(280, "2026-06-01", "2026-06-02")
        first.to_zarr(STORE, mode="w", zarr_format=format, encoding={"time": encoding} if encoding else {})
        cube(300, "2026-06-03T10:30").to_zarr(STORE, append_dim="time")
        time = xr.open_zarr(STORE).time
        in_june = ((time.dt.year == 2026) & (time.dt.month == 6)).sum().item()
        when = str(time.values[-1]).replace("T", " ").rsplit(":", 1)[0]
        print(f"{f'format {format}, {name}':38}{when}, images in June 2026: {in_june}")

PACKED = {"dtype": "int16", "_FillValue": -32768}
first = cube(280, "2026-06-01")
first.to_zarr(STORE, mode="w", encoding={"t2m": {**PACKED, "scale_factor": 0.01, "add_offset": 280.0}})
appended = f"{sys.argv[1]}/appended.nc"
cube(300, "2026-06-02").to_netcdf(appended, encoding={"t2m": {**PACKED, "scale_factor": 0.02, "add_offset": 310.0}})
xr.open_dataset(appended).to_zarr(STORE, append_dim="time")
read = xr.open_zarr(STORE).t2m.values[:, 0, 0]
print("values with another scale: stored 280, appended 300, read", *(f"{value:.0f}" for value in read))
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
