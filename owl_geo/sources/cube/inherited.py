"""What a group of a cube has from the groups above it: coordinates, the grid mapping, the date.

xarray's DataTree writes coordinates that several groups share into the group above them alone, and
CF has a name looked for in the groups above. Each group opens without what is above it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence, Set
from pathlib import Path

import numpy as np
import xarray as xr

from owl_geo.settings.paths import absolute, is_local
from owl_geo.sources.cube.axes import is_time
from owl_geo.sources.cube.transforms import describes_crs


def groups_above(file: str, group: str | None, is_zarr: Callable[[str], bool]) -> Iterator[str]:
    """Yield the paths of the groups above one, the next first, as ``opening`` takes them.

    A group of a Zarr folder is a folder itself, whose ``group`` is None.
    """
    if group is not None:
        names = group.split("/")
        for n in range(len(names) - 1, 0, -1):
            yield "/".join([file, *names[:n]])
        yield file
    elif is_local(file):
        for folder in absolute(Path(file)).parents if Path(file).is_dir() else ():
            if not is_zarr(str(folder)):
                return
            yield str(folder)
    else:
        store, separator, inside = file.rstrip("/").partition(".zarr/")
        names = inside.split("/") if separator and "?" not in file else []
        for n in range(len(names) - 1, -1, -1):
            yield "/".join([f"{store}.zarr", *names[:n]])


def with_inherited(
    dataset: xr.Dataset, above: Sequence[xr.Dataset], mappings: Set[str]
) -> xr.Dataset:
    """Return a group with what it has from those above it, the next first, and does not say itself.

    These are coordinates that fit its axes, a single date, and the description of the CRS, if it is
    one of the ``mappings`` that the group names, or if its coordinates are from there too.
    """
    for parent in above:
        taken = {
            name: coordinate.variable
            for name, coordinate in parent.coords.items()
            if (coordinate.ndim or is_time(coordinate)) and _fits(name, coordinate, dataset)
        }
        says_crs = any(describes_crs(dataset[name]) for name in dataset.variables)
        for name in parent.variables:
            wanted = str(name) in mappings or (_places(taken.values()) and not says_crs)
            if wanted and describes_crs(parent[name]) and _fits(name, parent[name], dataset):
                taken[name] = parent[name].variable
        dataset = dataset.assign_coords(taken)
    return dataset


def grid_mappings(dataset: xr.Dataset) -> set[str]:
    """Return the names of grid mappings that variables give, without the groups in them.

    xarray leaves out those that a group does not have where it decodes all coordinates.
    """
    stated = (
        str(variable.encoding.get("grid_mapping") or variable.attrs.get("grid_mapping") or "")
        for variable in dataset.data_vars.values()
    )
    return {word.rstrip(":").rpartition("/")[2] for names in stated for word in names.split()}


def _places(coordinates: Iterable[xr.Variable]) -> bool:
    """Return whether coordinates place pixels along two axes, not only dates or bands."""
    numbers = [c for c in coordinates if np.issubdtype(c.dtype, np.number)]
    return len({dim for coordinate in numbers for dim in coordinate.dims}) >= 2


def _fits(name: Hashable, coordinate: xr.DataArray, dataset: xr.Dataset) -> bool:
    if name in dataset.variables or (name in dataset.sizes and coordinate.dims != (name,)):
        return False
    return all(dataset.sizes.get(dim) == coordinate.sizes[dim] for dim in coordinate.dims)
