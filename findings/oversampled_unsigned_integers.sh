#!/usr/bin/env bash
# What SMOTE makes of unsigned integers lies anywhere but between the samples that it is made of.
#
# Seen with: imbalanced-learn 0.14.2, scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6, Python 3.11
# Expected: SMOTE puts a new sample of the rare class on the line between one of its samples and a neighbour of that, in any
#   type of number. scikit-learn's distances, scalers and models take unsigned integers for the numbers that they are.
# Instead: neighbour minus sample is computed in the type of the table. Where it is negative, uint16 wraps it around to
#   nearly 65,536, and the new sample is moved by a random share of that, and made uint16 in the end. Satellite reflectances
#   are uint16. Of new samples of four bands, with means of 900 to 3,000, nine in ten have a band that is beyond any real
#   one, and a classifier trained on them finds nothing of the rare class, fewer than without any. BorderlineSMOTE, SVMSMOTE
#   and ADASYN do the same, and photographs, in uint8, suffer too, where every outcome is a valid brightness. Signed integers
#   are cut to whole numbers and otherwise right. Nothing is said.
#   What helps: table.astype(float).
# Output as seen (strayed: new samples with a band beyond those of the real ones; mean: of the rare class, new and real;
#   found: of the rare class among 20,000 others, by logistic regression):
#   not resampled                                                   rare class found 0.396
#   SMOTE           float64  strayed 0.000  mean  1496 (real 1491)  rare class found 0.823
#   SMOTE           int32    strayed 0.000  mean  1495 (real 1491)  rare class found 0.823
#   SMOTE           uint16   strayed 0.918  mean 17265 (real 1491)  rare class found 0.000
#   BorderlineSMOTE uint16   strayed 0.931  mean 17122 (real 1491)  rare class found 0.000
#   SVMSMOTE        uint16   strayed 0.931  mean 20551 (real 1491)  rare class found 0.000
#   ADASYN          uint16   strayed 0.913  mean 16731 (real 1491)  rare class found 0.000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  imbalanced-learn==0.14.2 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W error - <<'PYTHON'
import sys

import numpy as np
from imblearn.over_sampling import ADASYN, SMOTE, SVMSMOTE, BorderlineSMOTE
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

chance = np.random.default_rng(0)


def patches(number, rare):
    """Reflectances times 10,000 in four bands, whole numbers, and whether each is of the rare class."""
    labels = (chance.random(number) < rare).astype(int)
    means = np.where(labels[:, None] == 1, [900, 1100, 1000, 3000], [800, 1000, 1100, 2500])
    return chance.normal(means, 250).clip(1, 10_000).round(), labels


known, labels = patches(2_000, 0.05)
new, truth = patches(20_000, 0.5)


def found(table, classes):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(table.astype(float), classes)
    return model.predict(new)[truth == 1].mean()


def judged(strategy, kind):
    table, classes = strategy(random_state=0).fit_resample(known.astype(kind), labels)
    made, real = table[len(known) :].astype(float), known[labels == 1]
    strayed = ((made < real.min(0) - 1) | (made > real.max(0) + 1)).any(1).mean()
    return strayed, made.mean(), real.mean(), found(table, classes)


alone = found(known, labels)
print(f"{'not resampled':<63} rare class found {alone:.3f}")
seen = {}
for strategy, kind in [
    (SMOTE, "float64"),
    (SMOTE, "int32"),
    (SMOTE, "uint16"),
    (BorderlineSMOTE, "uint16"),
    (SVMSMOTE, "uint16"),
    (ADASYN, "uint16"),
]:
    strayed, made, real, share = seen[strategy, kind] = judged(strategy, kind)
    print(
        f"{strategy.__name__:<15} {kind:<7}  strayed {strayed:.3f}  mean {made:>5.0f} (real {real:.0f})  "
        f"rare class found {share:.3f}"
    )
right = [one for (_, kind), one in seen.items() if kind != "uint16"]
wrong = [one for (_, kind), one in seen.items() if kind == "uint16"]
if not (all(one[0] == 0 and one[3] > alone for one in right) and all(one[0] > 0.5 > alone > one[3] for one in wrong)):
    sys.exit("this is no longer as described")
PYTHON
