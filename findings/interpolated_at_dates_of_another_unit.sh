#!/usr/bin/env bash
# Asked for a day of January 1990 as text, xarray interpolates at one of May 2017, or finds nothing.
#
# Seen with: xarray 2026.9.0, pandas 3.1.1, numpy 2.4.6, scipy 1.17.1, Python 3.11
# Expected: cube.interp(time="1990-01-11") is the value between the dates around that day: "you can pass a string", as the user
#   guide has it. sel, reindex, polyval and arithmetic take dates for what they are, whatever units they are counted in.
# Instead: the dates of the cube and those asked for are turned into numbers, each in its own unit. Dates that pandas 3 makes
#   count microseconds; those that xarray makes, of text and of the times of a file, nanoseconds. To the cube, the tenth
#   day is then the ten thousandth: "cubic", "slinear" and "pchip" return the value of that one. "linear" and "nearest" look
#   only at what lies around the right day, and find nothing there, or extrapolate from it to any number. The example in
#   the user guide gives NaN. interp_like does so with the times of a file, and so does any unit that is finer than that of
#   the cube. The result is labelled with the date that was asked for, and nothing is said.
#   What helps: pd.to_datetime(...).as_unit("ns") for either.
# Output as seen, for daily temperatures from 1990 to 2019, coldest in January; own: numpy.interp of days:
#   dates of the cube: datetime64[us], of a file: datetime64[ns]
#   own:                                 0.1 and 0.6 degrees
#   the nearest, by sel:                 0.1 and 0.6 degrees
#   dates by pd.to_datetime:             0.1 and 0.6 degrees
#   text, of a cube of nanoseconds:      0.1 and 0.6 degrees
#   text, cubic, of such a cube:         0.1 and 0.6 degrees
#   text, cubic:                         17.2 and nan degrees
#   text, slinear:                       17.2 and nan degrees
#   the times of a file, cubic:          17.2 and nan degrees
#   text, linear:                        nan and nan degrees
#   text, nearest:                       nan and nan degrees
#   the times of a file, linear:         nan and nan degrees
#   text, linear, extrapolated:          118.7 and 712.8 degrees
#   example in the user guide:           nan instead of 2
#   warnings: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  xarray==2026.9.0 pandas==3.1.1 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
import pandas as pd
import xarray as xr

dates = pd.date_range("1990-01-01", "2019-12-31", freq="D")
days = np.arange(dates.size)
cube = xr.DataArray(10 - 10 * np.cos(2 * np.pi * days / 365.25), dims="time", coords={"time": dates})
asked = ["1990-01-11", "1990-01-21"]
own = np.interp([10, 20], days, cube.to_numpy())
file = xr.Dataset(coords={"time": ("time", [10, 20], {"units": "days since 1990-01-01"})})
of_file = xr.decode_cf(file)  # what open_dataset does with the times of a file


def shown(words, values):
    values = np.asarray(values, dtype=float)
    print(f"  {words + ':':<36} {values[0]:.1f} and {values[1]:.1f} degrees")
    return values


with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    print(f"  dates of the cube: {cube.time.dtype}, of a file: {of_file.time.dtype}")
    shown("own", own)
    right = [
        shown("the nearest, by sel", cube.sel(time=asked, method="nearest")),
        shown("dates by pd.to_datetime", cube.interp(time=pd.to_datetime(asked))),
        shown("text, of a cube of nanoseconds", cube.assign_coords(time=dates.as_unit("ns")).interp(time=asked)),
        shown("text, cubic, of such a cube", cube.assign_coords(time=dates.as_unit("ns")).interp(time=asked, method="cubic")),
    ]
    wrong = [
        shown("text, cubic", cube.interp(time=asked, method="cubic")),
        shown("text, slinear", cube.interp(time=asked, method="slinear")),
        shown("the times of a file, cubic", cube.interp_like(of_file, method="cubic")),
    ]
    missing = [
        shown("text, linear", cube.interp(time=asked)),
        shown("text, nearest", cube.interp(time=asked, method="nearest")),
        shown("the times of a file, linear", cube.interp_like(of_file)),
    ]
    far = shown("text, linear, extrapolated", cube.interp(time=asked, kwargs={"fill_value": "extrapolate"}))
guide = xr.DataArray([1, 3], [("time", pd.date_range("1/1/2000", "1/3/2000", periods=2))])
print(f"  example in the user guide:           {float(guide.interp(time='2000-01-02')):.1f} instead of 2")
print(f"  warnings: {len(told)}")
as_seen = all(np.allclose(values, own, atol=1e-3) for values in right)
as_seen &= all(np.isclose(values[0], cube[10_000]) and np.isnan(values[1]) for values in wrong)
as_seen &= bool(np.isnan(missing).all() and np.isnan(guide.interp(time="2000-01-02")) and far.min() > 100)
sys.exit(0 if as_seen and not told else "this is no longer as described")
PYTHON
