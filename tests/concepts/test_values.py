"""What is typed matches an attribute whatever type a format gives it."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from concept_pools import box, write_layer

from owl_geo.concepts import filters
from owl_geo.concepts.layers import load
from owl_geo.concepts.values import has_value, is_given, shown, text_of
from owl_geo.settings.concepts import LayerSettings

YES = ("true", "TRUE", "yes", "1")
NO = ("false", "False", "no", "0")


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([True, False, None], dtype=object),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series([1.0, 0.0, np.nan]),
        pd.Series([1, 0, None], dtype="Int64"),
        pd.Series(["True", "False", None], dtype=object),
        pd.Series(["true", "false", ""]),
        pd.Series(["yes", "no", None], dtype=object),
        pd.Series(["1", "0", None], dtype=object),
    ],
)
def test_yes_and_no(column: pd.Series) -> None:
    for typed in YES:
        assert has_value(column, [typed]).tolist() == [True, False, False], typed
    for typed in NO:
        assert has_value(column, [typed]).tolist() == [False, True, False], typed
    assert is_given(column).tolist() == [True, False, False]
    assert has_value(column, ["null"]).tolist() == [False, False, True]


def test_a_list_is_each_of_its_values() -> None:
    column = pd.Series([["gold", "copper"], np.array(["tin", None], dtype=object), [], None])
    assert text_of(column).tolist() == ["gold;copper", "tin", "", ""]
    assert has_value(column, ["copper"]).tolist() == [True, False, False, False]
    assert has_value(column, ["tin"]).tolist() == [False, True, False, False]
    assert has_value(column, ["null"]).tolist() == [False, False, True, True]
    assert is_given(column).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    "column",
    [
        ['["gold", "copper"]', '[ "tin" ]', "[]", None],
        ["(2:gold,copper)", "(1:tin)", "(0:)", ""],  # as ogr2ogr has it in GeoPackage
        ["['gold', 'copper']", "['tin']", "[]", None],  # as geopandas writes lists
        ["['gold' 'copper']", "['tin' None]", "[]", None],  # and arrays, which it reads
    ],
)
def test_a_list_that_a_format_has_as_text_is_each_of_its_values(column: list[str]) -> None:
    lists = pd.Series(column)
    assert text_of(lists).tolist() == ["gold;copper", "tin", "", ""]
    assert has_value(lists, ["copper"]).tolist() == [True, False, False, False]
    assert has_value(lists, ["tin"]).tolist() == [False, True, False, False]
    assert has_value(lists, [column[0]]).tolist() == [True, False, False, False]  # as it stands
    assert is_given(lists).tolist() == [True, True, False, False]
    assert has_value(pd.Series(["[1, 2]", "[3]"]), ["2"]).tolist() == [True, False]


@pytest.mark.parametrize(
    "text",
    ["[1] Smith", "[a]", '["a"', '{"a": 1}', "(2:a)", "(1:a) tin", "(a)", "[[1]]", '[{"a": 1}]'],
)
def test_text_that_looks_like_a_list_stays_as_it_is(text: str) -> None:
    assert text_of(pd.Series([text, None])).tolist() == [text, ""]
    mixed = pd.Series(['["a"]', text, "a"])
    assert text_of(mixed).tolist() == ['["a"]', text, "a"]
    assert has_value(mixed, ["a"]).tolist() == [False, False, True]


@pytest.mark.parametrize("name", ["a.geojson", "a.parquet"])
def test_lists_of_a_file_are_found(name: str, tmp_path: Path) -> None:
    table = gpd.GeoDataFrame(
        {"use": [["gold", "copper"], ["tin"]]}, geometry=[box(0, 0, 1, 1)] * 2, crs="EPSG:32632"
    )
    path = tmp_path / name
    table.to_parquet(path) if name.endswith("parquet") else table.to_file(path)
    features = load(LayerSettings(path=str(path)), ["use"]).features
    assert filters.matches(features, filters.parse_all(["use=copper|lead"], "")).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([5, 60, 0]),
        pd.Series([5.0, 60.0, np.nan]),
        pd.Series([5, 60, None], dtype="Int64"),
        pd.Series([Decimal(5), Decimal("60.0"), None], dtype=object),
    ],
)
def test_integers(column: pd.Series) -> None:
    for typed in ("5", "5.0", "05", "+5", "5e0"):
        assert has_value(column, [typed]).tolist() == [True, False, False], typed
    assert has_value(column, ["yes", "true", "5.5", "x", "50"]).tolist() == [False] * 3
    assert is_given(column).tolist()[:2] == [True, True]


def test_codes_that_are_text_are_no_numbers() -> None:
    codes = pd.Series(["05", "5", "112"])
    assert has_value(codes, ["5"]).tolist() == [False, True, False]
    assert has_value(codes, ["05"]).tolist() == [True, False, False]


@pytest.mark.parametrize("bits", ["float32", "float64"])
def test_reals(bits: str) -> None:
    column = pd.Series([0.1, 2.5, 16777217, np.nan], dtype=bits)
    assert has_value(column, ["0.1"]).tolist() == [True, False, False, False]
    assert has_value(column, ["2.50"]).tolist() == [False, True, False, False]
    assert has_value(column, ["0.1000001"]).tolist() == [False] * 4
    assert not has_value(column.astype("float64"), ["16777218"]).any()
    assert is_given(column).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.to_datetime(["2024-05-01 10:00", "2024-05-02 00:00", None])),
        pd.Series(pd.to_datetime(["2024-05-01 10:00", "2024-05-02 00:00", None])).dt.tz_localize(
            "UTC"
        ),
        pd.Series(["2024-05-01T12:00:00+02:00", "2024-05-02", None], dtype=object),
        pd.Series(["2024/05/01 10:00:00", "2024/05/02", None], dtype=object),
        pd.Series(
            [datetime.datetime(2024, 5, 1, 10), datetime.date(2024, 5, 2), None], dtype=object
        ),
    ],
)
def test_dates(column: pd.Series) -> None:
    for typed in ("2024-05-01", "2024/05/01", "2024-05-01T10:00:00Z", "2024-05-01 10:00"):
        assert has_value(column, [typed]).tolist() == [True, False, False], typed
    assert has_value(column, ["2024-05-02"]).tolist() == [False, True, False]
    assert not has_value(column, ["2024-05-03", "2024-13-01", "2024-05-01T10:01"]).any()
    assert is_given(column).tolist() == [True, True, False]


@pytest.mark.parametrize("later", ["+02:00", "+01:00"])  # one offset, or those of two seasons
@pytest.mark.parametrize("suffix", [".geojson", ".csv"])
def test_a_day_is_that_of_the_time_that_a_moment_was_written_in(
    suffix: str, later: str, tmp_path: Path
) -> None:
    moments = [
        "2024-05-01T01:00:00+02:00",
        "2024-05-01T23:30:00+02:00",
        f"2024-12-01T00:30:00{later}",
    ]
    table = gpd.GeoDataFrame({"since": moments}, geometry=gpd.points_from_xy([9, 9, 9], [45] * 3))
    path = tmp_path / f"a{suffix}"
    if suffix == ".csv":
        rows = (f"{moment},9,45" for moment in moments)
        path.write_text("since,lon,lat\n" + "\n".join(rows), encoding="utf-8")
    else:
        table.set_crs(4326).to_file(path)
    since = load(LayerSettings(path=str(path)), ["since"]).features["since"]
    assert has_value(since, ["2024-05-01"]).tolist() == [True, True, False]
    assert has_value(since, ["2024-12-01"]).tolist() == [False, False, True]
    assert not has_value(since, ["2024-04-30", "2024-11-30"]).any()
    assert has_value(since, ["2024-04-30T23:00:00Z"]).tolist() == [True, False, False]


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".geojson", ".gdb", ".kml", ".geojsonl"])
def test_every_format_means_the_same(tmp_path: Path, suffix: str) -> None:
    columns = {
        "flag": pd.array([True, False, None], dtype="boolean"),
        "n": pd.array([5, 60, None], dtype="Int64"),
        "part": [0.1, 2.5, np.nan],
        "use": ["farm", "wood", None],
        "since": pd.to_datetime(["2024-05-01 10:00", "2024-05-02 00:00", None]),
    }
    boxes = [shapely.box(column, 45, column + 1, 46) for column in range(3)]
    layer = load(
        LayerSettings(path=write_layer(tmp_path / f"a{suffix}", boxes, "EPSG:4326", **columns)),
        None,
    )
    for key, typed in {
        "flag": "true",
        "n": "5",
        "part": "0.1",
        "use": "farm",
        "since": "2024-05-01",
    }.items():
        passed = filters.matches(layer.features, [filters.TagFilter(key, (typed,))])
        assert passed.tolist() == [True, False, False], key
        missing = filters.matches(layer.features, [filters.TagFilter(key, ("null",))])
        assert missing.tolist() == [False, False, True], key
        given = filters.matches(layer.features, [filters.TagFilter(key)])
        assert given.tolist() == [True, key != "flag", False], key


def test_text_of_numbers_beyond_what_integers_hold() -> None:
    assert text_of(pd.Series([1e300, np.nan])).tolist() == ["1e+300", ""]
    assert text_of(pd.Series([5.0, np.nan])).tolist() == ["5", ""]


def test_values_are_shown_the_most_frequent_ones_of_many() -> None:
    assert shown(pd.Series(["b", "a", None, "b"])) == "a, b"
    assert shown(pd.Series([None, ""], dtype=object)) == "no value at all"
    many = [f"v{number:02}" for number in range(20)]
    assert shown(pd.Series([*many, "z", "z"])) == (
        "v00, v01, v02, v03, v04, v05, v06, z and 13 more"
    )


@pytest.mark.parametrize(
    "shown", [str(["it's", "a b"]), str(np.array(["it's", "a b"])), "[\"it's\"\n 'a b']"]
)
def test_lists_as_python_shows_them_keep_their_quotes_and_blanks(shown: str) -> None:
    assert text_of(pd.Series([shown])).tolist() == ["it's;a b"]
    assert has_value(pd.Series([shown]), ["a b"]).tolist() == [True]
    assert has_value(pd.Series([shown]), ["a"]).tolist() == [False]


def test_arrays_of_numbers_as_text() -> None:
    shown = [str(np.array(part)) for part in ([1, 2], [2.5], [-3])]
    assert text_of(pd.Series(shown)).tolist() == ["1;2", "2.5", "-3"]


@pytest.mark.parametrize(
    "text", ["[north]", "['a'b]", "['a' ... 'b']", "[1-2]", "[01]", "['a' ['b']]", "[don't 'a']"]
)
def test_other_text_in_brackets_stays(text: str) -> None:
    assert text_of(pd.Series([text, "['a']"])).tolist() == [text, "['a']"]


IDENTIFIERS = [9007199254740993, 9007199254740994, None, 10000000000000001]  # beyond 2**53


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".csv", ".parquet", ".gdb", ".fgb"])
def test_large_whole_numbers_among_which_some_are_missing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sites{suffix}"
    frame = gpd.GeoDataFrame(
        {"code": pd.array(IDENTIFIERS, dtype="Int64")},
        geometry=gpd.points_from_xy([9.0, 9.1, 9.2, 9.3], [47.0] * 4),
        crs="EPSG:4326",
    )
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".csv":
        text = [f"{'' if code is None else code},9.{i},47" for i, code in enumerate(IDENTIFIERS)]
        path.write_text("\n".join(["code,lon,lat", *text]))
    else:
        in_64_bits = {"TARGET_ARCGIS_VERSION": "ARCGIS_PRO_3_2_OR_LATER"}
        of_gdb = {"driver": "OpenFileGDB", **in_64_bits} if suffix == ".gdb" else {}
        frame.to_file(path, **of_gdb)
    features = load(LayerSettings(path=str(path)), ["code"]).features
    order = np.rint((features.geometry.x - 9) * 10).astype(int).tolist()  # FlatGeobuf has its own
    for row, code in enumerate(IDENTIFIERS):
        found = has_value(features["code"], ["null" if code is None else str(code)])
        assert np.flatnonzero(found).tolist() == [order.index(row)]
    text = ["" if code is None else str(code) for code in IDENTIFIERS]
    assert text_of(features["code"]).tolist() == [text[row] for row in order]


def test_large_decimals_are_told_apart() -> None:
    column = pd.Series([Decimal(2**60 + 1), Decimal(2**60 + 2), None, Decimal("5.00")])
    assert has_value(column, [str(2**60 + 1)]).tolist() == [True, False, False, False]
    assert has_value(column, ["5"]).tolist() == [False, False, False, True]


def test_large_whole_numbers_in_a_nested_attribute_or_in_arrow_coordinates(tmp_path: Path) -> None:
    points = gpd.points_from_xy([9.0, 9.1, 9.2, 9.3], [47.0] * 4)
    codes = pd.array(IDENTIFIERS, dtype="Int64")
    frame = gpd.GeoDataFrame({"code": codes}, geometry=points, crs="EPSG:4326")
    frame.to_parquet(tmp_path / "arrow.parquet", geometry_encoding="geoarrow")
    frame["code"] = [{"id": code} for code in IDENTIFIERS]
    frame.to_parquet(tmp_path / "nested.parquet")
    frame["code"] = [{"of": None if code is None else {"id": code}} for code in IDENTIFIERS]
    frame.to_parquet(tmp_path / "deep.parquet")
    for name, key in (("arrow", "code"), ("nested", "code.id"), ("deep", "code.of.id")):
        column = load(LayerSettings(path=str(tmp_path / f"{name}.parquet")), [key]).features[key]
        assert has_value(column, [str(IDENTIFIERS[0])]).tolist() == [True, False, False, False]
        assert has_value(column, ["null"]).tolist() == [False, False, True, False]
