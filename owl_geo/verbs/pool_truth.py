"""The truth of a pool in the form that a run keeps it, with what is held out for testing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from owl_geo.ground.windows import PoolWindows
from owl_geo.settings.config import Settings
from owl_geo.sources.base import PoolSource, windows_of
from owl_geo.truth.held_out import Before, hold_out, hold_out_more
from owl_geo.truth.oracle import truth_labels
from owl_geo.types import AnyArray, BoolArray

_log = logging.getLogger("owl_geo")


def truth_of(
    settings: Settings, source: PoolSource, parts: Sequence[int] = ()
) -> pd.DataFrame | None:
    """Return patch_id, label, held_out and tested for a run with an oracle, else None.

    If the pool grew in ``parts``, each part keeps the held-out patches that it had at the time.
    """
    if settings.oracle is None:
        return None
    labels = truth_labels(settings, source)
    windows = windows_of(source)
    first = parts[0] if parts else len(windows)
    rng = np.random.default_rng([settings.seed, 1])
    oldest = windows.take(slice(first))
    held = [hold_out(oldest, settings.evaluation, rng, labels[:first], settings.positive)]
    for start, stop in pairwise(parts):
        so_far = [np.concatenate(part) for part in zip(*held, strict=True)]
        before = Before(windows.take(slice(start)), *so_far)
        held.append(held_out_later(settings, windows.take(slice(start, stop)), before))
    truth = truth_table(source.index, labels, held)
    _warn_of_one_sided(truth, settings.positive)
    return truth


def held_out_later(
    settings: Settings, windows: PoolWindows, before: Before
) -> tuple[BoolArray, BoolArray]:
    """Return which of the patches added to those ``before`` are held out, and which tested."""
    rng = np.random.default_rng([settings.seed, 1, len(before.windows)])
    return hold_out_more(windows, before, settings.evaluation, rng)


def truth_table(
    index: pd.DataFrame, labels: AnyArray, held: Sequence[tuple[BoolArray, BoolArray]]
) -> pd.DataFrame:
    """Return the truth as the run keeps it; ``held`` has one entry per part of the pool."""
    held_out, tested = (np.concatenate(part) for part in zip(*held, strict=True))
    return pd.DataFrame(
        {"patch_id": index["patch_id"], "label": labels, "held_out": held_out, "tested": tested}
    )


def _warn_of_one_sided(truth: pd.DataFrame, positive: str) -> None:
    """Warn where a model cannot be judged: the pool or the held-out part is all of one kind."""
    labelled = truth[truth["label"].notna()]
    is_positive = labelled["label"] == positive
    tested = is_positive[labelled["tested"]]
    if not is_positive.any():
        _log.warning(
            "no patch is %s: the truth covers too little of each; try a smaller --oracle-share or "
            "--patch-size",
            positive,
        )
    elif is_positive.all():
        _log.warning("every patch is %s: there is nothing to search for", positive)
    elif len(tested) and tested.nunique() < 2:
        _log.warning(
            "%s in the held-out part, so there will be no AUC; try another --seed",
            f"nothing but {positive}" if tested.any() else f"no {positive}",
        )
