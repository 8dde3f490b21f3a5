"""Which files hold places, and not answers to patches."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from owl_geo.concepts.osm_files import is_osm
from owl_geo.disk import gpkg
from owl_geo.disk.presence import is_dir, is_file
from owl_geo.errors import BatchError
from owl_geo.ground import vector_files
from owl_geo.ground.raster_files import is_raster
from owl_geo.ground.vector import UNREADABLE
from owl_geo.schema import BATCH_LAYER, LABELS_LAYER
from owl_geo.settings.paths import is_local
from owl_geo.settings.subdatasets import is_subdataset

LAYER = "|layername="  # between a file and one of its layers

_SQLITE = b"SQLite format 3\x00"
_SHEETS = (".xlsx", ".xls", ".ods")


def check_no_sheet(path: str) -> None:
    """Raise BatchError for a spreadsheet, in which GDAL finds no places, even those of QGIS."""
    file = Path(path.partition(LAYER)[0])
    if file.suffix.lower() in _SHEETS and is_file(file):
        raise BatchError(
            f"{file} is a spreadsheet",
            remedy="save the sheet as CSV, answers with the columns patch_id and label, places "
            "with lon and lat, or WKT",
        )


def is_sites(path: str) -> bool:
    """Return whether a file holds places, and not answers to patches.

    Answers are in a CSV with patch_id, or in a GeoPackage whose layer ``labels`` has patch_id; a
    batch is never taken for places. A file of this machine that cannot be opened is said to hold
    answers if it is of their two formats.
    """
    file, _, layer = path.partition(LAYER)
    suffix = Path(file).suffix.lower()
    if not is_local(file):
        return not _answers_elsewhere(file, layer)
    if is_dir(file):
        return True
    if suffix == ".csv":
        return _has_places(Path(file))
    if suffix != ".gpkg":
        return True
    try:
        with Path(file).open("rb") as opened:
            if opened.read(len(_SQLITE)) != _SQLITE:
                return False
        with closing(gpkg.connect_to_foreign(Path(file))) as connection:
            names = gpkg.layers(connection)
            if layer not in ("", LABELS_LAYER):
                return True
            if names is None or BATCH_LAYER in names:
                return False
            # a table's name cannot be a parameter; this one is a constant
            columns = connection.execute(f"PRAGMA table_info({LABELS_LAYER})").fetchall()
    except (OSError, sqlite3.Error):
        return False
    return LABELS_LAYER not in names or "patch_id" not in {row[1] for row in columns}


def _answers_elsewhere(file: str, layer: str) -> bool:
    """Return whether a file on a server or in an archive is known to hold answers to patches."""
    try:
        names = [name for name, _ in vector_files.list_layers(file)]
        if BATCH_LAYER in names and layer in ("", BATCH_LAYER):
            return True
        wanted = names[0] if file.lower().endswith(".csv") else LABELS_LAYER
        is_meant = wanted in names and layer in ("", wanted)
        return is_meant and "patch_id" in vector_files.attributes(file, wanted).names
    except UNREADABLE:  # whoever reads the places says why
        return False


def _has_places(file: Path) -> bool:
    try:
        ((layer, geometry),) = vector_files.list_layers(str(file))
        names = vector_files.attributes(str(file), layer).names
    except UNREADABLE:
        return False
    return geometry is not None and "patch_id" not in names


def holds_a_raster(file: str) -> bool:
    """Return whether a file is a raster without features that GDAL reads, or names one in a file.

    Of a raster in a GeoPackage, GDAL would read the features that are beside it.
    """
    if is_subdataset(file):
        return True
    try:
        if any(kind is not None for _, kind in vector_files.list_layers(file)):
            return False
    except UNREADABLE:
        pass
    is_text = file.lower().endswith((".csv", ".tsv"))  # GDAL takes some tables for rasters
    return not is_text and is_file(file) and not is_osm(file) and is_raster(file)
