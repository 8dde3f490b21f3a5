#!/usr/bin/env bash
# scipy 1.17.1, numpy 2.4.6 (Python 3.11).
#
# scipy.ndimage.median(values, zones, index) is a quick way to a median for each zone of a raster. Of a tile that lacks one
# of the zones that are asked for, one expects NaN, as mean and standard_deviation give it, or an error. Instead the zone
# gets the least value of the lowest zone that is asked for and there: a real temperature of another place. minimum and
# maximum give it 0. Asked for that zone alone, as a number, median gives NaN.
#
# Where pixels of a zone are NaN, one expects NaN, as numpy.median and ndimage.mean have it, or the median of the others.
# Instead NaN is counted as the largest of all values: with two of five pixels missing, the median is the largest of the
# three that are left. Nothing warns. The way out is to ask for numpy.unique(zones[valid]) in values[valid] only.
#
# Output as seen, temperatures of four zones:
#   zone                 1      2      3      4
#   pixels               5      3      0      1
#   missing              2      0      0      0
#   mean                 nan    291.0  nan    300.0
#   median               283.0  291.0  281.0  300.0
#   minimum              281.0  290.0  0.0    300.0
#   numpy.nanmedian      282.0  291.0  nan    300.0
#   zone 3 alone         nan
#   warnings of the median: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - >"$folder/now" <<'PYTHON'
import warnings

import numpy as np
from scipy import ndimage

kelvin = np.array([[281, 282, 283], [np.nan, np.nan, 290], [291, 292, 300]])
zones = np.array([[1, 1, 1], [1, 1, 2], [2, 2, 4]])
WANTED = [1, 2, 3, 4]


def shown(title, values):
    print(title.ljust(20), "  ".join(str(value).ljust(5) for value in values).rstrip())


def within(zone):
    return kelvin[zones == zone]


shown("zone", WANTED)
shown("pixels", [len(within(zone)) for zone in WANTED])
shown("missing", [np.isnan(within(zone)).sum() for zone in WANTED])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    means = ndimage.mean(kelvin, zones, WANTED)
    by_hand = [np.nanmedian(within(zone)) for zone in WANTED]
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    medians = ndimage.median(kelvin, zones, WANTED)
    minima = ndimage.minimum(kelvin, zones, WANTED)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    alone = ndimage.median(kelvin, zones, 3)
shown("mean", means)
shown("median", medians)
shown("minimum", minima)
shown("numpy.nanmedian", by_hand)
shown("zone 3 alone", [alone])
print("warnings of the median:", len(told))
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
