#!/usr/bin/env bash
# scipy 1.17.1, opencv-python-headless 5.0.0.93, edt 3.1.2, numpy 2.4.6 (Python 3.11).
#
# scipy.ndimage's exact Euclidean distance transform is the usual way to a raster of distances: to the nearest industrial
# site, road or river. In a tile that holds none, one expects infinity, or an error. Instead the distances grow from the
# first pixel on, and look like any others: they are those to a pixel that does not exist, one row above the first
# column. In tiles of a larger area, the corner of every empty tile becomes a site. return_indices gives that pixel as
# (-1, 0), which, as an index, is the last row. sampling, in metres, scales these distances like true ones.
#
# Others say that there is nothing: scipy's own chessboard transform -1 and its brute-force transform a number beyond
# all bounds, as OpenCV does, and edt infinity. The way out is to ask first whether any pixel is zero.
#
# Output as seen, for pixels of 10 m:
#   tile with a site: 0 to 99 m
#   tile without one: 10 to 106 m, the nearest site at row -1, column 0
#   first row:        10 14 22 32 41 51 61 71
#   chessboard:       -1
#   brute force:      beyond 1e+100
#   OpenCV:           beyond 1e+30
#   edt:              inf
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  scipy==1.17.1 opencv-python-headless==5.0.0.93 edt==3.1.2 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - >"$folder/now" <<'PYTHON'
import cv2
import edt
import numpy as np
from scipy import ndimage

with_site = np.ones((8, 8), dtype=np.uint8)
with_site[0, 0] = 0
without = np.ones((8, 8), dtype=np.uint8)
PIXEL = 10.0  # metres

near = ndimage.distance_transform_edt(with_site, sampling=PIXEL)
far, at = ndimage.distance_transform_edt(without, sampling=PIXEL, return_indices=True)
(row,), (column,) = (np.unique(axis) for axis in at)
print(f"tile with a site: {near.min():.0f} to {near.max():.0f} m")
print(f"tile without one: {far.min():.0f} to {far.max():.0f} m, the nearest site at row {row}, column {column}")
print("first row:       ", *np.round(far[0]).astype(int))
print("chessboard:      ", *np.unique(ndimage.distance_transform_cdt(without)))
print("brute force:      beyond 1e+100" if ndimage.distance_transform_bf(without).min() > 1e100 else "brute force: less")
print("OpenCV:           beyond 1e+30" if cv2.distanceTransform(without, cv2.DIST_L2, 5).min() > 1e30 else "OpenCV: less")
print("edt:             ", *np.unique(edt.edt(without, anisotropy=(PIXEL, PIXEL))))
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
