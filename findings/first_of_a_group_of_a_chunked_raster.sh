#!/usr/bin/env bash
# The first value of each group, by xarray, is the whole array, if the groups are read in chunks.
#
# Seen with: xarray 2026.9.0, flox 0.11.2, dask 2026.8.0, numpy 2.4.6, pandas 3.1.1, Python 3.11
# Expected: array.groupby(zone=UniqueGrouper(labels=[...])).first() is "the first element of each group along the group
#   dimension", as it is where the zones are in memory, and as max() of the same groups is the greatest. What cannot be done
#   with dask, such as plain groupby("zone"), is refused.
# Instead: where the zones are a dask array, as they are in any raster opened with chunks, first() and last() return the
#   array as it was, with all of its pixels in place of one value for each zone, neither reduced nor refused. They ask
#   whether every group has one element, of a list of groups that is empty as long as the zones are not computed. A mean of
#   the result is that of all values instead of the first ones. So it is with BinGrouper, with and without flox, and
#   nothing is said. What helps: computing the zones first.
# Output as seen, of 12 dates in three seasons, of which each value is the number of the date:
#   seasons in memory, first:  season 3: 0 1 6, mean 2.33
#   seasons in memory, max:    season 3: 10 5 11, mean 8.67
#   seasons in chunks, max:    season 3: 10 5 11, mean 8.67
#   seasons in chunks, first:  time 12: 0 1 2 3 4 5 6 7 8 9 10 11, mean 5.50
#   seasons in chunks, last:   time 12: 0 1 2 3 4 5 6 7 8 9 10 11, mean 5.50
#   bins in chunks, first:     time 12: 0 1 2 3 4 5 6 7 8 9 10 11, mean 5.50
#   without flox, first:       time 12: 0 1 2 3 4 5 6 7 8 9 10 11, mean 5.50
#   warnings: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  xarray==2026.9.0 flox==0.11.2 dask==2026.8.0 numpy==2.4.6 pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
import xarray as xr
from xarray.groupers import BinGrouper, UniqueGrouper

SEASONS = [0, 1, 2]
season = np.array([0, 1, 1, 0, 1, 1, 2, 2, 0, 2, 0, 2])
held = xr.DataArray(np.arange(12.0), dims="time", coords={"season": ("time", season)})
chunked = held.chunk(time=4)


def each():
    return {"season": UniqueGrouper(labels=np.array(SEASONS))}


def shown(title, found):
    found = found.compute()
    ((dimension, size),) = found.sizes.items()
    values = found.to_numpy()
    print(f"{title + ':':<26} {dimension} {size}: {' '.join(f'{value:.0f}' for value in values)}, mean {values.mean():.2f}")
    return values


with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    first = shown("seasons in memory, first", held.groupby(each()).first())
    shown("seasons in memory, max", held.groupby(each()).max())
    greatest = shown("seasons in chunks, max", chunked.groupby(each()).max())
    wrong = [
        shown("seasons in chunks, first", chunked.groupby(each()).first()),
        shown("seasons in chunks, last", chunked.groupby(each()).last()),
        shown("bins in chunks, first", chunked.groupby(season=BinGrouper([-1, 0, 1, 2])).first()),
    ]
    with xr.set_options(use_flox=False):
        wrong.append(shown("without flox, first", chunked.groupby(each()).first()))
print("warnings:", len(told))
as_described = (
    first.tolist() == [held.to_numpy()[season == number][0] for number in SEASONS]
    and greatest.tolist() == [held.to_numpy()[season == number].max() for number in SEASONS]
    and all(np.array_equal(found, held) for found in wrong)
    and not told
)
if not as_described:
    sys.exit("this is no longer as described")
PYTHON
