#!/usr/bin/env bash
# A mean that xarray weights by small integers is divided by the last bits of the sum of the weights.
#
# Seen with: xarray 2026.9.0, numpy 2.4.6, pandas 3.1.1, Python 3.11
# Expected: array.weighted(weights).mean() is sum(w * x) / sum(w), whatever type the weights have, as numpy.average has
#   it, and as array.mean() and array.sum() widen small integers before they add them up.
# Instead: both sums are products of arrays (xarray.dot) and keep their type. sum(w) is one of the weights with what is not
#   missing: it wraps around above 255 for uint8, above 65,535 for uint16, and to negative numbers for int8 and int16. So
#   the weighted mean of reflectances is 7182 instead of 0.300, that of a pixel over 40 dates anything, missing where the
#   sum happens to be a multiple of 256. std() and var() divide by it too; where the values are small integers as well,
#   sum(w * x) wraps as sum(w) does. Nothing is said. Shares of a pixel in percent, counts of observations and cloud
#   probabilities are stored like this. Booleans are widened.
#   What helps: weights.astype(float).
# Output as seen, for 40 dates of 50 x 50 pixels, weighted by clear sky in percent:
#   numpy.average:  0.300 of all, 0.287 to 0.314 of a pixel
#   uint8:          7182.303 of all, 1.885 to 695.121 of a pixel
#   uint16:         66.020 of all, 0.287 to 0.314 of a pixel
#   int16:          66.020 of all, 0.287 to 0.314 of a pixel
#   int64:          0.300 of all, 0.287 to 0.314 of a pixel
#   float32:        0.300 of all, 0.287 to 0.314 of a pixel
#   warnings: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet xarray==2026.9.0 numpy==2.4.6 pandas==3.1.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import warnings

import numpy as np
import xarray as xr

random = np.random.default_rng(0)
DIMS = ("time", "y", "x")
values = random.normal(0.3, 0.02, (40, 50, 50)).astype("float32")
clear = random.integers(0, 101, values.shape)  # percent
array = xr.DataArray(values, dims=DIMS)


def shown(title, whole, each):
    print(f"{title + ':':<15} {whole:.3f} of all, {np.nanmin(each):.3f} to {np.nanmax(each):.3f} of a pixel")
    return whole, each


def weighted(kind):
    of = array.weighted(xr.DataArray(clear.astype(kind), dims=DIMS))
    return shown(kind, float(of.mean()), of.mean("time").to_numpy())


right = np.average(values, weights=clear), np.average(values, weights=clear, axis=0)
shown("numpy.average", *right)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    small = [weighted(kind) for kind in ("uint8", "uint16", "int16")]
    wide = [weighted(kind) for kind in ("int64", "float32")]
print("warnings:", len(told))
near = lambda found: np.allclose(found[0], right[0], atol=1e-3) and np.allclose(found[1], right[1], atol=1e-3)
if not any(map(near, small)) and all(map(near, wide)) and not told:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
