#!/usr/bin/env bash
# rasterio 1.4.4, which brings GDAL 3.10.3, numpy 2.4.6 (Python 3.11).
#
# Sentinel-2's scene classes come as a JPEG 2000 without loss: read whole, each pixel has its class. One expects the
# same classes when every fourth pixel is read with "nearest" (out_shape, the default), as of a GeoTIFF, or with "mode".
# Instead there are classes that the file does not hold: where vegetation (4) meets water (6), pixels are bare soil (5),
# unclassified (7) or cloud (8), so a scene without any cloud has clouds along its shores.
#
# A JPEG 2000 is stored as wavelets, and GDAL takes its reduced resolutions for overviews. These are smoothed, on both
# sides of an edge beyond the values there, and whatever resampling is asked for picks among them. What is missing is
# blended in as well, as the 0 that it is stored as. GDAL's manual warns of it where gdalwarp makes pixels larger;
# rasterio's documentation of out_shape and resampling does not, nor does its WarpedVRT show it. The way out is to open
# the file with OVERVIEW_LEVEL="NONE", at the price of decoding all of it, or to read windows at full resolution.
#
# Output as seen, for 1536 x 1536 pixels of two classes, read at a quarter of the resolution but for the first line:
#   JPEG 2000, whole                   4: 70.0 %  6: 30.0 %
#   GeoTIFF, nearest                   4: 70.0 %  6: 30.0 %
#   JPEG 2000, nearest                 4: 68.9 %  5:  1.0 %  6: 28.9 %  7:  1.2 %  8:  0.1 %
#   JPEG 2000, mode                    4: 68.9 %  5:  1.0 %  6: 28.9 %  7:  1.2 %  8:  0.1 %
#   JPEG 2000, nearest, no overviews   4: 70.0 %  6: 30.0 %
#   JPEG 2000, nearest, by WarpedVRT   4: 70.0 %  6: 30.0 %
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  rasterio==1.4.4 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - "$folder" >"$folder/now" <<'PYTHON'
import sys

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

SIDE, QUARTER = 1536, (384, 384)
noise = np.random.default_rng(0).normal(size=(SIDE, SIDE))
for axis in (0, 1):  # smooth, so that there are lakes
    noise = np.apply_along_axis(np.convolve, axis, noise, np.hanning(25), mode="same")
classes = np.where(noise > np.quantile(noise, 0.7), 6, 4).astype("uint8")
grid = rasterio.Affine(20, 0, 500_000, 0, -20, 5_000_000)
options = {"width": SIDE, "height": SIDE, "count": 1, "dtype": "uint8", "crs": "EPSG:32631", "transform": grid}
tiff, jpeg = f"{sys.argv[1]}/classes.tif", f"{sys.argv[1]}/classes.jp2"
with rasterio.open(tiff, "w", driver="GTiff", **options) as raster:
    raster.write(classes, 1)
with rasterio.open(jpeg, "w", driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES", **options) as raster:
    raster.write(classes, 1)


def show(what, path, resampling="nearest", shape=QUARTER, **opened):
    with rasterio.open(path, **opened) as raster:
        pixels = raster.read(1, out_shape=shape, resampling=Resampling[resampling])
    if shape is None:
        assert (pixels == classes).all(), "the file is not without loss"
    tell(what, pixels)


def tell(what, pixels):
    values, counts = np.unique(pixels, return_counts=True)
    shares = (f"{value}: {count / pixels.size * 100:4.1f} %" for value, count in zip(values, counts))
    print(f"{what:<34} {'  '.join(shares)}")


show("JPEG 2000, whole", jpeg, shape=None)
show("GeoTIFF, nearest", tiff)
show("JPEG 2000, nearest", jpeg)
show("JPEG 2000, mode", jpeg, "mode")
show("JPEG 2000, nearest, no overviews", jpeg, OVERVIEW_LEVEL="NONE")
with rasterio.open(jpeg) as raster, WarpedVRT(
    raster, transform=grid * rasterio.Affine.scale(4), height=QUARTER[0], width=QUARTER[1]
) as warped:
    tell("JPEG 2000, nearest, by WarpedVRT", warped.read(1))
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
