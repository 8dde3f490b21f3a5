"""What makes a view comparable: how its values and those of each scene of the pool are spread.

A change is the difference of two values that were brought to one level before, each by the median
and the scale of its image over the ground that both show. So another sun, another sensor or other
units are no change, and what changed in a small part of the ground is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from owl_geo.sources.statistics import centre_and_scale
from owl_geo.types import FloatArray


@dataclass(frozen=True)
class Levels:
    """Median and scale of each shared band in two images of the same ground, float32 ``(k,)``."""

    own_median: FloatArray  # of the pool's scene
    own_scale: FloatArray
    median: FloatArray  # of the view
    scale: FloatArray

    @classmethod
    def of(cls, own: FloatArray, theirs: FloatArray) -> Levels:
        """Return the levels of pixels that both show, each ``(k, pixels)``."""
        return cls(*_spread(own), *_spread(theirs))

    def change(self, own: FloatArray, theirs: FloatArray) -> FloatArray:
        """Return by how many scales values ``(n, k, height, width)`` differ from a view's."""
        shape = (-1, 1, 1)
        here = (own - self.own_median.reshape(shape)) / self.own_scale.reshape(shape)
        there = (theirs - self.median.reshape(shape)) / self.scale.reshape(shape)
        difference: FloatArray = here - there
        return difference


@dataclass(frozen=True)
class ViewLevels:
    """What a run writes down of a view, so that every command reads the same values."""

    fill: FloatArray  # the median of each band, ``(bands,)``: stands where the view shows nothing
    scenes: Mapping[str, Levels]  # by scene of the pool; none where no band is shared
    k: int  # number of bands that it shares with the pool's scenes

    @cached_property
    def _usual(self) -> Levels:
        """The levels of a scene of which nothing is known: the median of those of the others."""
        if not self.scenes:
            zero, one = np.zeros(self.k, np.float32), np.ones(self.k, np.float32)
            return Levels(zero, one, zero, one)
        each = self.scenes.values()
        terms = ("own_median", "own_scale", "median", "scale")
        return Levels(
            *(
                np.median([getattr(one, term) for one in each], axis=0).astype(np.float32)
                for term in terms
            )
        )

    def of(self, scene: str) -> Levels:
        """Return the levels of a scene of the pool."""
        return self.scenes.get(scene) or self._usual

    def with_scenes(self, scenes: Mapping[str, Levels], names: Iterable[str] = ()) -> ViewLevels:
        """Return the levels of more scenes of the pool; those of ``names`` that lack get the usual.

        So they keep theirs when further scenes join.
        """
        more = replace(self, scenes={**self.scenes, **scenes})
        if not more.scenes:
            return more
        return replace(more, scenes={**more.scenes, **{name: more.of(name) for name in names}})

    def only(self, scene: str) -> ViewLevels:
        """Return what concerns one scene of the pool."""
        return replace(self, scenes={scene: self.of(scene)})

    def to_json(self) -> dict[str, Any]:
        """Return plain values that ``from_json`` reads back exactly."""
        return {
            "fill": self.fill.tolist(),
            "shared": self.k,
            "scenes": {
                name: [
                    one.own_median.tolist(),
                    one.own_scale.tolist(),
                    one.median.tolist(),
                    one.scale.tolist(),
                ]
                for name, one in self.scenes.items()
            },
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ViewLevels:
        """Read them back; raises ValueError, KeyError or TypeError for what is damaged."""
        k = values["shared"]
        if not isinstance(k, int) or isinstance(k, bool):
            raise TypeError("shared is not a number")
        fill = _finite(values["fill"])
        if fill.ndim != 1:
            raise ValueError("fill is not a number per band")
        scenes = {}
        for name, terms in values["scenes"].items():
            each = [_finite(term) for term in terms]
            if len(each) != 4 or any(term.shape != (k,) for term in each):
                raise ValueError(f"the levels of {name} are not four numbers per band")
            if (each[1] <= 0).any() or (each[3] <= 0).any():
                raise ValueError(f"a scale of {name} is not positive")
            scenes[str(name)] = Levels(*each)
        return cls(fill, scenes, k)


def _finite(values: Any) -> FloatArray:
    numbers: FloatArray = np.array(values, dtype=np.float32)
    if not np.isfinite(numbers).all():
        raise ValueError("a number is not finite")
    return numbers


def _spread(bands: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return median and scale of each band, float32 ``(k,)``, of pixels ``(k, pixels)``."""
    median, scale = centre_and_scale(bands)
    least = np.finfo(np.float32).tiny
    return median.astype(np.float32), np.maximum(scale, least).astype(np.float32)
