"""Ground that several scenes show, compared with polygons that are laid on each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from scene_windows import pool_of

from owl_geo.ground.blocks import Blocks
from owl_geo.ground.crs import crs_of
from owl_geo.ground.same_ground import SharedGround
from owl_geo.ground.squares import Cells, Squares, _common_area, _farthest, seen_from_above
from owl_geo.ground.transformations import metres_from_earth_centre, transformer
from owl_geo.ground.windows import PoolWindows
from owl_geo.types import BoolArray, SceneGrid

SIZE = 8
UTM = "EPSG:32631"
Layout = Callable[[int, int, int], SceneGrid]  # from a number, row and column


def grid(
    name: str,
    *,
    x: float = 500_000,
    y: float = 5_000_000,
    pixel: float = 10,
    crs: str = UTM,
    n: int = 40,
) -> SceneGrid:
    """A north-up scene of n x n pixels with its upper left corner at x, y."""
    return SceneGrid(name, crs, (pixel, 0, x, 0, -pixel, y), n, n)


def placed(name: str, lon: float, lat: float, crs: str, *, pixel: float = 10) -> SceneGrid:
    """A scene in a CRS whose middle is at a place, 40 x 40 pixels."""
    x, y = transformer(crs_of("EPSG:4326"), crs_of(crs)).transform(lon, lat)
    return grid(name, x=x - 20 * pixel, y=y + 20 * pixel, pixel=pixel, crs=crs)


def shares(windows: PoolWindows, lon: float, lat: float) -> NDArray[np.float64]:
    """What each window shares with each other, of the smaller, ``(n, n)``: polygons on a plane."""
    local = CRS.from_dict({"proj": "laea", "lon_0": lon, "lat_0": lat, "datum": "WGS84"})
    polygons = shapely.polygons(windows.corners_in(local))
    area = shapely.area(polygons)
    common = shapely.area(shapely.intersection(polygons[:, None], polygons[None, :]))
    return np.asarray(common / np.minimum(area[:, None], area[None, :]))


def one_by_one(share: NDArray[np.float64], scene: NDArray[np.int64], rank: NDArray) -> BoolArray:
    """Take window after window unless one that is taken shows half of it."""
    taken = np.zeros(len(share), dtype=bool)
    for row in np.lexsort((np.arange(len(rank)), rank)):
        taken[row] = not (taken & (share[row] >= 0.5 - 1e-6) & (scene != scene[row])).any()
    return taken


def counts(windows: PoolWindows, taken: BoolArray) -> list[int]:
    return np.bincount(windows.scene[taken], minlength=len(windows.grids)).tolist()


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        (grid("b"), 0),
        (grid("b", x=500_040), 0),  # half a window to the right: the last ones share a half too
        (grid("b", x=500_050), 5),  # the last column shares three eighths
        (grid("b", x=500_050, y=4_999_950), 25),  # (3/8)^2 of one, and so of three others
        (grid("b", x=500_400), 25),  # beside the first
        (grid("b", pixel=20, n=20), 0),  # the same square in windows four times as large
        (grid("b", pixel=5, n=80), 0),
        (grid("b", x=499_600, pixel=20, n=40), 16),  # nine of 25 show windows of the first
        (SceneGrid("b", UTM, (10, 0, 500_000, 0, 10, 4_999_600), 40, 40), 0),  # south up
        (SceneGrid("b", UTM, (0, 10, 500_000, -10, 0, 5_000_000), 40, 40), 0),  # turned
    ],
)
def test_what_covers_less_than_half_stays(second: SceneGrid, kept: int) -> None:
    windows = pool_of([grid("a"), second], SIZE)
    taken = SharedGround(windows).once(np.zeros(len(windows)))
    assert counts(windows, taken) == [25, kept]


@pytest.mark.parametrize("seed", range(6))
def test_scenes_anyhow_are_taken_as_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grids = []
    for n in range(4):
        turn, pixel = rng.choice([0, 0, 0.3, 1.2]), rng.choice([8.0, 10, 10, 15])
        a, d = pixel * np.cos(turn), pixel * np.sin(turn)
        x, y = 500_000 + rng.uniform(-200, 200), 5_000_000 + rng.uniform(-200, 200)
        grids.append(SceneGrid(f"s{n}", UTM, (a, d, x, d, -a, y), 40, 40))
    windows = pool_of(grids, SIZE)
    rank = rng.permutation(len(windows)) if seed % 2 else windows.scene
    expected = one_by_one(shares(windows, 3.0, 45.15), windows.scene, rank)
    assert (SharedGround(windows).once(rank) == expected).all()


def tile_at(n: int, x: float, y: float, crs: str = UTM) -> SceneGrid:
    """The n-th of some scenes of 3 x 3 windows."""
    return grid(f"s{n}", x=x, y=y, crs=crs, n=3 * SIZE)


def in_one_zone(n: int, row: int, col: int) -> SceneGrid:
    return tile_at(n, 720_000 + 190 * col, 5_000_000 - 190 * row)


def in_two_zones(n: int, row: int, col: int) -> SceneGrid:
    """Scenes of zone 32 and 31, in turns."""
    if n % 2:
        return in_one_zone(n, row, col)
    return tile_at(n, 248_090 + 190 * col, 5_001_180 - 190 * row, "EPSG:32632")


def on_one_grid(n: int, row: int, col: int) -> SceneGrid:
    return tile_at(n, 720_000, 5_000_000)


def each_on_its_own(n: int, row: int, col: int) -> SceneGrid:
    return tile_at(n, 720_000 + 10 * (n % 8), 5_000_000 + 10 * (3 * n % 8))


@pytest.mark.parametrize("scene", [in_one_zone, in_two_zones, on_one_grid, each_on_its_own])
def test_large_layouts_in_small_are_taken_as_one_by_one(scene: Layout) -> None:
    windows = pool_of([scene(n, *divmod(n, 4)) for n in range(16)], SIZE)
    share = shares(windows, 5.8, 45.1)
    ground = SharedGround(windows)
    rank = np.zeros(len(windows))
    assert (ground.once(rank) == one_by_one(share, windows.scene, rank)).all()
    between = (share > 1e-3) & (windows.scene[:, None] != windows.scene)
    assert not np.setdiff1d(np.flatnonzero(between.any(axis=1)), ground.crowded).size


@pytest.mark.parametrize(
    ("lon", "lat", "systems"),
    [
        (6.0, 45.0, ("EPSG:32631", "EPSG:32632")),
        (6.0, 0.0, ("EPSG:32631", "EPSG:32732")),  # on the equator, north and south
        (0.0, 78.0, ("EPSG:32631", "EPSG:32633", "EPSG:3995")),
        (180.0, 65.0, ("EPSG:32660", "EPSG:32601", "EPSG:3857")),
        (-179.999, -17.0, ("EPSG:32701", "EPSG:32760", "EPSG:3832")),
        (10.0, -89.99, ("EPSG:3031", "EPSG:3976")),
        (10.0, 50.0, ("EPSG:25832", "EPSG:3035", "EPSG:3857")),
    ],
)
def test_the_same_place_in_several_crss(lon: float, lat: float, systems: tuple[str, ...]) -> None:
    grids = [placed(f"s{n}", lon, lat, crs) for n, crs in enumerate(systems)]
    windows = pool_of(grids, SIZE)
    share = shares(windows, lon, lat)
    taken = SharedGround(windows).once(np.zeros(len(windows)))
    between = windows.scene[:, None] != windows.scene
    if not (np.abs(share - 0.5) < 1e-3)[between].any():
        assert (taken == one_by_one(share, windows.scene, np.zeros(len(windows)))).all()
    assert counts(windows, taken)[0] == 25
    assert share[np.ix_(taken, taken)][between[np.ix_(taken, taken)]].max(initial=0) < 0.501
    lost = share[np.ix_(~taken, taken)] * (windows.scene[~taken, None] != windows.scene[taken])
    assert (lost.max(axis=1) > 0.499).all()
    assert (~taken).sum() > 10


@pytest.mark.parametrize("turn", [0.0, 360.0, -360.0])
def test_longitudes_of_either_count_are_one_place(turn: float) -> None:
    one = SceneGrid("a", "EPSG:4326", (1e-4, 0, 179.998, 0, -1e-4, -17.0), 40, 40)
    other = SceneGrid("b", "EPSG:4326", (1e-4, 0, 179.998 + turn, 0, -1e-4, -17.0), 40, 40)
    windows = pool_of([one, other], SIZE)
    assert counts(windows, SharedGround(windows).once(np.zeros(50))) == [25, 0]


def test_windows_of_one_scene_never_keep_each_other_out() -> None:
    windows = pool_of([grid("a"), grid("b")], SIZE, stride=4)
    n = int((windows.scene == 0).sum())
    assert counts(windows, SharedGround(windows).once(np.zeros(len(windows)))) == [n, 0]
    later_first = SharedGround(windows).once(-windows.scene)
    assert counts(windows, later_first) == [0, n]


def test_what_stays_is_taken_whatever_it_shows() -> None:
    windows = pool_of([grid("a"), grid("b"), grid("c")], SIZE)
    stay = np.zeros(75, dtype=bool)
    stay[[30, 55]] = True  # the same window of b and of c
    taken = SharedGround(windows).once(np.zeros(75), stay)
    assert counts(windows, taken) == [24, 1, 1]
    assert taken[[30, 55]].all()
    assert not taken[5]


def test_many_dates_of_one_place_are_compared_in_parts() -> None:
    rng = np.random.default_rng(0)
    shifts = rng.integers(-8, 9, (1200, 2)) * 10
    grids = [
        grid(f"s{n}", x=500_000 + x, y=5_000_000 + y) for n, (x, y) in enumerate(shifts.tolist())
    ]
    windows = pool_of(grids, SIZE)  # 30,000, more than are compared at once
    taken = np.flatnonzero(SharedGround(windows).once(windows.scene))
    assert (taken[:25] == np.arange(25)).all()
    share = shares(windows.take(taken), 3.0, 45.15)
    apart = windows.scene[taken][:, None] != windows.scene[taken]
    assert share[apart].max() < 0.5
    some = rng.choice(np.setdiff1d(np.arange(len(windows)), taken), 50)
    both = shares(windows.take(np.concatenate([some, taken])), 3.0, 45.15)[:50, 50:]
    assert (both.max(axis=1) >= 0.5 - 1e-6).all()


def test_overlaps_are_those_of_polygons() -> None:
    windows = pool_of([grid("a"), grid("b", x=500_030, y=4_999_990)], SIZE)
    share = shares(windows, 3.0, 45.15)
    np.fill_diagonal(share, 0)
    one, other = SharedGround(windows).overlaps()
    found = np.zeros_like(share, dtype=bool)
    found[one, other] = found[other, one] = True
    assert (found == (share > 1e-3)).all()
    some = np.array([3, 30])
    assert (SharedGround(windows).overlapping(some) == (share[some] > 1e-3).any(axis=0)).all()
    shown = share[some] >= 0.5
    assert (SharedGround(windows).shown_with(some) == shown.any(axis=0)).all()


def test_blocks_go_on_from_scene_to_scene() -> None:
    left, right = grid("a"), grid("b", x=500_400)
    blocks = Blocks(pool_of([left, right, grid("far", x=700_000)], SIZE)).at(3 * SIZE)
    of_left, of_right, far = np.split(blocks, 3)
    # columns 0-2, 3-5 and so on, from the first scene on: the fourth and fifth share with the next
    assert set(of_left) & set(of_right)
    assert not {*of_left, *of_right} & set(far)
    assert (far.reshape(5, 5) - far.min() == (of_left - of_left.min()).reshape(5, 5)).all()
    whole = Blocks(pool_of([grid("c", n=80)], SIZE)).at(3 * SIZE).reshape(10, 10)[:5]
    both = np.concatenate([of_left.reshape(5, 5), of_right.reshape(5, 5)], axis=1)
    assert (both == whole).all()


@pytest.mark.parametrize("other", ["EPSG:32632", "EPSG:3857", "EPSG:4326"])
def test_blocks_are_those_of_the_ground_in_every_crs(other: str) -> None:
    pixel = 1e-4 if other == "EPSG:4326" else 10
    windows = pool_of(
        [placed("a", 6.0, 45.0, "EPSG:32631"), placed("b", 6.0, 45.0, other, pixel=pixel)], SIZE
    )
    blocks = Blocks(windows).at(2 * SIZE)
    one, two = (windows.take(windows.scene == n).centres_on_earth() for n in (0, 1))
    nearest = np.linalg.norm(one[:, None] - two[None], axis=2).argmin(axis=0)
    of_one, of_two = blocks[windows.scene == 0][nearest], blocks[windows.scene == 1]
    rows, cols = (np.abs((of_one >> by) % 2**22 - (of_two >> by) % 2**22) for by in (22, 0))
    assert max(rows.max(), cols.max()) <= 1  # on an edge, a window's corner may lie beyond
    assert (of_one == of_two).mean() > 0.5
    assert 4 <= len(np.unique(blocks)) <= 20


def test_a_block_is_as_wide_as_the_widest_window() -> None:
    windows = pool_of([grid("a"), grid("b", pixel=50)], SIZE)
    corners = [Blocks(windows).at(SIZE, d, r) for d in (0, SIZE - 1) for r in (0, SIZE - 1)]
    # no window of the larger pixels reaches over three blocks in a row, past one in its middle
    of_b = np.stack(corners)[:, windows.scene == 1]
    rows = (of_b >> 22) & (2**22 - 1)
    assert (rows.max(axis=0) - rows.min(axis=0)).max() <= 1


@pytest.mark.parametrize(
    "scene",
    [
        grid("zone", n=100),
        grid("turned", n=100),
        grid("mercator", crs="EPSG:3857", n=100),
        grid("degrees", x=6, y=47, pixel=1e-4, crs="EPSG:4326", n=100),
        grid("south pole", x=-400, y=400, crs="EPSG:3031", n=100),
        grid("wide", x=-170, y=80, pixel=1.6, crs="EPSG:4326", n=100),  # no polynomial follows it
        grid("beyond", x=-8e6, y=8e6, pixel=1.6e5, crs="EPSG:3573", n=100),
        grid("beyond the earth", x=-8e6, y=8e6, pixel=1.6e5, crs="ESRI:102035", n=100),
        grid("old datum", x=500_000, y=5_000_000, crs="EPSG:23031", n=100),
    ],
    ids=lambda scene: scene.name,
)
def test_squares_in_space_are_where_projections_put_them(scene: SceneGrid) -> None:
    if scene.name == "turned":
        scene = SceneGrid("turned", UTM, (8, 6, 500_000, 6, -8, 5_000_000), 100, 100)
    pool = pool_of([scene], SIZE)
    windows = pool.of_scene(scene.name)
    assert len(windows) > 64
    squares = Squares.of(pool, in_space=True)
    a, b, c, d, e, f = scene.transform

    def on_earth(down: float, right: float) -> NDArray[np.float64]:
        row, col = windows.row_off + down * SIZE, windows.col_off + right * SIZE
        xy = np.stack([a * col + b * row + c, d * col + e * row + f], axis=1)
        return metres_from_earth_centre(xy, windows.crs, windows.place)

    with np.errstate(invalid="ignore"):
        centre = on_earth(0.5, 0.5)
        right, down = 2 * (on_earth(0.5, 1) - centre), 2 * (on_earth(1, 0.5) - centre)
        there = np.isfinite(centre + right + down).all(axis=1)
    assert (np.isfinite(squares.centre).all(axis=1) == there).all()
    tolerance = 5e-6 * np.linalg.norm(right[there], axis=1).min()
    for found, expected in ((squares.centre, centre), (squares.right, right), (squares.down, down)):
        np.testing.assert_allclose(found[there], expected[there], rtol=0, atol=tolerance)


def test_scenes_lie_in_space_together_as_each_does_alone() -> None:
    grids = [
        grid("a", n=100),
        grid("as many in another zone", n=100, crs="EPSG:32632"),
        grid("fewer rows and columns", n=80),
        grid("few windows", n=16),
        grid("no polynomial follows it", x=-170, y=80, pixel=1.6, crs="EPSG:4326", n=100),
        grid("beyond a pole", x=-8e6, y=8e6, pixel=1.6e5, crs="EPSG:3573", n=100),
        grid("beyond it with few", x=-8e6, y=8e6, pixel=4e5, crs="EPSG:3573", n=40),
        grid("old datum", crs="EPSG:23031", n=100),
        grid("the same elsewhere", y=4_000_000, crs="EPSG:23031", n=100),
        grid("as the first", x=600_000, n=100),
    ]
    windows = pool_of(grids, SIZE)
    together = Squares.of(windows, in_space=True)
    for n, each in enumerate(grids):
        alone = Squares.of(pool_of([each], SIZE), in_space=True)
        assert len(alone)
        for name in ("centre", "right", "down"):
            found = getattr(together, name)[windows.scene == n]
            np.testing.assert_allclose(found, getattr(alone, name), rtol=0, atol=1e-6)


@pytest.mark.parametrize("crs", [UTM, "EPSG:32632"])
def test_windows_lie_where_they_do_in_any_order(crs: str) -> None:
    windows = pool_of([grid("a"), grid("b", crs=crs)], SIZE)
    order = np.random.default_rng(0).permutation(len(windows))
    ordered, mixed = Squares.of(windows), Squares.of(windows.take(order))
    np.testing.assert_allclose(mixed.centre, ordered.centre[order], rtol=0, atol=1e-6)
    np.testing.assert_allclose(mixed.down, ordered.down[order], rtol=0, atol=1e-6)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_cells_beside_each_other_are_those_within_one_step(dimensions: int) -> None:
    points = np.random.default_rng(0).uniform(0, 30, (400, dimensions))
    cells = Cells.of(points, 3.0)
    steps = ((points - points.min(axis=0)) / 3.0).astype(int)
    of_cell = np.empty((len(cells), dimensions), dtype=int)
    of_cell[cells.of_points()] = steps
    apart = np.abs(of_cell[:, None] - of_cell).max(axis=2)
    found = np.zeros(apart.shape, dtype=int)
    np.add.at(found, cells.neighbours(), 1)
    assert (found == (apart <= 1)).all()


def test_what_is_near_in_space_is_near_from_above() -> None:
    rng = np.random.default_rng(0)
    towards = rng.normal([0.5, -0.6, 0.6], 0.1, (300, 3))
    globe = 6.4e6 * towards / np.linalg.norm(towards, axis=1)[:, None]
    one, other = globe[:200], globe[200:]
    flat_one, flat_other = seen_from_above(one, other)
    assert flat_one.shape == (200, 2)
    in_space = np.linalg.norm(one[:, None] - other, axis=2)
    from_above = np.linalg.norm(flat_one[:, None] - flat_other, axis=2)
    assert (from_above <= in_space + 1e-6).all()
    assert (from_above >= 0.6 * in_space).all()


def test_points_all_around_the_earth_are_not_seen_from_above() -> None:
    globe = 6.4e6 * np.array([[1.0, 0, 0], [0.7, 0.7, 0], [0, 1, 0], [0, 0.7, 0.7]])
    assert seen_from_above(globe)[0] is globe


@pytest.mark.parametrize("narrowest", [1.0, 0.9, 0.6, 0.3])
def test_windows_that_share_a_half_are_as_near_as_that(narrowest: float) -> None:
    rng = np.random.default_rng(0)
    n = 50_000
    wide, high, width, height = np.where(
        rng.random((4, n)) < 0.5, rng.choice([narrowest, 1.0], (4, n)), rng.uniform(narrowest, 1)
    )
    away = rng.uniform(0.9, 1.2, n) * _farthest(narrowest, 1.0)
    turn, towards = rng.choice([0, 0.4, 1], n) * rng.uniform(0, 1.6, n), rng.uniform(0, 6.3, n)
    unit = np.array([1 / wide, 1 / high]).T
    shared = (
        wide
        * high
        * _common_area(
            unit * (away * np.array([np.cos(towards), np.sin(towards)])).T,
            unit * (width * np.array([np.cos(turn), np.sin(turn)])).T,
            unit * (height * np.array([-np.sin(turn), np.cos(turn)])).T,
        )
    )
    half = shared >= 0.5 * np.minimum(wide * high, width * height)
    assert half.any()
    assert away[half].max() <= _farthest(narrowest, 1.0)
