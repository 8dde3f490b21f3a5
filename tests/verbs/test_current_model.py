"""The model behind what a run says now: which round it is of, and which answers are new to it."""

from __future__ import annotations

from pathlib import Path

from searches import make

from owl_geo import Run, import_answers, query
from owl_geo.verbs.current_model import CurrentModel


def answer(run: Run, first: int, n: int) -> None:
    """Answer n patches of the index from a position on, one after the other in two classes."""
    ids = run.patches["patch_id"].iloc[first : first + n]
    rows = (f"{patch},{('absent', 'present')[i % 2]}\n" for i, patch in enumerate(ids))
    table = run.path.parent / "answers.csv"
    table.write_text("patch_id,label\n" + "".join(rows))
    import_answers(run, table, annotator="ana")


def test_answers_are_fresh_that_the_round_before_did_not_have(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    assert CurrentModel.if_any(run) is None
    answer(run, 0, 6)
    before_any_round = CurrentModel.of(run)
    assert (before_any_round.number, before_any_round.is_new) == (0, True)
    assert before_any_round.answers.fresh.tolist() == [True] * 6
    query(run)  # learns from them
    learnt = CurrentModel.of(run)
    assert (learnt.number, learnt.is_new) == (0, False)
    assert learnt.answers.fresh.tolist() == [True] * 6
    answer(run, 6, 2)
    later = CurrentModel.of(run)
    assert (later.number, later.is_new) == (1, True)
    assert sorted(later.answers.fresh.tolist()) == [False] * 6 + [True] * 2
