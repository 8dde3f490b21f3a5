"""Masks whose values may be other things than whoever named the bad ones thinks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasters import coordinates, write_raster

from owl_geo.errors import SourceError
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.geotiff import GeoTiffSource

SIZE = 8


def masked(folder: Path, mask: np.ndarray, **header: tuple[float, ...]) -> GeoTiffSource:
    """A scene of four patches, with a mask whose bad value is 1."""
    scene = write_raster(folder / "a.tif", coordinates(16, 16))
    path = write_raster(folder / "mask.tif", mask[None], **header)
    settings = SceneSettings(name="a", path=str(scene), mask=str(path))
    return GeoTiffSource(settings, patch_size=SIZE, mask_bad=[1])


def test_a_mask_with_a_scale_is_refused(tmp_path: Path) -> None:
    """GDAL gives the stored values, QGIS shows the others, and no mask is a measure."""
    mask = np.zeros((16, 16), dtype="uint8")
    mask[:8] = 1
    assert len(masked(tmp_path, mask).index) == 2
    scaled = masked(tmp_path, mask, scales=(0.1,), offsets=(1.0,))
    with pytest.raises(SourceError, match=r"mask\.tif has a scale \(0\.1\) and an offset \(1\)"):
        scaled.index  # noqa: B018


@pytest.mark.parametrize("fraction", [False, True])
def test_a_mask_of_fractions_is_said_to_be_one(
    fraction: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mask = np.zeros((16, 16), dtype="float32")
    mask[:8], mask[8:10] = 0.95 if fraction else 1, np.nan
    assert len(masked(tmp_path, mask).index) == (4 if fraction else 2)
    said = "mask.tif holds fractions (0.95), of which none is a bad value"
    assert (said in caplog.text) == fraction
