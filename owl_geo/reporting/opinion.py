"""What the current model predicts for the pool, for pictures: from the maps, or computed anew."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from owl_geo.errors import BusyError, OwlError
from owl_geo.measures.uncertainty import uncertainty
from owl_geo.run_folder.folder import Run
from owl_geo.search.search import Search
from owl_geo.sources.base import PatchSource
from owl_geo.types import BoolArray, FloatArray, IntArray
from owl_geo.verbs.current_model import CurrentModel
from owl_geo.verbs.prediction_folder import PredictionFolder
from owl_geo.wording import counted
from owl_geo.work.progress import Progress, Reporter, silent

log = logging.getLogger("owl_geo")


@dataclass(frozen=True)
class Opinion:
    """What the model predicts for each patch of the index ``(N,)``; nan for patches not scored."""

    probability: FloatArray  # of the positive class
    uncertainty: FloatArray  # in the measure of the run's settings
    best: NDArray[np.object_]  # the most probable class; None for patches not scored
    lacking: str  # why not all patches were scored; empty if they were

    @property
    def is_known(self) -> BoolArray:
        """Which patches the model has scored, bool ``(N,)``."""
        return np.isfinite(self.probability)

    @classmethod
    def none(cls, n: int, why: str) -> Opinion:
        """Return the opinion on ``n`` patches where there is no model, and ``why``."""
        unknown = np.full(n, np.nan, dtype=np.float32)
        return cls(unknown, unknown.copy(), np.full(n, None, dtype=object), why)


def opinion(
    run: Run,
    source: PatchSource | None,
    missing: Collection[str] = (),
    *,
    device: str = "auto",
    report: Reporter = silent,
) -> Opinion:
    """Return what the next query's model predicts, for as many patches as is quick to score.

    Predictions of ``owl-geo predict`` are used if they are based on the same answers. Of the other
    patches, no more are scored than a round would consider (``acquisition.candidates``). If there
    is nothing to learn from, or pixels cannot be read, the result only says why.

    Args:
        run: the run.
        source: its pixels; None where they cannot be read.
        missing: scenes that the source lacks.
        device: where a network runs.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.
    """
    n = len(run.patches)
    try:
        lesson = CurrentModel.of(run)
    except BusyError:  # what is shown beside it would be of the pool that was
        raise
    except OwlError as error:
        return Opinion.none(n, str(error))
    result = Opinion.none(n, "")
    done = np.zeros(n, dtype=bool)
    folder = PredictionFolder.of(run, lesson)
    parts = (folder.scene_parts(scene) or () for scene in folder.scenes)
    for at, table in chain.from_iterable(parts):
        result.probability[at] = table["probability"]
        result.uncertainty[at] = table["uncertainty"]
        result.best[at] = table["class"].to_numpy(dtype=object)
        done[at] = True
    if done.all():
        return result
    readable = ~run.patches["scene"].isin(list(missing)).to_numpy()
    if source is None or not (readable & ~done).any():
        why = "scenes that cannot be read were not scored"
        return Opinion(result.probability, result.uncertainty, result.best, why)
    search = run.search(device, report=report, source=source)
    try:
        _ask(run, search, lesson, np.flatnonzero(readable & ~done), result, report("Scoring"))
    except BusyError:
        raise
    except OwlError as error:
        log.warning("not every patch was scored: %s", error)
        why = f"not every patch could be scored: {error}"
    else:
        scored = int(result.is_known.sum())
        why = "" if scored == n else f"the model scored {scored:,} of {counted(n, 'patch')}"
    return Opinion(result.probability, result.uncertainty, result.best, why)


def _ask(
    run: Run,
    search: Search,
    lesson: CurrentModel,
    positions: IntArray,
    result: Opinion,
    progress: Progress | None,
) -> None:
    """Score patches, at most as many as a round would, and write the result into ``result``."""
    learner = lesson.learner(run, search)
    worth = search.worth_scoring(positions, lesson.answers, lesson.number).positions
    members = search.members(learner, worth, lesson.number, progress)
    means = members.mean(axis=0)
    settings = run.settings
    result.probability[worth] = means[:, search.positive]
    result.uncertainty[worth] = uncertainty(members, settings.uncertainty.measure)
    result.best[worth] = np.array(settings.classes, dtype=object)[means.argmax(axis=1)]
