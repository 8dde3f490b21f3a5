#!/usr/bin/env bash
# scikit-activeml 1.0.1, scikit-learn 1.9.1, numpy 2.4.6 (Python 3.11).
#
# Query strategies take random_state "for reproducibility", and with an integer each asks for the same batch whenever it is
# given the same answers. DropQuery does not. Its dropout is drawn by random_state, but the clusters that spread a batch are
# begun by NumPy's global generator, whatever the seed: k-means gets none. TypiClust hands its seed on. So a search that is
# resumed, or repeated for a paper, asks for other patches, and any library that draws from the global generator in
# between changes which.
#
# The way out is cluster_algo_dict={"random_state": seed}, beside random_state=seed.
#
# Output as seen; how many different batches of 15 from 280 patches 10 queries with random_state=0 give:
#   UncertaintySampling           1
#   TypiClust                     1
#   ProbCover                     1
#   Falcun                        1
#   DropQuery                     several
#   DropQuery, clusters seeded    1
#   DropQuery, np.random.seed     1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  scikit-activeml==1.0.1 scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - >"$folder/now" <<'PYTHON'
import inspect

import numpy as np
from skactiveml import pool
from skactiveml.classifier import SklearnClassifier
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(0)
features = rng.normal(size=(300, 4))
labels = np.full(300, np.nan)
labels[:20] = features[:20, 0] + features[:20, 1] > 0.5
classifier = SklearnClassifier(LogisticRegression(), classes=[0, 1], random_state=0)


def batches(name, *, seeded=False, **options):
    found = set()
    for _ in range(10):
        if seeded:
            np.random.seed(1)
        strategy = getattr(pool, name)(random_state=0, **options)
        given = {"X": features, "y": labels, "clf": classifier, "batch_size": 15}
        known = inspect.signature(strategy.query).parameters
        found.add(tuple(strategy.query(**{key: value for key, value in given.items() if key in known})))
    return "1" if len(found) == 1 else "several"


for name in ("UncertaintySampling", "TypiClust", "ProbCover", "Falcun", "DropQuery"):
    print(f"{name:30}{batches(name)}")
print(f"{'DropQuery, clusters seeded':30}{batches('DropQuery', cluster_algo_dict={'random_state': 0})}")
print(f"{'DropQuery, np.random.seed':30}{batches('DropQuery', seeded=True)}")
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
