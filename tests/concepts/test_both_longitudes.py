"""Longitudes from 0 to 360 and from -180 to 180 name one place, whoever uses which."""

from __future__ import annotations

import math
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from pyproj import CRS, Transformer

from owl_geo.concepts import rasters
from owl_geo.concepts.areas import PolygonLayer, shares
from owl_geo.concepts.distances import metres_to_nearest
from owl_geo.concepts.extents import Extent
from owl_geo.concepts.extents import check as check_extent
from owl_geo.concepts.pool import LON_LAT, Pool
from owl_geo.ground.footprints import footprints
from owl_geo.ground.raster import coverage
from owl_geo.ground.tiling import tile
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.sources.area import AreaOfInterest
from owl_geo.types import SceneGrid

# as Esri and older GDAL write it: neither the name nor the unit is EPSG's
WGS_84 = (
    'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["Degree",0.0174532925199433]]'
)
AMERICA = shapely.box(-120, -40, -60, 40)
AFRICA = shapely.box(-15, -30, 45, 30)  # across Greenwich


def world(first: float, pixel: float = 2.5, crs: str = "EPSG:4326") -> Windows:
    """The whole world in patches of 10 degrees, whose first pixel's edge is at a longitude."""
    grid = SceneGrid("w", crs, (pixel, 0, first, 0, -pixel, 90), 72, 144)
    return tile(grid, 4, 4).windows


def expected(windows: Windows, *places: shapely.Polygon) -> np.ndarray:
    """Shares of patches by points within them, none of which lies on an outline."""
    step = (np.arange(16) + 0.5) / 16
    corners = windows.corners()
    lon = corners[:, 0, :1] + step * (corners[:, 1, :1] - corners[:, 0, :1])
    lat = corners[:, 0, 1:] + step * (corners[:, 3, 1:] - corners[:, 0, 1:])
    lon = (lon + 180) % 360 - 180
    x, y = np.broadcast_arrays(lon[:, None, :], lat[:, :, None])
    return shapely.contains_xy(shapely.union_all(places), x, y).mean(axis=(1, 2))


def _pool(windows: Windows) -> Pool:
    return Pool.of(
        PoolWindows(
            {windows.grid.name: windows.grid},
            scene=np.zeros(len(windows), dtype=np.int64),
            row_off=windows.row_off,
            col_off=windows.col_off,
            patch_size=windows.patch_size,
        )
    )


@pytest.fixture(params=[-180.0, 0.0, -1.25, -100.0, "Esri's"], ids=lambda west: f"from {west}")
def windows(request: pytest.FixtureRequest) -> Windows:
    return world(0.0, crs=WGS_84) if request.param == "Esri's" else world(request.param)


@pytest.mark.parametrize("turn", [0, 360])
def test_shares_of_a_world_in_degrees(windows: Windows, turn: int) -> None:
    places = [AMERICA, AFRICA]
    stored = [shapely.transform(place, lambda xy: xy + np.array([turn, 0])) for place in places]
    layer = PolygonLayer(np.array(stored), LON_LAT, np.zeros(2, dtype=np.int64))
    found = shares(windows.footprints(), layer.onto(windows)[0])
    assert found == pytest.approx(expected(windows, *places), abs=1e-9)


@pytest.mark.parametrize("crs", ["EPSG:4269", "EPSG:3857"])
def test_shares_of_a_world_by_layers_in_another_crs(windows: Windows, crs: str) -> None:
    stored = gpd.GeoSeries([AMERICA, AFRICA], crs=4326).segmentize(0.1).to_crs(crs)
    layer = PolygonLayer(stored.to_numpy(), CRS.from_user_input(crs), np.zeros(2, dtype=np.int64))
    found = shares(windows.footprints(), layer.onto(windows)[0])
    assert found == pytest.approx(expected(windows, AMERICA, AFRICA), abs=1e-3)


def test_distances_and_extents_of_a_world(windows: Windows) -> None:
    centres = windows.centres_in(LON_LAT)[::13]
    usual = np.stack([(centres[:, 0] + 180) % 360 - 180, centres[:, 1]], axis=-1)
    stored = np.array([AMERICA, shapely.transform(AFRICA, lambda xy: xy + np.array([360, 0]))])
    found = metres_to_nearest(centres, stored, LON_LAT)
    assert (found == 0).tolist() == shapely.intersects_xy(
        shapely.union(AMERICA, AFRICA), usual
    ).tolist()
    assert found == pytest.approx(metres_to_nearest(usual, np.array([AMERICA, AFRICA]), LON_LAT))
    pool = _pool(windows)
    for west in (-180.0, 0.0):
        assert check_extent("it", Extent(LON_LAT, (west, -90, west + 360, 90)), pool) == 1


@pytest.mark.parametrize("crs", ["EPSG:4326", WGS_84])
@pytest.mark.parametrize("west", [-180.0, 0.0])
def test_rasters_of_a_world(windows: Windows, west: float, crs: str, tmp_path: Path) -> None:
    lon = (west + np.arange(144) * 2.5 + 1.25 + 180) % 360 - 180
    values = np.broadcast_to(lon, (72, 144)).astype("float32")
    options = {"driver": "GTiff", "height": 72, "width": 144, "count": 1, "dtype": "float32"}
    path = str(tmp_path / "lon.tif")
    place = rasterio.Affine(2.5, 0, west, 0, -2.5, 90)
    with rasterio.open(path, "w", crs=crs, transform=place, **options) as dataset:
        dataset.write(values, 1)
    pixels = windows.corners()[:, 0, 0][:, None] + 2.5 * np.arange(4) + 1.25
    true = ((pixels + 180) % 360 - 180).mean(axis=1)
    # half a pixel at most where the pixels of the two do not meet
    seam = ((pixels + 180) % 360 - 180).std(axis=1) > 10
    found = rasters.mean(path, windows)
    assert found[~seam] == pytest.approx(true[~seam], abs=1.3)
    assert coverage(path, windows.grid) == pytest.approx(1)


@pytest.mark.parametrize(
    ("crs", "lon", "lat", "turn"),
    [
        ("EPSG:32615", -93, 45, 0),
        ("EPSG:32615", -93, 45, 360),
        ("EPSG:3857", 15, 45, -360),
        ("EPSG:32701", -180, -17, 0),
        ("EPSG:32701", -180, -17, 360),
        ("EPSG:3031", -180, -75, 0),
        ("EPSG:3031", -180, -75, 360),
    ],
)
def test_rasters_in_degrees_on_a_projected_scene(
    crs: str, lon: float, lat: float, turn: float, tmp_path: Path
) -> None:
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    grid = SceneGrid("s", crs, (10, 0, x - 640, 0, -10, y + 640), 128, 128)
    windows = tile(grid, 16, 16).windows
    middle, options = lon + turn, {"count": 1, "dtype": "float32", "height": 400, "width": 800}
    place = rasterio.Affine(2e-4, 0, middle - 0.08, 0, -1e-4, lat + 0.02)
    path = str(tmp_path / "lon.tif")
    values = np.broadcast_to((np.arange(800) + 0.5) * 2e-4 - 0.08, (400, 800)).astype("float32")
    with rasterio.open(path, "w", driver="GTiff", crs=4326, transform=place, **options) as dataset:
        dataset.write(values, 1)
    true = (windows.centres_in(LON_LAT)[:, 0] - lon + 180) % 360 - 180
    assert rasters.mean(path, windows) == pytest.approx(true, abs=2e-4)
    assert coverage(path, grid) == pytest.approx(1, abs=0.01)


def test_an_area_of_interest_on_either_side(windows: Windows, tmp_path: Path) -> None:
    path = tmp_path / "aoi.gpkg"
    gpd.GeoDataFrame(geometry=[AMERICA], crs=4326).to_file(path)
    inside = AreaOfInterest(path).contains_centres(windows)
    centres = windows.centres()
    usual = np.stack([(centres[:, 0] + 180) % 360 - 180, centres[:, 1]], axis=-1)
    assert inside.tolist() == shapely.contains_xy(AMERICA, usual).tolist() and inside.any()


def test_footprints_across_the_antimeridian_stay_in_one_piece() -> None:
    grids = {
        name: SceneGrid(name, f"EPSG:{code}", (10, 0, x, 0, -10, 8_120_000), 64, 64)
        for name, code, x in (("west", 32760, 819_200.0), ("east", 32701, 180_000.0))
    }
    n = [len(tile(grid, 32, 32).windows) for grid in grids.values()]
    windows = tile(grids["west"], 32, 32).windows
    pool = PoolWindows(
        grids,
        scene=np.repeat([0, 1], n),
        row_off=np.tile(windows.row_off, 2),
        col_off=np.tile(windows.col_off, 2),
        patch_size=32,
    )
    bounds = footprints(pool).bounds
    assert (bounds.minx < 180).all() and ((bounds.minx < -179) | (bounds.maxx > 179)).all()
    assert (bounds.maxx - bounds.minx).max() < 0.01
    middles = (bounds.minx + bounds.maxx) / 2
    assert middles.between(-180, 180).all()


# --- maps of the world that go on past their rim --------------------------------------------------

HALF = 20037508.342789244  # metres, x of 180 degrees in Web Mercator
WEST, SOUTH, EAST, NORTH = 179.9503, -17.0604, 180.0604, -16.9703
_BELOW = shapely.box(-180, -18, -179, -16)  # just east of the antimeridian


def _outline(how: str) -> tuple[shapely.Geometry, str]:
    """Return a rectangle across the antimeridian, as some program would write it, and its CRS."""
    beyond = shapely.box(WEST, SOUTH, EAST, NORTH)
    turned = shapely.transform(beyond, lambda xy: xy - [360, 0])
    split = shapely.union_all([beyond & shapely.box(179, -18, 180, -16), turned & _BELOW])
    if how == "degrees, two parts":
        return split, "EPSG:4326"
    if how == "degrees, beyond 180":
        return beyond, "EPSG:4326"
    whole = turned if how == "Mercator, beyond -180" else beyond
    shape = split if how == "Mercator, two parts" else whole
    to_mercator = Transformer.from_crs(4326, 3857, always_xy=True)

    def project(xy: np.ndarray) -> np.ndarray:
        return np.stack([xy[:, 0] / 180 * HALF, to_mercator.transform(*xy.T)[1]], axis=-1)

    return shapely.transform(shape, project), "EPSG:3857"


@pytest.mark.parametrize(
    "how",
    [
        "degrees, two parts",
        "degrees, beyond 180",
        "Mercator, two parts",
        "Mercator, beyond 180",
        "Mercator, beyond -180",
    ],
)
@pytest.mark.parametrize(
    ("crs", "x", "y", "pixel"),
    [
        ("EPSG:3857", HALF - 6400, -1_910_000, 200),
        ("EPSG:3857", -HALF - 6400, -1_910_000, 200),
        ("EPSG:3857", HALF + 10, -1_916_000, 100),
        ("EPSG:3395", HALF - 6400, -1_900_000, 200),
        ("EPSG:3832", 3_339_584.7 - 12_800, -1_900_000, 200),
        ("EPSG:4326", 179.9, -16.9, 0.002),
        ("EPSG:32760", 813_000, 8_125_000, 100),
    ],
)
def test_a_map_that_goes_on_past_its_rim(
    crs: str, x: float, y: float, pixel: float, how: str, tmp_path: Path
) -> None:
    windows = tile(SceneGrid("s", crs, (pixel, 0, x, 0, -pixel, y), 128, 128), 16, 16).windows

    def inside(points: np.ndarray) -> np.ndarray:
        lon, lat = Transformer.from_crs(crs, 4326, always_xy=True).transform(*points.T)
        lon = lon % 360
        return (lon > WEST) & (lon < EAST) & (lat > SOUTH) & (lat < NORTH)

    step = (np.arange(32) + 0.5) / 32 * 16 * pixel
    right, down = (part.ravel() for part in np.meshgrid(step, step))
    corners = windows.corners()[:, 0]
    true = np.array([inside(np.stack([a + right, b - down], -1)).mean() for a, b in corners])
    assert 0.1 < true.mean() < 0.9

    shape, layer_crs = _outline(how)
    layer = PolygonLayer(np.array([shape]), CRS.from_user_input(layer_crs), np.zeros(1, np.int64))
    found = shares(windows.footprints(), layer.onto(windows)[0])
    assert found == pytest.approx(true, abs=0.04)

    gpd.GeoDataFrame(geometry=[shape], crs=layer_crs).to_file(tmp_path / "aoi.gpkg")
    centres = AreaOfInterest(tmp_path / "aoi.gpkg").contains_centres(windows)
    assert centres.tolist() == inside(windows.centres()).tolist()

    metres = metres_to_nearest(
        windows.centres_in(LON_LAT), np.array([shape]), CRS.from_user_input(layer_crs)
    )
    assert ((metres == 0) == centres).all()


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3395"])
@pytest.mark.parametrize("west", [HALF - 60_000, -HALF - 60_000])
@pytest.mark.parametrize(
    ("of_scene", "x", "y", "pixel"),
    [
        ("EPSG:3857", HALF - 6400, -1_910_000, 100),
        ("EPSG:3857", -HALF - 6400, -1_910_000, 100),
        ("EPSG:3395", HALF - 6400, -1_900_000, 100),
        ("EPSG:3832", 3_339_584.7 - 6_400, -1_900_000, 100),
        ("EPSG:4326", 179.95, -16.95, 0.001),
        ("EPSG:4326", -180.05, -16.95, 0.001),
        ("EPSG:32760", 813_000, 8_120_000, 100),
        ("EPSG:32701", 174_000, 8_120_000, 100),
    ],
)
def test_rasters_that_go_on_past_their_rim(
    crs: str, west: float, of_scene: str, x: float, y: float, pixel: float, tmp_path: Path
) -> None:
    """Values are degrees east of the antimeridian, by the raster's own x."""
    grid = SceneGrid("s", of_scene, (pixel, 0, x, 0, -pixel, y), 128, 128)
    windows = tile(grid, 16, 16).windows
    place = rasterio.Affine(100, 0, west, 0, -100, -1_840_000)
    degrees = (west + 100 * np.arange(1200) + 50) / HALF * 180 - math.copysign(180, west)
    values = np.broadcast_to(degrees, (1500, 1200)).astype("float32")
    options = {"driver": "GTiff", "height": 1500, "width": 1200, "count": 1, "dtype": "float32"}
    path = str(tmp_path / "r.tif")
    with rasterio.open(path, "w", crs=crs, transform=place, **options) as dataset:
        dataset.write(values, 1)
    true = windows.centres_in(LON_LAT)[:, 0] % 360 - 180
    assert (true < 0).any() and (true > 0).any()
    assert rasters.mean(path, windows) == pytest.approx(true, abs=1e-3)
    assert coverage(path, grid) == pytest.approx(1, abs=0.01)


def test_an_extent_past_the_rim_covers_what_is_there() -> None:
    shape, crs = _outline("Mercator, beyond 180")
    extent = Extent(CRS.from_user_input(crs), tuple(shape.bounds))
    for west in (-180.0, 180.0):
        grid = SceneGrid("s", "EPSG:4326", (5e-4, 0, west, 0, -5e-4, -16.98), 64, 64)
        windows = tile(grid, 16, 16).windows
        assert check_extent("layer", extent, _pool(windows)) == pytest.approx(1)


def test_degrees_of_a_rotated_pole_are_no_longitudes() -> None:
    """A regional climate model over Europe, whose grid has its own equator."""
    crs = CRS.from_cf(
        {
            "grid_mapping_name": "rotated_latitude_longitude",
            "grid_north_pole_latitude": 39.25,
            "grid_north_pole_longitude": -162.0,
        }
    )
    grid = SceneGrid("r", crs.to_wkt(), (0.1, 0, -5.05, 0, 0.1, -3.05), 64, 64)
    windows = tile(grid, 4, 4).windows
    to_degrees = Transformer.from_crs(crs, 4326, always_xy=True)
    place = shapely.box(13.007, 49.003, 15.011, 51.009)
    step = (np.arange(32) + 0.5) / 32 * 0.4
    right, up = (part.ravel() for part in np.meshgrid(step, step))
    corners = windows.corners()[:, 0]
    true = [
        shapely.contains_xy(place, *to_degrees.transform(x + right, y + up)).mean()
        for x, y in corners
    ]
    assert sum(true) > 10
    layer = PolygonLayer(np.array([place]), LON_LAT, np.zeros(1, dtype=np.int64))
    found = shares(windows.footprints(), layer.onto(windows)[0])
    assert found == pytest.approx(np.array(true), abs=0.04)
