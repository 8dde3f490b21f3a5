"""What QGIS is told of a run's scenes: which bands are which colour, between which values."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasters import coordinates, write_raster

from owl_geo import GeoTiffSource
from owl_geo.errors import SourceError
from owl_geo.settings.sources import SceneSettings
from owl_geo.types import ShownScene

CORNERS = np.array([0, 0, 32, 32]), np.array([0, 32, 0, 32])


def shown(path: Path, *, corners: Any = CORNERS, **options: Any) -> tuple[ShownScene, ...]:
    with closing(GeoTiffSource(path, patch_size=32, **options)) as source:
        (scene,) = source.grids
        return source.shown(scene, *corners)


def percentiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, (2, 98)).tolist()
    return low, high


def test_natural_and_false_colours_are_known_by_what_bands_are(tmp_path: Path) -> None:
    values = coordinates(64, 64, bands=5)
    names = ("blue", "green", "red", "swir16", "nir")
    path = write_raster(tmp_path / "a.tif", values, descriptions=names)
    natural, false = shown(path, bands=("red", "nir"))  # those that the model does not see, too
    assert (natural.scene, natural.colours, natural.unknown) == ("a", "natural", ())
    assert (natural.paths, natural.bands) == ((str(path),), (3, 2, 1))
    assert natural.stretch == tuple(percentiles(values[number - 1]) for number in (3, 2, 1))
    assert (false.colours, false.bands) == ("false", (5, 3, 2))


def test_what_the_settings_say_goes_before_what_the_file_says(tmp_path: Path) -> None:
    names = ("", "red", "", "")
    path = write_raster(tmp_path / "a.tif", coordinates(64, 64, bands=4), descriptions=names)
    (first,) = shown(path)
    assert (first.colours, first.bands) == ("first", (1, 2, 3))
    assert first.unknown == ("green", "blue", "nir")
    said = {"red": "1", "green": 2, "blue": "3", "nir": "4"}
    natural, false = shown(path, common=said)
    assert (natural.colours, natural.bands, natural.unknown) == ("natural", (1, 2, 3), ())
    assert (false.colours, false.bands) == ("false", (4, 1, 2))
    with closing(GeoTiffSource(path, bands=("nir", "red"), common=said)) as source:
        assert [band.number for band in source.raster_bands("a")] == [4, 1]


@pytest.mark.parametrize(
    ("common", "says"),
    [
        ({"redd": "1"}, "'redd' does not say what a band is"),
        ({"red": "9"}, "band"),
        ({"red": "1", "nir": "1"}, "'1' is said to be red and nir"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, common: dict[str, str], says: str) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(64, 64, bands=4))
    with pytest.raises(SourceError, match=says):
        GeoTiffSource(path, common=common)


def test_files_of_bands_are_named_for_each_colour(tmp_path: Path) -> None:
    for number, plane in zip((2, 3, 4), coordinates(64, 64), strict=True):
        write_raster(tmp_path / "s" / f"B0{number}.tif", plane[np.newaxis])
    (natural,) = shown(tmp_path / "s")
    assert natural.paths == tuple(str(tmp_path / "s" / f"B0{number}.tif") for number in (4, 3, 2))
    assert (natural.bands, natural.unknown) == ((1, 1, 1), ("nir",))


def clear_and_cloudy(tmp_path: Path, share: float) -> tuple[Path, np.ndarray]:
    """A scene of values up to 1000, of which some rows are clouds of 9000, and its clear part."""
    rng = np.random.default_rng(3)
    values = rng.integers(100, 1000, (3, 150, 150)).astype(np.uint16)
    n = int(150 * share)
    values[:, :n] = 9000
    names = ("red", "green", "blue")
    return write_raster(tmp_path / "a.tif", values, descriptions=names), values[:, n:]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25])
def test_clouds_do_not_darken_the_rest(tmp_path: Path, share: float) -> None:
    path, clear = clear_and_cloudy(tmp_path, share)
    (natural,) = shown(path)
    for (_, high), plane in zip(natural.stretch, clear, strict=True):
        assert percentiles(plane)[1] <= high < 1600


def test_what_a_mask_leaves_out_does_not_count(tmp_path: Path) -> None:
    path, clear = clear_and_cloudy(tmp_path, 0.6)
    mask = np.zeros((1, 150, 150), np.uint8)
    mask[:, :90] = 1
    write_raster(tmp_path / "mask.tif", mask)
    scene = {"name": "a", "path": str(path), "mask": str(tmp_path / "mask.tif")}
    with closing(GeoTiffSource(SceneSettings.model_validate(scene), mask_bad=(1,))) as source:
        (natural,) = source.shown("a", np.array([96]), np.array([0]))
    np.testing.assert_allclose(natural.stretch, [percentiles(plane) for plane in clear])


def test_values_are_those_that_gdal_reads_and_missing_ones_do_not_count(tmp_path: Path) -> None:
    values = coordinates(64, 64, bands=1) + 10
    values[0, :, :32] = 0
    path = write_raster(tmp_path / "a.tif", values, nodata=0, scales=(0.5,), offsets=(-3.0,))
    (way,) = shown(path, corners=(np.array([0]), np.array([32])))
    low, high = percentiles(values[0, :, 32:])
    assert way.stretch == (pytest.approx((low * 0.5 - 3, high * 0.5 - 3)),)
    assert (way.colours, way.bands) == ("first", (1,))


def test_a_flat_scene_has_a_stretch(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.full((1, 64, 64), 7, np.uint16))
    (way,) = shown(path)
    assert way.stretch == ((7.0, 8.0),)
