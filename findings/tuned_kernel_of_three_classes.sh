#!/usr/bin/env bash
# scikit-learn 1.7.2, numpy 2.3.3, scipy 1.16.2 (Python 3.11).
#
# GaussianProcessClassifier.kernel_ is documented as the kernel used for prediction, so one expects to
# tune it on few rows and to fit it again on many: GaussianProcessClassifier(tuned.kernel_,
# optimizer=None).fit(...). With two classes this works. With three or more, kernel_ is a
# CompoundKernel of one kernel per class, which the constructor accepts and fit refuses. The way out
# is a binary classifier per class, each with its own of kernel_.kernels.
#
# Output as seen:
#   2 classes: RBF, fits again
#   3 classes: CompoundKernel, kernel cannot be a CompoundKernel
#   3 classes, a process per class: agrees with the classifier that was tuned
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  scikit-learn==1.7.2 numpy==2.3.3 scipy==1.16.2
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF


def tuned_on(n_classes):
    labels = np.arange(60) % n_classes
    rows = np.eye(n_classes)[labels] + np.random.default_rng(0).normal(size=(60, n_classes))
    return rows, labels, GaussianProcessClassifier(RBF(1.0)).fit(rows, labels)


def fitted_again(rows, labels, kernel):
    try:
        GaussianProcessClassifier(kernel, optimizer=None).fit(rows, labels)
        return "fits again"
    except ValueError as error:
        return str(error)


as_seen = True
for n_classes, kind, outcome in [
    (2, "RBF", "fits again"),
    (3, "CompoundKernel", "kernel cannot be a CompoundKernel"),
]:
    rows, labels, tuned = tuned_on(n_classes)
    now = type(tuned.kernel_).__name__, fitted_again(rows, labels, tuned.kernel_)
    print(f"{n_classes} classes: {now[0]}, {now[1]}")
    as_seen &= now == (kind, outcome)
kernels = getattr(tuned.kernel_, "kernels", [])
own = np.stack(
    [
        GaussianProcessClassifier(kernel, optimizer=None)
        .fit(rows, labels == number)
        .predict_proba(rows)[:, 1]
        for number, kernel in enumerate(kernels)
    ],
    axis=1,
)
agrees = np.allclose(own / own.sum(axis=1, keepdims=True), tuned.predict_proba(rows))
print(f"3 classes, a process per class: {'agrees' if agrees else 'disagrees'} with the classifier that was tuned")
sys.exit(0 if as_seen and agrees else "changed: this is no longer as the finding describes it")
PYTHON
