"""Reptile: the arithmetic of the meta-update; the inner training step is passed in.

Nichol, Achiam, Schulman: On First-Order Meta-Learning Algorithms, 2018, arXiv 1803.02999.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Reptile:
    """Adapt to a support set, then move part of the way: theta += meta_lr * (adapted - theta).

    Args:
        inner_lr: learning rate of the inner SGD; the inner step that is passed in uses it.
        meta_lr: step towards the adapted weights, 0 to 1.
        inner_steps: number of inner steps.
    """

    inner_lr: float = 0.01
    meta_lr: float = 0.1
    inner_steps: int = 5

    def adapt(self, theta: Weights, inner_step: Callable[[Weights], Weights]) -> Weights:
        """Return the weights after ``inner_steps`` calls of ``inner_step``, starting at theta."""
        adapted = theta
        for _ in range(self.inner_steps):
            adapted = inner_step(adapted)
        return adapted

    def move(self, theta: Weights, adapted: Weights) -> dict[str, Tensor]:
        """Return the meta-updated weights; raises ValueError if the two differ in their names."""
        if theta.keys() != adapted.keys():
            raise ValueError("theta and the adapted weights have different names")
        return {
            name: value + self.meta_lr * (adapted[name] - value) for name, value in theta.items()
        }


def mean_weights(adapted: Sequence[Weights]) -> dict[str, Tensor]:
    """Return the mean over tasks, towards which the paper's batched version moves.

    Raises ValueError if the tasks have different names, or if there is no task.
    """
    if not adapted or any(weights.keys() != adapted[0].keys() for weights in adapted):
        raise ValueError("a mean needs at least one task, and the same names in each")
    return {
        name: torch.stack([weights[name] for weights in adapted]).mean(dim=0) for name in adapted[0]
    }
