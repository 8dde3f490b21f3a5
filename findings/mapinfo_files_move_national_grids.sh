#!/usr/bin/env bash
# A MapInfo file that GDAL writes in some national grids lies elsewhere when it is read back.
#
# Seen with: pyogrio 0.13.0 (GDAL 3.12.4), geopandas 1.2.0, pyproj 3.7.2, Python 3.11
# Expected: the same place, or an error or warning where the format cannot say what a CRS means.
# Instead: the coordinates are kept to the millimetre, and the CRS that is written beside them is another one. MapInfo's
#   Lambert azimuthal projection has no false origin, so that of EPSG:3035, the grid of European statistics, is dropped
#   without a word: Germany lies in Siberia. Where a CRS tells no shift to WGS 84, the datum becomes WGS 84 itself (the
#   Netherlands, Germany's Gauss-Krueger zones), or one of its ellipsoid for which no shift is known (Switzerland,
#   Czechia): near enough for nobody to notice. UTM and Lambert-93 come back as they were.
# Output as seen:
#   EPSG:32632   0.0 m
#   EPSG:2154    0.0 m
#   EPSG:3035    5544168.1 m
#   EPSG:28992   113.9 m
#   EPSG:31467   445.9 m
#   EPSG:2056    167.0 m
#   EPSG:5514    127.1 m
#   warnings: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyogrio==0.13.0 geopandas==1.2.0 pyproj==3.7.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import warnings

import geopandas as gpd
from pyproj import Geod
from shapely.geometry import Point

PLACES = {  # of each grid, longitude and latitude of a point in its country
    32632: (9.0, 50.0),
    2154: (3.0, 46.0),
    3035: (10.0, 50.0),
    28992: (5.4, 52.0),
    31467: (9.5, 50.0),
    2056: (8.0, 47.0),
    5514: (15.0, 50.0),
}
off = {}
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for code, place in PLACES.items():
        written = gpd.GeoDataFrame({"name": ["a"]}, geometry=[Point(place)], crs=4326).to_crs(code)
        written.to_file(f"{code}.mif", driver="MapInfo File")
        read = gpd.read_file(f"{code}.mif")
        assert read.geometry[0].distance(written.geometry[0]) < 0.01  # the numbers are the same
        there = read.to_crs(4326).geometry[0]
        off[code] = Geod(ellps="WGS84").inv(*place, there.x, there.y)[2]
for code, metres in off.items():
    print(f"EPSG:{code:<7} {abs(metres):.1f} m")
print("warnings:", len(told))
kept = max(off[32632], off[2154]) < 0.1
moved = off[3035] > 5e6 and min(off[code] for code in (28992, 31467, 2056, 5514)) > 100
if kept and moved and not told:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
