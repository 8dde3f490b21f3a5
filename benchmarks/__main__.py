"""``python -m benchmarks`` runs them all."""

from benchmarks import reading, scoring

for benchmark in (reading, scoring):
    benchmark.main()
    print()
