"""Rasters that end before their last pixel are known by their header."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from rasters import coordinates, write_raster
from scipy.io import netcdf_file

from owl_geo.errors import LayerError, SourceError
from owl_geo.ground import cut_off as module
from owl_geo.ground.cut_off import cut_off, is_known_whole
from owl_geo.ground.raster_files import open_layer
from owl_geo.sources.files import read_bands


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_an_envi_file_that_ends_too_early_is_refused(interleave: str, tmp_path: Path) -> None:
    """GDAL would read zeros."""
    path = tmp_path / "a.img"
    write_raster(path, coordinates(16, 16, 3), driver="ENVI", interleave=interleave)
    assert len(read_bands(path)) == 3
    open_layer(str(path)).close()
    path.write_bytes(path.read_bytes()[:-2])
    said = r"a\.img has 1,534 bytes, and its header says 1,536; fetch it anew"
    with pytest.raises(SourceError, match=said):
        read_bands(path)
    with pytest.raises(LayerError, match=said):
        open_layer(str(path))


VRT = """<VRTDataset rasterXSize="16" rasterYSize="16"><SRS>EPSG:32632</SRS>
<GeoTransform>500000,10,0,5000000,0,-10</GeoTransform><VRTRasterBand dataType="{dtype}" band="1">
<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource></VRTRasterBand></VRTDataset>"""


@pytest.mark.parametrize("driver", ["ENVI", "AAIGrid", "netCDF"])
def test_a_vrt_that_shows_a_file_which_ends_too_early_is_refused(
    driver: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.img"
    if driver == "AAIGrid":
        header = "ncols 16\nnrows 16\nxllcorner 0\nyllcorner 0\ncellsize 1\n"
        path.write_text(header + "1 2\n" * 128)
    elif driver == "netCDF":
        with netcdf_file(path, "w", version=2) as file:
            for name in "yx":
                file.createDimension(name, 16)
            file.createVariable("a", "i2", ("y", "x"))[:] = coordinates(16, 16, 1)[0]
    else:
        write_raster(path, coordinates(16, 16, 1), driver=driver)
    inner, outer = tmp_path / "a.vrt", tmp_path / "b.vrt"
    inner.write_text(VRT.format(name="a.img", dtype="UInt16"))
    outer.write_text(VRT.format(name="a.vrt", dtype="UInt16"))
    for virtual in (inner, outer):
        (band,) = read_bands(virtual)
        assert not band.is_whole
        open_layer(str(virtual)).close()
    path.write_bytes(path.read_bytes()[:-100])
    for virtual in (inner, outer):
        with pytest.raises(SourceError, match=rf"{virtual.name} shows .*a\.img, which (has|ends)"):
            read_bands(virtual)
        with pytest.raises(LayerError, match=rf"{virtual.name} shows .*a\.img, which (has|ends)"):
            open_layer(str(virtual))


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("tiled", [True, False])
@pytest.mark.parametrize("compress", ["none", "deflate"])
def test_the_header_of_a_geotiff_tells_where_it_ends(
    interleave: str, tiled: bool, compress: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    options: dict[str, Any] = {"blockxsize": 16, "blockysize": 16} if tiled else {"blockysize": 8}
    values = coordinates(40, 56, 3)
    write_raster(
        path, values, interleave=interleave, tiled=tiled, compress=compress, **options
    )  # without descriptions, the header comes first
    whole = path.read_bytes()
    assert all(band.is_whole for band in read_bands(path))
    path.write_bytes(whole[:-1])
    assert not any(band.is_whole for band in read_bands(path))


def test_blocks_that_were_never_written_are_no_end(tmp_path: Path) -> None:
    path = tmp_path / "sparse.tif"
    options = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        path, "w", **options, tiled=True, blockxsize=16, blockysize=16, sparse_ok=True
    ) as dataset:
        dataset.write(np.ones((16, 16), np.uint8), 1, window=Window(0, 0, 16, 16))
    with rasterio.open(path) as dataset:
        assert is_known_whole(dataset)
        assert dataset.read(1).sum() == 256


def test_what_stands_before_the_pixels_of_an_envi_file_counts(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.img", coordinates(16, 16, 1), driver="ENVI")
    header = path.with_suffix(".hdr")
    text = header.read_text().replace("header offset = 0", "header offset = 100")
    header.write_text(text)
    path.write_bytes(bytes(100) + path.read_bytes())
    with rasterio.open(path) as dataset:
        assert cut_off(dataset) is None
        np.testing.assert_array_equal(dataset.read(), coordinates(16, 16, 1))
    path.write_bytes(path.read_bytes()[:-1])
    with rasterio.open(path) as dataset:
        assert cut_off(dataset) is not None


@pytest.mark.parametrize("chunk", [1, 7, 2**24])
def test_the_numbers_of_a_grid_of_text_are_counted(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", chunk)
    header = "ncols 3\nnrows 4\nxllcorner 0\nyllcorner 0\ncellsize 1\n"

    def fault(text: str, driver: str = "AAIGrid") -> Any:
        path = tmp_path / f"{len(text)}.asc"
        path.write_text(text, encoding="ascii")
        about = SimpleNamespace(driver=driver, name=str(path), height=4, width=3)
        return cut_off(cast(rasterio.DatasetReader, about))

    assert fault(header + "1 2 3\n" * 4) is None
    assert fault(header + "1 2 3 4 5 6\r\n7\t8 9  10 11 12") is None
    assert fault(header + "1 2 3\n" * 3 + "1 2\n").what == "ends before the last of its 12 pixels"
    assert fault(header + "1 2 3\n", "GTiff") is None


def test_a_whole_grid_of_text_is_read(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.asc", coordinates(16, 16, 1, "int32"), driver="AAIGrid")
    with open_layer(str(path)) as dataset:
        np.testing.assert_array_equal(dataset.read(), coordinates(16, 16, 1))


def test_classic_netcdf_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    """The library would read zeros."""
    path = tmp_path / "a.nc"
    with netcdf_file(path, "w", mmap=False) as file:
        for name, first in (("y", 5_700_000.0), ("x", 500_000.0)):
            file.createDimension(name, 16)
            axis = file.createVariable(name, "f8", (name,))
            axis[:] = first + (10.0 if name == "x" else -10.0) * np.arange(16)
            axis.standard_name, axis.units = f"projection_{name}_coordinate", "m"
        crs = file.createVariable("crs", "i4", ())
        crs.crs_wkt = crs.spatial_ref = rasterio.crs.CRS.from_epsg(32631).to_wkt()
        crs.grid_mapping_name = "transverse_mercator"
        band = file.createVariable("red", "i2", ("y", "x"))
        band[:] = coordinates(16, 16, 1, "int16")[0]
        band.grid_mapping = "crs"
    name = f'NETCDF:"{path}":red'
    open_layer(name).close()
    cut = tmp_path / "b.nc"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(LayerError, match="ends before the last of its values; fetch it anew"):
        open_layer(name.replace("a.nc", "b.nc"))
