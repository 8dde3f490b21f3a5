"""Properties of the patch arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from owl_geo.ground import grid as grids
from owl_geo.types import SceneGrid

lengths = st.integers(1, 300)
sizes = st.integers(1, 80)
windows = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=60)


@st.composite
def scene_grids(draw: st.DrawFn) -> SceneGrid:
    """Any invertible grid: north-up, south-up, rotated, sheared."""
    terms = st.floats(-100, 100, allow_nan=False, width=32)
    a, b, d, e = draw(
        st.tuples(terms, terms, terms, terms).filter(
            lambda t: abs(t[0] * t[3] - t[1] * t[2]) > 1e-2
        )
    )
    c, f = draw(st.floats(-1e7, 1e7)), draw(st.floats(-1e7, 1e7))
    return SceneGrid("s", "EPSG:32631", (a, b, c, d, e, f), draw(lengths), draw(lengths))


@settings(deadline=None)
@given(lengths, lengths, sizes, sizes)
def test_windows_lie_inside_and_all_others_are_counted(
    height: int, width: int, size: int, stride: int
) -> None:
    tiling = grids.tile(height, width, size, stride)
    assert ((tiling.row_off >= 0) & (tiling.row_off + size <= height)).all()
    assert ((tiling.col_off >= 0) & (tiling.col_off + size <= width)).all()
    assert (tiling.row_off % stride == 0).all()
    starts = -(-height // stride) * -(-width // stride)
    assert len(tiling.row_off) + tiling.n_partial == starts
    places = list(zip(tiling.row_off.tolist(), tiling.col_off.tolist(), strict=True))
    assert places == sorted(set(places))


@settings(deadline=None)
@given(lengths, lengths, sizes)
def test_windows_edge_to_edge_cover_each_pixel_once(height: int, width: int, size: int) -> None:
    tiling = grids.tile(height, width, size, size)
    seen = np.zeros((height, width), dtype=int)
    for row, col in zip(tiling.row_off, tiling.col_off, strict=True):
        seen[row : row + size, col : col + size] += 1
    assert (seen[: height // size * size, : width // size * size] == 1).all()
    assert seen.sum() == len(tiling.row_off) * size * size


@settings(deadline=None)
@given(st.text(min_size=1), st.integers(0, 10**6), st.integers(0, 10**6))
def test_patch_ids_can_be_taken_apart(scene: str, row: int, col: int) -> None:
    (patch_id,) = grids.patch_ids(scene, np.array([row]), np.array([col]))
    assert grids.parse_patch_id(patch_id) == (scene, row, col)


@pytest.mark.parametrize("text", ["scene", "scene/1", "scene/1/x"])
def test_other_text_is_no_patch_id(text: str) -> None:
    with pytest.raises(ValueError):
        grids.parse_patch_id(text)


@settings(deadline=None)
@given(scene_grids(), st.integers(0, 500), st.integers(0, 500), sizes)
def test_footprints_are_parallelograms_around_their_centre(
    grid: SceneGrid, row: int, col: int, size: int
) -> None:
    a, b, _, d, e, _ = grid.transform
    corners = grids.corners(grid, np.array([row]), np.array([col]), size)
    assert corners.shape == (1, 4, 2)
    (centre,) = grids.centres(grid, np.array([row]), np.array([col]), size)
    assert np.allclose(corners[0].mean(axis=0), centre, rtol=0, atol=1e-6)
    # relative to the first corner: far from the origin, areas would lose their digits
    area = shapely.area(shapely.polygons(corners[0] - corners[0, 0]))
    assert area == pytest.approx(size**2 * abs(a * e - b * d), rel=1e-3, abs=1e-3)


@settings(deadline=None)
@given(scene_grids())
def test_bounds_are_those_of_the_whole_scene(grid: SceneGrid) -> None:
    row = np.array([0.0, 0, grid.height, grid.height, grid.height / 3])
    col = np.array([0.0, grid.width, 0, grid.width, grid.width / 7])
    xy = grids.to_xy(grid, row, col)
    x_min, y_min, x_max, y_max = grids.bounds(grid)
    assert (xy[:, 0].min(), xy[:, 1].min()) == pytest.approx((x_min, y_min))
    assert (xy[:, 0].max(), xy[:, 1].max()) == pytest.approx((x_max, y_max))


def _check_cover(chunks: list[grids.Chunk], row: np.ndarray, col: np.ndarray, size: int) -> None:
    """Each window belongs to one chunk and lies in it; each chunk is as small as can be."""
    assert [chunk.first for chunk in chunks] == [0, *(chunk.last for chunk in chunks[:-1])]
    assert chunks[-1].last == len(row)
    for chunk in chunks:
        rows, cols = row[chunk.first : chunk.last], col[chunk.first : chunk.last]
        assert (chunk.row, chunk.row + chunk.height) == (rows.min(), rows.max() + size)
        assert (chunk.col, chunk.col + chunk.width) == (cols.min(), cols.max() + size)


@settings(deadline=None)
@given(windows, sizes, sizes, sizes)
def test_chunks_hold_windows_that_start_near_each_other(
    places: list[tuple[int, int]], size: int, rows: int, cols: int
) -> None:
    row, col = np.array(places).T
    order = grids.reading_order(row, col, rows, cols)
    row, col = row[order], col[order]
    chunks = list(grids.chunks(row, col, size, rows, cols))
    _check_cover(chunks, row, col, size)
    cells = [(chunk.row // rows, chunk.col // cols) for chunk in chunks]
    assert cells == sorted(set(cells))  # no cell is read twice
    assert all(c.height < rows + size and c.width < cols + size for c in chunks)


@settings(deadline=None)
@given(windows, sizes, sizes, sizes)
def test_chunks_of_windows_in_any_order(
    places: list[tuple[int, int]], size: int, rows: int, cols: int
) -> None:
    row, col = np.array(places).T
    _check_cover(list(grids.chunks(row, col, size, rows, cols)), row, col, size)


@settings(deadline=None)
@given(lengths, lengths, sizes, sizes, sizes)
def test_narrow_scenes_are_read_row_by_row(
    height: int, width: int, size: int, stride: int, rows: int
) -> None:
    tiling = grids.tile(height, width, size, stride)
    order = grids.reading_order(tiling.row_off, tiling.col_off, rows, width)
    assert np.array_equal(order, np.arange(len(tiling.row_off)))


@settings(deadline=None)
@given(windows, sizes, sizes)
def test_strips_hold_whole_rows_of_windows(
    places: list[tuple[int, int]], size: int, rows: int
) -> None:
    row = np.sort(np.array(places)[:, 0])
    strips = list(grids.strips(row, size, rows))
    assert [strip.first for strip in strips] == [0, *(strip.last for strip in strips[:-1])]
    assert strips[-1].last == len(row)
    for strip in strips:
        mine = row[strip.first : strip.last]
        assert strip.start == mine[0]
        assert strip.stop == mine[-1] + size
        assert len(set((mine // rows).tolist())) == 1


def test_no_windows_no_strips() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert list(grids.strips(nothing, 8, 8)) == []
    assert list(grids.chunks(nothing, nothing, 8, 8, 8)) == []
