"""From what a person names as scenes to the scenes: patterns, lists, STAC items, and names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasters import coordinates, write_raster
from unreadable import forbid

from owl_geo.errors import SourceError
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.scene_names import SceneLocation, distinct_names
from owl_geo.sources.scene_words import FoundScenes, find_scenes
from owl_geo.sources.stac import scene_of_item
from owl_geo.sources.stac_items import items_of


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pairs(found: FoundScenes, folder: Path) -> list[tuple[str, str]]:
    """Name and place of each scene, the place from ``folder`` on."""
    return [
        (scene.name, str(Path(scene.path or scene.files[0]).relative_to(folder)))
        for scene in found.scenes
    ]


# --- words ----------------------------------------------------------------------------------------


def test_a_folder_that_a_pattern_cannot_look_into_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "a/1.tif", "b/2.tif")
    forbid(tmp_path / "b", monkeypatch)
    assert pairs(find_scenes([str(tmp_path / "*/*.tif")]), tmp_path) == [("1", "a/1.tif")]
    told = f"{tmp_path / 'b'} cannot be read (Permission denied), so scenes in it are left out"
    assert told in caplog.text


def test_a_pattern_takes_rasters_in_order_and_no_sidecars(tmp_path: Path) -> None:
    touch(tmp_path, "t/b.tif", "t/a.tif", "t/a.tif.aux.xml", "t/a.tif.ovr", "t/a.tfw", "t/x.json")
    assert pairs(find_scenes(["t/*"], folder=tmp_path), tmp_path) == [
        ("a", "t/a.tif"),
        ("b", "t/b.tif"),
    ]


def test_two_stars_go_down_and_products_stand_for_what_they_hold(tmp_path: Path) -> None:
    touch(tmp_path, "t/b.tif", "t/deep/er/c.tif", "t/P.SAFE/GRANULE/x/B02.jp2")
    assert pairs(find_scenes(["t/**"], folder=tmp_path), tmp_path) == [
        ("P", "t/P.SAFE"),
        ("b", "t/b.tif"),
        ("c", "t/deep/er/c.tif"),
    ]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("t/*.jp2", r"no scene matches 't/\*.jp2'"),
        ("t/*.ovr", "it matches 1 file that is no scene"),
        ("two=t/?.tif", "2 scenes cannot share a name"),
        ("@nothing.txt", "cannot read the list of scenes .*nothing.txt: No such file"),
        ("nothing.lst", "cannot read the list of scenes"),
        ("=t/a.tif", "is not NAME=PATH"),
        ("no.json", "cannot read .*no.json as a STAC item"),
    ],
)
def test_what_finds_nothing_is_one_line(word: str, said: str, tmp_path: Path) -> None:
    touch(tmp_path, "t/a.tif", "t/b.tif", "t/a.tif.ovr")
    with pytest.raises(SourceError, match=said) as caught:
        find_scenes([word], folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_what_exists_is_no_pattern_and_no_name(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].tif", "x=y.tif", "day=1/c.tif", "a,b.tif")
    words = ["a[1].tif", "x=y.tif", "day=1/*.tif", "a,b.tif"]
    assert pairs(find_scenes(words, folder=tmp_path), tmp_path) == [
        ("a[1]", "a[1].tif"),
        ("x=y", "x=y.tif"),
        ("c", "day=1/c.tif"),
        ("a,b", "a,b.tif"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_a_list_as_powershell_redirects_it_into_a_file(encoding: str, tmp_path: Path) -> None:
    touch(tmp_path, "größe.tif")
    (tmp_path / "list.txt").write_text("größe.tif\n", encoding=encoding)
    if encoding == "utf-16-le":
        with pytest.raises(SourceError, match="without a byte-order mark does: save it in UTF-8"):
            find_scenes([str(tmp_path / "list.txt")])
    else:
        found = find_scenes([str(tmp_path / "list.txt")])
        assert pairs(found, tmp_path) == [("größe", "größe.tif")]


def test_a_list_is_relative_to_itself(tmp_path: Path) -> None:
    touch(tmp_path, "lists/a.tif", "b/one.tif", "b/two.tif", "lists/s 1.tif")
    text = "\ufeff# May\n\na.tif\nspring=../b/one.tif  # cloudy\n../b/tw*.tif\ns 1.tif\n"
    (tmp_path / "lists" / "may.txt").write_text(text, encoding="utf-8")
    wanted = [("a", "lists/a.tif"), ("spring", "b/one.tif"), ("two", "b/two.tif")]
    for word in ("@lists/may.txt", "lists/may.txt"):
        found = find_scenes([word], folder=tmp_path)
        places = [(s.name, str(Path(s.path or "").resolve())) for s in found.scenes]
        assert places[:3] == [(name, str(tmp_path / place)) for name, place in wanted]
        assert places[3][0] == "s 1"
    (tmp_path / "bad.txt").write_text("lists/a.tif\n*.nothing\n")
    with pytest.raises(SourceError, match=r"bad.txt, read as a list of scenes, line 2: no scene"):
        find_scenes(["bad.txt"], folder=tmp_path)
    (tmp_path / "notes.txt").write_text("lists/a.tif\nlists/b.tif\n")
    with pytest.raises(SourceError, match=r"notes.txt, read as a list of scenes, line 2: .*b.tif"):
        find_scenes(["notes.txt"], folder=tmp_path)
    assert len(find_scenes(["notes.txt"], folder=tmp_path, on_error="skip").scenes) == 2
    gone = SceneSettings(name="b", path=str(tmp_path / "lists" / "b.tif"))
    assert find_scenes(["notes.txt"], folder=tmp_path, present=[gone]).present == ("b",)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(SourceError, match=r"empty.txt names none"):
        find_scenes(["empty.txt"], folder=tmp_path)


@pytest.mark.parametrize(
    "word",
    ["https://example.org/a*.tif?sig=b,c", "s3://bucket/a.tif", "/vsizip/a.zip/in/a.tif"],
)
def test_what_gdal_opens_itself_passes_through(word: str, tmp_path: Path) -> None:
    (scene,) = find_scenes([word], folder=tmp_path).scenes
    assert scene.path == word
    (scene,) = find_scenes([f"mine={word}"], folder=tmp_path).scenes
    assert (scene.name, scene.path) == ("mine", word)


def test_files_joined_by_commas_are_one_scene(tmp_path: Path) -> None:
    (scene,) = find_scenes(["x=b2.tif,b3.tif"], folder=tmp_path).scenes
    assert scene.files == (str(tmp_path / "b2.tif"), str(tmp_path / "b3.tif"))


def test_one_file_twice_is_one_scene(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.tif")
    (tmp_path / "link.tif").symlink_to(tmp_path / "a.tif")
    found = find_scenes(["a.tif", "./a.tif", "mine=link.tif"], folder=tmp_path)
    assert [scene.name for scene in found.scenes] == ["mine"]
    assert caplog.messages.count(f"{tmp_path}/a.tif is named twice; it is one scene") == 1
    with pytest.raises(SourceError, match="named twice, as 'x' and as 'y'"):
        find_scenes(["x=a.tif", "y=a.tif"], folder=tmp_path)


def test_masks_for_all_for_each_and_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "b.tif")

    def masks(*given: str) -> list[str]:
        found = find_scenes(["?.tif"], folder=tmp_path, masks=given, mask_bad=[1]).scenes
        return [Path(scene.mask or "").name for scene in found]

    assert masks("m.tif") == ["m.tif", "m.tif"]
    assert masks("m.tif", "n.tif") == ["m.tif", "n.tif"]
    assert masks("clouds/{name}_mask.tif") == ["a_mask.tif", "b_mask.tif"]
    with pytest.raises(SourceError, match="3 masks for 2 scenes"):
        masks("1", "2", "3")


# --- names ----------------------------------------------------------------------------------------


def test_names_take_as_many_parts_of_the_path_as_tell_them_apart() -> None:
    def names(*paths: str, taken: tuple[str, ...] = ()) -> list[str]:
        return distinct_names([SceneLocation(None, (path,)) for path in paths], taken)

    assert names("/t/a/B.tif", "/t/b/B.tif", "/t/a/C.tif") == ["a_B", "b_B", "C"]
    assert names("/x/a/B.tif", "/y/a/B.tif", "/y/c/B.tif") == ["x_a_B", "y_a_B", "c_B"]
    assert names("/t/a/B.tif", taken=("B",)) == ["a_B"]
    assert names("/a/B.tif", taken=("B", "a_B")) == ["a_B-2"]
    assert names("/a/B.tif", "/a/B.jp2") == ["a_B-2", "a_B-3"]  # nothing of the path tells them
    with pytest.raises(SourceError, match="two scenes are named 'x'"):
        distinct_names([SceneLocation("x", ("/a.tif",)), SceneLocation("x", ("/b.tif",))])
    with pytest.raises(SourceError, match="a scene 'x' already, of another file"):
        distinct_names([SceneLocation("x", ("/a.tif",))], {"x"})


parts = st.lists(st.sampled_from(["a", "b", "a_b", "c"]), min_size=1, max_size=4)
paths = st.lists(parts.map(lambda p: "/" + "/".join(p) + ".tif"), unique=True, max_size=8)


@given(paths, paths)
def test_names_differ_and_later_scenes_rename_none(first: list[str], later: list[str]) -> None:
    before = distinct_names([SceneLocation(None, (path,)) for path in first])
    assert len(set(before)) == len(first)
    fresh = [SceneLocation(None, (path,)) for path in later if path not in first]
    after = distinct_names(fresh, set(before))
    assert len({*before, *after}) == len(before) + len(after)
    assert distinct_names([SceneLocation(None, (path,)) for path in first]) == before


def test_scenes_that_are_there_are_known_by_their_file(tmp_path: Path) -> None:
    touch(tmp_path, "x/B.tif", "y/B.tif")
    known = [SceneSettings(name="mine", path=str(tmp_path / "x" / "B.tif"))]
    found = find_scenes(["*/B.tif"], folder=tmp_path, present=known)
    assert found.present == ("mine",)
    assert pairs(found, tmp_path) == [("B", "y/B.tif")]


# --- STAC -----------------------------------------------------------------------------------------


def item(name: str, assets: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "stac_version": "1.0.0", "id": name, "assets": assets}


def cog(href: str, *bands: tuple[str, str | None], **more: Any) -> dict[str, Any]:
    named_bands = [
        {"name": name} | ({"common_name": common} if common else {}) for name, common in bands
    ]
    return {
        "href": href,
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        **({"eo:bands": named_bands} if bands else {}),
        **more,
    }


@pytest.fixture
def stac(tmp_path: Path) -> Path:
    """An item of four files, a picture, a scene classification and metadata."""
    for number, name in enumerate(("b04", "b08", "b05", "scl"), start=1):
        values = coordinates(32, 32, bands=1) * 0 + number
        write_raster(tmp_path / "px" / f"{name} 1.tif", values)
    assets = {
        "red": cog("./px/b04%201.tif", ("B04", "red")),
        "nir": cog((tmp_path / "px" / "b08 1.tif").as_uri(), ("B08", "nir")),
        "rededge1": cog("px/b05 1.tif", ("B05", "rededge")),
        "visual": cog("px/tci.tif", ("B04", "red"), roles=["visual"]),
        "scl": cog("px/scl 1.tif", roles=["data"]),
        "thumbnail": {"href": "px/t.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
        "granule": {"href": "px/g.xml", "type": "application/xml", "roles": ["metadata"]},
    }
    path = tmp_path / "item.json"
    path.write_text(json.dumps(item("S2B_1", assets)))
    return path


def test_a_stac_item_gives_its_bands_and_its_classification(stac: Path) -> None:
    found = find_scenes(["item.json"], folder=stac.parent)
    (scene,) = found.scenes
    assert scene.name == "S2B_1"
    assert [Path(file).name for file in scene.files] == ["b04 1.tif", "b08 1.tif", "b05 1.tif"]
    assert Path(scene.mask or "").name == "scl 1.tif"
    assert found.mask_bad == (0, 1, 3, 8, 9, 10)
    source = GeoTiffSource(scene, bands=["nir", "red"], patch_size=16, mask_bad=found.mask_bad)
    assert source.bands == ("nir", "red")
    assert source.read(source.index["patch_id"][:1].tolist())[0, :, 0, 0].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("words", "bands"),
    [
        (("red", "nir"), ("red", "nir")),
        (("B04", "B08"), ("B04", "B08")),
        (("b4", "nir"), ("B04", "nir")),
    ],
)
def test_wanted_bands_choose_the_assets(
    words: tuple[str, ...], bands: tuple[str, ...], stac: Path
) -> None:
    (scene,) = find_scenes([str(stac)], bands=words).scenes
    assert [Path(file).name for file in scene.files] == ["b04 1.tif", "b08 1.tif"]
    assert GeoTiffSource(scene, bands=words, mask_bad=(3,)).bands == bands


@pytest.mark.parametrize(
    ("assets", "properties", "names"),
    [
        (  # 1.1, the properties of a band at its asset
            {"a": {"eo:common_name": "red"}, "b": {"eo:center_wavelength": 0.842}},
            {},
            ("red", "nir"),
        ),
        (
            {
                "a": {"eo:bands": [{"name": "x", "center_wavelength": 0.865}]},
                "b": {"bands": [{"name": "y", "eo:center_wavelength": 0.655}]},
            },
            {},
            ("nir", "red"),
        ),
        (
            {"a": {"bands": [{"name": "SR_B4"}]}, "b": {"bands": [{"name": "SR_B5"}]}},
            {"platform": "landsat-8"},
            ("red", "nir"),
        ),
        (
            {"a": {"bands": [{"name": "SR_B4"}]}, "b": {"bands": [{"name": "SR_B5"}]}},
            {},
            ("SR_B4", "SR_B5"),
        ),
    ],
)
def test_an_item_says_what_bands_are_in_any_of_its_ways(
    assets: dict[str, Any], properties: dict[str, Any], names: tuple[str, ...], tmp_path: Path
) -> None:
    told = {key: cog(f"{key}.tif") | asset for key, asset in assets.items()}
    path = tmp_path / "item.json"
    path.write_text(json.dumps(item("x", told) | {"properties": properties}))
    assert find_scenes([str(path)]).scenes[0].names == names


@pytest.mark.parametrize(
    ("name", "keys", "taken"),
    [
        ("HLS.L30.T31TFL.2021152T103000.v2.0", ("B04", "B05", "Fmask"), ("B05", "B04")),
        ("ga_ls8c_ard_3-1-0", ("nbart_red", "nbart_nir", "oa_fmask"), ("nbart_nir", "nbart_red")),
    ],
)
def test_common_names_find_assets_that_say_no_bands(
    name: str, keys: tuple[str, ...], taken: tuple[str, ...], tmp_path: Path
) -> None:
    """As the catalogues of HLS and of Digital Earth Australia have them."""
    path = tmp_path / "item.json"
    path.write_text(json.dumps(item(name, {key: cog(f"{key}.tif") for key in keys})))
    (scene,) = find_scenes([str(path)], bands=["nir", "red"]).scenes
    assert scene.names == taken


def test_a_common_name_that_several_assets_end_in_is_none(tmp_path: Path) -> None:
    path = tmp_path / "item.json"
    keys = ("nbar_red", "nbart_red")
    path.write_text(json.dumps(item("ga", {key: cog(f"{key}.tif") for key in keys})))
    with pytest.raises(SourceError, match="has no band 'red'"):
        find_scenes([str(path)], bands=["red"])


def test_a_band_that_an_item_lacks_is_named(stac: Path) -> None:
    with pytest.raises(SourceError, match=r"STAC item 'S2B_1' .* has no band 'swir1'"):
        find_scenes([str(stac)], bands=["swir1"])
    found = find_scenes([str(stac)], bands=["swir1"], on_error="skip")
    assert found.scenes == ()
    assert [one.name for one in found.failed] == ["S2B_1"]


def test_a_mask_of_unknown_values_is_left_out_and_said(
    stac: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = json.loads(stac.read_text())
    data["assets"]["clouds"] = cog("px/c.tif", roles=["cloud"])
    del data["assets"]["scl"]
    stac.write_text(json.dumps(data))
    found = find_scenes([str(stac)])
    assert (found.scenes[0].mask, found.mask_bad) == (None, ())
    assert len(found.scenes[0].files) == 3
    assert "S2B_1 (clouds) is not used" in caplog.text
    # values that a person gave are for the masks that the person gave
    data["assets"]["scl"] = cog("px/scl 1.tif")
    stac.write_text(json.dumps(data))
    assert find_scenes([str(stac)], mask_bad=[7]).scenes[0].mask is None


def test_collections_of_items_and_what_is_none(tmp_path: Path) -> None:
    one = cog("a.tif", ("red", "red"), ("nir", "nir"))
    items = [item("x", {"data": one}), item("y", {"data": one | {"href": "https://h.org/b.tif"}})]
    path = tmp_path / "items.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    scenes = find_scenes([str(path)]).scenes
    assert [(s.name, s.path, s.names) for s in scenes] == [
        ("x", str(tmp_path / "a.tif"), ("red", "nir")),
        ("y", "https://h.org/b.tif", ("red", "nir")),
    ]
    with pytest.raises(SourceError, match="2 items, which cannot share a name"):
        find_scenes([f"z={path}"])
    for content, said in [
        ({"type": "Catalog"}, "is a STAC Catalog"),
        ({"type": "FeatureCollection", "features": [{"type": "Feature"}]}, "id or assets"),
        ({"type": "FeatureCollection", "features": []}, "no items"),
        ([1], "is not a STAC Item"),
        (item("x", {"t": {"href": "t.jpg", "type": "image/jpeg"}}), "no asset that is a raster"),
    ]:
        path.write_text(json.dumps(content))
        with pytest.raises(SourceError, match=said):
            find_scenes([str(path)])


BARE = {"red": {"href": "red.tif"}, "nir": {"href": "n/nir.TIFF"}, "thumbnail": {"href": "t.tif"}}
VISUAL = {"href": "v.tif", "roles": ["visual"]}


@pytest.mark.parametrize(
    ("assets", "files"),
    [
        (BARE | {"index": {"href": "i.json"}}, ["red.tif", "n/nir.TIFF"]),
        (BARE | {"sure": cog("d.tif")}, ["red.tif", "n/nir.TIFF", "d.tif"]),
        ({"image": {"href": "i.tif?signed=a.b"}, "page": {"href": "p.html?x=.tif"}}, ["i.tif?sig"]),
        ({"image": {"href": "i.tif", "roles": ["metadata"]}, "d": cog("d.tif")}, ["d.tif"]),
        ({"visual": VISUAL, "t": VISUAL | {"roles": ["thumbnail"]}}, ["v.tif"]),
        ({"visual": {"href": "v.tif", "type": "image/tiff"}}, ["v.tif"]),
        ({"visual": VISUAL, "d": cog("d.tif")}, ["d.tif"]),
    ],
)
def test_assets_of_items_that_say_little(
    assets: dict[str, Any], files: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "item.json"
    path.write_text(json.dumps(item("x", assets)))
    found = scene_of_item(items_of(str(path))[0], ()).files
    assert len(found) == len(files)
    assert all(one.startswith(str(tmp_path / file)) for one, file in zip(found, files, strict=True))


def test_the_folder_one_stands_in_is_a_scene(tmp_path, monkeypatch) -> None:
    touch(tmp_path, "B2.tif")
    monkeypatch.chdir(tmp_path)
    (scene,) = find_scenes(["."]).scenes
    assert (scene.name, scene.path) == (tmp_path.name, str(tmp_path))


@pytest.mark.parametrize("word", ["..", "../", ".", "deep/..", "../s", "./deep/../../s/"])
def test_a_scene_is_named_by_where_its_path_leads(word: str, tmp_path: Path) -> None:
    touch(tmp_path, "s/B2.tif", "s/here/deep/x", "s/deep/x")
    inside = word.rstrip("/") == ".."
    folder = tmp_path / "s" / "here" if inside else tmp_path / "s"
    (scene,) = find_scenes([word], folder=folder).scenes
    assert (scene.name, scene.path) == ("s", str(tmp_path / "s"))


def test_two_dots_behind_a_link_lead_where_the_system_says(tmp_path: Path) -> None:
    touch(tmp_path, "far/away/x", "far/a.tif", "near/a.tif")
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far" / "away")
    found = find_scenes(["near/link/../a.tif", "near/link/.."], folder=tmp_path)
    assert [Path(scene.path or "").resolve() for scene in found.scenes] == [
        tmp_path / "far" / "a.tif",
        tmp_path / "far",
    ]
    assert [scene.name for scene in found.scenes] == ["a", "far"]


def test_side_assets_and_copies_of_bands_are_not_taken_by_default(tmp_path: Path) -> None:
    def data(name: str, **more: Any) -> dict[str, Any]:
        return cog(f"{name}.tif", roles=["data"], **more)

    red, nir = [{"name": "B04", "common_name": "red"}], [{"name": "B8A"}]
    assets = {
        "AOT_10m": data("aot"),
        "B04_20m": data("b04_20", **{"eo:bands": red, "gsd": 20}),
        "B04_10m": data("b04_10", **{"eo:bands": red, "gsd": 10}),
        "B8A_20m": data("b8a_20", **{"eo:bands": nir}),
        "B8A_60m": data("b8a_60", **{"eo:bands": nir}),
        "nir": data("nir"),
        "nir-jp2": {"href": "nir.jp2", "type": "image/jp2", "roles": ["data"]},
        "SCL_60m": data("scl_60"),
        "SCL_20m": data("scl_20"),
        "sunZenithAngles": data("sza"),
        "TCI_10m": data("tci", **{"eo:bands": [*red, {"name": "B03"}, {"name": "B02"}]}),
    }
    path = tmp_path / "item.json"
    path.write_text(json.dumps(item("a", assets)))
    (scene,) = find_scenes([str(path)]).scenes
    names = [Path(file).stem for file in scene.files]
    assert names == ["b04_10", "b8a_20", "nir"]
    assert Path(scene.mask or "").stem == "scl_20"
    (named,) = find_scenes([str(path)], bands=["red", "AOT_10m"]).scenes
    assert [Path(file).stem for file in named.files] == ["b04_10", "aot"]
