"""Answers in one GeoPackage, ``labels.gpkg``: opens in any GIS, needs no server.

SQLite provides what the store guarantees: a transaction is stored whole or not at all, even if the
process is killed, and a second writer waits for the first. The layer has no spatial index, because
the index's triggers call functions that only GDAL's SQLite has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS
from pyproj.exceptions import ProjError

from owl_geo.disk import gpkg
from owl_geo.disk.atomic import room_for
from owl_geo.disk.presence import exists
from owl_geo.errors import RunError
from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.labels.base import (
    HISTORY_COLUMNS,
    AnsweredRun,
    Appended,
    LabelStore,
    not_stored,
    reprojected,
)
from owl_geo.labels.checks import check_meaning, check_rows
from owl_geo.labels.sharing import Administration, Layers
from owl_geo.schema import LABELS_COLUMNS, LABELS_LAYER
from owl_geo.settings.stores import known_addresses
from owl_geo.types import Answer
from owl_geo.wording import as_typed

_COLUMNS = ", ".join(gpkg.quoted(name) for name in LABELS_COLUMNS)
_INSERT = (
    f"INSERT INTO {gpkg.quoted(LABELS_LAYER)} ({_COLUMNS}, {gpkg.GEOMETRY})"  # noqa: S608 - quoted names
    f" VALUES ({', '.join('?' for _ in LABELS_COLUMNS)}, ?)"
)
_HISTORY = (
    f"SELECT {gpkg.FEATURE_ID}, {_COLUMNS}"  # noqa: S608 - quoted names
    f" FROM {gpkg.quoted(LABELS_LAYER)} ORDER BY {gpkg.FEATURE_ID}"
)
# the first patches of each scene, whose name is theirs without row and column
_GROUND = (
    "SELECT patch_id, shape FROM (SELECT patch_id, shape, row_number() OVER ("
    "PARTITION BY rtrim(rtrim(rtrim(patch_id, '0123456789'), '/'), '0123456789') ORDER BY number"
    ") AS place FROM (SELECT patch_id, min({number}) AS number, {shape} AS shape FROM {layer}"
    " GROUP BY patch_id)) WHERE place <= {most}"
)
_DAMAGED = ("SQLITE_ERROR", "SQLITE_CORRUPT", "SQLITE_NOTADB")  # such as without its table
_OF_A_SCENE = 9  # patches: somebody may have moved the polygon of one
_LON_LAT_ID = 4326  # the srs_id of EPSG:4326 in every GeoPackage
_EXTENT = """
UPDATE gpkg_contents SET
    min_x = min(coalesce(min_x, :min_x), :min_x), min_y = min(coalesce(min_y, :min_y), :min_y),
    max_x = max(coalesce(max_x, :max_x), :max_x), max_y = max(coalesce(max_y, :max_y), :max_y),
    last_change = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE table_name = :layer
"""


FILE_NAME = "labels.gpkg"  # in the run's folder


class GeoPackageLabels(LabelStore):
    """The label store of a run folder; see ``LabelStore`` for what it guarantees.

    ``crs`` is that of the footprints. The first ``append`` creates the file; until then the
    history is empty. A file in another CRS keeps it: footprints are reprojected to it. Messages
    name the path as it is ``called``, None = as it is. Reading refuses what somebody has edited
    into what is no answer, or into one that counts and has none of the ``labels``, None = any.
    """

    def __init__(
        self,
        path: str | Path,
        crs: object,
        called: Path | None = None,
        labels: tuple[str, ...] | None = None,
    ) -> None:
        self.path = Path(path)
        self.crs = crs
        self._called = called or self.path
        self._labels = labels

    @classmethod
    def of_run(cls, address: str | None, run: AnsweredRun) -> Self:
        """Return the store in a run's folder, which needs no address."""
        called = None if run.called is None else run.called / FILE_NAME
        return cls(run.folder / FILE_NAME, run.crs, called, run.labels)

    @property
    def place(self) -> str:
        """The path of the file."""
        return str(self._called)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def layers(self) -> Layers:
        """Raise RunError: a file has no layers for a team."""
        raise self._not_of_a_team()

    def administration(self) -> Administration:
        """Raise RunError: a file needs no administration."""
        raise self._not_of_a_team()

    def _not_of_a_team(self) -> RunError:
        return RunError(
            f"{self.path.parent} keeps its answers in a file",
            remedy=f'for a team, set labels = "{known_addresses()}" at the top of its owl.toml',
        )

    def append(
        self, answers: Sequence[Answer], footprints: Mapping[str, shapely.Polygon]
    ) -> Appended:
        """Store the answers that are new in one transaction; see ``LabelStore``."""
        if not answers:
            return Appended(new=0, unchanged=0)
        with self._one_line("write"), room_for(self.path.parent):
            if not exists(self.path):
                self._create()
            gpkg.clear_made(self.path)
            with self._open() as connection:
                connection.execute("PRAGMA synchronous = FULL")
                # lock before reading, so that no other process adds to the history compared with
                connection.execute("BEGIN IMMEDIATE")
                new = not_stored(answers, self._read(connection))
                if new:
                    polygons = [footprints[answer.patch_id] for answer in new]
                    _insert(connection, new, polygons, self.crs)
                connection.execute("COMMIT")
        return Appended(new=len(new), unchanged=len(answers) - len(new))

    def reproject(self) -> None:
        """Reproject the footprints in the file to ``crs``, in one transaction; answers stay.

        ``crs`` must be EPSG:4326, which every GeoPackage defines. Raises RunError.
        """
        if not exists(self.path):
            return
        target = crs_of(GEOGRAPHIC)
        with (
            self._one_line("write"),
            room_for(self.path.parent),
            self._open() as connection,
        ):
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            column, srs_id = gpkg.geometry_column(connection, LABELS_LAYER)
            crs = gpkg.crs_of(connection, srs_id)
            if crs is None or crs == target:
                return
            layer, geometry = gpkg.quoted(LABELS_LAYER), gpkg.quoted(column)
            rows = connection.execute(
                f"SELECT {gpkg.FEATURE_ID}, {geometry} FROM {layer}"  # noqa: S608 - quoted names
            ).fetchall()
            polygons = reprojected(gpkg.from_blobs([blob for _, blob in rows]), crs, target)
            connection.executemany(
                f"UPDATE {layer} SET {geometry} = ? WHERE {gpkg.FEATURE_ID} = ?",  # noqa: S608 - quoted names
                [
                    (blob, number)
                    for blob, (number, _) in zip(
                        gpkg.to_blobs(polygons, _LON_LAT_ID), rows, strict=True
                    )
                ],
            )
            for table in ("gpkg_geometry_columns", "gpkg_contents"):
                connection.execute(
                    f"UPDATE {table} SET srs_id = ? WHERE table_name = ?",  # noqa: S608 - fixed names
                    (_LON_LAT_ID, LABELS_LAYER),
                )
            connection.execute(
                "UPDATE gpkg_contents SET min_x = NULL, min_y = NULL, max_x = NULL, max_y = NULL"
                " WHERE table_name = ?",
                (LABELS_LAYER,),
            )
            if polygons:
                _widen_extent(connection, polygons)
            connection.execute("COMMIT")

    def history(self) -> pd.DataFrame:
        """Return all answers in order of arrival: seq, patch_id, label, annotator, ..."""
        if not exists(self.path):
            return _typed([])
        with self._one_line("read"), self._open() as connection:
            return self._read(connection)

    def _read(self, connection: sqlite3.Connection) -> pd.DataFrame:
        rows = connection.execute(_HISTORY).fetchall()
        check_rows(rows, self.place)
        table = _typed(rows)
        check_meaning(table, self.place, self._labels)
        return table

    def count(self) -> int:
        """Return how many answers the history has."""
        if not exists(self.path):
            return 0
        with self._one_line("read"), self._open() as connection:
            query = f"SELECT count(*) FROM {gpkg.quoted(LABELS_LAYER)}"  # noqa: S608 - quoted names
            return int(connection.execute(query).fetchone()[0])

    def ground(self) -> dict[str, shapely.Polygon]:
        """Return footprints of each scene in EPSG:4326, by patch_id; see ``LabelStore``.

        Empty where the file does not say where they are.
        """
        if not exists(self.path):
            return {}
        with self._one_line("read"), self._open() as connection:
            column, srs_id = gpkg.geometry_column(connection, LABELS_LAYER)
            crs = gpkg.crs_of(connection, srs_id)
            query = _GROUND.format(
                number=gpkg.FEATURE_ID,
                shape=gpkg.quoted(column),
                layer=gpkg.quoted(LABELS_LAYER),
                most=_OF_A_SCENE,
            )
            rows = connection.execute(query).fetchall() if crs is not None else []
        shapes = gpkg.from_blobs([blob for _, blob in rows])
        known = [n for n, shape in enumerate(shapes) if shape is not None and not shape.is_empty]
        if crs is None or not known:
            return {}
        try:
            polygons = reprojected(shapes[known], crs, crs_of(GEOGRAPHIC))
        except ProjError:  # it is on no globe
            return {}
        return {rows[n][0]: polygon for n, polygon in zip(known, polygons, strict=True)}

    def elsewhere(self, patch_id: str, called: Path) -> RunError:
        """Return the error for answers on other ground, from a file that was copied here."""
        return RunError(
            f"{self.place} has answers on other ground, where {patch_id} is elsewhere than in "
            f"{called}",
            remedy=f"restore the run's own {self.name}, or move this one out of the run and use "
            f"`owl-geo labels import {as_typed(called)} FILE`, which goes by the ground",
        )

    def _create(self) -> None:
        text = {name: np.empty(0, dtype=object) for name in LABELS_COLUMNS}
        empty = gpd.GeoDataFrame(
            {**text, "round": np.empty(0, dtype=np.int64)},
            geometry=gpd.GeoSeries([], crs=self.crs),
        )
        try:
            gpkg.create(self.path, empty, LABELS_LAYER, spatial_index=False)
        except (OSError, sqlite3.Error):
            if not exists(self.path):
                raise
            # another process was faster; its file is used

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file; closing it without COMMIT rolls back."""
        # open for writing even to read: what a killed process left half-done must be rolled back
        connection = gpkg.connect(self.path, "rw")
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _one_line(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            reason, remedy = getattr(error, "strerror", None) or str(error), ""
            kind = getattr(error, "sqlite_errorname", "")
            if kind.startswith("SQLITE_BUSY"):
                reason = "another program is writing to it"
                remedy = "wait until it is done, then try again"
            elif kind.startswith(_DAMAGED):
                remedy = (
                    "restore it from a copy; without one, move it away and ingest the run's "
                    "batches again, whose files have the answers too"
                )
            message = f"cannot {verb} the answers in {self._called}: {reason}"
            raise RunError(message, remedy=remedy) from error


def _typed(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS), dtype=object)
    return table.astype({"seq": np.int64, "round": np.int64})


def _insert(
    connection: sqlite3.Connection,
    answers: Sequence[Answer],
    polygons: Sequence[shapely.Polygon],
    crs: object,
) -> None:
    _, srs_id = gpkg.geometry_column(connection, LABELS_LAYER)
    file_crs = gpkg.crs_of(connection, srs_id)
    if file_crs is not None and crs is not None:
        polygons = reprojected(polygons, CRS.from_user_input(crs), file_crs)
    rows = (
        (*(getattr(answer, name) for name in LABELS_COLUMNS), blob)
        for answer, blob in zip(answers, gpkg.to_blobs(polygons, srs_id), strict=True)
    )
    connection.executemany(_INSERT, rows)
    _widen_extent(connection, polygons)


def _widen_extent(connection: sqlite3.Connection, polygons: Sequence[shapely.Polygon]) -> None:
    extent = dict(
        zip(
            ("min_x", "min_y", "max_x", "max_y"),
            shapely.total_bounds(polygons).tolist(),
            strict=True,
        )
    )
    connection.execute(_EXTENT, {**extent, "layer": LABELS_LAYER})
