"""Random scenes anywhere on Earth, against plain rasterio and pyproj.

Each scene's pixels hold their own columns and rows, scaled, so that a value says which pixel it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import CRS, Geod, Transformer
from rasterio.transform import from_origin
from rasters import coordinates, write_raster

from owl_geo.concepts import rasters
from owl_geo.concepts.distances import metres_to_nearest
from owl_geo.ground.footprints import footprints
from owl_geo.ground.tiling import tile
from owl_geo.sources.base import windows_of
from owl_geo.sources.geotiff import GeoTiffSource

GEOD = Geod(ellps="WGS84")
SIZE = 8


def random_crs(rng: np.random.Generator, lon: float, lat: float) -> CRS:
    zone = int((lon + 180) // 6) % 60 + 1
    polar = "EPSG:3413" if lat > 0 else "EPSG:3031"
    choices = [
        f"EPSG:{32600 + zone if lat >= 0 else 32700 + zone}",
        "EPSG:4326",
        "EPSG:3857" if abs(lat) < 80 else polar,
        "EPSG:6933" if abs(lat) < 80 else polar,
        polar if abs(lat) > 50 else "EPSG:4326",
        f"+proj=laea +lat_0={lat:.1f} +lon_0={lon:.1f} +datum=WGS84 +units=us-ft",
        f"+proj=lcc +lat_1={lat + 2:.1f} +lat_2={lat + 5:.1f} +lon_0={lon:.1f} +datum=WGS84",
    ]
    return CRS.from_user_input(choices[rng.integers(len(choices))])


def random_transform(rng: np.random.Generator, crs: CRS, x: float, y: float) -> rasterio.Affine:
    pixel = 10 ** rng.uniform(0, 2.5) / (111_000 if crs.is_geographic else 1)
    place = rasterio.Affine.translation(x, y)
    kind = rng.integers(4)
    if kind == 0:  # south up
        return place @ rasterio.Affine.scale(pixel, pixel)
    if kind == 1:
        return (
            place
            @ rasterio.Affine.rotation(rng.uniform(0, 360))
            @ rasterio.Affine.scale(pixel, -pixel)
        )
    return place @ rasterio.Affine.scale(pixel, -pixel * rng.uniform(0.5, 2))


@pytest.mark.parametrize("seed", range(40))
def test_footprint_values_and_distance_of_a_patch(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    lon = float(rng.uniform(-179, 179))
    lat = float(np.degrees(np.arcsin(rng.uniform(-0.99, 0.99))))
    crs = random_crs(rng, lon, lat)
    to_crs = Transformer.from_crs(4326, crs, always_xy=True)
    transform = random_transform(rng, crs, *to_crs.transform(lon, lat))
    height, width = (int(side) for side in rng.integers(SIZE, 40, 2))
    scale, offset, nodata = float(rng.choice([1.0, 0.01])), float(rng.choice([0, -5])), 65535
    rows, cols = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    values = np.stack([cols, rows]).astype("uint16") + 1
    hole = rng.random((height, width)) < 0.05
    values[:, hole] = nodata
    path = tmp_path / "s.tif"
    options = {"driver": "GTiff", "height": height, "width": width, "count": 2, "nodata": nodata}
    with rasterio.open(
        path, "w", crs=crs.to_wkt(), transform=transform, dtype="uint16", **options
    ) as dataset:
        dataset.write(values)
        dataset.scales, dataset.offsets = (scale, scale), (offset, offset)
    source = GeoTiffSource(str(path), patch_size=SIZE, min_valid=0.01)
    windows = windows_of(source)
    number = int(rng.integers(len(windows)))
    row, col = int(windows.row_off[number]), int(windows.col_off[number])

    # the footprint, by rasterio's own transform of the file
    with rasterio.open(path) as dataset:
        around = ((0, 0), (0, SIZE), (SIZE, SIZE), (SIZE, 0))
        corners = [dataset.transform @ (col + right, row + down) for down, right in around]
        raw = dataset.read(window=rasterio.windows.Window(col, row, SIZE, SIZE))
        valid = dataset.read_masks(1, window=rasterio.windows.Window(col, row, SIZE, SIZE)) > 0
    polygon = footprints(windows).iloc[number]
    side = np.hypot(*(np.array(corners[1]) - corners[0]))
    assert shapely.get_coordinates(polygon)[:4] == pytest.approx(np.array(corners), abs=1e-6 * side)

    # the values, scaled; holes are filled from the patch itself
    (patch,) = source.read([windows.ids[number]])
    assert patch[:, valid] == pytest.approx(raw[:, valid] * scale + offset, rel=1e-5)
    assert np.isfinite(patch).all()

    # the distance from the patch's centre to a point somewhere around
    to_lonlat = Transformer.from_crs(crs, 4326, always_xy=True)
    centre = to_lonlat.transform(*np.mean(corners, axis=0))
    end = GEOD.fwd(*centre, rng.uniform(0, 360), 10 ** rng.uniform(1, 7))[:2]
    found = metres_to_nearest(
        windows.centres_in(CRS.from_epsg(4326)), np.array([shapely.Point(end)]), CRS.from_epsg(4326)
    )
    assert found[number] == pytest.approx(GEOD.inv(*centre, *end)[2], rel=1e-6, abs=1e-3)


UTM = "+proj=utm +zone=33 +ellps=GRS80 +units=m"


@pytest.mark.parametrize(
    ("shift", "code"), [("0,0,0", "EPSG:25833"), ("1,1,1", "EPSG:25833"), ("100,200,300", None)]
)
def test_a_file_may_bring_its_own_shift_of_the_datum(
    shift: str, code: str | None, tmp_path: Path
) -> None:
    """A code that is alike but for the shift would put it 180 m away."""
    crs = f"{UTM} +towgs84={shift}"
    options = {"crs": crs, "transform": from_origin(500_000, 5_600_000, 10, 10)}
    path = write_raster(tmp_path / "s.tif", coordinates(64, 64, 1), **options)
    source = GeoTiffSource(path, patch_size=16)
    (grid,) = source.grids.values()
    windows = tile(grid, 16, 16).windows
    assert (grid.crs == code) == (code is not None)
    expected = Transformer.from_crs(crs, 4326, always_xy=True).transform(
        500_000 + 10 * (windows.col_off + 8), 5_600_000 - 10 * (windows.row_off + 8)
    )
    lon, lat = windows.centres_in(CRS.from_epsg(4326)).T
    assert GEOD.inv(lon, lat, *expected)[2] == pytest.approx(0, abs=3)
    # a layer in the CRS of the scene lies on it
    layer = write_raster(tmp_path / "l.tif", coordinates(64, 64, 1).astype("float32"), **options)
    (patch,) = source.read(source.index["patch_id"][:1].tolist())
    assert rasters.mean(str(layer), windows)[0] == pytest.approx(float(patch.mean()))
