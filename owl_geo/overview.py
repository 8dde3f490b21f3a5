"""Where a run stands, and what to do next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from owl_geo.metrics import RoundMetrics
from owl_geo.run_folder import Run


@dataclass(frozen=True)
class Status:
    """A run in numbers."""

    patches: int
    askable: int  # neither answered nor held out
    held_out: int
    batches: int
    asked: int  # patches in all batches
    labels: dict[str, int]  # answered patches by label, the most frequent first
    prevalence: float  # positive share of the patches labelled with a class; NaN without any
    model: RoundMetrics | None  # of the newest model that has seen labels
    waiting: Path | None  # the last batch, while nothing of it is answered
    next_step: Literal["query", "label", "run", "nothing"]


def status(run: Run) -> Status:
    """Read where a run stands; raises RunError or ConfigError where its folder is damaged."""
    rounds = run.rounds()
    current = run.labels.current()
    known = current[current["label"].isin(run.settings.classes)]
    asked = [entry for entry in rounds if entry.batch_id is not None]
    fitted = [entry.metrics for entry in rounds if entry.metrics.n_labeled]
    waiting = run.waiting()
    next_step: Literal["query", "label", "run", "nothing"] = "label" if waiting else "query"
    if run.truth is not None:
        next_step = "nothing" if run.is_finished() else "run"
    return Status(
        patches=len(run.patches),
        askable=int(run.pool(current).sum()),
        held_out=int(run.truth["held_out"].sum()) if run.truth is not None else 0,
        batches=len(asked),
        asked=sum(len(entry.patch_ids) for entry in asked),
        labels={str(label): int(n) for label, n in current["label"].value_counts().items()},
        prevalence=(
            float((known["label"] == run.settings.positive).mean()) if len(known) else math.nan
        ),
        model=fitted[-1] if fitted else None,
        waiting=run.batch_path(waiting.number) if waiting else None,
        next_step=next_step,
    )
