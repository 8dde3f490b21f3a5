"""What a round costs with each model: fit on 100 answers, score 1,000 patches, choose 10."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from owl_geo.search import Answers, Search
from owl_geo.settings import owl_toml
from owl_geo.verbs.init import init

_MODELS: Mapping[str, Mapping[str, Any]] = {
    "statistics, blend (the default)": {},
    "statistics, ensemble of 5 blends": {"uncertainty": {"members": "ensemble"}},
    "cnn": {"model": {"kind": "cnn"}},
    "cnn, 15 passes with dropout": {
        "model": {"kind": "cnn"},
        "uncertainty": {"members": "dropout"},
    },
    "cnn, ensemble of 5": {"model": {"kind": "cnn"}, "uncertainty": {"members": "ensemble"}},
    "resnet18, frozen, blend": {"model": {"kind": "resnet18", "frozen": True}},
    "resnet18, all weights": {"model": {"kind": "resnet18"}},
}
_SOURCE = {"kind": "synthetic", "n_samples": 1100, "signal": 0.5}
_ANSWERS = 100


def main() -> None:
    """Print the seconds per round, and each as a multiple of the default's."""
    print(f"A round on {_ANSWERS} answers and 1,000 patches of 32 x 32 pixels, 4 bands")
    base = 0.0
    for name, over in _MODELS.items():
        once, later = _seconds(over)
        base = base or later
        print(f"  {name:<38} {later:6.2f} s, {later / base:5.1f} x; once, features {once:6.2f} s")


def _seconds(over: Mapping[str, Any]) -> tuple[float, float]:
    """Return the seconds for the pool's features, and for the quicker of two rounds."""
    settings = owl_toml.parse(
        {"source": _SOURCE, "oracle": {}, "evaluation": {"test_share": 0.0}, **over},
        "the benchmark",
    )
    with TemporaryDirectory() as folder:
        run = init(Path(folder) / "run", settings).run
        search = Search(
            settings,
            run.patches,
            run.source,
            run.index.statistics,
            device=torch.device("cpu"),
            keep=Path(folder) / "features",
        )
        started = time.perf_counter()
        _ = search.features
        once = time.perf_counter() - started
        positions = np.random.default_rng(0).permutation(len(run.patches))[:_ANSWERS]
        labels = run.source.labels[positions]
        answers = Answers(positions, labels, np.ones(_ANSWERS, dtype=bool), positions)
        rounds = []
        for number in (1, 2):
            learner = search.learner()
            started = time.perf_counter()
            search.learn(learner, answers, number)
            search.choose(learner, answers, number)
            rounds.append(time.perf_counter() - started)
    return once, min(rounds)


if __name__ == "__main__":
    main()
