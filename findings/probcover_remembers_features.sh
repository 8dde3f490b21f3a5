#!/usr/bin/env bash
# scikit-activeml 1.0.1, scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1 (Python 3.11).
#
# query(X, y) of a strategy chooses rows of the X that it is given; CoreSet, TypiClust and MaxHerding do. ProbCover
# computes the distances between the rows when it is first asked, keeps them in the object, and from then on takes them
# for those of any X with as many rows, without a warning. What it chooses next then has nothing to do with X. query has
# an argument for it, update, which its documentation does not list, and which is False.
#
# Features change while the number of patches stays: a model is fine-tuned between two rounds, another encoder is
# tried, or another scene cut into as many patches. The strategy goes on to cover what is no longer there.
#
# Below, 400 rows lie in 8 clumps that are far apart, so that 8 choices cover all: one in each. Then the same rows come
# in another order.
#
# Output as seen, clumps of 8 with a choice in them:
#   ProbCover:    first X 8, then another 6, another with update=True 8, another with a new object 8
#   CoreSet:      first X 8, then another 8, another with a new object 8
#   TypiClust:    first X 8, then another 8, another with a new object 8
#   MaxHerding:   first X 8, then another 8, another with a new object 8
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  scikit-activeml==1.0.1 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" -W error::UserWarning - >"$folder/now" <<'PYTHON'
import numpy as np
from skactiveml.pool import CoreSet, MaxHerding, ProbCover, TypiClust

rng = np.random.default_rng(0)
clumps = np.repeat(np.arange(8), 50)
rows = 10 * np.eye(8)[clumps] + rng.normal(scale=0.1, size=(400, 8))
labels = np.full(400, np.nan)
order = rng.permutation(400)


def hit(strategy, in_order, **options):
    chosen = strategy.query(rows[in_order], labels, batch_size=8, **options)
    return len(set(clumps[in_order][chosen]))


for kind in (ProbCover, CoreSet, TypiClust, MaxHerding):
    options = {"n_classes": 8} if kind is ProbCover else {}
    strategy = kind(random_state=0, **options)
    seen = [f"first X {hit(strategy, np.arange(400))}", f"then another {hit(strategy, order)}"]
    if kind is ProbCover:
        seen.append(f"another with update=True {hit(strategy, order, update=True)}")
    seen.append(f"another with a new object {hit(kind(random_state=0, **options), order)}")
    print(f"{kind.__name__ + ':':<13} {', '.join(seen)}")
PYTHON
cat "$folder/now"
sed -n 's/^#   //p' "$0" | diff - "$folder/now" || {
  echo "changed: this is no longer as the finding describes it" >&2
  exit 1
}
