"""A CRS that says of itself that it is none does not stand in the way of one that is named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import shapely
from pyproj import CRS

from owl_geo.ground.vector_files import read

UNKNOWN_DEGREES = 'GEOGCRS["Undefined geographic SRS",DATUM["unknown",ELLIPSOID["unknown",6378137,298.257223563]],CS[ellipsoidal,2],AXIS["latitude",north],AXIS["longitude",east],UNIT["degree",0.0174532925199433]]'  # noqa: E501
UNKNOWN_METRES = 'ENGCRS["Undefined Cartesian SRS",EDATUM["unknown"],CS[Cartesian,2],AXIS["easting",east],AXIS["northing",north],UNIT["metre",1]]'  # noqa: E501
OF_A_SITE = UNKNOWN_METRES.replace("Undefined Cartesian SRS", "site grid")


def frame_in(path: Path, crs: str | None, *places: tuple[float, float]) -> str:
    frame = gpd.GeoDataFrame({"a": range(len(places))}, geometry=list(map(shapely.Point, places)))
    frame.set_crs("EPSG:32632").to_file(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        number = {UNKNOWN_DEGREES: 0, UNKNOWN_METRES: -1}.get(crs or "", 32632)
        for table in ("gpkg_contents", "gpkg_geometry_columns"):
            connection.execute(f"DROP TRIGGER IF EXISTS {table}_srs")
            connection.execute(f"UPDATE {table} SET srs_id = {number}")
    return str(path)


def test_a_crs_that_is_undefined_is_none(tmp_path: Path) -> None:
    """GDAL before 3.9 writes the first where a layer has no CRS, whatever its coordinates."""
    utm = CRS("EPSG:32632")
    for i, crs in enumerate([UNKNOWN_DEGREES, UNKNOWN_METRES]):
        path = frame_in(tmp_path / f"{i}.gpkg", crs, (500100, 4999900))
        assert read(path).crs is None
        named = read(path, crs=utm)
        assert named.crs == utm
        assert (named.geometry.x[0], named.geometry.y[0]) == (500100, 4999900)
    degrees = frame_in(tmp_path / "degrees.gpkg", UNKNOWN_DEGREES, (9, 45))
    assert read(degrees).crs == "EPSG:4326"
    assert read(degrees, crs=utm).crs == utm


def test_a_local_crs_gives_way_to_one_that_a_person_names(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(500100, 4999900)], crs=OF_A_SITE)
    frame.to_file(tmp_path / "a.shp")
    assert read(str(tmp_path / "a.shp")).crs.is_engineering
    assert read(str(tmp_path / "a.shp"), crs=CRS("EPSG:32632")).crs == "EPSG:32632"
