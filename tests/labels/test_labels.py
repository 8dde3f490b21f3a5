"""What every label store promises, and what the GeoPackage one promises besides."""

from __future__ import annotations

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import memory_stores
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from owl_geo import labels
from owl_geo.errors import RunError
from owl_geo.labels import (
    Answer,
    AnsweredRun,
    Appended,
    GeoPackageLabels,
    LabelStore,
    consensus,
    disputed,
    store_class,
)
from owl_geo.labels.base import HISTORY_COLUMNS
from owl_geo.schema import LABELS_COLUMNS
from owl_geo.settings.stores import STORES

CRS = "EPSG:32631"


def answer(patch: int, label: str = "present", annotator: str = "ann", hour: int = 0) -> Answer:
    time = f"2026-01-01T{hour:02}:00:00Z"
    return Answer(f"scene/{patch}/0", label, annotator, time, "run-001", 1)


def answers(n: int) -> list[Answer]:
    return [answer(i) for i in range(n)]


FOOTPRINTS = {f"scene/{i}/0": shapely.box(i, 10, i + 1, 12) for i in range(50)}


def geopackage(folder: Path) -> GeoPackageLabels:
    return GeoPackageLabels(folder / "labels.gpkg", CRS)


def address_of(scheme: str | None, request: pytest.FixtureRequest) -> str | None:
    """Return where the tests have a store of a kind; a kind that is registered needs one here."""
    if scheme is None:
        return None
    if scheme in ("postgresql", "postgres"):
        database = request.getfixturevalue("store_of_all_tests")
        return str(database.url).replace("postgresql", scheme, 1)
    assert scheme in memory_stores.KINDS, f"no tests over the store {scheme}://"
    request.getfixturevalue("memory_stores")
    return f"{scheme}://tests"


@pytest.fixture(params=[*STORES, *memory_stores.KINDS])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], LabelStore]:
    """Opens the same store each time it is called."""
    address = address_of(request.param, request)
    run = AnsweredRun(tmp_path, secrets.token_hex(4), CRS)
    if store_class(address).has_administration:
        store = labels.open_store(address, run, check=False)
        assert store.administration().set_up(("absent", "present"), "present")
    return lambda: labels.open_store(address, run)


@pytest.fixture
def store(open_store: Callable[[], LabelStore]) -> LabelStore:
    return open_store()


class TestEveryStore:
    """The conformance test: each implementation of LabelStore passes it."""

    def test_it_is_a_label_store(self, store: LabelStore) -> None:
        assert isinstance(store, LabelStore)
        store.check_ready()

    def test_it_says_where_it_is(self, store: LabelStore) -> None:
        assert store.place.isprintable() and store.place.strip()
        assert store.name and store.name in store.place

    def test_it_knows_which_answers_it_lacks(self, store: LabelStore) -> None:
        assert store.lacks(answers(3)) == answers(3)
        store.append(answers(2), FOOTPRINTS)
        assert store.lacks(answers(4)) == answers(4)[2:]
        assert store.lacks([]) == []
        assert store.count() == 2

    def test_answers_outlast_a_pool_that_grows_into_another_crs(self, store: LabelStore) -> None:
        store.append(answers(2), FOOTPRINTS)
        before = store.history()
        for _ in range(2):
            store.reproject()
            pd.testing.assert_frame_equal(store.history(), before)

    @pytest.mark.parametrize("what", ["layers", "administration"])
    def test_what_it_has_not_it_refuses_in_a_line(self, store: LabelStore, what: str) -> None:
        if getattr(store, f"has_{what}"):
            assert getattr(store, what)() is not None
            return
        with pytest.raises(RunError) as refused:
            getattr(store, what)()
        message = str(refused.value)
        assert message.isprintable()
        assert "; " in message  # the remedy
        assert message.startswith(
            (f"the label store {store.place} ", f"{Path(store.place).parent} ")
        )

    def test_without_answers_it_is_empty(self, store: LabelStore) -> None:
        assert store.append([], FOOTPRINTS) == Appended(0, 0)
        assert store.count() == 0
        assert list(store.history().columns) == list(HISTORY_COLUMNS)
        assert list(store.current().columns) == ["patch_id", "label", "seq"]
        assert len(store.history()) == len(store.current()) == 0

    def test_answers_come_back_in_order_of_arrival(self, store: LabelStore) -> None:
        given_ = [
            replace(answer(3), comment="quotes ' and \" and ü"),
            answer(1, "unsure", hour=5),
            replace(answer(2, "skip"), round=2, batch_id="run-002"),
        ]
        assert store.append(given_[:2], FOOTPRINTS) == Appended(2, 0)
        assert store.append(given_[2:], FOOTPRINTS) == Appended(1, 0)
        history = store.history()
        assert history["seq"].is_monotonic_increasing and history["seq"].is_unique
        back = [Answer(**row) for row in history.drop(columns="seq").to_dict("records")]
        assert back == given_
        assert store.count() == 3

    def test_the_same_answers_twice_change_nothing(self, store: LabelStore) -> None:
        store.append(answers(4), FOOTPRINTS)
        before = store.history()
        assert store.append(answers(5), FOOTPRINTS) == Appended(new=1, unchanged=4)
        assert store.append(answers(5), FOOTPRINTS) == Appended(new=0, unchanged=5)
        pd.testing.assert_frame_equal(store.history().head(4), before)

    def test_answers_without_a_time_of_their_own_are_known_again(self, store: LabelStore) -> None:
        first = replace(answer(1, hour=1), stamped=False)
        later = replace(first, labelled_at="2026-01-02T00:00:00Z")
        assert store.append([first], FOOTPRINTS).new == 1
        assert store.append([later], FOOTPRINTS) == Appended(0, 1)
        changed = replace(later, label="absent")
        assert store.append([changed], FOOTPRINTS) == Appended(1, 0)
        back_again = replace(later, labelled_at="2026-01-03T00:00:00Z")
        assert store.append([back_again], FOOTPRINTS) == Appended(1, 0)
        assert store.current()["label"].tolist() == ["present"]

    def test_an_answer_may_be_changed_and_back_within_a_second(self, store: LabelStore) -> None:
        first = replace(answer(1, hour=1), stamped=False)
        changed = replace(first, label="absent")
        for one, word in ((first, "present"), (changed, "absent"), (first, "present")):
            assert store.append([one], FOOTPRINTS) == Appended(1, 0)
            assert store.append([one], FOOTPRINTS) == Appended(0, 1)
            assert store.current()["label"].tolist() == [word]
        later = replace(changed, labelled_at="2026-01-02T00:00:00Z")
        assert store.append([later, first], FOOTPRINTS) == Appended(1, 1)  # it came before

    @pytest.mark.parametrize(
        "change",
        [
            {"label": "absent"},
            {"annotator": "bo"},
            {"comment": "sure"},
            {"batch_id": "run-002"},
            {"labelled_at": "2026-01-01T00:00:01Z"},
        ],
    )
    def test_any_difference_makes_a_new_answer(
        self, store: LabelStore, change: dict[str, str]
    ) -> None:
        store.append([answer(1)], FOOTPRINTS)
        assert store.append([replace(answer(1), **change)], FOOTPRINTS) == Appended(1, 0)

    def test_an_answer_may_be_taken_back(self, store: LabelStore) -> None:
        back = replace(answer(1, hour=1), label=None)
        assert store.append([answer(1), answer(2), back], FOOTPRINTS) == Appended(3, 0)
        assert store.append([back], FOOTPRINTS) == Appended(0, 1)
        assert store.history()["label"].tolist() == ["present", "present", None]
        assert store.current()["patch_id"].tolist() == ["scene/2/0"]

    def test_doubles_in_one_go_are_stored_once(self, store: LabelStore) -> None:
        assert store.append([answer(1), answer(1)], FOOTPRINTS) == Appended(1, 1)

    def test_an_unknown_footprint_stores_nothing(self, store: LabelStore) -> None:
        with pytest.raises(KeyError):
            store.append([answer(1), answer(999)], FOOTPRINTS)
        assert store.count() == 0

    def test_another_store_of_the_same_place_sees_the_answers(
        self, store: LabelStore, open_store: Callable[[], LabelStore]
    ) -> None:
        store.append(answers(2), FOOTPRINTS)
        assert open_store().append(answers(3), FOOTPRINTS) == Appended(1, 2)
        assert store.count() == 3


# --- consensus ------------------------------------------------------------------------------------


def history_of(*given_: Answer) -> pd.DataFrame:
    rows = [
        (seq, *(getattr(one, name) for name in LABELS_COLUMNS)) for seq, one in enumerate(given_)
    ]
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))


def label_of(*given_: Answer) -> list[str]:
    return consensus(history_of(*given_))["label"].tolist()


def test_the_newest_answer_of_an_annotator_counts_by_its_time() -> None:
    assert label_of(answer(1, "present", hour=9), answer(1, "absent", hour=3)) == ["present"]


def test_at_the_same_time_the_later_arrival_counts() -> None:
    assert label_of(answer(1, "present"), answer(1, "absent")) == ["absent"]


def test_times_are_compared_as_moments() -> None:
    east = replace(answer(1, "absent"), labelled_at="2026-01-01T09:30:00+09:00")
    assert label_of(answer(1, "present", hour=1), east) == ["present"]


def test_the_majority_of_annotators_decides() -> None:
    votes = [answer(1, "absent", "a"), answer(1, "present", "b"), answer(1, "present", "c")]
    assert label_of(*votes) == ["present"]
    changed = [answer(1, "absent", "b", hour=1)]
    assert label_of(*votes, *changed) == ["absent"]


def test_a_tie_has_no_label_until_it_was_asked_again() -> None:
    tie = [answer(1, "absent", "a"), answer(1, "present", "b")]
    assert label_of(*tie) == []
    assert disputed(history_of(*tie)) == ["scene/1/0"]
    assert label_of(*tie, answer(2, "skip", "a")) == ["skip"]
    third = replace(answer(1, "skip", "c", hour=1), batch_id="run-002")
    assert label_of(*tie, third) == ["unsure"]
    assert disputed(history_of(*tie, third)) == []
    assert label_of(*tie, replace(third, label="present")) == ["present"]
    # the same batch once more is no asking again
    assert label_of(*tie, answer(1, "skip", "c", hour=1)) == []


def test_answers_of_two_batches_that_tie_were_not_asked_again() -> None:
    later = replace(answer(1, "present", "b", hour=1), batch_id="run-002")
    assert label_of(answer(1, "absent", "a"), later) == []


def test_an_answer_that_is_taken_back_counts_no_more() -> None:
    back = replace(answer(1, hour=1), label=None)
    assert label_of(answer(1), back) == []
    assert disputed(history_of(answer(1), back)) == []
    assert label_of(answer(1), back, answer(1, "absent", hour=2)) == ["absent"]
    assert label_of(answer(1), answer(1, "absent", "b"), back) == ["absent"]
    # what remains is news: nobody has learnt it yet
    found = consensus(history_of(answer(1), answer(1, "absent", "b"), back))
    assert found["seq"].tolist() == [2]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from("xyz"), st.sampled_from("abc"), st.integers(0, 3)
        ),
        max_size=30,
    )
)
def test_consensus_equals_counting_by_hand(said: list[tuple[int, str, str, int]]) -> None:
    history = [answer(*one) for one in said]
    found = consensus(history_of(*history))

    newest: dict[str, dict[str, tuple[str, int, str]]] = {}
    for seq, one in enumerate(history):
        mine = newest.setdefault(one.patch_id, {})
        if one.annotator not in mine or one.labelled_at >= mine[one.annotator][0]:
            mine[one.annotator] = (one.labelled_at, seq, one.label)
    expected, tied = {}, set()
    for patch_id, votes in newest.items():
        labels = [label for _, _, label in votes.values()]
        top = sorted(set(labels), key=labels.count)
        tie = len(top) > 1 and labels.count(top[-1]) == labels.count(top[-2])
        if tie:  # all of one batch
            tied.add(patch_id)
        else:
            expected[patch_id] = (top[-1], max(seq for _, seq, _ in votes.values()))
    assert {p: (label, seq) for p, label, seq in found.itertuples(index=False)} == expected
    assert found["seq"].is_monotonic_increasing
    assert set(disputed(history_of(*history))) == tied


# --- the GeoPackage -------------------------------------------------------------------------------


def test_the_layer_reads_as_the_contract_says(tmp_path: Path) -> None:
    geopackage(tmp_path).append([answer(3), answer(1), answer(7)], FOOTPRINTS)
    table = gpd.read_file(tmp_path / "labels.gpkg", layer="labels")
    assert list(table.columns) == [*LABELS_COLUMNS, "geometry"]
    assert table.crs == CRS
    assert table.geometry.tolist() == [FOOTPRINTS[f"scene/{i}/0"] for i in (3, 1, 7)]
    with closing(sqlite3.connect(tmp_path / "labels.gpkg")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (10300,)
        bounds = connection.execute("SELECT min_x, min_y, max_x, max_y FROM gpkg_contents")
        assert bounds.fetchone() == (1, 10, 8, 12)
        counted = connection.execute("SELECT feature_count FROM gpkg_ogr_contents")
        assert counted.fetchone() == (3,)


def test_the_extent_grows_and_the_time_of_change_moves(tmp_path: Path) -> None:
    query = "SELECT min_x, max_x, last_change FROM gpkg_contents"
    store = geopackage(tmp_path)
    store.append([answer(5)], FOOTPRINTS)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE gpkg_contents SET last_change = '2001-01-01T00:00:00.000Z'")
        connection.commit()
        store.append([answer(9)], FOOTPRINTS)
        min_x, max_x, changed = connection.execute(query).fetchone()
    assert (min_x, max_x) == (5, 10)
    assert changed > "2026"


def test_reading_makes_no_file(tmp_path: Path) -> None:
    store = geopackage(tmp_path)
    store.history(), store.current(), store.count()
    assert list(tmp_path.iterdir()) == []


def test_only_the_file_is_left_in_its_folder(tmp_path: Path) -> None:
    geopackage(tmp_path).append(answers(3), FOOTPRINTS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels.gpkg"]


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    path = [str(Path(__file__).parents[1] / "helpers"), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-c", f"from test_labels import *\n{code}", *map(str, arguments)],
        cwd=Path(__file__).parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


APPEND_OFTEN = """
store = GeoPackageLabels(sys.argv[1], CRS)
for hour in range(20):
    mine = [answer(i, annotator=sys.argv[2], hour=hour) for i in range(5)]
    assert store.append(mine, FOOTPRINTS).new == 5
"""


def test_processes_may_append_at_once(tmp_path: Path) -> None:
    store = geopackage(tmp_path)
    writers = [child(APPEND_OFTEN, store.path, name) for name in ("ann", "bo")]
    for writer in writers:
        assert writer.communicate()[1] == "" and writer.returncode == 0
    per_annotator = store.history()["annotator"].value_counts().to_dict()
    assert per_annotator == {"ann": 100, "bo": 100}
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels.gpkg"]


KILLED_WHILE_STORING = """
class Killed(sqlite3.Connection):
    def execute(self, statement, *values):
        if statement == sys.argv[2]:
            os.kill(os.getpid(), signal.SIGKILL)
        if statement == "BEGIN IMMEDIATE":
            super().execute("PRAGMA cache_size = 1")  # part of the change is on disk before its end
        return super().execute(statement, *values)

connect = sqlite3.connect
sqlite3.connect = lambda *args, **options: connect(*args, factory=Killed, **options)
GeoPackageLabels(sys.argv[1], CRS).append([answer(i, hour=7) for i in range(50)], FOOTPRINTS)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
@pytest.mark.parametrize("before", [[], answers(3)])
@pytest.mark.parametrize("moment", ["BEGIN IMMEDIATE", "COMMIT"])
def test_a_killed_process_leaves_all_or_nothing(
    tmp_path: Path, before: list[Answer], moment: str
) -> None:
    store = geopackage(tmp_path)
    store.append(before, FOOTPRINTS)
    killed = child(KILLED_WHILE_STORING, store.path, moment)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    if moment == "COMMIT":
        assert store.path.with_name("labels.gpkg-journal").exists()
    assert store.count() == len(before)
    assert store.append(answers(10), FOOTPRINTS) == Appended(10 - len(before), len(before))
    assert len(gpd.read_file(store.path, layer="labels")) == 10


ON_A_FULL_DISK = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    many = [replace(answer(i % 50, hour=i % 24), comment="x" * i) for i in range(1000)]
    GeoPackageLabels(sys.argv[1], CRS).append(many, FOOTPRINTS)
except RunError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
@pytest.mark.parametrize("limit", [8_000, 20_000, 60_000, 150_000])
def test_a_full_disk_is_one_line_and_stores_nothing(tmp_path: Path, limit: int) -> None:
    store = geopackage(tmp_path)
    out, err = child(ON_A_FULL_DISK, store.path, limit).communicate()
    assert out.startswith("cannot write the answers in ") and out.count("\n") == 1, err
    assert store.count() == 0
    assert store.append(answers(3), FOOTPRINTS).new == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels.gpkg"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match=r"cannot write the answers in .*Permission denied"):
        geopackage(tmp_path).append(answers(1), FOOTPRINTS)
    tmp_path.chmod(0o700)


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    store = geopackage(tmp_path / "missing")
    with pytest.raises(RunError, match=r"cannot write the answers in .*No such file or directory"):
        store.append(answers(1), FOOTPRINTS)


def test_a_run_that_is_being_made_is_named_as_it_will_be_called(tmp_path: Path) -> None:
    run = AnsweredRun(tmp_path / ".run.partial", "id", CRS, called=tmp_path / "run")
    store = labels.open_store(None, run, check=False)
    assert store.place == str(tmp_path / "run" / "labels.gpkg")
    with pytest.raises(RunError) as caught:
        store.append(answers(1), FOOTPRINTS)
    assert f"the answers in {store.place}: No such file" in caught.value.message


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"patch_id,label\n" * 50, "file is not a database"), (b"", "no such table: labels")],
)
def test_a_foreign_file_is_one_line_and_stays(tmp_path: Path, content: bytes, message: str) -> None:
    store = geopackage(tmp_path)
    store.path.write_bytes(content)
    with pytest.raises(RunError, match=f"cannot read the answers in .*{message}") as caught:
        store.history()
    assert "move it away and ingest the run's batches again" in caught.value.remedy
    with pytest.raises(RunError, match=f"cannot write the answers in .*{message}"):
        store.append(answers(1), FOOTPRINTS)
    assert store.path.read_bytes() == content


def test_a_lock_that_does_not_end_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = geopackage(tmp_path)
    store.append(answers(1), FOOTPRINTS)
    monkeypatch.setattr("owl_geo.disk.gpkg.BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RunError, match="another program is writing to it"):
            store.append(answers(2), FOOTPRINTS)
    assert store.append(answers(2), FOOTPRINTS) == Appended(1, 1)
