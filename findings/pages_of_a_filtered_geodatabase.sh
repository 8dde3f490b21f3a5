#!/usr/bin/env bash
# Reading a File Geodatabase page by page with a where clause gives rows twice, and never gets to the last ones.
#
# Seen with: pyogrio 0.13.0 (GDAL 3.12.4), geopandas 1.2.0, pyarrow 26.0.1, Python 3.11
# Expected: where="kind = 'mine'", skip_features=100, max_features=100 returns the second hundred mines, as it does in all
#   other formats (GeoPackage, Shapefile, FlatGeobuf, GeoJSON, SQLite, MapInfo, GML). GDAL documents the index that
#   pyogrio sets as one "into the current result set".
# Instead: in a geodatabase, it is 100 rows of the table that are skipped, of whatever kind, and the hundred mines after
#   these are returned. Each page overlaps with the one before, all pages are full, and the last third of the mines is in
#   none of them. A page on its own looks right: all of it are mines. rows= of geopandas has the same, and so has sql with
#   a WHERE. Without where, and with bbox, pages are right. Without max_features, skip_features=100 returns the first 234
#   of the 300 mines after row 100, or, through Arrow, all 300. Nothing is said. In GDAL's source, the index counts rows of
#   the table where none of them was deleted and no index helps with the filter.
# Output as seen, of 1,000 rows with a mine in every third:
#   gpkg           pages 100, 100, 100, 34: 334 different mines, the last in row 999
#   gdb            pages 100, 100, 100, 100: 200 different mines, the last in row 597
#   gdb, Arrow     pages 100, 100, 100, 100: 200 different mines, the last in row 597
#   gdb, no where  pages 250, 250, 250, 250: 334 different mines, the last in row 999
#   after 100 mines: 234 from row 300 in the gpkg, 234 from row 102 in the gdb, 300 through Arrow
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyogrio==0.13.0 geopandas==1.2.0 pyarrow==26.0.1
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio

rows = np.arange(1_000)
sites = gpd.GeoDataFrame(
    {"row": rows, "kind": np.where(rows % 3 == 0, "mine", "other")},
    geometry=gpd.points_from_xy(500_000 + rows, 5_000_000 + rows),
    crs=32631,
)
sites.to_file("sites.gpkg")
sites.to_file("sites.gdb", driver="OpenFileGDB")
MINES = "kind = 'mine'"


def paged(path, size, where=MINES, arrow=False):
    """Return the lengths of four pages, how many mines are in them, and the row of the last."""
    pages = [
        pyogrio.read_dataframe(
            path, where=where, skip_features=start, max_features=size, use_arrow=arrow
        )
        for start in range(0, 4 * size, size)
    ]
    found = pd.concat(pages)
    found = found[found["kind"] == "mine"]["row"]
    return [len(page) for page in pages], found.nunique(), int(found.max())


seen = {
    "gpkg": paged("sites.gpkg", 100),
    "gdb": paged("sites.gdb", 100),
    "gdb, Arrow": paged("sites.gdb", 100, arrow=True),
    "gdb, no where": paged("sites.gdb", 250, where=None),
}
for name, (pages, different, last) in seen.items():
    lengths = ", ".join(map(str, pages))
    print(f"{name:<14} pages {lengths}: {different} different mines, the last in row {last}")
rest = [
    pyogrio.read_dataframe(path, where=MINES, skip_features=100, use_arrow=arrow)["row"].astype(int)
    for path, arrow in (("sites.gpkg", False), ("sites.gdb", False), ("sites.gdb", True))
]
print(
    f"after 100 mines: {len(rest[0])} from row {rest[0].min()} in the gpkg, "
    f"{len(rest[1])} from row {rest[1].min()} in the gdb, {len(rest[2])} through Arrow"
)
if (
    seen["gpkg"] == ([100, 100, 100, 34], 334, 999)
    and seen["gdb"] == seen["gdb, Arrow"] == ([100] * 4, 200, 597)
    and seen["gdb, no where"] == ([250] * 4, 334, 999)
    and [len(part) for part in rest] == [234, 234, 300]
):
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
