"""Which sampler the settings mean, as it stands in a given round.

A function per strategy; ``settings.choices.STRATEGIES`` gives each its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from owl_geo.acquisition.peers import PeerSampler, check_peer
from owl_geo.acquisition.samplers import (
    ConceptWeightedSampler,
    DiscoverySampler,
    GreedySampler,
    PowerSampler,
    RandomSampler,
    Sampler,
    UncertaintySampler,
)
from owl_geo.acquisition.spread import Spread
from owl_geo.settings.choices import PEERS, STRATEGIES, chosen
from owl_geo.settings.config import AcquisitionSettings


@dataclass(frozen=True)
class Turn:
    """The round that a sampler is made for."""

    settings: AcquisitionSettings
    measure: str  # of the uncertainty
    number: int  # the first batch that a model chooses is of round 1
    rounds: int  # that are planned

    @property
    def common(self) -> dict[str, Any]:
        """What samplers that choose by score take."""
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
        settings: of the acquisition.
        measure: of the uncertainty.
        round_number: the first batch that a model chooses is of round 1.
        rounds: how many are planned.

    Raises ConfigError for a strategy of scikit-activeml that is not there.
    """
    name = settings.strategy
    if name.startswith(PEERS):
        return PeerSampler(name, settings.weights, measure=measure)
    sampler: Sampler = chosen(STRATEGIES, name)(Turn(settings, measure, round_number, rounds))
    return sampler


def check_strategy(name: str) -> None:
    """Raise ConfigError for a strategy of another package that is not there."""
    if name.startswith(PEERS):
        check_peer(name)


def discovery(turn: Turn) -> Sampler:
    """The probable and the uncertain share a batch."""
    explore = explore_at(turn.settings.explore, turn.number, turn.rounds)
    return DiscoverySampler(explore, turn.settings.promising, **turn.common)


def concept(turn: Turn) -> Sampler:
    """Uncertainty and relevance, as a weighted sum or as a product of powers."""
    if turn.settings.combine == "product":
        powers = turn.settings.powers
        return PowerSampler(powers.uncertainty, powers.relevance, powers.probability, **turn.common)
    alpha = alpha_at(turn.settings.alpha, turn.number, turn.rounds)
    return ConceptWeightedSampler(alpha, **turn.common)


def uncertainty(turn: Turn) -> Sampler:
    """What the model is least sure of."""
    return UncertaintySampler(**turn.common)


def greedy(turn: Turn) -> Sampler:
    """The most probable."""
    return GreedySampler(**turn.common)


def relevance(turn: Turn) -> Sampler:
    """What the concepts speak for; no model is asked."""
    return ConceptWeightedSampler(0.0, **turn.common)


def random(turn: Turn) -> Sampler:
    """A uniform draw; no model is asked."""
    return RandomSampler(turn.settings.weights)


def alpha_at(alpha: float | Literal["ramp"], round_number: int, rounds: int) -> float:
    """Return alpha for a round; the ramp is min(1, round / rounds + 0.3)."""
    if alpha == "ramp":
        return min(1.0, round_number / max(rounds, 1) + 0.3)
    return float(alpha)


def explore_at(explore: float | Literal["ramp"], round_number: int, rounds: int) -> float:
    """Return the least share for the uncertain; the ramp goes from 0.6 down to 0.1 and stays."""
    if explore == "ramp":
        return 0.1 + 0.5 * (1.0 - min(1.0, round_number / max(rounds, 1)))
    return float(explore)
