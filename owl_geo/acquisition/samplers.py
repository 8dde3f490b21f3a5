"""Strategies: which patches are worth an annotator's time.

A sampler scores the candidates term by term and then chooses; it knows no model and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.acquisition.selection import RandomState, as_generator, top
from owl_geo.config import AcquisitionSettings
from owl_geo.errors import ConfigError, did_you_mean
from owl_geo.types import IntArray
from owl_geo.uncertainty import entropy

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """The score of each candidate and what it is made of, each float64 ``(n,)``."""

    score: Scores
    uncertainty: Scores  # entropy in nats; not-a-number where no model was asked
    relevance: Scores  # product of the weights of the concepts that hold


class Sampler(Protocol):
    """What the loop asks of a strategy."""

    needs_model: bool  # false: the pool is not read and no model runs

    def terms(self, probabilities: NDArray[np.floating] | None, concepts: pd.DataFrame) -> Terms:
        """Score the candidates; ``probabilities`` is ``(n, classes)``, ``concepts`` has n rows."""

    def choose(self, terms: Terms, batch_size: int, random_state: RandomState) -> IntArray:
        """Return the positions of the chosen candidates, best first, ``(k,)``."""


class _Query:
    """The one-call form for notebooks, in the words of scikit-activeml."""

    @overload
    def query(
        self: Sampler,
        probabilities: NDArray[np.floating] | None,
        concepts: pd.DataFrame,
        *,
        batch_size: int = ...,
        random_state: RandomState = ...,
        return_utilities: Literal[False] = ...,
    ) -> IntArray: ...

    @overload
    def query(
        self: Sampler,
        probabilities: NDArray[np.floating] | None,
        concepts: pd.DataFrame,
        *,
        batch_size: int = ...,
        random_state: RandomState = ...,
        return_utilities: Literal[True],
    ) -> tuple[IntArray, Scores]: ...

    def query(
        self: Sampler,
        probabilities: NDArray[np.floating] | None,
        concepts: pd.DataFrame,
        *,
        batch_size: int = 1,
        random_state: RandomState = None,
        return_utilities: bool = False,
    ) -> IntArray | tuple[IntArray, Scores]:
        """Return the positions of the most wanted candidates, best first.

        Args:
            probabilities: class probabilities ``(n, classes)``; None where the strategy needs none.
            concepts: one row per candidate, one column per concept.
            batch_size: how many; a number above n returns all n.
            random_state: seed or generator that breaks ties.
            return_utilities: also return the score of every candidate, ``(n,)``.
        """
        terms = self.terms(probabilities, concepts)
        chosen = self.choose(terms, batch_size, random_state)
        return (chosen, terms.score) if return_utilities else chosen


class ConceptWeightedSampler(_Query):
    """score = alpha * uncertainty + (1 - alpha) * relevance, both scaled to [0, 1] over the pool.

    Args:
        alpha: 1 = pure uncertainty, 0 = pure relevance.
        weights: factor by which a patch's relevance grows where the yes/no concept holds.
    """

    needs_model = True

    def __init__(self, alpha: float = 0.5, weights: Mapping[str, float] | None = None) -> None:
        if not 0 <= alpha <= 1:
            raise ConfigError(f"alpha is {alpha:g}, but it lies between 0 and 1")
        self.alpha = alpha
        self.weights = dict(weights or {})
        # pure relevance asks no model, so nothing needs to be read
        self.needs_model = alpha > 0

    def terms(self, probabilities: NDArray[np.floating] | None, concepts: pd.DataFrame) -> Terms:
        """Score the candidates; raises ValueError where probabilities are needed and missing."""
        relevance = concept_relevance(concepts, self.weights)
        if probabilities is None:
            if self.needs_model:
                raise ValueError(f"alpha is {self.alpha:g}: uncertainty needs probabilities")
            return Terms(unit_range(relevance), np.full(len(concepts), np.nan), relevance)
        uncertainty = entropy(probabilities)
        score = self.alpha * unit_range(uncertainty) + (1 - self.alpha) * unit_range(relevance)
        return Terms(score, uncertainty, relevance)

    def choose(self, terms: Terms, batch_size: int, random_state: RandomState) -> IntArray:
        """Return the positions of the highest scores, equal ones in random order."""
        return top(terms.score, batch_size, random_state)


class UncertaintySampler(ConceptWeightedSampler):
    """Entropy alone; relevance is still reported, so that an analyst sees it."""

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        super().__init__(alpha=1.0, weights=weights)


class RandomSampler(_Query):
    """A uniform draw: the baseline, and the first batch before there is a model."""

    needs_model = False

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self.weights = dict(weights or {})

    def terms(self, probabilities: NDArray[np.floating] | None, concepts: pd.DataFrame) -> Terms:
        """Relevance only: nothing is scored, so score and uncertainty are not-a-number."""
        nothing = np.full(len(concepts), np.nan)
        return Terms(nothing, nothing, concept_relevance(concepts, self.weights))

    def choose(self, terms: Terms, batch_size: int, random_state: RandomState) -> IntArray:
        """Return ``batch_size`` different positions, uniformly."""
        order = as_generator(random_state).permutation(len(terms.score))
        return order[:batch_size].astype(np.int64)


def concept_relevance(concepts: pd.DataFrame, weights: Mapping[str, float]) -> Scores:
    """Return the product of the weights of the concepts that hold, ``(n,)``; 1 where none does.

    Raises ConfigError for a weight on a concept that is missing or no yes/no.
    """
    relevance = np.ones(len(concepts))
    for name, weight in weights.items():
        if name not in concepts:
            raise ConfigError(f"no concept {name!r} to weigh{did_you_mean(name, concepts.columns)}")
        if concepts[name].dtype != bool:
            raise ConfigError(f"concept {name!r} is no yes/no; derive one with equals or below")
        relevance *= np.where(concepts[name].to_numpy(), weight, 1.0)
    return relevance


def unit_range(values: Scores) -> Scores:
    """Scale to [0, 1] over the pool; where all are equal the term says nothing and becomes 0."""
    if len(values) == 0:
        return values
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros(len(values))


def alpha_at(alpha: float | Literal["ramp"], round_number: int, rounds: int) -> float:
    """Return alpha for a round; the ramp is min(1, round / rounds + 0.3)."""
    if alpha == "ramp":
        return min(1.0, round_number / max(rounds, 1) + 0.3)
    return float(alpha)


def build_sampler(settings: AcquisitionSettings, round_number: int, rounds: int) -> Sampler:
    """Build the strategy that owl.toml names, as it stands in this round."""
    if settings.strategy == "random":
        return RandomSampler(settings.weights)
    if settings.strategy == "uncertainty":
        return UncertaintySampler(settings.weights)
    alpha = alpha_at(settings.alpha, round_number, rounds)
    return ConceptWeightedSampler(alpha, settings.weights)
