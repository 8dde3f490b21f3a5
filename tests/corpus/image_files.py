"""Images as their providers and programs leave them: files, and folders with files beside them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from layouts import (
    CRS,
    ORIGIN,
    REFLECTANCE,
    SIZE,
    Layout,
    Made,
    Plane,
    coded,
    hole,
    mask,
    north_up,
    planes,
    with_hole,
    write,
)
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.enums import ColorInterp
from rasterio.vrt import WarpedVRT

# --- Planet ---------------------------------------------------------------------------------------

_SUPERDOVE = {
    **{"coastal_blue": "coastal", "blue": "blue", "green_i": None, "green": "green"},
    **{"yellow": None, "red": "red", "rededge": "rededge1", "nir": "nir"},
}
_UDM2 = ("clear", "snow", "shadow", "light_haze", "heavy_haze", "cloud", "confidence", "unusable")
_PLANET = "20240101_100000_00_2400_3B"


def _planet_files(folder: Path) -> Path:
    image = write(
        folder / f"{_PLANET}_AnalyticMS_SR_8b_clip.tif",
        np.stack([with_hole(i, 0) for i in range(8)]),
        3.0,
        nodata=0,
        descriptions=tuple(_SUPERDOVE),
    )
    quality = np.ones((8, SIZE, SIZE), "uint8")
    write(folder / f"{_PLANET}_udm2_clip.tif", quality, 3.0, descriptions=_UDM2)
    (folder / f"{_PLANET}_metadata.json").write_text("{}", encoding="utf-8")
    return image


def planet_folder(folder: Path) -> Made:
    """Write an order of PlanetScope, unpacked."""
    image = _planet_files(folder / "order")
    return Made(str(folder / "order"), planes(image, nodata=0))


def planet_file(folder: Path) -> Made:
    """Write the same, and name the image alone."""
    image = _planet_files(folder / "order")
    return Made(str(image), planes(image, nodata=0))


def planet_of_four(folder: Path) -> Made:
    """Write one of the first satellites: blue is first, and the file marks it as red."""
    pixels = np.stack([with_hole(i, 0) for i in range(4)])
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)
    path = folder / "20170831_172754_101c_3B_AnalyticMS.tif"
    write(path, pixels, 3.0, nodata=0, photometric="RGB", colorinterp=colours)
    return Made(str(path), planes(path, nodata=0))


def rapideye(folder: Path) -> Made:
    """Write a tile of RapidEye, whose file says nothing of its bands."""
    path = folder / "1947423_2013-01-01_RE1_3A_Analytic.tif"
    write(path, np.stack([with_hole(i, 0) for i in range(5)]), 5.0, nodata=0)
    return Made(str(path), planes(path, nodata=0))


def skysat(folder: Path) -> Made:
    """Write a scene of SkySat, cut out, whose file says nothing of its bands."""
    path = folder / "20200814_162132_ssc4_u0001_analytic_clip.tif"
    write(path, np.stack([with_hole(i, 0) for i in range(4)]), 0.5, nodata=0)
    return Made(str(path), planes(path, nodata=0))


# --- imaging spectrometers ------------------------------------------------------------------------

_CENTRES = (443.1, 491.9, 560.4, 601.2, 664.6, 704.5, 841.3, 1003.7, 1611.4, 2201.9)  # nm
_KNOWN = ("coastal", "blue", "green", None, "red", "rededge1", "nir", None, "swir1", "swir2")
_ENMAP = "ENMAP01-____L2A-DT0000001234_20220727T104639Z_001_V010400_20240101T000000Z"
_DESIS = "DESIS-HSI-L2A-DT0325788724_004-20190904T071548-V0210"


def enmap(folder: Path) -> Made:
    """Write a product of level 2A with its quality layers, quicklooks and wavelengths."""
    place = folder / _ENMAP
    pixels = np.stack([with_hole(i, -32768, "int16") for i in range(10)])
    image = write(place / f"{_ENMAP}-SPECTRAL_IMAGE.TIF", pixels, 30.0, nodata=-32768)
    ones = np.ones((10, SIZE, SIZE), "uint8")
    write(place / f"{_ENMAP}-QL_PIXELMASK.TIF", ones, 30.0)
    for name in ("VNIR", "SWIR"):
        write(place / f"{_ENMAP}-QL_{name}.TIF", ones[:3], 30.0, nodata=0)
    for name in ("CIRRUS", "CLASSES", "CLOUD", "CLOUDSHADOW", "HAZE", "SNOW", "TESTFLAGS"):
        write(place / f"{_ENMAP}-QL_QUALITY_{name}.TIF", ones[:1], 30.0, nodata=255)
    bands = "".join(
        f'<bandID number="{number}"><wavelengthCenterOfBand>{centre}</wavelengthCenterOfBand>'
        "<FWHMOfBand>6.9</FWHMOfBand><GainOfBand>0.0001</GainOfBand></bandID>"
        for number, centre in enumerate(_CENTRES, start=1)
    )
    characterisation = f"<bandCharacterisation>{bands}</bandCharacterisation>"
    (place / f"{_ENMAP}-METADATA.XML").write_text(
        f"<level_X><specific>{characterisation}</specific></level_X>", encoding="ascii"
    )
    return Made(str(place), planes(image, nodata=-32768))


def desis(folder: Path) -> Made:
    """Write an image of DESIS, with its metadata beside it."""
    path = folder / f"{_DESIS}-SPECTRAL_IMAGE.tif"
    pixels = [with_hole(i, -32768, "int16") for i in range(10)]
    write(path, np.stack(pixels), 30.0, nodata=-32768)
    bands = "".join(
        f"<band><bandNumber>{number}</bandNumber><wavelengthWidthOfBand>3.5</wavelengthWidthOfBand>"
        f"<wavelengthCenterOfBand>{centre}</wavelengthCenterOfBand></band>"
        for number, centre in enumerate(_CENTRES, start=1)
    )
    (folder / f"{_DESIS}-METADATA.xml").write_text(
        f"<hsi_doc><specific>{bands}</specific></hsi_doc>", encoding="ascii"
    )
    return Made(str(path), planes(path, nodata=-32768))


# --- Maxar ----------------------------------------------------------------------------------------

_WORLDVIEW = {"C": "coastal", "B": "blue", "G": "green", "Y": None, "R": "red"}
_WORLDVIEW |= {"RE": "rededge1", "N": "nir", "N2": None}


def worldview(folder: Path) -> Made:
    """Write eight bands with the IMD beside them, which alone says what they are."""
    path = folder / "19AUG22104421-M2AS-010787518010_01_P001.TIF"
    write(path, np.stack([with_hole(i, 0) for i in range(8)]), 2.0, nodata=0)
    groups = "".join(
        f"BEGIN_GROUP = BAND_{name}\n\tabsCalFactor = 1.0e-02;\nEND_GROUP = BAND_{name}\n"
        for name in _WORLDVIEW
    )
    image = 'BEGIN_GROUP = IMAGE_1\n\tsatId = "WV02";\nEND_GROUP = IMAGE_1\n'
    path.with_suffix(".IMD").write_text(
        f'version = "28.3";\nbandId = "Multi";\n{groups}{image}END;\n', encoding="ascii"
    )
    return Made(str(path), planes(path, nodata=0))


# --- aerial images --------------------------------------------------------------------------------


def naip(folder: Path) -> Made:
    """Write a quarter quad: four bands of 8 bits without names or no-data value; 0 is black."""
    pixels = np.stack([coded(i, "uint8") for i in range(4)])
    pixels[:, hole()] = 0
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)
    path = folder / "m_3808960_sw_16_060_20220715.tif"
    write(path, pixels, 0.6, photometric="RGB", colorinterp=colours)
    return Made(str(path), planes(path))


def rgb_with_alpha(folder: Path) -> Made:
    """Write an orthophoto as drone software does: a fourth band that says where the image is."""
    pixels = np.stack([with_hole(i, 0, "uint8") for i in range(4)])
    pixels[3] = np.where(hole(), 0, 255)
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    path = write(folder / "odm_orthophoto.tif", pixels, 0.05, colorinterp=colours)
    return Made(str(path), planes(path)[:3], (mask(path, hole()),))


# --- HLS ------------------------------------------------------------------------------------------

_S30 = {"B02": "blue", "B03": "green", "B04": "red", "B11": "swir1", "B12": "swir2", "B8A": "nir08"}
_L30 = {"B02": "blue", "B03": "green", "B04": "red", "B05": "nir", "B06": "swir1", "B07": "swir2"}


def _hls(folder: Path, stem: str, bands: dict[str, str]) -> Made:
    place = folder / stem
    read = []
    for number, code in enumerate(bands):
        path = place / f"{stem}.{code}.tif"
        pixels = with_hole(number, -9999, "int16")
        write(path, pixels, 30.0, nodata=-9999, scales=(1e-4,))
        read += planes(path, scale=1e-4, nodata=-9999)
    write(place / f"{stem}.Fmask.tif", coded(0, "uint8"), 30.0, nodata=255)
    for angle in ("SZA", "SAA", "VZA", "VAA"):
        write(place / f"{stem}.{angle}.tif", coded(1), 30.0, nodata=40000)
    return Made(str(place), tuple(read))


def hls_s30(folder: Path) -> Made:
    """Write a granule of the harmonised Sentinel-2."""
    return _hls(folder, "HLS.S30.T32TNT.2023166T103629.v2.0", _S30)


def hls_l30(folder: Path) -> Made:
    """Write a granule of the harmonised Landsat, whose codes count otherwise."""
    return _hls(folder, "HLS.L30.T32TNT.2023166T100629.v2.0", _L30)


def _files(stem: str, bands: dict[str, str]) -> dict[str, str | None]:
    return {f"{stem}.{code}": name for code, name in bands.items()}


# --- other sensors, and exports -------------------------------------------------------------------

_SINUSOIDAL = "+proj=sinu +lon_0=0 +R=6371007.181 +units=m +no_defs"
_MODIS = {
    **{"sur_refl_b01": "red", "sur_refl_b02": "nir", "sur_refl_b03": "blue"},
    **{"sur_refl_b04": "green", "sur_refl_b06": "swir1", "sur_refl_b07": "swir2"},
}
_ASTER = {"B01": "green", "B02": "red", "B3N": "nir"}


def modis(folder: Path) -> Made:
    """Write surface reflectance of MOD09A1 as GeoTIFF, on the globe's sinusoidal grid."""
    pixels = np.stack([with_hole(i, -28672, "int16") for i in range(len(_MODIS))])
    metres = 463.312716527917
    path = write(
        folder / "MOD09A1.A2023161.h18v04.061.tif",
        pixels,
        crs=_SINUSOIDAL,
        transform=Affine(metres, 0, 741_300.0, 0, -metres, 5_100_000.0),
        nodata=-28672,
        descriptions=tuple(_MODIS),
    )
    return Made(str(path), planes(path, nodata=-28672), crs=_SINUSOIDAL)


def aster(folder: Path) -> Made:
    """Write the visible bands of ASTER, whose third is near infrared."""
    pixels = np.stack([with_hole(i, 0, "uint8") for i in range(3)])
    path = folder / "AST_L1T_00306152023102845.tif"
    write(path, pixels, 15.0, nodata=0, descriptions=tuple(_ASTER))
    return Made(str(path), planes(path, nodata=0))


def earth_engine(folder: Path) -> Made:
    """Write an export of Earth Engine: numbers without padding, NaN where it is masked."""
    bands = {"B2": "blue", "B3": "green", "B4": "red", "B8": "nir"}
    pixels = np.stack([with_hole(i, math.nan, "float64") for i in range(4)])
    path = write(folder / "export.tif", pixels, descriptions=tuple(bands))
    return Made(str(path), planes(path, nodata=math.nan))


_BROWSER = "2023-06-15-00_00_2023-06-15-23_59_Sentinel-2_L2A_{}_(Raw)"


def copernicus_browser(folder: Path) -> Made:
    """Write a download of the Copernicus Browser: a file per band, and the mask of the data."""
    place = folder / "Browser_images"
    read = []
    for number, code in enumerate(("B02", "B03", "B04", "B08")):
        path = write(place / f"{_BROWSER.format(code)}.tiff", with_hole(number, 0), nodata=0)
        read += planes(path, nodata=0)
    name = _BROWSER.format("dataMask")
    write(place / f"{name}.tiff", (~hole()).astype("uint8"))
    return Made(str(place), tuple(read))


# --- Sentinel-2 as files --------------------------------------------------------------------------


def cog_folder(folder: Path) -> Made:
    """Write a folder as the public buckets of Sentinel-2 COGs have it."""
    place = folder / "S2B_32TNT_20230615_0_L2A"
    read = []
    for number, (code, metres) in enumerate((("B02", 10), ("B03", 10), ("B04", 10), ("B8A", 20))):
        path = write(
            place / f"{code}.tif", with_hole(number, 0, size=480 // metres), metres, nodata=0
        )
        read += planes(path, nodata=0)
    write(place / "SCL.tif", with_hole(0, 0, "uint8", 24), 20.0, nodata=0)
    write(place / "AOT.tif", with_hole(0, 0, size=24), 20.0, nodata=0)
    write(place / "TCI.tif", np.stack([with_hole(i, 0, "uint8") for i in range(3)]), 10.0)
    write(place / "L2A_PVI.tif", np.stack([coded(i, "uint8", 7) for i in range(3)]), 68.0)
    return Made(str(place), tuple(read))


def stack_with_vrt(folder: Path) -> Made:
    """Write a folder of bands with the virtual raster in which a program stacked them."""
    place = folder / "stack"
    read = []
    bands = []
    for number, code in enumerate(("B02", "B03", "B04", "B08"), start=1):
        read += planes(write(place / f"{code}.tif", with_hole(number, 0), nodata=0), nodata=0)
        bands.append(
            f'<VRTRasterBand dataType="UInt16" band="{number}"><NoDataValue>0</NoDataValue>'
            f'<SimpleSource><SourceFilename relativeToVRT="1">{code}.tif</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        )
    x, y = ORIGIN
    (place / "stack.vrt").write_text(
        f'<VRTDataset rasterXSize="{SIZE}" rasterYSize="{SIZE}"><SRS>{CRS}</SRS>'
        f"<GeoTransform>{x}, 10, 0, {y}, 0, -10</GeoTransform>{''.join(bands)}</VRTDataset>",
        encoding="utf-8",
    )
    return Made(str(place), tuple(read))


# --- ENVI -----------------------------------------------------------------------------------------

_ENVI = """ENVI
samples = 48
lines = 48
bands = 5
header offset = 0
file type = ENVI Standard
data type = 12
interleave = bil
byte order = 0
map info = {UTM, 1, 1, 500000, 5100000, 10, 10, 32, North, WGS-84, units=Meters}
data ignore value = 0
wavelength units = Nanometers
wavelength = {490.0, 560.0, 665.0, 760.0, 842.0}
fwhm = {65.0, 35.0, 30.0, 15.0, 115.0}
bbl = {1, 1, 1, 0, 1}
default bands = {5, 3, 2}
"""
_ENVI_BANDS = {
    "490.0 Nanometers": "blue",
    "560.0 Nanometers": "green",
    "665.0 Nanometers": "red",
    "842.0 Nanometers": "nir",
}


def envi(folder: Path) -> Made:
    """Write an image with wavelengths, a bad band, and a false-colour display."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.stack([with_hole(i, 0) for i in range(5)])
    pixels.transpose(1, 0, 2).astype("<u2").tofile(folder / "image.dat")
    (folder / "image.hdr").write_text(_ENVI, encoding="utf-8")
    read = planes(folder / "image.dat", nodata=0)
    return Made(str(folder / "image.dat"), (*read[:3], read[4]))


def false_colour(folder: Path) -> Made:
    """Write near infrared, red and green, which GDAL marks as red, green and blue."""
    pixels = np.stack([with_hole(i, 0, "uint8") for i in range(3)])
    names = ("B08", "B04", "B03")
    path = write(folder / "false_colour.tif", pixels, nodata=0, descriptions=names)
    return Made(str(path), planes(path, nodata=0))


# --- embeddings -----------------------------------------------------------------------------------


def alphaearth(folder: Path) -> Made:
    """Write a tile with its south up, and beside it the virtual raster that turns it round."""
    place = folder / "aef"
    bands = 64
    pixels = np.stack([with_hole(i, -128, "int8") for i in range(bands)])
    south_up = Affine(10, 0, ORIGIN[0], 0, 10, ORIGIN[1] - 10 * SIZE)
    path = write(
        place / "x8qqwcsisbgygl2ry-0000008192-0000000000.tiff",
        pixels,
        transform=south_up,
        nodata=-128,
        descriptions=tuple(f"A{i:02}" for i in range(bands)),
    )
    north_up = Affine(10, 0, ORIGIN[0], 0, -10, ORIGIN[1])
    with (
        rasterio.open(path) as dataset,
        WarpedVRT(dataset, transform=north_up, width=SIZE, height=SIZE) as turned,
    ):
        rasterio.shutil.copy(turned, path.with_suffix(".vrt"), driver="VRT")
    return Made(str(path), tuple(map(_vector, planes(path, nodata=-128))))


def _vector(plane: Plane) -> Plane:
    """Return a band with the values that AlphaEarth's integers stand for."""
    pixels = plane.pixels.astype(float)
    return replace(plane, pixels=pixels * abs(pixels), scale=1 / 127.5**2)


def geotessera(folder: Path) -> Made:
    """Write a tile as the library exports it: its descriptions count from 0."""
    bands = 128
    pixels = np.stack([with_hole(i % 12, math.nan, "float32") for i in range(bands)])
    path = write(
        folder / "grid_9.05_46.05_2024.tiff",
        pixels,
        compress="lzw",
        descriptions=tuple(f"Tessera_Band_{i}" for i in range(bands)),
    )
    return Made(str(path), planes(path, nodata=math.nan))


def geotessera_arrays(folder: Path) -> Made:
    """Write a tile as it is downloaded: vectors, scales, and the land mask that places them."""
    bands, name = 128, "grid_9.05_46.05"
    pixels = np.stack([_small(i) for i in range(bands)])  # (128, height, width)
    scales = np.full((SIZE, SIZE), 0.05, np.float32)
    scales[hole()] = math.nan
    place = folder / "global_0.1_degree_representation" / "2024" / name
    place.mkdir(parents=True)
    np.save(place / f"{name}.npy", pixels.transpose(1, 2, 0))
    np.save(place / f"{name}_scales.npy", scales)
    land = np.ones((1, SIZE, SIZE), np.uint8)
    write(folder / "global_0.1_degree_tiff_all" / f"{name}.tiff", land)
    scale = float(np.float32(0.05))
    return Made(str(folder), tuple(Plane(p, north_up(10), scale, missing=hole()) for p in pixels))


def _small(band: int) -> NDArray[np.int8]:
    """Return int8 that grow from row to row and from column to column, another way in each band."""
    row, col = np.mgrid[:SIZE, :SIZE]
    return (row + col - 100 + band % 64).astype(np.int8)


def _numbered(*commons: str | None) -> dict[str, str | None]:
    """Return the common names of bands without names of their own, in their order."""
    return {f"band_{i}": common for i, common in enumerate(commons, start=1)}


_SIDE = "the file's no-data value; quality layers next to it are not bands"

IMAGE_FILES = (
    Layout(
        "PlanetScope order with udm2, the folder",
        planet_folder,
        {f"{_PLANET}_AnalyticMS_SR_8b_clip_{name}": common for name, common in _SUPERDOVE.items()},
        missing=_SIDE,
    ),
    Layout("PlanetScope order with udm2, the image", planet_file, _SUPERDOVE, missing=_SIDE),
    Layout(
        "PlanetScope of four bands, marked as red, green and blue",
        planet_of_four,
        _numbered("blue", "green", "red", "nir"),
        missing="the file's no-data value",
    ),
    Layout(
        "RapidEye 3A",
        rapideye,
        _numbered("blue", "green", "red", "rededge1", "nir"),
        missing="the file's no-data value",
    ),
    Layout(
        "SkySat analytic",
        skysat,
        _numbered("blue", "green", "red", "nir"),
        missing="the file's no-data value",
    ),
    Layout(
        "EnMAP L2A",
        enmap,
        {f"{_ENMAP}-SPECTRAL_IMAGE_{name}": common for name, common in _numbered(*_KNOWN).items()},
        missing=_SIDE,
    ),
    Layout("DESIS L2A", desis, _numbered(*_KNOWN)),
    Layout(
        "WorldView-2 with its IMD",
        worldview,
        _numbered(*_WORLDVIEW.values()),
        missing="the file's no-data value",
    ),
    Layout(
        "NAIP",
        naip,
        {"red": "red", "green": "green", "blue": "blue", "band_4": "nir"},
        missing="nothing: 0 is black",
    ),
    Layout(
        "RGB orthophoto with an alpha band",
        rgb_with_alpha,
        {"red": "red", "green": "green", "blue": "blue"},
        missing="where alpha is 0",
    ),
    Layout(
        "HLS S30",
        hls_s30,
        _files("HLS.S30.T32TNT.2023166T103629.v2.0", _S30),
        values=f"{REFLECTANCE}, by the file's scale",
        missing="the file's no-data value; Fmask and angles are not bands",
    ),
    Layout(
        "HLS L30",
        hls_l30,
        _files("HLS.L30.T32TNT.2023166T100629.v2.0", _L30),
        values=f"{REFLECTANCE}, by the file's scale",
        missing="the file's no-data value; Fmask and angles are not bands",
    ),
    Layout(
        "Sentinel-2 COGs in a folder",
        cog_folder,
        {"B02": "blue", "B03": "green", "B04": "red", "B8A": "nir08"},
        missing="the files' no-data value; SCL, AOT, TCI and previews are not bands",
        position="the grid of the finest chosen band; coarser bands bilinear",
    ),
    Layout(
        "Copernicus Browser download",
        copernicus_browser,
        {
            _BROWSER.format(code): common
            for code, common in (("B02", "blue"), ("B03", "green"), ("B04", "red"), ("B08", "nir"))
        },
        missing="the files' no-data value; dataMask is not a band",
    ),
    Layout(
        "Earth Engine export",
        earth_engine,
        {"B2": "blue", "B3": "green", "B4": "red", "B8": "nir"},
        missing="NaN",
    ),
    Layout("MODIS MOD09A1 as GeoTIFF", modis, _MODIS),
    Layout("ASTER L1T as GeoTIFF", aster, _ASTER),
    Layout(
        "Files with the VRT that stacks them",
        stack_with_vrt,
        {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"},
        missing="the files' no-data value; the VRT is not read as further bands",
    ),
    Layout(
        "ENVI with wavelengths",
        envi,
        _ENVI_BANDS,
        missing="`data ignore value`; bands that `bbl` calls bad are left out",
    ),
    Layout(
        "False-colour image of 8 bits",
        false_colour,
        {"B08": "nir", "B04": "red", "B03": "green"},
    ),
    Layout(
        "AlphaEarth Foundations tile, south up",
        alphaearth,
        {f"A{i:02}": None for i in range(64)},
        values="a vector of unit length: (v / 127.5)² with the sign of v",
        missing="where any band is -128",
        position="as the file says, its first row in the south; the VRT next to it is left out",
    ),
    Layout(
        "TESSERA tile exported by geotessera",
        geotessera,
        {f"Tessera_Band_{i}": None for i in range(128)},
        values="a vector, as stored",
        missing="NaN",
    ),
    Layout(
        "TESSERA tiles as NumPy arrays, the folder of a download",
        geotessera_arrays,
        {f"Tessera_Band_{i}": None for i in range(128)},
        values="a vector, the integers times `grid_LON_LAT_scales.npy`",
        missing="where the scale is NaN, infinite, 0 or below, 1 or above",
        position="as the land mask of the tile says",
        options=("--source", "arrays"),
    ),
)
