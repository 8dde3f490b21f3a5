"""Where the attributes of a cube put its pixels, apart from its coordinates.

Coordinates are those of the pixels' centres by convention, but some writers store corners. What
states the corner of the first pixel is more explicit: GeoZarr's ``spatial:transform``, the
``transform`` of rasterio and odc, GDAL's ``GeoTransform``, and CF's bounds of a coordinate.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from owl_geo.sources.cube.axes import Axes

Transform = tuple[float, float, float, float, float, float]  # a, b, c, d, e, f as in SceneGrid

SAME = 0.05  # pixels
SAME_STEP = 1e-3  # of a pixel, over one pixel

_CRS_ATTRIBUTES = ("crs_wkt", "spatial_ref", "grid_mapping_name")


def describes_crs(variable: xr.DataArray) -> bool:
    """Return whether a variable is a grid mapping, as CF, GDAL or rioxarray write it."""
    return any(variable.attrs.get(name) for name in _CRS_ATTRIBUTES)


def stated_transform(
    dataset: xr.Dataset,
    variables: Sequence[Hashable],
    axes: Axes,
    mapping: Mapping[str, Any] | None,
    *,
    rounded: bool = False,
) -> Transform | None:
    """Return the transform that attributes state, None if they state none.

    With ``rounded`` also one that was printed with two digits, which tells corners from centres and
    no more.
    """
    holders = _holders(dataset, variables)
    shape = dataset.sizes[axes.y], dataset.sizes[axes.x]
    for terms in _stated(holders, mapping or {}, shape, rounded):
        a, b, _, d, e, _ = terms
        in_this_order = (a == 0) == (e == 0)  # in GDAL's order only one of them would be 0
        is_none = terms == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # as of a raster without a place
        if np.isfinite(terms).all() and a * e != b * d and in_this_order and not is_none:
            return terms
    return None


def _holders(dataset: xr.Dataset, variables: Sequence[Hashable]) -> list[Mapping[Any, Any]]:
    return [*(dataset[key].attrs for key in variables), dataset.attrs]


def stated_shape(dataset: xr.Dataset, variables: Sequence[Hashable]) -> tuple[int, int] | None:
    """Return height and width of the raster that attributes speak of, None where none says it."""
    for attributes in _holders(dataset, variables):
        for name in ("spatial:shape", "proj:shape"):
            sizes = attributes.get(name)
            if isinstance(sizes, list | tuple | np.ndarray) and len(sizes) == 2:
                return int(sizes[0]), int(sizes[1])
    return None


def _stated(
    holders: Sequence[Mapping[Any, Any]],
    mapping: Mapping[str, Any],
    shape: tuple[int, int],
    rounded: bool,
) -> Iterator[Transform]:
    for attributes in holders:
        terms = _six(attributes.get("spatial:transform"))
        if terms and attributes.get("spatial:transform_type", "affine") == "affine":
            yield _from_centres(terms) if _is_node(attributes) else terms
        nested = attributes.get("geo:proj")
        if isinstance(nested, Mapping) and (terms := _six(nested.get("transform"))):
            yield terms
        for name in ("proj:transform", "transform"):
            if terms := _six(attributes.get(name), rounded=rounded):
                yield terms
    if terms := _six(mapping.get("GeoTransform")):
        c, a, b, f, d, e = terms
        yield a, b, c, d, e, f
    for attributes in holders:
        box = attributes.get("spatial:bbox")
        if (
            isinstance(box, list | tuple | np.ndarray)
            and len(box) == 4
            and not _is_node(attributes)
        ):
            west, south, east, north = (float(side) for side in box)
            height, width = shape
            yield (east - west) / width, 0.0, west, 0.0, (south - north) / height, north


def _six(value: Any, *, rounded: bool = False) -> Transform | None:
    """Return six numbers from a list, an array, an Affine or text; the last row of nine is none.

    An Affine, which neither Zarr nor NetCDF stores, is kept as its ``repr``, or, with ``rounded``,
    as its ``str``.
    """
    if isinstance(value, str) and value.startswith(("Affine(", "|") if rounded else "Affine("):
        value = re.sub(r"Affine|[(),|]", " ", value)
    try:  # from version 3 on, an Affine is no tuple
        words = list(value.split() if isinstance(value, str) else value)
        a, b, c, d, e, f = (float(word) for word in words[:6])
    except (TypeError, ValueError):
        return None
    return (a, b, c, d, e, f) if len(words) in (6, 9) else None


def _is_node(attributes: Mapping[Any, Any]) -> bool:
    """Return whether positions are those of the pixels' centres, as of a grid's nodes."""
    return attributes.get("spatial:registration") == "node"


def _from_centres(terms: Transform) -> Transform:
    a, b, c, d, e, f = terms
    return a, b, c - (a + b) / 2, d, e, f - (d + e) / 2


def first_edge(
    step: float, edge: float, n: int, stated_step: float, stated_edge: float
) -> float | None:
    """Return the outer edge of the first pixel along an axis, None if two statements disagree.

    ``edge`` follows from coordinates taken as centres, ``stated_edge`` from attributes. If these
    are half a pixel apart, the coordinates are those of corners. Whole pixels apart, a part was
    cut out of the cube and kept the attributes of the whole. GDAL writes the lowest of ``n`` rows
    first, and states the transform of the highest.
    """
    if stated_step * step < 0:
        stated_step, stated_edge = -stated_step, stated_edge + n * stated_step
    if abs(stated_step - step) > SAME_STEP * abs(step):
        return None
    apart = (stated_edge - edge) / step
    if abs(apart - round(apart)) < SAME:
        return edge
    if abs(apart + 0.5) < SAME:
        return edge - step / 2
    if abs(apart % 1 - 0.5) < SAME:
        return edge + step / 2
    return None


def edge_by_bounds(
    dataset: xr.Dataset, coordinate: xr.DataArray, step: float, scale: float
) -> float | None:
    """Return the outer edge of the first pixel by CF's bounds, None if there are none.

    ``scale`` is how many units of the CRS, as of ``step``, a unit of the coordinate is.
    """
    name = coordinate.attrs.get("bounds") or coordinate.encoding.get("bounds")
    if name not in dataset.variables or dataset[name].shape != (coordinate.size, 2):
        return None
    low, high = (scale * np.sort(dataset[name].to_numpy()[0].astype(np.float64))).tolist()
    if abs((high - low) - abs(step)) > SAME * abs(step):
        return None
    return float(low if step > 0 else high)
