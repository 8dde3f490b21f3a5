"""What is compared: a strategy is a run's own settings with a few of them replaced.

All contestants learn with the same model and start from the same first batch as the run, unless
their nature says otherwise: ``random`` also draws its first batch at random, and ``tutorial`` uses
the tutorial's own method throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from owl_geo.acquisition.peers import peer_names
from owl_geo.errors import ConfigError, did_you_mean, where_instead
from owl_geo.evaluation.curves import BOUND
from owl_geo.settings import owl_toml
from owl_geo.settings.choices import STRATEGY_GROUPS, MetaUpdate
from owl_geo.settings.presets import TUTORIAL

NEEDS_CONCEPTS = ("concepts-only", "shuffled")  # without concepts they equal another contestant
FULL = "full"  # a fit on the whole pool, saved beside the searches


@dataclass(frozen=True)
class Contestant:
    """A strategy in a comparison."""

    name: str
    over: Mapping[str, Any] = field(default_factory=dict)  # tables of owl.toml
    shuffled: bool = False  # the concepts are those of other patches
    words: str = ""  # for readers of pictures and tables, where the name does not say enough
    # "package.module:name" of what does a round in place of ``do_round``, by the same arguments
    round: str = ""

    @property
    def file_name(self) -> str:
        """The name of the folder of its searches; some systems allow no colon there."""
        return self.name.replace(":", "_")


def _choosing(**acquisition: Any) -> Mapping[str, Any]:
    return {"acquisition": acquisition}


BASELINES = (
    Contestant("default"),
    Contestant("random", _choosing(strategy="random", start="random")),
    Contestant("uncertainty", _choosing(strategy="uncertainty", audit_share=0.0)),
    Contestant("greedy", _choosing(strategy="greedy", audit_share=0.0)),
    Contestant(
        "concepts-only",
        _choosing(strategy="relevance", relevance="fixed", start="relevance", audit_share=0.0),
    ),
    Contestant("shuffled", shuffled=True, words="concepts of other patches"),
    Contestant("tutorial", TUTORIAL),
)
ABLATIONS = (
    Contestant(
        "no-concept-head",
        {"model": {"concepts": False}},
        words="concepts not seen by the model",
    ),
    Contestant(
        "no-neighbours",
        {"model": {"neighbours": False}},
        words="the model does not know what lies near",
    ),
    Contestant("fixed-relevance", _choosing(relevance="fixed")),
    Contestant("random-start", _choosing(start="random")),
    Contestant("discovery", _choosing(strategy="discovery")),
    Contestant("no-audit", _choosing(audit_share=0.0)),
    Contestant("diverse-kmeans++", _choosing(diversity="kmeans++")),
    Contestant("diverse-cluster", _choosing(diversity="cluster")),
    Contestant("diverse-sample", _choosing(diversity="sample")),
)
MODELS = (
    Contestant("committee", {"model": {"head": "committee"}}, words="plain mean, not calibrated"),
    Contestant("forest", {"model": {"head": "forest"}}),
    Contestant("gp", {"model": {"head": "gp"}}, words="Gaussian process alone"),
    Contestant("logistic", {"model": {"head": "logistic"}}),
    Contestant("ensemble", {"uncertainty": {"members": "ensemble"}}),
    Contestant(
        "bald",
        {"uncertainty": {"measure": "mutual_information"}},
        words="doubt where the members differ",
    ),
    Contestant(
        "cnn", {"model": {"kind": "cnn", "frozen": False, "head": "committee", "weights": "none"}}
    ),
)
REPTILE = tuple(
    Contestant(f"mlp-reptile-{kind}", {"model": {"head": "mlp"}, "reptile": {"kind": kind}})
    for kind in get_args(MetaUpdate)
)
CONCEPTS = (
    Contestant("concept-sum", _choosing(strategy="concept")),
    Contestant("concept-product", _choosing(strategy="concept", combine="product")),
    Contestant("concept-ramp", _choosing(strategy="concept", alpha="ramp")),
)

PEERS = tuple(Contestant(name, _choosing(strategy=name, audit_share=0.0)) for name in peer_names())

GROUPS: Mapping[str, tuple[Contestant, ...]] = {
    name: group.implementation for name, group in STRATEGY_GROUPS.items()
}

WORDS: Mapping[str, str] = {BOUND: "a target with each label"} | {
    one.name: one.words for group in GROUPS.values() for one in group if one.words
}
"""Explanations of the names that do not explain themselves."""


def contestants(names: Sequence[str], own: Mapping[str, Path]) -> tuple[Contestant, ...]:
    """Return the contestants of these names or groups, each once, and one per file in ``own``.

    A file holds the tables of owl.toml that differ. Raises ConfigError for an unknown name or a
    file that cannot be read.
    """
    predefined = {one.name: one for group in GROUPS.values() for one in group}
    chosen: dict[str, Contestant] = {}
    for name in names:
        if name in GROUPS:
            chosen.update({one.name: one for one in GROUPS[name]})
        elif name in predefined:
            chosen[name] = predefined[name]
        else:
            near = did_you_mean(name, [*GROUPS, *predefined])
            raise ConfigError(
                f"there is no strategy or group {name!r}{near}",
                remedy=f"give a strategy, or one of the groups {', '.join(GROUPS)}",
            )
    for name, path in own.items():
        taken = name in (FULL, BOUND) or name in {one.file_name for one in predefined.values()}
        if taken or not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(
                f"{name!r} cannot name a strategy of your own",
                remedy="choose another name of letters, digits, - and _",
            )
        try:
            over = owl_toml.read(path)
        except FileNotFoundError as error:
            raise ConfigError(f"{path} does not exist", remedy=where_instead(path)) from error
        chosen[name] = Contestant(name, over)
    return tuple(chosen.values())
