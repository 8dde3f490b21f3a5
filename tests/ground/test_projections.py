"""Coordinate systems: the same one by any name, and the ways between them."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import CRS
from pyproj.exceptions import CRSError

from owl_geo.ground.projections import (
    GEOGRAPHIC,
    crs_of,
    is_in_degrees,
    is_in_metres,
    metres_from_earth_centre,
    reproject,
    same_crs,
    transformer,
)

UTM = "EPSG:32631"


def test_a_crs_is_the_same_by_its_code_and_by_its_text() -> None:
    text = CRS.from_user_input(UTM).to_wkt()
    assert same_crs(UTM, text)
    assert same_crs(text, text)
    assert not same_crs(UTM, "EPSG:32632")
    assert not same_crs(GEOGRAPHIC, "EPSG:4979")


@pytest.mark.parametrize(
    ("crs", "in_degrees", "in_metres"),
    [
        (GEOGRAPHIC, True, False),
        ("EPSG:4979", True, False),  # with heights in metres
        ("EPSG:4807", False, False),  # grads, from Paris
        (UTM, False, True),
        ("EPSG:5972", False, True),  # with heights
        ("EPSG:2263", False, False),  # feet
        ("EPSG:4978", False, False),  # metres from the centre of the Earth
    ],
)
def test_units_of_x_and_y(crs: str, in_degrees: bool, in_metres: bool) -> None:
    known = crs_of(crs)
    assert (is_in_degrees(known), is_in_metres(known)) == (in_degrees, in_metres)


@pytest.mark.parametrize(
    ("crs", "unit", "name"), [(GEOGRAPHIC, "degree", "Degree"), (UTM, "metre", "Meter")]
)
def test_a_unit_is_what_it_is_by_any_name(crs: str, unit: str, name: str) -> None:
    wkt = crs_of(crs).to_wkt("WKT1_GDAL")
    for code in (9122, 9001):
        wkt = wkt.replace(f',AUTHORITY["EPSG","{code}"]', "")
    renamed = crs_of(wkt.replace(f'"{unit}"', f'"{name}"'))
    assert renamed.axis_info[0].unit_name == name
    assert (is_in_degrees(renamed), is_in_metres(renamed)) == (unit == "degree", unit == "metre")


def test_what_was_made_once_is_kept() -> None:
    assert crs_of(UTM) is crs_of(UTM)
    ways = [transformer(crs_of(UTM), crs_of(GEOGRAPHIC)) for _ in range(2)]
    assert ways[0] is ways[1]


def test_text_that_stands_for_no_crs_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(CRSError):
            crs_of("EPSG:nonsense")


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
