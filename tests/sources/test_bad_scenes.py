"""Scenes of any kind that a stranger may hand in: the right patches, or one line."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasters import UTM, coordinates, write_raster
from strangers import Owl, simple_source, tiff_header, vrt

from owl_geo import GeoTiffSource, Run
from owl_geo.errors import SourceError

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

GRID = Affine(10, 0, 5e5, 0, -10, 57e5)
PIXELS = coordinates(16, 16, 2)


@pytest.fixture
def owl(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Owl:
    return Owl(tmp_path, capfd)


# --- files that are none --------------------------------------------------------------------------

GOOD = "good"  # stands for a whole GeoTIFF, of which a share is kept
BROKEN = {
    "nothing": b"",
    "text": b"hello world\n" * 100,
    "noise": np.random.default_rng(0).bytes(5000),
    "a header alone": b"II*\x00\x08\x00\x00\x00",
    "no bands": tiff_header(16, 16, 0),
    "no width": tiff_header(0, 16),
    "no place, and a size that no disk holds": tiff_header(10**9, 10**9),
    "as many bands as fit a header": tiff_header(16, 16, 65535),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_scene_is_refused_in_one_line(name: str, owl: Owl) -> None:
    path = owl.folder / "scene.tif"
    path.write_bytes(BROKEN[name])
    assert str(path) in owl.init(path).refusal()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.tar.gz", "unpack it and name the folder, or name a raster in it: /vsitar/"),
        ("a.tif.gz", "unpack it first"),
        ("a.7z", "unpack it first"),
        ("a.geojson.gz", "by its name it is a vector layer"),
        ("a.las", "by its name it is a cloud of points: make a raster of it first"),
        (
            "a.sid",
            "by its name it is of the format MrSID, which the GDAL of rasterio does not read",
        ),
        ("a.dim", "the bands lie in a folder beside it: name {folder}/a.data"),
        ("b.dim", "open it in QGIS to see what it is"),
    ],
)
def test_what_may_be_meant_by_a_file_is_said(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.data").mkdir()
    (tmp_path / name).write_bytes(b"no raster")
    with pytest.raises(SourceError, match=said.format(folder=tmp_path)):
        GeoTiffSource(tmp_path / name)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.5, 0.9, 0.99])
def test_a_scene_that_was_cut_off_is_refused_wherever_it_ends(share: float, owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", PIXELS)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert str(path) in owl.init(path).refusal()


def test_pipes_devices_and_links_in_a_circle_are_not_waited_for(owl: Owl) -> None:
    os.mkfifo(owl.folder / "pipe.tif")
    (owl.folder / "one.tif").symlink_to(owl.folder / "other.tif")
    (owl.folder / "other.tif").symlink_to(owl.folder / "one.tif")
    assert "is not a file" in owl.init(owl.folder / "pipe.tif").refusal()
    assert "where there is nothing" in owl.init(owl.folder / "one.tif").refusal()
    assert "is not a file" in owl.init("/dev/null").refusal()


@pytest.mark.parametrize("size", [10**6, 10**9])
def test_a_size_beyond_all_memory_is_refused_before_anything_is_allocated(
    size: int, owl: Owl
) -> None:
    good = write_raster(owl.folder / "good.tif", PIXELS)
    path = vrt(owl.folder / "huge.vrt", simple_source(good), size=size)
    line = owl.init(path).refusal()
    assert f"{size:,} x {size:,} pixels" in line
    assert "larger patch_size" in line


def test_blocks_beyond_all_memory_are_refused(owl: Owl) -> None:
    path = owl.folder / "blocks.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=2**16,
        height=2**16,
        count=1,
        dtype="uint8",
        crs=UTM,
        transform=GRID,
        tiled=True,
        blockxsize=2**16,
        blockysize=2**16,
        SPARSE_OK="TRUE",
    ):
        pass
    assert path.stat().st_size < 10_000
    assert "blocks of 65,536 x 65,536" in owl.init(path, "--stride", 2**15).refusal()


# --- virtual rasters and what lies beside a file --------------------------------------------------


def test_a_virtual_raster_of_itself_is_refused(owl: Owl) -> None:
    path = owl.folder / "self.vrt"
    refusal = owl.init(vrt(path, simple_source(path))).refusal()
    assert "ecursion" in refusal or "cascaded" in refusal  # the latter from GDAL 3.9


def test_a_virtual_raster_of_another_kind_of_file_has_no_pixels(owl: Owl) -> None:
    assert "passwd" in owl.init(vrt(owl.folder / "a.vrt", simple_source("/etc/passwd"))).refusal()


def test_code_in_a_virtual_raster_is_not_executed(owl: Owl) -> None:
    trace = owl.folder / "executed"
    band = (
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTDerivedRasterBand">'
        "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"
        "<PixelFunctionType>f</PixelFunctionType><PixelFunctionCode><![CDATA[\n"
        f"def f(*a, **k):\n  open({str(trace)!r}, 'w')\n]]></PixelFunctionCode></VRTRasterBand>"
    )
    assert "Python code" in owl.init(vrt(owl.folder / "code.vrt", band)).refusal()
    assert not trace.exists()


def test_xml_that_is_nested_without_end_is_refused(owl: Owl) -> None:
    path = vrt(owl.folder / "deep.vrt", "<a>" * 20_000 + "</a>" * 20_000)
    assert "depth" in owl.init(path).refusal()


HARMLESS_SIDECARS = {
    ".aux.xml": "<PAMDataset>" + "<a>" * 5000,
    ".ovr": "garbage" * 100,
    ".msk": "garbage" * 100,
}


@pytest.mark.parametrize("suffix", HARMLESS_SIDECARS)
def test_garbage_beside_a_scene_does_not_matter(suffix: str, owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", PIXELS)
    Path(f"{path}{suffix}").write_text(HARMLESS_SIDECARS[suffix])
    owl.init(path).done()


def test_an_entity_beside_a_scene_is_not_resolved(owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", PIXELS)
    Path(f"{path}.aux.xml").write_text(
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><PAMDataset>'
        '<PAMRasterBand band="1"><Description>&x;</Description></PAMRasterBand></PAMDataset>'
    )
    owl.init(path).done()
    for file in (owl.folder / "run").iterdir():
        assert file.is_dir() or b"root:" not in file.read_bytes()


# --- places ---------------------------------------------------------------------------------------

NOWHERE = {
    "no pixel size": Affine(0, 0, 5e5, 0, 0, 57e5),
    "no width": Affine(0, 0, 5e5, 0, -10, 57e5),
    "a line": Affine(10, 10, 5e5, 10, 10, 57e5),
    "nan": Affine(math.nan, 0, 5e5, 0, -10, 57e5),
    "nan origin": Affine(10, 0, math.nan, 0, -10, 57e5),
    "infinite": Affine(10, 0, math.inf, 0, -10, 57e5),
    "vast": Affine(1e300, 0, 5e5, 0, -1e300, 57e5),
    "far": Affine(10, 0, 1e300, 0, -10, 57e5),
    "off the zone": Affine(10, 0, 5e9, 0, -10, 57e9),
    "vanishing": Affine(1e-300, 0, 5e5, 0, -1e-300, 57e5),
}


@pytest.mark.parametrize("name", NOWHERE)
def test_a_geotransform_that_leads_nowhere_is_refused(name: str, owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", PIXELS, transform=NOWHERE[name])
    owl.init(path).refusal()


LOCAL = (
    'LOCAL_CS["mine",UNIT["metre",1]]',
    'ENGCRS["site",EDATUM["d"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],'
    'LENGTHUNIT["metre",1]]',
    "IAU_2015:30100",  # the Moon
    "EPSG:5773",  # heights
    "EPSG:4978",  # geocentric
)


@pytest.mark.parametrize("crs", LOCAL)
def test_a_crs_that_leads_to_no_place_on_earth_is_refused(crs: str, owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", PIXELS, crs=crs, transform=GRID)
    assert "does not lie on the map: its CRS" in owl.init(path).refusal()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_points_and_rpcs_in_place_of_a_grid_are_told_to_be_warped(owl: Owl) -> None:
    for name in ("gcps", "rpcs"):
        path = owl.folder / f"{name}.tif"
        profile = {"driver": "GTiff", "width": 16, "height": 16, "count": 1, "dtype": "uint8"}
        with rasterio.open(path, "w", **profile) as dataset:
            if name == "gcps":
                corners = [(0, 0), (0, 16), (16, 0), (16, 16)]
                points = [GroundControlPoint(r, c, 5e5 + 10 * c, 57e5 - 10 * r) for r, c in corners]
                dataset.gcps = (points, rasterio.crs.CRS.from_epsg(32631))
            else:
                ones = [1.0] * 20
                dataset.rpcs = RPC(0, 1, 50, 1, ones, ones, 8, 8, 3, 1, ones, ones, 8, 8)
        line = owl.init(path).refusal()
        assert ("-rpc" in line) == (name == "rpcs")
        assert "gdalwarp" in line


# Grids at the edges of the Earth, and the metres between two of their patches.
EDGES: dict[str, tuple[str, Affine, int]] = {
    "across the date line": ("EPSG:4326", Affine(1e-3, 0, 179.99, 0, -1e-3, 0.01), 4),
    "longitudes to 360": ("EPSG:4326", Affine(1e-2, 0, 359.92, 0, -1e-2, 0.08), 4),
    "up to the pole": ("EPSG:4326", Affine(1e-1, 0, 10, 0, -1e-1, 90.0), 4),
    "half a cell beyond the pole": ("EPSG:4326", Affine(1.0, 0, 10, 0, -1.0, 95.0), 2),
    "around the pole": ("EPSG:3413", Affine(1000, 0, -8000, 0, -1000, 8000), 4),
    "a disc seen from space": (
        "+proj=ortho +lat_0=50 +lon_0=3",
        Affine(1e6, 0, -8e6, 0, -1e6, 8e6),
        0,
    ),
    "a rotated pole": (
        "+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=39.25 +lon_0=180 "
        "+to_meter=0.0174532925199433",
        Affine(1e-2, 0, 3, 0, -1e-2, 5),
        4,
    ),
    "feet": ("EPSG:2263", Affine(30, 0, 980_000, 0, -30, 200_000), 4),
    "with heights": ("EPSG:7415", Affine(10, 0, 1e5, 0, -10, 4e5), 4),
    "of its own": ("+proj=laea +lat_0=50 +lon_0=3 +ellps=sphere", Affine(10, 0, 0, 0, -10, 0), 4),
}


@pytest.mark.parametrize("name", [name for name in EDGES if EDGES[name][2]])
def test_scenes_at_the_edges_of_the_earth_have_patches_where_they_lie(name: str, owl: Owl) -> None:
    crs, transform, kept = EDGES[name]
    path = write_raster(owl.folder / "scene.tif", PIXELS, crs=crs, transform=transform)
    owl.init(path).done()
    run = Run(owl.folder / "run")
    assert len(run.patches) == kept
    assert np.isfinite(run.footprints(run.patches["patch_id"].tolist()).bounds).all(axis=None)
    assert "patches" in owl("query", owl.folder / "run").done()


def test_a_scene_of_which_no_patch_lies_on_earth_whole_says_so(owl: Owl) -> None:
    crs, transform, _ = EDGES["a disc seen from space"]
    path = write_raster(owl.folder / "scene.tif", PIXELS, crs=crs, transform=transform)
    assert "no patch lies on Earth" in owl.init(path).refusal()


# --- pixels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300, -1e300])
def test_pixels_that_are_no_number_are_masked(bad: float, tmp_path: Path) -> None:
    values = coordinates(16, 16, 2, "float64")
    values[0, :8, :8] = bad
    values[1, 12, 12] = bad
    source = GeoTiffSource(write_raster(tmp_path / "scene.tif", values), patch_size=8)
    assert source.index["valid_fraction"].tolist() == [1.0, 1.0, 63 / 64]
    assert np.isfinite(source.read(source.index["patch_id"].tolist())).all()


TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float64")


@pytest.mark.parametrize("dtype", TYPES)
def test_every_real_type_becomes_the_same_values(dtype: str, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "scene.tif", (PIXELS % 100).astype(dtype))
    source = GeoTiffSource(path, patch_size=8)
    np.testing.assert_array_equal(source.read(["scene/0/8"])[0], PIXELS[:, :8, 8:] % 100)


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_complex_pixels_are_refused(dtype: str, owl: Owl) -> None:
    path = owl.folder / "scene.tif"
    profile: dict[str, Any] = {"width": 16, "height": 16, "count": 1, "dtype": dtype}
    with rasterio.open(path, "w", driver="GTiff", crs=UTM, transform=GRID, **profile):
        pass
    assert "complex pixels" in owl.init(path).refusal()


TERMS = [
    (math.nan, 0.0),
    (math.inf, 0.0),
    (1e300, 0.0),
    (0.0, 0.5),
    (1.0, math.inf),
    (1.0, math.nan),
    (1.0, 1e39),
]


@pytest.mark.parametrize("terms", TERMS)
def test_a_scale_that_makes_no_values_is_refused(terms: tuple[float, float], owl: Owl) -> None:
    scale, offset = terms
    path = write_raster(
        owl.folder / "scene.tif", PIXELS, scales=(scale, 1.0), offsets=(offset, 0.0)
    )
    assert "make no values of its pixels" in owl.init(path).refusal()


def test_pixels_that_a_scale_makes_infinite_are_masked(tmp_path: Path) -> None:
    values = coordinates(16, 16, 2, "float32")
    values[0, 0, 0] = 3e38
    path = write_raster(tmp_path / "s.tif", values, scales=(100.0, 1.0), offsets=(0.0, 0.0))
    source = GeoTiffSource(path, patch_size=8)
    assert source.index["valid_fraction"].iloc[0] == 63 / 64
    assert np.isfinite(source.read(["s/0/0"])).all()


ENDS = [("int64", 2**63 - 1), ("int64", -(2**63)), ("uint64", 2**64 - 1)]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("dtype", "end"), ENDS)
def test_the_ends_of_64_bits_are_no_data(
    dtype: str, end: int, declared: bool, tmp_path: Path
) -> None:
    # rasterio has None for a no-data value that no float holds
    values = np.full((1, 16, 16), 7, dtype)
    values[0, :8] = end
    path = write_raster(tmp_path / "s.tif", values)
    if declared:
        band = simple_source(path).replace("Byte", dtype.replace("u", "U").replace("int", "Int"))
        band = band.replace("<Simple", f"<NoDataValue>{end}</NoDataValue><Simple")
        path = vrt(tmp_path / "s.vrt", band)
    source = GeoTiffSource(path, patch_size=8)
    assert source.index["row_off"].tolist() == [8, 8]
    assert (source.read(source.index["patch_id"].tolist()) == 7).all()


def test_all_nodata_says_so(owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", np.zeros((2, 16, 16), "uint8"), nodata=0)
    assert "no-data value" in owl.init(path).refusal()


def test_a_value_near_the_end_of_the_type_does_not_stop_a_search(owl: Owl) -> None:
    # what old programs write for no data, without saying so
    values = coordinates(64, 64, 2, "float32")
    values[:, :32, :16] = np.finfo(np.float32).min
    path = write_raster(owl.folder / "scene.tif", values)
    truth = write_raster(owl.folder / "truth.tif", (PIXELS[:1] > 4).astype("uint8"), pixel=40)
    owl.init(path, "--oracle", truth, "--oracle-values", 1, "--initial", 8, "--rounds", 1).done()
    owl("run", owl.folder / "run", "-q").done()
    owl("predict", owl.folder / "run", "-q").done()


@pytest.mark.parametrize("shape", [(1, 1), (1, 16), (16, 1), (7, 7)])
def test_scenes_smaller_than_a_patch_say_so(shape: tuple[int, int], owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", PIXELS[:, : shape[0], : shape[1]])
    assert "take a smaller patch_size" in owl.init(path).refusal()


@pytest.mark.parametrize("bands", [1, 200])
def test_one_band_and_two_hundred_are_read(bands: int, owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", coordinates(16, 16, bands, "uint8"))
    owl.init(path).done()
    assert Run(owl.folder / "run").source.read(["scene/8/8"]).shape == (1, bands, 8, 8)


def test_a_palette_is_read_as_its_numbers(owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", PIXELS[:1].astype("uint8"), photometric="palette")
    said = owl.init(path)
    said.done()
    assert "the pixels of band_1 are numbers of colours or classes" in said.err
    pixels = Run(owl.folder / "run").source.read(["scene/8/0"])
    np.testing.assert_array_equal(pixels[0, 0], PIXELS[0, 8:, :8])


def test_a_scale_that_pixels_are_to_be_divided_by_is_said(owl: Owl) -> None:
    """GDAL hands on the 10,000 of MODIS' vegetation indices as it is."""
    path = write_raster(owl.folder / "scene.tif", PIXELS[:1].astype("int16"), scales=(10_000.0,))
    said = owl.init(path)
    said.done()
    assert "pixels of band_1 are multiplied by 10000, as the file's scale says" in said.err
    assert "set scale = 0.0001 of the scene in owl.toml" in said.err
    small = write_raster(owl.folder / "b.tif", PIXELS[:1].astype("int16"), scales=(0.0001,))
    assert "multiplied" not in owl.init(small, "--overwrite").err


# --- names ----------------------------------------------------------------------------------------

DESCRIPTIONS = ("a\nb", "a'b\"", "<b>&amp;", "x" * 10_000, "'; DROP TABLE batch; --", "[% 1+1 %]")


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_any_description_names_a_band(text: str, owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", PIXELS, descriptions=(text, "nir"))
    owl.init(path).done()
    run = Run(owl.folder / "run")
    assert len(run.source.bands) == 2
    owl("status", owl.folder / "run").done()


NAMES = (
    *("with space", "quo'te", 'dou"ble', "per%20cent", "%s%n", "hash#", "quest?", "owl🦉", "-dash"),
    *("a" * 200, "semi;colon", "back\\slash", "col:on", "br[ack]et", "star*", "comma,", "@at"),
    *("eq=ual", " lead", "trail ", ".hidden", "a|layername=b", "{name}", "~tilde", "$HOME", "con"),
    *("ünï", "u\u0308", "\u202ertl", "<b>", "NUL", "..."),
)


def test_any_name_of_a_file_is_a_name_of_a_scene_whose_maps_stay_in_their_folder(owl: Owl) -> None:
    first = write_raster(owl.folder / "first.tif", PIXELS)
    scenes = owl.folder / "scenes"
    scenes.mkdir()
    for name in NAMES:
        shutil.copy(first, scenes / f"{name}.tif")
    options = [part for name in NAMES for part in ("--scene", scenes / f"{name}.tif")]
    config = owl.folder / "each.toml"
    config.write_text('[source]\nsame_ground = "keep"\n')
    owl.init(first, *options, "--initial", 8, "--config", config).done()
    run = Run(owl.folder / "run")
    assert len(run.patches) == 4 * (1 + len(NAMES))
    assert len(set(run.grids)) == 1 + len(NAMES)
    owl("query", run.path, "-q").done()


UNFIT = ("new\nline", "tab\t", "\x01", "\x7f", os.fsdecode(b"latin\xff"))


@pytest.mark.parametrize("name", UNFIT)
def test_control_characters_and_broken_text_in_a_name_are_refused(name: str, owl: Owl) -> None:
    path = owl.folder / f"{name}.tif"
    write_raster(owl.folder / "scene.tif", PIXELS).rename(path)
    assert "control characters" in owl.init(path).refusal()
    assert "control characters" in owl.init(owl.folder / "*.tif").refusal()


@pytest.mark.parametrize("name", ["../../x", "a/b", "..", "/abs", "CON", "a\\..\\b", "<script>"])
def test_no_name_of_a_scene_leads_out_of_the_run(name: str, owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", coordinates(32, 32, 2))
    truth = write_raster(owl.folder / "truth.tif", (PIXELS[:1] > 4).astype("uint8"), pixel=20)
    owl.init(
        f"{name}={path}",
        *("--oracle", truth, "--oracle-values", 1, "--initial", 8, "--rounds", 0),
    ).done()
    before = sorted(owl.folder.iterdir())
    owl("run", owl.folder / "run", "-q").done()
    owl("predict", owl.folder / "run", "-q").done()
    assert sorted(owl.folder.iterdir()) == before
    maps = list((owl.folder / "run" / "predictions").rglob("*.tif"))
    assert {path.parent.name for path in maps} == {"probability", "class"}
    assert set(Run(owl.folder / "run").grids) == {name}


def test_a_name_may_be_long_but_not_endless(owl: Owl) -> None:
    path = write_raster(owl.folder / "scene.tif", PIXELS)
    assert "1000 characters" in owl.init(f"{'n' * 5000}={path}").refusal()


def test_a_band_that_does_not_lie_on_the_others_is_refused(owl: Owl) -> None:
    small = write_raster(owl.folder / "small.tif", PIXELS[:1])
    large = write_raster(owl.folder / "large.tif", coordinates(32, 32, 1))
    assert "must lie on each other" in owl.init(f"{small},{large}").refusal()


def test_a_home_that_nobody_has_is_a_folder_like_any_other(owl: Owl) -> None:
    assert "does not exist" in owl.init("~nobody-of-that-name/scene.tif").refusal()


@pytest.mark.parametrize(
    "address",
    [
        "https://[::1/a_B04.tif",
        "s3://tiles[2024]/LC08_L2SP_SR_B4.tif",
        "s3://[x/S2.SAFE",
        "s3://[x]/a.zarr",
    ],
)
def test_an_address_with_brackets_around_no_host_is_refused_in_one_line(
    address: str, owl: Owl
) -> None:
    assert f"cannot open {address}" in owl.init(address).refusal()
    scene = write_raster(owl.folder / "scene.tif", PIXELS)
    assert address in owl.init(scene, "--mask", address, "--mask-bad", "1").refusal()
    assert "cannot open" in owl.init(address, "--source", "cube").refusal()


def test_an_error_of_gdal_with_broken_text_is_one_line(owl: Owl) -> None:
    path = owl.folder / os.fsdecode(b"latin\xff")
    path.mkdir()
    scene = write_raster(owl.folder / "scene.tif", PIXELS).rename(path / "scene.tif")
    (path / "scene.tif").write_bytes(b"II*\x00\x08\x00\x00\x00")
    with pytest.raises(SourceError, match=r"cannot open|control characters"):
        GeoTiffSource(str(scene))
