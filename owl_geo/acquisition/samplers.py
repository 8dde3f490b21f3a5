"""Strategies, which choose the patches that are worth an annotator's time.

A sampler scores the candidates term by term and then chooses; it uses no model and no file itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, Protocol, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.acquisition.candidates import Candidates, Scores, Terms, constant
from owl_geo.acquisition.selection import RandomState, as_generator
from owl_geo.acquisition.spread import Spread
from owl_geo.errors import ConfigError, suggestion
from owl_geo.measures.uncertainty import Measure, uncertainty
from owl_geo.settings.choices import MEASURES, chosen
from owl_geo.types import IntArray


class Sampler(Protocol):
    """What a search requires of a strategy."""

    needs_model: bool  # if not, the pool is not read and no model runs
    is_uniform: bool  # all patches are equally likely to be chosen

    @property
    def needs_features(self) -> bool:
        """Whether it measures distances between patches."""

    def terms(self, candidates: Candidates) -> Terms:
        """Score the candidates; raises ValueError if probabilities are needed but missing."""

    def choose(
        self, terms: Terms, candidates: Candidates, batch_size: int, random_state: RandomState
    ) -> IntArray:
        """Return the positions of the chosen candidates, most wanted first, ``(k,)``."""


class ScoreSampler:
    """What the strategies share: terms, the choice of the highest scores, and ``query``.

    Args:
        weights: for each yes/no concept, the factor of a patch's relevance where it holds.
        measure: the measure of uncertainty.
        spread: how a batch is made diverse.

    Raises ConfigError for a weight that is negative or not finite.
    """

    needs_model = True
    is_uniform = False

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        *,
        measure: str = "entropy",
        spread: Spread | None = None,
    ) -> None:
        self.weights = dict(weights or {})
        for name, weight in self.weights.items():
            if not (weight >= 0 and math.isfinite(weight)):
                raise ConfigError(
                    f"the weight of {name!r} is {weight:g}, but it must be finite, and 0 or more"
                )
        self.measure: str = measure
        self.spread = spread or Spread()

    @property
    def needs_features(self) -> bool:
        """Whether it measures distances between patches."""
        return self.spread.needs_features

    def score(self, uncertainty: Scores, relevance: Scores, probability: Scores) -> Scores:
        """Combine the terms, each ``(n,)``, into one score."""
        raise NotImplementedError

    def terms(self, candidates: Candidates) -> Terms:
        """Score the candidates; raises ValueError if probabilities are needed but missing."""
        relevance = candidates.relevance
        if relevance is None:
            relevance = concept_relevance(candidates.concepts, self.weights)
        doubt = constant(math.nan, len(candidates))
        if candidates.members is not None:
            doubt = uncertainty(candidates.members, self.measure)
        elif self.needs_model:
            raise ValueError("this strategy needs probabilities, but there are none")
        probability = candidates.probability
        return Terms(self.score(doubt, relevance, probability), doubt, relevance, probability)

    def choose(
        self, terms: Terms, candidates: Candidates, batch_size: int, random_state: RandomState
    ) -> IntArray:
        """Return the positions of the highest scores, ties in random order."""
        return self.spread.choose(
            terms.score,
            batch_size,
            as_generator(random_state),
            features=candidates.features,
            places=candidates.places,
        )

    @overload
    def query(
        self,
        probabilities: NDArray[np.floating] | None,
        concepts: pd.DataFrame,
        *,
        batch_size: int = ...,
        random_state: RandomState = ...,
        return_utilities: Literal[False] = ...,
    ) -> IntArray: ...

    @overload
    def query(
        self,
        probabilities: NDArray[np.floating] | None,
        concepts: pd.DataFrame,
        *,
        batch_size: int = ...,
        random_state: RandomState = ...,
        return_utilities: Literal[True],
    ) -> tuple[IntArray, Scores]: ...

    def query(
        self,
        probabilities: NDArray[np.floating] | None,
        concepts: pd.DataFrame,
        *,
        batch_size: int = 1,
        random_state: RandomState = None,
        return_utilities: bool = False,
    ) -> IntArray | tuple[IntArray, Scores]:
        """Return the positions of the best candidates, best first; named as in scikit-activeml.

        Args:
            probabilities: class probabilities ``(n, classes)``, or those of several members
                ``(members, n, classes)``; None if the strategy needs none. The last class is the
                one that is searched for.
            concepts: one row per candidate, one column per concept.
            batch_size: how many; a number above n returns all n.
            random_state: seed or generator that breaks ties.
            return_utilities: also return the score of every candidate, ``(n,)``.

        Raises ValueError if the measure of uncertainty needs more members than there are, and for a
        negative ``batch_size``.
        """
        if batch_size < 0:
            raise ValueError(f"batch_size is {batch_size}, but it must not be negative")
        if probabilities is not None and np.ndim(probabilities) == 2:
            probabilities = np.asarray(probabilities)[None]
        if probabilities is not None:
            self._check_members(len(probabilities))
            probabilities = np.asarray(probabilities)
        candidates = Candidates(concepts, probabilities)
        terms = self.terms(candidates)
        positions = self.choose(terms, candidates, batch_size, random_state)
        return (positions, terms.score) if return_utilities else positions

    def _check_members(self, n: int) -> None:
        measure: Measure = chosen(MEASURES, self.measure)
        if n < measure.fewest_members:
            raise ValueError(
                f"{self.measure} compares {measure.fewest_members} members or more, not {n}; give "
                "probabilities (members, n, classes)"
            )


class ConceptWeightedSampler(ScoreSampler):
    """score = alpha * uncertainty + (1 - alpha) * relevance, both scaled to [0, 1] over the pool.

    Args:
        alpha: 1 = pure uncertainty, 0 = pure relevance, which needs no model.
        weights, measure, spread: see ``ScoreSampler``.

    Raises ConfigError for an alpha below 0 or above 1.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        weights: Mapping[str, float] | None = None,
        *,
        measure: str = "entropy",
        spread: Spread | None = None,
    ) -> None:
        super().__init__(weights, measure=measure, spread=spread)
        if not 0 <= alpha <= 1:
            raise ConfigError(f"alpha is {alpha:g}, but it must be between 0 and 1")
        self.alpha = alpha
        # pure relevance needs no model, so nothing is read
        self.needs_model = alpha > 0

    def score(self, uncertainty: Scores, relevance: Scores, probability: Scores) -> Scores:
        """Return the weighted sum of the scaled terms."""
        if not self.needs_model:
            return unit_range(relevance)
        return self.alpha * unit_range(uncertainty) + (1 - self.alpha) * unit_range(relevance)


class PowerSampler(ScoreSampler):
    """score = uncertainty^a * relevance^b * probability^c, which needs no scaling over the pool.

    Args:
        uncertainty_power, relevance_power, probability_power: a, b and c, 0 or more; 0 leaves the
            term out.
        weights, measure, spread: see ``ScoreSampler``.

    Raises ConfigError for a negative power.
    """

    def __init__(
        self,
        uncertainty_power: float = 1.0,
        relevance_power: float = 1.0,
        probability_power: float = 0.0,
        weights: Mapping[str, float] | None = None,
        *,
        measure: str = "entropy",
        spread: Spread | None = None,
    ) -> None:
        super().__init__(weights, measure=measure, spread=spread)
        self.powers = (uncertainty_power, relevance_power, probability_power)
        if min(self.powers) < 0:
            raise ConfigError(f"the powers are {self.powers}, but none may be negative")
        self.needs_model = uncertainty_power > 0 or probability_power > 0

    def score(self, uncertainty: Scores, relevance: Scores, probability: Scores) -> Scores:
        """Return the product of the powers of the terms."""
        score = np.ones(len(relevance))
        for term, power in zip((uncertainty, relevance, probability), self.powers, strict=True):
            if power > 0:
                score = score * term**power
        return score


class UncertaintySampler(ConceptWeightedSampler):
    """Uncertainty alone; relevance is still reported, so that the analyst sees it."""

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        *,
        measure: str = "entropy",
        spread: Spread | None = None,
    ) -> None:
        super().__init__(1.0, weights, measure=measure, spread=spread)


class GreedySampler(PowerSampler):
    """The most probable patches, however sure the model is."""

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        *,
        measure: str = "entropy",
        spread: Spread | None = None,
    ) -> None:
        super().__init__(0.0, 0.0, 1.0, weights, measure=measure, spread=spread)


class RandomSampler(ScoreSampler):
    """A uniform draw, the baseline."""

    needs_model = False
    is_uniform = True

    def score(self, uncertainty: Scores, relevance: Scores, probability: Scores) -> Scores:
        """Return not-a-number for every candidate: nothing is scored."""
        return constant(math.nan, len(relevance))

    def choose(
        self, terms: Terms, candidates: Candidates, batch_size: int, random_state: RandomState
    ) -> IntArray:
        """Return ``batch_size`` distinct positions, drawn uniformly."""
        order = as_generator(random_state).permutation(len(candidates))
        return order[:batch_size].astype(np.int64)


def concept_relevance(concepts: pd.DataFrame, weights: Mapping[str, float]) -> Scores:
    """Return the product of the weights of the concepts that hold, ``(n,)``; 1 where none does.

    Raises ConfigError for a weight whose concept is missing or not yes/no.
    """
    relevance = np.ones(len(concepts))
    for name, weight in weights.items():
        if name not in concepts:
            raise ConfigError(
                f"no concept {name!r} to weigh", remedy=suggestion(name, concepts.columns)
            )
        if concepts[name].dtype != bool:
            raise ConfigError(
                f"concept {name!r} is not a yes/no concept",
                remedy="derive one with equals or below",
            )
        relevance *= np.where(concepts[name].to_numpy(), weight, 1.0)
    return relevance


def unit_range(values: Scores) -> Scores:
    """Scale to [0, 1] over the pool; if all are equal, the term is uninformative and becomes 0."""
    if len(values) == 0:
        return values
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros(len(values))
