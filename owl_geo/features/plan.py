"""Which features a model uses of a pool, and what they depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from owl_geo.disk.presence import is_file
from owl_geo.features import narrow
from owl_geo.features.embedding import EmbeddingFeatures
from owl_geo.features.statistics import in_loops, worth_fusing
from owl_geo.features.stored import Embed
from owl_geo.features.views import WithViews
from owl_geo.settings.choices import MODELS, chosen
from owl_geo.settings.learning import ModelSettings
from owl_geo.sources.bands import common_names
from owl_geo.sources.base import PatchSource, read_at
from owl_geo.types import BandStatistics, FloatArray, IntArray

if TYPE_CHECKING:
    from owl_geo.models.devices import Device

_VERSION = 3  # of how features are computed; a new number makes kept ones stale


class Features(Protocol):
    """Features that need no learned weights; ``settings.choices.MODELS`` gives each kind a name."""

    names: tuple[str, ...]  # of the d features

    def __init__(
        self,
        bands: Sequence[str],
        common_names: Sequence[str | None],
        statistics: BandStatistics,
    ) -> None:
        """Take the bands' names, common names (None for a band without one) and statistics."""

    def __call__(self, patches: FloatArray) -> FloatArray:
        """Return the features, float32 ``(n, d)``, of patches ``(n, bands, height, width)``."""


@dataclass(frozen=True)
class Plan:
    """The features of a model: a frozen backbone's, or else statistics, or an embedding's vectors.

    Those of the scene's own bands come first, then those of the views.
    """

    source: PatchSource
    statistics: BandStatistics  # of the source's bands
    model: ModelSettings

    @cached_property
    def plain(self) -> Features:
        """The function for the scene's own bands, of features without learned weights."""
        kind: type[Features] = chosen(MODELS, self.model.features)
        own = self.statistics.of_scene
        commons = _common_names(own)
        if own.common_names and "nir" not in commons:  # then the narrow one is it
            commons = tuple("nir" if name == "nir08" else name for name in commons)
        if own.dimensions(range(len(own.bands))):  # which mean nothing one by one
            kind = EmbeddingFeatures
        return kind(own.bands, commons, own)

    @property
    def width(self) -> int | None:
        """The number of features; None where only a backbone's weights tell."""
        if self.model.frozen:
            return None
        return len(self.plain.names) + len(self._views.view_names)

    def names(self, width: int) -> tuple[str, ...]:
        """Return the names of all ``width`` features."""
        of_views = self._views.view_names
        if not self.model.frozen:
            return self.plain.names + of_views
        return tuple(f"{self.model.kind}_{i}" for i in range(width - len(of_views))) + of_views

    @property
    def directions(self) -> list[slice]:
        """The columns that have one scale together, since the model looks at vectors."""
        if not MODELS[self.model.features].of_vectors:
            return []
        n_own = getattr(self.plain, "n_dimensions", 0)
        start = len(self.plain.names)
        of_views = [slice(start + at.start, start + at.stop) for at in self._views.directions]
        return [slice(0, n_own), *of_views] if n_own else of_views

    @property
    def is_of_pixels(self) -> bool:
        """Whether a patch is one pixel of an embedding, whose features follow from its vector."""
        n_dimensions = getattr(self.plain, "n_dimensions", 0)
        return self.source.patch_size == 1 and n_dimensions == len(self.source.bands)

    def recipe(self, sample: IntArray, seed: int) -> dict[str, object]:
        """Return what the features depend on besides the pixels, as JSON values.

        Args:
            sample: positions of the patches that a backbone is fitted to.
            seed: of its random weights.
        """
        commons = _common_names(self.statistics)
        recipe: dict[str, object] = {
            "version": _VERSION,
            "bands": self.source.bands,
            "scale": self.statistics.scale.tolist(),
        }
        if commons != common_names(self.source.bands):
            recipe["common_names"] = commons
        if self.statistics.origins:
            recipe["origins"] = [
                [origin.view, origin.what, origin.common] for origin in self.statistics.origins
            ]
        if self.model.frozen:
            recipe["weights"] = _weights_id(self.model)
            recipe["seed"] = seed
            if self.model.precision != "float32":
                recipe["precision"] = self.model.precision
            recipe["sample"] = self.source.index["patch_id"].iloc[sample].tolist()
        elif self.is_of_pixels:  # files of a kind that a version does not know have other names
            recipe["kinds"] = [kind.descr for kind in narrow.KINDS]
        return recipe

    def embedder(self, sample: IntArray, device: Device, seed: int) -> Embed:
        """Return what computes all features; see ``recipe``.

        Raises ConfigError if a backbone's weights are not available.
        """
        own = self._backbone(sample, device, seed) if self.model.frozen else self.plain
        embed = WithViews(own, self.statistics) if self.statistics.origins else own
        return self.compiled(embed)

    def compiled(self, embed: Embed) -> Embed:
        """Return the same in compiled loops, where the pool is worth it."""
        n_values = len(self.source.index) * len(self.source.bands) * self.source.patch_size**2
        return in_loops(embed) if worth_fusing(n_values) else embed

    def _backbone(self, sample: IntArray, device: Device, seed: int) -> Embed:
        patches = read_at(self.source, sample)
        if self.statistics.origins:
            patches = np.ascontiguousarray(patches[:, list(self.statistics.of(""))])
        from owl_geo.features.backbone import backbone  # imports torch

        own, n = self.statistics.of_scene, len(self.source.index)
        return backbone(self.model, _common_names(own), own, patches, n, seed=seed, device=device)

    @cached_property
    def _views(self) -> WithViews:
        return WithViews(lambda patches: patches, self.statistics)


def _common_names(statistics: BandStatistics) -> tuple[str | None, ...]:
    """Return what the bands are; of a run that has not written it down, what their names say."""
    return statistics.common_names or common_names(statistics.bands)


def _weights_id(model: ModelSettings) -> list[object]:
    """Identify a file of weights by size and time too: it may be replaced under the same name."""
    path = Path(model.weights)
    if not is_file(path):
        return [model.weights]
    stat = path.stat()
    return [model.weights, stat.st_size, stat.st_mtime_ns]
