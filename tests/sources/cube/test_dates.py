"""Several dates made into one image: as numpy has it, whatever the slabs and the gaps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from owl_geo.sources.cube import dates
from owl_geo.sources.cube.dates import any_date, over_dates

Values = NDArray[np.float32]
NAN = np.nan

ORACLES = {
    "median": np.nanmedian,
    "mean": np.nanmean,
    "min": np.nanmin,
    "max": np.nanmax,
}


def with_gaps(n_dates: int, *, seed: int = 0) -> Values:
    """``(dates, 2 bands, 5, 7)`` with gaps of both kinds; the first pixel has no date at all."""
    rng = np.random.default_rng(seed)
    values = rng.normal(100, 30, (n_dates, 2, 5, 7)).astype(np.float32)
    values[rng.random(values.shape) < 0.4] = NAN
    values[rng.random(values.shape) < 0.1] = np.inf
    values[:, :, 0, 0] = NAN
    return values


def slabs(values: Values, rule: str, size: int) -> list[Values]:
    """Cut the dates up; a median needs all of them at once."""
    step = len(values) if rule == "median" else size
    return [values[start : start + step] for start in range(0, len(values), step)]


@pytest.mark.filterwarnings("ignore:All-NaN", "ignore:Mean of empty")
@pytest.mark.parametrize("rule", ORACLES)
@pytest.mark.parametrize("n_dates", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("size", [1, 2, 99])
def test_gaps_do_not_count(rule: str, n_dates: int, size: int) -> None:
    values = with_gaps(n_dates)
    before = values.copy()
    image = over_dates(rule, slabs(values, rule, size))
    expected = ORACLES[rule](np.where(np.isinf(values), NAN, values).astype(np.float64), axis=0)
    np.testing.assert_allclose(image, expected, rtol=1e-5)
    assert np.isnan(image[:, 0, 0]).all()
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(("rule", "number"), [("first", 0), ("last", -1)])
def test_first_and_last_take_the_next_date_that_has_a_value(rule: str, number: int) -> None:
    """The dates come in the order in which they are wanted."""
    values = with_gaps(6)
    wanted = values if rule == "first" else values[::-1]
    image = over_dates(rule, slabs(wanted, rule, 2))
    for place in np.ndindex(image.shape):
        known = [value for value in values[:, *place] if np.isfinite(value)]
        assert np.array_equal(image[place], known[number] if known else NAN, equal_nan=True)


def test_no_slab_is_read_that_is_not_needed() -> None:
    def whole_then_trouble() -> Iterator[Values]:
        yield np.ones((1, 1, 2, 2), np.float32)
        raise AssertionError("another slab was asked for")

    assert (over_dates("first", whole_then_trouble()) == 1).all()
    assert any_date(whole_then_trouble()).all()


@pytest.mark.parametrize("n_dates", [2, 3, 8])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float64"])
def test_a_median_is_numpy_s_for_any_type_and_any_part_that_is_sorted_at_once(
    n_dates: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(n_dates).integers(0, 256, (n_dates, 2, 9, 4)).astype(dtype)
    expected = np.median(values, axis=0)
    for n_bytes in (1, 300, 2**20):
        monkeypatch.setattr(dates, "_SORT_BYTES", n_bytes)
        np.testing.assert_allclose(over_dates("median", [values]), expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("min", [7, 3]), ("max", [9, 250]), ("first", [7, 250]), ("last", [7, 250])],
)
def test_integers_stay_integers_where_a_date_is_taken(rule: str, expected: list[int]) -> None:
    slabs = [np.array([[[date]]], dtype="uint8") for date in ([7, 250], [9, 3])]
    image = over_dates(rule, slabs)
    assert image.dtype == np.uint8
    assert image.tolist() == [[expected]]


def test_a_mean_of_large_integers_does_not_overflow() -> None:
    values = np.full((300, 1, 1, 1), 65_535, dtype="uint16")
    assert over_dates("mean", [values]).tolist() == [[[65_535.0]]]


def test_where_a_pixel_has_a_value_on_any_date() -> None:
    values = np.array([[[[NAN, 1, NAN, np.inf]]], [[[NAN, NAN, 2, NAN]]]], dtype=np.float32)
    assert any_date([values[:1], values[1:]]).tolist() == [[[False, True, True, False]]]
    assert any_date([values]).tolist() == [[[False, True, True, False]]]


@pytest.mark.parametrize("rule", ["median", "mean", "min", "max", "first", "last"])
def test_values_beyond_all_measures_do_not_count(rule: str) -> None:
    """They stand for none, as in rasters, though no attribute says so."""
    values = np.array([1e20, 7, 9, -3e30, 11], dtype=np.float32)[:, None, None, None]
    right = {"median": 9, "mean": 9, "min": 7, "max": 11, "first": 7, "last": 11}
    wanted = values[::-1] if rule == "last" else values
    assert over_dates(rule, slabs(wanted, rule, 2)).tolist() == [[[right[rule]]]]
    assert any_date([values[:1], values[1:2]]).all() and not any_date([values[:1]]).any()
