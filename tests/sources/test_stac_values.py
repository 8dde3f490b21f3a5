"""Scale, offset and no-data value of STAC items, by every version's way of saying them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.shutil
from rasters import write_raster

from owl_geo.errors import SourceError
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_words import find_scenes
from owl_geo.sources.unopened_scenes import _in_units_of

V1 = {"raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": -0.1}]}
V1_1 = {"bands": [{"name": "B04", "raster:scale": 0.0001, "raster:offset": -0.1, "nodata": 0}]}
AT_ASSET = {"raster:scale": 0.0001, "raster:offset": -0.1, "nodata": 0}


def write_item(
    folder: Path,
    name: str,
    pixel: int,
    stated: dict[str, Any],
    properties: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Write an item whose one band is ``pixel`` give or take 9, and 0 in the first quarter."""
    values = pixel + np.random.default_rng(0).integers(-9, 10, (1, 32, 32))
    values[..., :8] = 0
    write_raster(folder / f"{name}.tif", values.astype("uint16"), **options)
    asset = {
        "href": f"{name}.tif",
        "type": "image/tiff; application=geotiff",
        "roles": ["data"],
        **({} if "bands" in stated else {"eo:bands": [{"name": "B04", "common_name": "red"}]}),
        **stated,
    }
    item = {"type": "Feature", "id": name, "assets": {"red": asset}, "properties": properties or {}}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(item), encoding="utf-8")
    return path


def mean_of(path: Path) -> tuple[float, int]:
    """Return the mean of all patches, and how many there are."""
    source = GeoTiffSource(find_scenes([str(path)]).scenes, patch_size=8)
    return float(source.read(source.index["patch_id"].tolist()).mean()), len(source.index)


@pytest.mark.parametrize("stated", [V1, V1_1, AT_ASSET], ids=["1.0", "1.1", "asset"])
def test_dates_before_and_after_the_offset_agree(stated: dict[str, Any], tmp_path: Path) -> None:
    text = json.dumps(stated).replace("-0.1", "0")
    before = write_item(tmp_path, "before", 2000, json.loads(text))
    after = write_item(tmp_path, "after", 3000, stated)
    for path in (before, after):
        mean, count = mean_of(path)
        assert mean == pytest.approx(0.2, abs=1e-3)
        assert count == 12


def test_what_is_said_of_all_bands_stands_with_the_item(tmp_path: Path) -> None:
    properties = {"raster:scale": 0.0001, "nodata": 0}
    assert mean_of(write_item(tmp_path, "x", 2000, {}, properties)) == (
        pytest.approx(0.2, abs=1e-3),
        12,
    )


def test_what_an_item_leaves_out_is_the_file_s(tmp_path: Path) -> None:
    options = {"scales": (0.001,), "offsets": (-1.0,), "nodata": 0}
    assert mean_of(write_item(tmp_path, "x", 2000, {}, **options)) == (
        pytest.approx(1.0, abs=1e-2),
        12,
    )
    # and what it says is not on top of that
    assert mean_of(write_item(tmp_path, "y", 3000, V1, **options)) == (
        pytest.approx(0.2, abs=1e-3),
        12,
    )


@pytest.mark.parametrize("nodata", ["nan", "inf", None, True, [0]])
def test_a_no_data_value_that_is_no_number_leaves_the_file_s(nodata: Any, tmp_path: Path) -> None:
    stated = {"raster:bands": [{"nodata": nodata, "scale": 0.0001}]}
    assert mean_of(write_item(tmp_path, "x", 2000, stated, nodata=0))[1] == 12


@pytest.mark.parametrize("flag", ["earthsearch:boa_offset_applied", "sentinel:boa_offset_applied"])
def test_an_offset_that_is_in_the_pixels_is_not_applied_again(
    flag: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mean, _ = mean_of(write_item(tmp_path, "x", 500, V1, {flag: True}))
    assert mean == pytest.approx(0.05, abs=1e-3)
    mean, _ = mean_of(write_item(tmp_path, "y", 3000, V1, {flag: False}))
    assert mean == pytest.approx(0.2, abs=1e-3)
    assert not caplog.text


@pytest.mark.parametrize(
    ("applied", "pixel", "text"),
    [
        (True, 3000, "none of those looked at is below 1000"),
        (False, 500, "100 % of them are well below, as if it were in them already"),
        (None, 500, "100 % of them are well below, as if it were in them already"),
    ],
)
def test_a_flag_that_contradicts_the_pixels_is_said(
    applied: bool | None, pixel: int, text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    properties = {} if applied is None else {"earthsearch:boa_offset_applied": applied}
    find_scenes([str(write_item(tmp_path, "x", pixel, V1, properties))])
    assert text in caplog.text
    assert "B04 of" in caplog.text


def test_an_item_without_an_offset_has_that_of_its_baseline(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As the Planetary Computer has them: digital numbers, and the baseline alone."""
    before = write_item(tmp_path, "before", 2000, {}, {"s2:processing_baseline": "03.00"}, nodata=0)
    after = write_item(tmp_path, "after", 3000, {}, {"s2:processing_baseline": "05.09"}, nodata=0)
    assert mean_of(before)[0] == pytest.approx(2000, abs=9)
    assert not caplog.text
    assert mean_of(after) == (pytest.approx(2000, abs=9), 12)
    assert "STAC item after says no offset; 1000 is taken from its pixels" in caplog.text
    bare = write_item(tmp_path, "bare", 3000, {}, {"s2:processing_baseline": "05.09"})
    assert mean_of(bare) == (pytest.approx(2000, abs=9), 12)  # 0 is missing, stated or not
    harmonised = write_item(tmp_path, "low", 500, {}, {"s2:processing_baseline": "05.09"}, nodata=0)
    assert mean_of(harmonised)[0] == pytest.approx(500, abs=9)
    assert "nothing is taken from them" in caplog.text


@pytest.mark.parametrize(
    ("properties", "taken"),
    [
        ({"s2:processing_baseline": "N0509"}, 1000),
        ({"s2:processing_baseline": "0509"}, 1000),
        ({"s2:processing_baseline": "0301"}, 0),
        ({"s2:processing_baseline": "N0301"}, 0),
        ({"processing:version": "05.09", "platform": "Sentinel-2B"}, 1000),
        ({"processing:version": "05.09", "constellation": "sentinel-2"}, 1000),
        ({"processing:version": "02.09", "platform": "sentinel-2b"}, 0),
        ({"processing:version": "05.09", "platform": "landsat-8"}, 0),
    ],
)
def test_a_baseline_has_several_spellings(
    properties: dict[str, Any], taken: int, tmp_path: Path
) -> None:
    item = write_item(tmp_path, "x", 3000, {}, properties, nodata=0)
    assert mean_of(item)[0] == pytest.approx(3000 - taken, abs=9)


def test_blended_pixels_at_the_rim_of_a_tile_do_not_count(tmp_path: Path) -> None:
    """Overviews of a JPEG 2000 are averages, of what is missing too: a corner has little else."""
    item = write_item(tmp_path, "x", 1100, {}, {"s2:processing_baseline": "05.09"})
    diagonal = np.add.outer(np.arange(2100), np.arange(2100))
    corner = np.where(diagonal > 2 * 2100 - 180, 1100, 0).astype("uint16")
    tile = write_raster(tmp_path / "tile.tif", corner[None], nodata=0)
    rasterio.shutil.copy(
        tile, tmp_path / "x.jp2", driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES"
    )
    item.write_text(item.read_text(encoding="utf-8").replace("x.tif", "x.jp2"), encoding="utf-8")
    assert mean_of(item)[0] == 100


def test_a_band_that_is_called_by_its_colour_has_the_offset_of_its_baseline(tmp_path: Path) -> None:
    stated = {"bands": [{"name": "red"}]}
    item = write_item(tmp_path, "x", 3000, stated, {"s2:processing_baseline": "05.09"})
    assert mean_of(item) == (pytest.approx(2000, abs=9), 12)
    stated = {"bands": [{"name": "aot"}]}  # no reflectance
    item = write_item(tmp_path, "y", 3000, stated, {"s2:processing_baseline": "05.09"}, nodata=0)
    assert mean_of(item)[0] == pytest.approx(3000, abs=9)


def test_an_offset_that_seems_forgotten_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the raster extension the offset is 0, so nothing is taken; the pixels say otherwise."""
    stated = {"raster:bands": [{"scale": 0.0001, "nodata": 0}]}
    properties = {"s2:processing_baseline": "05.09"}
    assert mean_of(write_item(tmp_path, "low", 500, stated, properties))[0] == pytest.approx(
        0.05, abs=1e-3
    )
    explicit = {"raster:bands": [{"scale": 0.0001, "offset": 0, "nodata": 0}]}
    mean_of(write_item(tmp_path, "zero", 3000, explicit, properties))
    assert not caplog.text
    assert mean_of(write_item(tmp_path, "x", 3000, stated, properties))[0] == pytest.approx(
        0.3, abs=1e-3
    )
    assert "says a scale but no offset; none of those looked at is below 1000" in caplog.text


@pytest.mark.parametrize("stated", [{}, {"raster:bands": [{"nodata": 0}]}])
@pytest.mark.parametrize(
    ("band", "scale", "offset"), [("SR_B4", 2.75e-05, -0.2), ("ST_B10", 0.00341802, 149.0)]
)
def test_landsat_of_level_2_has_its_terms_where_an_item_says_none(
    band: str, scale: float, offset: float, stated: dict[str, Any], tmp_path: Path
) -> None:
    """The file's name alone tells, by the USGS's Science Product Guides."""
    name = f"LC08_L2SP_193029_20200715_20200912_02_T1_{band}"
    mean, count = mean_of(write_item(tmp_path, name, 20000, stated))
    assert mean == pytest.approx(20000 * scale + offset, rel=1e-3)
    assert count == 12  # 0 is missing
    said = {"raster:bands": [{"nodata": 0, "scale": 2.0, "offset": 1.0}]}
    assert mean_of(write_item(tmp_path, name, 20000, said))[0] == pytest.approx(40001, rel=1e-3)


def test_each_band_of_a_file_has_its_own(tmp_path: Path) -> None:
    values = np.full((2, 16, 16), 100, "uint8")
    write_raster(tmp_path / "x.tif", values)
    asset = {
        "href": "x.tif",
        "type": "image/tiff",
        "bands": [{"name": "a", "raster:scale": 0.5}, {"name": "b", "nodata": 7}],
    }
    item = {"type": "Feature", "id": "x", "assets": {"data": asset}}
    (tmp_path / "x.json").write_text(json.dumps(item), encoding="utf-8")
    (scene,) = find_scenes([str(tmp_path / "x.json")]).scenes
    assert (scene.scale, scene.offset, scene.nodata) == ((0.5, "own"), (0.0, "own"), ("own", 7.0))
    patch = GeoTiffSource(scene, patch_size=16).read(["x/0/0"])[0]
    assert patch[:, 0, 0].tolist() == [50, 100]


NAMES = ("blue", "green", "red", "nir")


@pytest.mark.parametrize(
    ("in_file", "bands", "said"),
    [
        (
            ("nir", "red", "green", "blue"),
            (),
            "nir is taken for blue, red for green, green for red, blue for nir; if the file",
        ),
        (("nir", "red", "green", "blue"), ("red",), "green is taken for red; if the file"),
        (("B8", "B4", "B3", "B2"), (), "nir is taken for blue, red for green"),
        (NAMES, (), None),
        (("B2", "B3", "B4", "B8A"), (), None),  # nir08 here, and nir for many
        (("", "", "", ""), (), None),
        (("nir", "", "", "blue"), (), "nir is taken for blue, blue for nir; if the file"),
    ],
)
def test_bands_in_another_order_than_the_file_has_are_said(
    in_file: tuple[str, ...],
    bands: tuple[str, ...],
    said: str | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Programs list bands of an item by name or wavelength, whatever their order in the file."""
    values = np.arange(1, 5, dtype="uint16")[:, None, None] * np.ones((1, 32, 32), "uint16")
    path = write_raster(tmp_path / "S2_x.tif", values, descriptions=in_file)
    stated = [{"name": name, "common_name": name} for name in NAMES]
    asset = {"href": "S2_x.tif", "type": "image/tiff", "roles": ["data"], "eo:bands": stated}
    item = {"type": "Feature", "id": "S2_x", "assets": {"data": asset}, "properties": {}}
    (tmp_path / "i.json").write_text(json.dumps(item), encoding="utf-8")
    scenes = find_scenes([str(tmp_path / "i.json")], bands=bands).scenes
    source = GeoTiffSource(scenes, bands=bands, patch_size=16)
    source.check_bands()
    if said is None:
        assert caplog.text == ""
    else:
        assert "'S2_x': the STAC item, or `names` in owl.toml, has the bands of" in caplog.text
        assert said in caplog.text
    caplog.clear()
    GeoTiffSource(path, patch_size=16).check_bands()  # whose names are its own
    assert caplog.text == ""


def test_two_assets_of_one_file_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "stack.tif", np.ones((3, 32, 32), "uint16"))
    data = {"href": "stack.tif", "type": "image/tiff; application=geotiff", "roles": ["data"]}
    assets = {name: {**data, "eo:bands": [{"name": name}]} for name in ("B04", "B08")}
    item = {"type": "Feature", "id": "i", "assets": assets, "properties": {}}
    (tmp_path / "i.json").write_text(json.dumps(item), encoding="utf-8")
    with pytest.raises(SourceError) as error:
        mean_of(tmp_path / "i.json")
    assert "has 6 bands, but 2 names for them" in str(error.value)
    assert f"{path} has several: name it by itself, and its bands with --bands" in str(error.value)


def test_values_for_other_bands_than_there_are_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "x.tif", np.ones((3, 16, 16), "uint8"))
    with pytest.raises(SourceError, match="3 bands, but 2 values of scale"):
        GeoTiffSource(SceneSettings(name="x", path=str(path), scale=(1.0, 2.0)))
    one_for_all = SceneSettings(name="x", path=str(path), offset=(4.0,))
    assert GeoTiffSource(one_for_all, patch_size=16).read(["x/0/0"])[0, :, 0, 0].tolist() == [5] * 3


def test_scenes_that_join_an_older_run_are_read_as_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = SceneSettings(name="old", path="old.tif", names=("B04",))
    new = SceneSettings(name="new", path="new.tif", names=("B04",), scale=(0.0001,), nodata=(0.0,))
    (joined,) = _in_units_of([old], [new])
    assert (joined.scale, joined.nodata) == (None, (0.0,))
    assert "without the scale and offset" in caplog.text
    scaled = old.model_copy(update={"scale": (0.0001,)})
    plain = old.model_copy(update={"names": None})
    assert _in_units_of([scaled], [new]) == _in_units_of([plain], [new]) == (new,)


def _with_bands(folder: Path, dtype: str, *stated: dict[str, Any]) -> GeoTiffSource:
    assets = {}
    for name, said in zip(("red", "nir"), stated, strict=True):
        write_raster(folder / f"{name}.tif", np.ones((1, 32, 32), dtype))
        assets[name] = {
            "href": f"{name}.tif",
            "type": "image/tiff; application=geotiff",
            "roles": ["data"],
            "eo:bands": [{"name": name, "common_name": name}],
            **said,
        }
    path = folder / "item.json"
    item = {"type": "Feature", "id": "s", "assets": assets, "properties": {}}
    path.write_text(json.dumps(item), encoding="utf-8")
    return GeoTiffSource(find_scenes([str(path)]).scenes, patch_size=8)


def test_a_scale_of_some_bands_alone_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scale = {"raster:bands": [{"scale": 0.0001}]}
    for stated in ([scale, scale], [{}, {}]):
        _with_bands(tmp_path, "uint16", *stated).check_bands()
    assert not caplog.text
    _with_bands(tmp_path, "uint16", scale, {}).check_bands()
    assert "scene 's': pixels of red are scaled, and those of nir are not" in caplog.text


def test_a_scale_for_integers_on_floats_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scale = {"raster:bands": [{"scale": 0.0001, "data_type": "uint16"}]}
    _with_bands(tmp_path, "float32", {}, {}).check_bands()
    assert not caplog.text
    _with_bands(tmp_path, "float32", scale, scale).check_bands()
    assert "pixels of red, nir are floating-point numbers and multiplied by 0.0001" in caplog.text
