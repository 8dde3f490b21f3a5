"""Rasters on the grid of a scene of another CRS: interpolated between pixels, and no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.windows import Window
from rasters import write_raster

from owl_geo.ground.raster_view import RasterView
from owl_geo.types import AnyArray, SceneGrid

N = 160  # pixels of the grid along an edge


@pytest.mark.parametrize(
    ("pixel", "turn"), [(10.0, 0.0), (10.0, 30.0), (20.0, 0.0)], ids=["as fine", "turned", "coarse"]
)
def test_values_of_another_zone_are_those_between_its_pixels(
    pixel: float, turn: float, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).integers(0, 400, (1, 400, 400)).astype("uint16")
    place = rasterio.Affine(pixel, 0, 300_000, 0, -pixel, 5_600_000)
    place = place * rasterio.Affine.rotation(turn, (200, 200))
    path = write_raster(tmp_path / "other.tif", values, crs="EPSG:32633", transform=place)
    to_scene = Transformer.from_crs(32633, 32632, always_xy=True)
    x, y = to_scene.transform(*(place @ (200, 200)))
    grid = SceneGrid("s", "EPSG:32632", (10, 0, round(x) - 800, 0, -10, round(y) + 800), N, N)
    with (
        rasterio.open(path) as dataset,
        RasterView(dataset, grid, grid.crs, {1: None}, Resampling.bilinear) as view,
    ):
        pixels, valid = view.read([1], Window(0, 0, N, N))
        part, _ = view.read([1], Window(50, 70, 30, 20))
    assert valid.all()
    assert (part[0] == pixels[0, 70:90, 50:80]).all()
    assert np.abs(pixels[0] - between(values[0], place, grid, to_scene)).max() < 0.51


def between(
    values: AnyArray, place: rasterio.Affine, grid: SceneGrid, to_scene: Transformer
) -> AnyArray:
    """Interpolate bilinearly at the centre of each pixel of the grid."""
    _, _, west, _, _, north = grid.transform
    col, row = np.meshgrid(np.arange(N) + 0.5, np.arange(N) + 0.5)
    x, y = to_scene.transform(west + 10 * col, north - 10 * row, direction="INVERSE")
    col, row = (n - 0.5 for n in ~place @ (x, y))
    left, top = np.floor(col).astype(int), np.floor(row).astype(int)
    right_share, bottom_share = col - left, row - top
    upper, lower = (
        values[r, left] * (1 - right_share) + values[r, left + 1] * right_share
        for r in (top, top + 1)
    )
    interpolated: AnyArray = upper * (1 - bottom_share) + lower * bottom_share
    return interpolated
