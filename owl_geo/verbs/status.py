"""Where a run stands, what its random audit says about the rest, and what to do next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from owl_geo.acquisition.relevance import Factor
from owl_geo.labels import Agreement, agreement, consensus, settled
from owl_geo.measures.audit import (
    FEW,
    Answered,
    Hint,
    Outlook,
    Quality,
    TargetsLeft,
    hint,
    quality,
    targets_left,
)
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.records import Round, is_review
from owl_geo.run_folder.waiting import answers_before
from owl_geo.search.pool import relevance_model
from owl_geo.types import IntArray
from owl_geo.verbs.copies import copies_with_answers


@dataclass(frozen=True)
class Status:
    """A run in numbers."""

    patches: int
    askable: int  # neither answered nor held out
    held_out: int
    batches: int
    asked: int  # patches in the batches; one that was asked again counts once
    labels: dict[str, int]  # answered patches by label, the most frequent first
    model: RoundMetrics | None  # of the newest model that has seen labels
    left: TargetsLeft | None  # estimated from the audit; None while none of it is answered
    quality: Quality | None  # of the predictions for the audit's patches
    hint: Hint | None  # whether to stop
    relevance: tuple[Factor, ...]  # what the answers say about the concepts, strongest first
    agreement: Agreement | None  # between annotators; None while only one has labelled
    disputed: int  # patches where annotators' labels tie, which are asked again
    lost_by: int | None  # the round that learned from answers that are kept no more; None if none
    waiting: tuple[Path, ...]  # files of the last batch that have no answers yet
    copies: tuple[Path, ...]  # copies beside batches, with answers that the run does not have
    next_step: Literal["query", "label", "run", "nothing"]


def status(run: AnyRun) -> Status:
    """Return where a run stands; raises RunError or ConfigError where its folder is damaged."""
    run = Run.of(run)
    with run.at_one_moment():
        return _status(run)


def _status(run: Run) -> Status:
    rounds = run.rounds()
    history = run.labels.history()
    current, tied = settled(history)
    lacking = run.lacking(history)
    asked = [entry for entry in rounds if entry.batch_id is not None]
    fitted = [entry.metrics for entry in rounds if entry.metrics.n_labeled]
    waiting = run.waits(rounds[-1]) if rounds else []
    next_step: Literal["query", "label", "run", "nothing"] = "label" if waiting else "query"
    if run.truth is not None:
        next_step = "nothing" if run.is_finished() else "run"
    model = fitted[-1] if fitted else None
    askable = int(run.askable(current).sum())
    answered = _answered(run, rounds, current, history)
    # where scenes show one place, an answer to one may make room for others that it kept out
    of_pool = [entry for entry in rounds if entry.number >= run.index.since]  # as it is now
    were = [entry.metrics.n_pool for entry in of_pool if entry.batch_id is not None]
    left = targets_left(answered, min([askable, *were])) if answered.is_audit.any() else None
    return Status(
        patches=len(run.patches),
        askable=askable,
        held_out=int(run.truth["held_out"].sum()) if run.truth is not None else 0,
        batches=len(asked),
        asked=len({patch for entry in asked for patch in entry.patch_ids}),
        labels={str(label): int(n) for label, n in current["label"].value_counts().items()},
        model=model,
        left=left,
        quality=quality(answered) if left is not None else None,
        hint=(
            hint(left, model.stability if model else math.nan, outlook=_outlook(of_pool, answered))
            if left is not None
            else None
        ),
        relevance=_factors(run, history) if run.settings.concepts and len(current) else (),
        agreement=agreement(history),
        disputed=len(tied),
        lost_by=lacking.number if lacking is not None else None,
        waiting=tuple(waiting),
        copies=tuple(copies_with_answers(run, rounds, history)),
        next_step=next_step,
    )


def _outlook(rounds: list[Round], answered: Answered) -> Outlook | None:
    """Return what the newest model that scored the pool says, and how the last choices did."""
    scored = next((entry for entry in reversed(rounds) if entry.expected is not None), None)
    if scored is None or scored.expected is None:
        return None
    by_model = [entry.number for entry in rounds if entry.kind == "chosen"]
    is_choice = ~answered.is_audit & np.isin(answered.round, by_model)
    order = np.argsort(-answered.round[is_choice], kind="stable")
    newest = answered.round[is_choice][order]
    if len(newest):  # whole rounds, of which the last is not cut
        order = order[newest >= newest[min(FEW, len(newest)) - 1]]
    hits = answered.is_target[is_choice][order]
    return Outlook(
        expected=scored.expected,
        n_found=scored.metrics.positives_found,
        n_recent=len(hits),
        n_recent_targets=int(hits.sum()),
        n_open=scored.metrics.n_pool,
    )


def _answered(
    run: Run, rounds: list[Round], current: pd.DataFrame, history: pd.DataFrame
) -> Answered:
    """Return which patches of the pool are answered, who asked them, and which were drawn.

    The model chooses what is reviewed, and only one kind of mistake is corrected there. For the
    audit, a patch therefore has the label that it has without the reviews, and is no part of it if
    it has none. What was imported or noticed was asked by no batch, but it was there to be asked.
    """
    asked = [entry for entry in rounds if entry.batch_id is not None]
    unreviewed = history[~history["batch_id"].map(is_review).astype(bool)]
    before = consensus(unreviewed).set_index("patch_id")["label"]
    asked_by, drawn = _asked_by(run, asked, history)
    for entry in reversed(asked):
        if entry.is_review:  # the first one, where nobody had answered before
            asked_by |= {patch: entry for patch in entry.patch_ids if patch not in before.index}
    if run.truth is not None:  # what tests the model is not of the pool
        held_out = run.truth.loc[run.truth["held_out"], "patch_id"]
        current = current[~current["patch_id"].isin(held_out)]
    patches = current["patch_id"].tolist()
    entries = [asked_by.get(patch) for patch in patches]
    is_audit = np.array([p in drawn and p in before.index for p in patches], dtype=bool)
    of_audit = before.reindex(patches).to_numpy(dtype=object)
    labels = np.where(is_audit, of_audit, current["label"].to_numpy(dtype=object))
    number = np.array([-1 if e is None else e.number for e in entries], dtype=np.int64)
    return Answered(
        round=number,
        n_askable=np.array([0 if e is None else e.metrics.n_pool for e in entries], np.int64),
        is_audit=is_audit,
        is_target=np.asarray(labels == run.settings.positive, dtype=bool),
        probability=np.array(
            [
                math.nan if e is None else e.audit.get(p, math.nan)
                for e, p in zip(entries, patches, strict=True)
            ]
        ),
        open_until=np.maximum(number, _open_until(rounds, patches, history)),
    )


def _open_until(rounds: list[Round], patches: list[str], history: pd.DataFrame) -> IntArray:
    """Return the last round in which each patch had no label, -1 if there was none, ``(n,)``.

    A label that arrived after a round had begun was not known to it, whichever batch it is of. A
    round that was made with another store, whose answers had other numbers, tells nothing.
    """
    numbers, seen = [-1], list[int]()
    for entry in rounds:
        if answers_before(entry, history) is not None:
            numbers.append(entry.number)
            seen.append(max(entry.answers_seen, *seen[-1:], 0))
    labelled = history[history["label"].notna()]
    first = labelled.groupby("patch_id")["seq"].min().reindex(patches).to_numpy(dtype=np.int64)
    until = np.array(numbers)[np.searchsorted(seen, first, side="left")]
    reopened = _reopened(dict(zip(numbers[1:], seen, strict=True)), history)
    later = np.array([reopened.get(patch, -1) for patch in patches], dtype=np.int64)
    return np.asarray(np.maximum(until, later), dtype=np.int64)


def _reopened(seen: dict[int, int], history: pd.DataFrame) -> dict[str, int]:
    """Return the last round in which each patch could be asked again, by patch.

    It could where labels tied, or were taken back. Only patches that have had several labels are
    looked at. ``seen`` is the ``seq`` of the last answer that each round knew, by its number.
    """
    labels = history[["patch_id", "label"]].drop_duplicates()
    several = labels.loc[labels["patch_id"].duplicated(), "patch_id"].unique()
    answers = history[history["patch_id"].isin(several)]
    last: dict[str, int] = {}
    for number, newest in seen.items() if len(several) else ():
        settled_by_then = consensus(answers[answers["seq"] <= newest])["patch_id"]
        last |= dict.fromkeys(set(several.tolist()) - set(settled_by_then), number)
    return last


def _asked_by(
    run: Run, asked: list[Round], history: pd.DataFrame
) -> tuple[dict[str, Round], set[str]]:
    """Return the round for whose batch each patch was answered, and those that were drawn for it.

    What a batch asked in vain does not count. A drawn patch that is answered because somebody
    noticed or imported what is there, or because the model asked for it later, is no part of the
    sample: where only the targets among the drawn patches come to be known, it is not random.
    """
    labelled = history[history["label"].notna()]
    answered = set(zip(labelled["batch_id"], labelled["patch_id"], strict=True))
    asked_by: dict[str, Round] = {}
    drawn: dict[str, Round] = {}
    for entry in sorted(asked, key=lambda entry: entry.is_review):
        for patch in entry.patch_ids:
            if (entry.batch_id, patch) in answered:
                asked_by.setdefault(patch, entry)
        # a draw from a pool that has grown since says nothing about what was added
        for patch in entry.audit if entry.number >= run.index.since else ():
            if (entry.batch_id, patch) in answered:
                drawn.setdefault(patch, entry)
    return asked_by | drawn, set(drawn)


def _factors(run: Run, history: pd.DataFrame) -> tuple[Factor, ...]:
    answers = run.answers(history, 0, run.rounds())
    model = relevance_model(run.settings, run.index.concepts, answers, run.n_encoded)
    return tuple(sorted(model.explain(), key=lambda factor: -abs(factor.coefficient)))
