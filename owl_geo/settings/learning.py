"""What learns from the answers, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from owl_geo.settings.choices import HEADS, MEASURES, MODELS, MetaUpdate, default, in_words
from owl_geo.settings.files import NamesFile
from owl_geo.settings.sections import OneOf, Section, Wrong, doc, one_of

_DEFAULT_BEFORE = "committee"  # the head that networks of older runs name and do not have


Precision = Literal["float32", "bfloat16"]


class ModelSettings(Section):
    """The classifier."""

    kind: Annotated[str, OneOf(MODELS)] = one_of(MODELS)
    frozen: bool = doc(
        False, "a backbone's features are computed once and kept; only the head learns"
    )
    head: Annotated[str, OneOf(HEADS)] = one_of(HEADS, "on statistics or frozen features")
    weights: Annotated[str, NamesFile("none", "imagenet")] = doc(
        "none", "a backbone's first weights: none (fresh), imagenet (downloaded), or a file"
    )
    concepts: bool = doc(True, "true = the model sees the concepts as well as the image")
    neighbours: bool = doc(
        True, "true = a Gaussian process also learns how alike nearby patches are"
    )
    dropout: float = doc(0.5, "dropout before a network's last layer", ge=0, lt=1)
    precision: Precision = doc(
        "float32",
        "of a network that scores patches on a CPU; bfloat16 is faster where the processor has it, "
        "and ranks then depend on the processor",
    )

    @property
    def on_features(self) -> bool:
        """Whether a head learns on features that are computed once."""
        return MODELS[self.kind].on_features or self.frozen

    @property
    def by_gradient(self) -> bool:
        """Whether the model learns by gradient steps, so a meta-update can move its weights."""
        return HEADS[self.head].by_gradient or not self.on_features

    @property
    def features(self) -> str:
        """The kind of features; for a network on pixels, those that distances are measured in."""
        return self.kind if self.on_features else default(MODELS)

    @property
    def network(self) -> str:
        """The name of the network that learns, if one does: a head or a model kind."""
        return self.head if self.on_features else self.kind

    @model_validator(mode="after")
    def _fits_together(self) -> ModelSettings:
        backbones = in_words([name for name, choice in MODELS.items() if choice.is_backbone])
        is_backbone = MODELS[self.kind].is_backbone
        if not is_backbone and self.weights != "none":
            raise Wrong(
                "weights is for a backbone", "weights", "kind", remedy=f"set kind to {backbones}"
            )
        if not is_backbone and self.frozen:
            raise Wrong(
                "frozen is for a backbone", "frozen", "kind", remedy=f"set kind to {backbones}"
            )
        if self.precision != "float32" and MODELS[self.kind].on_features:
            raise Wrong(
                f"precision is for a network that sees pixels; {self.kind} has none",
                "precision",
                "kind",
                remedy="leave precision out, or set kind to cnn or a backbone",
            )
        if self.head not in (default(HEADS), _DEFAULT_BEFORE) and not self.on_features:
            raise Wrong(
                f"head {self.head!r} is for statistics or a frozen backbone; {self.kind} has its "
                "own last layer"
            )
        return self


class UncertaintySettings(Section):
    """How the model's doubt is measured."""

    measure: Annotated[str, OneOf(MEASURES)] = one_of(MEASURES)
    members: Literal["single", "dropout", "ensemble"] = doc(
        "single", "one model, passes with dropout on, or models from different seeds"
    )
    passes: int = doc(15, "passes with dropout on", ge=2, le=100)
    ensemble_size: int = doc(5, "models of the ensemble", ge=2, le=32)

    @property
    def n_models(self) -> int:
        """How many models learn side by side: 1, or the size of the ensemble."""
        return self.ensemble_size if self.members == "ensemble" else 1

    @property
    def n_passes(self) -> int:
        """How many passes go through each model with dropout on; 0 = one pass without dropout."""
        return self.passes if self.members == "dropout" else 0


class TrainingSettings(Section):
    """Fitting on the answered patches, once a round."""

    epochs: int = doc(5, "passes over the answered patches in each round", ge=0)
    learning_rate: float = doc(0.001, "Adam's learning rate", gt=0, le=1)
    batch_size: int = doc(16, "patches per gradient step", ge=1)


class ReptileSettings(Section):
    """The meta-update after each answered batch (Nichol, Achiam, Schulman 2018)."""

    kind: Literal["auto", MetaUpdate] = doc(
        "auto",
        "diverse = a task per group of concepts, with replay; auto = plain for models that learn "
        "by gradient steps, else none",
    )
    inner_lr: float = doc(0.01, "SGD's learning rate within the update", gt=0, le=1)
    inner_steps: int = doc(5, "SGD steps on the support set, at most", ge=1)
    meta_lr: float = doc(0.1, "step towards the adapted weights", ge=0, le=1)
    replay: float = doc(0.5, "diverse: share of earlier answers in a support set", ge=0, lt=1)


def check_learning(
    model: ModelSettings, uncertainty: UncertaintySettings, reptile: ReptileSettings
) -> None:
    """Refuse settings that the chosen model would silently ignore."""
    head = f"the head {model.head!r}"
    if reptile.kind in ("plain", "diverse") and not model.by_gradient:
        heads = in_words([repr(name) for name, choice in HEADS.items() if choice.by_gradient])
        raise Wrong(
            f"reptile.kind is {reptile.kind}, but {head} is refitted, not moved by gradient steps",
            remedy=f"use head = {heads}, the cnn or an unfrozen backbone, or reptile.kind = 'auto'",
        )
    if uncertainty.n_passes and not model.by_gradient:
        raise Wrong(f"uncertainty.members is dropout, but {head} has none", remedy="use ensemble")
    if uncertainty.n_passes and model.dropout == 0:
        raise Wrong(
            "uncertainty.members is dropout, but model.dropout is 0",
            *("uncertainty.members", "model.dropout"),
            remedy="raise it, or use ensemble",
        )
    _check_members(model, uncertainty)


def _check_members(model: ModelSettings, uncertainty: UncertaintySettings) -> None:
    """Refuse a measure that compares more members than there are: it would be 0 everywhere."""
    needed: int = MEASURES[uncertainty.measure].implementation.fewest_members
    if needed == 1:
        return
    given = uncertainty.n_models * max(uncertainty.n_passes, 1)
    if given == 1 and not model.by_gradient:
        given = HEADS[model.head].implementation.members
    if given >= needed:
        return
    setting, name = ("model.head", model.head) if model.on_features else ("model.kind", model.kind)
    remedy = "set uncertainty.members to ensemble" + (" or dropout" if model.by_gradient else "")
    if model.on_features:
        heads = {name: choice for name, choice in HEADS.items() if not choice.by_gradient}
        enough = [name for name in heads if heads[name].implementation.members >= needed]
        remedy += f", or model.head to {in_words(enough)}"
    raise Wrong(
        (
            f"uncertainty.measure is {uncertainty.measure}, which compares members, but "
            f"{setting} {name} with uncertainty.members {uncertainty.members} gives {given}"
        ),
        *("uncertainty.measure", "uncertainty.members", setting),
        remedy=remedy,
    )
