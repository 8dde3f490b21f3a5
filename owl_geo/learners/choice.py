"""The learner that the settings describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from owl_geo.features.rows import FeatureRows
from owl_geo.features.source import FeatureSource
from owl_geo.learners.base import Learner, Material
from owl_geo.learners.head import HeadLearner
from owl_geo.models.devices import pick_device
from owl_geo.settings.config import Settings
from owl_geo.sources.statistics import unscaled

if TYPE_CHECKING:
    from owl_geo.models.devices import Device


def build_learner(
    settings: Settings,
    material: Material,
    table: Callable[[], FeatureRows],
    *,
    seed: int,
    device: Device,
) -> Learner:
    """Build the learner that owl.toml describes, before it has learnt anything.

    Args:
        settings: the settings of the run.
        material: the pool.
        table: returns the features of the pool; called only for a model that uses them.
        seed: the seed of a network's initial weights.
        device: where a network learns and scores.
    """
    if not settings.model.by_gradient:
        return HeadLearner(
            table(),
            material.concepts,
            material.places,
            settings.classes,
            model=settings.model,
            uncertainty=settings.uncertainty,
            workers=material.workers,
        )
    from owl_geo.learners.network import NetworkLearner  # imports torch

    if settings.model.on_features:
        features = FeatureSource(material.source, table())
        material = replace(material, source=features, statistics=unscaled(features.bands))
    return NetworkLearner(
        material,
        settings.classes,
        model=settings.model,
        training=settings.training,
        reptile=settings.reptile,
        meta=settings.reptile_kind,
        uncertainty=settings.uncertainty,
        seed=seed,
        device=pick_device(device),
    )
