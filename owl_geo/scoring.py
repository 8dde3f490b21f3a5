"""From the pool to probabilities, streamed: memory does not grow with the patches' pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from owl_geo.errors import ConfigError
from owl_geo.models.checkpoint import PatchModel
from owl_geo.models.randomness import seeded
from owl_geo.sources.base import PatchSource
from owl_geo.types import FloatArray, Progress

_BATCH = 64  # patches at a time; larger batches fall out of a CPU's cache


def pick_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu``, ``cuda``, ``mps``; raises ConfigError if missing."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    if not available.get(name, False):
        raise ConfigError(f"--device {name}: this machine has no such device; use auto or cpu")
    return torch.device(name)


def predict_proba(
    model: PatchModel,
    source: PatchSource,
    ids: Sequence[str],
    *,
    concepts: FloatArray | None = None,
    device: torch.device,
    progress: Progress | None = None,
) -> FloatArray:
    """Return class probabilities, float32 ``(n, classes)``, in the order of the index.

    ``ids`` must be in the order of the source's index, as a boolean choice from it gives them;
    ``concepts`` is float32 ``(n, n_concepts)`` in the same order.
    """
    members = predict_members(
        [model], source, ids, concepts=concepts, device=device, progress=progress
    )
    only: FloatArray = members[0]
    return only


def predict_members(
    models: Sequence[PatchModel],
    source: PatchSource,
    ids: Sequence[str],
    *,
    concepts: FloatArray | None = None,
    passes: int = 0,
    seed: int = 0,
    device: torch.device,
    progress: Progress | None = None,
) -> FloatArray:
    """Return every member's class probabilities, float32 ``(members, n, classes)``.

    The members are the networks of a deep ensemble (Lakshminarayanan, Pritzel, Blundell: Simple and
    Scalable Predictive Uncertainty Estimation using Deep Ensembles, 2017), one for a single model;
    with ``passes`` they are that many samples of each network with its dropout on, drawn from
    ``seed`` (Gal, Ghahramani: Dropout as a Bayesian Approximation, 2016).

    The pool is read once, whatever the number of members, and each network embeds a patch once:
    dropout stands behind the embedding, so only it and the last layer are repeated. Nothing but
    dropout is random; batch normalisation stays as it is. Orders as for ``predict_proba``.
    """
    layout = torch.channels_last  # what convolutions compute in anyway, on CPU and GPU
    for model in models:
        model.to(device).to(memory_format=layout).eval()
    repeats = max(passes, 1)
    n_classes = models[0].n_classes
    result = np.empty((len(models) * repeats, len(ids), n_classes), dtype=np.float32)
    done = 0
    with torch.inference_mode(), seeded(seed, device), _dropout(models, on=passes > 0):
        for part, patches in source.stream(ids, batch_size=_BATCH):
            stop = done + len(part)
            x = torch.from_numpy(patches).to(device, memory_format=layout)
            known = None
            if concepts is not None:
                known = torch.from_numpy(concepts[done:stop]).to(device).repeat(repeats, 1)
            for number, model in enumerate(models):
                said = _repeated(model, x, known, repeats)  # (repeats, part, classes)
                result[number * repeats : (number + 1) * repeats, done:stop] = said.cpu().numpy()
            done = stop
            if progress is not None:
                progress(done, len(ids))
    return result


def _repeated(model: PatchModel, x: Tensor, concepts: Tensor | None, repeats: int) -> Tensor:
    features = model.embed(x).repeat(repeats, 1)
    probabilities = torch.softmax(model.classify(features, concepts), dim=1)
    return probabilities.view(repeats, len(x), -1)


@contextmanager
def _dropout(models: Sequence[PatchModel], *, on: bool) -> Iterator[None]:
    """Put the dropout layers, and no others, into train mode for a while."""
    layers = [m for model in models for m in model.modules() if isinstance(m, nn.Dropout)]
    for layer in layers:
        layer.train(on)
    try:
        yield
    finally:
        for layer in layers:
            layer.eval()
