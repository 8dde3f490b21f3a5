"""Whether a layer covers the patches: the share, a warning, or an error that shows both places."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from concept_pools import ORIGIN, UTM, pool, scene
from pyproj import Geod

from owl_geo.concepts.extents import Bounds, Extent, check, touched_scenes
from owl_geo.errors import LayerError
from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.transformations import transformer

WEST, NORTH = ORIGIN  # a scene has 4 x 4 patches of 100 m


def extent(rows: tuple[float, float], cols: tuple[float, float], crs: str = UTM) -> Extent:
    """An extent from first to last row and column of patches, in the scene's CRS or another."""
    bounds: Bounds = (
        *(WEST + 100 * cols[0], NORTH - 100 * rows[1]),
        *(WEST + 100 * cols[1], NORTH - 100 * rows[0]),
    )
    if crs != UTM:
        bounds = transformer(crs_of(UTM), crs_of(crs)).transform_bounds(*bounds)
    return Extent(crs_of(crs), bounds)


@pytest.mark.parametrize(
    ("rows", "cols", "share"),
    [
        ((0, 4), (0, 4), 1.0),
        ((-9, 9), (-9, 9), 1.0),
        ((0, 2), (0, 4), 0.5),
        ((1, 1.5), (0, 1), 0.5 / 16),
        ((0, 4), (4, 8), 0.0),  # it touches, and covers nothing
    ],
)
def test_the_share_is_of_the_patches_area(
    rows: tuple[float, float],
    cols: tuple[float, float],
    share: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="owl_geo"):
        assert check("layer 'osm'", extent(rows, cols), pool([scene()])) == pytest.approx(share)
    assert ("layer 'osm' covers" in caplog.text) == (share < 1)


def test_a_layer_in_degrees_is_compared_where_it_is_a_rectangle() -> None:
    here = pool([scene()])
    assert check("it", extent((-1, 5), (-1, 5), GEOGRAPHIC), here) == pytest.approx(1.0)
    half = check("it", extent((0, 2), (0, 4), GEOGRAPHIC), here)
    assert half == pytest.approx(0.5, abs=0.01)


def test_a_layer_of_another_place_is_an_error_that_shows_both() -> None:
    with pytest.raises(LayerError) as caught:
        check("layer 'osm'", extent((0, 4), (50, 54)), pool([scene()]))
    text = str(caught.value)
    assert text.startswith("layer 'osm' covers none of the scenes")
    lon, lat = transformer(crs_of(UTM), crs_of(GEOGRAPHIC)).transform(WEST, NORTH)
    assert f"{lon:.4f}" in text  # where the scene begins
    assert f"{lat:.4f}" in text
    east, _ = transformer(crs_of(UTM), crs_of(GEOGRAPHIC)).transform(WEST + 5400, NORTH)
    assert f"{east:.4f}" in text  # where the layer ends


def test_a_layer_whose_coordinates_are_nowhere_is_shown_in_its_own_crs() -> None:
    # eastings that begin with the zone, as of EPSG:4647, in the CRS of those that do not
    nowhere = Extent(crs_of("EPSG:25832"), (32_512_345.0, 5_234_567.0, 32_512_445.0, 5_234_667.0))
    with pytest.raises(LayerError, match=r"spans 32512345\.0000, .* in ETRS89 / UTM zone 32N"):
        check("it", nowhere, pool([scene()]))


def test_a_part_of_a_pool_may_lie_elsewhere() -> None:
    assert check("it", extent((0, 4), (50, 54)), pool([scene()]), a_part=True) == 0.0


@pytest.mark.parametrize("crs", [UTM, GEOGRAPHIC])
@pytest.mark.parametrize("cols", [(54, 55), (-52, -51)])  # of 100 m: 5 km to either side
def test_a_layer_may_lie_within_reach(cols: tuple[float, float], crs: str) -> None:
    beside, here = extent((0, 4), cols, crs), pool([scene()])
    assert check("it", beside, here, reach=5300.0) == 0.0
    assert touched_scenes(beside.within(5300.0), here) == {"s"}
    with pytest.raises(LayerError, match="it covers none of the scenes"):
        check("it", beside, here, reach=4700.0)


@pytest.mark.parametrize("lat", [0.0, 70.0, -80.0])
@pytest.mark.parametrize("lon", [9.0, 179.99, -179.99])
def test_reach_is_in_metres_anywhere(lon: float, lat: float) -> None:
    site = Extent(crs_of(GEOGRAPHIC), (lon, lat, lon, lat))
    for turn in (40.0, 130.0, 250.0, 330.0):
        for metres, is_near in ((4900.0, True), (8000.0, False)):
            west, north, _ = Geod(ellps="WGS84").fwd(lon, lat, turn, metres)
            there = scene(crs=GEOGRAPHIC, origin=(west, north), pixel=1e-6)
            assert bool(touched_scenes(site.within(5000.0), pool([there]))) == is_near


def test_the_scenes_that_a_layer_touches() -> None:
    scenes = [
        scene(name="here"),
        scene(name="beside", origin=(WEST + 400, NORTH)),
        scene(name="far", origin=(WEST + 5000, NORTH)),
    ]
    assert touched_scenes(extent((0, 4), (0, 2)), pool(scenes)) == {"here"}
    assert touched_scenes(extent((0, 4), (0, 4)), pool(scenes)) == {"here", "beside"}


@pytest.mark.parametrize("west", [179.0, -181.0, 539.0])
def test_degrees_go_round_at_the_date_line(west: float) -> None:
    """A scene across it, and a layer that counts on beyond 180 degrees or from below -180."""
    # a hundredth of a degree a patch, two of four columns on either side
    crossing = scene(crs=GEOGRAPHIC, origin=(179.98, 0.02), pixel=0.001)
    whole = Extent(crs_of(GEOGRAPHIC), (west, -1.0, west + 2, 1.0))
    assert check("it", whole, pool([crossing])) == pytest.approx(1.0)
    west_of_it = Extent(crs_of(GEOGRAPHIC), (west, -1.0, west + 1, 1.0))
    assert check("it", west_of_it, pool([crossing])) == pytest.approx(0.5)


def test_a_patch_across_the_date_line_is_one_piece() -> None:
    """In zone 60 it is one, though its corners are 179.999 and -179.999 degrees."""
    x, _ = transformer(crs_of(GEOGRAPHIC), crs_of("EPSG:32660")).transform(180.0, 0.0)
    crossing = scene(crs="EPSG:32660", origin=(x - 250, 50.0))  # the line runs through a column
    beyond = Extent(crs_of(GEOGRAPHIC), (179.0, -1.0, 181.0, 1.0))
    assert check("it", beyond, pool([crossing])) == pytest.approx(1.0)
    up_to_it = Extent(crs_of(GEOGRAPHIC), (179.0, -1.0, 180.0, 1.0))
    assert check("it", up_to_it, pool([crossing])) == pytest.approx(2.5 / 4, abs=0.01)


def test_patches_that_the_layer_s_crs_does_not_reach_are_not_covered() -> None:
    pole = scene(name="pole", crs=GEOGRAPHIC, origin=(0.0, 95.0), pixel=0.001)  # beyond the pole
    layer = Extent(crs_of(UTM), (-1.0, -1.0, WEST + 400, NORTH))
    with np.errstate(all="raise", under="ignore"):
        assert check("it", layer, pool([scene(), pole])) == pytest.approx(0.5)
    assert touched_scenes(layer, pool([scene(), pole])) == {"s"}
