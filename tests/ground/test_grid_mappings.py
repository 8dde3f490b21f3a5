"""CRSs of CF's grid mappings, beside the same projections in PROJ's words."""

from __future__ import annotations

from typing import Any

import pytest
from pyproj import CRS, Transformer

from owl_geo.ground.grid_mappings import crs_of_mapping, mapping_names

WGS84 = {"semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}
OBLIQUE = {
    "grid_mapping_name": "oblique_mercator",
    "latitude_of_projection_origin": 46.95,
    "longitude_of_projection_origin": 7.44,
    "scale_factor_at_projection_origin": 1.0,
    "false_easting": 600_000.0,
    "false_northing": 200_000.0,
    **WGS84,
}
OBLIQUE_PROJ = "+proj=omerc +lat_0=46.95 +lonc=7.44 +k=1 +x_0=600000 +y_0=200000 +ellps=WGS84"
POLAR = {
    "grid_mapping_name": "polar_stereographic",
    "latitude_of_projection_origin": 90.0,
    "standard_parallel": 60.0,
    **WGS84,
}
POLAR_PROJ = "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=-45 +ellps=WGS84"


def _check(mapping: dict[str, Any], proj: str, lon: float, lat: float) -> None:
    places = [
        Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
        for crs in (crs_of_mapping(mapping, (1.0, 1.0)), CRS(proj))
    ]
    assert places[0] == pytest.approx(places[1], abs=0.001)


@pytest.mark.parametrize("azimuth", [90.0, 30.0])
def test_an_oblique_mercator_is_turned_to_the_north(azimuth: float) -> None:
    _check(
        {**OBLIQUE, "azimuth_of_central_line": azimuth}, f"{OBLIQUE_PROJ} +alpha={azimuth}", 8, 47
    )


def test_one_with_a_datum_shift_is_turned_as_well() -> None:
    shift = {"towgs84": [674.374, 15.056, 405.346], "azimuth_of_central_line": 90.0}
    crs = crs_of_mapping(OBLIQUE | shift, (1.0, 1.0))
    assert crs.is_bound
    x_y = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(8, 47)
    expected = Transformer.from_crs("EPSG:4326", CRS(f"{OBLIQUE_PROJ} +alpha=90"), always_xy=True)
    assert x_y == pytest.approx(expected.transform(8, 47), abs=0.001)


def test_switzerland_is_not_turned_by_a_quarter() -> None:
    mapping = CRS("EPSG:2056").to_cf()
    assert mapping.pop("crs_wkt")
    crs = crs_of_mapping(mapping, (1.0, 1.0))
    x_y = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(8, 47)
    right = Transformer.from_crs("EPSG:4150", "EPSG:2056", always_xy=True).transform(8, 47)
    assert x_y == pytest.approx(right, abs=0.01)


@pytest.mark.parametrize(
    "name", ["straight_vertical_longitude_from_pole", "longitude_of_projection_origin"]
)
def test_the_longitude_of_a_projection_may_have_either_name(name: str) -> None:
    _check({**POLAR, name: -45.0}, POLAR_PROJ, -40, 70)


def test_wkt_counts_before_numbers() -> None:
    mapping = {**OBLIQUE, "azimuth_of_central_line": 90.0, "crs_wkt": CRS("EPSG:2056").to_wkt()}
    assert crs_of_mapping(mapping, (1000.0, 1000.0)) == CRS("EPSG:2056")


def test_the_mapping_of_the_axes_is_named_first() -> None:
    assert mapping_names("crs", {"x", "y"}) == ["crs"]
    assert mapping_names("wgs84: lat lon utm: x y", {"x", "y"}) == ["utm", "wgs84"]
