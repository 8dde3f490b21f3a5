#!/usr/bin/env bash
# What share of points has a neighbour within 4 m, by pointpats, depends on what other distances are asked for.
#
# Seen with: pointpats 2.5.5, shapely 2.2.0, scipy 1.17.1, numpy 2.4.6, pandas 3.1.1, geopandas 1.2.0, Python 3.11
# Expected: Ripley's G at a distance is the share of points whose nearest neighbour lies within it, as documented ("the
#   cumulative density function of the nearest neighbor distances"), and F that of random places with a point within it.
#   "support" says at which distances to evaluate them.
# Instead: both are shares of what lies between the least and the greatest distance of the support. Nearer and farther
#   neighbours are left out of both sides, so that either begins at 0 and ends at 1, whatever the points. For F it is so by
#   default: its support ends at the greatest distance between neighbours, which is little beside the gaps of a clustered
#   pattern, so that nine places in ten are dropped, and no place seems to be farther than 28 m from a point. That is what
#   F is to tell. Nothing is said. What helps: a support that begins at 0 and ends beyond all distances.
# Output as seen, for 300 points in ten clusters on a square kilometre; by hand: scipy's tree, without a support:
#   G at 2, 4, 8 m:            0.00 0.55 1.00
#   G at 0, 2, 4, 8, 100 m:    0.00 0.26 0.61 0.90 1.00
#   by hand at 2, 4, 8 m:      0.26 0.61 0.90
#   F by default at 28 m:      1.00
#   F from 0 to 1000 m at 28:  0.08 (1,000 random places)
#   by hand at 28 m:           0.09
#   warnings: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pointpats==2.5.5 shapely==2.2.0 scipy==1.17.1 numpy==2.4.6 pandas==3.1.1 geopandas==1.2.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
import pointpats
import shapely
from scipy.spatial import KDTree

random = np.random.default_rng(0)
centres = random.random((10, 2)) * 1000
points = (centres[:, None] + random.normal(0, 10, (10, 30, 2))).reshape(-1, 2)
hull = shapely.convex_hull(shapely.MultiPoint(points))
anywhere = random.random((100_000, 2)) * np.ptp(points, axis=0) + points.min(axis=0)
anywhere = anywhere[shapely.contains_xy(hull, *anywhere.T)]
to_neighbour = KDTree(points).query(points, 2)[0][:, 1]
to_point = KDTree(points).query(anywhere)[0]


def shown(title, shares):
    print(f"{title + ':':<26}", *(f"{share:.2f}" for share in np.atleast_1d(shares)))
    return np.atleast_1d(shares)


def within(distances, limits):
    return (distances[:, None] <= np.atleast_1d(limits)).mean(axis=0)


with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    three = shown("G at 2, 4, 8 m", pointpats.g(points, support=np.array([2.0, 4, 8]))[1])
    five = shown("G at 0, 2, 4, 8, 100 m", pointpats.g(points, support=np.array([0.0, 2, 4, 8, 100]))[1])
    right = shown("by hand at 2, 4, 8 m", within(to_neighbour, [2, 4, 8]))
    limits, empty = pointpats.f(points, hull=hull)
    last = limits[-1]
    default = shown(f"F by default at {last:.0f} m", empty[-1])
    wide = pointpats.f(points, hull=hull, support=np.array([0, last, 1000]))[1]
    whole = shown(f"F from 0 to 1000 m at {last:.0f}", wide[1])
    by_hand = shown(f"by hand at {last:.0f} m", within(to_point, last))
print("warnings:", len(told))
as_described = (
    np.allclose(five[1:4], right)
    and three[0] == 0
    and three[-1] == 1
    and right[0] > 0.2
    and right[-1] < 0.95
    and default[0] == 1
    and abs(whole[0] - by_hand[0]) < 0.04
    and by_hand[0] < 0.2
    and not told
)
if not as_described:
    sys.exit("this is no longer as described")
PYTHON
