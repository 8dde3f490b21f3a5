"""A team's store as its administrator sees it: set up, opened to annotators, inspected."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from typing import TYPE_CHECKING

from owl_geo.errors import RunError
from owl_geo.labels.database import (
    POSTGIS_SCHEMA,
    SCHEMA,
    Database,
    check_layout,
    driver,
    forbidden,
    reason,
)
from owl_geo.labels.sharing import Lease, Published, StoreState

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from owl_geo.labels.database import Raw

_log = logging.getLogger("owl_geo")

ANNOTATORS = "owl_geo_annotator"  # the group role; its members may label
_LONGEST_NAME = 63  # bytes of a role's name; PostgreSQL truncates longer ones

# The table as QGIS itself creates it, for the styles that layers open with.
_STYLES = """
CREATE TABLE IF NOT EXISTS public.layer_styles (
    id SERIAL PRIMARY KEY, f_table_catalog varchar, f_table_schema varchar, f_table_name varchar,
    f_geometry_column varchar, styleName text, styleQML xml, styleSLD xml, useAsDefault boolean,
    description text, owner varchar(63) DEFAULT CURRENT_USER, ui xml,
    update_time timestamp DEFAULT CURRENT_TIMESTAMP
);
GRANT SELECT ON public.layer_styles TO owl_geo_annotator
"""


@dataclass(frozen=True)
class DatabaseAdministration:
    """The store of one run in a database; see ``Administration``."""

    database: Database
    run_id: str

    def set_up(
        self, classes: Sequence[str], positive: str, lease_time: timedelta | None = None
    ) -> bool:
        """Make the store in the database and register the run; return whether the run was new."""
        set_up(self.database)
        return register(self.database, self.run_id, classes, positive, lease_time)

    def has_account(self, name: str) -> bool:
        """Return whether the server has a role of that name, annotator or not."""
        return has_role(self.database, name)

    def add_annotator(self, name: str, password: str | None) -> bool:
        """Let a role label in all runs of the store, and return whether it was created."""
        return add_annotator(self.database, name, password)

    def revoke_annotator(self, name: str) -> None:
        """Revoke a role's right to label; its answers stay, and so does the role."""
        revoke_annotator(self.database, name)

    def annotators(self) -> list[str]:
        """Return the roles that may label, sorted by name."""
        return annotators(self.database)

    def state(self) -> StoreState:
        """Return how much each annotator answered, the published batches, and the leases."""
        return state(self.database, self.run_id)


def set_up(database: Database) -> None:
    """Make the store in a database, or bring an existing one up to date; answers stay.

    Raises RunError where the role lacks the right, where PostGIS is missing, and where a newer
    owl-geo made the store.
    """

    import psycopg

    def make(connection: Connection) -> None:
        raw = driver(connection)
        # without a lock, two that run at once would both try to create everything
        raw.execute("SELECT pg_advisory_xact_lock(hashtextextended('owl_geo', 0))")
        _check_layout(connection, database.place)
        act_as_owner(connection)
        with forbidden("ask an administrator for CREATE EXTENSION postgis in this database"):
            try:
                raw.execute("CREATE EXTENSION IF NOT EXISTS postgis")
            except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
                raise RunError(
                    f"the server of {database.place} has no PostGIS ({reason(error)})",
                    remedy="install it there, for example the package postgresql-15-postgis-3",
                ) from None
        find_postgis(connection)
        sql = resources.files("owl_geo.labels").joinpath("store.sql").read_text(encoding="utf-8")
        with forbidden("connect as a role with CREATE on the database and CREATEROLE"):
            raw.execute(sql.encode())
        try:
            with raw.transaction():
                raw.execute(_STYLES)
        except psycopg.errors.InsufficientPrivilege as error:
            _log.warning("batches will open in QGIS without a style: %s", reason(error))

    database.work("make the label store", make)


def register(
    database: Database,
    run_id: str,
    classes: Sequence[str],
    positive: str,
    lease_time: timedelta | None = None,
) -> bool:
    """Register a run with the store, and return whether it was new; its lease time may change.

    Raises RunError where the run is registered with other classes.
    """

    def make(connection: Connection) -> bool:
        raw = driver(connection)
        made = raw.execute(
            "INSERT INTO owl_geo.runs (run_id, classes, positive) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (run_id, list(classes), positive),
        )
        cursor = raw.execute("SELECT classes FROM owl_geo.runs WHERE run_id = %s", (run_id,))
        row = cursor.fetchone()
        if row is None or list(row[0]) != list(classes):
            raise RunError(
                f"{database.place} has run {run_id} with other classes", remedy="make another run"
            )
        if lease_time is not None:
            raw.execute(
                "UPDATE owl_geo.runs SET lease_time = %s WHERE run_id = %s", (lease_time, run_id)
            )
        return made.rowcount == 1

    return database.work("register the run", make)


def extend(database: Database, run_id: str, classes: Sequence[str], name: str) -> None:
    """Add a class to a registered run; a run that is not registered, or has it, stays as it is.

    Raises RunError where the run is registered with other classes.
    """

    def add(connection: Connection) -> None:
        raw = driver(connection)
        cursor = raw.execute("SELECT to_regclass('owl_geo.runs')")
        if (cursor.fetchone() or (None,))[0] is None:
            return
        cursor = raw.execute("SELECT classes FROM owl_geo.runs WHERE run_id = %s", (run_id,))
        row = cursor.fetchone()
        if row is None or list(row[0]) == [*classes, name]:
            return
        if list(row[0]) != list(classes):
            further = list(row[0])[len(classes) :]
            ahead = further and list(row[0])[: len(classes)] == list(classes)
            raise RunError(
                f"{database.place} has run {run_id} with the classes {', '.join(row[0])}",
                remedy=f"add the class {further[0]!r} first" if ahead else "make another run",
            )
        act_as_owner(connection)
        raw.execute(
            "UPDATE owl_geo.runs SET classes = %s WHERE run_id = %s", ([*classes, name], run_id)
        )

    database.work("add the class", add)


def add_annotator(database: Database, name: str, password: str | None) -> bool:
    """Let a role label here, and return whether it was created; ``name`` signs its answers.

    An existing role keeps its password. That of a new one is hashed before it leaves this
    machine. Raises RunError, among other cases where a new role has no password.
    """
    _check_name(name)

    def add(connection: Connection) -> bool:
        from psycopg import sql

        raw = driver(connection)
        is_new = not _knows_role(connection, name)
        role, group = sql.Identifier(name), sql.Identifier(ANNOTATORS)
        with forbidden("connect as a role with CREATEROLE"):
            if is_new:
                if not password:
                    raise RunError(f"{name} needs a password that is not empty")
                hashed = raw.pgconn.encrypt_password(
                    password.encode(), name.encode(), b"scram-sha-256"
                ).decode()
                raw.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(hashed))
                )
            raw.execute(sql.SQL("GRANT {} TO {}").format(group, role))
        return is_new

    return database.work(f"let {name} label", add)


def has_role(database: Database, name: str) -> bool:
    """Return whether the server has a role of that name, annotator or not."""
    _check_name(name)
    return database.work("look for the role", lambda c: _knows_role(c, name))


def revoke_annotator(database: Database, name: str) -> None:
    """Revoke a role's right to label; its answers stay, and so does the role.

    Raises RunError where there is no such annotator.
    """

    def revoke(connection: Connection) -> None:
        from psycopg import sql

        raw = driver(connection)
        role, group = sql.Identifier(name), sql.Identifier(ANNOTATORS)
        if name not in _annotators(connection):
            raise RunError(f"{database.place} has no annotator {name!r}")
        with forbidden("connect as a role with CREATEROLE"):
            raw.execute(sql.SQL("REVOKE {} FROM {}").format(group, role))
        raw.execute("DELETE FROM owl_geo.leases WHERE annotator = %s", (name,))

    database.work(f"revoke the right to label from {name}", revoke)


def annotators(database: Database) -> list[str]:
    """Return the roles that may label, sorted by name."""
    return database.work("look for annotators", _annotators)


def state(database: Database, run_id: str) -> StoreState:
    """Return the store's state for a run; raises RunError where the store does not answer."""

    def look(connection: Connection) -> StoreState:
        raw = driver(connection)
        counts = raw.execute(
            "SELECT annotator, count(*) FROM owl_geo.answers WHERE run_id = %s"
            " GROUP BY annotator ORDER BY 2 DESC, 1",
            (run_id,),
        ).fetchall()
        rows = raw.execute(_PUBLISHED, {"run": run_id}).fetchall()
        batches = [
            (batch, layer, patches, voted + _answered(raw, batch, layer))
            for batch, layer, patches, voted in rows
        ]
        leases = raw.execute(
            "SELECT patch_id, annotator, expires_at AT TIME ZONE 'UTC' FROM owl_geo.leases"
            " WHERE run_id = %s AND expires_at > now() ORDER BY 3 DESC, 1",
            (run_id,),
        ).fetchall()
        return StoreState(
            {str(name): int(n) for name, n in counts},
            tuple(Published(*row) for row in batches),
            tuple(Lease(*row) for row in leases),
        )

    return database.work("look at the store", look)


def _answered(raw: Raw, batch_id: str, layer: str) -> int:
    """Return how many patches of a batch, of those that one person is asked, its view answers.

    The view knows which answers came before the batch, for whose patches they do not count.
    """
    from psycopg import sql

    view = sql.Identifier(SCHEMA, layer)
    found = raw.execute("SELECT to_regclass(%s)", (view.as_string(raw),)).fetchone()
    if found is None or found[0] is None:  # somebody has dropped it
        return 0
    counted = sql.SQL(
        "SELECT count(*) FROM {} v JOIN owl_geo.tasks t ON t.batch_id = %s AND t.fid = v.fid"
        " WHERE t.wanted = 1 AND v.label IS NOT NULL"
    )
    row = raw.execute(counted.format(view), (batch_id,)).fetchone()
    return int(row[0]) if row is not None else 0


_PUBLISHED = """
WITH newest AS (
    SELECT DISTINCT ON (patch_id, annotator) patch_id, annotator, label
    FROM owl_geo.answers WHERE run_id = %(run)s
    ORDER BY patch_id, annotator, moment DESC, seq DESC
), votes AS (  -- a patch that is asked again has answers to an earlier batch
    SELECT a.batch_id, a.patch_id, count(DISTINCT a.annotator) AS n
    FROM owl_geo.answers a JOIN newest USING (patch_id, annotator)
    WHERE a.run_id = %(run)s AND newest.label IS NOT NULL
    GROUP BY a.batch_id, a.patch_id
)
SELECT b.batch_id, b.layer, count(*), count(*) FILTER (WHERE t.wanted > 1 AND v.n >= t.wanted)
FROM owl_geo.batches b
JOIN owl_geo.tasks t ON t.batch_id = b.batch_id
LEFT JOIN votes v ON v.batch_id = t.batch_id AND v.patch_id = t.patch_id
WHERE b.run_id = %(run)s
GROUP BY b.batch_id, b.layer, b.round ORDER BY b.round, b.batch_id
"""


def _annotators(connection: Connection) -> list[str]:
    rows = driver(connection).execute(
        "SELECT m.rolname FROM pg_catalog.pg_auth_members a"
        " JOIN pg_catalog.pg_roles m ON m.oid = a.member"
        " JOIN pg_catalog.pg_roles g ON g.oid = a.roleid WHERE g.rolname = %s ORDER BY 1",
        (ANNOTATORS,),
    )
    return [str(name) for (name,) in rows]


def _knows_role(connection: Connection, name: str) -> bool:
    query = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s"
    return driver(connection).execute(query, (name,)).fetchone() is not None


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise RunError(
            f"{name!r} cannot be an annotator",
            remedy=f"choose a name of 1 to {_LONGEST_NAME} bytes (an accented letter takes two)",
        )
    if name == ANNOTATORS:
        raise RunError(f"{name} is the group of all annotators", remedy="name one of them")


def _check_layout(connection: Connection, place: str) -> None:
    raw = driver(connection)
    version_table = raw.execute("SELECT to_regclass('owl_geo.version')").fetchone()
    if version_table is None or version_table[0] is None:
        return
    row = raw.execute("SELECT layout FROM owl_geo.version").fetchone()
    if row is not None:
        check_layout(int(row[0]), place)


def act_as_owner(connection: Connection) -> None:
    """Continue this transaction as the role that owns the store, if there is one.

    Several people may share that role; what each creates must not belong to them, or
    ``take_answer``, which has the owner's rights, could not read it.
    """
    from psycopg import sql

    raw = driver(connection)
    row = raw.execute(
        "SELECT pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'owl_geo'"
    ).fetchone()
    if row is not None:
        with forbidden("connect as the role that ran `owl-geo store init`, or a member of it"):
            raw.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(row[0])))


def find_postgis(connection: Connection) -> None:
    """Put the schema that PostGIS is in on the search path for this transaction."""
    raw = driver(connection)
    row = raw.execute(POSTGIS_SCHEMA.encode()).fetchone()
    if row is None:
        raise RunError("the database has no PostGIS", remedy="run `owl-geo store init RUN`")
    raw.execute("SELECT set_config('search_path', %s, true)", (f"{row[0]}, pg_catalog",))
