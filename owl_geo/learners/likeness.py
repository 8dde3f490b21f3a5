"""How like known targets patches are, while targets are the only answers.

A head learns to tell the known targets from patches drawn at random, which stand for the others:
few of them are targets where targets are rare (learning from positive and unlabelled data, Elkan
and Noto 2008). Distances to the nearest target are worse, since what is ordinary lies near
everything: the more targets are known, the more ordinary patches are among the nearest.
"""

from __future__ import annotations

import numpy as np

from owl_geo.features.rows import FeatureRows
from owl_geo.learners.head import HeadLearner
from owl_geo.settings.learning import ModelSettings, UncertaintySettings
from owl_geo.types import FloatArray, IntArray
from owl_geo.work.progress import Progress
from owl_geo.work.workers import Workers

_DRAWN = 50  # patches that stand for the others, in each draw
_DRAWS = 2
_CLASSES = ("drawn", "known")
# not calibrated: the drawn say nothing about how common targets are
_HEAD = "committee"


def likeness(
    table: FeatureRows,
    concepts: FloatArray,
    known: IntArray,
    pool: IntArray,
    *,
    seed: int,
    unlike: IntArray | None = None,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> FloatArray:
    """Return how like the known targets each patch of a pool is, float32 ``(n,)``, 0 to 1.

    A head knows by heart which patches it was taught, so each patch is judged by the heads for
    which it was not drawn.

    Args:
        table: the features of every patch.
        concepts: float32 ``(N, k)``, encoded and scaled; k may be 0.
        known: positions of the known targets, ``(k,)``, at least one.
        pool: ascending positions of the patches to compare, ``(n,)``.
        seed: seed of the draws and of the heads.
        unlike: positions of patches that are known to be no targets; None = there are none. They
            count as much as half of those that are drawn, among which one would be lost.
        workers: apply the heads to the pool; threads of this process by default.
        progress: called with the number of patches done in a draw.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pool))
    size = min(_DRAWN, len(pool) // (2 * _DRAWS))
    if size == 0:
        return np.ones(len(pool), dtype=np.float32)
    total, times = np.zeros((2, len(pool)), dtype=np.float32)
    for draw in range(_DRAWS):
        drawn = order[draw * size : (draw + 1) * size]
        head = HeadLearner(
            table,
            concepts,
            np.empty((len(concepts), 0), dtype=np.float32),
            _CLASSES,
            model=ModelSettings(head=_HEAD),
            uncertainty=UncertaintySettings(),
            workers=workers,
        )
        others = np.concatenate([pool[drawn], _repeated(unlike, size // 2)])
        positions = np.concatenate([others, known])
        labels = np.repeat([0, 1], [len(others), len(known)])
        head.learn(positions, labels, np.ones(len(labels), bool), int(rng.integers(2**32)))
        alike = head.members(pool, seed=seed, progress=progress).mean(axis=0)[:, 1]
        judged = np.ones(len(pool), dtype=bool)
        judged[drawn] = False
        total[judged] += alike[judged]
        times += judged
    return np.asarray(total / times)


def _repeated(unlike: IntArray | None, count: int) -> IntArray:
    """Return each position as often as makes about ``count`` of them, at least once."""
    if unlike is None or len(unlike) == 0:
        return np.empty(0, dtype=np.int64)
    return np.repeat(unlike, max(count // len(unlike), 1))
