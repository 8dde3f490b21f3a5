"""Points on the way from one coordinate reference system to another."""

from __future__ import annotations

import numpy as np
import pytest

from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.transformations import metres_from_earth_centre, reproject

UTM = "EPSG:32631"


def test_points_come_and_go_x_before_y_whatever_the_crs_says() -> None:
    lon_lat = np.array([[[3.0, 51.0], [3.5, -10.0]]])  # EPSG:4326 itself has latitude first
    there = reproject(lon_lat, crs_of(GEOGRAPHIC), crs_of(UTM))
    assert there.shape == lon_lat.shape
    assert there[0, 0, 0] == pytest.approx(500_000)  # the central meridian of the zone
    back = reproject(there, crs_of(UTM), crs_of(GEOGRAPHIC))
    np.testing.assert_allclose(back, lon_lat, atol=1e-9)


def test_points_that_need_no_way_are_returned_as_they_are() -> None:
    points = np.array([[1.0, 2.0]])
    assert reproject(points, crs_of(UTM), crs_of(UTM)) is points


def test_where_a_crs_does_not_reach_points_are_infinite() -> None:
    points = np.array([[3.0, 51.0], [3.0, 95.0]])
    reached = np.isfinite(reproject(points, crs_of(GEOGRAPHIC), crs_of(UTM))).all(axis=-1)
    assert reached.tolist() == [True, False]


def test_metres_from_the_earth_s_centre() -> None:
    """The half axes of WGS 84, and distances as they are on the ground, in any CRS."""
    points = np.array([[0.0, 0.0], [90.0, 0.0], [0.0, 90.0], [0.0, -90.0]])
    expected = [[6_378_137, 0, 0], [0, 6_378_137, 0], [0, 0, 6_356_752.3], [0, 0, -6_356_752.3]]
    metres = metres_from_earth_centre(points, crs_of(GEOGRAPHIC))
    np.testing.assert_allclose(metres, expected, atol=0.1)

    along = np.array([[500_000.0, 5_700_000.0], [501_000.0, 5_700_000.0]])
    ends = metres_from_earth_centre(along, crs_of(UTM))
    # 0.9996 is the scale of a zone's central meridian
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(1000 / 0.9996, abs=0.01)
