#!/usr/bin/env bash
# PCA takes the mean off last where there are many rows, so that components of float32 are noise where the mean is large.
#
# Seen with: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1, Python 3.11
# Expected: PCA does not depend on where the origin is. The solver for ten times as many rows as columns, which "auto" takes
#   since 1.5, computes "the covariance matrix (on centered data)", as documented. Its documented weakness is a large range
#   of singular values; here the largest is 50 times the smallest.
# Instead: it multiplies the table as it is with itself, sums up to n times the square of the mean, and takes n times the
#   square of the mean off afterwards. In float32 the difference is what rounding left: of temperatures near 300 K with a
#   variance of 0.01, nothing. Components beyond the first two turn into others, variances are too large, too small or 0, and
#   a whitened column, which should have a standard deviation of 1, has millions. Nothing is said. With fewer rows than ten
#   times the columns, another solver is taken, which is right, as are svd_solver="full", float64, and a table whose mean was
#   subtracted first.
# Output as seen (by how much it is wrong depends on the processor); axis: |cosine| with that of float64, the worst of 6;
#   variance: over that of float64, the least and the most; whitened: standard deviations, the least and the most:
#        59 rows (full)                              axis 1.00  variance 1.00 to 1.00  whitened 1.00 to 1.00
#    100000 rows (covariance_eigh)                   axis 0.56  variance 0.00 to 3.18  whitened 0.80 to 6596450.00
#    100000 rows (full)                              axis 1.00  variance 1.00 to 1.00  whitened 1.00 to 1.00
#    100000 rows, mean subtracted (covariance_eigh)  axis 1.00  variance 1.00 to 1.00  whitened 1.00 to 1.00
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
from sklearn.decomposition import PCA

random = np.random.default_rng(0)
turn = np.linalg.qr(random.normal(size=(6, 6)))[0]
spread = random.normal(size=(100_000, 6)) * [5.0, 2.0, 1.0, 0.5, 0.2, 0.1]
kelvin = (300 + spread @ turn).astype("float32")  # of six dates


def compared(name, rows, **arguments):
    """Print how PCA of float32 compares with that of float64, and return the three figures."""
    right = PCA(svd_solver="full").fit(rows.astype(float))
    found = PCA(whiten=True, **arguments).fit(rows)
    axis = np.abs((found.components_ * right.components_).sum(axis=1)).min()
    variance = found.explained_variance_ / right.explained_variance_
    whitened = found.transform(rows).std(axis=0, ddof=1)
    print(
        f"{name} ({found._fit_svd_solver})".ljust(47),
        f" axis {axis:.2f}  variance {variance.min():.2f} to {variance.max():.2f}"
        f"  whitened {whitened.min():.2f} to {whitened.max():.2f}",
    )
    return axis, variance, whitened


with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    few = compared("     59 rows", kelvin[:59])
    many = compared(" 100000 rows", kelvin)
    full = compared(" 100000 rows", kelvin, svd_solver="full")
    centred = compared(" 100000 rows, mean subtracted", kelvin - kelvin.mean(axis=0))
print("warnings:", len(told))


def right(axis, variance, whitened):
    return axis > 0.99 and np.allclose(variance, 1, atol=0.02) and np.allclose(whitened, 1, atol=0.02)


if right(*few) and right(*full) and right(*centred) and not told:
    axis, variance, whitened = many
    if axis < 0.9 and variance.min() < 0.5 and whitened.max() > 100:
        sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
