#!/usr/bin/env bash
# Read through Arrow without their geometry, the rows of some files within a box are none.
#
# Seen with: pyogrio 0.13.0 (GDAL 3.12.4), geopandas 1.2.0, pyarrow 26.0.1, Python 3.11
# Expected: geopandas.read_file(path, bbox=..., ignore_geometry=True) returns the attributes of what lies in the box, and
#   use_arrow=True returns the same, sooner. The release notes of pyogrio 0.9.1 say that box and mask work without the
#   geometry.
# Instead: through Arrow, a Shapefile, a File Geodatabase and SQLite return an empty table, with all of its columns, as if
#   nothing were there; so they do with mask. Without Arrow they return the rows, and GeoPackage, FlatGeobuf, GeoJSON and
#   MapInfo return them either way. GDAL is told to leave the geometry out, and has nothing to compare with the box. Nothing
#   is said. PYOGRIO_USE_ARROW=1 turns this on for programs that never name Arrow.
# Output as seen, rows of the four in the box:
#   gpkg     4, through Arrow 4, without geometry 4, both 4
#   fgb      4, through Arrow 4, without geometry 4, both 4
#   geojson  4, through Arrow 4, without geometry 4, both 4
#   tab      4, through Arrow 4, without geometry 4, both 4
#   shp      4, through Arrow 4, without geometry 4, both 0
#   gdb      4, through Arrow 4, without geometry 4, both 0
#   sqlite   4, through Arrow 4, without geometry 4, both 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyogrio==0.13.0 geopandas==1.2.0 pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import itertools
import sys

import geopandas as gpd
import numpy as np

rows = np.arange(10)
sites = gpd.GeoDataFrame({"row": rows}, geometry=gpd.points_from_xy(rows, rows), crs=32631)
BOX = (2.5, 2.5, 6.5, 6.5)
DRIVERS = {
    "gpkg": "GPKG",
    "fgb": "FlatGeobuf",
    "geojson": "GeoJSON",
    "tab": "MapInfo File",
    "shp": "ESRI Shapefile",
    "gdb": "OpenFileGDB",
    "sqlite": "SQLite",
}
found = {}
for extension, driver in DRIVERS.items():
    path = f"sites.{extension}"
    sites.to_file(path, driver=driver)
    found[extension] = [
        len(gpd.read_file(path, bbox=BOX, ignore_geometry=ignored, use_arrow=arrow))
        for ignored, arrow in itertools.product((False, True), repeat=2)
    ]
    plain, arrow, bare, both = found[extension]
    print(f"{extension:<8} {plain}, through Arrow {arrow}, without geometry {bare}, both {both}")
none = {extension for extension, lengths in found.items() if lengths == [4, 4, 4, 0]}
whole = {extension for extension, lengths in found.items() if lengths == [4, 4, 4, 4]}
if none == {"shp", "gdb", "sqlite"} and none | whole == set(DRIVERS):
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
