"""Other rasters on a scene's grid: the right value at each pixel, and none where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio import Affine
from rasterio.transform import from_origin
from rasterio.warp import transform
from rasters import ORIGIN, UTM, coordinates, write_raster

from owl_geo.errors import LayerError
from owl_geo.ground.crs import crs_of
from owl_geo.ground.footprints import off_the_map
from owl_geo.ground.grid import to_xy
from owl_geo.ground.raster import AlignedRaster, _reach, coverage
from owl_geo.ground.raster_files import values_of
from owl_geo.ground.transformations import reproject
from owl_geo.types import SceneGrid

GRID = SceneGrid("s", UTM, (10.0, 0.0, ORIGIN[0], 0.0, -10.0, ORIGIN[1]), 32, 32)


def rows_and_columns(path: Path, grid: SceneGrid = GRID) -> tuple[Any, Any, Any]:
    """Read a raster that holds its own rows and columns, on the grid; and where it is valid."""
    with AlignedRaster(path, grid) as one, AlignedRaster(path, grid, band=2) as two:
        rows, valid = one.rows(0, grid.height)
        columns, _ = two.rows(0, grid.height)
    return rows.astype(int), columns.astype(int), valid


def test_on_the_same_grid_the_pixels_are_the_file_s_own(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "r.tif", coordinates(32, 32))
    rows, columns, valid = rows_and_columns(path)
    assert valid.all()
    assert (rows == np.arange(32)[:, None]).all()
    assert (columns == np.arange(32)).all()


def test_coarse_pixels_elsewhere_come_to_the_pixels_whose_centres_they_cover(
    tmp_path: Path,
) -> None:
    # 40 m pixels that begin two scene pixels to the west and north
    place = from_origin(ORIGIN[0] - 20, ORIGIN[1] + 20, 40, 40)
    path = write_raster(tmp_path / "r.tif", coordinates(6, 20), transform=place)
    rows, columns, valid = rows_and_columns(path)
    expected = (np.arange(32) + 2) // 4
    assert (valid == (expected < 6)[:, None]).all()  # it ends within the scene
    assert (rows[valid] == np.broadcast_to(expected[:, None], (32, 32))[valid]).all()
    assert (columns[valid] == np.broadcast_to(expected, (32, 32))[valid]).all()


def test_degrees_come_to_the_pixels_whose_centres_they_cover(tmp_path: Path) -> None:
    edge = 0.0005
    west, north = 2.998, 51.452
    path = write_raster(
        tmp_path / "r.tif",
        coordinates(30, 30),
        crs="EPSG:4326",
        transform=from_origin(west, north, edge, edge),
    )
    rows, columns, valid = rows_and_columns(path)
    assert valid.all()
    centres = np.arange(32) * 10 + 5.0
    x, y = np.meshgrid(ORIGIN[0] + centres, ORIGIN[1] - centres)
    lon, lat = (np.reshape(v, (32, 32)) for v in transform(UTM, "EPSG:4326", x.ravel(), y.ravel()))
    assert (columns == np.floor((lon - west) / edge)).all()
    assert (rows == np.floor((north - lat) / edge)).all()


def test_a_window_holds_what_the_whole_does(tmp_path: Path) -> None:
    place = from_origin(2.9985, 51.4516, 0.0003, 0.0003)
    path = write_raster(tmp_path / "r.tif", coordinates(40, 40), crs="EPSG:4326", transform=place)
    with AlignedRaster(path, GRID) as opened:
        whole, valid = opened.rows(0, 32)
        for row, col in ((0, 0), (7, 3), (20, 25)):
            values, part_valid = opened.window(row, col, 5, 7)
            assert (values == whole[row : row + 5, col : col + 7]).all()
            assert (part_valid == valid[row : row + 5, col : col + 7]).all()


def test_what_is_nodata_or_not_finite_is_not_valid(tmp_path: Path) -> None:
    values = np.ones((1, 32, 32), dtype="float32")
    values[0, 0, :4] = [np.nan, np.inf, -np.inf, -9]
    path = write_raster(tmp_path / "r.tif", values, nodata=-9)
    with AlignedRaster(path, GRID) as opened:
        _, valid = opened.rows(0, 32)
    assert valid.sum() == 32 * 32 - 4
    assert not valid[0, :4].any()


@pytest.mark.parametrize(("along", "share"), [(0, 1.0), (160, 0.5), (320, 0.0), (9999, 0.0)])
def test_coverage_is_the_share_of_the_scene_s_box(along: int, share: float, tmp_path: Path) -> None:
    place = from_origin(ORIGIN[0] + along, ORIGIN[1], 10, 10)
    path = write_raster(tmp_path / "r.tif", coordinates(32, 32), transform=place)
    assert coverage(path, GRID) == pytest.approx(share)


def test_a_raster_whose_rows_run_northwards_has_the_same_extent(tmp_path: Path) -> None:
    upwards = Affine(10, 0, ORIGIN[0], 0, 10, ORIGIN[1] - 320)
    path = write_raster(tmp_path / "r.tif", coordinates(32, 32), transform=upwards)
    assert coverage(path, GRID) == pytest.approx(1.0)
    rows, columns, valid = rows_and_columns(path)
    assert valid.all()
    assert (rows == np.arange(31, -1, -1)[:, None]).all()
    assert (columns == np.arange(32)).all()


def test_a_band_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "r.tif", coordinates(8, 8, 2))
    with pytest.raises(LayerError, match=r"r\.tif has 2 band"):
        AlignedRaster(path, GRID, band=3)


def test_the_reach_of_a_scene_is_a_degree_too_wide() -> None:
    # the west edge of a tall sinusoidal scene reaches furthest west where it is furthest north,
    # and its east edge furthest east at the equator, which none of nine rows meets
    top, left = 5_000_000.0, -9_000_000.0
    grid = SceneGrid("s", "ESRI:54008", (1e5, 0, left, 0, -1e5, top), 90, 20)
    row, col = np.meshgrid(np.linspace(0, 90, 901), [0.0, 20.0])
    lon = reproject(to_xy(grid, row, col), crs_of(grid.crs), crs_of("EPSG:4326"))[..., 0]
    west, east = _reach(grid, crs_of("EPSG:4326"))
    assert lon.min() - 1 == pytest.approx(west, abs=0.01)
    assert lon.max() + 0.5 < east < lon.max() + 1


def test_a_scene_beyond_its_crs_is_off_the_map() -> None:
    fault = off_the_map(SceneGrid("s", "EPSG:32631", (10, 0, 9e9, 0, -10, 9e9), 8, 8))
    assert fault is not None
    assert fault.what.startswith("its coordinates, x 9e+09 to 9e+09 and y ")
    assert fault.remedy == "correct the coordinates or the CRS"


# --- what is missing, on another grid -------------------------------------------------------------

COARSE = from_origin(*ORIGIN, 20, 20)
LEFT = np.arange(32) < 12  # columns of the grid above six of the coarse pixels
HOLED = np.where(np.arange(16) < 6, 0, 1000) * np.ones((16, 1))


def seen(path: Path, **options: Any) -> tuple[Any, Any]:
    with AlignedRaster(path, GRID, **options) as opened:
        return opened.rows(0, GRID.height)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("nodata", [0, 65535])
def test_what_one_band_lacks_is_missing_whatever_the_other_holds(
    nodata: int, resampling: str, tmp_path: Path
) -> None:
    holed = np.where(HOLED == 0, nodata, HOLED)
    values = np.stack([holed, np.full((16, 16), 2000)]).astype("uint16")
    path = write_raster(tmp_path / "r.tif", values, transform=COARSE, nodata=nodata)
    values, valid = seen(path, resampling=resampling)
    assert not valid[:, :11].any()
    assert valid[:, 12:].all()
    assert (values[valid] == 1000).all()
    _, valid = seen(path, band=2, resampling=resampling)
    assert valid.all()


def test_each_band_of_a_virtual_raster_has_nodata_of_its_own(tmp_path: Path) -> None:
    first = np.where(HOLED == 0, 65535, HOLED)[None].astype("uint16")
    write_raster(tmp_path / "a.tif", first, transform=COARSE, nodata=65535)
    write_raster(tmp_path / "b.tif", HOLED[None, :, ::-1].astype("uint16"), transform=COARSE)
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{i}"><NoDataValue>{nodata}</NoDataValue>'
        f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for i, (name, nodata) in enumerate((("a.tif", 65535), ("b.tif", 0)), start=1)
    )
    x, y = ORIGIN
    path = tmp_path / "both.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="16" rasterYSize="16"><SRS>{UTM}</SRS>'
        f"<GeoTransform>{x},20,0,{y},0,-20</GeoTransform>{bands}</VRTDataset>",
        encoding="utf-8",
    )
    for band, missing in ((1, LEFT), (2, LEFT[::-1])):
        values, valid = seen(path, band=band)
        assert (valid == ~missing).all()
        assert (values[valid] == 1000).all()


@pytest.mark.parametrize("transform", [COARSE, from_origin(*ORIGIN, 10, 10)], ids=["20 m", "10 m"])
@pytest.mark.parametrize("kind", ["alpha", "alpha and nodata", "mask", "mask and nodata"])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_what_a_mask_or_an_alpha_band_hides_is_missing(
    kind: str, resampling: str, transform: Affine, tmp_path: Path
) -> None:
    coarse = transform is COARSE
    shown = np.ones((16, 16), bool) if coarse else np.ones((32, 32), bool)
    shown[:, : 6 if coarse else 12] = False
    values = np.where(shown, 100, 7).astype("uint8")
    options: dict[str, Any] = {"nodata": 50} if "nodata" in kind else {}
    if "nodata" in kind:
        values[:, -2 if coarse else -4 :] = 50
    if "alpha" in kind:
        values = np.stack([values, np.where(shown, 255, 0).astype("uint8")])
        options["ALPHA"] = "YES"
    else:
        values, options["mask"] = values[None], shown
    path = write_raster(tmp_path / "r.tif", values, transform=transform, **options)
    values, valid = seen(path, resampling=resampling)
    assert not valid[:, :11].any()
    assert valid[:, 13:27].all()
    assert valid[:, 29:].any() == ("nodata" not in kind)
    assert (values[valid] == 100).all()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "uint64", "float64"])
@pytest.mark.parametrize("nodata", [0, 9])
def test_nodata_is_missing_on_any_grid_whatever_the_type(
    dtype: str, nodata: int, tmp_path: Path
) -> None:
    values = np.array([[[nodata, nodata, 3, 7]] * 4], dtype)
    path = write_raster(tmp_path / "classes.tif", values, nodata=nodata)
    a, b, c, d, e, f = GRID.transform
    for resampling in ("nearest", "bilinear"):
        grid = SceneGrid("s", GRID.crs, (a, b, c + 2, d, e, f), 4, 6)
        with AlignedRaster(path, grid, resampling=resampling) as aligned:
            pixels, valid = aligned.rows(0, 4)
        assert valid.tolist() == [[False, False, True, True, False, False]] * 4
        assert (pixels[:, 2:4] >= 3).all() and (pixels[:, 2:4] <= 7).all()


@pytest.mark.parametrize("end", [2**63 - 1, -(2**63)])
def test_the_ends_of_64_bits_are_missing_on_any_grid(end: int, tmp_path: Path) -> None:
    values = np.full((1, 8, 8), 7, "int64")
    values[0, :4] = end
    path = write_raster(tmp_path / "classes.tif", values)
    for shift in (0.0, 3.0):
        a, b, c, d, e, f = GRID.transform
        grid = SceneGrid("s", GRID.crs, (a, b, c + shift, d, e, f), 8, 8)
        with AlignedRaster(path, grid) as aligned:
            pixels, valid = aligned.rows(0, 8)
        assert not valid[:4].any() and valid[4:].all()
        assert (pixels[valid] == 7).all()


def test_a_nodata_value_beyond_the_type_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.vrt"
    write_raster(tmp_path / "r.tif", HOLED[None].astype("uint16"), transform=COARSE)
    x, y = ORIGIN
    path.write_text(
        f'<VRTDataset rasterXSize="16" rasterYSize="16"><SRS>{UTM}</SRS>'
        f"<GeoTransform>{x},20,0,{y},0,-20</GeoTransform>"
        '<VRTRasterBand dataType="UInt16" band="1"><NoDataValue>-9999</NoDataValue><SimpleSource>'
        '<SourceFilename relativeToVRT="1">r.tif</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>",
        encoding="utf-8",
    )
    values, valid = seen(path)
    assert valid.all()
    assert (np.unique(values) == [0, 1000]).all()


def test_a_raster_that_was_cut_off_says_so(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", coordinates(64, 64, bands=1), blockysize=8)
    path.write_bytes(path.read_bytes()[:-500])
    grid = SceneGrid("a", UTM, (10, 0, ORIGIN[0], 0, -10, ORIGIN[1]), 64, 64)
    with AlignedRaster(path, grid) as raster:
        raster.rows(0, 8)
        with pytest.raises(LayerError, match=r"rows 0 to 64 \(is the file whole\?\): .*a\.tif, b"):
            raster.rows(0, 64)
    with pytest.raises(
        LayerError, match=r"cannot read .*a\.tif \(is the file whole\?\): .*a\.tif, b"
    ):
        values_of(str(path))
