"""A search as one would write it in an afternoon, for the default to be compared with.

Boosted trees on plain statistics of the bands and simple textures, nothing of which was tuned on
any scene. The first batch is the default's; afterwards 8 of 10 patches are those that are most
probable, and the others are drawn at random, as are all while no target is known.
"""

from __future__ import annotations

import math
import time
from functools import lru_cache

import numpy as np
import pandas as pd

from owl_geo.acquisition.candidates import Terms
from owl_geo.learners.base import Learner, Lesson
from owl_geo.measures.metrics import average_precision, expected_calibration_error, roc_auc
from owl_geo.search.records import Answers, Batch, Outcome, TestScores, class_numbers
from owl_geo.search.rounds import do_round
from owl_geo.search.search import Search
from owl_geo.sources.base import PatchSource
from owl_geo.types import FloatArray, IntArray

_PROBABLE = 0.8
_LEAF = 5  # answers; scikit-learn's 20 could not divide the first batch at all
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def untuned_round(
    search: Search, learner: Learner, answers: Answers, number: int, *, ask: bool
) -> Outcome:
    """Do a round in place of ``do_round``; the search's own model is left alone."""
    if number == 0:
        return do_round(search, learner, answers, number, ask=ask)
    started = time.perf_counter()
    features = band_features(search.source)
    probability = _probability(search, features, answers)
    batch = _batch(search, probability, answers, number) if ask else None
    seconds = time.perf_counter() - started
    return Outcome(Lesson(math.nan, math.nan), batch, _test(search, probability), seconds)


@lru_cache(maxsize=4)
def band_features(source: PatchSource) -> FloatArray:
    """Return level, spread, quantiles and two textures of each band, float32 ``(N, d)``."""
    rows = [_features(pixels) for _, pixels in source.stream(np.arange(len(source.index)))]
    return np.concatenate(rows).astype(np.float32)


def _features(patches: FloatArray) -> FloatArray:
    """Return the features of patches ``(n, bands, height, width)``, ``(n, d)``."""
    pixels = patches.reshape(*patches.shape[:2], -1)
    quantiles = np.quantile(pixels, _QUANTILES, axis=2)
    steps = [np.abs(np.diff(patches, axis=axis)).mean(axis=(2, 3)) for axis in (2, 3)]
    return np.concatenate([pixels.mean(axis=2), pixels.std(axis=2), *quantiles, *steps], axis=1)


def _probability(search: Search, features: FloatArray, answers: Answers) -> FloatArray:
    """Return the probability of a target for every patch, ``(N,)``."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    is_target = answers.labels == search.positive
    if is_target.all() or not is_target.any():
        return np.full(len(features), is_target.mean() if len(is_target) else 0.5, np.float32)
    model = HistGradientBoostingClassifier(min_samples_leaf=_LEAF, random_state=0)
    model.fit(features[answers.positions], is_target)
    return np.asarray(model.predict_proba(features)[:, 1], dtype=np.float32)


def _batch(search: Search, probability: FloatArray, answers: Answers, number: int) -> Batch:
    rng = np.random.default_rng([search.settings.seed, number])
    pool = rng.permutation(np.flatnonzero(search.askable(answers)))
    count = min(search.settings.loop.query_budget, len(pool))
    is_known = search.positive in answers.labels
    n_probable = round(_PROBABLE * count) if is_known else 0
    order = pool[np.argsort(-probability[pool], kind="stable")]
    rest = rng.permutation(order[n_probable:])[: count - n_probable]
    chosen: IntArray = np.concatenate([order[:n_probable], rest])
    unknown = np.full(count, np.nan)
    terms = Terms(unknown, unknown, np.ones(count), probability[chosen].astype(np.float64))
    return Batch(chosen, terms, np.arange(count) >= n_probable)


def _test(search: Search, probability: FloatArray) -> TestScores:
    """Test on the held-out patches, as ``held_out_scores`` does."""
    assert search.truth is not None
    tested = search.truth["tested"] & pd.notna(search.truth["label"])
    positions = np.flatnonzero(tested.to_numpy())
    labels = class_numbers(search.settings.classes, search.truth["label"].iloc[positions])
    is_target, of_target = labels == search.positive, probability[positions]
    return TestScores(
        roc_auc(is_target, of_target),
        average_precision(is_target, of_target),
        expected_calibration_error(np.stack([1 - of_target, of_target], axis=1), is_target * 1),
    )
