#!/usr/bin/env bash
# Adaptive prediction sets by MAPIE hold the true class in 79 % of the cases instead of 90 %, if cross-validated.
#
# Seen with: MAPIE 1.6.0, scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6, Python 3.11
# Expected: CrossConformalClassifier(confidence_level=0.9, conformity_score="aps") returns sets that hold the true class in
#   90 % of the cases. By default the class with which the limit is passed is in the set (include_last_label=True). Both True
#   and False, it says, may make it more than 90 %, because "none of these methods create empty prediction sets".
# Instead: with agg_scores="crossval", a class is compared with each known sample by "not more probable than the last class
#   in", which counts against that last class as well. What is called True leaves it out, and False leaves out one more. Of
#   sets that should hold the truth in 80 % of the cases, 54 or 13 % do, and a fifth or most are empty; theory promises
#   about 60 % at least for any that are cross-validated. It looks like a classifier that is sure, and patches whose set has
#   one class are taken for settled. "randomized", the default agg_scores="mean" and the score "lac" are right. Nothing is
#   said.
# Output as seen, of 2,000 new samples of four classes; own: the same comparison by numpy, with the last class in:
#   asked for 0.9
#     own:                             truth in the set 0.913, empty sets 0.017
#     aps, mean:                       truth in the set 0.964, empty sets 0.000
#     lac, crossval:                   truth in the set 0.917, empty sets 0.000
#     aps, crossval, randomized:       truth in the set 0.910, empty sets 0.002
#     aps, crossval:                   truth in the set 0.788, empty sets 0.052
#     aps, crossval, without the last: truth in the set 0.454, empty sets 0.277
#   asked for 0.8
#     own:                             truth in the set 0.831, empty sets 0.040
#     aps, mean:                       truth in the set 0.882, empty sets 0.000
#     lac, crossval:                   truth in the set 0.818, empty sets 0.000
#     aps, crossval, randomized:       truth in the set 0.807, empty sets 0.018
#     aps, crossval:                   truth in the set 0.544, empty sets 0.192
#     aps, crossval, without the last: truth in the set 0.131, empty sets 0.712
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  MAPIE==1.6.0 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W error::UserWarning - <<'PYTHON'
import sys

import numpy as np
from mapie.classification import CrossConformalClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

CLASSES, KNOWN, NEW = 4, 600, 2_000
chance = np.random.default_rng(0)
slopes = chance.normal(size=(5, CLASSES))


def samples(number):
    rows = chance.normal(size=(number, 5))
    return rows, (rows @ slopes + chance.gumbel(size=(number, CLASSES))).argmax(1)


known, labels = samples(KNOWN)
new, truth = samples(NEW)
folds = StratifiedKFold(5, shuffle=True, random_state=0)


def by_mapie(level, score="aps", **how):
    model = CrossConformalClassifier(
        LogisticRegression(), confidence_level=level, conformity_score=score, cv=folds, random_state=0
    )
    return model.fit_conformalize(known, labels).predict_set(new, **how)[1][:, :, 0]


def summed(probabilities):
    """The probability of each class together with that of all the more probable ones."""
    order = np.argsort(-probabilities, axis=1)
    sums = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    return np.take_along_axis(sums, np.argsort(order, axis=1), axis=1)


def own(level):
    """A class is in the set unless it is stranger than too many of the known samples, each judged by its own fold."""
    stranger = np.zeros((NEW, CLASSES))
    for train, held_out in folds.split(known, labels):
        model = LogisticRegression().fit(known[train], labels[train])
        scores = summed(model.predict_proba(known[held_out]))[np.arange(len(held_out)), labels[held_out]]
        stranger += (summed(model.predict_proba(new))[:, :, None] > scores).sum(axis=2)
    return stranger < level * (KNOWN + 1)


def judged(sets):
    return sets[np.arange(NEW), truth].mean(), (~sets.any(axis=1)).mean()


as_seen = True
for level in (0.9, 0.8):
    print(f"asked for {level}")
    cross = {"agg_scores": "crossval"}
    for words, sets, right in [
        ("own", own(level), True),
        ("aps, mean", by_mapie(level), True),
        ("lac, crossval", by_mapie(level, "lac", **cross), True),
        (
            "aps, crossval, randomized",
            by_mapie(level, conformity_score_params={"include_last_label": "randomized"}, **cross),
            True,
        ),
        ("aps, crossval", by_mapie(level, **cross), False),
        (
            "aps, crossval, without the last",
            by_mapie(level, conformity_score_params={"include_last_label": False}, **cross),
            False,
        ),
    ]:
        held, empty = judged(sets)
        print(f"  {words + ':':<32} truth in the set {held:.3f}, empty sets {empty:.3f}")
        as_seen &= held > level - 0.04 if right else held < 2 * level - 1 and empty > 0.02
sys.exit(0 if as_seen else "this is no longer as described")
PYTHON
