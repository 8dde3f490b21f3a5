"""Windows out of pixels in memory."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import DTypeLike

from owl_geo.ground.gathering import windows_at


@pytest.mark.parametrize("dtype", ["bool", "int8", ">u2", "int16", "float32", "float64"])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_windows_are_the_pixels_where_they_begin(size: int, dtype: DTypeLike) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(-100, 100, (4, 20, 30)).astype(dtype)
    row, col = rng.integers(0, 21 - size, 50), rng.integers(0, 31 - size, 50)
    expected = [pixels[:, r : r + size, c : c + size] for r, c in zip(row, col, strict=True)]
    found = windows_at(pixels, row, col, size)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
    # as a file holds its pixels one after the other, or one of its parts
    by_pixel = np.moveaxis(np.ascontiguousarray(np.moveaxis(pixels, 0, 2)), 2, 0)
    np.testing.assert_array_equal(windows_at(by_pixel, row, col, size), expected)
    inner = np.pad(pixels, ((0, 0), (2, 3), (4, 5)))[:, 2:-3, 4:-5]
    np.testing.assert_array_equal(windows_at(inner, row, col, size), expected)


def test_windows_are_a_copy_and_none_may_be_given() -> None:
    pixels = np.zeros((2, 8, 8))
    found = windows_at(pixels, np.array([0]), np.array([0]), 4)
    found += 1
    assert not pixels.any()
    none = np.empty(0, dtype=np.int64)
    assert windows_at(pixels, none, none, 4).shape == (0, 2, 4, 4)


@pytest.mark.parametrize("row, col", [(5, 0), (0, 5)])
def test_a_window_beyond_the_pixels_is_an_error(row: int, col: int) -> None:
    with pytest.raises(IndexError):
        windows_at(np.zeros((2, 8, 8)), np.array([row]), np.array([col]), 4)
