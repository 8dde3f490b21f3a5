"""What all networks share: an embedding of the patch, and a last layer that adds the concepts."""

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

    Subclasses provide ``embed`` and the layers ``dropout`` and ``head``. Concepts are added after
    the dropout: they are few and exact, so dropping one now and then would gain nothing.
    """

    n_concepts: int
    dropout: nn.Dropout
    head: nn.Linear
    is_calibrated = False  # whether it needs ``backbones.calibrate``

    def load_trunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Load pretrained weights; raises ValueError unless the network is a backbone."""
        raise ValueError("only a backbone takes pretrained weights")

    def embed(self, x: Tensor) -> Tensor:
        """Return the features ``(n, d)`` of patches ``(n, bands, height, width)``."""
        raise NotImplementedError

    def classify(self, features: Tensor, concepts: Tensor | None = None) -> Tensor:
        """Return logits ``(n, classes)`` of features ``(n, d)`` and concepts ``(n, n_concepts)``.

        Raises ValueError if the network was built for another number of concepts.
        """
        width = 0 if concepts is None else concepts.shape[1]
        if width != self.n_concepts:
            raise ValueError(f"the network takes {self.n_concepts} concepts, but {width} are given")
        features = self.dropout(features)
        if concepts is not None and width:
            features = torch.cat([features, concepts], dim=1)
        return cast(Tensor, self.head(features))

    def forward(self, x: Tensor, concepts: Tensor | None = None) -> Tensor:
        return self.classify(self.embed(x), concepts)


class NetworkKind(Protocol):
    """What a name in ``settings.choices`` stands for: a network's class or a backbone."""

    def for_spec(self, spec: ModelSpec) -> PatchNetwork:
        """Build a network with fresh weights, drawn from torch's generator."""


def network_kind(name: str) -> NetworkKind:
    """Return the network of this model or head; raises ValueError if it is not a network."""
    homes = {kind: choice.home for kind, choice in MODELS.items() if not choice.on_features}
    homes |= {head: choice.home for head, choice in HEADS.items() if choice.by_gradient}
    if name not in homes:
        raise ValueError(f"no network {name!r}{did_you_mean(name, homes)}")
    network: NetworkKind = implementation(homes[name])
    return network
