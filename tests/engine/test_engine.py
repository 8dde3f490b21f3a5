"""A run that stays open does what commands do, to the last bit, and sees what others did."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contents import contents, differences
from rasterio.transform import from_origin
from rasters import ORIGIN, coordinates, write_raster
from searches import MODELS, label, make, over

from owl_geo import Engine, Run, add, ingest, init, query
from owl_geo.engine.ahead import Ahead
from owl_geo.errors import BatchError, ConfigError, OwlError, RunError, SourceError
from owl_geo.evaluation.simulate import simulate
from owl_geo.features import table
from owl_geo.run_folder.kept import KeptRun
from owl_geo.run_folder.records import Round
from owl_geo.search.search import Search
from owl_geo.settings import owl_toml
from owl_geo.work.progress import Progress, silent


def labelled(run: Path, entry: Round) -> Path:
    """Label a batch: every second patch is present."""
    batch = Run(run).batch_path(entry.number)
    label(batch, {p: ("absent", "present")[n % 2] for n, p in enumerate(entry.patch_ids)})
    return batch


def copied(run: Path, to: str) -> Path:
    return Path(shutil.copytree(run, run.with_name(to)))


def searched(run: Path, by_engine: Callable[[int], bool], rounds: int = 3) -> Path:
    """Do rounds of a search, each by the engine or as commands do them: opening the run anew."""
    with Engine(run) as engine:
        for number in range(rounds):
            entry = engine.query() if by_engine(number) else query(run)
            assert entry.number == number
            batch = labelled(run, entry)
            if by_engine(number):
                engine.ingest([batch], annotator="ana")
            else:
                ingest(run, [batch], annotator="ana")
    return run


QUICK = {
    "default": {"model": {"head": "logistic"}},
    "tutorial": over(MODELS["tutorial"], training={"epochs": 1}),
}


@pytest.mark.parametrize("model", QUICK)
def test_a_search_by_engine_is_that_by_commands(model: str, tmp_path: Path) -> None:
    begun = make(tmp_path / "begun", **QUICK[model]).path
    commands = contents(searched(copied(begun, "commands"), lambda _number: False))
    for name, by_engine in {
        "engine": lambda _number: True,
        "turns": lambda number: number % 2 == 1,
    }.items():
        assert differences(contents(searched(copied(begun, name), by_engine)), commands) == []


@pytest.mark.parametrize("model", QUICK)
def test_a_search_that_is_foreseen_is_the_same(model: str, tmp_path: Path) -> None:
    begun = make(tmp_path / "begun", **QUICK[model]).path
    commands = contents(searched(copied(begun, "commands"), lambda _number: False))
    run = copied(begun, "engine")
    with Engine(run) as engine:
        for _ in range(3):
            batch = labelled(run, engine.query())
            engine.measure()  # the round before, which would end meanwhile
            before = contents(run)
            engine.foresee([batch], annotator="ana")
            engine._ahead.wait(silent)
            assert differences(contents(run), before) == []
            engine.ingest([batch], annotator="ana")
    assert differences(contents(run), commands) == []


def test_a_foreseen_round_is_used_only_for_the_answers_that_it_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each round is learnt once where it was foreseen, and once more where an answer changed."""
    learnt: list[tuple[str, int]] = []
    plain = Search.learn

    def counted(self: Search, learner: Any, answers: Any, number: int) -> Any:
        learnt.append((threading.current_thread().name, number))
        return plain(self, learner, answers, number)

    begun = make(tmp_path / "begun", model={"head": "logistic"}).path
    changed, commands = copied(begun, "changed"), copied(begun, "commands")
    monkeypatch.setattr(Search, "learn", counted)
    with Engine(changed) as engine:
        first = engine.query()
        learnt.clear()
        batch = labelled(changed, first)
        engine.foresee([batch], annotator="ana")
        engine.foresee([batch], annotator="ana")  # nothing new
        engine.ingest([batch], annotator="ana")
        second = engine.query()
        assert learnt == [("owl-geo-ahead", 1)]
        batch = labelled(changed, second)
        engine.foresee([batch], annotator="ana")
        label(batch, {second.patch_ids[0]: "unsure"})
        engine.ingest([batch], annotator="ana")
        third = engine.query()
        assert learnt[-1] == ("MainThread", 2)
        assert engine._foreseen is None and engine._expected is None
        engine.ingest([labelled(changed, third)], annotator="ana")
    for number in range(3):
        entry = query(commands)
        batch = labelled(commands, entry)
        if number == 1:
            label(batch, {entry.patch_ids[0]: "unsure"})
        ingest(commands, [batch], annotator="ana")
    assert differences(contents(changed), contents(commands)) == []


def test_two_engines_and_commands_work_on_one_run(tmp_path: Path) -> None:
    """Both engines do a round ahead, and one of them or a command does it; then it is over."""
    begun = make(tmp_path / "begun", model={"head": "logistic"}).path
    commands = contents(searched(copied(begun, "commands"), lambda _number: False, rounds=6))
    run = copied(begun, "shared")
    with Engine(run) as one, Engine(run) as other:
        for number in range(6):
            asks = (lambda: query(run), one.query, other.query)[number % 3]
            entry = asks()
            assert entry.number == number
            batch = labelled(run, entry)
            for engine in (one, other):
                engine.foresee([batch], annotator="ana")
            (one, other)[number % 2].ingest([batch], annotator="ana")
    assert differences(contents(run), commands) == []


def test_what_cannot_be_taken_in_cannot_be_foreseen(tmp_path: Path) -> None:
    run = make(tmp_path / "run", model={"head": "logistic"}).path
    with Engine(run) as engine, Engine(run, ahead=False) as patient:
        entry = engine.query()
        label(Run(run).batch_path(0), {entry.patch_ids[0]: "absnt"})
        with pytest.raises(BatchError, match="absnt"):
            engine.foresee([Run(run).batch_path(0)], annotator="ana")
        patient.foresee([Run(run).batch_path(0)], annotator="ana")  # it does nothing ahead


def test_a_simulation_is_that_of_runs_that_are_opened_for_each_round(tmp_path: Path) -> None:
    tables: dict[str, Any] = {"oracle": {}, "model": {"head": "logistic"}}
    begun = make(tmp_path / "begun", **tables).path
    at_once, by_round = copied(begun, "once"), copied(begun, "rounds")
    simulate(Run(at_once))
    while not Run(by_round).is_finished():
        _one_round(by_round)
    found = [contents(path, hours=False) for path in (at_once, by_round)]
    assert differences(*found) == []


def _one_round(path: Path) -> None:
    class _Enough(Exception):
        pass

    def enough(_entry: Round) -> None:
        raise _Enough

    with suppress(_Enough):
        simulate(Run(path), on_round=enough)


def scene(folder: Path, name: str, east: int, brighter: int = 0) -> str:
    """A scene of 64 patches, ``east`` scenes to the east of the first."""
    values = coordinates(64, 64, bands=2) * 10 + np.uint16(100 * east + brighter)
    place = from_origin(ORIGIN[0] + 640 * east, ORIGIN[1], 10, 10)
    bands = ("red", "nir")
    return str(write_raster(folder / f"{name}.tif", values, transform=place, descriptions=bands))


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    folder = tmp_path / "tiles"
    for east, name in enumerate("ab"):
        scene(folder, name, east)
    return folder


def settings(tiles: Path, **tables: Any) -> Mapping[str, Any]:
    return {
        "source": {
            "kind": "geotiff",
            "scenes": [{"name": "a", "path": str(tiles / "a.tif")}],
            "patch_size": 8,
        },
        "loop": {"initial": 6, "batch_size": 4},
        "model": {"head": "logistic"},
        **tables,
    }


def edited(run: Path, old: str, new: str) -> None:
    path = run / owl_toml.FILE_NAME
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_what_others_change_is_taken_in(tiles: Path, tmp_path: Path) -> None:
    """Scenes that are added, settings that are edited, pixels that change: as by commands."""
    one = init(tmp_path / "engine", settings(tiles)).run.path
    other = copied(one, "commands")
    with Engine(one) as engine:

        def both() -> Round:
            entry = engine.query()
            assert query(other).patch_ids == entry.patch_ids
            engine.ingest([labelled(one, entry)], annotator="ana")
            ingest(other, [labelled(other, entry)], annotator="ana")
            return entry

        assert both().metrics.n_pool == 64
        for run in (one, other):
            add(run, [str(tiles / "b.tif")])
        assert engine.status().patches == 128
        entry = both()
        assert entry.metrics.n_pool == 128 - 6
        assert len(entry.patch_ids) == 4
        for run in (one, other):
            edited(run, "batch_size = 4", "batch_size = 5")
        assert len(both().patch_ids) == 5
        kept = engine.run.search("auto")
        for run in (one, other):
            edited(run, "[loop]", "# a comment\n[loop]")
        both()
        assert engine.run.search("auto") is kept
        before = kept.features.values
        scene(tiles, "a", 0, brighter=3000)
        both()
        assert not np.array_equal(engine.run.search("auto").features.values, before)
    assert differences(contents(one), contents(other)) == []


def test_what_is_wrong_now_is_said_as_commands_say_it(tiles: Path, tmp_path: Path) -> None:
    run = init(tmp_path / "run", settings(tiles)).run.path
    with Engine(run) as engine:
        engine.ingest([labelled(run, engine.query())], annotator="ana")

        def refused(kind: type[OwlError]) -> None:
            with pytest.raises(kind) as by_engine:
                engine.query(go_on=True)
            with pytest.raises(kind) as by_command:
                query(run, go_on=True)
            assert str(by_engine.value) == str(by_command.value)

        moved = (tiles / "a.tif").rename(tiles / "moved.tif")
        refused(SourceError)
        moved.rename(tiles / "a.tif")
        assert engine.query().number == 1
        edited(run, "patch_size = 8", "patch_size = 16")
        refused(RunError)
        edited(run, "patch_size = 16", "patch_size = ")
        refused(ConfigError)
        edited(run, "patch_size = ", "patch_size = 8")
        assert engine.query(go_on=True).number == 2
        shutil.move(run, tmp_path / "elsewhere")
        refused(RunError)


def test_a_pool_that_grows_before_the_lock_is_taken_in(tiles: Path, tmp_path: Path) -> None:
    """Between the look at the folder and the lock, another process may have changed it."""
    run = KeptRun(init(tmp_path / "run", settings(tiles)).run.path)
    assert len(run.patches) == 64
    add(run.path, [str(tiles / "b.tif")])
    with run.locked():
        assert len(run.patches) == 128


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Features that begin, and go on only when they are let."""
    begun, let = threading.Event(), threading.Event()
    feature_table = table.feature_table

    def slowly(*arguments: Any, progress: Progress | None = None, **options: Any) -> Any:
        begun.set()
        done = 0
        while not let.wait(0.01):
            done += 1
            assert progress is not None
            progress(done, 1000)
        return feature_table(*arguments, progress=progress, **options)

    monkeypatch.setattr(table, "feature_table", slowly)
    yield begun, let
    let.set()


def test_it_begins_before_it_is_asked_and_labelling_goes_on(
    tmp_path: Path, slow: tuple[threading.Event, threading.Event]
) -> None:
    begun, let = slow
    tables: dict[str, Any] = {"model": {"head": "logistic"}, "acquisition": {"start": "random"}}
    run = make(tmp_path / "run", **tables).path
    let.set()
    entry = query(run)
    let.clear()
    begun.clear()
    with Engine(run) as engine:
        assert begun.wait(20)  # nobody has asked
        assert engine.query().patch_ids == entry.patch_ids  # a batch that waits needs no features
        engine.ingest([labelled(run, entry)], annotator="ana")
        assert sum(engine.status().labels.values()) == 6
        told: list[tuple[str, int, int]] = []

        def report(what: str) -> Progress:
            def update(done: int, total: int) -> None:
                told.append((what, done, total))
                if len(told) == 2:
                    let.set()

            return update

        assert engine.query(report=report).number == 1  # has waited for the features
        assert ("Features", 1000) in {(what, total) for what, _, total in told}


def test_what_is_done_ahead_ends_with_the_engine(
    tmp_path: Path, slow: tuple[threading.Event, threading.Event]
) -> None:
    begun, _ = slow
    run = make(tmp_path / "run", model={"head": "logistic"})
    with Engine(run) as engine:
        assert begun.wait(20)
    assert not [one for one in threading.enumerate() if one.name == "owl-geo-ahead"]
    begun.clear()
    assert Engine(run, ahead=False).status().patches == 80
    assert not begun.is_set()
    assert "features" not in vars(engine.run.search("auto"))


def test_an_error_ahead_is_raised_where_the_result_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any, **_options: Any) -> Any:
        raise SourceError("a block is damaged")

    monkeypatch.setattr(table, "feature_table", broken)
    with Engine(make(tmp_path / "run", model={"head": "logistic"})) as engine:
        assert engine.status().patches == 80
        with pytest.raises(SourceError, match="a block is damaged"):
            engine.query()


def test_waiting_can_be_given_up_while_the_work_goes_on() -> None:
    ahead, let, done = Ahead(), threading.Event(), threading.Event()

    def work() -> None:
        let.wait(20)
        done.set()

    ahead.start(work)

    def report(_what: str) -> Progress:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ahead.wait(report)
    assert ahead.is_working
    let.set()
    ahead.wait(lambda _what: None)
    assert done.is_set() and not ahead.is_working
