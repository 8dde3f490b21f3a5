"""Every choice that has a name in owl.toml or on the command line, registered here and only here.

These tables give the settings their types, the command line its options, the documentation its
values, and the other rooms the implementation behind a name, by its home. A home is text that is
imported on use, so that the settings, which everything imports, do not import what they choose.

The first name of a table is the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from owl_geo.errors import did_you_mean


@dataclass(frozen=True)
class Choice:
    """What a name stands for."""

    home: str  # "package.module:name" of its implementation
    meaning: str = ""  # in a few words, where the name alone is not clear

    @property
    def implementation(self) -> Any:
        """The object that does the work, imported now."""
        return implementation(self.home)


@dataclass(frozen=True)
class HeadChoice(Choice):
    """A head on features; the settings check these facts without importing the head."""

    by_gradient: bool = False  # a network that goes on from its weights instead of a new fit


@dataclass(frozen=True)
class ModelChoice(Choice):
    """What an image is turned into: features that are computed once, or the input of a network."""

    on_features: bool = False  # a head learns on them
    is_backbone: bool = False  # can be frozen, and can start from weights learnt elsewhere
    of_vectors: bool = False  # looks at the vectors of an embedding, which there must be


@dataclass(frozen=True)
class StrategyChoice(Choice):
    """A strategy; ``status`` says this of a search that has found nothing."""

    covers: bool = False  # the pool, as long as no target is known


def implementation(home: str) -> Any:
    """Return what ``"package.module:name"`` names, imported now."""
    module, _, name = home.partition(":")
    return getattr(import_module(module), name)


def chosen(choices: Mapping[str, Choice], name: str) -> Any:
    """Return the implementation behind a name, imported now; ValueError for an unknown name."""
    if name not in choices:
        raise ValueError(f"no choice {name!r}{did_you_mean(name, choices)}")
    return choices[name].implementation


def default(choices: Mapping[str, Choice]) -> str:
    """Return the name that is used where none is given."""
    return next(iter(choices))


def listed(choices: Mapping[str, Choice], *others: str) -> str:
    """Return all names with their meanings, in words: ``a (first), b or c``."""
    words = [f"{name} ({c.meaning})" if c.meaning else name for name, c in choices.items()]
    return in_words([*words, *others])


def in_words(names: list[str]) -> str:
    """Return names as an enumeration: ``a, b or c``."""
    return " or ".join([part for part in (", ".join(names[:-1]), names[-1]) if part])


def unknown_strategy(name: str) -> str | None:
    """Return an error message for an unknown strategy, else None; peers are checked elsewhere."""
    if name in STRATEGIES or name.startswith(PEERS):
        return None
    return f"no strategy {name!r}{did_you_mean(name, STRATEGIES)}"


_MEASURES = "owl_geo.measures.uncertainty"
_STARTS = "owl_geo.acquisition.start"
_STRATEGIES = "owl_geo.acquisition.strategies"
_RELEVANCE = "owl_geo.acquisition.relevance"
_SPREAD = "owl_geo.acquisition.spread"
_CONTESTANTS = "owl_geo.evaluation.contestants"

MEASURES: dict[str, Choice] = {
    "entropy": Choice(f"{_MEASURES}:ENTROPY"),
    "margin": Choice(f"{_MEASURES}:MARGIN"),
    "least_confidence": Choice(f"{_MEASURES}:LEAST_CONFIDENCE"),
    "mutual_information": Choice(f"{_MEASURES}:MUTUAL_INFORMATION", "between members"),
}

MODELS: dict[str, ModelChoice] = {
    "statistics": ModelChoice(
        "owl_geo.features.statistics:SpectralStatistics",
        "band means, spread, texture, indices",
        on_features=True,
    ),
    "embedding": ModelChoice(
        "owl_geo.features.embedding:EmbeddingFeatures",
        "directions of vectors, compared by their angle",
        on_features=True,
        of_vectors=True,
    ),
    "cnn": ModelChoice("owl_geo.models.cnn:SimpleCNN"),
    "resnet18": ModelChoice("owl_geo.models.backbones:RESNET18", "a backbone", is_backbone=True),
    "efficientnet_b0": ModelChoice(
        "owl_geo.models.backbones:EFFICIENTNET_B0", "a backbone", is_backbone=True
    ),
}

HEADS: dict[str, HeadChoice] = {
    "blend": HeadChoice("owl_geo.models.blend:BLEND", "Gaussian process and forest, calibrated"),
    "committee": HeadChoice("owl_geo.models.committee:COMMITTEE", "their plain mean"),
    "forest": HeadChoice("owl_geo.models.forest:FOREST"),
    "gp": HeadChoice("owl_geo.models.gaussian_process:GAUSSIAN_PROCESS"),
    "logistic": HeadChoice("owl_geo.models.logistic:LOGISTIC"),
    "mlp": HeadChoice("owl_geo.models.mlp:FeatureMLP", by_gradient=True),
}

STRATEGIES: dict[str, StrategyChoice] = {
    "pursuit": StrategyChoice(
        f"{_STRATEGIES}:pursuit", "the most probable; covers the pool before", covers=True
    ),
    "discovery": StrategyChoice(
        f"{_STRATEGIES}:discovery", "the probable and the uncertain share a batch", covers=True
    ),
    "concept": StrategyChoice(f"{_STRATEGIES}:concept"),
    "uncertainty": StrategyChoice(f"{_STRATEGIES}:uncertainty"),
    "greedy": StrategyChoice(f"{_STRATEGIES}:greedy", "most probable"),
    "relevance": StrategyChoice(f"{_STRATEGIES}:relevance", "no model"),
    "random": StrategyChoice(f"{_STRATEGIES}:random"),
}
PEERS = "skactiveml:"  # the prefix for a strategy of scikit-activeml

# What ``compare --strategies`` takes besides the names of strategies.
STRATEGY_GROUPS: dict[str, Choice] = {
    "baselines": Choice(f"{_CONTESTANTS}:BASELINES"),
    "ablations": Choice(f"{_CONTESTANTS}:ABLATIONS"),
    "models": Choice(f"{_CONTESTANTS}:MODELS"),
    "reptile": Choice(f"{_CONTESTANTS}:REPTILE"),
    "concepts": Choice(f"{_CONTESTANTS}:CONCEPTS"),
    "peers": Choice(f"{_CONTESTANTS}:PEERS", "of scikit-activeml"),
}

STARTS: dict[str, Choice] = {
    "typical": Choice(f"{_STARTS}:TYPICAL", "of the pool's clusters, or like known targets"),
    "relevance": Choice(f"{_STARTS}:RELEVANCE", "the most relevant"),
    "random": Choice(f"{_STARTS}:RANDOM"),
}

RELEVANCE: dict[str, Choice] = {
    "learned": Choice(f"{_RELEVANCE}:LEARNED", "starts from the weights below"),
    "fixed": Choice(f"{_RELEVANCE}:FIXED", "keeps them"),
}

DIVERSITY: dict[str, Choice] = {
    "none": Choice(f"{_SPREAD}:NONE"),
    "cluster": Choice(f"{_SPREAD}:CLUSTER", "a patch per cluster"),
    "kmeans++": Choice(f"{_SPREAD}:PLUS_PLUS"),
    "sample": Choice(f"{_SPREAD}:SAMPLE", "by drawing"),
}

# How the tasks of a meta-update are made; none = there is no meta-update.
MetaUpdate = Literal["none", "plain", "diverse"]

# What ``predict`` writes; each name is also the name of its files.
OUTPUTS: dict[str, Choice] = {
    "probability": Choice("owl_geo.maps.probability:ProbabilityMap"),
    "class": Choice("owl_geo.maps.class_map:ClassMap"),
    "patches": Choice("owl_geo.maps.patches:Frames"),
    "areas": Choice("owl_geo.maps.areas:Areas"),
}
