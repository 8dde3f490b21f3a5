"""STAC items of several catalogues, with their assets beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from layouts import CRS, REFLECTANCE, Layout, Made, cloud, coded, mask, planes, with_hole, write

_BANDS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
_TIFF = "image/tiff; application=geotiff; profile=cloud-optimized"
_OFFSET = -0.1


def _asset(path: Path, **more: Any) -> dict[str, Any]:
    return {"href": f"./{path.name}", "type": _TIFF, "roles": ["data"], **more}


def _write_item(
    folder: Path, version: str, assets: dict[str, Any], properties: dict[str, Any]
) -> str:
    item = {
        "type": "Feature",
        "stac_version": version,
        "id": "S2B_32TNT_20230615_0_L2A",
        "geometry": None,
        "properties": {"datetime": "2023-06-15T10:36:29Z", "proj:code": CRS, **properties},
        "links": [],
        "assets": assets,
    }
    path = folder / "item.json"
    path.write_text(json.dumps(item, indent=2), encoding="utf-8")
    return str(path)


def _files(folder: Path) -> dict[str, Path]:
    return {
        code: write(folder / f"{code}.tif", with_hole(number, 0))
        for number, code in enumerate(_BANDS)
    }


def _classes(folder: Path) -> Path:
    classes = np.where(cloud(24), 9, 4).astype("uint8")
    return write(folder / "SCL.tif", classes, 20.0, nodata=0)


def _picture(folder: Path) -> Path:
    return write(folder / "TCI.tif", np.stack([coded(i, "uint8") for i in range(3)]))


def _read(files: dict[str, Path], scale: float, offset: float) -> tuple[Any, ...]:
    return tuple(
        plane
        for path in files.values()
        for plane in planes(path, scale=scale, offset=offset, nodata=0)
    )


def version_1_0(folder: Path) -> Made:
    """Write an item with eo:bands and raster:bands, with the scene classification beside."""
    files = _files(folder)
    told = {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": _OFFSET}
    assets = {
        common: _asset(
            files[code],
            **{"eo:bands": [{"name": code, "common_name": common}], "raster:bands": [told]},
        )
        for code, common in _BANDS.items()
    }
    assets["scl"] = _asset(_classes(folder), **{"raster:bands": [{"nodata": 0}]})
    assets["visual"] = _asset(_picture(folder), roles=["visual"])
    scene = _write_item(folder, "1.0.0", assets, {})
    return Made(scene, _read(files, 1e-4, _OFFSET), (mask(folder / "SCL.tif", cloud(24)),))


def earth_search(folder: Path) -> Made:
    """Write an item whose pixels have the offset in them already, as it says itself."""
    files = _files(folder)
    told = {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": _OFFSET}
    assets = {
        common: _asset(
            files[code],
            roles=["data", "reflectance"],
            **{"eo:bands": [{"name": common, "common_name": common}], "raster:bands": [told]},
        )
        for code, common in _BANDS.items()
    }
    # darker than what an offset that is still to be taken off leaves
    for number, path in enumerate(files.values()):
        write(
            path, np.where(with_hole(number, 0) > 0, with_hole(number, 0) - 995, 0).astype("uint16")
        )
    assets["scl"] = _asset(_classes(folder))
    assets["visual"] = _asset(_picture(folder), roles=["visual"])
    properties = {"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"}
    scene = _write_item(folder, "1.0.0", assets, properties)
    return Made(scene, _read(files, 1e-4, 0.0), (mask(folder / "SCL.tif", cloud(24)),))


def planetary_computer(folder: Path) -> Made:
    """Write an item that names neither scale nor offset, only the baseline, in digital numbers."""
    files = _files(folder)
    assets = {
        code: _asset(files[code], **{"eo:bands": [{"name": code, "common_name": common}]})
        for code, common in _BANDS.items()
    }
    for number, path in enumerate(files.values()):
        write(path, with_hole(number, 0), nodata=0)
    assets["SCL"] = _asset(_classes(folder))
    scene = _write_item(folder, "1.0.0", assets, {"s2:processing_baseline": "05.09"})
    return Made(scene, _read(files, 1.0, -1000.0), (mask(folder / "SCL.tif", cloud(24)),))


def version_1_1(folder: Path) -> Made:
    """Write an item whose bands, scale and no-data value stand as version 1.1 has them."""
    files = _files(folder)
    assets = {
        f"{code}_10m": _asset(
            files[code],
            **{
                "bands": [{"name": code, "eo:common_name": common}],
                "nodata": 0,
                "raster:scale": 0.0001,
                "raster:offset": _OFFSET,
            },
        )
        for code, common in _BANDS.items()
    }
    assets["SCL_20m"] = _asset(_classes(folder), nodata=0)
    assets["thumbnail"] = _asset(_picture(folder), roles=["thumbnail"])
    scene = _write_item(folder, "1.1.0", assets, {})
    return Made(scene, _read(files, 1e-4, _OFFSET), (mask(folder / "SCL.tif", cloud(24)),))


def version_1_1_stack(folder: Path) -> Made:
    """Write an item with one asset of several bands, each with terms of its own."""
    pixels = np.stack([with_hole(i, 0) for i in range(4)])
    path = write(folder / "image.tif", pixels)
    scales = (0.0001, 0.0002, 0.0001, 0.0001)
    bands = [
        {"name": code, "eo:common_name": common, "raster:scale": scale}
        for (code, common), scale in zip(_BANDS.items(), scales, strict=True)
    ]
    scene = _write_item(folder, "1.1.0", {"image": _asset(path, bands=bands, nodata=0)}, {})
    read = planes(path, nodata=0)
    scaled = tuple(replace(plane, scale=s) for plane, s in zip(read, scales, strict=True))
    return Made(scene, scaled)


def landsat(folder: Path) -> Made:
    """Write an item of Landsat Collection 2 as catalogues have it, with its own common names."""
    files = {
        name: write(folder / f"LC08_L2SP_SR_B{number}.TIF", with_hole(number, 0), 30.0)
        for name, number in (("red", 4), ("nir08", 5))
    }
    told = {"nodata": 0, "data_type": "uint16", "scale": 2.75e-05, "offset": -0.2}
    assets = {
        name: _asset(
            path,
            roles=["data", "reflectance"],
            **{"eo:bands": [{"name": f"OLI_{code}", "common_name": name}], "raster:bands": [told]},
        )
        for (name, path), code in zip(files.items(), ("B4", "B5"), strict=True)
    }
    quality = write(folder / "LC08_QA_PIXEL.TIF", np.full_like(coded(0), 64), 30.0, nodata=1)
    assets["qa_pixel"] = _asset(quality, roles=["cloud", "cloud-shadow", "snow-ice"])
    scene = _write_item(folder, "1.0.0", assets, {"platform": "landsat-8"})
    return Made(scene, _read(files, 2.75e-05, -0.2))


_NAIP = {"Red": "red", "Green": "green", "Blue": "blue", "NIR": "nir"}


def naip(folder: Path) -> Made:
    """Write an item of NAIP: four bands of 8 bits in one asset, whose file has no names."""
    pixels = np.stack([coded(i, "uint8") for i in range(4)])
    path = write(folder / "m_3808960.tif", pixels, 0.6, photometric="RGB")
    bands = [{"name": name, "common_name": common} for name, common in _NAIP.items()]
    assets = {
        "image": _asset(path, **{"eo:bands": bands}),
        "thumbnail": {"href": "./preview.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
        "metadata": {"href": "./m_3808960.txt", "type": "text/plain", "roles": ["metadata"]},
    }
    return Made(_write_item(folder, "1.0.0", assets, {"gsd": 0.6}), planes(path))


_MISSING = "the item's no-data value, and SCL classes 0, 1, 3, 8, 9, 10"

STAC_ITEMS = (
    Layout(
        "STAC 1.0 item, eo:bands and raster:bands",
        version_1_0,
        dict(_BANDS),
        values=f"{REFLECTANCE}, by the item's scale and offset",
        missing=_MISSING,
    ),
    Layout(
        "STAC 1.0 item of Earth Search, offset applied",
        earth_search,
        {name: name for name in _BANDS.values()},
        values=f"{REFLECTANCE}; an offset that is in the pixels is not applied again",
        missing=_MISSING,
    ),
    Layout(
        "STAC 1.0 item of the Planetary Computer, Sentinel-2",
        planetary_computer,
        dict(_BANDS),
        values="10,000 x reflectance; the offset of the baseline taken off",
        missing="the file's no-data value, and SCL classes 0, 1, 3, 8, 9, 10",
    ),
    Layout(
        "STAC 1.1 item, one asset per band",
        version_1_1,
        dict(_BANDS),
        values=f"{REFLECTANCE}, by the item's scale and offset",
        missing=_MISSING,
    ),
    Layout(
        "STAC 1.1 item, one asset of several bands",
        version_1_1_stack,
        dict(_BANDS),
        values=f"{REFLECTANCE}, by the scale of each band",
        missing="the item's no-data value",
    ),
    Layout("STAC 1.0 item of NAIP", naip, _NAIP, missing="nothing: 0 is black"),
    Layout(
        "STAC 1.0 item of Landsat Collection 2",
        landsat,
        {"OLI_B4": "red", "nir08": "nir08"},
        values=f"surface {REFLECTANCE}, by the item's scale and offset",
        missing="the item's no-data value; QA_PIXEL is not a band",
    ),
)
