"""Landsat Collection 2 by satellite, level and form of its metadata (MTL)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from layouts import (
    ORIGIN,
    REFLECTANCE,
    SIZE,
    Layout,
    Made,
    cloud,
    coded,
    hole,
    mask,
    planes,
    with_hole,
    write,
)
from rasterio import Affine

SUN = 31.25  # degrees above the horizon
_SENSORS = {"LM": "MSS", "LT": "TM", "LE": "ETM", "LC": "OLI_TIRS", "LO": "OLI"}

Groups = Mapping[str, Mapping[str, object]]


def product(folder: Path, *, stem: str, form: str, files: tuple[int, ...]) -> Made:
    """Write a product with its quality layers; ``files`` are the numbers of the bands to be read.

    Scale and offset differ from band to band, so that none is mixed up.
    """
    level = 2 if "_L2" in stem else 1
    sensor = _SENSORS[stem[:2]]
    prefix = "SR_B" if level == 2 else "B"
    numbers = _numbers(stem, sensor)
    dtype = "uint8" if sensor == "MSS" else "uint16"
    metres = 60 if sensor == "MSS" else 30
    place = folder / stem
    paths = {}
    for number in numbers:
        pixels = coded(number, dtype)
        pixels[hole()] = 0
        paths[number] = write(place / f"{stem}_{prefix}{number}.TIF", pixels, metres, nodata=0)
    quality = np.where(cloud(), 0b1000 | 1 << 6, 1 << 6).astype("uint16")
    quality[hole()] = 1
    qa = write(place / f"{stem}_QA_PIXEL.TIF", quality, metres, nodata=1)
    write(place / f"{stem}_QA_RADSAT.TIF", np.zeros_like(quality), metres)
    if level == 2:
        write(place / f"{stem}_SR_QA_AEROSOL.TIF", np.full_like(quality, 96, "uint8"), metres)
        write(place / f"{stem}_ST_QA.TIF", np.full_like(quality, 300, "int16"), metres)
    terms = {number: _terms(number, level, sensor) for number in numbers}
    _write_metadata(place / f"{stem}_MTL.{form}", form, _groups(terms, level, sensor, stem))
    height = math.sin(math.radians(SUN)) if level == 1 else 1.0
    return Made(
        str(place),
        tuple(
            plane
            for number in files
            for plane in planes(
                paths[number],
                scale=terms[number][0] / height,
                offset=terms[number][1] / height,
                nodata=0,
            )
        ),
        (mask(qa, cloud()),),
    )


def with_panchromatic(folder: Path) -> Made:
    """Write a product of level 1 whose panchromatic band lies half of its pixels off the others."""
    stem = "LC09_L1TP_193029_20230715_20230722_02_T1"
    place = folder / stem
    x, y = ORIGIN
    pan = write(place / f"{stem}_B8.TIF", with_hole(8, 0), 15, nodata=0)
    red = write(
        place / f"{stem}_B4.TIF",
        coded(4, size=SIZE // 2 + 1),
        transform=Affine(30, 0, x - 7.5, 0, -30, y + 7.5),
        nodata=0,
    )
    terms = {number: _terms(number, 1, "OLI_TIRS") for number in (4, 8)}
    _write_metadata(place / f"{stem}_MTL.txt", "txt", _groups(terms, 1, "OLI_TIRS", stem))
    height = math.sin(math.radians(SUN))
    return Made(
        str(place),
        tuple(
            plane
            for path, (scale, offset) in zip((pan, red), (terms[8], terms[4]), strict=True)
            for plane in planes(path, scale=scale / height, offset=offset / height, nodata=0)
        ),
    )


def _numbers(stem: str, sensor: str) -> tuple[int, ...]:
    """Return the reflective bands; the scanner's count from 4 on Landsat 1 to 3."""
    if sensor == "MSS":
        return (4, 5, 6, 7) if stem[2:4] in ("01", "02", "03") else (1, 2, 3, 4)
    return (1, 2, 3, 4, 5, 7) if sensor in ("TM", "ETM") else (1, 2, 3, 4, 5, 6, 7)


def _terms(number: int, level: int, sensor: str) -> tuple[float, float]:
    if level == 2:
        return 2.75e-05, -0.2 - number / 1000
    return (2.2e-03, -0.01) if sensor == "MSS" else (2.0e-05, -0.1 - number / 1000)


def _groups(terms: Mapping[int, tuple[float, float]], level: int, sensor: str, stem: str) -> Groups:
    rescaling = {f"REFLECTANCE_MULT_BAND_{n}": scale for n, (scale, _) in terms.items()} | {
        f"REFLECTANCE_ADD_BAND_{n}": offset for n, (_, offset) in terms.items()
    }
    first = {f"REFLECTANCE_MULT_BAND_{n}": 2.0e-05 for n in terms} | {
        f"REFLECTANCE_ADD_BAND_{n}": -0.1 for n in terms
    }
    return {
        "PRODUCT_CONTENTS": {
            "LANDSAT_PRODUCT_ID": stem,
            "PROCESSING_LEVEL": stem.split("_")[1],
            "COLLECTION_NUMBER": "02",
        },
        "IMAGE_ATTRIBUTES": {
            "SPACECRAFT_ID": f"LANDSAT_{int(stem[2:4])}",
            "SENSOR_ID": sensor,
            "SUN_ELEVATION": SUN,
        },
        **({"LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": rescaling} if level == 2 else {}),
        "LEVEL1_RADIOMETRIC_RESCALING": first if level == 2 else rescaling,
    }


def _write_metadata(path: Path, form: str, groups: Groups) -> None:
    if form == "json":  # in which every value is text
        texts = {name: {k: str(v) for k, v in group.items()} for name, group in groups.items()}
        path.write_text(json.dumps({"LANDSAT_METADATA_FILE": texts}, indent=2), encoding="utf-8")
        return
    lines = []
    for name, group in groups.items():
        if form == "xml":
            inside = [f"    <{key}>{value}</{key}>" for key, value in group.items()]
            lines += [f"  <{name}>", *inside, f"  </{name}>"]
        else:
            inside = [
                f"    {key} = " + (f'"{value}"' if isinstance(value, str) else str(value))
                for key, value in group.items()
            ]
            lines += [f"  GROUP = {name}", *inside, f"  END_GROUP = {name}"]
    root = "LANDSAT_METADATA_FILE"
    first, last = (f"<{root}>", f"</{root}>")
    if form == "xml":
        first = f'<?xml version="1.0" encoding="UTF-8"?>\n{first}'
    else:
        first, last = f"GROUP = {root}", f"END_GROUP = {root}\nEND"
    path.write_text("\n".join([first, *lines, last, ""]), encoding="utf-8")


def _layout(what: str, stem: str, form: str, bands: dict[str, str]) -> Layout:
    level_2 = "_L2" in stem
    return Layout(
        name=f"{what}, MTL.{form}",
        make=partial(
            product,
            stem=stem,
            form=form,
            files=tuple(int(name.rpartition("B")[2]) for name in bands),
        ),
        bands=bands,
        values=f"{'surface' if level_2 else 'top-of-atmosphere'} {REFLECTANCE}",
        missing="0, and QA_PIXEL's fill, clouds, cirrus and cloud shadow",
    )


def _named(prefix: str, first: int) -> dict[str, str]:
    return {f"{prefix}{first + i}": name for i, name in enumerate(("blue", "green", "red", "nir"))}


_L1_3 = {"B4": "green", "B5": "red", "B7": "nir"}
_L4_5 = {"B1": "green", "B2": "red", "B4": "nir"}
_OLI = "L2SP_193029_20230715_20230722_02_T1"

LANDSAT = (
    _layout("Landsat 1 MSS L1", "LM01_L1TP_209029_19730601_20200909_02_T2", "txt", _L1_3),
    _layout("Landsat 3 MSS L1", "LM03_L1TP_209029_19790601_20200909_02_T2", "xml", _L1_3),
    _layout("Landsat 5 MSS L1", "LM05_L1TP_193029_19850601_20200909_02_T2", "json", _L4_5),
    _layout(
        *("Landsat 5 TM L2", "LT05_L2SP_193029_20100715_20200823_02_T1", "txt"),
        _named("SR_B", 1),
    ),
    _layout(
        *("Landsat 5 TM L1", "LT05_L1TP_193029_20100715_20200823_02_T1", "json"),
        _named("B", 1),
    ),
    _layout(
        *("Landsat 7 L2", "LE07_L2SP_193029_20100715_20200823_02_T1", "xml"), _named("SR_B", 1)
    ),
    _layout("Landsat 8 L2", f"LC08_{_OLI}", "json", _named("SR_B", 2)),
    _layout(*("Landsat 8 L1", "LC08_L1TP_193029_20230715_20230722_02_T1", "xml"), _named("B", 2)),
    *(
        _layout("Landsat 9 L2", f"LC09_{_OLI}", form, _named("SR_B", 2))
        for form in ("txt", "xml", "json")
    ),
    Layout(
        name="Landsat 9 L1, with the panchromatic band",
        make=with_panchromatic,
        bands={"B8": "pan", "B4": "red"},
        values=f"top-of-atmosphere {REFLECTANCE}",
        missing="0",
        position="the grid of the finest chosen band, half a pixel off the others",
        options=("--bands", "B8,B4"),
    ),
)
