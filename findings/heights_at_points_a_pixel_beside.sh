#!/usr/bin/env bash
# GeoUtils looks a whole pixel beside a point for its height in elevation models that say "Point".
#
# Seen with: geoutils 0.2.5, rasterio 1.4.4 (its wheel has GDAL 3.10.3), scipy 1.17.1, geopandas 1.2.0, numpy 2.4.6,
#   Python 3.11
# Expected: AREA_OR_POINT=Point says that a value belongs to the middle of its pixel; the geotransform that GDAL and rasterio
#   give is that of the pixels' corners with either word. GeoUtils has it that a value of an "Area" belongs to the upper left
#   corner, half a pixel from where GDAL has it, but documents that with "Point" it "shifts to center of pixel coordinates".
#   So ij2xy, xy2ij, coords and interp_points should agree with GDAL then.
# Instead: they shift the other way, from the corner out of the pixel, and are a whole pixel off, in x and in y, instead of
#   half a one: 30 m each in the Copernicus DEM and SRTM, which are "Point". On a slope of 30 degrees that is 17 m of height.
#   Since every way between indexes and coordinates has it, going there and back shows nothing. shift_area_or_point=False,
#   which ignores the word, comes nearer. to_pointcloud has the corners for either word, so that a cloud lies beside the
#   raster that it was made of. reduce_points, which takes the pixel that a point is in, is right. Nothing is said.
# Output as seen, for the middles of pixels of 30 m; x, y: where they are said to be, seen from where they are:
#   Area
#     ij2xy:               x -15 m, y +15 m
#     ij2xy, not shifted:  x -15 m, y +15 m
#     to_pointcloud:       x -15 m, y +15 m
#     rasterio's sample:   +0.0 m higher than it is
#     reduce_points:       +0.0 m higher than it is
#     interp_points:       -8.7 m higher than it is
#   Point
#     ij2xy:               x -30 m, y +30 m
#     ij2xy, not shifted:  x -15 m, y +15 m
#     to_pointcloud:       x -15 m, y +15 m
#     rasterio's sample:   +0.0 m higher than it is
#     reduce_points:       +0.0 m higher than it is
#     interp_points:       -17.3 m higher than it is
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  geoutils==0.2.5 rasterio==1.4.4 scipy==1.17.1 geopandas==1.2.0 numpy==2.4.6
"$folder/venv/bin/python" -W error::UserWarning - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import geoutils
import numpy as np
import rasterio
from rasterio.transform import from_origin

PIXEL, SIZE, WEST, NORTH = 30.0, 60, 500_000.0, 5_600_000.0
transform = from_origin(WEST, NORTH, PIXEL, PIXEL)
x = WEST + PIXEL * (np.arange(SIZE) + 0.5)
y = NORTH - PIXEL * (np.arange(SIZE) + 0.5)
heights = np.broadcast_to((2_000 - np.tan(np.radians(30)) * (x - WEST)).astype("float32"), (SIZE, SIZE))
rows = columns = np.arange(10, 50)
middles = x[columns], y[rows]


def seen(word):
    path = Path(sys.argv[1]) / f"{word}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=SIZE, width=SIZE, count=1, dtype="float32", crs=32632, transform=transform
    ) as file:
        file.write(heights, 1)
        file.update_tags(AREA_OR_POINT=word)
    with rasterio.open(path) as file:
        assert file.tags()["AREA_OR_POINT"] == word and file.transform == transform
        sampled = np.array(list(file.sample(zip(*middles))))[:, 0]
    raster = geoutils.Raster(path)
    said = np.array(raster.ij2xy(rows, columns))
    unshifted = np.array(raster.ij2xy(rows, columns, shift_area_or_point=False))
    cloud = raster.to_pointcloud().ds
    true = heights[rows, columns]
    return {
        "ij2xy": np.mean(said - middles, axis=1),
        "ij2xy, not shifted": np.mean(unshifted - middles, axis=1),
        "to_pointcloud": np.array([cloud.geometry.x.min() - x.min(), cloud.geometry.y.max() - y.max()]),
    }, {
        "rasterio's sample": np.mean(sampled - true),
        "reduce_points": np.mean(np.asarray(raster.reduce_points(middles, as_array=True)) - true),
        "interp_points": np.mean(np.asarray(raster.interp_points(middles, as_array=True)) - true),
    }


places, differences = {}, {}
for word in ("Area", "Point"):
    places[word], differences[word] = seen(word)
    print(word)
    for name, (east, north) in places[word].items():
        print(f"  {name + ':':<20} x {east:+.0f} m, y {north:+.0f} m")
    for name, difference in differences[word].items():
        print(f"  {name + ':':<20} {difference:+.1f} m higher than it is")
as_seen = (
    np.allclose(places["Area"]["ij2xy"], [-PIXEL / 2, PIXEL / 2])
    and np.allclose(places["Point"]["ij2xy"], [-PIXEL, PIXEL])
    and np.allclose(places["Point"]["to_pointcloud"], [-PIXEL / 2, PIXEL / 2])
    and abs(differences["Point"]["reduce_points"]) < 0.1
    and abs(differences["Point"]["interp_points"]) > 1.9 * abs(differences["Area"]["interp_points"]) > 10
)
sys.exit(0 if as_seen else "this is no longer as described")
PYTHON
