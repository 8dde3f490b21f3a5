"""``python -m benchmarks`` runs them all."""

from benchmarks import reading, rounds, scoring

for benchmark in (reading, scoring, rounds):
    benchmark.main()
    print()
