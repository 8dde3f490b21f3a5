"""Two heads as the members of one: a Gaussian process and a forest.

The process is smooth and knows which columns belong together; the trees pick the few features that
matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.models.forest import FOREST
from owl_geo.models.gaussian_process import GAUSSIAN_PROCESS
from owl_geo.models.heads import Columns, HeadKind, Predict
from owl_geo.types import FloatArray, IntArray

_PARTS = (GAUSSIAN_PROCESS, FOREST)


def _committee(table: FloatArray, labels: IntArray, columns: Columns, seed: int) -> Predict:
    parts = [part.fit(table, labels, columns, seed) for part in _PARTS]

    def predict(candidates: FloatArray) -> NDArray[np.floating[Any]]:
        return np.stack([part(candidates).mean(axis=0) for part in parts])

    return predict


COMMITTEE = HeadKind(_committee, members=len(_PARTS))
