"""What a network is built for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSpec:
    """What a model was built for, kept in the header of its checkpoint."""

    kind: str  # name of a model or head that learns by gradient steps
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    patch_size: int  # pixels
    dropout: float
    n_concepts: int = 0
    members: int = 1  # networks in the file
    weights: str = "none"  # origin of the trunk's first weights
    common_names: tuple[str | None, ...] = ()  # of the bands, if the weights depend on them
