"""Views: what they show on the grid of a pool's patches, and what counts as a change."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from after_a_fork import digest, read_at_once
from pyproj import Transformer
from rasterio import Affine
from rasterio.transform import from_origin
from rasters import ORIGIN, coordinates, make_landsat, make_safe, write_raster

from owl_geo.errors import SourceError
from owl_geo.ground.grid import to_xy
from owl_geo.settings import owl_toml
from owl_geo.settings.sources import SceneSettings, ViewSettings
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.base import PoolSource, windows_of
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.statistics import band_statistics
from owl_geo.sources.views import reading
from owl_geo.sources.views.levels import ViewLevels
from owl_geo.sources.views.measuring import check_ground, with_views
from owl_geo.sources.views.opening import check_views, open_views, shared_bands
from owl_geo.sources.views.unopened import named_views

SIZE = 8
SIDE = 64  # pixels of 10 m of the pool's scene


def scene(path: Path) -> SceneSettings:
    return SceneSettings(name=path.stem, path=str(path))


def seen(source: PoolSource, *rasters: Path | SceneSettings, **table: Any) -> PoolSource:
    """A source with one view, ``old``."""
    scenes = tuple(scene(one) if isinstance(one, Path) else one for one in rasters)
    views = open_views({"old": ViewSettings(scenes=scenes, **table)})
    return with_views(source, views, seed=0)[0]


def pool(folder: Path, **profile: Any) -> GeoTiffSource:
    values = np.random.default_rng(0).integers(100, 200, (2, SIDE, SIDE)).astype("uint16")
    path = write_raster(folder / "now.tif", values, descriptions=("red", "nir"), **profile)
    return GeoTiffSource(path, patch_size=SIZE)


def everything(source: PoolSource) -> dict[str, np.ndarray]:
    patches = source.read(source.index["patch_id"].tolist())
    return {name: patches[:, i] for i, name in enumerate(source.bands)}


def where_pixels_lie(source: PoolSource, crs: str) -> np.ndarray:
    """The coordinates of the centre of each pixel of each patch, ``(n, size, size, 2)``."""
    windows = windows_of(source)
    inside = np.arange(source.patch_size) + 0.5
    row = windows.row_off[:, None, None] + inside[:, None] + np.zeros(len(inside))
    col = windows.col_off[:, None, None] + inside[None, :] + np.zeros((len(inside), 1))
    (grid,) = source.grids.values()
    xy = to_xy(grid, row, col)
    there = Transformer.from_crs(grid.crs, crs, always_xy=True).transform(xy[..., 0], xy[..., 1])
    return np.stack(there, axis=-1)


def of_coordinates(
    path: Path, crs: str, transform: Affine, height: int, width: int, **profile: Any
) -> Path:
    """A raster whose bands are the x and y of its pixels, seen from its first one."""
    row, col = np.mgrid[:height, :width] + 0.5
    x, y = transform.a * col, transform.e * row  # from the first corner
    values = np.stack([x, y]).astype("float32")
    names = ("x", "y")
    return write_raster(path, values, crs=crs, transform=transform, descriptions=names, **profile)


IN_DEGREES = Affine(0.0002, 0, 2.998, 0, -0.0003, 51.4525)
GRIDS = {
    "finer": ("EPSG:32631", Affine(4, 0, 499_950, 0, -4, 5_700_070), 200, 200, 0.05),
    "coarser": ("EPSG:32631", Affine(37, 0, 499_800, 0, -37, 5_700_300), 40, 40, 0.02),
    "other zone": ("EPSG:32632", Affine(12, 0, 82_000, 0, -12, 5_718_600), 250, 250, 0.2),
    "degrees": ("EPSG:4326", IN_DEGREES, 60, 80, 2e-6),
    "south up": ("EPSG:32631", Affine(15, 0, 499_900, 0, 15, 5_699_000), 90, 90, 0.02),
}


@pytest.mark.parametrize("name", GRIDS)
def test_values_lie_where_they_are_on_the_ground(name: str, tmp_path: Path) -> None:
    crs, transform, height, width, tolerance = GRIDS[name]
    old = of_coordinates(tmp_path / "old.tif", crs, transform, height, width)
    source = seen(pool(tmp_path), old)
    found = everything(source)
    alone = source.read([source.index["patch_id"].iloc[-1]])
    assert np.array_equal(alone[0], [values[-1] for values in found.values()])
    assert list(found) == ["red", "nir", "old:x", "old:y", "old:seen"]
    assert (found["old:seen"] == 1).all()
    there = where_pixels_lie(pool(tmp_path), crs) - (transform.c, transform.f)
    np.testing.assert_allclose(found["old:x"], there[..., 0], atol=tolerance)
    np.testing.assert_allclose(found["old:y"], there[..., 1], atol=tolerance)


def test_the_first_of_several_scenes_that_has_a_pixel_counts(tmp_path: Path) -> None:
    first = np.full((1, SIDE, SIDE), 5.0, "float32")
    first[:, :, SIDE // 2 :] = -9999
    first[:, 3, 3] = np.nan
    one = write_raster(tmp_path / "one.tif", first, nodata=-9999, descriptions=("height",))
    two = write_raster(
        tmp_path / "two.tif", np.full((1, SIDE, SIDE), 8, "uint8"), descriptions=("height",)
    )
    far = from_origin(ORIGIN[0] + 50_000, ORIGIN[1], 10, 10)
    elsewhere = write_raster(tmp_path / "e.tif", first, transform=far, descriptions=("height",))
    found = everything(seen(pool(tmp_path), elsewhere, one, two))["old:height"]
    whole = found.reshape(8, 8, SIZE, SIZE).swapaxes(1, 2).reshape(SIDE, SIDE)
    expected = np.where(np.arange(SIDE) < SIDE // 2, 5.0, 8.0) + np.zeros((SIDE, 1))
    expected[3, 3] = 8
    assert np.array_equal(whole, expected)
    other_way = everything(seen(pool(tmp_path), two, one))["old:height"]
    assert (other_way == 8).all()


def test_scale_offset_and_a_mask_are_heeded(tmp_path: Path) -> None:
    old = write_raster(
        tmp_path / "old.tif",
        np.full((1, SIDE, SIDE), 30, "int16"),
        scales=(0.5,),
        offsets=(-5.0,),
    )
    clouds = np.zeros((1, SIDE, SIDE), "uint8")
    clouds[:, :SIZE, :SIZE] = 3  # all of the first patch
    clouds[:, :SIZE, SIZE : SIZE + 2] = 3  # a quarter of the second
    mask = write_raster(tmp_path / "mask.tif", clouds)
    masked = SceneSettings(name="old", path=str(old), mask=str(mask))
    found = everything(seen(pool(tmp_path), masked, mask_bad=(3,)))
    assert (found["old:band_1"] == 10).all()
    assert (found["old:seen"][0] == 0).all()
    assert found["old:seen"][1].mean() == 0.75
    assert (found["old:seen"][2:] == 1).all()
    with pytest.raises(SourceError, match="view 'old': mask_bad has bad values, but no scene"):
        seen(pool(tmp_path), old, mask_bad=(3,))


def test_nothing_is_invented_where_a_view_has_nothing(tmp_path: Path) -> None:
    values = coordinates(SIDE, SIDE, 2, "float32")
    values[0, :, SIDE // 2 :] = np.nan  # one band is enough
    values[:, 1, 1] = np.nan
    old = write_raster(tmp_path / "old.tif", values, descriptions=("red", "slope"))
    source = seen(pool(tmp_path), old)
    assert source.bands == ("red", "nir", "old:red", "old:slope", "old:change:red", "old:seen")
    found = everything(source)
    east = source.index["col_off"].to_numpy() >= SIDE // 2
    shown = np.isfinite(values).all(axis=0)
    assert (found["old:red"][east] == np.median(values[0][shown])).all()
    assert (found["old:slope"][east] == np.median(values[1][shown])).all()
    assert (found["old:change:red"][east] == 0).all()
    assert (found["old:seen"][east] == 0).all()
    hole = found["old:slope"][0]  # filled as in every source
    assert hole[1, 1] == np.median(np.delete(hole, 9))
    assert found["old:seen"][0].sum() == SIZE**2 - 1
    change = found["old:change:red"][0]
    assert change[1, 1] == pytest.approx(np.median(np.delete(change, 9)))


def test_a_view_shows_a_patch_of_which_it_has_half(tmp_path: Path) -> None:
    values = np.ones((1, SIDE, SIDE), "float32")
    values[:, :SIZE, : SIZE // 2] = np.nan  # half of the first patch
    values[:, :SIZE, SIZE : SIZE + SIZE // 2 + 1] = np.nan  # more than half of the second
    found = everything(seen(pool(tmp_path), write_raster(tmp_path / "old.tif", values)))
    assert [found["old:seen"][i].mean() for i in range(3)] == [0.5, 0, 1]


def test_another_sun_or_unit_is_no_change_and_cleared_ground_is_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    before = rng.normal(3000, 400, (2, SIDE, SIDE))
    after = before * 0.7 + 55  # brighter then, in all pixels
    after[:, 16:24, 40:48] -= 1500  # one patch was cleared
    names = ("red", "nir")
    now = write_raster(tmp_path / "now.tif", after.astype("float32"), descriptions=names)
    old = write_raster(tmp_path / "old.tif", (before / 1e4).astype("float32"), descriptions=names)
    source = seen(GeoTiffSource(now, patch_size=SIZE), old)
    assert source.bands[4:] == ("old:change:red", "old:change:nir", "old:seen")
    found = everything(source)
    cleared = (source.index["patch_id"] == "now/16/40").to_numpy()
    assert cleared.sum() == 1
    for band in ("red", "nir"):
        change = found[f"old:change:{band}"]
        assert np.abs(change[~cleared]).max() < 0.1  # of the spread of the whole scene
        assert change[cleared].mean() == pytest.approx(-1500 / (0.7 * 400), abs=0.3)


def test_levels_are_those_of_each_scene(tmp_path: Path) -> None:
    """Two scenes of the pool with suns of their own: neither differs from the one view."""
    rng = np.random.default_rng(4)
    ground = rng.normal(100, 10, (1, SIDE, 2 * SIDE))
    old = write_raster(tmp_path / "old.tif", ground.astype("float32"), descriptions=("red",))
    scenes = []
    for east, gain in enumerate((1.0, 3.0)):
        part = ground[:, :, east * SIDE : (east + 1) * SIDE] * gain
        place = from_origin(ORIGIN[0] + 10 * SIDE * east, ORIGIN[1], 10, 10)
        scenes.append(
            write_raster(
                tmp_path / f"s{east}.tif",
                part.astype("float32"),
                transform=place,
                descriptions=("red",),
            )
        )
    source = seen(GeoTiffSource(scenes, patch_size=SIZE), old)
    assert np.abs(everything(source)["old:change:red"]).max() < 1e-3


def test_levels_survive_as_json_and_another_process(tmp_path: Path) -> None:
    old = write_raster(tmp_path / "old.tif", coordinates(SIDE, SIDE, 2), descriptions=("red", "b"))
    views = open_views({"old": ViewSettings(scenes=(scene(old),))})
    source, levels, _ = with_views(pool(tmp_path), views, seed=0)
    ids = source.index["patch_id"].tolist()
    again = ViewLevels.from_json(levels["old"].to_json())
    assert again.to_json() == levels["old"].to_json()
    sent: PoolSource = pickle.loads(pickle.dumps(source))
    assert sent.bands == source.bands
    assert np.array_equal(sent.read(ids), source.read(ids))
    for damage in ({"fill": [np.inf]}, {"shared": True}, {"scenes": {"now": [[1.0]]}}):
        with pytest.raises((ValueError, TypeError)):
            ViewLevels.from_json({**levels["old"].to_json(), **damage})


def test_a_forked_process_opens_files_of_its_own(tmp_path: Path) -> None:
    crs, transform, height, width, _ = GRIDS["other zone"]
    old = of_coordinates(tmp_path / "old.tif", crs, transform, height, width)
    source = seen(pool(tmp_path), old)
    assert read_at_once(source) == {digest(source)}


def test_what_views_show_is_said_and_nothing_is_refused(tmp_path: Path) -> None:
    half = from_origin(ORIGIN[0] + 10 * SIDE // 2, ORIGIN[1], 10, 10)
    old = write_raster(tmp_path / "old.tif", coordinates(SIDE, SIDE), transform=half)
    views = open_views({"old": ViewSettings(scenes=(scene(old),))})
    _, _, (summary,) = with_views(pool(tmp_path), views, seed=0)
    assert str(summary) == "old: 3 bands of 1 scene, shows 50 % of the patches"
    far = from_origin(ORIGIN[0] + 9_000, ORIGIN[1], 10, 10)
    away = write_raster(tmp_path / "away.tif", coordinates(SIDE, SIDE), transform=far)
    empty = write_raster(tmp_path / "empty.tif", np.full((1, SIDE, SIDE), np.nan, "float32"))
    for path, place in ((away, "x 509000 to 509640"), (empty, "x 500000 to 500640")):
        with pytest.raises(SourceError, match=f"view 'old' shows none of the patches.*{place}"):
            seen(pool(tmp_path), path)
    for path, is_there in ((away, False), (empty, True), (old, True)):
        views = open_views({"old": ViewSettings(scenes=(scene(path),))})
        if is_there:
            check_ground(views, pool(tmp_path).grids)
            continue
        with pytest.raises(SourceError, match="view 'old' shows none of the patches"):
            check_ground(views, pool(tmp_path).grids)
    with pytest.raises(SourceError, match=r"view 'old': .*gone\.tif does not exist"):
        seen(pool(tmp_path), tmp_path / "gone.tif")


def test_few_of_many_scenes_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from owl_geo.sources import reader

    paths = []
    for east in range(6):
        place = from_origin(ORIGIN[0] + 640 * (east - 2), ORIGIN[1], 10, 10)
        paths.append(write_raster(tmp_path / f"t{east}.tif", coordinates(64, 64), transform=place))
    opened: list[str] = []
    plain = reader.SceneReader.__init__

    def init(self: reader.SceneReader, one: Any) -> None:
        opened.append(one.name)
        plain(self, one)

    source = seen(pool(tmp_path), *paths)
    monkeypatch.setattr(reader.SceneReader, "__init__", init)
    source.read(source.index["patch_id"].tolist())
    # the neighbours may touch, as far as their extents tell
    assert {"old:t2"} <= set(opened) <= {"now", "old:t1", "old:t2", "old:t3"}


def test_strips_and_cells_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crs, transform, height, width, _ = GRIDS["other zone"]
    old = of_coordinates(tmp_path / "old.tif", crs, transform, height, width)
    source = seen(pool(tmp_path), old)
    whole = np.concatenate([patches for _, patches in source.stream()])
    sparse = np.array([0, 3, 9, 33, 63])
    assert np.array_equal(next(source.stream(sparse))[1], whole[sparse])
    for bytes_, cell in ((1, 8), (9 * SIDE * 20, 24)):  # a row of patches, two of them
        monkeypatch.setattr(reading, "_STRIP", bytes_)
        monkeypatch.setattr(reading, "_CELL", cell)
        again = np.concatenate([patches for _, patches in source.stream(batch_size=7)])
        assert np.array_equal(again, whole)
        assert np.array_equal(next(source.stream(sparse))[1], whole[sparse])


def test_statistics_are_of_what_a_view_shows(tmp_path: Path) -> None:
    values = np.full((1, SIDE, SIDE), np.nan, "float32")
    values[:, :SIZE] = np.random.default_rng(5).normal(50, 4, (SIZE, SIDE))
    source = seen(pool(tmp_path), write_raster(tmp_path / "old.tif", values))
    found = band_statistics(source, np.random.default_rng(0))
    plain = band_statistics(pool(tmp_path), np.random.default_rng(0))
    assert found.of("old") == (2,)
    assert found.of("old", "seen") == (3,)
    assert found.views == ("old",)
    assert found.scale[2] == pytest.approx(4, rel=0.2)
    assert (found.median[3], found.scale[3]) == (0, 1)
    own = found.of_scene
    assert own.bands == plain.bands
    assert own.common_names == plain.common_names == ("red", "nir")
    assert np.array_equal(own.median, plain.median)
    assert not own.origins


def known(*bands: str | tuple[str, str]) -> list[KnownBand]:
    return [KnownBand(one, None) if isinstance(one, str) else KnownBand(*one) for one in bands]


SHARED: list[tuple[Sequence[Any], Sequence[Any], tuple[tuple[int, int], ...]]] = [
    (["a", "b"], ["b", "c"], ((1, 0),)),
    # what bands are known to be goes before what they are called
    ([("B2", "blue"), ("B3", "green")], [("B2", "green"), ("B1", "blue")], ((0, 1), (1, 0))),
    ([("B5", "nir")], [("B8A", "nir08")], ((0, 0),)),
    ([("B8", "nir"), ("B8A", "nir08")], [("B5", "nir")], ((0, 0),)),
    # names that only count
    (["band_1", "band_2"], ["band_1", "band_2"], ((0, 0), (1, 1))),
    (["band_1", "band_2"], ["band_1"], ()),
    (["VV"], ["vv"], ((0, 0),)),
]


@pytest.mark.parametrize(("own", "theirs", "pairs"), SHARED)
def test_shared_bands(
    own: Sequence[Any], theirs: Sequence[Any], pairs: tuple[tuple[int, int], ...]
) -> None:
    assert shared_bands(known(*own), known(*theirs)) == pairs


def test_words_name_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.tif", "b.tif", "with,comma.tif"):
        write_raster(tmp_path / name, coordinates(8, 8))
    product = make_landsat(tmp_path / "products")
    monkeypatch.chdir(tmp_path)
    tables = named_views(["old=a.tif, b.tif", "l=products/*", "c=with,comma.tif", "g=[ab].tif"])
    paths = {name: [Path(s["path"]).name for s in t["scenes"]] for name, t in tables.items()}
    assert paths == {
        "old": ["a.tif", "b.tif"],
        "l": [product.name],
        "c": ["with,comma.tif"],
        "g": ["a.tif", "b.tif"],
    }
    for word, reason in (
        ("a.tif", "does not name a view; write NAME=PATH"),
        ("=a.tif", "does not name a view"),
        ("old=", "does not name a view"),
        ("old=,", "does not name a view"),
        ("old=*.png", "view 'old': no scene matches"),
    ):
        with pytest.raises(SourceError, match=reason):
            named_views([word])
    with pytest.raises(SourceError, match="named twice; write its paths together"):
        named_views(["old=a.tif", "old=b.tif"])


@pytest.mark.parametrize("name", ["", "a:b", "-x", "two words", "x" * 41])
def test_names_that_cannot_begin_those_of_bands(name: str) -> None:
    source = {"kind": "geotiff", "scenes": [{"name": "s", "path": "s.tif"}]}
    view = {"scenes": [{"name": "o", "path": "o.tif"}]}
    with pytest.raises(Exception, match="cannot name a view"):
        owl_toml.parse({"source": source, "views": {name: view}}, "test")
    with pytest.raises(Exception, match="differs from another in case only"):
        owl_toml.parse({"source": source, "views": {"Old": view, "old": view}}, "test")
    with pytest.raises(Exception, match="data are made up"):
        owl_toml.parse({"source": {"kind": "synthetic"}, "views": {"old": view}}, "test")


@pytest.mark.parametrize("crs", ["EPSG:32601", "EPSG:4326"])
def test_a_raster_of_the_world_is_seen_across_180_degrees(crs: str, tmp_path: Path) -> None:
    row, col = np.mgrid[:90, :180] + 0.5
    world = np.stack([np.cos(np.radians(2 * col - 180)), 90 - 2 * row]).astype("float32")
    old = write_raster(
        tmp_path / "world.tif", world, crs="EPSG:4326", transform=Affine(2, 0, -180, 0, -2, 90)
    )
    place = {
        "EPSG:32601": Affine(1000, 0, 166_021 - 32_000, 0, -1000, 1_000_000),
        "EPSG:4326": Affine(0.01, 0, 179.7, 0, -0.01, 9),
    }[crs]
    path = write_raster(tmp_path / "now.tif", coordinates(64, 64), crs=crs, transform=place)
    found = everything(seen(GeoTiffSource(path, patch_size=SIZE), old))
    assert (found["old:seen"] == 1).all()
    assert found["old:band_1"].max() < -0.99  # cos 180 degrees
    lat = where_pixels_lie(GeoTiffSource(path, patch_size=SIZE), "EPSG:4326")[..., 1]
    np.testing.assert_allclose(found["old:band_2"], lat, atol=1e-3)


def test_rasters_of_one_view_that_differ_in_units_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored = write_raster(tmp_path / "a.tif", np.ones((1, 8, 8), "uint16"))
    measured = write_raster(tmp_path / "b.tif", np.ones((1, 8, 8), "float32"))
    for rasters, warned in (((stored, stored), False), ((stored, measured), True)):
        scenes = tuple(
            SceneSettings(name=f"s{n}", path=str(path)) for n, path in enumerate(rasters)
        )
        check_views(open_views({"old": ViewSettings(scenes=scenes)}))
        assert ("'old:s1' has floating-point values" in caplog.text) == warned


def test_a_product_is_a_view_with_its_cloud_mask(tmp_path: Path) -> None:
    classes = np.full((60, 60), 4, np.uint8)
    classes[:, 30:] = 9  # clouds, in the east
    product = make_safe(tmp_path, "2A", scl=classes)
    values = np.random.default_rng(0).integers(100, 200, (2, 120, 120)).astype("uint16")
    now = write_raster(tmp_path / "now.tif", values, crs="EPSG:32632", descriptions=("red", "nir"))
    source = GeoTiffSource(now, patch_size=20)
    source_with = seen(source, product, bands=("red", "B8A"))
    # the narrow near infrared stands for the other, which the view was not asked for
    assert source_with.bands[2:] == (
        *("old:red", "old:B8A", "old:change:red", "old:change:nir", "old:seen"),
    )
    found = everything(source_with)
    west = source.index["col_off"].to_numpy() < 60
    assert (found["old:seen"][west] == 1).all()
    assert (found["old:seen"][~west] == 0).all()
    rows = windows_of(source).row_off[west][:, None] + np.arange(20)
    expected = (1000 + 100 * 3 + rows - 1003) / 10_000  # as make_safe says, B4 has the number 3
    np.testing.assert_allclose(found["old:red"][west][:, :, 5], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "table", "said"),
    [
        (
            [("red", "green", "nir"), ("red", "nir", "x")],
            {},
            r'both have bands = \["red", "nir"\] under \[views\.old\] in owl\.toml$',
        ),
        (
            [("a", "b"), ("c", "d")],
            {},
            r"name bands that both have with bands under \[views\.old\] in owl\.toml, or set",
        ),
        (
            [tuple(f"A{i:02}" for i in range(64))],
            {"bands": ["A01"]},
            r"bands under \[views\.old\] in owl\.toml names 1 of the 64 bands of an embedding",
        ),
    ],
)
def test_advice_on_bands_is_on_those_of_the_view(
    names: list[tuple[str, ...]], table: dict[str, Any], said: str, tmp_path: Path
) -> None:
    """``--bands`` names those of the pool's scenes."""
    paths = [
        write_raster(
            tmp_path / f"{i}.tif", coordinates(8, 8, bands=len(one), dtype="int8"), descriptions=one
        )
        for i, one in enumerate(names)
    ]
    settings = ViewSettings(scenes=tuple(map(scene, paths)), **table)
    with pytest.raises(SourceError) as caught:
        open_views({"old": settings})
    assert re.search(said, str(caught.value)), caught.value
    assert "--bands" not in str(caught.value)
    with pytest.raises(SourceError, match="--bands"):
        GeoTiffSource(paths, **table)
