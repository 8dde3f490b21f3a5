"""Sentinel-2 products: reflectance, resolutions, clouds, missing pixels, damage."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from rasters import make_safe, write_raster
from unreadable import forbid

from owl_geo.errors import SourceError
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_description import describe_scene


@pytest.mark.parametrize("level", ["1C", "2A"])
def test_sentinel2_gives_reflectance(tmp_path: Path, level: str) -> None:
    safe = make_safe(tmp_path, level)
    scene = describe_scene(safe)
    assert scene.kind == f"Sentinel-2 level {level}"
    assert scene.name == safe.name.removesuffix(".SAFE")
    assert [band.name for band in scene.default] == ["B02", "B03", "B04", "B08"]
    assert len(scene.bands) == 12
    assert (scene.grid.crs, scene.pixel_size) == ("EPSG:32632", (10, 10))
    source = GeoTiffSource(safe, patch_size=60)
    patch = source.read([f"{scene.name}/60/0"])[0]
    # (pixel + offset) / 10000, with band_id 1, 2, 3 and 7
    ids = np.array([1, 2, 3, 7])
    expected = (1000 + 100 * ids + 60 - 1000 - ids) / 10_000
    assert patch[:, 0, 0] == pytest.approx(expected, abs=1e-6)


def test_sentinel2_before_baseline_4_has_no_offset(tmp_path: Path) -> None:
    source = GeoTiffSource(make_safe(tmp_path, baseline="02.08"), bands=("blue",), patch_size=60)
    assert source.read(source.index["patch_id"][:1].tolist())[0, 0, 5, 0] == pytest.approx(0.1105)


@pytest.mark.parametrize("level", ["1C", "2A"])
@pytest.mark.parametrize(
    ("baseline", "lacks"), [("04.00", True), ("05.11", True), ("03.01", False)]
)
def test_metadata_that_lack_the_offset_of_their_baseline_are_told(
    tmp_path: Path, level: str, baseline: str, lacks: bool
) -> None:
    safe = make_safe(tmp_path, level, baseline=baseline)
    (metadata,) = safe.glob("MTD_MSIL*.xml")
    assert not describe_scene(safe).left_out
    text = re.sub("<(RADIO|BOA)_ADD_OFFSET.*_ADD_OFFSET>", "", metadata.read_text())
    metadata.write_text(text)
    said = " ".join(describe_scene(safe).left_out)
    assert (f"baseline {baseline} and has no offset" in said) == lacks
    if lacks:
        assert "set offset = [-0.1] for the scene in owl.toml" in said
        stated = SceneSettings(name="s", path=str(safe), offset=(-0.1,))
        assert not describe_scene(stated).left_out
        masked = SceneSettings(name="s", path=str(safe), mask=str(next(safe.rglob("*B02*.jp2"))))
        assert "no offset" in " ".join(describe_scene(masked).left_out)


def test_sentinel2_coarse_bands_come_at_the_finest_chosen_resolution(tmp_path: Path) -> None:
    safe = make_safe(tmp_path)
    mixed = GeoTiffSource(safe, bands=("nir", "swir1", "B1"), patch_size=60)
    (grid,) = mixed.grids.values()
    assert (grid.height, grid.transform[0]) == (120, 10)
    rows = mixed.read(mixed.index["patch_id"][:1].tolist())[0, 1, :, 30]
    # a row of 20 m is two of 10 m; bilinear in between, rounded to whole pixels
    between = (np.arange(60) - 0.5) / 2
    assert rows[1:] == pytest.approx((2100 + between[1:] - 1011) / 10_000, abs=0.6e-4)
    coarse = GeoTiffSource(safe, bands=("B11", "B12"), patch_size=30)
    (grid,) = coarse.grids.values()
    assert (grid.height, grid.transform[0]) == (60, 20)


def test_sentinel2_classification_masks_clouds(tmp_path: Path) -> None:
    scl = np.full((60, 60), 4, np.uint8)
    scl[:30, :15] = 9  # 20 m pixels: half of the first patch of 60 x 60
    scl[30:, 30:] = 8
    scl[0, 30] = 7  # unclassified is not bad
    safe = make_safe(tmp_path, scl=scl)
    source = GeoTiffSource(safe, patch_size=60, min_valid=0.1)
    assert source.index["valid_fraction"].tolist() == [0.5, 1.0, 1.0]
    only_cirrus = GeoTiffSource(safe, patch_size=60, mask_bad=[10])
    assert len(only_cirrus.index) == 4


def test_sentinel2_missing_pixels_are_holes(tmp_path: Path) -> None:
    safe = make_safe(tmp_path, "1C")
    (image,) = safe.glob("GRANULE/*/IMG_DATA/*_B03.jp2")
    pixels = np.full((1, 120, 120), 500, np.uint16)
    pixels[0, :15] = 0
    image.unlink()
    write_raster(
        image, pixels, crs="EPSG:32632", driver="JP2OpenJPEG", quality="100", reversible="YES"
    )
    source = GeoTiffSource(safe, patch_size=60, min_valid=0.5)
    assert source.index["valid_fraction"].tolist() == [0.75, 0.75, 1.0, 1.0]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda safe: (safe / "MTD_MSIL2A.xml").unlink(), "has no MTD_MSIL1C.xml"),
        (lambda safe: (safe / "MTD_MSIL2A.xml").write_text("<a>"), "cannot read the metadata"),
        (
            lambda safe: (safe / "MTD_MSIL2A.xml").write_text(
                '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
            ),
            "cannot read the metadata",
        ),
        (lambda safe: (safe / "MTD_MSIL2A.xml").write_text("<a/>"), "quantification value"),
        (lambda safe: _rewrite(safe, ">-1001<", ">nan<"), "cannot read the metadata"),
        (lambda safe: _rewrite(safe, 'band_id="1"', 'band_id="10"'), "an offset .* none for B02"),
        (lambda safe: (safe / "GRANULE" / "L2A_other").mkdir(), "has 2 granules"),
        (
            lambda safe: (
                [path.unlink() for path in safe.rglob("*_B??_*.jp2")]
                + [path.unlink() for path in safe.rglob("*_B8A_*.jp2")]
            ),
            "has no band images",
        ),
    ],
)
def test_damaged_sentinel2_products(tmp_path: Path, damage: object, message: str) -> None:
    safe = make_safe(tmp_path)
    damage(safe)  # type: ignore[operator]
    with pytest.raises(SourceError, match=message) as error:
        GeoTiffSource(safe)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("place", ["GRANULE", "GRANULE/*/IMG_DATA", "GRANULE/*/IMG_DATA/R20m"])
def test_a_folder_of_a_sentinel2_product_that_may_not_be_read_is_not_passed_over(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe = make_safe(tmp_path)
    (folder,) = safe.glob(place)
    forbid(folder, monkeypatch)
    with pytest.raises(SourceError, match=f"cannot read .*{folder.name}: Permission denied"):
        GeoTiffSource(safe)


def test_a_sentinel2_product_in_a_folder_of_its_name_is_named(tmp_path: Path) -> None:
    """As programs unpack an archive that has the folder in it."""
    safe = make_safe(tmp_path)
    outside = tmp_path / "unpacked" / safe.name
    outside.mkdir(parents=True)
    safe.rename(outside / safe.name)
    with pytest.raises(
        SourceError, match=f"not a whole product; did you mean '{outside / safe.name}'"
    ):
        GeoTiffSource(outside)


def test_a_product_of_sentinel1_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "S1A_IW_GRDH_1SDV_20230616T053629_20230616T053654_048989_05E441_1234.SAFE"
    (folder / "measurement").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"is a product of Sentinel-1, .*; correct its terrain"):
        GeoTiffSource(folder)


def _rewrite(safe: Path, old: str, new: str) -> None:
    metadata = safe / "MTD_MSIL2A.xml"
    text = metadata.read_text(encoding="utf-8")
    assert old in text
    metadata.write_text(text.replace(old, new), encoding="utf-8")
