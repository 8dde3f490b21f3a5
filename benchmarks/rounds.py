"""What a round costs with each model: fit on 100 answers, score 1,000 patches, choose 10.

The default's is also measured on 10,000 answers and 10,000 patches. Wall and processor time are of
the quicker of two rounds; a busy machine changes the first more than the second.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from owl_geo.search.choosing import choose
from owl_geo.search.records import Answers
from owl_geo.search.search import Search
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
_SOURCE = {"kind": "synthetic", "signal": 0.5}
_ANSWERS, _PATCHES = 100, 1000
_MANY = 10_000  # answers, and patches of 8 x 8 pixels


def main() -> None:
    """Print the seconds per round, and each as a multiple of the default's."""
    print(f"A round on {_ANSWERS} answers and {_PATCHES:,} patches of 32 x 32 pixels, 4 bands")
    base = 0.0
    for name, over in _MODELS.items():
        once, later, _ = _seconds(over, _ANSWERS, _PATCHES)
        base = base or later
        print(f"  {name:<38} {later:6.2f} s, {later / base:5.1f} x; once, features {once:6.2f} s")
    _, later, processor = _seconds({}, _MANY, _MANY, image_size=8)
    print(f"The default on {_MANY:,} answers and as many patches of 8 x 8 pixels")
    print(f"  {later:.2f} s, of a processor {processor:.2f} s")


def _seconds(
    over: Mapping[str, Any], n_answers: int, n_patches: int, **source: int
) -> tuple[float, float, float]:
    """Return the seconds for the pool's features, and wall and processor time of a round."""
    source = {"n_samples": n_answers + n_patches, **source}
    settings = owl_toml.parse(
        {"source": {**_SOURCE, **source}, "oracle": {}, "evaluation": {"test_share": 0.0}, **over},
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
        positions = np.random.default_rng(0).permutation(len(run.patches))[:n_answers]
        labels = run.source.labels[positions]
        answers = Answers(positions, labels, np.ones(n_answers, dtype=bool), positions)
        rounds = []
        for number in (1, 2):
            learner = search.learner()
            started = time.perf_counter(), time.process_time()
            search.learn(learner, answers, number)
            choose(search, learner, answers, number)
            rounds.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    wall, processor = (min(times) for times in zip(*rounds, strict=True))
    return once, wall, processor


if __name__ == "__main__":
    main()
