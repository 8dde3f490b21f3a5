#!/usr/bin/env bash
# scikit-activeml 1.0.1, scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1 (Python 3.11).
#
# A strategy's query(candidates=..., batch_size=20) chooses 20 of the candidates to label. One expects 20 different
# ones, the more so from TypiClust, which takes the most typical of a cluster each, for diversity. With all rows as
# candidates it does. With some of them, it asks for the same candidate several times in one batch, without a warning.
#
# TypiClust clusters all rows, goes through the clusters from the largest down, and leaves out what is chosen already
# only by marking its cluster as done. A cluster without a candidate is gone through all the same: all candidates are
# then equally untypical, and one is drawn by chance, chosen before or not. utilities, which it can return too, say nan
# for a row that is chosen already, and yet it is chosen. With as many candidates as are asked for, where there is
# nothing to choose, a quarter of them is left out.
#
# Candidates are how one asks within a region or a map's view. A person is shown the same patch two or three times in
# a batch, and what they answer counts as several labels.
#
# How many are different is a matter of the clusters; that fewer than 20 are, for each of ten seeds, is what is checked.
#
# Output as seen:
#   TypiClust, 300 rows, all candidates:   20 different of 20
#   TypiClust, 30 candidates:              15 to 18 different of 20
#   TypiClust, 20 candidates:              14 to 16 different of 20
#   TypiClust, 20 candidates, utilities:   nan for 4 to 6 of those chosen
#   CoreSet, 20 candidates:                20 different of 20
#   ProbCover, 20 candidates:              20 different of 20
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  scikit-activeml==1.0.1 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" -W error::UserWarning - <<'PYTHON'
import sys

import numpy as np
from skactiveml.pool import CoreSet, ProbCover, TypiClust

rows = np.random.default_rng(0).normal(size=(300, 8))
labels = np.full(300, np.nan)
labels[:3] = 0, 1, 0


def batches(strategy, candidates=None):
    for seed in range(10):
        yield strategy(random_state=seed).query(
            rows, labels, candidates=candidates, batch_size=20, return_utilities=True
        )


def different(strategy, candidates=None):
    counts = [len(set(chosen)) for chosen, _ in batches(strategy, candidates)]
    return min(counts), max(counts)


def words(low, high):
    return f"{low}" if low == high else f"{low} to {high}"


some, few = np.arange(100, 130), np.arange(100, 120)
seen = {
    "TypiClust, 300 rows, all candidates": different(TypiClust),
    "TypiClust, 30 candidates": different(TypiClust, some),
    "TypiClust, 20 candidates": different(TypiClust, few),
}
for what, counts in seen.items():
    print(f"{what + ':':<38} {words(*counts)} different of 20")
missing = [np.isnan(utilities[np.arange(20), chosen]).sum() for chosen, utilities in batches(TypiClust, few)]
print(f"{'TypiClust, 20 candidates, utilities:':<38} nan for {words(min(missing), max(missing))} of those chosen")
others = {f"{one.__name__}, 20 candidates": different(one, few) for one in (CoreSet, ProbCover)}
for what, counts in others.items():
    print(f"{what + ':':<38} {words(*counts)} different of 20")
every, of_some, of_few = seen.values()
if not (every == (20, 20) and of_some[1] < 20 and of_few[1] < 20 and min(missing) > 0):
    sys.exit("this is no longer as described")
if set(others.values()) != {(20, 20)}:
    sys.exit("this is no longer as described")
PYTHON
