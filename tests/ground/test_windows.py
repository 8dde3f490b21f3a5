"""Properties of windows as values: where they lie, which are taken, and what they refuse."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from scene_grids import UTM, scene_grids
from scene_windows import NORTH_UP, pool_at, scene, windows_at

from owl_geo.ground.footprints import footprints
from owl_geo.ground.windows import PoolWindows, Windows, parse_patch_id
from owl_geo.types import SceneGrid

LON_LAT = CRS.from_epsg(4326)
SIZES = st.integers(1, 80)
OFFSETS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=40)


@st.composite
def scene_windows(draw: st.DrawFn) -> Windows:
    """Windows of any scene, in any order, some of them twice."""
    row, col = np.array(draw(OFFSETS)).T
    return windows_at(row, col, draw(SIZES), draw(scene_grids()))


@st.composite
def pools(draw: st.DrawFn) -> PoolWindows:
    """Windows of three scenes in any order; a scene may have none."""
    offsets = draw(OFFSETS)
    row, col = np.array(offsets).T
    grids = {name: draw(scene_grids(name)) for name in "abc"}
    codes = st.lists(st.integers(0, 2), min_size=len(offsets), max_size=len(offsets))
    return PoolWindows(
        grids, scene=np.array(draw(codes)), row_off=row, col_off=col, patch_size=draw(SIZES)
    )


def index_of(pool: PoolWindows) -> pd.DataFrame:
    names = np.array(list(pool.grids), dtype=object)[pool.scene]
    return pd.DataFrame({"scene": names, "row_off": pool.row_off, "col_off": pool.col_off})


# --- one scene ------------------------------------------------------------------------------------


@settings(deadline=None)
@given(scene_windows())
def test_corners_are_those_of_the_affine_transform(windows: Windows) -> None:
    a, b, c, d, e, f = windows.grid.transform
    corners = windows.corners()
    assert corners.shape == (len(windows), 4, 2)
    for row, col, own in zip(windows.row_off, windows.col_off, corners, strict=True):
        top, left, size = float(row), float(col), windows.patch_size
        pixels = [(top, left), (top, left + size), (top + size, left + size), (top + size, left)]
        assert own.tolist() == [[a * x + b * y + c, d * x + e * y + f] for y, x in pixels]


@settings(deadline=None)
@given(scene_windows())
def test_footprints_are_parallelograms_around_their_centre(windows: Windows) -> None:
    a, b, _, d, e, _ = windows.grid.transform
    corners, centres = windows.corners(), windows.centres()
    np.testing.assert_allclose(corners.mean(axis=1), centres, rtol=0, atol=1e-6)
    assert np.array_equal(shapely.get_coordinates(windows.footprints())[0::5], corners[:, 0])
    # relative to the first corner: far from the origin, areas would lose their digits
    near = shapely.polygons(corners - corners[:, :1])
    area = windows.patch_size**2 * abs(a * e - b * d)
    assert shapely.area(near) == pytest.approx(area, rel=1e-3, abs=1e-3)
    middles = shapely.points(centres - corners[:, 0])
    slack = 1e-6 + 1e-9 * np.abs(corners).max()  # what the last digits of the coordinates are worth
    assert (shapely.distance(near, middles) <= slack).all()


@pytest.mark.parametrize(
    ("transform", "corner", "centre"),
    [
        (NORTH_UP, (500_300.0, 5_699_800.0), (500_400.0, 5_699_700.0)),
        ((10.0, 0.0, 5e5, 0.0, 10.0, 5.7e6), (500_300.0, 5_700_200.0), (500_400.0, 5_700_300.0)),
        ((8.0, 6.0, 5e5, 6.0, -8.0, 5.7e6), (500_360.0, 5_700_020.0), (500_500.0, 5_700_000.0)),
    ],
    ids=["north-up", "south-up", "rotated"],
)
def test_rows_go_down_and_columns_across_in_the_scene(
    transform: tuple[float, ...], corner: tuple[float, float], centre: tuple[float, float]
) -> None:
    grid = SceneGrid("s", UTM, transform, 100, 100)  # type: ignore[arg-type]
    windows = Windows(grid, row_off=np.array([20]), col_off=np.array([30]), patch_size=20)
    assert tuple(windows.corners()[0, 0]) == corner
    assert tuple(windows.centres()[0]) == centre
    x_min, y_min, x_max, y_max = windows.bounds()
    assert shapely.box(x_min, y_min, x_max, y_max).equals(windows.footprints()[0].envelope)


def test_other_coordinates_are_x_before_y() -> None:
    windows = windows_at([0, 40], [10, 80], 8)
    to_degrees = Transformer.from_crs(UTM, LON_LAT, always_xy=True)
    xy = windows.centres()
    expected = np.stack(to_degrees.transform(xy[:, 0], xy[:, 1]), axis=1)
    assert np.array_equal(windows.centres_in(LON_LAT), expected)
    assert np.allclose(windows.corners_in(LON_LAT).mean(axis=1), expected, atol=1e-6)
    assert np.array_equal(windows.corners_in(windows.crs), windows.corners())


@settings(deadline=None)
@given(scene_windows(), st.data())
def test_what_is_taken_lies_where_it_lay(windows: Windows, data: st.DataObject) -> None:
    n = len(windows)
    positions = np.array(data.draw(st.lists(st.integers(0, n - 1))), dtype=np.int64)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    part = slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))))
    for rows in (positions, mask, part):
        some = windows.take(rows)
        assert some.ids == np.array(windows.ids, dtype=object)[rows].tolist()
        assert np.array_equal(some.corners(), windows.corners()[rows])
        assert np.array_equal(some.centres(), windows.centres()[rows])
        assert (some.grid, some.patch_size) == (windows.grid, windows.patch_size)


@settings(deadline=None)
@given(scene_windows(), st.integers(1, 8))
def test_refined_windows_cover_the_same_ground(windows: Windows, factor: int) -> None:
    fine = windows.refined(factor)
    assert fine.patch_size == windows.patch_size * factor
    np.testing.assert_allclose(fine.corners(), windows.corners(), rtol=1e-9, atol=1e-6)


# --- a pool ---------------------------------------------------------------------------------------


@settings(deadline=None)
@given(pools())
def test_a_pool_falls_apart_into_its_scenes(pool: PoolWindows) -> None:
    seen = np.zeros(len(pool), dtype=int)
    names = []
    for positions, windows in pool.by_scene():
        names.append(windows.grid.name)
        seen[positions] += 1
        assert windows.ids == np.array(pool.ids, dtype=object)[positions].tolist()
        assert np.array_equal(pool.centres_in(windows.crs)[positions], windows.centres())
        assert np.array_equal(pool.corners_in(windows.crs)[positions], windows.corners())
        assert pool.of_scene(windows.grid.name).ids == windows.ids
    assert (seen == 1).all()
    assert names == list(dict.fromkeys(parse_patch_id(name)[0] for name in pool.ids))
    runs = [windows.ids for windows in pool.runs()]
    assert [name for ids in runs for name in ids] == pool.ids
    scenes = [parse_patch_id(ids[0])[0] for ids in runs]
    assert all(one != other for one, other in pairwise(scenes))


@settings(deadline=None)
@given(pools(), st.data())
def test_a_pool_is_that_of_its_index(pool: PoolWindows, data: st.DataObject) -> None:
    index = index_of(pool)
    same = PoolWindows.from_index(index, pool.grids, pool.patch_size)
    assert same.ids == pool.ids
    assert same.grids == pool.grids
    rows = np.array(data.draw(st.lists(st.integers(0, len(pool) - 1))), dtype=np.int64)
    some = PoolWindows.from_index(index.iloc[rows], pool.grids, pool.patch_size)
    assert some.ids == pool.take(rows).ids
    below = pool.shifted_down(5)
    assert np.array_equal(below.row_off, pool.row_off + 5)
    assert np.array_equal(below.col_off, pool.col_off)


def test_of_a_single_scene_no_window_has_a_number_of_its_own() -> None:
    index = pd.DataFrame({"scene": ["b"] * 3, "row_off": [0, 8, 0], "col_off": [0, 0, 8]})
    pool = PoolWindows.from_index(index, {"a": scene(8, 8, "a"), "b": scene(16, 16, "b")}, 8)
    assert pool.scene.tolist() == [1, 1, 1]
    assert pool.scene.strides == (0,)
    ((positions, windows),) = pool.by_scene()
    assert positions.tolist() == [0, 1, 2]
    assert windows.ids == pool.ids == ["b/0/0", "b/8/0", "b/0/8"]


def test_scenes_of_several_crss_meet_on_earth() -> None:
    """One place in two zones: the same metres, though the coordinates are far apart."""
    to_other = Transformer.from_crs(32631, 32632, always_xy=True)
    x, y = to_other.transform(800_000.0, 5_000_000.0)
    grids = {
        "a": SceneGrid("a", "EPSG:32631", (10.0, 0.0, 800_000.0, 0.0, -10.0, 5e6), 9, 9),
        "b": SceneGrid("b", "EPSG:32632", (10.0, 0.0, x, 0.0, -10.0, y), 9, 9),
    }
    index = pd.DataFrame({"scene": ["b", "a"], "row_off": [0, 0], "col_off": [0, 0]})
    pool = PoolWindows.from_index(index, grids, 1)
    metres = pool.centres_on_earth()
    assert metres.shape == (2, 3)
    assert np.linalg.norm(metres, axis=1) == pytest.approx(6_371_000, rel=2e-3)
    assert np.linalg.norm(metres[0] - metres[1]) < 1  # half a pixel, turned by the convergence
    polygons = footprints(pool)
    assert polygons.crs == LON_LAT
    assert polygons.index.tolist() == ["b/0/0", "a/0/0"]
    assert polygons.iloc[0].distance(polygons.iloc[1]) == 0


def test_an_index_with_an_unknown_scene_has_no_windows() -> None:
    index = pd.DataFrame({"scene": ["a", "b"], "row_off": [0, 0], "col_off": [0, 0]})
    with pytest.raises(KeyError, match="b"):
        PoolWindows.from_index(index, {"a": scene(8, 8, "a")}, 8)
    with pytest.raises(KeyError, match="c"):
        pool_at(index, 8).of_scene("c")


def test_no_windows_lie_nowhere() -> None:
    one = pool_at(pd.DataFrame({"scene": ["a"], "row_off": [0], "col_off": [0]}), 8)
    nothing = one.take(slice(0))
    assert (len(nothing), nothing.ids) == (0, [])
    assert [*nothing.by_scene(), *nothing.runs()] == []
    assert nothing.corners_in(LON_LAT).shape == (0, 4, 2)
    assert nothing.centres_on_earth().shape == (0, 3)
    assert len(footprints(nothing)) == 0


# --- what a value promises ------------------------------------------------------------------------


def test_windows_stay_as_they_are() -> None:
    windows = windows_at([0, 8], [0, 8], 8)
    with pytest.raises(AttributeError):
        windows.patch_size = 16  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        windows.row_off[0] = 1


def test_a_million_windows_travel_as_two_numbers_each() -> None:
    n = 10**6
    pool = pool_at(
        pd.DataFrame({"scene": "s", "row_off": np.arange(n), "col_off": np.arange(n)}), 8
    )
    pool.centres_in(LON_LAT)
    sent = pickle.dumps(pool)
    assert len(sent) < 25 * n  # scene, row and column as int64; no polygon stays behind
    assert pickle.loads(sent).take(slice(-1, None)).ids == [f"s/{n - 1}/{n - 1}"]
    ((_, windows),) = pool.by_scene()
    part = windows.take(slice(1000))
    part.footprints()
    assert len(pickle.dumps(part)) < 17 * 1000  # of a part, the part only


@pytest.mark.parametrize(
    ("row", "col", "size", "error", "text"),
    [
        ([5e5], [0], 8, TypeError, "row_off are float64, not whole pixels"),
        ([0], [5e6], 8, TypeError, "col_off are float64, not whole pixels"),
        ([0, 1], [0], 8, ValueError, "shapes"),
        ([[0]], [[0]], 8, ValueError, "shapes"),
        ([0], [0], 0, ValueError, "windows of 0 pixels"),
    ],
)
def test_what_are_no_windows(
    row: list[float], col: list[float], size: int, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Windows(scene(8, 8), row_off=np.array(row), col_off=np.array(col), patch_size=size)


def test_rows_and_columns_are_named() -> None:
    with pytest.raises(TypeError, match="positional"):
        Windows(scene(8, 8), np.array([0]), np.array([0]), 8)  # type: ignore[misc]


# --- patch_id -------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.text(min_size=1), st.integers(0, 10**6), st.integers(0, 10**6))
def test_patch_ids_can_be_taken_apart(name: str, row: int, col: int) -> None:
    (patch_id,) = windows_at([row], [col], 8, scene(8, 8, name)).ids
    assert parse_patch_id(patch_id) == (name, row, col)


@pytest.mark.parametrize("text", ["scene", "scene/1", "scene/1/x"])
def test_other_text_is_not_a_patch_id(text: str) -> None:
    with pytest.raises(ValueError):
        parse_patch_id(text)
