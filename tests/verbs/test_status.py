"""Where a run stands: what its model expects, and what it does as long as nothing is found."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom
from searches import label, make

from owl_geo import Run, ingest, more_like, query, status
from owl_geo.evaluation.simulate import simulate
from owl_geo.measures.audit import Answered, Outlook
from owl_geo.reporting.facts import facts
from owl_geo.types import Answer
from owl_geo.verbs.import_answers import import_answers
from owl_geo.verbs.status import _answered, _outlook


def told(**values: object) -> SimpleNamespace:
    """A round, as far as the outlook looks at it."""
    given = {"expected": None, "kind": "chosen"} | values
    return SimpleNamespace(
        metrics=SimpleNamespace(
            positives_found=given.pop("found", 0), n_pool=given.pop("n_pool", 0)
        ),
        **given,
    )


def test_the_outlook_is_the_newest_models_and_of_whole_rounds_of_choices() -> None:
    rounds = [
        told(number=0),
        told(number=1, expected=40.0, found=3),
        told(number=2, expected=12.5, found=9, n_pool=865),
        told(number=3, kind="review"),
        told(number=4),  # it did not score all patches
    ]
    number = np.repeat([0, 1, 2, 3, 4], [30, 20, 15, 40, 10])
    is_audit = np.zeros(115, dtype=bool)
    is_audit[-1] = True
    is_target = number >= 2
    answered = Answered(number, np.full(115, 900), is_audit, is_target, np.full(115, np.nan))
    # 9 of round 4 are too few, so round 2 counts too, and the review between them never does
    assert _outlook(rounds, answered) == Outlook(12.5, 9, 24, 24, 865)
    assert _outlook(rounds[:1], answered) is None


def test_a_search_that_has_found_its_targets_says_so(tmp_path: Path) -> None:
    run = make(
        tmp_path / "run",
        oracle={},
        source={"n_samples": 200, "signal": 1.0, "seed": 3},
        model={"head": "blend"},
        acquisition={"audit_share": 0.25},
        loop={"initial": 20, "batch_size": 20, "rounds": 6},
    )
    simulate(run)
    now = status(run)
    assert now.hint is not None
    assert now.hint.may_stop
    said = dict(facts(run, now))["Stop?"]
    rounds = run.rounds()
    # what it expected was among all that could be asked then, the batch that followed included
    last = next(entry for entry in reversed(rounds) if entry.expected is not None)
    among = f"about {last.expected:,.0f} among the {last.metrics.n_pool} left when it last chose"
    assert said.startswith(f"the model expected {among}, and of its last ")
    assert said.endswith(": consider stopping")
    scored = [entry for entry in rounds if entry.expected is not None]
    assert [entry.number for entry in scored] == list(range(1, 7))
    left = [int(entry.metrics.n_pool) for entry in scored]
    assert all(0 < entry.expected < n for entry, n in zip(scored, left, strict=True))
    assert scored[-1].expected < scored[0].expected / 4


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("pursuit", "batches cover what is unlike the answered patches until there is one"),
        ("uncertainty", None),
    ],
)
def test_it_says_that_nothing_is_found(tmp_path: Path, strategy: str, said: str | None) -> None:
    run = make(tmp_path / "run", acquisition={"strategy": strategy})
    assert "Search" not in dict(facts(run, status(run)))  # nobody has looked yet
    entry = query(run)
    labels = dict.fromkeys(entry.patch_ids, "absent")
    label(run.batch_path(0), labels)
    ingest(run, [run.batch_path(0)], annotator="ana")
    line = dict(facts(Run(run.path), status(run)))["Search"]
    assert line.startswith(f"no present found yet in {len(labels)} answers")
    assert (said in line) if said else (": " not in line)
    label(run.batch_path(0), {entry.patch_ids[0]: "present"})
    ingest(run, [run.batch_path(0)], annotator="ana")
    assert "Search" not in dict(facts(Run(run.path), status(run)))


def left_of(n_pool: int, drawn: int, hits: int, since: int) -> np.ndarray:
    """The most likely number of targets left, and the ends of the interval, for one audit."""
    n_left = np.arange(n_pool - drawn + 1 - since)
    likely = hypergeom(n_pool, n_left + hits + since, drawn).pmf(hits)
    order = np.argsort(-likely, kind="stable")
    inside = order[: np.searchsorted(np.cumsum(likely[order]) / likely.sum(), 0.95) + 1]
    return np.array([order[0], inside.min(), inside.max()])


def audited(path: Path, n_audit: int = 60) -> tuple[Run, set[str]]:
    """A run of 400 patches, of which 120 are targets, before its first batch, all of it drawn."""
    run = make(
        path,
        source={"n_samples": 400},
        acquisition={"audit_share": 1.0},
        loop={"initial": n_audit, "batch_size": n_audit},
    )
    ids = run.patches["patch_id"].to_numpy()
    return run, set(np.random.default_rng(5).permutation(ids)[:120].tolist())


def say(run: Run, number: int, targets: set[str]) -> int:
    """Answer a batch; return how many targets it holds."""
    asked = run.rounds()[number].patch_ids
    label(run.batch_path(number), {p: "present" if p in targets else "absent" for p in asked})
    ingest(run, [run.batch_path(number)], annotator="ana")
    return len(targets & set(asked))


def import_targets(run: Run, patches: list[str], folder: Path) -> None:
    table = pd.DataFrame({"patch_id": patches, "label": "present"})
    table.to_csv(folder / "known.csv", index=False)
    import_answers(run, folder / "known.csv", annotator="ben")


def test_targets_that_are_imported_later_were_there_when_the_audit_was_drawn(
    tmp_path: Path,
) -> None:
    run, targets = audited(tmp_path / "run")
    drawn = query(run).patch_ids
    hits = say(run, 0, targets)
    known = sorted(targets - set(drawn))[:80]
    import_targets(run, known, tmp_path)
    left = status(run).left
    assert (left.left.value, left.left.low, left.left.high) == tuple(left_of(400, 60, hits, 80))
    assert left.left.low <= 120 - hits - 80 <= left.left.high  # without the imported it was 63
    assert (left.n_found, left.n_answered, left.n_left) == (hits + 80, 140, 260)
    assert left.prevalence.value == pytest.approx((left.left.value + hits + 80) / 400)


def test_targets_that_are_imported_before_the_audit_was_drawn_were_not(tmp_path: Path) -> None:
    run, targets = audited(tmp_path / "run")
    import_targets(run, sorted(targets)[:80], tmp_path)
    query(run)
    hits = say(run, 0, targets)
    left = status(run).left
    assert (left.left.value, left.left.low, left.left.high) == tuple(left_of(320, 60, hits, 0))
    assert (left.n_found, left.n_answered) == (hits + 80, 140)
    assert left.prevalence.value == pytest.approx((left.left.value + hits + 80) / 400)


@pytest.mark.parametrize("by", ["import", "a later batch"])
def test_drawn_patches_of_which_only_the_targets_come_to_be_known_are_no_sample(
    by: str, tmp_path: Path
) -> None:
    run, targets = audited(tmp_path / "run")
    drawn = query(run).patch_ids
    answered, others = drawn[:30], drawn[30:]
    label(run.batch_path(0), {p: "present" if p in targets else "absent" for p in answered})
    ingest(run, [run.batch_path(0)], annotator="ana")
    hits, known = len(targets & set(answered)), sorted(targets & set(others))
    assert hits > 3 and len(known) > 3
    if by == "import":
        import_targets(run, known, tmp_path)
    else:  # of all that is left, people label what they take for a target
        more_like(run, answered[:1], size=400, go_on=True)
        label(run.batch_path(1), dict.fromkeys(known, "present"))
        ingest(run, [run.batch_path(1)], annotator="ana")
    left = status(run).left
    expected = tuple(left_of(400, 30, hits, len(known)))
    assert (left.left.value, left.left.low, left.left.high) == expected
    assert (left.n_audit, left.n_found) == (30, hits + len(known))
    # once the batch is answered too, it does not matter that they were known before
    label(run.batch_path(0), {p: "present" if p in targets else "absent" for p in drawn})
    ingest(run, [run.batch_path(0)], annotator="ana")
    left = status(run).left
    expected = tuple(left_of(400, 60, hits + len(known), 0))
    assert (left.left.value, left.left.low, left.left.high) == expected


def test_a_batch_that_is_answered_after_the_next_was_drawn_was_there_to_be_drawn(
    tmp_path: Path,
) -> None:
    run, targets = audited(tmp_path / "run", 30)
    query(run)
    query(run, go_on=True)
    hits = say(run, 1, targets)
    early = status(run).left
    late = set(run.rounds()[0].patch_ids) - set(run.rounds()[1].patch_ids)
    table = {p: "present" if p in targets else "absent" for p in late}
    label(run.batch_path(0), table)
    ingest(run, [run.batch_path(0)], annotator="ana")
    answered = _answered(run, run.rounds(), run.labels.current(), run.labels.history())
    until = dict(zip(run.labels.current()["patch_id"], answered.open_until, strict=True))
    assert {until[patch] for patch in late} == {1}
    assert (early.n_audit, early.n_found) == (30, hits)


@pytest.mark.parametrize("opened_by", ["a tie", "a withdrawal"])
def test_targets_that_could_be_asked_again_were_there_when_the_audit_was_drawn(
    opened_by: str, tmp_path: Path
) -> None:
    run, targets = audited(tmp_path / "run")
    known = sorted(targets)[:80]

    def answer(label: str | None, annotator: str, day: int) -> None:
        at = f"2026-01-{day:02}T10:00:00Z"
        answers = [Answer(patch, label, annotator, at, "", -1) for patch in known]
        run.labels.append(answers, run.footprints(known))

    answer("present", "ana", 1)
    answer(*("absent", "ben") if opened_by == "a tie" else (None, "ana"), 2)
    asked = set(query(run).patch_ids)
    assert run.rounds()[0].metrics.n_pool == 400
    answer("present", *("ben",) if opened_by == "a tie" else ("ana",), 3)
    hits = say(run, 0, targets)
    since = len(set(known) - asked)
    assert since > 60
    left = status(run).left
    assert (left.left.value, left.left.low, left.left.high) == tuple(left_of(400, 60, hits, since))
    assert (left.n_audit, left.n_found) == (60, hits + since)


def test_a_round_of_another_store_tells_no_time_of_an_import(tmp_path: Path) -> None:
    run, targets = audited(tmp_path / "run", 30)
    import_targets(run, sorted(targets)[:40], tmp_path)
    query(run)
    say(run, 0, targets)
    query(run)
    say(run, 1, targets)
    asked = [entry.patch_ids for entry in run.rounds()]
    history = run.labels.history()
    moved = history.assign(seq=history["seq"] + 1000)
    rounds = [run.rounds()[0], replace(run.rounds()[1], answers_seen=1070)]
    current = run.labels.current()
    for told, numbers in ((run.rounds(), history), (rounds, moved), (run.rounds(), moved)):
        answered = _answered(run, told, current, numbers)
        until = dict(zip(current["patch_id"], answered.open_until, strict=True))
        assert {until[patch] for patch in sorted(targets)[:40]} == {-1}
        assert [{until[patch] for patch in patches} for patches in asked] == [{0}, {1}]


@pytest.mark.parametrize("annotator", ["ben", None])
def test_answers_in_copies_beside_a_batch_are_not_overlooked(
    annotator: str | None, tmp_path: Path
) -> None:
    run = make(tmp_path / "run")
    first = query(run)
    batch = run.batch_path(0)
    copy, other = batch.with_stem("batch (conflicted copy)"), batch.with_stem("batch-PC2")
    one, two, three, *_ = first.patch_ids
    label(batch, {one: "absent", two: "absent"})
    shutil.copy(batch, copy)
    shutil.copy(batch, other)
    batch.with_stem("notes").write_bytes(b"of another kind")
    ingest(run, [batch], annotator="ana")
    assert status(run).copies == ()  # they hold nothing else
    label(copy, {three: "present"}, annotator)
    query(run)
    assert status(run).copies == (copy,)
    line = f"owl-geo ingest {run.path} '{copy}'"
    assert dict(facts(run, status(run)))["Copies"].endswith(line)
    ingest(run, [copy], annotator="cas")
    assert status(run).copies == ()
    label(copy, {one: "absent"}, "dora")  # who agrees is one more annotator
    label(other, {two: "present"}, annotator)
    assert status(run).copies == (copy, other)
    ingest(run, [copy, other], annotator="cas")
    assert status(run).copies == ()
    assert "Copies" not in dict(facts(run, status(run)))
