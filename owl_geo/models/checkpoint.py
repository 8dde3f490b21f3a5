"""A model on disk: weights as safetensors, and beside them all that is needed to build it again.

A model is one network or an ensemble; the tensors of each are named after its number, ``0.``,
``1.``, ... Nothing is pickled, so a file from elsewhere cannot run code.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from owl_geo.errors import RunError
from owl_geo.models.network import PatchNetwork, network_kind
from owl_geo.models.randomness import seeded
from owl_geo.models.spec import ModelSpec
from owl_geo.models.standardize import Standardize
from owl_geo.models.weights import Pretrained
from owl_geo.types import BandStatistics

MAX_MEMBERS = 32  # an ensemble of more is no ensemble but a damaged header

_TRUNK_RATE = 0.1  # of the learning rate


class PatchModel(nn.Module):
    """A network behind the standardisation of its bands, so that it takes the source's own values.

    Takes float32 ``(n, bands, height, width)``, with concepts also ``(n, n_concepts)``, and returns
    logits ``(n, classes)``.
    """

    def __init__(self, standardize: Standardize, network: PatchNetwork) -> None:
        super().__init__()
        self.standardize = standardize
        self.network = network

    def embed(self, x: Tensor) -> Tensor:
        """Return the network's features ``(n, d)``."""
        return self.network.embed(cast(Tensor, self.standardize(x)))

    def classify(self, features: Tensor, concepts: Tensor | None = None) -> Tensor:
        """Return logits ``(n, classes)`` of features that ``embed`` gave, and concepts."""
        return self.network.classify(features, concepts)

    def forward(self, x: Tensor, concepts: Tensor | None = None) -> Tensor:
        return self.classify(self.embed(x), concepts)

    @property
    def n_classes(self) -> int:
        """How many classes the model tells apart."""
        return self.network.head.out_features

    def rates(self) -> dict[str, float]:
        """Return the share of the learning rate that each parameter takes.

        A backbone's trunk takes a tenth, all else the whole. What it has learnt elsewhere should
        move less than a head that knows nothing; and fresh ones, whose batch normalisation is held
        still as well, diverge at rates that suit the head.
        """
        return {
            name: _TRUNK_RATE if name.startswith("network.trunk.") else 1.0
            for name, _ in self.named_parameters()
        }


def build(spec: ModelSpec, seed: int, pretrained: Pretrained | None = None) -> PatchModel:
    """Build one network with fresh weights drawn from ``seed``; the global generator is left alone.

    ``pretrained`` replaces the trunk's weights. The first layer standardises the bands, by
    statistics that ``set_statistics`` puts in. Raises ValueError for an unknown kind.
    """
    with seeded(seed, torch.device("cpu")):
        network = network_kind(spec.kind).for_spec(spec)
        if pretrained is not None:
            network.load_trunk(pretrained.tensors)
    return PatchModel(Standardize(len(spec.bands)), network)


def member_seed(seed: int, member: int) -> int:
    """Return the seed of a member's weights; the first has the model's own seed."""
    return seed if member == 0 else int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


def set_statistics(model: PatchModel, statistics: BandStatistics) -> None:
    """Put the pool's band statistics into the model's first layer."""
    model.standardize.set(statistics)


def save(path: Path, models: Sequence[PatchModel], spec: ModelSpec) -> None:
    """Write weights, buffers and the spec; raises OSError where the disk does not allow it."""
    assert len(models) == spec.members
    tensors = {
        f"{number}.{name}": value.detach().cpu().contiguous()
        for number, model in enumerate(models)
        for name, value in model.state_dict().items()
    }
    try:
        save_file(tensors, str(path), metadata={"owl_geo": json.dumps(asdict(spec))})
    except SafetensorError as error:  # what the operating system said, in another class
        raise OSError(str(error)) from error
    path.chmod(0o644)  # save_file makes it the owner's alone, unlike all that lies beside it


def load(path: Path) -> tuple[tuple[PatchModel, ...], ModelSpec]:
    """Read a model's networks back; raises RunError where the file is missing, damaged, foreign."""
    try:
        with safe_open(str(path), framework="pt") as file:
            header = (file.metadata() or {})["owl_geo"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        spec = _spec(json.loads(header))
        models = tuple(build(spec, seed=0) for _ in range(spec.members))
        nn.ModuleList(models).load_state_dict(tensors)
    except (
        OSError,
        SafetensorError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        RuntimeError,
    ) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{path} is no model of owl-geo, or is damaged: {reason}") from error
    return models, spec


def _spec(fields: dict[str, object]) -> ModelSpec:
    lists = ("bands", "classes", "common_names")
    tuples = {name: tuple(cast(list[str], fields[name])) for name in lists if name in fields}
    spec = ModelSpec(**{**fields, **tuples})  # type: ignore[arg-type]
    if not 1 <= spec.members <= MAX_MEMBERS:
        raise ValueError(f"{spec.members} networks in one model")
    return spec
