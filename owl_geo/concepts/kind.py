"""What a kind of concept must provide, and what it is given to compute its values.

Each kind has a table [concepts.NAME] in ``settings.concepts``; its ``home`` is a ``ConceptKind``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar

import pandas as pd

from owl_geo.concepts import extents
from owl_geo.concepts.kept import KeptLayers
from owl_geo.concepts.layers import Layer
from owl_geo.concepts.pool import Pool
from owl_geo.concepts.selection import Selection
from owl_geo.ground.windows import Windows
from owl_geo.settings.choices import implementation
from owl_geo.settings.concepts import ConceptSection, LayerSettings
from owl_geo.types import AnyArray
from owl_geo.work.workers import Workers

_log = logging.getLogger("owl_geo")

Values = Literal["category", "number", "yes/no"]
S = TypeVar("S", bound=ConceptSection)


class ConceptKind(Generic[S]):
    """A declared concept: what it needs, and how its values are computed.

    Args:
        name: name of the concept.
        settings: the concept as declared in owl.toml.
        layers: all layers that owl.toml declares.
    """

    compares: Values | None = None  # the values that the concept ``of`` must have

    def __init__(self, name: str, settings: S, layers: Mapping[str, LayerSettings]) -> None:
        self.name = name
        self.settings = settings
        self.layers = layers

    @property
    def of(self) -> str | None:
        """The name of the concept that this one is derived from; None if there is none."""
        return None

    @property
    def selection(self) -> Selection | None:
        """What the concept selects from a layer; None if it reads no layer.

        Raises ConfigError for a malformed filter or an unknown layer.
        """
        return None

    def values(self, index: pd.DataFrame) -> Values:
        """Return the type of its values, given a source's index; raises ConfigError."""
        raise NotImplementedError

    def remedy_for(self, wanted: Values) -> str:
        """Return how the concept gets values of another type; empty if it cannot have them."""
        return ""

    def scaled_file(self) -> str | None:
        """Return the raster with a scale or an offset in its header, if the concept has one.

        Runs that were made before these were read have other values of it. Raises LayerError.
        """
        return None

    def column(self, work: Work) -> AnyArray:
        """Return the value of every patch, object (text), float64 or bool ``(n,)``.

        Raises ConfigError, or LayerError where a file cannot be read or covers none of the patches.
        """
        raise NotImplementedError


class Work:
    """The pool that concepts are computed for, the columns so far, and the layers that were read.

    Args:
        index: the index of the source.
        pool: the windows of its patches.
        layers: all layers that owl.toml declares.
        selections: what the concepts select from them; each layer is read once for all concepts.
        a_part: whether the pool is part of a larger one, which may reach beyond these patches.
        workers: what the computing is shared out to.
        kept: layers from earlier commands, which need not be read again.
    """

    def __init__(
        self,
        index: pd.DataFrame,
        pool: Pool,
        layers: Mapping[str, LayerSettings],
        selections: Iterable[Selection],
        *,
        a_part: bool,
        workers: Workers,
        kept: KeptLayers,
    ) -> None:
        self.index = index
        self.pool = pool
        self.workers = workers
        self.columns: dict[str, AnyArray] = {}  # of the concepts computed so far
        self.coverage: dict[str, float] = {}  # layer, or path of a raster -> share of the area
        self._a_part = a_part
        self._kept = kept
        self._extents: list[extents.Extent] = []
        self._settings = layers
        self._layers: dict[str, Layer] = {}
        self._keys: dict[str, dict[str, None]] = {}  # layer -> attributes needed from it, in order
        self._selections = list(selections)
        for selection in self._selections:
            self._keys.setdefault(selection.layer, {}).update(dict.fromkeys(selection.keys))

    def fill(
        self,
        default: str | float,
        compute: Callable[[Windows], AnyArray],
        *,
        scenes_whole: bool = False,
    ) -> AnyArray:
        """Let workers compute the values of windows; see ``Pool.fill``.

        ``compute`` is pickled, so it must be a module-level function or a ``partial`` of one. Large
        scenes are split unless ``scenes_whole`` is set.
        """
        parts = self.pool.scenes if scenes_whole else self.pool.parts
        return self.pool.fill(default, compute, self.workers, parts)

    def layer(self, name: str) -> Layer:
        """Return a layer with every attribute that the concepts need; raises LayerError."""
        if name not in self._layers:
            layer = self._kept.load(self._settings[name], tuple(self._keys[name]))
            mine = [one for one in self._selections if one.layer == name]
            reach = 0.0 if layer.is_osm else min(one.reach for one in mine)
            self.cover(name, f"layer {name!r}", lambda: layer.extent, reach)
            self._layers[name] = layer
            self._warn_of_missing(name, layer)
        return self._layers[name]

    def cover(
        self, key: str, label: str, extent: Callable[[], extents.Extent], reach: float = 0.0
    ) -> None:
        """Record how much of the patches a file covers, once per ``key``.

        ``label`` names the file in messages. Raises LayerError if it covers none of the patches,
        nor lies within ``reach`` metres of any.
        """
        if key not in self.coverage:
            spanned = extent()
            self._extents.append(spanned.within(reach) if reach else spanned)
            self.coverage[key] = extents.check(
                label, spanned, self.pool, a_part=self._a_part, reach=reach
            )

    def untouched(self) -> tuple[str, ...]:
        """Return the scenes that no layer or raster reaches; empty if no layer was read."""
        if not self._extents:
            return ()
        touched = set().union(*(extents.touched_scenes(e, self.pool) for e in self._extents))
        names = [scene.windows.grid.name for scene in self.pool.scenes]
        return tuple(name for name in names if name not in touched)

    def _warn_of_missing(self, name: str, layer: Layer) -> None:
        """Warn once about the attributes that concepts need and the layer lacks."""
        lacking = [one for one in self._selections if one.layer == name and one.missing(layer)]
        partly = [one for one in lacking if len(one.missing(layer)) < len(one.keys)]
        if partly:
            missing = dict.fromkeys(key for one in partly for key in one.missing(layer))
            _log.warning(
                "layer %r has no column %s; filters of %s on it match nothing",
                name,
                ", ".join(map(repr, missing)),
                " and ".join(f"concepts.{one.concept}" for one in partly),
            )


def kinds_of(
    concepts: Mapping[str, Any], layers: Mapping[str, LayerSettings]
) -> dict[str, ConceptKind[Any]]:
    """Return the ``ConceptKind`` of each declared concept, in the order declared."""
    return {
        name: implementation(settings.home)(name, settings, layers)
        for name, settings in concepts.items()
    }
