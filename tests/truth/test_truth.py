"""Ground truth per patch, and the part that is held out."""

from __future__ import annotations

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from scene_windows import pool_at, windows_at

from owl_geo.errors import ConfigError, LayerError
from owl_geo.measures.metrics import RoundMetrics, roc_auc, to_csv
from owl_geo.settings import owl_toml
from owl_geo.settings.truth import EvaluationSettings
from owl_geo.sources.base import build_index
from owl_geo.truth.held_out import hold_out
from owl_geo.truth.oracle import truth_labels
from owl_geo.types import SceneGrid

SIZE = 10  # pixels a side, of 10 m


class Checkerboard:
    """A source without pixels: 4 x 6 patches of 100 m in UTM 32N."""

    patch_size = SIZE
    bands = ("one",)

    def __init__(self, edge: float = 10.0, west: float = 5e5, north: float = 5e6) -> None:
        grid = SceneGrid("s", "EPSG:32632", (edge, 0.0, west, 0.0, -edge, north), 40, 60)
        self.grids: Mapping[str, SceneGrid] = {"s": grid}
        rows, cols = (part.ravel() for part in np.mgrid[0:40:SIZE, 0:60:SIZE])
        self.index = build_index([windows_at(rows, cols, SIZE, grid)], {})


def labels(oracle: dict, classes=("absent", "present"), source=None) -> np.ndarray:
    scenes = [{"name": "s", "path": "s.tif"}]
    settings = owl_toml.parse(
        {
            "classes": list(classes),
            "positive": classes[1],
            "source": {"kind": "geotiff", "scenes": scenes},
            "oracle": oracle,
        },
        "test",
    )
    return truth_labels(settings, source or Checkerboard()).reshape(4, 6)


def square(col: float, row: float, cols: float, rows: float) -> shapely.Polygon:
    """A rectangle in patches, from the upper left corner."""
    x, y = 5e5 + 100 * col, 5e6 - 100 * row
    return shapely.box(x, y - 100 * rows, x + 100 * cols, y)


def layer(path, geometries, crs="EPSG:32632", **columns) -> str:
    frame = gpd.GeoDataFrame(columns, geometry=geometries, crs=crs)
    frame.to_file(path)
    return str(path)


def test_polygons_by_overlap_share(tmp_path) -> None:
    path = layer(tmp_path / "t.gpkg", [square(0, 0, 1.6, 1), square(4, 2, 0.4, 1)])
    found = labels({"path": path})
    assert np.argwhere(found == "present").tolist() == [[0, 0], [0, 1]]
    found = labels({"path": path, "min_share": 0.3})
    assert np.argwhere(found == "present").tolist() == [[0, 0], [0, 1], [2, 4]]
    assert set(found[found != "present"]) == {"absent"}


def test_polygons_in_another_crs_and_with_a_class_column(tmp_path) -> None:
    geometries = gpd.GeoSeries([square(0, 0, 1, 1), square(2, 1, 2, 1)], crs="EPSG:32632")
    path = layer(
        tmp_path / "t.gpkg", geometries.to_crs(4326), crs="EPSG:4326", kind=["gold", "coal"]
    )
    found = labels({"path": path, "column": "kind", "values": {"present": ["coal"]}})
    assert np.argwhere(found == "present").tolist() == [[1, 2], [1, 3]]
    several = labels(
        {"path": path, "column": "kind", "values": {"mine": ["gold"], "pit": ["coal"]}},
        classes=("none", "mine", "pit"),
    )
    assert several[0, 0] == "mine"
    assert several[1, 2] == "pit"
    assert several[3, 5] == "none"


@pytest.mark.parametrize("column", ["label", "class"])
def test_polygons_of_several_classes_are_not_all_targets(tmp_path, column: str) -> None:
    shapes = [square(0, 0, 1, 1), square(4, 2, 1, 1)]
    path = layer(tmp_path / "t.gpkg", shapes, **{column: ["Absent", "present"]})
    with pytest.raises(ConfigError, match=rf"'{column}' names absent too.*--oracle-column"):
        labels({"path": path})
    path = layer(tmp_path / "u.gpkg", shapes, patch_id=["s/0/0", "s/20/40"])
    with pytest.raises(ConfigError, match="attribute 'patch_id', as answers to patches have"):
        labels({"path": path})
    path = layer(tmp_path / "v.gpkg", shapes * 2, **{column: ["quarry", "pond"] * 2})
    with pytest.raises(ConfigError, match=rf"'{column}' has several values \(pond, quarry\)"):
        labels({"path": path})
    path = layer(tmp_path / "w.gpkg", shapes, **{column: ["quarry", None]})
    assert (labels({"path": path}) == "present").sum() == 2


def test_points_count_for_the_patch_they_lie_in(tmp_path) -> None:
    points = [shapely.Point(5e5 + 150, 5e6 - 250), shapely.Point(5e5 + 350, 5e6 - 50)]
    path = layer(tmp_path / "t.gpkg", points, code=[1, 2])
    found = labels({"path": path})
    assert np.argwhere(found == "present").tolist() == [[0, 3], [2, 1]]
    oracle = {"path": path, "column": "code", "values": {"present": ["2"]}, "elsewhere": "unknown"}
    found = labels(oracle)
    assert found[0, 3] == "present"
    assert found[2, 1] == "absent"  # a point of another class: the place was looked at
    assert sum(label is None for label in found.ravel()) == 22


def test_a_point_on_an_edge_lies_in_one_patch(tmp_path) -> None:
    """As pixels do, a patch has its upper and left edge, and not the lower and right one."""
    at = [(100, 50), (200, 200), (350, 300)]  # on an edge, on a corner, on an edge below
    path = layer(tmp_path / "t.gpkg", [shapely.Point(5e5 + x, 5e6 - y) for x, y in at])
    assert np.argwhere(labels({"path": path}) == "present").tolist() == [[0, 1], [2, 2], [3, 3]]


def test_a_point_may_lie_in_several_patches_that_overlap(tmp_path) -> None:
    path = layer(tmp_path / "t.gpkg", [shapely.Point(5e5 + 150, 5e6 - 50)])
    source = Checkerboard()
    rows, cols = np.zeros(24, dtype=np.int64), np.arange(24)  # a pixel further each, of 10 m
    source.index = build_index([windows_at(rows, cols, SIZE, source.grids["s"])], {})
    found = labels({"path": path}, source=source).ravel()
    assert np.flatnonzero(found == "present").tolist() == list(range(6, 16))


def test_classes_that_share_a_patch_alike_are_not_known(tmp_path) -> None:
    """Whatever their order, and unlike a class beside the background."""
    values = {"mine": ["mine"], "field": ["field"]}
    points = [shapely.Point(5e5 + x, 5e6 - 50) for x in (130, 170, 230, 270, 330)]
    shapes = [*points, square(4, 0, 0.5, 1), square(4.5, 0, 0.5, 1)]
    kinds = ["mine", "field", "mine", "none", "field", "field", "mine"]
    for order in (slice(None), slice(None, None, -1)):
        path = layer(tmp_path / f"t{order.step}.gpkg", shapes[order], kind=kinds[order])
        for names in (("none", "mine", "field"), ("none", "field", "mine")):
            oracle = {"path": path, "column": "kind", "values": values}
            found = labels(oracle, classes=names)
            assert found[0].tolist() == ["none", None, "mine", "field", None, "none"]


def test_a_line_counts_for_the_patches_that_it_crosses(tmp_path) -> None:
    row = [(5e5 + 150, 5e6 - 250), (5e5 + 350, 5e6 - 250)]
    path = layer(tmp_path / "t.gpkg", [shapely.LineString(row)])
    assert np.argwhere(labels({"path": path}) == "present").tolist() == [[2, 1], [2, 2], [2, 3]]
    found = labels({"path": path, "elsewhere": "unknown"})
    assert sum(label is None for label in found.ravel()) == 21


def test_lines_that_may_be_outlines_are_told(tmp_path, caplog) -> None:
    shapes = [square(0.1, 0.1, 2.8, 2.8), square(3.1, 0.1, 1.8, 1.8)]
    outlines = [shapely.LineString(shape.exterior) for shape in shapes]
    found = labels({"path": layer(tmp_path / "t.gpkg", outlines)})
    assert found[1].tolist() == ["present", "absent", "present", "present", "present", "absent"]
    assert "2 lines end where they begin, and lines count for the patches" in caplog.text
    caplog.clear()
    labels({"path": layer(tmp_path / "u.gpkg", shapes)})
    assert "begin" not in caplog.text


def test_all_parts_of_a_collection_count(tmp_path) -> None:
    parts = [square(0, 0, 1, 1), shapely.Point(5e5 + 350, 5e6 - 50)]
    path = tmp_path / "t.geojson"
    crs84 = gpd.GeoSeries([shapely.GeometryCollection(parts)], crs="EPSG:32632").to_crs(4326)
    crs84.to_file(path)
    found = labels({"path": str(path), "min_share": 0.9})
    assert np.argwhere(found == "present").tolist() == [[0, 0], [0, 3]]


@pytest.mark.parametrize("missing", [None, "", " "])
def test_a_feature_without_a_class_tells_nothing(tmp_path, missing: str | None) -> None:
    shapes = [square(col, 0, 1, 1) for col in range(3)]
    path = layer(tmp_path / "t.gpkg", shapes, kind=["present", missing, "forest"])
    found = labels({"path": path, "column": "kind", "elsewhere": "unknown"})
    assert found[0, :4].tolist() == ["present", None, "absent", None]
    assert labels({"path": path, "column": "kind"})[0, 1] == "absent"


def test_a_class_in_another_case_is_told(tmp_path, caplog) -> None:
    shapes = [square(col, 0, 1, 1) for col in range(4)]
    path = layer(tmp_path / "t.gpkg", shapes, kind=["mine", "Mine", " mine ", "MINE"])
    oracle = {"path": path, "column": "kind", "values": {"present": ["mine"]}}
    found = labels(oracle)
    assert np.argwhere(found == "present").tolist() == [[0, 0], [0, 2]]
    assert "2 features have kind = MINE or Mine, in another case" in caplog.text
    caplog.clear()
    oracle["values"] = {"present": ["mine", "Mine", "MINE"]}
    assert (labels(oracle) == "present").sum() == 4
    assert "another case" not in caplog.text


def test_a_value_that_no_feature_has_is_told_beside_those_that_exist(tmp_path, caplog) -> None:
    shapes = [square(col, 0, 1, 1) for col in range(3)]
    path = layer(tmp_path / "t.gpkg", shapes, kind=["mine", "sand, gravel", "Pit"])
    values = ["mine", "sand", "gravel", "pit"]  # as a list with commas is cut
    found = labels({"path": path, "column": "kind", "values": {"present": values}})
    assert np.argwhere(found == "present").tolist() == [[0, 0]]
    assert "no feature has kind = sand or gravel; if that is a mistake" in caplog.text
    caplog.clear()
    values = ["mine", "sand, gravel", "Pit"]
    found = labels({"path": path, "column": "kind", "values": {"present": values}})
    assert (found == "present").sum() == 3
    assert "no feature has" not in caplog.text


def test_classes_that_the_truth_has_and_the_settings_leave_out_are_told(tmp_path, caplog) -> None:
    kinds = ["mine", "pit", "pit", "pond", "none", "unsure"]
    shapes = [square(col, 0, 1, 1) for col in range(6)]
    oracle = {"path": layer(tmp_path / "t.gpkg", shapes, kind=kinds), "column": "kind"}
    classes = ("none", "mine", "pit")
    assert set(labels(oracle, classes)[0, 1:]) == {"none"}
    assert "2 features have kind = pit, as a class of the run is called" in caplog.text
    assert "they count as none; if they are meant, name the values of pit too" in caplog.text
    caplog.clear()
    several = {"mine": ["mine"], "pit": ["pit"]}
    assert labels({**oracle, "values": several}, classes)[0, :3].tolist() == ["mine", "pit", "pit"]
    assert "as a class of the run" not in caplog.text


def test_what_is_searched_for_has_its_own_name_where_values_are_of_others(tmp_path) -> None:
    shapes = [square(0, 0, 1, 1), square(2, 1, 1, 1)]
    path = layer(tmp_path / "t.gpkg", shapes, kind=["mine", "coal"])
    oracle, classes = {"path": path, "column": "kind"}, ("none", "mine", "pit")
    found = labels({**oracle, "values": {"pit": ["coal"]}}, classes)
    assert (found[0, 0], found[1, 2], (found == "none").sum()) == ("mine", "pit", 22)
    with pytest.raises(LayerError, match=r"no feature has kind = gold; there are 'coal', 'mine'"):
        labels({**oracle, "values": {"pit": ["coal"]}}, ("none", "gold", "pit"))
    raster = str(tmp_path / "t.tif")
    transform = rasterio.Affine(10.0, 0.0, 5e5, 0.0, -10.0, 5e6)
    options = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(raster, "w", height=40, width=60, transform=transform, **options) as file:
        file.write(np.full((40, 60), 7, dtype=np.uint8), 1)
    with pytest.raises(ConfigError, match=r"oracle\.values\.mine is missing; it has 7; name"):
        labels({"path": raster, "values": {"pit": ["7"]}}, classes)


def test_what_ground_beyond_a_truth_counts_as_is_told(tmp_path, caplog) -> None:
    path = layer(tmp_path / "t.gpkg", [square(0, 0, 1, 1)])
    labels({"path": path})
    assert "the area beyond counts as absent" in caplog.text
    labels({"path": path, "elsewhere": "unknown"})
    assert "the area beyond counts as unknown" in caplog.text


def test_a_class_raster(tmp_path, caplog) -> None:
    path = str(tmp_path / "t.tif")
    pixels = np.full((40, 60), 3, dtype=np.uint8)
    pixels[0:10, 0:6] = 7  # 60 % of the first patch
    pixels[10:20, 0:4] = 7  # 40 % of the one below
    pixels[30:40, 50:60] = 0  # nothing is known of the last
    transform = rasterio.Affine(10.0, 0.0, 5e5, 0.0, -10.0, 5e6)
    options = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 0, "crs": "EPSG:32632"}
    with rasterio.open(path, "w", height=40, width=60, transform=transform, **options) as file:
        file.write(pixels, 1)
    found = labels({"path": path, "values": {"present": ["7"]}})
    assert np.argwhere(found == "present").tolist() == [[0, 0]]
    assert found[3, 5] is None
    found = labels({"path": path, "values": {"present": ["7"]}, "min_share": 0.4})
    assert np.argwhere(found == "present").tolist() == [[0, 0], [1, 0]]
    with pytest.raises(ConfigError, match=r"it has 3, 7; name the values that mean 'present'"):
        labels({"path": path})
    with pytest.raises(ConfigError, match=r"oracle\.column needs a vector layer"):
        labels({"path": path, "values": {"present": ["7"]}, "column": "class"})
    assert "no pixel" not in caplog.text
    found = labels({"path": path, "values": {"present": ["7", "12", "3.5"]}})
    assert np.argwhere(found == "present").tolist() == [[0, 0]]
    assert "no pixel of any patch has 12 or 3.5; if that is a mistake" in caplog.text
    assert "it has 3, 7" in caplog.text
    with pytest.raises(LayerError, match="no pixel of any patch has 99"):
        labels({"path": path, "values": {"present": ["99"]}})


def test_ground_that_is_not_known_decides_nothing(tmp_path) -> None:
    """Of a patch that is known in part, the class is known where the rest cannot change it."""
    pixels = np.full((40, 60), 3, dtype=np.uint8)
    shares = ((0, 0.9), (0.3, 0.3), (0.45, 0.5), (0.1, 0.5), (0.5, 0.5), (0, 0.4))
    for col, (target, unknown) in enumerate(shares):
        flat = np.full(SIZE * SIZE, 3, dtype=np.uint8)
        n_target, n_unknown = round(100 * target), round(100 * unknown)
        flat[:n_target], flat[100 - n_unknown :] = 7, 0
        pixels[:SIZE, SIZE * col : SIZE * (col + 1)] = flat.reshape(SIZE, SIZE)
    path = str(tmp_path / "t.tif")
    transform = rasterio.Affine(10.0, 0.0, 5e5, 0.0, -10.0, 5e6)
    options = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 0, "crs": "EPSG:32632"}
    with rasterio.open(path, "w", height=40, width=60, transform=transform, **options) as file:
        file.write(pixels, 1)
    found = labels({"path": path, "values": {"present": ["7"]}})
    assert found[0].tolist() == [None, None, None, None, "present", "absent"]
    found = labels({"path": path, "values": {"present": ["7"]}, "min_share": 0.3})
    assert found[0].tolist() == [None, "present", "present", None, "present", None]
    assert set(found[1:].ravel()) == {"absent"}
    several = {"present": ["7"], "other": ["3"]}
    found = labels({"path": path, "values": several}, classes=("none", "present", "other"))
    assert found[0].tolist() == [None, None, None, None, "present", "other"]


def test_polygons_that_map_a_part_of_a_patch(tmp_path) -> None:
    shapes = [square(col, 0, share, 1) for col, share in enumerate((0.3, 0.7, 0.3, 0.7))]
    shapes += [square(4, 0, 0.4, 1), square(4.4, 0, 0.6, 1)]
    kinds = ["field", "field", "mine", "mine", "mine", "field"]
    path = layer(tmp_path / "t.gpkg", shapes, kind=kinds)
    oracle = {"path": path, "column": "kind", "values": {"present": ["mine"]}}
    found = labels({**oracle, "elsewhere": "unknown"})
    assert found[0].tolist() == [None, "absent", None, "present", "absent", None]
    found = labels({**oracle, "elsewhere": "unknown", "min_share": 0.2})
    assert found[0].tolist() == [None, None, "present", "present", "present", None]
    found = labels(oracle)
    assert found[0].tolist() == ["absent", "absent", "absent", "present", "absent", "absent"]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7])
def test_a_share_that_is_the_threshold_suffices(tmp_path, share: float) -> None:
    # on a grid as Landsat's, the areas of such polygons are rarely the very share
    edge, west, north = 28.49999999927454, 288776.25000080315, 9120760.750028737
    left, top = np.meshgrid(np.arange(0, 60, SIZE), np.arange(0, 40, SIZE))
    right = west + edge * (left + round(SIZE * share))
    low, high = north - edge * (top + SIZE), north - edge * top
    path = layer(tmp_path / "t.gpkg", shapely.box(west + edge * left, low, right, high).ravel())
    source = Checkerboard(edge, west, north)
    found = labels({"path": path, "min_share": share}, source=source)
    assert set(found.ravel()) == {"present"}
    found = labels({"path": path, "min_share": share + 0.01}, source=source)
    assert set(found.ravel()) == {"absent"}


@pytest.mark.parametrize("n", [17, 45, 46])
def test_a_raster_share_that_is_the_threshold_suffices(tmp_path, n: int) -> None:
    # of 100 pixels, n have one of two values: a third of them and two thirds, summed as floats
    pixels = np.full((40, 60), 9, np.uint8)
    pixels[:SIZE, :SIZE].flat[:n], pixels[:SIZE, :SIZE].flat[: n // 3] = 1, 2
    path = str(tmp_path / "t.tif")
    options = {"driver": "GTiff", "width": 60, "height": 40, "count": 1, "dtype": "uint8"}
    transform = rasterio.transform.from_origin(5e5, 5e6, 10, 10)
    with rasterio.open(
        path, "w", crs="EPSG:32632", transform=transform, nodata=0, **options
    ) as dst:
        dst.write(pixels, 1)
    found = labels({"path": path, "values": {"present": ["1", "2"]}, "min_share": n / 100})
    assert found[0, 0] == "present"
    assert set(found[:, 1:].ravel()) == {"absent"}


def test_ground_of_several_classes_is_known_once(tmp_path) -> None:
    # two classes on the same two fifths of a patch: the rest of it is not known, and may be present
    shapes = [square(0, 0, 0.4, 1)] * 2 + [square(2, 0, 0.6, 1)] * 2
    kind = ["present", "road", "road", "field"]
    path = layer(tmp_path / "t.gpkg", shapes, kind=kind)
    found = labels({"path": path, "column": "kind", "elsewhere": "unknown", "min_share": 0.8})
    assert found[0, 0] is None
    assert found[0, 2] == "absent"  # two fifths are left, less than it takes


def test_a_class_raster_of_several_bands_is_told(tmp_path, caplog) -> None:
    transform = rasterio.Affine(10.0, 0.0, 5e5, 0.0, -10.0, 5e6)
    options = {"driver": "GTiff", "dtype": "uint8", "crs": "EPSG:32632", "transform": transform}
    for count, alpha, warns in ((1, False, False), (2, True, False), (2, False, True)):
        path = str(tmp_path / f"{count}{alpha}.tif")
        alphas = {"ALPHA": "YES"} if alpha else {}
        with rasterio.open(path, "w", height=40, width=60, count=count, **options, **alphas) as to:
            to.write(np.full((count, 40, 60), 7, dtype=np.uint8))
        caplog.clear()
        found = labels({"path": path, "values": {"present": ["7"]}})
        assert (found == "present").all()
        assert ("has 2 bands (1, 2), of which only the first counts" in caplog.text) == warns


def test_a_class_that_is_declared_to_be_no_data_is_told(tmp_path, caplog) -> None:
    transform = rasterio.Affine(10.0, 0.0, 5e5, 0.0, -10.0, 5e6)
    options = {"driver": "GTiff", "dtype": "uint8", "crs": "EPSG:32632", "transform": transform}
    path = str(tmp_path / "classes.tif")
    values = np.full((1, 40, 60), 7, dtype=np.uint8)
    values[..., 30:] = 1
    for nodata, scale, meant, warns in (
        (1, 1.0, ["1", "7"], True),
        (1, 1.0, ["7"], False),
        (None, 1.0, ["1", "7"], False),
        (1, 0.5, ["0.5", "3.5"], True),
    ):
        with rasterio.open(
            path, "w", height=40, width=60, count=1, nodata=nodata, **options
        ) as dataset:
            dataset.write(values)
            dataset.scales = (scale,)
        caplog.clear()
        labels({"path": path, "values": {"present": meant}})
        said = f"classes.tif: {scale:g} is its value for no data, so no pixel counts as that"
        assert (said in caplog.text) == warns
        assert ("no data" in caplog.text) == warns


def test_a_truth_that_cannot_serve(tmp_path) -> None:
    with pytest.raises(LayerError, match="does not exist"):
        labels({"path": str(tmp_path / "missing.gpkg")})
    path = layer(tmp_path / "t.gpkg", [square(0, 0, 1, 1)], kind=["gold"])
    with pytest.raises(LayerError, match="did you mean 'kind'"):
        labels({"path": path, "column": "kinds", "values": {"present": ["gold"]}})
    with pytest.raises(LayerError, match="no feature has kind = coal; there are 'gold'"):
        labels({"path": path, "column": "kind", "values": {"present": ["coal"]}})
    with pytest.raises(ConfigError, match=r"that holds gold; the file has kind"):
        labels({"path": path, "values": {"present": ["gold"]}})
    far = layer(tmp_path / "far.gpkg", [shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    with pytest.raises(LayerError, match="covers none of the scenes"):
        labels({"path": far})


def grid_index(rows: int, cols: int, step: int = 8) -> pd.DataFrame:
    row, col = (part.ravel() * step for part in np.mgrid[0:rows, 0:cols])
    return pd.DataFrame({"scene": "s", "row_off": row, "col_off": col})


def test_a_blocked_split_keeps_neighbours_together() -> None:
    index = grid_index(40, 40)
    settings = EvaluationSettings(block_size=5)
    held, test = hold_out(pool_at(index, 8), settings, np.random.default_rng(0))
    assert (held == test).all()
    assert test.mean() == pytest.approx(0.2, abs=0.02)
    blocks = test.reshape(8, 5, 8, 5).transpose(0, 2, 1, 3).reshape(64, 25)
    assert set(blocks.sum(axis=1)) == {0, 25}
    again, _ = hold_out(pool_at(index, 8), settings, np.random.default_rng(0))
    other, _ = hold_out(pool_at(index, 8), settings, np.random.default_rng(1))
    assert (held == again).all()
    assert (held != other).any()


def test_overlapping_patches_do_not_leak_into_the_test() -> None:
    index = grid_index(40, 40, step=4)  # patches of 8, a stride of 4
    held, test = hold_out(
        pool_at(index, 8), EvaluationSettings(block_size=4), np.random.default_rng(0)
    )
    assert test.any()
    boxes = shapely.box(
        index["col_off"], index["row_off"], index["col_off"] + 8, index["row_off"] + 8
    )
    tested = shapely.union_all(boxes[test])
    free = shapely.area(shapely.intersection(boxes[~held], tested))
    assert free.max() == 0


@pytest.mark.parametrize("split", ["blocks", "random"])
def test_rare_targets_are_held_out_and_left_to_find(split: str) -> None:
    index = grid_index(40, 40)
    settings = EvaluationSettings(split=split, block_size=5 if split == "blocks" else None)
    truth = np.full(1600, "absent", dtype=object)
    truth[[0, 820, 1599]] = "present"  # in three of 64 blocks
    truth[1] = None
    blind = 0
    for seed in range(40):
        pool = pool_at(index, 8)
        first = hold_out(pool, settings, np.random.default_rng(seed))
        held, test = hold_out(pool, settings, np.random.default_rng(seed), truth, "present")
        found = [(truth[part] == "present").any() for part in (first[1], ~first[0])]
        assert {"absent", "present"} <= set(truth[test]) & set(truth[~held])
        assert all(found) == bool((held == first[0]).all())  # a good draw stays what it was
        blind += not all(found)
    assert blind > 5
    lonely = np.where(np.arange(1600) == 7, "present", "absent").astype(object)
    only, _ = hold_out(pool, settings, np.random.default_rng(0), lonely, "present")
    assert (only == hold_out(pool, settings, np.random.default_rng(0))[0]).all()


def test_a_random_split_and_none_at_all() -> None:
    index = grid_index(10, 10)
    settings = EvaluationSettings(split="random")
    held, _ = hold_out(pool_at(index, 8), settings, np.random.default_rng(0))
    assert held.sum() == 20
    none, _ = hold_out(
        pool_at(index, 8), EvaluationSettings(test_share=0), np.random.default_rng(0)
    )
    assert not none.any()


def test_one_block_is_no_split() -> None:
    with pytest.raises(ConfigError, match="all 4 patches lie in one block"):
        settings = EvaluationSettings(block_size=9)
        hold_out(pool_at(grid_index(2, 2), 8), settings, np.random.default_rng(0))


def test_auc_is_not_a_number_where_there_is_one_class() -> None:
    assert roc_auc(np.array([True, False]), np.array([0.9, 0.1])) == 1.0
    assert np.isnan(roc_auc(np.array([True, True]), np.array([0.9, 0.1])))
    assert np.isnan(roc_auc(np.array([False]), np.array([0.9])))


def test_metrics_as_json_and_csv() -> None:
    row = RoundMetrics(1, 20, 3, 0.5, float("nan"), 0.7, 1.25, 380, test_ap=0.25, stability=0.9)
    text = to_csv([row])
    assert text.splitlines() == [
        "round,n_labeled,positives_found,train_loss,test_auc,meta_query_loss,seconds,n_pool,"
        "test_ap,test_ece,cv_auc,stability",
        "1,20,3,0.5,nan,0.7,1.25,380,0.25,nan,nan,0.9",
    ]
    assert row.to_json()["test_auc"] is None
    assert to_csv([RoundMetrics.from_json(row.to_json())]) == text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"present": ["mine"], "absent": ["mine"]}, "'mine' is among the values of two classes"),
        ({"present": ["mine", " "]}, r"oracle\.values\.present has an empty value"),
    ],
)
def test_values_that_mean_nothing_or_two_things(tmp_path, values: dict, said: str) -> None:
    path = layer(tmp_path / "t.gpkg", [square(0, 0, 8, 8)], kind=["mine"])
    with pytest.raises(ConfigError, match=said):
        labels({"path": path, "column": "kind", "values": values})
