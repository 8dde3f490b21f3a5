"""A search in TESSERA's tiles as NumPy arrays, from the download to the map of probabilities."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from embeddings import LAND_MASKS, PLACE, TILES, random_tile, write_tile
from in_process import Owl
from rasters import write_raster
from searches import label

import owl_geo
from owl_geo import Run
from owl_geo.types import AnyArray

HEIGHT, WIDTH = 48, 64  # pixels, 6 x 8 patches
SIZE = ("--patch-size", "8")


def two_kinds(seed: int) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return vectors and scales of ground of which a third is alike, and which patches that are."""
    vectors, scales = random_tile(HEIGHT, WIDTH, seed)
    rare = np.random.default_rng(seed).random((HEIGHT // 8, WIDTH // 8)) < 0.33
    kinds = np.random.default_rng(99).integers(-90, 90, (2, 128))
    kind = np.kron(rare.astype(int), np.ones((8, 8), int))
    return (kinds[kind] + vectors // 8).astype(np.int8), scales, rare


@pytest.fixture
def download(tmp_path: Path) -> Path:
    folder = tmp_path / "download"
    for number, name in enumerate(("grid_0.15_52.05", "grid_0.25_52.05")):
        vectors, scales, _ = two_kinds(number)
        place = PLACE @ rasterio.Affine.translation(number * WIDTH, 0)
        write_tile(folder, name, vectors=vectors, scales=scales, transform=place, version="1.0")
    return folder


def _is_target(patch_id: str) -> bool:
    name, row, col = patch_id.split("/")
    seed = int(name.startswith("grid_0.25"))
    return bool(two_kinds(seed)[2][int(row) // 8, int(col) // 8])


def _answer(run: Path, number: int) -> None:
    batch = Run(run).batch_path(number)
    ids = gpd.read_file(batch, layer="batch")["patch_id"]
    label(batch, {p: "present" if _is_target(p) else "absent" for p in ids})
    owl_geo.ingest(Run(run), [batch], annotator="ana")


def test_a_search_from_the_folder_of_a_download_to_maps(
    download: Path, tmp_path: Path, owl: Owl
) -> None:
    run = tmp_path / "run"
    done = owl("init", run, "--source", "arrays", "--scene", download, *SIZE, "--initial", "20")
    assert done.code == 0, done.err
    assert "96 patches of 8 x 8 pixels in EPSG:32631" in done.out
    assert "Tessera_Band_0 ... Tessera_Band_127\n" in done.out
    assert "grid_0.25_52.05_2024: 48 of 48 windows kept" in done.out
    assert owl("query", run).code == 0
    _answer(run, 0)
    assert owl("query", run).code == 0
    done = owl("like", run, "grid_0.15_52.05_2024/0/0")
    assert done.code == 0, done.err
    alike = gpd.read_file(run / "like.gpkg")["patch_id"]
    right = _is_target("grid_0.15_52.05_2024/0/0")
    assert [_is_target(p) for p in alike[:10]] == [right] * 10
    done = owl("predict", run)
    assert done.code == 0, done.err
    with rasterio.open(run / "predictions" / "probability" / "grid_0.25_52.05_2024.tif") as found:
        probabilities = found.read(1)
        assert found.crs.to_epsg() == 32631
        assert found.transform.c == PLACE.c + 10 * WIDTH
        assert found.transform.f == PLACE.f
    rare = two_kinds(1)[2]
    assert probabilities.shape == rare.shape
    assert probabilities[rare].min() > probabilities[~rare].max()
    for command in ("report", "status", "plot"):
        done = owl(command, run)
        assert done.code == 0, done.err


def test_tiles_join_a_run_and_those_of_another_version_do_not(
    download: Path, tmp_path: Path, owl: Owl
) -> None:
    run = tmp_path / "run"
    first = download / TILES / "2024" / "grid_0.15_52.05"
    assert owl("init", run, "--source", "arrays", "--scene", first, *SIZE).code == 0
    done = owl("add", run, "--scene", download, "--mask", download / "mask.tif")
    assert done.code == 1
    assert "--mask goes with rasters" in done.err
    done = owl("add", run, "--scene", download)
    assert done.code == 0, done.err
    assert list(Run(run).grids) == ["grid_0.15_52.05_2024", "grid_0.25_52.05_2024"]
    assert len(Run(run).source.index) == 96
    vectors, scales, _ = two_kinds(3)
    further = tmp_path / "further"
    write_tile(further, "grid_0.35_52.05", vectors=vectors, scales=scales, version="1.1")
    done = owl("add", run, "--scene", further)
    assert done.code == 1
    assert "of TESSERA 1 and scene 'grid_0.35_52.05_2024' of TESSERA 1.1" in done.err
    assert len(Run(run).source.index) == 96


def test_ground_of_two_years_is_in_the_pool_once(download: Path, tmp_path: Path, owl: Owl) -> None:
    vectors, scales, _ = two_kinds(0)
    write_tile(download, vectors=vectors, scales=scales, year=2023)
    done = owl("init", tmp_path / "run", "--source", "arrays", "--scene", download)
    assert done.code == 0, done.err
    assert "pixels, for an embedding with pixels of 10 m" in done.out
    assert set(Run(tmp_path / "run").source.index["scene"]) == {
        "grid_0.15_52.05_2024",
        "grid_0.25_52.05_2024",
    }


def test_an_image_is_the_view_of_arrays(download: Path, tmp_path: Path, owl: Owl) -> None:
    image = np.random.default_rng(0).integers(1, 200, (3, 60, 140)).astype(np.uint16)
    path = write_raster(
        tmp_path / "rgb.tif",
        image,
        crs="EPSG:32631",
        transform=PLACE,
        descriptions=("red", "green", "blue"),
    )
    run = tmp_path / "run"
    words = ("init", run, "--source", "arrays", "--scene", download, *SIZE)
    done = owl(*words, "--view", f"image={path}")
    assert done.code == 0, done.err
    source = Run(run).source
    (patch,) = source.read(["grid_0.25_52.05_2024/8/16"])
    at = source.bands.index("image:red")
    np.testing.assert_array_equal(patch[at], image[0, 8:16, WIDTH + 16 : WIDTH + 24])
    assert owl("query", run).code == 0
    done = owl("report", run)
    assert done.code == 0, done.err


def test_other_sources_say_how_arrays_are_read(download: Path, tmp_path: Path, owl: Owl) -> None:
    tile = download / TILES / "2024" / "grid_0.15_52.05" / "grid_0.15_52.05.npy"
    mask = download / LAND_MASKS / "grid_0.15_52.05.tiff"
    for named in (download, tile, tile.parent, mask):
        done = owl("init", tmp_path / "run", "--scene", named)
        assert done.code == 1
        assert "add --source arrays" in done.err
    for named in (download, tile):
        done = owl("init", tmp_path / "run", "--source", "cube", "--scene", named)
        assert done.code == 1
        assert "add --source arrays" in done.err, done.err
    done = owl("init", tmp_path / "run", "--scene", mask, "--view", f"t={tile}")
    assert done.code == 1
    words = ("init", tmp_path / "run", "--source", "arrays", "--scene", download)
    done = owl(*words, "--bands", "1,2")
    assert done.code == 2
    assert "--bands" in done.err
