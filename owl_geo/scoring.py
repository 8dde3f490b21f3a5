"""From the pool to probabilities, streamed: memory does not grow with the pool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from owl_geo.errors import ConfigError
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
    model: nn.Module,
    source: PatchSource,
    ids: Sequence[str],
    *,
    device: torch.device,
    progress: Progress | None = None,
) -> FloatArray:
    """Return class probabilities, float32 ``(n, classes)``, in the order of the index.

    ``ids`` must be in the order of the source's index, as a boolean choice from it gives them.
    """
    layout = torch.channels_last  # what convolutions compute in anyway, on CPU and GPU
    model = model.to(device).to(memory_format=layout).eval()
    parts: list[FloatArray] = []
    done = 0
    with torch.inference_mode():
        for part, patches in source.stream(ids, batch_size=_BATCH):
            x = torch.from_numpy(patches).to(device, memory_format=layout)
            parts.append(torch.softmax(model(x), dim=1).cpu().numpy())
            done += len(part)
            if progress is not None:
                progress(done, len(ids))
    return np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)
