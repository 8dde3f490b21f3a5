"""Puts bands on a common scale: the first layer of a model, saved with the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from owl_geo.types import BandStatistics

_LIMIT = 10.0  # scaled units; a cloud or a saturated pixel should not dominate a patch


class Standardize(nn.Module):
    """Subtract each band's median, divide by its scale, and clip to +-10.

    Takes and returns float32 ``(n, bands, height, width)``. The statistics are buffers, not
    parameters: neither an optimiser nor a meta-update moves them.
    """

    median: Tensor
    scale: Tensor

    def __init__(self, n_bands: int) -> None:
        super().__init__()
        self.register_buffer("median", torch.zeros(1, n_bands, 1, 1))
        self.register_buffer("scale", torch.ones(1, n_bands, 1, 1))

    def set(self, statistics: BandStatistics) -> None:
        """Set the statistics to those of the pool."""
        self.median.copy_(torch.from_numpy(statistics.median).view_as(self.median))
        self.scale.copy_(torch.from_numpy(statistics.scale).view_as(self.scale))

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.median) / self.scale).clamp(-_LIMIT, _LIMIT)
