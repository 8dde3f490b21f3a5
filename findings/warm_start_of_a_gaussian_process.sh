#!/usr/bin/env bash
# scikit-learn 1.7.2, numpy 2.3.3, scipy 1.16.2 (Python 3.11).
#
# GaussianProcessClassifier(warm_start=True) begins each search for the mode of the posterior at the
# mode that it found last, "which can speed up convergence": one expects the same model, sooner.
# It is three times as fast, and another model. The search stops at the first step that does not
# raise the likelihood, and far from its new mode, where the last kernel left it, Newton's second
# step often lowers it. What is then returned is no likelihood of this kernel but depends on which
# kernel was looked at before; the optimizer follows these values to a worse kernel, without a
# warning.
#
# Output as seen:
#   log-marginal likelihood of one kernel, asked after another one: cold -92.7, warm -89.5
#   of the kernels chosen, judged alike: cold -87.6, warm -87.9
#   probabilities of 2,000 new rows differ by up to 0.05
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  scikit-learn==1.7.2 numpy==2.3.3 scipy==1.16.2
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

rng = np.random.default_rng(0)
rows = rng.normal(size=(140, 70))
labels = (rows[:, 0] + rng.normal(size=140) > 0.5).astype(int)
kernel = ConstantKernel(1.0, (1e-3, 30)) * RBF(8.0, (2.5, 80))
kernel += ConstantKernel(1.0, (1e-3, 30)) * RBF(2.0, (0.7, 8))
cold = GaussianProcessClassifier(kernel, random_state=0).fit(rows, labels)
warm = GaussianProcessClassifier(kernel, warm_start=True, random_state=0).fit(rows, labels)

one, other = np.log([1.0, 8.0, 1.0, 2.0]), np.log([20.0, 20.0, 0.1, 4.0])
values = []
for model in (cold, warm):
    model.log_marginal_likelihood(other)
    values.append(model.log_marginal_likelihood(one))
print("log-marginal likelihood of one kernel, asked after another one: "
      "cold {:.1f}, warm {:.1f}".format(*values))
chosen = [cold.log_marginal_likelihood(model.kernel_.theta) for model in (cold, warm)]
print("of the kernels chosen, judged alike: cold {:.1f}, warm {:.1f}".format(*chosen))
new = rng.normal(size=(2000, 70))
apart = np.abs(cold.predict_proba(new) - warm.predict_proba(new)).max()
print(f"probabilities of 2,000 new rows differ by up to {apart:.2f}")
if not (abs(values[0] - values[1]) > 0.1 and chosen[0] - chosen[1] > 0.01 and apart > 0.005):
    sys.exit("this is no longer as described")
PYTHON
