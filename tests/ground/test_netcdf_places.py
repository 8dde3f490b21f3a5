"""NetCDF files that GDAL puts elsewhere than their coordinates do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import xarray as xr
from cubes import cube, write_netcdf
from pyproj import CRS, Transformer
from rasters import ORIGIN, UTM, coordinates, write_raster

from owl_geo.errors import LayerError, SourceError
from owl_geo.ground.raster_files import open_layer
from owl_geo.sources.cube.source import CubeSource
from owl_geo.sources.geotiff import GeoTiffSource

X, Y = ORIGIN
_ROWS, _COLUMNS = coordinates(20, 30, 2)
_PIXELS = 100 * _ROWS + _COLUMNS
_WHOLE = f"{X} 10.0 0.0 {Y} 0.0 -10.0"


def _one_band(terms: str | None = None, units: str | None = None) -> xr.Dataset:
    """A variable, with GDAL's attribute for its place or with units of its coordinates, or both.

    rioxarray writes the former alone, which then counts for GDAL.
    """
    array = cube(_PIXELS[None], crs=None).isel(band=0, drop=True)
    attributes = CRS(UTM).to_cf()
    attributes["spatial_ref"] = attributes["crs_wkt"]
    if terms:
        attributes["GeoTransform"] = terms
    array = array.assign_coords(spatial_ref=xr.DataArray(0, attrs=attributes))
    for name in ("x", "y"):
        if units:
            metres = 1000 if units == "km" else 1
            described = {"standard_name": f"projection_{name}_coordinate", "units": units}
            values = array[name].to_numpy() / metres
            array = array.assign_coords({name: (name, values, described)})
    return array.assign_attrs(grid_mapping="spatial_ref").to_dataset(name="red")


def _refused(path: Path, message: str) -> None:
    for name in (str(path), f"netcdf:{path}:red"):
        with pytest.raises(SourceError, match=message):
            GeoTiffSource(name, patch_size=10)
        with pytest.raises(LayerError, match=message):
            open_layer(name)


def test_a_part_that_keeps_the_place_of_the_whole_is_refused(tmp_path: Path) -> None:
    part = _one_band(_WHOLE).isel(x=slice(10, 30))
    path = write_netcdf(tmp_path / "a.nc", part)
    _refused(path, f"not {X + 5:g} to {X + 195:g}; add --source cube")
    (grid,) = CubeSource(path, patch_size=10).grids.values()
    assert grid.transform == pytest.approx((10, 0, X + 100, 0, -10, Y))


@pytest.mark.parametrize("axis", ["y", "x"])
def test_rows_that_were_turned_around_are_not_read_upside_down(axis: str, tmp_path: Path) -> None:
    """As by ``sortby("y")`` on what rioxarray opened."""
    content = _one_band(_WHOLE).isel({axis: slice(None, None, -1)})
    path = write_netcdf(tmp_path / "a.nc", content)
    _refused(path, "turned around by GDAL, against the order of its coordinates")
    (grid,) = CubeSource(path, patch_size=10).grids.values()
    expected = (10, 0, X, 0, 10, Y - 200) if axis == "y" else (-10, 0, X + 300, 0, -10, Y)
    assert grid.transform == pytest.approx(expected)


@pytest.mark.parametrize(("false_easting", "is_right"), [(500.0, False), (5e5, True)])
def test_a_false_origin_is_not_put_elsewhere_than_coordinates_in_km(
    false_easting: float, is_right: bool, tmp_path: Path
) -> None:
    """By CF it is in km, too; GDAL takes its number for metres."""
    content = _one_band(units="km")
    attributes = {**content["spatial_ref"].attrs, "false_easting": false_easting}
    content["spatial_ref"].attrs = {
        name: value for name, value in attributes.items() if name not in ("spatial_ref", "crs_wkt")
    }
    path = write_netcdf(tmp_path / "a.nc", content)
    if is_right:
        assert GeoTiffSource(path, patch_size=10).grids["a"].transform[2] == pytest.approx(X)
    else:
        _refused(
            path, r"put 4\d\d\.\d km off by GDAL, which reads its grid mapping otherwise than CF"
        )
    (grid,) = CubeSource(path, patch_size=10).grids.values()
    there = Transformer.from_crs(grid.crs, UTM, always_xy=True).transform(X, Y)
    assert there == pytest.approx((X, Y), abs=0.001)


def test_a_projection_that_gdal_does_not_know_is_not_taken_for_degrees(tmp_path: Path) -> None:
    content = _one_band(units="m")
    content["spatial_ref"].attrs = {
        "grid_mapping_name": "sinusoidal",
        "longitude_of_projection_origin": 3.0,
        "earth_radius": 6371007.181,
    }
    path = write_netcdf(tmp_path / "a.nc", content)
    _refused(path, "in a projection, sinusoidal, that GDAL does not read; add --source cube")
    (grid,) = CubeSource(path, patch_size=10).grids.values()
    right = CRS("+proj=sinu +lon_0=3 +R=6371007.181")
    there = Transformer.from_crs(grid.crs, right, always_xy=True).transform(X, Y)
    assert there == pytest.approx((X, Y), abs=0.001)


@pytest.mark.parametrize("axis", ["y", "x"])
def test_pixels_are_not_spread_evenly_over_a_gap(axis: str, tmp_path: Path) -> None:
    """GDAL compares the first, the middle and the last step, and takes the mean for all."""
    content = _one_band(units="m")
    kept = np.delete(np.arange(content.sizes[axis]), [4, 5, 6])
    path = write_netcdf(tmp_path / "a.nc", content.isel({axis: kept}))
    with rasterio.open(path) as dataset:
        assert not dataset.transform.is_identity  # GDAL has seen nothing
    named = {"y": "rows", "x": "columns"}[axis]
    _refused(path, f"its {named} are spaced irregularly, up to [12][.][0-9]* pixels off; resample")
    with pytest.raises(SourceError, match="spaced irregularly"):
        CubeSource(path, patch_size=10)


def test_kilometres_are_not_taken_for_metres(tmp_path: Path) -> None:
    content = _one_band(units="km")
    path = write_netcdf(tmp_path / "a.nc", content)
    _refused(path, "is put elsewhere by GDAL")
    (grid,) = CubeSource(path, patch_size=10).grids.values()
    assert grid.transform == pytest.approx((10, 0, X, 0, -10, Y))


@pytest.mark.parametrize(
    ("terms", "units", "south_up"),
    [
        *((_WHOLE, None, False), (_WHOLE, "m", False), (_WHOLE, "m", True)),
        *((None, "m", False), (None, "m", True)),
    ],
)
def test_where_gdal_is_right_it_is_asked(
    terms: str | None, units: str | None, south_up: bool, tmp_path: Path
) -> None:
    content = _one_band(terms, units)
    content = content.isel(y=slice(None, None, -1)) if south_up else content
    path = write_netcdf(tmp_path / "a.nc", content)
    source = GeoTiffSource(str(path), patch_size=10)
    (grid,) = source.grids.values()
    assert grid.transform == pytest.approx((10, 0, X, 0, -10, Y))
    patch = source.read(source.index["patch_id"].tolist()[:1])[0, 0]
    assert (patch == _PIXELS[:10, :10]).all()


def test_the_turn_that_gdal_writes_is_read_or_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """GDAL 3.12 reads it; those before take the raster for one that is not turned."""
    turn = rasterio.Affine.rotation(30) * rasterio.Affine.scale(10, -10)
    right = rasterio.Affine.translation(X, Y) * turn
    tif = write_raster(tmp_path / "a.tif", _PIXELS[None], transform=right)
    path = tmp_path / "a.nc"
    rasterio.shutil.copy(tif, path, driver="NetCDF")
    with rasterio.open(path) as dataset:
        is_read = not dataset.transform.is_rectilinear
    if is_read:
        (grid,) = GeoTiffSource(str(path), patch_size=10).grids.values()
        assert grid.transform == pytest.approx(right[:6], abs=1e-6)
    else:
        with pytest.raises(SourceError, match="is turned against its CRS, which GDAL does not"):
            GeoTiffSource(str(path), patch_size=10)
    source = CubeSource(path, patch_size=10)
    assert "turn it against its CRS" in caplog.text
    (grid,) = source.grids.values()
    # row by row from the lowest, as GDAL writes it
    corner = right @ (0, 20)
    expected = right.a, -right.b, corner[0], right.d, -right.e, corner[1]
    assert grid.transform == pytest.approx(expected, abs=1e-6)
    first = source.read(source.index["patch_id"][:1].tolist())[0, 0]
    assert np.array_equal(first, _PIXELS[::-1][:10, :10])
