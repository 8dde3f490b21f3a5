"""A model on disk: weights as safetensors, with everything needed to rebuild the model.

A model is one network or an ensemble; the tensor names of each start with its number, ``0.``,
``1.``, ... Nothing is pickled, so a file from someone else cannot run code.
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

MAX_MEMBERS = 32  # more than this means that the header is damaged

_TRUNK_RATE = 0.1  # of the learning rate
_IMPROBABLE = 3.0  # in logits: a twentieth of the mean of the other classes


class PatchModel(nn.Module):
    """A network preceded by standardisation of its bands, so that it takes the source's own values.

    Takes float32 ``(n, bands, height, width)``, and ``(n, n_concepts)`` if there are concepts;
    returns logits ``(n, classes)``.
    """

    def __init__(self, standardize: Standardize, network: PatchNetwork) -> None:
        super().__init__()
        self.standardize = standardize
        self.network = network

    def embed(self, x: Tensor) -> Tensor:
        """Return the network's features ``(n, d)``."""
        return self.network.embed(cast(Tensor, self.standardize(x)))

    def classify(self, features: Tensor, concepts: Tensor | None = None) -> Tensor:
        """Return logits ``(n, classes)`` from concepts and the features that ``embed`` returned."""
        return self.network.classify(features, concepts)

    def forward(self, x: Tensor, concepts: Tensor | None = None) -> Tensor:
        return self.classify(self.embed(x), concepts)

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return self.network.head.out_features

    def rates(self) -> dict[str, float]:
        """Return the share of the learning rate that applies to each parameter.

        It is a tenth for a backbone's trunk, and 1 for everything else. Pretrained weights should
        move less than those of a head that starts from scratch; a fresh trunk, whose batch
        normalisation is fixed too, diverges at rates that suit the head.
        """
        return {
            name: _TRUNK_RATE if name.startswith("network.trunk.") else 1.0
            for name, _ in self.named_parameters()
        }


def build(spec: ModelSpec, seed: int, pretrained: Pretrained | None = None) -> PatchModel:
    """Build a network with fresh weights drawn from ``seed``; the global generator is unaffected.

    ``pretrained`` replaces the trunk's weights. The first layer standardises the bands with the
    statistics that ``set_statistics`` sets. Raises ValueError for an unknown kind.
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
    """Set the band statistics of the model's first layer to those of the pool."""
    model.standardize.set(statistics)


def widen(model: PatchModel, n_classes: int) -> None:
    """Give a network further classes, which begin as improbable, wherever the others are probable.

    Their rows of the last layer are the mean of the others, and the bias is lower: probable enough
    to be learnt from the first answers, and too little to change the order of the predictions.
    """
    before = model.network.head
    n_more = n_classes - before.out_features
    # made without weights, which would draw from the global random numbers
    after = nn.Linear(before.in_features, n_classes, device="meta")
    after.to_empty(device=before.weight.device)
    with torch.no_grad():
        for old, new, lower in (
            (before.weight, after.weight, 0.0),
            (before.bias, after.bias, _IMPROBABLE),
        ):
            further = old.mean(dim=0, keepdim=True) - lower
            new.copy_(torch.cat([old, further.expand(n_more, *old.shape[1:])]))
    model.network.head = after


def save(path: Path, models: Sequence[PatchModel], spec: ModelSpec) -> None:
    """Write weights, buffers and the spec; raises OSError if the disk does not allow it."""
    assert len(models) == spec.members
    tensors = {
        f"{number}.{name}": value.detach().cpu().contiguous()
        for number, model in enumerate(models)
        for name, value in model.state_dict().items()
    }
    try:
        save_file(tensors, str(path), metadata={"owl_geo": json.dumps(asdict(spec))})
    except SafetensorError as error:  # an error of the operating system in another class
        raise OSError(str(error)) from error
    path.chmod(0o644)  # save_file makes it readable by the owner only, unlike its neighbours


def load(path: Path) -> tuple[tuple[PatchModel, ...], ModelSpec]:
    """Load a model's networks.

    Raises RunError if the file is missing or damaged, or is not a model of owl-geo.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {})["owl_geo"])
            _refuse_answers(path, header)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        spec = _spec(header)
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
        raise RunError(f"{path} is not a model of owl-geo, or is damaged: {reason}") from error
    return models, spec


def _refuse_answers(path: Path, header: object) -> None:
    """Raise RunError for the file of a head that is fitted anew each round: it has no weights."""
    if isinstance(header, dict) and "head" in header:
        raise RunError(
            f"{path} was made with model.head = {header['head']!r}, which has no weights to go on "
            "from",
            remedy="restore [model] in owl.toml, or make another run",
        )


def _spec(fields: dict[str, object]) -> ModelSpec:
    lists = ("bands", "classes", "common_names")
    tuples = {name: tuple(cast(list[str], fields[name])) for name in lists if name in fields}
    spec = ModelSpec(**{**fields, **tuples})  # type: ignore[arg-type]
    if not 1 <= spec.members <= MAX_MEMBERS:
        raise ValueError(f"{spec.members} networks in one model")
    return spec
