"""``python -m benchmarks`` runs the benchmarks that take minutes, one after the other.

``learning``, ``candidates`` and the pool of a million patches take longer and are run by name.
"""

import tempfile
from pathlib import Path

from benchmarks import concepts, features, pool, reading, rounds, scoring

for benchmark in (reading, features, scoring, concepts, rounds):
    benchmark.main()
    print()
with tempfile.TemporaryDirectory() as folder:
    pool.curve(Path(folder), 31_622, 3_162, Path(folder))
