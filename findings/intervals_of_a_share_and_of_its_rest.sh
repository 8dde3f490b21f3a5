#!/usr/bin/env bash
# Weighted intervals by ppi-python hold a share of 5 % in 61 instead of 90 % of the cases, and are wide for the other 95 %.
#
# Seen with: ppi-python 0.2.3, statsmodels 0.15.0, scikit-learn 1.9.1, numba 0.68.1, scipy 1.17.1, numpy 2.4.6, Python 3.11
# Expected: ppi_mean_ci(Y, Yhat, Yhat_unlabeled, alpha=0.1, w=w) is an interval for a share of all patches that holds it in
#   90 % of the cases, where w are the "sample weights for the labeled data set": here one over the chance with which a patch
#   was drawn, as by a search that looks where the model sees something. What is not water is one less what is water, so
#   that the two intervals are as wide as each other.
# Instead: weights are scaled so that they add up to n, which makes the mean a ratio of two sums, both of them random. The
#   error is that of the upper sum alone: of w * Y in place of w * (Y - mean). It changes with any number that is added to
#   Y, as from degrees C to kelvin. A rare class that was drawn often gets an interval of two thirds of the width that it
#   needs, and the rest one that is nearly 20 times as wide. Predictions do not help, since they are weighed by the same
#   error, and classical_mean_ci has it too. Without weights, everything is right. Nothing is said; importing the package
#   even turns off all warnings, of any library, from there on.
# Output as seen, for 500 draws of about 1,000 of 20,000 patches; own: the mean of all Yhat and the weighted one of Y - Yhat,
#   with the error of a ratio, by numpy:
#   own:                          share held 0.87 by 0.0163, the rest held 0.87 by 0.0163
#   ppi_mean_ci, not weighted:    share held 0.90 by 0.0136, the rest held 0.90 by 0.0136
#   ppi_mean_ci:                  share held 0.61 by 0.0104, the rest held 1.00 by 0.1958
#   classical_mean_ci:            share held 0.61 by 0.0104, the rest held 1.00 by 0.1958
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  ppi-python==0.2.3 statsmodels==0.15.0 scikit-learn==1.9.1 numba==0.68.1 scipy==1.17.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
from ppi_py import classical_mean_ci, ppi_mean_ci

PATCHES, LABELS, DRAWS, ALPHA = 20_000, 1_000, 500, 0.1
Z = 1.6449  # of a normal distribution, 90 % are within this many standard deviations
chance = np.random.default_rng(0)
truth = (chance.random(PATCHES) < 0.05).astype(float)
seen = np.where(truth == 1, chance.random(PATCHES) < 0.95, chance.random(PATCHES) < 0.01)
score = np.where(seen, 0.7, 0.1) + chance.normal(0, 0.05, PATCHES)
often = np.where(seen, 0.8 / seen.sum(), 0.2 / (~seen).sum()) * LABELS


def own(labels, scores, of_all, weights):
    weights = weights / weights.sum()
    beside = labels - scores
    mean = (weights * beside).sum()
    error = np.sqrt((weights**2 * (beside - mean) ** 2).sum())
    middle = of_all.mean() + mean
    return middle - Z * error, middle + Z * error


def powered(labels, scores, of_all, weights):
    low, high = ppi_mean_ci(labels, scores, of_all, alpha=ALPHA, w=weights)
    return low.item(), high.item()


def classical(labels, scores, of_all, weights):
    return classical_mean_ci(labels, w=weights, alpha=ALPHA)


def judged(words, interval, weighted=True):
    """How often the interval holds the truth and how wide it is, of the share and of the rest."""
    found = []
    for draw in range(DRAWS):
        draws = np.random.default_rng([1, draw])
        drawn = np.flatnonzero(draws.random(PATCHES) < (often if weighted else LABELS / PATCHES))
        weights = 1 / often[drawn] if weighted else np.ones(drawn.size)
        low, high = interval(truth[drawn], score[drawn], score, weights)
        low_rest, high_rest = interval(1 - truth[drawn], 1 - score[drawn], 1 - score, weights)
        share = truth.mean()
        found.append((low <= share <= high, high - low, low_rest <= 1 - share <= high_rest, high_rest - low_rest))
    held, width, held_rest, width_rest = np.mean(found, axis=0)
    print(
        f"  {words + ':':<29} share held {held:.2f} by {width:.4f}, the rest held {held_rest:.2f} by {width_rest:.4f}"
    )
    return held, width, held_rest, width_rest


right = [
    judged("own", own),
    judged("ppi_mean_ci, not weighted", powered, weighted=False),
]
wrong = [
    judged("ppi_mean_ci", powered),
    judged("classical_mean_ci", classical),
]
as_seen = all(0.86 < found[0] == found[2] and np.isclose(found[1], found[3]) for found in right)
as_seen &= all(found[0] < 0.7 and found[2] > 0.99 and found[3] > 10 * found[1] for found in wrong)
as_seen &= warnings.filters[0] == ("ignore", None, Warning, None, 0)
sys.exit(0 if as_seen else "this is no longer as described")
PYTHON
