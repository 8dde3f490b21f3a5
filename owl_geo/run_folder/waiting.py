"""Which files of a batch wait for answers, and who has labelled its patches since it was made."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path

import numpy as np
import pandas as pd

from owl_geo.labels import newest_answers
from owl_geo.run_folder.index import PatchIndex
from owl_geo.run_folder.paths import RunPaths
from owl_geo.run_folder.records import Round
from owl_geo.sources.base import find_positions


def waiting_files(
    paths: RunPaths, entry: Round, history: pd.DataFrame, labelled: Mapping[str, Set[str]]
) -> list[Path]:
    """Return the files of a round's batch that wait for their first answer.

    A part of a team's batch waits until its annotator has answered something, somebody outside the
    team has answered one of its patches, or every patch that is only in this part has an answer.

    Args:
        paths: those of the run.
        entry: the round; without a batch, nothing waits.
        history: the answers that nobody took back.
        labelled: who has labelled patches since the batch was made, as an answer to whatever batch,
            see ``labelled_since``: once all patches of a file have such labels, it does not wait.
    """
    if entry.batch_id is None:
        return []
    history = history[
        (history["batch_id"] == entry.batch_id)
        # another batch of that name may be gone, with the folder of its round
        & history["patch_id"].isin(entry.patch_ids)
    ]
    if not entry.team:
        is_done = len(history) > 0 or set(entry.patch_ids) <= labelled.keys()
        return [] if is_done else [paths.batch(entry.number)]
    files = paths.batches(entry)
    outside = history[~history["annotator"].isin(list(entry.team))]
    answered = {*history["patch_id"], *labelled}
    waiting = []
    for name, ranks in entry.team.items():
        mates = {other for other in entry.team if other != name}
        others = {rank for other in mates for rank in entry.team[other]}
        own = {entry.patch_ids[rank] for rank in ranks}
        alone = {entry.patch_ids[rank] for rank in ranks if rank not in others}
        is_done = (
            (history["annotator"] == name).any()
            or outside["patch_id"].isin(own).any()
            or (alone and alone <= answered)
            # what all of the team are to label, others of it do not label for them
            or all(labelled.get(patch, set()) - mates for patch in own)
        )
        if ranks and not is_done:
            waiting.append(files[name])
    return waiting


def answers_before(entry: Round, history: pd.DataFrame) -> int | None:
    """Return the number of the last answer before a batch was made; None = not known.

    Where answers were moved to another store, their numbers do not tell when they came.
    """
    n = np.searchsorted(history["seq"].to_numpy(), entry.answers_seen, "right")
    return entry.answers_seen if n >= entry.metrics.n_labeled else None


def labelled_since(entry: Round, history: pd.DataFrame, index: PatchIndex) -> dict[str, set[str]]:
    """Return who has labelled a batch's patches since it was made, in whatever way, by patch.

    A label counts for every patch that shows the same place. Where it is not known, nobody is.
    """
    if (before := answers_before(entry, history)) is None:
        return {}
    newest = newest_answers(history[history["seq"] > before])
    by: dict[str, set[str]] = {}
    for patch, name in zip(newest["patch_id"], newest["annotator"], strict=True):
        by.setdefault(patch, set()).add(name)
    labelled = {patch: by[patch] for patch in entry.patch_ids if patch in by}
    if len(labelled) == len(by) or len(labelled) == len(entry.patch_ids) or index.shared is None:
        return labelled
    others = [patch for patch in by if patch not in labelled]
    unlabelled = [patch for patch in entry.patch_ids if patch not in labelled]
    among = find_positions(index.patches, others)
    shown = index.shared.shown_as(index.positions(unlabelled), among[among >= 0])
    names = index.patches["patch_id"]
    return labelled | {
        patch: by[names.iloc[at]] for patch, at in zip(unlabelled, shown, strict=True) if at >= 0
    }
