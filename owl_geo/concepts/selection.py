"""Which features of a layer a concept selects, class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from owl_geo.concepts import filters, values
from owl_geo.concepts.filters import TagFilter
from owl_geo.concepts.layers import Layer
from owl_geo.concepts.osm_files import is_osm
from owl_geo.errors import ConfigError, LayerError, did_you_mean, nearest, suggestion
from owl_geo.settings.concepts import LayerSettings
from owl_geo.types import AnyArray, IntArray


@dataclass(frozen=True)
class Selection:
    """What one concept needs from its layer: tag filters per class, or the column of classes."""

    concept: str
    layer: str
    classes: Mapping[str, tuple[TagFilter, ...]]  # "" stands for the one class of share, distance
    column: str | None = None
    reach: float = 0.0  # metres from the patches within which features matter too

    @property
    def keys(self) -> tuple[str, ...]:
        """The attributes that it needs, each once."""
        if self.column is not None:
            return (self.column,)
        keys = (part.key for parts in self.classes.values() for part in parts)
        return tuple(dict.fromkeys(keys))

    def __str__(self) -> str:
        parts = (str(part) for parts in self.classes.values() for part in parts)
        return self.column or ", ".join(parts)

    def features(self, layer: Layer) -> tuple[list[str], AnyArray, IntArray]:
        """Return the names of the classes, and geometries ``(m,)`` with their class ``(m,)``.

        A feature that fits several classes appears once for each. Raises LayerError where none of
        the attributes exists.
        """
        self._check_columns(layer)
        geometries = layer.features.geometry.to_numpy()
        if self.column is not None:
            text = values.text_of(layer.features[self.column])
            named = (text != "").to_numpy()
            codes, names = pd.factorize(text[named], sort=True)
            return list(names), geometries[named], codes
        rows = [np.flatnonzero(filters.matches(layer.features, f)) for f in self.classes.values()]
        codes = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        return list(self.classes), geometries[np.concatenate(rows)], codes

    def _check_columns(self, layer: Layer) -> None:
        missing = self.missing(layer)
        if missing and len(missing) == len(self.keys):
            near = did_you_mean(missing[0], layer.fields)
            raise LayerError(
                f"concepts.{self.concept}: layer {self.layer!r} has no column {missing[0]!r}{near}",
                remedy="use an OpenStreetMap extract, or edit the concept's filters",
            )

    def missing(self, layer: Layer) -> list[str]:
        """Return the attributes that it needs and the layer lacks."""
        return [key for key in self.keys if key not in layer.features.columns]

    def absent(self, layer: Layer) -> list[TagFilter]:
        """Return a filter for each value that no feature has, of attributes that the layer has."""
        return [
            TagFilter(part.key, (value,))
            for part in self._parts(layer)
            for value in part.values
            if not filters.matches(layer.features, [TagFilter(part.key, (value,))]).any()
        ]

    def nearly(self, layer: Layer) -> list[TagFilter]:
        """Return a filter for each value that is one of those asked for but for how it is written.

        That is in another case, with other blanks or with accents composed otherwise, so that no
        filter takes it.
        """
        found = []
        for part in self._parts(layer):
            column = values.text_of(layer.features[part.key])
            meant = {values.folded(value) for value in part.values}
            for text in sorted(column.unique()):
                if text and values.folded(text) in meant and text not in part.values:
                    rows = layer.features[column == text]
                    if not any(filters.matches(rows, f).any() for f in self.classes.values()):
                        found.append(TagFilter(part.key, (text,)))
        return list(dict.fromkeys(found))

    def existing(self, layer: Layer) -> str:
        """Return the values of the attributes that it needs: ``"landuse is farm, forest"``."""
        keys = dict.fromkeys(part.key for part in self._parts(layer))
        return "; ".join(f"{key} is {values.shown(layer.features[key])}" for key in keys)

    def meant(self, layer: Layer) -> str:
        """Return ``"; did you mean 'key=value'?"`` for a value that a column has, else ``""``."""
        for part in self.absent(layer):
            texts = values.text_of(layer.features[part.key]).unique()
            near = nearest(part.values[0], [text for text in texts if text])
            if near is not None:
                return f"; did you mean {f'{part.key}={near}'!r}?"
        return ""

    def _parts(self, layer: Layer) -> list[TagFilter]:
        """Return the filters by attributes that the layer has."""
        parts = (part for parts in self.classes.values() for part in parts)
        return [part for part in parts if part.key in layer.features.columns]


def select(
    concept: str,
    layer: str,
    layers: Mapping[str, LayerSettings],
    classes: Mapping[str, Sequence[str]],
    *,
    column: str | None = None,
) -> Selection:
    """Parse what a concept selects from a layer: tag filters by class, or the column of classes.

    Raises ConfigError for a malformed filter or an unknown layer.
    """
    where = f"concepts.{concept}"
    if layer not in layers:
        raise ConfigError(f"{where}: no layer {layer!r}", remedy=suggestion(layer, layers))
    parsed = {name: filters.parse_all(entry, where) for name, entry in classes.items()}
    if is_osm(layers[layer].path) and not all(parsed.values()):
        raise ConfigError(f"{where}: layer {layer!r} is an OSM file", remedy="give tag filters")
    wanted = (value for parts in parsed.values() for part in parts for value in part.values)
    if is_osm(layers[layer].path) and "null" in map(str.lower, wanted):
        raise ConfigError(
            f"{where}: layer {layer!r} is an OSM file, in which a missing tag cannot be looked for",
            remedy="name the tags that features have",
        )
    return Selection(concept, layer, parsed, column)
