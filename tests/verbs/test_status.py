"""Where a run stands: what its model expects, and what it does as long as nothing is found."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from searches import label, make

from owl_geo import Run, ingest, query, status
from owl_geo.evaluation.simulate import simulate
from owl_geo.measures.audit import Answered, Outlook
from owl_geo.reporting.facts import facts
from owl_geo.verbs.status import _outlook


def told(**values: object) -> SimpleNamespace:
    """A round as far as the outlook looks at it."""
    given = {"expected": None, "is_review": False, "is_like": False} | values
    return SimpleNamespace(metrics=SimpleNamespace(positives_found=given.pop("found", 0)), **given)


def test_the_outlook_is_the_newest_models_and_of_whole_rounds_of_choices() -> None:
    rounds = [
        told(number=0),
        told(number=1, expected=40.0, found=3),
        told(number=2, expected=12.5, found=9),
        told(number=3, is_review=True),
        told(number=4),  # it did not score all patches
    ]
    number = np.repeat([0, 1, 2, 3, 4], [30, 20, 15, 40, 10])
    is_audit = np.zeros(115, dtype=bool)
    is_audit[-1] = True
    is_target = number >= 2
    answered = Answered(number, np.full(115, 900), is_audit, is_target, np.full(115, np.nan))
    # 9 of round 4 are too few, so round 2 counts too, and the review between them never does
    assert _outlook(rounds, answered) == Outlook(12.5, 9, 24, 24)
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
    assert said.startswith("the model expects about ")
    assert said.endswith(": consider stopping")
    rounds = run.rounds()
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
