"""GeoPackages that cannot be written: one line, which says what people can do something about."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import shapely

from owl_geo.disk import gpkg
from owl_geo.disk.atomic import writing_file
from owl_geo.errors import RunError

# as GDAL says it on a full disk
GDAL_SAYS = (
    "Could not add feature to layer at index 0: sqlite3_exec(INSERT INTO gpkg_contents (table_name)"
    " VALUES ('like')) failed: no such table: gpkg_contents"
)


def test_a_full_disk_is_named_and_no_sql_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise pyogrio.errors.DataLayerError(GDAL_SAYS)

    monkeypatch.setattr(pyogrio, "write_dataframe", fails)
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    path = tmp_path / "like.gpkg"
    with pytest.raises(RunError) as caught, writing_file(path) as partial:
        gpkg.create(partial, frame, "like", spatial_index=True)
    assert str(caught.value) == (
        f"cannot write {path}: no such table: gpkg_contents (is the disk full?) "
        "(nothing there was changed)"
    )
    assert list(tmp_path.iterdir()) == []
