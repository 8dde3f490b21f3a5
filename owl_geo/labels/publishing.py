"""A batch as a layer in the database: a view that QGIS opens styled, and that takes answers.

The view has the columns of the batch GeoPackage, followed by ``lease``; ``store.sql`` describes
what an UPDATE of it does.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import shapely

from owl_geo.errors import RunError
from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.labels.administration import ANNOTATORS, act_as_owner, find_postgis
from owl_geo.labels.base import reprojected
from owl_geo.labels.database import SCHEMA, Database, address, driver, reason
from owl_geo.labels.sharing import BatchLayer, Publication
from owl_geo.schema import BATCH_COLUMNS_AFTER, EDITABLE_COLUMNS, LEASE_COLUMN

if TYPE_CHECKING:
    from psycopg import sql
    from sqlalchemy import Connection

    from owl_geo.labels.database import Raw

_log = logging.getLogger("owl_geo")

_LONGEST_NAME = 63  # bytes of a name; PostgreSQL truncates longer ones
_LON_LAT = 4326
_KINDS = {"text", "bigint", "double precision", "boolean"}


@dataclass(frozen=True)
class DatabaseLayers:
    """The batches in a database, as views; see ``Layers``."""

    database: Database

    def publish(
        self, batch: BatchLayer, *, shared: Collection[str], n_annotators: int
    ) -> Publication:
        """Make the batch a view of the database; see ``publish`` below."""
        is_new = publish(self.database, batch, shared=shared, n_annotators=n_annotators)
        host, port, database = self.database.where()
        return Publication(
            layer=batch.name,
            address=address(host, port, database, schema=SCHEMA, layer=batch.name),
            directions=(
                f"a PostgreSQL connection to the database {database} on {host}, port {port}; "
                f"schema {SCHEMA}, layer {batch.name}"
            ),
            is_new=is_new,
        )


def publish(
    database: Database,
    batch: BatchLayer,
    *,
    shared: Collection[str] = (),
    n_annotators: int = 1,
) -> bool:
    """Make the batch a layer of the database, whole or not at all; return whether it is new.

    A batch that exists already stays as it is. The patches in ``shared`` need answers from
    ``n_annotators``, each of whom sees only their own answers, the others from one. Raises RunError
    where the run is not registered with the store, or another batch of that name exists.
    """
    _check(batch)

    def make(connection: Connection) -> bool:
        raw = driver(connection)
        raw.execute("SELECT pg_advisory_xact_lock(hashtextextended('owl_geo', 0))")
        act_as_owner(connection)
        find_postgis(connection)
        if _is_there(raw, batch):
            return False
        srid, polygons = _placed(raw, batch)
        wanted = dict.fromkeys(shared, n_annotators)
        _add_tasks(raw, batch, wanted, srid, polygons)
        _add_view(raw, batch, srid)
        _add_style(raw, batch)
        return True

    return database.work("publish the batch", make)


def _check(batch: BatchLayer) -> None:
    for name in (batch.name, *batch.kinds):
        if len(name.encode()) > _LONGEST_NAME:
            raise RunError(
                f"{name!r} is too long for PostgreSQL, which allows 63 bytes", remedy="rename it"
            )
    unknown = set(batch.kinds.values()) - _KINDS
    assert not unknown, unknown


def _is_there(raw: Raw, batch: BatchLayer) -> bool:
    if raw.execute("SELECT 1 FROM owl_geo.runs WHERE run_id = %s", (batch.run_id,)).rowcount != 1:
        raise RunError(
            f"the label store does not know this run, {batch.run_id}",
            remedy="run `owl-geo store init RUN`",
        )
    rows = raw.execute(
        "SELECT t.patch_id FROM owl_geo.batches b JOIN owl_geo.tasks t USING (batch_id)"
        " WHERE b.batch_id = %s ORDER BY t.fid",
        (batch.batch_id,),
    ).fetchall()
    if not rows:
        return False
    if [patch for (patch,) in rows] != _patch_ids(batch):
        raise RunError(
            f"another batch {batch.batch_id} with other patches is in the label store; "
            "a copy of this run published it",
            remedy="go on with that run, or make another",
        )
    return True


def _patch_ids(batch: BatchLayer) -> list[str]:
    column = list(batch.kinds).index("patch_id")
    pairs = sorted(zip(batch.fids, batch.rows, strict=True), key=lambda pair: pair[0])
    return [str(row[column]) for _, row in pairs]


def _placed(raw: Raw, batch: BatchLayer) -> tuple[int, list[shapely.Polygon]]:
    """Return the SRID and the polygons: of the batch's CRS if PostGIS has it, else EPSG:4326."""
    if batch.crs is None:
        return _LON_LAT, list(batch.polygons)
    authority = batch.crs.to_authority()
    if authority is not None and authority[0] == "EPSG":
        row = raw.execute(
            "SELECT srid FROM spatial_ref_sys WHERE auth_name = 'EPSG' AND auth_srid = %s",
            (int(authority[1]),),
        ).fetchone()
        if row is not None:
            return int(row[0]), list(batch.polygons)
    return _LON_LAT, reprojected(batch.polygons, batch.crs, crs_of(GEOGRAPHIC))


def _add_tasks(
    raw: Raw,
    batch: BatchLayer,
    wanted: Mapping[str, int],
    srid: int,
    polygons: Sequence[shapely.Polygon],
) -> None:
    raw.execute(
        "INSERT INTO owl_geo.batches (batch_id, run_id, round, info, layer)"
        " VALUES (%s, %s, %s, %s, %s)",
        (batch.batch_id, batch.run_id, batch.round, json.dumps(batch.info), batch.name),
    )
    crs = crs_of(GEOGRAPHIC) if batch.crs is None else batch.crs
    footprints = reprojected(batch.polygons, crs, crs_of(GEOGRAPHIC))
    column = list(batch.kinds).index("patch_id")
    rows = zip(
        batch.fids,
        batch.rows,
        shapely.to_wkb(footprints),
        shapely.to_wkb(polygons),
        strict=True,
    )
    with raw.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO owl_geo.tasks"
            " (batch_id, fid, patch_id, wanted, attributes, footprint, geom) VALUES"
            " (%s, %s, %s, %s, %s, ST_GeomFromWKB(%s, 4326), ST_GeomFromWKB(%s, %s))",
            [
                (
                    batch.batch_id,
                    fid,
                    row[column],
                    wanted.get(str(row[column]), 1),
                    _json(dict(zip(batch.kinds, row, strict=True))),
                    footprint,
                    polygon,
                    srid,
                )
                for fid, row, footprint, polygon in rows
            ],
        )


def _json(values: Mapping[str, object]) -> str:
    """Return values as JSON; infinities become words, which PostgreSQL reads as numbers."""
    safe = {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
    return json.dumps(safe, ensure_ascii=False)


# A patch that needs one annotator shows the newest valid answer since the batch was made, whoever
# gave it: one that is asked again is to be answered again. For one that
# needs several, each sees only their own answers. A withdrawn answer is shown to nobody else; a
# comment without a label counts as withdrawn.
_VIEW = """
CREATE VIEW {view} WITH (security_barrier) AS
SELECT t.fid, t.geom::geometry(Polygon, {srid}) AS geom, {before}, s.label, s.annotator, s.comment,
    s.labelled_at, {after}, l.lease
FROM owl_geo.tasks t
LEFT JOIN LATERAL (
    SELECT n.label, n.comment,
        CASE WHEN n.label IS NOT NULL THEN n.annotator END AS annotator,
        CASE WHEN n.label IS NOT NULL THEN n.labelled_at END AS labelled_at
    FROM (
        SELECT DISTINCT ON (a.annotator) a.*
        FROM owl_geo.answers a
        WHERE a.run_id = {run} AND a.patch_id = t.patch_id AND a.seq > {since}
            AND (t.wanted = 1 OR a.annotator = session_user)
        ORDER BY a.annotator, a.moment DESC, a.seq DESC
    ) n
    WHERE n.label IS NOT NULL OR n.annotator = session_user
    ORDER BY n.label IS NULL, n.moment DESC, n.seq DESC
    LIMIT 1
) s ON true
LEFT JOIN LATERAL (
    SELECT l.annotator || ' until ' || to_char(l.expires_at AT TIME ZONE 'UTC', 'HH24:MI') AS lease
    FROM owl_geo.leases l
    WHERE l.run_id = {run} AND l.patch_id = t.patch_id AND l.expires_at > statement_timestamp()
        AND (t.wanted = 1 OR l.annotator = session_user)
    ORDER BY l.expires_at DESC
    LIMIT 1
) l ON true
WHERE t.batch_id = {batch}
"""


def _add_view(raw: Raw, batch: BatchLayer, srid: int) -> None:
    from psycopg import sql

    before = [name for name in batch.kinds if name not in BATCH_COLUMNS_AFTER]
    after = [name for name in BATCH_COLUMNS_AFTER if name in batch.kinds]
    view = sql.Identifier(SCHEMA, batch.name)
    raw.execute(
        sql.SQL(_VIEW).format(
            view=view,
            srid=sql.Literal(srid),
            before=_columns(batch, before),
            after=_columns(batch, after),
            run=sql.Literal(batch.run_id),
            since=sql.Literal(batch.after),
            batch=sql.Literal(batch.batch_id),
        )
    )
    raw.execute(
        sql.SQL(
            "CREATE TRIGGER answer INSTEAD OF UPDATE ON {} FOR EACH ROW"
            " EXECUTE FUNCTION owl_geo.take_answer({})"
        ).format(view, sql.Literal(batch.batch_id))
    )
    may_change = sql.SQL(", ").join(map(sql.Identifier, (*EDITABLE_COLUMNS, LEASE_COLUMN)))
    raw.execute(
        sql.SQL("GRANT SELECT, UPDATE ({}) ON {} TO {}").format(
            may_change, view, sql.Identifier(ANNOTATORS)
        )
    )


def _columns(batch: BatchLayer, names: Sequence[str]) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(", ").join(
        sql.SQL("(t.attributes ->> {})::{} AS {}").format(
            sql.Literal(name), sql.SQL(batch.kinds[name]), sql.Identifier(name)
        )
        for name in names
    )


def _add_style(raw: Raw, batch: BatchLayer) -> None:
    """Store the style with which QGIS opens the layer; without the right to, skip it."""
    import psycopg

    try:
        with raw.transaction():
            raw.execute(
                "INSERT INTO public.layer_styles (f_table_catalog, f_table_schema, f_table_name,"
                " f_geometry_column, styleName, styleQML, useAsDefault, description)"
                " VALUES (current_database(), %s, %s, 'geom', 'owl-geo batch',"
                " XMLPARSE(DOCUMENT %s), true, 'coloured by label')",
                (SCHEMA, batch.name, batch.style),
            )
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable) as error:
        _log.warning("%s opens in QGIS without a style: %s", batch.name, reason(error))
