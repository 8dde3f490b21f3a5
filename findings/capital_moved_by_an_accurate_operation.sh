#!/usr/bin/env bash
# Skopje, in the national datum of North Macedonia, is taken to WGS 84 with "an accuracy of 1 m", 1.6 km from where it is.
#
# Seen with: pyproj 3.7.2 (PROJ 9.5.1, EPSG 11.022), geopandas 1.2.0, shapely 2.1.2, Python 3.11
# Expected: of several operations from one datum to another, PROJ takes the best for the place, so that a country keeps its
#   shape. From MGI 1901, in which all of former Yugoslavia was mapped, those for Serbia and North Macedonia agree to metres,
#   and so does each with its own twin to ETRS89, which is WGS 84 but for half a metre.
# Instead: the registry has one for Kosovo, too, that leads 1.6 km east of all others. Areas are rectangles, and the one
#   around Kosovo holds Skopje, the Serbian towns of Novi Pazar and Bujanovac, and a part of Montenegro. There PROJ prefers
#   it to the operations for Serbia and North Macedonia, so that positions in EPSG:6316, 6204 or 3909 move 1.6 km on the way
#   to WGS 84, and not on the way to ETRS89. Along the edge of the rectangle the ground tears: a field that was 20 m wide
#   becomes 1.6 km wide, and stays a valid polygon. Nothing is said. Vranje, Nis and Belgrade are outside, and right.
# Output as seen (metres between where WGS 84 and ETRS89 put a place, and the operation to WGS 84):
#   Skopje      1623  MGI 1901 to WGS 84 (14), accuracy 1 m
#   Pristina    1614  MGI 1901 to WGS 84 (14), accuracy 1 m
#   Novi Pazar  1610  MGI 1901 to WGS 84 (14), accuracy 1 m
#   Vranje         0  MGI 1901 to WGS 84 (15), accuracy 1 m
#   Belgrade       0  MGI 1901 to WGS 84 (15), accuracy 1 m
#   a field across the edge, 20 m wide: 1.6 km in WGS 84, 20 m in ETRS89, valid, 0 warnings
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyproj==3.7.2 geopandas==1.2.0 shapely==2.1.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import warnings

import geopandas as gpd
from pyproj import Geod, Transformer
from pyproj.transformer import TransformerGroup
from shapely import box

GEOD = Geod(ellps="WGS84")
PLACES = {
    "Skopje": (21.43, 42.00),
    "Pristina": (21.16, 42.66),
    "Novi Pazar": (20.51, 43.14),
    "Vranje": (21.90, 42.55),
    "Belgrade": (20.46, 44.80),
}
datum, wgs84, etrs89 = 3906, 4326, 4258
to_wgs84 = Transformer.from_crs(datum, wgs84, always_xy=True)
to_etrs89 = Transformer.from_crs(datum, etrs89, always_xy=True)
apart = {}
for name, place in PLACES.items():
    here = to_wgs84.transform(*place)
    used = to_wgs84.get_last_used_operation()
    operation = next(step.strip() for step in used.description.split(" + ") if "MGI" in step)
    apart[name] = GEOD.inv(*here, *to_etrs89.transform(*place))[2]
    print(f"{name:10}  {apart[name]:4.0f}  {operation}, accuracy {used.accuracy:.0f} m")

# the western edge of the rectangle for which the operation is meant, west of Kosovo itself
group = TransformerGroup(datum, wgs84, always_xy=True).transformers
edge = next(one for one in group if "(14)" in one.description).area_of_use.west
field = gpd.GeoSeries([box(edge - 0.00012, 42.6, edge + 0.00012, 42.601)], crs=datum)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    widths = {}
    for code in (wgs84, etrs89):
        moved = field.to_crs(code)[0]
        west, south, east, _ = moved.bounds
        widths[code] = GEOD.inv(west, south, east, south)[2]
print(
    f"a field across the edge, 20 m wide: {widths[wgs84] / 1000:.1f} km in WGS 84, "
    f"{widths[etrs89]:.0f} m in ETRS89, {'valid' if moved.is_valid else 'invalid'}, "
    f"{len(told)} warnings"
)
inside = min(apart[name] for name in ("Skopje", "Pristina", "Novi Pazar")) > 1500
outside = max(apart[name] for name in ("Vranje", "Belgrade")) < 5
if inside and outside and widths[wgs84] > 1500 and widths[etrs89] < 25 and not told:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
