"""Full disks, locked files, wrong clocks, changed scenes, dead servers: one line, nothing lost."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from contents import contents, differences
from cubes import cube, write_netcdf
from forks import Done, Forks, spread
from rasters import write_raster
from searches import label
from stages import Stage, begin, make_stages

from owl_geo import Run, schema
from owl_geo.sources import file_states

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and signals processes")

BATCH = "run/rounds/000/batch.gpkg"


def mounted(folder: Path) -> bool:
    """Put a disk of its own into the folder, where this system lets us."""
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    folder = tmp_path_factory.mktemp("days")
    own_disk = mounted(folder)
    server = Forks(folder)
    yield server
    server.close()
    if own_disk:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def stages(forks: Forks) -> dict[str, Stage]:
    return make_stages(forks)


def without_warnings(done: Done) -> list[str]:
    return [line for line in done.err.splitlines() if line and not line.startswith("warning: ")]


def assert_one_line(done: Done, *words: str) -> None:
    """Fail unless the command ended with 1 and said why in one line, with these words."""
    # libtiff's own words, which no handler reaches
    lines = [line for line in without_warnings(done) if not line.startswith("_tiff")]
    assert done.code == 1, done.err
    assert len(lines) == 1 and lines[0].startswith("error: "), done.err
    for word in words:
        assert word in lines[0]


def assert_goes_on(forks: Forks, stage: Stage) -> None:
    """Give the command again and compare with the undisturbed one, hidden files too."""
    again = forks.run(*stage.arguments)
    assert again.code == 0, again.err
    assert differences(contents(forks.folder / "run"), contents(stage.after)) == []
    assert list(forks.folder.glob(".*")) == []


def assert_nothing_half_written(forks: Forks, stage: Stage) -> None:
    """What was there is as it was, and nothing stands beside it but whole kept features."""
    run = forks.folder / "run"
    before = contents(stage.before) if stage.before is not None else {}
    now = contents(run) if run.exists() else {}
    assert {name: now.get(name) for name in before} == before
    new = [Path(name) for name in now.keys() - before.keys()]
    assert [name for name in new if any(part.startswith(".") for part in name.parts)] == []
    assert not any("rounds" in name.parts[:1] for name in new)
    assert list(forks.folder.glob(".*")) == []


COMMANDS = ("init", "query", "ingest", "train", "predict", "add")
FURTHER = ("update", "patches", "export", "like", "classes")

# --- the disk -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS + FURTHER)
def test_no_file_may_grow(name: str, forks: Forks, stages: dict[str, Stage]) -> None:
    stage, refused = stages[name], 0
    for largest in (1_000, 9_000, 30_000):
        begin(forks, stage)
        done = forks.run(*stage.arguments, largest=largest)
        if done.code:
            refused += 1
            assert_one_line(done, "cannot write", "File too large")
            assert_nothing_half_written(forks, stage)
            if refused == 1:
                assert_goes_on(forks, stage)
        else:
            assert differences(contents(forks.folder / "run"), contents(stage.after)) == []
    assert refused


@pytest.mark.parametrize("suffix", ["csv", "fgb", "geojson", "gpkg", "parquet"])
def test_a_layer_without_its_last_bytes(
    suffix: str, forks: Forks, stages: dict[str, Stage]
) -> None:
    """GDAL says nothing where it fails to write the end of some formats."""
    begin(forks, stages["patches"])
    file = forks.folder / f"layer.{suffix}"
    assert forks.run("patches", "run", file.name).code == 0
    size = file.stat().st_size
    file.unlink()
    for missing in (1, 30, 1_000):
        done = forks.run("patches", "run", file.name, largest=size - missing)
        assert_one_line(done, f"cannot write {file.name}: File too large")
        assert not file.exists()


def test_what_is_printed_into_a_file_that_may_not_grow(
    forks: Forks, stages: dict[str, Stage]
) -> None:
    run = begin(forks, stages["ingest"])
    printed = forks.folder / "printed"
    code = f"import os; os.dup2(os.open({str(printed)!r}, os.O_CREAT | os.O_WRONLY), 1)"
    assert_one_line(
        forks.run("status", run, code=code, largest=100), "cannot write the output: File too large"
    )
    printed.unlink()


@contextmanager
def only_free(folder: Path, n: int) -> Iterator[None]:
    """Fill the disk up to ``n`` bytes."""
    ballast = folder / "ballast"
    disk = os.statvfs(folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - n)
    try:
        yield
    finally:
        ballast.unlink()


@pytest.mark.parametrize("name", COMMANDS + FURTHER)
def test_a_full_disk(name: str, forks: Forks, stages: dict[str, Stage]) -> None:
    if not forks.folder.is_mount():
        pytest.skip("to fill a disk takes the right to mount one")
    stage, refused = stages[name], 0
    for free in (4_096, 49_152):
        begin(forks, stage)
        with only_free(forks.folder, free):
            done = forks.run(*stage.arguments)
        if done.code:
            refused += 1
            assert_one_line(done, "cannot write", "No space left on device")
            assert len(without_warnings(done)) == 1
            assert_nothing_half_written(forks, stage)
            if refused == 1:
                assert_goes_on(forks, stage)
    assert refused


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    if folder.is_mount():
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        try:
            yield
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        return
    if os.geteuid() == 0:
        pytest.skip("root may write all")
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o500)
    try:
        yield
    finally:
        for path in folders:
            path.chmod(0o700)


@pytest.mark.parametrize("name", COMMANDS + FURTHER)
def test_a_folder_that_may_not_be_written(
    name: str, forks: Forks, stages: dict[str, Stage]
) -> None:
    stage = stages[name]
    begin(forks, stage)
    with read_only(forks.folder):
        done = forks.run(*stage.arguments)
        # an edited owl.toml is refused, read-only or not
        status = forks.run("status", "run") if stage.before and name != "update" else None
    assert_one_line(done, "cannot write")
    assert status is None or status.code == 0, status.err
    assert_nothing_half_written(forks, stage)
    assert_goes_on(forks, stage)


NO_LINKS = """
import os
def link(*arguments, **options):
    raise PermissionError(1, "Operation not permitted")
os.link = link
"""

NO_LOCKS = """
import errno, fcntl
def flock(*arguments):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
"""


@pytest.mark.parametrize("name", ["query", "ingest", "predict"])
def test_a_drive_without_hard_links(name: str, forks: Forks, stages: dict[str, Stage]) -> None:
    stage = stages[name]
    begin(forks, stage)
    done = forks.run(*stage.arguments, code=NO_LINKS)
    assert done.code == 0, done.err
    assert differences(contents(forks.folder / "run"), contents(stage.after)) == []


@pytest.mark.parametrize("name", ["query", "predict", "add"])
def test_a_drive_without_locks(name: str, forks: Forks, stages: dict[str, Stage]) -> None:
    stage = stages[name]
    begin(forks, stage)
    done = forks.run(*stage.arguments, code=NO_LOCKS)
    assert_one_line(done, "cannot lock files", "move it to another drive")
    assert_nothing_half_written(forks, stage)
    assert_goes_on(forks, stage)


# --- signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["init", "train", "predict", "add"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_in_order(
    number: int, code: int, name: str, forks: Forks, stages: dict[str, Stage]
) -> None:
    stage = stages[name]
    for n in spread(len(stage.undisturbed.instants) // 2, 3)[1:]:
        begin(forks, stage)
        done = forks.run(*stage.arguments, kill_at=n, signal=number)
        assert done.code == code, done.err
        assert without_warnings(done) == ["stopped; the same command goes on from here"]
        if name != "predict":  # whose folder says what is finished
            assert_nothing_half_written(forks, stage)
    assert_goes_on(forks, stage)


# --- several at once ------------------------------------------------------------------------------

SLOWLY = """
import time
from pathlib import Path
from owl_geo.search.search import Search
learn = Search.learn
def slowly(self, *arguments):
    mark = Path("learning")
    mark.touch()
    for _ in range(6000):  # until the test takes it away
        if mark.exists():
            time.sleep(0.01)
    return learn(self, *arguments)
Search.learn = slowly
"""


def started_slowly(forks: Forks, *arguments: object) -> int:
    """Start a command and return when it has begun to learn; then it waits for ``go_on``."""
    mark = forks.folder / "learning"
    number = forks.start(*arguments, code=SLOWLY)
    while not mark.exists():
        time.sleep(0.05)
    return number


def go_on(forks: Forks) -> None:
    (forks.folder / "learning").unlink()


def test_a_second_query_says_so_and_the_first_goes_on(
    forks: Forks, stages: dict[str, Stage]
) -> None:
    stage = stages["train"]
    begin(forks, stage)
    first = started_slowly(forks, *stage.arguments)
    second = subprocess.run(
        [sys.executable, "-m", "owl_geo", "query", "run"],
        cwd=forks.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.startswith("error: another owl-geo is working on run; wait until")
    assert second.stderr.count("\n") == 1
    go_on(forks)
    assert forks.wait(first).code == 0
    assert differences(contents(forks.folder / "run"), contents(stage.after)) == []


def test_answers_that_come_in_while_a_query_learns_count_in_the_next(
    forks: Forks, stages: dict[str, Stage]
) -> None:
    stage = stages["ingest"]
    run = Run(begin(forks, stage))
    patches = run.rounds()[0].patch_ids
    label(forks.folder / BATCH, dict.fromkeys(patches[4:], None))  # type: ignore[arg-type]
    assert forks.run("ingest", "run", BATCH).code == 0
    learning = started_slowly(forks, "query", "run")
    label(forks.folder / BATCH, dict.fromkeys(patches[4:], "present"))
    assert forks.run("ingest", "run", BATCH).code == 0
    go_on(forks)
    assert forks.wait(learning).code == 0
    assert Run(run.path).rounds()[1].metrics.n_labeled == 4
    second = Run(run.path).rounds()[1].patch_ids
    assert not set(second) & set(patches[:4])
    label(run.batch_path(1), {second[0]: "absent"})
    assert forks.run("ingest", "run", "run/rounds/001/batch.gpkg").code == 0
    assert forks.run("query", "run").code == 0
    assert Run(run.path).rounds()[2].metrics.n_labeled == 6 + (second[0] not in patches)


def test_ten_ingests_at_once_store_all(forks: Forks, stages: dict[str, Stage]) -> None:
    run = begin(forks, stages["ingest"])
    numbers = []
    patches = Run(run).rounds()[0].patch_ids
    for k in range(10):
        mine = forks.folder / f"batch-{k}.gpkg"
        shutil.copy(forks.folder / BATCH, mine)
        label(mine, dict.fromkeys(patches, "present"), annotator=f"annotator {k}")
        numbers.append(forks.start("ingest", "run", mine.name))
    for number in numbers:
        done = forks.wait(number)
        assert done.code == 0, done.err
        assert "6 new, 0 known before" in done.out
    history = Run(run).labels.history()
    assert history["annotator"].value_counts().to_dict() == {f"annotator {k}": 6 for k in range(10)}
    assert list(run.glob(".labels*")) == []


def test_predict_and_query_at_once(forks: Forks, stages: dict[str, Stage]) -> None:
    begin(forks, stages["predict"])
    shutil.rmtree(forks.folder / "run/features")  # both compute them
    numbers = [forks.start(*stages[name].arguments) for name in ("predict", "train")]
    for number in numbers:
        done = forks.wait(number)
        assert done.code == 0, done.err
    whole = contents(stages["train"].after) | contents(stages["predict"].after)
    assert (
        differences(contents(forks.folder / "run"), whole | contents(stages["train"].after)) == []
    )


# --- locked by another program --------------------------------------------------------------------

HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
"""


@contextmanager
def held(path: Path, seconds: float) -> Iterator[None]:
    command = [sys.executable, "-c", HOLD, str(path), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("which", [BATCH, "run/labels.gpkg"])
def test_a_file_that_is_locked_for_a_while_is_waited_for(
    which: str, forks: Forks, stages: dict[str, Stage]
) -> None:
    stage = stages["ingest"]
    run = begin(forks, stage)
    if which != BATCH:
        forks.run(*stage.arguments)
        label(forks.folder / BATCH, {Run(run).rounds()[0].patch_ids[0]: "unsure"}, "another")
    with held(forks.folder / which, 1.5):
        done = forks.run(*stage.arguments)
    assert done.code == 0, done.err
    assert ("1 new, 5 known" if which != BATCH else "6 new") in done.out


@pytest.mark.parametrize("which", [BATCH, "run/labels.gpkg"])
def test_a_file_that_stays_locked_is_one_line(
    which: str, forks: Forks, stages: dict[str, Stage]
) -> None:
    stage = stages["ingest"]
    begin(forks, stage)
    if which != BATCH:
        forks.run(*stage.arguments)
    before = contents(forks.folder / "run")
    with held(forks.folder / which, 60):
        done = forks.run(
            *stage.arguments, code="import owl_geo.disk.gpkg; owl_geo.disk.gpkg.BUSY_SECONDS = 0.3"
        )
    assert_one_line(done, Path(which).name, "another program is writing to it")
    assert differences(contents(forks.folder / "run"), before) == []
    assert_goes_on(forks, stage)


# --- copies of a batch that is being edited -------------------------------------------------------


@contextmanager
def edited_in_wal_mode(batch: Path) -> Iterator[None]:
    """Keep a batch open as QGIS does while it edits: six answers are in the -wal file alone."""
    with closing(sqlite3.connect(batch)) as editor:
        triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'batch'"
        for (name,) in editor.execute(triggers).fetchall():
            editor.execute(f'DROP TRIGGER "{name}"')
        editor.execute("UPDATE batch SET label = NULL")
        editor.commit()
        editor.execute("PRAGMA journal_mode = WAL")
        editor.execute("UPDATE batch SET label = 'present'")
        editor.commit()
        yield


def test_a_copy_without_its_wal_file_is_noticed(forks: Forks, stages: dict[str, Stage]) -> None:
    begin(forks, stages["ingest"])
    batch = forks.folder / BATCH
    with edited_in_wal_mode(batch):
        for name in ("alone", "both"):
            (forks.folder / name).mkdir()
            shutil.copy(batch, forks.folder / name)
        shutil.copy(f"{batch}-wal", forks.folder / "both")
        assert "6 present" in forks.run("ingest", "run", BATCH).out
    for _ in range(2):  # reading it leaves nothing beside it that would hide the fault
        alone = forks.run("ingest", "run", "alone/batch.gpkg")
        assert alone.code == 0, alone.err
        assert "no answers, 6 unanswered" in alone.out
        assert alone.err.startswith("warning: alone/batch.gpkg was saved by a program that keeps")
        assert "copy both files" in alone.err and alone.err.count("\n") == 1
        assert [path.name for path in (forks.folder / "alone").iterdir()] == ["batch.gpkg"]
    both = forks.run("ingest", "run", "both/batch.gpkg")
    assert (both.code, both.err) == (0, "")
    assert "6 present, 0 unanswered; 0 new, 6 known" in both.out


def test_such_a_copy_is_read_from_a_disk_that_cannot_be_written(
    forks: Forks, stages: dict[str, Stage], tmp_path: Path
) -> None:
    begin(forks, stages["ingest"])
    stick = forks.folder / "stick"
    stick.mkdir()
    with edited_in_wal_mode(forks.folder / BATCH):
        shutil.copy(forks.folder / BATCH, stick)
    with read_only(forks.folder):
        from owl_geo.batches import read_batch

        assert len(read_batch(stick / "batch.gpkg").answers) == 6


CUT_OFF = """
import os, sqlite3, sys
editor = sqlite3.connect(sys.argv[1])
editor.execute("PRAGMA cache_size = 1")
editor.execute("BEGIN")
editor.execute("CREATE TABLE filler (text TEXT)")
editor.executemany("INSERT INTO filler VALUES (?)", [("x" * 500,)] * 2000)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("which", [BATCH, "run/labels.gpkg"])
def test_a_journal_that_was_left_behind(which: str, forks: Forks, stages: dict[str, Stage]) -> None:
    """Of the answers it is rolled back; a batch is not ours to write to."""
    stage = stages["ingest"]
    begin(forks, stage)
    if which != BATCH:
        assert forks.run(*stage.arguments).code == 0
    subprocess.run([sys.executable, "-c", CUT_OFF, str(forks.folder / which)], check=False)
    assert Path(f"{forks.folder / which}-journal").exists()
    done = forks.run(*stage.arguments)
    if which == BATCH:
        assert_one_line(done, "holds an edit that was interrupted; open it once in QGIS")
        with closing(sqlite3.connect(forks.folder / which)) as another_program:
            another_program.execute("SELECT count(*) FROM batch").fetchall()
    assert_goes_on(forks, stage)


# --- clocks ---------------------------------------------------------------------------------------


def edit(batch: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(batch)) as connection:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            connection.create_function(name, 1, lambda _geometry: None)
        connection.execute(statement, values)
        connection.commit()


def relabel(batch: Path, patch: str, word: str, when: str) -> None:
    label(batch, {patch: word})
    edit(batch, "UPDATE batch SET labelled_at = ? WHERE patch_id = ?", when, patch)


def test_a_label_that_was_cleared_is_told(forks: Forks, stages: dict[str, Stage]) -> None:
    """It takes nothing back: the file may be a copy from before somebody answered."""
    stage = stages["ingest"]
    run = begin(forks, stage)
    patch = Run(run).rounds()[0].patch_ids[0]
    batch = forks.folder / BATCH
    relabel(batch, patch, "present", "2026-03-01T12:00:00Z")
    assert forks.run(*stage.arguments).err == ""
    edit(batch, "UPDATE batch SET label = NULL, labelled_at = NULL WHERE patch_id = ?", patch)
    cleared = forks.run(*stage.arguments)
    assert cleared.code == 0 and cleared.err.count("\n") == 1
    assert cleared.err.startswith(
        f"warning: {BATCH}: 1 patch without a label was answered before, for example '{patch}'"
    )
    assert Run(run).labels.current().set_index("patch_id")["label"][patch] == "present"
    edit(batch, "UPDATE batch SET annotator = 'another' WHERE patch_id = ?", patch)
    assert forks.run(*stage.arguments).err == ""
    edit(batch, "UPDATE batch SET annotator = NULL WHERE patch_id = ?", patch)
    relabel(batch, patch, "unsure", "2026-03-01T12:30:00Z")
    assert forks.run(*stage.arguments).err == ""
    assert Run(run).labels.current().set_index("patch_id")["label"][patch] == "unsure"


def test_a_clock_that_was_set_back(forks: Forks, stages: dict[str, Stage]) -> None:
    """By rule the later time counts; who gave the answer that does not is told."""
    stage = stages["ingest"]
    run = begin(forks, stage)
    patch = Run(run).rounds()[0].patch_ids[0]
    relabel(forks.folder / BATCH, patch, "present", "2026-03-01T12:00:00Z")
    assert forks.run(*stage.arguments).err == ""
    relabel(forks.folder / BATCH, patch, "absent", "2026-03-01T10:05:00Z")
    late = forks.run(*stage.arguments)
    assert late.code == 0 and "1 new, 5 known before" in late.out
    assert late.err.startswith(f"warning: {BATCH}: 1 answer does not count, for example '{patch}'")
    assert late.err.count("\n") == 1
    current = Run(run).labels.current().set_index("patch_id")["label"]
    assert current[patch] == "present"
    assert forks.run(*stage.arguments).err == ""  # said once
    relabel(forks.folder / BATCH, patch, "absent", "2026-03-01T12:00:01Z")
    assert forks.run(*stage.arguments).err == ""
    assert Run(run).labels.current().set_index("patch_id")["label"][patch] == "absent"


def test_a_clock_that_is_ahead(forks: Forks, stages: dict[str, Stage]) -> None:
    run = begin(forks, stages["ingest"])
    patch = Run(run).rounds()[0].patch_ids[0]
    relabel(forks.folder / BATCH, patch, "absent", "2199-03-01T12:00:00Z")
    done = forks.run("ingest", "run", BATCH)
    assert done.code == 0 and "6 new" in done.out
    assert done.err.startswith(f"warning: {BATCH}: labelled_at of '{patch}' is in the future")
    assert "clock" in done.err and done.err.count("\n") == 1


def test_files_from_the_future_break_nothing(forks: Forks, stages: dict[str, Stage]) -> None:
    stage = stages["query"]
    run = begin(forks, stage)
    scene = forks.folder / "a.tif"
    times = scene.stat()
    for path in (scene, *run.rglob("*")):
        os.utime(path, (5e9, 5e9))
    try:
        done = forks.run(*stage.arguments)
        assert (done.code, done.err) == (0, "")
        kept = list((run / "features").glob("*.npy"))
        label(
            run / "rounds/000/batch.gpkg", dict.fromkeys(Run(run).rounds()[0].patch_ids, "absent")
        )
        assert forks.run("ingest", "run", BATCH).code == 0
        assert forks.run("query", "run").code == 0
        assert list((run / "features").glob("*.npy")) == kept
    finally:
        os.utime(scene, ns=(times.st_atime_ns, times.st_mtime_ns))
    ours, theirs = contents(run / "rounds/000"), contents(stage.after / "rounds/000")
    ours.pop("batch.gpkg"), theirs.pop("batch.gpkg")
    assert ours == theirs


# --- scenes ---------------------------------------------------------------------------------------


@pytest.fixture
def own(forks: Forks, stages: dict[str, Stage]) -> Iterator[Path]:
    """A folder with a copy of scene a; ``run`` beside it was made of that, and has answers."""
    place = forks.folder / "own"
    place.mkdir()
    shutil.copy2(forks.folder / "a.tif", place / "a.tif")
    shutil.copytree(stages["train"].before, place / "run")
    point_to(place / "run", forks.folder / "a.tif", str(place / "a.tif"))
    yield place
    shutil.rmtree(place)


def point_to(run: Path, before: object, after: object) -> None:
    """Edit where owl.toml says the scene is."""
    text = (run / "owl.toml").read_text(encoding="utf-8")
    assert str(before) in text
    (run / "owl.toml").write_text(text.replace(str(before), str(after)), encoding="utf-8")


def batch_and_model(run: Path) -> dict[str, object]:
    """What the round holds, but for where the scenes are, which a batch says for QGIS."""
    found = contents(run / "rounds/001")
    metadata = found["batch.gpkg"]["gpkg_metadata"]
    shown = [row for row in metadata if row["md_standard_uri"] == schema.SHOWN_URI]
    assert len(shown) == 1
    metadata.remove(*shown)
    return found


def test_a_scene_that_was_moved_needs_a_new_path_and_nothing_else(
    own: Path, forks: Forks, stages: dict[str, Stage]
) -> None:
    done = forks.run("query", "own/run")
    assert (done.code, done.err) == (0, "")
    assert batch_and_model(own / "run") == batch_and_model(stages["train"].after)
    shutil.rmtree(own / "run/rounds/001")
    (own / "elsewhere").mkdir()
    (own / "a.tif").rename(own / "elsewhere/a.tif")
    gone = forks.run("query", "own/run")
    assert_one_line(gone, f"scene 'a': {own / 'a.tif'} does not exist", "own/run/owl.toml")
    point_to(own / "run", own / "a.tif", "../elsewhere/a.tif")
    os.utime(own / "elsewhere/a.tif", (1e9, 1e9))
    again = forks.run("query", "own/run")
    assert (again.code, again.err) == (0, "")
    assert batch_and_model(own / "run") == batch_and_model(stages["train"].after)


def test_another_file_at_a_new_path_needs_an_update(own: Path, forks: Forks) -> None:
    shutil.copy(forks.folder / "b.tif", own / "other.tif")
    point_to(own / "run", own / "a.tif", own / "other.tif")
    assert_one_line(forks.run("query", "own/run"), "changed since", "init own/run --update")


def test_another_date_in_a_folder_of_bands_needs_an_update(forks: Forks) -> None:
    """Its files have other names, so that none of those that were recorded is there."""
    values = np.random.default_rng(3).integers(1, 3000, (2, 64, 64)).astype(np.uint16)
    for day in ("20200601", "20210601"):
        for band, pixels in zip(("B02", "B08"), values, strict=True):
            write_raster(forks.folder / day / f"T33UUP_{day}T100000_{band}.tif", pixels[None])
        values = values[:, ::-1]
    made = forks.run("init", "dated", "--scene", "one=20200601", "--patch-size", 8)
    assert made.code == 0, made.err
    first, second = forks.folder / "20200601", forks.folder / "20210601"
    point_to(forks.folder / "dated", first, second)
    assert_one_line(forks.run("status", "dated"), "changed since the patch index was made")
    # nor where the folder has the name that it had
    point_to(forks.folder / "dated", second, first)
    shutil.rmtree(first)
    assert_one_line(forks.run("query", "dated"), "20200601 does not exist")
    second.rename(first)
    done = forks.run("query", "dated")
    assert done.err.startswith("warning: scene 'one' changed since dated was made"), done.err


def test_a_run_and_its_scene_may_move_together(
    own: Path, forks: Forks, stages: dict[str, Stage]
) -> None:
    point_to(own / "run", own / "a.tif", "../a.tif")
    shutil.copytree(own, forks.folder / "another machine")  # new times, too
    shutil.rmtree(own)
    own.mkdir()
    try:
        done = forks.run("query", "another machine/run")
        assert (done.code, done.err) == (0, "")
        assert batch_and_model(forks.folder / "another machine/run") == batch_and_model(
            stages["train"].after
        )
    finally:
        shutil.rmtree(forks.folder / "another machine")


@pytest.mark.parametrize("same_size", [True, False])
def test_changed_pixels_are_noticed(same_size: bool, own: Path, forks: Forks) -> None:
    assert forks.run("init", "own/run", "--update").code == 0
    assert forks.run("predict", "own/run").code == 0
    with rasterio.open(own / "a.tif") as scene:
        values, place = scene.read(), scene.transform
    compress = {} if same_size else {"compress": "deflate"}
    size = (own / "a.tif").stat().st_size
    write_raster(own / "a.tif", values[:, ::-1] + np.uint16(300), transform=place, **compress)
    assert ((own / "a.tif").stat().st_size == size) is same_size
    for command in ("status", "predict", "query"):
        done = forks.run(command, "own/run")
        assert done.code == 0, done.err
        assert done.err.startswith("warning: scene 'a' changed since own/run was made: its pixels")
        assert "restore it, or run `owl-geo init own/run --update`" in done.err
        assert done.err.count("\n") == 1
    updated = forks.run("init", "own/run", "--update")
    assert updated.code == 0 and "changed" not in updated.err
    again = forks.run("predict", "own/run")
    assert (again.code, again.err) == (0, "")


def test_a_copied_scene_is_no_changed_one(own: Path, forks: Forks) -> None:
    shutil.copy(own / "a.tif", own / "copy.tif")
    (own / "copy.tif").replace(own / "a.tif")
    (own / "a.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")  # QGIS's, with statistics
    done = forks.run("query", "own/run")
    assert (done.code, done.err) == (0, "")


def test_a_run_that_an_older_version_made_goes_on(own: Path, forks: Forks) -> None:
    point_to(own / "run", own / "a.tif", forks.folder / "a.tif")  # as when it was made
    index = json.loads((own / "run/index.json").read_text(encoding="utf-8"))
    for name in ("files", "made_from_elsewhere"):
        index.pop(name)
    (own / "run/index.json").write_text(json.dumps(index), encoding="utf-8")
    done = forks.run("predict", "own/run")
    assert (done.code, done.err) == (0, "")
    point_to(own / "run", forks.folder / "a.tif", own / "a.tif")
    assert_one_line(forks.run("query", "own/run"), "changed since the patch index was made")


def test_a_changed_cube_is_noticed(forks: Forks) -> None:
    path = forks.folder / "cube.nc"
    values = np.random.default_rng(2).random((2, 48, 48), dtype=np.float32)
    write_netcdf(path, cube(values))
    made = forks.run("init", "cubed", "--source", "cube", "--scene", "cube.nc", "--patch-size", 8)
    assert made.code == 0, made.err
    os.utime(path, (1e9, 1e9))
    first = forks.run("query", "cubed")
    assert (first.code, first.err) == (0, "")
    shutil.rmtree(forks.folder / "cubed/rounds/000")
    write_netcdf(path, cube(values + 1))
    again = forks.run("query", "cubed")
    assert again.code == 0
    assert again.err.startswith("warning: scene 'cube' changed since cubed was made")


def test_a_stretch_that_changed_in_a_large_file_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "large"
    content = np.random.default_rng(1).integers(0, 256, 8 * 2**20, dtype=np.uint8)
    file.write_bytes(content.tobytes())
    records = file_states.record_files(str(file), file_states.visible_files)
    os.utime(file, (1e9, 1e9))
    assert file_states.changes(str(file), records) == []
    for start in (0, 3_000_000, len(content) - 100):
        edited = content.copy()
        edited[start : start + 400_000] ^= 1
        file.write_bytes(edited.tobytes())
        assert len(file_states.changes(str(file), records)) == 1


# --- a server that dies ---------------------------------------------------------------------------


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves parts of files, as long as ``left`` says."""

    left = 10**9

    def do_GET(self) -> None:
        type(self).left -= 1
        if self.left < 0:
            self.close_connection = True
            self.connection.close()
            return
        file = Path(self.translate_path(self.path))
        if not file.is_file():
            self.send_error(404)
            return
        whole = file.read_bytes()
        first, last = 0, len(whole) - 1
        if "Range" in self.headers:
            words = self.headers["Range"].removeprefix("bytes=").split("-")
            first, last = int(words[0]), min(int(words[1] or last), last)
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(whole)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(whole[first : last + 1])

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_dies_in_the_middle(
    forks: Forks, stages: dict[str, Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    write_raster(tmp_path / "far.tif", rng.integers(1, 1000, (2, 512, 512), dtype=np.uint16))
    monkeypatch.chdir(tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    direct = "import os; os.environ['no_proxy'] = '*'"
    try:
        url = f"http://127.0.0.1:{server.server_port}/far.tif"
        start = ("init", "far", "--scene", url, "--bands", "1,2")
        made = forks.run(*start, code=direct)
        assert made.code == 0, made.err
        run = forks.folder / "far"
        shutil.copytree(run, forks.folder / "far-whole")
        assert forks.run("query", "far-whole", code=direct).code == 0
        before = contents(run)
        for left in (0, 1, 2):
            Ranges.left = left
            done = forks.run("query", "far", code=direct)
            assert_one_line(done, url)
            assert {**contents(run), **before} == contents(run)
            assert not list(run.rglob(".*partial*"))
        Ranges.left = 10**9
        assert forks.run("query", "far", code=direct).code == 0
        assert differences(contents(run), contents(forks.folder / "far-whole")) == []
    finally:
        Ranges.left = 10**9
        server.shutdown()
        server.server_close()
