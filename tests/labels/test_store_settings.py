"""Databases, roles and environments with settings of their own: values arrive as they were sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import shapely
from postgis_server import Server, database_name, new_run, publish_patches

from owl_geo.errors import RunError
from owl_geo.labels import Answer, Appended
from owl_geo.labels.administration import set_up, state
from owl_geo.labels.database import Database
from owl_geo.labels.postgis import PostGISLabels

pytest.importorskip("psycopg")

SETTINGS = [
    "standard_conforming_strings TO off",
    "array_nulls TO off",
    "client_encoding TO 'LATIN1'",
    "client_encoding TO 'SQL_ASCII'",
    "bytea_output TO 'escape'",
    "extra_float_digits TO -15",
    "timezone TO 'Asia/Kolkata'",
    "datestyle TO 'SQL, DMY'",
    "intervalstyle TO 'sql_standard'",
    "search_path TO pg_catalog",
    "default_transaction_isolation TO 'serializable'",
    "row_security TO off",
]
FOOTPRINT = {"scene/0/0": shapely.box(7.123456789012345, 10.1, 8.2, 11.3)}


@pytest.fixture
def with_setting(server: Server, keeper: None) -> Iterator[Callable[[str], Database]]:
    """Call with a setting to make a store in a database that has it."""
    made = []

    def make(setting: str) -> Database:
        database = Database(server.url(server.new_database()))
        made.append(database)
        set_up(database)
        alter(server, database, setting)
        return database

    yield make
    for database in made:
        database.close()


def alter(server: Server, database: Database, setting: str) -> None:
    """Change a setting of a database, and close its connection, which has the old one."""
    name = database_name(database)
    with server.connect("postgres", "postgres") as connection:
        connection.execute(f"ALTER DATABASE {name} SET {setting}")
    database.close()


def an_answer(run_id: str, annotator: str = "ana\u2713 \\n 'x'") -> Answer:
    return Answer("scene/0/0", "present", annotator, "2026-01-02T03:04:05Z", f"{run_id}-000", 0)


@pytest.mark.parametrize("setting", SETTINGS)
def test_answers_arrive_as_they_were_given(
    server: Server, with_setting: Callable[[str], Database], setting: str
) -> None:
    database = with_setting(setting)
    run_id = new_run(database)
    store = PostGISLabels(database, run_id, None)
    given = an_answer(run_id)
    assert store.append([given], FOOTPRINT) == Appended(new=1, unchanged=0)
    assert store.append([given], FOOTPRINT) == Appended(new=0, unchanged=1)
    (row,) = store.history().to_dict("records")
    assert (row["annotator"], row["comment"]) == (given.annotator, None)
    assert row["labelled_at"] == given.labelled_at
    with server.connect(database_name(database), "postgres") as connection:
        connection.execute("SET search_path TO public; SET bytea_output TO hex")
        kept = connection.execute(
            "SELECT ST_AsBinary(geom), extract(epoch FROM moment)::bigint FROM owl_geo.answers"
        ).fetchone()
    assert shapely.from_wkb(bytes(kept[0])).equals_exact(FOOTPRINT["scene/0/0"], tolerance=0)
    assert kept[1] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "setting", [one for one in SETTINGS if "isolation" not in one and "ASCII" not in one]
)
def test_the_view_takes_an_annotators_own_time(
    server: Server,
    with_setting: Callable[[str], Database],
    tmp_path: Path,
    setting: str,
) -> None:
    from owl_geo.labels.administration import add_annotator

    database = with_setting(setting)
    run_id = new_run(database, lease_time=timedelta(minutes=90))
    view = publish_patches(database, run_id, tmp_path)
    add_annotator(database, "ana", server.password)
    with server.connect(database_name(database), "ana") as connection:
        connection.execute(
            f"UPDATE {view} SET label = 'present', labelled_at = '2026-01-31T12:00:00+02:00'"
            " WHERE fid = 1"
        )
        connection.execute(f"UPDATE {view} SET lease = 'take' WHERE fid = 2")
        seen = connection.execute(f"SELECT labelled_at, score FROM {view} WHERE fid = 1").fetchone()
    assert seen == ("2026-01-31T10:00:00Z", 1.0)
    (lease,) = state(database, run_id).leases
    ends = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=90)
    assert abs(lease.expires_at - ends) < timedelta(minutes=1)


def test_a_database_of_another_encoding_says_so(server: Server, keeper: None) -> None:
    name = "in_latin_1"
    with server.connect("postgres", "postgres") as connection:
        connection.execute(
            f"CREATE DATABASE {name} OWNER keeper TEMPLATE template0 ENCODING 'LATIN1'"
            " LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    with server.connect(name, "postgres") as connection:
        connection.execute("CREATE EXTENSION postgis")
    database = Database(server.url(name))
    set_up(database)
    run_id = new_run(database)
    store = PostGISLabels(database, run_id, None)
    with pytest.raises(RunError, match="keep the answers in a database whose encoding is UTF8"):
        store.append([an_answer(run_id)], FOOTPRINT)
    assert store.append([an_answer(run_id, "ren\xe9")], FOOTPRINT).new == 1
    assert store.history()["annotator"].tolist() == ["ren\xe9"]
    database.close()


def test_a_server_that_only_reads_has_a_remedy(with_setting: Callable[[str], Database]) -> None:
    database = with_setting("default_transaction_read_only TO on")
    with pytest.raises(RunError, match=r"read-only transaction; .*the primary server"):
        set_up(database)


def test_a_short_timeout_has_a_remedy(
    with_setting: Callable[[str], Database], server: Server
) -> None:
    database = with_setting("statement_timeout TO 1")
    with server.connect(database_name(database), "postgres") as other:
        # a fast server needs less than a millisecond for each statement, unless it has to wait
        other.execute("SELECT pg_advisory_lock(hashtextextended('owl_geo', 0))")
        message = "canceling statement .*PGOPTIONS='-c statement_timeout=5min'"
        with pytest.raises(RunError, match=message):
            set_up(database)


def test_the_remedy_for_a_short_timeout_is_one(
    with_setting: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = with_setting("statement_timeout TO 1")
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=5min")
    set_up(database)


def test_a_full_disk_is_said_to_be_the_servers(server: Server, team: Database) -> None:
    run_id = new_run(team)
    store = PostGISLabels(team, run_id, None)
    with server.connect(database_name(team), "postgres") as connection:
        connection.execute(
            "CREATE FUNCTION public.fill() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'kein Platz mehr' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER fill BEFORE INSERT ON owl_geo.answers EXECUTE FUNCTION public.fill()"
        )
    with pytest.raises(RunError, match="kein Platz mehr; free space on the server, then try again"):
        store.append([an_answer(run_id)], FOOTPRINT)
    assert store.count() == 0
