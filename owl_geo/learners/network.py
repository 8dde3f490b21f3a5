"""Torch networks as a learner: a single one, one with dropout active, or an ensemble."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from owl_geo.errors import RunError
from owl_geo.learners.base import Lesson, Material
from owl_geo.learners.meta_batches import concept_groups, diverse
from owl_geo.learners.reptile import Reptile
from owl_geo.learners.scoring import predict_members
from owl_geo.learners.training import MetaBatch, fit, halves, meta_update
from owl_geo.models import checkpoint, weights
from owl_geo.models.backbones import calibrate
from owl_geo.models.checkpoint import PatchModel
from owl_geo.models.spec import ModelSpec
from owl_geo.settings.choices import MetaUpdate
from owl_geo.settings.learning import (
    ModelSettings,
    Precision,
    ReptileSettings,
    TrainingSettings,
    UncertaintySettings,
)
from owl_geo.sources.bands import common_names
from owl_geo.sources.base import read_at
from owl_geo.types import BoolArray, FloatArray, IntArray
from owl_geo.work.progress import Progress, part_of

# What random numbers are for; each purpose has its own stream for each member.
_META, _FIT, _GROUPS = range(3)

_SAMPLE = 256  # patches that batch normalisation is calibrated on


class NetworkLearner:
    """Learns by gradient steps from its current weights: Reptile first, then a fit on all answers.

    Its members are one pass, several passes with dropout active, or networks that differ in their
    initial weights and in the order of the answers, depending on ``uncertainty.members``.

    Args:
        material: the pool.
        classes: names of the classes, in the order of their numbers.
        model: the network, whether it sees the concepts, its dropout, a backbone's first weights,
            and the precision that it scores with.
        training: settings of the fit on all answers.
        reptile: settings of the meta-update on fresh answers.
        meta: whether there is a meta-update, and how its tasks are made.
        uncertainty: what its members are.
        seed: the seed of the initial weights.
        device: where the networks learn and score.

    Pretrained weights are read when they are first needed, so never by a restored learner. Reading
    them raises ConfigError if they cannot be loaded.
    """

    goes_on = True

    def __init__(
        self,
        material: Material,
        classes: Sequence[str],
        *,
        model: ModelSettings,
        training: TrainingSettings,
        reptile: ReptileSettings,
        meta: MetaUpdate,
        uncertainty: UncertaintySettings,
        seed: int,
        device: torch.device,
    ) -> None:
        source = material.source
        self._material = material
        self._weights = "none" if model.on_features else model.weights
        self._training = training
        self._reptile = reptile
        self._meta = meta
        self._passes = uncertainty.n_passes
        self._seed = seed
        self._device = device
        # a head sees numbers that it takes no time to score
        self._precision: Precision = "float32" if model.on_features else model.precision
        self._models: tuple[PatchModel, ...] = ()
        self.spec = ModelSpec(
            kind=model.network,
            bands=source.bands,
            classes=tuple(classes),
            patch_size=source.patch_size,
            dropout=model.dropout,
            n_concepts=material.concepts.shape[1] if model.concepts else 0,
            members=uncertainty.n_models,
            weights=self._weights,
            common_names=material.statistics.common_names or common_names(source.bands),
        )

    def learn(
        self,
        positions: IntArray,
        labels: IntArray,
        fresh: BoolArray,
        seed: int,
        progress: Progress | None = None,
    ) -> Lesson:
        """Move each network by Reptile on the fresh answers, then fit it on all answers."""
        models = self._networks()
        if len(positions) == 0:
            return Lesson(math.nan, math.nan)
        images = read_at(self._material.source, positions)
        concepts = self._concepts(positions)
        groups = np.zeros(len(positions), dtype=np.int64)
        if self._meta == "diverse":
            # the tasks may differ in concepts that the network itself does not see
            groups = concept_groups(self._material.concepts[positions], _stream(seed, 0, _GROUPS))
        lessons = []
        for member, model in enumerate(models):
            query_loss = math.nan
            meta_seed = _stream(seed, member, _META)
            if self._meta != "none":
                query_loss = meta_update(
                    model,
                    images,
                    labels,
                    Reptile(
                        inner_lr=self._reptile.inner_lr,
                        meta_lr=self._reptile.meta_lr,
                        inner_steps=self._reptile.inner_steps,
                    ),
                    concepts=concepts,
                    batch=self._tasks(fresh, labels, groups, meta_seed),
                    seed=meta_seed,
                    device=self._device,
                )
            train_loss = fit(
                model,
                images,
                labels,
                self._training,
                concepts=concepts,
                seed=_stream(seed, member, _FIT),
                device=self._device,
                progress=part_of(progress, member, len(models)),
            )
            lessons.append((train_loss, query_loss))
        mean = np.mean(lessons, axis=0)
        return Lesson(float(mean[0]), float(mean[1]))

    def members(
        self, positions: IntArray, *, seed: int, progress: Progress | None = None
    ) -> FloatArray:
        """Return float32 ``(members, n, classes)`` of patches at sorted positions; see ``Learner``.

        Raises RunError if a probability is not finite because training has diverged, and ValueError
        if the positions are not strictly ascending.
        """
        if (np.diff(positions) <= 0).any():
            raise ValueError(
                "positions must ascend: the pool is streamed in the order of the index"
            )
        probabilities = predict_members(
            self._networks(),
            self._material.source,
            positions,
            concepts=self._concepts(positions),
            passes=self._passes,
            seed=seed,
            device=self._device,
            precision=self._precision,
            workers=self._material.workers,
            progress=progress,
        )
        if not np.isfinite(probabilities).all():
            raise RunError(
                "the model's probabilities are not finite: training has diverged",
                remedy="lower training.learning_rate in owl.toml",
            )
        return probabilities

    def save(self, path: Path) -> None:
        """Write all networks and their spec into one file; raises OSError."""
        checkpoint.save(path, self._networks(), self.spec)

    def restore(self, path: Path) -> None:
        """Load the networks of a file; raises RunError if they were not made for this search."""
        models, spec = checkpoint.load(path)
        for what, now, then in [
            ("model.kind", self.spec.kind, spec.kind),
            ("bands", self.spec.bands, spec.bands),
            ("classes", self.spec.classes[: len(spec.classes)], spec.classes),  # more may follow
            ("patch_size", self.spec.patch_size, spec.patch_size),
            ("the number of concepts it sees", self.spec.n_concepts, spec.n_concepts),
            ("the size of the ensemble", self.spec.members, spec.members),
        ]:
            if now != then:
                raise RunError(
                    f"{path} was made for different settings: {what} was {_text(then)} and is now "
                    f"{_text(now)}",
                    remedy="restore owl.toml, or make another run",
                )
        # dropout is not part of the weights: it may change from one round to the next
        self.spec = replace(self.spec, weights=spec.weights)
        for model in models:
            if len(spec.classes) < len(self.spec.classes):
                checkpoint.widen(model, len(self.spec.classes))
            model.network.dropout.p = self.spec.dropout
        self._models = models

    def _networks(self) -> tuple[PatchModel, ...]:
        """Return the networks; the first call builds them unless they were restored."""
        if not self._models:
            self._models = self._build()
        return self._models

    def _build(self) -> tuple[PatchModel, ...]:
        material, spec = self._material, self.spec
        pretrained = None
        if self._weights != "none":
            n_own = len(material.statistics.of(""))
            pretrained = weights.read(spec.kind, self._weights, spec.common_names, n_own)
        if pretrained is not None:
            self.spec = spec = replace(spec, weights=pretrained.origin)
        models = tuple(
            checkpoint.build(spec, checkpoint.member_seed(self._seed, member), pretrained)
            for member in range(spec.members)
        )
        for model in models:
            checkpoint.set_statistics(model, material.statistics)
        if any(model.network.is_calibrated for model in models):
            sample = self._sample()
            for model in models:
                calibrate(model, sample, self._device)
        return models

    def _sample(self) -> FloatArray:
        """Return patches of the pool to calibrate batch normalisation on, ``(n, bands, h, w)``."""
        n = len(self._material.source.index)
        chosen = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).round().astype(np.int64))
        return read_at(self._material.source, chosen)

    def _concepts(self, positions: IntArray) -> FloatArray | None:
        return self._material.concepts[positions] if self.spec.n_concepts else None

    def _tasks(self, fresh: BoolArray, labels: IntArray, groups: IntArray, seed: int) -> MetaBatch:
        if self._meta == "diverse":
            return diverse(fresh, labels, groups, self._reptile.replay, seed)
        return halves(np.flatnonzero(fresh), seed)


def _stream(seed: int, member: int, purpose: int) -> int:
    """Return a seed that depends only on the seed, the member and the purpose."""
    return int(np.random.SeedSequence([seed, member, purpose]).generate_state(1)[0])


def _text(value: object) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, tuple) else str(value)
