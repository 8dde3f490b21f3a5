"""A lightweight convolutional network, small enough to train in seconds on a laptop."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from owl_geo.models.network import PatchNetwork
from owl_geo.models.spec import ModelSpec

MIN_IMAGE_SIZE = 4  # the two poolings each halve the patch
_HIDDEN = 128


class SimpleCNN(PatchNetwork):
    """Two 3 x 3 convolutions (32, 64 channels), ReLU and pooling after each, and a hidden layer.

    Takes float32 ``(n, n_bands, image_size, image_size)``, and ``(n, n_concepts)`` if there are
    concepts; returns logits ``(n, n_classes)``. Raises ValueError for patches of fewer than 4
    pixels a side.
    """

    def __init__(
        self,
        n_bands: int,
        n_classes: int = 2,
        image_size: int = 32,
        dropout: float = 0.5,
        n_concepts: int = 0,
    ) -> None:
        super().__init__()
        if image_size < MIN_IMAGE_SIZE:
            raise ValueError(f"SimpleCNN needs patches of 4 x 4 pixels or more, not {image_size}")
        side = image_size // 4
        self.n_concepts = n_concepts
        self.conv1 = nn.Conv2d(n_bands, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(64 * side * side, _HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(_HIDDEN + n_concepts, n_classes)

    @classmethod
    def for_spec(cls, spec: ModelSpec) -> SimpleCNN:
        """Build the network with fresh weights."""
        size = (len(spec.bands), len(spec.classes), spec.patch_size)
        return cls(*size, spec.dropout, spec.n_concepts)

    def embed(self, x: Tensor) -> Tensor:
        """Return the hidden layer's activations ``(n, 128)``."""
        x = self.pool(torch.relu(self.conv1(x)))  # (n, 32, size / 2, size / 2)
        x = self.pool(torch.relu(self.conv2(x)))  # (n, 64, size / 4, size / 4)
        return torch.relu(self.hidden(x.flatten(1)))
