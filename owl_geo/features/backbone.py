"""Features of a frozen backbone; the only part of the features that needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from owl_geo.models.compiled import WORTH_IT, Compiled, is_available
from owl_geo.models.devices import pick_device
from owl_geo.models.frozen import frozen_embedder
from owl_geo.models.precision import autocast, usable_precision
from owl_geo.settings.learning import ModelSettings, Precision
from owl_geo.types import BandStatistics, FloatArray

if TYPE_CHECKING:
    from owl_geo.models.devices import Device


def backbone(
    model: ModelSettings,
    common_names: Sequence[str | None],
    statistics: BandStatistics,
    sample: FloatArray,
    n: int,
    *,
    seed: int,
    device: Device,
) -> Compiled | Backbone:
    """Return the function that computes the features of patches; see ``frozen_embedder``.

    For ``n`` patches that are worth it, the backbone is compiled on a CPU.
    """
    where = pick_device(device)
    precision = usable_precision(model.precision, where)
    module = frozen_embedder(
        model.kind,
        common_names,
        model.weights,
        statistics,
        sample,
        seed=seed,
        device=where,
    )
    if where.type == "cpu" and n >= WORTH_IT and is_available():
        return Compiled(module, sample.shape[1:], precision)
    return Backbone(module, where, precision)


@dataclass(frozen=True)
class Backbone:
    """A module from patches ``(n, bands, height, width)`` to ``(n, d)``, both float32 arrays."""

    module: torch.nn.Module
    device: torch.device
    precision: Precision = "float32"

    def __call__(self, patches: FloatArray) -> FloatArray:
        """Return the features of patches."""
        with torch.inference_mode():
            x = torch.from_numpy(patches).to(self.device, memory_format=torch.channels_last)
            with autocast(self.device, self.precision):
                features = self.module(x)
            values: FloatArray = features.float().cpu().numpy()
        return values
