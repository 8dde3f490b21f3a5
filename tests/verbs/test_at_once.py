"""Commands that meet on one run: what the one does while the other is at work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from corners import answer, answered, truth
from filelock import FileLock
from rasters import write_raster
from searches import editing, label

import owl_geo
from owl_geo import Engine, Run
from owl_geo.errors import BatchError, BusyError, RunError
from owl_geo.reporting.document import report
from owl_geo.reporting.plotting import plot
from owl_geo.run_folder import setup
from owl_geo.verbs import advance, current_model, patches
from owl_geo.verbs.add import add
from owl_geo.verbs.classes import add_class
from owl_geo.verbs.import_answers import import_answers
from owl_geo.verbs.ingest import known_annotators
from owl_geo.verbs.init import init
from owl_geo.verbs.like import more_like
from owl_geo.verbs.predict import predict
from owl_geo.verbs.prediction_folder import PredictionFolder
from owl_geo.verbs.update import update


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run over the first of three scenes with one batch answered, and a second one to answer."""
    whole = answered(tmp_path / "all", rounds=0)
    run = init(tmp_path / "run", tables(whole)).run
    answer(run)
    return run


def tables(run: Run) -> dict[str, Any]:
    """The settings of a run over the first scene of another."""
    source = run.settings.source.model_dump(mode="json")
    source["scenes"] = source["scenes"][:1]
    return {"source": source, "loop": {"initial": 12, "batch_size": 6}, "seed": 3}


def more(run: Run) -> str:
    """The file of a scene that the run lacks."""
    return str(run.path.parent / "scenes" / "1.tif")


def first(work: Callable[..., Any], meanwhile: Callable[[], object]) -> Callable[..., Any]:
    """Something else is done before the work, the first time."""
    due = [meanwhile]

    def both(*arguments: Any, **options: Any) -> Any:
        while due:
            due.pop()()
        return work(*arguments, **options)

    return both


def test_maps_of_a_pool_that_has_grown_since_are_not_up_to_date(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were, as maps of the larger pool, where features have another scale."""
    digest = first(current_model._digest, lambda: add(run.path, [more(run)]))
    with monkeypatch.context() as patch:
        patch.setattr(current_model, "_digest", digest)
        with pytest.raises(BusyError, match="changed by another command"):
            predict(Run(run.path))
    assert not (run.path / "predictions").exists()
    assert predict(run.path).done == ("a", "1")


def test_a_pool_that_is_being_rebuilt_takes_in_nothing_that_it_would_lack(run: Run) -> None:
    """What was added meanwhile was lost from the index, and the class could not be added again."""
    toml = run.path / "owl.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace("min_valid", "stride = 4\nmin_valid"), encoding="utf-8")
    refused = []

    def meanwhile(_what: str) -> None:
        for command in (
            lambda: add(run.path, [more(run)]),
            lambda: add_class(run.path, "quarry"),
            lambda: owl_geo.query(run.path, go_on=True),
            lambda: update(run.path),
        ):
            with pytest.raises(BusyError, match="another owl-geo is working on"):
                command()
            refused.append(command)

    update(run.path, report=meanwhile)
    assert len(refused) >= 4
    now = Run(run.path)
    assert len(now.patches) > len(run.patches)
    assert len(now.rounds()) == 1 and now.settings.classes == ("absent", "present")


def test_a_rebuilt_pool_keeps_what_is_answered_while_its_files_are_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was stored for a patch that the run then lacked, and nothing could be asked."""
    asked = {patch for entry in run.rounds() for patch in entry.patch_ids}
    chosen = next(name for name in run.patches["patch_id"] if name not in asked)
    without_data(run, chosen)
    write = first(setup._write_index, lambda: notice(run, chosen))
    with monkeypatch.context() as patch:
        patch.setattr(setup, "_write_index", write)
        with pytest.raises(RunError, match=f"{chosen}, would not exist with these settings"):
            update(run.path)
    assert Run(run.path).patches.equals(run.patches)
    assert chosen in set(Run(run.path).labels.current()["patch_id"])


def without_data(run: Run, patch_id: str) -> None:
    """Write the scene anew, without data where a patch is."""
    scene = Path(run.settings_here.source.scenes[0].path)
    _, row, col = patch_id.rsplit("/", 2)
    with rasterio.open(scene) as dataset:
        values, place = dataset.read(), dataset.transform
    values[:, int(row) : int(row) + 8, int(col) : int(col) + 8] = np.nan
    write_raster(scene, values, transform=place, tiled=False, blockysize=8, nodata=np.nan)


def notice(run: Run, patch_id: str) -> None:
    """Answer a patch that no batch asked for."""
    table = run.path.parent / "noticed.csv"
    table.write_text(f"patch_id,label\n{patch_id},present\n", encoding="utf-8")
    import_answers(run.path, table, annotator="ana")


def test_answers_are_checked_against_the_pool_that_they_come_into(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {patch for entry in run.rounds() for patch in entry.patch_ids}
    chosen = next(name for name in run.patches["patch_id"] if name not in asked)
    without_data(run, chosen)
    before = len(run.labels.history())
    known = first(known_annotators, lambda: update(run.path))
    with monkeypatch.context() as patch:
        patch.setattr("owl_geo.verbs.import_answers.known_annotators", known)
        with pytest.raises(BusyError, match="changed by another command"):
            notice(run, chosen)
    with pytest.raises(BatchError, match=chosen):
        notice(run, chosen)
    assert len(run.labels.history()) == before
    # a pool that has grown has all that it had
    entry = owl_geo.query(run.path)
    batch = run.batch_path(entry.number)
    label(batch, {patch: truth(patch) for patch in entry.patch_ids})
    known = first(known_annotators, lambda: add(run.path, [more(run)]))
    with monkeypatch.context() as patch:
        patch.setattr("owl_geo.verbs.ingest.known_annotators", known)
        assert owl_geo.ingest(run.path, [batch], annotator="ana")[0].new == 6


def test_a_run_that_is_answered_or_at_work_is_not_replaced(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers were deleted that came while the new run was made."""
    fresh = init(tmp_path / "fresh", tables(run)).run
    entry = owl_geo.query(fresh)
    label(fresh.batch_path(entry.number), {patch: truth(patch) for patch in entry.patch_ids})

    def again(**options: Any) -> object:
        return init(fresh.path, tables(run), overwrite=True, **options)

    with (
        FileLock(fresh.path / ".lock"),  # as another process holds it
        pytest.raises(BusyError, match="another owl-geo is working on"),
    ):
        again()
    write = first(
        setup._write_index,
        lambda: owl_geo.ingest(fresh.path, [fresh.batch_path(0)], annotator="ana"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(setup, "_write_index", write)
        with pytest.raises(RunError, match="holds 12 answers by people"):
            again()
    assert len(Run(fresh.path).labels.history()) == 12
    assert not list(tmp_path.glob(".*"))


def test_a_round_of_a_run_that_was_replaced_is_none_of_the_new_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = init(tmp_path / "fresh", tables(run)).run
    other = tables(run)
    other["source"]["patch_size"] = 12

    def replaced() -> None:  # where a lock holds for the folder that was
        fresh.path.rename(tmp_path / "old")
        init(fresh.path, other)

    work = first(advance.foresee, replaced)
    with monkeypatch.context() as patch:
        patch.setattr(advance, "foresee", work)
        with pytest.raises(BusyError, match="changed by another command"):
            owl_geo.query(fresh.path)
    now = Run(fresh.path)
    assert now.rounds() == [] and len(now.patches) == 64
    assert [path.name for path in (now.path / "rounds").iterdir()] == []


def test_a_layer_has_answers_and_maps_of_one_moment(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had the old answers, and what the model says that has learnt from the new ones."""
    entry = owl_geo.query(run.path)
    batch = run.batch_path(entry.number)
    label(batch, {patch: truth(patch) for patch in entry.patch_ids})
    alone = gpd.read_file(patches.patches(run.path, tmp_path / "alone.gpkg").path)

    def meanwhile() -> None:
        owl_geo.ingest(run.path, [batch], annotator="ana")
        predict(run.path)

    for name, owner in (("if_any", current_model.CurrentModel), ("parts", PredictionFolder)):
        predict(run.path)
        with monkeypatch.context() as patch:
            if name == "if_any":
                rounds = first(Run.answers, meanwhile)
                patch.setattr(Run, "answers", rounds)
            else:
                patch.setattr(owner, name, first(getattr(owner, name), meanwhile))
            made = gpd.read_file(patches.patches(run.path, tmp_path / f"{name}.gpkg").path)
        assert made.equals(alone), name
        restore(run)


def restore(run: Run) -> None:
    """Take back what was answered last."""
    with editing(run.path / "labels.gpkg") as connection:
        connection.execute("DELETE FROM labels WHERE round = 1")


def test_what_is_read_of_a_run_at_one_moment_stays(run: Run) -> None:
    before = owl_geo.status(run)
    with run.at_one_moment(), run.at_one_moment():
        assert len(run.rounds()) == 1 and len(run.labels.history()) == 12
        other = Run(run.path)
        answer(other)
        assert len(run.rounds()) == 1 and len(run.labels.history()) == 12
        # in words: from Python 3.13 on, dataclasses with not-a-number are equal to none
        assert repr(owl_geo.status(run)) == repr(before)
    assert len(run.rounds()) == 2 and len(run.labels.history()) == 18
    assert owl_geo.status(run).batches == 2


def test_what_is_alike_is_chosen_in_the_pool_that_is_locked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patches were known by their positions in the pool of before."""
    asked = {patch for entry in run.rounds() for patch in entry.patch_ids}
    chosen = next(name for name in run.patches["patch_id"] if name not in asked)
    without_data(run, chosen)
    bright = next(name for name in run.patches["patch_id"][::-1] if truth(name) == "present")
    with Engine(run.path, ahead=False) as engine:
        locked = first(type(engine.run).locked, lambda: update(run.path))
        with monkeypatch.context() as patch:
            patch.setattr(type(engine.run), "locked", locked)
            made = engine.more_like([bright])
        assert len(engine.run.patches) == len(run.patches) - 1
    other = more_like(run.path, [bright], go_on=True)
    assert set(made.patch_ids) == set(other.patch_ids)


@pytest.mark.parametrize("command", [report, plot])
def test_a_picture_of_a_run_whose_pool_was_replaced_is_none_without_its_model(
    command: Callable[[Run], object], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there, but without the maps of what is probable, or with the reason in their place."""
    opened = Run(run.path)
    digest = first(current_model._digest, lambda: add(run.path, [more(run)]))
    with monkeypatch.context() as patch:
        patch.setattr(current_model, "_digest", digest)
        with pytest.raises(BusyError, match="changed by another command"):
            command(opened)
    assert not list(run.path.glob("report*")) and not (run.path / "plots").exists()


@pytest.mark.parametrize("command", ["query", "review"])
def test_a_round_is_of_the_pool_that_is_locked(
    command: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index said of a round that it could choose from scenes that it did not know."""
    opened = Run(run.path)
    assert len(opened.patches) == 144
    locked = first(Run.locked, lambda: add(run.path, [more(run)]))
    with monkeypatch.context() as patch:
        patch.setattr(Run, "locked", locked)
        with pytest.raises(BusyError, match="changed by another command"):
            getattr(owl_geo, command)(opened)
    assert len(Run(run.path).rounds()) == Run(run.path).index.since == 1
    assert getattr(owl_geo, command)(run.path)


def test_what_was_added_is_told_although_the_pool_goes_on_to_grow(run: Run) -> None:
    """The command ended with an error, although it had done its work."""
    done = add(run.path, [more(run)])
    assert done.total == len(Run(run.path).patches)
    assert add(run.path, [more(run)]).total == done.total
