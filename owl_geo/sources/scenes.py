"""From a path to a scene: which file and band holds each chosen band, on which grid."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

import numpy as np

from owl_geo.errors import SceneError, SourceError
from owl_geo.ground.grid import bounds
from owl_geo.ground.projections import crs_of, same_crs
from owl_geo.settings.paths import absolute, is_local
from owl_geo.settings.sources import SceneSettings
from owl_geo.settings.subdatasets import file_of, is_subdataset, label_of
from owl_geo.sources.band_choice import KnownBand, select, with_stated
from owl_geo.sources.bands import Band, common_name, unpadded, with_common_names
from owl_geo.sources.embeddings import check_whole, with_embedding
from owl_geo.sources.files import check_pixels, read_bands, share_nodata
from owl_geo.sources.folders import (
    bad_bands,
    by_default,
    folder_of_rasters,
    quality_bands,
    without_quality,
)
from owl_geo.sources.left_out import NoSceneLeft, failed_scene
from owl_geo.sources.products.families import lacks_metadata, product_of, read_product
from owl_geo.sources.products.product import CloudMask, Product
from owl_geo.sources.same_bands import Choice, same_bands
from owl_geo.sources.scene_dates import scene_date
from owl_geo.sources.units import Units
from owl_geo.types import EMBEDDING, FailedScene, SceneGrid
from owl_geo.wording import counted


@dataclass(frozen=True)
class SceneDescription:
    """What a scene offers, before any band is chosen."""

    name: str
    kind: str  # "GTiff", "folder of rasters", "Sentinel-2 level 2A", ...
    bands: tuple[Band, ...]
    default: tuple[Band, ...]  # taken where no bands are asked for
    mask: CloudMask | None
    unusable: tuple[str, ...]  # files beside the bands that cannot be read, with the reason
    doubtful: tuple[str, ...] = ()  # bands by default that look like a mask or a truth
    side_files: tuple[str, ...] = ()  # paths of those whose bands count only where they are named
    left_out: tuple[str, ...] = ()  # a clause on each thing that a person may miss
    taken: datetime.date | None = None  # day of acquisition, as settings or the product have it
    folder: str = ""  # that the bands lie in, where the scene is one
    measure: str = ""  # what its values are, where a product says so

    @property
    def date(self) -> datetime.date | None:
        """The day on which the bands were taken that are taken by default; None if unknown."""
        return self.date_of(self.default)

    def date_of(self, bands: Sequence[Band]) -> datetime.date | None:
        """Return the day on which some of the bands were taken, None if unknown or not one day."""
        files = list(dict.fromkeys(band.path for band in bands))
        stated = {band.taken for band in bands}
        return self.taken or scene_date(stated, files, self.folder, self.name)

    def offered(self, wanted: Sequence[str]) -> tuple[Band, ...]:
        """Return the bands that the ``wanted`` words may mean.

        One of a side file is meant by its own name alone: neither by a colour nor by a number.
        """
        return tuple(
            band
            for band in self.bands
            if band.path not in self.side_files or any(_names(word, band) for word in wanted)
        )

    def stated(self, common: Mapping[str, str], *, anywhere: bool) -> SceneDescription:
        """Return the scene with what the settings say that bands are; see ``with_stated``."""
        bands = with_stated(self.bands, common, f"scene {self.name!r}", anywhere=anywhere)
        now = {(band.path, band.number): band for band in bands}
        default = tuple(now[band.path, band.number] for band in self.default)
        return replace(self, bands=bands, default=default)

    def besides(self, bands: Sequence[Band]) -> tuple[Band, ...]:
        """Return the other bands that the scene gives by default and that lie where these do."""
        taken = {(band.path, band.number) for band in bands}
        return tuple(
            band
            for band in self.default
            if (band.path, band.number) not in taken and _lie_together(self.name, (*bands, band))
        )

    @property
    def grid(self) -> SceneGrid:
        """The finest grid among the bands taken by default."""
        return replace(finest(self.default), name=self.name)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Width and height of a pixel in units of the CRS."""
        return pixel_size(self.grid)


@dataclass(frozen=True)
class Scene:
    """A scene as it is read: the chosen bands on one grid, and the mask."""

    name: str
    grid: SceneGrid
    bands: tuple[Band, ...]
    mask: CloudMask | None
    doubtful: tuple[str, ...] = ()  # bands that nobody asked for and that do not look like bands
    date: datetime.date | None = None  # of acquisition; None where it is unknown
    measure: str = ""  # what its values are, where a product says so
    is_elsewhere: bool = False  # it is read on the grid of another scene
    others: tuple[Band, ...] = ()  # bands that it has besides, and that are no side files

    @property
    def units(self) -> Units:
        """What its values measure, as far as it is known."""
        return Units(self.name, self.measure, self.bands)

    def on(self, grid: SceneGrid) -> Scene:
        """Return the scene as it is read on the grid of another, in any CRS."""
        return replace(self, grid=grid, is_elsewhere=True)


def scene_name(path: str | Path) -> str:
    """Return the name of the scene at a path: file stem, or folder name without ``.SAFE``."""
    text = str(path)
    if is_subdataset(text):
        return f"{scene_name(file_of(text))}_{label_of(text)}".rstrip("_")
    plain = urlsplit(text).path if "://" in text else text
    pure = PurePosixPath(plain) if not is_local(text) else absolute(Path(plain))
    if pure.name == "..":  # behind a link
        pure = Path(plain).resolve()
    return (
        pure.name[: -len(".SAFE")]
        if pure.name.upper().endswith(".SAFE")
        else (pure.name if Path(text).is_dir() else pure.stem)
    )


def describe_scene(
    scene: str | Path | SceneSettings, *, embeddings: bool = True
) -> SceneDescription:
    """Read the headers of a scene and return what it offers.

    Without ``embeddings``, none is recognised, and its pixels are integers as they are.

    Raises SourceError where nothing there can serve as a scene.
    """
    if not isinstance(scene, SceneSettings):
        scene = SceneSettings(name=scene_name(scene), path=str(scene))
    product = _product(scene)
    if not product.default:
        raise SceneError(f"scene {scene.name!r} has an alpha band and no other")
    name = Path(scene.path or "").name
    bands = with_common_names(_restated(_renamed(product.bands, scene), scene), name, scene.name)
    if embeddings and not (scene.scale or scene.offset):
        bands = with_embedding(bands, scene.name)
    positions = {(band.path, band.number) for band in product.default}
    default = tuple(band for band in bands if (band.path, band.number) in positions)
    beside = quality_bands(default)
    return SceneDescription(
        name=scene.name,
        kind=product.kind,
        bands=bands,
        default=tuple(band for band in default if band not in beside),
        mask=product.mask,
        unusable=product.unusable,
        doubtful=product.doubtful,
        side_files=product.side_files,
        left_out=(
            *product.left_out,
            *(product.no_offset if scene.offset is None else ()),
            *without_quality(beside),
        ),
        taken=scene.date or product.taken,
        folder=scene.path if scene.path and Path(scene.path).is_dir() else "",
        measure="" if scene.scale or scene.offset else product.measure,
    )


def _names(word: str, band: Band) -> bool:
    """Return whether a word is a band's name, or the end of it and no band's common name."""
    plain, name = unpadded(word.strip()), unpadded(band.name)
    return name == plain or (
        common_name(word) is None and name.endswith((f"_{plain}", f"-{plain}", f".{plain}"))
    )


def _product(scene: SceneSettings) -> Product:
    if scene.files:
        bands = tuple(band for path in scene.files for band in read_bands(path, Path(path).stem))
        return _plain("single-band files", bands)
    path = Path(scene.path or "")
    path = product_of(path) or path
    if not path.is_dir():
        bands = read_bands(scene.path or "")
        return _plain(bands[0].driver, bands)
    if (product := read_product(path)) is not None:
        return product if scene.mask is None else replace(product, left_out=())  # of a mask
    return folder_of_rasters(path, scene.mask)


def _renamed(bands: tuple[Band, ...], scene: SceneSettings) -> tuple[Band, ...]:
    """Give the bands the names that the settings have for them."""
    if not scene.names:
        return bands
    if len(scene.names) != len(bands):
        several = next((band.path for band in bands if band.number > 1), None)
        raise SceneError(
            f"scene {scene.name!r} has {counted(len(bands), 'band')}, but "
            f"{counted(len(scene.names), 'name')} for them",
            remedy=f"{several} has several: name it by itself, and its bands with --bands"
            if several
            else "",
        )
    return tuple(
        replace(band, name=name, shown=None, description="")
        for band, name in zip(bands, scene.names, strict=True)
    )


def _restated(as_in_files: tuple[Band, ...], scene: SceneSettings) -> tuple[Band, ...]:
    """Give the bands the scale, offset and no-data value that the settings have for them."""
    bands = as_in_files
    for word in ("scale", "offset", "nodata"):
        stated: tuple[float | Literal["own"], ...] | None = getattr(scene, word)
        if stated is None:
            continue
        if len(stated) not in (1, len(bands)):
            raise SceneError(
                f"scene {scene.name!r} has {counted(len(bands), 'band')}, but "
                f"{counted(len(stated), 'value')} of {word} for them"
            )
        each = stated if len(stated) == len(bands) else stated * len(bands)
        bands = tuple(
            band if value == "own" else replace(band, **{word: value})  # type: ignore[arg-type]
            for band, value in zip(bands, each, strict=True)
        )
    if bands is as_in_files:
        return bands
    for band in bands:
        check_pixels(band)
    files = dict.fromkeys(band.path for band in bands)
    by_file = {path: tuple(band for band in bands if band.path == path) for path in files}
    return tuple(band for path in files for band in share_nodata(by_file[path]))


def _plain(kind: str, bands: tuple[Band, ...]) -> Product:
    default = by_default(bands)
    raw = lacks_metadata([Path(path) for path in dict.fromkeys(band.path for band in bands)])
    notes = (*([raw] if raw else []), *bad_bands(bands, default))
    return Product(kind, bands, default, left_out=notes)


def open_scenes(
    settings: Sequence[SceneSettings],
    wanted: Sequence[str],
    mask_bad: Sequence[int] = (),
    mask_bands: Sequence[int] = (),
    *,
    common: Mapping[str, str] | None = None,
    known: Sequence[KnownBand] = (),
    beside: Sequence[SceneSettings] = (),
    failed: list[FailedScene] | None = None,
) -> tuple[Scene, ...]:
    """Choose the bands of all scenes.

    Without ``wanted``, all scenes give what the first gives by default. Bands that are ``known``,
    since a run was made with them, are found again by that, whatever a scene would give today.
    ``mask_bad`` are the bad values of the masks that scenes name themselves; where none does, they
    replace the rule for the masks that come with the products.

    Args:
        settings: the scenes.
        wanted: the bands, by number, description or common name.
        mask_bad: values of masks.
        mask_bands: of masks that scenes name themselves, the bands that count; empty = the first.
        common: what bands are, whatever the files say: the word that means a band, by common name.
            Every one has to be in the scene that decides the bands.
        known: the bands that were chosen before; empty = they are chosen now.
        beside: scenes that these are added to. The first of them decides the bands if none are
            known, and a mask that any of them names counts as above; they are not opened otherwise.
        failed: given a list, scenes that cannot serve are put there instead of raising.

    Raises SourceError where a scene lacks a band that the others have, or its files do not lie on
    each other; with ``failed``, where that leaves none, or the first of ``beside`` cannot be read.
    """
    chosen = Choice((beside or settings)[0].name, known, of_run=bool(known))
    if beside and not known:
        first = describe_scene(beside[0]).stated(common or {}, anywhere=True)
        chosen = Choice.of(first.name, _first_choice(first, wanted), first.bands)
    own_masks = any(scene.mask for scene in (*beside, *settings))
    # a run that was made before embeddings were recognised goes on with the integers
    embeddings = not known or any(band.common == EMBEDDING for band in known)
    scenes = []
    for scene in settings:
        try:
            offer = describe_scene(scene, embeddings=embeddings)
            offer = offer.stated(common or {}, anywhere=not chosen.bands)
            doubtful: tuple[str, ...] = ()
            if chosen.bands:
                chosen, bands = _counterparts(chosen, wanted, offer, beside)
            else:
                bands = _first_choice(offer, wanted)
                chosen = Choice.of(offer.name, bands, offer.bands)
                doubtful = () if wanted else offer.doubtful
            mask = offer.mask
            if scene.mask:
                mask = CloudMask(scene.mask, values=tuple(mask_bad), bands=tuple(mask_bands))
            elif mask is not None and mask_bad and not own_masks:
                mask = CloudMask(mask.path, values=tuple(mask_bad))
            grid = _common_grid(offer.name, bands)
            date = offer.date_of(bands)
            scene_ = Scene(offer.name, grid, bands, mask, doubtful, date, offer.measure)
            scenes.append(replace(scene_, others=offer.besides(bands)))
        except SourceError as error:
            if failed is None:
                raise
            failed.append(failed_scene(scene.name, error))
    if not scenes and failed:
        raise NoSceneLeft(failed)
    return tuple(scenes)


def _first_choice(first: SceneDescription, wanted: Sequence[str]) -> tuple[Band, ...]:
    if wanted:
        where = f"scene {first.name!r}"
        chosen = select(first.offered(wanted), wanted, where)
        check_whole(chosen, first.bands, where)
        return chosen
    if first.unusable:
        raise SourceError(first.unusable[0], remedy="or name the bands to take")
    return first.default


def _counterparts(
    chosen: Choice,
    wanted: Sequence[str],
    other: SceneDescription,
    beside: Sequence[SceneSettings],
) -> tuple[Choice, tuple[Band, ...]]:
    """Return the bands of another scene that stand for those chosen, under their names.

    And the choice, with all bands of its scene as soon as that was looked at: only where bands are
    not found by their names is the first of the scenes ``beside`` opened for it.
    """
    if not chosen.offered and other.name == chosen.scene:
        chosen = replace(chosen, offered=other.bands)
    words = [*wanted, *(band.name for band in chosen.bands)]
    offered = other.offered(words)
    try:
        return chosen, same_bands(chosen, wanted, offered, other.default, other.name)
    except SourceError:
        if chosen.offered or not beside:
            raise
        with suppress(SourceError):  # it is named by whoever reads it
            chosen = replace(chosen, offered=describe_scene(beside[0]).bands)
        return chosen, same_bands(chosen, wanted, offered, other.default, other.name)


def finest(bands: Sequence[Band]) -> SceneGrid:
    """Return the grid with the smallest pixels, the first among equals."""
    return min((band.grid for band in bands), key=lambda g: float(np.prod(pixel_size(g))))


def pixel_size(grid: SceneGrid) -> tuple[float, float]:
    """Return width and height of a pixel in units of the CRS, also of a rotated grid."""
    a, b, _, d, e, _ = grid.transform
    return float(np.hypot(a, d)), float(np.hypot(b, e))


def _lie_together(name: str, bands: Sequence[Band]) -> bool:
    try:
        _common_grid(name, bands)
    except SourceError:
        return False
    return True


def _common_grid(name: str, bands: Sequence[Band]) -> SceneGrid:
    """Return the finest grid among the bands; raises SourceError where a band lies elsewhere."""
    grid = finest(bands)
    base = next(band for band in bands if band.grid == grid)
    for band in bands:
        if not same_crs(band.grid.crs, grid.crs):
            raise SceneError(
                f"scene {name!r}: {band.path} is in {crs_text(band.grid)}, {base.path} in "
                f"{crs_text(grid)}",
                remedy="name bands that share a CRS",
            )
        # a coarser grid may begin up to one of its pixels away, as Landsat's 15 m and 30 m bands do
        reach = max(*pixel_size(band.grid), *pixel_size(grid))
        if np.abs(np.subtract(bounds(band.grid), bounds(grid))).max() > 1.001 * reach:
            raise SceneError(
                f"scene {name!r}: {band.path} covers {extent_text(band.grid)}, {base.path} covers "
                f"{extent_text(grid)}",
                remedy="the bands of a scene must lie on each other",
            )
    return replace(grid, name=name)


def crs_text(grid: SceneGrid) -> str:
    """Return the code of the grid's CRS, else its name, for a message."""
    if len(grid.crs) < 20:
        return grid.crs
    name = crs_of(grid.crs).name
    return "a CRS of its own" if name in ("unnamed", "unknown") else name


def extent_text(grid: SceneGrid) -> str:
    """Return the extent in the grid's own CRS, for a message: ``x 0 to 10, y 20 to 30``."""
    x_min, y_min, x_max, y_max = bounds(grid)
    return f"x {x_min:.10g} to {x_max:.10g}, y {y_min:.10g} to {y_max:.10g}"
