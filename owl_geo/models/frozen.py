"""A backbone that does not learn, for features that are computed once and stored."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from owl_geo.models import weights as weights_
from owl_geo.models.backbones import calibrate, enlarged, make_trunk
from owl_geo.models.randomness import seeded
from owl_geo.models.standardize import Standardize
from owl_geo.types import BandStatistics, FloatArray


def frozen_embedder(
    kind: str,
    common_names: Sequence[str | None],
    weights: str,
    statistics: BandStatistics,
    sample: FloatArray | None = None,
    *,
    seed: int = 0,
    device: torch.device | None = None,
) -> nn.Module:
    """Return a module in eval mode from patches ``(n, bands, h, w)`` to features ``(n, d)``.

    Args:
        kind: the backbone's name; ``resnet18`` has d = 512, ``efficientnet_b0`` 1280.
        common_names: the common name of each band; None for a band that has none.
        weights: as in ``weights.read``.
        statistics: the statistics of the bands; the embedder takes the source's own values.
        sample: patches of the pool, ``(n, bands, h, w)``, to calibrate batch normalisation on; see
            ``backbones.calibrate``. None keeps the statistics that came with the weights.
        seed: the seed of fresh weights, if ``weights`` is ``none``.
        device: where the embedder runs; None means the CPU.

    Raises ConfigError as ``weights.read`` does.
    """
    device = device or torch.device("cpu")
    pretrained = weights_.read(kind, weights, common_names)
    with seeded(seed, torch.device("cpu")):
        trunk, _ = make_trunk(kind, len(common_names))
    if pretrained is not None:
        trunk.load_state_dict(pretrained.tensors)
    standardize = Standardize(len(common_names))
    standardize.set(statistics)
    embedder = nn.Sequential(standardize, _Enlarge(), trunk).requires_grad_(False).eval()
    if sample is not None:
        calibrate(embedder, sample, device)
    return embedder.to(device)


class _Enlarge(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return enlarged(x)
