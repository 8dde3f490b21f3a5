"""Sentinel-2 products (.SAFE) by processing baseline, as Copernicus hands them out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from layouts import REFLECTANCE, Layout, Made, cloud, mask, planes, with_hole, write_jp2
from rasters import S2_XML

METRES = {
    **{"B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10},
    **{"B8A": 20, "B09": 60, "B10": 60, "B11": 20, "B12": 20},
}
COMMON = {
    **{"B01": "coastal", "B02": "blue", "B03": "green", "B04": "red", "B05": "rededge1"},
    **{"B06": "rededge2", "B07": "rededge3", "B08": "nir", "B8A": "nir08", "B09": "nir09"},
    **{"B10": "cirrus", "B11": "swir1", "B12": "swir2"},
}
LEVEL_2A = {code: name for code, name in COMMON.items() if code != "B10"}
DEFAULT = {code: COMMON[code] for code in ("B02", "B03", "B04", "B08")}
_IDS = {code: number for number, code in enumerate(METRES)}


def safe(
    folder: Path, *, level: str, baseline: str, satellite: str = "S2B", bands: tuple[str, ...]
) -> Made:
    """Write a product in the compact form that all have had since December 2016."""
    when, tile = "20230615T103629", "T32TNT"
    version = f"N{baseline.replace('.', '')}"
    product = folder / (
        f"{satellite}_MSIL{level}_{when}_{version}_R008_{tile}_20230615T134200.SAFE"
    )
    granule = product / "GRANULE" / f"L{level}_{tile}_A032762_20230615T103625"
    # level 2A of before October 2018 has the level before the names of its images
    stem = f"L2A_{tile}_{when}" if level == "2A" and baseline < "02.09" else f"{tile}_{when}"

    def image(code: str, metres: int) -> Path:
        if level == "1C":
            return granule / "IMG_DATA" / f"{stem}_{code}.jp2"
        return granule / "IMG_DATA" / f"R{metres}m" / f"{stem}_{code}_{metres}m.jp2"

    files = {}
    for code, metres in METRES.items():
        if level == "2A" and code == "B10":
            continue
        size = 480 // metres
        files[code] = write_jp2(image(code, metres), with_hole(_IDS[code], 0, size=size), metres)
    if level == "2A":  # the coarser copies of a band, and other layers beside
        write_jp2(image("B02", 20), with_hole(12, 0, size=24), 20)
        write_jp2(image("B04", 60), with_hole(12, 0, size=8), 60)
        write_jp2(image("AOT", 10), with_hole(11, 0), 10)
        write_jp2(image("WVP", 10), with_hole(10, 0), 10)
    tci = granule / "IMG_DATA" / f"{stem}_TCI.jp2" if level == "1C" else image("TCI", 10)
    write_jp2(tci, np.stack([with_hole(i, 0, "uint8") for i in range(3)]), 10)
    if baseline >= "04.00":  # before, these were vectors
        write_jp2(
            granule / "QI_DATA" / "MSK_CLASSI_B00.jp2", np.zeros((3, 8, 8), dtype=np.uint8), 60
        )
    masks = ()
    if level == "2A":
        classes = np.where(cloud(24), 9, 4).astype("uint8")
        classes[:, :2] = 11  # snow, which stays
        masks = (mask(write_jp2(image("SCL", 20), classes, 20), cloud(24)),)
    (product / f"MTD_MSIL{level}.xml").write_text(_metadata(level, baseline), encoding="utf-8")
    return Made(
        str(product),
        tuple(
            plane
            for code in bands
            for plane in planes(
                files[code], scale=1e-4, offset=1e-4 * _offset(code, baseline), nodata=0
            )
        ),
        masks,
    )


def _offset(code: str, baseline: str) -> int:
    """Return what is added to a pixel: another number for each band, so that none is mixed up."""
    return -1000 - _IDS[code] if baseline >= "04.00" else 0


def _metadata(level: str, baseline: str) -> str:
    kind = "" if level == "1C" else "BOA_"
    quantity = f"{kind}QUANTIFICATION_VALUE"
    if level == "2A" and baseline < "02.08":
        quantity = f"L2A_{quantity}"
    offset = "RADIO_ADD_OFFSET" if level == "1C" else "BOA_ADD_OFFSET"
    offsets = "".join(
        f'<{offset} band_id="{number}">{_offset(code, baseline)}</{offset}>'
        for code, number in _IDS.items()
        if baseline >= "04.00"
    )
    return S2_XML.format(
        level=level,
        psd=15 if baseline >= "05.11" else 14,
        baseline=baseline,
        quantification=f'<{quantity} unit="none">10000</{quantity}>',
        offsets=offsets,
        spectral="".join(
            f'<Spectral_Information bandId="{number}" physicalBand="{code.replace("B0", "B")}"/>'
            for code, number in _IDS.items()
        ),
    )


_POSITION = "the grid of the finest chosen band; coarser bands bilinear, the mask nearest"


def _layout(
    level: str, baseline: str, since: str, satellite: str = "S2B", *, whole: bool = False
) -> Layout:
    bands = {"1C": COMMON, "2A": LEVEL_2A}[level] if whole else DEFAULT
    has_offset = baseline >= "04.00"
    return Layout(
        name=f"Sentinel-2 L{level}, baseline {baseline} ({since})",
        make=partial(safe, level=level, baseline=baseline, satellite=satellite, bands=tuple(bands)),
        bands=bands,
        values=f"{REFLECTANCE}; " + ("the offset applied" if has_offset else "no offset"),
        missing="0" if level == "1C" else "0, and SCL classes 0, 1, 3, 8, 9, 10",
        position=_POSITION,
        options=("--bands", ",".join(bands)) if whole else (),
    )


SENTINEL_2 = (
    _layout("1C", "02.04", "2016", "S2A"),
    _layout("1C", "03.01", "2021", whole=True),
    _layout("1C", "04.00", "2022", "S2A", whole=True),
    _layout("1C", "05.11", "2024", "S2C"),
    _layout("2A", "02.07", "2018", "S2A"),
    _layout("2A", "02.14", "2020"),
    _layout("2A", "03.01", "2021"),
    _layout("2A", "04.00", "2022", "S2A"),
    _layout("2A", "05.09", "2022", whole=True),
    _layout("2A", "05.11", "2024", "S2C"),
)
