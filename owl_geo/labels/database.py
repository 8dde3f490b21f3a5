"""A PostgreSQL database: its address, how long to wait for it, and errors made readable.

Addresses carry no password. libpq finds one where it always does: PGPASSWORD, PGPASSFILE,
``~/.pgpass``, or the service that PGSERVICE or the address names.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from owl_geo.errors import RunError
from owl_geo.settings.stores import check_address

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow
    from sqlalchemy import Connection, Engine

    Raw = psycopg.Connection[TupleRow]

_log = logging.getLogger("owl_geo")

SCHEMA = "owl_geo"
LAYOUT = 1  # of the store's tables, as store.sql makes them
RETRY_SECONDS = 30.0  # how long to wait for a server that went away
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0

# A ping is a single call into libpq, during which no signal is heard, Ctrl+C included.
_PING_SECONDS = "3"

# Notice an unplugged cable within half a minute, and a missing host at once.
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}

# What a database or a role may set otherwise, and what then means something else on its way to the
# server: backslashes in footprints, and None in a list, which would arrive as the word NULL.
_SETTINGS = (
    "SELECT set_config('standard_conforming_strings', 'on', false),"
    " set_config('array_nulls', 'on', false)"
)

# The schema that PostGIS is installed in, quoted: it may not be on the search path.
POSTGIS_SCHEMA = (
    "SELECT quote_ident(n.nspname) FROM pg_catalog.pg_extension e"
    " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'postgis'"
)

T = TypeVar("T")


class Lost(Exception):
    """The connection broke, or could not be made just now; the work may be retried."""

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


class Database:
    """One database, at an address such as ``postgresql://HOST/DB``.

    Raises RunError where the address holds a password or cannot be parsed, and where the extra
    ``postgis`` is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            check_address(url)
        except ValueError as error:
            raise RunError(f"labels: {error}") from None
        try:
            import psycopg
            import sqlalchemy  # noqa: F401 - both belong to the extra
        except ImportError as error:
            raise RunError(
                f"the labels are in PostgreSQL, for which this installation lacks {error.name}",
                remedy="run pip install 'owl-geo[postgis]'",
            ) from error
        self.url = url
        try:
            # libpq accepts the scheme's short form too
            options = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error as error:
            raise RunError(f"labels is not a PostgreSQL address: {reason(error)}") from None
        self._server = _Server(options)

    @property
    def place(self) -> str:
        """The address, for messages."""
        return self.url

    @cached_property
    def engine(self) -> Engine:
        """SQLAlchemy's engine; it keeps one connection, and checks that this is still alive.

        The connection is closed with the last reference to this object, not whenever cycles are
        next collected: a server has few, and an engine opens a store for each request.
        """
        import sqlalchemy

        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://",
            creator=self._server.connect,
            isolation_level="READ COMMITTED",
            pool_size=1,
            pool_pre_ping=True,
            hide_parameters=True,
        )
        weakref.finalize(self, engine.dispose)
        return engine

    def close(self) -> None:
        """Close the connection that is kept open; the next use makes another."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    def work(self, verb: str, task: Callable[[Connection], T]) -> T:
        """Run ``task`` in one transaction, which must be safe to repeat, and return its result.

        If the server goes away in between, it is waited for up to ``RETRY_SECONDS``; one that has
        never answered is only waited for while it starts. Raises RunError, in one line that
        contains ``verb``, for example "read the answers".
        """
        import psycopg
        import sqlalchemy

        end = time.monotonic() + RETRY_SECONDS
        pause = _FIRST_PAUSE
        while True:
            try:
                with self.engine.begin() as connection:
                    return task(connection)
            except (sqlalchemy.exc.DBAPIError, psycopg.Error, Lost) as error:
                if not self._may_return(error) or time.monotonic() + pause > end:
                    cause, remedy = _cause_and_remedy(error)
                    message = f"cannot {verb} in {self.place}: {cause}"
                    raise RunError(message, remedy=remedy) from None
                if pause == _FIRST_PAUSE:
                    _log.warning("%s does not answer; trying again", self.place)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def where(self) -> tuple[str, int, str]:
        """Return host (or socket folder), port and name of the connected database."""

        def look(connection: Connection) -> tuple[str, int, str]:
            info = driver(connection).info
            return info.host, info.port, info.dbname

        return self.work("look up the name of the server", look)

    def _may_return(self, error: Exception) -> bool:
        """Return whether the server may be back in a moment."""
        import psycopg
        import sqlalchemy

        if isinstance(error, sqlalchemy.exc.DBAPIError):
            return error.connection_invalidated or _went_away(error.orig)
        if isinstance(error, psycopg.Error):
            return _went_away(error)
        return self._server.may_return()


class _Server:
    """How to connect; apart, so that nothing a ``Database`` holds refers back to it."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._reached = False
        self._has_refused = False  # since it was last reached, although it is up
        self._answer: psycopg.pq.Ping | None = None  # to a ping after the last attempt that failed

    def connect(self) -> Raw:
        import psycopg

        options = {**_PATIENCE, "application_name": "owl-geo", **self._options}
        options["client_encoding"] = "UTF8"  # in another, not every name and comment can be sent
        try:
            connection = psycopg.connect(**options)
        except psycopg.OperationalError as error:
            self._answer = self._ping()
            raise Lost(reason(error), remedy=_remedy_for(self._answer)) from None
        self._reached, self._has_refused = True, False
        connection.execute(_SETTINGS)
        connection.commit()
        return connection

    def may_return(self) -> bool:
        """Return whether a server that refused or lost a connection may soon be back."""
        from psycopg.pq import Ping

        if self._answer == Ping.OK:
            # it refuses us, unless it came up again just after the attempt that failed
            is_first, self._has_refused = not self._has_refused, True
            return self._reached and is_first
        return self._reached or self._answer == Ping.REJECT

    def _ping(self) -> psycopg.pq.Ping:
        """Ask whether a server is there: its refusal has no code, and words in its language."""
        import psycopg

        options = {**self._options, "connect_timeout": _PING_SECONDS}
        parameters = psycopg.conninfo.make_conninfo(**options)
        return psycopg.pq.Ping(psycopg.pq.PGconn.ping(parameters.encode()))


def check_layout(layout: int, place: str) -> None:
    """Raise RunError where the tables of the store at ``place`` are those of a newer owl-geo."""
    if layout > LAYOUT:
        raise RunError(
            f"{place} was made by a newer owl-geo (layout {layout}, this one knows {LAYOUT})",
            remedy="upgrade owl-geo",
        )


def driver(connection: Connection) -> Raw:
    """Return psycopg's connection behind SQLAlchemy's, for statements composed from names."""
    raw: Raw | None = connection.connection.driver_connection
    assert raw is not None
    return raw


def address(host: str, port: int, name: str, **further: str) -> str:
    """Return an address without user or password, with ``further`` as its query."""
    if host.startswith("/"):  # the folder of a socket
        query = {"host": host, **({"port": str(port)} if port != 5432 else {}), **further}
        return f"postgresql:///{quote(name, safe='')}?{urlencode(query, safe='/')}"
    shown = f"[{host}]" if ":" in host else quote(host, safe="")
    return f"postgresql://{shown}:{port}/{quote(name, safe='')}?{urlencode(further, safe='/')}"


def reason(error: BaseException) -> str:
    """Return PostgreSQL's or libpq's message in one line, never the statement or its values."""
    message = getattr(getattr(error, "diag", None), "message_primary", None)
    return " ".join(str(message or error).split()).removeprefix("connection failed: ")


@contextmanager
def forbidden(advice: str) -> Iterator[None]:
    """Turn a missing right into a RunError whose remedy is ``advice``."""
    import psycopg

    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise RunError(reason(error), remedy=advice) from None


def _went_away(error: BaseException | None) -> bool:
    import psycopg

    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    # 57P: the server shuts down, has crashed, or starts; 08: the connection is broken; 40: a
    # deadlock, in which this transaction was rolled back
    return error.sqlstate is None or error.sqlstate.startswith(("57P", "08", "40"))


def _cause_and_remedy(error: BaseException) -> tuple[str, str]:
    """Return what went wrong, and what to do about it if that is known."""
    import psycopg

    cause = getattr(error, "orig", None) or error
    message = reason(cause)
    if isinstance(cause, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        return "it holds no label store yet", "run `owl-geo store init RUN`"
    if isinstance(cause, psycopg.errors.LockNotAvailable):
        return "another program is still storing answers", "try again"
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return message, "connect as the role that ran `owl-geo store init`"
    if isinstance(cause, psycopg.errors.ReadOnlySqlTransaction):
        return message, _WRITABLE
    if isinstance(cause, psycopg.errors.QueryCanceled):
        return message, _PATIENT
    if isinstance(cause, psycopg.errors.DiskFull):
        return message, "free space on the server, then try again"
    if isinstance(cause, psycopg.errors.UntranslatableCharacter):
        return message, "keep the answers in a database whose encoding is UTF8"
    if isinstance(cause, Lost):
        return message, cause.remedy
    return message, ""


_WRITABLE = (
    "check that the address is that of the primary server, and that neither the database nor the "
    "role sets default_transaction_read_only"
)
_PATIENT = (
    "try again; if the server's statement_timeout is too short, set another, for example "
    "PGOPTIONS='-c statement_timeout=5min'"
)


def _remedy_for(answer: psycopg.pq.Ping) -> str:
    """Return what to do about a connection that could not be made, by the answer to a ping."""
    from psycopg.pq import Ping

    if answer == Ping.OK:  # a server is there, and refused
        return "check user, password and database: PGUSER, PGPASSWORD or ~/.pgpass, and the address"
    if answer == Ping.REJECT:
        return "try again once the server has started"
    return "check host and port of the address, and that the server runs"
