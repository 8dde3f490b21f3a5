"""Requests over JSON-RPC: one answer each, the right codes, progress, and what is cancelled."""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from contents import contents, differences
from in_process import Owl
from searches import label, make

from owl_geo import Engine, Run, ingest, predict, query, review
from owl_geo.cli import engine as engine_command
from owl_geo.cli.engine import engine as command
from owl_geo.engine import server
from owl_geo.engine.messages import line_of
from owl_geo.features import table
from owl_geo.reporting.facts import facts
from owl_geo.work.progress import Progress, Reporter

LONG = 20.0  # seconds that nothing takes


class Client:
    """The other end of a server."""

    def __init__(self) -> None:
        self.lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.told: list[dict[str, Any]] = []  # notifications
        self.listens = True

    def ask(self, method: str, id_: object = 1, **params: object) -> None:
        call = {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}
        self.lines.put(json.dumps(call, default=str).encode())

    def receive(self, message: Mapping[str, Any]) -> None:
        if not self.listens:
            raise BrokenPipeError
        self.messages.put(json.loads(line_of(message)))

    def answer(self) -> dict[str, Any]:
        """Return the next answer; what is told meanwhile is kept."""
        while True:
            message = self.messages.get(timeout=LONG)
            assert message.pop("jsonrpc") == "2.0"
            if "method" not in message:
                return message
            self.told.append(message)

    def result(self, method: str, **params: object) -> Any:
        self.ask(method, **params)
        answer = self.answer()
        assert answer.keys() == {"id", "result"}, answer
        return answer["result"]


@contextmanager
def serving() -> Iterator[Client]:
    client = Client()
    thread = threading.Thread(
        target=server.serve,
        args=(iter(client.lines.get, None), client.receive),
        kwargs={"device": "auto", "annotator": "ana", "describe": facts},
    )
    thread.start()
    try:
        yield client
    finally:
        client.lines.put(None)
        thread.join(LONG)
        assert not thread.is_alive()


@pytest.fixture
def client() -> Iterator[Client]:
    with serving() as client:
        yield client


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with a first batch that waits."""
    run = make(tmp_path_factory.mktemp("begun") / "run", model={"head": "logistic"})
    query(run)
    return run


def labelled(run: Run | Path) -> Path:
    entry = Run.of(run).rounds()[-1]
    batch = Run.of(run).batch_path(entry.number)
    label(batch, {p: ("absent", "present")[n % 2] for n, p in enumerate(entry.patch_ids)}, None)
    return batch


def test_a_search_by_requests(tmp_path: Path, client: Client, owl: Owl) -> None:
    run = make(tmp_path / "run", model={"head": "logistic"}).path
    opened = client.result("open", run=run)
    assert opened["patches"] == opened["askable"] == 80
    assert opened["next_step"] == "query"
    first = client.result("query", run=run)
    assert (first["number"], first["is_new"], first["patches"]) == (0, True, 6)
    assert first["paths"] == [str(run / "rounds/000/batch.gpkg")]
    again = client.result("query", run=run)
    assert again == {**first, "is_new": False}
    (taken,) = client.result("ingest", run=run, batches=[labelled(run)], annotator="ben")[
        "ingested"
    ]
    assert taken["counts"] == {"absent": 3, "present": 3}
    assert (taken["new"], taken["unchanged"], taken["unanswered"]) == (6, 0, 0)
    assert client.result("query", run=run)["number"] == 1
    both = client.result("next", run=run, batches=[labelled(run)])
    assert both["ingested"][0]["new"] == 4
    assert (both["number"], both["is_new"]) == (2, True)
    query(run)  # waits until the round is measured
    now = client.result("status", run=run)
    assert now["waiting"] == both["paths"]
    assert now["labels"] == {"absent": 5, "present": 5}
    said = owl("status", run).out
    for name, text in now["facts"]:
        assert f"{name}:" in said and text.splitlines()[0] in said
    assert set(Run(run).labels.history()["annotator"]) == {"ana", "ben"}
    parts = client.result("query", run=run, go_on=True, annotators=["ana", "ben"], overlap=0.5)
    assert parts["annotators"] == ["ana", "ben"]
    assert all(Path(path).is_file() for path in parts["paths"])


def test_the_next_batch_is_begun_when_all_is_answered(tmp_path: Path, client: Client) -> None:
    begun = make(tmp_path / "run", model={"head": "logistic"})
    client.result("query", run=begun.path)
    batch = labelled(begun)
    assert client.result("foresee", run=begun.path, batches=[batch]) is None
    assert len(begun.rounds()) == 1 and begun.labels.count() == 0
    assert client.result("next", run=begun.path, batches=[batch])["number"] == 1
    client.ask("foresee", run=begun.path, batches=[begun.path / "nothing.gpkg"])
    assert "nothing.gpkg" in client.answer()["error"]["message"]


def test_a_review_is_that_of_the_command(begun: Run, tmp_path: Path, client: Client) -> None:
    run = Path(shutil.copytree(begun.path, tmp_path / "run"))
    ingest(run, [labelled(run)], annotator="ana")
    twin = Path(shutil.copytree(run, tmp_path / "twin"))  # with answers of the same second
    done = review(twin, threshold=0.3, size=5)
    asked = client.result("review", run=run, threshold=0.3, size=5)
    assert (asked["number"], asked["taken"], asked["is_new"]) == (1, done.taken, True)
    assert asked["batch_id"].endswith("-review") and asked["patches"] == 5
    assert asked["paths"] == [str(run / "rounds/001/batch.gpkg")]
    review(run)  # waits until the round is measured
    assert differences(contents(run), contents(twin)) == []
    again = client.result("review", run=run)
    assert again == {**asked, "taken": None, "is_new": False}
    assert client.result("review", run=run, threshold=0.3, go_on=True)["number"] == 2


def test_maps_are_those_of_the_command(begun: Run, tmp_path: Path, client: Client) -> None:
    run, twin = (Path(shutil.copytree(begun.path, tmp_path / name)) for name in ("run", "twin"))
    for one in (run, twin):
        ingest(one, [labelled(one)], annotator="ana")
    asked = client.result("predict", run=run, threshold=0.3)
    made = predict(twin, threshold=0.3)
    assert asked["area"]["hectares"] == made.area.hectares > 0
    assert asked["area"]["threshold"] == 0.3
    assert (asked["skipped"], asked["failed"]) == ([], {})
    assert asked["done"] == list(made.done)
    names = [Path(path).name for path in asked["paths"]]
    assert names == [path.name for path in made.shown if path.exists()]
    assert "areas.gpkg" in names
    again = client.result("predict", run=run, threshold=0.3)
    assert (again["done"], again["skipped"]) == ([], asked["done"])


def test_places_like_others_are_those_of_the_command(
    begun: Run, tmp_path: Path, client: Client, owl: Owl
) -> None:
    run = Path(shutil.copytree(begun.path, tmp_path / "run"))
    one, other, *_ = Run(run).patches["patch_id"]
    found = client.result("like", run=run, patches=[one], unlike=[other], count=3)
    assert [place["rank"] for place in found["places"]] == [1, 2, 3]
    said = owl("like", run, one, "--unlike", other, "--count", 3).out
    ids = [place["patch_id"] for place in found["places"]]
    assert [word for word in said.split() if word in ids] == ids
    assert found["path"] == str(run / "like.gpkg")
    made = client.result("like", run=run, patches=[one], count=3, batch=True, go_on=True)
    assert made["is_new"] and made["batch_id"].endswith("-like") and made["patches"] == 3
    assert Run(run).rounds()[-1].patch_ids == Run(run).rounds()[made["number"]].patch_ids
    wrong = ({}, {"patches": [one], "batch": True, "out": "x.gpkg"})
    for params in (*wrong, {"patches": [one], "go_on": True}):
        client.ask("like", run=run, **params)
        assert client.answer()["error"]["code"] == -32602


BROKEN = {
    b"{": (-32700, None),
    b"\xff": (-32700, None),
    b'{"jsonrpc": "2.0", "id": NaN, "method": "status"}': (-32700, None),
    b"[]": (-32600, None),
    b"3": (-32600, None),
    b'{"id": 7, "method": "status"}': (-32600, 7),
    b'{"jsonrpc": "2.0", "id": 7}': (-32600, 7),
    b'{"jsonrpc": "2.0", "id": 7, "method": 3}': (-32600, 7),
    b'{"jsonrpc": "2.0", "id": {}, "method": "status"}': (-32600, None),
    b'{"jsonrpc": "2.0", "id": 1e999, "method": "status"}': (-32600, None),
    b'{"jsonrpc": "2.0", "id": 7, "method": "status", "params": 3}': (-32600, 7),
    b'{"jsonrpc": "2.0", "id": 7, "method": "status", "params": ["RUN"]}': (-32602, 7),
    b'{"jsonrpc": "2.0", "id": "x", "method": "stats", "params": {}}': (-32601, "x"),
    b'{"jsonrpc": "2.0", "id": 7, "method": "status"}': (-32602, 7),
    b'{"jsonrpc": "2.0", "id": 7, "method": "status", "params": {"run": 3}}': (-32602, 7),
    b'{"jsonrpc": "2.0", "id": 7, "method": "status", "params": {"run": "\\u0000"}}': (-32602, 7),
    b'{"jsonrpc": "2.0", "id": 7, "method": "status", "params": {"run": "\\ud800"}}': (-32602, 7),
    b'{"jsonrpc": "2.0", "id": 7, "method": "query", "params": {"run": "R", "on": 1}}': (-32602, 7),
    b'{"jsonrpc": "2.0", "id": 7, "method": "ingest", "params": {"run": "R", "batches": []}}': (
        -32602,
        7,
    ),
    b'{"jsonrpc": "2.0", "id": 7, "method": "cancel", "params": {}}': (-32602, 7),
}


def test_what_is_no_request_is_answered_with_its_code(client: Client) -> None:
    for line, (code, id_) in BROKEN.items():
        client.lines.put(line)
        answer = client.answer()
        assert (answer["error"]["code"], answer["id"]) == (code, id_), line
        assert answer["error"]["message"].isprintable()
    client.ask("stats")
    assert client.answer()["error"]["data"]["remedy"] == "did you mean 'status'?"


def test_a_notification_is_never_answered_whatever_is_wrong_with_it(client: Client) -> None:
    for method, params in (
        ("status", "[]"),
        ("status", '{"run": 3}'),
        ("nothing", "[1]"),
        ("cancel", "{}"),
        ("cancel", '{"id": null}'),
        ("cancel", "[1]"),
        ("shutdown", '{"now": true}'),
        ("shutdown", "[1]"),
    ):
        text = f'"method": "{method}", "params": {params}'
        client.lines.put(b'{"jsonrpc": "2.0", ' + text.encode() + b"}")
    client.ask("stats", "asked")
    assert client.answer()["id"] == "asked"


def test_the_mark_that_begins_a_file_on_windows_is_passed_over(begun: Run, client: Client) -> None:
    client.lines.put(b"\xef\xbb\xbf" + lines_of(begun.path, "status").replace(b"\n", b"\r\n"))
    assert client.answer()["result"]["patches"] == 80


def test_an_error_has_the_line_of_the_command(
    tmp_path: Path, begun: Run, client: Client, owl: Owl
) -> None:
    client.ask("ingest", run=begun.path, batches=[tmp_path / "none.gpkg"])
    error = client.answer()["error"]
    assert error["code"] == -32000
    assert owl("ingest", begun.path, tmp_path / "none.gpkg").err == f"error: {error['message']}\n"
    assert error["data"]["kind"] == "BatchError"
    assert error["data"]["remedy"] and error["message"].endswith(error["data"]["remedy"])
    client.ask("query", run=begun.path, overlap=0.5)
    assert client.answer()["error"]["code"] == -32602  # of nobody


def test_a_run_that_another_process_works_on_is_busy(begun: Run, client: Client) -> None:
    with begun.locked():
        client.ask("query", run=begun.path, go_on=True)
        error = client.answer()["error"]
    assert (error["code"], error["data"]["kind"]) == (-32001, "BusyError")
    assert error["data"]["remedy"] == "wait until it is done, then try again"


def test_the_remedy_stands_apart_whoever_found_the_fault(client: Client, tmp_path: Path) -> None:
    client.ask("query", run=tmp_path / "nowhere")
    error = client.answer()["error"]
    made = f"owl-geo init {tmp_path / 'nowhere'} --scene FILE"
    assert error["data"]["remedy"] == f"make one with `{made}`"
    assert error["message"].endswith(f"; {error['data']['remedy']}")
    client.ask("query", run="x" * 5000)
    error = client.answer()["error"]
    assert (error["code"], error["data"]["kind"]) == (-32000, "OSError")
    assert error["data"]["remedy"] == "choose another path"
    assert error["message"].endswith("; choose another path")


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A query that reports its progress and never ends by itself; the event: it has begun."""
    has_begun = threading.Event()

    def asked(self: Engine, *, report: Reporter, **_options: Any) -> Any:
        update = report("Scoring")
        assert update is not None
        done = 0
        while True:
            done += 1
            update(done, 10**9)
            has_begun.set()
            threading.Event().wait(0.01)

    monkeypatch.setattr(Engine, "query", asked)
    return has_begun


def test_requests_are_cancelled_in_the_middle_and_in_the_queue(
    begun: Run, client: Client, endless: threading.Event
) -> None:
    client.ask("query", "long", run=begun.path)
    client.ask("query", "later", run=begun.path)
    client.ask("status", "last", run=begun.path)
    assert endless.wait(LONG)
    client.ask("query", "later", run=begun.path)  # the id is taken
    assert client.answer()["error"]["code"] == -32600
    client.ask("cancel", "c", id="later")
    assert client.answer() == {"id": "later", "error": {"code": -32800, "message": "cancelled"}}
    assert client.answer() == {"id": "c", "result": True}
    client.ask("cancel", "again", id="later")
    assert client.answer() == {"id": "again", "result": False}  # it has its answer
    client.ask("cancel", "d", id="nothing")
    assert client.answer() == {"id": "d", "result": False}
    client.lines.put(b'{"jsonrpc": "2.0", "method": "cancel", "params": {"id": "long"}}')
    assert client.answer() == {"id": "long", "error": {"code": -32800, "message": "cancelled"}}
    assert client.answer()["id"] == "last"
    progress = [one["params"] for one in client.told if one["method"] == "progress"]
    assert progress and progress[0] == {"id": "long", "what": "Scoring", "done": 1, "of": 10**9}


def test_a_cancelled_query_writes_nothing_and_the_next_is_as_without(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make(tmp_path / "run", model={"head": "logistic"}).path
    query(one)
    ingest(one, [labelled(one)], annotator="ana")
    other = Path(shutil.copytree(one, tmp_path / "other"))
    report = server._Server.report

    def cancelled(self: server._Server, what: str) -> Progress:
        if what == "Scoring":  # the learner has learnt by then
            assert self._now is not None
            self._now.is_cancelled.set()
        return report(self, what)

    with monkeypatch.context() as patched:
        patched.setattr(server._Server, "report", cancelled)
        client.ask("query", run=one)
        assert client.answer()["error"]["code"] == -32800
    assert differences(contents(one), contents(other)) == []
    assert client.result("query", run=one)["number"] == 1
    query(other)
    assert differences(contents(one), contents(other)) == []


@pytest.mark.parametrize("method", ["foresee", "next", "predict"])
def test_what_waits_for_features_is_cancelled_though_they_tell_of_no_progress(
    method: str, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make(tmp_path / "run", model={"head": "logistic"}).path
    query(one)
    batch = labelled(one)
    other = Path(shutil.copytree(one, tmp_path / "other"))
    for run in (one, other) if method == "predict" else ():
        ingest(run, [batch], annotator="ana")
    begun, let = threading.Event(), threading.Event()
    feature_table = table.feature_table

    def slowly(*arguments: Any, **options: Any) -> Any:
        begun.set()
        assert let.wait(LONG)
        return feature_table(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(table, "feature_table", slowly)
        batches = {} if method == "predict" else {"batches": [batch]}
        client.ask(method, "long", run=one, **batches)
        assert begun.wait(LONG)
        while (told := client.messages.get(timeout=LONG)).get("method") != "progress":
            assert "method" in told, told
        said = {"id": "long", "what": "Preparing", "done": 0, "of": 1}
        assert told["params"] == said
        client.ask("cancel", "c", id="long")
        answers = [client.answer(), client.answer()]
        assert {"id": "c", "result": True} in answers
        assert {"id": "long", "error": {"code": -32800, "message": "cancelled"}} in answers
        let.set()
    assert client.result("next", run=one, batches=[batch])["number"] == 1
    query(one)  # waits until the round is measured
    ingest(other, [batch], annotator="ana")
    query(other)
    assert Run(one).rounds()[1].patch_ids == Run(other).rounds()[1].patch_ids


def test_notifications_are_done_and_not_answered(
    begun: Run, tmp_path: Path, client: Client
) -> None:
    run = Path(shutil.copytree(begun.path, tmp_path / "run"))
    params = {"run": str(run), "batches": [str(labelled(run))]}
    client.lines.put(line_of({"jsonrpc": "2.0", "method": "nothing", "params": params}))
    client.lines.put(line_of({"jsonrpc": "2.0", "method": "ingest", "params": params}))
    client.ask("status", "asked", run=run)
    answer = client.answer()
    assert answer["id"] == "asked"
    assert answer["result"]["labels"] == {"absent": 3, "present": 3}


def test_a_defect_is_answered_and_the_next_request_is_done(
    begun: Run, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Engine) -> None:
        raise ZeroDivisionError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(Engine, "status", broken)
        client.ask("open", run=begun.path)
        error = client.answer()["error"]
    assert error["code"] == -32603
    assert "ZeroDivisionError" in error["message"] and "broken" in error["data"]["traceback"]
    assert client.result("status", run=begun.path)["patches"] == 80


def test_warnings_are_told_with_the_request_they_belong_to(
    begun: Run, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warned(self: Engine, *_paths: object, annotator: str) -> list[Any]:
        logging.getLogger("owl_geo").warning("%d answers do not count", 3)
        return []

    monkeypatch.setattr(Engine, "ingest", warned)
    client.ask("ingest", 9, run=begun.path, batches=["b.gpkg"])
    assert client.answer() == {"id": 9, "result": {"ingested": []}}
    told = {"id": 9, "level": "warning", "message": "3 answers do not count"}
    assert {"method": "log", "params": told} in client.told


def test_what_was_asked_before_the_end_is_done(begun: Run) -> None:
    with serving() as client:
        client.ask("shutdown", 0, now=True)  # refused, so it ends nothing
        client.ask("status", 1, run=begun.path)
        client.ask("shutdown", 2)
        client.ask("status", 3, run=begun.path)
        client.lines.put(None)
    assert client.answer()["error"]["code"] == -32602
    assert [client.answer()["id"] for _ in range(2)] == [1, 2]
    assert client.messages.empty()


def test_it_ends_where_nobody_listens(begun: Run, endless: threading.Event) -> None:
    with serving() as client:
        client.ask("query", run=begun.path)
        assert endless.wait(LONG)
        client.listens = False


def lines_of(run: Path, *methods: str) -> bytes:
    calls = [
        {"jsonrpc": "2.0", "id": number, "method": name, "params": {"run": str(run)}}
        for number, name in enumerate(methods)
    ]
    return b"".join(map(line_of, calls))


OWN = [sys.executable, "-m", "owl_geo", "engine"]


def test_as_a_process(tmp_path: Path) -> None:
    """Nothing else is on standard output, and it ends with its input."""
    one = make(tmp_path / "one", model={"head": "logistic"}).path
    done = subprocess.run(
        OWN, input=lines_of(one, "open", "query", "status"), capture_output=True, check=True
    )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in messages if "result" in one] == [0, 1, 2]
    assert done.stderr == b""
    assert len(Run(one).rounds()) == 1


@pytest.mark.parametrize("text", [b"", b"\n", b"a", b"a\n", b"ab\n\ncdefgh\ni", b"abc\ndef\n\n"])
@pytest.mark.parametrize("at_once", [1, 3, 4, 100])
def test_lines_are_whole_however_they_arrive(
    text: bytes, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_bytes(text)
    monkeypatch.setattr(engine_command, "_AT_ONCE", at_once)
    with (tmp_path / "text").open("rb") as file:
        found = list(engine_command._lines(file.fileno()))
    assert found == text.removesuffix(b"\n").split(b"\n") if text else found == []


def test_a_large_message_arrives_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = b"x" * (4 << 20)
    (tmp_path / "text").write_bytes(line)
    monkeypatch.setattr(engine_command, "_AT_ONCE", 256)
    with (tmp_path / "text").open("rb") as file:
        assert list(engine_command._lines(file.fileno())) == [line]


@pytest.mark.skipif(os.name == "nt", reason="closes a stream as a shell does")
@pytest.mark.parametrize(("stream", "name"), [(0, "input"), (1, "output")])
def test_a_stream_that_is_closed_is_one_line(stream: int, name: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {stream}{"<>"[stream]}&-', "sh", *OWN],
        capture_output=True,
        text=True,
        check=False,
    )
    says = f"error: standard {name} is closed; connect it to the program that asks\n"
    assert (done.returncode, done.stderr) == (1, says)


def test_the_command_says_what_it_is_for() -> None:
    assert "JSON-RPC 2.0" in (command.help or "")
