"""Tables of vectors: each row at its place, and refused where they mislead."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from embeddings import numbered, squares, write_table
from parquet_types import write_own_type
from pyproj import CRS
from rasters import ORIGIN
from unreadable import forbid

from owl_geo.errors import SourceError
from owl_geo.settings.sources import VectorsSettings
from owl_geo.sources import open_source
from owl_geo.sources.base import PoolSource, windows_of
from owl_geo.sources.vectors import places
from owl_geo.sources.vectors.places import place
from owl_geo.sources.vectors.source import VectorSource
from owl_geo.sources.vectors.table import VectorTable
from owl_geo.sources.vectors.unopened import UnopenedVectors
from owl_geo.types import EMBEDDING, AnyArray
from owl_geo.verbs.same_ground import take_each_place_once

N, D = 20, 16


def opened(path: Path, **settings: object) -> PoolSource:
    source = open_source(VectorsSettings(path=str(path), **settings))  # type: ignore[arg-type]
    assert isinstance(source, PoolSource)
    return source


def centres(source: PoolSource) -> AnyArray:
    """Centres of the patches in UTM 31, in the order of the index."""
    utm = CRS("EPSG:32631")
    return np.concatenate([w.centres_in(utm) for _, w in windows_of(source).by_scene()])


def rows_of(source: PoolSource) -> list[int]:
    return [int(vector[0]) for _, part in source.stream() for vector in part[:, :, 0, 0]]


@pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:4326", "EPSG:32631", "EPSG:3857"])
@pytest.mark.parametrize("fixed", [True, False])
def test_each_row_is_a_patch_at_its_polygon(crs: str, fixed: bool, tmp_path: Path) -> None:
    places = squares(4, 5, 320.0, crs)
    path = write_table(tmp_path / "t.parquet", numbered(N, D), places, fixed=fixed)
    source = opened(path)
    assert source.bands == tuple(f"embedding_{i}" for i in range(D))
    assert {band.common for band in source.known_bands} == {EMBEDDING}
    assert source.patch_size == 1
    assert set(source.grids) == {"t"}
    assert source.grids["t"].crs == "EPSG:32631"
    assert len(source.index) == N
    assert source.index["patch_id"].iloc[6] == "t/1/1"  # the seventh of four rows of five
    right = shapely.get_coordinates(shapely.centroid(squares(4, 5, 320.0).array))
    np.testing.assert_allclose(centres(source), right, atol=0.1)
    footprints = np.concatenate([w.footprints() for _, w in windows_of(source).by_scene()])
    np.testing.assert_allclose(np.sqrt(shapely.area(footprints)), 320, rtol=1e-3)
    assert rows_of(source) == list(range(N))
    np.testing.assert_array_equal(source.read(["t/3/4"])[0, 1:, 0, 0], np.arange(1, D))


@pytest.mark.parametrize("degrees", [-2.0, 1.0, 3.0])
def test_squares_that_are_turned_a_little_are_no_larger(degrees: float, tmp_path: Path) -> None:
    """As those of a neighbouring zone are: the box around a turned square is larger than it."""
    turned = squares(4, 5, 320.0).rotate(degrees, origin="center")
    source = opened(write_table(tmp_path / "t.parquet", numbered(N, D), turned))
    (lattice,) = source.grids.values()
    assert (lattice.transform[0], -lattice.transform[4]) == pytest.approx((320, 320), rel=1e-6)
    right = shapely.get_coordinates(squares(4, 5, 320.0).centroid.array)
    np.testing.assert_allclose(centres(source), right, atol=0.1)


def test_points_have_the_square_of_their_spacing(tmp_path: Path) -> None:
    points = squares(4, 5, 320.0).centroid.to_crs("OGC:CRS84")
    source = opened(write_table(tmp_path / "t.parquet", numbered(N, D), points))
    (lattice,) = source.grids.values()
    assert lattice.transform[0] == pytest.approx(320, rel=1e-3)
    right = shapely.get_coordinates(squares(4, 5, 320.0).centroid.array)
    np.testing.assert_allclose(centres(source), right, atol=0.5)
    assert "20 of 20 rows kept, places of 320 x 320 m" in str(source.summary[0])


def test_a_stated_footprint_goes_before(tmp_path: Path) -> None:
    points = gpd.GeoSeries(
        gpd.points_from_xy(ORIGIN[0] + np.array([0, 1000, 5000]), [ORIGIN[1]] * 3), crs="EPSG:32631"
    )
    path = write_table(tmp_path / "t.parquet", numbered(3, D), points)
    with pytest.raises(SourceError, match="points do not tell the size of a place") as caught:
        opened(path)
    assert "--footprint METRES" in (caught.value.remedy or "")
    source = opened(path, footprint=500.0)
    np.testing.assert_allclose(centres(source)[:, 0], ORIGIN[0] + np.array([0, 1000, 5000]))
    assert [grid.transform[0] for grid in source.grids.values()] == [500.0]


def test_points_on_no_grid_are_moved_by_an_eighth_at_most(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    xy = ORIGIN + rng.uniform(0, 20_000, (60, 2))
    points = gpd.GeoSeries(gpd.points_from_xy(*xy.T), crs="EPSG:32631")
    source = opened(write_table(tmp_path / "t.parquet", numbered(60, D), points), footprint=400.0)
    rows = rows_of(source)
    assert sorted(rows) == list(range(60))
    off = np.abs(centres(source) - xy[rows])
    assert 8 < off.max() <= 400 / 8 + 1e-6
    assert "lie on no grid" in caplog.text


def test_a_table_over_two_zones_has_a_scene_in_each(tmp_path: Path) -> None:
    east = squares(1, 3, 320.0).set_crs("EPSG:32632", allow_override=True).to_crs("OGC:CRS84")
    west = squares(1, 5, 320.0, "OGC:CRS84")
    places = gpd.GeoSeries([*east, *west], crs="OGC:CRS84")
    source = opened(write_table(tmp_path / "t.parquet", numbered(8, D), places))
    assert {n: g.crs for n, g in source.grids.items()} == {"t": "EPSG:32631", "t_2": "EPSG:32632"}
    assert rows_of(source) == [3, 4, 5, 6, 7, 0, 1, 2]
    assert source.read(["t_2/0/2", "t/0/4"])[:, 0, 0, 0].tolist() == [2, 7]


def test_a_folder_of_parts_is_one_table(tmp_path: Path) -> None:
    places = squares(4, 5, 320.0, "OGC:CRS84")
    folder = tmp_path / "table"
    vectors = numbered(N, D)
    write_table(folder / "year=2024" / "part-1.parquet", vectors[12:], places[12:])
    write_table(folder / "year=2023" / "part-0.parquet", vectors[:12], places[:12])
    (folder / "_metadata").write_bytes(b"no Parquet")
    source = opened(folder)
    assert rows_of(source) == list(range(N))
    assert set(source.grids) == {"table"}


def test_a_part_in_a_folder_that_may_not_be_read_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for country in ("a", "b"):
        folder = tmp_path / "table" / f"country={country}"
        folder.mkdir(parents=True)
        write_table(folder / "part.parquet", numbered(N, D), squares(4, 5, 320.0, "EPSG:32631"))
    forbid(tmp_path / "table" / "country=b", monkeypatch)
    with pytest.raises(PermissionError, match="Permission denied"):
        opened(tmp_path / "table")


@pytest.mark.parametrize(
    ("log", "data", "name"),
    [
        ("_delta_log/0.json", ".", "Delta Lake"),
        ("_delta_log/0.json", "year=2024", "Delta Lake"),
        ("metadata/0.metadata.json", "data", "Apache Iceberg"),
        (".hoodie/hoodie.properties", ".", "Apache Hudi"),
    ],
)
def test_a_table_with_earlier_versions_in_its_folder_is_refused(
    log: str, data: str, name: str, tmp_path: Path
) -> None:
    """Its files are those of all versions, and only its log says which of them count."""
    for number in (0, 1):
        path = tmp_path / data / f"part-{number}.parquet"
        write_table(path, numbered(N, D), squares(4, 5, 320.0, "OGC:CRS84"))
    assert len(opened(tmp_path).index) == N  # without the log, parts of one table
    (tmp_path / log).parent.mkdir(parents=True)
    (tmp_path / log).write_text("{}", encoding="utf-8")
    for folder in {tmp_path, tmp_path / data}:
        with pytest.raises(SourceError, match=f"is a table of {name}, which keeps earlier"):
            opened(folder)


def test_wkb_without_metadata_needs_a_crs(tmp_path: Path) -> None:
    places = squares(4, 5, 320.0, "OGC:CRS84")
    path = write_table(tmp_path / "t.parquet", numbered(N, D), places, metadata=False)
    with pytest.raises(SourceError, match="does not say in which CRS") as caught:
        opened(path)
    assert "--crs EPSG:4326" in (caught.value.remedy or "")
    assert rows_of(opened(path, crs="EPSG:4326")) == list(range(N))


@pytest.mark.parametrize("crs", ["OGC:CRS84", "EPSG:32631"])
def test_parquets_own_geometries_say_their_crs(crs: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", minversion="21")
    path = write_table(tmp_path / "t.parquet", numbered(N, D), squares(4, 5, 320.0, crs))
    about = {} if crs == "OGC:CRS84" else {"crs": CRS(crs).to_json_dict()}
    source = opened(write_own_type(tmp_path / "own.parquet", pq.read_table(path), **about))
    right = shapely.get_coordinates(shapely.centroid(squares(4, 5, 320.0).array))
    np.testing.assert_allclose(centres(source), right, atol=0.1)
    assert rows_of(source) == list(range(N))


def test_what_says_web_mercator_over_degrees_is_refused(tmp_path: Path) -> None:
    places = squares(4, 5, 320.0, "OGC:CRS84").set_crs("EPSG:3857", allow_override=True)
    path = write_table(tmp_path / "t.parquet", numbered(N, D), places)
    with pytest.raises(SourceError, match="its CRS is EPSG:3857, but its coordinates are degrees"):
        opened(path)
    assert len(opened(path, crs="EPSG:4326").index) == N


def test_vectors_of_unequal_length_are_refused(tmp_path: Path) -> None:
    rows: list[list[float] | None] = [[1.0] * D for _ in range(N)]
    rows[9] = [1.0] * (D - 1)
    path = write_table(tmp_path / "t.parquet", rows, squares(4, 5, 320.0))
    with pytest.raises(SourceError, match="unequal length: row 9 has 15 numbers, others have 16"):
        opened(path).index  # noqa: B018


def test_rows_without_a_vector_are_left_out(tmp_path: Path) -> None:
    rows: list[list[float] | None] = numbered(N, D).tolist()
    rows[3], rows[4] = None, [float("nan")] * D
    source = opened(write_table(tmp_path / "t.parquet", rows, squares(4, 5, 320.0)))
    assert rows_of(source) == [row for row in range(N) if row not in (3, 4)]
    assert "18 of 20 rows kept" in str(source.summary[0])
    assert "2 without a vector" in str(source.summary[0])


def test_the_column_is_found_by_what_it_holds(tmp_path: Path) -> None:
    others = {"bbox": [[0.0, 0.0, 1.0, 1.0]] * N, "clay": [[1.0] * 12] * N, "tags": [["a"]] * N}
    path = write_table(tmp_path / "t.parquet", numbered(N, D), squares(4, 5, 320.0), others=others)
    with pytest.raises(SourceError, match=r"several columns of vectors: embedding \(16\), clay"):
        opened(path)
    assert opened(path, vector_column="clay").bands[-1] == "clay_11"
    with pytest.raises(SourceError, match="'tags' holds no lists of numbers"):
        opened(path, vector_column="tags")
    with pytest.raises(SourceError, match="'clai' is not there; did you mean 'clay'"):
        opened(path, vector_column="clai")


def test_a_table_without_vectors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    squares(2, 2, 10.0).to_frame("geometry").to_parquet(path)
    with pytest.raises(SourceError, match="no column of vectors"):
        opened(path)
    pq.write_table(pa.table({"v": [[1.0] * 9]}), path)
    with pytest.raises(SourceError, match="has no geometry"):
        opened(path)
    path.write_text("nothing")
    with pytest.raises(SourceError, match=r"cannot open .* as Parquet"):
        opened(path)


def test_polygons_of_many_sizes_are_refused(tmp_path: Path) -> None:
    sizes = np.array([100, 300, 900, 2700])
    x = ORIGIN[0] + np.arange(4) * 5000
    places = gpd.GeoSeries(
        shapely.box(x, ORIGIN[1], x + sizes, ORIGIN[1] + sizes), crs="EPSG:32631"
    )
    path = write_table(tmp_path / "t.parquet", numbered(4, D), places)
    with pytest.raises(SourceError, match=r"polygons differ in size, from 100 to 2\.7e"):
        opened(path)
    assert len(opened(path, footprint=300.0).index) == 4


def test_a_place_that_is_there_twice_is_that_of_the_first_row() -> None:
    xy = np.array([[0.0, 0.0], [100, 0], [0, 0], [200, 0], [np.nan, 0]]) + ORIGIN
    placed = place(xy, [(CRS("EPSG:32631"), len(xy))], "t", "t", None)
    (lattice,) = placed.lattices
    assert lattice.rows.tolist() == [0, 1, 3]
    assert (placed.again, placed.nowhere, placed.width) == (1, 1, pytest.approx(100))


def test_of_the_rows_of_a_place_one_that_has_a_vector_counts(tmp_path: Path) -> None:
    places = squares(1, 4, 320.0)
    twice = gpd.GeoSeries([*places, places.iloc[0], places.iloc[0], places.iloc[1]], crs=places.crs)
    vectors: list[list[float] | None] = [list(row) for row in numbered(7, D)]
    vectors[0] = None
    vectors[2] = [float("nan")] * D  # which no other row makes up for
    path = write_table(tmp_path / "t.parquet", vectors, twice, row_group=2)
    source = opened(path)
    assert dict(zip(source.index["patch_id"], rows_of(source), strict=True)) == {
        "t/0/0": 4,  # neither the first nor the last of them
        "t/0/1": 1,
        "t/0/3": 3,
    }
    assert "3 of places that another row has, 1 without a vector" in str(source.summary[0])
    table = UnopenedVectors(VectorsSettings(path=str(path)))
    for again in (table.open(source.index), table.open_again(source.index, (), source.grids)):
        assert rows_of(again) == rows_of(source)


def test_rows_of_cells_in_another_order() -> None:
    xy = np.array([[0.0, 0.0], [100, 0], [200, 0]]) + ORIGIN
    (lattice,) = place(xy, [(CRS("EPSG:32631"), 3)], "t", "t", None).lattices
    order = np.array([2, 0, 1])
    assert lattice.rows_at(lattice.row_off, lattice.col_off).tolist() == [0, 1, 2]
    assert lattice.rows_at(lattice.row_off[order], lattice.col_off[order]).tolist() == [2, 0, 1]
    assert lattice.rows_at(np.array([0, 7]), np.array([1, 0])).tolist() == [1, -1]


def test_a_stored_index_finds_its_rows_again(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.parquet", numbered(N, D), squares(4, 5, 320.0))
    settings = VectorsSettings(path=str(path))
    index = open_source(settings).index.iloc[[2, 5, 19]].reset_index(drop=True)
    assert rows_of(open_source(settings, index)) == [2, 5, 19]  # type: ignore[arg-type]
    index.loc[0, ["patch_id", "row_off", "col_off"]] = ["t/9/9", 9, 9]
    with pytest.raises(SourceError, match="the patch index has t/9/9"):
        open_source(settings, index)


def test_a_table_is_opened_again_without_its_geometries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_table(tmp_path / "t.parquet", numbered(N, D), squares(4, 5, 320.0))
    table = UnopenedVectors(VectorsSettings(path=str(path)))
    first = table.open()
    with monkeypatch.context() as patched:
        patched.setattr(VectorTable, "geometries", None)
        again = table.open_again(first.index, (), first.grids)
        assert again.bands == first.bands
    with monkeypatch.context() as patched:
        patched.setattr(places, "_size", None)  # the size of a place is known
        assert rows_of(again) == list(range(N))
    moved = write_table(tmp_path / "t.parquet", numbered(N, D), squares(4, 5, 160.0))
    with pytest.raises(SourceError, match=r"replaced: the places of 't' lie elsewhere"):
        rows_of(table.open_again(first.index, (), first.grids))
    assert moved == path


@pytest.mark.parametrize("as_points", [False, True])
def test_parts_in_crss_of_their_own_lie_where_each_says(as_points: bool, tmp_path: Path) -> None:
    west = squares(2, 5, 320.0)
    east = west.set_crs("EPSG:32632", allow_override=True)
    beside = west.translate(xoff=1600).to_crs("OGC:CRS84")
    for name, of_part, first in (("a", west, 0), ("b", east, 10), ("c", beside, 20)):
        vectors = numbered(30, D)[first : first + 10]
        shown = of_part.to_crs("EPSG:32631").centroid.to_crs(of_part.crs) if as_points else of_part
        write_table(tmp_path / "t" / f"{name}.parquet", vectors, shown)
    source = opened(tmp_path / "t")
    assert {n: g.crs for n, g in source.grids.items()} == {"t": "EPSG:32631", "t_2": "EPSG:32632"}
    assert rows_of(source) == [*range(10), *range(20, 30), *range(10, 20)]
    utm = CRS("EPSG:32631")
    right = [p.to_crs(utm).centroid for p in (west, beside, east)]
    np.testing.assert_allclose(
        centres(source), np.concatenate([shapely.get_coordinates(p.array) for p in right]), atol=0.1
    )


def test_parts_in_feet_and_in_metres_have_places_of_one_size(tmp_path: Path) -> None:
    foot = 1200 / 3937
    metres = squares(1, 5, 320.0).set_crs("EPSG:32618", allow_override=True)
    feet = gpd.GeoSeries(
        shapely.transform(squares(1, 4, 320.0).array, lambda xy: (xy - ORIGIN) / foot + 200_000),
        crs="EPSG:2263",
    )
    write_table(tmp_path / "t" / "a.parquet", numbered(5, D), metres)
    write_table(tmp_path / "t" / "b.parquet", numbered(4, D), feet)
    source = opened(tmp_path / "t")
    assert {g.crs: g.transform[0] for g in source.grids.values()} == {
        "EPSG:32618": pytest.approx(320),
        "EPSG:2263": pytest.approx(320 / foot),
    }
    assert len(source.index) == 9
    # feet are not exact: what was found once is found again
    settings = VectorsSettings(path=str(tmp_path / "t"))
    again = VectorSource(settings, source.index, grids=source.grids)
    assert rows_of(again) == rows_of(source)


@pytest.mark.parametrize("crs", ["ESRI:102100", "EPSG:3395", "EPSG:4087"])
def test_a_footprint_is_in_metres_on_the_ground_in_any_crs(crs: str, tmp_path: Path) -> None:
    places = squares(4, 5, 320.0).centroid
    path = write_table(tmp_path / "t.parquet", numbered(N, D), places.to_crs(crs))
    source = opened(path, footprint=320.0)
    assert {grid.crs for grid in source.grids.values()} == {"EPSG:32631"}
    assert rows_of(source) == list(range(N))
    np.testing.assert_allclose(centres(source), shapely.get_coordinates(places.array), atol=0.1)


@pytest.mark.parametrize("as_points", [False, True])
def test_empty_geometries_and_empty_vectors_are_none(as_points: bool, tmp_path: Path) -> None:
    places = squares(4, 5, 320.0)
    places = places.centroid if as_points else places
    places.iloc[3] = shapely.Point() if as_points else shapely.Polygon()
    places.iloc[4] = None
    vectors: list[list[float] | None] = [list(row) for row in numbered(N, D)]
    vectors[0] = []
    source = opened(write_table(tmp_path / "t.parquet", vectors, places))
    assert rows_of(source) == [1, 2, *range(5, N)]
    assert "17 of 20 rows kept" in str(source.summary[0])
    assert "2 without a geometry, 1 without a vector" in str(source.summary[0])


def test_a_table_may_begin_with_rows_or_a_part_without_vectors(tmp_path: Path) -> None:
    places = squares(50, 50, 320.0)
    vectors = [None] * 2490 + [list(row) for row in numbered(10, D)]
    source = opened(write_table(tmp_path / "t.parquet", vectors, places))
    assert rows_of(source) == list(range(10))
    gpd.GeoDataFrame({"embedding": []}, geometry=[], crs=4326).to_parquet(tmp_path / "a.parquet")
    parts = tmp_path / "parts"
    parts.mkdir()
    (tmp_path / "a.parquet").rename(parts / "a.parquet")
    (tmp_path / "t.parquet").rename(parts / "t.parquet")
    assert rows_of(opened(parts)) == list(range(10))


def test_a_part_without_vectors_of_numbers_is_named(tmp_path: Path) -> None:
    write_table(tmp_path / "t" / "a.parquet", numbered(N, D), squares(4, 5, 320.0))
    words = gpd.GeoDataFrame({"embedding": ["x"]}, geometry=squares(1, 1, 320.0))
    words.to_parquet(tmp_path / "t" / "b.parquet")
    with pytest.raises(SourceError, match=r"b\.parquet: the column 'embedding' holds no lists"):
        opened(tmp_path / "t")


def test_places_that_lie_on_others_are_left_out_and_counted(tmp_path: Path) -> None:
    points = squares(4, 5, 320.0).centroid
    source = opened(write_table(tmp_path / "t.parquet", numbered(N, D), points), footprint=640.0)
    assert take_each_place_once(source, "clearest")
    kept = len(source.index)
    assert 0 < kept < N
    assert f"{kept} of 20 rows kept" in str(source.summary[0])
    lost = f"{N - kept} half or more on the ground of another place"
    assert lost in str(source.summary[0])


def test_columns_of_a_table_without_vectors_are_named_by_type(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    wide = pa.table({f"f{i}": [1.0] for i in range(512)} | {"text": ["1,2"]})
    pq.write_table(wide, path)
    with pytest.raises(SourceError, match=r"it has f0 \.\.\. f511 \(double\), text \(string\)"):
        opened(path)
    words = pa.table({f"{'word' * 20}{i}x": [1.0] for i in range(512)})
    pq.write_table(words, path)
    with pytest.raises(SourceError, match=r"no column of vectors") as caught:
        opened(path)
    assert len(str(caught.value)) < 1000
    pq.write_table(wide[:0], path)
    with pytest.raises(SourceError, match="has no rows"):
        opened(path)


def test_a_stated_crs_that_is_none_or_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.parquet", numbered(N, D), squares(4, 5, 320.0))
    with pytest.raises(SourceError, match="crs is 'EPSG:99999', which is not a CRS; give a code"):
        opened(path, crs="EPSG:99999")
    with pytest.raises(SourceError, match="its CRS is EPSG:4326, but its coordinates are no degr"):
        opened(path, crs="EPSG:4326")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("year=2023/a", "year=2024/a"), "the row of year=2023 counts, which comes first, and not"),
        (("2023/a", "2024/a"), "the row of 2023 counts"),
        (("emb_2023", "emb_2024"), "by the names of its parts: the row of 2023 counts"),
        (("tile=31U/year=2023/a", "tile=31V/year=2024/a"), "the row of year=2023 counts"),
        (("tile=31U/a", "tile=31V/a"), None),
        (("part-0", "part-1"), None),
    ],
)
def test_places_of_several_years_are_said_to_be(
    names: tuple[str, str], told: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "table"
    first = squares(2, 4, 320.0)
    second = gpd.GeoSeries([*first.iloc[:3], *squares(3, 4, 320.0).iloc[8:]], crs=first.crs)
    for name, there in zip(names, (first, second), strict=True):
        write_table(folder / f"{name}.parquet", numbered(len(there), D), there)
    assert len(opened(folder).index) == 12
    if told is None:
        assert "several times" not in caplog.text
    else:
        assert "shows 3 places at several times" in caplog.text
        assert told in caplog.text


@pytest.mark.parametrize(
    ("column", "times", "told"),
    [
        ("year", pa.array([2023, 2024]), "by its column 'year': the row of 2023 counts"),
        ("datetime", pa.array(["2023-05-01", None]), "and not that of no time"),
        ("year", pa.array([2023, 2023]), None),
        ("created_at", pa.array([2023, 2024]), None),
        ("score", pa.array([0.1, 0.2]), None),
    ],
)
def test_places_that_a_column_has_at_several_times_are_said_to_be(
    column: str,
    times: pa.Array,
    told: str | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    places = squares(1, 4, 320.0)
    vectors: list[list[float] | None] = [list(row) for row in numbered(8, D)]
    vectors[6] = None  # of which nothing is lost
    twice = gpd.GeoSeries([*places, *places], crs=places.crs)
    others = {column: times.take(pa.array([0] * 4 + [1] * 4))}
    path = write_table(tmp_path / "t.parquet", vectors, twice, row_group=3, others=others)
    assert rows_of(opened(path)) == [0, 1, 2, 3]
    if told is None:
        assert "several times" not in caplog.text
    else:
        assert "shows 3 places at several times" in caplog.text
        assert told in caplog.text
