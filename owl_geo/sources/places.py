"""From what a person names as scenes to the scenes meant: paths, patterns, lists, STAC items.

Nothing is opened here but lists and STAC files; whether a scene can be read is found out later.
"""

from __future__ import annotations

import glob
import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from owl_geo.errors import SourceError, where_instead
from owl_geo.settings.config import SceneSettings
from owl_geo.settings.owl_toml import absolute, expanded, is_local
from owl_geo.sources.products import is_landsat, is_sentinel2
from owl_geo.sources.scenes import scene_name
from owl_geo.sources.stac import items_of, scene_of_item
from owl_geo.types import FailedScene

_log = logging.getLogger("owl_geo")

_LONGEST_NAME = 1000
_LISTS = (".txt", ".lst")
_STAC = (".json", ".geojson")
# What lies beside rasters and is none: never meant by a pattern.
_SIDECARS = (
    *(".aux.xml", ".ovr", ".msk", ".tfw", ".tifw", ".wld", ".j2w", ".jgw", ".prj", ".rpb", ".imd"),
    *(".qml", ".qmd", ".xml", ".html", ".md5", ".csv", ".md", ".zip", *_LISTS, *_STAC),
)


@dataclass(frozen=True)
class Place:
    """One scene as it was named: its own name if it was given one, and where it lies."""

    name: str | None
    files: tuple[str, ...]  # one, or the single-band files that make the scene
    is_set: bool = False  # several files
    bands: tuple[str, ...] = ()  # names of the bands, where a STAC item gives them
    mask: str | None = None
    origin: str = ""  # the line of a list that names it

    @property
    def identity(self) -> tuple[str, ...]:
        """What is the same for two names of one file, links included."""
        return tuple(os.path.realpath(file) if is_local(file) else file for file in self.files)

    def settings(self, name: str) -> SceneSettings:
        """The scene under a name of its own."""
        names = self.bands or None
        if self.is_set:
            return SceneSettings(name=name, files=self.files, names=names, mask=self.mask)
        return SceneSettings(name=name, path=self.files[0], names=names, mask=self.mask)


@dataclass(frozen=True)
class Found:
    """The scenes that were meant."""

    scenes: tuple[SceneSettings, ...]
    known: tuple[str, ...]  # names of those that were there already, in the order given
    failed: tuple[FailedScene, ...]  # STAC items that offer no scene
    mask_bad: tuple[int, ...]  # bad values of the masks that STAC items brought


def find_scenes(
    words: Sequence[str],
    *,
    folder: Path | None = None,
    bands: Sequence[str] = (),
    masks: Sequence[str] = (),
    mask_bad: Sequence[int] = (),
    item_masks: bool = True,
    known: Sequence[SceneSettings] = (),
    on_error: Literal["fail", "skip"] = "fail",
) -> Found:
    """Return the scenes that ``words`` mean, each under a name of its own.

    A word is ``[NAME=]PLACE``; a place is a raster, a product's or another folder, files joined by
    commas, a pattern with ``*``, ``?``, ``[]`` or ``**``, a list (``@FILE``, or a path that ends in
    .txt or .lst) with one word per line, or a STAC Item or ItemCollection. What exists under the
    very name is taken for no pattern. URLs, /vsi... and what else GDAL opens pass through.

    A scene is named by its file or folder. Where that does not tell scenes apart, parts of the path
    before it are added, as few as do; names in ``known`` are taken already and stay.

    Args:
        words: as above.
        folder: where relative paths start; None = the current folder.
        bands: that are wanted of STAC items.
        masks: none, one for all scenes, one each in their order, or one with ``{name}`` in it.
        mask_bad: values of masks that are bad.
        item_masks: whether STAC items may bring a mask, if its bad values are known and are those
            of ``mask_bad``, where that has any.
        known: scenes that there are already, with absolute paths.
        on_error: "skip" names STAC items that cannot serve in ``failed`` instead of raising.

    Raises SourceError where a pattern finds nothing, a list or a STAC file cannot be read, a name
    is given twice, or masks and scenes differ in number.
    """
    places: list[Place] = []
    failed: list[FailedScene] = []
    use_masks: _ItemMasks = _ItemMasks(mask_bad, wanted=item_masks and not masks)
    for word in words:
        for place in _places(word, folder or Path.cwd(), lists=True):
            if place.files[0].lower().endswith(_STAC) and not place.is_set:
                places += _of_stac(place, bands, use_masks, failed, on_error)
            else:
                places.append(place)
    fresh, there = _without_known(_once(places), known)
    if on_error == "fail":
        _check_listed(fresh)
    names = named(fresh, {scene.name for scene in known})
    scenes = [place.settings(name) for place, name in zip(fresh, names, strict=True)]
    scenes = _masked(scenes, masks, folder or Path.cwd())
    use_masks.report()
    return Found(tuple(scenes), tuple(there), tuple(failed), use_masks.values())


# --- words to places ------------------------------------------------------------------------------


def _places(word: str, folder: Path, *, lists: bool) -> list[Place]:
    """Return the places that one word means; only a word on the command line may be a list."""
    _check_text(word)
    if lists and word.startswith("@"):
        return _of_list(_local(word[1:], folder))
    name, place = "", word
    if _has_name(word, folder):
        name, place = (part.strip() for part in word.split("=", 1))
        if not name or not place:
            raise SourceError(f"{word!r} is not NAME=PATH")
        if len(name) > _LONGEST_NAME:
            raise SourceError(
                f"the name {name[:80]!r}... of a scene has more than {_LONGEST_NAME} characters"
            )
    if _exists(place, folder) or not is_local(place):
        if lists and place.lower().endswith(_LISTS) and is_local(place):
            if name:
                raise SourceError(f"{word!r}: a list of scenes has no name of its own")
            return _of_list(_local(place, folder))
        return [Place(name or None, (_absolute(place, folder),))]
    if "," in place and not glob.has_magic(place):
        files = tuple(_absolute(part.strip(), folder) for part in place.split(",") if part.strip())
        return [Place(name or None, files, is_set=True)]
    if glob.has_magic(place):
        found = _matches(place, folder)
        if name and len(found) > 1:
            raise SourceError(
                f"{word!r}: {len(found)} scenes cannot have one name", remedy="leave it out"
            )
        return [Place(name or None, (path,)) for path in found]
    if lists and place.lower().endswith(_LISTS):
        return _of_list(_local(place, folder))  # it does not exist, which is said there
    return [Place(name or None, (_absolute(place, folder),))]


def _check_text(text: str) -> None:
    """Raise SourceError for what cannot stand in owl.toml."""
    if not text.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        shown = text.encode(errors="backslashreplace").decode()
        raise SourceError(
            f"{shown!r} has control characters, or is no UTF-8",
            remedy="rename the file or its folder",
        )


def _has_name(word: str, folder: Path) -> bool:
    """Say whether a word begins with ``NAME=``; paths and URLs may hold the sign themselves."""
    name, sign, _ = word.partition("=")
    top = next(iter(Path(word).parts), "")  # of . there are none
    return (
        bool(sign)
        and is_local(name)
        and not _exists(word, folder)
        and not ("=" in top and "/" in word and _exists(top, folder))
    )


def _of_list(path: Path) -> list[Place]:
    """Read a list: a word per line, relative to the list; # begins a comment."""
    if path.name.upper().endswith("_MTL.TXT"):
        raise SourceError(f"{path} is the metadata of a Landsat product", remedy="name its folder")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"cannot read the list of scenes {path}: {reason}") from error
    places: list[Place] = []
    for number, line in enumerate(lines, start=1):
        word = line.split(" #")[0].strip()
        if not word or word.startswith("#"):
            continue
        origin = f"{path}, read as a list of scenes, line {number}"
        try:
            found = _places(word, path.parent, lists=False)
        except SourceError as error:
            raise SourceError(f"{origin}: {error}") from error
        places += [replace(place, origin=origin) for place in found]
    if not places:
        raise SourceError(f"the list of scenes {path} names none")
    return places


def _check_listed(places: Iterable[Place]) -> None:
    """Raise SourceError, which names list and line, where a list names what is not there."""
    for place in places:
        for file in place.files:
            if place.origin and is_local(file) and not Path(file).exists():
                raise SourceError(
                    f"{place.origin}: {file} does not exist", remedy=where_instead(file)
                )


def _matches(pattern: str, folder: Path) -> list[str]:
    """Return what a pattern finds, sorted; no sidecars, and nothing twice.

    A product's folder stands for what lies within it; of any other folder what was found in it.
    """
    whole = str(_local(pattern, folder))
    found = sorted(path.rstrip(os.sep) for path in glob.glob(whole, recursive=True))  # noqa: PTH207 - ** and escapes
    wants_stac = pattern.lower().endswith(_STAC)
    suffixes = tuple(s for s in _SIDECARS if not (wants_stac and s in _STAC))
    kept = [
        path for path in dict.fromkeys(found) if Path(path).is_dir() or not _ends(path, suffixes)
    ]
    holders = {str(parent) for path in kept for parent in Path(path).parents}
    products = {p for p in kept if Path(p).is_dir() and (is_sentinel2(Path(p)) or _landsat(p))}
    kept = [
        path
        for path in kept
        if not any(str(parent) in products for parent in Path(path).parents)
        and (path in products or not (Path(path).is_dir() and path in holders))
    ]
    for path in kept:
        _check_text(path)
    if not kept:
        only = f"; it finds {len(found)} files that are no scenes" if found else ""
        raise SourceError(
            f"no scene matches {pattern!r} in {folder}{only}",
            remedy="check the pattern, ** goes into folders below",
        )
    return kept


def _landsat(path: str) -> bool:
    return is_landsat(Path(path))


def _ends(path: str, suffixes: tuple[str, ...]) -> bool:
    return path.lower().endswith(suffixes)


def _exists(place: str, folder: Path) -> bool:
    try:
        return is_local(place) and _local(place, folder).exists()
    except OSError:  # too long for a name, as files joined by commas may be
        return False


def _local(place: str, folder: Path) -> Path:
    return absolute(folder / expanded(place))


def _absolute(place: str, folder: Path) -> str:
    return str(_local(place, folder)) if is_local(place) else place


# --- STAC -----------------------------------------------------------------------------------------


class _ItemMasks:
    """Which masks of STAC items are used: all of one kind, so that one list of values fits."""

    def __init__(self, mask_bad: Sequence[int], *, wanted: bool) -> None:
        self._given = tuple(mask_bad)
        self._wanted = wanted
        self._values: tuple[int, ...] = ()
        self._left_out: list[str] = []

    def take(self, name: str, mask: str | None, bad: tuple[int, ...], others: str) -> str | None:
        """Return the mask where it can be used: its bad values are known, and nobody said other."""
        if not self._wanted:
            return None
        if mask is not None and (not self._given or self._given == bad):
            self._values = bad
            return mask
        if mask is not None or others:
            self._left_out.append(f"{name} ({mask or others})")
        return None

    def values(self) -> tuple[int, ...]:
        """The bad values of the masks that were taken."""
        return self._values

    def report(self) -> None:
        """Say which masks were not used."""
        if self._left_out:
            more = len(self._left_out) - 1
            _log.warning(
                "a mask of STAC item %s%s is not used, since what is bad in it is not known; "
                "give it with --mask and --mask-bad",
                self._left_out[0],
                f" and of {more} more" if more else "",
            )


def _of_stac(
    place: Place,
    bands: Sequence[str],
    masks: _ItemMasks,
    failed: list[FailedScene],
    on_error: Literal["fail", "skip"],
) -> list[Place]:
    """Return a scene per item of a STAC file; those that offer none go to ``failed``."""
    path = place.files[0]
    found: list[Place] = []
    try:
        items = items_of(path)
    except SourceError as error:
        if on_error == "fail":
            raise
        failed.append(FailedScene(place.name or Path(path).stem, str(error)))
        return []
    if place.name and len(items) > 1:
        raise SourceError(f"{path} has {len(items)} items, which cannot have one name")
    for item in items:
        name = place.name or item.name
        try:
            scene = scene_of_item(item, bands)
        except SourceError as error:
            if on_error == "fail":
                raise
            failed.append(FailedScene(name, str(error)))
            continue
        mask = masks.take(name, scene.mask, scene.mask_bad, scene.other_masks)
        found.append(Place(name, scene.files, len(scene.files) > 1, scene.bands, mask))
    return found


# --- names ----------------------------------------------------------------------------------------


def _once(places: Iterable[Place]) -> list[Place]:
    """Leave out what was named before; a name of its own wins."""
    seen: dict[tuple[str, ...], int] = {}
    kept: list[Place] = []
    for place in places:
        at = seen.get(place.identity)
        if at is None:
            seen[place.identity] = len(kept)
            kept.append(place)
            continue
        before = kept[at]
        if place.name and before.name and place.name != before.name:
            raise SourceError(
                f"{place.files[0]} is named twice, as {before.name!r} and as {place.name!r}"
            )
        _log.warning("%s is named twice; it is one scene", place.files[0])
        kept[at] = before if before.name else place
    return kept


def _without_known(
    places: Sequence[Place], known: Sequence[SceneSettings]
) -> tuple[list[Place], list[str]]:
    """Part the places into those that are new, and the names of those there are already."""
    there = {place_of(scene).identity: scene.name for scene in known}
    fresh, names = [], []
    for place in places:
        name = there.get(place.identity)
        if name is None:
            fresh.append(place)
            continue
        names.append(name)
        if place.name not in (None, name):
            _log.warning("%s is there already, as %r", place.files[0], name)
    return fresh, names


def place_of(scene: SceneSettings) -> Place:
    """Return where a scene lies."""
    return Place(scene.name, scene.files or (scene.path or "",), is_set=bool(scene.files))


def named(places: Sequence[Place], taken: Collection[str] = ()) -> list[str]:
    """Return a name for each place, all different and none of ``taken``.

    A place with a name of its own keeps it. Any other is named by the last part of its path; those
    that would share a name get the part before it too, and so on, joined by ``_``; where even whole
    paths do not tell, a number.

    Raises SourceError where a name of its own is taken, or given twice.
    """
    own = Counter(place.name for place in places if place.name)
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
    parts = [_parts(place) for place in places]
    depth = [1] * len(places)
    while True:
        names = [
            place.name or "_".join(part[-k:])
            for place, part, k in zip(places, parts, depth, strict=True)
        ]
        counts = Counter(names)
        unclear = [
            i
            for i, place in enumerate(places)
            if not place.name and (counts[names[i]] > 1 or names[i] in fixed)
        ]
        longer = [i for i in unclear if depth[i] < len(parts[i])]
        if not longer:
            break
        for i in longer:
            depth[i] += 1
    used = {*fixed, *(name for i, name in enumerate(names) if i not in set(unclear))}
    for i in unclear:  # x/y and x_y, say
        number = 2
        while (name := f"{names[i]}-{number}") in used:
            number += 1
        used.add(name)
        names[i] = name
    return names


def _parts(place: Place) -> list[str]:
    """Return the parts of a path that may name a scene; the last is the name of file or folder."""
    path = place.files[0]
    if is_local(path):
        before = Path(path).parts[1:-1]
    else:
        before = PurePosixPath(urlsplit(path).path if "://" in path else path).parts[1:-1]
    return [*before, scene_name(path)]


# --- masks ----------------------------------------------------------------------------------------


def _masked(scenes: list[SceneSettings], masks: Sequence[str], folder: Path) -> list[SceneSettings]:
    """Give each scene its mask."""
    if not masks or not scenes:
        return scenes
    if len(masks) not in (1, len(scenes)):
        raise SourceError(
            f"{len(masks)} masks for {len(scenes)} scenes: one, one each, or one with {{name}}"
        )
    each = list(masks) if len(masks) > 1 else [masks[0]] * len(scenes)
    return [
        scene.model_copy(update={"mask": _absolute(mask.replace("{name}", scene.name), folder)})
        for scene, mask in zip(scenes, each, strict=True)
    ]
