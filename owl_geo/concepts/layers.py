"""Vector layers as tables: OSM files through libosmium, all others as ``vector_files`` does."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from owl_geo.concepts.extents import Extent
from owl_geo.concepts.osm import read_osm
from owl_geo.concepts.osm_files import IN_FULL, is_osm, is_overpass_json
from owl_geo.disk.presence import check_exists, is_dir
from owl_geo.errors import LayerError, suggestion
from owl_geo.ground import vector_files
from owl_geo.ground.crs import leads_nowhere
from owl_geo.ground.kml_files import n_images
from owl_geo.ground.raster_files import check_is_file, is_raster
from owl_geo.ground.vector import UNREADABLE, n_without_place, read_table, reason, repaired
from owl_geo.settings.concepts import LayerSettings
from owl_geo.settings.paths import is_local
from owl_geo.wording import as_typed, counted

_log = logging.getLogger("owl_geo")

_OTHER_TAGS = "other_tags"  # where GDAL's OSM driver puts tags that have no column of their own
_EMPTY = "name another layer, or add features and save them"
_DBF_NAME_LENGTH = 10


@dataclass(frozen=True)
class Layer:
    """Features, the rectangle that they may lie in, and the attributes that the file has."""

    features: gpd.GeoDataFrame
    extent: Extent
    fields: tuple[str, ...]
    is_osm: bool = False


@dataclass(frozen=True)
class CrsOption:
    """The option of a command that names a CRS, with an example of it for messages."""

    name: str
    example: str
    crs: CRS | None  # as given


def load(
    settings: LayerSettings, keys: Collection[str] | None, option: CrsOption | None = None
) -> Layer:
    """Read a vector layer: its features, with its extent and the names of its attributes.

    A key matches the attribute of that name, whatever its case; keys without an attribute get no
    column; ``None`` reads all attributes. An OSM file needs keys, and gets a column for each.
    Invalid polygons are repaired, empty geometries and heights are dropped. A person may have named
    the CRS of a file that has none with an ``option``. Raises LayerError where the layer cannot be
    read, has no CRS, or is empty.
    """
    if is_osm(settings.path):
        return _load_osm(settings, keys)
    return _load_table(settings, keys, option)


def check_layer(settings: LayerSettings) -> str:
    """Return the name of a layer of a file that is none of OSM, without reading its features.

    Raises LayerError where the file cannot be opened, has no such layer, or none with geometry.
    """
    check_is_file(settings.path, LayerError)
    try:
        return _layer_name(settings)
    except UNREADABLE as error:
        raise _unreadable(settings, error) from error


def _load_osm(settings: LayerSettings, keys: Collection[str] | None) -> Layer:
    if settings.layer is not None:
        raise LayerError(
            f"{settings.path} is an OSM file and has no layers", remedy="leave out 'layer'"
        )
    if not keys:
        raise LayerError(f"{settings.path} is an OSM file", remedy="name the tags to read from it")
    features, box = read_osm(settings.path, keys)
    features = _repaired(features, settings.path)
    if features.empty:
        raise LayerError(f"{settings.path} has no features with {', '.join(keys)}")
    bounds = tuple(features.total_bounds.tolist()) if box is None else box
    return Layer(features, Extent(features.crs, bounds), tuple(keys), is_osm=True)


def _load_table(
    settings: LayerSettings, keys: Collection[str] | None, option: CrsOption | None
) -> Layer:
    layer = check_layer(settings)
    try:
        offered = vector_files.attributes(settings.path, layer)
    except UNREADABLE as error:
        raise _unreadable(settings, error) from error
    fields = offered.names
    wanted = fields if keys is None else keys
    columns = {key: _field_of(key, offered, settings.path) for key in wanted}
    field_of = {key: field for key, field in columns.items() if field is not None}
    without_field = [key for key in columns if key not in field_of]
    read = set(field_of.values()) | ({_OTHER_TAGS} & set(fields) if without_field else set())
    crs = None if option is None else option.crs
    raw = _read(settings, layer, sorted(read), crs)
    if not isinstance(raw, gpd.GeoDataFrame):
        raise _is_table(settings)
    if raw.empty:  # a table without rows does not show that its numbers are degrees
        raise LayerError(f"{_described(settings)} has no features", remedy=_EMPTY)
    if n_without_place(raw) == len(raw):  # nor do rows without coordinates
        raise LayerError(
            f"{_described(settings)} has no geometry in its {counted(len(raw), 'feature')}",
            remedy=_EMPTY,
        )
    _check_crs(settings, raw.crs, option)
    table = {key: raw[field] for key, field in field_of.items()}
    if _OTHER_TAGS in raw:
        table |= _tags_within(raw[_OTHER_TAGS], without_field)
    features = gpd.GeoDataFrame(table, geometry=raw.geometry, crs=raw.crs)
    features = _repaired(features, _described(settings))
    if features.empty:
        raise LayerError(
            f"{_described(settings)} has no valid geometry in its {counted(len(raw), 'feature')}",
            remedy=_EMPTY,
        )
    extent = Extent(features.crs, tuple(features.total_bounds.tolist()))
    return Layer(features, extent, fields)


def _unreadable(settings: LayerSettings, error: Exception) -> LayerError:
    """Return what to say of a file whose layer could not be opened.

    Raises LayerError itself where there is no such file, or it cannot be reached.
    """
    if is_local(settings.path):
        check_exists(settings.path, LayerError)
    if is_dir(settings.path) and not vector_files.is_folder_of_one(settings.path):
        return LayerError(f"{settings.path} is a folder", remedy="name the file in it")
    return LayerError(
        f"cannot read the layer {_described(settings)}: {reason(error)}",
        remedy=_readable(settings.path),
    )


def _is_table(settings: LayerSettings) -> LayerError:
    return LayerError(
        f"{_described(settings)} is a table without geometry", remedy="name another layer"
    )


def _check_crs(settings: LayerSettings, crs: CRS | None, option: CrsOption | None) -> None:
    """Raise LayerError where a layer has no CRS, one that leads nowhere, or not the option's."""
    if crs is None and option is not None:
        raise LayerError(
            f"{_described(settings)} has no CRS",
            remedy=f"name it, for example with {option.name} {option.example}",
        )
    prj = _prj_of(settings.path)
    if crs is None and prj is not None:
        raise LayerError(f"{_described(settings)} has no CRS", remedy=f"assign one in {prj}")
    if crs is None:
        raise LayerError(
            f"{_described(settings)} has no CRS",
            remedy="assign one, for example with ogr2ogr -a_srs",
        )
    stated = None if option is None else option.crs
    if option is not None and stated is not None and not crs.equals(stated, ignore_axis_order=True):
        raise LayerError(
            f"{_described(settings)} has a CRS of its own, {crs.name}, not {stated.name}",
            remedy=f"leave out {option.name}",
        )
    fault = leads_nowhere(crs)
    if fault:
        how = ", for example with ogr2ogr -a_srs" if prj is None else f" in {prj}"
        raise LayerError(
            f"{_described(settings)}: {fault}",
            remedy=f"assign the right one{how}",
        )


def _prj_of(path: str) -> str | None:
    """Return how to give a table a CRS, None for what is none.

    ogr2ogr finds no coordinates in its columns.
    """
    file = Path(path)
    if not is_local(path) or file.suffix.lower() not in vector_files.TABLES:
        return None
    beside = as_typed(file.with_suffix(".prj"))
    return f"a .prj file, for example with gdalsrsinfo -o wkt EPSG:32617 > {beside}"


def _layer_name(settings: LayerSettings) -> str:
    """Return the layer in the settings, or else the file's only one with geometry.

    Raises LayerError where there is no such layer, or several to choose from.
    """
    listed = vector_files.list_layers(settings.path)
    if settings.layer is not None:
        names = [name for name, _ in listed]
        if settings.layer not in names:
            raise LayerError(
                f"{settings.path} has no layer {settings.layer!r}",
                remedy=suggestion(settings.layer, names),
            )
        if dict(listed)[settings.layer] is None:
            raise _is_table(settings)
        return settings.layer
    names = [name for name, kind in listed if kind is not None]
    if not names:
        raise LayerError(
            f"{settings.path} has no layer with geometry",
            remedy=_without_places(settings.path),
        )
    if len(names) > 1:
        raise LayerError(
            f"{settings.path} has several layers: {', '.join(names)}",
            remedy=(
                f"name one, as layer in owl.toml or as FILE|layername={names[0]} on the command "
                "line"
            ),
        )
    return names[0]


def _readable(path: str) -> str:
    """Return what to do with what cannot be read."""
    if is_dir(path):
        return ""
    if is_raster(path):
        return "use a concept of kind raster, since the file is a raster"
    if is_overpass_json(path):
        return f"it is Overpass's JSON: {IN_FULL}"
    return "open it in QGIS to see what it contains"


def _without_places(path: str) -> str:
    """Return what to do with a table in which GDAL finds no coordinates."""
    if path.lower().endswith(vector_files.TABLES):
        return "name its columns lon and lat, or WKT"
    if path.lower().endswith((".xlsx", ".xls", ".ods")):
        return "save the sheet as CSV, with columns lon and lat, or WKT"
    if path.lower().endswith((".zip", ".gz")):
        return "if it is a table with coordinates, unpack it and name that"
    if path.lower().endswith((".kml", ".kmz")) and n_images(Path(path)):
        return "it shows images on the map (GroundOverlay): draw the places and save them"
    return ""


def _read(
    settings: LayerSettings, layer: str, columns: list[str], crs: CRS | None
) -> gpd.GeoDataFrame:
    options = {"layer": layer, "columns": columns, "force_2d": True, "crs": crs}
    try:
        try:
            return read_table(settings.path, **options)
        except UnicodeDecodeError:
            _log.warning("%s has broken text; reading it as Latin-1", _described(settings))
            return read_table(settings.path, encoding="ISO-8859-1", **options)
    except UNREADABLE as error:
        raise LayerError(
            f"cannot read the layer {_described(settings)}: {reason(error)}"
        ) from error


def _field_of(key: str, offered: vector_files.Attributes, where: str) -> str | None:
    """Find the attribute that a key names: exactly, in another case, or cut to a DBF's length.

    Raises LayerError where several names may have been cut to the same letters, of which all but
    the first end in a number.
    """
    if key in offered.names:
        return key
    folded = {field.lower(): field for field in offered.names}
    field = folded.get(key.lower())
    if field is None and offered.are_cut:
        cut = key.lower()[:_DBF_NAME_LENGTH]
        field = folded.get(cut)
        numbered = re.compile(re.escape(cut[:-2]) + r"(_\d|\d\d)|" + re.escape(cut[:-1]) + r"\d")
        others = [folded[name] for name in folded if name != cut and numbered.fullmatch(name)]
        if field is not None and others:
            raise LayerError(
                f"{where}: {key!r} may be any of {', '.join([field, *others])}, since a Shapefile "
                "cuts names to ten letters",
                remedy="name it as the file has it",
            )
    return field


def _tags_within(other_tags: pd.Series, keys: list[str]) -> dict[str, pd.Series]:
    """Extract the keys that occur in text like ``"power"=>"plant","name"=>"x"``."""
    columns = {}
    for key in keys:
        tag = other_tags.astype("string").str.extract(
            rf'(?:^|,)"{re.escape(key)}"=>"((?:[^"\\]|\\.)*)"', expand=False
        )
        if tag.notna().any():
            columns[key] = tag
    return columns


def _repaired(features: gpd.GeoDataFrame, where: str) -> gpd.GeoDataFrame:
    geometry = repaired(features.geometry.to_numpy())
    lost = int(shapely.is_missing(geometry).sum() - features.geometry.isna().sum())
    if lost:
        _log.warning("%s: left out %s with invalid coordinates", where, counted(lost, "feature"))
    features = features.set_geometry(gpd.GeoSeries(geometry, features.index, features.crs))
    kept = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    return features[np.asarray(kept)].reset_index(drop=True)


def _described(settings: LayerSettings) -> str:
    """Return the file, and the layer in it where one is chosen, for messages."""
    return f"{settings.path} ({settings.layer})" if settings.layer else settings.path
