"""Which patches are asked, how many at a time, and of whom."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, model_validator

from owl_geo.schema import CONSENSUS
from owl_geo.settings.choices import (
    DIVERSITY,
    PEERS,
    RELEVANCE,
    STARTS,
    STRATEGIES,
    default,
    listed,
    unknown_strategy,
)
from owl_geo.settings.sections import OneOf, Section, Wrong, doc, one_of

Exponent = Annotated[float, Field(ge=0, le=10)]


class PowersSettings(Section):
    """Exponents of score = uncertainty^a * relevance^b * probability^c."""

    uncertainty: Exponent = doc(1.0, "of the uncertainty")
    relevance: Exponent = doc(1.0, "of the concepts' relevance")
    probability: Exponent = doc(0.0, "of the positive class's probability")


class AcquisitionSettings(Section):
    """Which patches to ask about next."""

    newer = ("audit_common",)

    strategy: str = doc(default(STRATEGIES), listed(STRATEGIES, f"{PEERS}NAME"))
    explore: float | Literal["ramp"] = doc(
        "ramp",
        "discovery: smallest share of a batch for the uncertain; 'ramp' = 0.6 to 0.1 over rounds",
    )
    promising: float = doc(
        0.5,
        "discovery: a patch below this probability gives way to an uncertain one",
        ge=0,
        le=1,
    )
    combine: Literal["sum", "product"] = doc(
        "sum", "concept: alpha * uncertainty + (1 - alpha) * relevance, or a product of powers"
    )
    alpha: float | Literal["ramp"] = doc(
        0.5, "sum: 1 = uncertainty only, 0 = relevance only, 'ramp' = min(1, round / rounds + 0.3)"
    )
    powers: PowersSettings = PowersSettings()
    relevance: Annotated[str, OneOf(RELEVANCE)] = one_of(RELEVANCE)
    weights: dict[str, Annotated[float, Field(ge=0, le=1e6)]] = doc(
        {}, "yes/no concept = factor by which relevance grows where it holds"
    )
    start: Annotated[str, OneOf(STARTS)] = one_of(STARTS, "first batch")
    diversity: Annotated[str, OneOf(DIVERSITY)] = one_of(
        DIVERSITY, "keeps a batch from repeating itself"
    )
    min_distance: float = doc(
        0.0,
        "smallest distance between two patches of a batch, in metres, as far as the pool has such; "
        "those drawn at random may lie anywhere",
        ge=0,
    )
    candidates: int = doc(
        250_000,
        "patches that a round scores in a larger pool, near answers or at random; 0 = all",
        ge=0,
    )
    audit_share: float = doc(
        0.1, "share of each batch drawn at random, for honest estimates", ge=0, le=1
    )
    audit_common: float | None = doc(
        None,
        "the same where the model takes a tenth of the pool for targets, or more; not set = "
        "audit_share",
        ge=0,
        le=1,
    )

    @model_validator(mode="after")
    def _known(self) -> AcquisitionSettings:
        for name in ("alpha", "explore"):
            value = getattr(self, name)
            if isinstance(value, float) and not 0 <= value <= 1:
                raise Wrong(f"{name} is {value:g}, but it must be between 0 and 1", name)
        unknown = unknown_strategy(self.strategy)
        if unknown is not None:
            raise ValueError(unknown)
        return self


class LoopSettings(Section):
    """How many patches, how often."""

    initial: int = doc(20, "patches of the first batch", ge=1)
    rounds: int = doc(
        10, "rounds planned after the first batch; a simulated search ends there", ge=0
    )
    batch_size: int = doc(10, "patches per round", ge=1)
    labels_per_hour: float | None = doc(
        None, "annotators' pace; with hours, it sets the batch size", gt=0, le=1e5
    )
    hours: float | None = doc(None, "hours of labelling per round", gt=0, le=1e4)

    @property
    def query_budget(self) -> int:
        """The number of patches per round: the batch size, or what the annotators' pace allows."""
        if self.labels_per_hour is not None and self.hours is not None:
            return max(1, round(self.labels_per_hour * self.hours))
        return self.batch_size

    @model_validator(mode="after")
    def _pace_is_whole(self) -> LoopSettings:
        if (self.labels_per_hour is None) != (self.hours is None):
            raise Wrong("labels_per_hour and hours go together", "labels_per_hour", "hours")
        return self


class TeamSettings(Section):
    """Who labels, where several people share a batch."""

    annotators: tuple[str, ...] = doc((), "each gets a part of every batch; empty = one batch")
    overlap: float = doc(
        0.2, "share of a batch that all of them label, to measure agreement", ge=0, le=1
    )

    @model_validator(mode="after")
    def _known_apart(self) -> TeamSettings:
        for name in self.annotators:
            if not name.strip() or name != name.strip() or not name.isprintable():
                text = f"annotators has {name!r}, which cannot be a name"
                raise Wrong(text, "annotators", remedy="use plain words")
            if name == CONSENSUS:
                text = f"annotators has {name!r}, which stands for the label that several agreed on"
                raise Wrong(text, "annotators", remedy="choose another name")
        folded = Counter(name.casefold() for name in self.annotators)
        for name in self.annotators:
            if folded[name.casefold()] > 1:
                text = f"annotators has {name!r} twice"
                raise Wrong(text, "annotators", remedy="give each a name of their own")
        return self
