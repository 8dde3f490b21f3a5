"""Layers of large OSM extracts, kept beside the run once they have been read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

import geopandas as gpd
import pyarrow

from owl_geo.concepts.extents import Extent
from owl_geo.concepts.layers import Layer, load
from owl_geo.concepts.osm_files import is_osm, is_xml
from owl_geo.disk.atomic import flush, writing_file
from owl_geo.disk.presence import exists, is_file
from owl_geo.settings.concepts import LayerSettings

# Raised when the same extract is read differently: 2 = areas by the rules in osm_areas.toml;
# 3 = without what an editor has deleted in an XML file.
_READING = 2
_READING_XML = 3


class KeptLayers:
    """Reads layers, and remembers what it read from OSM extracts.

    An extract is read from end to end for a few tags, and the features with these tags make a
    small file. Its name derives from the extract's path, size and time, and from the tags.

    Args:
        folder: where earlier commands kept layers; None = nowhere yet.
        like_before: whether to use layers that an earlier version kept, for values that join
            those computed by that version.
    """

    def __init__(self, folder: Path | None = None, *, like_before: bool = False) -> None:
        self._folder = folder
        self._like_before = like_before
        self._used: dict[str, Layer] = {}

    def load(self, settings: LayerSettings, keys: Collection[str]) -> Layer:
        """Read a layer as ``layers.load`` does, from the kept file if there is one."""
        path = Path(settings.path)
        if not is_osm(settings.path) or not is_file(path):
            return load(settings, keys)
        stat = path.stat()
        identity: list[object] = [settings.path, stat.st_size, stat.st_mtime_ns, sorted(keys)]
        name = _digest([*identity, _READING_XML if is_xml(settings.path) else _READING])
        if name not in self._used:
            layer = self._kept(name)
            if layer is None and self._like_before:
                layer = self._kept(_digest([*identity, _READING]))
            if layer is None and self._like_before:
                layer = self._kept(_digest(identity))  # as versions before 2 named it
            self._used[name] = layer if layer is not None else load(settings, keys)
        return self._used[name]

    def write(self, folder: Path) -> None:
        """Write the layers that were read through here to ``folder``, and nothing else.

        Raises OSError or RunError.
        """
        if not self._used and not exists(folder):
            return
        folder.mkdir(parents=True, exist_ok=True)
        for name, layer in self._used.items():
            if exists(folder / f"{name}.json"):
                continue
            layer.features.to_parquet(folder / f"{name}.parquet")
            flush(folder / f"{name}.parquet")
            record = {"bounds": layer.extent.bounds, "fields": layer.fields}
            # the record is written last: if it exists, everything else does
            with writing_file(folder / f"{name}.json") as partial:
                partial.write_text(json.dumps(record), encoding="utf-8")
        for path in folder.iterdir():
            if path.name.split(".")[0] not in self._used:
                path.unlink(missing_ok=True)

    def _kept(self, name: str) -> Layer | None:
        if self._folder is None:
            return None
        try:
            record = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
            features = gpd.read_parquet(self._folder / f"{name}.parquet")
            west, south, east, north = record["bounds"]
            extent = Extent(features.crs, (west, south, east, north))
            return Layer(features, extent, tuple(record["fields"]), is_osm=True)
        except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException):
            return None


def _digest(identity: list[object]) -> str:
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
