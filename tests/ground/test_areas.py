"""Areas in hectares, against what is known of the ellipsoid in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from pyproj import CRS, Transformer

from owl_geo.ground.areas import hectares

A, F = 6378137.0, 1 / 298.257223563


def between(west: float, south: float, east: float, north: float) -> float:
    """Hectares between two meridians and two parallels of WGS 84 (Snyder 1987, 3-12)."""
    e2 = F * (2 - F)
    e = math.sqrt(e2)

    def q(lat: float) -> float:
        s = math.sin(math.radians(lat))
        return (1 - e2) * (s / (1 - e2 * s * s) - math.log((1 - e * s) / (1 + e * s)) / (2 * e))

    return A * A / 2 * math.radians(east - west) * (q(north) - q(south)) / 10_000


@pytest.mark.parametrize("box", [(0, 60, 0.01, 60.01), (179, -45, 187, -37), (10, 89, 20, 90)])
def test_degrees_are_not_squares(box: tuple[float, float, float, float]) -> None:
    assert hectares([shapely.box(*box)], CRS("EPSG:4326"))[0] == pytest.approx(
        between(*box), rel=1e-5
    )


def test_a_mercator_metre_is_half_a_metre_at_60_degrees() -> None:
    west, south, east, north = 10.0, 60.0, 10.4, 60.1
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform([west, east], [south, north])
    area = hectares([shapely.box(x[0], y[0], x[1], y[1])], CRS("EPSG:3857"))[0]
    assert area == pytest.approx(between(west, south, east, north), rel=1e-6)


def test_a_metre_of_utm_is_shorter_in_the_middle_of_its_zone() -> None:
    square = shapely.box(499_960, 5_000_000, 500_040, 5_000_080)
    holed = square.difference(shapely.box(499_990, 5_000_020, 500_030, 5_000_060))
    feet = shapely.affinity.scale(square, 1 / 0.3048, 1 / 0.3048, origin=(0, 0))
    inside = hectares([square, holed, shapely.reverse(square)], CRS("EPSG:32631"))
    assert inside == pytest.approx(np.array([0.64, 0.48, 0.64]) / 0.9996**2, rel=1e-6)
    zone = CRS("+proj=utm +zone=31 +datum=WGS84 +units=ft +type=crs")
    assert hectares([feet], zone) == pytest.approx([0.64 / 0.9996**2], rel=1e-6)
    assert len(hectares([], zone)) == 0
