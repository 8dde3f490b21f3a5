#!/usr/bin/env bash
# The mean of a large zone, by xarray's groupby, is 278 K instead of 300 K once numbagg is installed.
#
# Seen with: xarray 2026.9.0, flox 0.11.2, numbagg 0.9.6, numba 0.68.1, numpy 2.4.6, pandas 3.1.1, dask 2026.8.0, Python 3.11
# Expected: array.groupby(zones).mean() of float32 is as good as array.mean(), which is right for large arrays too, and as
#   the mean by flox, which xarray documents for its speed. Installing numbagg, which makes it faster still, changes nothing.
# Instead: flox, which xarray takes if it is there, hands such groups to numbagg, which adds float32 to a float32, one
#   pixel after the other. Beyond 2**24 times a pixel's last bit, each addition is rounded: the mean of 2 million pixels is
#   2.9 K too low, that of 8 million 22 K, that of reflectances of 0.3 is 0.295. Zones of the same size err alike, so that
#   their differences look right, while a small zone beside a large one seems 22 K warmer. std() of the same groups is
#   right. In chunks of dask, the error has another size and sign. Nothing is said. What helps: engine="flox", or
#   astype(float).
# Output as seen, for 16 million pixels of 300 K in two zones, and 20 thousand in a third:
#   by hand:        300.0 300.0 300.0
#   groupby:        278.3 278.3 300.0
#   in chunks:      301.8 301.8 300.0
#   engine="flox":  300.0 300.0 300.0
#   float64:        300.0 300.0 300.0
#   0.3 by hand:    0.300 0.300 0.300
#   0.3 by groupby: 0.295 0.295 0.300
#   std, groupby:   1.000 1.000 0.996
#   warnings: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  xarray==2026.9.0 flox==0.11.2 numbagg==0.9.6 numba==0.68.1 numpy==2.4.6 pandas==3.1.1 dask==2026.8.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
import xarray as xr

random = np.random.default_rng(0)
SIZE = 4000
noise = random.normal(0, 1, (SIZE, SIZE)).astype("float32")
numbers = random.integers(0, 2, (SIZE, SIZE))
numbers[:5] = 2
DIMS = ("y", "x")
zones = xr.DataArray(numbers, dims=DIMS, name="zone")
kelvin = xr.DataArray(300 + noise, dims=DIMS)
reflectance = xr.DataArray(np.float32(0.3) + noise / 20, dims=DIMS)


def by_hand(array):
    return [array.to_numpy()[numbers == zone].astype(float).mean() for zone in range(3)]


def shown(title, values, digits=1):
    print(f"{title + ':':<15}", *(f"{value:.{digits}f}" for value in np.asarray(values)))
    return np.asarray(values, dtype=float)


with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    right = shown("by hand", by_hand(kelvin))
    found = shown("groupby", kelvin.groupby(zones).mean())
    chunks = shown("in chunks", kelvin.chunk(y=SIZE // 10).groupby(zones).mean())
    flox = shown('engine="flox"', kelvin.groupby(zones).mean(engine="flox"))
    double = shown("float64", kelvin.astype(float).groupby(zones).mean())
    bright = shown("0.3 by hand", by_hand(reflectance), 3)
    dark = shown("0.3 by groupby", reflectance.groupby(zones).mean(), 3)
    spread = shown("std, groupby", kelvin.groupby(zones).std(), 3)
print("warnings:", len(told))
as_described = (
    (np.abs(found - right)[:2] > 5).all()
    and abs(found - right)[2] < 0.1
    and (np.abs(chunks - right)[:2] > 0.5).all()
    and np.allclose(flox, right, atol=0.01)
    and np.allclose(double, right, atol=0.01)
    and (np.abs(dark - bright)[:2] > 0.002).all()
    and np.allclose(spread, 1, atol=0.02)
    and not told
)
if not as_described:
    sys.exit("this is no longer as described")
PYTHON
