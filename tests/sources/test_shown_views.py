"""What QGIS is told of a run's views: which rasters, which bands, between which values."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from rasters import coordinates, make_safe, write_raster, write_stack

import owl_geo
from owl_geo.settings.sources import ViewSettings
from owl_geo.sources.shown_views import shown_views
from owl_geo.types import ShownRaster


def views(*paths: Path | str, bands: tuple[str, ...] = ()) -> dict[str, ViewSettings]:
    scenes = [{"name": Path(path).stem, "path": str(path)} for path in paths]
    return {"before": ViewSettings.model_validate({"scenes": scenes, "bands": bands})}


def only(found: list[ShownRaster]) -> ShownRaster:
    (one,) = found
    return one


def percentiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, (2, 98)).tolist()
    return low, high


def test_colours_are_found_by_name(tmp_path: Path) -> None:
    values = coordinates(40, 50, bands=4)
    names = ("blue", "green", "red", "nir")
    path = write_raster(tmp_path / "old.tif", values, descriptions=names)
    shown = only(shown_views(views(path)))
    assert (shown.view, shown.paths, shown.bands) == ("before", (str(path),), (3, 2, 1))
    assert shown.stretch == tuple(percentiles(values[number - 1]) for number in (3, 2, 1))


@pytest.mark.parametrize("size", [40, 3000])
def test_bands_may_differ_in_type(tmp_path: Path, size: int) -> None:
    parts = [np.tile(np.arange(size) % 40, (size, 1)).astype(t) for t in ("uint8", "uint16")]
    parts.append(parts[0].astype("float32") / 40)
    shown = only(shown_views(views(write_stack(tmp_path / "old.vrt", *parts))))
    assert shown.bands == (1, 2, 3)
    for stretch, most in zip(shown.stretch, (39, 39, 39 / 40), strict=True):
        assert stretch == pytest.approx((0, most), abs=most / 30)


@pytest.mark.parametrize(("count", "bands"), [(5, (1, 2, 3)), (2, (1,)), (1, (1,))])
def test_without_names_the_first_bands_are_shown(
    tmp_path: Path, count: int, bands: tuple[int, ...]
) -> None:
    path = write_raster(tmp_path / "old.tif", coordinates(20, 20, bands=count))
    shown = only(shown_views(views(path)))
    assert shown.bands == bands
    assert len(shown.stretch) == len(bands)


def test_the_bands_that_the_view_names_are_shown(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "old.tif", coordinates(20, 20, bands=5))
    assert only(shown_views(views(path, bands=("4", "2", "5")))).bands == (4, 2, 5)


def test_a_product_has_a_file_for_each_colour(tmp_path: Path) -> None:
    product = make_safe(tmp_path, size=60)
    shown = only(shown_views(views(product)))
    assert [path[-11:] for path in shown.paths] == ["B04_10m.jp2", "B03_10m.jp2", "B02_10m.jp2"]
    assert all(Path(path).is_absolute() for path in shown.paths)
    assert shown.bands == (1, 1, 1)
    # in the file's own numbers, which is what QGIS draws: B04 is 1300 + the row
    assert shown.stretch[0] == pytest.approx((1300 + 0.02 * 59, 1300 + 0.98 * 59), abs=1)


def test_missing_pixels_do_not_count_and_the_header_scales(tmp_path: Path) -> None:
    values = np.full((1, 40, 40), 7, np.uint16)
    values[0, :20] = 0
    values[0, 30:] = 9
    path = write_raster(tmp_path / "old.tif", values, nodata=0, scales=(0.5,), offsets=(-1.0,))
    assert only(shown_views(views(path))).stretch == ((2.5, 3.5),)


def test_a_raster_without_values_has_a_stretch_too(tmp_path: Path) -> None:
    empty = write_raster(tmp_path / "empty.tif", np.zeros((1, 9, 9), np.uint8), nodata=0)
    flat = write_raster(tmp_path / "flat.tif", np.full((1, 9, 9), 4.0, np.float32))
    assert [one.stretch for one in shown_views(views(empty, flat))] == [((0, 1),), ((4, 5),)]


def test_of_a_large_raster_a_part_is_read(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / "old.tif", coordinates(3000, 1200, bands=1), compress="deflate", tiled=True
    )
    (low, high) = only(shown_views(views(path))).stretch[0]
    assert low == pytest.approx(0.02 * 3000, abs=60)
    assert high == pytest.approx(0.98 * 3000, abs=60)
    assert shown_views(views(path)) == shown_views(views(path))


def test_what_cannot_be_opened_is_left_out_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = write_raster(tmp_path / "good.tif", coordinates(9, 9))
    found = shown_views(views(tmp_path / "gone.tif", good, tmp_path / "too.tif"))
    assert [one.paths for one in found] == [(str(good),)]
    (record,) = caplog.records
    assert "view 'before': gone is not shown, nor is 1 more of its rasters" in record.getMessage()
    caplog.clear()
    assert shown_views(views(tmp_path / "gone.tif")) == []
    assert len(caplog.records) == 1


def test_the_batch_of_a_run_names_its_views(tmp_path: Path) -> None:
    scene = write_raster(tmp_path / "scene.tif", coordinates(64, 64))
    old, further = (
        write_raster(tmp_path / f"{x}.tif", coordinates(64, 64)) for x in ("old", "further")
    )
    settings = {
        "source": {
            "kind": "geotiff",
            "patch_size": 16,
            "scenes": [{"name": "s", "path": str(scene)}],
        },
        "loop": {"initial": 4},
    }
    scenes = [{"name": path.stem, "path": str(path)} for path in (old, further)]
    plain = owl_geo.init(tmp_path / "plain", settings).run
    run = owl_geo.init(tmp_path / "run", {**settings, "views": {"before": {"scenes": scenes}}}).run
    without = plain.batch_path(owl_geo.query(plain, device="cpu").number)
    batch = run.batch_path(owl_geo.query(run, device="cpu").number)
    with closing(sqlite3.connect(batch)) as connection:
        rows = connection.execute("SELECT name, path, bands FROM views").fetchall()
    assert rows == [("before", str(path), "1,2,3") for path in (old, further)]
    with closing(sqlite3.connect(without)) as connection:
        tables = connection.execute("SELECT table_name FROM gpkg_contents").fetchall()
    assert ("views",) not in tables
