"""Robust statistics of the bands, taken once from a sample of the pool."""

from __future__ import annotations

import logging

import numpy as np

from owl_geo.ground.stand_ins import stand_in
from owl_geo.sources.base import PatchSource, known_bands_of, read_at
from owl_geo.types import EMBEDDING, OF_SCENE, AnyArray, BandStatistics, FloatArray, IntArray

_log = logging.getLogger("owl_geo")

_FEWEST_PIXELS = 16  # of a patch: of fewer, all may well be alike
_FEWEST_PATCHES = 4  # of a scene: of fewer, a median says little
_FAR = 1000.0  # times as large: values measure another thing, or the same in other units
_SHOWN = 4  # values in a message
_EMPTY = (0.01, 0.9)  # share of patches without any contrast: more is how the image is
_SAMPLE = 256  # patches
_NORMAL_IQR = 1.349  # interquartile range of a normal distribution with standard deviation 1


def band_statistics(source: PatchSource, rng: np.random.Generator) -> BandStatistics:
    """Return each band's median and scaled interquartile range over up to 256 random patches.

    Quantiles, because a few clouds or a hot roof move a mean and a deviation far more. A band that
    does not vary gets the scale 1, so that it becomes 0 instead of not-a-number.

    Warns where some of the patches look like missing data that a file does not declare.
    """
    chosen = _some(source, rng)
    values = read_at(source, chosen)
    if not _warn_of_empty(source, chosen, values):
        _warn_of_stand_ins(source, values)
    _warn_of_unlike_scenes(source, chosen, values)
    known = known_bands_of(source)
    origins = tuple(band.origin for band in known)
    has_views = any(origin != OF_SCENE for origin in origins)
    median, scale = centre_and_scale(_pixels(values))
    statistics = BandStatistics(
        source.bands,
        median.astype(np.float32),
        scale.astype(np.float32),
        len(chosen),
        tuple(band.common for band in known),
        origins if has_views else (),
    )
    for view in statistics.views:
        _look_where_seen(statistics, view, values)
    return statistics


def look_for_empty(source: PatchSource, before: BandStatistics, rng: np.random.Generator) -> None:
    """Warn as ``band_statistics`` does, of patches that join those of which statistics are known.

    ``before`` are these statistics, of the same bands without those of views.

    Raises SourceError where one of those that are looked at cannot be read.
    """
    if _may_look_empty(source):
        chosen = _some(source, rng)
        values = read_at(source, chosen)
        if not _warn_of_empty(source, chosen, values):
            _warn_of_stand_ins(source, values)
        _warn_of_unlike_scenes(source, chosen, values, before)


def _some(source: PatchSource, rng: np.random.Generator) -> IntArray:
    n = len(source.index)
    return np.sort(rng.choice(n, size=min(_SAMPLE, n), replace=False))


def centre_and_scale(bands: FloatArray) -> tuple[AnyArray, AnyArray]:
    """Return median and scale of each band, each ``(bands,)``, of pixels ``(bands, pixels)``.

    The scale is the interquartile range over 1.349, as for a normal distribution, and never 0.
    """
    low, median, high = np.quantile(bands, [0.25, 0.5, 0.75], axis=1)
    scale = (high - low) / _NORMAL_IQR
    # mostly one value (water, fill): the quartiles coincide, the deviation may still tell
    scale = np.where(scale > 0, scale, bands.std(axis=1, dtype=np.float64))
    return median, np.where(scale > 0, scale, 1.0)


def _warn_of_empty(source: PatchSource, chosen: IntArray, values: FloatArray) -> bool:
    """Warn where some patches have one and the same value in every pixel; return whether it did.

    That is how missing data look that a file does not declare: nothing on the ground is so even in
    all bands. A single band may be a classification, and is not looked at.

    Args:
        source: its bands and patches.
        chosen: positions of n patches in its index, ``(n,)``.
        values: their pixels, ``(n, bands, height, width)``.
    """
    if not _may_look_empty(source):
        return False
    own = _own_bands(source)
    pixels = values[:, own].reshape(len(chosen), len(own), -1)
    even = np.flatnonzero((pixels == pixels[:, :, :1]).all(axis=(1, 2)))
    kinds, which = np.unique(pixels[even, :, 0], axis=0, return_inverse=True)
    counts = np.bincount(which.ravel(), minlength=1)
    most = int(counts.argmax())
    if counts[most] < 2 or not _EMPTY[0] <= counts[most] / len(chosen) <= _EMPTY[1]:
        return False
    first = chosen[even[which.ravel() == most][0]]
    found = dict.fromkeys(f"{value:.6g}" for value in kinds[most].tolist())
    _log.warning(
        "%s of %s patches that were looked at, for example %s, are %s in every pixel; if data are "
        "missing there, declare the no-data value, for example with gdal_edit.py -a_nodata, of a "
        "cube with the attribute nodata",
        *(f"{counts[most]:,}", f"{len(chosen):,}", source.index["patch_id"].iloc[first]),
        ", ".join(found) if len(found) <= _SHOWN else "the same",
    )
    return True


def _warn_of_stand_ins(source: PatchSource, values: FloatArray) -> None:
    """Warn where pixels of a band seem to be missing and count as data; of the first such band."""
    for band, known in enumerate(known_bands_of(source)):
        if known.origin.what != OF_SCENE.what or known.common == EMBEDDING:
            continue
        if (found := stand_in(values[:, band])) is not None:
            _log.warning(
                "of the pixels of %s that were looked at, %s; if data are missing there, declare "
                "%s; of a cube with the attribute nodata, or set `nodata` of the scene in owl.toml",
                *(source.bands[band], found, found.remedy()),
            )
            return


def _warn_of_unlike_scenes(
    source: PatchSource,
    chosen: IntArray,
    values: FloatArray,
    before: BandStatistics | None = None,
) -> None:
    """Warn where the values of two scenes cannot measure one thing, by their medians.

    That is where those of all bands are a thousand times as large, as reflectance times 10,000
    beside reflectance, or negative beside positive, as radar in decibels beside intensity. A single
    band may be heights, of a coast and of mountains. ``before`` are the statistics of the run that
    the scenes join.
    """
    known = known_bands_of(source)
    own = [i for i in _own_bands(source) if known[i].common != EMBEDDING]
    if len(own) < 2:
        return
    scenes = source.index["scene"].iloc[chosen].to_numpy().astype(str)
    medians = {} if before is None else {"the run": before.median[own]}
    for name in np.unique(scenes).tolist():
        of_scene = values[scenes == name][:, own]
        if len(of_scene) >= _FEWEST_PATCHES:
            medians[f"scene {name!r}"] = np.median(_pixels(of_scene), axis=1)
    if len(medians) < 2:
        return
    least, most = (find(medians, key=lambda one: float(medians[one].mean())) for find in (min, max))
    low, high = medians[least], medians[most]
    if (low < 0).all() and (high > 0).all():
        how = "negative and of the other positive, as decibels are beside intensities"
    elif (low > 0).all() and (high > _FAR * low).all():
        how = "less than a thousandth of those of the other"
    else:
        return
    _log.warning(
        "%s (median %.3g) and %s (%.3g) cannot measure the same thing: in all bands, values of the "
        "first are %s; bring both to one unit, for example with scale and offset of a scene in "
        "owl.toml",
        *(least, low[0], most, high[0], how),
    )


def _may_look_empty(source: PatchSource) -> bool:
    return len(_own_bands(source)) > 1 and source.patch_size**2 >= _FEWEST_PIXELS


def _own_bands(source: PatchSource) -> list[int]:
    """Return the positions of the bands that are of the scenes, not of a view."""
    return [i for i, band in enumerate(known_bands_of(source)) if band.origin == OF_SCENE]


def _pixels(patches: FloatArray) -> FloatArray:
    """Return patches ``(n, bands, height, width)`` as ``(bands, pixels)``."""
    return patches.swapaxes(0, 1).reshape(patches.shape[1], -1)


def _look_where_seen(statistics: BandStatistics, view: str, values: FloatArray) -> None:
    """Take the statistics of a view's bands from the patches that it shows; in place.

    Whether it shows them is a yes or no as it is.
    """
    (seen,) = statistics.of(view, "seen")
    statistics.median[seen], statistics.scale[seen] = 0.0, 1.0
    shown = values[:, seen].any(axis=(1, 2))
    bands = [*statistics.of(view, "values"), *statistics.of(view, "change")]
    if shown.any() and not shown.all():
        statistics.median[bands], statistics.scale[bands] = centre_and_scale(
            _pixels(values[shown][:, bands])
        )


def unscaled(bands: tuple[str, ...]) -> BandStatistics:
    """Return the statistics of bands that are on a common scale already."""
    zero, one = np.zeros(len(bands), np.float32), np.ones(len(bands), np.float32)
    return BandStatistics(bands, zero, one, 0)
