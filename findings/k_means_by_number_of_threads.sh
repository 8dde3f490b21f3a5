#!/usr/bin/env bash
# scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1 (Python 3.11).
#
# With a random_state, KMeans is expected to give the same clusters on every machine with the same
# versions. But each thread sums up the rows of its own part before the sums are put together, so
# that the number of threads, by default that of the processors, decides the last bits of the
# centres. In float32, rows end up in other clusters.
#
# Output as seen:
#   1 thread, twice: the same clusters
#   1 thread and 2: other clusters
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cat > "$folder/clusters.py" <<'PYTHON'
import hashlib

import numpy as np
from sklearn.cluster import KMeans

rows = (np.random.default_rng(1).normal(size=(50_000, 8)) * np.arange(8, 0, -1)).astype(np.float32)
labels = KMeans(20, n_init=1, random_state=5).fit_predict(rows)
print(hashlib.sha256(labels.tobytes()).hexdigest())
PYTHON
clusters() { OMP_NUM_THREADS=$1 "$folder/venv/bin/python" "$folder/clusters.py"; }
one=$(clusters 1) again=$(clusters 1) two=$(clusters 2)
said() { if [ "$1" = "$2" ]; then echo "the same clusters"; else echo "other clusters"; fi; }
echo "1 thread, twice: $(said "$one" "$again")"
echo "1 thread and 2: $(said "$one" "$two")"
if [ "$one" != "$again" ] || [ "$one" = "$two" ]; then
  echo "this is no longer as described" >&2
  exit 1
fi
