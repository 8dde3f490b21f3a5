"""Distances against geodesics, at any latitude and to any kind of feature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from concept_pools import pool, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer

from owl_geo.concepts.distances import metres_to_nearest

GEOD = Geod(ellps="WGS84")
LON_LAT = CRS.from_epsg(4326)
UNIQUE = np.unique


def geodesic(start: tuple[float, float], end: tuple[float, float]) -> float:
    return float(GEOD.inv(*start, *end)[2])


@settings(max_examples=80, deadline=None)
@given(
    st.floats(-180, 180),
    st.floats(-85, 85),
    st.lists(st.tuples(st.floats(0, 360), st.floats(1, 400_000)), min_size=1, max_size=6),
)
def test_points_are_as_far_as_their_geodesic(
    lon: float, lat: float, legs: list[tuple[float, float]]
) -> None:
    ends = [GEOD.fwd(lon, lat, azimuth, metres)[:2] for azimuth, metres in legs]
    points = np.array([shapely.Point(end) for end in ends])
    found = metres_to_nearest(np.array([[lon, lat]]), points, LON_LAT)[0]
    assert found == pytest.approx(min(metres for _, metres in legs), rel=1e-3, abs=1e-3)


def numbers_of_rows_in_a_column(values: NDArray[Any], **options: Any) -> Any:
    """Return what ``np.unique`` of NumPy 2.0.0 does where rows are compared."""
    found, numbers = UNIQUE(values, **options)
    return found, numbers.reshape(-1, 1)


@pytest.mark.parametrize("unique", [UNIQUE, numbers_of_rows_in_a_column])
def test_many_points_over_many_cells_agree_with_every_geodesic(
    unique: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "unique", unique)
    rng = np.random.default_rng(7)
    here = np.stack([rng.uniform(-178, -174, 150), rng.uniform(60, 63, 150)], axis=-1)
    there = np.stack([rng.uniform(-179, -170, 60), rng.uniform(58, 66, 60)], axis=-1)
    pairs = [np.repeat(here, 60, axis=0), np.tile(there, (150, 1))]
    truth = GEOD.inv(*pairs[0].T, *pairs[1].T)[2].reshape(150, 60).min(axis=1)
    found = metres_to_nearest(here, shapely.points(there), LON_LAT)
    assert found == pytest.approx(truth, rel=1e-3)


def test_across_the_antimeridian() -> None:
    found = metres_to_nearest(
        np.array([[179.95, -17.0]]), np.array([shapely.Point(-179.95, -17.0)]), LON_LAT
    )
    assert found[0] == pytest.approx(geodesic((179.95, -17), (-179.95, -17)), rel=1e-6)


def test_close_to_the_pole() -> None:
    found = metres_to_nearest(
        np.array([[0.0, 89.9]]), np.array([shapely.Point(180, 89.9)]), LON_LAT
    )
    assert found[0] == pytest.approx(geodesic((0, 89.9), (180, 89.9)), rel=1e-6)


def test_lines_and_polygons_are_met_at_their_edge_and_the_inside_is_zero() -> None:
    square = shapely.box(9.0, 47.0, 9.1, 47.1)
    hole = square.difference(shapely.box(9.04, 47.04, 9.06, 47.06))
    here = np.array([[9.02, 47.02], [9.05, 47.05], [9.2, 47.05]])
    found = metres_to_nearest(here, np.array([hole]), LON_LAT)
    assert found[0] == 0
    assert found[1] == pytest.approx(geodesic((9.05, 47.05), (9.04, 47.05)), rel=1e-3)
    assert found[2] == pytest.approx(geodesic((9.2, 47.05), (9.1, 47.05)), rel=1e-3)
    line = shapely.LineString([(9.0, 47.0), (9.0, 47.1)])
    along = metres_to_nearest(here[:1], np.array([line]), LON_LAT)
    assert along[0] == pytest.approx(geodesic((9.02, 47.02), (9.0, 47.02)), rel=1e-3)


def test_a_long_edge_is_straight_in_the_crs_of_its_layer() -> None:
    parallel = shapely.LineString([(0, 60), (20, 60)])
    found = metres_to_nearest(np.array([[10.0, 60.1]]), np.array([parallel]), LON_LAT)
    assert found[0] == pytest.approx(geodesic((10, 60.1), (10, 60)), rel=1e-3)


def test_collections_and_multi_geometries() -> None:
    mixed = shapely.GeometryCollection(
        [shapely.MultiPoint([(9, 48), (9, 49)]), shapely.MultiPolygon([shapely.box(9, 46, 10, 47)])]
    )
    found = metres_to_nearest(np.array([[9.5, 46.5], [9.0, 48.1]]), np.array([mixed]), LON_LAT)
    assert found == pytest.approx([0, geodesic((9, 48.1), (9, 48))], rel=1e-3)


def test_no_feature_is_no_number() -> None:
    found = metres_to_nearest(np.zeros((3, 2)), np.array([], dtype=object), LON_LAT)
    assert np.isnan(found).all() and found.shape == (3,)


@pytest.mark.parametrize(
    ("crs", "pixel"),
    [("EPSG:3857", 10.0), ("EPSG:4326", 0.0001), ("EPSG:32633", 10.0), ("EPSG:2263", 30.0)],
)
def test_metres_whatever_the_unit_of_the_scene(crs: str, pixel: float) -> None:
    lon, lat = (-74.0, 40.7) if crs == "EPSG:2263" else (15.0, 65.0)
    origin = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    centres = pool([scene(2, 2, crs=crs, origin=origin, pixel=pixel)]).windows.centres_in(LON_LAT)
    target = (lon + 0.3, lat - 0.2)
    found = metres_to_nearest(centres, np.array([shapely.Point(target)]), LON_LAT)
    truth = [geodesic(tuple(centre), target) for centre in centres]
    assert found == pytest.approx(truth, rel=1e-3)


@pytest.mark.parametrize(("unit", "metres"), [("m", 1.0), ("us-ft", 1200 / 3937), ("km", 1000.0)])
def test_an_edge_keeps_its_course_whatever_the_unit_of_the_layer(unit: str, metres: float) -> None:
    """In Mercator an edge follows its bearing, to the side of the shortest way between its ends."""
    crs = CRS.from_user_input(f"+proj=merc +ellps=WGS84 +units={unit} +type=crs")
    to_layer = Transformer.from_crs(LON_LAT, crs, always_xy=True)
    edge = shapely.LineString(np.stack(to_layer.transform([-20, 40], [62, 62]), axis=-1))
    assert edge.length * metres == pytest.approx(6.679e6, rel=1e-3)
    found = metres_to_nearest(np.array([[10.0, 63.0]]), np.array([edge]), crs)
    assert found[0] == pytest.approx(geodesic((10, 63), (10, 62)), abs=20)


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:2263", "EPSG:32118"])
def test_metres_whatever_the_crs_of_the_layer(crs: str) -> None:
    to_layer = Transformer.from_crs(4326, crs, always_xy=True)
    point = shapely.Point(to_layer.transform(-73.9, 40.8))
    found = metres_to_nearest(
        np.array([[-74.0, 40.7]]), np.array([point]), CRS.from_user_input(crs)
    )
    assert found[0] == pytest.approx(geodesic((-74, 40.7), (-73.9, 40.8)), rel=1e-3)


def test_metres_in_a_datum_whose_transformations_change_from_place_to_place() -> None:
    """PROJ takes NAD27 to WGS 84 by another transformation in each part of Alaska."""
    datum, albers = CRS.from_epsg(4267), CRS.from_epsg(2964)
    to_albers = Transformer.from_crs(datum, albers, always_xy=True)
    lon, lat = np.meshgrid(np.arange(-170.0, -135, 1.7), np.arange(52.0, 71, 2.3))
    here = np.stack([lon.ravel(), lat.ravel()], axis=-1)
    there = np.add(here, (0.02, 0.01))
    features = [shapely.Point(to_albers.transform(*point)) for point in there]
    of_shapefile = CRS.from_user_input(albers.to_wkt("WKT1_ESRI"))
    clarke = Geod(ellps="clrk66")
    truth = clarke.inv(*here.T, *there.T)[2]
    for crs in (albers, of_shapefile):
        found = metres_to_nearest(here, np.array(features), crs, datum=datum, near=(-153.6, 61.7))
        assert found == pytest.approx(truth, abs=0.01)


@pytest.mark.parametrize("code", [4267, 4314, 4258, 4326])
def test_metres_on_the_ellipsoid_of_the_points(code: int) -> None:
    datum = CRS.from_epsg(code)
    end = shapely.Point(10.7, 50.4)
    found = metres_to_nearest(np.array([[10.0, 50.0]]), np.array([end]), datum, datum=datum)
    geod = Geod(a=datum.ellipsoid.semi_major_metre, rf=datum.ellipsoid.inverse_flattening)
    assert found[0] == pytest.approx(geod.inv(10, 50, 10.7, 50.4)[2], abs=1e-3)


def test_a_sphere_has_the_latitudes_of_wgs_84() -> None:
    """Those of MODIS are geodetic, whatever the sphere on which its grid is laid out."""
    sphere = CRS.from_user_input("+proj=longlat +R=6371007.181 +type=crs")
    end = np.array([shapely.Point(10.7, 50.4)])
    found = metres_to_nearest(np.array([[10.0, 50.0]]), end, sphere, datum=sphere)
    assert found[0] == pytest.approx(geodesic((10, 50), (10.7, 50.4)), abs=1e-3)
