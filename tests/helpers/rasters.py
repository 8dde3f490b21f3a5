"""Small test rasters, most of which hold their own coordinates, and products as delivered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

UTM = "EPSG:32631"
ORIGIN = (500_000.0, 5_700_000.0)


def coordinates(height: int, width: int, bands: int = 3, dtype: str = "uint16") -> NDArray[Any]:
    """Return ``(bands, height, width)``: the row, the column, then mixtures of both."""
    row, col = np.mgrid[:height, :width]
    planes = [row, col] + [7 * k + row * 3 + col * 2 for k in range(2, bands)]
    return np.stack(planes[:bands]).astype(dtype)


def write_raster(
    path: Path,
    values: NDArray[Any],
    *,
    crs: str | None = UTM,
    pixel: float = 10.0,
    transform: rasterio.Affine | None = None,
    descriptions: tuple[str, ...] = (),
    scales: tuple[float, ...] = (),
    offsets: tuple[float, ...] = (),
    mask: NDArray[np.bool_] | None = None,
    **profile: Any,
) -> Path:
    """Write ``(bands, height, width)`` as a GeoTIFF (or another ``driver``) and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    options = {"driver": "GTiff", "dtype": values.dtype, "crs": crs, **profile}
    if crs is not None:
        options["transform"] = transform or from_origin(*ORIGIN, pixel, pixel)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", width=width, height=height, count=count, **options) as dataset,
    ):
        dataset.write(values)
        if descriptions:
            dataset.descriptions = descriptions
        if scales:
            dataset.scales = scales
        if offsets:
            dataset.offsets = offsets
        if mask is not None:
            dataset.write_mask(mask)
    return path


def write_stack(path: Path, *parts: NDArray[Any]) -> Path:
    """Write a VRT of files ``(height, width)``, each of a type of its own, as gdalbuildvrt does."""
    kinds = {"uint8": "Byte", "uint16": "UInt16", "float32": "Float32"}
    height, width = parts[0].shape
    bands = ""
    for number, part in enumerate(parts, 1):
        name = write_raster(path.with_name(f"{path.stem}_{number}.tif"), part[None]).name
        bands += (
            f'<VRTRasterBand dataType="{kinds[part.dtype.name]}" band="{number}"><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{name}</SourceFilename></SimpleSource>'
            "</VRTRasterBand>"
        )
    place = f"{ORIGIN[0]},10,0,{ORIGIN[1]},0,-10"
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{UTM}</SRS>'
        f"<GeoTransform>{place}</GeoTransform>{bands}</VRTDataset>",
        encoding="utf-8",
    )
    return path


# --- Sentinel-2 -----------------------------------------------------------------------------------

_S2_METRES = {
    **dict.fromkeys(("B02", "B03", "B04", "B08"), 10),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 20),
    **dict.fromkeys(("B01", "B09"), 60),
}
_S2_IDS = {
    code: number
    for number, code in enumerate(
        "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B10 B11 B12".split()  # noqa: SIM905
    )
}

S2_XML = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_User_Product xmlns:n1="https://psd-{psd}.sentinel2.eo.esa.int/PSD/x.xsd">
  <n1:General_Info>
    <Product_Info><PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE></Product_Info>
    <Product_Image_Characteristics>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX>
      </Special_Values>
      {quantification}
      {offsets}
      <Spectral_Information_List>{spectral}</Spectral_Information_List>
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-{level}_User_Product>
"""


def make_safe(
    parent: Path,
    level: str = "2A",
    *,
    baseline: str = "05.09",
    scl: NDArray[np.uint8] | None = None,
    size: int = 120,
) -> Path:
    """Write a product of ``size`` x ``size`` pixels of 10 m; pixels of a band are 1000 + band_id
    * 100 + the row of its own grid. Offsets are -1000 - band_id since baseline 04.00."""
    when, tile = "20230615T103629", "T32TNT"
    version = f"N{baseline.replace('.', '')}"
    name = f"S2B_MSIL{level}_{when}_{version}_R008_{tile}_20230615T134200.SAFE"
    granule = parent / name / "GRANULE" / f"L{level}_{tile}_A032762_20230615T103625"
    images = granule / "IMG_DATA"
    for code, metres in _S2_METRES.items():
        n = size * 10 // metres
        rows = np.arange(n, dtype=np.uint16)[:, None] + np.zeros(n, dtype=np.uint16)
        pixels = rows + np.uint16(1000 + 100 * _S2_IDS[code])
        if level == "1C":
            _write_jp2(images / f"{tile}_{when}_{code}.jp2", pixels, metres)
            continue
        _write_jp2(images / f"R{metres}m" / f"{tile}_{when}_{code}_{metres}m.jp2", pixels, metres)
        if metres == 10:  # the coarser copies that the provider adds
            coarse = pixels[::2, ::2]
            _write_jp2(images / "R20m" / f"{tile}_{when}_{code}_20m.jp2", coarse, 20)
    if level == "2A":
        classes = np.full((size // 2, size // 2), 4, np.uint8) if scl is None else scl
        _write_jp2(images / "R20m" / f"{tile}_{when}_SCL_20m.jp2", classes, 20)
    quantity = "QUANTIFICATION_VALUE" if level == "1C" else "BOA_QUANTIFICATION_VALUE"
    offset = "RADIO_ADD_OFFSET" if level == "1C" else "BOA_ADD_OFFSET"
    has_offsets = baseline >= "04.00"
    text = S2_XML.format(
        psd=14,
        level=level,
        baseline=baseline,
        quantification=f'<{quantity} unit="none">10000</{quantity}>',
        offsets="".join(
            f'<{offset} band_id="{i}">{-1000 - i}</{offset}>' for i in range(13 * has_offsets)
        ),
        spectral="".join(
            f'<Spectral_Information bandId="{i}" physicalBand="{code.replace("B0", "B")}"/>'
            for code, i in _S2_IDS.items()
        ),
    )
    (parent / name / f"MTD_MSIL{level}.xml").write_text(text, encoding="utf-8")
    return parent / name


def _write_jp2(path: Path, pixels: NDArray[Any], metres: int) -> None:
    write_raster(
        path,
        pixels[None],
        crs="EPSG:32632",
        pixel=metres,
        driver="JP2OpenJPEG",
        quality="100",
        reversible="YES",
    )


# --- Landsat --------------------------------------------------------------------------------------

_MTL = """GROUP = LANDSAT_METADATA_FILE
  GROUP = IMAGE_ATTRIBUTES
    SPACECRAFT_ID = "{spacecraft}"
    SENSOR_ID = "{sensor}"
    SUN_ELEVATION = 30.00000000
  END_GROUP = IMAGE_ATTRIBUTES
{groups}END_GROUP = LANDSAT_METADATA_FILE
END
"""


def make_landsat(
    parent: Path,
    level: int = 2,
    *,
    sensor: str = "OLI_TIRS",
    quality: NDArray[np.uint16] | None = None,
    size: int = 64,
) -> Path:
    """Write a Collection 2 product; pixels of band n are n * 1000 + the row, row 0 is fill.

    Level 2 has the scale 2.75e-05 and the offset -0.2 - n / 100, level 1 the scale 2.0e-05 and the
    offset -0.1, with the sun 30 degrees high.
    """
    mission, spacecraft = {"OLI_TIRS": ("LC08", 8), "TM": ("LT05", 5), "ETM": ("LE07", 7)}[sensor]
    numbers = (1, 2, 3, 4, 5, 6, 7) if sensor == "OLI_TIRS" else (1, 2, 3, 4, 5, 7)
    correction = "L2SP" if level == 2 else "L1TP"
    name = f"{mission}_{correction}_193029_20200715_20200912_02_T1"
    folder = parent / name
    row = np.arange(size, dtype=np.uint16)[:, None] + np.zeros(size, dtype=np.uint16)
    codes = {n: f"SR_B{n}" if level == 2 else f"B{n}" for n in numbers}
    thermal = 10 if sensor == "OLI_TIRS" else 6
    if level == 2:
        codes[thermal] = f"ST_B{thermal}"
    else:
        codes[thermal] = f"B{thermal}"
    for n, code in codes.items():
        pixels = np.where(row == 0, 0, np.uint16(n * 1000) + row).astype(np.uint16)
        nodata = {"nodata": 0} if level == 2 else {}
        write_raster(
            folder / f"{name}_{code}.TIF", pixels[None], crs="EPSG:32633", pixel=30, **nodata
        )
    clear = np.where(row == 0, 1, 21824).astype(np.uint16)
    for code, pixels in (("QA_PIXEL", clear if quality is None else quality), ("QA_RADSAT", row)):
        write_raster(folder / f"{name}_{code}.TIF", pixels[None], crs="EPSG:32633", pixel=30)
    reflective = {
        "REFLECTANCE_MULT_BAND_": dict.fromkeys(numbers, 2e-05),
        "REFLECTANCE_ADD_BAND_": dict.fromkeys(numbers, -0.1),
        "RADIANCE_MULT_BAND_": {thermal: 3.3e-04},
    }
    groups = _mtl_group("LEVEL1_RADIOMETRIC_RESCALING", reflective)
    if level == 2:
        surface = {
            "REFLECTANCE_MULT_BAND_": dict.fromkeys(numbers, 2.75e-05),
            "REFLECTANCE_ADD_BAND_": {n: -0.2 - n / 100 for n in numbers},
        }
        heat = {
            "TEMPERATURE_MULT_BAND_ST_B": {thermal: 0.00341802},
            "TEMPERATURE_ADD_BAND_ST_B": {thermal: 149.0},
        }
        groups = (
            _mtl_group("LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", surface)
            + _mtl_group("LEVEL2_SURFACE_TEMPERATURE_PARAMETERS", heat)
            + groups
        )
    text = _MTL.format(spacecraft=f"LANDSAT_{spacecraft}", sensor=sensor, groups=groups)
    (folder / f"{name}_MTL.txt").write_text(text, encoding="utf-8")
    return folder


def _mtl_group(name: str, entries: dict[str, dict[int, float]]) -> str:
    lines = [f"    {key}{n} = {x}\n" for key, terms in entries.items() for n, x in terms.items()]
    return f"  GROUP = {name}\n{''.join(lines)}  END_GROUP = {name}\n"
