"""What the path of a cube says before it is opened: its name, and the group within its file."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from owl_geo.settings.paths import absolute, is_local, path_at

_SUFFIXES = (".zip", ".zarr", ".nc", ".nc4", ".netcdf", ".h5", ".hdf5", ".cdf")


def name_of_path(path: str) -> str:
    """Return the name of a cube's file or URL without its suffixes, ``cube`` if nothing is left."""
    plain = path_at(path) or re.split("[?#]", path.partition("://")[2])[0]  # a bucket alone
    name = PurePosixPath(plain).name if "://" in path else absolute(Path(plain)).name
    while (stem := Path(name).stem) and Path(name).suffix.lower() in _SUFFIXES:
        name = stem
    return name or "cube"


def file_and_group(path: str) -> tuple[str, str | None]:
    """Part the path of a group within a file, ``cube.nc/measurements``, into file and group.

    A group of a Zarr folder is a folder itself, and the path of anything that exists, or is not on
    this machine, stays whole: its group is None.
    """
    if not is_local(path) or Path(path).exists():
        return path, None
    for parent in Path(path).parents:
        if parent.is_file():
            return str(parent), Path(path).relative_to(parent).as_posix()
    return path, None
