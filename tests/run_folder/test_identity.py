"""Digests of a run's settings and scenes stay what they were: older runs open without a word.

The constants were computed by owl-geo before sources said themselves what tells them apart.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from owl_geo.run_folder.identity import (
    SceneFiles,
    fingerprint,
    fingerprint_anywhere,
    record_scenes,
)
from owl_geo.run_folder.records import IndexRecord
from owl_geo.settings import owl_toml
from owl_geo.settings.config import Settings
from owl_geo.types import BandStatistics

WHEN = 1_700_000_000_123_456_789  # of every file's last change, in ns

GEOTIFF: dict[str, Any] = {
    "kind": "geotiff",
    "scenes": [
        {"name": "one", "path": "one.tif", "mask": "clouds.tif"},
        {"name": "bands", "files": ["b2.tif", "b3.tif"], "names": ["blue", "green"]},
        {"name": "safe", "path": "S2.SAFE"},
        {"name": "far", "path": "https://example.org/far.tif"},
        {"name": "gone", "path": "gone.tif"},
    ],
    "bands": ["B2", "B3"],
    "mask_bad": [3, 8],
    "aoi": "area.gpkg",
}
PLAIN: dict[str, Any] = {"kind": "geotiff", "scenes": [{"name": "one", "path": "one.tif"}]}
SOURCES: dict[str, dict[str, Any]] = {
    "geotiff": GEOTIFF,
    "plain": PLAIN,
    "zarr": {"kind": "cube", "path": "c.zarr", "name": "c", "stride": 16, "aoi": "area.gpkg"},
    "netcdf": {"kind": "cube", "path": "c.nc", "time": "stack", "crs": "EPSG:32631"},
    "synthetic": {"kind": "synthetic", "n_samples": 80, "signal": 0.5},
}
FILES = {
    **dict.fromkeys(("one.tif", "clouds.tif", "b2.tif", "b3.tif", "area.gpkg"), 100),
    "c.nc": 3 * 2**20,  # sampled, since it is large
    **dict.fromkeys(("c.zarr/.zmetadata", "c.zarr/.zattrs", "c.zarr/.zgroup"), 10),
    **dict.fromkeys(("c.zarr/zarr.json", "c.zarr/B2.0.0"), 10),
    **dict.fromkeys(("S2.SAFE/MTD_MSIL2A.xml", "S2.SAFE/GRANULE/L2A/IMG_DATA/B02.jp2"), 10),
    **dict.fromkeys(("S2.SAFE/GRANULE/L2A/B02.jp2.aux.xml", "S2.SAFE/README"), 10),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of which only names, sizes, bytes and times count."""
    for name, size in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(i * i % 251 for i in range(size)))
    for path in [*tmp_path.rglob("*"), tmp_path]:
        os.utime(path, ns=(WHEN, WHEN))
    return tmp_path


def settings(kind: str) -> Settings:
    return owl_toml.parse({"source": SOURCES[kind], "run_id": "r"}, "test")


def scene_files(kind: str, folder: Path, names: list[str]) -> SceneFiles:
    grid = ["EPSG:32631", 10.0, 0.0, 500000.0, 0.0, -10.0, 5700000.0, 64, 96]
    numbers = np.ones(2, dtype=np.float32)
    record = IndexRecord(
        made_from="",
        made_from_elsewhere=None,
        scenes=dict.fromkeys(names, grid),
        statistics=BandStatistics(("B2", "B3"), numbers, numbers, 10),
        parts=(),
        since=0,
        files={},
    )
    here = owl_toml.from_folder(settings(kind), folder)
    return SceneFiles(settings(kind), here, record, folder / "features")


FINGERPRINTS: dict[str, tuple[str, str]] = {
    "geotiff": ("0538bb829cbeae02", "2643ddf1cd44e897"),
    "plain": ("cb5ad00f7716592e", "b63c1cf792b5bb3c"),
    "zarr": ("ec7053528ef32b4d", "429c7c65efbc6cdf"),
    "netcdf": ("c4bfecac4417593d", "9a2c80e92bd62ce6"),
    "synthetic": ("f677051e18d86823", "65a1d7242bd689df"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_fingerprint_of_settings_stays(kind: str) -> None:
    elsewhere = fingerprint_anywhere(settings(kind))
    assert (fingerprint(settings(kind)), elsewhere) == FINGERPRINTS[kind]


SCENES = {
    "geotiff": ["one", "bands", "safe", "far", "gone"],
    "plain": ["one"],
    "zarr": ["c"],
    "netcdf": ["c"],
    "synthetic": ["synthetic"],
}
IDS: dict[str, dict[str, str]] = {
    "geotiff": {
        "one": "751f6fd1795d4e56",
        "bands": "990d18a5f35b415f",
        "safe": "a0b0384dbdb0fd12",
        "far": "bb4e00a613bc8ad0",
        "gone": "1fe4f7e289e26e35",
    },
    "plain": {"one": "bf55a4258089172b"},
    "zarr": {"c": "f071a8ed1aab452e"},
    "netcdf": {"c": "b6993d8eab5b9c34"},
    "synthetic": {"synthetic": "ac00aa6fb9869aa7"},
}


@pytest.mark.parametrize("kind", SOURCES)
def test_what_tells_scenes_apart_stays(kind: str, folder: Path) -> None:
    assert scene_files(kind, folder, SCENES[kind]).ids == IDS[kind]


NOTHING_BESIDE = (".aux.xml", 0, "")
RECORDS: dict[str, dict[str, list[list[tuple[str, int, str]]]]] = {
    "geotiff": {
        "one": [
            [("", 100, "0c2c18f591a3072f"), NOTHING_BESIDE],
            [("", 100, "0c2c18f591a3072f"), NOTHING_BESIDE],
        ],
        "bands": [
            [("", 100, "0c2c18f591a3072f"), NOTHING_BESIDE],
            [("", 100, "0c2c18f591a3072f"), NOTHING_BESIDE],
        ],
        "safe": [
            [
                ("GRANULE/L2A/IMG_DATA/B02.jp2", 10, "626d86b32fc7ed7d"),
                ("GRANULE/L2A/IMG_DATA/B02.jp2.aux.xml", 0, ""),
                ("MTD_MSIL2A.xml", 10, "626d86b32fc7ed7d"),
            ]
        ],
        "far": [[]],
    },
    "plain": {"one": [[("", 100, "0c2c18f591a3072f"), NOTHING_BESIDE]]},
    "zarr": {
        "c": [
            [
                (".zattrs", 10, "626d86b32fc7ed7d"),
                (".zmetadata", 10, "626d86b32fc7ed7d"),
                ("zarr.json", 10, "626d86b32fc7ed7d"),
            ]
        ]
    },
    "netcdf": {"c": [[("", 3145728, "d785d8f8d5326917"), NOTHING_BESIDE]]},
    "synthetic": {},
}  # name, size, digest


@pytest.mark.parametrize("kind", SOURCES)
def test_what_files_are_recorded_by_stays(kind: str, folder: Path) -> None:
    here = owl_toml.from_folder(settings(kind), folder)
    names = [name for name in SCENES[kind] if name != "gone"]
    expected = {
        scene: [
            [(name, size, WHEN if size else 0, digest) for name, size, digest in place]
            for place in places
        ]
        for scene, places in RECORDS[kind].items()
    }
    assert record_scenes(here, names) == expected
