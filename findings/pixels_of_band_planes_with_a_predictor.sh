#!/usr/bin/env bash
# async-geotiff reads a GeoTIFF of several bands as noise where the bands lie apart and a predictor was used.
#
# Seen with: async-geotiff 0.5.1, async-tiff 0.7.2, obstore 0.12.1, numpy 2.4.6, tifffile 2026.3.3; rasterio 1.4.4 writes;
#   Python 3.11
# Expected: the pixels that rasterio and tifffile read, or an error, as for what the reader does not support (strips).
# Instead: with INTERLEAVE=BAND, a tile holds one band, and the predictor adds to each pixel the one left of it. Here it
#   adds the one as many pixels back as the file has bands, and over rows that are as many times as long, as is right only
#   where the bands are interleaved by pixel. Of 4 bands, one pixel in 256 is right with PREDICTOR=2, whatever the type and
#   the compression, and none with 3. Shape, type and place are right, and nothing is said. rasterio's
#   default_gtiff_profile has interleave="band".
# Output as seen, the share of pixels that are right:
#   1 band, uint16, predictor 2:            tifffile 1.000, async-geotiff 1.000
#   4 bands apart, uint16, no predictor:    tifffile 1.000, async-geotiff 1.000
#   4 bands by pixel, uint16, predictor 2:  tifffile 1.000, async-geotiff 1.000
#   4 bands by pixel, float32, predictor 3: tifffile 1.000, async-geotiff 1.000
#   4 bands apart, uint16, predictor 2:     tifffile 1.000, async-geotiff 0.004
#   4 bands apart, float32, predictor 3:    tifffile 1.000, async-geotiff 0.000
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet async-geotiff==0.5.1 async-tiff==0.7.2 obstore==0.12.1 numpy==2.4.6 \
  rasterio==1.4.4 tifffile==2026.3.3 imagecodecs==2026.3.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import asyncio
import sys
from pathlib import Path

import numpy as np
import rasterio
import tifffile
from async_geotiff import GeoTIFF
from obstore.store import LocalStore
from rasterio import Affine

rows, columns = np.mgrid[:128, :128]
bands = np.stack([1000 + 500 * number + 5 * rows + 3 * columns for number in range(4)])  # a slope, seen in 4 bands
STORE = LocalStore(Path.cwd())


async def read(name):
    file = await GeoTIFF.open(name, store=STORE)
    return np.asarray((await file.read()).data)


def right(title, dtype, count, interleave, predictor):
    """Return the shares of pixels that tifffile and async-geotiff read as they were written."""
    name = title.replace(" ", "_").replace(",", "") + ".tif"
    profile = dict(driver="GTiff", width=128, height=128, count=count, dtype=dtype, crs="EPSG:32632", tiled=True)
    profile |= dict(blockxsize=64, blockysize=64, compress="deflate", interleave=interleave, predictor=predictor)
    pixels = bands[:count].astype(dtype)
    with rasterio.open(name, "w", transform=Affine(10, 0, 600_000, 0, -10, 5_700_000), **profile) as file:
        file.write(pixels)
    by_tifffile = tifffile.imread(name)
    if interleave == "pixel" and count > 1:
        by_tifffile = np.moveaxis(by_tifffile, -1, 0)
    shares = [float((found == pixels).mean()) for found in (by_tifffile.reshape(pixels.shape), asyncio.run(read(name)))]
    print(f"{title + ':':<39} tifffile {shares[0]:.3f}, async-geotiff {shares[1]:.3f}")
    return shares


fine = [
    right("1 band, uint16, predictor 2", "uint16", 1, "band", 2),
    right("4 bands apart, uint16, no predictor", "uint16", 4, "band", 1),
    right("4 bands by pixel, uint16, predictor 2", "uint16", 4, "pixel", 2),
    right("4 bands by pixel, float32, predictor 3", "float32", 4, "pixel", 3),
]
wrong = [
    right("4 bands apart, uint16, predictor 2", "uint16", 4, "band", 2),
    right("4 bands apart, float32, predictor 3", "float32", 4, "band", 3),
]
if all(shares == [1, 1] for shares in fine) and all(shares[0] == 1 and shares[1] < 0.5 for shares in wrong):
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
