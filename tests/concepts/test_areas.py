"""Shares of area, against plain shapely and against sums that are known."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from concept_pools import UTM, box, pool, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from owl_geo.concepts import areas
from owl_geo.ground.windows import Windows

WINDOWS = pool([scene()]).scenes[0].windows
FOOTPRINTS = WINDOWS.footprints()
ONE_CLASS = np.zeros(1, dtype=np.int64)


def onto(polygons: list[shapely.Polygon], windows: Windows) -> np.ndarray:
    """Polygons in longitude and latitude, brought to a scene."""
    codes = np.zeros(len(polygons), dtype=np.int64)
    return areas.PolygonLayer(np.array(polygons), CRS.from_epsg(4326), codes).onto(windows)[0]


def test_shares_are_exact() -> None:
    share = areas.shares(FOOTPRINTS, np.array([box(0, 0, 1, 1.5), box(3.25, 3, 9, 9)]))
    assert share[[0, 1, 2, 15]] == pytest.approx([1, 0.5, 0, 0.75])


def test_half_a_patch_is_a_half_wherever_it_lies() -> None:
    # whole pixels of 28.5 m, far from the origin: such areas are a half only to ten digits
    edge, west, north = 28.49999999927454, 288776.25000080315, 9120760.750028737
    left, top = (10 * part.ravel() for part in np.mgrid[0:20, 0:20])
    x, low, high = west + edge * left, north - edge * (top + 10), north - edge * top
    patches = shapely.box(x, low, west + edge * (left + 10), high)
    halves = shapely.box(x, low, west + edge * (left + 5), high)
    assert set(areas.shares(patches, halves)) == {0.5}
    assert set(areas.shares(patches, patches[::2])) == {0.0, 1.0}


def test_overlaps_within_a_class_are_counted_once_and_between_classes_for_both() -> None:
    polygons = np.array([box(0, 0, 1, 0.6), box(0, 0.4, 1, 0.4), box(0, 0, 1, 0.3)])
    shares = areas.class_shares(FOOTPRINTS, polygons, np.array([1, 1, 0]), 2)
    assert shares[0] == pytest.approx([0.3, 0.8])
    assert areas.largest_class(FOOTPRINTS, polygons, np.array([1, 1, 0]), 2)[0] == 1


def test_largest_class_breaks_ties_by_the_first_and_knows_nothing_elsewhere() -> None:
    halves = np.array([box(0, 0.5, 1, 0.5), box(0, 0, 1, 0.5)])
    winner = areas.largest_class(FOOTPRINTS, halves, np.array([0, 1]), 2)
    assert winner.tolist() == [0] + [-1] * 15
    winner = areas.largest_class(FOOTPRINTS, halves, np.array([1, 0]), 2)
    assert winner[0] == 0


def test_a_tie_is_a_tie_whatever_the_last_digits_say() -> None:
    """The seven strips lose some 1e-11 of the area that the one box has."""
    strips = [box(i / 14, 0, 0.5 / 7, 1) for i in range(7)]
    polygons, codes = np.array([*strips, box(0.5, 0, 0.5, 1)]), np.array([0] * 7 + [1])
    assert areas.largest_class(FOOTPRINTS, polygons, codes, 2)[0] == 0


def test_a_polygon_of_half_the_world() -> None:
    world = [shapely.box(-170, -80, 170, 85)]
    placed = onto(world, WINDOWS)
    assert areas.shares(FOOTPRINTS, placed) == pytest.approx(1)
    assert shapely.area(placed[0]) < 1e6


def test_a_polygon_that_only_touches_a_patch_covers_nothing_of_it() -> None:
    assert areas.largest_class(FOOTPRINTS, np.array([box(0, 1, 1, 1)]), ONE_CLASS, 1)[0] == -1


def test_what_is_no_polygon_covers_nothing() -> None:
    mixed = shapely.GeometryCollection([box(0, 0, 1, 0.25), shapely.LineString([(0, 0), (1, 1)])])
    others = [None, shapely.Point(500_050, 5_199_950), shapely.Polygon(), mixed]
    share = areas.shares(FOOTPRINTS, np.array(others, dtype=object))
    assert share.sum() == pytest.approx(0.25)


def test_a_polygon_that_crosses_itself_is_repaired() -> None:
    west, north = 500_000, 5_200_000
    bow = shapely.Polygon(
        [(west, north), (west + 100, north - 100), (west + 100, north), (west, north - 100)]
    )
    assert areas.shares(FOOTPRINTS, np.array([bow]))[0] == pytest.approx(0.5)


def test_a_polygon_of_many_vertices_with_a_hole() -> None:
    turn = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    centre = np.array([500_200.0, 5_199_800.0])
    polygon = shapely.Polygon(centre + 190 * ring, [centre + 60 * ring])
    share = areas.shares(FOOTPRINTS, np.array([polygon]))
    truth = shapely.area(shapely.intersection(FOOTPRINTS, polygon)) / 100**2
    assert share == pytest.approx(truth, abs=1e-9)


edge = st.floats(-1, 5, allow_nan=False, width=32)
rectangles = st.lists(st.tuples(edge, edge, st.floats(0.01, 4), st.floats(0.01, 4)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(rectangles, st.randoms(use_true_random=False))
def test_shares_agree_with_unions(rects: list[tuple[float, ...]], random: object) -> None:
    polygons = np.array([box(*rect) for rect in rects], dtype=object)
    codes = np.array([i % 3 for i in range(len(rects))], dtype=np.int64)
    shares = areas.class_shares(FOOTPRINTS, polygons, codes, 3)
    for code in range(3):
        union = shapely.union_all(polygons[codes == code])
        truth = shapely.area(shapely.intersection(FOOTPRINTS, union)) / 100**2
        assert shares[:, code] == pytest.approx(truth, abs=1e-6)


def test_polygons_come_to_the_scene_whatever_their_crs() -> None:
    to_lonlat = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    there = shapely.transform(box(0, 0, 2, 1), to_lonlat.transform, interleaved=False)
    far = shapely.box(100, 10, 101, 11)
    polygons = onto([far, there], WINDOWS)
    assert len(polygons) == 1
    share = areas.shares(FOOTPRINTS, polygons)
    assert share[[0, 4]] == pytest.approx(1, abs=1e-4)
    assert share.sum() == pytest.approx(2, abs=1e-3)


def test_edges_stay_straight_in_their_own_crs() -> None:
    """A parallel of latitude bends in UTM, by 800 m over this scene of 200 km."""
    windows = pool([scene(20, 20, origin=(400_000.0, 5_200_000.0), pixel=1000)]).scenes[0].windows
    lat = windows.centres_in(CRS.from_epsg(4326))[210, 1]
    south = shapely.box(7, 44, 11, lat)
    to_utm = Transformer.from_crs(4326, UTM, always_xy=True)
    truth = shapely.transform(south.segmentize(0.001), to_utm.transform, interleaved=False)
    placed = onto([south], windows)
    assert areas.shares(windows.footprints(), placed) == pytest.approx(
        areas.shares(windows.footprints(), np.array([truth])), abs=1e-4
    )


def test_a_scene_across_the_antimeridian() -> None:
    windows = pool([scene(1, 4, crs="EPSG:32660", origin=(833_800.0, 10_000.0))]).scenes[0].windows
    lon = windows.corners_in(CRS.from_epsg(4326))[..., 0]
    assert lon.min() < 0 < lon.max()
    both = [shapely.box(179.9, -1, 180, 1), shapely.box(-180, -1, -179.9, 1)]
    placed = onto(both, windows)
    assert areas.shares(windows.footprints(), placed) == pytest.approx(1, abs=1e-6)
