#!/usr/bin/env bash
# Heights of geometries that have measures too are lost in geopandas: NaN after to_crs, 0 after force_3d.
#
# Seen with: geopandas 1.2.0, shapely 2.2.0 (its wheel has GEOS 3.14.1), pyproj 3.7.2, pyarrow 26.0.1, Python 3.11
# Expected: geometries with Z and M, as survey lines and tracks have, keep their heights where those without M do; "Z
#   coordinates of 3D geometries are unchanged (unless they are nan)" by force_3d. M is kept, or dropped.
# Instead: to_crs, translate and all else that is made of shapely.transform put two coordinates, or three, into a geometry
#   of four: it still has Z and M, and both are NaN. force_3d takes M off, and Z with it, and sets all heights to 0. Where
#   there is M but no Z, force_3d adds none, and to_parquet(geometry_encoding="geoarrow") writes the measures as heights.
#   X and Y are right, WKB keeps everything, and geoarrow refuses Z and M together. Nothing else is said.
# Output as seen, for a point with Z, one with Z and M, and one with M:
#   as they are  POINT Z (9 50 100); POINT ZM (9 50 100 7); POINT M (9 50 7)
#   to_crs       POINT Z (500000 5538631 100); POINT ZM (500000 5538631 NaN NaN); POINT (500000 5538631)
#   translate    POINT Z (10 51 100); POINT ZM (10 51 NaN NaN); POINT (10 51)
#   force_3d     POINT Z (9 50 100); POINT Z (9 50 0); POINT M (9 50 7)
#   WKB          POINT Z (9 50 100); POINT ZM (9 50 100 7); POINT M (9 50 7)
#   geoarrow     POINT Z (9 50 100); ValueError; POINT Z (9 50 7)
#   warnings: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet geopandas==1.2.0 shapely==2.2.0 pyproj==3.7.2 pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import warnings

import geopandas as gpd
import shapely


def stored(points, encoding):
    """Return points as GeoParquet has them."""
    frame = gpd.GeoDataFrame(geometry=points)
    frame.to_parquet("points.parquet", geometry_encoding=encoding)
    return gpd.read_parquet("points.parquet").geometry


WAYS = {
    "as they are": lambda points: points,
    "to_crs": lambda points: points.to_crs(32632),
    "translate": lambda points: points.translate(1, 1),
    "force_3d": lambda points: points.force_3d(),
    "WKB": lambda points: stored(points, "WKB"),
    "geoarrow": lambda points: stored(points, "geoarrow"),
}
seen = {}
with warnings.catch_warnings(record=True) as told:
    warnings.filterwarnings("always")
    warnings.filterwarnings("ignore", message=".*geoarrow.*")  # that it is new
    for way, change in WAYS.items():
        for wkt in ("POINT Z (9 50 100)", "POINT ZM (9 50 100 7)", "POINT M (9 50 7)"):
            points = gpd.GeoSeries([shapely.from_wkt(wkt)], crs=4326)
            try:
                point = change(points).iloc[0]
                said = shapely.to_wkt(point, output_dimension=4, rounding_precision=0)
            except ValueError:
                said = "ValueError"
            seen.setdefault(way, []).append(said)
        print(f"{way:<12} {seen[way][0]}; {seen[way][1]}; {seen[way][2]}")
print("warnings:", len(told))
if (
    seen["to_crs"][0].endswith("100)")
    and seen["to_crs"][1].endswith("NaN NaN)")
    and seen["translate"][1] == "POINT ZM (10 51 NaN NaN)"
    and seen["force_3d"] == ["POINT Z (9 50 100)", "POINT Z (9 50 0)", "POINT M (9 50 7)"]
    and seen["WKB"] == seen["as they are"]
    and seen["geoarrow"] == ["POINT Z (9 50 100)", "ValueError", "POINT Z (9 50 7)"]
    and not told
):
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
