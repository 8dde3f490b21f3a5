"""Seconds per round with many classes and many answers, for every head, on generated patches.

    python -m benchmarks.classes [--heads gp,forest] [--classes 3,5,30] [--answers 20,151,1000,5000]

Prints a line per head and number of classes: the seconds that ``query`` takes as the answers grow,
including cross-validation over the answers, and how many times as long as with two classes that is.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from owl_geo import Run, import_answers, init, query
from owl_geo.settings.choices import HEADS

PATCHES = 6000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", default=",".join(HEADS))
    parser.add_argument("--classes", default="3,5,30")
    parser.add_argument("--answers", default="20,151,1000,5000")
    options = parser.parse_args(arguments)
    counts = [int(word) for word in options.classes.split(",")]
    answers = [int(word) for word in options.answers.split(",")]
    print("head       classes " + "".join(f"{n:>8,} answers" for n in answers))
    for head in options.heads.split(","):
        baseline = seconds(head, 2, answers)
        print(f"{head:<10} {2:>7} " + "".join(f"{s:>14.1f} s" for s in baseline))
        for count in counts:
            own = seconds(head, count, answers)
            cells = [f"{s:>7.1f} s x{s / two:<5.1f}" for s, two in zip(own, baseline, strict=True)]
            print(f"{head:<10} {count:>7} " + " ".join(cells), flush=True)


def seconds(head: str, n_classes: int, answers: Sequence[int]) -> list[float]:
    """Return the seconds that ``query`` takes after each number of answers, in one growing run."""
    names = [f"class{number}" for number in range(n_classes)]
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        tables = {
            "classes": names,
            "positive": names[1],
            "source": {"kind": "synthetic", "n_samples": PATCHES, "image_size": 8, "n_bands": 2},
            "model": {"head": head},
            "evaluation": {"split": "random"},
        }
        run = init(Path(folder) / "run", tables).run
        query(run)
        for n in answers:
            numbers = np.random.default_rng(0).integers(n_classes, size=n)
            labels = np.array(names)[np.concatenate([np.arange(n_classes), numbers])[:n]]
            table = pd.DataFrame({"patch_id": run.patches["patch_id"][:n], "label": labels})
            table.to_csv(Path(folder) / "answers.csv", index=False)
            import_answers(run, Path(folder) / "answers.csv", annotator="truth")
            started = time.perf_counter()
            query(Run(run.path), go_on=True)
            taken.append(time.perf_counter() - started)
    return taken


if __name__ == "__main__":
    main()
