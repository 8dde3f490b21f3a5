"""Known sites answer the patches that they lie in, whatever their CRS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasters
import shapely
from rasterio.transform import from_origin

from owl_geo import Run, import_answers, init
from owl_geo.cli import _run as owl
from owl_geo.errors import BatchError, ConfigError, LayerError, OwlError
from owl_geo.types import Answer

X, Y = rasters.ORIGIN
SIDE, SIZE, EDGE = 64, 8, 80.0  # pixels, pixels, metres


def made(folder: Path, *, holes: tuple[tuple[int, int], ...] = (), **source: Any) -> Run:
    """A run over a scene of 8 x 8 patches; those of ``holes`` have no data."""
    values = rasters.coordinates(SIDE, SIDE) + 1
    for row, col in holes:
        values[:, row * SIZE : (row + 1) * SIZE, col * SIZE : (col + 1) * SIZE] = 0
    path = rasters.write_raster(folder / "s.tif", values, nodata=0)
    scenes = [{"name": "s", "path": str(path)}]
    tables = {"kind": "geotiff", "scenes": scenes, "patch_size": SIZE, **source}
    return init(folder / "run", {"source": tables}).run


def at(row: float, col: float) -> tuple[float, float]:
    """The place at a row and a column of patches, which may be fractional."""
    return X + EDGE * col, Y - EDGE * row


def box(row: float, col: float, height: float, width: float) -> shapely.Polygon:
    return shapely.box(*at(row + height, col), *at(row, col + width))


def sites(path: Path, shapes: list[Any], crs: str = rasters.UTM, **columns: Any) -> Path:
    frame = gpd.GeoDataFrame(columns, geometry=shapes, crs=rasters.UTM).to_crs(crs)
    frame.to_file(path)
    return path


def labels(run: Run) -> dict[str, str]:
    current = Run(run.path).labels.current()
    return dict(zip(current["patch_id"], current["label"], strict=True))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32632"])
@pytest.mark.parametrize("name", ["sites.gpkg", "sites.geojson", "sites.shp"])
def test_points_of_any_crs_answer_their_patches(tmp_path: Path, crs: str, name: str) -> None:
    run = made(tmp_path)
    shapes = [shapely.Point(at(0.5, 0.5)), shapely.Point(at(2.99, 5.01)), shapely.Point(at(7.5, 3))]
    path = sites(
        tmp_path / name, shapes, "EPSG:4326" if name.endswith("json") else crs, a=[1, 2, 3]
    )
    done = import_answers(run, path, annotator="ben")
    assert done.new == 3 and done.counts == {"present": 3}
    assert set(labels(run)) - {"s/56/16", "s/56/24"} == {"s/0/0", "s/16/40"}  # one is on an edge
    history = run.labels.history()
    assert set(history["batch_id"]) == {"import"} and set(history["annotator"]) == {"ben"}
    assert set(history["comment"]) == {f"by location: {name}"}
    again = import_answers(run, path, annotator="ben")
    assert (again.new, again.unchanged) == (0, 3)
    assert len(run.labels.history()) == 3


def test_parts_of_a_site_and_a_csv(tmp_path: Path) -> None:
    run = made(tmp_path)
    both = shapely.MultiPoint([at(0.5, 0.5), at(1.5, 1.5)])
    done = import_answers(run, sites(tmp_path / "m.gpkg", [both]), annotator="ben")
    assert done.placed is not None and (done.placed.placed, done.placed.patches) == (1, 2)
    lonlat = gpd.GeoSeries([shapely.Point(at(6.5, 7.5))], crs=rasters.UTM).to_crs(4326).iloc[0]
    table = tmp_path / "t.csv"
    table.write_text(f"name,lon,lat\nx,{lonlat.x!r},{lonlat.y!r}\n")
    import_answers(run, table, annotator="ben", label="absent")
    assert labels(run) == {"s/0/0": "present", "s/8/8": "present", "s/48/56": "absent"}


@pytest.mark.parametrize("options", [{"label": "{}"}, {"column": "a", "values": {"1": "{}"}}])
@pytest.mark.parametrize(
    ("word", "says"), [("nope", "; known: "), ("presnt", "; did you mean 'present'? known: ")]
)
def test_a_label_that_is_none_is_told_with_those_that_are(
    tmp_path: Path, options: dict[str, Any], word: str, says: str
) -> None:
    run = made(tmp_path)
    path = sites(tmp_path / "p.gpkg", [box(0, 0, 1, 1)], a=[1])
    named: dict[str, Any] = {
        name: {"1": word} if name == "values" else value.format(word)
        for name, value in options.items()
    }
    with pytest.raises(ConfigError) as refused:
        import_answers(run, path, annotator="ben", **named)
    said = f"{word!r} is not a label of {run.called}{says}absent, present, unsure, skip"
    assert str(refused.value) == said


def test_a_polygon_answers_what_it_covers_by_the_share(tmp_path: Path) -> None:
    run = made(tmp_path)
    # all of one patch, 51 % of the next, 49 % of the one below, a quarter of the last
    shape = shapely.union(box(0, 0, 1, 1.51), box(0, 0, 1.49, 1))
    path = sites(tmp_path / "p.gpkg", [shape])
    import_answers(run, path, annotator="ben")
    assert set(labels(run)) == {"s/0/0", "s/0/8"}
    import_answers(run, path, annotator="ben", share=0.48)
    assert set(labels(run)) == {"s/0/0", "s/0/8", "s/8/0"}


def test_a_small_polygon_answers_the_patch_of_its_centre(tmp_path: Path) -> None:
    run = made(tmp_path)
    # across the corner of four patches, mostly in the lower right one; and 49 % of a patch
    shapes = [box(1.8, 1.8, 0.6, 0.6), box(5, 5, 0.7, 0.7)]
    import_answers(run, sites(tmp_path / "p.gpkg", shapes, "EPSG:4326"), annotator="ben")
    assert set(labels(run)) == {"s/16/16", "s/40/40"}


def test_a_line_answers_what_it_crosses(tmp_path: Path) -> None:
    run = made(tmp_path)
    line = shapely.LineString([at(0.5, 0.5), at(0.5, 2.5), at(1.2, 2.5)])
    import_answers(run, sites(tmp_path / "l.gpkg", [line]), annotator="ben")
    assert set(labels(run)) == {"s/0/0", "s/0/8", "s/0/16", "s/8/16"}


def test_lines_that_may_be_outlines_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Drawing programs save areas as lines that end where they begin."""
    run = made(tmp_path)
    area = box(1.1, 1.1, 2.8, 2.8)
    outline = shapely.LineString(area.exterior)
    path = sites(tmp_path / "outline.gpkg", [outline])
    import_answers(run.path, path, annotator="ann")
    assert len(labels(run)) == 8  # not the patch within
    assert "1 line ends where it begins, and only the patches that lines cross" in caplog.text
    caplog.clear()
    path = sites(tmp_path / "road.gpkg", [outline, shapely.LineString([at(0, 0), at(8, 8)])])
    import_answers(run.path, path, annotator="ann")
    path = sites(tmp_path / "area.gpkg", [area])
    import_answers(run.path, path, annotator="ann")
    assert labels(run)["s/16/16"] == "present"
    assert "begins" not in caplog.text


def test_of_overlapping_patches_the_nearest_answers(tmp_path: Path) -> None:
    run = made(tmp_path, stride=4)
    shapes = [shapely.Point(at(1.1, 0.9)), shapely.Point(at(4.05, 4.3))]
    import_answers(run, sites(tmp_path / "p.gpkg", shapes, "EPSG:4326"), annotator="ben")
    # centres are half a patch apart: those nearest are at (1, 1), and at (4, 4.5)
    assert set(labels(run)) == {"s/4/4", "s/28/32"}
    other = made(tmp_path / "line", stride=4)
    line = shapely.LineString([at(1.05, 0.9), at(1.05, 1.6)])
    import_answers(other, sites(tmp_path / "l.gpkg", [line]), annotator="ben")
    assert set(labels(other)) == {"s/4/4", "s/4/8"}


def test_two_dates_of_a_place_are_answered_once(tmp_path: Path) -> None:
    for name in ("may", "june"):
        rasters.write_raster(tmp_path / f"{name}.tif", rasters.coordinates(SIDE, SIDE) + 1)
    scenes = [{"name": n, "path": str(tmp_path / f"{n}.tif")} for n in ("may", "june")]
    source = {"kind": "geotiff", "scenes": scenes, "patch_size": SIZE, "same_ground": "keep"}
    run = init(tmp_path / "run", {"source": source}).run
    line = shapely.LineString([at(6.5, 6.5), at(6.5, 7.5)])
    shapes = [shapely.Point(at(0.5, 0.6)), box(2, 2, 1, 2), line]
    import_answers(run, sites(tmp_path / "p.gpkg", shapes), annotator="ben")
    found = sorted(name.partition("/")[2] for name in labels(run))
    assert found == ["0/0", "16/16", "16/24", "48/48", "48/56"]


def test_what_lies_in_no_patch_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made(tmp_path, holes=((3, 3),))
    shapes = [shapely.Point(at(r + 0.5, c + 0.5)) for r, c in [(0, 0), (3, 3), (20, 3), (1, 1)]]
    path = sites(tmp_path / "p.gpkg", shapes, kind=["present", "present", "absent", "mill"])
    assert owl(["labels", "import", str(run.path), str(path), "--annotator", "ben"]) == 0
    out = capsys.readouterr().out
    assert "2 of 4 sites lie in 2 patches" in out
    assert "1 site outside the pool" in out
    assert "1 site within a scene but between its patches" in out
    other = made(tmp_path / "b", holes=((3, 3),))
    layer = f"{path}|layername=p"
    assert owl(["labels", "import", str(other.path), layer, "--column", "KIND"]) == 0
    assert "1 site left out, of no class of the run: mill (1)" in capsys.readouterr().out
    assert labels(other) == {"s/0/0": "present"}


def test_answers_given_before_stay_unless_they_are_ones_own(tmp_path: Path) -> None:
    run = made(tmp_path)
    names = ["s/0/0", "s/0/8", "s/0/16"]
    before = [
        Answer(name, label, who, "2026-01-01T00:00:00Z", "b", 0)
        for name, label, who in zip(
            names, ["absent", "absent", "present"], ["ana", "ben", "ana"], strict=True
        )
    ]
    run.labels.append(before, run.footprints(names))
    shapes = [shapely.Point(at(0.5, col + 0.5)) for col in range(4)]
    path = sites(tmp_path / "p.gpkg", shapes)
    done = import_answers(run, path, annotator="ben")
    assert done.placed is not None
    assert (done.placed.kept, done.placed.changed) == (("s/0/0",), ("s/0/8",))
    assert done.new == 3
    expected = dict.fromkeys([*names, "s/0/24"], "present") | {"s/0/0": "absent"}
    assert labels(run) == expected
    # an answer given since is not undone
    run.labels.append(
        [Answer("s/0/24", "absent", "ben", "2999-01-01T00:00:00Z", "c", 1)],
        run.footprints(["s/0/24"]),
    )
    again = import_answers(run, path, annotator="ben")
    assert again.new == 0 and labels(run) == expected | {"s/0/24": "absent"}


def test_a_target_counts_whatever_else_is_there(tmp_path: Path) -> None:
    run = made(tmp_path)
    shapes = [shapely.Point(at(0.5, 0.5)), shapely.Point(at(0.6, 0.6))]
    path = sites(tmp_path / "p.gpkg", shapes, kind=["absent", "present"])
    import_answers(run, path, annotator="ben", column="kind")
    assert labels(run) == {"s/0/0": "present"}


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"label": "presnt"}, ConfigError, "'presnt' is not a label.*present"),
        ({"column": "knd"}, LayerError, "no attribute 'knd'.*kind"),
        ({"column": "other"}, LayerError, "no site has other = absent or present.*there are 5"),
        ({"label": "absent", "column": "kind"}, ConfigError, "either --label or --column"),
        ({"share": 0.0}, ConfigError, "--share is 0"),
    ],
)
def test_mistakes_store_nothing(
    tmp_path: Path, options: dict[str, Any], error: type[OwlError], text: str
) -> None:
    run = made(tmp_path)
    path = sites(tmp_path / "p.gpkg", [shapely.Point(at(0.5, 0.5))], kind=["present"], other=[5])
    with pytest.raises(error) as caught:
        import_answers(run, path, annotator="ben", **options)
    assert re.search(text, str(caught.value))
    assert run.labels.history().empty


RASTER = [  # patches of 80 m, as 2 x 2 pixels of 40 m; 9 is no data
    [1, 1, 2, 2, 0, 0],
    [1, 1, 2, 0, 0, 0],
    [9, 9, 1, 2, 2, 9],
    [9, 9, 1, 2, 9, 9],
]


def classes(path: Path, values: list[list[int]] = RASTER, **options: Any) -> Path:
    """A raster whose upper left corner is that of the scene."""
    array = np.array([values], dtype=np.uint8)
    return rasters.write_raster(path, array, **{"pixel": 40.0, "nodata": 9} | options)


def test_a_raster_of_classes_answers_what_its_values_cover(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(tmp_path)
    path = classes(tmp_path / "c.tif")
    command = ["labels", "import", str(run.path), str(path), "--annotator", "ben"]
    assert owl([*command, "--values", "2=present, 0=absent"]) == 0
    # three quarters of 2; all of 0; half of 2 beside half of 1; a quarter of 2 beside no data
    assert labels(run) == {"s/0/8": "present", "s/0/16": "absent", "s/8/8": "present"}
    told = capsys.readouterr().out
    assert "1 absent, 2 present" in told
    assert "2 = present, 0 = absent: a class covers 50 % of 3 of 64 patches" in told
    assert "59 patches beyond the raster, or without data in it" in told  # 58 beyond it
    import_answers(run, path, annotator="ben", values={"2": "present"}, share=0.25)
    assert labels(run)["s/8/16"] == "present"
    again = import_answers(run, path, annotator="ben", values={"2": "present"}, share=0.25)
    assert (again.new, again.unchanged) == (0, 3)


def test_a_raster_within_a_file_answers_where_features_are_beside_it(tmp_path: Path) -> None:
    """GDAL takes the name of a raster in a GeoPackage for the file, and reads its features."""
    run = made(tmp_path)
    array = np.array([RASTER], dtype=np.int16)
    path = rasters.write_raster(
        tmp_path / "c.gpkg", array, driver="GPKG", raster_table="cover", pixel=40.0, nodata=9
    )
    gpd.GeoDataFrame(geometry=[shapely.Point(at(7, 7))], crs=rasters.UTM).to_file(
        path, layer="spots", mode="a"
    )
    import_answers(run, f"GPKG:{path}:cover", annotator="ben", values={"2": "present"})
    assert labels(run) == {"s/0/8": "present", "s/8/8": "present"}
    with pytest.raises(LayerError, match="cannot open the raster GPKG:"):
        import_answers(run, f"GPKG:{path}:none", annotator="ben", values={"2": "present"})


def test_a_value_that_a_raster_has_for_no_data_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, path = made(tmp_path), classes(tmp_path / "c.tif")
    import_answers(run, path, annotator="ben", values={"0": "absent"})
    assert caplog.text == ""
    import_answers(run, path, annotator="ben", values={"9": "present", "0": "absent"})
    assert "c.tif: 9 is its value for no data, so no pixel counts as that" in caplog.text


def test_a_value_that_no_pixel_has_is_told_beside_those_that_exist(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, path = made(tmp_path), classes(tmp_path / "c.tif", nodata=9)
    meant = {"1": "present", "7": "present", "9": "present", "2": "absent"}
    import_answers(run, path, annotator="ben", values=meant)
    assert "c.tif: no pixel of any patch has 7; if that is a mistake, correct --v" in caplog.text
    assert "9 is its value for no data" in caplog.text


def test_a_raster_in_another_crs_and_partly_beyond(tmp_path: Path) -> None:
    run = made(tmp_path)
    # fine pixels in degrees, over the lower right of the scene and far beyond it
    west, north = (
        gpd.GeoSeries([shapely.Point(at(6, 6))], crs=rasters.UTM).to_crs(4326).iloc[0].coords[0]
    )
    path = classes(
        tmp_path / "c.tif",
        [[1] * 60] * 60,
        crs="EPSG:4326",
        transform=from_origin(west, north, 1e-4, 1e-4),
    )
    import_answers(run, path, annotator="ben", values={"1": "absent"})
    assert labels(run) == {f"s/{8 * r}/{8 * c}": "absent" for r in (6, 7) for c in (6, 7)}


def test_values_are_class_numbers_only_where_that_is_sure(tmp_path: Path) -> None:
    run = made(tmp_path)
    ones = [[1, 1, 0, 0], [1, 1, 0, 0]]
    mask = classes(tmp_path / "mask.tif", ones, nodata=None)
    with pytest.raises(ConfigError, match=r"0, which may mean absent or that nobody looked.*1=pre"):
        import_answers(run, mask, annotator="ben")
    with pytest.raises(ConfigError, match="not the numbers of the classes, 0 to 1; it has 0, 1, 2"):
        import_answers(run, classes(tmp_path / "more.tif"), annotator="ben")
    assert run.labels.history().empty
    done = import_answers(run, classes(tmp_path / "zero.tif", ones, nodata=0), annotator="ben")
    assert labels(run) == {"s/0/0": "present"}
    assert done.placed is not None
    assert done.placed.lines()[0] == "1 = present: a class covers 50 % of 1 of 64 patches"
    import_answers(run, classes(tmp_path / "known.tif", ones), annotator="ben")
    assert labels(run) == {"s/0/0": "present", "s/0/8": "absent"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"label": "present"},
            "is a raster, and --label is for features; say what.*--values 1=pre",
        ),
        ({"column": "a"}, "is a raster, and --column is for features"),
        ({"crs": "EPSG:4326"}, "is a raster, and --crs is for features; leave out --crs"),
        ({"values": {"x": "present"}}, "'x' is not a number; it has 0, 1, 2; correct --values"),
        ({"values": {"7": "present"}}, "no pixel of any patch has 7; it has 0, 1, 2"),
        ({"values": {"1": "presnt"}}, "'presnt' is not a label"),
        ({"values": {"1": "present"}, "label": "absent"}, "give either --label or --values"),
        ({"values": {"0": "present", "2": "absent"}, "share": 1.0}, None),
        ({"values": {"9": "present"}}, "no pixel of any patch has 9"),
    ],
)
def test_mistakes_with_rasters(tmp_path: Path, options: dict[str, Any], text: str | None) -> None:
    run = made(tmp_path)
    path = classes(tmp_path / "c.tif")
    if text is None:
        import_answers(run, path, annotator="ben", **options)
        assert labels(run) == {"s/0/16": "present"}
        return
    with pytest.raises(OwlError, match=text):
        import_answers(run, path, annotator="ben", **options)
    assert run.labels.history().empty


def test_rasters_that_are_none_of_classes(tmp_path: Path) -> None:
    run = made(tmp_path)
    with pytest.raises(LayerError, match="has 3 bands, and classes are in one"):
        import_answers(run, tmp_path / "s.tif", annotator="ben", values={"1": "present"})
    far = classes(tmp_path / "far.tif", transform=from_origin(*at(900, 900), 40, 40))
    with pytest.raises(LayerError, match="covers none of the scenes"):
        import_answers(run, far, annotator="ben", values={"1": "present"})
    quarter = classes(tmp_path / "quarter.tif", [[1, 0]])
    with pytest.raises(LayerError, match="no class covers 50 % of any patch; choose a smaller"):
        import_answers(run, quarter, annotator="ben", values={"1": "present"})


def test_values_of_a_column_mean_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(tmp_path)
    shapes = [shapely.Point(at(0.5, col + 0.5)) for col in range(4)]
    path = sites(tmp_path / "p.gpkg", shapes, code=[3, 1, 7, 3])
    command = ["labels", "import", str(run.path), str(path), "--column", "code"]
    assert owl([*command, "--values", "3=present", "--values", "1=absent,2=unsure"]) == 0
    assert labels(run) == {"s/0/0": "present", "s/0/8": "absent", "s/0/24": "present"}
    assert "1 site left out, of no class of the run: 7 (1)" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="name the attribute with --column"):
        import_answers(run, path, annotator="ben", values={"3": "present"})
    with pytest.raises(LayerError, match="no site has code = 4; there are 1, 3, 7; correct --val"):
        import_answers(run, path, annotator="ben", column="code", values={"4": "present"})
    for wrong in ("3", "=present", "3=present,3=absent"):
        assert owl([*command, "--values", wrong]) == 2


def test_a_value_with_a_comma_stands_in_quotes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = made(tmp_path)
    shapes = [shapely.Point(at(0.5, col + 0.5)) for col in range(4)]
    cover = ["Beaches, dunes", 'a 5" pipe', 'say "hi"', "Water"]
    path = sites(tmp_path / "p.gpkg", shapes, cover=cover)
    command = ["labels", "import", str(run.path), str(path), "--column", "cover", "--values"]
    assert owl([*command, "Beaches, dunes=present"]) == 2
    assert "'Beaches' is not VALUE=NAME" in capsys.readouterr().err
    values = '"Beaches, dunes"=present, a 5" pipe=absent,"say ""hi""=unsure",Mud=absent'
    assert owl([*command, values]) == 0
    assert labels(run) == {"s/0/0": "present", "s/0/8": "absent", "s/0/16": "unsure"}
    assert f"{path}: no site has cover = Mud" in capsys.readouterr().err


def test_tags_of_an_osm_file_mean_classes(tmp_path: Path) -> None:
    run = made(tmp_path)
    place = gpd.GeoSeries([shapely.Point(at(0.5, 0.5))], crs=rasters.UTM).to_crs(4326).iloc[0]
    path = tmp_path / "a.osm"
    path.write_text(
        f'<osm version="0.6"><node id="1" lat="{place.y}" lon="{place.x}">'
        '<tag k="man_made" v="adit"/></node></osm>'
    )
    with pytest.raises(LayerError, match="is an OSM file; name the tag of the sites"):
        import_answers(run, path, annotator="ben")
    import_answers(run, path, annotator="ben", column="man_made", values={"adit": "present"})
    assert labels(run) == {"s/0/0": "present"}


@pytest.mark.parametrize("name", ["export.shp", "export.geojson", "renamed.gpkg"])
def test_answers_that_lost_their_format_are_no_targets(tmp_path: Path, name: str) -> None:
    run = made(tmp_path)
    shapes = [box(0, 0, 1, 1), box(2, 5, 1, 1), box(4, 4, 1, 1), box(6, 6, 1, 1)]
    words = {"patch_id": list("abcd"), "label": ["absent", "Present", "skip", None]}
    path = sites(tmp_path / name, shapes, "EPSG:4326" if "json" in name else rasters.UTM, **words)
    says = r"'label' names absent, skip too, .*with --column label, or say --label present"
    with pytest.raises(ConfigError, match=says):
        import_answers(run, path, annotator="ben")
    assert labels(run) == {}
    with pytest.raises(ConfigError, match="with owl-geo labels import --column label"):
        init(tmp_path / "other", run.settings, examples=path)
    assert not (tmp_path / "other").exists()
    column = import_answers(run, path, annotator="ben", column="label")
    assert column.counts == {"absent": 1, "skip": 1}  # "Present" is none of the run's classes
    assert import_answers(run, path, annotator="ben", label="present").counts == {"present": 4}


def test_answers_without_a_label_are_no_targets_either(tmp_path: Path) -> None:
    run = made(tmp_path)
    for labels_given in ([None, None], ["present", None]):
        words = {"patch_id": ["a", "b"], "label": labels_given}
        path = sites(
            tmp_path / "a.geojson", [box(0, 0, 1, 1), box(2, 5, 1, 1)], "EPSG:4326", **words
        )
        with pytest.raises(ConfigError, match="has the attribute 'patch_id', as answers"):
            import_answers(run, path, annotator="ben")
    targets = {"patch_id": ["a"], "label": ["Present"]}  # picked from answers, and alike
    path = sites(tmp_path / "t.geojson", [box(2, 5, 1, 1)], "EPSG:4326", **targets)
    assert import_answers(run, path, annotator="ben").counts == {"present": 1}
    named = sites(tmp_path / "b.gpkg", [box(0, 0, 1, 1)], **{"class": ["quarry"]})
    assert import_answers(run, named, annotator="ben").counts == {"present": 1}


def test_sites_of_several_classes_are_not_all_taken_for_targets(tmp_path: Path) -> None:
    """Their words need not be the run's classes."""
    run = made(tmp_path)
    squares = [box(row, col, 1, 1) for row in (0, 2) for col in (0, 4)]
    kinds = {"class": ["clean", "dirty", "clean", None]}
    path = sites(tmp_path / "a.gpkg", squares, **kinds)
    several = r"attribute 'class' has several values \(clean, dirty\)"
    with pytest.raises(ConfigError, match=several) as caught:
        import_answers(run, path, annotator="ben")
    assert "--column class, or say" in str(caught.value.remedy)
    found = import_answers(run, path, annotator="ben", label="present").counts
    assert found == {"present": 4}
    repeated = sites(tmp_path / "b.gpkg", squares, label=["x", "y", "x", "y"])
    with pytest.raises(ConfigError, match=r"'label' has several values \(x, y\)"):
        import_answers(run, repeated, annotator="ann")
    names = sites(tmp_path / "c.gpkg", squares, label=["North", "East", "South", "West"])
    assert import_answers(run, names, annotator="ann").counts == {"present": 4}


@pytest.mark.parametrize("names", ["x,y", "Easting,Northing", "lon,lat"])
def test_a_csv_in_a_projected_crs(tmp_path: Path, names: str) -> None:
    run = made(tmp_path)
    (x, y), path = at(2.5, 3.5), tmp_path / "t.csv"
    path.write_text(f"name,{names}\na,{x},{y}\n")
    text = "not in degrees" if names == "lon,lat" else f"has no CRS; name it, .*--crs {rasters.UTM}"
    with pytest.raises(LayerError, match=text):
        import_answers(run, path, annotator="ben")
    import_answers(run, path, annotator="ben", crs=rasters.UTM)
    assert labels(run) == {"s/16/24": "present"}
    with pytest.raises(ConfigError, match="--crs 'utm 31' is not a CRS"):
        import_answers(run, path, annotator="ben", crs="utm 31")


def test_a_table_without_rows_has_no_sites(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("lon,lat\n")
    with pytest.raises(LayerError, match="has no features"):
        import_answers(made(tmp_path), path, annotator="ben")


def test_a_crs_is_for_files_without_one(tmp_path: Path) -> None:
    run = made(tmp_path)
    path = sites(tmp_path / "p.shp", [shapely.Point(at(0.5, 0.5))])
    with pytest.raises(LayerError, match=r"has a CRS of its own, .* not WGS 84; leave out --crs"):
        import_answers(run, path, annotator="ben", crs="EPSG:4326")
    path.with_suffix(".prj").unlink()
    import_answers(run, path, annotator="ben", crs=rasters.UTM)
    assert labels(run) == {"s/0/0": "present"}


def test_absence_answers_as_presence_does(tmp_path: Path) -> None:
    run = made(tmp_path)
    line = shapely.LineString([at(5.5, 5.5), at(5.5, 6.5)])
    path = sites(tmp_path / "p.gpkg", [shapely.Point(at(0.5, 0.5)), box(2, 2, 1, 1.6), line])
    import_answers(run, path, annotator="ben", label="absent")
    names = ["s/0/0", "s/16/16", "s/16/24", "s/40/40", "s/40/48"]
    assert labels(run) == dict.fromkeys(names, "absent")
    done = import_answers(run, path, annotator="ana")  # of others, who say present
    assert done.placed is not None and done.new == 0
    assert done.placed.kept == tuple(names) and labels(run) == dict.fromkeys(names, "absent")
    import_answers(run, path, annotator="ben", label="present")
    assert labels(run) == dict.fromkeys(names, "present")


def test_a_place_is_answered_under_the_name_it_was_answered_by(tmp_path: Path) -> None:
    for name in ("may", "june"):
        rasters.write_raster(tmp_path / f"{name}.tif", rasters.coordinates(SIDE, SIDE) + 1)
    scenes = [{"name": n, "path": str(tmp_path / f"{n}.tif")} for n in ("may", "june")]
    source = {"kind": "geotiff", "scenes": scenes, "patch_size": SIZE, "same_ground": "keep"}
    run = init(tmp_path / "run", {"source": source}).run
    before = ["june/0/0", "june/0/8", "june/0/16"]
    run.labels.append(
        [
            Answer(name, label, who, "2026-01-01T00:00:00Z", "b", 0)
            for name, label, who in zip(
                before, ["absent", "absent", "present"], ["ana", "ben", "ana"], strict=True
            )
        ],
        run.footprints(before),
    )
    path = sites(tmp_path / "p.gpkg", [shapely.Point(at(0.5, col + 0.5)) for col in range(4)])
    done = import_answers(run, path, annotator="ben")
    assert done.placed is not None
    assert (done.placed.kept, done.placed.changed) == (("june/0/0",), ("june/0/8",))
    expected = {"june/0/0": "absent"} | dict.fromkeys([*before[1:], "may/0/24"], "present")
    assert labels(run) == expected
    raster = classes(tmp_path / "c.tif", [[1] * 4] * 2)
    import_answers(run, raster, annotator="ben", values={"1": "absent"})
    assert labels(run) == expected | {"june/0/8": "absent"}  # no place has a second name


def test_folders_and_layers_of_ones_own(tmp_path: Path) -> None:
    run = made(tmp_path)
    with pytest.raises(LayerError, match=r"is a folder; name the file in it$"):
        import_answers(run, run.path, annotator="ben")  # a Parquet file is among its files
    point = [shapely.Point(at(0.5, 0.5))]
    gpd.GeoDataFrame(geometry=point, crs=rasters.UTM).to_file(tmp_path / "a.gpkg", layer="labels")
    import_answers(run, tmp_path / "a.gpkg", annotator="ben")  # the name is not what it is known by
    assert labels(run) == {"s/0/0": "present"}
    pyogrio.write_dataframe(pd.DataFrame({"a": [1]}), tmp_path / "t.gpkg", layer="t")
    with pytest.raises(LayerError, match="has no layer with geometry"):
        import_answers(run, tmp_path / "t.gpkg", annotator="ben")


@pytest.mark.parametrize("suffix", ["xlsx", "ods"])
def test_a_spreadsheet_says_how_answers_and_places_are_saved(tmp_path: Path, suffix: str) -> None:
    run = made(tmp_path)
    path = tmp_path / f"batch.{suffix}"  # as QGIS saves a batch
    pyogrio.write_dataframe(pd.DataFrame({"patch_id": ["s/0/0"], "label": ["present"]}), path)
    says = r"is a spreadsheet; save .* as CSV, answers with the columns patch_id and label, places"
    with pytest.raises(BatchError, match=says):
        import_answers(run, path, annotator="ben")


def test_files_that_are_no_sites_here(tmp_path: Path) -> None:
    run = made(tmp_path)
    far = sites(tmp_path / "far.gpkg", [shapely.Point(at(900, 900))])
    with pytest.raises(LayerError, match="its only site lies in no patch of"):
        import_answers(run, far, annotator="ben")
    with pytest.raises(LayerError, match="does not exist"):
        import_answers(run, tmp_path / "none.geojson", annotator="ben")
    with pytest.raises(BatchError, match="does not exist"):
        import_answers(run, tmp_path / "none.gpkg", annotator="ben")
    answers = tmp_path / "answers.csv"
    answers.write_text("patch_id,label,lon,lat\ns/0/8,absent,0,0\n")
    with pytest.raises(ConfigError, match="leave out --label"):
        import_answers(run, answers, annotator="ben", label="absent")
    import_answers(run, answers, annotator="ben")  # a table of patches, whatever else it has
    assert labels(run) == {"s/0/8": "absent"}
