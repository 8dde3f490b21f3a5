"""Vector files of any quality: what can be mended is, and what cannot is left out."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from owl_geo.ground.vector import FARTHEST, UNREADABLE, read_table, reason, repaired

SQUARE = shapely.box(0, 0, 2, 2)


def test_what_is_valid_or_missing_or_empty_stays() -> None:
    line, empty = shapely.LineString([(0, 0), (1, 1)]), shapely.Polygon()
    result = repaired(np.array([SQUARE, None, line, empty], dtype=object))
    assert result.tolist() == [SQUARE, None, line, empty]


def test_a_ring_that_crosses_itself_becomes_the_ground_that_it_encloses() -> None:
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    (mended,) = repaired(np.array([bow], dtype=object))
    assert mended.is_valid
    assert mended.area == pytest.approx(2.0)


RINGED = shapely.Polygon(
    shapely.box(0, 0, 10, 10).exterior,
    [shapely.box(2, 2, 6, 6).exterior, shapely.box(4, 4, 8, 8).exterior],
)


@pytest.mark.parametrize(
    ("broken", "area"),
    [
        (shapely.MultiPolygon([shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3)]), 7),
        (shapely.MultiPolygon([shapely.box(0, 0, 4, 4), shapely.box(1, 1, 2, 2)]), 16),
        (shapely.MultiPolygon([SQUARE, SQUARE, SQUARE]), 4),
        (RINGED, 100 - 28),
        (shapely.MultiPolygon([RINGED, shapely.box(9, 9, 12, 12)]), 100 - 28 + 8),
        (shapely.GeometryCollection([shapely.MultiPolygon([SQUARE, SQUARE])]), 4),
    ],
    ids=["overlap", "within", "thrice", "holes overlap", "hole and overlap", "collection"],
)
def test_what_several_parts_cover_is_covered_and_holes_stay_holes(
    broken: shapely.Geometry, area: float
) -> None:
    assert not broken.is_valid
    (mended,) = repaired(np.array([broken], dtype=object))
    assert mended.is_valid
    assert mended.area == pytest.approx(area)


@pytest.mark.parametrize("coordinate", [np.nan, np.inf, -np.inf, 2 * FARTHEST, -2 * FARTHEST])
def test_coordinates_that_are_nowhere_leave_their_geometry_out_alone(coordinate: float) -> None:
    lost = shapely.Polygon([(0, 0), (coordinate, 1), (1, 1)])
    point = shapely.Point(coordinate, 0)
    assert repaired(np.array([lost, SQUARE, point], dtype=object)).tolist() == [None, SQUARE, None]


def test_the_array_that_is_given_is_left_as_it_is() -> None:
    given = np.array([shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])], dtype=object)
    before = given[0].wkb
    repaired(given)
    assert given[0].wkb == before


def geojson(path: Path, *rings: list[list[float]]) -> str:
    features = [
        {
            "type": "Feature",
            "properties": {"number": number},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for number, ring in enumerate(rings)
    ]
    collection = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(collection), encoding="utf-8")
    return str(path)


def test_a_ring_that_is_not_closed_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    closed = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    path = geojson(tmp_path / "a.geojson", closed, closed[:-1])
    with caplog.at_level(logging.WARNING, logger="owl_geo"):
        table = read_table(path)
    assert table["number"].tolist() == [0, 1]
    assert table.geometry.isna().tolist() == [False, True]
    assert "a.geojson" in caplog.text


def around(west: float, east: float) -> list[list[float]]:
    return [[west, 0.0], [east, 0.0], [east, 1.0], [west, 1.0], [west, 0.0]]


@pytest.mark.parametrize(
    ("rings", "count"),
    [
        ([around(179, -179)], "1 feature goes"),
        ([around(179, -179), around(-178, 170), around(9, 10)], "2 features go"),
        ([around(179, 181)], ""),
        ([around(-181, -179)], ""),
        ([around(-180, 180)], ""),  # all of the Earth
        ([around(-180, -179), around(179, 180)], ""),
        ([around(-100, 80)], ""),
    ],
)
def test_edges_that_go_round_the_earth_between_neighbours_are_said(
    rings: list[list[list[float]]], count: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """GDAL and QGIS too take them as they stand, and most who wrote them did not mean that."""
    path = geojson(tmp_path / "a.geojson", *rings)
    with caplog.at_level(logging.WARNING, logger="owl_geo"):
        read_table(path)
    said = f"a.geojson: {count} from one side of 180 degrees to the other the long way round"
    assert (said in caplog.text) if count else (caplog.text == "")


def test_features_without_a_place_are_counted(tmp_path: Path, caplog) -> None:
    shapes = [shapely.Point(1, 1), None, shapely.Point(), shapely.Point(2, 2)]
    path = tmp_path / "a.gpkg"
    gpd.GeoDataFrame({"n": range(4)}, geometry=shapes, crs=4326).to_file(path)
    assert len(read_table(str(path))) == 4
    assert f"{path}: 2 of 4 features have no geometry, left out" in caplog.text
    caplog.clear()
    gpd.GeoDataFrame({"n": range(2)}, geometry=shapes[::3], crs=4326).to_file(path)
    read_table(str(path))
    read_table(str(path), read_geometry=False)
    assert caplog.text == ""


def test_columns_can_be_left_unread(tmp_path: Path) -> None:
    ring = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    assert list(read_table(geojson(tmp_path / "a.geojson", ring), columns=[])) == ["geometry"]


def test_a_file_that_is_not_a_layer_raises_what_can_be_caught(tmp_path: Path) -> None:
    (tmp_path / "a.gpkg").write_bytes(b"SQLite format 3\x00" + b"\xff" * 200)
    with pytest.raises(UNREADABLE):
        read_table(str(tmp_path / "a.gpkg"))


def test_a_reason_leaves_out_what_gdal_says_to_programmers() -> None:
    assert reason(RuntimeError("it is broken; set OGR_X to YES.")) == "it is broken"
    assert reason(RuntimeError("it is broken.")) == "it is broken"


@pytest.mark.parametrize(
    "broken",
    [
        "POLYHEDRALSURFACE Z (((9 47 0,9 47.1 0,9.1 47.1 9,9 47 0)))",
        "TIN Z (((9 47 0,9 47.1 0,9.1 47.1 9,9 47 0)))",
        "POLYGON ((9 47,9.1 47,9.1 47.1))",
    ],
)
def test_rings_that_are_not_closed_and_surfaces_in_space_are_left_out_with_a_word(
    broken: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """GEOS has no surfaces in space; GDAL reads those of buildings from many a city's file."""
    path = tmp_path / "a.csv"
    path.write_text(f"use;wkt\nfarm;{broken}\nwood;POINT (9 47)\nroad;\n", encoding="utf-8")
    caplog.set_level(logging.WARNING, logger="owl_geo")
    table = read_table(str(path))
    assert table.geometry.tolist() == [None, shapely.Point(9, 47), None]
    assert table["use"].tolist() == ["farm", "wood", "road"]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path} has broken geometries, for example unclosed rings, or surfaces in space, of which "
        "ogr2ogr -nlt MULTIPOLYGON makes polygons; they are left out"
    )


def test_geoparquet_is_read_without_its_broken_geometries(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.parquet"
    frame = gpd.GeoDataFrame({"use": ["a", "b"]}, geometry=[SQUARE, SQUARE], crs=32632)
    frame.to_parquet(path)
    table = pq.read_table(path)
    unclosed = SQUARE.wkb[:-16] + np.array([3.0, 3.0]).tobytes()  # the last corner is elsewhere
    column = pa.array([unclosed, SQUARE.wkb])
    at = table.column_names.index("geometry")
    pq.write_table(table.set_column(at, "geometry", column), path)
    found = read_table(str(path), columns=["use"])
    assert found["use"].tolist() == ["a", "b"]
    assert found.geometry.tolist() == [None, SQUARE]
    assert found.crs == "EPSG:32632"
    assert "has broken geometries" in caplog.text
