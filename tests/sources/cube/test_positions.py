"""Where a cube's pixels stand: by coordinates, by attributes, or by both."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.shutil
import xarray as xr
from cubes import cube, write_zarr
from pyproj import CRS, Transformer
from rasters import ORIGIN, UTM, coordinates, write_raster

from owl_geo.errors import SourceError
from owl_geo.sources.cube.source import CubeSource

X, Y = ORIGIN
RIGHT = (10.0, 0.0, X, 0.0, -10.0, Y)
NODES = [10.0, 0.0, X + 5, 0.0, -10.0, Y - 5]
BOX = [X, Y - 200, X + 300, Y]


def transform_of(array: Any) -> tuple[float, ...]:
    (grid,) = CubeSource(array, patch_size=10).grids.values()
    return grid.transform


def bare(**attributes: Any) -> xr.DataArray:
    array = cube(coordinates(20, 30), crs=None).drop_vars(["x", "y"])
    return array.assign_attrs({"proj:code": UTM, **attributes})


@pytest.mark.parametrize(
    "attributes",
    [
        {"spatial:transform": list(RIGHT)},
        {
            "spatial:transform": [10.0, 0.0, X + 5, 0.0, -10.0, Y - 5],
            "spatial:registration": "node",
        },
        {"spatial:bbox": BOX},
        {"transform": RIGHT},
        {"transform": [*RIGHT, 0.0, 0.0, 1.0]},
        {"transform": rasterio.Affine(*RIGHT)},
        {"geo:proj": {"code": UTM, "transform": list(RIGHT)}},
        {"spatial:transform": list(RIGHT), "transform": (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)},
    ],
    ids=[
        "corners",
        "nodes",
        "box",
        "rasterio",
        "nine terms",
        "affine",
        "geo:proj",
        "the explicit one",
    ],
)
def test_attributes_alone_place_a_cube(attributes: dict[str, Any]) -> None:
    assert transform_of(bare(**attributes)) == pytest.approx(RIGHT)


def test_geozarr_in_a_store_is_read_without_coordinates(tmp_path: Path) -> None:
    array = bare().rename(x="column", y="row")
    del array.attrs["proj:code"]
    dataset = array.to_dataset(name="reflectance").assign_attrs(
        {
            "spatial:dimensions": ["row", "column"],
            "spatial:transform": list(RIGHT),
            "proj:projjson": CRS.from_user_input(UTM).to_json_dict(),
        }
    )
    source = CubeSource(str(write_zarr(tmp_path / "a.zarr", dataset)), patch_size=10)
    (grid,) = source.grids.values()
    assert (grid.crs, grid.transform) == (UTM, pytest.approx(RIGHT))
    assert (grid.height, grid.width) == (20, 30)


def test_gdals_order_of_terms_is_not_taken_for_rasterios() -> None:
    with pytest.raises(Exception, match="no coordinates along y and x"):
        transform_of(bare(transform=(X, 10.0, 0.0, Y, 0.0, -10.0)))


def test_coordinates_of_corners_are_known_by_the_transform() -> None:
    centres = cube(coordinates(20, 30))
    corners = centres.assign_coords(x=centres.x - 5, y=centres.y + 5)
    assert transform_of(corners.assign_attrs(transform=RIGHT)) == pytest.approx(RIGHT)
    assert transform_of(centres.assign_attrs(transform=RIGHT)) == pytest.approx(RIGHT)
    affine = rasterio.Affine(*RIGHT)  # as stackstac has it
    assert transform_of(corners.assign_attrs(transform=affine)) == pytest.approx(RIGHT)
    part = corners.assign_attrs(transform=RIGHT).isel(x=slice(3, None), y=slice(7, None))
    assert transform_of(part) == pytest.approx((10, 0, X + 30, 0, -10, Y - 70))
    part = centres.assign_attrs(transform=RIGHT).isel(x=slice(3, None))
    assert transform_of(part) == pytest.approx((10, 0, X + 30, 0, -10, Y))


def test_bounds_of_coordinates_say_where_pixels_end() -> None:
    array = cube(coordinates(20, 30))
    array = array.assign_coords(x=array.x - 5, y=array.y + 5)
    dataset = array.to_dataset(name="reflectance")
    for dim, step in (("x", 10.0), ("y", -10.0)):
        first = dataset[dim].to_numpy()
        dataset[f"{dim}_bnds"] = ((dim, "edge"), np.stack([first, first + step], axis=1))
        dataset[dim].attrs["bounds"] = f"{dim}_bnds"
    assert transform_of(dataset) == pytest.approx(RIGHT)


@pytest.mark.parametrize("as_text", [repr, str])
def test_coordinates_of_corners_are_known_by_a_transform_kept_as_text(as_text: Any) -> None:
    """Of stackstac, whose Affine no file stores as it is."""
    array = cube(coordinates(20, 30))
    array = array.assign_coords(x=array.x - 5, y=array.y + 5)
    array.attrs["transform"] = as_text(rasterio.Affine(*RIGHT))
    assert transform_of(array) == pytest.approx(RIGHT)


def test_a_transform_that_was_rounded_as_text_places_nothing_alone() -> None:
    terms = rasterio.Affine(10.004, 0.0, X, 0.0, -10.004, Y)
    with pytest.raises(SourceError, match="no coordinates"):
        transform_of(bare(transform=str(terms)))
    assert transform_of(bare(transform=repr(terms))) == pytest.approx(tuple(terms)[:6])


@pytest.mark.parametrize("name", ["spatial", "proj"])
def test_a_part_without_coordinates_is_not_placed_as_the_whole(name: str) -> None:
    whole = {f"{name}:transform": list(RIGHT), f"{name}:shape": [40, 30]}
    with pytest.raises(SourceError, match="place 40 x 30 pixels, and it has 20 x 30"):
        transform_of(bare(**whole))
    assert transform_of(bare(**{**whole, f"{name}:shape": [20, 30]})) == pytest.approx(RIGHT)


@pytest.mark.parametrize("form", ["wkt", "projjson", "url"])
def test_the_crs_of_gdals_zarr(form: str) -> None:
    said = {
        "wkt": CRS(UTM).to_wkt(),
        "projjson": CRS(UTM).to_json_dict(),
        "url": "http://www.opengis.net/def/crs/EPSG/0/" + UTM.removeprefix("EPSG:"),
    }
    array = cube(coordinates(20, 30), crs=None).assign_attrs(_CRS={form: said[form]})
    (grid,) = CubeSource(array, patch_size=10).grids.values()
    assert (grid.crs, grid.transform) == (UTM, pytest.approx(RIGHT))


def test_where_two_statements_disagree_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    array = cube(coordinates(20, 30)).assign_attrs(transform=(30.0, 0.0, X, 0.0, -30.0, Y))
    with caplog.at_level(logging.WARNING, "owl_geo"):
        assert transform_of(array) == pytest.approx(RIGHT)
    assert len(caplog.messages) == 2 and "steps of 30 and 10" in caplog.messages[0]


def test_what_only_counts_is_no_place() -> None:
    array = bare(transform=RIGHT).assign_coords(x=np.arange(30), y=np.arange(20))
    assert transform_of(array) == pytest.approx(RIGHT)


@pytest.mark.parametrize("crs", [None, UTM])
def test_coordinates_that_only_count_are_refused(crs: str | None) -> None:
    array = cube(coordinates(20, 30), crs=crs).assign_coords(x=np.arange(30), y=np.arange(20))
    with pytest.raises(SourceError, match="only count its pixels, from 0"):
        CubeSource(array, patch_size=10, crs=UTM)


@pytest.mark.parametrize("crs", [None, "EPSG:4326"])
def test_named_places_go_before_an_index(crs: str | None) -> None:
    array = cube(coordinates(20, 30), crs=crs).assign_coords(
        x=np.arange(30),
        y=np.arange(20),
        lon=("x", 4 + 0.01 * np.arange(30)),
        lat=("y", 50 - 0.01 * np.arange(20)),
    )
    assert transform_of(array) == pytest.approx((0.01, 0, 3.995, 0, -0.01, 50.005))


@pytest.mark.parametrize("given", [True, False])
def test_degrees_are_no_place_in_a_projection(given: bool) -> None:
    array = cube(coordinates(20, 30), crs=None if given else UTM).rename(x="lon", y="lat")
    array = array.assign_coords(lon=4 + 0.01 * np.arange(30), lat=50 - 0.01 * np.arange(20))
    with pytest.raises(SourceError, match="longitudes and latitudes, and its CRS is WGS 84 / UTM"):
        CubeSource(array, patch_size=10, crs=UTM if given else None)


@pytest.mark.parametrize(
    ("unit", "metres"),
    [
        *(("km", 1000), ("cm", 0.01), ("foot", 0.3048), ("US survey foot", 0.3048006)),
        *(("100  km", 1e5), ("1e3 m", 1000)),  # the former of the Arctic's ocean model, TOPAZ
    ],
)
@pytest.mark.parametrize("bounded", [False, True])
def test_coordinates_in_another_unit_become_metres(unit: str, metres: float, bounded: bool) -> None:
    dataset = cube(coordinates(20, 30)).to_dataset(name="reflectance")
    for dim, step in (("x", 10.0), ("y", -10.0)):
        centres = dataset[dim].to_numpy()
        first = (centres - step / 2) / metres
        dataset[dim] = first if bounded else centres / metres
        dataset[dim].attrs["units"] = unit
        if bounded:  # the coordinates are those of corners
            dataset[dim].attrs["bounds"] = f"{dim}_bnds"
            both = np.stack([first, first + step / metres], axis=1)
            dataset[f"{dim}_bnds"] = ((dim, "edge"), both)
    assert transform_of(dataset) == pytest.approx(RIGHT, rel=1e-6)


@pytest.mark.parametrize(("unit", "metres"), [("m", 1), ("km", 1000)])
def test_a_metre_is_one_by_any_name(unit: str, metres: float) -> None:
    """Older versions of GDAL call it ``Meter``, and so do files that were made with them."""
    wkt = CRS.from_user_input(UTM).to_wkt("WKT1_GDAL")
    crs = wkt.replace('UNIT["metre",1,AUTHORITY["EPSG","9001"]]', 'UNIT["Meter",1]')
    assert CRS.from_user_input(crs).axis_info[0].unit_name == "Meter"
    dataset = cube(coordinates(20, 30)).to_dataset(name="reflectance")
    for dim in ("x", "y"):
        dataset[dim] = dataset[dim].to_numpy() / metres
        dataset[dim].attrs["units"] = unit
    (grid,) = CubeSource(dataset, patch_size=10, crs=crs).grids.values()
    assert grid.transform == pytest.approx(RIGHT)


def test_coordinates_in_metres_do_not_fit_a_crs_in_feet() -> None:
    """Which of the two is wrong nobody can tell; PROJ's unit for such a CRS is not the metre."""
    dataset = cube(coordinates(20, 30)).to_dataset(name="reflectance")
    dataset["x"].attrs["units"] = dataset["y"].attrs["units"] = "m"
    with pytest.raises(SourceError, match=r"along x are in metres, .* in US survey foot"):
        CubeSource(dataset, patch_size=10, crs="EPSG:2263")
    dataset["x"].attrs["units"] = dataset["y"].attrs["units"] = "0.304800609601219 metre"
    (grid,) = CubeSource(dataset, patch_size=10, crs="EPSG:2263").grids.values()
    assert grid.transform == pytest.approx(RIGHT)


@pytest.mark.parametrize(
    ("unit", "metres", "false_easting"), [("km", 1000, 500.0), ("km", 1000, 5e5), ("m", 1, 5e5)]
)
def test_a_false_origin_is_in_the_units_of_the_coordinates(
    unit: str, metres: float, false_easting: float
) -> None:
    """So CF has it; pyproj writes metres, and takes the number for them."""
    dataset = cube(coordinates(20, 30)).to_dataset(name="reflectance")
    dataset["crs"].attrs = {
        "grid_mapping_name": "transverse_mercator",
        "longitude_of_central_meridian": 3.0,
        "latitude_of_projection_origin": 0.0,
        "scale_factor_at_central_meridian": 0.9996,
        "false_easting": false_easting,
        "false_northing": 0.0,
    }
    for dim in ("x", "y"):
        dataset[dim] = dataset[dim].to_numpy() / metres
        dataset[dim].attrs["units"] = unit
    (grid,) = CubeSource(dataset, patch_size=10).grids.values()
    assert grid.transform == pytest.approx(RIGHT)
    places = [
        Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(X, Y)
        for crs in (grid.crs, UTM)
    ]
    assert places[0] == pytest.approx(places[1], abs=1e-9)


def test_a_false_origin_is_where_it_is_once_rioxarray_is_imported() -> None:
    """rioxarray takes the number for metres too, whatever the units of the coordinates."""
    pytest.importorskip("rioxarray")
    test_a_false_origin_is_in_the_units_of_the_coordinates("km", 1000, 500.0)


def test_coordinates_in_degrees_do_not_fit_a_crs_in_metres() -> None:
    array = cube(coordinates(20, 30), crs=None)
    array = array.assign_coords(x=4 + 0.01 * np.arange(30), y=50 - 0.01 * np.arange(20))
    array["x"].attrs["units"] = array["y"].attrs["units"] = "degrees"
    with pytest.raises(SourceError, match=r"along x are in degrees, .* in metre"):
        CubeSource(array, patch_size=10, crs=UTM)


@pytest.mark.parametrize(
    ("first", "period", "west"), [(179.5, 360, 179.45), (359.0, 360, -1.05), (179.5, 0, 179.45)]
)
def test_longitudes_may_start_anew(first: float, period: float, west: float) -> None:
    """After 180 as -180, or after 360 as 0; or they go on."""
    lon = first + 0.1 * np.arange(30)
    if period:
        end = 180 if first < 180 else 360
        lon = np.where(lon >= end - 1e-9, lon - period, lon)
    array = cube(coordinates(20, 30), crs=None).rename(x="lon", y="lat")
    array = array.assign_coords(lon=lon, lat=-17 - 0.1 * np.arange(20))
    assert transform_of(array) == pytest.approx((0.1, 0, west, 0, -0.1, -16.95))


def test_what_gdal_writes_from_south_to_north_agrees_with_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = coordinates(20, 30)
    write_raster(tmp_path / "a.tif", values)
    rasterio.shutil.copy(tmp_path / "a.tif", tmp_path / "a.nc", driver="NetCDF")
    source = CubeSource(tmp_path / "a.nc", patch_size=10)
    (grid,) = source.grids.values()
    assert grid.transform == pytest.approx((10, 0, X, 0, 10, Y - 200))
    first = source.read(source.index["patch_id"][:1].tolist())[0, :, 0, 0]
    assert first.tolist() == values[:, 19, 0].tolist()
    assert not caplog.messages


@pytest.mark.parametrize("first", [0.0, 0.5, 1.0])
def test_coordinates_of_a_raster_without_a_place_are_refused(first: float) -> None:
    """As rioxarray has those of a picture, with the transform that stands for none."""
    array = cube(coordinates(20, 30)).assign_coords(
        x=first + np.arange(30.0), y=first + np.arange(20.0)
    )
    for given in (array, array.assign_attrs(transform=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0))):
        with pytest.raises(SourceError, match="only count its pixels"):
            CubeSource(given, patch_size=10)


def test_a_standard_name_goes_before_the_name_of_an_axis() -> None:
    array = cube(coordinates(20, 30), crs=None)
    array = array.assign_coords(x=50 - 0.01 * np.arange(30), y=4 + 0.01 * np.arange(20))
    array.x.attrs.update(standard_name="latitude", units="degrees_north")
    array.y.attrs.update(standard_name="longitude", units="degrees_east")
    source = CubeSource(array, patch_size=10)
    (grid,) = source.grids.values()
    assert grid.transform == pytest.approx((0.01, 0, 3.995, 0, -0.01, 50.005))
    assert (grid.height, grid.width) == (30, 20)


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_grid_mappings_that_of_the_axes_counts(turned: bool) -> None:
    array = cube(coordinates(20, 30)).assign_coords(degrees=0)
    array["degrees"].attrs = CRS(4326).to_cf()
    parts = ["degrees: lat lon", "crs: x y"]
    array.attrs["grid_mapping"] = " ".join(parts[::-1] if turned else parts)
    source = CubeSource(array, patch_size=10)
    (grid,) = source.grids.values()
    assert (grid.crs, grid.transform) == (UTM, pytest.approx(RIGHT))


@pytest.mark.parametrize(("crs", "is_said"), [("EPSG:32632", True), (None, False)])
def test_places_of_pixels_that_contradict_the_crs_are_said(
    crs: str | None, is_said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The grid of a weather model on a sphere, which does not say its CRS."""
    own = "+proj=lcc +lat_1=30 +lat_2=60 +lat_0=45 +lon_0=10 +R=6370000"
    x, y = 1000.0 * np.arange(-15, 15), 1000.0 * np.arange(10, -10, -1)
    array = cube(coordinates(20, 30), crs=None).assign_coords(x=x, y=y)
    places = Transformer.from_crs(own, CRS(own).geodetic_crs, always_xy=True)
    lon, lat = places.transform(*np.meshgrid(x, y))
    array = array.assign_coords(lon=(("y", "x"), lon), lat=(("y", "x"), lat))
    CubeSource(array, patch_size=10, crs=crs or own)
    assert ("is that the right CRS?" in caplog.text) == is_said


TURNED = (
    rasterio.Affine.translation(X, Y)
    * rasterio.Affine.rotation(30)
    * rasterio.Affine.scale(10, -10)
)


def turned(first_row: int = 0, first_col: int = 0, step: int = 1, **kept: Any) -> xr.DataArray:
    """A part of a raster that is turned against its CRS, as rioxarray cuts it out."""
    rows, cols = (first + step * np.arange(n) for first, n in ((first_row, 20), (first_col, 30)))
    col, row = np.array(np.meshgrid(cols, rows)) + 0.5
    x, y = (TURNED[i] * col + TURNED[i + 1] * row + TURNED[i + 2] for i in (0, 3))
    array = cube(coordinates(20, 30), crs=None).drop_vars(["x", "y"])
    array = array.assign_coords(xc=(("y", "x"), x), yc=(("y", "x"), y))
    return array.assign_attrs({"proj:code": UTM, **kept})


@pytest.mark.parametrize("attributes", [{"transform": tuple(TURNED)}, {}], ids=["kept", "lost"])
@pytest.mark.parametrize(("row", "col"), [(0, 0), (5, 40)], ids=["whole", "cut out"])
def test_a_part_of_a_turned_raster_lies_where_its_pixels_do(
    attributes: dict[str, Any], row: int, col: int, caplog: pytest.LogCaptureFixture
) -> None:
    right = TURNED * rasterio.Affine.translation(col, row)
    found = transform_of(turned(row, col, **attributes))
    assert found == pytest.approx(tuple(right)[:6], abs=1e-6)
    assert not caplog.text


def test_every_second_pixel_of_a_turned_raster_is_twice_as_wide(
    caplog: pytest.LogCaptureFixture,
) -> None:
    a, b, _, d, e, _ = transform_of(turned(step=2, transform=tuple(TURNED)))
    assert (a, b, d, e) == pytest.approx([2 * TURNED[term] for term in (0, 1, 3, 4)])
    assert "elsewhere than xc and yc" in caplog.text


@pytest.mark.parametrize("first", [0.0, 0.5], ids=["indices", "centres"])
@pytest.mark.parametrize("units", ["pixel", None])
@pytest.mark.parametrize(("row", "col"), [(0, 0), (0, 40), (5, 40)])
def test_numbers_of_pixels_are_those_of_the_whole_raster(
    first: float, units: str | None, row: int, col: int
) -> None:
    """As odc-geo has them; what is cut out goes on with the numbers of the whole."""
    array = turned(transform=tuple(TURNED)).drop_vars(["xc", "yc"])
    array = array.assign_coords(x=first + col + np.arange(30), y=first + row + np.arange(20))
    for name in ("x", "y"):
        array[name].attrs |= {"units": units} if units else {}
    right = tuple(TURNED * rasterio.Affine.translation(col, row))[:6]
    assert transform_of(array) == pytest.approx(right, abs=1e-6)
    a, b, c, d, e, f = right
    flipped = a, -b, c + 20 * b, d, -e, f + 20 * e
    assert transform_of(array[..., ::-1, :]) == pytest.approx(flipped, abs=1e-6)


def test_means_of_pixels_lie_between_those_of_the_whole_raster() -> None:
    array = turned(transform=tuple(TURNED)).drop_vars(["xc", "yc"])
    array = array.assign_coords(x=1.0 + 2 * np.arange(30), y=9.0 + 2 * np.arange(20))
    for name in ("x", "y"):
        array[name].attrs["units"] = "pixel"
    right = TURNED * rasterio.Affine.translation(0, 8) * rasterio.Affine.scale(2)
    assert transform_of(array) == pytest.approx(tuple(right)[:6], abs=1e-6)


def test_numbers_of_pixels_alone_are_no_place() -> None:
    array = cube(coordinates(20, 30)).assign_coords(x=20.5 + np.arange(30), y=9.5 + np.arange(20))
    for name in ("x", "y"):
        array[name].attrs["units"] = "pixel"
    with pytest.raises(SourceError, match=r"only count its pixels, from 20\.5"):
        transform_of(array)


def test_places_on_no_grid_are_refused_whatever_attributes_say() -> None:
    array = turned(transform=tuple(TURNED))
    bent = array.assign_coords(xc=array["xc"] + 0.01 * array["yc"] ** 2 % 40)
    with pytest.raises(SourceError, match="is curvilinear: xc"):
        transform_of(bent)
    missing = array.assign_coords(xc=array["xc"].where(array["xc"] > X + 50))
    with pytest.raises(SourceError, match="xc and yc do not place all of its pixels"):
        transform_of(missing)


def test_longitudes_of_pixels_are_no_places_in_a_projection() -> None:
    array = turned(transform=RIGHT)
    for name in ("xc", "yc"):
        array[name].attrs["units"] = "degrees_east"
    assert transform_of(array) == pytest.approx(RIGHT)


@pytest.mark.parametrize("named", ["by the axes", "by standard names"])
def test_a_rotated_pole_is_a_grid(named: str) -> None:
    """As regional climate models have it; places are compared with the formula of the rotation."""
    pole = {"grid_north_pole_latitude": 39.25, "grid_north_pole_longitude": -162.0}
    names = ("rlon", "rlat") if named == "by the axes" else ("i", "j")
    array = cube(coordinates(20, 30), crs=None).rename(x=names[0], y=names[1])
    array = array.assign_coords(
        {names[0]: -5 + 0.1 * np.arange(30), names[1]: -3 + 0.1 * np.arange(20), "pole": 0}
    )
    array["pole"].attrs = {"grid_mapping_name": "rotated_latitude_longitude", **pole}
    array.attrs["grid_mapping"] = "pole"
    for name, word in zip(names, ("longitude", "latitude"), strict=True):
        array[name].attrs["standard_name"] = f"grid_{word}"
    source = CubeSource(array, patch_size=10)
    (grid,) = source.grids.values()
    assert grid.transform == pytest.approx((0.1, 0, -5.05, 0, 0.1, -3.05))
    lon, lat = Transformer.from_crs(grid.crs, 4326, always_xy=True).transform(-5.0, -3.0)
    lam, phi, tilt = np.radians([-5.0, -3.0, 90 - 39.25])
    sine = np.sin(phi) * np.cos(tilt) + np.cos(phi) * np.cos(lam) * np.sin(tilt)
    east = np.cos(phi) * np.sin(lam)
    north = np.cos(phi) * np.cos(lam) * np.cos(tilt) - np.sin(phi) * np.sin(tilt)
    expected = 18 + np.degrees(np.arctan2(east, north)), np.degrees(np.arcsin(sine))
    assert (lon, lat) == pytest.approx(expected, abs=1e-6)
