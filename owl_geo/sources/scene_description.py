"""What a scene offers: its bands, mask and date, before any band is chosen."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from owl_geo.disk.presence import is_dir
from owl_geo.errors import SceneError, SourceError, no_access
from owl_geo.settings.sources import SceneSettings
from owl_geo.sources.band_choice import with_stated
from owl_geo.sources.band_grids import finest, lie_together, pixel_size
from owl_geo.sources.bands import Band, common_name, unpadded, with_common_names
from owl_geo.sources.embeddings import with_embedding
from owl_geo.sources.files import check_pixels, read_bands, share_nodata
from owl_geo.sources.folders import (
    bad_bands,
    by_default,
    folder_of_rasters,
    quality_bands,
    without_quality,
)
from owl_geo.sources.named_bands import setting
from owl_geo.sources.products.families import lacks_metadata, product_of, read_product
from owl_geo.sources.products.product import CloudMask, Product
from owl_geo.sources.scene_dates import scene_date
from owl_geo.sources.scene_names import scene_name
from owl_geo.types import SceneGrid
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

        One of a side file is meant by its own name alone, where no other band has it: neither by a
        colour nor by a number.
        """
        usual = [band for band in self.bands if band.path not in self.side_files]
        others = [word for word in wanted if not any(_names(word, band) for band in usual)]
        return tuple(
            band
            for band in self.bands
            if band.path not in self.side_files or any(_names(word, band) for word in others)
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
            if (band.path, band.number) not in taken and lie_together(self.name, (*bands, band))
        )

    @property
    def grid(self) -> SceneGrid:
        """The finest grid among the bands taken by default."""
        return replace(finest(self.default), name=self.name)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Width and height of a pixel in units of the CRS."""
        return pixel_size(self.grid)


def describe_scene(
    scene: str | Path | SceneSettings, *, embeddings: bool = True
) -> SceneDescription:
    """Read the headers of a scene and return what it offers.

    Without ``embeddings``, none is recognised, and its pixels are integers as they are.

    Raises SourceError where nothing there can serve as a scene.
    """
    if not isinstance(scene, SceneSettings):
        scene = SceneSettings(name=scene_name(scene), path=str(scene))
    try:
        product = _product(scene)
    except OSError as error:  # of all of it, or of a folder in it
        fault = no_access(error.filename or scene.path, error)
        raise SourceError(fault.what, remedy=fault.remedy) from error
    if not product.default:
        raise SceneError(f"scene {scene.name!r} has an alpha band and no other")
    name = Path(scene.path or "").name
    bands = with_common_names(_restated(_renamed(product.bands, scene), scene), name, scene.name)
    bands = _told_otherwise(bands, product.bands, scene)
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
        folder=scene.path if scene.path and is_dir(scene.path) else "",
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
    if not is_dir(path):
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
            remedy=f"{several} has several: name it by itself, and its bands with {setting()}"
            if several
            else "",
        )
    return tuple(
        replace(band, name=name, shown=None, description="")
        for band, name in zip(bands, scene.names, strict=True)
    )


def _told_otherwise(
    bands: tuple[Band, ...], in_files: Sequence[Band], scene: SceneSettings
) -> tuple[Band, ...]:
    """Return bands that the settings name, with what their file says where these swap them.

    That is where both know the same bands, but in another order. The file's words alone say no more
    than the settings: of what is nir08 here, many say nir.
    """
    if not scene.names:
        return bands
    words = [replace(b, name=b.words or b.name, description="", shown=None) for b in in_files]
    by_file = [
        band.common if band.words and band.common else None
        for band in with_common_names(words, scene.name)
    ]
    swapped: set[str] = set()
    for path in {band.path for band in bands}:
        pairs = [
            (band.common, own)
            for band, own in zip(bands, by_file, strict=True)
            if band.path == path and band.common and own and band.common != own
        ]
        if pairs and Counter(ours for ours, _ in pairs) == Counter(own for _, own in pairs):
            swapped.add(path)
    return tuple(
        replace(band, told=own) if band.path in swapped else band
        for band, own in zip(bands, by_file, strict=True)
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
