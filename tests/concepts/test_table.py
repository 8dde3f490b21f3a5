"""The table of concepts: every kind, over scenes in any CRS, with its warnings and refusals."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from concept_pools import (
    ORIGIN,
    UTM,
    box,
    index_of,
    osm_node,
    osm_way,
    scene,
    windows_of,
    write_layer,
    write_osm,
)
from pydantic import TypeAdapter
from pyproj import Transformer
from rasterio.transform import from_origin
from rasters import write_raster

from owl_geo.concepts import kept, layers
from owl_geo.concepts.table import ConceptTable, concept_table, describe
from owl_geo.errors import ConfigError, LayerError
from owl_geo.settings.concepts import Concept, LayerSettings
from owl_geo.types import SceneGrid

CONCEPT: TypeAdapter[Concept] = TypeAdapter(Concept)
SCENE = scene()
WEST_HALF, EAST_HALF = box(-1, -1, 6, 3), box(-1, 2, 6, 3)


def compute(
    concepts: Mapping[str, dict[str, Any]],
    paths: Mapping[str, str] | None = None,
    *,
    scenes: tuple[SceneGrid, ...] = (SCENE,),
    given: Mapping[str, Any] | None = None,
    **options: Any,
) -> ConceptTable:
    index = index_of(scenes).assign(**(given or {}))
    return concept_table(
        index,
        windows_of(scenes),
        {name: CONCEPT.validate_python(entry) for name, entry in concepts.items()},
        {name: LayerSettings(path=path) for name, path in (paths or {}).items()},
        **options,
    )


@pytest.fixture
def halves(tmp_path: Path) -> dict[str, str]:
    """A layer with wood over the two western columns of patches and town over the others."""
    path = write_layer(
        tmp_path / "halves.gpkg",
        [WEST_HALF, EAST_HALF],
        landuse=["forest", None],
        cover=["wood", "town"],
        building=[None, "yes"],
    )
    return {"a": path}


# --- the kinds of concept -------------------------------------------------------------------------


def test_columns_come_in_the_order_declared_with_their_types(halves: dict[str, str]) -> None:
    concepts = {
        "cover": {"kind": "category", "layer": "a", "column": "COVER"},
        "metres": {"kind": "distance", "layer": "a", "where": ["landuse=forest"]},
        "wood": {"kind": "equals", "of": "cover", "value": "wood"},
        "built": {"kind": "share", "layer": "a", "where": ["building"]},
        "near": {"kind": "below", "of": "metres", "value": 100},
        "far": {"kind": "above", "of": "metres", "value": 100},
    }
    columns = compute(concepts, halves).columns
    assert list(columns) == list(concepts)
    assert [str(kind) for kind in columns.dtypes] == [
        *("object", "float64", "bool", "float64", "bool", "bool")
    ]
    assert columns["cover"].tolist() == ["wood", "wood", "town", "town"] * 4
    assert columns["built"].tolist() == pytest.approx([0, 0, 1, 1] * 4)
    assert columns["near"].tolist() == [True, True, True, False] * 4
    assert columns["far"].tolist() == [False, False, False, True] * 4
    assert columns["metres"][3] == pytest.approx(150, rel=1e-3)  # the map's scale here is 0.9996


def test_category_by_classes_ties_unknown_and_both_filters(tmp_path: Path) -> None:
    path = write_layer(
        tmp_path / "a.gpkg",
        [box(0, 0, 1, 0.5), box(0, 0.5, 1, 0.5), box(0, 1, 1, 0.3), box(0, 1, 1, 0.3)],
        landuse=["forest", "farm", "forest", "forest"],
        natural=[None, None, None, "wood"],
    )
    classes = {"farm": ["landuse=farm"], "forest": ["landuse=forest", "natural=wood"]}
    concepts = {"cover": {"kind": "category", "layer": "a", "classes": classes}}
    cover = compute(concepts, {"a": path}).columns["cover"]
    assert cover.tolist() == ["farm", "forest"] + ["unknown"] * 14
    concepts["cover"]["classes"] = dict(reversed(classes.items()))
    assert compute(concepts, {"a": path}).columns["cover"][0] == "forest"


def test_a_source_gives_text_numbers_and_yes_no() -> None:
    given = {
        "text": ["a"] * 15 + [None],
        "number": np.arange(16),
        "flag": np.arange(16) < 3,
    }
    concepts = {name: {"kind": "given"} for name in given} | {
        "is_a": {"kind": "equals", "of": "text", "value": "a"},
        "small": {"kind": "below", "of": "number", "value": 3},
    }
    columns = compute(concepts, given=given).columns
    assert [str(kind) for kind in columns.dtypes] == ["object", "float64", "bool", "bool", "bool"]
    assert columns["text"].tolist() == ["a"] * 15 + ["unknown"]
    assert columns["small"].tolist() == columns["flag"].tolist()
    assert columns["is_a"].sum() == 15


def test_rasters(tmp_path: Path) -> None:
    values = np.kron(np.arange(16).reshape(4, 4), np.ones((10, 10))).astype("float32")
    path = write_raster(
        tmp_path / "a.tif", values[None], crs=UTM, transform=from_origin(*ORIGIN, 10, 10)
    )
    base = {"kind": "raster", "path": str(path)}
    concepts = {
        "code": {**base, "names": {"3": "three"}},
        "height": {**base, "reduce": "mean"},
        "three": {"kind": "equals", "of": "code", "value": "three"},
        "high": {"kind": "above", "of": "height", "value": 12},
    }
    found = compute(concepts)
    assert found.columns["code"].tolist() == [str(k) if k != 3 else "three" for k in range(16)]
    assert found.columns["height"].tolist() == list(range(16))
    assert found.columns["three"].sum() == 1 and found.columns["high"].sum() == 3
    assert found.coverage == {str(path): 1.0}


def test_names_of_another_legend_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """CORINE's raster has 1 to 44, where its classes are called 111 to 523."""
    values = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((10, 10))).astype("uint8")
    path = write_raster(
        tmp_path / "a.tif", values[None], crs=UTM, transform=from_origin(*ORIGIN, 10, 10)
    )

    def named(names: dict[str, str]) -> list[str]:
        caplog.clear()
        concepts = {"cover": {"kind": "raster", "path": str(path), "names": names}}
        found = compute(concepts).columns["cover"]
        return [str(value) for value in found]

    numbers = [str(number) for number in range(1, 17)]
    assert named({"131": "mine", "111": "town"}) == numbers
    assert "concepts.cover: no patch has a code that is in names (111, 131), and in" in caplog.text
    assert "they have 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...; correct names" in caplog.text
    assert named({"3²": "mine", "--1": "none here"}) == numbers
    assert "that is in names (--1, 3²), and in" in caplog.text
    assert named({"7": "mine", "131": "none here"})[6] == "mine"
    assert not caplog.text
    assert named({"07": "mine", "8.0": "dump"})[6:8] == ["mine", "dump"]
    assert not caplog.text


def test_amounts_that_are_taken_for_classes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def raster(name: str, classes: int) -> dict[str, Any]:
        values = np.kron(np.arange(64).reshape(8, 8) % classes, np.ones((10, 10))).astype("uint8")
        place = from_origin(*ORIGIN, 10, 10)
        path = write_raster(tmp_path / name, values[None], crs=UTM, transform=place)
        return {"kind": "raster", "path": str(path)}

    scenes = (scene(8, 8),)
    elev, cover = raster("dem.tif", 64), raster("cover.tif", 12)
    compute({"cover": cover}, scenes=scenes)
    assert not caplog.text
    compute({"elev": elev}, scenes=scenes)
    assert "dem.tif has 64 classes on 64 patches; if its values are amounts, set" in caplog.text
    high = {"kind": "above", "of": "elev", "value": 20}
    with pytest.raises(ConfigError, match=r'set reduce = "mean" in concepts\.elev$'):
        compute({"elev": elev, "high": high})
    mean = elev | {"reduce": "mean"}
    with pytest.raises(ConfigError, match=r'set reduce = "majority" in concepts\.elev$'):
        compute({"elev": mean, "low": {"kind": "equals", "of": "elev", "value": "1"}})
    caplog.clear()
    assert compute({"elev": mean, "high": high}).columns["high"].any()
    assert not caplog.text


def test_distance_sees_features_beyond_the_scene(tmp_path: Path) -> None:
    to_lonlat = Transformer.from_crs(UTM, 4326, always_xy=True)
    lon, lat = to_lonlat.transform(ORIGIN[0] + 50, ORIGIN[1] - 50)
    body = (
        f"<bounds minlon='{lon - 1}' minlat='{lat - 1}' maxlon='{lon + 1}' maxlat='{lat + 1}'/>"
        + osm_node(1, lon - 0.5, lat, man_made="works")
        + osm_node(2, lon - 0.9, lat)
        + osm_way(3, (1, 2), man_made="pipeline")
    )
    path = write_osm(tmp_path / "a.osm", body)
    concepts = {"metres": {"kind": "distance", "layer": "a", "where": ["man_made=works"]}}
    found = compute(concepts, {"a": path})
    assert found.columns["metres"][0] == pytest.approx(38_100, rel=2e-3)
    assert found.coverage == {"a": 1.0}


def test_distances_to_what_may_be_outlines_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    area = box(0, 0, 4, 4)
    concepts = {"metres": {"kind": "distance", "layer": "a"}}
    path = write_layer(tmp_path / "a.gpkg", [shapely.LineString(area.exterior)])
    found = compute(concepts, {"a": path}).columns["metres"]
    assert found[5] == pytest.approx(150, rel=1e-3)  # the middle of a patch within
    assert "concepts.metres: 1 line ends where it begins, and distances within" in caplog.text
    caplog.clear()
    path = write_layer(tmp_path / "b.gpkg", [area])
    assert (compute(concepts, {"a": path}).columns["metres"] == 0).all()
    assert "begins" not in caplog.text


def test_scenes_in_several_crs_each_in_its_own(tmp_path: Path) -> None:
    """The same ground cut twice: shares and metres must agree, whatever the CRS of the scene."""
    to_mercator = Transformer.from_crs(UTM, 3857, always_xy=True)
    stretch = 1 / np.cos(np.radians(46.95))
    other = scene(
        name="m", crs="EPSG:3857", origin=to_mercator.transform(*ORIGIN), pixel=10 * stretch
    )
    path = write_layer(tmp_path / "a.gpkg", [box(-1, -1, 9, 2.5), box(0, 8, 1, 1)], n=["1", "2"])
    concepts = {
        "share": {"kind": "share", "layer": "a", "where": ["n=1"]},
        "metres": {"kind": "distance", "layer": "a", "where": ["n=2"]},
    }
    columns = compute(concepts, {"a": path}, scenes=(SCENE, other)).columns
    assert len(columns) == 32
    first, second = columns[:16].to_numpy(), columns[16:].to_numpy()
    assert second == pytest.approx(first, rel=0.02, abs=0.02)
    assert first[:4, 0] == pytest.approx([1, 0.5, 0, 0], abs=1e-6)


def test_patches_that_are_left_out_leave_no_gap(halves: dict[str, str]) -> None:
    rows = np.array([5, 2, 15])
    index, windows = index_of([SCENE]).iloc[rows], windows_of([SCENE]).take(rows)
    concepts = {"wood": {"kind": "share", "layer": "a", "where": ["landuse"]}}
    parsed = {name: CONCEPT.validate_python(entry) for name, entry in concepts.items()}
    settings = {"a": LayerSettings(path=halves["a"])}
    columns = concept_table(index, windows, parsed, settings).columns
    assert columns.index.tolist() == [5, 2, 15]
    assert columns["wood"].tolist() == pytest.approx([1, 0, 0])


# --- how the work is done -------------------------------------------------------------------------


def test_a_layer_is_read_once_and_only_if_used(
    halves: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def counted(settings: LayerSettings, keys: tuple[str, ...]) -> layers.Layer:
        reads.append((settings.path, keys))
        return layers.load(settings, keys)

    monkeypatch.setattr(kept, "load", counted)
    concepts = {
        "a": {"kind": "share", "layer": "a", "where": ["landuse"]},
        "b": {"kind": "distance", "layer": "a", "where": ["building", "landuse=x"]},
    }
    steps: list[tuple[int, int]] = []
    compute(
        concepts,
        {**halves, "unused": "/nowhere.gpkg"},
        progress=lambda done, total: steps.append((done, total)),
    )
    assert reads == [(halves["a"], ("landuse", "building"))]
    assert steps == [(0, 2), (1, 2), (2, 2)]


def test_nothing_matches(halves: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    where = {"layer": "a", "where": ["landuse=industrial", "building=factory"]}
    concepts = {
        "metres": {"kind": "distance", **where},
        "near": {"kind": "below", "of": "metres", "value": 2000},
        "share": {"kind": "share", **where},
        "cover": {"kind": "category", "layer": "a", "classes": {"sea": ["landuse=sea"]}},
    }
    with caplog.at_level(logging.WARNING, "owl_geo"):
        columns = compute(concepts, halves).columns
    assert columns["metres"].isna().all() and not columns["near"].any()
    assert (columns["share"] == 0).all() and (columns["cover"] == "unknown").all()
    assert caplog.messages == [
        "concepts.metres: layer 'a' has no feature with landuse=industrial, building=factory "
        "(landuse is forest; building is yes); the distance is unknown everywhere",
        "concepts.share: layer 'a' has no polygon with landuse=industrial, building=factory "
        "(landuse is forest; building is yes); the share is 0 everywhere",
        "concepts.cover: layer 'a' has no polygon with landuse=sea (landuse is forest); "
        "every patch is 'unknown'",
    ]


def test_values_that_no_feature_has_are_told_with_those_that_exist(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_layer(tmp_path / "a.gpkg", [WEST_HALF] * 2, use=["wood", "farm"], n=[1, 2])
    share = {"kind": "share", "layer": "a", "where": ["use=wood|quary", "n=3"]}
    assert compute({"x": share}, {"a": path}).columns["x"].any()
    assert caplog.messages[-1] == (
        "concepts.x: layer 'a' has no feature with use=quary, n=3 (use is farm, wood; n is 1, 2)"
    )


def test_values_in_another_spelling_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hard, composed = "land\u00a0fill", "de\u0301po\u0302t"
    uses = ["land fill", "Land Fill", hard, "d\u00e9p\u00f4t", composed, "farm"]
    path = write_layer(tmp_path / "a.gpkg", [WEST_HALF] * 6, use=uses)
    share = {"kind": "share", "layer": "a", "where": ["use=land fill|d\u00e9p\u00f4t"]}
    assert compute({"x": share}, {"a": path}).columns["x"].any()
    (message,) = (text for text in caplog.messages if "spelled" in text)
    assert message == (
        f"concepts.x: features of layer 'a' with 'use=Land Fill', 'use={composed}', "
        "'use=land\\xa0fill' do not count, since they are spelled otherwise than those asked for, "
        "by case, blanks or accents; if they are meant, name them too, after |"
    )
    caplog.clear()
    where = ["use=land fill|Land Fill", f"use={hard}"]
    compute({"x": {"kind": "share", "layer": "a", "where": where}}, {"a": path})
    assert "spelled" not in caplog.text


def test_lines_of_the_tag_that_was_typed_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = shapely.LineString([ORIGIN, (ORIGIN[0] + 400, ORIGIN[1] - 400)])
    path = write_layer(tmp_path / "a.gpkg", [line], railway=["rail"])
    share = {"kind": "share", "layer": "a", "where": ["railway=rail"]}
    assert not compute({"x": share}, {"a": path}).columns["x"].any()
    assert caplog.messages[-1] == (
        "concepts.x: layer 'a' has no polygon with railway=rail (those that it has are lines or "
        "points); the share is 0 everywhere"
    )


def test_points_cover_no_area(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    corners = shapely.points([ORIGIN, (ORIGIN[0] + 400, ORIGIN[1] - 400)])
    path = write_layer(tmp_path / "a.gpkg", corners)
    with caplog.at_level(logging.WARNING, "owl_geo"):
        assert (compute(SHARE, {"a": path}).columns["x"] == 0).all()
    assert caplog.messages == ["concepts.x: layer 'a' has no polygon; the share is 0 everywhere"]


# --- where layers lie -----------------------------------------------------------------------------


SHARE = {"x": {"kind": "share", "layer": "a"}}


def test_a_layer_elsewhere_names_both_extents(tmp_path: Path) -> None:
    path = write_layer(tmp_path / "a.gpkg", [shapely.box(20, 10, 21.5, 11)], "EPSG:4326")
    with pytest.raises(
        LayerError,
        match=r"layer 'a' covers none of the scenes: it spans 20\.0000, 10\.0000 to "
        r"21\.5000, 11\.0000 in longitude and latitude, the patches 9\.0000, 46\.94\d\d to 9\.00",
    ):
        compute(SHARE, {"a": path})


def test_sites_may_lie_near_the_scenes_where_only_their_distance_counts(tmp_path: Path) -> None:
    site = shapely.Point(
        ORIGIN[0] - 3000.0, ORIGIN[1] - 50.0
    )  # in the middle of the first patch's height
    layers = {"a": write_layer(tmp_path / "a.gpkg", [site])}
    distance = {"far": {"kind": "distance", "layer": "a"}}
    metres = compute(distance, layers).columns["far"]
    centres = ORIGIN[0] + 50.0 + 100.0 * np.arange(4)
    np.testing.assert_allclose(metres.iloc[:4], centres - site.x, rtol=1e-3)
    with pytest.raises(LayerError, match="layer 'a' covers none of the scenes"):
        compute({**distance, **SHARE}, layers)
    beyond = {"a": write_layer(tmp_path / "b.gpkg", [shapely.Point(ORIGIN[0] - 2e5, ORIGIN[1])])}
    with pytest.raises(LayerError, match="layer 'a' covers none of the scenes"):
        compute(distance, beyond)


def test_a_raster_elsewhere_is_refused_too(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((1, 9, 9), "uint8"), crs="EPSG:32631")
    with pytest.raises(LayerError, match=r"raster .*a\.tif covers none of the scenes"):
        compute({"x": {"kind": "raster", "path": str(path)}})


def test_a_layer_that_covers_a_part_says_how_much(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_layer(tmp_path / "a.gpkg", [box(0, 0, 4, 1)])
    with caplog.at_level(logging.WARNING, "owl_geo"):
        assert compute(SHARE, {"a": path}).coverage == {"a": pytest.approx(0.25)}
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("layer 'a' covers 25 % of the patches' area")


def test_a_single_point_within_is_no_layer_elsewhere(tmp_path: Path) -> None:
    path = write_layer(tmp_path / "a.gpkg", [shapely.Point(ORIGIN[0] + 50, ORIGIN[1] - 50)])
    found = compute({"x": {"kind": "distance", "layer": "a"}}, {"a": path})
    assert found.columns["x"][0] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("lon", [179.9, -179.9])
def test_the_antimeridian_parts_no_layer_from_its_scene(tmp_path: Path, lon: float) -> None:
    across = scene(1, 4, crs="EPSG:32660", origin=(833_800.0, 10_000.0))
    west, east = sorted([lon, np.sign(lon) * 180])
    path = write_layer(tmp_path / "a.gpkg", [shapely.box(west, -1, east, 1)], "EPSG:4326")
    coverage = compute(SHARE, {"a": path}, scenes=(across,)).coverage["a"]
    assert 0.2 < coverage < 0.8
    path = write_layer(tmp_path / "b.gpkg", [shapely.box(179, -1, 181, 1)], "EPSG:4326")
    found = compute(SHARE, {"a": path}, scenes=(across,))
    assert found.coverage == {"a": 1.0} and found.columns["x"].tolist() == pytest.approx([1] * 4)


@pytest.mark.parametrize(
    ("there", "wanted", "hint"),
    [
        ("industrial", "industral", "; did you mean 'use=industrial'?"),
        ("farmer's", "farmers", """; did you mean "use=farmer's"?"""),
        ("wood", "quarry", ""),
    ],
)
def test_a_filter_that_finds_nothing_is_told_the_nearest_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, there: str, wanted: str, hint: str
) -> None:
    path = write_layer(tmp_path / "a.gpkg", [WEST_HALF], use=[there])
    share = {"x": {"kind": "share", "layer": "a", "where": [f"use={wanted}"]}}
    assert not compute(share, {"a": path}).columns["x"].any()
    assert caplog.messages[-1].endswith(f"the share is 0 everywhere{hint}")


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("concepts", "message"),
    [
        ({"x": {"kind": "share", "layer": "b"}}, "concepts.x: no layer 'b'"),
        (
            {"x": {"kind": "share", "layer": "a", "where": ["landuse=|"]}},
            "concepts.x: 'landuse=|' is not a tag filter",
        ),
        (
            {
                "x": {"kind": "share", "layer": "a"},
                "y": {"kind": "equals", "of": "x", "value": "b"},
            },
            "concepts.y: equals compares a category, but 'x' is a number",
        ),
        (
            {
                "x": {"kind": "category", "layer": "a", "column": "cover"},
                "y": {"kind": "below", "of": "x", "value": 1},
            },
            "concepts.y: below compares a number, but 'x' is a category",
        ),
        (
            {"x": {"kind": "above", "of": "xx", "value": 1}, "xx": {"kind": "share", "layer": "a"}},
            "concepts.x: no concept 'xx' above it",
        ),
        (
            {"flagg": {"kind": "given"}},
            "concepts.flagg has kind 'given', but the source provides no such concept; "
            "did you mean 'flag'?",
        ),
    ],
)
def test_concepts_that_do_not_fit(
    halves: dict[str, str], concepts: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        compute(concepts, halves, given={"flag": True})
    assert str(caught.value).startswith(message)


def test_a_value_that_no_patch_has_is_fine(halves: dict[str, str]) -> None:
    concepts = {
        "cover": {"kind": "category", "layer": "a", "column": "cover"},
        "ice": {"kind": "equals", "of": "cover", "value": "ice"},
    }
    assert not compute(concepts, halves).columns["ice"].any()


def test_a_column_that_is_not_there(
    halves: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    missing = {"x": {"kind": "share", "layer": "a", "where": ["lnduse=forest"]}}
    with pytest.raises(LayerError, match="has no column 'lnduse'; did you mean 'landuse'"):
        compute(missing, halves)
    with pytest.raises(LayerError, match="has no column 'cver'; did you mean 'cover'"):
        compute({"x": {"kind": "category", "layer": "a", "column": "cver"}}, halves)
    missing["x"]["where"].append("landuse=forest")
    with caplog.at_level(logging.WARNING, "owl_geo"):
        assert compute(missing, halves).columns["x"][0] == 1
    assert "has no column 'lnduse'" in caplog.text


def test_an_osm_layer_needs_filters(tmp_path: Path) -> None:
    path = write_osm(tmp_path / "a.osm", osm_node(1, 9, 47, man_made="works"))
    with pytest.raises(ConfigError, match=r"concepts\.x: layer 'a' is an OSM file; give tag filt"):
        compute(SHARE, {"a": path})


# --- what init prints -----------------------------------------------------------------------------


def test_describe() -> None:
    columns = pd.DataFrame(
        {
            "cover": pd.Series(["wood", "town", "town", "unknown"], dtype=object),
            "metres": [0.0, 1234.56, np.nan, 20.0],
            "share": [0.1, 0.25, 1.0, 0.0],
            "near": [True, False, False, False],
            "nothing": [np.nan] * 4,
        }
    )
    assert describe(columns, {"metres": "m", "nothing": "m"}) == [
        "cover: town: 2 (50.0 %), wood: 1 (25.0 %), unknown: 1 (25.0 %)",
        "metres: min 0, median 20, max 1,235 m, missing 1",
        "share: min 0, median 0.175, max 1, missing 0",
        "near: yes 1 (25.0 %)",
        "nothing: no patch has a value",
    ]


def test_describe_keeps_many_classes_short() -> None:
    columns = pd.DataFrame({"code": [str(k) for k in range(40)]}, dtype=object)
    assert describe(columns, {})[0].endswith(", 28 more classes")
