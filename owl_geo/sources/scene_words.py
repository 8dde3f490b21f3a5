"""From the words that name scenes to the scenes: paths, patterns, lists, STAC items.

Nothing is opened here but lists, STAC files, and of STAC items with an offset the pixels that tell
whether it is in them already. Whether a scene can be read turns out later.
"""

from __future__ import annotations

import errno
import glob
import logging
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from owl_geo.disk.listing import passed_over
from owl_geo.disk.presence import check_exists, exists, is_dir
from owl_geo.disk.text_files import NotText, encoding_of
from owl_geo.errors import SourceError
from owl_geo.settings.paths import absolute, expanded, is_local, whole_path
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.products.families import is_product, product_of
from owl_geo.sources.scene_names import (
    SceneLocation,
    distinct_names,
    part_by_presence,
    without_repeats,
)
from owl_geo.sources.stac_scenes import STAC, ItemMasks, has_items, scenes_of_items
from owl_geo.sources.unopened import OnError
from owl_geo.sources.virtual import is_virtual, sources_of
from owl_geo.types import FailedScene
from owl_geo.wording import counted

_log = logging.getLogger("owl_geo")

_LONGEST_NAME = 1000
_LISTS = (".txt", ".lst")
# What lies beside rasters and is not a raster: a pattern never means it.
_SIDECARS = (
    *(".aux.xml", ".ovr", ".msk", ".tfw", ".tifw", ".wld", ".j2w", ".jgw", ".prj", ".rpb", ".imd"),
    *(".qml", ".qmd", ".xml", ".html", ".md5", ".csv", ".md", ".zip", *_LISTS, *STAC),
)


@dataclass(frozen=True)
class FoundScenes:
    """The scenes that words name."""

    scenes: tuple[SceneSettings, ...]
    present: tuple[str, ...]  # names of those that were there already, in the order given
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
    present: Sequence[SceneSettings] = (),
    on_error: OnError = "fail",
) -> FoundScenes:
    """Return the scenes that ``words`` name, each under a name of its own.

    A word is ``[NAME=]PATH``; the path is that of a raster, of a product's or another folder, of
    files joined by commas, a pattern with ``*``, ``?``, ``[]`` or ``**``, a list (``@FILE``, or a
    path that ends in .txt or .lst) with one word per line, or a STAC Item, ItemCollection or table
    of items (stac-geoparquet). A file whose name looks like a pattern is taken for the file. URLs,
    /vsi... and whatever else GDAL opens pass through.

    A scene is named by its file or folder. Where that does not tell scenes apart, as few further
    parts of the path as are needed stand before it. Scenes that are ``present`` keep their names.

    Args:
        words: as above.
        folder: where relative paths start; None = the current folder.
        bands: wanted of STAC items.
        masks: none, one for all scenes, one each in their order, or one with ``{name}`` in it.
        mask_bad: values of masks that are bad.
        item_masks: whether STAC items may bring a mask, if its bad values are known and are those
            of ``mask_bad``, where that has any.
        present: scenes that there are already, with absolute paths.
        on_error: "skip" names STAC items that cannot serve in ``failed`` instead of raising.

    Raises SourceError where a pattern finds nothing, a list or a STAC file cannot be read, a name
    is given twice, or masks and scenes differ in number.
    """
    folder = folder or Path.cwd()
    locations: list[SceneLocation] = []
    failed: list[FailedScene] = []
    used_masks = ItemMasks(mask_bad, wanted=item_masks and not masks)
    for word in words:
        for location in _locations(word, folder, lists=True):
            if not location.is_set and has_items(location.files[0]):
                locations += scenes_of_items(location, bands, used_masks, failed, on_error)
            else:
                locations.append(location)
    fresh, present_names = part_by_presence(without_repeats(locations), present)
    if on_error == "fail":
        _check_listed(fresh)
    _warn_of_virtual(fresh, present)
    names = distinct_names(fresh, {scene.name for scene in present})
    scenes = [location.settings(name) for location, name in zip(fresh, names, strict=True)]
    scenes = _masked(scenes, masks, folder)
    used_masks.report()
    return FoundScenes(tuple(scenes), tuple(present_names), tuple(failed), used_masks.values())


# --- words to locations ---------------------------------------------------------------------------


def _locations(word: str, folder: Path, *, lists: bool) -> list[SceneLocation]:
    """Return the scenes that one word names; only a word on the command line may be a list."""
    _check_text(word)
    if lists and word.startswith("@"):
        return _of_list(_local(word[1:], folder))
    name, path = _name_and_path(word, folder)
    is_list = lists and path.lower().endswith(_LISTS) and is_local(path)
    if not is_local(path):
        return [SceneLocation(name, (_absolute(path, folder),))]
    if _exists(path, folder):
        product = product_of(_local(path, folder))
        if product is not None:
            return [SceneLocation(name, (str(product),))]
        if is_list and name is not None:
            raise SourceError(f"{word!r}: a list of scenes has no name of its own")
    elif glob.has_magic(path):
        matches = _matches(path, folder)
        if name is not None and len(matches) > 1:
            raise SourceError(
                f"{word!r}: {len(matches):,} scenes cannot share a name", remedy="leave it out"
            )
        return [SceneLocation(name, (match,)) for match in matches]
    elif "," in path:
        files = tuple(_absolute(part.strip(), folder) for part in path.split(",") if part.strip())
        return [SceneLocation(name, files, is_set=True)]
    if is_list:
        return _of_list(_local(path, folder))  # which says so if it does not exist
    return [SceneLocation(name, (_absolute(path, folder),))]


def _name_and_path(word: str, folder: Path) -> tuple[str | None, str]:
    """Part ``NAME=PATH``; the name is None where there is none."""
    if not _has_name(word, folder):
        return None, word
    name, path = (part.strip() for part in word.split("=", 1))
    if not name or not path:
        raise SourceError(f"{word!r} is not NAME=PATH")
    if len(name) > _LONGEST_NAME:
        raise SourceError(
            f"the name {name[:80]!r}... of a scene has more than {_LONGEST_NAME} characters"
        )
    return name, path


def _check_text(text: str) -> None:
    """Raise SourceError for what cannot stand in owl.toml."""
    if not text.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        shown = text.encode(errors="backslashreplace").decode()
        raise SourceError(
            f"{shown!r} has control characters, or is not UTF-8",
            remedy="rename the file or its folder",
        )


def _has_name(word: str, folder: Path) -> bool:
    """Return whether a word begins with ``NAME=``; paths and URLs may hold the sign themselves."""
    name, sign, _ = word.partition("=")
    top = next(iter(Path(word).parts), "")  # the path . has no parts
    return (
        bool(sign)
        and is_local(name)
        and not _exists(word, folder)
        and not ("=" in top and "/" in word and _exists(top, folder))
    )


def _of_list(path: Path) -> list[SceneLocation]:
    """Read a list: a word per line, relative to the list; # begins a comment."""
    if path.name.upper().endswith("_MTL.TXT"):
        raise SourceError(f"{path} is the metadata of a Landsat product", remedy="name its folder")
    try:
        lines = path.read_text(encoding=encoding_of(path)).splitlines()
    except (OSError, UnicodeDecodeError, NotText) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(
            f"cannot read the list of scenes {path}: {reason}",
            remedy="save it in UTF-8" if isinstance(error, UnicodeDecodeError) else "",
        ) from error
    locations: list[SceneLocation] = []
    for number, line in enumerate(lines, start=1):
        word = line.split(" #")[0].strip()
        if not word or word.startswith("#"):
            continue
        origin = f"{path}, read as a list of scenes, line {number}"
        try:
            named = _locations(word, path.parent, lists=False)
        except SourceError as error:
            raise SourceError(f"{origin}: {error}") from error
        locations += [replace(location, origin=origin) for location in named]
    if not locations:
        raise SourceError(f"the list of scenes {path} names none")
    return locations


def _check_listed(locations: Iterable[SceneLocation]) -> None:
    """Raise SourceError, which names list and line, where a list names what is not there."""
    for location in locations:
        for file in location.files:
            if location.origin and is_local(file):
                check_exists(file, SourceError, location.origin)


def _matches(pattern: str, folder: Path) -> list[str]:
    """Return the scenes that match a pattern, sorted; no sidecars, and nothing twice.

    A product's folder stands for what lies in it; any other folder gives way to matches in it.
    """
    whole = str(_local(pattern, folder))
    matches = sorted(path.rstrip(os.sep) for path in glob.glob(whole, recursive=True))  # noqa: PTH207 - ** and escapes
    for unread, error in dict(passed_over(whole)).items():
        _log.warning("%s cannot be read (%s), so scenes in it are left out", unread, error.strerror)
    wants_stac = pattern.lower().endswith(STAC)
    suffixes = tuple(s for s in _SIDECARS if not (wants_stac and s in STAC))
    kept = [path for path in dict.fromkeys(matches) if is_dir(path) or not _ends(path, suffixes)]
    holders = {str(parent) for path in kept for parent in Path(path).parents}
    products = {path for path in kept if is_dir(path) and is_product(Path(path))}
    kept = [
        path
        for path in kept
        if not any(str(parent) in products for parent in Path(path).parents)
        and (path in products or not (is_dir(path) and path in holders))
    ]
    for path in kept:
        _check_text(path)
    kept = _without_virtual(kept)
    if not kept:
        others = counted(len(matches), "file that is no scene", "files that are no scenes")
        only = f"; it matches {others}" if matches else ""
        raise SourceError(
            f"no scene matches {pattern!r} in {folder}{only}",
            remedy="check the pattern, ** goes into folders below",
        )
    return kept


def _without_virtual(paths: list[str]) -> list[str]:
    """Leave out each VRT that shows nothing but files that match too: its pixels are theirs."""
    real = {os.path.realpath(path) for path in paths}
    virtual = [path for path in paths if (shown := _shown(path)) and real.issuperset(shown)]
    for path in virtual:
        _log.warning("%s shows only files that match too, and is left out", path)
    return [path for path in paths if path not in virtual]


def _warn_of_virtual(fresh: Sequence[SceneLocation], present: Sequence[SceneSettings]) -> None:
    """Warn of a VRT that shows the file of another scene."""
    scenes = {file for location in fresh for file in location.identity}
    scenes |= {os.path.realpath(scene.path) for scene in present if scene.path}
    for location in fresh:
        for path in location.files:
            if scenes.intersection(_shown(path)):
                _log.warning(
                    "%s shows files that are scenes too: their ground is there twice", path
                )


def _shown(path: str) -> list[str]:
    """Return the files that a VRT shows, links resolved; none of any other file."""
    if not is_local(path) or not is_virtual(path):
        return []
    return [os.path.realpath(file) for file in sources_of(Path(path))]


def _ends(path: str, suffixes: tuple[str, ...]) -> bool:
    return path.lower().endswith(suffixes)


def _exists(path: str, folder: Path) -> bool:
    try:
        return is_local(path) and exists(_local(path, folder))
    except OSError as error:
        # too long for a name, as files joined by commas may be; else it is there for all we know,
        # and whoever opens it says why that cannot be
        return error.errno != errno.ENAMETOOLONG


def _local(path: str, folder: Path) -> Path:
    return absolute(folder / expanded(path))


def _absolute(path: str, folder: Path) -> str:
    return whole_path(path, folder)


# --- masks ----------------------------------------------------------------------------------------


def _masked(scenes: list[SceneSettings], masks: Sequence[str], folder: Path) -> list[SceneSettings]:
    """Give each scene its mask."""
    if not masks or not scenes:
        return scenes
    if len(masks) not in (1, len(scenes)):
        raise SourceError(
            f"{counted(len(masks), 'mask')} for {counted(len(scenes), 'scene')}",
            remedy="give one, one each, or one with {name}",
        )
    each = list(masks) if len(masks) > 1 else [masks[0]] * len(scenes)
    return [
        scene.model_copy(update={"mask": _absolute(mask.replace("{name}", scene.name), folder)})
        for scene, mask in zip(scenes, each, strict=True)
    ]
