#!/usr/bin/env bash
# The standard error of a trend, by xarray's polyfit, counts the dates that are missing as if they had been seen.
#
# Seen with: xarray 2026.9.0, numpy 2.4.6, pandas 3.1.1, scipy 1.17.1, Python 3.11
# Expected: cube.polyfit("time", 1, cov=True) fits a trend to each pixel and gives "the covariance matrix of the polynomial
#   coefficient estimates", as numpy.polyfit does for the dates that the pixel has: polyfit "removes all invalid values before
#   fitting each 1D slices of the array", as documented, and its coefficients and residuals are these.
# Instead: the covariance is made of all dates. The sum of squared residuals, over the dates that are there, is divided by
#   the number of all dates, less two, and multiplied by the inverse of the matrix of all dates. With a fifth of the dates
#   left, the standard error is a fifth of what it is, and of pixels without any trend, 70 in 100 have one that is
#   "significant" at 5 %, the more the cloudier they are: a map of trends becomes a map of clouds. A single series has the
#   same, with and without weights. Nothing is said. Without missing dates, everything is as by numpy.
#   What helps: numpy.polyfit of the dates that are there.
# Output as seen, for 2,000 pixels of noise over 100 dates, of which a pixel has each with the same chance:
#   100% of the dates: slopes alike True, standard error 1.00 of numpy's; significant trends 0.05, by numpy 0.05
#   50% of the dates: slopes alike True, standard error 0.49 of numpy's; significant trends 0.31, by numpy 0.05
#   20% of the dates: slopes alike True, standard error 0.19 of numpy's; significant trends 0.70, by numpy 0.05
#   warnings: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  xarray==2026.9.0 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
import xarray as xr
from scipy import stats

DATES, PIXELS = 100, 2_000
chance = np.random.default_rng(0)
time = np.arange(DATES) / 10.0


def by_numpy(values):
    """The slope and its standard error of each pixel, from the dates that it has."""
    fits = []
    for pixel in values.T:
        there = ~np.isnan(pixel)
        coefficients, covariance = np.polyfit(time[there], pixel[there], 1, cov=True)
        fits.append((coefficients[0], np.sqrt(covariance[0, 0])))
    return np.array(fits).T


def by_xarray(values):
    cube = xr.DataArray(values, dims=("time", "pixel"), coords={"time": time})
    fit = cube.polyfit("time", 1, cov=True)
    return fit.polyfit_coefficients[0].to_numpy(), np.sqrt(fit.polyfit_covariance[0, 0].to_numpy())


def significant(slopes, errors, values):
    dates = (~np.isnan(values)).sum(axis=0)
    return np.mean(2 * stats.t.sf(np.abs(slopes / errors), dates - 2) < 0.05)


as_seen = True
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for share in (1.0, 0.5, 0.2):
        values = chance.normal(size=(DATES, PIXELS))
        values[chance.random(values.shape) >= share] = np.nan
        slopes, errors = by_xarray(values)
        right_slopes, right_errors = by_numpy(values)
        ratio = np.median(errors / right_errors)
        false = significant(slopes, errors, values)
        right = significant(right_slopes, right_errors, values)
        print(
            f"  {share:.0%} of the dates: slopes alike {np.allclose(slopes, right_slopes)}, standard error "
            f"{ratio:.2f} of numpy's; significant trends {false:.2f}, by numpy {right:.2f}"
        )
        as_seen &= np.allclose(slopes, right_slopes) and abs(ratio - share) < 0.05 and right < 0.07
        as_seen &= false == right if share == 1 else false > 0.2
print(f"  warnings: {len(told)}")
sys.exit(0 if as_seen and not told else "this is no longer as described")
PYTHON
