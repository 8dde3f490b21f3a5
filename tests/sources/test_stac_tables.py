"""STAC items in Parquet are the same scenes as those in JSON."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rasters import write_raster

from owl_geo.errors import SourceError
from owl_geo.sources.scene_words import find_scenes
from owl_geo.sources.stac_tables import is_stac_table

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
RED = {
    "href": "red.tif",
    "type": COG,
    "roles": ["data"],
    "eo:bands": [{"name": "B04", "common_name": "red"}],
    "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": -0.1}],
}
NIR = {"href": "nir.tif", "type": COG, "eo:bands": [{"name": "B08", "common_name": "nir"}]}
SCL = {"href": "scl.tif", "type": COG, "roles": ["data"]}


def item(name: str, day: int, **assets: dict[str, Any]) -> dict[str, Any]:
    date = {"datetime": f"2024-05-{day:02d}T10:00:00+00:00"}
    properties = {"platform": "sentinel-2a", "s2:processing_baseline": "05.10", **date}
    return {"type": "Feature", "id": name, "assets": assets, "properties": properties}


ITEMS = [
    # in the order of the alphabet, which older pyarrow gives to the parts of a nested column
    item("whole", 1, nir=NIR, red=RED, scl=SCL),
    item("bare", 2, nir=NIR | {"href": "far.tif"}, red=RED | {"href": "other.tif"}),
]


def row(feature: dict[str, Any]) -> dict[str, Any]:
    """An item as stac-geoparquet has it."""
    properties = dict(feature["properties"])
    properties["datetime"] = datetime.datetime.fromisoformat(properties["datetime"])
    box = dict.fromkeys(("xmin", "ymin", "xmax", "ymax"), 0.0)
    names = ("type", "id", "assets")
    return {name: feature[name] for name in names} | properties | {"bbox": box, "geometry": b""}


def write_table(path: Path, features: list[dict[str, Any]]) -> Path:
    for name in ("red", "nir", "scl", "other", "far"):
        write_raster(path.parent / f"{name}.tif", np.ones((1, 32, 32), dtype="uint16"))
    pq.write_table(pa.Table.from_pylist([row(feature) for feature in features]), path)
    return path


def test_a_row_is_the_scene_of_its_item(tmp_path: Path) -> None:
    table = write_table(tmp_path / "items.parquet", ITEMS)
    text = tmp_path / "items.json"
    text.write_text(json.dumps({"type": "FeatureCollection", "features": ITEMS}))
    found, right = find_scenes([str(table)]), find_scenes([str(text)])
    assert [scene.name for scene in found.scenes] == ["whole", "bare"]
    assert found.scenes == right.scenes
    assert found.mask_bad == right.mask_bad != ()
    assert found.scenes[0].mask is not None
    assert found.scenes[1].mask is None
    assert [str(scene.date) for scene in found.scenes] == ["2024-05-01", "2024-05-02"]
    assert find_scenes([str(tmp_path / "*.parquet")]).scenes == right.scenes


def test_assets_may_be_a_map(tmp_path: Path) -> None:
    """As where the keys differ from item to item."""
    kind = pa.map_(pa.string(), pa.struct({"href": pa.string(), "type": pa.string()}))
    assets = pa.array([[("red", {"href": "red.tif", "type": COG})]], kind)
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"id": ["x"], "assets": assets}), path)
    (scene,) = find_scenes([str(path)]).scenes
    assert (scene.name, scene.path) == ("x", str(tmp_path / "red.tif"))


def test_other_tables_are_none_of_items(tmp_path: Path) -> None:
    other = tmp_path / "vectors.parquet"
    pq.write_table(pa.table({"id": ["x"], "embedding": [[0.0] * 16]}), other)
    assert not is_stac_table(str(other))
    (scene,) = find_scenes([str(other)]).scenes  # which no raster driver opens, as is said then
    assert scene.path == str(other)
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.Table.from_pylist([row(ITEMS[0])]).slice(0, 0), empty)
    with pytest.raises(SourceError, match="has no items"):
        find_scenes([str(empty)])
    text = tmp_path / "text.parquet"
    text.write_text("nothing")
    assert not is_stac_table(str(text))
