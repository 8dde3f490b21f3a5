"""The loop over a run folder: simulated to the end, answered by people, cut off and resumed."""

from __future__ import annotations

import itertools
import math
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import searches
from safetensors import SafetensorError
from searches import MODELS, assert_same_story, label, make, over

from owl_geo import Run, ingest, query
from owl_geo.disk import atomic
from owl_geo.errors import BatchError, ConfigError, RunError
from owl_geo.evaluation.simulate import simulate
from owl_geo.learners import head
from owl_geo.models import checkpoint
from owl_geo.reporting.facts import facts
from owl_geo.settings.choices import STRATEGIES
from owl_geo.settings.presets import TUTORIAL
from owl_geo.types import Answer
from owl_geo.verbs.init import init
from owl_geo.verbs.review import review
from owl_geo.verbs.status import status
from owl_geo.verbs.update import update

WEIGHTS = {"weights": {"urban": 2.0, "near_industrial": 3.0}}


def simulated(path: Path, **tables) -> Run:
    run = make(path, oracle={}, **tables)
    simulate(run)
    return run


class TestSimulated:
    @pytest.mark.parametrize("model", MODELS)
    def test_the_defaults_are_twenty_and_ten_rounds_of_ten(self, model: str, tmp_path) -> None:
        run = simulated(
            tmp_path / "r",
            **over(
                MODELS[model],
                loop={"initial": 20, "rounds": 10, "batch_size": 10},
                source={"n_samples": 200},
            ),
        )
        rows = pd.read_csv(run.path / "metrics.csv")
        assert rows["n_labeled"].tolist() == [0, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120]
        assert list(rows.columns[:7]) == [
            "round", "n_labeled", "positives_found", "train_loss", "test_auc", "meta_query_loss",
            "seconds",
        ]  # fmt: skip
        assert rows["test_auc"][1:].between(0, 1).all()
        if model == "tutorial":
            assert rows["meta_query_loss"][1:].gt(0).all()
        else:  # a head is fitted anew; there is nothing to move
            assert rows["meta_query_loss"].isna().all()
        last = run.rounds()[-1]
        assert last.batch_id is None
        assert run.is_finished()

    def test_nothing_is_asked_twice_and_the_held_out_part_never(self, tmp_path) -> None:
        run = simulated(tmp_path / "r")
        asked = [patch for entry in run.rounds() for patch in entry.patch_ids]
        assert len(asked) == len(set(asked)) == 18
        assert run.truth is not None
        held_out = set(run.truth["patch_id"][run.truth["held_out"]])
        assert len(held_out) == 16
        assert not held_out & set(asked)

    def test_answers_are_the_truth(self, tmp_path) -> None:
        run = simulated(tmp_path / "r")
        truth = dict(zip(run.truth["patch_id"], run.truth["label"], strict=True))
        answers = run.labels.history()
        assert [truth[patch] for patch in answers["patch_id"]] == answers["label"].tolist()
        positives = (answers["label"] == "present").sum()
        assert run.rounds()[-1].metrics.positives_found == positives

    @pytest.mark.parametrize("model", MODELS)
    def test_one_seed_one_search(self, model: str, tmp_path) -> None:
        simulated(tmp_path / "a", **MODELS[model])
        simulated(tmp_path / "b", **MODELS[model])
        assert_same_story(tmp_path / "a", tmp_path / "b")
        other = simulated(tmp_path / "c", **over(MODELS[model], seed=43, loop={"rounds": 0}))
        first = Run(tmp_path / "a").rounds()[0].patch_ids
        assert set(other.rounds()[0].patch_ids) != set(first)

    def test_a_finished_search_is_left_alone(self, tmp_path) -> None:
        run = simulated(tmp_path / "r")
        before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in run.path.rglob("*")}
        simulate(Run(run.path))
        after = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in run.path.rglob("*")}
        assert before == after

    def test_a_raised_budget_goes_on(self, tmp_path) -> None:
        run = simulated(tmp_path / "r")
        toml = run.path / "owl.toml"
        toml.write_text(toml.read_text().replace("rounds = 3", "rounds = 4"))
        simulate(Run(run.path))
        assert len(run.labels.current()) == 22

    def test_the_pool_ends_before_the_budget(self, tmp_path) -> None:
        run = simulated(tmp_path / "r", source={"n_samples": 15})
        assert len(run.labels.current()) == 12  # a fifth of 15 is held out
        assert run.is_finished()
        with pytest.raises(RunError, match="every patch is answered"):
            query(run)

    def test_one_class_in_the_held_out_part_is_not_a_number(self, tmp_path) -> None:
        run = simulated(tmp_path / "r", evaluation={"test_share": 0.01})
        assert math.isnan(run.rounds()[-1].metrics.test_auc)

    def test_the_strategies_differ(self, tmp_path) -> None:
        chosen = {
            name: simulated(
                tmp_path / name,
                acquisition={"strategy": name, "explore": 0.5},
                loop={"rounds": 2},
            )
            .rounds()[1]
            .patch_ids
            for name in STRATEGIES
        }
        assert len(set(chosen.values())) == len(STRATEGIES)

    def test_random_reads_no_pool(self, tmp_path) -> None:
        run = make(tmp_path / "r", acquisition={"strategy": "random"})
        label(run.batch_path(query(run).number), dict.fromkeys(run.rounds()[0].patch_ids, "absent"))
        ingest(run, [run.batch_path(0)], annotator="x")
        run.source.stream = None  # a strategy without inference must not stream the pool
        assert len(query(run).patch_ids) == 4

    def test_pure_relevance_asks_the_most_relevant(self, tmp_path) -> None:
        fixed = over(TUTORIAL, acquisition=WEIGHTS | {"alpha": 0.0}, loop={"rounds": 1})
        run = simulated(tmp_path / "r", **fixed)
        batch = gpd.read_file(run.batch_path(1), layer="batch")
        assert batch["relevance"].tolist() == sorted(batch["relevance"], reverse=True)
        assert batch["relevance"].iloc[0] == 6.0
        assert batch["uncertainty"].isna().all()

    def test_reptile_can_be_switched_off(self, tmp_path) -> None:
        run = simulated(tmp_path / "off", **over(TUTORIAL, reptile={"kind": "none"}))
        assert all(math.isnan(entry.metrics.meta_query_loss) for entry in run.rounds())
        on = simulated(tmp_path / "on", **TUTORIAL)
        first, second = (checkpoint.load(r.files.model(1))[0][0].state_dict() for r in (run, on))
        assert not np.array_equal(first["network.head.weight"], second["network.head.weight"])


class TestAnsweredByPeople:
    def test_the_whole_round_trip(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        assert status(run).next_step == "query"
        first = query(run)
        assert len(first.patch_ids) == 6
        batch = gpd.read_file(run.batch_path(0), layer="batch")
        assert batch["patch_id"].tolist() == list(first.patch_ids)
        assert batch["probability"].isna().all()
        assert status(run).waiting == (run.batch_path(0),)

        # part of it today, the rest tomorrow
        ids = list(first.patch_ids)
        label(run.batch_path(0), {ids[0]: "present", ids[1]: "absent", ids[2]: "unsure"})
        (done,) = ingest(run, [run.batch_path(0)], annotator="x")
        assert (done.new, done.unanswered, done.unchanged) == (3, 3, 0)
        (again,) = ingest(run, [run.batch_path(0)], annotator="x")
        assert (again.new, again.unchanged) == (0, 3)
        label(run.batch_path(0), {ids[3]: "skip", ids[4]: "present"})
        (more,) = ingest(run, [run.batch_path(0)], annotator="x")
        assert (more.new, more.unchanged) == (2, 3)

        second = query(run)
        assert second.number == 1
        assert second.metrics.n_labeled == 3  # unsure and skip teach nothing
        assert second.metrics.positives_found == 2
        assert not set(second.patch_ids) & set(ids[:5])
        batch = gpd.read_file(run.batch_path(1), layer="batch")
        assert batch["patch_id"].tolist() == list(second.patch_ids)
        assert batch["probability"].between(0, 1).all()
        assert batch["score"].gt(0).all()
        now = status(run)
        assert now.labels == {"present": 2, "absent": 1, "unsure": 1, "skip": 1}
        assert now.next_step == "label"

    def test_the_score_is_made_of_its_terms(self, tmp_path) -> None:
        tables = over(TUTORIAL, acquisition=WEIGHTS | {"alpha": 0.25}, loop={"batch_size": 60})
        run = make(tmp_path / "r", **tables)
        entry = query(run)
        label(run.batch_path(0), dict.fromkeys(entry.patch_ids, "absent"))
        ingest(run, [run.batch_path(0)], annotator="x")
        query(run)
        batch = gpd.read_file(run.batch_path(1), layer="batch")
        assert batch["score"].tolist() == sorted(batch["score"], reverse=True)
        p = batch["probability"]
        entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
        np.testing.assert_allclose(batch["uncertainty"], entropy, rtol=1e-3)
        product = np.where(batch["urban"], 2, 1) * np.where(batch["near_industrial"], 3, 1)
        np.testing.assert_allclose(batch["relevance"], product)

    def test_an_unanswered_batch_is_named_again(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        assert query(run).to_json() == query(run).to_json()  # not-a-number equals nothing
        assert len(run.rounds()) == 1

    def test_unanswered_patches_go_back_to_the_pool(self, tmp_path) -> None:
        run = make(tmp_path / "r", loop={"batch_size": 100})
        first = query(run).patch_ids
        label(run.batch_path(0), {first[0]: "absent"})
        ingest(run, [run.batch_path(0)], annotator="x")
        assert set(first[1:]) <= set(query(run).patch_ids)

    def test_a_late_answer_to_an_old_batch_counts(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        first = query(run).patch_ids
        label(run.batch_path(0), {first[0]: "absent"})
        ingest(run, [run.batch_path(0)], annotator="x")
        query(run)
        label(run.batch_path(0), {first[1]: "present"})
        (done,) = ingest(run, [run.batch_path(0)], annotator="x")
        assert done.new == 1

    def test_an_error_in_one_file_stores_none_of_them(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        first = query(run).patch_ids
        copy = tmp_path / "copy.gpkg"
        shutil.copy(run.batch_path(0), copy)
        label(run.batch_path(0), {first[0]: "absent"})
        label(copy, {first[1]: "perhaps"})
        with pytest.raises(BatchError, match="'perhaps'"):
            ingest(run, [run.batch_path(0), copy], annotator="x")
        assert run.labels.count() == 0

    def test_a_batch_of_another_run_is_refused(self, tmp_path) -> None:
        one, other = make(tmp_path / "one"), make(tmp_path / "other", seed=3)
        query(one)
        entry = query(other)
        label(other.batch_path(0), {entry.patch_ids[0]: "absent"})
        with pytest.raises(BatchError, match="of another run"):
            ingest(one, [other.batch_path(0)], annotator="x")
        young = make(tmp_path / "young", seed=4)  # has asked nothing yet
        with pytest.raises(BatchError, match="this run has none yet"):
            ingest(young, [other.batch_path(0)], annotator="x")

    def test_several_classes(self, tmp_path) -> None:
        run = make(tmp_path / "r", classes=["none", "mine", "dump"], positive="mine")
        ids = query(run).patch_ids
        answers = dict(zip(ids, ["none", "mine", "dump", "none", "mine", "dump"], strict=True))
        label(run.batch_path(0), answers)
        ingest(run, [run.batch_path(0)], annotator="x")
        entry = query(run)
        assert entry.metrics.n_labeled == 6
        assert entry.metrics.positives_found == 2


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, Path]:
    """Searches that nothing happened to, one with each model."""
    paths = {model: tmp_path_factory.mktemp("undisturbed") / model for model in MODELS}
    for model, path in paths.items():
        simulated(path, **MODELS[model])
    return paths


class Stop(BaseException):
    """The process ends here."""


def stopping_at(nth: int, patch: pytest.MonkeyPatch) -> None:
    """Raise Stop in place of the nth change to the disk."""
    calls = itertools.count(1)
    stopped, remove = [], shutil.rmtree

    def step(real):
        def changed(*args, **options):
            if next(calls) == nth:
                stopped.append(nth)
                raise Stop
            return real(*args, **options)

        return changed

    for owner, name in [(Path, "rename"), (Path, "replace"), (os, "link"), (os, "fsync")]:
        patch.setattr(owner, name, step(getattr(owner, name)))

    def removed(*args, **options):
        if not stopped:  # what a killed process leaves is not cleaned up by it
            remove(*args, **options)

    patch.setattr(atomic.shutil, "rmtree", removed)


class TestCutOff:
    """A search that is killed and started again ends as if it had never been killed."""

    @pytest.mark.parametrize("model", MODELS)
    def test_at_every_step_of_a_round(self, model, tmp_path, undisturbed, monkeypatch) -> None:
        """Stop at each change to the disk, one after the other, and start again each time."""
        path = tmp_path / "r"
        make(path, oracle={}, **MODELS[model])
        stops = 0
        for nth in itertools.count(1):
            with monkeypatch.context() as patch:
                stopping_at(nth, patch)
                try:
                    simulate(Run(path))
                    break
                except Stop:
                    stops += 1
        assert stops > 5
        assert_same_story(path, undisturbed[model])

    def test_killed_at_random_instants(self, tmp_path, undisturbed) -> None:
        path = tmp_path / "r"
        make(path, oracle={})
        rng = random.Random(1)
        # seconds, less than a start takes; they grow, so that the test ends on a busy machine too
        patience, kills = 0.5, 0
        while not Run(path).is_finished():
            process = subprocess.Popen(
                [sys.executable, "-m", "owl_geo", "run", str(path), "-q"],
                stdout=subprocess.DEVNULL,
            )
            try:
                process.wait(rng.uniform(0.3, 1.0) * patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                patience, kills = patience * 1.3, kills + 1
        assert kills > 1
        assert_same_story(path, undisturbed["default"])


def failing_to_save(*_args, **_options) -> None:
    """What safetensors does on a full disk."""
    raise SafetensorError("I/O error: No space left on device (os error 28)")


class TestRunFolder:
    def test_what_is_no_run(self, tmp_path) -> None:
        with pytest.raises(RunError, match="no run folder at"):
            Run(tmp_path / "nowhere")
        with pytest.raises(ConfigError, match="does not exist"):
            Run(tmp_path)

    def test_a_place_that_is_taken(self, tmp_path) -> None:
        make(tmp_path / "r")
        with pytest.raises(RunError, match="already holds a run"):
            make(tmp_path / "r")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "thesis.txt").write_text("years of work")
        with pytest.raises(RunError, match="not empty and not a run"):
            init(tmp_path / "full", searches.settings(), overwrite=True)
        assert (tmp_path / "full" / "thesis.txt").exists()

    def test_overwrite_spares_what_people_answered(self, tmp_path) -> None:
        run = simulated(tmp_path / "simulated")
        init(run.path, searches.settings(seed=9), overwrite=True)
        assert Run(run.path).settings.seed == 9
        assert Run(run.path).rounds() == []
        run = make(tmp_path / "people")
        label(run.batch_path(0), {query(run).patch_ids[0]: "absent"})
        ingest(run, [run.batch_path(0)], annotator="x")
        with pytest.raises(RunError, match="1 answer by people"):
            init(run.path, searches.settings(seed=9), overwrite=True)
        assert run.labels.count() == 1

    def test_edited_concepts_need_an_update_which_keeps_the_answers(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        label(run.batch_path(0), {query(run).patch_ids[0]: "present"})
        ingest(run, [run.batch_path(0)], annotator="x")
        toml = run.path / "owl.toml"
        toml.write_text(toml.read_text().replace("value = 0.3", "value = 0.9"))
        with pytest.raises(RunError, match="--update"):
            query(Run(run.path))
        update(run.path)
        again = Run(run.path)
        assert (
            again.index.concepts["near_industrial"].mean()
            > run.index.concepts["near_industrial"].mean()
        )
        assert again.labels.count() == 1
        assert query(again).number == 1

    def test_an_update_that_would_lose_answers_is_refused(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        label(run.batch_path(0), {query(run).patch_ids[0]: "present"})
        ingest(run, [run.batch_path(0)], annotator="x")
        toml = run.path / "owl.toml"
        toml.write_text(toml.read_text().replace("image_size = 8", "image_size = 12"))
        with pytest.raises(RunError, match="patch_size cannot change once"):
            update(run.path)

    @pytest.mark.parametrize(
        ("before", "after", "said"),
        [
            ("n_bands = 2", "n_bands = 3", "bands cannot change once a batch has been made"),
            ('["absent", "present"]', '["no", "present"]', "classes cannot change"),
            ("n_samples = 80", "n_samples = 5", "patches that were in a batch"),
            ('positive = "present"', 'positive = "absent"', "positive cannot change once"),
        ],
    )
    def test_an_update_keeps_to_what_the_model_knows(self, tmp_path, before, after, said) -> None:
        run = make(tmp_path / "r")
        query(run)
        toml = run.path / "owl.toml"
        assert before in toml.read_text()
        toml.write_text(toml.read_text().replace(before, after))
        with pytest.raises(RunError, match=said):
            update(run.path)

    def test_an_update_keeps_the_classes_that_known_sites_were_answered_with(
        self, tmp_path
    ) -> None:
        run = make(tmp_path / "r")
        names = run.patches["patch_id"].iloc[:3].tolist()
        answers = [
            Answer(name, label, "ana", f"2026-01-01T00:00:0{second}Z", "import", 0)
            for second, (name, label) in enumerate(
                [*zip(names, ("absent", "unsure", None), strict=True), (names[2], "present")]
            )
        ]
        run.labels.append(answers, run.footprints(names))
        toml = run.path / "owl.toml"
        text = toml.read_text()
        toml.write_text(text.replace('["absent", "present"]', '["no", "present"]'))
        said = rf"1 answer, .* that of {names[0]}, would be of no class: absent; let classes .* it"
        with pytest.raises(RunError, match=said):
            update(run.path)
        toml.write_text(text.replace('["absent", "present"]', '["no", "present", "absent"]'))
        update(run.path)
        assert len(status(run.path).labels) == 3

    def test_another_class_to_search_for_needs_another_run(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        toml = run.path / "owl.toml"
        toml.write_text(toml.read_text().replace('positive = "present"', 'positive = "absent"'))
        with pytest.raises(RunError, match=r"positive changed .* made for present; restore it"):
            status(run.path)  # its figures are those of the rounds before
        update(run.path)  # nothing has been asked yet
        assert status(run.path).patches == 80

    @pytest.mark.parametrize(
        ("before", "after"),
        [("test_share = 0.2", "test_share = 0.6"), ("\nseed = 42", "\nseed = 43")],
    )
    def test_what_the_model_has_learnt_from_never_tests_it(self, tmp_path, before, after) -> None:
        run = simulated(tmp_path / "r")
        toml = run.path / "owl.toml"
        assert before in toml.read_text()
        toml.write_text(toml.read_text().replace(before, after))
        with pytest.raises(RunError, match="would be held out to test the model"):
            update(run.path)
        toml.write_text(toml.read_text().replace(after, before))
        update(run.path)
        answered = set(Run(run.path).labels.current()["patch_id"])
        truth = Run(run.path).truth
        assert answered.isdisjoint(truth["patch_id"][truth["held_out"]])

    def test_damaged_tables_are_made_anew_by_an_update(self, tmp_path) -> None:
        run = simulated(tmp_path / "r")
        before = run.patches
        cure = "run `owl-geo init .* --update`"
        for name in ("patches.parquet", "truth.parquet", "index.json"):
            (run.path / name).write_bytes(b"not a table")
            with pytest.raises(RunError, match=f"{name} is damaged; {cure}"):
                (Run(run.path).patches, Run(run.path).truth)
            (run.path / name).unlink()
            with pytest.raises(RunError, match=f"{name} is missing; {cure}"):
                (Run(run.path).patches, Run(run.path).truth)
            update(run.path)
        assert Run(run.path).patches.equals(before)
        assert Run(run.path).is_finished()

    def test_lost_metrics_come_back(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        query(run)
        before = (run.path / "metrics.csv").read_text()
        (run.path / "metrics.csv").unlink()
        query(run)
        assert (run.path / "metrics.csv").read_text() == before

    def test_a_person_named_oracle_is_a_person(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        label(run.batch_path(0), {query(run).patch_ids[0]: "absent"}, annotator="oracle")
        ingest(run, [run.batch_path(0)], annotator="x")
        with pytest.raises(RunError, match="1 answer by people"):
            init(run.path, searches.settings(), overwrite=True)

    def test_the_folder_one_stands_in_is_no_run_folder(self, tmp_path, monkeypatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(RunError, match="the folder you are in"):
            init(".", searches.settings())

    def test_files_can_be_read_by_others(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        query(run)
        modes = {p.name: p.stat().st_mode & 0o777 for p in run.path.rglob("*") if p.is_file()}
        modes.pop(".lock", None)  # which some versions of filelock take away
        assert set(modes.values()) == {modes["owl.toml"]}

    def test_a_damaged_round_is_named(self, tmp_path) -> None:
        run = simulated(tmp_path / "r")
        (run.files.round_folder(2) / "round.json").write_text("{")
        with pytest.raises(RunError, match=r"002/round\.json is damaged"):
            run.rounds()
        shutil.rmtree(run.files.round_folder(2))
        with pytest.raises(RunError, match="lacks round 002"):
            run.rounds()

    def test_a_newer_layout_is_refused(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        toml = run.path / "owl.toml"
        toml.write_text(toml.read_text().replace("version = 1", "version = 2"))
        with pytest.raises(ConfigError, match="newer owl-geo"):
            Run(run.path)

    def test_two_processes_do_not_add_rounds_at_once(self, tmp_path) -> None:
        run = make(tmp_path / "r")
        with Run(run.path).locked(), pytest.raises(RunError, match="another owl-geo is working"):
            query(run)
        assert query(run).number == 0

    @pytest.mark.parametrize("model", MODELS)
    def test_a_full_disk_leaves_no_half_round(self, model, tmp_path, monkeypatch) -> None:
        run = make(tmp_path / "r", **MODELS[model])

        def full(*_args, **_options):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(atomic.os, "fsync", full)
        with pytest.raises(RunError, match=r"No space left on device .nothing there was changed"):
            query(run)
        monkeypatch.undo()
        monkeypatch.setattr(checkpoint, "save_file", failing_to_save)
        monkeypatch.setattr(head, "save_file", failing_to_save)
        with pytest.raises(RunError, match="No space left on device"):
            query(run)
        monkeypatch.undo()
        assert list((run.path / "rounds").iterdir()) == []
        assert query(run).number == 0


# --- edits of owl.toml ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (
            {"head": "committee"},
            {"head": "mlp"},
            "was made with model.head = 'committee', which has no weights to go on from; "
            "restore [model] in owl.toml, or make another run",
        ),
        (
            {"head": "committee"},
            {"kind": "cnn"},  # leaves the head as it is
            "was made with model.head = 'committee', which has no weights to go on from; "
            "restore [model] in owl.toml, or make another run",
        ),
        ({"head": "mlp"}, {"head": "committee"}, None),
        ({"head": "committee"}, {"head": "logistic"}, None),
        (
            {"head": "mlp"},
            {"kind": "cnn"},
            "was made for different settings: model.kind was mlp and is now cnn; "
            "restore owl.toml, or make another run",
        ),
    ],
)
def test_another_model_in_the_middle_of_a_search(tmp_path, before, after, line) -> None:
    run = make(tmp_path / "run", oracle={}, model=before, loop={"rounds": 1})
    simulate(run)
    done = len(run.rounds())
    values = over(run.settings.model_dump(mode="json"), loop={"rounds": 3})
    values["model"] = after
    edited = searches.owl_toml.dump(searches.owl_toml.parse(values, "test"))
    (run.path / "owl.toml").write_text(edited)
    if line is None:
        simulate(Run(run.path))
        assert len(Run(run.path).rounds()) > done
    else:
        with pytest.raises(RunError) as error:
            simulate(Run(run.path))
        assert str(error.value) == f"{run.files.model(done - 1)} {line}"
        assert len(Run(run.path).rounds()) == done


def test_rounds_that_were_deleted_are_said_and_their_successors_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = searches.make(tmp_path / "run")
    first = query(run)
    searches.label(run.batch_path(0), dict.fromkeys(first.patch_ids, "absent"))
    ingest(run, [run.batch_path(0)], annotator="x")
    shutil.rmtree(run.path / "rounds")
    again = query(Run(run.path))
    assert again.batch_id == first.batch_id and not {*again.patch_ids} & {*first.patch_ids}
    assert f"has answers to another batch {first.batch_id}, whose round is gone" in caplog.text
    waiting = query(Run(run.path))
    assert (waiting.batch_id, waiting.patch_ids) == (again.batch_id, again.patch_ids)
    assert status(run.path).next_step == "label"


def test_answers_that_are_gone_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = searches.make(tmp_path / "run")
    for number in range(2):
        entry = query(run)
        searches.label(run.batch_path(number), dict.fromkeys(entry.patch_ids, "absent"))
        ingest(run, [run.batch_path(number)], annotator="x")
    query(run)
    kept = run.path / "labels.gpkg"
    told = "lacks answers that round 2 learned from: restore"
    assert told not in caplog.text and len(run.labels.history()) == 10
    kept.rename(tmp_path / "mine.gpkg")
    (line,) = [text for name, text in facts(Run(run.path), status(run.path)) if name == "Answers"]
    assert line.startswith("none yet; some that round 2 learned from are gone")
    query(Run(run.path), go_on=True)
    assert told in caplog.text
    (line,) = [text for name, text in facts(Run(run.path), status(run.path)) if name == "Answers"]
    assert "round 2 learned from are gone" in line
    # the batches have them still
    again = Run(run.path)
    ingest(again, [again.batch_path(number) for number in range(2)], annotator="x")
    (line,) = [text for name, text in facts(again, status(again)) if name == "Answers"]
    assert line == "10 patches: 10 absent"


def test_a_batch_that_waits_and_is_gone_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = searches.make(tmp_path / "run")
    query(run)
    run.batch_path(0).rename(tmp_path / "mine.gpkg")
    for ask in (query, review):
        with pytest.raises(RunError, match=r"batch .*-000 waits for answers"):
            ask(run)
    with pytest.raises(RunError, match=r"rounds/000/batch\.gpkg is gone; restore it, ingest it"):
        query(run)
    (line,) = [text for name, text in facts(run, status(run)) if name == "Next"]
    assert "rounds/000/batch.gpkg is gone" in line
    assert query(run, go_on=True).number == 1
    team = query(run, go_on=True, annotators=["ana", "ben"])
    run.batch_paths(team)["ana"].unlink()
    assert query(run) == team
    assert "batch-ana.gpkg is gone; ingest it from where it is" in caplog.text
