"""Data cubes: opening them with xarray, from Zarr, NetCDF or memory, anew in every process."""

from __future__ import annotations

import json
import logging
import os
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Hashable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import xarray as xr

from owl_geo.disk.presence import check_exists, exists, is_dir
from owl_geo.errors import SourceError, suggestion
from owl_geo.settings.paths import is_local, path_at
from owl_geo.sources.arrays.layout import ARRAY, ARRAYS, holds_arrays
from owl_geo.sources.cube.consolidated import differing
from owl_geo.sources.cube.indirect import why_indirect
from owl_geo.sources.cube.inherited import grid_mappings, groups_above, with_inherited
from owl_geo.sources.cube.paths import file_and_group, name_of_path

_log = logging.getLogger("owl_geo")

# What the libraries below xarray raise for files that are damaged, missing or of another kind.
UNREADABLE = (
    *(OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, ImportError),
    *(EOFError, ArithmeticError, struct.error, zlib.error),
)

_DATES = "install cftime (pip install cftime), or write the dates as days in the standard calendar"
_DECODING: dict[str, Any] = {
    "cache": False,
    "decode_coords": "all",
    "decode_timedelta": False,  # a variable in days is a number
}

_ZARR_FILES = ("zarr.json", ".zgroup", ".zmetadata", ".zarray")


class CubeFile:
    """A cube as a dataset that reads lazily; what was opened here is not used after a fork.

    Raises SourceError where the cube cannot be opened.
    """

    def __init__(self, cube: str | xr.DataArray | xr.Dataset) -> None:
        self._cube = cube
        self._lock = threading.Lock()
        self._opened: xr.Dataset | None = None
        self._above: tuple[Mapping[Any, Any], ...] = ()
        self._process = os.getpid()

    @property
    def dataset(self) -> xr.Dataset:
        """The cube, its values decoded by the CF conventions as they are read."""
        if os.getpid() != self._process:
            # file positions are shared with the parent: leave its handles alone
            self._lock, self._process = threading.Lock(), os.getpid()
            self._opened = None
        with self._lock:
            if self._opened is None:
                cube = self._cube
                if isinstance(cube, str):
                    self._opened, self._above = _open_whole(cube)
                else:
                    self._opened = _decoded(cube)
            return self._opened

    @property
    def above(self) -> tuple[Mapping[Any, Any], ...]:
        """The attributes of the groups above the cube's own, the next first."""
        _ = self.dataset
        return self._above

    @property
    def store(self) -> str:
        """The path of the file or store that a group is in; empty of a cube in memory."""
        if not isinstance(self._cube, str):
            return ""
        file, group = file_and_group(self._cube)
        return [file, *groups_above(file, group, _is_zarr)][-1]

    def close(self) -> None:
        """Close the file, if it is one; it opens again when needed."""
        with self._lock:
            if self._opened is not None and isinstance(self._cube, str):
                self._opened.close()
            self._opened = None


def path_or_cube(cube: object) -> str | xr.DataArray | xr.Dataset:
    """Return a path as text and a cube in memory as it is; raises SourceError for anything else."""
    if isinstance(cube, str | Path):
        return str(cube)
    if isinstance(cube, xr.DataArray | xr.Dataset):
        return cube
    raise SourceError(
        f"a cube is a path, an xarray.DataArray or an xarray.Dataset, not {type(cube).__name__}"
    )


def cube_name(cube: str | xr.DataArray | xr.Dataset) -> str:
    """Return the name that a cube's patches begin with: the file's, without its suffixes."""
    if isinstance(cube, str):
        return name_of_path(cube)
    source = str(cube.encoding.get("source", ""))
    return _own_name(cube) or (name_of_path(source) if source else "cube")


def _own_name(cube: xr.DataArray | xr.Dataset) -> str | None:
    """Return the name that somebody gave a DataArray, not the one that dask made up."""
    if not isinstance(cube, xr.DataArray) or not cube.name:
        return None
    made_up = cube.chunks is not None and cube.name == getattr(cube.data, "name", None)
    return None if made_up else str(cube.name)


def _open_whole(path: str) -> tuple[xr.Dataset, tuple[Mapping[Any, Any], ...]]:
    """Open a cube, with what it has from the groups above its own, and their attributes."""
    dataset = _open(path)
    above = []
    for parent in groups_above(*file_and_group(path), _is_zarr):
        with suppress(SourceError):
            above.append(_open(parent))
    if not above:
        return dataset, ()
    plain = _open(path, decode_coords=True)
    whole = with_inherited(dataset, above, grid_mappings(plain))
    plain.close()
    files = ExitStack()
    for opened in (dataset, *above):
        files.callback(opened.close)
    whole.set_close(files.close)
    return whole, tuple(parent.attrs for parent in above)


def _open(path: str, **decoding: Any) -> xr.Dataset:
    file, group = file_and_group(path)
    decoding = {**_DECODING, **decoding}
    local = is_local(file)
    if local:
        check_exists(file, SourceError)
        if (fault := why_indirect(file)) is not None:
            raise SourceError(
                f"cannot open {file} as a data cube: {fault.what}", remedy=fault.remedy
            )
    if local and is_dir(file) and not _is_zarr(file):
        raise SourceError(
            f"cannot open {file} as a data cube: it is a folder without Zarr's metadata",
            remedy=ARRAYS
            if holds_arrays(Path(file))
            else "name a Zarr store or a NetCDF file in it",
        )
    try:
        with warnings.catch_warnings():
            # of metadata that is not consolidated, and of grid mappings that are named and missing
            warnings.simplefilter("ignore")
            if _is_zip(file) or _is_zarr(file):
                return _open_zarr(file, _zip(file) if _is_zip(file) else file, group, decoding)
            return xr.open_dataset(file, engine=_engine(file), group=group, **decoding)
    except UNREADABLE as error:
        if local and _is_array(path):
            raise SourceError(
                f"cannot open {path} as a data cube: it is a single array of a Zarr store",
                remedy=f"name the store, and the array with --bands {Path(path).name}",
            ) from error
        others = groups_of(file) if group is not None else []
        if others and group not in others:
            raise SourceError(
                f"{file} has no group {group!r} with variables",
                remedy=suggestion(str(group), others),
            ) from error
        why, _, advice = reason(error).partition(". Try ")  # xarray's, for programmers
        raise SourceError(
            f"cannot open {path} as a data cube: {why}",
            remedy=_DATES if "cftime" in advice else "",
        ) from error


def groups_of(path: str) -> list[str]:
    """Return the groups of a file or store whose variables have rows and columns, sorted.

    None of a cube in memory, and of one that cannot be read by groups.
    """
    if is_local(path) and not exists(path):
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            groups = xr.open_groups(
                _zip(path) if _is_zip(path) else path,
                engine=_engine_of(path),
                decode_cf=False,
            )
    except (*UNREADABLE, SourceError):
        return []
    names = []
    for name, dataset in groups.items():
        if any(variable.ndim >= 2 for variable in dataset.data_vars.values()):
            names.append(name.strip("/"))
        dataset.close()
    return sorted(name for name in names if name)


def _is_zip(path: str) -> bool:
    return is_local(path) and path.lower().endswith(".zip")


def _engine_of(path: str) -> str:
    return "zarr" if _is_zip(path) or _is_zarr(path) else _engine(path)


def _open_zarr(path: str, store: Any, group: str | None, decoding: Mapping[str, Any]) -> xr.Dataset:
    """Open a store; one without consolidated metadata lists its arrays in any order, so by name.

    Where an array, or the group, says something else of itself than the consolidated metadata, it
    counts.
    """
    options: dict[str, Any] = {**decoding, "engine": "zarr", "group": group}
    older = differing(path, group) if is_local(path) else []
    if older:
        _log.warning(
            "%s: its consolidated metadata are older than those of its parts (%s), which count; "
            "zarr.consolidate_metadata(STORE) brings them up to date",
            *(path, ", ".join(older)),
        )
    try:
        if not older:
            return xr.open_dataset(store, consolidated=True, **options)
        dataset = xr.open_dataset(store, consolidated=False, **options)
    except (KeyError, ValueError):
        dataset = xr.open_dataset(store, consolidated=False, **options)
    coordinates = list(dataset.coords)
    plain = dataset.reset_coords()
    indexes = [name for name in coordinates if name in plain.coords]
    names = sorted((name for name in plain.variables if name not in indexes), key=_by_name)
    return plain[[*names, *indexes]].set_coords(
        [name for name in coordinates if name not in indexes]
    )


def _by_name(name: Hashable) -> list[tuple[int, str]]:
    """Sort B2 before B10."""
    parts = re.split(r"(\d+)", str(name))
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]


def _engine(path: str) -> str:
    """Return the first of xarray's engines that takes a file for its own.

    Asked for here, since xarray tells a file that none takes from a damaged one by words alone.
    Raises SourceError where none does, and PermissionError.
    """
    for name, engine in xr.backends.list_engines().items():
        try:
            if engine.guess_can_open(path):
                return name
        except PermissionError:
            raise
        except UNREADABLE:  # one that fails while it guesses takes it for none of its own
            continue
    raise SourceError(
        f"cannot open {path} as a data cube: xarray knows no such file",
        remedy=ARRAYS if path.lower().endswith(ARRAY) else "it should be Zarr or NetCDF",
    )


def _is_zarr(path: str) -> bool:
    plain = path_at(path).lower()
    if plain.rstrip("/").endswith(".zarr") or ("://" in path and ".zarr/" in plain):
        return True  # of a URL a group may follow, which is a folder where the store is one
    return "://" not in path and any(exists(Path(path) / name) for name in _ZARR_FILES)


def _is_array(path: str) -> bool:
    """Return whether a folder is an array of a Zarr store, not a group of arrays."""
    folder = Path(path)
    if exists(folder / ".zarray"):
        return True
    try:
        return bool(json.loads((folder / "zarr.json").read_bytes()).get("node_type") == "array")
    except (OSError, ValueError, AttributeError):
        return False


def _zip(path: str) -> Any:  # xarray takes a store of zarr, although its types do not allow one
    from zarr.storage import ZipStore

    return ZipStore(path, mode="r")


def _decoded(cube: xr.DataArray | xr.Dataset) -> xr.Dataset:
    """Return the cube as a dataset; what was read without decoding is decoded now."""
    if isinstance(cube, xr.DataArray):
        name = _own_name(cube)
        cube = cube.to_dataset(name="band_1" if name is None or name in cube.coords else name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return xr.decode_cf(cube, decode_coords="all", decode_timedelta=False)
    except UNREADABLE as error:
        raise SourceError(f"the cube's attributes cannot be decoded: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Return the first sentence of an error, on one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".:")
