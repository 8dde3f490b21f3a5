"""Other rasters within patches: classes, means, shares; any CRS, any pixel size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from concept_pools import ORIGIN, UTM, pool, scene
from in_process import Owl
from rasterio.transform import from_origin
from rasters import write_raster
from scene_windows import windows_at

from owl_geo.concepts import rasters
from owl_geo.errors import LayerError
from owl_geo.ground.raster_files import values_of
from owl_geo.types import AnyArray

SCENE = scene(3, 3)  # 30 x 30 pixels of 10 m, patches of 10
WINDOWS = pool([SCENE]).scenes[0].windows
PER_PATCH = np.arange(9).reshape(3, 3)


def raster(path: Path, values: AnyArray, pixel: float, crs: str = UTM, **profile: object) -> str:
    options = {"transform": from_origin(*ORIGIN, pixel, pixel), **profile}
    return str(write_raster(path, values[None], crs=crs, **options))


@pytest.mark.parametrize("pixel", [100.0, 10.0, 5.0, 2.0])
def test_majority_and_mean_at_any_pixel_size(tmp_path: Path, pixel: float) -> None:
    values = np.kron(PER_PATCH, np.ones((int(100 / pixel),) * 2)).astype("uint8")
    path = raster(tmp_path / "a.tif", values, pixel)
    found = rasters.majority(path, WINDOWS, names={"4": "middle"})
    assert found.tolist() == ["0", "1", "2", "3", "middle", "5", "6", "7", "8"]
    assert found.dtype == object
    assert rasters.mean(path, WINDOWS) == pytest.approx(np.arange(9))


def test_finer_pixels_all_have_their_say(tmp_path: Path) -> None:
    """Of every 4 x 4 pixels within one pixel of the scene, 7 hold 1, the rest 2 to 10."""
    cell = np.array([[1, 1, 1, 1], [1, 1, 1, 2], [3, 4, 5, 6], [7, 8, 9, 10]])
    path = raster(tmp_path / "a.tif", np.tile(cell, (30, 30)).astype("uint8"), 2.5)
    assert rasters.majority(path, WINDOWS).tolist() == ["1"] * 9
    assert rasters.mean(path, WINDOWS) == pytest.approx(cell.mean())
    shares, valid = rasters.class_shares_of_raster(path, WINDOWS, [1, 10, 99])
    assert shares == pytest.approx(np.tile([7 / 16, 1 / 16, 0], (9, 1)))
    assert valid == pytest.approx(1)


@pytest.mark.parametrize(
    ("pixel", "offset", "options"),
    [
        (20.0, 5.0, {}),
        (10.0, 5.0, {}),
        (25.0, 0.0, {}),
        (30.0, 15.0, {}),
        (15.0, 7.5, {}),
        (7.5, 0.0, {}),
        (20.0, 5.0, {"south_up": True}),
    ],
)
def test_shares_are_exact_where_pixels_end_within_the_scenes_own(
    tmp_path: Path, pixel: float, offset: float, options: dict[str, bool]
) -> None:
    n = int(400 / pixel)
    values = np.random.default_rng(3).integers(0, 2, (n, n)).astype("uint8")
    west, north = ORIGIN[0] - 2 * pixel + offset, ORIGIN[1] + 2 * pixel - offset
    cells = [
        shapely.box(west + col * pixel, north - (row + 1) * pixel, west + (col + 1) * pixel, top)
        for row, col in zip(*np.nonzero(values), strict=True)
        for top in [north - row * pixel]
    ]
    transform = from_origin(west, north, pixel, pixel)
    if options:
        values = values[::-1]
        transform = rasterio.Affine(pixel, 0, west, 0, pixel, north - n * pixel)
    path = raster(tmp_path / "a.tif", values, pixel, transform=transform)
    exact = shapely.area(shapely.intersection(WINDOWS.footprints(), shapely.union_all(cells)))
    (shares,) = rasters.class_shares_of_raster(path, WINDOWS, [1])[0].T
    assert shares == pytest.approx(exact / 100**2)


@pytest.mark.parametrize("across", [True, False])
def test_pixels_that_are_narrow_all_have_their_say(across: bool, tmp_path: Path) -> None:
    """As those in degrees are, far from the equator: 5 by 20 m have the area of the scene's."""
    wide, tall = (5, 20) if across else (20, 5)
    values = np.zeros((300 // tall, 300 // wide), "uint8")
    values[(slice(None), slice(1, None, 2)) if across else (slice(1, None, 2))] = 1
    path = raster(tmp_path / "a.tif", values, 10, transform=from_origin(*ORIGIN, wide, tall))
    assert rasters.mean(path, WINDOWS) == pytest.approx([0.5] * 9)


def test_pixels_without_data_do_not_count(tmp_path: Path) -> None:
    values = np.full((30, 30), 7.0, "float32")
    values[:10, :10] = np.nan  # the first patch has nothing
    values[:10, 10:16] = -1  # the second has 4 columns of ten
    path = raster(tmp_path / "a.tif", values, 10, nodata=-1)
    assert rasters.majority(path, WINDOWS).tolist() == ["unknown"] + ["7"] * 8
    means = rasters.mean(path, WINDOWS)
    assert np.isnan(means[0]) and means[1:] == pytest.approx(7)
    shares, valid = rasters.class_shares_of_raster(path, WINDOWS, [7])
    assert shares[:, 0] == pytest.approx([0] + [1] * 8)
    assert valid == pytest.approx([0, 0.4] + [1] * 7)


def test_values_are_scaled_and_offset_as_the_header_says(tmp_path: Path) -> None:
    """Slope in tenths: 250 * 0.1 - 5 is 20; and 3 * 0.1 is no fraction of a hundred millionth."""
    pixels = np.full((30, 30), 250, "int16")
    pixels[:, 20:] = 53
    pixels[:10] = -1
    path = raster(tmp_path / "a.tif", pixels, 10, scales=(0.1,), offsets=(-5.0,), nodata=-1)
    means = rasters.mean(path, WINDOWS)
    assert np.isnan(means[:3]).all() and means[3:] == pytest.approx([20, 20, 0.3] * 2)
    shares, valid = rasters.class_shares_of_raster(path, WINDOWS, [20.0, 0.3, 250.0])
    assert shares[3:].tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0]] * 2
    assert valid.tolist() == [0] * 3 + [1] * 6
    assert values_of(path).tolist() == [0.3, 20.0]
    pixels[10:, 20:] = 80
    path = raster(tmp_path / "b.tif", pixels, 10, scales=(0.1,), offsets=(-5.0,), nodata=-1)
    assert rasters.majority(path, WINDOWS, names={"20": "steep"}).tolist() == [
        *["unknown"] * 3,
        *["steep", "steep", "3"] * 2,
    ]


def test_a_scale_that_pixels_are_to_be_divided_by_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """GDAL hands on the 10,000 of MODIS' vegetation indices as it is."""
    values = np.full((3, 3), 7014, "int16")
    for scale, said in ((10_000.0, True), (0.0001, False)):
        path = raster(tmp_path / "a.tif", values, 100.0, scales=(scale,))
        caplog.clear()
        rasters.warn_of_doubtful_values(path)
        assert ("gdal_edit.py -scale 0.0001" in caplog.text) == said


def test_a_scale_that_makes_no_values_is_refused(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", np.ones((30, 30), "int16"), 10, scales=(0.0,))
    with pytest.raises(LayerError, match=r"a\.tif, band 1: the scale 0"):
        rasters.mean(path, WINDOWS)


@pytest.mark.parametrize("nodata", [-3.40282e38, -9999.0, np.nan, None])
@pytest.mark.parametrize("pixel", [10.0, 20.0])
def test_the_least_float_is_no_data_whatever_the_header_says(
    tmp_path: Path, pixel: float, nodata: float | None
) -> None:
    """Headers cut its digits, or name another value, and a mean with it is no mean."""
    values = np.full((30, 30), 7.0, "float32")
    values[:10] = np.finfo("float32").min
    coarser = values[:: int(pixel / 10), :: int(pixel / 10)]
    path = raster(tmp_path / "a.tif", coarser, pixel, nodata=nodata)
    means = rasters.mean(path, WINDOWS)
    assert np.isnan(means[:3]).all() and means[3:] == pytest.approx(7)
    assert values_of(path).tolist() == [7.0]


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_complex_pixels_are_refused(tmp_path: Path, dtype: str) -> None:
    place = from_origin(*ORIGIN, 10, 10)
    profile = {"width": 30, "height": 30, "count": 1, "crs": UTM, "transform": place}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", dtype=dtype, **profile):
        pass
    for statistic in (rasters.majority, rasters.mean):
        with pytest.raises(LayerError, match=rf"a\.tif has complex pixels \({dtype}\)"):
            statistic(str(tmp_path / "a.tif"), WINDOWS)


@pytest.mark.parametrize("at_once", [300, 8_000_000])
def test_beyond_the_raster_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Zeros are data within a raster that declares no nodata, and none beyond it."""
    monkeypatch.setattr(rasters, "_PIXELS_AT_ONCE", at_once)
    path = raster(tmp_path / "a.tif", np.zeros((10, 30), "uint8"), 10)
    assert rasters.majority(path, WINDOWS).tolist() == ["0"] * 3 + ["unknown"] * 6
    assert np.isnan(rasters.mean(path, WINDOWS)).sum() == 6
    assert rasters.class_shares_of_raster(path, WINDOWS, [0])[1].tolist() == [1] * 3 + [0] * 6


def test_another_crs(tmp_path: Path) -> None:
    west, south, east, north = (8.99, 46.93, 9.01, 46.96)
    values = np.zeros((300, 200), "int16")
    values[:, 100:] = 5  # east of the central meridian, on which the scene begins
    transform = from_origin(west, north, (east - west) / 200, (north - south) / 300)
    path = raster(tmp_path / "a.tif", values, 0, "EPSG:4326", transform=transform)
    assert rasters.majority(path, WINDOWS).tolist() == ["5"] * 9
    assert rasters.extent(path).bounds == pytest.approx((west, south, east, north))


def test_ties_go_to_the_smaller_code_and_order_is_that_of_the_windows(tmp_path: Path) -> None:
    values = np.kron(PER_PATCH, np.ones((10, 10))).astype("int16") * 1000 - 4000
    values[:10, :5] = -4001
    path = raster(tmp_path / "a.tif", values, 10)
    found = rasters.majority(path, WINDOWS.take(slice(None, None, -1)))
    assert found[::-1].tolist() == ["-4001", *(str(1000 * k - 4000) for k in range(1, 9))]


def test_small_strips_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    path = raster(tmp_path / "a.tif", rng.integers(0, 4, (60, 60)).astype("uint8"), 5)
    rows, cols = (part.ravel() for part in np.mgrid[0:21:3, 0:21:3])  # overlapping windows
    windows = windows_at(rows, cols, 10, SCENE)
    whole = rasters.majority(path, windows), rasters.mean(path, windows)
    monkeypatch.setattr(rasters, "_PIXELS_AT_ONCE", 900)
    assert (rasters.majority(path, windows) == whole[0]).all()
    assert (rasters.mean(path, windows) == whole[1]).all()


@pytest.mark.parametrize(
    ("value", "low", "high", "dtype"),
    [
        (-9999, 300, 900, "float32"),
        (-32768, 0, 3000, "int16"),  # a void of SRTM
        (255, 0, 101, "uint8"),  # no water was looked for
        (65535, 0, 10001, "uint16"),
        (-200, 0, 4000, "float32"),  # people
    ],
)
def test_missing_data_that_no_header_declares_are_said(
    value: int,
    low: int,
    high: int,
    dtype: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = np.random.default_rng(1).integers(low, high, (30, 30)).astype(dtype)
    values[:, :3] = value
    path = raster(tmp_path / "a.tif", values, 10.0)
    rasters.warn_of_undeclared(path, [WINDOWS])
    assert f"10 % are {value}, far from all others" in caplog.text
    assert f"gdal_edit.py -a_nodata {value}" in caplog.text
    caplog.clear()
    declared = raster(tmp_path / "b.tif", values, 10.0, nodata=value)
    rasters.warn_of_undeclared(declared, [WINDOWS])
    assert not caplog.text


def test_a_concept_that_is_a_mean_says_it_of_missing_data(tmp_path: Path, owl: Owl) -> None:
    values = np.random.default_rng(1).integers(300, 900, (30, 30)).astype("float32")
    image = raster(tmp_path / "image.tif", values, 10.0)
    values[:, :3] = -9999
    dem = raster(tmp_path / "dem.tif", values, 10.0)
    for reduce, said in (("mean", True), ("majority", False)):
        toml = tmp_path / f"{reduce}.toml"
        toml.write_text(
            f"[concepts.height]\nkind = 'raster'\npath = '{dem}'\nreduce = '{reduce}'\n"
        )
        scene = ("--scene", image, "--patch-size", 10)
        done = owl("init", tmp_path / reduce, *scene, "--config", toml)
        assert done.code == 0 and ("count in the mean" in done.err) == said, done


def test_errors_are_one_line(tmp_path: Path) -> None:
    fractions = raster(tmp_path / "a.tif", np.full((30, 30), 0.5, "float32"), 10)
    with pytest.raises(LayerError, match="holds fractions, not classes"):
        rasters.majority(fractions, WINDOWS)
    with pytest.raises(LayerError, match="1 band"):
        rasters.mean(fractions, WINDOWS, band=2)
    (tmp_path / "b.tif").write_text("no raster\n")
    for name, says in (
        ("b.tif", r"cannot open the raster .*b\.tif: .*[^.]; open it in QGIS to see what it is"),
        ("bb.tif", r"bb\.tif does not exist; did you mean 'b\.tif'\?"),
        ("no/b.tif", r"b\.tif does not exist; check the path, since its folder does not exist"),
    ):
        with pytest.raises(LayerError, match=says):
            rasters.extent(str(tmp_path / name))
    for suffix, kind in ((".sid", "MrSID"), (".ECW", "ECW"), (".hdf", "HDF4")):
        (tmp_path / f"a{suffix}").write_text("no raster\n")
        with rasterio.Env() as environment:
            says = (
                "open it in QGIS"
                if kind in environment.drivers()
                else f"by its name it is of the format {kind}, which the GDAL of rasterio does not"
            )
        with pytest.raises(LayerError, match=says):
            rasters.extent(str(tmp_path / f"a{suffix}"))
    bare = write_raster(tmp_path / "c.tif", np.zeros((1, 9, 9), "uint8"), crs=None)
    with pytest.raises(LayerError, match="has no CRS"):
        rasters.extent(str(bare))


def test_a_picture_is_not_silently_taken_for_its_red(tmp_path: Path, owl: Owl) -> None:
    transform = from_origin(*ORIGIN, 10, 10)
    values = np.ones((3, 64, 64), dtype="uint8")
    image = write_raster(tmp_path / "s.tif", values, crs=UTM, transform=transform)
    write_raster(
        tmp_path / "c.tif", values * np.arange(1, 4, dtype="uint8")[:, None, None], crs=UTM,
        transform=transform, descriptions=("r", "g", "b"),
    )  # fmt: skip
    for band, value, warns in (("", "1", True), ("band = 2", "2", False)):
        toml = tmp_path / "c.toml"
        toml.write_text(f'[concepts.cover]\nkind = "raster"\npath = "c.tif"\n{band}\n')
        done = owl("init", tmp_path / "run", "--scene", image, "--config", toml, "--overwrite")
        assert done.code == 0 and f"cover: {value}: " in done.out, done
        says = "c.tif has 3 bands (r, g, b), of which only the first counts; band of the concept"
        assert (says in done.err) == warns
