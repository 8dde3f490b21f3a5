"""Dates of Sentinel-2 that differ by the offset of processing baseline 04.00, in one cube."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cubes import cube, write_zarr
from numpy.typing import NDArray

from owl_geo.sources.cube.source import CubeSource

BASELINES = ("02.12", "03.01", "05.09", "N0510")


def reflectance() -> NDArray[np.float64]:
    """Four dates of one ground, times 10,000, with holes: ``(4, 2, 32, 32)``."""
    ground = np.random.default_rng(0).integers(200, 3000, (1, 2, 32, 32)).astype(float)
    values = np.repeat(ground, 4, axis=0)
    values[3, :, :4] = np.nan
    return values


def warnings_of(values: NDArray[Any], path: Path, caplog: Any, **told: Any) -> list[str]:
    array = cube(values).assign_coords(
        {"s2:processing_baseline": ("time", list(BASELINES)), "platform": "sentinel-2a", **told}
    )
    source = CubeSource(write_zarr(path / "cube.zarr", array), patch_size=16)
    caplog.clear()
    source.check_bands()
    source.close()
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("dtype", ["float64", "uint16"])
def test_dates_with_the_offset_beside_others_are_told(
    dtype: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = reflectance()
    values[2:] += 1000
    values = values if dtype == "float64" else np.nan_to_num(values).astype(dtype)
    (warning,) = warnings_of(values, tmp_path, caplog)
    assert "2 of 4 dates" in warning and "04.00" in warning


def test_dates_whose_offset_was_taken_off_are_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert warnings_of(reflectance(), tmp_path, caplog) == []


def test_dates_of_one_side_of_the_change_are_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = reflectance() + 1000
    later = {"s2:processing_baseline": ("time", ["04.00", "05.09", "05.10", "05.11"])}
    assert warnings_of(values, tmp_path, caplog, **later) == []


def test_bright_ground_that_is_so_on_every_date_is_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert warnings_of(reflectance() + 1000, tmp_path, caplog) == []
