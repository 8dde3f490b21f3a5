"""A search in an embedding, from the tile to the map of probabilities."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import torch
from embeddings import by_hand, quantized, squares, unit_vectors, write_alphaearth, write_table
from in_process import Owl
from rasters import write_raster
from searches import label

import owl_geo
from owl_geo import Run
from owl_geo.features.table import feature_table
from owl_geo.reporting.quicklook import quicklook
from owl_geo.reporting.survey import Survey
from owl_geo.settings.learning import ModelSettings
from owl_geo.settings.sources import GeoTiffSettings, SceneSettings
from owl_geo.types import AnyArray
from owl_geo.verbs.preview import suitable_patch_size

SIDE = 40


@pytest.fixture(scope="module")
def pixels() -> AnyArray:
    """Two kinds of ground in squares of four pixels: rare vectors and frequent ones."""
    rng = np.random.default_rng(0)
    rare = rng.random((SIDE // 4, SIDE // 4)) < 0.2
    kind = np.kron(rare.astype(int), np.ones((4, 4), int))
    vectors = unit_vectors(2)[:, kind] + 0.05 * rng.normal(size=(64, SIDE, SIDE))
    return quantized(vectors / np.linalg.norm(vectors, axis=0))


@pytest.fixture(scope="module")
def folder(pixels: AnyArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aef")
    write_alphaearth(folder / "tile.tiff", pixels)
    image = np.random.default_rng(1).integers(100, 200, (3, SIDE, SIDE)).astype(np.uint16)
    write_raster(folder / "rgb.tif", image, descriptions=("red", "green", "blue"))
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    source = {
        "kind": "geotiff",
        "patch_size": 4,
        "scenes": [{"name": "tile", "path": str(folder / "tile.tiff")}],
    }
    image = {"scenes": [{"name": "rgb", "path": str(folder / "rgb.tif")}]}
    return owl_geo.init(folder / "run", {"source": source, "views": {"image": image}}).run


def test_a_patch_is_a_direction_and_a_spread(run: Run, pixels: AnyArray) -> None:
    table = feature_table(
        run.source, run.index.statistics, ModelSettings(), device=torch.device("cpu"), seed=0
    )
    assert table.names[:65] == (*(f"A{n:02}_mean" for n in range(64)), "embedding_spread")
    assert not any(name.startswith("A") for name in table.names[65:])  # those of the image
    # columns are scaled by median and quartiles, so that they correlate with the values by hand
    patches = by_hand(pixels).reshape(64, SIDE // 4, 4, SIDE // 4, 4).mean(axis=(2, 4))
    direction = (patches / np.linalg.norm(patches, axis=0)).reshape(64, -1)
    order = run.patches["row_off"] // 4 * (SIDE // 4) + run.patches["col_off"] // 4
    expected = direction[:, order]
    for column, by_us in zip(table.values.T[:64], expected, strict=False):
        assert np.corrcoef(column, by_us)[0, 1] > 0.95  # limited at ten scales


def test_patches_are_shown_as_the_image(run: Run) -> None:
    survey = Survey.of(run)
    assert [one.names for one in survey.composites] == [("image:red", "image:green", "image:blue")]
    look = survey.quicklook("tile")
    assert look is not None and 100 <= np.nanmin(look.values) <= np.nanmax(look.values) < 200


def test_a_quicklook_has_values_and_not_integers(run: Run, pixels: AnyArray) -> None:
    at = np.arange(len(run.patches), dtype=np.int64)
    look = quicklook(run.source, "tile", (0, 1, 2), at)
    np.testing.assert_allclose(look.values, by_hand(pixels)[:3], rtol=1e-5)


def test_init_says_that_few_pixels_make_a_patch(folder: Path, tmp_path: Path, owl: Owl) -> None:
    done = owl("init", tmp_path / "run", "--scene", folder / "tile.tiff", "--dry-run")
    assert "64: A00 ... A63\n" in done.out
    assert "4 pixels, for an embedding with pixels of 10 m" in done.out
    assert "1 to 8 are sensible" in done.out


@pytest.mark.parametrize(("side", "pixel", "size"), [(96, 10, 8), (40, 10, 4), (96, 100, 1)])
def test_the_patch_size_suits_an_embedding(side, pixel, size, tmp_path) -> None:
    path = write_alphaearth(tmp_path / "x.tif", np.ones((64, side, side), np.int8), pixel=pixel)
    scene = SceneSettings(name="x", path=str(path))
    found = suitable_patch_size(GeoTiffSettings(scenes=(scene,)))
    assert found is not None and found.pixels == size


def test_a_pixel_is_a_place(pixels: AnyArray, tmp_path: Path, owl: Owl) -> None:
    place, tile = tmp_path / "run", write_alphaearth(tmp_path / "tile.tiff", pixels[:, :12, :12])
    done = owl("init", place, "--scene", tile, "--patch-size", 1)
    assert f"{12**2} patches of 1 x 1 pixels" in done.out
    assert owl("query", place).code == 0
    run = Run(place)
    (record,) = run.rounds()
    assert len(record.patch_ids) == 20
    row, col = 7, 11
    np.testing.assert_allclose(
        run.source.read([f"tile/{row}/{col}"])[0, :, 0, 0], by_hand(pixels)[:, row, col], rtol=1e-5
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_pixel_of_an_image_is_a_place_too(size: int, folder: Path) -> None:
    source = {
        "kind": "geotiff",
        "patch_size": size,
        "scenes": [{"name": "rgb", "path": str(folder / "rgb.tif")}],
    }
    run = owl_geo.init(folder / f"of_{size}", {"source": source}).run
    table = feature_table(
        run.source, run.index.statistics, ModelSettings(), device=torch.device("cpu"), seed=0
    )
    assert np.isfinite(table.values).all()
    with rasterio.open(folder / "rgb.tif") as dataset:
        mean = dataset.read(1)[:size, :size].mean()
    assert run.source.read(["rgb/0/0"])[0, 0].mean() == pytest.approx(mean)
    is_mean = [name == "red_mean" for name in table.names]
    assert table.values[:, is_mean].std() > 0.5


@pytest.fixture(scope="module")
def of_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over a table of 60 rows, a third of which are targets, with an answered batch."""
    folder = tmp_path_factory.mktemp("table")
    is_target = np.arange(60) % 3 == 0
    rng = np.random.default_rng(2)
    vectors = unit_vectors(2)[:, is_target.astype(int)].T + 0.05 * rng.normal(size=(60, 64))
    write_table(folder / "aef.parquet", vectors.tolist(), squares(6, 10, 320.0, "OGC:CRS84"))
    source = {"kind": "vectors", "path": str(folder / "aef.parquet")}
    run = owl_geo.init(folder / "run", {"source": source, "loop": {"initial": 12}}).run
    entry = owl_geo.query(run)
    batch = run.batch_path(entry.number)
    row = {p: int(p.split("/")[1]) * 10 + int(p.split("/")[2]) for p in entry.patch_ids}
    label(batch, {p: "present" if row[p] % 3 == 0 else "absent" for p in entry.patch_ids})
    owl_geo.ingest(run, [batch], annotator="ana")
    return run.path


def test_a_search_in_a_table_finds_what_is_alike(of_table: Path) -> None:
    owl_geo.predict(of_table)
    found = gpd.read_file(of_table / "predictions" / "patches.gpkg", layer="predictions")
    rows = [int(p.split("/")[1]) * 10 + int(p.split("/")[2]) for p in found["patch_id"]]
    is_target = np.array(rows) % 3 == 0
    assert len(found) > 8 and is_target.all()  # as many as the answers left
    right = squares(6, 10, 320.0).iloc[rows]
    here = found.geometry.to_crs("EPSG:32631")
    shared = shapely.area(shapely.intersection(here.array, right.array))
    assert shared.min() > 0.99 * 320**2


def test_a_table_is_named_on_the_command_line(of_table: Path, tmp_path: Path, owl: Owl) -> None:
    table = of_table.parent / "aef.parquet"
    done = owl("init", tmp_path / "run", "--source", "vectors", "--scene", table)
    assert done.code == 0, done.err
    assert "60 patches of 1 x 1 pixels in EPSG:32631" in done.out
    assert "embedding_0 ... embedding_63\n" in done.out
    assert "aef: 60 of 60 rows kept, places of 320 x 320 m" in done.out
    done = owl("init", tmp_path / "run2", "--scene", table, "--footprint", "100")
    assert done.code == 2
    assert "--footprint goes with --source vectors" in done.err
    done = owl("init", tmp_path / "run2", "--scene", table)
    assert "a table of vectors? add --source vectors" in done.err
