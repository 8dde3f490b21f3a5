"""What every network has in common: an embedding of the patch, and a last layer that knows more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from owl_geo.errors import did_you_mean
from owl_geo.models.spec import ModelSpec
from owl_geo.settings.choices import HEADS, MODELS, implementation


class PatchNetwork(nn.Module):
    """A network that embeds patches and classifies embeddings together with concepts.

    Subclasses give ``embed`` and the layers ``dropout`` and ``head``. Concepts join after the
    dropout: they are few and known, so there is nothing to be gained by hiding one now and then.
    """

    n_concepts: int
    dropout: nn.Dropout
    head: nn.Linear
    is_calibrated = False  # its batch normalisation is set to the pool, see ``backbones.calibrate``

    def load_trunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Put in weights that were learnt elsewhere; raises ValueError, unless it is a backbone."""
        raise ValueError("only a backbone takes weights from elsewhere")

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


class NetworkKind(Protocol):
    """What ``settings.choices`` names a network by: its class, or a backbone's architecture."""

    def for_spec(self, spec: ModelSpec) -> PatchNetwork:
        """Build a network with fresh weights, drawn from torch's generator."""


def network_kind(name: str) -> NetworkKind:
    """Return the network of a name, of a model or of a head; raises ValueError for no network."""
    homes = {known: choice.home for known, choice in MODELS.items() if not choice.on_features}
    homes |= {known: choice.home for known, choice in HEADS.items() if choice.by_gradient}
    if name not in homes:
        raise ValueError(f"no network {name!r}{did_you_mean(name, homes)}")
    network: NetworkKind = implementation(homes[name])
    return network
