#!/usr/bin/env bash
# A folder of GeoParquet files in several CRSs is read as if all were in that of the first.
#
# Seen with: geopandas 1.2.0, pyarrow 26.0.1, shapely 2.2.0, Python 3.11
# Expected: an error, or one CRS for all; each file says its own, as the format has it.
# Instead: geopandas.read_parquet takes the words of the first file for the whole folder, without a warning. Of two files,
#   one for each of two UTM zones, the second lies 6 degrees of longitude too far west.
# Output as seen:
#   east.parquet alone:   longitude 9.000
#   both as one table:    longitude 3.000 of the same point, in WGS 84 / UTM zone 31N
#   warnings: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet geopandas==1.2.0 pyarrow==26.0.1 shapely==2.2.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import warnings
from pathlib import Path

import geopandas as gpd
from shapely.geometry import Point

Path("parts").mkdir()
for name, zone in (("a_west", 32631), ("east", 32632)):
    frame = gpd.GeoDataFrame({"name": [name]}, geometry=[Point(500_000, 5_000_000)], crs=zone)
    frame.to_parquet(f"parts/{name}.parquet")
alone = gpd.read_parquet("parts/east.parquet").to_crs(4326).geometry.x.iloc[0]
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    both = gpd.read_parquet("parts")
together = both.to_crs(4326).set_index("name").geometry.x["east"]
print(f"east.parquet alone:   longitude {alone:.3f}")
print(f"both as one table:    longitude {together:.3f} of the same point, in {both.crs.name}")
print("warnings:", len(told))
if round(alone, 3) == 9 and round(together, 3) == 3 and not told:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
