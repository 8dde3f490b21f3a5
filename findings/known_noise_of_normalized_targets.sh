#!/usr/bin/env bash
# A Gaussian process takes the noise that it is told for that of other targets than it is given, once it normalizes them.
#
# Seen with: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1, Python 3.11
# Expected: alpha of GaussianProcessRegressor is, as documented, "the variance of additional Gaussian measurement noise on
#   the training observations", in their units squared. normalize_y=True, as documented, is reversed before predictions
#   are reported. So the fit of tonnes per hectare should be that of kilogrammes per hectare but for the factor.
# Instead: alpha is added to the kernel of the normalized targets and is not divided by their variance. With an amplitude of
#   100 (standard deviation 69), the noise is taken for 4,800 times what it is, and the process predicts little more than
#   the mean. With 0.01, it is taken for next to nothing: the process runs through every noisy sample, and is sure of it,
#   so that whoever asks next where it is least sure is led by nothing. All is well where the standard deviation happens
#   to be 1, where nothing is normalized, and where alpha is divided by y.var(). Nothing is said.
# Output as seen, of the same samples in three units; the error, and the standard deviation said, as shares of the
#   amplitude:
#   amplitude 0.01  as they are:                 error 0.08, said 0.09
#   amplitude 0.01  normalized:                  error 0.12, said 0.00
#   amplitude 0.01  normalized, alpha / y.var(): error 0.08, said 0.09
#   amplitude 1     as they are:                 error 0.08, said 0.09
#   amplitude 1     normalized:                  error 0.08, said 0.07
#   amplitude 1     normalized, alpha / y.var(): error 0.08, said 0.09
#   amplitude 100   as they are:                 error 0.08, said 0.09
#   amplitude 100   normalized:                  error 0.66, said 0.68
#   amplitude 100   normalized, alpha / y.var(): error 0.08, said 0.09
#   warnings: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PY'
import sys
import warnings

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

random = np.random.default_rng(0)
places = random.uniform(0, 10, (80, 1))
new = np.linspace(0, 10, 200)[:, None]
NOISE = 0.3  # standard deviation, of a sine with amplitude 1
samples = np.sin(places[:, 0]) + random.normal(0, NOISE, 80)
truth = np.sin(new[:, 0])


def fitted(unit, normalize, by_variance=False):
    """Return the error on new places and the standard deviation that is said there, for an amplitude of 1."""
    targets = unit * samples
    kernel = ConstantKernel(1.0 if normalize else targets.var()) * RBF(1.5)
    alpha = (unit * NOISE) ** 2 / (targets.var() if by_variance else 1)
    process = GaussianProcessRegressor(kernel, alpha=alpha, normalize_y=normalize, optimizer=None)
    process.fit(places, targets)
    mean, said = process.predict(new, return_std=True)
    return np.sqrt(((mean - unit * truth) ** 2).mean()) / unit, said.mean() / unit


WAYS = {"as they are": (False,), "normalized": (True,), "normalized, alpha / y.var()": (True, True)}
found = {}
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for unit in (0.01, 1, 100):
        for title, way in WAYS.items():
            found[unit, title] = fitted(unit, *way)
            error, said = found[unit, title]
            print(f"amplitude {unit:<5} {title + ':':<28} error {error:.2f}, said {said:.2f}")
print("warnings:", len(told))
sure, blind = found.pop((0.01, "normalized")), found.pop((100, "normalized"))
kept = all(error < 0.1 and 0.06 < said < 0.1 for error, said in found.values())
if kept and sure[1] < 0.01 and sure[0] > 0.1 and blind[0] > 0.5 and not told:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
