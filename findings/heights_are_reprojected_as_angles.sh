#!/usr/bin/env bash
# polars-st takes heights for angles: to_srid() makes 1.7 m of 100 m on the way to UTM, and 5.7 km on the way back.
#
# Seen with: polars-st 0.11.0, polars 2.1.0, pyproj 3.7.2, Python 3.11
# Expected: what PROJ, PostGIS and geopandas do: EPSG:4326 and UTM are two-dimensional, so that the height of a point is kept.
# Instead: where the source is geographic, Z is turned into radians along with X and Y, and where the target is, into
#   degrees: 100 m become 1.745 m, or 5,730 m. There and back gives 100 again, so that a test of that kind sees nothing.
#   From one projected CRS to another on the same datum, Z is kept. X, Y and M are right, in all kinds of geometries.
# Output as seen:
#   4326 to 32632:           Z 1.745, pyproj 100.000
#   32632 to 4326:           Z 5729.578, pyproj 100.000
#   32632 to 32633:          Z 100.000, pyproj 100.000
#   4326 to 32632 and back:  Z 100.000
#   farthest in X and Y:     0.000 m
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet polars-st==0.11.0 polars==2.1.0 pyproj==3.7.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import polars as pl
import polars_st as st
from pyproj import Transformer

DEGREES, METRES = (9.5, 50.0), (535_820.0, 5_538_700.0)


def moved(ewkt, *srids):
    """Return the coordinates of a point in the last of the CRSs."""
    frame = pl.DataFrame({"point": [ewkt]}).select(point=st.from_ewkt("point"))
    for srid in srids:
        frame = frame.select(point=pl.col("point").st.to_srid(srid))
    text = frame.select(pl.col("point").st.to_wkt(rounding_precision=12)).item()
    return [float(number) for number in text.removeprefix("POINT Z (").removesuffix(")").split()]


heights, off = {}, []
for source, target, place in ((4326, 32632, DEGREES), (32632, 4326, METRES), (32632, 32633, METRES)):
    found = moved(f"SRID={source};POINT Z ({place[0]} {place[1]} 100)", target)
    right = Transformer.from_crs(source, target, always_xy=True).transform(*place, 100)
    heights[source, target] = found[2]
    metres = 111_000 if target == 4326 else 1
    off += [abs(a - b) * metres for a, b in zip(found[:2], right[:2], strict=True)]
    print(f"{source} to {target}:".ljust(24), f"Z {found[2]:.3f}, pyproj {right[2]:.3f}")
back = moved(f"SRID=4326;POINT Z ({DEGREES[0]} {DEGREES[1]} 100)", 32632, 4326)
print(f"4326 to 32632 and back:  Z {back[2]:.3f}")
print(f"farthest in X and Y:     {max(off):.3f} m")
if (
    abs(heights[4326, 32632] - 1.745) < 0.01
    and abs(heights[32632, 4326] - 5729.578) < 0.01
    and abs(heights[32632, 32633] - 100) < 0.01
    and abs(back[2] - 100) < 0.01
    and max(off) < 0.1
):
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
