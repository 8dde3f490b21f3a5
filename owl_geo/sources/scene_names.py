"""Where scenes lie, and a name for each: no two alike, and none that is taken."""

from __future__ import annotations

import datetime
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from owl_geo.disk.presence import is_dir
from owl_geo.errors import SourceError
from owl_geo.settings.paths import absolute, is_local, path_at
from owl_geo.settings.sources import SceneSettings
from owl_geo.settings.subdatasets import file_of, is_subdataset, label_of
from owl_geo.sources.stac_values import PixelValues, columns

_log = logging.getLogger("owl_geo")


@dataclass(frozen=True)
class SceneLocation:
    """Where a scene lies, and the name that it was given, if any."""

    name: str | None
    files: tuple[str, ...]  # one, or the single-band files that make the scene
    is_set: bool = False  # several files
    bands: tuple[str, ...] = ()  # names of the bands, where a STAC item gives them
    mask: str | None = None
    values: tuple[PixelValues, ...] = ()  # of each band, where a STAC item gives them
    origin: str = ""  # the line of a list that names it
    date: datetime.date | None = None  # of acquisition, where a STAC item gives it

    @property
    def identity(self) -> tuple[str, ...]:
        """What is the same for two names of one file, links included."""
        return tuple(os.path.realpath(file) if is_local(file) else file for file in self.files)

    def settings(self, name: str) -> SceneSettings:
        """The scene under a name of its own."""
        place = {"files": self.files} if self.is_set else {"path": self.files[0]}
        return SceneSettings.model_validate(
            {
                "name": name,
                **place,
                "names": self.bands or None,
                "mask": self.mask,
                "date": self.date,
            }
            | dict(columns(self.values))
        )


def _is_folder(path: str) -> bool:
    """Return whether a path is known to be a folder; opening it says why that cannot be told."""
    with suppress(OSError):
        return is_dir(path)
    return False


def scene_name(path: str | Path) -> str:
    """Return the name of the scene at a path: file stem, or folder name without ``.SAFE``."""
    text = str(path)
    if is_subdataset(text):
        return f"{scene_name(file_of(text))}_{label_of(text)}".rstrip("_")
    plain = path_at(text)
    pure = PurePosixPath(plain) if not is_local(text) else absolute(Path(plain))
    if pure.name == "..":  # behind a link
        pure = Path(plain).resolve()
    return (
        pure.name[: -len(".SAFE")]
        if pure.name.upper().endswith(".SAFE")
        else (pure.name if _is_folder(text) else pure.stem)
    )


def without_repeats(locations: Iterable[SceneLocation]) -> list[SceneLocation]:
    """Return each scene once, in the order given; a name that one was given stays.

    Raises SourceError where one scene was given two names.
    """
    once: dict[tuple[str, ...], SceneLocation] = {}
    for location in locations:
        before = once.setdefault(location.identity, location)
        if before is location:
            continue
        if location.name and before.name and location.name != before.name:
            raise SourceError(
                f"{location.files[0]} is named twice, as {before.name!r} and as {location.name!r}"
            )
        _log.warning("%s is named twice; it is one scene", location.files[0])
        if not before.name:
            once[location.identity] = location
    return list(once.values())


def part_by_presence(
    locations: Sequence[SceneLocation], present: Sequence[SceneSettings]
) -> tuple[list[SceneLocation], list[str]]:
    """Part the locations into those of new scenes, and the names of the scenes already present."""
    present_names = {_location(scene).identity: scene.name for scene in present}
    fresh, names = [], []
    for location in locations:
        name = present_names.get(location.identity)
        if name is None:
            fresh.append(location)
            continue
        names.append(name)
        if location.name not in (None, name):
            _log.warning("%s is there already, as %r", location.files[0], name)
    return fresh, names


def _location(scene: SceneSettings) -> SceneLocation:
    return SceneLocation(scene.name, scene.files or (scene.path or "",), is_set=bool(scene.files))


def distinct_names(locations: Sequence[SceneLocation], taken: Collection[str] = ()) -> list[str]:
    """Return a name for each scene, all different and none of ``taken``.

    A scene that was given a name keeps it. Any other is named by the last part of its path; those
    that would share a name get the part before it too, and so on, joined by ``_``; where even whole
    paths do not tell them apart, a number.

    Raises SourceError where a name that was given is taken, or was given twice.
    """
    own = Counter(location.name for location in locations if location.name)
    for name, count in own.items():
        if count > 1:
            raise SourceError(
                f"two scenes are named {name!r}", remedy="give them names of their own"
            )
        if name in taken:
            raise SourceError(
                f"there is a scene {name!r} already, of another file", remedy="write NAME=PATH"
            )
    fixed = {*own, *taken}
    parts = [_parts(location) for location in locations]
    depth = [1] * len(locations)
    while True:
        names = [
            location.name or "_".join(part[-k:])
            for location, part, k in zip(locations, parts, depth, strict=True)
        ]
        counts = Counter(names)
        unclear = [
            i
            for i, location in enumerate(locations)
            if not location.name and (counts[names[i]] > 1 or names[i] in fixed)
        ]
        longer = [i for i in unclear if depth[i] < len(parts[i])]
        if not longer:
            break
        for i in longer:
            depth[i] += 1
    used = {*fixed, *(name for i, name in enumerate(names) if i not in set(unclear))}
    for i in unclear:  # for example x/y and x_y
        number = 2
        while (name := f"{names[i]}-{number}") in used:
            number += 1
        used.add(name)
        names[i] = name
    return names


def _parts(location: SceneLocation) -> list[str]:
    """Return the parts of a path that may name a scene; the last is the name of file or folder."""
    path = location.files[0]
    whole = Path(path) if is_local(path) else PurePosixPath(path_at(path))
    return [*whole.parts[1:-1], scene_name(path)]
