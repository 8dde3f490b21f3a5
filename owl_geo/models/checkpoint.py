"""A model on disk: weights as safetensors, and beside them all that is needed to build it again.

Nothing is pickled, so a file from elsewhere cannot run code.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from owl_geo.errors import RunError
from owl_geo.models.cnn import SimpleCNN
from owl_geo.models.standardize import Standardize
from owl_geo.types import BandStatistics


@dataclass(frozen=True)
class ModelSpec:
    """What a model was built for; it travels in the checkpoint's header."""

    kind: str
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    patch_size: int  # pixels
    dropout: float


def build(spec: ModelSpec, seed: int) -> nn.Module:
    """Build a model with fresh weights drawn from ``seed``; the global generator is left alone.

    The first layer standardises the bands, by statistics that ``set_statistics`` puts in.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SimpleCNN(len(spec.bands), len(spec.classes), spec.patch_size, spec.dropout)
    model = nn.Sequential()
    model.add_module("standardize", Standardize(len(spec.bands)))
    model.add_module("network", network)
    return model


def set_statistics(model: nn.Module, statistics: BandStatistics) -> None:
    """Put the pool's band statistics into the model's first layer."""
    layer = model.get_submodule("standardize")
    assert isinstance(layer, Standardize)
    layer.median.copy_(torch.from_numpy(statistics.median).view_as(layer.median))
    layer.scale.copy_(torch.from_numpy(statistics.scale).view_as(layer.scale))


def save(path: Path, model: nn.Module, spec: ModelSpec) -> None:
    """Write weights, buffers and the spec; raises OSError where the disk does not allow it."""
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    try:
        save_file(tensors, str(path), metadata={"owl_geo": json.dumps(asdict(spec))})
    except SafetensorError as error:  # what the operating system said, in another class
        raise OSError(str(error)) from error
    path.chmod(0o644)  # save_file makes it the owner's alone, unlike all that lies beside it


def read_spec(path: Path) -> ModelSpec:
    """Read what a model was built for; raises RunError as ``load`` does."""
    return load(path)[1]


def load(path: Path) -> tuple[nn.Module, ModelSpec]:
    """Read a model back; raises RunError where the file is missing, damaged or foreign."""
    try:
        with safe_open(str(path), framework="pt") as file:
            header = (file.metadata() or {})["owl_geo"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        fields = json.loads(header)
        spec = ModelSpec(
            **{**fields, "bands": tuple(fields["bands"]), "classes": tuple(fields["classes"])}
        )
        model = build(spec, seed=0)
        model.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(f"{path} is no model of owl-geo, or is damaged: {error}") from error
    return model, spec
