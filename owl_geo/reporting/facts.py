"""Where a run stands, in words, for the command line and the report alike."""

from __future__ import annotations

import math

import pandas as pd

from owl_geo.batches import count_answers
from owl_geo.disk.presence import exists
from owl_geo.errors import printable
from owl_geo.labels import consensus
from owl_geo.measures.audit import FEW, percent
from owl_geo.reporting.words import confusions, follows_answers, odds, ranking, why_no_auc
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.records import Round
from owl_geo.run_folder.waiting import answers_before
from owl_geo.settings.choices import STRATEGIES
from owl_geo.verbs.status import Status
from owl_geo.wording import as_typed, counted, per_cent, plural, two_digits


def facts(run: Run, now: Status) -> list[tuple[str, str]]:
    """Return every fact as (name, text); a text may have several lines."""
    all_of_them = [
        ("Run", f"{run.path}, {run.settings.source.kind} source"),
        ("Patches", _patches(run, now)),
        ("Batches", f"{now.batches:,}, {counted(now.asked, 'patch')} asked"),
        ("Answers", _answers(now)),
        ("Copies", _copies(run, now)),
        ("Truth", _truth(run)),
        ("Team", _team(now)),
        ("Model", _model(run, now)),
        ("Search", _search(run, now)),
        ("Audit", _audit(run, now)),
        ("Quality", _quality(now)),
        ("Concepts", _concepts(run, now)),
        ("Stop?", now.hint.text if now.hint else ""),
        ("Next", _next(run, now)),
    ]
    return [(name, text) for name, text in all_of_them if text]


def _patches(run: Run, now: Status) -> str:
    """Say of how many patches what may be done; those of places that others show are left over."""
    parts = [f"{now.patches:,}", f"{now.askable:,} may still be asked"]
    answered = sum(now.labels.values())
    if run.truth is not None and now.held_out:
        # what shares ground with tested patches is no more of the pool than they are
        tested = int(run.truth["tested"].sum())
        parts.append(f"{tested:,} held out")
        if now.held_out > tested:
            parts.append(f"{now.held_out - tested:,} more on their ground")
    if run.index.shared is not None:
        others = now.patches - now.askable - now.held_out - answered
        if others > 0:
            parts.append(f"{others:,} of places that are asked in another scene")
    return ", ".join(parts)


def _answers(now: Status) -> str:
    if now.lost_by is not None:
        gone = f"some that round {now.lost_by} learned from are gone from where they are kept"
        return f"{_counts(now)}; {gone}: restore them, or take the labelled batches in again"
    return _counts(now)


def _counts(now: Status) -> str:
    if not now.labels:
        return "none yet"
    counts = ", ".join(f"{n:,} {label}" for label, n in now.labels.items())
    tied = f"; {now.disputed} disputed, which will be asked again" if now.disputed else ""
    return f"{counted(sum(now.labels.values()), 'patch')}: {counts}{tied}"


def _copies(run: Run, now: Status) -> str:
    """Say where there are answers that nobody has taken in, and that are easily overlooked."""
    if not now.copies:
        return ""
    paths = " ".join(map(as_typed, now.copies))
    return f"hold answers that are not in the run yet: owl-geo ingest {as_typed(run.path)} {paths}"


def _truth(run: Run) -> str:
    """Say how many of the targets have been found, where the truth is known."""
    if run.truth is None:
        return ""
    positive = run.settings.positive
    current = run.labels.current()
    truth = true_labels(run, current)
    targets = truth.index[truth == positive]
    labels = current.set_index("patch_id")["label"]
    n_found = int((labels.reindex(targets) == positive).sum())
    has = plural(n_found, "has", "have")
    return f"{n_found:,} of the {len(targets):,} {positive} in the pool {has} been found"


def true_labels(run: Run, current: pd.DataFrame) -> pd.Series:
    """Return the true label of each place of the pool, by patch_id; None where it is not known.

    A place that several scenes show is there once, as the patch that was answered or may be asked.
    ``current`` has the labels in the store. The run has a truth.
    """
    assert run.truth is not None
    truth = run.truth
    counts = truth["patch_id"].isin(current["patch_id"]).to_numpy(dtype=bool) | run.askable(current)
    counts &= ~truth["held_out"].to_numpy(dtype=bool)
    return truth[counts].set_index("patch_id")["label"]


def _team(now: Status) -> str:
    """Say how far the annotators agree, and how each differs from the consensus."""
    team = now.agreement
    if team is None:
        return ""
    if not team.n_shared:
        return ", ".join(f"{printable(one.annotator)} {one.n_labeled:,}" for one in team.annotators)
    fleiss = _kappa("Fleiss'", team.fleiss)
    lines = [f"{counted(team.n_shared, 'patch')} labelled by two or more, {fleiss}"]
    for one in team.annotators:
        line = f"{printable(one.annotator)}: {one.n_labeled:,} labelled"
        if one.n:
            line += f", agrees with the consensus on {per_cent(one.same)} of {one.n:,}"
            named = confusions(one)
            line += f" ({named})" if named else ""
        lines.append(line)
    for pair in team.pairs:
        cohen = _kappa("Cohen's", pair.kappa)
        both = " and ".join(map(printable, pair.annotators))
        lines.append(f"{both}: agree on {per_cent(pair.same)} of {pair.n:,}, {cohen}")
    return "\n".join(lines)


def _kappa(whose: str, value: float) -> str:
    if math.isnan(value):
        return f"{whose} kappa unknown, since there is only one label"
    return f"{whose} kappa {two_digits(value)}"


def _model(run: Run, now: Status) -> str:
    if now.model is None:
        return "none yet"
    model = now.model
    text = f"round {model.round}, fitted on {counted(model.n_labeled, 'label')}"
    since = _n_since(run, run.rounds()[model.round])
    if since:
        text += f", not yet on the {since:,} since then"
    ranks = ranking(run, model)
    return f"{text}; {ranks or f'no AUC: {why_no_auc(run)}'}"


def _n_since(run: Run, entry: Round) -> int:
    """Return how many patches have another class by now than when a round's model was fitted.

    It is 0 where the answers have got other numbers since, so that nothing tells.
    """
    history = run.labels.history()
    seen = answers_before(entry, history)
    if seen is None:
        return 0
    now, then = (
        consensus(answers).set_index("patch_id")["label"]
        for answers in (history, history[history["seq"] <= seen])
    )
    decided = now[now.isin(run.settings.classes)]
    return int((decided != then.reindex(decided.index)).sum())


def _search(run: Run, now: Status) -> str:
    """Say what the search does as long as it has not found anything."""
    positive = run.settings.positive
    strategy = STRATEGIES.get(run.settings.acquisition.strategy)
    answered = sum(now.labels.get(name, 0) for name in run.settings.classes)
    if not answered or now.labels.get(positive) or run.truth is not None:
        return ""
    text = f"no {positive} found yet in {counted(answered, 'answer')}"
    if strategy is None or not strategy.covers:
        return text
    return (
        f"{text}: batches cover what is unlike the answered patches until there is one; a place "
        f"that you know helps: owl-geo labels import {as_typed(run.path)} SITES"
    )


def _audit(run: Run, now: Status) -> str:
    """Say what the patches drawn at random show about the whole pool."""
    if now.left is None:
        return ""
    share, positive = now.left.prevalence, run.settings.positive
    if math.isnan(share.value):
        return ""
    if now.left.n_audit < FEW:
        needed = f"{FEW} are needed to estimate how many {positive} are left"
        return f"{counted(now.left.n_audit, 'answer')} drawn at random; {needed}"
    if now.left.is_bound:
        return (
            f"{now.left.n_audit:,} answers drawn at random; {positive} are at most "
            f"{per_cent(share.high, digits=1)} "
            f"of the pool, at most {now.left.left.high:,.0f} not found yet "
            f"(95 %; the chance of none is {percent(now.left.chance_of_none)})"
        )
    return (
        f"{now.left.n_audit:,} answers drawn at random; {positive} are "
        f"{per_cent(share.value, digits=1)} of the pool "
        f"({per_cent(share.low, digits=1)} to {per_cent(share.high, digits=1)}), "
        f"about {now.left.left.value:,.0f} not found yet "
        f"({now.left.left.low:,.0f} to {now.left.left.high:,.0f})"
    )


def _quality(now: Status) -> str:
    """Say how good the predictions were for randomly drawn patches before they were answered."""
    if now.quality is None or now.quality.n < FEW:
        return ""
    parts = []
    for name, estimate in (
        ("precision", now.quality.precision),
        ("recall", now.quality.recall),
        ("AUC", now.quality.auc),
    ):
        if not math.isnan(estimate.value):
            parts.append(f"{name} {estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})")
    if not parts:
        return ""
    return f"{', '.join(parts)} on {now.quality.n:,} audit answers, of what was left to ask"


_FACTORS = 4  # concepts that are named


def _concepts(run: Run, now: Status) -> str:
    """Say what the answers so far show about the concepts."""
    if not follows_answers(run) or not now.relevance:
        return ""
    return odds(run, now.relevance[:_FACTORS])


def _next(run: Run, now: Status) -> str:
    here = as_typed(run.path)
    if now.next_step == "label":
        batches = [as_typed(path) for path in now.waiting]
        if run.labels.has_layers:
            query = f"owl-geo query {here} --to-store"
            return f"label the layer that {query} names, then {query}"
        gone = [as_typed(path) for path in now.waiting if not exists(path)]
        if gone:
            what = f"{' and '.join(gone)} {'is' if len(gone) == 1 else 'are'} gone"
            return f"{what}; ingest it from where it is, or owl-geo query {here} --go-on"
        filled = [as_typed(path) for path in now.waiting if count_answers(path)]
        if filled:
            return f"ingest what has been labelled: owl-geo ingest {here} {' '.join(filled)}"
        return f"label {' and '.join(batches)}, then owl-geo ingest {here} {' '.join(batches)}"
    if now.next_step == "nothing":
        return "nothing, the search has finished"
    if not now.askable:
        return "nothing, every patch is answered"
    is_for_all = now.next_step == "query" and run.labels.has_layers
    return f"owl-geo {now.next_step} {here}{' --to-store' if is_for_all else ''}"
