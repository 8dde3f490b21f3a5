"""Torchvision's backbones, for patches of any size and any number of bands.

ResNet-18: He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2016, arXiv
1512.03385. EfficientNet-B0: Tan, Le: EfficientNet, 2019, arXiv 1905.11946.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from owl_geo.errors import did_you_mean
from owl_geo.models.network import PatchNetwork
from owl_geo.models.spec import ModelSpec
from owl_geo.settings.choices import MODELS
from owl_geo.types import FloatArray

_MIN_SIDE = 64  # pixels
_BATCH = 64  # patches at a time


@dataclass(frozen=True)
class Architecture:
    """A network of torchvision; ``settings.choices.MODELS`` gives each its name."""

    # number of bands -> network without its last layer, width of its output
    make: Callable[[int], tuple[nn.Module, int]]
    first_convolution: str  # its name in the state dict
    imagenet: Callable[[], Any]  # torchvision's weights

    def for_spec(self, spec: ModelSpec) -> Backbone:
        """Build a backbone with fresh weights."""
        sizes = (len(spec.bands), len(spec.classes))
        return Backbone(spec.kind, *sizes, spec.dropout, spec.n_concepts)


def architecture(kind: str) -> Architecture:
    """Return the backbone of this name; raises ValueError if there is none."""
    backbones = {name: choice for name, choice in MODELS.items() if choice.is_backbone}
    if kind not in backbones:
        raise ValueError(f"no backbone {kind!r}{did_you_mean(kind, backbones)}")
    backbone: Architecture = backbones[kind].implementation
    return backbone


class Backbone(PatchNetwork):
    """A network of torchvision whose first convolution takes ``n_bands`` bands.

    Takes standardised float32 ``(n, n_bands, height, width)`` of any size, and ``(n, n_concepts)``
    if there are concepts; returns logits ``(n, n_classes)``. Raises ValueError for an unknown kind.

    Patches whose shorter side is below 64 pixels are enlarged bilinearly. Both backbones halve the
    image five times: 8 pixels would leave only padding after the third time, and filters learnt on
    photographs look for edges several pixels wide. With 64 pixels, the last map is 2 x 2.

    The trunk stays in eval mode even during training: its weights learn, but batch normalisation
    keeps the statistics it was given (see ``calibrate``), and no residual branch is dropped. An
    active learner has a few dozen answers, chosen because they are unusual; means and variances
    over small batches of them are noise, and differ from those of the pool that is scored next.
    """

    is_calibrated = True

    def __init__(
        self, kind: str, n_bands: int, n_classes: int, dropout: float = 0.5, n_concepts: int = 0
    ) -> None:
        super().__init__()
        self.kind = kind
        self.n_concepts = n_concepts
        self.trunk, width = make_trunk(kind, n_bands)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width + n_concepts, n_classes)
        self.trunk.eval()

    def embed(self, x: Tensor) -> Tensor:
        """Return pooled features: ``(n, 512)`` of resnet18, ``(n, 1280)`` of efficientnet_b0."""
        return cast(Tensor, self.trunk(enlarged(x)))

    def train(self, mode: bool = True) -> Backbone:
        """Set the mode of every layer except the trunk, which stays in eval mode."""
        super().train(mode)
        self.trunk.eval()
        return self

    def load_trunk(self, tensors: Mapping[str, Tensor]) -> None:
        """Load the weights that ``weights.read`` returned."""
        self.trunk.load_state_dict(tensors)


def make_trunk(kind: str, n_bands: int) -> tuple[nn.Module, int]:
    """Return a fresh network without its classification layer, and the width of its output."""
    return architecture(kind).make(n_bands)


def _resnet18(n_bands: int) -> tuple[nn.Module, int]:
    from torchvision import models  # slow to import, and not needed by the CNN

    resnet = models.resnet18()
    width = resnet.fc.in_features
    resnet.fc = nn.Identity()
    resnet.conv1 = _for_bands(resnet.conv1, n_bands)
    return resnet, width


def _resnet18_imagenet() -> Any:
    from torchvision import models

    return models.ResNet18_Weights.IMAGENET1K_V1


def _efficientnet_b0(n_bands: int) -> tuple[nn.Module, int]:
    from torchvision import models

    efficientnet = models.efficientnet_b0()
    width = efficientnet.classifier[-1].in_features
    efficientnet.classifier = nn.Identity()
    efficientnet.features[0][0] = _for_bands(efficientnet.features[0][0], n_bands)
    return efficientnet, width


def _efficientnet_b0_imagenet() -> Any:
    from torchvision import models

    return models.EfficientNet_B0_Weights.IMAGENET1K_V1


RESNET18 = Architecture(_resnet18, "conv1", _resnet18_imagenet)
EFFICIENTNET_B0 = Architecture(_efficientnet_b0, "features.0.0", _efficientnet_b0_imagenet)


def _for_bands(convolution: nn.Conv2d, n_bands: int) -> nn.Conv2d:
    """Return a convolution like the given one, but for ``n_bands`` bands and with fresh weights."""
    wider = nn.Conv2d(
        n_bands,
        convolution.out_channels,
        kernel_size=cast(tuple[int, int], convolution.kernel_size),
        stride=cast(tuple[int, int], convolution.stride),
        padding=cast(tuple[int, int], convolution.padding),
        bias=False,
    )
    nn.init.kaiming_normal_(wider.weight, mode="fan_out", nonlinearity="relu")  # as in torchvision
    return wider


def enlarged(x: Tensor) -> Tensor:
    """Return patches whose shorter side is at least 64 pixels, with the same aspect ratio."""
    height, width = (int(edge) for edge in x.shape[-2:])  # plain numbers, even when traced
    shorter = min(height, width)
    if shorter >= _MIN_SIDE:
        return x
    size = (round(height * _MIN_SIDE / shorter), round(width * _MIN_SIDE / shorter))
    return interpolate(x, size=size, mode="bilinear", align_corners=False)


def calibrate(model: nn.Module, images: FloatArray, device: torch.device) -> None:
    """Set the statistics of every batch normalisation permanently to those of a sample of the pool.

    ``images`` is float32 ``(n, bands, height, width)``. Statistics of photographs, or of a product
    in other units, do not fit the standardised bands of this pool; the weights are unchanged
    (Li et al.: Revisiting Batch Normalization for Practical Domain Adaptation, 2016, arXiv
    1603.04779). Fresh weights need this too: without it, nothing is normalised at all. Nothing
    happens if the model has no batch normalisation, or if the sample is empty.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not layers or len(images) == 0:
        return
    model.to(device).eval()
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over all batches
        layer.train()
    # nothing is normalised after the embedding, which needs no concepts
    embed = getattr(model, "embed", model)
    parts = max(1, round(len(images) / _BATCH))  # of nearly equal size, hence equal weight
    with torch.inference_mode():
        for part in torch.tensor_split(torch.from_numpy(images), parts):
            embed(part.to(device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
