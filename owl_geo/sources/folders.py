"""A folder of rasters as a scene: which of its files are bands, and which lie beside them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from owl_geo.disk.presence import is_dir
from owl_geo.errors import SourceError
from owl_geo.ground.crs import same_crs
from owl_geo.ground.grid import bounds
from owl_geo.sources.arrays.layout import ARRAYS, holds_arrays
from owl_geo.sources.bands import Band, doubtful_files
from owl_geo.sources.files import CUBE, looks_like_cube, read_bands
from owl_geo.sources.named_bands import naming, taking
from owl_geo.sources.products.families import is_product, lacks_metadata, product_around
from owl_geo.sources.products.product import Product
from owl_geo.sources.side_files import is_side_file
from owl_geo.sources.virtual import is_virtual, sources_of
from owl_geo.types import SceneGrid

_RASTERS = (".tif", ".tiff", ".jp2", ".j2k", ".vrt", ".img")
_SHOWN = 4  # files in a note


def folder_of_rasters(folder: Path, mask: str | None) -> Product:
    """Take the rasters of a folder for bands, the ``mask`` apart.

    Side files, known by their names, are bands only where they are named, and come after the
    others, so that a band's number counts bands. Of a VRT and the files that it shows only one is
    taken: the VRT where it puts them side by side, else the files. A raster that cannot serve does
    not matter as long as the bands are named.

    Raises SourceError where no raster can be read.
    """
    rasters = _Rasters()
    for path in sorted(folder.iterdir()):
        is_mask = mask is not None and path.resolve() == Path(mask).resolve()
        if path.suffix.lower() in _RASTERS and not path.name.startswith(".") and not is_mask:
            rasters.read(path)
    rasters.leave_out_doubles()
    if not rasters.bands:
        raise _no_rasters(folder, rasters)
    return rasters.product()


def _no_rasters(folder: Path, rasters: _Rasters) -> SourceError:
    """Return why no raster of a folder can be read, and where there may be some."""
    first = next(iter((rasters.unusable or rasters.unusable_beside).values()), None)
    reason = f"looked for files ending in {', '.join(_RASTERS)}" if first is None else str(first)
    if is_cube := looks_like_cube(str(folder)):
        reason = CUBE
    folders = [one for one in sorted(folder.iterdir()) if is_dir(one)]
    # a folder per resolution, for example, as a public bucket of Sentinel-2 has them
    inside = [one for one in folders if is_product(one)] or [
        one for one in folders if any(file.suffix.lower() in _RASTERS for file in one.glob("*"))
    ]
    remedy = ARRAYS if holds_arrays(folder) else ""
    if (around := product_around(folder)) is not None:
        inside, remedy = [around], ""
    if first is not None and first.remedy == ARRAYS and not is_cube:  # the reason names it
        remedy = ""
    elif inside and not remedy:
        remedy = f"did you mean {str(inside[0])!r}?"
    return SourceError(f"{folder} has no rasters to read: {reason}", remedy=remedy)


def by_default(bands: Sequence[Band]) -> tuple[Band, ...]:
    """Return the bands but for alpha bands and, where others are left, those that are bad."""
    data = [band for band in bands if not band.alpha]
    return tuple(band for band in data if not band.bad) or tuple(data)


def bad_bands(bands: Sequence[Band], default: Sequence[Band]) -> tuple[str, ...]:
    """Say which bands are left out since their header calls them bad."""
    bad = [band.name for band in bands if band.bad and band not in default]
    if not bad:
        return ()
    return (
        f"{_listed(bad)} {_are(bad)} not taken, since the header lists bad bands (bbl); to take "
        f"one, name it too: {naming(bad[:1], further=True)}",
    )


def quality_bands(default: Sequence[Band]) -> tuple[Band, ...]:
    """Return the bands of a stack that are named as masks, quality layers and pictures are.

    None where that is all of them. Earth Engine, for example, exports SCL, QA60 and MSK_CLDPRB
    among an image's bands.
    """
    beside = tuple(band for band in default if is_side_file(band.description or band.name))
    return beside if len(beside) < len(default) else ()


def without_quality(beside: Sequence[Band]) -> tuple[str, ...]:
    """Say which bands of a stack are left out since they are named as side files are."""
    if not beside:
        return ()
    return (_by_name([band.name for band in beside], beside[0].name),)


@dataclass
class _Rasters:
    """The rasters of one folder."""

    bands: dict[Path, tuple[Band, ...]] = field(default_factory=dict)
    unusable: dict[Path, SourceError] = field(default_factory=dict)
    unusable_beside: dict[Path, SourceError] = field(default_factory=dict)  # of side files
    doubles: dict[Path, str] = field(default_factory=dict)  # left out, and what is taken instead

    def read(self, path: Path) -> None:
        try:
            self.bands[path] = read_bands(path, path.stem)
        except SourceError as error:
            (self.unusable_beside if is_side_file(path.stem) else self.unusable)[path] = error

    def leave_out_doubles(self) -> None:
        """Leave out each VRT that shows files of the folder, or the files where they make it up."""
        real = {os.path.realpath(path): path for path in self.bands}
        grids = {path: bands[0].grid for path, bands in self.bands.items()}
        for path in [path for path in self.bands if is_virtual(path)]:
            named = [real.get(os.path.realpath(source)) for source in sources_of(path)]
            shown = [file for file in named if file is not None and file != path]
            if shown and _coincide(grids[file] for file in shown):
                self._drop([path], f"it shows {_listed(file.name for file in shown)}")
            elif shown:
                self._drop(shown, f"{path.name} shows the same")

    def _drop(self, paths: Collection[Path], why: str) -> None:
        for path in paths:
            if self.bands.pop(path, None) is not None:
                self.doubles[path] = why

    def product(self) -> Product:
        """Return the bands, with those of side files after the others."""
        beside = [path for path in self.bands if is_side_file(path.stem)]
        if len(beside) == len(self.bands):  # nothing else can be meant
            beside = []
        ordered = [path for path in self.bands if path not in beside]
        extra = tuple(band for path in beside for band in self.bands[path])
        all_bands = tuple(band for path in ordered for band in self.bands[path])
        default = by_default(all_bands)
        notes = _left_out({path: self.bands[path] for path in beside}, self.doubles)
        raw = [note for note in [lacks_metadata(ordered)] if note]
        return Product(
            kind="folder of rasters",
            bands=(*all_bands, *extra),
            default=default,
            unusable=tuple(str(error) for error in self.unusable.values()),
            doubtful=doubtful_files(all_bands),
            side_files=tuple(str(path) for path in beside),
            left_out=(*notes, *raw, *bad_bands(all_bands, default)),
        )


def _left_out(
    beside: Mapping[Path, Sequence[Band]], doubles: Mapping[Path, str]
) -> tuple[str, ...]:
    """Say which files of the folder are not among the bands, why, and how to take them."""
    notes = []
    if beside:
        first = next(iter(beside.values()))[0].name
        notes.append(_by_name([path.stem for path in beside], first))
    by_reason: dict[str, list[Path]] = {}
    for path, why in doubles.items():
        by_reason.setdefault(why, []).append(path)
    notes += [
        f"{_listed(path.name for path in paths)} {_are(paths)} not taken: {why}; to take it "
        f"instead: {taking(paths[0])}"
        for why, paths in by_reason.items()
    ]
    return tuple(notes)


def _by_name(names: Sequence[str], first: str) -> str:
    return (
        f"{_listed(names)} {_are(names)} left out: by name, a mask, angles, a quality layer or a "
        f"picture; to use one as a band, name it too: {naming([first], further=True)}"
    )


def _are(things: Collection[object]) -> str:
    return "is" if len(things) == 1 else "are"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _coincide(grids: Iterable[SceneGrid]) -> bool:
    """Return whether all grids cover the same ground, to within one of the coarsest pixels."""
    first, *others = grids
    for other in others:
        if not same_crs(first.crs, other.crs):
            return False
        reach = max(
            float(np.hypot(grid.transform[0], grid.transform[3])) for grid in (first, other)
        )
        if np.abs(np.subtract(bounds(first), bounds(other))).max() > 1.001 * reach:
            return False
    return True
