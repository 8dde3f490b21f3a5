"""What a network is built for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSpec:
    """What a model was built for; it travels in the checkpoint's header."""

    kind: str  # a name of a model, or of a head, that learns by gradient steps
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    patch_size: int  # pixels
    dropout: float
    n_concepts: int = 0
    members: int = 1  # networks in the file
    weights: str = "none"  # where the trunk's first weights came from
    common_names: tuple[str | None, ...] = ()  # of the bands, where the weights depend on them
