"""Known sites answer the patches that they lie in, whatever their CRS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import rasters
import shapely

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
    assert "1 site of no class of the run: mill (1)" in capsys.readouterr().out
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


def test_files_that_are_no_sites_here(tmp_path: Path) -> None:
    run = made(tmp_path)
    far = sites(tmp_path / "far.gpkg", [shapely.Point(at(900, 900))])
    with pytest.raises(LayerError, match="none of its 1 site lies in a patch"):
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
