"""A batch as a view in PostGIS: what it shows, what it takes, and what it refuses to whom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chosen import CONCEPTS
from postgis_server import Server, database_name, new_run, publish_patches

from owl_geo import schema
from owl_geo.errors import RunError
from owl_geo.labels import Answer
from owl_geo.labels.administration import register, revoke_annotator, set_up, state
from owl_geo.labels.database import Database
from owl_geo.labels.postgis import PostGISLabels

psycopg = pytest.importorskip("psycopg")
errors = psycopg.errors

IDS = [f"scene/0/{i * 32}" for i in range(4)]


class Desk:
    """An annotator's own connection, and the batch that is open on it."""

    def __init__(self, connection: Any, view: str) -> None:
        self.connection = connection
        self.view = view

    def do(self, statement: str, *values: object) -> Any:
        return self.connection.execute(statement.replace("@batch", self.view), values or None)

    def set(self, place: int, **values: object) -> None:
        words = ", ".join(f"{name} = %s" for name in values)
        done = self.do(f"UPDATE @batch SET {words} WHERE fid = %s", *values.values(), place)
        assert done.rowcount == 1

    def see(self, place: int, *columns: str) -> tuple[Any, ...]:
        names = ", ".join(columns or ("label", "annotator", "comment", "lease"))
        row = self.do(f"SELECT {names} FROM @batch WHERE fid = %s", place).fetchone()
        assert row is not None
        return tuple(row)


@pytest.fixture(scope="module")
def shop(server: Server, store_of_all_tests: Database) -> Database:
    from owl_geo.labels.administration import add_annotator

    for name in ("ana", "ben", 'o"dd'):
        add_annotator(store_of_all_tests, name, server.password)
    return store_of_all_tests


@pytest.fixture
def desk(server: Server, shop: Database) -> Iterator[Callable[[str, str], Desk]]:
    """Call with a role and a view."""
    with ExitStack() as stack:
        yield lambda role, view: Desk(
            stack.enter_context(server.connect(database_name(shop), role)), view
        )


@pytest.fixture
def run_id(shop: Database) -> str:
    return new_run(shop)


@pytest.fixture
def view(shop: Database, run_id: str, tmp_path: Path) -> str:
    """A batch of four patches that one annotator is to answer."""
    return publish_patches(shop, run_id, tmp_path)


@pytest.fixture
def history(shop: Database, run_id: str) -> Callable[[], list[tuple[str, str | None, str]]]:
    def read() -> list[tuple[str, str | None, str]]:
        rows = PostGISLabels(shop, run_id, None).history()
        return [(row.patch_id, row.label, row.annotator) for row in rows.itertuples(index=False)]

    return read


# --- what it shows --------------------------------------------------------------------------------


def test_the_view_has_the_columns_of_the_file_and_lease(
    desk: Callable[..., Desk], view: str
) -> None:
    ana = desk("ana", view)
    cursor = ana.do("SELECT * FROM @batch ORDER BY fid")
    names = [column.name for column in cursor.description]
    assert names == [
        *("fid", "geom", *schema.BATCH_COLUMNS_BEFORE, *CONCEPTS),
        *(*schema.BATCH_COLUMNS_AFTER, "lease"),
    ]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert [row["fid"] for row in rows] == [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert [row["patch_id"] for row in rows] == IDS
    assert [row["land_cover"] for row in rows] == ["forest", "urban"] * 2
    assert [row["urban"] for row in rows] == [False, True] * 2
    assert [row["dist_industrial"] for row in rows] == [0, None, 200, 300]
    assert rows[1]["score"] == 1 - 0.5 / 3 and rows[0]["probability"] is None
    assert {row["label"] for row in rows} == {row["lease"] for row in rows} == {None}


@pytest.mark.parametrize(
    ("crs", "srid"), [("EPSG:32631", 32631), ("EPSG:4326", 4326), ("ESRI:54009", 4326)]
)
def test_geometries_are_in_the_batchs_crs_if_it_has_a_code(
    shop: Database, run_id: str, tmp_path: Path, desk: Callable[..., Desk], crs: str, srid: int
) -> None:
    corner = (9.5, 47.2) if crs == "EPSG:4326" else (5e5, 5.6e6)
    edge = 0.004 if crs == "EPSG:4326" else 320
    view = publish_patches(shop, run_id, tmp_path, crs=crs, corner=corner, edge=edge)
    ana = desk("ana", view)
    name = view.partition(".")[2].strip('"')
    known = "SELECT type, srid FROM geometry_columns WHERE f_table_name = %s"
    assert ana.do(known, name).fetchall() == [("POLYGON", srid)]
    box = "SELECT ST_XMin(e), ST_YMax(e) FROM (SELECT ST_Extent(geom) e FROM @batch) x"
    if srid != 4326 or crs == "EPSG:4326":
        assert ana.do(box).fetchone() == pytest.approx(corner)
    ana.set(1, label="present")
    kept = "SELECT ST_SRID(geom), ST_IsValid(geom) FROM owl_geo.answers WHERE run_id = %s"
    assert desk("keeper", view).do(kept, run_id).fetchall() == [(4326, True)]


def test_publishing_again_changes_nothing_and_another_batch_is_refused(
    shop: Database, run_id: str, tmp_path: Path, desk: Callable[..., Desk], view: str
) -> None:
    ana = desk("ana", view)
    ana.set(1, label="present")
    (tmp_path / "again").mkdir()
    assert publish_patches(shop, run_id, tmp_path / "again") == view
    assert ana.see(1, "label") == ("present",)
    (tmp_path / "other").mkdir()
    with pytest.raises(RunError, match="with other patches is in the label store"):
        publish_patches(shop, run_id, tmp_path / "other", n=3)


def test_publishing_needs_a_known_run(shop: Database, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not know this run, nobody; run `owl-geo store init"):
        publish_patches(shop, "nobody", tmp_path)


def test_the_stores_answers_show_in_the_view(
    shop: Database, run_id: str, view: str, desk: Callable[..., Desk]
) -> None:
    import shapely

    store = PostGISLabels(shop, run_id, None)
    told = Answer(IDS[2], "absent", "Zoé", "2026-01-01T00:00:00Z", f"{run_id}-000", 0, "why")
    store.append([told], {IDS[2]: shapely.box(0, 0, 1, 1)})
    seen = desk("ana", view).see(3, "label", "annotator", "comment", "labelled_at")
    assert seen == ("absent", "Zoé", "why", "2026-01-01T00:00:00Z")


# --- what it takes --------------------------------------------------------------------------------


def test_an_answer_carries_the_roles_name_and_the_servers_time(
    desk: Callable[..., Desk], view: str, history: Callable[[], Any]
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    ana = desk('o"dd', view)
    ana.set(1, label="present", annotator="ben", comment=" by the river ")
    label, annotator, comment, lease = ana.see(1)
    assert (label, annotator, comment, lease) == ("present", 'o"dd', "by the river", None)
    (stamp,) = ana.see(1, "labelled_at")
    moment = datetime.strptime(stamp, schema.TIME_FORMAT).replace(tzinfo=UTC)
    assert before < moment < datetime.now(UTC) + timedelta(seconds=2)
    assert history() == [(IDS[0], "present", 'o"dd')]


def test_what_did_not_change_stores_nothing(
    desk: Callable[..., Desk], view: str, history: Callable[[], Any]
) -> None:
    ana = desk("ana", view)
    ana.set(1, label="present")
    ana.set(1, label="present")
    ana.set(1, annotator="ben", labelled_at="2026-01-01T00:00:00Z")
    ana.set(1, label="present", comment="")
    ana.do("UPDATE @batch SET label = label, comment = comment, lease = lease")
    assert len(history()) == 1
    ana.set(1, comment="sure")
    assert history() == [(IDS[0], "present", "ana")] * 2


def test_an_answer_can_be_taken_back_by_who_gave_it(
    shop: Database, run_id: str, desk: Callable[..., Desk], view: str, history: Callable[[], Any]
) -> None:
    ana, ben = desk("ana", view), desk("ben", view)
    ana.set(1, label="present")
    with pytest.raises(psycopg.Error, match="was labelled by ana, who alone can take that back"):
        ben.set(1, label=None)
    ana.set(1, label=None)
    assert ana.see(1, "label", "annotator", "labelled_at") == (None, None, None)
    assert history() == [(IDS[0], "present", "ana"), (IDS[0], None, "ana")]
    assert len(PostGISLabels(shop, run_id, None).current()) == 0
    ben.set(1, label="absent")
    assert ana.see(1, "label", "annotator") == ("absent", "ben")


def test_a_comment_without_a_label_is_kept_for_who_wrote_it(
    desk: Callable[..., Desk], view: str
) -> None:
    ana, ben = desk("ana", view), desk("ben", view)
    ana.set(1, comment="ask the ranger")
    assert ana.see(1, "label", "comment") == (None, "ask the ranger")
    assert ben.see(1, "label", "comment") == (None, None)
    ben.set(1, label="absent")
    assert ana.see(1, "label", "annotator", "comment") == ("absent", "ben", None)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
        ("2026-01-31T12:00", "2026-01-31T12:00:00Z"),
        ("2999-01-31T12:00:00Z", None),
        ("2026-02-31T12:00:00Z", None),
        ("yesterday", None),
        ("-infinity", None),
        ("", None),
    ],
)
def test_a_time_of_ones_own_counts_if_it_is_one_and_has_come(
    desk: Callable[..., Desk], view: str, given: str, stored: str | None
) -> None:
    ana = desk("ana", view)
    ana.set(1, label="present", labelled_at=given)
    (found,) = ana.see(1, "labelled_at")
    if stored is not None:
        assert found == stored
    else:
        now = datetime.now(UTC).replace(tzinfo=None)
        assert abs(datetime.strptime(found, schema.TIME_FORMAT) - now) < timedelta(seconds=5)


def test_the_newest_answer_shows_even_with_an_older_time(
    desk: Callable[..., Desk], view: str
) -> None:
    ana = desk("ana", view)
    ana.set(1, label="present", labelled_at="2026-01-31T12:00:00Z")
    ana.set(1, label="absent", labelled_at="2026-01-30T12:00:00Z")
    assert ana.see(1, "label") == ("absent",)


def test_only_labels_of_the_run_are_taken(desk: Callable[..., Desk], view: str) -> None:
    ana = desk("ana", view)
    for word in ("unsure", "skip", "present"):
        ana.set(1, label=word)
    with pytest.raises(
        psycopg.Error,
        match="patch scene/0/0 cannot be labelled 'mine'; known: absent, present, unsure, skip",
    ):
        ana.set(1, label="mine")
    ana.set(1, label="")  # as a form writes nothing
    assert ana.see(1, "label") == (None,)


def test_nothing_else_of_a_batch_can_be_changed(
    server: Server, shop: Database, desk: Callable[..., Desk], view: str
) -> None:
    ana = desk("ana", view)
    for column, value in (("rank", 7), ("patch_id", "x"), ("land_cover", "urban"), ("geom", None)):
        with pytest.raises(errors.InsufficientPrivilege):
            ana.set(1, **{column: value})
    keeper = desk("keeper", view)
    for column, value in (("rank", 7), ("patch_id", "x"), ("land_cover", "urban"), ("geom", None)):
        with pytest.raises(psycopg.Error, match="only label, comment and lease of patch"):
            keeper.set(1, **{column: value})


# --- leases ---------------------------------------------------------------------------------------


def test_a_patch_that_is_taken_is_kept_from_others(desk: Callable[..., Desk], view: str) -> None:
    ana, ben = desk("ana", view), desk("ben", view)
    ben.set(1, lease="take")
    until = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%H:%M")
    (lease,) = ana.see(1, "lease")
    name, _, shown = lease.partition(" until ")
    assert name == "ben" and abs(minutes(shown) - minutes(until)) in (0, 1, 24 * 60 - 1)
    message = (
        rf"^patch scene/0/0 is being labelled by ben until {shown} UTC; "
        r"take it over, or choose another\n"
    )
    with pytest.raises(psycopg.Error, match=message) as caught:
        ana.set(1, lease="take")
    assert caught.value.sqlstate == "OWL01"
    with pytest.raises(psycopg.Error, match=message):
        ana.set(1, label="present")
    ben.set(1, label="absent")
    assert ana.see(1) == ("absent", "ben", None, None)  # what is answered needs no lease


def minutes(clock: str) -> int:
    hours, _, rest = clock.partition(":")
    return 60 * int(hours) + int(rest)


def test_a_lease_is_taken_over_and_given_back(
    shop: Database, run_id: str, desk: Callable[..., Desk], view: str
) -> None:
    ana, ben = desk("ana", view), desk("ben", view)
    ben.set(1, lease="take")
    ana.set(1, lease="Take over ")
    assert ben.see(1, "lease")[0].startswith("ana until ")
    ben.set(1, lease="release")  # has none any more
    assert [(e.patch_id, e.annotator) for e in state(shop, run_id).leases] == [(IDS[0], "ana")]
    with pytest.raises(psycopg.Error, match="is being labelled by ana"):
        ben.set(1, label="absent")
    ana.set(1, lease="release")
    assert ben.see(1, "lease") == (None,)
    ana.set(1, lease="take")
    ana.set(1, lease=None)  # as a form gives it back
    assert ben.see(1, "lease") == (None,)
    with pytest.raises(psycopg.Error, match="takes the words take, take over and release"):
        ana.set(1, lease="mine!")


def test_an_expired_lease_counts_as_none_and_is_renewed_by_taking(
    shop: Database, tmp_path: Path, desk: Callable[..., Desk]
) -> None:
    run_id = new_run(shop, lease_time=timedelta(seconds=0.4))
    view = publish_patches(shop, run_id, tmp_path)
    ana, ben = desk("ana", view), desk("ben", view)
    ana.set(1, lease="take")
    time.sleep(0.5)
    assert ben.see(1, "lease") == (None,)
    ben.set(1, lease="take")
    register(shop, run_id, ("absent", "present"), "present", timedelta(minutes=5))
    ben.set(1, lease="take")
    time.sleep(0.5)
    with pytest.raises(psycopg.Error, match="is being labelled by ben"):
        ana.set(1, label="present")


def test_what_another_answered_is_refused_until_it_is_taken_over(
    desk: Callable[..., Desk], view: str, history: Callable[[], Any]
) -> None:
    ana, ben = desk("ana", view), desk("ben", view)
    ben.set(1, label="absent")
    message = r"^patch scene/0/0 was labelled by ben at \d{4}-\d\d-\d\d \d\d:\d\d UTC; take it over"
    for change in ({"label": "present"}, {"lease": "take"}, {"comment": "no"}):
        with pytest.raises(psycopg.Error, match=message) as caught:
            ana.set(1, **change)
        assert caught.value.sqlstate == "OWL02"
    ana.set(1, lease="take over")
    ana.set(1, label="present")
    assert ben.see(1) == ("present", "ana", None, None)
    assert len(history()) == 2


def test_the_same_patch_in_two_batches_is_one_piece_of_work(
    shop: Database, run_id: str, tmp_path: Path, desk: Callable[..., Desk], view: str
) -> None:
    later = publish_patches(shop, run_id, tmp_path, number=1)
    ana, ben = desk("ana", view), desk("ben", later)
    ana.set(1, lease="take")
    with pytest.raises(psycopg.Error, match="is being labelled by ana"):
        ben.set(1, label="present")
    ana.set(2, label="present")
    assert ben.see(2, "label", "annotator") == ("present", "ana")


def test_shared_patches_show_ones_own_answers_only(
    shop: Database, run_id: str, tmp_path: Path, desk: Callable[..., Desk]
) -> None:
    view = publish_patches(shop, run_id, tmp_path, shared=[0, 2], n_annotators=2)
    ana, ben = desk("ana", view), desk("ben", view)
    ana.set(1, lease="take")
    assert ben.see(1, "lease") == (None,)
    ben.set(1, lease="take")  # each for themselves
    ana.set(1, label="present", comment="clear")
    assert ben.see(1)[:3] == (None, None, None)
    ben.set(1, label="absent")
    assert ana.see(1)[:3] == ("present", "ana", "clear")
    assert state(shop, run_id).batches[0].answered == 1
    ana.set(3, label="present")
    assert state(shop, run_id).batches[0].answered == 1
    ana.set(2, label="present")
    assert state(shop, run_id).batches[0].answered == 2
    hidden = "SELECT count(*) FROM @batch WHERE fid = 3 AND pg_temp.leak(label, annotator)"
    ben.do(
        "CREATE FUNCTION pg_temp.leak(a text, b text) RETURNS boolean LANGUAGE plpgsql COST 0.0001"
        " AS $$ BEGIN RAISE NOTICE 'saw % %', a, b; RETURN true; END $$"
    )
    heard: list[str] = []
    ben.connection.add_notice_handler(lambda said: heard.append(said.message_primary))
    ben.do(hidden)
    assert heard == ["saw <NULL> <NULL>"]


def test_an_answer_in_a_fixed_snapshot_is_refused(desk: Callable[..., Desk], view: str) -> None:
    ana = desk("ana", view)
    ana.do("SET default_transaction_isolation = 'repeatable read'")
    with pytest.raises(psycopg.Error, match="answers need the isolation level read committed"):
        ana.set(1, label="present")


# --- rights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO owl_geo.answers (run_id) VALUES ('x')",
        "UPDATE owl_geo.answers SET label = 'present'",
        "DELETE FROM owl_geo.answers",
        "TRUNCATE owl_geo.answers",
        "SELECT * FROM owl_geo.answers",
        "SELECT * FROM owl_geo.tasks",
        "UPDATE owl_geo.tasks SET wanted = 5",
        "INSERT INTO owl_geo.tasks (batch_id) VALUES ('x')",
        "SELECT * FROM owl_geo.leases",
        "DELETE FROM owl_geo.leases",
        "UPDATE owl_geo.runs SET classes = '{x}'",
        "UPDATE owl_geo.batches SET layer = 'x'",
        "UPDATE owl_geo.version SET layout = 9",
        "DELETE FROM @batch",
        "INSERT INTO @batch (fid) VALUES (9)",
        "DROP VIEW @batch",
        "DROP TABLE owl_geo.answers",
        "DROP SCHEMA owl_geo CASCADE",
        "CREATE OR REPLACE VIEW @batch AS SELECT 1 AS fid",
        "ALTER VIEW @batch OWNER TO ana",
        "DROP TRIGGER answer ON @batch",
        "ALTER TABLE owl_geo.answers DISABLE TRIGGER answers_stay",
        "CREATE TABLE owl_geo.mine (a int)",
        "CREATE FUNCTION owl_geo.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION owl_geo.take_answer() RESET search_path",
        "GRANT owl_geo_annotator TO ben",
        "CREATE ROLE eve",
        "ALTER ROLE ben PASSWORD 'x'",
        "SET ROLE keeper",
        "SET SESSION AUTHORIZATION ben",
        "SET session_replication_role = replica",
        "UPDATE public.layer_styles SET styleQML = ''",
        "CREATE TRIGGER t INSTEAD OF UPDATE ON @batch FOR EACH ROW"
        " EXECUTE FUNCTION owl_geo.take_answer('x')",
    ],
)
def test_an_annotator_can_only_answer(desk: Callable[..., Desk], view: str, statement: str) -> None:
    # a view that joins takes neither rows nor their end, whoever asks
    with pytest.raises((errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState)):
        desk("ana", view).do(statement)


def test_the_owners_functions_serve_no_table_of_an_annotators_own(
    desk: Callable[..., Desk], view: str
) -> None:
    ana = desk("ana", view)
    ana.do("CREATE TEMP TABLE mine AS SELECT * FROM @batch")
    with pytest.raises(errors.InsufficientPrivilege):
        ana.do(
            "CREATE TRIGGER t BEFORE UPDATE ON mine FOR EACH ROW"
            " EXECUTE FUNCTION owl_geo.take_answer('x')"
        )
    with pytest.raises(errors.InsufficientPrivilege):
        ana.do("SELECT owl_geo.take_answer()")


def test_names_of_an_annotators_own_do_not_reach_the_owners_functions(
    desk: Callable[..., Desk], view: str, history: Callable[[], Any]
) -> None:
    ana = desk("ana", view)
    for body in (
        "CREATE FUNCTION pg_temp.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
        " AS 'SELECT ''1999-01-01''::timestamptz'",
        "CREATE FUNCTION pg_temp.btrim(text) RETURNS text LANGUAGE sql AS 'SELECT ''hijacked'''",
        "CREATE TEMP TABLE answers (a int)",
        "CREATE TEMP TABLE pg_roles (a int)",
    ):
        ana.do(body)
    ana.do("SET search_path = pg_temp, owl_geo, public, pg_catalog")
    ana.do("SET timezone = 'Asia/Tokyo'")
    ana.do("SET datestyle = 'German'")
    ana.set(1, label="present", comment="mine", lease="release")
    (stamp,) = ana.see(1, "labelled_at")
    moment = datetime.strptime(stamp, schema.TIME_FORMAT)
    assert abs(moment - datetime.now(UTC).replace(tzinfo=None)) < timedelta(seconds=5)
    assert ana.see(1, "comment") == ("mine",)
    assert history() == [(IDS[0], "present", "ana")]


def test_whoever_is_no_annotator_sees_nothing(
    server: Server, shop: Database, view: str, desk: Callable[..., Desk]
) -> None:
    with server.connect("postgres", "postgres") as root:
        root.execute(f"CREATE ROLE stranger LOGIN PASSWORD '{server.password}'")
    stranger = desk("stranger", view)
    for statement in ("SELECT * FROM @batch", "SELECT * FROM owl_geo.runs"):
        with pytest.raises(errors.InsufficientPrivilege):
            stranger.do(statement)


def test_one_who_left_can_answer_no_more_and_their_answers_stay(
    server: Server, shop: Database, view: str, desk: Callable[..., Desk], history: Callable[[], Any]
) -> None:
    from owl_geo.labels.administration import add_annotator

    add_annotator(shop, "cleo", server.password)
    cleo, ana = desk("cleo", view), desk("ana", view)
    cleo.set(1, label="present")
    cleo.set(2, lease="take")
    revoke_annotator(shop, "cleo")
    with pytest.raises(errors.InsufficientPrivilege):
        cleo.set(1, label="absent")
    ana.set(2, label="absent")  # the lease went with the right
    assert history() == [(IDS[0], "present", "cleo"), (IDS[1], "absent", "ana")]
    with pytest.raises(RunError, match="has no annotator 'cleo'"):
        revoke_annotator(shop, "cleo")


@pytest.mark.parametrize("statement", ["UPDATE", "DELETE", "TRUNCATE"])
def test_not_even_the_owner_or_root_changes_an_answer(
    server: Server, shop: Database, view: str, desk: Callable[..., Desk], statement: str
) -> None:
    desk("ana", view).set(1, label="present")
    words = {
        "UPDATE": "UPDATE owl_geo.answers SET label = 'absent'",
        "DELETE": "DELETE FROM owl_geo.answers",
        "TRUNCATE": "TRUNCATE owl_geo.answers",
    }[statement]
    for role in ("keeper", "postgres"):
        someone = desk(role, view)
        if role == "postgres":
            someone.do("SET session_replication_role = replica")
        with pytest.raises(psycopg.Error, match=f"only ever added: {statement} is refused"):
            someone.do(words)
    assert desk("ana", view).see(1, "label") == ("present",)


def test_a_store_can_be_made_again_and_keeps_what_it_has(
    shop: Database, view: str, desk: Callable[..., Desk], history: Callable[[], Any]
) -> None:
    ana = desk("ana", view)
    ana.set(1, label="present")
    ana.set(2, lease="take")
    set_up(shop)
    set_up(shop)
    ana.set(3, label="absent")
    assert len(history()) == 2
    assert ana.see(2, "lease")[0].startswith("ana until ")


def test_a_store_of_a_newer_layout_is_left_alone(server: Server, team: Database) -> None:
    with server.connect(database_name(team)) as keeper:
        keeper.execute("UPDATE owl_geo.version SET layout = 2")
    labels = PostGISLabels(team, "a0b1c2d3", "EPSG:32631")
    for use in (lambda: set_up(team), labels.check_ready, labels.history, labels.count):
        with pytest.raises(RunError, match="made by a newer owl-geo"):
            use()
