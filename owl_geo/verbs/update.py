"""Rebuilding the patch index of a run after its owl.toml was edited: answers and rounds stay.

What people have answered, and what a network goes on from, decides which edits are possible.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

from owl_geo.concepts.encoding import Encoding, fit_encoding
from owl_geo.disk.presence import check_not_refused, exists
from owl_geo.errors import RunError
from owl_geo.ground.footprints import common_crs
from owl_geo.labels import newest_answers
from owl_geo.run_folder import patch_table
from owl_geo.run_folder import setup as run_setup
from owl_geo.run_folder.folder import ORACLE, Run
from owl_geo.run_folder.paths import PATCHES
from owl_geo.run_folder.setup import KeptPool
from owl_geo.schema import RESERVED_LABELS
from owl_geo.settings import owl_toml
from owl_geo.sources.base import PoolSource
from owl_geo.verbs.init_summary import Summary, summarise
from owl_geo.verbs.pool_index import make_index
from owl_geo.wording import counted, plural
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

_log = logging.getLogger("owl_geo")


def update(path: Path, *, workers: Workers | None = None, report: Reporter = silent) -> Summary:
    """Rebuild the patch index of a run after its owl.toml was edited; answers are kept.

    Raises as ``init`` does, and RunError where an answered patch, or the class of an answer, would
    no longer exist.
    """
    # from the beginning, so that no scene, class or round comes in that the new index would lack
    with Run(path).locked():
        run = Run(path)
        made = make_index(owl_toml.from_folder(run.settings, path), report, workers, before=run)
        _check_answers_fit(run, made.source)
        _check_labels_fit(run, made.source)
        _check_what_was_learnt(run, made.kept)
        _warn_of_another_truth(run, made.kept)
        return summarise(run_setup.update(run, made.kept, made.layers), made)


def _check_answers_fit(run: Run, source: PoolSource) -> None:
    """Raise RunError where the existing answers are for other bands, classes or patches."""
    made_for = run.index.made_for
    if not run.rounds() or made_for is None:  # the update restores a record that was lost
        return
    now = run_setup.made_for(run.settings, source.bands)
    for name, before in made_for.items():
        if now[name] != before:
            add = "restore owl.toml and use `owl-geo classes add`"
            raise RunError(
                f"{run.path}: {name} cannot change once a batch has been made, because the model "
                f"and the answers are for {before}",
                remedy=f"{add if name == 'classes' else 'restore owl.toml'}, or make another run",
            )


def _check_labels_fit(run: Run, source: PoolSource) -> None:
    """Raise RunError where answers name a class that the run would no longer have.

    There may be answers before the first batch: those of known sites.
    """
    history = run.label_store(common_crs(source.grids), check=False).history()
    given = newest_answers(history).dropna(subset=["label"])
    lost = given[~given["label"].isin([*run.settings.classes, *RESERVED_LABELS])]
    if len(lost):
        names = sorted(set(lost["label"]))
        raise RunError(
            f"{run.path}: {counted(len(lost), 'answer')}, for example that of "
            f"{lost['patch_id'].iloc[0]}, would be of no class: {', '.join(names)}",
            remedy=f"let classes in owl.toml name {plural(len(names), 'it', 'them')} too, or make "
            "another run",
        )


def _check_what_was_learnt(run: Run, pool: KeptPool) -> None:
    """Check what a network that goes on learning would see against what it has seen before.

    Raises RunError for other concepts, since its weights are for columns in their order; warns of
    concepts and bands whose values changed.
    """
    model = run.settings.model
    has_learnt = any(exists(run.files.model(entry.number)) for entry in run.rounds())
    if not (model.by_gradient and has_learnt):
        return
    other: list[str] = []
    if model.concepts:
        path = run.path / PATCHES
        try:
            before = patch_table.read(path)
        except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
            check_not_refused(path, error)
            return  # the update restores it
        seen, anew = _encodings(run, before, pool.patches)
        _check_concepts_fit(run, seen.names, anew.names)
        changed = {*_changed_concepts(run, before, pool.patches), *anew.differing(seen)}
        other += [name for name in run.settings.concepts if name in changed]
    try:
        statistics = run.index.statistics
    except RunError:  # likewise
        return
    both = (statistics, pool.statistics)
    (median, scale), now = ((each.median, each.scale) for each in both)
    if not (np.array_equal(median, now[0]) and np.array_equal(scale, now[1])):
        other.append("the statistics of the bands")
    if other:
        _log.warning(
            "%s: %s has learnt from other values of %s, and goes on from there: its maps are by "
            "what it has learnt until the next round of `owl-geo query`, which learns from the new "
            "ones",
            *(run.path, model.network, ", ".join(other)),
        )


def _changed_concepts(run: Run, before: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """Return the concepts that have other values in patches that stay, in the settings' order."""
    was, there = before.set_index("patch_id"), now.set_index("patch_id")
    stay = was.index.intersection(there.index)
    was, there = was.loc[stay], there.loc[stay]
    changed = []
    for name in run.settings.concepts:
        if name in was:
            one, other = was[name].astype(object), there[name].astype(object)
            if ((one != other) & ~(one.isna() & other.isna())).any():
                changed.append(name)
    return changed


def _encodings(run: Run, before: pd.DataFrame, now: pd.DataFrame) -> tuple[Encoding, Encoding]:
    """Return how a network has seen the concepts, and how it would see them.

    Both are fitted on the patches that the pool had at first, as in ``Run.search``: what ``add``
    brought has no part in it. A pool of other patches than before is one that begins anew.
    """
    growth = run_setup.growth_before(run, now["patch_id"])
    try:
        parts = run.index.record.parts
    except RunError:  # the update restores it
        parts = ()
    concepts = list(run.settings.concepts)
    others = now.columns.difference(concepts)
    return (
        fit_encoding(_first(before, parts)[[name for name in before if name not in others]]),
        fit_encoding(_first(now, growth.parts if growth else ())[concepts]),
    )


def _first(patches: pd.DataFrame, parts: Sequence[int]) -> pd.DataFrame:
    return patches[: parts[0]] if parts else patches


def _check_concepts_fit(run: Run, names: Sequence[str], now: Sequence[str]) -> None:
    """Raise RunError where a network's concepts would have other columns than before."""
    if names == now:
        return
    lost, new = (sorted(set(a) - set(b)) for a, b in ((names, now), (now, names)))
    changes = [
        f"{', '.join(columns)} {word}"
        for columns, word in ((lost, "lost"), (new, "new"))
        if columns
    ]
    raise RunError(
        f"{run.path}: {run.settings.model.network} has learnt from the concepts and goes on from "
        f"there, so they cannot change: {' and '.join(changes) or 'they have another order'}",
        remedy="restore them in owl.toml, or make another run and take the answers there with "
        "`owl-geo labels export` and `import`",
    )


def _warn_of_another_truth(run: Run, pool: KeptPool) -> None:
    """Warn where the truth that answered a simulated search says something else now."""
    if pool.truth is None:
        return
    history = run.label_store(common_crs(pool.grids), check=False).history()
    given = newest_answers(history[history["annotator"] == ORACLE])
    now = pool.truth.set_index("patch_id")["label"].reindex(given["patch_id"]).to_numpy()
    other = given["patch_id"][~pd.isna(now) & (now != given["label"].to_numpy())]
    if len(other):
        _log.warning(
            "%s: the truth answered %s otherwise before, for example %s; what it said then stays "
            "and is learnt from: make another run if it is wrong",
            *(run.path, counted(len(other), "patch"), other.iloc[0]),
        )
