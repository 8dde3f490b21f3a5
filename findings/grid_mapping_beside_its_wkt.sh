#!/usr/bin/env bash
# The numbers that pyproj writes beside the WKT of a grid mapping are, for some national grids, those of another projection.
#
# Seen with: pyproj 3.7.2 (its wheel has PROJ 9.5.1), Python 3.11
# Expected: CRS.to_cf() writes crs_wkt and, for software that does not read it, CF's own attributes, which describe the same
#   projection; where CF has none for it, there is no grid_mapping_name, as for the Dutch and the Romanian grid. And what
#   CRS.from_cf() makes of these attributes alone is the CRS that wrote them.
# Instead: angles of a CRS in grads are written as they are, though CF has degrees (a latitude of 37 for 33.3), and the
#   scale factor of a Lambert projection with one parallel is left out, for which CF has no attribute. Of an oblique
#   Mercator's loss there is a warning; of these there is none. With crs_wkt, all are right.
# Output as seen:
#   a place by the attributes alone, and by the WKT
#   WGS 84 / UTM zone 33N                     0.000 km off     0.000 km off
#   Merchich / Nord Maroc                   414.340 km off     0.000 km off
#   Carthage / Nord Tunisie                 453.398 km off     0.000 km off
#   Madrid 1870 (Madrid) / Spain LCC          0.305 km off     0.000 km off
#   Merchich / Nord Maroc: standard_parallel 37.0, and 33.3 degrees in its WKT's unit
#   Amersfoort / RD New: grid_mapping_name None
#   warnings: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyproj==3.7.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import warnings

from pyproj import CRS, Geod, Transformer

EARTH = Geod(ellps="WGS84")
PLACES = {32633: (15, 50), 26191: (-6, 34), 22391: (9, 36), 2062: (-3, 40)}


def off(code, *, with_wkt):
    """Return how many km a place lies off after a CRS was written as CF and read back."""
    crs = CRS.from_epsg(code)
    attributes = crs.to_cf()
    if not with_wkt:
        del attributes["crs_wkt"]
    again = CRS.from_cf(attributes)
    x, y = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(*PLACES[code])
    place = Transformer.from_crs(again, again.geodetic_crs, always_xy=True).transform(x, y)
    return EARTH.inv(*PLACES[code], *place)[2] / 1000


with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    print("a place by the attributes alone, and by the WKT")
    found = {}
    for code in PLACES:
        alone, whole = (off(code, with_wkt=with_wkt) for with_wkt in (False, True))
        found[code] = alone, whole
        print(f"{CRS.from_epsg(code).name:<35} {alone:>11.3f} km off {whole:>9.3f} km off")
    morocco = CRS.from_epsg(26191)
    written = morocco.to_cf()["standard_parallel"]
    latitude = next(term for term in morocco.coordinate_operation.params if "atitude of nat" in term.name)
    degrees = latitude.value * latitude.unit_conversion_factor * 180 / 3.141592653589793
    print(f"{morocco.name}: standard_parallel {written}, and {degrees:.1f} degrees in its WKT's unit")
    dutch = CRS.from_epsg(28992)
    named = dutch.to_cf(errcheck=False).get("grid_mapping_name")
    print(f"{dutch.name}: grid_mapping_name {named}")
    print("warnings:", len(told))
right = found[32633][0] < 0.001 and all(whole < 0.001 for _, whole in found.values()) and named is None
wrong = min(found[26191][0], found[22391][0]) > 400 and found[2062][0] > 0.1
if right and wrong and written == 37 and abs(degrees - 33.3) < 0.01 and not told:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
