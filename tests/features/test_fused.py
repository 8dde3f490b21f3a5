"""Compiled loops give the features that are defined, whatever a patch looks like."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from rasters import write_raster

from owl_geo import GeoTiffSource, SyntheticSource
from owl_geo.features import statistics as spectral
from owl_geo.features.embedding import EmbeddingFeatures
from owl_geo.features.rows import FeatureTable
from owl_geo.features.statistics import STATISTICS, SpectralStatistics
from owl_geo.features.table import feature_table
from owl_geo.features.views import WithViews
from owl_geo.settings.learning import ModelSettings
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.base import PatchSource
from owl_geo.sources.statistics import band_statistics
from owl_geo.types import EMBEDDING, BandOrigin, BandStatistics, FloatArray

fused = pytest.importorskip("owl_geo.features.fused", exc_type=ImportError)

SCALE = 100.0  # of every band
FLOOR = np.float32(0.1)  # a thousandth of it
QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)


def statistics_of(n_bands: int) -> BandStatistics:
    names = tuple(f"b{i}" for i in range(n_bands))
    zeros = np.zeros(n_bands, dtype=np.float32)
    return BandStatistics(names, zeros, zeros + np.float32(SCALE), 1)


def both(patches: FloatArray, which: Sequence[str] = STATISTICS) -> list[FloatArray]:
    """Return the features by NumPy and by loops, of bands without common names."""
    statistics = statistics_of(patches.shape[1])
    nothing = [None] * patches.shape[1]
    plain = SpectralStatistics(statistics.bands, nothing, statistics, which=which)
    return [features(patches) for features in (plain, plain.in_loops())]


def defined(patches: FloatArray) -> NDArray[np.float64]:
    """Return the features as they are defined, in float64."""
    n, n_bands, height, width = patches.shape
    values = patches.astype(np.float64)
    pixels = values.reshape(n, n_bands, -1)
    steps = np.zeros((n, n_bands))
    if height > 1:
        steps += np.abs(np.diff(values, axis=2)).mean(axis=(2, 3))
    if width > 1:
        steps += np.abs(np.diff(values, axis=3)).mean(axis=(2, 3))
    columns = [pixels.mean(axis=2), np.log(pixels.std(axis=2) + FLOOR)]
    columns += list(np.quantile(pixels, QUANTILES, axis=2))
    columns += [np.log(steps + FLOOR)]
    for i in range(n_bands):
        for j in range(i + 1, n_bands):
            a, b = pixels[:, i], pixels[:, j]
            ratio = (a - b) / np.maximum(np.abs(a) + np.abs(b), 2 * FLOOR)
            columns.append(ratio.mean(axis=1, keepdims=True))
    return np.concatenate(columns, axis=1)


def check(patches: FloatArray) -> None:
    by_numpy, by_loops = both(patches)
    assert by_loops.dtype == by_numpy.dtype == np.float32
    np.testing.assert_allclose(by_loops, defined(patches), rtol=1e-6, atol=1e-6)
    quantiles = [n for n, name in enumerate(names(patches)) if "_q" in name]
    assert np.array_equal(by_loops[:, quantiles], by_numpy[:, quantiles])


def names(patches: FloatArray) -> tuple[str, ...]:
    statistics = statistics_of(patches.shape[1])
    return SpectralStatistics(statistics.bands, [None] * patches.shape[1], statistics).names


SHAPES = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
PIXELS = {
    "uint8": st.integers(0, 255),
    "few values": st.integers(0, 3),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "scaled integers": st.integers(0, 1000).map(lambda value: np.float32(value) * np.float32(1e-4)),
    "floats": st.floats(-(2.0**20), 2.0**20, width=32, allow_subnormal=False),
}


@pytest.mark.parametrize("kind", PIXELS)
@given(data=st.data())
def test_any_patch(kind: str, data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    elements = PIXELS[kind].map(np.float32)
    check(data.draw(arrays.arrays(np.float32, shape, elements=elements)))


DRAWN = {
    "even": lambda rng, shape: np.full(shape, rng.random() * 1000),
    "normal": lambda rng, shape: rng.normal(3000, 300, shape),
    "normal, whole": lambda rng, shape: rng.normal(3000, 300, shape).round(),
    "around zero": lambda rng, shape: rng.normal(0, 1, shape),
    "heavy tail": lambda rng, shape: rng.lognormal(6, 2, shape),
    "one far away": lambda rng, shape: np.where(
        np.arange(np.prod(shape)).reshape(shape) == 7, 1e18, rng.normal(0, 1, shape)
    ),
    "five values": lambda rng, shape: rng.integers(0, 5, shape) * 0.1,
    "two levels": lambda rng, shape: (
        np.where(rng.random(shape) < 0.3, 10, 2000) + rng.random(shape)
    ),
    "nearly equal": lambda rng, shape: 1e6 + 0.0625 * rng.integers(0, 2, shape),
    "ramp": lambda rng, shape: np.arange(np.prod(shape), dtype=float).reshape(shape),
}


@pytest.mark.parametrize("kind", DRAWN)
@settings(max_examples=20)
@given(
    st.integers(0, 2**32),
    st.tuples(st.just(2), st.integers(1, 3), st.integers(1, 70), st.integers(1, 70)),
)
@example(0, (2, 2, 32, 32))
def test_any_kind_of_ground(kind: str, seed: int, shape: tuple[int, ...]) -> None:
    check(DRAWN[kind](np.random.default_rng(seed), shape).astype(np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_patch_that_is_not_finite_is_left_to_numpy(value: float) -> None:
    patches = np.random.default_rng(0).random((3, 2, 8, 8), dtype=np.float32)
    patches[1, 1, 3, 4] = value
    ranks, pairs = np.array([3, 60]), np.array([[0, 1]])
    found = fused.summarise(patches, ranks, pairs, np.array([1.0]))
    assert found.done.tolist() == [True, False, True]
    with np.errstate(invalid="ignore"):
        by_numpy, by_loops = both(patches)
    np.testing.assert_array_equal(by_loops[1], by_numpy[1])
    assert np.isfinite(by_loops[[0, 2]]).all()


def test_values_too_close_or_too_far_apart_to_divide_by_are_left_to_numpy() -> None:
    tiny = np.float32(1e-45)
    patches = np.zeros((2, 1, 4, 4), dtype=np.float32)
    patches[0, 0, :2] = tiny
    patches[1, 0, 0], patches[1, 0, 1] = -3e38, 3e38
    with np.errstate(over="ignore"):
        by_numpy, by_loops = both(patches, ["q2", "q50", "q98"])
    np.testing.assert_array_equal(by_loops, by_numpy)


@pytest.mark.parametrize("which", [("mean",), ("mean", "spread"), ("q2", "q98"), ("texture",)])
def test_some_of_the_statistics(which: tuple[str, ...]) -> None:
    patches = np.random.default_rng(1).random((5, 3, 6, 7), dtype=np.float32)
    by_numpy, by_loops = both(patches, which)
    np.testing.assert_allclose(by_loops, by_numpy, rtol=1e-6, atol=1e-6)


def test_views(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("red", "nir", "old:B4", "old:change:red", "old:seen")
    origins = (
        BandOrigin(),
        BandOrigin(),
        BandOrigin("old", "values", "red"),
        BandOrigin("old", "change", "red"),
        BandOrigin("old", "seen"),
    )
    ones = np.ones(len(names), np.float32)
    statistics = BandStatistics(names, ones, ones, 9, ("red", "nir", *[None] * 3), origins)
    patches = np.random.default_rng(0).random((4, 5, 8, 8), dtype=np.float32)
    patches[:, 4] = [[[1.0]], [[0.5]], [[0.0]], [[1.0]]]
    own = SpectralStatistics(("red", "nir"), ("red", "nir"), statistics.of_scene)
    views = WithViews(own, statistics)
    calls = counted(monkeypatch)
    found = [features(patches) for features in (views, views.in_loops())]
    assert len(calls) == 3  # of the scene, of values and of the change
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6, atol=1e-6)
    assert np.isnan(found[1][2]).any()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many patches the loops are given, call by call."""
    seen: list[int] = []
    plain = fused.summarise

    def counting(patches: FloatArray, *others: NDArray[np.generic]) -> object:
        seen.append(len(patches))
        return plain(patches, *others)

    monkeypatch.setattr(fused, "summarise", counting)
    return seen


def table_of(source: PatchSource, monkeypatch: pytest.MonkeyPatch, worth_it: int) -> FeatureTable:
    monkeypatch.setattr(spectral, "WORTH_IT", worth_it)
    statistics = band_statistics(source, np.random.default_rng(0))
    found = feature_table(source, statistics, ModelSettings(), device="cpu", seed=1)
    assert isinstance(found, FeatureTable)
    return found


def test_a_large_pool_is_computed_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SyntheticSource(150, 8, 3)
    seen = counted(monkeypatch)
    values = 150 * 3 * 8 * 8
    by_numpy = table_of(source, monkeypatch, values + 1)
    assert sum(seen) == 0
    by_loops = table_of(source, monkeypatch, values)
    assert sum(seen) == 150
    np.testing.assert_allclose(by_loops.values, by_numpy.values, atol=1e-5)


def test_without_numba_a_large_pool_is_computed_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectral, "WORTH_IT", 0)
    assert spectral.worth_fusing(1)
    monkeypatch.setattr(spectral, "find_spec", lambda name: None)
    assert not spectral.worth_fusing(1)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_vectors(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    loops = fused.mean_vectors
    monkeypatch.setattr(fused, "mean_vectors", lambda pixels: calls.append(1) or loops(pixels))
    patches = np.random.default_rng(0).normal(size=(20, 16, size, size)).astype(np.float32) / 4
    patches[:3] = patches[:3, :, :1, :1]  # even, so that the spread is 0
    names = [f"A{i:02}" for i in range(16)]
    statistics = statistics_of(16)
    plain = EmbeddingFeatures(names, [EMBEDDING] * 16, statistics)
    by_numpy, by_loops = plain(patches), plain.in_loops()(patches)
    assert len(calls) == (size > 1)
    np.testing.assert_allclose(by_loops, by_numpy, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("masked", [False, True], ids=["nodata", "mask"])
def test_scenes_with_holes(
    dtype: str, masked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(1, 200, (2, 60, 90)).astype(dtype)
    holes = rng.random((60, 90)) < 0.05
    path = tmp_path / "a.tif"
    if masked:
        clouds = write_raster(tmp_path / "mask.tif", holes[None].astype("uint8"))
        write_raster(path, values)
        scene = SceneSettings(name="a", path=str(path), mask=str(clouds))
    else:
        values[:, holes] = 0
        values[0, 5, 5] = np.nan if dtype == "float32" else 0
        write_raster(path, values, nodata=0)
        scene = SceneSettings(name="a", path=str(path))
    bad = [1] if masked else []
    source = GeoTiffSource(scene, patch_size=15, min_valid=0.5, mask_bad=bad)
    assert (source.index["valid_fraction"] < 1).any()
    found = [table_of(source, monkeypatch, worth_it) for worth_it in (10**9, 0)]
    np.testing.assert_allclose(found[1].values, found[0].values, atol=1e-4)


def test_nothing_compiled_is_loaded_before_it_is_needed() -> None:
    code = "import owl_geo.features.table, sys; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
