"""The edge of a pixel on the ground, against PROJ's own geodesics and scale factors."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod, Proj

from owl_geo.ground.pixels import all_pixel_metres, pixel_metres
from owl_geo.types import SceneGrid


def square(crs: str, pixel: float, x: float, y: float) -> SceneGrid:
    return SceneGrid("s", crs, (pixel, 0.0, x, 0.0, -pixel, y), 10, 10)


@pytest.mark.parametrize(
    ("crs", "pixel", "metres"),
    [("EPSG:32631", 10.0, 10.0), ("EPSG:4326", 0.0001, 11.13), ("EPSG:2264", 10.0, 3.048)],
)
def test_a_pixel_is_measured_in_metres(crs: str, pixel: float, metres: float) -> None:
    assert pixel_metres(square(crs, pixel, 0.0, 0.0)) == pytest.approx(metres, rel=0.01)


@pytest.mark.parametrize("lat", [-60.0, 0.0, 45.0, 70.0])
def test_in_degrees_a_pixel_narrows_towards_the_poles(lat: float) -> None:
    ellipsoid = Geod(ellps="WGS84")
    step = 0.0005
    width, height = (ellipsoid.inv(10, lat, *to)[2] for to in ((10 + step, lat), (10, lat + step)))
    found = pixel_metres(square("EPSG:4326", step, 10.0, lat))
    assert found == pytest.approx(np.sqrt(width * height), rel=1e-3)


@pytest.mark.parametrize("lat", [0.0, 30.0, 60.0])
def test_a_metre_of_web_mercator_is_none(lat: float) -> None:
    mercator = Proj("EPSG:3857")
    x, y = mercator(10.0, lat)
    scale = np.sqrt(mercator.get_factors(10.0, lat).areal_scale)
    assert pixel_metres(square("EPSG:3857", 10.0, x, y)) == pytest.approx(10 / scale, rel=0.01)


def test_grids_of_several_crss_keep_their_order() -> None:
    grids = [square("EPSG:32631", s, 500_000.0, 0.0) for s in (10.0, 30.0)]
    grids.insert(1, square("EPSG:4326", 0.001, 10.0, 60.0))
    assert all_pixel_metres(grids).round().tolist() == [10.0, 79.0, 30.0]
