"""Quantized vectors with their scales beside them, as TESSERA's Zarr stores hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from cubes import write_zarr

from owl_geo.errors import SourceError
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.cube.source import CubeSource
from owl_geo.types import EMBEDDING

BANDS, SIDE = 16, 8


def store(path: Path, dates: int = 1, **encoding: object) -> tuple[Path, xr.Dataset]:
    """Write ``embeddings`` (time, band, y, x) in int8 and ``scales`` (time, y, x)."""
    rng = np.random.default_rng(0)
    vectors = rng.integers(-127, 128, (dates, BANDS, SIDE, SIDE)).astype(np.int8)
    vectors[:, 3] = 0  # a value like any other, and Zarr's fill value
    scales = rng.uniform(0.01, 0.02, (dates, SIDE, SIDE)).astype(np.float32)
    scales[:, 0, 0] = np.nan  # water
    scales[:, 0, 1] = np.inf  # land without data
    dataset = xr.Dataset(
        {
            "embeddings": (("time", "band", "y", "x"), vectors),
            "scales": (("time", "y", "x"), scales),
        },
        coords={
            "time": np.arange(2023, 2023 + dates),
            "band": np.arange(BANDS),
            "y": 5e6 - 5 - 10 * np.arange(SIDE, dtype=float),
            "x": 5e5 + 5 + 10 * np.arange(SIDE, dtype=float),
        },
        attrs={"proj:code": "EPSG:32631"},
    )
    dataset["embeddings"].encoding.update(encoding)
    return write_zarr(path, dataset), dataset


def test_the_scales_are_applied_and_are_no_band(tmp_path: Path) -> None:
    path, dataset = store(tmp_path / "t.zarr")
    source = CubeSource(path, patch_size=4, min_valid=0.5)
    assert len(source.bands) == BANDS
    assert {band.common for band in source.known_bands} == {EMBEDDING}
    assert source.index["valid_fraction"].tolist() == [14 / 16, 1, 1, 1]
    right = dataset["embeddings"].to_numpy()[0].astype(float) * dataset["scales"].to_numpy()
    patch = source.read([source.index["patch_id"].iloc[3]])[0]
    np.testing.assert_allclose(patch, right[:, 4:, 4:], rtol=1e-6)
    # what the scales leave out has no part in the mean
    first = source.read([source.index["patch_id"].iloc[0]])[0]
    seen = right[:, :4, :4].reshape(BANDS, -1)[:, 2:]
    np.testing.assert_allclose(first.mean(axis=(1, 2)), seen.mean(axis=1), atol=1e-5)


def test_a_fill_value_is_a_value_of_a_vector(tmp_path: Path) -> None:
    path, dataset = store(tmp_path / "t.zarr", _FillValue=0)
    source = CubeSource(path, patch_size=4, min_valid=0.5)
    assert source.index["valid_fraction"].tolist() == [14 / 16, 1, 1, 1]
    patch = source.read([source.index["patch_id"].iloc[3]])[0]
    right = dataset["embeddings"].to_numpy()[0].astype(float) * dataset["scales"].to_numpy()
    np.testing.assert_allclose(patch, right[:, 4:, 4:], rtol=1e-6)


def test_each_date_has_its_own_scales(tmp_path: Path) -> None:
    path, dataset = store(tmp_path / "t.zarr", dates=3)
    source = CubeSource(path, patch_size=4, time="last")
    right = dataset["embeddings"].to_numpy()[2].astype(float) * dataset["scales"].to_numpy()[2]
    patch = source.read([source.index["patch_id"].iloc[-1]])[0]
    np.testing.assert_allclose(patch, right[:, 4:, 4:], rtol=1e-6)


def test_a_part_of_the_vector_is_refused(tmp_path: Path) -> None:
    path, _ = store(tmp_path / "t.zarr")
    with pytest.raises(SourceError, match="names 2 of the 16 bands of an embedding"):
        CubeSource(path, bands=["1", "2"])


def test_a_run_made_before_goes_on_with_the_integers(tmp_path: Path) -> None:
    path, dataset = store(tmp_path / "t.zarr")
    known = [KnownBand(f"embeddings_band_{i + 1}") for i in range(BANDS)] + [KnownBand("scales")]
    source = CubeSource(path, patch_size=4, known=known)
    assert source.bands[-1] == "scales"
    patch = source.read([source.index["patch_id"].iloc[-1]])[0]
    np.testing.assert_array_equal(patch[:BANDS], dataset["embeddings"].to_numpy()[0][:, 4:, 4:])
