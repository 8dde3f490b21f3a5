#!/usr/bin/env bash
# The mean of a Sentinel-2 tile is a quarter of itself in Numba, and half with two threads.
#
# Seen with: numba 0.68.1, numpy 2.4.6, Python 3.11
# Expected: np.mean, np.std and np.sum in a compiled function give what they give in NumPy, in the last digits but one.
# Instead: of float32, they add up pixel by pixel in float32. NumPy adds up by pairs. A sum of reflectances of 0.3 stops
#   growing at about 8,388,608 (2**23), where 0.3 is less than half a step, so that 120 million pixels have the mean 0.07
#   and, about it, a standard deviation of 0.24 instead of 0.05. With parallel=True, each thread stops for itself, so that
#   the mean grows with their number. np.nanmean and np.nanstd, where nothing is nan, are right: they add up in double
#   precision. Nothing is said.
# Output as seen:
#   NumPy: mean 0.30, std 0.05
#   Numba: mean 0.07
#   Numba: mean, parallel, 1 thread 0.07
#   Numba: mean, parallel, 2 threads 0.14
#   Numba: nanmean 0.30
#   Numba: std 0.24
#   Numba: nanstd 0.05
#   warnings: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6
cd "$work"
NUMBA_NUM_THREADS=2 "$work/venv/bin/python" - <<'PY'
import sys
import warnings

import numba
import numpy as np

mean = numba.njit(lambda pixels: np.mean(pixels))
nanmean = numba.njit(lambda pixels: np.nanmean(pixels))
std = numba.njit(lambda pixels: np.std(pixels))
nanstd = numba.njit(lambda pixels: np.nanstd(pixels))
parallel = numba.njit(parallel=True)(lambda pixels: np.mean(pixels))


def with_threads(number, pixels):
    numba.set_num_threads(number)
    return parallel(pixels)


tile = np.random.default_rng(0).normal(0.3, 0.05, (10_980, 10_980)).astype("float32")
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    by_numpy = {"mean": tile.mean(), "std": tile.std()}
    by_numba = {
        "mean": mean(tile),
        "mean, parallel, 1 thread": with_threads(1, tile),
        "mean, parallel, 2 threads": with_threads(2, tile),
        "nanmean": nanmean(tile),
        "std": std(tile),
        "nanstd": nanstd(tile),
    }
print("NumPy:", ", ".join(f"{title} {value:.2f}" for title, value in by_numpy.items()))
for title, value in by_numba.items():
    print(f"Numba: {title} {value:.2f}")
print("warnings:", len(told))
kept = np.allclose([*by_numpy.values(), by_numba["nanmean"], by_numba["nanstd"]], [0.3, 0.05, 0.3, 0.05], atol=1e-3)
lost = by_numba["mean"] < 0.1 and by_numba["std"] > 0.2
lost &= by_numba["mean, parallel, 2 threads"] > 1.5 * by_numba["mean, parallel, 1 thread"]
if kept and lost and not told:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
