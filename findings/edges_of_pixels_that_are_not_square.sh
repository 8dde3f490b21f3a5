#!/usr/bin/env bash
# pylandstats 3.1.0, numpy 2.4.6, pandas 3.1.1 (Python 3.11).
#
# pylandstats measures patches of land cover. It takes the width and the height of a pixel, and the perimeter of a patch
# is right for any of them. The total edge, of a class and of the landscape, has the two swapped around the same patch:
# a field of 4 x 2 pixels of 10 m x 30 m has a perimeter of 200 m and an edge of 280 m. Nothing warns. Edge densities go
# wrong with it.
#
# Pixels are not square in rasters that a program warped to a size of its own choice, and in grids of degrees that have
# fewer columns towards the poles. The way out is to warp to square pixels first.
#
# Output as seen, for a field of 4 columns and 2 rows amid another class; "by hand" is twice its width and height:
#   width  height  by hand  perimeter  total_edge  edge density (m/ha)
#   10     10      120      120        120         100
#   10     30      200      200        280         77.8
#   30     10      280      280        200         55.6
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  pylandstats==3.1.0 numpy==2.4.6 pandas==3.1.1
"$folder/venv/bin/python" -W ignore - >"$folder/now" <<'PYTHON'
import numpy as np
from pylandstats import Landscape

classes = np.ones((10, 12), dtype=np.uint8)
classes[4:6, 3:7] = 2
print("width  height  by hand  perimeter  total_edge  edge density (m/ha)")
for width, height in ((10, 10), (10, 30), (30, 10)):
    landscape = Landscape(classes, res=(width, height), nodata=0)
    patches = landscape.compute_patch_metrics_df(metrics=["perimeter"])
    perimeter = patches.loc[patches["class_val"] == 2, "perimeter"].item()
    of_class = landscape.compute_class_metrics_df(metrics=["total_edge", "edge_density"]).loc[2]
    by_hand = 2 * (4 * width + 2 * height)
    print(
        f"{width:<6} {height:<7} {by_hand:<8} {perimeter:<10.0f} {of_class['total_edge']:<11.0f} "
        f"{of_class['edge_density']:.3g}"
    )
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
