"""The sampler that the settings describe, for a given round.

There is one function per strategy; ``settings.choices.STRATEGIES`` gives each its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from owl_geo.acquisition.peers import PeerSampler, check_peer
from owl_geo.acquisition.samplers import (
    ConceptWeightedSampler,
    GreedySampler,
    PowerSampler,
    RandomSampler,
    Sampler,
    UncertaintySampler,
)
from owl_geo.acquisition.spread import Spread
from owl_geo.acquisition.steered import DiscoverySampler, PursuitSampler
from owl_geo.settings.acquisition import AcquisitionSettings
from owl_geo.settings.choices import PEERS, STRATEGIES, chosen


@dataclass(frozen=True)
class Turn:
    """The round that a sampler is made for."""

    settings: AcquisitionSettings
    measure: str  # of uncertainty
    number: int  # 0 is that of the first batch, if a model chooses it already
    rounds: int  # planned

    @property
    def common(self) -> dict[str, Any]:
        """The arguments of samplers that choose by score."""
        settings = self.settings
        return {
            "weights": settings.weights,
            "measure": self.measure,
            "spread": Spread(settings.diversity, settings.min_distance),
        }


def build_sampler(
    settings: AcquisitionSettings, measure: str, round_number: int, rounds: int
) -> Sampler:
    """Build the strategy that owl.toml names.

    Args:
        settings: the settings of the acquisition.
        measure: the measure of uncertainty.
        round_number: 0 for the first batch, if a model chooses it already.
        rounds: the number of planned rounds.

    Raises ConfigError for an unknown strategy of scikit-activeml.
    """
    name = settings.strategy
    if name.startswith(PEERS):
        return PeerSampler(name, settings.weights, measure=measure)
    sampler: Sampler = chosen(STRATEGIES, name)(Turn(settings, measure, round_number, rounds))
    return sampler


def check_strategy(name: str) -> None:
    """Raise ConfigError for a strategy of scikit-activeml that is not available."""
    if name.startswith(PEERS):
        check_peer(name)


def pursuit(turn: Turn) -> Sampler:
    """Choose the most probable, and cover the pool while there is no telling."""
    return PursuitSampler(**turn.common)


def discovery(turn: Turn) -> Sampler:
    """Split a batch between the probable and the uncertain."""
    explore = explore_at(turn.settings.explore, turn.number, turn.rounds)
    return DiscoverySampler(explore, turn.settings.promising, **turn.common)


def concept(turn: Turn) -> Sampler:
    """Combine uncertainty and relevance, as a weighted sum or as a product of powers."""
    if turn.settings.combine == "product":
        powers = turn.settings.powers
        return PowerSampler(powers.uncertainty, powers.relevance, powers.probability, **turn.common)
    alpha = alpha_at(turn.settings.alpha, turn.number, turn.rounds)
    return ConceptWeightedSampler(alpha, **turn.common)


def uncertainty(turn: Turn) -> Sampler:
    """Choose what the model is least sure of."""
    return UncertaintySampler(**turn.common)


def greedy(turn: Turn) -> Sampler:
    """Choose the most probable."""
    return GreedySampler(**turn.common)


def relevance(turn: Turn) -> Sampler:
    """Choose what the concepts favour, without a model."""
    return ConceptWeightedSampler(0.0, **turn.common)


def random(turn: Turn) -> Sampler:
    """Draw uniformly, without a model."""
    return RandomSampler(turn.settings.weights)


def alpha_at(alpha: float | Literal["ramp"], round_number: int, rounds: int) -> float:
    """Return alpha for a round; the ramp is min(1, round / rounds + 0.3)."""
    if alpha == "ramp":
        return min(1.0, round_number / max(rounds, 1) + 0.3)
    return float(alpha)


def explore_at(explore: float | Literal["ramp"], round_number: int, rounds: int) -> float:
    """Return the minimum share of uncertain patches; the ramp falls from 0.6 to 0.1 and stays."""
    if explore == "ramp":
        return 0.1 + 0.5 * (1.0 - min(1.0, round_number / max(rounds, 1)))
    return float(explore)
