"""Make the sample data: a scene of 5 x 5 km, an OSM-like extract, and the truth of what is hidden.

    python sample_data/make.py [OUT]

Everything is drawn from one seed, so the same libraries write the same bytes. The land comes first,
as vectors: a river, a town, industry, forest, fields, roads. Contaminated sites depend on it: they
lie around the industry, along the river below it, seldom elsewhere, never in a forest. Then all of
it is painted as reflectance. A site shows up faintly, as stressed vegetation, and so do harmless
wet spots, which lie anywhere.

A second image shows the land a year later, under another sun: other crops stand in the fields, and
parts of the forests are felled.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.sax.saxutils import quoteattr

os.environ["OGR_CURRENT_DATE"] = "2026-01-01T00:00:00Z"  # read once, when GDAL is loaded

import geopandas as gpd
import numpy as np
import rasterio
import shapely
import shapely.ops
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import ColorInterp
from rasterio.features import rasterize
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter
from shapely import LineString, Point, Polygon
from shapely.affinity import rotate
from shapely.geometry.base import BaseGeometry

SEED = 2026
SIDE = 512  # pixels
PIXEL = 10.0  # metres
EXTENT = SIDE * PIXEL
CRS = "EPSG:32632"
ORIGIN = (375_000.0, 6_212_000.0)  # the upper left corner, in the open North Sea
BANDS = ("blue", "green", "red", "nir")
COLOURS = (ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined)
STEP = 20  # reflectances are rounded to this, which halves the file

Array = NDArray[np.float64]

# Reflectance x 10,000 in BANDS' order.
FOREST = {"broadleaf": (260, 430, 270, 3000), "conifer": (190, 310, 210, 1900)}
CROPS = (
    (300, 620, 340, 4100),  # winter wheat, dense
    (380, 760, 480, 3500),
    (470, 820, 640, 2900),  # young
    (520, 1180, 980, 3600),  # rape in flower
    (760, 1080, 1340, 2500),  # ripe
    (880, 1120, 1460, 2050),  # bare
    (720, 930, 1190, 1800),  # bare and moist
    (400, 720, 520, 3200),  # meadow
    (400, 740, 540, 3000),
)
SCRUB = (420, 700, 560, 2750)
WATER = (430, 520, 330, 190)
GARDEN = (560, 760, 700, 2500)
ROAD = (1150, 1200, 1260, 1500)
TRACK = (900, 1050, 1200, 2000)
YARD = (1250, 1310, 1380, 1700)
CLEARED = (470, 640, 700, 1950)  # stumps, brash and soil, not unlike scrub or a bare field
# What a site adds at its worst: less chlorophyll, more soil, a bluish crust.
STRESS = np.array([230.0, 120.0, 420.0, -1150.0])


@dataclass(frozen=True)
class Land:
    """The landscape in metres east and north of the lower left corner."""

    river: Polygon
    river_line: LineString
    ponds: list[BaseGeometry]
    forests: list[BaseGeometry]
    fields: list[BaseGeometry]
    town: list[BaseGeometry]
    industry: list[BaseGeometry]
    roads: list[tuple[str, LineString]]


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(prog="python sample_data/make.py")
    parser.add_argument("out", type=Path, nargs="?", default=Path(__file__).parent)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    land = make_land(rng)
    sites = make_sites(land, rng)
    image = paint(land, sites, rng)
    write_scene(out / "scene.tif", image)
    write_osm(out / "area.osm", land)
    write_truth(out / "truth.gpkg", sites)
    rng = np.random.default_rng([SEED, 1])
    clearings = make_clearings(land, rng)
    write_scene(out / "next_year.tif", a_year_later(image, land, clearings, rng))
    write_clearings(out / "clearings.gpkg", clearings)


# --- the land -------------------------------------------------------------------------------------


def make_land(rng: np.random.Generator) -> Land:
    """Lay out the land; whatever is placed first takes its ground from whatever follows."""
    frame = shapely.box(0, 0, EXTENT, EXTENT)
    line = _river_line()
    widths = np.linspace(24, 36, 12)
    pieces = np.linspace(0, line.length, len(widths) + 1)
    river = shapely.union_all(
        [
            shapely.ops.substring(line, a, b).buffer(width)
            for a, b, width in zip(pieces[:-1], pieces[1:], widths, strict=True)
        ]
    ).intersection(frame)
    ponds = [_blob(rng, 820, 1500, 150, 0.25), _blob(rng, 4420, 4180, 210, 0.3)]
    roads = _roads()
    corridor = shapely.union_all([way.buffer(12) for _, way in roads])
    wet = shapely.union_all([river.buffer(18), *ponds])

    industry = [
        rotate(shapely.box(2980, 2180, 3500, 2520), -24, origin="center"),
        rotate(shapely.box(3130, 2600, 3330, 2780), -24, origin="center"),
    ]
    industry = [part.difference(wet.union(corridor)) for part in industry]
    works = shapely.union_all(industry)
    centre = _blob(rng, 2330, 2960, 560, 0.22).union(_blob(rng, 2660, 2560, 330, 0.2))
    village = _blob(rng, 4330, 3480, 230, 0.3)
    hamlet = _blob(rng, 1180, 4320, 170, 0.3)
    farms = _blob(rng, 840, 660, 120, 0.3)
    built = shapely.union_all([centre, village, hamlet, farms]).difference(
        works.buffer(25).union(wet)
    )
    built = built.difference(shapely.union_all([w.buffer(14) for k, w in roads if k != "track"]))
    town = [part.simplify(6) for part in _parts(built) if part.area > 8_000]

    taken = shapely.union_all([wet, corridor, works.buffer(30), built.buffer(15)])
    woods = [
        _blob(rng, 560, 3160, 520, 0.35).union(_blob(rng, 240, 2700, 330, 0.3)),
        _blob(rng, 3480, 4560, 560, 0.35).union(_blob(rng, 2880, 4790, 330, 0.3)),
        _blob(rng, 2060, 930, 470, 0.35).union(_blob(rng, 1650, 620, 300, 0.3)),
        _blob(rng, 4560, 420, 330, 0.35),
        _blob(rng, 4740, 2560, 230, 0.35),
        _blob(rng, 1560, 1900, 130, 0.3),
    ]
    wood = shapely.union_all(woods).intersection(frame).difference(taken)
    forests = [part.simplify(5) for part in _parts(wood) if part.area > 20_000]
    taken = taken.union(wood.buffer(8))
    fields = [
        part
        for field in _parcels(rng)
        for part in _parts(field.intersection(frame).buffer(-5).difference(taken))
        if part.area > 6_000
    ]
    return Land(river, line, ponds, forests, fields, town, industry, roads)


def _river_line() -> LineString:
    """From the north west to the south east, in meanders."""
    t = np.linspace(-0.05, 1.05, 180)
    east = EXTENT * t
    north = (
        3900
        - 2800 * t
        + 230 * np.sin(2 * np.pi * 2.1 * t + 0.6)
        + 90 * np.sin(2 * np.pi * 5.3 * t + 1.0)
    )
    return LineString(np.column_stack([east, north]))


def _roads() -> list[tuple[str, LineString]]:
    def bent(kind: str, *points: tuple[float, float]) -> tuple[str, LineString]:
        line = LineString(points)
        for _ in range(3):  # cut the corners (Chaikin 1974)
            here = shapely.get_coordinates(line)
            near, far = 0.75 * here[:-1] + 0.25 * here[1:], 0.25 * here[:-1] + 0.75 * here[1:]
            inner = np.stack([near, far], axis=1).reshape(-1, 2)
            line = LineString(np.vstack([here[:1], inner, here[-1:]]))
        return kind, line

    return [
        bent(
            "primary",
            (-40, 980),
            (900, 900),
            (1900, 1700),
            (2480, 2840),
            (2760, 3900),
            (2600, 5160),
        ),
        bent("secondary", (2480, 2860), (3350, 3020), (4330, 3480), (5160, 3640)),
        bent("secondary", (2440, 2760), (1700, 3560), (1180, 4320), (-40, 4700)),
        bent("secondary", (2060, 2000), (3060, 2120), (3900, 1760), (5160, 1900)),
        bent("tertiary", (3240, 2130), (3180, 2560), (3060, 2960)),
        bent("tertiary", (900, 900), (820, 640), (1000, -40)),
        bent("track", (4330, 3480), (4200, 2700), (4000, 1740)),
        bent("track", (2760, 3900), (3900, 3980), (4300, 5160)),
        bent("track", (1900, 1700), (900, 2060), (-40, 1980)),
        bent("track", (3900, 1760), (3600, 900), (3700, -40)),
    ]


def _blob(
    rng: np.random.Generator, east: float, north: float, radius: float, rough: float
) -> Polygon:
    """A round outline with lobes; ``rough`` is their height as a share of the radius."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    lobes = sum(
        rng.normal(0, rough / n) * np.cos(n * angle + rng.uniform(0, 2 * np.pi))
        for n in range(2, 7)
    )
    reach = radius * np.clip(1 + np.asarray(lobes), 0.45, 1.7)
    outline = np.column_stack([east + reach * np.cos(angle), north + reach * np.sin(angle)])
    return Polygon(outline).buffer(0)


def _parcels(rng: np.random.Generator) -> Iterator[BaseGeometry]:
    """Fields: districts, each with its own direction, split until they are small enough."""
    seeds = shapely.MultiPoint(rng.uniform(0, EXTENT, (9, 2)))
    cells = shapely.voronoi_polygons(seeds, extend_to=shapely.box(0, 0, EXTENT, EXTENT))
    for cell in cells.geoms:
        angle = rng.uniform(-40, 40)
        around = cell.centroid
        reach = 4000.0
        stack = [
            shapely.box(around.x - reach, around.y - reach, around.x + reach, around.y + reach)
        ]
        while stack:
            block = stack.pop()
            left, bottom, right, top = block.bounds
            if (right - left) * (top - bottom) < rng.uniform(40_000, 150_000):
                part = rotate(block, angle, origin=around).intersection(cell)
                yield from _parts(part)
                continue
            cut = rng.uniform(0.38, 0.62)
            if right - left > (top - bottom) * rng.uniform(0.5, 1.1):
                middle = left + cut * (right - left)
                stack += [
                    shapely.box(left, bottom, middle, top),
                    shapely.box(middle, bottom, right, top),
                ]
            else:
                middle = bottom + cut * (top - bottom)
                stack += [
                    shapely.box(left, bottom, right, middle),
                    shapely.box(left, middle, right, top),
                ]


def _parts(geometry: BaseGeometry) -> list[BaseGeometry]:
    return [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon"]


# --- what is hidden -------------------------------------------------------------------------------


def make_sites(land: Land, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Place the contaminated sites: by industry, along the river below it, a few anywhere."""
    blocked = shapely.union_all(
        [land.river.buffer(12), *land.ponds, *land.forests, *land.town, *land.industry]
    )
    works = land.industry[0]
    start = land.river_line.project(works.centroid)
    sites: list[BaseGeometry] = []

    def place(wanted: int, propose: object) -> None:
        placed = 0
        while placed < wanted:
            east, north = propose()  # type: ignore[operator]
            site = _blob(rng, east, north, rng.uniform(65, 120), 0.45)
            inside = 100 < east < EXTENT - 100 and 100 < north < EXTENT - 100
            free = site.intersection(blocked).area < 0.1 * site.area
            if inside and free and all(site.distance(other) > 60 for other in sites):
                sites.append(site.difference(blocked))
                placed += 1

    def near(centre: Point, reach: float) -> object:
        def propose() -> tuple[float, float]:
            angle, far = rng.uniform(0, 2 * np.pi), reach * np.sqrt(rng.uniform(0.1, 1))
            return centre.x + far * np.cos(angle), centre.y + far * np.sin(angle)

        return propose

    def downstream() -> tuple[float, float]:
        along = rng.uniform(start + 150, land.river_line.length - 200)
        point = land.river_line.interpolate(along)
        return point.x + rng.normal(0, 90), point.y + rng.normal(0, 90)

    place(16, near(works.centroid, 1000))
    place(13, downstream)
    place(2, lambda: tuple(rng.uniform(100, EXTENT - 100, 2)))
    return gpd.GeoDataFrame(
        {"site": range(1, len(sites) + 1), "class": "contaminated"}, geometry=sites
    )


def make_clearings(land: Land, rng: np.random.Generator) -> list[BaseGeometry]:
    """Place the clearings of the year that follows, in the forests, mostly from their edges in."""
    wood = shapely.union_all(land.forests)
    clearings: list[BaseGeometry] = []
    while len(clearings) < 32:
        east, north = rng.uniform(50, EXTENT - 50, 2)
        clearing = _blob(rng, east, north, rng.uniform(35, 80), 0.4).intersection(wood)
        apart = all(clearing.distance(other) > 50 for other in clearings)
        if clearing.area > 3_000 and apart and len(_parts(clearing)) == 1:
            clearings.append(clearing)
    return clearings


# --- the picture ----------------------------------------------------------------------------------


def paint(land: Land, sites: gpd.GeoDataFrame, rng: np.random.Generator) -> Array:
    """Return reflectance x 10,000, ``(4, SIDE, SIDE)``."""
    image = np.empty((4, SIDE, SIDE))
    image[:] = np.array(SCRUB)[:, None, None]
    image *= 1 + 0.10 * _noise(rng, 3)
    for field in land.fields:
        _sow(image, field, rng)
    for forest in land.forests:
        kind = "conifer" if rng.random() < 0.4 else "broadleaf"
        texture = 1 + 0.16 * _noise(rng, 1.0) + 0.10 * _noise(rng, 7)
        _fill(image, _mask([forest]), FOREST[kind], texture)
    _build(image, land, rng)
    wet = [_blob(rng, *rng.uniform(0, EXTENT, 2), rng.uniform(50, 110), 0.45) for _ in range(45)]
    plants = _mask(land.fields)
    harmless = [spot for spot in wet if all(spot.distance(s) > 40 for s in sites.geometry)]
    _stress(image, harmless, rng, 0.4, 0.9, only=plants)
    _stress(image, list(sites.geometry), rng, 0.6, 1.05)
    for kind, way in land.roads:
        width = {"primary": 9, "secondary": 7, "tertiary": 6, "track": 4}[kind]
        cover = _cover(way.buffer(width))
        image += cover * (np.array(TRACK if kind == "track" else ROAD)[:, None, None] - image)
    water = 1 + 0.05 * _noise(rng, 5)
    for body in (land.river, *land.ponds):
        image += _cover(body) * (np.array(WATER)[:, None, None] * water - image)
    image *= 1 + 0.02 * _noise(rng, 40)  # haze and terrain
    image = np.stack([gaussian_filter(band, 0.55) for band in image])  # the sensor's blur
    image += rng.normal(0, 1, image.shape) * np.array([9.0, 9.0, 10.0, 22.0])[:, None, None]
    return np.clip(np.round(image / STEP) * STEP, 1, 10_000)


def a_year_later(
    image: Array, land: Land, clearings: Sequence[BaseGeometry], rng: np.random.Generator
) -> Array:
    """Return the same land as ``paint`` did, with other crops, clearings, and a lower sun."""
    image = image.copy()
    for field in land.fields:
        if rng.random() < 0.6:
            _sow(image, field, rng)
    for forest in land.forests:  # a wet year or a dry one
        image[:, _mask([forest])] *= 1 + rng.normal(0, 0.05, (4, 1))
    for clearing in clearings:
        tone = np.array(CLEARED)[:, None, None] * rng.normal(1, 0.12) * (1 + 0.1 * _noise(rng, 1))
        image += _cover(clearing) * (tone - image)
    image = 0.84 * image + np.array([90.0, 60.0, 40.0, 15.0])[:, None, None]  # haze over less light
    image += rng.normal(0, 1, image.shape) * np.array([12.0, 12.0, 14.0, 30.0])[:, None, None]
    return np.clip(np.round(image / STEP) * STEP, 1, 10_000)


def _sow(image: Array, field: BaseGeometry, rng: np.random.Generator) -> None:
    """Paint a field with a crop, in rows along its longer side."""
    here = _mask([field])
    rows, cols = np.nonzero(here)
    spectrum = np.array(CROPS[rng.integers(len(CROPS))]) * rng.normal(1, 0.07)
    spectrum[3] *= rng.normal(1, 0.06)
    angle = _direction(field)
    rows_of_crop = np.sin((cols * np.sin(angle) + rows * np.cos(angle)) * rng.uniform(1.2, 2.2))
    texture = 1 + 0.022 * rows_of_crop + 0.05 * _noise(rng, 9)[here]
    image[:, here] = spectrum[:, None] * texture


def _build(image: Array, land: Land, rng: np.random.Generator) -> None:
    """Paint the town as gardens, streets and roofs, industry as yards and halls."""
    for part in land.town:
        here = _mask([part])
        _fill(image, here, GARDEN, 1 + 0.16 * _noise(rng, 1.0))
        for roof in _boxes(part, rng, spacing=38, size=(9, 17), angle=rng.uniform(-30, 30)):
            tone = np.array([(1150, 1160, 1480, 1900), (1350, 1400, 1450, 1750)][rng.integers(2)])
            image += _cover(roof) * (tone[:, None, None] * rng.normal(1, 0.1) - image)
    for part, angle in zip(land.industry, (-24, -24), strict=True):
        _fill(image, _mask([part]), YARD, 1 + 0.10 * _noise(rng, 1.2))
        for hall in _boxes(part, rng, spacing=95, size=(26, 42), angle=angle):
            bright = rng.uniform(1900, 3400)
            tone = np.array([1.02, 1.0, 0.99, 1.05])[:, None, None] * bright
            image += _cover(hall) * (tone - image)


def _boxes(
    area: BaseGeometry,
    rng: np.random.Generator,
    *,
    spacing: float,
    size: tuple[float, float],
    angle: float,
) -> Iterator[BaseGeometry]:
    """Roofs on a turned grid within an area; ``size`` is the range of half an edge, in metres."""
    left, bottom, right, top = area.buffer(150).bounds
    for east in np.arange(left, right, spacing):
        for north in np.arange(bottom, top, spacing):
            wide, deep = rng.uniform(*size, 2)
            if rng.random() < 0.2:
                continue
            roof = shapely.box(east - wide, north - deep, east + wide, north + deep)
            roof = rotate(roof, angle, origin=area.centroid)
            if area.contains(roof):
                yield roof


def _stress(
    image: Array,
    places: Sequence[BaseGeometry],
    rng: np.random.Generator,
    least: float,
    most: float,
    only: NDArray[np.bool_] | None = None,
) -> None:
    for place in places:
        strength = gaussian_filter(_cover(place), 0.9) * rng.uniform(least, most)
        strength *= np.clip(0.85 + 0.45 * _noise(rng, 1.4), 0, 1.6)
        if only is not None:
            strength *= only
        image += strength * STRESS[:, None, None]


def _direction(field: BaseGeometry) -> float:
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(field))
    edge = max(np.diff(corners, axis=0), key=lambda step: float(np.hypot(*step)))
    return float(np.arctan2(edge[1], edge[0]))


def _noise(rng: np.random.Generator, smooth: float) -> Array:
    field = irfft2(rfft2(rng.normal(size=(SIDE, SIDE))) * _blur(smooth), s=(SIDE, SIDE))
    return np.asarray(field / field.std())


@cache
def _blur(smooth: float) -> NDArray[np.complexfloating]:
    """Return what a Gaussian blur that wraps around is among frequencies, where it is quick."""
    point = np.zeros((SIDE, SIDE))
    point[0, 0] = 1.0
    return np.asarray(rfft2(gaussian_filter(point, smooth, mode="wrap")))


def _fill(
    image: Array, here: NDArray[np.bool_], spectrum: Sequence[float] | Array, texture: Array
) -> None:
    image[:, here] = np.asarray(spectrum)[:, None] * texture[here]


_TRANSFORM = rasterio.Affine(PIXEL, 0, 0, 0, -PIXEL, EXTENT)
_FINE = 4  # parts of a pixel's edge that cover is counted in


def _mask(shapes: Sequence[BaseGeometry]) -> NDArray[np.bool_]:
    burnt = rasterize(shapes, (SIDE, SIDE), transform=_TRANSFORM)
    return np.asarray(burnt, dtype=bool)


def _cover(shape: BaseGeometry) -> Array:
    """The share of each pixel that a shape covers."""
    cover = np.zeros((SIDE, SIDE))
    left, bottom, right, top = shape.bounds
    first = max(int((EXTENT - top) // PIXEL), 0), max(int(left // PIXEL), 0)
    last = (
        min(int((EXTENT - bottom) // PIXEL) + 1, SIDE),
        min(int(right // PIXEL) + 1, SIDE),
    )
    height, width = last[0] - first[0], last[1] - first[1]
    if height <= 0 or width <= 0:
        return cover
    fine = _TRANSFORM * rasterio.Affine.translation(first[1], first[0])
    fine *= rasterio.Affine.scale(1 / _FINE)
    burnt = rasterize([shape], (height * _FINE, width * _FINE), transform=fine)
    parts = burnt.reshape(height, _FINE, width, _FINE)
    cover[first[0] : last[0], first[1] : last[1]] = parts.mean(axis=(1, 3), dtype=np.float64)
    return cover


# --- files ----------------------------------------------------------------------------------------


def write_scene(path: Path, image: Array) -> None:
    """Write a cloud-optimised GeoTIFF."""
    west, north = ORIGIN
    profile = {
        "driver": "COG",
        "width": SIDE,
        "height": SIDE,
        "count": len(BANDS),
        "dtype": "uint16",
        "crs": CRS,
        "transform": rasterio.Affine(PIXEL, 0, west, 0, -PIXEL, north),
        "compress": "DEFLATE",
        "level": 9,
        "predictor": "YES",
        "blocksize": 256,
        "overviews": "NONE",  # one block of 512 pixels needs none
    }
    with rasterio.open(path, "w", **profile) as scene:
        scene.write(image.astype("uint16"))
        scene.descriptions = BANDS
        scene.colorinterp = COLOURS  # so that any program shows it in natural colours
        scene.update_tags(COPYRIGHT="Synthetic data, not a place on Earth. Apache-2.0.")


def write_truth(path: Path, sites: gpd.GeoDataFrame) -> None:
    """Write the outlines of the contaminated sites, and the clean rest as one polygon."""
    path.unlink(missing_ok=True)
    clean = shapely.box(0, 0, EXTENT, EXTENT).difference(sites.union_all())
    table = gpd.GeoDataFrame(
        {"site": [*sites["site"], 0], "class": [*sites["class"], "clean"]},
        geometry=[*sites.geometry, clean],
    )
    _placed(table).to_file(path, layer="sites", driver="GPKG")


def write_clearings(path: Path, clearings: Sequence[BaseGeometry]) -> None:
    """Write the outlines of what was felled, and the rest as one polygon."""
    path.unlink(missing_ok=True)
    rest = shapely.box(0, 0, EXTENT, EXTENT).difference(shapely.union_all(clearings))
    table = gpd.GeoDataFrame(
        {"class": [*["felled"] * len(clearings), "other"]}, geometry=[*clearings, rest]
    )
    _placed(table).to_file(path, layer="clearings", driver="GPKG")


def _placed(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return geometries in metres from the lower left corner where they lie on the map."""
    west, north = ORIGIN
    return table.set_geometry(table.translate(west, north - EXTENT)).set_crs(CRS)


class _Osm:
    """Collects nodes, ways and relations, and writes them in OSM's order."""

    def __init__(self) -> None:
        self._to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
        self._nodes: dict[tuple[str, str], int] = {}
        self._ways: list[tuple[list[int], dict[str, str]]] = []
        self._relations: list[tuple[list[tuple[int, str]], dict[str, str]]] = []

    def line(self, line: BaseGeometry, **tags: str) -> None:
        self._way(shapely.get_coordinates(line), tags)

    def area(self, polygon: BaseGeometry, **tags: str) -> None:
        """Add a closed way, or a multipolygon where there are holes."""
        outer, holes = polygon.exterior, polygon.interiors
        if not holes:
            self._way(shapely.get_coordinates(outer), tags)
            return
        members = [(self._way(shapely.get_coordinates(outer), {}), "outer")]
        members += [(self._way(shapely.get_coordinates(hole), {}), "inner") for hole in holes]
        self._relations.append((members, {"type": "multipolygon", **tags}))

    def _way(self, points: Array, tags: dict[str, str]) -> int:
        refs = []
        west, north = ORIGIN
        east, up = self._to_degrees.transform(points[:, 0] + west, points[:, 1] + north - EXTENT)
        for lon, lat in zip(east, up, strict=True):
            key = (f"{lon:.6f}", f"{lat:.6f}")
            ref = self._nodes.setdefault(key, len(self._nodes) + 1)
            if not refs or refs[-1] != ref:
                refs.append(ref)
        self._ways.append((refs, tags))
        return len(self._ways)

    def write(self, path: Path) -> None:
        (west, north) = ORIGIN
        left, bottom, right, top = self._to_degrees.transform_bounds(
            west, north - EXTENT, west + EXTENT, north
        )
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<osm version="0.6" generator="owl-geo sample data, synthetic, not OpenStreetMap">',
            f' <bounds minlat="{bottom:.6f}" minlon="{left:.6f}" maxlat="{top:.6f}" '
            f'maxlon="{right:.6f}"/>',
        ]
        for (lon, lat), ref in self._nodes.items():
            lines.append(f' <node id="{ref}" lat="{lat}" lon="{lon}"/>')
        for number, (refs, tags) in enumerate(self._ways, start=1):
            lines.append(f' <way id="{number}">')
            lines += [f'  <nd ref="{ref}"/>' for ref in refs]
            lines += [*_tags(tags), " </way>"]
        for number, (members, tags) in enumerate(self._relations, start=1):
            lines.append(f' <relation id="{number}">')
            lines += [f'  <member type="way" ref="{ref}" role="{role}"/>' for ref, role in members]
            lines += [*_tags(tags), " </relation>"]
        path.write_text("\n".join([*lines, "</osm>"]) + "\n", encoding="utf-8", newline="\n")


def _tags(tags: dict[str, str]) -> list[str]:
    return [f"  <tag k={quoteattr(key)} v={quoteattr(value)}/>" for key, value in tags.items()]


def write_osm(path: Path, land: Land) -> None:
    """Write what a map would show of the land, and nothing of the sites."""
    frame = shapely.box(0, 0, EXTENT, EXTENT)
    osm = _Osm()
    groups: list[tuple[Sequence[BaseGeometry], dict[str, str]]] = [
        (land.fields, {"landuse": "farmland"}),
        (land.forests, {"landuse": "forest"}),
        (land.town, {"landuse": "residential"}),
        (land.industry, {"landuse": "industrial"}),
        (land.ponds, {"natural": "water"}),
        ([land.river], {"natural": "water", "water": "river"}),
    ]
    for shapes, tags in groups:
        for shape in shapes:
            for part in _parts(shape):
                osm.area(part.simplify(3), **tags)
    osm.line(land.river_line.intersection(frame).simplify(3), waterway="river", name="Schwarzbach")
    for kind, way in land.roads:
        osm.line(way.intersection(frame).simplify(2), highway=kind)
    osm.write(path)


if __name__ == "__main__":
    main()
