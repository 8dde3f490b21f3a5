"""Which patches known places lie in: points, lines and polygons, or a raster of classes, anywhere.

A point lies in one patch, a line in those that it crosses, a polygon in those of which it covers a
given share, or, where it is smaller than that, in the patch that holds its centre. Where patches
overlap, that with the nearest centre is meant. Patches are found by arithmetic on the grid of their
scene; polygons are made only of those near a line or a polygon. A class of a raster lies in the
patches of which it covers the share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.concepts.areas import ROUNDING, PolygonLayer, shares_of_each
from owl_geo.concepts.extents import check_touches, touched_scenes
from owl_geo.concepts.layers import Layer
from owl_geo.concepts.pool import Part, Pool
from owl_geo.concepts.rasters import class_shares_of_raster
from owl_geo.concepts.rasters import extent as extent_of
from owl_geo.concepts.values import shown, text_of
from owl_geo.errors import Fault
from owl_geo.ground.grid import bounds, pixel_of
from owl_geo.ground.same_ground import SharedGround
from owl_geo.ground.transformations import metres_from_earth_centre
from owl_geo.ground.windows import Points, Windows
from owl_geo.types import AnyArray, BoolArray, IntArray

_CLASS = "class"
CLASS_COLUMNS = ("label", _CLASS)  # that may name the class of a feature, if none is said to
_KEY = "patch_id"  # what answers have

_DECIMALS = 3  # of metres: nearer to each other than that, two centres are equally near
_LEAST = 1e-6  # of a patch's edge: a shorter piece of a line only touches the patch
_STEPS = 32  # per edge of a patch, at which a line is followed where patches overlap

Pairs = tuple[IntArray, IntArray]  # a patch's position in the pool, and a piece, each (k,)


@dataclass(frozen=True)
class Sites:
    """Where n sites lie.

    Args:
        patch: a patch's position in the pool ``(k,)``.
        site: the site that lies in it, from 0 ``(k,)``; each pair of both comes once.
        between: which sites lie in no patch, although within a scene, ``(n,)``.
        beyond: which sites lie in no scene that has patches, ``(n,)``.
    """

    patch: IntArray
    site: IntArray
    between: BoolArray
    beyond: BoolArray


def why_not_alike(layer: Layer, names: Sequence[str], meant: str) -> Fault | None:
    """Return why features may not all show the class ``meant``, None where nothing speaks against.

    Answers that QGIS or ogr2ogr saved in another format, or under another name, look like sites.

    Args:
        layer: read with those of ``CLASS_COLUMNS`` that it has.
        names: the classes of a run, and what else an answer may be.
        meant: one of them.
    """
    labels = {name.casefold(): name for name in names}
    for column in layer.features.columns.intersection(CLASS_COLUMNS):
        texts = text_of(layer.features[column])
        found = set(texts.str.casefold())
        if found == {meant.casefold()}:
            return None
        named = {labels[text] for text in found if text in labels} - {meant}
        if named:
            return Fault(
                f"its attribute {column!r} names {', '.join(sorted(named))} too, so that its sites "
                f"are not all {meant}",
                column,
            )
        n_values = len(found - {""})
        are_classes = column == _CLASS or 2 * n_values <= len(texts)  # a label may be a name
        if n_values > 1 and are_classes:
            return Fault(
                f"its attribute {column!r} has several values ({shown(texts)}), so that its sites "
                f"may not all be {meant}",
                column,
            )
    if _KEY in layer.fields:
        return Fault(
            f"it has the attribute {_KEY!r}, as answers to patches have, and would be taken for "
            f"sites that all show {meant}"
        )
    return None


def locate(geometries: AnyArray, crs: CRS, pool: Pool, *, share: float) -> Sites:
    """Return which patches sites lie in; ``geometries`` are those of n sites, ``(n,)``.

    A polygon lies in the patches of which it covers at least ``share``. The parts of a site are
    treated one by one.
    """
    pieces, owner = pieces_of(geometries)
    dimension = shapely.get_dimensions(pieces)
    flat, lines, points = (np.flatnonzero(dimension == d) for d in (2, 1, 0))
    covered, by_polygon = _covered(pieces[flat], crs, pool, share)
    small = np.delete(flat, np.unique(by_polygon))
    at = np.concatenate([points, small])
    in_patch, by_point = _nearest(_centres(pieces[at]), crs, pool)
    crossed, by_line = _crossed(pieces[lines], crs, pool)
    patch = np.concatenate([covered, in_patch, crossed])
    piece = np.concatenate([flat[by_polygon], at[by_point], lines[by_line]])
    pairs = np.unique(np.stack([patch, owner[piece]]), axis=1)
    lost = np.ones(len(geometries), dtype=bool)
    lost[pairs[1]] = False
    here = np.zeros(len(geometries), dtype=bool)
    here[owner[_in_a_scene(pieces, crs, pool, lost[owner])]] = True
    return Sites(pairs[0], pairs[1], lost & here, lost & ~here)


@dataclass(frozen=True)
class Mapped:
    """Which classes a raster has in n patches.

    Args:
        patch: a patch's position in the pool ``(k,)``.
        code: the class that covers the share of it ``(k,)``; each pair of both comes once.
        exist: which values any patch has a pixel of, those of one class after another ``(v,)``.
        others: whether any patch has a pixel of none of them.
        without: patches that have no data in the raster, or lie beyond it.
    """

    patch: IntArray
    code: IntArray
    exist: BoolArray
    others: bool
    without: int


def locate_classes(
    path: str, values: Sequence[Sequence[float]], pool: Pool, *, share: float
) -> Mapped:
    """Return which patches the classes of a raster cover, by at least ``share`` of the patch.

    ``values`` are those of each of c classes. A place that several scenes show is there once, from
    the one in which a class covers most. Raises LayerError where the raster cannot be read, or
    covers none of the patches.
    """
    extent = extent_of(path)
    check_touches(path, extent, pool)
    flat = [value for group in values for value in group]
    owner = np.repeat(np.arange(len(values)), [len(group) for group in values])
    touched = touched_scenes(extent, pool)
    covers, with_data = np.zeros((len(pool), len(values))), np.zeros(len(pool))
    exist = np.zeros(len(flat), dtype=bool)
    for scene in pool.scenes:
        if scene.windows.grid.name not in touched:
            continue
        of_data, has_data = class_shares_of_raster(path, scene.windows, flat)
        with_data[scene.positions] = has_data
        exist |= of_data.any(axis=0)
        for column in range(len(values)):
            of_class = of_data[:, owner == column].sum(axis=1)
            covers[scene.positions, column] = of_class * has_data  # of the patch, not of its data
    patch, code = np.nonzero(covers >= max(share - ROUNDING, ROUNDING))
    if len(pool.scenes) > 1 and len(patch):
        kept, row = np.unique(patch, return_inverse=True)
        once = SharedGround(pool.windows.take(kept)).once(-covers[kept].max(axis=1))[row]
        patch, code = patch[once], code[once]
    others = bool((covers.sum(axis=1) < with_data - ROUNDING).any())
    return Mapped(patch, code, exist, others, int((with_data == 0).sum()))


def answered_names(patch: IntArray, answered: IntArray, shared: SharedGround | None) -> IntArray:
    """Return for each patch the one that shows its place and has an answer: mostly itself."""
    if shared is None:
        return patch
    found, open_ = patch.copy(), ~np.isin(patch, answered)
    rows, back = np.unique(patch[open_], return_inverse=True)
    other = shared.shown_as(rows, answered)[back]
    found[open_] = np.where(other >= 0, other, patch[open_])
    return found


def pieces_of(geometries: AnyArray) -> tuple[AnyArray, IntArray]:
    """Return the simple geometries of all, and the position that each came from."""
    parts, owner = shapely.get_parts(geometries, return_index=True)
    parts, inner = shapely.get_parts(parts, return_index=True)  # what a collection holds
    return parts, owner[inner]


def holding(windows: Windows, points: Points) -> Pairs:
    """Return the windows of a scene that hold points in its CRS ``(n, 2)``, and these points.

    Of windows that share an edge, the one below it or to its right holds what lies on the edge.
    """
    rows, row = np.unique(windows.row_off, return_inverse=True)
    cols, col = np.unique(windows.col_off, return_inverse=True)
    key = row * len(cols) + col
    order = np.argsort(key, kind="stable")
    at, size = pixel_of(windows.grid, points), windows.patch_size
    # windows that begin in (pixel - size, pixel] hold the pixel
    first_row, end_row = (np.searchsorted(rows, at[:, 0] - d, side="right") for d in (size, 0))
    first_col, end_col = (np.searchsorted(cols, at[:, 1] - d, side="right") for d in (size, 0))
    found = [_nothing()]
    for down in range(int((end_row - first_row).max(initial=0))):
        for right in range(int((end_col - first_col).max(initial=0))):
            i, j = first_row + down, first_col + right
            point = np.flatnonzero((i < end_row) & (j < end_col))
            wanted = i[point] * len(cols) + j[point]
            place = np.searchsorted(key, wanted, sorter=order).clip(max=len(key) - 1)
            window = order[place]
            exists = key[window] == wanted
            found.append((window[exists], point[exists]))
    return _joined(found)


def crossed(footprints: AnyArray, lines: AnyArray) -> tuple[IntArray, IntArray, AnyArray]:
    """Return which footprints which lines cross, and the piece of the line within, ``(k,)`` each.

    Both are in one CRS. A line that only touches a footprint does not cross it.
    """
    line, of_part = shapely.STRtree(footprints).query(lines, predicate="intersects")
    inner = shapely.intersection(lines[line], footprints[of_part])
    edge = np.sqrt(shapely.area(footprints[of_part]))
    crosses = shapely.length(inner) > _LEAST * edge
    return of_part[crosses], line[crosses], inner[crosses]


def _centres(pieces: AnyArray) -> Points:
    """Return the centre of each point or polygon, ``(n, 2)``, which lies within the polygon."""
    centres = shapely.centroid(pieces)
    outside = ~shapely.intersects(pieces, centres)
    centres[outside] = shapely.point_on_surface(pieces[outside])
    return np.asarray(shapely.get_coordinates(centres))


def _covered(polygons: AnyArray, crs: CRS, pool: Pool, share: float) -> Pairs:
    """Return the patches of which each polygon covers the share: a place once, in one scene."""
    found = [_nothing()]
    for part, footprints, piece, local in _near(polygons, crs, pool):
        of_part, code, covers = shares_of_each(footprints, local, piece, len(polygons))
        enough = covers >= share - ROUNDING
        found.append((part.positions[of_part[enough]], code[enough]))
    patch, piece = _joined(found)
    if len(pool.scenes) > 1 and len(patch):
        kept, row = np.unique(patch, return_inverse=True)
        away = _metres(_centres(polygons)[piece], crs, pool, patch)
        rank = np.full(len(kept), np.inf)
        np.minimum.at(rank, row, away)
        once = SharedGround(pool.windows.take(kept)).once(rank.round(_DECIMALS))[row]
        # a patch stands for its place only where the polygon covers the share of it too
        once |= ~np.isin(piece, piece[once])
        patch, piece = patch[once], piece[once]
    return patch, piece


def _crossed(lines: AnyArray, crs: CRS, pool: Pool) -> Pairs:
    """Return the patches that each line crosses, of overlapping ones those that are nearest."""
    found = [_nothing()]
    overlap = len(pool.scenes) > 1 or any(_overlap(scene.windows) for scene in pool.scenes)
    for part, footprints, piece, local in _near(lines, crs, pool):
        of_part, which, inner = crossed(footprints, local)
        if not overlap:
            found.append((part.positions[of_part], piece[which]))
        elif len(inner):
            edge = np.sqrt(shapely.area(footprints[of_part]))
            along, owner = shapely.get_coordinates(
                shapely.segmentize(inner, edge / _STEPS), return_index=True
            )
            patch, point = _nearest(along, part.windows.crs, pool)
            found.append((patch, piece[which][owner[point]]))
    patch, piece = _joined(found)
    unique = np.unique(np.stack([patch, piece]), axis=1)
    return unique[0], unique[1]


def _near(
    pieces: AnyArray, crs: CRS, pool: Pool
) -> Iterator[tuple[Part, AnyArray, IntArray, AnyArray]]:
    """Yield parts of the pool with their footprints and the pieces near them.

    The pieces are positions, and geometries in the CRS of the scene.
    """
    if len(pieces) == 0:
        return
    layer = PolygonLayer(pieces, crs, np.arange(len(pieces)))
    for part in pool.parts:
        piece, local = layer.near(part.windows)
        there = ~shapely.is_empty(local)
        if there.any():
            yield part, part.windows.footprints(), piece[there], local[there]


def _nearest(points: Points, crs: CRS, pool: Pool) -> Pairs:
    """Return the patch that holds each point, and the point: none where no patch does.

    Of several patches, that with the nearest centre, and of equals the first of the pool.
    """
    if len(points) == 0:
        return _nothing()
    layer = PolygonLayer(shapely.points(points), crs, np.arange(len(points)))
    found = [_nothing()]
    for scene in pool.scenes:
        near, local = layer.near(scene.windows)
        at, owner = shapely.get_coordinates(local, return_index=True)
        window, point = holding(scene.windows, at)
        found.append((scene.positions[window], near[owner[point]]))
    patch, point = _joined(found)
    away = _metres(points[point], crs, pool, patch).round(_DECIMALS)
    order = np.lexsort((patch, away, point))
    first = order[np.unique(point[order], return_index=True)[1]]
    return patch[first], point[first]


def _metres(points: Points, crs: CRS, pool: Pool, patch: IntArray) -> NDArray[np.float64]:
    """Return how far each point is from the centre of its patch, ``(k,)``."""
    if len(points) == 0:
        return np.empty(0)
    on_earth = metres_from_earth_centre(points, crs, pool.scenes[0].windows.place)
    away = on_earth - pool.windows.take(patch).centres_on_earth()
    return np.asarray(np.linalg.norm(away, axis=1))


def _in_a_scene(pieces: AnyArray, crs: CRS, pool: Pool, wanted: BoolArray) -> IntArray:
    """Return positions of those ``wanted`` pieces that touch a scene, whatever patches it has."""
    among = np.flatnonzero(wanted)
    if len(among) == 0:
        return among
    layer, found = PolygonLayer(pieces[among], crs, among), []
    for scene in pool.scenes:
        near, local = layer.near(_whole(scene.windows))
        touches = shapely.intersects(local, shapely.box(*bounds(scene.windows.grid)))
        found.append(among[near[touches]])
    return np.unique(np.concatenate(found))


def _whole(windows: Windows) -> Windows:
    """Return the corner windows of a whole scene, which reach as far as it does."""
    grid, size = windows.grid, windows.patch_size
    row = np.array([0, max(grid.height - size, 0)])
    col = np.array([0, max(grid.width - size, 0)])
    rows, cols = (each.ravel() for each in np.meshgrid(row, col, indexing="ij"))
    return Windows(grid, row_off=rows, col_off=cols, patch_size=size)


def _overlap(windows: Windows) -> bool:
    """Return whether windows of a scene may overlap."""
    return any(
        np.diff(np.unique(offsets)).min(initial=windows.patch_size) < windows.patch_size
        for offsets in (windows.row_off, windows.col_off)
    )


def _nothing() -> Pairs:
    return np.empty(0, np.int64), np.empty(0, np.int64)


def _joined(pairs: list[Pairs]) -> Pairs:
    first, second = zip(*pairs, strict=True)
    return np.concatenate(first), np.concatenate(second)
