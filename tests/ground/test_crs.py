"""Coordinate reference systems: the same one by any name, and the units of x and y."""

from __future__ import annotations

import pytest
from pyproj import CRS
from pyproj.exceptions import CRSError

from owl_geo.ground.crs import GEOGRAPHIC, crs_of, is_in_degrees, is_in_metres, same_crs
from owl_geo.ground.transformations import transformer

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
