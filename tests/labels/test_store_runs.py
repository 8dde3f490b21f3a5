"""A run whose answers are in PostGIS: from owl.toml to the next batch, and its secrets."""

from __future__ import annotations

import gc
import io
import json
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from in_process import Owl
from postgis_server import Server, database_name
from rasterio.transform import from_origin
from rasters import coordinates, write_raster
from searches import assert_same_story, editing, label, make

from owl_geo import Run
from owl_geo.batches import read_table
from owl_geo.errors import ConfigError, RunError
from owl_geo.evaluation.simulate import simulate
from owl_geo.labels.administration import register, set_up
from owl_geo.labels.database import Database, address
from owl_geo.schema import BATCH_INFO_ANNOTATOR
from owl_geo.settings import owl_toml
from owl_geo.settings.stores import check_address
from owl_geo.verbs.ingest import ingest
from owl_geo.verbs.publish import publish
from owl_geo.verbs.query import query

pytest.importorskip("psycopg")


@pytest.fixture
def empty(server: Server, keeper: None) -> Iterator[Database]:
    """A database with PostGIS and nothing else."""
    database = Database(server.url(server.new_database()))
    yield database
    database.close()


def known_run(path: Path, database: Database, **tables: Any) -> Run:
    run = make(path, labels=database.url, **tables)
    register(database, run.settings.run_id, run.settings.classes, run.settings.positive)
    return run


def answer_all(server: Server, database: Database, layer: str, role: str = "ana") -> None:
    with server.connect(database_name(database), role) as connection:
        connection.execute(
            f'UPDATE owl_geo."{layer}" SET label ='
            " CASE WHEN urban THEN 'present' ELSE 'absent' END WHERE label IS NULL"
        )


def test_a_team_from_nothing_to_the_second_batch(
    server: Server, empty: Database, tmp_path: Path, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    made = owl(
        *("init", path, "--source", "synthetic", "--n-samples", 60, "--image-size", 8),
        *("--initial", 6, "--batch-size", 4, "--labels", empty.url),
    )
    assert made.code == 0, made.err
    assert made.out.splitlines()[-1] == f"Next: owl-geo store init {path}"
    early = owl("query", path, "--to-store")
    assert early.code == 1
    assert early.err == (
        f"error: the label store {empty.url} does not know this run, "
        f"{Run(path).settings.run_id}; run `owl-geo store init {path}`\n"
    )
    run_id = Run(path).settings.run_id
    assert owl("store", "init", path).out.startswith(f"{empty.url} has run {run_id}\n")
    again = owl("store", "init", path, "--lease-minutes", "5", "-q")
    assert again.out == f"{empty.url} has run {run_id} already, with 0 answers\n"

    monkeypatch.setattr("sys.stdin", io.StringIO("typed\ntyped\n"))
    nobody = owl("store", "annotator", path, "never seen")
    assert (nobody.code, nobody.out) == (1, "")
    assert nobody.err == (
        "error: never seen needs a password, but there is no terminal to type it in; "
        "set OWL_GEO_NEW_PASSWORD\n"
    )
    monkeypatch.setenv("OWL_GEO_NEW_PASSWORD", server.password)
    added = owl("store", "annotator", path, "ana")
    assert added.out.startswith(f"ana may label in {empty.url}")

    asked = owl("query", path, "--to-store")
    assert asked.code == 0, asked.err
    *_, file, how, uri = asked.out.splitlines()
    layer = f"batch_{run_id}-000"
    assert Path(file) == path / "rounds/000/batch.gpkg"
    assert f"port {server.port}" in how and how.endswith(f"schema owl_geo, layer {layer}")
    assert uri == f"{empty.url}?schema=owl_geo&layer={layer}"
    waits = owl("query", path, "--to-store")
    assert waits.out.splitlines()[-1] == uri and "has no answers yet" in waits.out
    query = f"owl-geo query {path} --to-store"
    assert f"label the layer that {query} names, then {query}\n" in owl("status", path).out
    assert owl("init", path, "--update").out.splitlines()[-1] == f"Next: {query}"

    with server.connect(database_name(empty), "ana") as ana:
        ana.execute(f"UPDATE owl_geo.\"{layer}\" SET lease = 'take' WHERE fid = 6")
        ana.execute(f"UPDATE owl_geo.\"{layer}\" SET label = 'absent' WHERE fid < 4")
    shown = owl("store", "status", path).out
    assert re.search(r"^Annotators: .*\bana\b", shown, re.MULTILINE)
    assert "Answers:    ana: 3\n" in shown
    assert f"Batches:    {layer}: 6 patches, 3 answered\n" in shown
    assert re.search(r"^Leases:     ana: \S+ until \d\d:\d\d UTC$", shown, re.MULTILINE)

    assert owl("status", path).out.rstrip().endswith(f" {query}")
    following = owl("query", path, "--to-store", "-q").out.splitlines()
    assert following[-1] == uri.replace("-000", "-001")
    assert Run(path).rounds()[1].metrics.n_labeled == 3
    assert owl("store", "annotator", path, "ana", "--revoke").code == 0
    assert not (path / "labels.gpkg").exists()


def test_a_command_leaves_no_connection_open(
    server: Server, team: Database, tmp_path: Path, owl: Owl
) -> None:
    """A server has few; collecting cycles, which may be long in coming, is not waited for."""
    run = known_run(tmp_path / "run", team).path
    name = database_name(team)
    team.close()
    gc.disable()
    try:
        for words in (
            ("query", run, "--to-store"),
            ("ingest", run, run / "rounds/000/batch.gpkg"),
            ("store", "status", run),
            ("status", run),
        ):
            done = owl(*words)
            assert done.code == 0, done.err
        with server.connect("postgres", "postgres") as connection:
            rows = connection.execute(
                "SELECT application_name FROM pg_stat_activity WHERE datname = %s", (name,)
            ).fetchall()
    finally:
        gc.enable()
    assert rows == []


def test_the_store_is_asked_like_the_file(team: Database, tmp_path: Path) -> None:
    """A whole search: the same batches, answers and numbers."""
    file = make(tmp_path / "file", oracle={})
    stored = known_run(tmp_path / "stored", team, oracle={})
    assert file.settings.run_id == stored.settings.run_id
    for run in (file, stored):
        simulate(run)
    assert stored.labels.count() == 18 and not (stored.path / "labels.gpkg").exists()
    assert_same_story(file.path, stored.path)


def test_files_are_ingested_into_the_store_beside_answers_in_the_view(
    server: Server, team: Database, annotators: Callable[..., None], tmp_path: Path
) -> None:
    annotators("ana")
    run = known_run(tmp_path / "run", team)
    entry = query(run)
    published = publish(run, entry)
    assert published.is_new and not publish(run, entry).is_new
    first, second, *_ = entry.patch_ids
    label(run.batch_path(0), {first: "present"}, annotator="bo")
    for _ in range(2):
        ingest(run, [run.batch_path(0)], annotator="nobody")
    with server.connect(database_name(team), "ana") as ana:
        view = f'owl_geo."{published.layer}"'
        ana.execute(f"UPDATE {view} SET label = 'absent' WHERE patch_id = %s", (second,))
        shown = ana.execute(f"SELECT label, annotator FROM {view} ORDER BY fid").fetchall()
    assert shown[:3] == [("present", "bo"), ("absent", "ana"), (None, None)]
    history = Run(run.path).labels.history()
    assert history["annotator"].tolist() == ["bo", "ana"]
    assert history["batch_id"].tolist() == [entry.batch_id] * 2


def test_a_batch_that_was_not_published_when_the_process_died_is_published_next(
    server: Server, team: Database, tmp_path: Path, owl: Owl
) -> None:
    run = known_run(tmp_path / "run", team)
    entry = query(run)  # and nothing after it
    done = owl("query", run.path, "--to-store")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1].endswith(f"layer=batch_{entry.batch_id}")
    with server.connect(database_name(team)) as keeper:
        found = keeper.execute("SELECT batch_id, round FROM owl_geo.batches").fetchall()
    assert found == [(entry.batch_id, 0)] and len(run.rounds()) == 1


def test_a_batch_is_published_whole_or_not_at_all(
    server: Server, team: Database, tmp_path: Path
) -> None:
    run = known_run(tmp_path / "run", team)
    entry = query(run)
    with server.connect(database_name(team), "postgres") as root:
        root.execute("ALTER TABLE owl_geo.tasks ADD CONSTRAINT full_disk CHECK (fid < 3)")
        with pytest.raises(RunError, match="cannot publish the batch in "):
            publish(run, entry)
        batches = root.execute("SELECT count(*) FROM owl_geo.batches").fetchone()
        views = root.execute("SELECT count(*) FROM pg_views WHERE schemaname = 'owl_geo'")
        assert batches == views.fetchone() == (0,)
        root.execute("ALTER TABLE owl_geo.tasks DROP CONSTRAINT full_disk")
    assert publish(run, entry).is_new


def test_without_the_right_to_write_styles_a_batch_is_published_and_says_so(
    server: Server, team: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = known_run(tmp_path / "run", team)
    entry = query(run)
    with server.connect(database_name(team), "postgres") as root:
        root.execute("ALTER TABLE public.layer_styles OWNER TO postgres")
    assert publish(run, entry).is_new
    assert "opens in QGIS without a style: permission denied for table" in caplog.text


def test_a_further_class_is_taken_by_the_batch_that_is_open(
    server: Server,
    team: Database,
    annotators: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owl: Owl,
) -> None:
    annotators("ana")
    run = known_run(tmp_path / "run", team)
    entry = query(run)
    view = f'owl_geo."{publish(run, entry).layer}"'
    before = {name: (run.path / name).read_bytes() for name in ("owl.toml", "index.json")}
    with monkeypatch.context() as as_ana:
        as_ana.setenv("PGUSER", "ana")
        as_ana.setenv("PGPASSWORD", server.password)
        refused = owl("classes", "add", run.path, "quarry")
    assert refused.code == 1 and "connect as the role that ran `owl-geo store init`" in refused.err
    assert all((run.path / name).read_bytes() == text for name, text in before.items())
    assert owl("classes", "add", run.path, "quarry").code == 0
    with server.connect(database_name(team), "ana") as ana:
        ana.execute(f"UPDATE {view} SET label = 'quarry' WHERE patch_id = %s", entry.patch_ids[:1])
    run = Run(run.path)
    assert run.labels.current()["label"].tolist() == ["quarry"]
    assert owl("store", "init", run.path).code == 0  # the two agree
    for name, text in before.items():  # as if it had been killed after the database took the class
        (run.path / name).write_bytes(text)
    other = owl("classes", "add", run.path, "pit")
    assert other.code == 1 and "add the class 'quarry' first" in other.err
    assert owl("classes", "add", run.path, "quarry").code == 0
    assert Run(run.path).settings.classes == ("absent", "present", "quarry")


def test_a_tie_is_asked_again_in_the_next_layer(
    server: Server, team: Database, annotators: Callable[..., None], tmp_path: Path, owl: Owl
) -> None:
    annotators("ana", "ben", "cas")
    run = known_run(tmp_path / "run", team, model={"head": "logistic"})
    first = publish(run, query(run)).layer
    answer_all(server, team, first)
    tied = run.rounds()[0].patch_ids[:1]
    labels = "CASE label WHEN 'absent' THEN 'present' ELSE 'absent' END"
    with server.connect(database_name(team), "ben") as ben:
        ben.execute(
            f"UPDATE owl_geo.\"{first}\" SET lease = 'take over', label = {labels}"
            " WHERE patch_id = %s",
            tied,
        )
    assert "1 disputed, which will be asked again" in owl("status", run.path).out
    entry = query(run)
    assert tied[0] in entry.patch_ids
    view = f'owl_geo."{publish(run, entry).layer}"'
    state = owl("store", "status", run.path).out
    assert f"{first}: 6 patches, 6 answered" in state and "4 patches, 0 answered" in state
    for role in ("ana", "ben", "cas"):
        with server.connect(database_name(team), role) as connection:
            shown = connection.execute(f"SELECT count(*), count(label) FROM {view}").fetchall()
        assert shown == [(4, 0)]
    with server.connect(database_name(team), "cas") as cas:
        cas.execute(f"UPDATE {view} SET label = 'present' WHERE patch_id = %s", tied)
    with server.connect(database_name(team), "ana") as ana:
        shown = ana.execute(f"SELECT label, annotator FROM {view} WHERE patch_id = %s", tied)
        assert shown.fetchall() == [("present", "cas")]
    assert "4 patches, 1 answered" in owl("store", "status", run.path).out
    assert run.labels.current().set_index("patch_id")["label"][tied[0]] == "present"
    assert "disputed" not in owl("status", run.path).out
    answer_all(server, team, view.partition(".")[2].strip('"'))
    assert tied[0] not in query(run).patch_ids


def test_a_tie_that_all_of_a_team_are_asked_again_is_not_answered_yet(
    server: Server, team: Database, annotators: Callable[..., None], tmp_path: Path, owl: Owl
) -> None:
    annotators("ana", "ben")
    parts = {"annotators": ["ana", "ben"], "overlap": 1.0}
    run = known_run(tmp_path / "run", team, team=parts, model={"head": "logistic"})
    first = publish(run, query(run)).layer
    answer_all(server, team, first, "ana")
    answer_all(server, team, first, "ben")
    tied = run.rounds()[0].patch_ids[:1]
    labels = "CASE label WHEN 'absent' THEN 'present' ELSE 'absent' END"
    with server.connect(database_name(team), "ben") as ben:
        ben.execute(f'UPDATE owl_geo."{first}" SET label = {labels} WHERE patch_id = %s', tied)
    entry = query(run)
    assert tied[0] in entry.patch_ids
    second = publish(run, entry).layer

    def told() -> str:
        lines = owl("store", "status", run.path).out.splitlines()
        return " and ".join(line.split(", ")[1] for line in lines if "patches" in line)

    assert told() == "6 answered and 0 answered"
    for number, role in enumerate(("ana", "ben")):
        with server.connect(database_name(team), role) as connection:
            connection.execute(
                f"UPDATE owl_geo.\"{second}\" SET label = 'absent' WHERE patch_id = %s", tied
            )
        assert told() == f"6 answered and {number} answered"
    with server.connect(database_name(team), "ben") as ben:
        ben.execute(f'UPDATE owl_geo."{second}" SET label = NULL WHERE patch_id = %s', tied)
    assert told() == "5 answered and 0 answered"


def test_a_team_reviews_what_it_answered_otherwise(
    server: Server, team: Database, annotators: Callable[..., None], tmp_path: Path, owl: Owl
) -> None:
    annotators("ana")
    run = known_run(tmp_path / "run", team, model={"head": "logistic"})
    answer_all(server, team, publish(run, query(run)).layer)
    asked = owl("review", run.path, "--threshold", "0.000001", "--size", "99", "--to-store")
    assert asked.code == 0, asked.err
    entry = Run(run.path).rounds()[1]
    absent = run.labels.current().query("label == 'absent'")["patch_id"]
    assert set(absent) <= set(entry.patch_ids)
    layer = asked.out.splitlines()[-1]
    assert "review" in layer
    view = f'owl_geo."{publish(run, entry).layer}"'
    with server.connect(database_name(team), "ana") as ana:
        ana.execute(f"UPDATE {view} SET label = 'present' WHERE patch_id = %s", [absent.iloc[0]])
    history = run.labels.history().query("batch_id == @entry.batch_id")
    assert history["label"].tolist() == ["present"]
    assert run.labels.current().set_index("patch_id")["label"][absent.iloc[0]] == "present"


def test_only_a_team_can_publish(tmp_path: Path, owl: Owl) -> None:
    run = make(tmp_path / "run")
    for words in (("query", run.path, "--to-store"), ("store", "status", run.path)):
        done = owl(*words)
        assert (done.code, done.out) == (1, "")
        assert done.err == (
            f"error: {run.path} keeps its answers in a file; for a team, set "
            'labels = "postgresql://HOST/DB" at the top of its owl.toml\n'
        )
    assert run.rounds() == []


def test_answers_in_a_file_that_the_store_lacks_stop_every_command(
    team: Database, tmp_path: Path, owl: Owl
) -> None:
    run = make(tmp_path / "run")
    entry = query(run)
    label(run.batch_path(0), dict.fromkeys(entry.patch_ids[:2], "present"))
    ingest(run, [run.batch_path(0)], annotator="x")
    text = (run.path / "owl.toml").read_text()
    (run.path / "owl.toml").write_text(f'labels = "{team.url}"\n{text}')
    moved = Run(run.path)
    register(team, moved.settings.run_id, moved.settings.classes, moved.settings.positive)
    file = run.path / "labels.gpkg"
    expected = (
        f"{file} holds 2 answers that {team.url} lacks; run `owl-geo labels import {run.path} "
        f"{file}`, or move the file away"
    )
    with pytest.raises(RunError, match=re.escape(expected)):
        query(moved)
    done = owl("labels", "import", run.path, file)
    assert done.code == 0 and "2 new" in done.out
    assert query(Run(run.path)).number == 1


def test_a_run_with_answers_in_the_store_is_not_overwritten_and_can_be_updated(
    server: Server, team: Database, annotators: Callable[..., None], tmp_path: Path, owl: Owl
) -> None:
    annotators("ana")
    words = ("init", tmp_path / "run", "--source", "synthetic", "--n-samples", 60)
    words += ("--image-size", 8, "--labels", team.url)
    assert owl(*words).code == 0
    assert owl(*words, "--overwrite").code == 0  # the store does not know it yet
    run = Run(tmp_path / "run")
    assert owl("store", "init", run.path).code == 0
    assert owl(*words, "--overwrite").code == 0
    layer = publish(run, query(run)).layer
    answer_all(server, team, layer)
    refused = owl(*words, "--overwrite")
    assert refused.code == 1
    assert refused.err.startswith(
        f"error: {team.url} holds 20 answers by people, which --overwrite"
    )
    assert owl("init", run.path, "--update").code == 0
    assert Run(run.path).labels.count() == 20


# --- addresses and secrets ------------------------------------------------------------------------

SECRET = "s3cr3t-w0rd"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ana:{SECRET}@host/db",
        f"postgresql://ana:{SECRET}/x@host/db",
        f"postgresql://ana:{SECRET}?x@host/db",
        f"postgresql://ana%3A{SECRET}@host/db",
        f"postgresql://ana:{SECRET}@/db?host=/run/postgresql",
        f"postgresql://:{SECRET}@[::1]:5432/db",
        f"postgresql:///db?password={SECRET}",
        f"postgresql:///db?user=ana&pass%77ord={SECRET}",
        f"postgresql:///db?sslpassword={SECRET}",
        f"postgresql://host?user=ana&password={SECRET}",
        f"postgresql+psycopg://ana:{SECRET}@host/db",
        f"https://ana:{SECRET}@host/db",
        f"host=h password={SECRET}",
        f"postgresql://host/db user=ana password={SECRET}",
        [f"postgresql://ana:{SECRET}@host/db"],
        {"url": f"postgresql://ana:{SECRET}@host/db"},
    ],
)
def test_an_address_with_a_password_is_refused_and_not_shown(
    url: Any, tmp_path: Path, owl: Owl
) -> None:
    run = make(tmp_path / "run")
    text = (run.path / "owl.toml").read_text()
    value = "{ " + f'url = "{url["url"]}"' + " }" if isinstance(url, dict) else json.dumps(url)
    (run.path / "owl.toml").write_text(f"labels = {value}\n{text}")
    lines = []
    for words in (("query",), ("status", "-v"), ("status", "--log-json"), ("store", "init")):
        done = owl(*words, run.path)
        assert done.code == 1
        lines.append(done.out + done.err)
    if isinstance(url, str):
        for words in (("--source", "synthetic", "--labels", url),):
            done = owl("init", tmp_path / "other", *words)
            assert done.code == 1 and not (tmp_path / "other").exists()
            lines.append(done.out + done.err)
    for said in lines:
        assert SECRET not in said and said.count("\n") == 1
        assert re.search(r"holds a password|address of PostgreSQL|an address in quotes", said)
    with pytest.raises(ConfigError) as caught:
        Run(run.path)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host/db",
        "postgres://ana@host:5433/db",
        "postgresql://ana%40corp@[::1]:5432/db?sslmode=require",
        "postgresql:///db?host=/run/postgresql",
        "postgresql:///?service=owl",
        "postgresql://a:1,b:2/db?target_session_attrs=read-write&passfile=/home/ana/.pgpass",
    ],
)
def test_addresses_without_a_password_are_taken(url: str, tmp_path: Path) -> None:
    check_address(url)
    Database(url)
    run = make(tmp_path / "run", labels=url)
    assert owl_toml.load(run.path / "owl.toml").labels == url


def test_layers_addresses() -> None:
    assert address("::1", 5433, "a b") == "postgresql://[::1]:5433/a%20b?"
    assert address("/run/pg", 5433, "db", layer="x") == (
        "postgresql:///db?host=/run/pg&port=5433&layer=x"
    )


def test_sockets_services_and_password_files_reach_the_store(
    server: Server, team: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = database_name(team)
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.delenv("PGUSER")
    secrets = tmp_path / "pgpass"
    secrets.write_text(f"*:*:*:keeper:{server.password}\n")
    secrets.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(secrets))
    services = tmp_path / "services"
    services.write_text(
        f"[owl]\nhost=127.0.0.1\nport={server.port}\ndbname={name}\nuser=keeper\n"
        f"password={server.password}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    port = server.port
    for url in (
        f"postgresql://keeper@127.0.0.1:{port}/{name}",
        f"postgresql://keeper@/{name}?host={server.folder}&port={port}",
        "postgresql:///?service=owl",
    ):
        database = Database(url)
        assert database.where()[1:] == (port, name)
        assert server.password not in address(*database.where())
        database.close()


def test_no_command_shows_or_keeps_a_password(
    server: Server, team: Database, tmp_path: Path, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right one and a wrong one in the environment, each command, each way of saying things."""
    new = "n3w-p4ssw0rd"
    monkeypatch.setenv("OWL_GEO_NEW_PASSWORD", new)
    said = []
    words = ("init", tmp_path / "run", "--source", "synthetic", "--n-samples", 60)
    words += ("--image-size", 8, "--initial", 5, "--labels", team.url)
    run = tmp_path / "run"
    commands: list[tuple[object, ...]] = [
        words,
        ("store", "init", run),
        ("store", "annotator", run, "newcomer"),
        ("query", run, "--to-store"),
        ("store", "status", run),
        ("status", run),
        ("ingest", run, run / "rounds/000/batch.gpkg"),
        ("predict", run),
        ("init", run, "--update"),
        (*words, "--overwrite"),
        ("store", "annotator", run, "newcomer", "--revoke"),
    ]
    for command in commands:
        for further in (("-v",), ("--log-json", "-v")):
            done = owl(*command, *further)
            said.append(done.out + done.err)
        if command[0] == "query":
            asked = Run(run).rounds()[0].patch_ids
            label(run / "rounds/000/batch.gpkg", {asked[0]: "present", asked[1]: "absent"})
    assert Run(run).labels.count() == 2
    right, wrong = server.password, "wr0ng-p4ssw0rd"
    monkeypatch.setenv("PGPASSWORD", wrong)
    for command in commands[1:9]:
        done = owl(*command, "--log-json")
        assert done.code == 1 and "password authentication failed" in done.err, command
        assert "check user, password and database" in done.err
        said.append(done.out + done.err)
        with pytest.raises(RunError) as caught:
            owl(*command, "--debug")
        said.append("".join(traceback.format_exception(caught.value)))
    kept = b"".join(file.read_bytes() for file in run.rglob("*") if file.is_file())
    log = server.log.read_text(encoding="utf-8").splitlines()
    theirs = [line for line in log if re.search("owl_geo|newcomer|pg_roles", line)]
    assert any('CREATE ROLE "newcomer" LOGIN PASSWORD \'SCRAM-SHA-256$' in line for line in theirs)
    for secret in (right, wrong, new):
        assert secret not in "".join(said)
        assert secret.encode() not in kept
        assert secret not in "\n".join(theirs)


def test_a_server_that_is_not_there_is_one_line_at_once(tmp_path: Path, owl: Owl) -> None:
    run = make(tmp_path / "run", labels="postgresql://127.0.0.1:1/db")
    done = owl("query", run.path)
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(
        r"error: cannot look for the run in postgresql://127\.0\.0\.1:1/db: .*refused.*\n", done.err
    )


def test_a_database_without_postgis_is_one_line(
    server: Server, keeper: None, tmp_path: Path, owl: Owl
) -> None:
    with server.connect("postgres", "postgres") as root:
        root.execute("CREATE DATABASE bare OWNER keeper")
    run = make(tmp_path / "run", labels=server.url("bare"))
    done = owl("store", "init", run.path)
    assert done.err == (
        'error: permission denied to create extension "postgis"; ask an administrator for CREATE '
        "EXTENSION postgis in this database\n"
    )


def test_what_is_missing_of_the_extra_is_one_line(
    tmp_path: Path, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path / "run", labels="postgresql://host/db")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    done = owl("status", run.path)
    assert done.code == 1 and done.err.count("\n") == 1
    assert "pip install 'owl-geo[postgis]'" in done.err


def test_neither_import_nor_help_loads_the_extra() -> None:
    code = (
        "import sys, owl_geo, owl_geo.run_folder.folder, owl_geo.verbs.publish\n"
        "from owl_geo.cli import _run\n"
        "_run(['store', '--help'])\n"
        "assert not {'psycopg', 'sqlalchemy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_copy_of_a_run_with_other_batches_is_refused(
    server: Server, team: Database, annotators: Callable[..., None], tmp_path: Path
) -> None:
    annotators("ana")
    run = known_run(tmp_path / "run", team)
    layer = publish(run, query(run)).layer
    copy = shutil.copytree(run.path, tmp_path / "copy")
    answer_all(server, team, layer)
    publish(run, query(run))
    text = (copy / "owl.toml").read_text()
    (copy / "owl.toml").write_text(text.replace("batch_size = 4", "batch_size = 5", 1))
    with pytest.raises(RunError, match="a copy of this run published it"):
        publish(Run(copy), query(Run(copy)))


@pytest.mark.parametrize("known_by", ["its answers", "its batch"])
def test_a_run_made_alike_over_other_ground_is_refused(
    known_by: str,
    server: Server,
    team: Database,
    annotators: Callable[..., None],
    tmp_path: Path,
    owl: Owl,
) -> None:
    annotators("ana")
    scene, path = tmp_path / "S.tif", tmp_path / "run"
    words = ("init", path, "--scene", scene, "--patch-size", 8, "--labels", team.url)
    pixels = coordinates(64, 64)
    write_raster(scene, pixels, transform=from_origin(500_000, 5_000_000, 10, 10))
    assert owl(*words).code == 0
    assert owl("store", "init", path).code == 0
    layer = publish(Run(path), query(Run(path))).layer
    if known_by == "its answers":
        with server.connect(database_name(team), "ana") as connection:
            connection.execute(f"UPDATE owl_geo.\"{layer}\" SET label = 'absent'")
    before = path.rename(tmp_path / "before")

    # half of each patch is the same ground still
    write_raster(scene, pixels, transform=from_origin(500_020, 5_000_000, 10, 10))
    assert owl(*words).code == 0
    assert owl("status", path).code == 0
    shutil.rmtree(path)

    write_raster(scene, pixels, transform=from_origin(600_000, 5_000_000, 10, 10))
    assert owl(*words).code == 0
    run_id = Run(path).settings.run_id
    assert run_id == Run(before).settings.run_id
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("store", "init", path),
        ("status", path),
        ("query", path),
    )
    for command in commands:
        refused = owl(*command)
        assert (refused.code, refused.out) == (1, "")
        assert re.fullmatch(
            f"error: {team.url} has a run {run_id} over other ground, where S/[0-9]+/[0-9]+ is "
            f"elsewhere than in {path}; make this run anew with another --seed, or with a "
            "database of its own\n",
            refused.err,
        )
    assert owl(*words, "--overwrite", "--seed", 1).code == int(known_by == "its answers")
    assert owl("status", before).code == 0


def test_several_people_may_keep_a_store(
    server: Server,
    team: Database,
    annotators: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owl: Owl,
) -> None:
    annotators("ana")
    with server.connect("postgres", "postgres") as root:
        root.execute(f"CREATE ROLE deputy LOGIN IN ROLE keeper PASSWORD '{server.password}'")
    run = make(tmp_path / "run", labels=team.url)
    monkeypatch.setenv("PGUSER", "ana")
    refused = owl("store", "init", run.path)
    assert refused.code == 1 and refused.err.count("\n") == 1
    assert "connect as the role that ran `owl-geo store init`" in refused.err
    monkeypatch.setenv("PGUSER", "deputy")
    assert owl("store", "init", run.path).code == 0
    layer = publish(run, query(run)).layer
    answer_all(server, team, layer)
    assert Run(run.path).labels.count() == 6


def test_set_up_twice_at_once(server: Server, empty: Database) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: set_up(Database(empty.url)), range(4)))


def test_a_teams_batch_is_published_as_one(
    server: Server, team: Database, annotators: Callable[..., None], tmp_path: Path, owl: Owl
) -> None:
    annotators("ana", "ben")
    run = known_run(tmp_path / "run", team, loop={"initial": 10})
    done = owl("query", run.path, "--annotators", "ana,ben", "--overlap", 0.3, "--to-store", "-q")
    assert done.code == 0, done.err
    *files, address_ = done.out.splitlines()
    assert [Path(file).name for file in files] == ["batch-ana.gpkg", "batch-ben.gpkg"]
    layer = address_.rpartition("layer=")[2]
    entry = run.rounds()[0]
    with server.connect(database_name(team), "ana") as connection:
        rows = connection.execute(
            f'SELECT rank, patch_id FROM owl_geo."{layer}" ORDER BY rank'
        ).fetchall()
        info = connection.execute("SELECT info FROM owl_geo.batches").fetchone()
    assert rows == [(place + 1, patch) for place, patch in enumerate(entry.patch_ids)]
    assert info is not None and "annotator" not in info[0]
    shared = set(entry.team["ana"]) & set(entry.team["ben"])
    assert len(shared) == 3
    # ana labels all she may; ben sees of it what is not for both of them
    answer_all(server, team, layer, "ana")
    with server.connect(database_name(team), "ben") as connection:
        left = connection.execute(
            f'SELECT patch_id FROM owl_geo."{layer}" WHERE label IS NULL'
        ).fetchall()
    assert {patch for (patch,) in left} == {entry.patch_ids[place] for place in shared}
    assert run.waits(entry) == []  # all that one alone was to label is labelled
    answer_all(server, team, layer, "ben")
    told = owl("status", run.path).out
    assert "3 patches labelled by two or more" in told
    assert "ana and ben: agree on 100 % of 3" in told


def test_the_batch_of_a_team_of_one_is_everybody_s(
    server: Server, team: Database, annotators: Callable[..., None], tmp_path: Path, owl: Owl
) -> None:
    """In a file it is a person's part; in the store whoever comes first may label it."""
    annotators("ana", "ben")
    run = known_run(tmp_path / "run", team)
    done = owl("query", run.path, "--annotators", "ana", "--to-store", "-q")
    assert done.code == 0, done.err
    file, address_ = done.out.splitlines()
    layer = address_.rpartition("layer=")[2]
    part = read_table(Path(file)).info
    assert part.pop(BATCH_INFO_ANNOTATOR) == "ana"
    with server.connect(database_name(team), "ana") as connection:
        assert connection.execute("SELECT info FROM owl_geo.batches").fetchone() == (part,)
        connection.execute(f"UPDATE owl_geo.\"{layer}\" SET label = 'absent' WHERE rank < 3")
    with server.connect(database_name(team), "ben") as connection:
        seen = f'SELECT annotator FROM owl_geo."{layer}" WHERE label IS NOT NULL'
        assert connection.execute(seen).fetchall() == [("ana",), ("ana",)]
        connection.execute(f"UPDATE owl_geo.\"{layer}\" SET label = 'absent' WHERE rank = 3")
    answers = run.labels.history()
    assert answers["annotator"].tolist() == ["ana", "ana", "ben"]


def test_what_was_corrected_before_is_not_told_of_again(
    team: Database, tmp_path: Path, owl: Owl
) -> None:
    """The store numbers the answers of all its runs together."""
    other = known_run(tmp_path / "other", team, seed=1)
    first = query(other)
    label(other.batch_path(0), dict.fromkeys(first.patch_ids, "absent"))
    ingest(other, [other.batch_path(0)], annotator="x")

    run = known_run(tmp_path / "run", team)
    entry = query(run)
    batch, corrected, late = run.batch_path(0), entry.patch_ids[0], entry.patch_ids[1]
    for word in ("absent", "present"):
        label(batch, {corrected: word})
        with editing(batch) as connection:
            day = 1 if word == "absent" else 2
            connection.execute(
                "UPDATE batch SET labelled_at = ? WHERE patch_id = ?",
                (f"2026-03-0{day}T10:00:00Z", corrected),
            )
        assert owl("ingest", run.path, batch).err == ""
    label(batch, {late: "absent"})
    done = owl("ingest", run.path, batch)
    assert "1 new" in done.out
    assert done.err == ""
