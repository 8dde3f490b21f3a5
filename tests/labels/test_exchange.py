"""Answers in files: what is written is read back, and so is what spreadsheets write."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from owl_geo.errors import BatchError
from owl_geo.labels.exchange import (
    of_consensus,
    read_answers,
    read_exported,
    write_answers,
)
from owl_geo.schema import CONSENSUS, LABELS_COLUMNS, LABELS_LAYER

UTM = "EPSG:32631"
FOOTPRINTS = gpd.GeoSeries(
    [shapely.box(500_000 + x, 5_700_000, 500_100 + x, 5_700_100) for x in (0, 100, 200)],
    index=["s/0/0", "s/0/10", "s/0/20"],
    crs=UTM,
)
ROWS: list[dict[str, str | None]] = [
    {
        "patch_id": "s/0/20",
        "label": "present",
        "annotator": 'Ana; ben, "c"',
        "labelled_at": "2026-01-31T12:00:00Z",
        "batch_id": "r-000",
        "round": "0",
        "comment": "two\nlines",
    },
    {
        "patch_id": "s/0/0",
        "label": "skip",
        "annotator": "ben",
        "labelled_at": "2026-01-31T12:00:01Z",
        "batch_id": "r-001",
        "round": "1",
        "comment": None,
    },
]
ANSWERS = pd.DataFrame(ROWS).astype({"round": int})


def read(path: Path) -> list[dict[str, str | None]]:
    table = read_answers(path).rows
    assert list(table.columns) == [*LABELS_COLUMNS]
    return table.to_dict("records")


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.gpkg"])
def test_what_is_written_is_read_back_as_text(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    for _ in range(2):  # what is there is replaced
        write_answers(path, ANSWERS, FOOTPRINTS)
    assert read(path) == ROWS
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_geopackage_keeps_the_footprints_in_their_crs(tmp_path: Path) -> None:
    write_answers(tmp_path / "a.gpkg", ANSWERS, FOOTPRINTS)
    layer = gpd.read_file(tmp_path / "a.gpkg", layer=LABELS_LAYER)
    assert layer.crs == UTM
    assert layer.geometry.tolist() == FOOTPRINTS.loc[ANSWERS["patch_id"]].tolist()
    assert layer["round"].tolist() == [0, 1]


def test_a_csv_has_the_footprints_in_longitude_and_latitude(tmp_path: Path) -> None:
    write_answers(tmp_path / "a.csv", ANSWERS, FOOTPRINTS)
    table = pd.read_csv(tmp_path / "a.csv")
    drawn = gpd.GeoSeries.from_wkt(table["wkt"], crs="EPSG:4326").to_crs(UTM)
    for polygon, patch in zip(drawn, ANSWERS["patch_id"], strict=True):
        assert polygon.hausdorff_distance(FOOTPRINTS[patch]) < 0.001  # a millimetre


@pytest.mark.parametrize(
    "text",
    [
        "patch_id,label,annotator\ns/0/0,present,ana\n",
        "\ufeffpatch_id;label;annotator\r\ns/0/0;present;ana\r\n",
        '"label";"patch_id";"annotator";"more"\n"present";"s/0/0";"ana";"1,5"\n',
        "patch_id,label,annotator\n\n s/0/0 , present ,ana\n\n",
        "patch_id,label,,annotator,,\ns/0/0,present,,ana,,\n",
        "more,patch_id,label,annotator,more\n1,s/0/0,present,ana,2\n",
    ],
    ids=["commas", "semicolons", "quotes", "blanks", "no names", "others twice"],
)
def test_a_csv_as_spreadsheets_write_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8", newline="")
    nothing = dict.fromkeys(LABELS_COLUMNS)
    expected = {"patch_id": "s/0/0", "label": "present", "annotator": "ana"}
    assert read(path) == [nothing | expected]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_csv_in_the_encoding_that_its_mark_tells(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("patch_id\tlabel\tannotator\ns/0/0\tpresent\tJürgen\n", encoding=encoding)
    (row,) = read(path)
    assert (row["patch_id"], row["label"], row["annotator"]) == ("s/0/0", "present", "Jürgen")


def test_a_csv_in_utf_16_without_a_mark_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("patch_id,label\ns/0/0,present\n", encoding="utf-16-le")
    with pytest.raises(BatchError, match="without a byte-order mark does: save it in UTF-8"):
        read(path)


def test_outlines_in_another_crs_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    outline = shapely.to_wkt(FOOTPRINTS["s/0/0"])
    path.write_text(f'patch_id,label,wkt\ns/0/0,present,"{outline}"\n', encoding="utf-8")
    with pytest.raises(BatchError, match="outlines in its column 'wkt' are not in longitude"):
        read(path)


def test_a_semicolon_within_a_name_parts_no_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("patch_id,label,a;b\ns/0/0,x,y;z\n", encoding="utf-8")
    assert read(tmp_path / "a.csv")[0]["label"] == "x"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", "patch_id,lable\ns/0/0,x\n", "no column 'label'.*'lable'"),
        ("a.csv", "patch_id,label\ns/0/0,x,y\n", "line 2 has 3 values, the header 2"),
        ("a.csv", "", "no column 'patch_id'"),
        ("a.csv", "Rechts;Hoch;Art\n4494059,4;5760961,5;x\n", "known: Rechts, Hoch, Art$"),
        ("a.csv", "Rechts\tHoch\n4494059,4\t5760961,5\n", "known: Rechts, Hoch$"),
        ("a.csv", "E,N\n4494059,4,5760961,5\n", "no column 'patch_id', and no coordinates"),
        ("a.csv", "patch_id,label,label\ns/0/0,x,y\n", "the header has 'label' 2 times"),
        ("a.csv", "patch_id,label,WKT,wkt ,Wkt\ns/0/0,x,,,\n", "the header has 'wkt' 3 times"),
        ("a.csv", "patch_id,label\n\xff", "cannot be read as answers"),
        ("a.csv", 'patch_id,label\n"s,x\n', "cannot be read as answers"),
        ("a.gpkg", "noise", "a.gpkg"),
        ("a.txt", "patch_id,label\n", r"neither \.gpkg nor \.csv"),
        ("gone.csv", None, "does not exist"),
    ],
)
def test_what_holds_no_answers_is_refused_in_one_line(
    name: str, content: str | None, reason: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="latin-1")
    with pytest.raises(BatchError, match=reason) as caught:
        read_answers(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file_with_answers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(BatchError, match="folder"):
        read_answers(tmp_path / "a.csv")


def test_another_layer_is_named(tmp_path: Path) -> None:
    gpd.GeoDataFrame(geometry=FOOTPRINTS.array).to_file(tmp_path / "a.gpkg", layer="sites")
    with pytest.raises(BatchError, match=r"no layer 'labels'.*sites"):
        read_answers(tmp_path / "a.gpkg")


def test_a_consensus_is_nobody_s_answer() -> None:
    current = pd.DataFrame({"patch_id": ["a", "b"], "label": ["x", "y"], "annotator": ["ana", "b"]})
    assert of_consensus(current).to_dict("list") == {
        "patch_id": ["a", "b"],
        "label": ["x", "y"],
        "annotator": [CONSENSUS, CONSENSUS],
    }


@pytest.mark.parametrize(
    ("names", "read"),
    [
        ([7, None], ["7", None]),
        ([12345678901234567, None], ["12345678901234567", None]),  # more than a float can hold
        ([7.5, None], ["7.5", None]),
    ],
)
def test_annotators_with_numbers_keep_them_where_one_is_missing(
    names: list[float | None], read: list[str | None], tmp_path: Path
) -> None:
    features = [
        {
            "type": "Feature",
            "properties": {"patch_id": f"s/0/{row}", "label": "present", "annotator": name},
            "geometry": {"type": "Point", "coordinates": [9.5, 47.1]},
        }
        for row, name in enumerate(names)
    ]
    path = tmp_path / "answers.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    answers = read_exported(str(path), None)
    assert answers is not None
    assert answers.rows["annotator"].tolist() == read
