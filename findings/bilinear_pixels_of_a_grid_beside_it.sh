#!/usr/bin/env bash
# Bilinear resampling by pyresample takes two fifths of the pixels from beside where they are, if grids are parallel.
#
# Seen with: pyresample 1.35.0, pyproj 3.7.2, numpy 2.4.6, xarray 2026.9.0, dask 2026.8.0, zarr 3.1.6, Python 3.11
# Expected: resampling an area to another one in the same CRS, finer or shifted by part of a pixel, is the easiest case of
#   all, and gives what interpolating along rows and columns gives. A raster whose values are its own coordinates comes back
#   with the coordinates of the new pixels.
# Instead: in UTM and Web Mercator, every third new pixel, or more, is off, by up to three quarters of the way to the next
#   column of the old ones, spread over the raster as noise; rows are right. pyresample goes from the CRS to degrees and
#   back, so that the four old pixels around a new one form a rectangle but for a billionth of a metre. What it solves for
#   the share of each column is then a quadratic equation whose first factor is nearly, but not exactly, 0. The formula takes
#   the difference of two almost equal numbers, which leaves 0 or noise, and either passes where it lies between 0 and 1.
#   Areas in degrees, whose pixels come back exactly, are right, and so is one in the next UTM zone, where nothing is
#   parallel. XArrayBilinearResampler, which satpy uses, does the same. Nothing but NumPy's warnings of divisions by zero is
#   said, and these are there in degrees too.
# Output as seen (pixels that are off by more than a hundredth of an old pixel, and the farthest, in old pixels; the figures
#   depend on the processor):
#   UTM, pixels of half the size:  0.42 of 39204 pixels are off, by up to 0.75, 6 warnings
#   the same by xarray:            0.42 of 39204 pixels are off, by up to 0.75, 6 warnings
#   the same, along the rows:      0.00 of 39204 pixels are off, by up to 0.00, 6 warnings
#   UTM, shifted by a quarter:     0.43 of 9801 pixels are off, by up to 0.75, 6 warnings
#   Web Mercator, half the size:   0.33 of 39204 pixels are off, by up to 0.75, 6 warnings
#   degrees, half the size:        0.00 of 39204 pixels are off, by up to 0.00, 4 warnings
#   UTM, to the next zone:         0.00 of 14400 pixels are off, by up to 0.00, 0 warnings
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pyresample==1.35.0 pyproj==3.7.2 numpy==2.4.6 \
  xarray==2026.9.0 dask==2026.8.0 zarr==3.1.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore::UserWarning - <<'PYTHON'
import sys
import warnings

import dask.array
import numpy as np
import pyproj
import xarray
from pyresample.bilinear import NumpyBilinearResampler, XArrayBilinearResampler
from pyresample.geometry import AreaDefinition


def area(crs, west, south, pixel, number):
    extent = (west, south, west + pixel * number, south + pixel * number)
    return AreaDefinition(crs, crs, crs, crs, number, number, extent)


def resampled(source, target, values, radius, by_xarray):
    if by_xarray:
        array = xarray.DataArray(dask.array.from_array(values, chunks=50), dims=("y", "x"))
        return np.asarray(XArrayBilinearResampler(source, target, radius).resample(array))
    return NumpyBilinearResampler(source, target, radius).resample(values, fill_value=np.nan)


def off(source, target, axis, by_xarray=False):
    """How far, in pixels of the source, pixels of the target are from what they are said to be, along one axis."""
    old, new = source.get_proj_coords(), target.get_proj_coords()
    if source.crs != target.crs:
        new = pyproj.Transformer.from_crs(target.crs, source.crs, always_xy=True).transform(*new)
    pixel = source.pixel_size_x
    inside = np.logical_and.reduce([(there >= here.min()) & (there <= here.max()) for here, there in zip(old, new)])
    radius = 3 * pixel * (111_000 if source.crs.is_geographic else 1)
    values = resampled(source, target, np.array(old[axis]), radius, by_xarray)
    return np.abs(values - new[axis])[inside] / pixel


utm = area("EPSG:32632", 600_000, 5_500_000, 1_000, 100)
mercator = area("EPSG:3857", 1_000_000, 6_000_000, 1_000, 100)
degrees = area("EPSG:4326", 9, 50, 0.01, 100)
finer, shifted = area("EPSG:32632", 600_000, 5_500_000, 500, 200), area("EPSG:32632", 600_250, 5_500_250, 1_000, 100)
as_seen = True
for words, right, how in [
    ("UTM, pixels of half the size", False, (utm, finer, 0)),
    ("the same by xarray", False, (utm, finer, 0, True)),
    ("the same, along the rows", True, (utm, finer, 1)),
    ("UTM, shifted by a quarter", False, (utm, shifted, 0)),
    ("Web Mercator, half the size", False, (mercator, area("EPSG:3857", 1_000_000, 6_000_000, 500, 200), 0)),
    ("degrees, half the size", True, (degrees, area("EPSG:4326", 9, 50, 0.005, 200), 0)),
    ("UTM, to the next zone", True, (utm, area("EPSG:32633", 185_000, 5_525_000, 500, 120), 0)),
]:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", RuntimeWarning)
        distances = off(*how)
    share, farthest = (distances > 0.01).mean(), distances.max()
    print(
        f"{words + ':':<30} {share:.2f} of {len(distances)} pixels are off, by up to {farthest:.2f}, "
        f"{len(heard)} warnings"
    )
    as_seen &= len(distances) > 5_000 and (share == 0 if right else share > 0.1 and farthest > 0.5)
sys.exit(0 if as_seen else "this is no longer as described")
PYTHON
