#!/usr/bin/env bash
# With a number as seed, geopandas samples the same points in every polygon.
#
# Seen with: geopandas 1.2.0, shapely 2.2.0, pandas 3.1.1, pyproj 3.7.2, numpy 2.4.6, Python 3.11
# Expected: series.sample_points(10, rng=0) draws ten random points in each polygon, and the same ones again next time. 100
#   polygons thus have 1,000 random points. The seed is documented as one that initializes NumPy's generator.
# Instead: a generator is made of the number anew for each polygon, so that each starts with the same draws, and polygons of
#   the same size, as map tiles, buffers and pixels are, get the same ten points, moved. Polygons of other sizes get them
#   stretched, and lines their points at the same shares of their length. 1,000 validation points over 100 tiles are 10, as
#   far as anything goes that repeats from tile to tile (edges, rows of a crop, a seam, the shadow of an instrument): what
#   they say of its share of the area scatters ten times as much as it should. No single map of points looks wrong. With
#   rng=numpy.random.default_rng(0), which is drawn from all along, everything is as expected, and so it is with no seed.
# Output as seen, for 100 tiles with 10 points each, of which a fifth of the area, along the western edge, is of a kind:
#   rng=0:                places within a tile 10, share of that kind 0.196 on average, scattering by 0.126
#   rng=default_rng(0):   places within a tile 1000, share of that kind 0.200 on average, scattering by 0.013
#   the same with rng=0 for tiles of 100, 200 and 400 m: places as shares of the tile 10
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  geopandas==1.2.0 shapely==2.2.0 pandas==3.1.1 pyproj==3.7.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import geopandas
import numpy as np
import shapely

SIZE = 100.0


def tiles(sizes):
    """Square tiles in a row that do not overlap, and their western edges and sizes."""
    west = 500_000 + np.concatenate([[0], np.cumsum(sizes)[:-1]])
    boxes = shapely.box(west, 5_500_000, west + sizes, 5_500_000 + sizes)
    return geopandas.GeoSeries(boxes, crs=32632), west, sizes


def places(sampled, west, sizes):
    """Where the points of each tile lie, as shares of its size: tiles x points x 2."""
    points = np.stack([shapely.get_coordinates(one) for one in sampled])
    corner = np.stack([west, np.full(len(west), 5_500_000.0)], axis=1)
    return (points - corner[:, None]) / sizes[:, None, None]


def different(shares):
    return len(np.unique(shares.reshape(-1, 2).round(5), axis=0))


alike = tiles(np.full(100, SIZE))
seen = {}
for words, seeded in [("rng=0", int), ("rng=default_rng(0)", np.random.default_rng)]:
    shares = [places(alike[0].sample_points(10, rng=seeded(seed)), *alike[1:]) for seed in range(200)]
    along_the_edge = np.array([(one[..., 0] < 0.2).mean() for one in shares])
    seen[words] = different(shares[0]), along_the_edge.mean(), along_the_edge.std()
    number, mean, scatter = seen[words]
    print(
        f"{words + ':':<21} places within a tile {number}, share of that kind {mean:.3f} on average, "
        f"scattering by {scatter:.3f}"
    )
others = tiles(np.tile([100.0, 200.0, 400.0], 30))
stretched = different(places(others[0].sample_points(10, rng=0), *others[1:]))
print(f"the same with rng=0 for tiles of 100, 200 and 400 m: places as shares of the tile {stretched}")
number, generator = seen["rng=0"], seen["rng=default_rng(0)"]
if not (number[0] == stretched == 10 and generator[0] == 1000 and number[2] > 5 * generator[2]):
    sys.exit("this is no longer as described")
PYTHON
