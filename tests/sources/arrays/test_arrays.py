"""TESSERA's tiles in NumPy arrays, laid out as geotessera lays them out."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from embeddings import LAND_MASKS, PLACE, TILES, random_tile, write_tile
from numpy.typing import NDArray
from rasterio.transform import xy
from rasters import write_raster

from owl_geo.errors import SourceError
from owl_geo.ground.grid import to_xy
from owl_geo.settings.sources import ArraysSettings, TileSettings
from owl_geo.sources.arrays.layout import named_tiles
from owl_geo.sources.arrays.source import ArraySource
from owl_geo.sources.arrays.unopened import UnopenedArrays
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.types import EMBEDDING

HEIGHT, WIDTH = 40, 24  # pixels; a turned array would not fit


def opened(*words: Path, **settings: Any) -> ArraySource:
    tiles = [word.split("=", 1) for word in named_tiles([str(word) for word in words])]
    scenes = tuple(TileSettings(name=name, path=path) for name, path in tiles)
    return ArraySource(ArraysSettings(scenes=scenes, **{"patch_size": 8, **settings}))


def tile(base: Path, seed: int = 0, **options: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Write a whole tile, and return its vectors and its scales."""
    vectors, scales = random_tile(HEIGHT, WIDTH, seed)
    write_tile(base, vectors=vectors, scales=scales, **options)
    return vectors, scales


def test_values_are_integers_times_the_scale_of_their_pixel(tmp_path: Path) -> None:
    vectors, scales = tile(tmp_path)
    source = opened(tmp_path)
    assert list(source.grids) == ["grid_0.15_52.05_2024"]
    assert source.known_bands[127] == KnownBand("Tessera_Band_127", EMBEDDING)
    assert len(source.bands) == 128
    assert len(source.index) == (HEIGHT // 8) * (WIDTH // 8)
    right = vectors.astype(np.float64) * scales[..., None]
    for row in source.index.itertuples():
        (patch,) = source.read([row.patch_id])
        here = right[row.row_off : row.row_off + 8, row.col_off : row.col_off + 8]
        np.testing.assert_allclose(patch, here.transpose(2, 0, 1), rtol=1e-6)
        np.testing.assert_allclose(
            patch.mean(axis=(1, 2)), here.reshape(-1, 128).mean(axis=0), atol=1e-6
        )


def test_pixels_lie_where_the_land_mask_has_them(tmp_path: Path) -> None:
    tile(tmp_path)
    grid = opened(tmp_path).grids["grid_0.15_52.05_2024"]
    with rasterio.open(tmp_path / LAND_MASKS / "grid_0.15_52.05.tiff") as mask:
        assert (grid.crs, grid.height, grid.width) == ("EPSG:32631", mask.height, mask.width)
        for row, col in ((0, 0), (0, WIDTH - 1), (HEIGHT - 1, 0), (17, 5)):
            x, y = xy(mask.transform, row, col)
            found = to_xy(grid, np.array(row + 0.5), np.array(col + 0.5))
            np.testing.assert_allclose(found, [x, y], atol=1e-6)


def test_the_same_as_the_geotiff_of_the_tile(tmp_path: Path) -> None:
    vectors, scales = tile(tmp_path / "npy")
    values = (vectors * scales[..., None]).transpose(2, 0, 1)
    path = write_raster(
        tmp_path / "grid_0.15_52.05_2024.tiff",
        values,
        crs="EPSG:32631",
        transform=PLACE,
        descriptions=tuple(f"Tessera_Band_{i}" for i in range(128)),
    )
    geotiff, arrays = GeoTiffSource(path, patch_size=8), opened(tmp_path / "npy")
    assert geotiff.grids == arrays.grids
    assert geotiff.known_bands == arrays.known_bands
    assert geotiff.index["patch_id"].tolist() == arrays.index["patch_id"].tolist()
    ids = geotiff.index["patch_id"].tolist()
    np.testing.assert_array_equal(geotiff.read(ids), arrays.read(ids))


@pytest.mark.parametrize("scale", [np.nan, np.inf, -np.inf, 0.0, -0.1, 1.0, 3e38])
def test_a_pixel_without_a_scale_is_missing(scale: float, tmp_path: Path) -> None:
    vectors, scales = random_tile(HEIGHT, WIDTH)
    scales[:2, :8] = scale
    write_tile(tmp_path, vectors=vectors, scales=scales)
    source = opened(tmp_path, min_valid=0.5)
    assert source.index["valid_fraction"].tolist() == [0.75] + [1.0] * 14
    (patch,) = source.read(source.index["patch_id"][:1].tolist())
    seen = (vectors[2:8, :8].astype(float) * scales[2:8, :8, None]).reshape(-1, 128)
    np.testing.assert_allclose(patch.mean(axis=(1, 2)), seen.mean(axis=0), atol=1e-5)
    assert len(opened(tmp_path, min_valid=0.9).index) == 14


def test_what_the_land_mask_calls_water_has_a_vector_if_it_has_a_scale(tmp_path: Path) -> None:
    tile(tmp_path, mask=np.zeros((HEIGHT, WIDTH), np.uint8))
    assert opened(tmp_path).index["valid_fraction"].tolist() == [1.0] * 15


def test_scales_may_differ_from_number_to_number(tmp_path: Path) -> None:
    vectors, scales = random_tile(HEIGHT, WIDTH)
    each = scales[..., None] * np.linspace(0, 1, 128, dtype=np.float32)
    each[0, 0, 5] = np.nan
    write_tile(tmp_path, vectors=vectors, scales=each)
    source = opened(tmp_path)
    assert source.index["valid_fraction"].tolist() == [63 / 64] + [1.0] * 14
    (patch,) = source.read(source.index["patch_id"][14:].tolist())
    right = (vectors.astype(float) * each)[32:40, 16:24].transpose(2, 0, 1)
    np.testing.assert_allclose(patch, right, rtol=1e-6)


def test_arrays_in_fortrans_order_and_big_endian_are_read_right(tmp_path: Path) -> None:
    vectors, scales = random_tile(HEIGHT, WIDTH)
    write_tile(tmp_path, vectors=np.asfortranarray(vectors), scales=scales.astype(">f4"))
    source = opened(tmp_path)
    (patch,) = source.read(source.index["patch_id"][14:].tolist())
    right = (vectors * scales[..., None])[32:40, 16:24].transpose(2, 0, 1)
    np.testing.assert_array_equal(patch, right)


# --- where the files lie --------------------------------------------------------------------------


def _cache(base: Path) -> Path:
    """Move a tile into the layout of geotessera's cache before 0.7."""
    shutil.move(base / TILES / "2024", base / "v1" / "2024")
    shutil.move(base / LAND_MASKS / "grid_0.15_52.05.tiff", base / "v1")
    return base / "v1"


def _mirror(base: Path) -> Path:
    """Move a tile into the layout of the publisher's repository."""
    (base / "landmasks").mkdir()
    shutil.move(base / TILES / "2024", base / "npy" / "v1.1-cam" / "2024")
    shutil.move(base / LAND_MASKS, base / "landmasks" / "v1.1")
    return base / "npy"


def _bucket(base: Path) -> Path:
    (base / "v1.1").mkdir()
    shutil.move(base / TILES, base / "v1.1" / f"{TILES}.cambridge")
    shutil.move(base / LAND_MASKS, base / "v1.1")
    return base


def _flat(base: Path) -> Path:
    for path in list(base.rglob("grid*.*")):
        if path.is_file():
            shutil.move(path, base)
    return base


def _as_is(base: Path) -> Path:
    return base


@pytest.mark.parametrize(
    ("layout", "name", "edition"),
    [
        (_as_is, "grid_0.15_52.05_2024", ""),
        (_cache, "grid_0.15_52.05_2024", "TESSERA 1"),
        (_mirror, "grid_0.15_52.05_2024", "TESSERA 1.1 (cambridge)"),
        (_bucket, "grid_0.15_52.05_2024", "TESSERA 1.1 (cambridge)"),
        (_flat, "grid_0.15_52.05", ""),
    ],
)
def test_every_layout_of_geotessera_is_read(
    layout: Callable[[Path], Path], name: str, edition: str, tmp_path: Path
) -> None:
    vectors, scales = tile(tmp_path)
    source = opened(layout(tmp_path))
    assert list(source.grids) == [name]
    assert source.scene(name).bands[0].edition == edition
    (patch,) = source.read(source.index["patch_id"][14:].tolist())
    right = (vectors * scales[..., None])[32:40, 16:24].transpose(2, 0, 1)
    np.testing.assert_array_equal(patch, right)


def _export(folder: Path, **changed: Any) -> NDArray[np.float32]:
    """Write a tile as geotessera 0.5 and 0.6 export it; return its values."""
    vectors, scales = random_tile(HEIGHT, WIDTH)
    values = vectors * scales[..., None]
    values[:2, :8] = np.nan
    np.save(folder / "embedding_52.05_0.15.npy", values)
    table = {
        "shape": list(values.shape),
        "bands": list(range(128)),
        "crs": "EPSG:32631",
        "transform": list(PLACE),
        "year": 2024,
        "dataset_version": "v1",
    }
    path = folder / "embedding_52.05_0.15.json"
    path.write_text(json.dumps(table | changed), encoding="utf-8")
    write_raster(folder / "landmask_52.05_0.15.tif", np.ones((1, HEIGHT, WIDTH), np.uint8))
    return values


def test_an_export_of_values_is_placed_by_its_metadata(tmp_path: Path) -> None:
    values = _export(tmp_path)
    source = opened(tmp_path, min_valid=0.5)
    grid = source.grids["embedding_52.05_0.15"]
    assert (grid.crs, grid.transform) == ("EPSG:32631", tuple(PLACE)[:6])
    assert source.index["valid_fraction"].tolist() == [0.75] + [1.0] * 14
    assert source.scene("embedding_52.05_0.15").bands[0].edition == "TESSERA 1"
    (patch,) = source.read(source.index["patch_id"][14:].tolist())
    np.testing.assert_array_equal(patch, values[32:40, 16:24].transpose(2, 0, 1))
    with pytest.raises(SourceError, match="add --source arrays"):
        GeoTiffSource(tmp_path)  # of which the land mask is the one raster


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"crs": None}, "does not say where"),
        ({"crs": "here"}, "does not say where"),
        ({"transform": [1, 2]}, "does not say where"),
        ({"transform": [0, 0, 0, 0, 0, 0]}, "puts its pixels nowhere"),
        ({"bands": [3, 1, 2]}, "a vector only together"),
    ],
)
def test_an_export_without_a_place_is_refused(
    changed: dict[str, Any], why: str, tmp_path: Path
) -> None:
    _export(tmp_path, **changed)
    with pytest.raises(SourceError, match=why):
        opened(tmp_path)


def test_all_tiles_of_a_folder_are_scenes_the_newest_year_first(tmp_path: Path) -> None:
    tile(tmp_path, 1, year=2023)
    tile(tmp_path, 2, year=2024)
    east = PLACE @ rasterio.Affine.translation(WIDTH, 0)
    tile(tmp_path, 3, name="grid_0.25_52.05", year=2024, transform=east)
    names = ["grid_0.15_52.05_2024", "grid_0.25_52.05_2024", "grid_0.15_52.05_2023"]
    for word in (tmp_path, tmp_path / TILES):
        assert list(opened(word).grids) == names
    pattern = tmp_path / TILES / "*/grid_0.15*/*.npy"
    assert list(opened(pattern).grids) == [
        "grid_0.15_52.05_2023",
        "grid_0.15_52.05_2024",
    ]
    source = opened(tmp_path)
    assert source.dates == {}
    middle = source.index["scene"].tolist().index("grid_0.25_52.05_2024")
    vectors, scales = random_tile(HEIGHT, WIDTH, 3)
    (patch,) = source.read([source.index["patch_id"][middle]])
    np.testing.assert_array_equal(patch, (vectors * scales[..., None])[:8, :8].transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        (("1.0", "vultr"), ("1.1", "cambridge"), False),
        (("1.1", "cambridge"), ("1.1", "dclimate"), False),
        (("v1", ""), ("1.0", "vultr"), True),
    ],
)
def test_versions_are_never_mixed(
    one: tuple[str, str], other: tuple[str, str], fits: bool, tmp_path: Path
) -> None:
    tile(tmp_path / "a", version=one[0], variant=one[1])
    tile(tmp_path / "b", name="grid_0.25_52.05", version=other[0], variant=other[1])
    tile(tmp_path / "b")
    source = opened(tmp_path / "a", tmp_path / "b")
    assert list(source.grids) == [
        "a_grid_0.15_52.05_2024",
        "b_grid_0.15_52.05_2024",
        "grid_0.25_52.05_2024",
    ]
    if fits:
        source.check_bands()
    else:
        with pytest.raises(SourceError, match="vectors of different versions cannot be compared"):
            source.check_bands()


# --- what is refused ------------------------------------------------------------------------------


def _without_scales(path: Path) -> None:
    path.with_name("grid_0.15_52.05_scales.npy").unlink()


def _without_mask(path: Path) -> None:
    (path.parents[3] / LAND_MASKS / "grid_0.15_52.05.tiff").unlink()


def _turned(path: Path) -> None:
    np.save(path, np.load(path).transpose(1, 0, 2))
    scales = path.with_name("grid_0.15_52.05_scales.npy")
    np.save(scales, np.load(scales).T)


def _bands_first(path: Path) -> None:
    np.save(path, np.load(path).transpose(2, 0, 1))


def _values(path: Path) -> None:
    np.save(path, np.load(path).astype(np.float32))


def _unsigned(path: Path) -> None:
    np.save(path, np.load(path).view(np.uint8))


def _short_scales(path: Path) -> None:
    np.save(path.with_name("grid_0.15_52.05_scales.npy"), np.ones((HEIGHT, 1), np.float32))


def _whole_scales(path: Path) -> None:
    np.save(path.with_name("grid_0.15_52.05_scales.npy"), np.ones((HEIGHT, WIDTH), np.int16))


def _broken(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def _pickled(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def _placeless(path: Path) -> None:
    mask = path.parents[3] / LAND_MASKS / "grid_0.15_52.05.tiff"
    write_raster(mask, np.ones((1, HEIGHT, WIDTH), np.uint8), crs=None)


def _bad_metadata(path: Path) -> None:
    (path.parents[3] / "tessera_metadata.json").write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_without_scales, "has no scales beside it"),
        (_without_mask, "has no land mask, the raster that says where it lies"),
        (_turned, r"24 x 40 pixels \(rows x columns\) and .*grid_0.15_52.05.tiff 40 x 24"),
        (_bands_first, "which are no scales of"),
        (_values, r"is float32 \(40, 24, 128\), not int8"),
        (_unsigned, r"is uint8 \(40, 24, 128\), not int8"),
        (_short_scales, r"is float32 \(40, 1\), which are no scales"),
        (_whole_scales, r"is int16 \(40, 24\), which are no scales"),
        (_broken, r"cannot read .* \(is the file whole\?\)"),
        (_pickled, "cannot read"),
        (_placeless, "has no CRS"),
        (_bad_metadata, "cannot read .*tessera_metadata.json"),
    ],
)
def test_what_does_not_say_enough_is_refused(
    spoil: Callable[[Path], None], why: str, tmp_path: Path
) -> None:
    vectors, scales = random_tile(HEIGHT, WIDTH)
    path = write_tile(tmp_path, vectors=vectors, scales=scales)
    spoil(path)
    with pytest.raises(SourceError, match=why) as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("scene 'grid_0.15_52.05_2024': ")


def test_names_that_mean_no_tile_are_refused(tmp_path: Path) -> None:
    tile(tmp_path)
    with pytest.raises(SourceError, match="has no tiles of TESSERA's in NumPy arrays"):
        opened(tmp_path / LAND_MASKS)
    with pytest.raises(SourceError, match="has no tiles of TESSERA's in NumPy arrays"):
        opened(tmp_path / "*.npy")
    folder = tmp_path / TILES / "2024" / "grid_0.15_52.05"
    with pytest.raises(SourceError, match="holds scales, not vectors"):
        opened(folder / "grid_0.15_52.05_scales.npy")
    gone = TileSettings(name="gone", path=str(tmp_path / "grid_1.05_1.05.npy"))
    with pytest.raises(SourceError, match=r"scene 'gone': .* does not exist"):
        ArraySource(ArraysSettings(scenes=(gone,)))


def test_tiles_that_cannot_be_read_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    tile(tmp_path)
    tile(tmp_path, name="grid_0.25_52.05")
    (tmp_path / LAND_MASKS / "grid_0.25_52.05.tiff").unlink()
    words = [word.split("=", 1) for word in named_tiles([str(tmp_path)])]
    scenes = tuple(TileSettings(name=name, path=path) for name, path in words)
    source = UnopenedArrays(ArraysSettings(scenes=scenes)).open(on_error="skip")
    assert list(source.grids) == ["grid_0.15_52.05_2024"]
    assert [one.name for one in source.failed] == ["grid_0.25_52.05_2024"]


def test_a_changed_file_of_a_tile_is_noticed(tmp_path: Path) -> None:
    tile(tmp_path)
    (word,) = named_tiles([str(tmp_path)])
    name, _, path = word.partition("=")
    unopened = UnopenedArrays(ArraysSettings(scenes=(TileSettings(name=name, path=path),)))
    (files,) = unopened.files.values()
    assert [Path(file).name for file in files] == [
        "grid_0.15_52.05.npy",
        "grid_0.15_52.05_scales.npy",
        "grid_0.15_52.05.tiff",
    ]
    before = unopened.identity(unopened.settings).scenes
    assert unopened.identity(unopened.settings).scenes == before
    for file in files:
        np.save(Path(file).with_suffix(".npy"), np.zeros(5)) if file.endswith(".npy") else (
            Path(file).write_bytes(b"other")
        )
        after = unopened.identity(unopened.settings).scenes
        assert after != before
        before = after


def test_streams_with_memory_that_does_not_grow_with_the_tile(tmp_path: Path) -> None:
    vectors = np.ones((2000, 300, 128), np.int8)  # 77 MB, of which the values would be 307 MB
    scales = np.full((2000, 300), 0.05, np.float32)
    write_tile(tmp_path, vectors=vectors, scales=scales)
    del vectors
    source = opened(tmp_path)
    source.index  # noqa: B018 - the scan
    tracemalloc.start()
    try:
        count = sum(len(patches) for _, patches in source.stream())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 250 * 37
    # two chunks of 64 MiB at once, and the patches cut from one
    assert peak < 220 * 2**20
