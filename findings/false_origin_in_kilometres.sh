#!/usr/bin/env bash
# GDAL, pyproj and rioxarray put a NetCDF file in km 499.5 km off where its false easting is in km, too, as CF has it.
#
# Seen with: rasterio 1.4.4 (its wheel has GDAL 3.10.3), rioxarray 0.19.0, pyproj 3.7.2, xarray 2026.9.0, netCDF4 1.7.4,
#   numpy 2.4.6, Python 3.11
# Expected: by CF's appendix F, false_easting has the units of the projection coordinates. A scene in UTM zone 31 whose
#   coordinates are in km has a false easting of 500, and lies where the same scene in metres does: GDAL knows km, and
#   turns the coordinates into metres as it reads them.
# Instead: it turns the coordinates alone, and leaves 500 as metres: the scene lies 499.5 km too far east (498.7 km on the
#   ground). pyproj's CRS.from_cf takes 500 for metres, too, and so does rioxarray, whose coordinates stay in km besides: in
#   a CRS that says metres, the scene is near the equator. Only a file that breaks the convention, with 500000 beside
#   coordinates in km, is put right by GDAL. That is what pyproj's to_cf writes of a CRS in km. No warning is given.
# Output as seen:
#   distance to the right place     GDAL        from_cf, coordinates turned by hand       rioxarray
#   in metres, 500000               0.0 km      0.0 km                                    0.0 km
#   in km, 500 (as CF has it)       498.7 km    498.7 km                                  5704.5 km
#   in km, 500000                   0.0 km      0.0 km                                    5732.1 km
#   pyproj writes of a CRS in km: 500000.0
#   warnings: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet rasterio==1.4.4 rioxarray==0.19.0 pyproj==3.7.2 xarray==2026.9.0 netCDF4==1.7.4 \
    numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
import warnings

import numpy as np
import pyproj
import rasterio
import rioxarray  # noqa: F401 - gives datasets their rio
import xarray as xr

WEST, NORTH = 620_000.0, 5_707_000.0  # of the scene, in UTM zone 31
RIGHT = pyproj.Transformer.from_crs(32631, 4326, always_xy=True).transform(WEST, NORTH)
X = WEST + 50 + 100.0 * np.arange(20)
Y = NORTH - 50 - 100.0 * np.arange(20)


def mapping(false_easting):
    return {
        "grid_mapping_name": "transverse_mercator",
        "longitude_of_central_meridian": 3.0,
        "latitude_of_projection_origin": 0.0,
        "scale_factor_at_central_meridian": 0.9996,
        "false_easting": false_easting,
        "false_northing": 0.0,
        "semi_major_axis": 6378137.0,
        "inverse_flattening": 298.257223563,
    }


def write(path, units, metres, false_easting):
    axis = {"units": units}
    content = xr.Dataset(
        {
            "red": (("y", "x"), np.ones((20, 20), "float32"), {"grid_mapping": "crs"}),
            "crs": ((), 0, mapping(false_easting)),
        },
        {
            "y": ("y", Y / metres, axis | {"standard_name": "projection_y_coordinate"}),
            "x": ("x", X / metres, axis | {"standard_name": "projection_x_coordinate"}),
        },
        {"Conventions": "CF-1.8"},
    )
    content.to_netcdf(path)


def kilometres_off(crs, west, north):
    """Return how far a corner in a CRS is from the right place."""
    to_degrees = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    _, _, metres = pyproj.Geod(ellps="WGS84").inv(*to_degrees.transform(west, north), *RIGHT)
    return metres / 1000


def seen(title, units, metres, false_easting):
    path = f"{units}-{false_easting:.0f}.nc"
    write(path, units, metres, false_easting)
    with rasterio.open(path) as raster:
        by_gdal = kilometres_off(raster.crs.to_wkt(), raster.transform.c, raster.transform.f)
    by_pyproj = kilometres_off(pyproj.CRS.from_cf(mapping(false_easting)), WEST, NORTH)
    with xr.open_dataset(path, decode_coords="all") as cube:
        place = cube.rio.transform()
        by_rioxarray = kilometres_off(cube.rio.crs.to_wkt(), place.c, place.f)
    found = by_gdal, by_pyproj, by_rioxarray
    print("{:<30}  {:<10}  {:<40}  {}".format(title, *(f"{off:.1f} km" for off in found)))
    return found


columns = "distance to the right place", "GDAL", "from_cf, coordinates turned by hand", "rioxarray"
print("{:<30}  {:<10}  {:<40}  {}".format(*columns))
with warnings.catch_warnings(record=True) as told:
    warnings.filterwarnings("always", category=UserWarning)
    in_metres = seen("in metres, 500000", "m", 1, 500_000.0)
    by_cf = seen("in km, 500 (as CF has it)", "km", 1000, 500.0)
    against_cf = seen("in km, 500000", "km", 1000, 500_000.0)
    written = pyproj.CRS("+proj=utm +zone=31 +units=km +type=crs").to_cf()["false_easting"]
told = [warning for warning in told if warning.category is UserWarning]
print("pyproj writes of a CRS in km:", written)
print("warnings:", len(told))
right = max(in_metres) < 0.1 and max(against_cf[:2]) < 0.1
if right and min(by_cf) > 400 and against_cf[2] > 400 and written == 500_000 and not told:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
