"""The model behind everything that a run currently says about patches, and what it depends on.

It is the model that the next round would learn from the current answers, so that maps, pictures and
the next batch agree. It is not saved, and no round is written.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from owl_geo.disk.presence import exists
from owl_geo.errors import RunError
from owl_geo.labels import consensus
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.paths import INDEX, PATCHES
from owl_geo.search.records import Answers
from owl_geo.search.search import Search
from owl_geo.wording import as_typed

if TYPE_CHECKING:
    from owl_geo.learners.base import Learner

log = logging.getLogger("owl_geo")

_VERSION = 1  # of what is computed from a model; changing it makes finished scenes stale


@dataclass(frozen=True)
class CurrentModel:
    """A description of the current model, which has not been learnt yet."""

    number: int  # the round that it belongs to: the next, or the last if no answer is new
    is_new: bool  # no round has learnt it
    answers: Answers
    labels: pd.Series  # the newest label of each answered patch, by patch_id
    digest: str  # of everything that the maps depend on

    @classmethod
    def of(cls, run: Run) -> CurrentModel:
        """Raises RunError while there is nothing to learn from."""
        model = cls.if_any(run)
        if model is None:
            raise RunError(
                f"{run.path} has no answer to learn from yet",
                remedy="label a batch and ingest it; "
                f"`owl-geo status {as_typed(run.path)}` says which",
            )
        return model

    @classmethod
    def if_any(cls, run: Run) -> CurrentModel | None:
        """Return the model, or None while there is nothing to learn from.

        Raises BusyError where another process has replaced the pool since the run was opened.
        """
        rounds = run.rounds()
        history = run.labels.history()
        current = consensus(history)
        newest = int(history["seq"].max()) if len(history) else 0
        is_new = newest > (rounds[-1].answers_seen if rounds else 0)
        number = len(rounds) if is_new else len(rounds) - 1
        learnt = rounds[:number]
        answers = run.answers(history, learnt[-1].answers_seen if learnt else 0, learnt)
        if len(answers.labels) == 0:
            return None
        if len(np.unique(answers.labels)) == 1:
            only = run.settings.classes[answers.labels[0]]
            log.warning("every answer so far is %s: the maps cannot tell patches apart", only)
        digest = _digest(run, current, answers, number)
        run.index.check_not_replaced()  # while the files were read: maps of the old pool are not
        return cls(number, is_new, answers, current.set_index("patch_id")["label"], digest)

    def learner(self, run: Run, search: Search) -> Learner:
        """Learn the model as the round would, or load what the round has learnt."""
        learner = search.learner()
        if learner.goes_on and not self.is_new and self.number:
            learner.restore(run.files.model(self.number))
            return learner
        learner = search.resumed(run.files.model(self.number - 1) if self.number else None)
        search.learn(learner, self.answers, self.number)
        return learner


def model_settings(run: Run) -> str:
    """Return, as JSON, the settings that a model depends on besides those of the pool."""
    decisive = {"positive", "model", "uncertainty", "training", "reptile", "classes", "seed"}
    return run.settings.model_dump_json(include=decisive)


def _digest(run: Run, current: pd.DataFrame, answers: Answers, number: int) -> str:
    """Digest answers, settings, patches, the previous model, and changes to the pixels of answered
    patches; a round that is written later and learns from the same does not change the digest.
    """
    digest = hashlib.sha256(f"{_VERSION} {number}\n".encode())
    digest.update(model_settings(run).encode())
    digest.update(current[["patch_id", "label", "seq"]].to_json(orient="values").encode())
    for path in (run.path / PATCHES, run.path / INDEX, run.files.model(number - 1)):
        if exists(path):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    learnt_from = set(run.patches["scene"].iloc[answers.positions])
    changed = {name: now for name, now in run.scenes.changed.items() if name in learnt_from}
    if changed:
        digest.update(json.dumps(changed, sort_keys=True).encode())
    return digest.hexdigest()[:16]
