"""The patches that there are beside a batch: where a point of the map lies in the run's grid."""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
)
from qgis.PyQt.QtCore import QCoreApplication

from . import schema
from .batch import metadata_in
from .errors import Problem

_MOST_PLACES = 2**31  # of a scene; more than any raster has patches


class Nothing(Enum):
    """Why there is no patch at a point."""

    OUTSIDE = "outside"  # of every scene
    EDGE = "edge"  # in a scene, but not in a whole patch
    NOT_IN_POOL = "not in the pool"  # too few pixels, for example, or a test of the model


@dataclass(frozen=True)
class PlaceInGrid:
    """A patch of the pool. ``corners`` are in the scene's CRS, in order around it."""

    patch_id: str
    scene: str
    crs: str
    corners: tuple[tuple[float, float], ...]

    def polygon(self, target: QgsCoordinateReferenceSystem) -> QgsGeometry:
        """Return the footprint in another CRS. Raises QgsCsException outside its domain."""
        move = QgsCoordinateTransform(crs_of(self.crs), target, QgsProject.instance())
        ring = [move.transform(QgsPointXY(x, y)) for x, y in self.corners]
        return QgsGeometry.fromPolygonXY([[*ring, ring[0]]])


@dataclass(frozen=True)
class SceneLattice:
    """The patches of one scene; see ``schema.GRID_URI``. Pairs are rows and columns, in pixels."""

    scene: str
    crs: str
    transform: tuple[float, ...]
    first: tuple[int, int]
    step: tuple[int, int]
    count: tuple[int, int]
    pool: bytes
    patch_size: int

    def near(self, x: float, y: float) -> tuple[float, PlaceInGrid] | Nothing:
        """Return the patch around a point in the scene's CRS, the one whose centre is nearest.

        With it comes the distance of that centre, in edges of a patch.
        """
        row, col = self._pixel(x, y)
        around = [
            (math.hypot(down, right), (i, j))
            for down, i in self._starts(row, 0)
            for right, j in self._starts(col, 1)
        ]
        if not around:
            is_near = all(
                0 <= pixel < first + step * (count - 1) + 2 * self.patch_size
                for pixel, first, step, count in zip((row, col), self.first, self.step, self.count)
            )
            return Nothing.EDGE if is_near else Nothing.OUTSIDE
        known = [(distance, place) for distance, place in around if self._has(*place)]
        if not known:
            return Nothing.NOT_IN_POOL
        distance, place = min(known)
        return distance, self._place(*place)

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return the row and the column of a point, as fractions."""
        a, b, c, d, e, f = self.transform
        size = a * e - b * d
        col = (e * (x - c) - b * (y - f)) / size
        row = (a * (y - f) - d * (x - c)) / size
        return row, col

    def _starts(self, pixel: float, axis: int) -> list[tuple[float, int]]:
        """Return the places along an axis whose patches hold a pixel, each with the distance."""
        first, step, count = self.first[axis], self.step[axis], self.count[axis]
        size = self.patch_size
        lowest = max(0, math.floor((pixel - first - size) / step) + 1)
        highest = min(count - 1, math.floor((pixel - first) / step))
        return [
            (abs(pixel - (first + step * i + size / 2)) / size, i)
            for i in range(lowest, highest + 1)
        ]

    def _has(self, i: int, j: int) -> bool:
        bit = i * self.count[1] + j
        return bool(self.pool[bit // 8] >> (7 - bit % 8) & 1)

    def _place(self, i: int, j: int) -> PlaceInGrid:
        row, col = self.first[0] + self.step[0] * i, self.first[1] + self.step[1] * j
        a, b, c, d, e, f = self.transform
        size = self.patch_size
        corners = ((row, col), (row, col + size), (row + size, col + size), (row + size, col))
        return PlaceInGrid(
            patch_id=f"{self.scene}/{row}/{col}",
            scene=self.scene,
            crs=self.crs,
            corners=tuple((a * q + b * p + c, d * q + e * p + f) for p, q in corners),
        )


class PoolGrid:
    """All patches of a run, as a batch lists them."""

    def __init__(self, scenes: list[SceneLattice]) -> None:
        self._scenes = scenes

    def find(self, point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> PlaceInGrid | Nothing:
        """Return the patch at a point in any CRS; of several, the one whose centre is nearest."""
        found: list[tuple[float, PlaceInGrid]] = []
        reasons = {Nothing.OUTSIDE}
        moved: dict[str, QgsPointXY | None] = {}
        for scene in self._scenes:
            if scene.crs not in moved:
                moved[scene.crs] = _moved(point, crs, crs_of(scene.crs))
            there = moved[scene.crs]
            near = Nothing.OUTSIDE if there is None else scene.near(there.x(), there.y())
            if isinstance(near, Nothing):
                reasons.add(near)
            else:
                found.append(near)
        if found:
            return min(found, key=lambda pair: pair[0])[1]
        order = (Nothing.NOT_IN_POOL, Nothing.EDGE, Nothing.OUTSIDE)
        return next(reason for reason in order if reason in reasons)


def pool_grid(batch: Path) -> PoolGrid | None:
    """Return the grid that a batch lists; None if an older version wrote the batch.

    Raises Problem if it makes no sense.
    """
    texts = metadata_in(batch, schema.GRID_URI)
    if not texts:
        return None
    try:
        values = json.loads(texts[0])
        size = int(values["patch_size"])
        return PoolGrid([_lattice(scene, size) for scene in values["scenes"]])
    except (KeyError, TypeError, ValueError, RecursionError, zlib.error) as error:
        message = QCoreApplication.translate(
            "OwlGeo", "the grid in {path} cannot be read; was the file changed?"
        )
        raise Problem(message.format(path=batch)) from error


def crs_of(text: str) -> QgsCoordinateReferenceSystem:
    """Return a scene's CRS from its code, or from WKT if it has none."""
    crs = QgsCoordinateReferenceSystem(text)
    return crs if crs.isValid() else QgsCoordinateReferenceSystem.fromWkt(text)


def _lattice(values: dict[str, object], patch_size: int) -> SceneLattice:
    """Check a scene; raises KeyError, TypeError, ValueError or zlib.error."""
    scene, crs, transform, first, step, count, pool = (values[key] for key in schema.GRID_KEYS)
    pairs = [tuple(int(n) for n in pair) for pair in (first, step, count)]
    terms = tuple(float(term) for term in transform)
    if any(len(pair) != 2 for pair in pairs) or len(terms) != 6 or patch_size < 1:
        raise ValueError("not pairs, or not six terms")
    if min(pairs[0]) < 0 or min(*pairs[1], *pairs[2]) < 1 or not all(map(math.isfinite, terms)):
        raise ValueError("not a grid")
    if terms[0] * terms[4] == terms[1] * terms[3]:
        raise ValueError("a transform that cannot be inverted")
    n = pairs[2][0] * pairs[2][1]
    if n > _MOST_PLACES:
        raise ValueError("too many places")
    needed = (n + 7) // 8
    bits = zlib.decompressobj().decompress(base64.b64decode(str(pool), validate=True), needed)
    if len(bits) < needed:
        raise ValueError("not a bit for each place")
    return SceneLattice(str(scene), str(crs), terms, *pairs, bits, patch_size)


def _moved(
    point: QgsPointXY, source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem
) -> QgsPointXY | None:
    """Return a point in another CRS; None outside its domain."""
    try:
        there = QgsCoordinateTransform(source, target, QgsProject.instance()).transform(point)
    except QgsCsException:
        return None
    return there if math.isfinite(there.x()) and math.isfinite(there.y()) else None
