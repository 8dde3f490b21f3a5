"""Properties of cutting scenes into windows, and of reading windows together."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_windows import scene, tiled, windows_at

from owl_geo.ground.tiling import Chunk, chunks, reading_order, strips, tile
from owl_geo.ground.windows import Windows

lengths = st.integers(1, 300)
sizes = st.integers(1, 80)
offsets = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=60)


@settings(deadline=None)
@given(lengths, lengths, sizes, sizes)
def test_windows_lie_inside_and_all_others_are_counted(
    height: int, width: int, size: int, stride: int
) -> None:
    grid = scene(height, width)
    tiling = tile(grid, size, stride)
    windows = tiling.windows
    assert (windows.grid, windows.patch_size) == (grid, size)
    assert ((windows.row_off >= 0) & (windows.row_off + size <= height)).all()
    assert ((windows.col_off >= 0) & (windows.col_off + size <= width)).all()
    assert (windows.row_off % stride == 0).all()
    starts = -(-height // stride) * -(-width // stride)
    assert len(windows) + tiling.n_partial == starts
    pairs = list(zip(windows.row_off.tolist(), windows.col_off.tolist(), strict=True))
    assert pairs == sorted(set(pairs))


@settings(deadline=None)
@given(lengths, lengths, sizes)
def test_windows_edge_to_edge_cover_each_pixel_once(height: int, width: int, size: int) -> None:
    windows = tiled(height, width, size)
    seen = np.zeros((height, width), dtype=int)
    for row, col in zip(windows.row_off, windows.col_off, strict=True):
        seen[row : row + size, col : col + size] += 1
    assert (seen[: height // size * size, : width // size * size] == 1).all()
    assert seen.sum() == len(windows) * size * size


def _check_cover(parts: list[Chunk], windows: Windows) -> None:
    """Each window belongs to one chunk and lies in it; each chunk is as small as can be."""
    assert [chunk.first for chunk in parts] == [0, *(chunk.last for chunk in parts[:-1])]
    assert parts[-1].last == len(windows)
    for chunk in parts:
        mine, size = windows.take(slice(chunk.first, chunk.last)), windows.patch_size
        rows, cols = mine.row_off, mine.col_off
        assert (chunk.row, chunk.row + chunk.height) == (rows.min(), rows.max() + size)
        assert (chunk.col, chunk.col + chunk.width) == (cols.min(), cols.max() + size)


@settings(deadline=None)
@given(offsets, sizes, sizes, sizes)
def test_chunks_hold_windows_that_start_near_each_other(
    pairs: list[tuple[int, int]], size: int, rows: int, cols: int
) -> None:
    windows = windows_at(*np.array(pairs).T, size)
    windows = windows.take(reading_order(windows, rows, cols))
    parts = list(chunks(windows, rows, cols))
    _check_cover(parts, windows)
    cells = [(chunk.row // rows, chunk.col // cols) for chunk in parts]
    assert cells == sorted(set(cells))  # no cell is read twice
    assert all(c.height < rows + size and c.width < cols + size for c in parts)


@settings(deadline=None)
@given(offsets, sizes, sizes, sizes)
def test_chunks_of_windows_in_any_order(
    pairs: list[tuple[int, int]], size: int, rows: int, cols: int
) -> None:
    windows = windows_at(*np.array(pairs).T, size)
    _check_cover(list(chunks(windows, rows, cols)), windows)


@settings(deadline=None)
@given(lengths, lengths, sizes, sizes, sizes)
def test_narrow_scenes_are_read_row_by_row(
    height: int, width: int, size: int, stride: int, rows: int
) -> None:
    windows = tiled(height, width, size, stride)
    assert np.array_equal(reading_order(windows, rows, width), np.arange(len(windows)))


@settings(deadline=None)
@given(offsets, sizes, sizes)
def test_strips_hold_whole_rows_of_windows(
    pairs: list[tuple[int, int]], size: int, rows: int
) -> None:
    row, col = np.array(sorted(pairs)).T
    parts = list(strips(windows_at(row, col, size), rows))
    assert [strip.first for strip in parts] == [0, *(strip.last for strip in parts[:-1])]
    assert parts[-1].last == len(row)
    for strip in parts:
        mine = row[strip.first : strip.last]
        assert strip.start == mine[0]
        assert strip.stop == mine[-1] + size
        assert len(set((mine // rows).tolist())) == 1


def test_no_windows_no_strips() -> None:
    nothing = windows_at([], [], 8)
    assert list(strips(nothing, 8)) == []
    assert list(chunks(nothing, 8, 8)) == []
