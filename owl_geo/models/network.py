"""What every network has in common: an embedding of the patch, and a last layer that knows more."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class PatchNetwork(nn.Module):
    """A network that embeds patches and classifies embeddings together with concepts.

    Subclasses give ``embed`` and the layers ``dropout`` and ``head``. Concepts join after the
    dropout: they are few and known, so there is nothing to be gained by hiding one now and then.
    """

    n_concepts: int
    dropout: nn.Dropout
    head: nn.Linear

    def embed(self, x: Tensor) -> Tensor:
        """Return the features ``(n, d)`` of patches ``(n, bands, height, width)``."""
        raise NotImplementedError

    def classify(self, features: Tensor, concepts: Tensor | None = None) -> Tensor:
        """Return logits ``(n, classes)`` of features ``(n, d)`` and concepts ``(n, n_concepts)``.

        Raises ValueError where the concepts are not those that the network was built for.
        """
        width = 0 if concepts is None else concepts.shape[1]
        if width != self.n_concepts:
            raise ValueError(f"the network knows {self.n_concepts} concepts, but {width} came")
        features = self.dropout(features)
        if concepts is not None and width:
            features = torch.cat([features, concepts], dim=1)
        return cast(Tensor, self.head(features))

    def forward(self, x: Tensor, concepts: Tensor | None = None) -> Tensor:
        return self.classify(self.embed(x), concepts)
