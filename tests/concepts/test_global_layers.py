"""Layers that span the globe: shares and distances at a hundred random places on Earth.

Checked against pyproj's geodesics to closely set points of every outline, and against points within
each patch, of which each lies within the polygons or not.
"""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pyproj import CRS, Geod, Transformer

from owl_geo.concepts.areas import PolygonLayer, shares
from owl_geo.concepts.distances import metres_to_nearest
from owl_geo.ground.tiling import tile
from owl_geo.ground.windows import Windows
from owl_geo.types import AnyArray, SceneGrid

GEOD = Geod(ellps="WGS84")
LON_LAT = CRS.from_epsg(4326)
N_PLACES = 100


def outline(west: float, east: float, middle: float, height: float, seed: int) -> shapely.Polygon:
    """A continent: wide, with bays and capes."""
    rng = np.random.default_rng(seed)
    around = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    reach = rng.uniform(0.6, 1.0, len(around))
    lon = (west + east) / 2 + (east - west) / 2 * np.cos(around) * reach
    lat = middle + height / 2 * np.sin(around) * reach
    return shapely.Polygon(np.stack([lon, lat], axis=-1))


CONTINENTS = shapely.union_all(
    [
        outline(-170, -30, 20, 110, 1),
        outline(-20, 179, 25, 120, 2),
        outline(100, 160, -35, 40, 3),
        shapely.box(-180, -90, 180, -72),
    ]
)
OCEAN = shapely.box(-180, -90, 180, 90).difference(CONTINENTS)


def world_from_0_to_360(geometry: shapely.Geometry) -> shapely.Geometry:
    east, west = (geometry.intersection(shapely.box(w, -90, w + 180, 90)) for w in (0, -180))
    return shapely.union(east, shapely.transform(west, lambda xy: xy + np.array([360, 0])))


def in_projection(geometry: shapely.Geometry, crs: CRS) -> shapely.Geometry:
    """The same outline on a map of the world; within 84 degrees, where all of them reach."""
    inner = geometry.intersection(shapely.box(-180, -84, 180, 84))
    to_crs = Transformer.from_crs(LON_LAT, crs, always_xy=True)
    dense = shapely.segmentize(inner, 0.02)
    return shapely.make_valid(shapely.transform(dense, to_crs.transform, interleaved=False))


KINDS = {
    "continents": (CONTINENTS, CONTINENTS, LON_LAT),
    "ocean": (OCEAN, OCEAN, LON_LAT),
    "continents from 0 to 360": (CONTINENTS, world_from_0_to_360(CONTINENTS), LON_LAT),
    "ocean from 0 to 360": (OCEAN, world_from_0_to_360(OCEAN), LON_LAT),
    "continents in EPSG:3857": (CONTINENTS, None, CRS.from_epsg(3857)),
    "ocean in EPSG:6933": (OCEAN, None, CRS.from_epsg(6933)),
    "ocean in Mollweide": (OCEAN, None, CRS.from_user_input("ESRI:54009")),
}


@pytest.fixture(params=KINDS, scope="module")
def layer(request: pytest.FixtureRequest) -> tuple[shapely.Geometry, AnyArray, CRS]:
    true, stored, crs = KINDS[request.param]
    if stored is None:
        true = true.intersection(shapely.box(-180, -84, 180, 84))
        stored = in_projection(true, crs)
    shapely.prepare(true)
    return true, np.array([stored], dtype=object), crs


def places(seed: int, most: float = 82.0) -> AnyArray:
    rng = np.random.default_rng(seed)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, 3 * N_PLACES)))
    lon = rng.uniform(-180, 180, len(lat))
    return np.stack([lon, lat], axis=-1)[np.abs(lat) < most][:N_PLACES]


def test_distances_are_those_of_the_geodesics(
    layer: tuple[shapely.Geometry, AnyArray, CRS],
) -> None:
    true, stored, crs = layer
    here = places(1)
    found = metres_to_nearest(here, stored, crs)
    inside = shapely.contains_xy(true, here)
    assert inside.any() and not inside.all()
    coast = shapely.get_coordinates(shapely.segmentize(true.boundary, 0.1))
    for (lon, lat), metres, within in zip(here, found, inside, strict=True):
        if within:
            assert metres == 0
            continue
        n = len(coast)
        far = GEOD.inv(np.full(n, lon), np.full(n, lat), coast[:, 0], coast[:, 1])[2]
        assert metres == pytest.approx(far.min(), rel=0.002, abs=8_000)
        assert metres <= far.min() + 30


def utm(lon: float, lat: float) -> Windows:
    """Nine patches of 8 km around a place, in its zone."""
    zone = int((lon + 180) // 6) % 60 + 1
    crs = f"EPSG:{32600 + zone if lat >= 0 else 32700 + zone}"
    x, y = Transformer.from_crs(LON_LAT, crs, always_xy=True).transform(lon, lat)
    grid = SceneGrid("s", crs, (500.0, 0.0, x - 12_000, 0.0, -500.0, y + 12_000), 48, 48)
    return tile(grid, 16, 16).windows


def test_shares_are_those_of_the_points_of_a_patch(
    layer: tuple[shapely.Geometry, AnyArray, CRS],
) -> None:
    true, stored, crs = layer
    polygons = PolygonLayer(stored, crs, np.zeros(1, dtype=np.int64))
    here = places(2)
    # as many on the coasts as anywhere, and some on the antimeridian
    coast = shapely.get_coordinates(shapely.segmentize(true.boundary, 1.0))
    coast = coast[(np.abs(coast[:, 1]) < 80) & (np.abs(coast[:, 0]) < 179)]
    rng = np.random.default_rng(3)
    here = np.concatenate([here[:50], coast[rng.choice(len(coast), 40)], here[50:60]])
    here[-10:, 0] = rng.choice([-179.99, 179.99], 10)
    parts = set()
    for lon, lat in here:
        windows = utm(lon, lat)
        found = shares(windows.footprints(), polygons.onto(windows)[0])
        step = (np.arange(40) + 0.5) / 40
        right, down = (axis.ravel() for axis in np.meshgrid(step, step))
        corners = windows.corners()
        xy = corners[:, :1] + (corners[:, 1:2] - corners[:, :1]) * right[None, :, None]
        xy = xy + (corners[:, 3:] - corners[:, :1]) * down[None, :, None]
        to_lonlat = Transformer.from_crs(windows.crs, LON_LAT, always_xy=True)
        x, y = to_lonlat.transform(xy[..., 0], xy[..., 1])
        expected = shapely.contains_xy(true, x, y).mean(axis=1)
        assert found == pytest.approx(expected, abs=0.03), (lon, lat)
        parts |= set(np.sign(expected - 0.5) * (expected % 1 == 0))
    assert parts == {-1.0, 0.0, 1.0}  # none, a part, all
