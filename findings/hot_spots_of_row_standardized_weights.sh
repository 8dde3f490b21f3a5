#!/usr/bin/env bash
# esda's z-values of hot spots are, by default, about a third of what they should be, so that hardly any place is hot.
#
# Seen with: esda 2.9.0, libpysal 4.14.1, scipy 1.17.1, numpy 2.4.6, pandas 3.1.1, geopandas 1.2.0, Python 3.11
# Expected: G_Local, Getis and Ord's statistic of hot spots, has its expectation, its variance and its z-value (EGs, VGs, Zs,
#   p_norm) "under normality assumption" for weights that are binary or row-standardized, as documented. Whether a place is
#   compared by the sum of its neighbours or by their mean, it is as unusual, and has the same z.
# Instead: the variance is that of a sum of as many neighbours as the weights of a row add up to. For binary weights this
#   is their number; row-standardized (transform="R", the default), it is 1, and the mean of eight neighbours gets the
#   variance of a single one: z is too small by about the root of 8. Of places without any pattern, none passes 1.96,
#   where 5 in 100 should, and of the places of a real hot spot it is 2 in 100 instead of 74. The fewer neighbours a place
#   has, the larger is its z beside others, so that borders come first. Gs itself is right, and so are z_sim and p_sim,
#   which come from permutations. Nothing is said.
#   What helps: transform="B", or z_sim.
# Output as seen, for 40 maps of 20 x 20 places, each with eight neighbours but for the border; own: the mean of the
#   neighbours and its variance, drawn from the other places without replacement, by numpy:
#   own:                       spread 0.99, at the border 1.01, beyond 1.96 0.049, hot spot found 0.74
#   binary, Zs:                spread 0.99, at the border 1.01, beyond 1.96 0.049, hot spot found 0.74
#   row-standardized, z_sim:   spread 1.02, at the border 1.05, beyond 1.96 0.055, hot spot found 0.75
#   row-standardized, Zs:      spread 0.35, at the border 0.46, beyond 1.96 0.000, hot spot found 0.02
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  esda==2.9.0 libpysal==4.14.1 scipy==1.17.1 numpy==2.4.6 pandas==3.1.1 geopandas==1.2.0
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
from esda import G_Local
from libpysal.weights import lat2W

SIDE, MAPS = 20, 40
chance = np.random.default_rng(0)
plain = [chance.gamma(9, size=(SIDE, SIDE)) for _ in range(MAPS)]
warm = np.zeros((SIDE, SIDE), dtype=bool)
warm[6:12, 6:12] = True
border = np.ones((SIDE, SIDE), dtype=bool)
border[1:-1, 1:-1] = False


def by_esda(values, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = G_Local(values.ravel(), lat2W(SIDE, SIDE, rook=False), permutations=99, n_jobs=1, seed=0, **how)
    return found.Zs.reshape(SIDE, SIDE), found.z_sim.reshape(SIDE, SIDE)


def own(values):
    """The mean of the neighbours of each place, in standard deviations of the mean of as many of the other places."""
    z = np.zeros_like(values)
    for row, column in np.ndindex(values.shape):
        window = np.zeros(values.shape, dtype=bool)
        window[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
        window[row, column] = False
        others = np.delete(values.ravel(), row * SIDE + column)
        number = window.sum()
        variance = others.var() / number * (others.size - number) / (others.size - 1)
        z[row, column] = (values[window].mean() - others.mean()) / np.sqrt(variance)
    return z


def judged(words, of):
    """The spread of z without a pattern, the share beyond 1.96, and the part of a real hot spot beyond 1.96."""
    without = np.array([of(values) for values in plain])
    hot = np.array([of(values + 5 * warm)[warm] for values in plain])
    shares = np.mean(np.abs(without) > 1.96), np.mean(hot > 1.96)
    spread, edge = without[:, ~border].std(), without[:, border].std()
    print(
        f"  {words + ':':<26} spread {spread:.2f}, at the border {edge:.2f}, beyond 1.96 {shares[0]:.3f}, "
        f"hot spot found {shares[1]:.2f}"
    )
    return spread, edge, *shares


right = [
    judged("own", own),
    judged("binary, Zs", lambda values: by_esda(values, transform="B")[0]),
    judged("row-standardized, z_sim", lambda values: by_esda(values)[1]),
]
wrong = judged("row-standardized, Zs", lambda values: by_esda(values)[0])
as_seen = all(0.9 < spread < 1.15 and beyond > 0.03 for spread, _, beyond, _ in right)
as_seen &= wrong[0] < 0.4 and wrong[1] > 1.2 * wrong[0] and wrong[2] < 0.005 and wrong[3] < right[0][3] / 2
as_seen &= all(np.allclose(own(values), by_esda(values, transform="B")[0]) for values in plain[:3])
sys.exit(0 if as_seen else "this is no longer as described")
PYTHON
