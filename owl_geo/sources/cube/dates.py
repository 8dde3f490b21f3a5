"""Several dates of a cube made into one, pixel by pixel and band by band."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from owl_geo.types import LARGEST, AnyArray, BoolArray

# Of a median: what is sorted at once, so that it stays in the processor's cache.
_SORT_BYTES = 2**20


def over_dates(rule: str, slabs: Iterable[AnyArray]) -> AnyArray:
    """Return one image ``(bands, height, width)`` of dates given as slabs ``(dates, bands, h, w)``.

    Dates whose value is not finite, or beyond ``LARGEST``, do not count; a pixel without any is
    not-a-number. ``median`` needs all dates in one slab; ``first`` and ``last`` take the first in
    the order given, and no further slab than they need. Integers stay integers where the rule makes
    none of its own.
    """
    finite = (_finite(slab) for slab in slabs)
    if rule == "median":
        (only,) = finite
        return _median(only)
    if rule == "mean":
        return _mean(finite)
    if rule in ("first", "last"):
        return _first(finite)
    extreme = np.fmin if rule == "min" else np.fmax
    image: AnyArray | None = None
    for slab in finite:
        best = extreme.reduce(slab, axis=0)
        image = best if image is None else extreme(image, best)
    assert image is not None
    return image


def any_date(slabs: Iterable[AnyArray]) -> BoolArray:
    """Return where each band has a value on some date, ``(bands, height, width)``."""
    seen: BoolArray | None = None
    for slab in slabs:
        good: BoolArray = np.any(~np.isnan(_finite(slab)), axis=0)
        seen = good if seen is None else np.logical_or(seen, good, out=seen)
        if seen.all():
            break
    assert seen is not None
    return seen


def _finite(values: AnyArray) -> AnyArray:
    """Make not-a-number of what is beyond ``LARGEST``; the array given is left as it is."""
    if not np.issubdtype(values.dtype, np.inexact):
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        bad = np.abs(values) > LARGEST
    if not bad.any():
        return values
    marked: AnyArray = np.where(bad, np.nan, values)
    return marked


def _median(values: AnyArray) -> AnyArray:
    dates, bands, height, width = values.shape
    image = np.empty((bands, height, width), dtype=np.float32)
    # float32 holds small integers exactly, and is sorted twice as fast
    sorted_as = np.float32 if values.dtype.itemsize <= 2 else values.dtype
    rows = max(_SORT_BYTES // (dates * width * values.itemsize), 1)
    for band in range(bands):
        for top in range(0, height, rows):
            part = np.moveaxis(values[:, band, top : top + rows], 0, -1).astype(sorted_as)
            part.sort(axis=-1)
            image[band, top : top + rows] = _middle(part)
    return image


def _middle(ordered: AnyArray) -> AnyArray:
    """Return the median along the last axis of sorted values, not-a-number being last."""
    dates = ordered.shape[-1]
    low, high = ordered[..., (dates - 1) // 2], ordered[..., dates // 2]
    if np.issubdtype(ordered.dtype, np.inexact) and np.isnan(ordered[..., -1]).any():
        count = dates - np.isnan(ordered).sum(axis=-1)
        ranks = np.stack([np.maximum(count - 1, 0) // 2, count // 2], axis=-1)
        ranks = np.minimum(ranks, dates - 1)
        low, high = np.moveaxis(np.take_along_axis(ordered, ranks, axis=-1), -1, 0)
    half = np.result_type(ordered.dtype, np.float32).type(0.5)
    middle: AnyArray = low * half + high * half
    return middle


def _mean(slabs: Iterable[AnyArray]) -> AnyArray:
    total, count = np.zeros((), dtype=np.float64), np.zeros((), dtype=np.int32)
    for slab in slabs:
        finite = ~np.isnan(slab)
        total = total + np.where(finite, slab, 0).sum(axis=0, dtype=np.float64)
        count = count + finite.sum(axis=0, dtype=np.int32)
    with np.errstate(invalid="ignore"):
        mean: AnyArray = np.true_divide(total, count).astype(np.float32)
    return mean


def _first(slabs: Iterable[AnyArray]) -> AnyArray:
    image: AnyArray | None = None
    for slab in slabs:
        for values in slab:
            image = values if image is None else np.where(np.isnan(image), values, image)
            if not np.isnan(image).any():
                return image
    assert image is not None
    return image
