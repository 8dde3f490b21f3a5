"""Data cubes of any kind: patches, or one line."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cubes import cube
from rasters import coordinates
from strangers import Owl

from owl_geo import Run

CRS = {"crs": "EPSG:32631"}


@pytest.fixture
def owl(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Owl:
    return Owl(tmp_path, capfd)


def store(folder: Path, chunk: bytes | None = None, **changes: dict[str, Any]) -> Path:
    """Write a Zarr of two bands by hand; ``changes`` are to the metadata of its arrays."""
    folder.mkdir()
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text(json.dumps(changes.get("group", CRS)))
    arrays = {
        "y": (np.arange(16) * -10.0 + 57e5 - 5, ["y"]),
        "x": (np.arange(16) * 10.0 + 5e5 + 5, ["x"]),
        "band": (np.arange(2.0), ["band"]),
        "data": (np.arange(512, dtype="float32").reshape(2, 16, 16), ["band", "y", "x"]),
    }
    for name, (values, dimensions) in arrays.items():
        (folder / name).mkdir()
        metadata = {
            "zarr_format": 2,
            "shape": list(values.shape),
            "chunks": list(values.shape),
            "dtype": values.dtype.str,
            "compressor": None,
            "fill_value": None,
            "filters": None,
            "order": "C",
            **changes.get(name, {}),
        }
        (folder / name / ".zarray").write_text(json.dumps(metadata))
        (folder / name / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": dimensions}))
        content = chunk if name == "band" and chunk is not None else values.tobytes()
        (folder / name / ".".join("0" * values.ndim)).write_bytes(content)
    return folder


def init(owl: Owl, cube: Path) -> Any:
    path = owl.folder / "run"
    said = owl("init", path, "--source", "cube", "--scene", cube, "--patch-size", 8, "-q")
    assert path.exists() == (said.code == 0)
    return said


def test_a_store_that_was_written_by_hand_is_read(owl: Owl) -> None:
    init(owl, store(owl.folder / "cube.zarr")).done()
    assert len(Run(owl.folder / "run").patches) == 4


class _Command:
    """Runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self._command,)


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "|O", "filters": [{"id": "pickle"}]},
        {"dtype": "|O", "filters": [{"id": "vlen-utf8"}, {"id": "pickle"}]},
        {"filters": [{"id": "pickle"}]},
        {"compressor": {"id": "pickle"}},
    ],
    ids=["objects", "text", "numbers", "compressed"],
)
def test_pickled_chunks_are_refused_and_never_run(changes: dict[str, Any], owl: Owl) -> None:
    trace = owl.folder / "executed"
    attack = pickle.dumps(_Command(f"touch {trace}"))
    cube = store(owl.folder / "cube.zarr", attack, band=changes)
    init(owl, cube).refusal()
    assert not trace.exists()


HOSTILE: dict[str, dict[str, Any]] = {
    "a shape beyond memory": {"data": {"shape": [2, 10**9, 10**9], "chunks": [2, 16, 16]}},
    "an unknown type": {"data": {"dtype": "<q9"}},
    "an unknown filter": {"data": {"filters": [{"id": "none-such"}]}},
    "a negative shape": {"data": {"shape": [2, -16, 16]}},
    "a shape that is text": {"data": {"shape": "16"}},
    "an axis that is too short": {"y": {"shape": [4], "chunks": [4]}},
    "no CRS": {"group": {}},
    "a CRS that is none": {"group": {"crs": "EPSG:nonsense"}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_metadata_is_one_line(name: str, owl: Owl) -> None:
    init(owl, store(owl.folder / "cube.zarr", **HOSTILE[name])).refusal()


@pytest.mark.parametrize(
    "content", [b"", b"CDF\x01", b"\x89HDF\r\n\x1a\n" + b"\xff" * 500, b"text"]
)
def test_a_broken_netcdf_is_one_line(content: bytes, owl: Owl) -> None:
    path = owl.folder / "cube.nc"
    path.write_bytes(content)
    init(owl, path).refusal()


def test_dates_that_xarray_does_not_read_alone_are_told_in_plain_words(owl: Owl) -> None:
    dataset = cube(coordinates(20, 20)).expand_dims(time=[5]).to_dataset(name="reflectance")
    dataset["time"].attrs["units"] = "months since 2020-01-01"
    path = owl.folder / "cube.nc"
    dataset.to_netcdf(path, engine="h5netcdf")
    told = init(owl, path).refusal()
    assert "unable to decode time units 'months since 2020-01-01'" in told
    assert "pip install cftime" in told and "decode_times" not in told


def test_a_broken_store_leaves_one_line_on_stderr_in_a_process_too(owl: Owl) -> None:
    cube = store(owl.folder / "cube.zarr", **HOSTILE["an unknown type"])
    arguments = ["init", str(owl.folder / "run"), "--source", "cube", "--scene", str(cube)]
    done = subprocess.run(
        [sys.executable, "-m", "owl_geo", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
