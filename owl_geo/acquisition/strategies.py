"""Which sampler the settings mean, as it stands in a given round."""

from __future__ import annotations

from typing import Literal

from owl_geo.acquisition.peers import PeerSampler
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
from owl_geo.measures.uncertainty import Measure
from owl_geo.settings.config import PEERS, AcquisitionSettings


def build_sampler(
    settings: AcquisitionSettings, measure: Measure, round_number: int, rounds: int
) -> Sampler:
    """Build the strategy that owl.toml names.

    Args:
        settings: of the acquisition.
        measure: of the uncertainty.
        round_number: the first batch that a model chooses is of round 1.
        rounds: how many are planned.

    Raises ConfigError for a strategy of scikit-activeml that is not there.
    """
    weights = settings.weights
    spread = Spread(settings.diversity, settings.min_distance)
    name = settings.strategy
    if name.startswith(PEERS):
        return PeerSampler(name, weights, measure=measure)
    if name == "random":
        return RandomSampler(weights)
    if name == "relevance":
        return ConceptWeightedSampler(0.0, weights, measure=measure, spread=spread)
    if name == "uncertainty":
        return UncertaintySampler(weights, measure=measure, spread=spread)
    if name == "greedy":
        return GreedySampler(weights, measure=measure, spread=spread)
    if name == "discovery":
        explore = explore_at(settings.explore, round_number, rounds)
        return DiscoverySampler(
            explore, settings.promising, weights, measure=measure, spread=spread
        )
    if settings.combine == "product":
        powers = settings.powers
        return PowerSampler(
            powers.uncertainty,
            powers.relevance,
            powers.probability,
            weights,
            measure=measure,
            spread=spread,
        )
    alpha = alpha_at(settings.alpha, round_number, rounds)
    return ConceptWeightedSampler(alpha, weights, measure=measure, spread=spread)


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
