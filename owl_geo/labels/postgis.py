"""Answers in PostGIS: a store that a team shares; see ``store.sql`` for the tables.

An append takes the run's lock in the database before it reads the answers to compare with, as the
batches' views do for single answers. Hence ``seq`` is the order in which answers were committed,
two programs that store the same answers do so once, and an aborted transaction is simply repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

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
from owl_geo.labels.checks import check_meaning
from owl_geo.labels.database import POSTGIS_SCHEMA, Database, check_layout, driver
from owl_geo.labels.sharing import Administration, Layers
from owl_geo.schema import LABELS_COLUMNS
from owl_geo.types import Answer

if TYPE_CHECKING:
    from sqlalchemy import Connection

_HISTORY = (
    "SELECT seq, patch_id, label, annotator, labelled_at, batch_id, round, comment"
    " FROM owl_geo.answers WHERE run_id = :run"
)
# One patch of each scene, of those that were answered or published.
_GROUND = r"""
SELECT DISTINCT ON (regexp_replace(p.patch_id, '/[^/]*/[^/]*$', '')) p.patch_id, p.footprint::text
FROM (
    SELECT patch_id, geom AS footprint FROM owl_geo.answers WHERE run_id = %(run)s
    UNION ALL
    SELECT t.patch_id, t.footprint FROM owl_geo.tasks t JOIN owl_geo.batches b USING (batch_id)
        WHERE b.run_id = %(run)s
) p
ORDER BY regexp_replace(p.patch_id, '/[^/]*/[^/]*$', ''), p.patch_id
"""
_PATIENCE = "SELECT set_config('lock_timeout', '30s', true), set_config('timezone', 'UTC', true)"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('owl_geo:' || :run, 0))"
_INSERT = """
INSERT INTO owl_geo.answers
    (run_id, patch_id, label, annotator, labelled_at, moment, batch_id, round, comment, geom)
SELECT :run, a.patch_id, a.label, a.annotator, a.labelled_at,
    a.labelled_at::timestamptz, a.batch_id, a.round, a.comment,
    {postgis}.ST_GeomFromWKB(a.wkb, 4326)
FROM unnest(
    CAST(:patch_id AS text[]), CAST(:label AS text[]), CAST(:annotator AS text[]),
    CAST(:labelled_at AS text[]), CAST(:batch_id AS text[]), CAST(:round AS integer[]),
    CAST(:comment AS text[]), CAST(:wkb AS bytea[])
) WITH ORDINALITY
    AS a (patch_id, label, annotator, labelled_at, batch_id, round, comment, wkb, place)
ORDER BY a.place
"""


class PostGISLabels(LabelStore):
    """The label store of one run in a database; see ``LabelStore`` for what it guarantees.

    ``crs`` is that of the footprints; the database keeps them in EPSG:4326. A label may be None
    there: the annotator withdrew the answer. Until `owl-geo store init` has made the store and
    registered the run, the history is empty and ``append`` raises RunError.
    """

    has_layers = True
    has_administration = True

    def __init__(
        self,
        database: Database,
        run_id: str,
        crs: object,
        labels: tuple[str, ...] | None = None,
    ) -> None:
        self.database = database
        self.run_id = run_id
        self.crs = crs
        self._labels = labels

    @classmethod
    def of_run(cls, address: str | None, run: AnsweredRun) -> Self:
        """Return a run's store in the database at ``address``; see ``Database`` for RunError."""
        assert address is not None  # this store is chosen by an address's scheme
        return cls(Database(address), run.run_id, run.crs, run.labels)

    @property
    def place(self) -> str:
        """The address of the database."""
        return self.database.place

    def layers(self) -> Layers:
        """Return the views in the database, one per batch."""
        from owl_geo.labels.publishing import DatabaseLayers

        return DatabaseLayers(self.database)

    def administration(self) -> Administration:
        """Return the database as its owner sees it."""
        from owl_geo.labels.administration import DatabaseAdministration

        return DatabaseAdministration(self.database, self.run_id)

    def add_class(self, classes: Sequence[str], name: str) -> None:
        """Let the batches' views take the class too; see ``LabelStore``."""
        from owl_geo.labels.administration import extend

        extend(self.database, self.run_id, classes, name)

    def append(
        self, answers: Sequence[Answer], footprints: Mapping[str, shapely.Polygon]
    ) -> Appended:
        """Store the answers that are new in one transaction; see ``LabelStore``.

        If the connection is lost, it is retried for half a minute; then RunError is raised.
        """
        if not answers:
            return Appended(new=0, unchanged=0)
        polygons = [footprints[answer.patch_id] for answer in answers]
        wkb = dict(zip(answers, shapely.to_wkb(on_earth(polygons, self.crs)), strict=True))
        return self.database.work(
            "write the answers", lambda connection: self._append(connection, answers, wkb)
        )

    def _append(
        self, connection: Connection, answers: Sequence[Answer], wkb: Mapping[Answer, bytes]
    ) -> Appended:
        from sqlalchemy import text

        self._check_known(connection)
        connection.execute(text(_PATIENCE))
        connection.execute(text(_LOCK), {"run": self.run_id})
        new = not_stored(answers, self._read(connection, answers))
        if new:
            schema = connection.execute(text(POSTGIS_SCHEMA)).scalar_one()
            columns = {name: [getattr(answer, name) for answer in new] for name in LABELS_COLUMNS}
            connection.execute(
                text(_INSERT.format(postgis=schema)),
                {**columns, "run": self.run_id, "wkb": [wkb[answer] for answer in new]},
            )
        return Appended(new=len(new), unchanged=len(answers) - len(new))

    def lacks(self, answers: Sequence[Answer]) -> list[Answer]:
        """Return those of the answers that the store does not have."""
        return self.database.work(
            "read the answers",
            lambda connection: not_stored(answers, self._read_if_known(connection, answers)),
        )

    def history(self) -> pd.DataFrame:
        """Return all answers in order of arrival: seq, patch_id, label, annotator, ..."""
        history = self.database.work("read the answers", self._read_if_known)
        check_meaning(history, self.place, self._labels)
        return history

    def count(self) -> int:
        """Return how many answers the history has."""
        from sqlalchemy import text

        query = "SELECT count(*) FROM owl_geo.answers WHERE run_id = :run"

        def count(connection: Connection) -> int:
            if not self._knows_run(connection):
                return 0
            return int(connection.execute(text(query), {"run": self.run_id}).scalar_one())

        return self.database.work("read the answers", count)

    def ground(self) -> dict[str, shapely.Polygon]:
        """Return a footprint of each scene in EPSG:4326, by patch_id; see ``LabelStore``."""

        def read(connection: Connection) -> list[tuple[str, str]]:
            if not self._knows_run(connection):
                return []
            return driver(connection).execute(_GROUND.encode(), {"run": self.run_id}).fetchall()

        if self.crs is None:  # the store has no place for them
            return {}
        rows = self.database.work("read where the answers are", read)
        return {patch: shapely.from_wkb(footprint) for patch, footprint in rows}

    def elsewhere(self, patch_id: str, called: Path) -> RunError:
        """Return the error for a run of the same id over other ground."""
        return RunError(
            f"{self.place} has a run {self.run_id} over other ground, where {patch_id} is "
            f"elsewhere than in {called}",
            remedy="make this run anew with another --seed, or with a database of its own",
        )

    def check_ready(self) -> None:
        """Raise RunError where the database has no store, or the run is not registered there."""
        self.database.work("look for the run", self._check_known)

    def _check_known(self, connection: Connection) -> None:
        if not self._knows_run(connection):
            raise RunError(
                f"the label store {self.database.place} does not know this run, {self.run_id}",
                remedy="run `owl-geo store init RUN`",
            )

    def _knows_run(self, connection: Connection) -> bool:
        from sqlalchemy import text

        if connection.execute(text("SELECT to_regclass('owl_geo.runs')")).scalar() is None:
            return False
        query = (
            "SELECT (SELECT max(layout) FROM owl_geo.version),"
            " (SELECT count(*) FROM owl_geo.runs WHERE run_id = :run)"
        )
        layout, n = connection.execute(text(query), {"run": self.run_id}).one()
        if layout is not None:
            check_layout(layout, self.place)
        return bool(n == 1)

    def _read_if_known(
        self, connection: Connection, answers: Sequence[Answer] | None = None
    ) -> pd.DataFrame:
        if self._knows_run(connection):
            return self._read(connection, answers)
        return _table([])

    def _read(
        self, connection: Connection, answers: Sequence[Answer] | None = None
    ) -> pd.DataFrame:
        """Read the history, or its part about the patches of ``answers``."""
        from sqlalchemy import text

        values: dict[str, object] = {"run": self.run_id}
        query = _HISTORY
        if answers is not None:
            query += " AND patch_id = ANY(:patches)"
            values["patches"] = sorted({answer.patch_id for answer in answers})
        rows = connection.execute(text(f"{query} ORDER BY seq"), values).all()
        return _table(rows)


def _table(rows: Sequence[object]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS), dtype=object)
    return table.astype({"seq": np.int64, "round": np.int64})


def on_earth(polygons: Sequence[shapely.Polygon], crs: object) -> list[shapely.Polygon]:
    """Return polygons of ``crs`` in EPSG:4326; unchanged if they have no CRS."""
    if crs is None:
        return list(polygons)
    return reprojected(polygons, CRS.from_user_input(crs), crs_of(GEOGRAPHIC))
