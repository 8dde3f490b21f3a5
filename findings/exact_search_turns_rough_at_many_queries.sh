#!/usr/bin/env bash
# The exact index of faiss is exact for a few queries at a time, and rough for the same ones among many.
#
# Seen with: faiss-cpu 1.15.1, numpy 2.4.6, Python 3.11
# Expected: IndexFlatL2 compares a query with every vector, so that its answer depends on that query alone, whatever else
#   is asked in the same call, and is the nearest vector but for single precision.
# Instead: from about 128,000 numbers a call on (queries times dimensions; earlier versions: from 20 queries on), squared
#   distances are made of squared lengths and a product of matrices. What the lengths have in common does not cancel in
#   single precision: with places in metres of UTM, 7e-8 of 3e13 is 2,000,000 square metres. All distances are then said
#   to be 0 or kilometres, and hardly a place found is the nearest. One query fewer, and everything is right. Vectors
#   with a mean far from 0 suffer alike, less so the more their spread is worth; after subtracting the mean, both calls
#   agree.
# Output as seen:
#   63,999 queries: nearest found 1.000, too far by up to 0 m, said to be 0 m away 0.000
#   64,000 queries: nearest found 0.035, too far by up to 1977 m, said to be 0 m away 1.000
#   64,000 queries, mean subtracted: nearest found 1.000, too far by up to 0 m, said to be 0 m away 0.000
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet faiss-cpu==1.15.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import faiss
import numpy as np

random = np.random.default_rng(0)
CORNER = np.array([600_000.0, 5_700_000.0])  # of 10 x 10 km in UTM
sites = (CORNER + random.uniform(0, 10_000, (1_000, 2))).astype(np.float32)
queries = (CORNER + random.uniform(0, 10_000, (64_000, 2))).astype(np.float32)
looked_at = slice(0, 1_000)


def asked(sites, queries):
    """Return the share of nearest sites among those found, how much too far one is, and zeros."""
    index = faiss.IndexFlatL2(2)
    index.add(np.ascontiguousarray(sites))
    squares, found = index.search(np.ascontiguousarray(queries), 1)
    apart = queries[looked_at, None].astype(float) - sites.astype(float)
    distances = np.hypot(apart[..., 0], apart[..., 1])
    own = np.take_along_axis(distances, found[looked_at], axis=1)[:, 0]
    nearest = distances.min(axis=1)
    return (own <= nearest + 1).mean(), (own - nearest).max(), (squares <= 0).mean()


def shown(title, values):
    share, too_far, zero = values
    print(f"{title}: nearest found {share:.3f}, too far by up to {too_far:.0f} m, said to be 0 m away {zero:.3f}")
    return values


few = shown("63,999 queries", asked(sites, queries[:-1]))
many = shown("64,000 queries", asked(sites, queries))
mean = sites.mean(axis=0)
moved = shown("64,000 queries, mean subtracted", asked(sites - mean, queries - mean))
if few[0] == moved[0] == 1 and many[0] < 0.5 and many[1] > 100:
    sys.exit(0)
print("the behaviour has changed")
sys.exit(1)
PY
