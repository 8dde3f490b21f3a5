"""What products of every family say of what they lack."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from rasters import coordinates, make_landsat, make_safe, write_raster

from owl_geo.errors import SourceError
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.scene_description import describe_scene


def test_a_product_without_its_mask_says_that_clouds_stay(tmp_path: Path) -> None:
    landsat, sentinel = make_landsat(tmp_path), make_safe(tmp_path)
    assert describe_scene(landsat).left_out == describe_scene(sentinel).left_out == ()
    next(landsat.glob("*_QA_PIXEL.TIF")).rename(tmp_path / "mask.tif")
    next(sentinel.rglob("*_SCL_20m.jp2")).unlink()
    for folder, what in ((landsat, "QA_PIXEL"), (sentinel, r"scene classification \(SCL\)")):
        (note,) = describe_scene(folder).left_out
        assert re.fullmatch(rf"{folder} has no {what}, so that clouds are not masked; .*", note)
        masked = SceneSettings(name="a", path=str(folder), mask=str(tmp_path / "mask.tif"))
        assert describe_scene(masked).left_out == ()
    assert describe_scene(make_safe(tmp_path, "1C")).left_out == ()  # which never has one


@pytest.mark.parametrize("level", ["1C", "2A"])
def test_a_part_of_a_sentinel_2_product_names_the_product(level: str, tmp_path: Path) -> None:
    safe = make_safe(tmp_path, level)
    (granule,) = (safe / "GRANULE").iterdir()
    write_raster(granule / "QI_DATA" / "MSK_CLASSI_B00.tif", coordinates(8, 8))
    for folder in (safe / "GRANULE", granule, *[granule / "IMG_DATA"] * (level == "2A")):
        with pytest.raises(SourceError, match=f"no rasters to read: .*did you mean '{safe}'") as e:
            describe_scene(folder)
        assert "QI_DATA" not in str(e.value)
    images = granule / "IMG_DATA" / ("R10m" if level == "2A" else "")
    (note,) = [note for note in describe_scene(images).left_out if "raw numbers" in note]
    assert re.match(r"T32TNT_20230615T103629_B0\d\w* and the other Sentinel-2 bands are read", note)
    assert note.endswith(f"; name the product: --scene {safe}")
    shutil.copytree(images, tmp_path / "images")
    (note,) = [note for note in describe_scene(tmp_path / "images").left_out if "raw" in note]
    assert note.endswith("; set scale, offset and nodata in owl.toml, and give --mask")


def test_a_band_of_a_product_by_itself_says_what_it_lacks(tmp_path: Path, monkeypatch) -> None:
    safe = make_safe(tmp_path)
    (band,) = safe.rglob("*_B02_10m.jp2")
    for scene in (band, SceneSettings(name="a", files=(str(band),))):
        (note,) = describe_scene(scene).left_out
        assert "read as raw numbers" in note
        assert note.endswith(f"; name the product: --scene {safe}")
    shutil.make_archive(str(tmp_path / "z"), "zip", tmp_path, safe.name)
    monkeypatch.chdir(tmp_path)
    inside = f"/vsizip/z.zip/{band.relative_to(tmp_path)}"
    (note,) = describe_scene(SceneSettings(name="a", path=inside)).left_out
    assert note.endswith("; set scale, offset and nodata in owl.toml, and give --mask")
