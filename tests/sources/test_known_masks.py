"""Masks whose bad pixels are known by the names of their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import Owl, owl
from rasterio.transform import from_origin
from rasters import write_raster

from owl_geo import Run
from owl_geo.errors import SourceError
from owl_geo.settings.known_masks import BQA, FMASK, QA_PIXEL, SCL, BadPixels, bad_pixels_of
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.scenes import open_scenes

__all__ = ["owl"]

LANDSAT = "LC08_L2SP_047027_20201204_20210313_02_T1"
CLEAR, CLOUD, SNOW = 21_824, 22_280, 30_048  # of QA_PIXEL, as the USGS lists them


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        (f"{LANDSAT}_QA_PIXEL.TIF", QA_PIXEL),
        (f"https://landsatlook.usgs.gov/data/{LANDSAT}_QA_PIXEL.TIF?token=a.b", QA_PIXEL),
        (rf"D:\scenes\{LANDSAT}_qa_pixel.tif", QA_PIXEL),
        ("LC08_L1TP_016037_20170813_20170814_01_RT_BQA.TIF", BQA),
        ("LC80420082013220LGN00_BQA.TIF", None),  # of other bits, before the collections
        ("T32TQM_20220612T102031_SCL_20m.jp2", SCL),
        ("/vsicurl/https://h.org/S2B_32TQM/SCL.tif", SCL),
        ("HLS.L30.T31TFL.2021152T103000.v2.0.Fmask.tif", FMASK),
        ("my_fmask.tif", None),
        ("clouds.tif", None),
    ],
)
def test_what_is_bad_by_name(path: str, bad: BadPixels | None) -> None:
    assert bad_pixels_of(path) == bad


def scene(folder: Path, name: str, east: float, mask: np.ndarray) -> tuple[Path, Path]:
    """Write two bands of 32 x 32 pixels and a mask; return the first band and the mask."""
    place = {"crs": "EPSG:32610", "transform": from_origin(east, 5_200_000, 30, 30)}
    for code in ("SR_B4", "SR_B5"):
        write_raster(folder / f"{name}_{code}.TIF", np.full((1, 32, 32), 9000, np.uint16), **place)
    path = write_raster(folder / f"{name}_QA_PIXEL.TIF", mask[None].astype(np.uint16), **place)
    return folder / f"{name}_SR_B4.TIF", path


def clouded(corner: int) -> np.ndarray:
    """A mask that is clear, but for the upper left quarter, and snow below it."""
    mask = np.full((32, 32), CLEAR)
    mask[:16, :16], mask[16:, :16] = corner, SNOW
    return mask


def item(name: str, assets: dict[str, Path]) -> dict[str, Any]:
    told = {
        key: {"href": str(path), "type": "image/tiff", "roles": ["data"]}
        for key, path in assets.items()
    }
    for key in told.keys() & {"qa_pixel", "scl"}:
        told[key]["roles"] = ["cloud", "cloud-shadow"]
    return {"type": "Feature", "stac_version": "1.0.0", "id": name, "assets": told}


def kept(run: Path) -> list[str]:
    return sorted(Run(run).patches["patch_id"])


CLEAR_PATCHES = ["0/16", "16/0", "16/16"]


def test_a_mask_of_a_known_name_needs_no_values(tmp_path: Path, owl: Owl) -> None:
    band, mask = scene(tmp_path, LANDSAT, 500_000, clouded(CLOUD))
    options = ("--patch-size", 16, "--mask", mask)
    run = tmp_path / "run"
    owl("init", run, "--scene", f"s={band}", *options)
    assert kept(run) == [f"s/{place}" for place in CLEAR_PATCHES]
    owl("query", run)

    # values that are named replace the bits
    owl("init", tmp_path / "snow", "--scene", f"s={band}", *options, "--mask-bad", SNOW)
    assert kept(tmp_path / "snow") == ["s/0/0", "s/0/16", "s/16/16"]

    other = mask.rename(tmp_path / "clouds.tif")
    done = owl("init", tmp_path / "x", "--scene", f"s={band}", "--mask", other)
    assert (done.code, "a mask needs --mask-bad" in done.err) == (1, True), done.err


def test_items_bring_the_masks_of_landsat(tmp_path: Path, owl: Owl) -> None:
    first = scene(tmp_path, LANDSAT, 500_000, clouded(CLOUD))
    later = scene(tmp_path, LANDSAT.replace("047027", "047028"), 600_000, clouded(CLOUD))
    for name, (band, mask) in (("a", first), ("b", later)):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(item(name, {"red": band, "qa_pixel": mask})))
    run = tmp_path / "run"
    done = owl("init", run, "--scene", tmp_path / "a.json", "--patch-size", 16)
    assert "is not used" not in done.err
    assert kept(run) == [f"a/{place}" for place in CLEAR_PATCHES]
    owl("add", run, "--scene", tmp_path / "b.json")
    assert kept(run) == [f"{name}/{place}" for name in "ab" for place in CLEAR_PATCHES]


@pytest.mark.parametrize("landsat_first", [True, False])
def test_one_list_of_values_counts_for_all_masks(
    landsat_first: bool, tmp_path: Path, owl: Owl
) -> None:
    """So a mask of bits and one of classes do not go together, and the second is left out."""
    band, mask = scene(tmp_path, LANDSAT, 500_000, clouded(CLOUD))
    place = {"crs": "EPSG:32610", "transform": from_origin(600_000, 5_200_000, 30, 30)}
    red = write_raster(tmp_path / "B04.tif", np.full((1, 32, 32), 900, np.uint16), **place)
    classes = np.where(clouded(CLOUD) == CLOUD, 9, 4)[None].astype(np.uint8)
    scl = write_raster(tmp_path / "SCL.tif", classes, **place)
    items = [item("l8", {"red": band, "qa_pixel": mask}), item("s2", {"red": red, "scl": scl})]
    features = items if landsat_first else items[::-1]
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    done = owl("init", tmp_path / "run", "--scene", path, "--bands", "red", "--patch-size", 16)
    one, other = ("l8", "s2") if landsat_first else ("s2", "l8")
    assert f"a mask of STAC item {other} (" in done.err, done.err
    assert done.code == 0, done.err
    clear = [f"{one}/{place}" for place in CLEAR_PATCHES]
    assert kept(tmp_path / "run") == sorted(
        [*clear, *(f"{other}/{p}" for p in ["0/0", *CLEAR_PATCHES])]
    )


def test_a_mask_without_values_is_not_ignored(tmp_path: Path) -> None:
    band, mask = scene(tmp_path, LANDSAT, 500_000, clouded(CLOUD))
    mask = mask.rename(tmp_path / "clouds.tif")
    with pytest.raises(SourceError, match=r"is a mask, and mask_bad lists no bad values"):
        open_scenes([SceneSettings(name="s", path=str(band), mask=str(mask))], [])
