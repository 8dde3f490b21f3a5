"""The same band in several scenes, where names differ by what is the scene's own.

Separate files are bands that are called as their files are: ``may_red`` and ``may_nir`` of one
scene, ``june_red`` and ``june_nir`` of another. Which is which the words say that are left once
those are taken away that speak of the scene.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from owl_geo.sources.band_choice import KnownBand, of_common_name
from owl_geo.sources.bands import Band, common_name, unpadded
from owl_geo.sources.sensors import by_code, code_in, sensor_of

# Between words: signs, and the edges of what may be a year or a date.
_EDGES = re.compile(r"[\s_.-]+|(?<=[a-z])(?=\d{4})|(?<=\d{4})(?=[a-z])")

_Words = tuple[str, ...]


@dataclass(frozen=True)
class Counterparts:
    """Which band of a scene stands for which of another that has other names.

    Args:
        known: the bands of the scene that decided, or of a run.
        bands: of the scene whose bands are wanted.
        of_files: whether the known bands are separate files, as far as that can be told.
    """

    known: Sequence[KnownBand]
    bands: Sequence[Band]
    of_files: bool

    def of(self, one: KnownBand) -> Band | None:
        """Return the band that stands for a known one, None where none surely does."""
        return self._by_words(one) or self._by_common_name(one)

    def _by_words(self, one: KnownBand) -> Band | None:
        words = self._known_words.get(one.name, ())
        same = [i for i, band in enumerate(self.bands) if self._own_words[band.name] == words]
        if not words or len(same) != 1 or Counter(self._known_words.values())[words] != 1:
            return None
        band = self.bands[same[0]]
        # a number alone tells files apart; of a stack it is only a position
        are_files = self.of_files and all(b is band or b.path != band.path for b in self.bands)
        if not are_files and all(word.isdecimal() for word in words):
            return None
        commons = {self._common(one), self._said[same[0]].common}
        has_code = any(code_in(word) for word in words)  # which means nothing without a sensor
        return band if len(commons if has_code else commons - {None}) <= 1 else None

    def _by_common_name(self, one: KnownBand) -> Band | None:
        """Go by what the bands are, where one side says it in a name that begins with its scene."""
        same = of_common_name(self._said, self._common(one))
        return self.bands[self._said.index(same[0])] if len(same) == 1 else None

    def _common(self, one: KnownBand) -> str | None:
        return one.common or self._known_said.get(one.name)

    @cached_property
    def _known_words(self) -> Mapping[str, _Words]:
        return own_words(self._known_names, [band.name for band in self.bands])

    @cached_property
    def _own_words(self) -> Mapping[str, _Words]:
        return own_words([band.name for band in self.bands], self._known_names)

    @cached_property
    def _known_names(self) -> list[str]:
        return [band.name for band in self.known]

    @cached_property
    def _known_said(self) -> Mapping[str, str | None]:
        return said_by(self._known_names)

    @cached_property
    def _said(self) -> list[Band]:
        """The bands as far as their names say what they are."""
        said = said_by([band.name for band in self.bands])
        return [replace(band, common=band.common or said.get(band.name)) for band in self.bands]


def own_words(names: Sequence[str], others: Sequence[str]) -> Mapping[str, _Words]:
    """Return the words of each name that do not speak of its scene.

    A word speaks of the scene if several of its names have it, and none of the other scene's.
    """
    split = {name: _split(name) for name in names}
    elsewhere = {word for name in others for word in _split(name)}
    counts = Counter(word for words in split.values() for word in set(words))
    return {
        name: tuple(word for word in words if counts[word] < 2 or word in elsewhere)
        for name, words in split.items()
    }


def said_by(names: Sequence[str]) -> Mapping[str, str | None]:
    """Return the common name of each of several bands by what its name has of its own.

    That is the name without the words that all begin or end with: red of ``may_red_10m``, beside
    ``may_nir_10m``, and of a Sentinel-2 tile's B04.
    """
    split = [_split(name) for name in names]
    if len(split) < 2:
        return {}
    shortest = min(map(len, split))
    before = 0
    while before < shortest - 1 and len({words[before] for words in split}) == 1:
        before += 1
    behind = 0
    while before + behind < shortest - 1 and len({words[-1 - behind] for words in split}) == 1:
        behind += 1
    own = ["_".join(words[before : len(words) - behind]) for words in split]
    codes = by_code(own, sensor_of(own, *names))
    return {
        name: common_name(word) or code for name, word, code in zip(names, own, codes, strict=True)
    }


def _split(name: str) -> _Words:
    return tuple(unpadded(word) for word in _EDGES.split(name.casefold()) if word)
