"""A head that learns by gradient steps: a small network on features that are computed once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from owl_geo.models.network import PatchNetwork
from owl_geo.models.spec import ModelSpec

_HIDDEN = 64


class FeatureMLP(PatchNetwork):
    """One hidden layer of 64 units, ReLU and dropout.

    Takes float32 ``(n, n_features, 1, 1)`` and concepts ``(n, n_concepts)``, and returns logits
    ``(n, n_classes)``.
    """

    def __init__(
        self, n_features: int, n_classes: int, dropout: float = 0.5, n_concepts: int = 0
    ) -> None:
        super().__init__()
        self.n_concepts = n_concepts
        self.hidden = nn.Linear(n_features, _HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(_HIDDEN + n_concepts, n_classes)

    @classmethod
    def for_spec(cls, spec: ModelSpec) -> FeatureMLP:
        """Build the network with fresh weights; the bands are the features."""
        return cls(len(spec.bands), len(spec.classes), spec.dropout, spec.n_concepts)

    def embed(self, x: Tensor) -> Tensor:
        """Return the hidden layer's activations, ``(n, 64)``."""
        return torch.relu(self.hidden(x.flatten(1)))
