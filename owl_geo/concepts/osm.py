"""OpenStreetMap files, read in one stream by libosmium; only the requested keys are kept."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import osmium
import shapely

from owl_geo.concepts.extents import Bounds
from owl_geo.errors import LayerError, where_instead
from owl_geo.types import AnyArray

_log = logging.getLogger("owl_geo")

SUFFIXES = (".osm.pbf", ".osm", ".osm.gz", ".osm.bz2")

# Keys whose closed ways run around something rather than cover it, unless area=yes is set.
_LINEAR_KEYS = frozenset({"aerialway", "barrier", "highway", "railway", "route"})
_LINEAR_TAGS = frozenset(
    {
        *(("natural", value) for value in ("coastline", "cliff", "ridge", "tree_row", "valley")),
        *(("man_made", value) for value in ("cutline", "embankment", "pipeline")),
        *(("power", value) for value in ("line", "minor_line", "cable")),
        *(("waterway", value) for value in ("river", "stream", "canal", "ditch", "drain")),
    }
)


def is_osm(path: str) -> bool:
    """Return whether the name is that of an OSM file: .osm.pbf, .osm, .osm.gz or .osm.bz2."""
    return path.lower().endswith(SUFFIXES)


def read_osm(path: str, keys: Collection[str]) -> tuple[gpd.GeoDataFrame, Bounds | None]:
    """Read the features that have one of the keys, and the bounding box of the file's header.

    The frame is in EPSG:4326 and has one text column per key, missing where a feature lacks it.
    Closed ways and multipolygon relations are polygons, open ways lines, tagged nodes points.
    Features that cannot be assembled are left out and counted in one warning. Node locations are
    held in memory. Raises LayerError where the file is missing, truncated or not an OSM file.
    """
    if not Path(path).is_file():
        if Path(path).exists():
            kind = "a folder" if Path(path).is_dir() else "not a file"
            raise LayerError(f"{path} is {kind}", remedy="name an OSM extract")
        raise LayerError(f"{path} does not exist", remedy=where_instead(path))
    wanted = tuple(dict.fromkeys(keys))
    reader = _Reader(wanted)
    try:
        box = osmium.io.Reader(path, osmium.osm.NOTHING).header().box()
        reader.read(_objects(path, wanted))
    except (RuntimeError, ValueError, osmium.InvalidLocationError) as error:
        raise LayerError(f"{path} is not an OSM file, or is damaged: {error}") from error
    if reader.n_broken:
        _log.warning(
            "%s: left out %d ways or relations with broken or incomplete rings",
            path,
            reader.n_broken,
        )
    bounds = (
        (box.bottom_left.lon, box.bottom_left.lat, box.top_right.lon, box.top_right.lat)
        if box.valid()
        else None
    )
    return reader.frame(), bounds


def _objects(path: str, keys: tuple[str, ...]) -> Iterator[Any]:
    with_key = osmium.filter.KeyFilter(*keys)
    areas = osmium.FileProcessor(path).with_areas(with_key, _WithoutMemberZero())
    return iter(areas.with_filter(with_key))


class _WithoutMemberZero:
    """Leaves out relations with a member of id 0, which break libosmium's assembly."""

    def relation(self, relation: Any) -> bool:
        """Return whether to leave the relation out."""
        return any(member.ref == 0 for member in relation.members)


class _Reader:
    """Collects geometries and tags from the stream, and counts what could not be assembled."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = keys
        self._points: list[tuple[float, float]] = []
        self._shapes: list[str] = []  # WKB of ways and areas, in hex
        self._point_tags: list[tuple[str | None, ...]] = []
        self._shape_tags: list[tuple[str | None, ...]] = []
        # (is a way, id) of entities that should be areas, and of those that are; the area of a
        # way comes after the way, that of a relation before the relation
        self._expected: set[tuple[bool, int]] = set()
        self._assembled: set[tuple[bool, int]] = set()
        self._n_broken = 0
        self._wkb = osmium.geom.WKBFactory()

    def read(self, objects: Iterator[Any]) -> None:
        for entity in objects:
            tags = tuple(entity.tags.get(key) for key in self._keys)
            if entity.is_node():
                self._node(entity, tags)
            elif entity.is_way():
                if not entity.is_closed() or self._is_line(entity, tags):
                    self._shape(self._wkb.create_linestring, entity, tags)
                else:
                    self._expected.add((True, entity.id))
            elif entity.is_area():
                if entity.from_way() and self._is_line(entity, tags):
                    continue
                self._assembled.add((entity.from_way(), entity.orig_id()))
                self._shape(self._wkb.create_multipolygon, entity, tags)
            elif entity.tags.get("type") in ("multipolygon", "boundary"):
                self._expected.add((False, entity.id))

    @property
    def n_broken(self) -> int:
        """Ways and relations without a usable geometry."""
        return self._n_broken + len(self._expected - self._assembled)

    def frame(self) -> gpd.GeoDataFrame:
        shapes = shapely.from_wkb(np.array(self._shapes, dtype=object))
        points = shapely.points(np.array(self._points, dtype=np.float64).reshape(-1, 2))
        rows = self._point_tags + self._shape_tags
        columns = {
            key: np.array([row[i] for row in rows], dtype=object)
            for i, key in enumerate(self._keys)
        }
        geometry: AnyArray = np.concatenate([points, shapes])
        return gpd.GeoDataFrame(columns, geometry=geometry, crs="EPSG:4326")

    def _node(self, node: Any, tags: tuple[str | None, ...]) -> None:
        if not node.location.valid():
            self._n_broken += 1
            return
        self._points.append((node.location.lon, node.location.lat))
        self._point_tags.append(tags)

    def _shape(self, create: Any, entity: Any, tags: tuple[str | None, ...]) -> None:
        try:
            wkb = create(entity)
        except (osmium.InvalidLocationError, RuntimeError):
            self._n_broken += 1
            return
        self._shapes.append(wkb)
        self._shape_tags.append(tags)

    def _is_line(self, entity: Any, tags: tuple[str | None, ...]) -> bool:
        """A closed way is a line if tagged area=no, or if all its requested tags are linear."""
        area = entity.tags.get("area")
        if area in ("yes", "no"):
            return bool(area == "no")
        return all(
            value is None or key in _LINEAR_KEYS or (key, value) in _LINEAR_TAGS
            for key, value in zip(self._keys, tags, strict=True)
        )
