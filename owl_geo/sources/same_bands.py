"""The bands of one scene, or of a run, found again in another scene; or why they are not there."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from owl_geo.errors import SceneError, SourceError
from owl_geo.sources.band_choice import KnownBand, NotFound, like_known
from owl_geo.sources.band_wording import abbreviated
from owl_geo.sources.bands import Band, sensor_of_bands, unpadded
from owl_geo.sources.counterparts import Counterparts
from owl_geo.sources.named_bands import in_a_view, naming, setting, taking
from owl_geo.sources.sensors import code_in
from owl_geo.types import EMBEDDING
from owl_geo.wording import plural

_log = logging.getLogger("owl_geo")

_SHOWN = 4  # bands of a message that names them two by two


@dataclass(frozen=True)
class Choice:
    """The bands that all scenes give, and the scene that decided so."""

    scene: str
    bands: Sequence[KnownBand]
    offered: Sequence[Band] = ()  # all that the scene has, where it was looked at
    of_run: bool = False  # a run has the bands written down

    @classmethod
    def of(cls, scene: str, bands: Sequence[Band], offered: Sequence[Band]) -> Choice:
        """Return the choice of a scene's bands among those that it has."""
        return cls(scene, [KnownBand(band.name, band.common) for band in bands], offered)

    @cached_property
    def all_bands(self) -> Sequence[KnownBand]:
        """All bands of the scene, as far as they are known."""
        return [KnownBand(b.name, b.common) for b in self.offered] or self.bands

    def counterparts(self, bands: Sequence[Band]) -> Counterparts:
        """Return which of a scene's bands stand for the chosen ones, whatever they are called."""
        files = {band.path for band in self.offered}
        return Counterparts(self.all_bands, bands, len(files) == len(self.offered))


def same_bands(
    chosen: Choice,
    wanted: Sequence[str],
    offered: Sequence[Band],
    default: Sequence[Band],
    scene: str,
) -> tuple[Band, ...]:
    """Return the bands of a scene that stand for those chosen, under their names.

    They are found as ``like_known`` does, else by the words in which the bands of one scene differ,
    else by their order where one scene has no names for them.

    Args:
        chosen: what is looked for.
        wanted: the words in which it was asked for.
        offered: the bands of the scene that may be meant.
        default: those that it would give unasked.
        scene: its name.

    Raises SourceError, which names the bands of both, where one is not there.
    """
    where = f"scene {scene!r}"
    counterparts = chosen.counterparts(offered)
    try:
        bands = like_known(offered, chosen.bands, wanted, where, counterparts.of)
    except SourceError as error:
        by_order = None if wanted else _by_order(chosen.bands, default)
        if by_order is not None:
            return by_order
        if scene == chosen.scene:
            raise
        raise _both_lists(chosen, wanted, offered, scene, error) from error
    if not chosen.of_run:
        if any(word.isdecimal() for word in wanted):
            _check_positions(chosen, bands, counterparts, where)
        fault = _code_of_another(chosen, bands, offered, scene)
        if fault:
            raise _both_lists(chosen, wanted, offered, scene, SceneError(f"{where}: {fault}"))
    return bands


def _by_order(known: Sequence[KnownBand], default: Sequence[Band]) -> tuple[Band, ...] | None:
    """Return as many bands in their order, where either scene only counts its bands.

    Not where a band is known to be another than the one in its place. Nor dimensions of an
    embedding: without names nothing tells that they are some, and their pixels would be read as
    they are stored.
    """
    unnamed = all(band.name == f"band_{band.number}" for band in default) or all(
        re.fullmatch(r"band_\d+", one.name) for one in known
    )
    if len(default) != len(known) or not unnamed:
        return None
    pairs = list(zip(default, known, strict=True))
    for band, one in pairs:
        commons = {band.common, one.common} - {None}
        if EMBEDDING in commons or len(commons) > 1:
            return None
    return tuple(replace(band, name=one.name, own_name=band.name) for band, one in pairs)


def warn_of_order(scenes: Iterable[tuple[str, Sequence[Band]]]) -> None:
    """Say which bands of scenes, given with their names, stand for those of another by order alone.

    It is said once for all, with the bands of the first.
    """
    by_order = [(name, bands) for name, bands in scenes if any(band.own_name for band in bands)]
    if not by_order:
        return
    name, bands = by_order[0]
    first, *rest = (f"{band.own_name} {{}} {band.name}" for band in bands[:_SHOWN])
    pairs = [first.format("is taken for"), *(pair.format("for") for pair in rest)]
    others = len(by_order) - 1
    _log.warning(
        "scene %r%s: only their order tells which bands these are: %s%s; if that is wrong, set "
        "`names` of the %s in owl.toml",
        name,
        f" and {others:,} more" if others else "",
        ", ".join(pairs),
        " and so on" if len(bands) > _SHOWN else "",
        plural(others + 1, "scene"),
    )


def warn_of_other_words(scenes: Iterable[tuple[str, Sequence[Band]]]) -> None:
    """Say where settings, or a STAC item, have the bands of a file in another order than it has.

    It is said of the first such file.
    """
    for name, bands in scenes:
        other = [band for band in bands if band.told not in (None, band.common)]
        if not other:
            continue
        first, *rest = (f"{band.told} {{}} {band.common}" for band in other[:_SHOWN])
        pairs = [first.format("is taken for"), *(pair.format("for") for pair in rest)]
        _log.warning(
            "scene %r: the STAC item, or `names` in owl.toml, has the bands of %s in another order "
            "than the file itself: %s%s; if the file is right, correct `names`, or name it with %s",
            name,
            other[0].path,
            ", ".join(pairs),
            " and so on" if len(other) > _SHOWN else "",
            taking(other[0].path),
        )
        return


def warn_of_products(scenes: Iterable[tuple[str, Sequence[Band]]]) -> None:
    """Say which bands of scenes are others, by their product, than the colours they are shown in.

    It is said once for all, with the bands of the first.
    """
    wrong = [
        (name, [band for band in bands if band.shown and band.colour not in (None, band.shown)])
        for name, bands in scenes
    ]
    wrong = [(name, bands) for name, bands in wrong if bands]
    if not wrong:
        return
    name, bands = wrong[0]
    others = len(wrong) - 1
    n = len(bands)
    _log.warning(
        "scene %r%s: by its product, %s %s %s %s, though the file marks %s as %s; if that is "
        "wrong, say which bands these are with `common` in owl.toml",
        name,
        f" and {others:,} more" if others else "",
        plural(n, "band"),
        ", ".join(str(band.number) for band in bands),
        plural(n, "is", "are"),
        ", ".join(str(band.shown) for band in bands),
        plural(n, "it", "them"),
        ", ".join(str(band.colour) for band in bands),
    )


def _check_positions(
    chosen: Choice, bands: Sequence[Band], counterparts: Counterparts, where: str
) -> None:
    """Raise SourceError where a number means one band here, and by its name another."""
    own = {(band.path, band.number): band.name for band in counterparts.bands}
    for one, band in zip(chosen.bands, bands, strict=True):
        other = counterparts.of(one)
        name = own[band.path, band.number]
        if other is not None and name not in (one.name, other.name):
            raise SceneError(
                f"{where}: by its number {one.name} of {chosen.scene!r} is {name} here, by its "
                f"name {other.name}",
                remedy="put the files of all scenes in one order, or name bands by words",
            )


def _code_of_another(
    chosen: Choice, bands: Sequence[Band], offered: Sequence[Band], scene: str
) -> str:
    """Say which band was taken for a code that is another sensor's, as far as that is known."""
    own = {(band.path, band.number): band for band in offered}
    for one, taken in zip(chosen.bands, bands, strict=True):
        band = own[taken.path, taken.number]
        if one.common is not None or code_in(one.name) is None or code_in(band.name) is None:
            continue
        if band.common is not None and unpadded(band.name) != unpadded(one.name):
            return f"its {band.name} is {band.common}, and nothing tells what {one.name} is"
        sensors = sensor_of_bands(chosen.offered, chosen.scene), sensor_of_bands(offered, scene)
        if None not in sensors and sensors[0] != sensors[1]:
            return f"its {band.name} is of another sensor than {one.name} of {chosen.scene!r}"
    return ""


def _both_lists(
    chosen: Choice, wanted: Sequence[str], offered: Sequence[Band], scene: str, error: SourceError
) -> SourceError:
    """Return the error for a band that is not there, with what there is in both scenes."""
    where = f"scene {scene!r}"
    hint = error.hint if isinstance(error, NotFound) and (wanted or not error.guessed) else ""
    ours = abbreviated([KnownBand(band.name, band.common) for band in offered])
    theirs = abbreviated(chosen.bands if chosen.of_run else chosen.all_bands)
    first = "the run" if chosen.of_run else f"the first scene, {chosen.scene!r},"
    both = "a run on both needs" if chosen.of_run else "both have"
    shared = _shared(chosen, wanted, offered, where)
    if shared:
        advice = f"{both} {naming(shared)}"
    elif chosen.of_run and not in_a_view():  # its bands stay as they are
        advice = "add scenes that have the run's bands, or make another run"
    else:
        advice = (
            f"name bands that both have with {setting()}, or set `names` of a scene in owl.toml"
        )
    return SceneError(error.message, remedy=f"{hint}it has {ours}; {first} has {theirs}; {advice}")


def _shared(
    chosen: Choice, wanted: Sequence[str], offered: Sequence[Band], where: str
) -> list[str]:
    """Return words for those of the chosen bands that the scene has too, each by itself."""
    each = [[word] for word in wanted] if len(wanted) == len(chosen.bands) else []
    counterparts = chosen.counterparts(offered)
    shared = []
    for number, one in enumerate(chosen.bands):
        for words in (*each[number : number + 1], []):
            with suppress(SourceError):
                like_known(offered, [one], words, where, counterparts.of)
                shared.append(one)
                break
    # one code may mean two bands of two sensors: what is sure goes before
    commons = [one.common for one in shared if one.common]
    return commons or [one.name for one in shared]
