"""Pretrained weights, of torchvision or from a file, fitted to the bands of the run.

Bands are matched by common name, never by position. Two layouts of a file are recognised by their
number of bands: 3 are red, green, blue (torchvision; in TorchGeo, Sentinel-2's B4, B3, B2), and 13
are Sentinel-2's B1 to B12 with B8A after B8 (TorchGeo). Any other number must equal the number of
bands of the run, or of its scenes where it has views; the file's bands are then taken in the same
order.
"""

from __future__ import annotations

import hashlib
import pickle  # nosec B403 # for its error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from owl_geo.disk.presence import is_file
from owl_geo.errors import ConfigError
from owl_geo.models.backbones import architecture, make_trunk
from owl_geo.wording import counted

_RGB = ("red", "green", "blue")
_SENTINEL_2 = (
    "coastal",
    "blue",
    "green",
    "red",
    "rededge1",
    "rededge2",
    "rededge3",
    "nir",
    "nir08",
    "nir09",
    "cirrus",
    "swir1",
    "swir2",
)
_LAYOUTS = {len(names): names for names in (_RGB, _SENTINEL_2)}

# what larger models call the trunk; any of these may be nested in any order
_PREFIXES = ("module.", "model.", "backbone.", "encoder_q.", "encoder.")
_WITHIN = ("state_dict", "model")  # where training programs keep the weights in their checkpoints
_COUNTER = "num_batches_tracked"  # old files lack it; without momentum it has no effect


@dataclass(frozen=True)
class Pretrained:
    """The weights of a trunk whose first convolution takes the bands of the run."""

    origin: str  # "imagenet", or the file's name and the start of its SHA-256
    tensors: dict[str, Tensor]


def read(
    kind: str, weights: str, common_names: Sequence[str | None], n_own: int | None = None
) -> Pretrained | None:
    """Return weights for a backbone over these bands; None for ``none``, which means fresh weights.

    Args:
        kind: the backbone's name.
        weights: ``none``, ``imagenet`` (downloaded by torchvision), or a file: .safetensors, or
            a state dict saved by torch, which is read without executing anything.
        common_names: the common name of each band of the run; None for a band that has none.
        n_own: how many of them, the first, are the scenes' own; None = all.

    Raises ConfigError if the weights cannot be loaded, or do not belong to this backbone.
    """
    if weights == "none":
        return None
    if weights == "imagenet":
        state, where, origin = _imagenet(kind), "the imagenet weights", weights
    else:
        path = Path(weights)
        state, where = _file(path), str(path)
        origin = f"{path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    n_own = len(common_names) if n_own is None else n_own
    return Pretrained(origin, _fitted(kind, state, common_names, n_own, where))


def widened(filters: Tensor, theirs: Sequence[str | None], ours: Sequence[str | None]) -> Tensor:
    """Return filters ``(out, ours, h, w)`` for our bands, made from ``(out, theirs, h, w)``.

    A band takes the filters of the band with the same common name, or the mean over all of theirs
    if there is none. All are scaled by theirs / ours, so that the sum over the bands, and therefore
    the activation, keeps its magnitude.
    """
    columns = {name: filters[:, band] for band, name in enumerate(theirs) if name is not None}
    mean = filters.mean(dim=1)
    chosen = [mean if name is None else columns.get(name, mean) for name in ours]
    return torch.stack(chosen, dim=1) * (len(theirs) / len(ours))


def _imagenet(kind: str) -> Mapping[str, object]:
    weights = architecture(kind).imagenet()
    try:
        state: Mapping[str, object] = weights.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigError(
            f"the imagenet weights of {kind} cannot be loaded ({_first_line(error)})",
            remedy="set model.weights (--weights) to a file, or to none",
        ) from error
    return state


def _file(path: Path) -> Mapping[str, object]:
    if not is_file(path):
        raise ConfigError(
            f"there is no weights file {path}",
            remedy="set model.weights (--weights) to a file, imagenet or none",
        )
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"{path} is not a plain state dict of torch: it is damaged or would run code",
            remedy="give a .safetensors file, or a state dict saved by torch.save",
        ) from error
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise ConfigError(
            f"{path} cannot be read as weights ({_first_line(error)})",
            remedy="give a .safetensors file, or a state dict saved by torch.save",
        ) from error
    for name in _WITHIN:
        inner = content.get(name) if isinstance(content, Mapping) else None
        content = inner if isinstance(inner, Mapping) else content
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} holds a {type(content).__name__}, not a state dict of weights")
    return content


def _fitted(
    kind: str,
    state: Mapping[str, object],
    common_names: Sequence[str | None],
    n_own: int,
    where: str,
) -> dict[str, Tensor]:
    """Return only the tensors that the trunk has; the file's classification layer is left out."""
    stored = {_stripped(str(name)): value for name, value in state.items()}
    with torch.device("meta"):  # names and shapes only
        trunk, _ = make_trunk(kind, len(common_names))
    first = f"{architecture(kind).first_convolution}.weight"
    tensors: dict[str, Tensor] = {}
    for name, wanted in trunk.state_dict().items():
        value = stored.get(name)
        if value is None and name.endswith(_COUNTER):
            value = torch.zeros((), dtype=wanted.dtype)
        if not isinstance(value, Tensor):
            raise ConfigError(f"{where}: these are not weights of {kind}: {name} is missing")
        value = value.to(wanted.dtype)
        if name == first:
            value = _for_our_bands(value, wanted.shape, common_names, n_own, f"{where}: {name}")
        if value.shape != wanted.shape:
            raise ConfigError(
                f"{where}: these are not weights of {kind}: "
                f"{name} is {_size(value)}, not {_size(wanted)}"
            )
        if not torch.isfinite(value).all():
            raise ConfigError(f"{where}: {name} holds values that are not finite")
        tensors[name] = value
    return tensors


def _for_our_bands(
    filters: Tensor, wanted: torch.Size, ours: Sequence[str | None], n_own: int, where: str
) -> Tensor:
    if filters.dim() != 4 or (filters.shape[0], *filters.shape[2:]) != (wanted[0], *wanted[2:]):
        return filters  # the caller reports what is wrong with the shape
    count = filters.shape[1]
    if count in _LAYOUTS:
        return widened(filters, _LAYOUTS[count], ours)
    if count == n_own < len(ours):
        by_place = [str(place) for place in range(n_own)]
        return widened(filters, by_place, [*by_place, *[None] * (len(ours) - n_own)])
    if count != len(ours):
        raise ConfigError(
            f"{where} takes {counted(count, 'band')}, but only 3 (red, green, blue), 13 "
            f"(Sentinel-2) or the {n_own} of this run can be matched"
        )
    return filters


def _stripped(name: str) -> str:
    while True:
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                name = name[len(prefix) :]
                break
        else:
            return name


def _size(tensor: Tensor) -> str:
    return " x ".join(str(n) for n in tensor.shape) or "a single number"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
