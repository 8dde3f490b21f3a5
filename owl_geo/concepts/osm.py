"""OpenStreetMap files, read in one stream by libosmium; only the requested keys are kept."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas as gpd
import numpy as np
import osmium
import shapely

from owl_geo.concepts.extents import Bounds
from owl_geo.concepts.osm_areas import make_area
from owl_geo.concepts.osm_files import (
    IN_FULL,
    as_file,
    check_is_map,
    deleted,
    has_outlines,
    history,
    write_in_order,
)
from owl_geo.errors import LayerError
from owl_geo.types import AnyArray
from owl_geo.wording import counted

_log = logging.getLogger("owl_geo")

_SHOWN = 5  # how many ways and relations a warning names


def read_osm(path: str, keys: Collection[str]) -> tuple[gpd.GeoDataFrame, Bounds | None]:
    """Read the features that have one of the keys, and the bounding box of the file's header.

    The frame is in EPSG:4326 and has one text column per key, missing where a feature lacks it.
    Multipolygon relations and the closed ways that ``osm_areas`` calls areas are polygons, other
    ways lines, tagged nodes points. A line keeps the parts whose nodes are in the file; areas with
    missing or broken parts are left out; warnings name both. Node locations are held in memory.
    Raises LayerError where the file is missing, truncated, not an OSM file, or a history file.
    """
    wanted = tuple(dict.fromkeys(keys))
    try:
        box = check_is_map(path).box()
        gone = deleted(path)
        reader = _Reader(path, wanted, gone)
        if reader.read(_objects(path, wanted), with_all_nodes=not _has_header(path)):
            _warn_of_losses(path, path, reader)
        else:
            with TemporaryDirectory() as folder:
                ordered = Path(folder) / "ordered.osm.pbf"
                write_in_order(path, ordered)
                reader = _Reader(path, wanted, gone)
                reader.read(_objects(str(ordered), wanted), with_all_nodes=False)
                _warn_of_losses(path, str(ordered), reader)
    except (RuntimeError, ValueError, osmium.InvalidLocationError) as error:
        if has_outlines(path):
            raise LayerError(
                f"{path} has centres or outlines in place of nodes, as Overpass writes them for "
                "`out center` and for relations with `out geom`",
                remedy=IN_FULL,
            ) from error
        raise LayerError(f"{path} is not an OSM file, or is damaged: {error}") from error
    bounds = (
        (box.bottom_left.lon, box.bottom_left.lat, box.top_right.lon, box.top_right.lat)
        if box.valid()
        else None
    )
    return reader.frame(), bounds


def _objects(path: str, keys: tuple[str, ...]) -> Iterator[Any]:
    with_key = osmium.filter.KeyFilter(*keys)
    areas = osmium.FileProcessor(as_file(path)).with_areas(with_key, _WithoutMemberZero())
    return iter(areas.with_filter(with_key) if _has_header(path) else areas)


def _has_header(path: str) -> bool:
    """Return whether the file's header says if it is a history, or only its objects do."""
    return path.lower().endswith(".pbf")


class _WithoutMemberZero:
    """Leaves out relations with a member of id 0, which break libosmium's assembly."""

    def relation(self, relation: Any) -> bool:
        """Return whether to leave the relation out."""
        return any(member.ref == 0 for member in relation.members)


class _Reader:
    """Collects geometries and tags from the stream, and notes what could not be assembled."""

    def __init__(
        self, path: str, keys: tuple[str, ...], gone: frozenset[tuple[str, int]] = frozenset()
    ) -> None:
        self._path = path
        self._keys = keys
        self._gone = gone  # kind and id of what is in the file, and deleted
        self._points: list[tuple[float, float]] = []
        self._shapes: list[str] = []  # WKB of ways and areas, in hex
        self._point_tags: list[tuple[str | None, ...]] = []
        self._shape_tags: list[tuple[str | None, ...]] = []
        # what should be an area, and of what is one; an area of a way comes after the way, an area
        # of a relation before the relation or after it
        self._expected_ways: set[int] = set()
        self._relations: dict[int, tuple[int, ...]] = {}  # id -> ids of the ways in it
        self._assembled: set[tuple[bool, int]] = set()  # (is a way, id)
        self.cut_ways: set[int] = set()  # lines and areas whose nodes are not all in the file
        self.broken: list[str] = []
        self._wkb = osmium.geom.WKBFactory()

    def read(self, objects: Iterator[Any], *, with_all_nodes: bool) -> bool:
        """Take in all objects; return whether nodes precede ways, and ways relations.

        Stops where they do not. Raises LayerError where an object has several versions.
        """
        last = (-1, 0)
        for entity in objects:
            if entity.is_area():
                self._area(entity)
                continue
            this = ("nwr".index(entity.type_str()), entity.id)
            if this == last or not entity.visible:
                raise history(self._path)
            if this[0] < last[0] or (this[0] == 1 and last[0] < 0 and with_all_nodes):
                return False
            last = this
            if (entity.type_str(), entity.id) in self._gone:
                continue
            tags = tuple(entity.tags.get(key) for key in self._keys)
            if not any(tags):
                continue
            if entity.is_node():
                self._node(entity, tags)
            elif entity.is_way():
                self._way(entity, tags)
            elif entity.tags.get("type") in ("multipolygon", "boundary"):
                ways = (member.ref for member in entity.members if member.type == "w")
                self._relations[entity.id] = tuple(ways)
        return True

    @property
    def lost_relations(self) -> dict[int, tuple[int, ...]]:
        """Relations that make no area, with the ways that they are made of."""
        assembled = {number for is_way, number in self._assembled if not is_way}
        return {n: ways for n, ways in self._relations.items() if n not in assembled}

    @property
    def lost_ways(self) -> list[int]:
        """Closed ways that make no area though all their nodes are there."""
        assembled = {number for is_way, number in self._assembled if is_way}
        return sorted(self._expected_ways - assembled - self.cut_ways)

    def frame(self) -> gpd.GeoDataFrame:
        """Return what was collected: points, then lines and areas."""
        shapes = _in_one_piece(shapely.from_wkb(np.array(self._shapes, dtype=object)))
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
            self.broken.append(f"node {node.id}")
            return
        self._points.append((node.location.lon, node.location.lat))
        self._point_tags.append(tags)

    def _way(self, way: Any, tags: tuple[str | None, ...]) -> None:
        if way.is_closed() and self._is_area(way, tags):
            self._expected_ways.add(way.id)
            if not all(node.location.valid() for node in way.nodes):
                self.cut_ways.add(way.id)
            return
        wkb: str | None = None
        try:
            wkb = self._wkb.create_linestring(way)
        except osmium.InvalidLocationError:
            self.cut_ways.add(way.id)
            wkb = _pieces(way)
        except RuntimeError:  # fewer than two places
            self.broken.append(f"way {way.id}")
        if wkb is not None:
            self._add(wkb, tags)

    def _is_area(self, way: Any, tags: tuple[str | None, ...]) -> bool:
        """Return whether a closed way is an area as far as the requested keys are concerned.

        Its ``area`` tag decides, then its requested tags: a roundabout around a lawn is a line as a
        road and an area as grass. If the rules know none of these keys, all its tags decide.
        """
        area: str | None = way.tags.get("area")
        if area is not None:
            return area != "no"
        by_key = make_area(zip(self._keys, tags, strict=True))
        return bool(make_area(way.tags) if by_key is None else by_key)

    def _area(self, area: Any) -> None:
        if area.from_way() and area.orig_id() not in self._expected_ways:
            return
        if not area.from_way() and ("r", area.orig_id()) in self._gone:
            return
        tags = tuple(area.tags.get(key) for key in self._keys)
        try:
            wkb = self._wkb.create_multipolygon(area)
        except (osmium.InvalidLocationError, RuntimeError):
            return
        self._assembled.add((area.from_way(), area.orig_id()))
        self._add(wkb, tags)

    def _add(self, wkb: str, tags: tuple[str | None, ...]) -> None:
        self._shapes.append(wkb)
        self._shape_tags.append(tags)


def _in_one_piece(shapes: AnyArray) -> AnyArray:
    """Return shapes, those that cross the antimeridian with longitudes that go on beyond 180.

    A step of more than half the Earth leads across it, where all of a shape lies near.
    """
    west, _, east, _ = shapely.bounds(shapes).T
    for i in np.flatnonzero(east - west > 180).tolist():
        lon, ring = shapely.get_coordinates(shapes[i])[:, 0], _rings(shapes[i])
        steps = np.abs(np.diff(lon))[np.diff(ring) == 0]
        if ((steps > 180) & (steps < 360)).any() and np.abs(lon).min() > 90:
            shapes[i] = shapely.transform(
                shapes[i], lambda xy: np.stack([xy[:, 0] % 360, xy[:, 1]], axis=-1)
            )
    return shapes


def _rings(shape: shapely.Geometry) -> AnyArray:
    """Return the number of the line or ring that each coordinate of a shape is of, ``(n,)``."""
    parts = shapely.get_parts(shape)
    lines = shapely.get_rings(parts) if shape.geom_type == "MultiPolygon" else parts
    return np.repeat(np.arange(len(lines)), shapely.get_num_coordinates(lines))


def _pieces(way: Any) -> str | None:
    """Return the parts of a line between missing nodes as WKB in hex, None if there are none."""
    runs: list[list[tuple[float, float]]] = [[]]
    for node in way.nodes:
        if node.location.valid():
            runs[-1].append((node.location.lon, node.location.lat))
        else:
            runs.append([])
    lines = [run for run in runs if len(run) > 1]
    return shapely.to_wkb(shapely.MultiLineString(lines), hex=True) if lines else None


def _warn_of_losses(path: str, file: str, reader: _Reader) -> None:
    """Log which features of a map, or of its ordered copy, are missing or incomplete, and why."""
    ways = _ways_there(file, {way for ways in reader.lost_relations.values() for way in ways})
    cut = {n for n, members in reader.lost_relations.items() if not ways.issuperset(members)}
    if reader.cut_ways or cut:
        _log.warning(
            "%s lacks parts of some features (%s), probably because it was cut there: areas are "
            "left out, lines keep the parts in the file (%s); for whole features use a larger "
            "extract, or one cut with osmium extract --strategy smart",
            path,
            f"{len(reader.cut_ways) + len(cut):,}",
            _named([*(f"way {n}" for n in sorted(reader.cut_ways)), *_relations(cut)]),
        )
    broken = [
        *reader.broken,
        *(f"way {number}" for number in reader.lost_ways),
        *_relations(reader.lost_relations.keys() - cut),
    ]
    if broken:
        _log.warning(
            "%s: left out %s with broken or incomplete rings (%s)",
            path,
            counted(len(broken), "way or relation", "ways or relations"),
            _named(broken),
        )


def _ways_there(path: str, wanted: set[int]) -> set[int]:
    """Return which of the ways are in the file; reads its ways again unless none are wanted."""
    if not wanted:
        return set()
    ways = osmium.FileProcessor(as_file(path), osmium.osm.WAY)
    return {way.id for way in ways.with_filter(osmium.filter.IdFilter(wanted))}


def _relations(numbers: Iterable[int]) -> list[str]:
    return [f"relation {number}" for number in sorted(numbers)]


def _named(features: list[str]) -> str:
    more = len(features) - _SHOWN
    return ", ".join(features[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
