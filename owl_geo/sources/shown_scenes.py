"""The scenes of a batch as QGIS shows them: their bands, and what is black and what brightest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.ground.tiling import Chunk
from owl_geo.sources.bands import Band
from owl_geo.sources.embeddings import values_in
from owl_geo.sources.files import open_raster
from owl_geo.sources.reader import SceneReader
from owl_geo.sources.scenes import Scene
from owl_geo.sources.shown_views import COLOURS, raster_names
from owl_geo.types import IntArray, ShownScene

NATURAL, FALSE, FIRST = "natural", "false", "first"

_FALSE = (("nir", "red", "green"), ("nir08", "red", "green"))
_PERCENTILES = (2.0, 98.0)
_PLACES = 12  # of a scene that are looked at, at most
_AROUND = 150  # pixels across that a neighbourhood has, at least
_PATCHES = 2  # times as wide as a patch that it is, at least
_PIECES = 4  # per side of a neighbourhood; each has its own brightest values
_USUAL, _BEYOND = 2 / 3, 1.5  # so bright is this share of the pieces; brighter by more is cloud


def shown_scene(
    scene: Scene, rows: IntArray, cols: IntArray, patch_size: int
) -> tuple[ShownScene, ...]:
    """Return the ways to show a scene: in natural colours, and in false colours if it has them.

    Where it is not known which band is red, green or blue, the first three bands are shown, or the
    first one. What is black and what is brightest is the same for the whole scene, and taken from
    the surroundings of some patches without what the mask leaves out. Clouds that no mask knows
    count little as long as they cover less than a third of it.

    Args:
        scene: with all its bands, chosen or not.
        rows: of the patches' upper left corners, in pixels.
        cols: likewise.
        patch_size: pixels.

    Raises SourceError where the pixels cannot be read.
    """
    bands = (*scene.bands, *scene.others)
    natural, false = _natural(bands), _false(bands)
    unknown = _unknown(bands)
    taken = list(dict.fromkeys((*natural, *(false or ()))))
    ends = _stretches(scene, taken, _neighbourhoods(scene, rows, cols, patch_size))
    ways = [(FIRST if set(unknown) & set(COLOURS) else NATURAL, natural)]
    if false is not None:
        ways.append((FALSE, false))
    return tuple(
        ShownScene(
            scene=scene.name,
            colours=colours,
            paths=raster_names(of_way),
            bands=tuple(band.number for band in of_way),
            stretch=tuple(ends[band] for band in of_way),
            unknown=unknown,
        )
        for colours, of_way in ways
    )


def _natural(bands: Sequence[Band]) -> tuple[Band, ...]:
    by_name = _by_common_name(bands)
    if all(colour in by_name for colour in COLOURS):
        return tuple(by_name[colour] for colour in COLOURS)
    return tuple(bands[:3]) if len(bands) > 2 else (bands[0],)


def _false(bands: Sequence[Band]) -> tuple[Band, ...] | None:
    by_name = _by_common_name(bands)
    names = next((names for names in _FALSE if all(name in by_name for name in names)), None)
    return None if names is None else tuple(by_name[name] for name in names)


def _unknown(bands: Sequence[Band]) -> tuple[str, ...]:
    known = _by_common_name(bands)
    missing = [name for name in COLOURS if name not in known]
    return tuple(missing if {"nir", "nir08"} & set(known) else [*missing, "nir"])


def _by_common_name(bands: Sequence[Band]) -> dict[str, Band]:
    found: dict[str, Band] = {}
    for band in bands:
        if band.common is not None and not band.alpha:
            found.setdefault(band.common, band)
    return found


# --- what is black and what is brightest ----------------------------------------------------------


def _neighbourhoods(
    scene: Scene, rows: IntArray, cols: IntArray, patch_size: int
) -> Iterator[Chunk]:
    """Yield the surroundings of some of the patches, spread evenly over them."""
    size = max(_AROUND, _PATCHES * patch_size)
    height, width = min(size, scene.grid.height), min(size, scene.grid.width)
    some = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _PLACES)).astype(int))
    for place in some.tolist():
        row = int(rows[place]) + (patch_size - height) // 2
        col = int(cols[place]) + (patch_size - width) // 2
        yield Chunk(
            min(max(row, 0), scene.grid.height - height),
            min(max(col, 0), scene.grid.width - width),
            *(height, width, 0, 0),
        )


def _stretches(
    scene: Scene, bands: Sequence[Band], places: Iterator[Chunk]
) -> dict[Band, tuple[float, float]]:
    """Return the ends of each band's stretch, in the values that GDAL reads."""
    reader = SceneReader(replace(scene, bands=tuple(bands)))
    pieces: list[list[NDArray[np.float64]]] = [[] for _ in bands]
    try:
        for chunk in places:
            pixels = reader.pixels(chunk)
            for numbers, values in pixels.parts:
                own = values_in(values[None], [bands[number] for number in numbers])[0]
                for number, plane in zip(numbers, own, strict=True):
                    pieces[number] += _pieces(plane, pixels.valid)
    finally:
        reader.close()
    ends = {band: _ends(of_band) for band, of_band in zip(bands, pieces, strict=True)}
    read: dict[Band, tuple[float, float]] = {}
    for path in dict.fromkeys(band.path for band in bands):
        with open_raster(path) as dataset:
            own = (band for band in bands if band.path == path)
            read |= {band: _as_read(dataset, band, *ends[band]) for band in own}
    return read


def _pieces(
    plane: NDArray[np.generic], valid: NDArray[np.bool_] | None
) -> list[NDArray[np.float64]]:
    """Return the valid pixels of each piece of a window that has any."""
    planes = np.array_split(plane, _PIECES)
    masks = np.array_split(np.ones(plane.shape, bool) if valid is None else valid, _PIECES)
    found = [
        piece[good].astype(np.float64)
        for strip, good_strip in zip(planes, masks, strict=True)
        for piece, good in zip(
            np.array_split(strip, _PIECES, axis=1),
            np.array_split(good_strip, _PIECES, axis=1),
            strict=True,
        )
    ]
    return [piece for piece in found if len(piece)]


def _ends(pieces: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return what is black and what is brightest; where nothing is valid, 0 and 1."""
    if not pieces:
        return 0.0, 1.0
    low, high = np.percentile(np.concatenate(pieces), _PERCENTILES).tolist()
    brightest = _brightest(pieces)
    usual = low + _BEYOND * (float(np.quantile(brightest, _USUAL)) - low)
    high = min(high, usual) if usual > low else high
    return low, high if high > low else low + 1.0


def _brightest(pieces: Sequence[NDArray[np.float64]]) -> list[float]:
    """Return the upper end of each piece; those of one size are sorted together, which is quick."""
    of_size: dict[int, list[NDArray[np.float64]]] = {}
    for piece in pieces:
        of_size.setdefault(len(piece), []).append(piece)
    ends: list[float] = []
    for alike in of_size.values():
        ends += np.percentile(np.stack(alike), _PERCENTILES[1], axis=1).tolist()
    return ends


def _as_read(dataset: Any, band: Band, low: float, high: float) -> tuple[float, float]:
    """Return pixels as GDAL reads them for QGIS: with the scale and the offset of the file."""
    scale, offset = dataset.scales[band.number - 1], dataset.offsets[band.number - 1]
    low, high = sorted((low * scale + offset, high * scale + offset))
    return low, high if high > low else low + 1.0
