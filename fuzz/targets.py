"""The entrances that are fuzzed: each takes bytes and may end in an OwlError, and nothing else.

Files with checksums or many zeros are not made of the bytes but from a good file: the bytes say
where it is changed. ``inputs`` holds what once broke something.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sqlite3
import sys
import tomllib
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import geopandas as gpd
import numpy as np
import rasterio
import shapely

from owl_geo import schema
from owl_geo.batches import IssuedBatch, answers_of, read_batch, write_batch
from owl_geo.concepts.layers import load
from owl_geo.concepts.osm import read_osm
from owl_geo.errors import OwlError
from owl_geo.run_folder.folder import Run
from owl_geo.settings import owl_toml
from owl_geo.settings.concepts import LayerSettings
from owl_geo.settings.config import Settings
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.stac import scene_of_item
from owl_geo.sources.stac_items import items_of
from owl_geo.verbs.prediction_record import PredictionRecord

INPUTS = Path(__file__).parent / "inputs"
PLUGIN = Path(__file__).parents[1] / "qgis_plugin" / "owl_geo_labeler"
_MOST_BYTES = 2**18


class Target(Protocol):
    """An entrance with a folder of its own to work in."""

    def seeds(self) -> list[bytes]:
        """Return inputs to start from."""

    def run(self, data: bytes) -> None:
        """Hand the bytes in; anything but an OwlError leaves as a finding."""


def edited(good: bytes, data: bytes) -> bytes:
    """Return ``good`` with bytes changed: each four of ``data`` say where (3) and to what (1).

    The place 0xFFFFFF cuts the file there, in 256ths of its length.
    """
    changed = bytearray(good)
    for at in range(0, min(len(data), 1024) - 3, 4):
        place, value = int.from_bytes(data[at : at + 3], "little"), data[at + 3]
        if place == 0xFFFFFF:
            del changed[len(changed) * value // 256 :]
        elif changed:
            changed[place % len(changed)] = value
    return bytes(changed)


class OwlToml:
    """owl.toml as text of any kind."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "owl.toml"

    def seeds(self) -> list[bytes]:
        return [owl_toml.dump(_settings()).encode(), b"[source]\nkind = 'cube'\npath = 'a'\n"]

    def run(self, data: bytes) -> None:
        self._path.write_bytes(data)
        with suppress(OwlError):
            settings = owl_toml.load(self._path)
            again = owl_toml.parse_text(owl_toml.dump(settings), "again")
            assert again == settings
            owl_toml.from_folder(settings, self._path.parent)


class PluginToml:
    """owl.toml as the plugin reads it where Python has no tomllib."""

    def __init__(self, folder: Path) -> None:
        core = types.ModuleType("qgis.PyQt.QtCore")
        core.QCoreApplication = _Untranslated
        package = types.ModuleType("owl_geo_labeler")
        package.__path__ = [str(PLUGIN)]
        for name in ("qgis", "qgis.PyQt"):
            sys.modules.setdefault(name, types.ModuleType(name))
        sys.modules.setdefault("qgis.PyQt.QtCore", core)
        sys.modules.setdefault("owl_geo_labeler", package)
        self._lines = importlib.import_module("owl_geo_labeler.toml_lines")
        self._problem = importlib.import_module("owl_geo_labeler.errors").Problem
        self._path = folder / "owl.toml"
        self._lines.tomllib = None

    def seeds(self) -> list[bytes]:
        return OwlToml(self._path.parent).seeds()

    def run(self, data: bytes) -> None:
        self._path.write_bytes(data)
        with suppress(self._problem):
            self._lines.read_toml(self._path)
        with suppress(OwlError):
            text = owl_toml.dump(owl_toml.load(self._path))
            self._path.write_text(text, encoding="utf-8")
            assert self._lines.read_toml(self._path) == tomllib.loads(text)


class _Untranslated:
    @staticmethod
    def translate(_context: str, text: str) -> str:
        return text


class BatchBytes:
    """A batch with bytes changed anywhere, or cut."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "batch.gpkg"
        self._good, self._issued = _batch(folder)

    def seeds(self) -> list[bytes]:
        return [b"", b"\x00\x10\x00\xff", b"\xff\xff\xff\x80"]

    def run(self, data: bytes) -> None:
        _take_in(self._path, edited(self._good, data), self._issued)


class BatchValues:
    """A batch with other values, names and types in its columns, as SQL can put them there."""

    _COLUMNS = ("patch_id", "label", "annotator", "comment", "labelled_at", "batch_id", "geom")

    def __init__(self, folder: Path) -> None:
        self._path = folder / "batch.gpkg"
        self._good, self._issued = _batch(folder)
        self._statements = [
            *(f'UPDATE batch SET "{name}" = ? WHERE fid = ?' for name in self._COLUMNS),
            "UPDATE gpkg_metadata SET metadata = ? WHERE ? > 0",
            "UPDATE gpkg_contents SET table_name = ? WHERE ? > 0",
            "UPDATE gpkg_geometry_columns SET srs_id = ? WHERE ? > 0",
            "UPDATE gpkg_geometry_columns SET column_name = ? WHERE ? > 0",
            "UPDATE gpkg_spatial_ref_sys SET definition = ?, organization = 'x' WHERE ? > 0",
            "UPDATE gpkg_spatial_ref_sys SET organization_coordsys_id = ? WHERE ? > 0",
        ]

    def seeds(self) -> list[bytes]:
        return [b"\x00\x00\x00\x04text", b"\x01\x02\x01\x00", b"\x06\x00\x02\x30GP\x00\x01\xe6\x10"]

    def run(self, data: bytes) -> None:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            connection.deserialize(self._good)
            for column, row, value in self._changes(data):
                with suppress(sqlite3.Error, OverflowError):  # what SQLite itself does not take
                    connection.execute(self._statements[column], (value, row))
            changed = connection.serialize()
        _take_in(self._path, changed, self._issued)

    def _changes(self, data: bytes) -> Iterator[tuple[int, int, object]]:
        """Yield column, row and value: a byte each for column, row, kind and length, the value."""
        while len(data) > 3:
            column, row, kind, length = data[:4]
            raw, data = data[4 : 4 + length], data[4 + length :]
            value: object = raw
            if kind % 4 == 0:
                value = raw.decode(errors="replace")
            elif kind % 4 == 1:
                value = None if not raw else int.from_bytes(raw[:8], "little", signed=True)
            elif kind % 4 == 2:
                value = float(np.frombuffer(raw[:8].ljust(8, b"\x00"), "<f8")[0])
            yield column % len(self._statements), row % 4 + 1, value


class Tiff:
    """A GeoTIFF with bytes changed anywhere, or cut; read whole."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "scene.tif"
        values = np.arange(2 * 16 * 16, dtype="uint16").reshape(2, 16, 16)
        with rasterio.open(
            self._path,
            "w",
            driver="GTiff",
            width=16,
            height=16,
            count=2,
            dtype="uint16",
            crs="EPSG:32631",
            transform=rasterio.Affine(10, 0, 5e5, 0, -10, 57e5),
            nodata=7,
            compress="deflate",
        ) as dataset:
            dataset.write(values)
            dataset.descriptions = ("red", "nir")
        self._good = self._path.read_bytes()

    def seeds(self) -> list[bytes]:
        return [b"", b"\x10\x00\x00\x00", b"\xff\xff\xff\x80"]

    def run(self, data: bytes) -> None:
        self._path.write_bytes(edited(self._good, data))
        with suppress(OwlError), warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            source = GeoTiffSource(self._path, patch_size=8, min_valid=0.5)
            ids = source.index["patch_id"].tolist()[:4]
            assert np.isfinite(source.read(ids)).all()
            source.close()


class Osm:
    """OSM files, as XML or a changed .pbf where the first byte says so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        import osmium

        (folder / "good.osm").write_bytes(_OSM)
        shutil.rmtree(folder / "good.osm.pbf", ignore_errors=True)
        writer = osmium.SimpleWriter(str(folder / "good.osm.pbf"), overwrite=True)
        for entity in osmium.FileProcessor(str(folder / "good.osm")):
            writer.add(entity)
        writer.close()
        self._pbf = (folder / "good.osm.pbf").read_bytes()

    def seeds(self) -> list[bytes]:
        return [b" " + _OSM, b"\x00", b"\x00\x10\x00\x00\x01"]

    def run(self, data: bytes) -> None:
        is_pbf = data[:1] == b"\x00"
        path = self._folder / ("a.osm.pbf" if is_pbf else "a.osm")
        path.write_bytes(edited(self._pbf, data[1:]) if is_pbf else data[1:])
        with suppress(OwlError):
            frame, _ = read_osm(str(path), ["landuse", "highway"])
            shapely.area(frame.geometry.to_numpy())


class Vector:
    """GeoJSON as text of any kind, through GDAL."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "layer.geojson"

    def seeds(self) -> list[bytes]:
        ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
        feature = {
            "type": "Feature",
            "properties": {"class": "a"},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        return [json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()]

    def run(self, data: bytes) -> None:
        self._path.write_bytes(data)
        with suppress(OwlError):
            layer = load(LayerSettings(path=str(self._path)), None)
            shapely.area(layer.features.geometry.to_numpy())


class Stac:
    """A STAC item or item collection."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "item.json"

    def seeds(self) -> list[bytes]:
        asset = {
            "href": "b.tif",
            "type": "image/tiff",
            "roles": ["data"],
            "eo:bands": [{"name": "B04", "common_name": "red"}],
        }
        item = {"type": "Feature", "id": "a", "assets": {"B04": asset, "scl": {"href": "s.tif"}}}
        whole = {"type": "FeatureCollection", "features": [item]}
        return [json.dumps(item).encode(), json.dumps(whole).encode()]

    def run(self, data: bytes) -> None:
        self._path.write_bytes(data)
        with suppress(OwlError):
            for item in items_of(str(self._path)):
                for wanted in ((), ("red",), ("1",)):
                    with suppress(OwlError):
                        scene = scene_of_item(item, wanted)
                        SceneSettings(name=item.name, files=scene.files, mask=scene.mask)


class RunRecords:
    """index.json, round.json or predictions.json of a run; the first byte says which."""

    def __init__(self, folder: Path) -> None:
        self._run = folder / "run"
        (self._run / "rounds" / "000").mkdir(parents=True, exist_ok=True)
        (self._run / "owl.toml").write_text(owl_toml.dump(_settings()), encoding="utf-8")
        self._files = ("index.json", "rounds/000/round.json", "predictions.json")

    def seeds(self) -> list[bytes]:
        index = {
            "made_from": "0",
            "made_for": {"bands": ["a"], "classes": ["absent", "present"], "patch_size": 32},
            "scenes": {"a": ["EPSG:32631", 10.0, 0.0, 5e5, 0.0, -10.0, 57e5, 64, 64]},
            "statistics": {"bands": ["a"], "median": [0.5], "scale": [1.0], "n_patches": 4},
            "parts": [4],
            "since": 0,
        }
        entry = {
            "round": 0,
            "batch_id": "a-000",
            "answers_seen": 0,
            "metrics": {"round": 0, "n_labeled": 0, "positives_found": 0},
            "patch_ids": ["a/0/0"],
            "audit": {"a/0/0": None},
            "watched": "01",
        }
        predicted = {"whole": "0", "scenes": {"a": {"file": "a", "made_from": "0"}}}
        texts = [json.dumps(values).encode() for values in (index, entry, predicted)]
        return [bytes([number]) + text for number, text in enumerate(texts)]

    def run(self, data: bytes) -> None:
        if not data:
            return
        path = self._run / self._files[data[0] % len(self._files)]
        path.write_bytes(data[1:])
        readers: tuple[Callable[[Run], object], ...] = (
            lambda run: run.grids,
            lambda run: run.crs,
            lambda run: run.index.parts,
            lambda run: run.index.since,
            lambda run: run.index.statistics,
            lambda run: run.scenes.ids,
            lambda run: run.index.made_for,
            lambda run: run.rounds(),
            lambda run: PredictionRecord.read(run.path / "predictions.json"),
        )
        run = Run(self._run)
        for read in readers:
            with suppress(OwlError):
                read(run)


TARGETS: dict[str, Callable[[Path], Target]] = {
    "owl_toml": OwlToml,
    "plugin_toml": PluginToml,
    "batch_bytes": BatchBytes,
    "batch_values": BatchValues,
    "tiff": Tiff,
    "osm": Osm,
    "vector": Vector,
    "stac": Stac,
    "run_records": RunRecords,
}


def _settings() -> Settings:
    return owl_toml.parse(
        {
            "source": {
                "kind": "geotiff",
                "scenes": [{"name": "a", "path": "a.tif"}, {"name": "b", "files": ["c", "d"]}],
                "bands": ["red", "nir"],
            },
            "layers": {"osm": {"path": "area.osm"}},
            "concepts": {
                "cover": {"kind": "category", "layer": "osm", "classes": {"wood": ["landuse"]}},
                "far": {"kind": "distance", "layer": "osm", "where": ["highway=a|b"]},
                "near": {"kind": "below", "of": "far", "value": 10.5},
            },
            "acquisition": {"weights": {"near": 2.0}},
        },
        "the settings",
    )


def _batch(folder: Path) -> tuple[bytes, dict[str, IssuedBatch]]:
    """Write a batch of four patches; return its bytes and what the run knows of it."""
    path = folder / "good.gpkg"
    path.unlink(missing_ok=True)
    x = np.arange(4) * 320.0 + 5e5
    patches = gpd.GeoDataFrame(
        {
            "patch_id": [f"scene/0/{32 * i}" for i in range(4)],
            **dict.fromkeys(("score", "uncertainty", "relevance", "probability"), 0.5),
            "scene": "scene",
            "scene_crs": "EPSG:32631",
        },
        geometry=shapely.box(x, 56e5, x + 320, 56e5 + 320),
        crs="EPSG:32631",
    )
    write_batch(
        path,
        patches,
        classes=("absent", "present"),
        positive="present",
        concepts=(),
        batch_id="run-001",
        round=1,
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():  # they call functions that GDAL brings
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE batch SET label = 'present' WHERE fid < 4")
    footprints = patches.set_index("patch_id").geometry
    return path.read_bytes(), {"run-001": IssuedBatch(1, footprints)}


def _take_in(path: Path, content: bytes, issued: dict[str, IssuedBatch]) -> None:
    path.write_bytes(content)
    with suppress(OwlError):
        answers, _ = answers_of(
            read_batch(path),
            run_batches=issued,
            classes=("absent", "present"),
            default_annotator="ana",
            now=datetime(2026, 5, 1, tzinfo=UTC),
        )
        known = {"absent", "present", *schema.RESERVED_LABELS}
        for answer in answers:
            assert answer.label in known
            assert answer.patch_id in issued["run-001"].footprints.index
            assert isinstance(answer.annotator, str)
            assert answer.comment is None or isinstance(answer.comment, str)


_OSM = b"""<?xml version='1.0' encoding='UTF-8'?>
<osm version="0.6" generator="x">
 <bounds minlat="50" minlon="3" maxlat="51" maxlon="4"/>
 <node id="1" version="1" lat="50.1" lon="3.1"/>
 <node id="2" version="1" lat="50.2" lon="3.1"/>
 <node id="3" version="1" lat="50.2" lon="3.2"/>
 <node id="4" version="1" lat="50.3" lon="3.2"><tag k="highway" v="stop"/></node>
 <way id="1" version="1"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="1"/>
  <tag k="landuse" v="forest"/></way>
 <way id="2" version="1"><nd ref="1"/><nd ref="4"/><tag k="highway" v="path"/></way>
 <relation id="1" version="1"><member type="way" ref="1" role="outer"/>
  <tag k="type" v="multipolygon"/><tag k="landuse" v="meadow"/></relation>
</osm>
"""
