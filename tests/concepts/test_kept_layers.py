"""OSM extracts are read once, and kept."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasters

from owl_geo.concepts import kept
from owl_geo.concepts.kept import KeptLayers
from owl_geo.settings.concepts import LayerSettings
from owl_geo.verbs.init import init
from owl_geo.verbs.update import update

OSM = """<osm version="0.6"><bounds minlat="0" minlon="9" maxlat="1" maxlon="10"/>
<node id="1" lat="0.001" lon="9.001"/><node id="2" lat="0.001" lon="9.012"/>
<node id="3" lat="0.012" lon="9.012"/><node id="4" lat="0.012" lon="9.001"/>
<way id="5"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="4"/><nd ref="1"/>
<tag k="landuse" v="{use}"/></way></osm>"""


@pytest.fixture
def extract(tmp_path: Path) -> Path:
    path = tmp_path / "area.osm"
    path.write_text(OSM.format(use="industrial"))
    return path


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is really read, call by call."""
    read: list[str] = []
    plain = kept.load

    def counting(settings: LayerSettings, keys):
        read.append(settings.path)
        return plain(settings, keys)

    monkeypatch.setattr(kept, "load", counting)
    return read


def test_a_layer_that_is_kept_is_the_layer(
    tmp_path: Path, extract: Path, readings: list[str]
) -> None:
    settings = LayerSettings(path=str(extract))
    first = KeptLayers()
    layer = first.load(settings, ["landuse", "natural"])
    first.write(tmp_path / "kept")
    again = KeptLayers(tmp_path / "kept").load(settings, ["natural", "landuse"])
    assert len(readings) == 1
    assert again.extent == layer.extent
    assert again.fields == layer.fields
    assert again.features.crs == layer.features.crs
    pd.testing.assert_frame_equal(pd.DataFrame(again.features), pd.DataFrame(layer.features))


def test_it_is_read_again_where_it_changed_or_is_damaged(
    tmp_path: Path, extract: Path, readings: list[str]
) -> None:
    settings, folder = LayerSettings(path=str(extract)), tmp_path / "kept"

    def use(keys: tuple[str, ...] = ("landuse",)) -> str:
        layers = KeptLayers(folder)
        found = layers.load(settings, keys)
        layers.write(folder)
        return str(found.features["landuse"].iloc[0])

    assert use() == use() == "industrial"
    assert len(readings) == 1
    use(("landuse", "water"))
    assert len(readings) == 2
    extract.write_text(OSM.format(use="forest"))
    os.utime(extract, ns=(1, 1))
    assert use() == "forest"
    assert len(readings) == 3
    assert len(list(folder.glob("*.parquet"))) == 1  # what nobody needs is gone
    (parquet,) = folder.glob("*.parquet")
    parquet.write_bytes(b"PAR1")
    assert use() == "forest"
    assert len(readings) == 4


def test_what_an_older_version_kept_serves_only_to_go_on_as_before(
    tmp_path: Path, extract: Path, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, folder = LayerSettings(path=str(extract)), tmp_path / "kept"
    stat = extract.stat()
    older = kept._digest([str(extract), stat.st_size, stat.st_mtime_ns, ["landuse"]])
    with monkeypatch.context() as patch:
        patch.setattr(kept, "_digest", lambda identity: older)
        first = KeptLayers()
        first.load(settings, ["landuse"])
        first.write(folder)
    assert [path.stem for path in folder.glob("*.json")] == [older]
    KeptLayers(folder, like_before=True).load(settings, ["landuse"])
    assert len(readings) == 1
    KeptLayers(folder).load(settings, ["landuse"])
    assert len(readings) == 2


def test_a_run_keeps_what_it_read(tmp_path: Path, extract: Path, readings: list[str]) -> None:
    pixels = np.ones((1, 64, 64), np.uint8)
    scene = rasters.write_raster(
        tmp_path / "s.tif",
        pixels,
        crs="EPSG:4326",
        transform=rasters.from_origin(9.0, 0.02, 2e-4, 2e-4),
    )
    tables = {
        "source": {"kind": "geotiff", "scenes": [{"name": "s", "path": str(scene)}]},
        "layers": {"osm": {"path": str(extract)}},
        "concepts": {
            "industry": {"kind": "share", "layer": "osm", "where": ["landuse=industrial"]}
        },
    }
    made = init(tmp_path / "run", tables).run
    assert len(readings) == 1
    updated = update(tmp_path / "run").run
    assert len(readings) == 1
    assert made.index.concepts["industry"].max() > 0.5
    pd.testing.assert_frame_equal(made.index.concepts, updated.index.concepts)
