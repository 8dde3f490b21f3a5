"""Quantized vectors with their scales beside them, as TESSERA's Zarr stores hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from cubes import write_zarr
from embeddings import ALPHAEARTH, NODATA, by_hand, quantized, unit_vectors

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


def with_bad_scales(dataset: xr.Dataset) -> xr.Dataset:
    """Give a store scales as releases of geotessera before 0.10 copied them from the tiles."""
    dataset["scales"][:, 4, 4:] = np.array([999_999.0, 1.0, 0.0, -0.02], dtype=np.float32)
    return dataset


def test_a_scale_that_no_vector_of_tessera_has_is_no_data(tmp_path: Path) -> None:
    _, dataset = store(tmp_path / "t.zarr")
    path = write_zarr(tmp_path / "old.zarr", with_bad_scales(dataset))
    source = CubeSource(path, patch_size=4, min_valid=0.5)
    assert source.index["valid_fraction"].tolist() == [14 / 16, 1, 1, 12 / 16]
    patch = source.read([source.index["patch_id"].iloc[3]])[0]
    right = dataset["embeddings"].to_numpy()[0].astype(float) * dataset["scales"].to_numpy()
    np.testing.assert_allclose(patch[:, 1:], right[:, 5:, 4:], rtol=1e-6)
    mean = right[:, 5:, 4:].mean(axis=(1, 2))
    np.testing.assert_allclose(patch.mean(axis=(1, 2)), mean, atol=1e-5)


def test_the_scales_of_others_may_be_large(tmp_path: Path) -> None:
    _, dataset = store(tmp_path / "t.zarr")
    others = with_bad_scales(dataset).rename(embeddings="vectors")
    source = CubeSource(write_zarr(tmp_path / "others.zarr", others), patch_size=4, min_valid=0.5)
    assert source.index["valid_fraction"].tolist() == [14 / 16, 1, 1, 1]
    patch = source.read([source.index["patch_id"].iloc[3]])[0]
    right = others["vectors"].to_numpy()[0].astype(float) * others["scales"].to_numpy()
    np.testing.assert_allclose(patch, right[:, 4:, 4:], rtol=1e-6)


def test_the_shorter_vectors_of_a_store_are_left_out(tmp_path: Path) -> None:
    _, dataset = store(tmp_path / "t.zarr")  # as geotessera 0.11 writes nested depths
    dataset["embeddings_d8"] = dataset["embeddings"][:, :8].rename(band="band_d8").copy()
    dataset = dataset.assign_coords(band_d8=np.arange(8))
    source = CubeSource(write_zarr(tmp_path / "deep.zarr", dataset), patch_size=4)
    assert len(source.bands) == BANDS


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


def test_vectors_that_are_packed_are_unpacked_by_their_scale(tmp_path: Path) -> None:
    vectors = unit_vectors(SIDE, SIDE)
    dataset = xr.Dataset(
        {name: (("y", "x"), plane) for name, plane in zip(ALPHAEARTH, vectors, strict=True)},
        coords={
            "y": 5e6 - 5 - 10 * np.arange(SIDE, dtype=float),
            "x": 5e5 + 5 + 10 * np.arange(SIDE, dtype=float),
        },
        attrs={"proj:code": "EPSG:32631"},
    )
    for name in ALPHAEARTH:
        dataset[name].encoding.update(dtype="int16", scale_factor=1 / 32767)
    source = CubeSource(write_zarr(tmp_path / "a.zarr", dataset), patch_size=8)
    assert {band.common for band in source.known_bands} == {EMBEDDING}
    np.testing.assert_allclose(source.read(source.index["patch_id"])[0], vectors, atol=2e-5)


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


@pytest.mark.parametrize("encoding", [{}, {"_FillValue": -128}], ids=["unsaid", "said"])
def test_alphaearth_in_a_cube_is_dequantized(encoding: dict[str, int], tmp_path: Path) -> None:
    pixels = quantized(unit_vectors(2, SIDE, SIDE))  # of two years
    pixels[:, 0, 0, 0] = NODATA
    pixels[7, 1, 0, 0] = NODATA  # of the second year in one band alone
    dataset = xr.Dataset(
        {"vectors": (("band", "time", "y", "x"), pixels)},
        coords={
            "time": np.array(["2023-01-01", "2024-01-01"], dtype="datetime64[ns]"),
            "band": list(ALPHAEARTH),
            "y": 5e6 - 5 - 10 * np.arange(SIDE, dtype=float),
            "x": 5e5 + 5 + 10 * np.arange(SIDE, dtype=float),
        },
        attrs={"proj:code": "EPSG:32631"},
    )
    dataset["vectors"].encoding.update(encoding)
    path = write_zarr(tmp_path / "a.zarr", dataset)
    source = CubeSource(path, patch_size=4, min_valid=0.5, time="mean")
    assert source.bands == ALPHAEARTH
    assert {band.common for band in source.known_bands} == {EMBEDDING}
    assert source.index["valid_fraction"].tolist() == [15 / 16, 1, 1, 1]
    patch = source.read([source.index["patch_id"].iloc[3]])[0]
    right = by_hand(pixels)[:, :, 4:, 4:].mean(axis=1)  # of values and not of integers
    np.testing.assert_allclose(patch, right, atol=1e-6)
