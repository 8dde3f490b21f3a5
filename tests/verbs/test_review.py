"""A review of what the model finds: a batch like any other, but no part of the audit."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import searches
from corners import table
from rasters import write_raster

from owl_geo import Run, ingest, init, predict, query, review, status
from owl_geo.batches import read_batch
from owl_geo.cli import _run as owl
from owl_geo.errors import ConfigError, RunError
from owl_geo.evaluation.simulate import simulate
from owl_geo.labels import Answer
from owl_geo.reporting.sections.answers import n_asked
from owl_geo.reporting.survey import Survey


def make(folder: Path, **tables: object) -> Run:
    """A run over 8 x 16 patches whose upper left quarter is bright; nobody has answered yet."""
    values = np.random.default_rng(0).random((1, 64, 128))
    values[:, :32, :64] += 1
    scene = write_raster(folder / "scene.tif", values.astype(np.float32))
    scenes = [{"name": "s", "path": str(scene)}]
    base = {
        "source": {"kind": "geotiff", "scenes": scenes, "patch_size": 8},
        "loop": {"initial": 24, "batch_size": 6},
        "acquisition": {"audit_share": 0.5},
        "model": {"head": "logistic"},
    }
    return init(folder / "run", searches.over(base, **tables)).run


def truth(patch: str) -> str:
    _, row, col = patch.split("/")
    return "present" if int(row) < 32 and int(col) < 64 else "absent"


def answer(run: Run, number: int, wrong: tuple[str, ...] = (), **others: str) -> None:
    """Answer a batch by the truth, except for those that are wrong, and others."""
    labels = {patch: truth(patch) for patch in run.rounds()[number].patch_ids}
    labels |= dict.fromkeys(wrong, "absent") | others
    searches.label(run.batch_path(number), labels)
    ingest(run, [run.batch_path(number)], annotator="ana")


def started(folder: Path, n_wrong: int = 2, **tables: object) -> tuple[Run, tuple[str, ...]]:
    """A run with a first batch, some of whose targets were answered as absent by mistake."""
    run = make(folder, **tables)
    entry = query(run)
    targets = [patch for patch in entry.audit if truth(patch) == "present"]
    wrong = tuple(targets[:n_wrong])
    answer(run, 0, wrong)
    return run, wrong


def test_it_asks_for_what_the_model_takes_for_targets(tmp_path: Path) -> None:
    run, wrong = started(tmp_path)
    said = table(predict(run).folder)["probability"]
    labels = run.labels.current().set_index("patch_id")["label"]
    expected = said[(said >= 0.5) & (labels.reindex(said.index) != "present")]
    expected = expected.sort_values(ascending=False, kind="stable")
    assert set(wrong) <= set(expected.index) and len(expected) > 6  # answered otherwise
    done = review(run)
    assert (done.round.number, done.taken) == (1, len(expected))
    assert list(done.round.patch_ids) == expected.index[:6].tolist()  # a batch, by default
    assert done.round.batch_id.endswith("-001-review") and done.round.is_review
    assert not done.round.audit
    assert [n_asked(entry) for entry in run.rounds()] == ["24", "6 (review)"]
    # it is what a query writes
    path = run.batch_path(1)
    assert read_batch(path).classes == run.settings.classes
    rows = gpd.read_file(path, layer="batch")
    assert rows["rank"].tolist() == list(range(1, 7)) and rows["label"].isna().all()
    np.testing.assert_allclose(rows["probability"], expected[:6])
    np.testing.assert_allclose(rows["score"], expected[:6])
    assert (rows["batch_id"] == done.round.batch_id).all()
    assert (run.path / "rounds/001/model.safetensors").exists()
    # killed before it was there, it comes out the same
    shutil.rmtree(run.path / "rounds/001")
    assert review(run, size=6).round.patch_ids == done.round.patch_ids


def test_its_answers_are_learnt_and_marked(tmp_path: Path, capsys) -> None:
    run, wrong = started(tmp_path)
    entry = review(run, threshold=0.001, size=60).round
    answer(run, 1)
    history = run.labels.history()
    marked = history[history["batch_id"] == entry.batch_id]
    assert len(marked) == len(entry.patch_ids) and (marked["round"] == 1).all()
    capsys.readouterr()
    assert owl(["labels", "history", str(run.path), "--last", "1"]) == 0
    assert "-001-review" in capsys.readouterr().out
    labels = run.labels.current().set_index("patch_id")["label"]
    assert (labels.loc[list(wrong)] == "present").all()  # corrected
    # the loop goes on, and learns from all
    following = query(run)
    assert (following.number, following.metrics.n_labeled) == (2, len(labels))
    assert not following.is_review and following.audit
    assert not set(following.patch_ids) & set(labels.index)
    # what is answered as target, and what cannot be told, is not asked again
    answer(run, 2, **{following.patch_ids[0]: "unsure", following.patch_ids[1]: "skip"})
    again = review(run, threshold=1e-9, size=1000).round
    current = run.labels.current().set_index("patch_id")["label"].reindex(run.patches["patch_id"])
    rejected = [patch for patch in entry.patch_ids if truth(patch) == "absent"]
    expected = current[current.isna() | (current == "absent")].index.difference(rejected)
    assert rejected and set(again.patch_ids) == set(expected)


def test_what_a_review_asked_and_nobody_answers_any_more_is_reviewed_again(tmp_path: Path) -> None:
    run, _ = started(tmp_path)
    first = review(run, threshold=1e-9, size=1000).round
    rejected = [patch for patch in first.patch_ids if truth(patch) == "absent"][:3]

    def say(patch: str, label: str | None, day: int, comment: str | None = None) -> None:
        at = f"2026-04-{day:02}T10:00:00Z"
        given = Answer(patch, label, "ana", at, first.batch_id or "", first.number, comment)
        run.labels.append([given], run.footprints([patch]))

    taken_back, remarked, kept = rejected
    say(taken_back, "absent", 1)
    say(taken_back, None, 2)
    say(remarked, None, 1, "cloudy")
    assert run.waits(first) == [run.batch_path(1)]  # a remark is no answer
    say(kept, "absent", 1)
    assert run.waits(first) == []
    again = review(run, threshold=1e-9, size=1000).round.patch_ids
    assert {taken_back, remarked} <= {*again} and kept not in again


def test_the_audit_is_left_alone(tmp_path: Path) -> None:
    run, wrong = started(tmp_path)
    before = status(run)
    assert before.left.n_audit == 12
    review(run, size=60)
    answer(run, 1)
    after = status(run)
    assert set(wrong) <= set(run.rounds()[0].audit) & set(run.rounds()[1].patch_ids)
    assert after.labels["present"] > before.labels["present"] + 2
    # the sample and what it says of the model are as they were, whatever the review corrected
    np.testing.assert_equal(asdict(after.quality), asdict(before.quality))  # nan equals nan
    assert after.left.n_audit == 12
    assert after.left.n_found == after.labels["present"] - len(wrong)
    # those found in the review are no longer left
    assert after.left.left.high < before.left.left.high


def test_a_drawn_patch_that_only_the_review_answers_is_not_of_the_audit(tmp_path: Path) -> None:
    run = make(tmp_path)
    entry = query(run)
    drawn = [patch for patch in entry.audit if truth(patch) == "present"][:2]
    labels = {patch: truth(patch) for patch in entry.patch_ids if patch not in drawn}
    searches.label(run.batch_path(0), labels)
    ingest(run, [run.batch_path(0)], annotator="ana")
    assert status(run).left.n_audit == len(entry.audit) - 2
    assert set(drawn) <= set(review(run, size=60).round.patch_ids)
    answer(run, 1)
    assert status(run).left.n_audit == len(entry.audit) - 2
    assert status(run).left.n_found == status(run).labels["present"]


def test_one_batch_waits_at_a_time(tmp_path: Path, capsys) -> None:
    run, _ = started(tmp_path)
    waiting = query(run)
    with pytest.raises(RunError, match=f"batch {waiting.batch_id} waits for answers; label and"):
        review(run)
    assert len(run.rounds()) == 2
    capsys.readouterr()
    words = ["review", str(run.path), "--threshold", "0.01", "--size", "3"]
    assert owl([*words, "--go-on"]) == 0
    said, path = capsys.readouterr().out.splitlines()
    assert "-002-review: 3 of " in said and "patches that the model takes for present" in said
    assert path == str(run.batch_path(2))
    # it waits itself: for the next review, and for a query
    assert owl(words) == 0
    assert owl(["query", str(run.path)]) == 0
    out, err = capsys.readouterr()
    assert "threshold and size take effect with the next review" in err
    said = out.splitlines()
    assert said[1::2] == [path, path] and "leave it with --go-on" in said[0]
    assert review(run).round.number == 2 and review(run).taken is None
    answer(run, 2)
    assert query(run).number == 3


def test_what_cannot_be_reviewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path)
    with pytest.raises(RunError, match="no model yet that can tell present from absent"):
        review(run)
    query(run)
    answer(run, 0)
    with pytest.raises(RunError, match=r"no patch that is left to review has a probabil"):
        review(run, threshold=1.0)
    low = np.full(3, 0.0004, np.float32)
    with monkeypatch.context() as patched:
        patched.setattr("owl_geo.search.review._opinions", lambda *_: (low, low))
        with pytest.raises(RunError, match=r"present; the highest is below 0\.001"):
            review(run)
    for wrong in ({"threshold": 0.0}, {"size": 0}):
        with pytest.raises(ConfigError, match="must be"):
            review(run, **wrong)
    assert len(run.rounds()) == 1


def test_a_search_with_truth_reviews_nothing_that_is_held_out(tmp_path: Path) -> None:
    codes = np.zeros((1, 64, 128), np.uint8)
    codes[:, :32, :64] = 1
    path = write_raster(tmp_path / "truth.tif", codes)
    run = make(
        tmp_path,
        oracle={"path": str(path), "values": {"present": ["1"]}},
        loop={"initial": 12, "batch_size": 4, "rounds": 1},
    )
    simulate(run)
    finished = len(run.rounds())
    entry = review(run, threshold=1e-6, size=1000).round
    held_out = run.truth.loc[run.truth["held_out"], "patch_id"]
    assert len(held_out) and not set(entry.patch_ids) & set(held_out)
    assert not run.is_finished()
    simulate(run)  # the truth answers it, and the budget of rounds is as it was
    assert run.is_finished() and len(run.rounds()) == finished + 2


def test_the_report_shows_what_a_review_asks_again_as_not_answered(tmp_path: Path) -> None:
    run, wrong = started(tmp_path)
    asked = review(run, threshold=0.01, size=200).round.patch_ids
    assert {*wrong} <= {*asked}
    assert Survey.of(run).waiting == asked
    done, left = asked[::2], asked[1::2]
    searches.label(run.batch_path(1), {patch: truth(patch) for patch in done})
    ingest(run, [run.batch_path(1)], annotator="ana")
    assert Survey.of(run).waiting == left


def test_a_review_waits_though_its_patches_have_answers(tmp_path: Path) -> None:
    """Also where these have got other numbers, in a store that others use too."""
    run, _ = started(tmp_path)
    done = review(run, threshold=0.01, size=200)
    again = {*done.round.patch_ids} & {*run.labels.history()["patch_id"]}
    only = replace(done.round, patch_ids=tuple(sorted(again)))
    assert again and run.waits(only) == [run.batch_path(1)]
    moved = run.labels.history()
    moved["seq"] += 1000
    run.labels.history = lambda: moved  # type: ignore[method-assign]
    assert run.waits(only) == [run.batch_path(1)]
