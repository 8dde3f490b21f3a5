"""Strategies that look for targets: probabilities that prior knowledge steers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from owl_geo.acquisition.candidates import Candidates, Scores, Terms
from owl_geo.acquisition.samplers import ScoreSampler
from owl_geo.acquisition.selection import RandomState, as_generator
from owl_geo.acquisition.spread import Spread
from owl_geo.errors import ConfigError
from owl_geo.types import IntArray

_STEERED = 5  # targets found that halve the exponent of the relevance


class SteeredSampler(ScoreSampler):
    """What the strategies share that look for targets: probabilities that prior knowledge steers.

    score = probability * relevance^steering, where ``steering`` falls from 1: prior knowledge leads
    while the model knows little, and then gives way, since the model sees the concepts as well.
    While all answers are of one class, the batch covers the pool instead, by relevance and distance
    from the answered patches.
    """

    @property
    def needs_features(self) -> bool:
        """Always true: while all answers are of one class, the batch covers the pool."""
        return True

    def terms(self, candidates: Candidates) -> Terms:
        """Score the candidates by probability, weighted by relevance."""
        terms = super().terms(candidates)
        steered = terms.probability * terms.relevance ** self.steering(candidates)
        return replace(terms, score=steered)

    def steering(self, candidates: Candidates) -> float:
        """Return the exponent of the relevance, 0 to 1."""
        raise NotImplementedError

    def score(self, uncertainty: Scores, relevance: Scores, probability: Scores) -> Scores:
        """Return the probability; ``terms`` weights it by relevance."""
        return probability

    def choose(
        self, terms: Terms, candidates: Candidates, batch_size: int, random_state: RandomState
    ) -> IntArray:
        """Return the batch, most wanted first."""
        rng = as_generator(random_state)
        count = min(batch_size, len(candidates))
        if candidates.one_class_only and len(candidates.features):
            return replace(self.spread, diversity="kmeans++").choose(
                terms.relevance,
                count,
                rng,
                features=candidates.features,
                places=candidates.places,
                known=candidates.known_features,
            )
        return self._divided(terms, candidates, count, rng)

    def _divided(
        self, terms: Terms, candidates: Candidates, count: int, rng: np.random.Generator
    ) -> IntArray:
        """Return ``count`` patches once answers of both classes are known."""
        raise NotImplementedError


class PursuitSampler(SteeredSampler):
    """The most probable patches, once a target and another patch are known.

    Before that, the batch covers the pool; see ``SteeredSampler``. Five targets leave half of the
    relevance, and n of them 5 / (5 + n). Nothing else explores but the audit, which is drawn at
    random: whatever else was tried found fewer targets.

    Args:
        weights, measure, spread: see ``ScoreSampler``.
    """

    def steering(self, candidates: Candidates) -> float:
        """Return the exponent of the relevance, which falls with what is found."""
        return _STEERED / (_STEERED + candidates.n_found)

    def _divided(
        self, terms: Terms, candidates: Candidates, count: int, rng: np.random.Generator
    ) -> IntArray:
        return self.spread.choose(
            terms.score, count, rng, features=candidates.features, places=candidates.places
        )


class DiscoverySampler(SteeredSampler):
    """Splits a batch between probable patches, to find targets, and uncertain ones, to learn from.

    Most of the batch are probable patches. At least a share of ``explore`` are uncertain patches,
    scored with uncertainty in place of probability. Uncertain patches also replace probable ones
    whose probability is below ``promising``: once the targets are found, or while the model has no
    idea of them, the batch serves learning. The relevance falls over the planned rounds.

    While all answers are of one class, the batch covers the pool; see ``SteeredSampler``.

    Args:
        explore: minimum share of uncertain patches in the batch, 0 to 1.
        promising: minimum probability of the probable patches, 0 to 1.
        weights, measure, spread: see ``ScoreSampler``.

    Raises ConfigError for a share or a probability below 0 or above 1.
    """

    def __init__(
        self,
        explore: float = 0.2,
        promising: float = 0.5,
        weights: Mapping[str, float] | None = None,
        *,
        measure: str = "entropy",
        spread: Spread | None = None,
    ) -> None:
        super().__init__(weights, measure=measure, spread=spread)
        for name, share in (("explore", explore), ("promising", promising)):
            if not 0 <= share <= 1:
                raise ConfigError(f"{name} is {share:g}, but it must be between 0 and 1")
        self.explore = explore
        self.promising = promising

    def steering(self, candidates: Candidates) -> float:
        """Return the exponent of the relevance: the share of the planned rounds that is to come."""
        return 1 - candidates.spent

    def _divided(
        self, terms: Terms, candidates: Candidates, count: int, rng: np.random.Generator
    ) -> IntArray:
        wanted = self.explore * count
        # the fraction of a patch is decided by chance, or small batches would never explore
        least = int(wanted) + int(rng.random() < wanted - int(wanted))
        features, places = candidates.features, candidates.places
        probable = self.spread.choose(
            terms.score, count - least, rng, features=features, places=places
        )
        probable = probable[terms.probability[probable] >= self.promising]
        uncertain = self.spread.choose(
            terms.uncertainty * terms.relevance ** self.steering(candidates),
            count - len(probable),
            rng,
            features=features,
            places=places,
            taken=probable,
        )
        return np.concatenate([probable, uncertain])
