"""The settings of a run: what can be set, what it means, and what is refused; frozen.

``owl_toml`` reads and writes them. Each field's description becomes the comment beside it. The
tables are in modules of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from owl_geo.errors import suggestion
from owl_geo.schema import LAYOUT_VERSION, RESERVED_LABELS
from owl_geo.settings.acquisition import AcquisitionSettings, LoopSettings, TeamSettings
from owl_geo.settings.choices import MODELS, MetaUpdate, default
from owl_geo.settings.class_names import POSITIVE, searched_for
from owl_geo.settings.concepts import Concept, LayerSettings, check_concepts
from owl_geo.settings.files import named_files
from owl_geo.settings.learning import (
    ModelSettings,
    ReptileSettings,
    TrainingSettings,
    UncertaintySettings,
    check_learning,
)
from owl_geo.settings.sections import Section, Wrong, check_name, doc
from owl_geo.settings.sources import SourceSection, SourceSettings, ViewSettings, check_views
from owl_geo.settings.stores import check_address, known_addresses
from owl_geo.settings.truth import EvaluationSettings, OracleSettings
from owl_geo.wording import counted

_LEAST_FOR_NETWORKS = 4  # pixels a side of a patch, which they halve twice


class Settings(Section):
    """Everything that defines a run."""

    newer = ("views",)

    version: Literal[1] = doc(LAYOUT_VERSION, "layout of the run folder")
    run_id: str = doc("", "names this run in its batches; do not edit", max_length=200)
    seed: int = doc(42, "the same seed gives the same batches", ge=0, lt=2**32)
    classes: tuple[str, ...] = doc(
        ("absent", "present"), "the answers; the first is the background"
    )
    positive: str = doc(POSITIVE, "the class that is searched for")
    labels: str | None = doc(
        None,
        f"where answers are kept: {known_addresses()}, without a password; not set = labels.gpkg",
    )
    source: SourceSettings
    views: dict[str, ViewSettings] = Field({})
    layers: dict[str, LayerSettings] = Field({})
    concepts: dict[str, Concept] = Field({})
    acquisition: AcquisitionSettings = AcquisitionSettings()
    loop: LoopSettings = LoopSettings()
    team: TeamSettings = TeamSettings()
    model: ModelSettings = ModelSettings()
    uncertainty: UncertaintySettings = UncertaintySettings()
    training: TrainingSettings = TrainingSettings()
    reptile: ReptileSettings = ReptileSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    oracle: OracleSettings | None = None

    @field_validator("labels", mode="before")
    @classmethod
    def _no_password(cls, labels: object) -> object:
        if labels is None:
            return None
        if not isinstance(labels, str):
            raise ValueError(f"it must be an address in quotes, {known_addresses()}")
        check_address(labels)
        return labels

    @model_validator(mode="before")
    @classmethod
    def _last_is_searched_for(cls, values: Any) -> Any:
        """Search for the last class where only the classes are given."""
        if not isinstance(values, Mapping) or "positive" in values:
            return values
        classes = values.get("classes")
        if not isinstance(classes, list | tuple):
            return values
        return {**values, "positive": searched_for(classes)}

    @model_validator(mode="after")
    def _names_agree(self) -> Settings:
        if self.patch_size < _LEAST_FOR_NETWORKS and not MODELS[self.model.kind].on_features:
            raise Wrong(
                f"patches of {counted(self.patch_size, 'pixel')} are too small for "
                f"{self.model.kind}, a network, which needs {_LEAST_FOR_NETWORKS} or more a side",
                "source.patch_size",
                remedy=f"set model.kind to {default(MODELS)}",
            )
        _check_classes(self.classes, self.positive)
        check_views(self.views, self.source)
        check_concepts(self.concepts, self.layers)
        yes_no = [name for name, concept in self.concepts.items() if concept.is_yes_no]
        for name in self.acquisition.weights:
            if name not in yes_no:
                raise Wrong(
                    f"acquisition.weights.{name} is not a yes/no concept",
                    remedy=suggestion(name, yes_no),
                )
        check_learning(self.model, self.uncertainty, self.reptile)
        if self.oracle is not None:
            for name in self.oracle.values:
                if name not in self.classes:
                    raise Wrong(
                        f"oracle.values.{name} is not a class",
                        remedy=suggestion(name, self.classes),
                    )
            if self.oracle.path is None and not self.source.has_truth:
                raise ValueError("oracle.path is missing: this source has no truth of its own")
        return self

    def named_files(self, *tables: str) -> list[tuple[str, str]]:
        """Return each setting that names a file, as ``layers.osm.path``, and the path in it.

        Only ``tables`` of owl.toml are searched, all of them if none is given. A path may be a URL.
        """
        values = self.model_dump(include=set(tables) if tables else None)
        return named_files(type(self), values)

    @property
    def reptile_kind(self) -> MetaUpdate:
        """The meta-update that ``reptile.kind`` stands for."""
        if self.reptile.kind == "auto":
            return "plain" if self.model.by_gradient else "none"
        return self.reptile.kind

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self.source.patch_size

    @property
    def units(self) -> dict[str, str]:
        """The units of the concepts that have one."""
        return {name: concept.unit for name, concept in self.concepts.items() if concept.unit}


def source_sections() -> dict[str, type[SourceSection]]:
    """Return the class of the table [source] for each kind of source, by the kind's name."""
    sections = get_args(Settings.model_fields["source"].annotation)
    return {section.model_fields["kind"].default: section for section in sections}


def _check_classes(classes: tuple[str, ...], positive: str) -> None:
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise Wrong(
            f"classes is {', '.join(classes) or 'empty'}, but it needs two or more names, all "
            "different, the background first: absent,present",
            "classes",
        )
    for name in classes:
        if name in RESERVED_LABELS:
            text = f"{name!r} cannot be a class: the word is reserved"
            raise Wrong(text, "classes")
        check_name("class", name, "classes")
    if positive not in classes:
        raise Wrong(
            f"positive is {positive!r}, which is not a class",
            "positive",
            remedy=suggestion(positive, classes),
        )
