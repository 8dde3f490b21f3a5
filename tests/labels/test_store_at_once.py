"""Many at once on one store, and servers, connections and clients that go away in the middle."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import shapely
from postgis_server import Server, database_name, new_run, publish_patches
from searches import label, make

from owl_geo import Run
from owl_geo.errors import RunError
from owl_geo.labels import Answer, Appended
from owl_geo.labels import database as database_
from owl_geo.labels.administration import register
from owl_geo.labels.database import Database
from owl_geo.labels.postgis import PostGISLabels
from owl_geo.verbs.ingest import ingest
from owl_geo.verbs.query import query

psycopg = pytest.importorskip("psycopg")

# a copy of this process, without what it takes to import all again
_FORK = multiprocessing.get_context("fork")
FOOTPRINTS = {f"scene/{i}/0": shapely.box(i % 50, 10, i % 50 + 1, 12) for i in range(1000)}


def answers(annotator: str, n: int) -> list[Answer]:
    return [
        Answer(f"scene/{i}/0", "present", annotator, "2026-01-01T00:00:00Z", "run-000", 0)
        for i in range(n)
    ]


class Patience:
    """How long a process waits for another, which may have failed."""

    def __init__(self, seconds: float = 120) -> None:
        self._end = time.monotonic() + seconds

    def is_over(self) -> bool:
        return time.monotonic() > self._end


def together(work: Callable[..., Any], *arguments: tuple[Any, ...]) -> list[Any]:
    """Do the work in processes of their own that start at one moment; return what each returns."""
    start = _FORK.Barrier(len(arguments))
    results = _FORK.SimpleQueue()

    def child(place: int, given: tuple[Any, ...]) -> None:
        try:
            start.wait()
            results.put((place, work(*given)))
        except BaseException as error:  # noqa: BLE001 - told to the test, which fails
            results.put((place, repr(error)))

    children = [_FORK.Process(target=child, args=pair) for pair in enumerate(arguments)]
    for one in children:
        one.start()
    found = dict(results.get() for _ in children)
    for one in children:
        one.join()
    return [found[place] for place in range(len(children))]


def append_in_pieces(url: str, run_id: str, annotator: str, n: int, size: int = 1) -> Appended:
    """Append answers, ``size`` in a transaction."""
    store = PostGISLabels(Database(url), run_id, None)
    given = answers(annotator, n)
    pieces = [given[i : i + size] for i in range(0, n, size)]
    new = sum(store.append(piece, FOOTPRINTS).new for piece in pieces)
    return Appended(new, n - new)


def watch_order(url: str, run_id: str, wanted: int) -> str:
    """Read while others write: what was seen before must be the start of what is seen later."""
    store = PostGISLabels(Database(url), run_id, None)
    seen: list[int] = []
    patience = Patience()
    while len(seen) < wanted:
        if patience.is_over():
            return f"{len(seen)} of {wanted} answers came"
        now = store.history()["seq"].tolist()
        if now[: len(seen)] != seen:
            return "an answer appeared before one that was there"
        seen = now
        time.sleep(0.05)
    return "in order"


def assert_each_once(history: pd.DataFrame, names: list[str], n: int) -> None:
    assert len(history) == len(names) * n
    assert not history.duplicated(["patch_id", "annotator"]).any()
    assert set(history["annotator"]) == set(names)
    for _, own in history.groupby("annotator"):
        assert own["patch_id"].tolist() == [f"scene/{i}/0" for i in range(n)]


def test_eight_processes_append_two_hundred_answers_each(team: Database) -> None:
    run_id = new_run(team)
    names = [f"ann{i}" for i in range(8)]

    def work(name: str) -> Any:
        if name == "watch":
            return watch_order(team.url, run_id, 1600)
        return append_in_pieces(team.url, run_id, name, 200, size=4)

    done = together(work, ("watch",), *((name,) for name in names))
    assert done == ["in order"] + [Appended(200, 0)] * 8
    history = PostGISLabels(team, run_id, None).history()
    assert_each_once(history, names, 200)
    assert history["seq"].is_monotonic_increasing


def test_the_same_answers_from_four_processes_are_stored_once(team: Database) -> None:
    run_id = new_run(team)

    def work() -> Appended:
        return append_in_pieces(team.url, run_id, "ana", 50)

    done = together(work, (), (), (), ())
    assert sum(one.new for one in done) == 50
    assert_each_once(PostGISLabels(team, run_id, None).history(), ["ana"], 50)


def label_all(
    server: Server, database: str, role: str, view: str, take: bool
) -> tuple[Counter[str], int]:
    """Label like a person in QGIS until nothing is left; say what was refused, and what stored."""
    refused: Counter[str] = Counter()
    stored = 0
    chance = random.Random(role)
    with server.connect(database, role) as connection:
        while True:
            free = connection.execute(
                f"SELECT fid FROM {view} WHERE label IS NULL"
                " AND (lease IS NULL OR NOT %s) ORDER BY fid LIMIT 2",
                (take,),
            ).fetchall()
            if not free:
                left = connection.execute(f"SELECT 1 FROM {view} WHERE label IS NULL LIMIT 1")
                if left.fetchone() is None:
                    return refused, stored
                time.sleep(0.005)
                continue
            (fid,) = chance.choice(free)
            try:
                if take:
                    connection.execute(f"UPDATE {view} SET lease = 'take' WHERE fid = %s", (fid,))
                connection.execute(f"UPDATE {view} SET label = 'present' WHERE fid = %s", (fid,))
                stored += 1
            except psycopg.Error as error:
                refused[error.sqlstate or "?"] += 1


@pytest.mark.parametrize("take", [True, False])
def test_four_annotators_never_do_the_same_patch(
    server: Server,
    team: Database,
    annotators: Callable[..., None],
    tmp_path: Path,
    take: bool,
) -> None:
    roles = ["ana", "ben", "cleo", "dan"]
    annotators(*roles)
    run_id = new_run(team)
    view = publish_patches(team, run_id, tmp_path, n=100)
    database = database_name(team)

    def work(role: str) -> Any:
        return label_all(server, database, role, view, take)

    done = together(work, *((role,) for role in roles))
    assert all(isinstance(one, tuple) for one in done), done
    refused = sum((one[0] for one in done), Counter())
    print(f"with leases {take}: {refused.total()} conflicts refused, of {[o[1] for o in done]}")
    assert sum(stored for _, stored in done) == 100
    assert set(refused) <= {"OWL01", "OWL02"}
    history = PostGISLabels(team, run_id, None).history()
    assert len(history) == history["patch_id"].nunique() == 100
    if take:
        assert history.groupby("annotator").size().to_dict() == {
            role: stored for role, (_, stored) in zip(roles, done, strict=True) if stored
        }


def test_one_file_ingested_twice_at_once_is_stored_once(team: Database, tmp_path: Path) -> None:
    run = make(tmp_path / "run", labels=team.url)
    register(team, run.settings.run_id, run.settings.classes, run.settings.positive)
    entry = query(run)
    label(run.batch_path(0), dict.fromkeys(entry.patch_ids, "present"), annotator=None)

    def work() -> Appended:
        (done,) = ingest(Run(run.path), [run.batch_path(0)], annotator="ana")
        return Appended(done.new, done.unchanged)

    done = together(work, (), ())
    assert sorted(done, key=lambda one: one.new) == [Appended(0, 6), Appended(6, 0)]
    assert run.labels.count() == 6


def while_appending(team: Database, run_id: str, disturb: Callable[[], None], n: int) -> None:
    """Disturb two processes that append; check that nothing is lost and nothing is there twice."""

    def work(name: str) -> Any:
        if name != "disturber":
            return append_in_pieces(team.url, run_id, name, n, size=2)
        store, patience = PostGISLabels(Database(team.url), run_id, None), Patience()
        for goal in (n // 4, n):
            while store.count() < goal:
                if patience.is_over():
                    return f"{store.count()} of {goal} answers came"
                time.sleep(0.01)
            disturb()
        return "disturbed"

    done = together(work, ("ana",), ("ben",), ("disturber",))
    assert done[2] == "disturbed" and all(isinstance(one, Appended) for one in done[:2]), done
    assert_each_once(PostGISLabels(team, run_id, None).history(), ["ana", "ben"], n)


def test_a_server_that_restarts_in_the_middle_costs_nothing(server: Server, team: Database) -> None:
    while_appending(team, new_run(team), server.restart, 150)


def test_a_server_that_came_up_just_after_an_attempt_is_tried_again(
    server: Server, team: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses a connection while it starts, and is up when it is asked how it does."""
    store = PostGISLabels(team, new_run(team), None)
    assert store.count() == 0
    plain, refusals = psycopg.connect, iter([True])

    def starting(*given: Any, **options: Any) -> Any:
        if next(refusals, False):
            raise psycopg.OperationalError("the database system is not yet accepting connections")
        return plain(*given, **options)

    team.close()
    monkeypatch.setattr(psycopg, "connect", starting)
    assert store.count() == 0
    # one that goes on refusing is not waited for
    team.close()
    refusals = itertools.repeat(True)
    with pytest.raises(RunError, match="not yet accepting connections"):
        store.count()


def test_connections_that_are_broken_off_cost_nothing(server: Server, team: Database) -> None:
    name = database_name(team)

    def disturb() -> None:
        with server.connect("postgres", "postgres") as root:
            for _ in range(20):
                root.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s AND backend_type = 'client backend'",
                    (name,),
                )
                time.sleep(0.02)

    while_appending(team, new_run(team), disturb, 150)


def test_a_client_that_is_killed_before_its_commit_stores_nothing(team: Database) -> None:
    run_id = new_run(team)
    given = answers("ana", 30)
    wkb = {one: shapely.to_wkb(FOOTPRINTS[one.patch_id]) for one in given}

    def die() -> None:
        store = PostGISLabels(Database(team.url), run_id, None)

        def almost(connection: Any) -> None:
            assert store._append(connection, given, wkb) == Appended(30, 0)
            os.kill(os.getpid(), signal.SIGKILL)

        store.database.work("write", almost)

    child = _FORK.Process(target=die)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    store = PostGISLabels(team, run_id, None)
    assert store.count() == 0
    assert store.append(given, FOOTPRINTS) == Appended(30, 0)  # the lock went with it
    assert store.append(given, FOOTPRINTS) == Appended(0, 30)


def test_a_commit_whose_answer_was_lost_is_not_stored_twice(team: Database) -> None:
    """The server has committed, and the line breaks before the client hears of it."""
    run_id = new_run(team)
    store = PostGISLabels(team, run_id, None)
    given = answers("ana", 3)
    wkb = {one: shapely.to_wkb(FOOTPRINTS[one.patch_id]) for one in given}
    broken = []

    def once(connection: Any) -> Appended:
        done = store._append(connection, given, wkb)
        if not broken:
            broken.append(done)
            raw = database_.driver(connection)
            raw.execute("COMMIT")
            raw.close()
        return done

    assert team.work("write", once) == Appended(0, 3)
    assert broken == [Appended(3, 0)] and store.count() == 3


def test_a_server_that_stays_away_is_one_line_in_the_end(
    server: Server, team: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostGISLabels(team, new_run(team), None)
    monkeypatch.setattr(database_, "RETRY_SECONDS", 0.5)
    server.control("stop", "-m", "fast")
    try:
        with pytest.raises(
            RunError, match=r"^cannot write the answers in postgresql://.*refused"
        ) as caught:
            store.append(answers("ana", 1), FOOTPRINTS)
        assert "host and port" in caught.value.remedy  # and no password, which nobody asked for
    finally:
        server.control("start")
    assert store.append(answers("ana", 1), FOOTPRINTS) == Appended(1, 0)


def test_who_does_not_finish_keeps_others_waiting_for_a_while_only(
    server: Server, team: Database, annotators: Callable[..., None], tmp_path: Path
) -> None:
    annotators("ana", "ben")
    view = publish_patches(team, new_run(team), tmp_path)
    with server.connect(database_name(team)) as keeper:
        keeper.execute("ALTER FUNCTION owl_geo.take_answer() SET lock_timeout = '100ms'")
    with (
        server.connect(database_name(team), "ana") as ana,
        server.connect(database_name(team), "ben") as ben,
    ):
        with ana.transaction():
            ana.execute(f"UPDATE {view} SET label = 'present' WHERE fid = 1")
            with pytest.raises(psycopg.Error, match="does not finish; try again"):
                ben.execute(f"UPDATE {view} SET label = 'present' WHERE fid = 2")
        ben.execute(f"UPDATE {view} SET label = 'present' WHERE fid = 2")
