#!/usr/bin/env bash
# What is NaN in a GeoTIFF with LERC compression reads as 0 with libraries other than GDAL, or bands come out mixed.
#
# Seen with: tifffile 2026.3.3, imagecodecs 2026.3.6, async-geotiff 0.5.1, async-tiff 0.7.2, obstore 0.12.1, numpy 2.4.6;
#   rasterio 1.4.4 (its wheel has GDAL 3.10.3) writes; Python 3.11
# Expected: the pixels that were written, or an error. LERC is lossless without a tolerance, and the nodata value is NaN.
# Instead: LERC has no NaN. GDAL writes which pixels are valid as a mask within each tile, and puts NaN back when it reads.
#   tifffile and async-geotiff decode the tile, leave the mask, and return the 0 that stands under it: an elevation or a
#   reflectance of 0, which is valid, since it is not NaN. Where the nodata value is a number, nothing is lost. Where bands
#   are interleaved by pixel, and in a tile each lacks pixels of its own, GDAL stores the bands of that tile one after the
#   other, since each needs its own mask; both libraries take them for interleaved all the same, and nearly all pixels of the
#   tile are those of another place or band. Nothing is said.
# Output as seen (missing: pixels; wrong: others; then what is read where pixels are missing):
#   deflate                     2000 missing: GDAL 0 wrong, nan; tifffile 0 wrong, nan; async-geotiff 0 wrong, nan
#   LERC                        2000 missing: GDAL 0 wrong, nan; tifffile 0 wrong, 0.0; async-geotiff 0 wrong, 0.0
#   LERC, nodata -9999          2000 missing: GDAL 0 wrong, -9999.0; tifffile 0 wrong, -9999.0; async-geotiff 0 wrong, -9999.0
#   LERC, 2 bands               4000 missing: GDAL 0 wrong, nan; tifffile 0 wrong, 0.0; async-geotiff 0 wrong, 0.0
#   LERC, 2 bands, other holes  4100 missing: GDAL 0 wrong, nan; tifffile 8090 wrong, mixed; async-geotiff 8090 wrong, mixed
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet tifffile==2026.3.3 imagecodecs==2026.3.6 async-geotiff==0.5.1 async-tiff==0.7.2 \
  obstore==0.12.1 numpy==2.4.6 rasterio==1.4.4
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import asyncio
import os
import sys

import numpy as np
import rasterio
import tifffile
from async_geotiff import GeoTIFF
from obstore.store import LocalStore

random = np.random.default_rng(0)
PLACE = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
TILES = {"tiled": True, "blockxsize": 64, "blockysize": 64}


def by_gdal(name):
    with rasterio.open(name) as file:
        return file.read()


def by_tifffile(name):
    pixels = tifffile.imread(name)
    if pixels.ndim == 2:
        return pixels[None]
    return np.moveaxis(pixels, -1, 0) if pixels.shape[-1] == 2 else pixels


def by_async_geotiff(name):
    async def read():
        file = await GeoTIFF.open(name, store=LocalStore(os.getcwd()))
        return np.asarray((await file.read()).data)

    return asyncio.run(read())


READERS = {"GDAL": by_gdal, "tifffile": by_tifffile, "async-geotiff": by_async_geotiff}


def seen(case, pixels, nodata, **options):
    """Print and return, for each reader, the wrong pixels and what stands for the missing ones."""
    options |= {"count": len(pixels), "height": 128, "width": 128, "nodata": nodata}
    options |= {"crs": "EPSG:32631", "transform": PLACE, "dtype": "float32"}
    with rasterio.open("scene.tif", "w", "GTiff", **TILES, **options) as file:
        file.write(pixels)
    missing = np.isnan(pixels) if np.isnan(nodata) else pixels == nodata
    found = {}
    for name, read in READERS.items():
        values = read("scene.tif")
        stands = np.unique(values[missing])
        said = str(stands[0]) if len(stands) == 1 else "mixed"
        found[name] = int((values != pixels)[~missing].sum()), said
    told = "; ".join(f"{name} {wrong} wrong, {said}" for name, (wrong, said) in found.items())
    print(f"{case:<26} {missing.sum():>5} missing: {told}")
    return found


one = random.uniform(100, 200, (1, 128, 128)).astype("float32")
holed = one.copy()
holed[:, 10:50, 20:70] = np.nan
two = np.concatenate([holed, holed + 1_000])
apart = two.copy()
apart[1, 80:90, 80:90] = np.nan
lerc = {"compress": "lerc"}
NUMBER = np.nan_to_num(holed, nan=-9999)
cases = [
    seen("deflate", holed, np.nan, compress="deflate"),
    seen("LERC", holed, np.nan, **lerc),
    seen("LERC, nodata -9999", NUMBER, -9999, **lerc),
    seen("LERC, 2 bands", two, np.nan, **lerc, interleave="pixel"),
    seen("LERC, 2 bands, other holes", apart, np.nan, **lerc, interleave="pixel"),
]
read = {name: [case[name] for case in cases] for name in READERS}
right = [(0, "nan"), (0, "nan"), (0, "-9999.0"), (0, "nan"), (0, "nan")]
zeros = [(0, "nan"), (0, "0.0"), (0, "-9999.0"), (0, "0.0")]
others = [read[name] for name in ("tifffile", "async-geotiff")]
if (
    read["GDAL"] == right
    and all(found[:4] == zeros for found in others)
    and all(found[4][0] > 4_000 and found[4][1] == "mixed" for found in others)
):
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
