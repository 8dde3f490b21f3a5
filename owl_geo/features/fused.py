"""Statistics of patches in one pass over each band, in loops that Numba compiles for the processor.

NumPy passes over all patches a dozen times and sorts each band; here a band of one patch, which
fits the processor's nearest cache, is finished before the next is touched. Nothing is sorted: the
values around each quantile are found by counting (a histogram of the band), and only what falls
into the same bar as they is looked at again.

Sums are taken in float64, so that the order in which a processor adds up shows in no digit that is
kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.types import BoolArray, FloatArray, IntArray
from owl_geo.work.loops import compiled

_BARS = 4  # as many pixels for each bar of the histogram, if they are neither few nor many
_FEWEST, _MOST = 32, 1024  # bars
_NEAR = 2.5  # standard deviations; a bar at either end takes what lies further from the mean
_SHORT = 16  # values that are sorted by insertion

# sums may be taken in any order, so that the processor takes several at once
_IN_ANY_ORDER = {"reassoc", "nsz", "contract"}


@dataclass(frozen=True)
class Summary:
    """Statistics of n patches."""

    mean: NDArray[np.float64]  # (n, bands)
    spread: NDArray[np.float64]  # (n, bands), standard deviation
    step: NDArray[np.float64]  # (n, bands), mean from pixel to pixel, down plus to the right
    ordered: FloatArray  # (n, bands, r), values at the ranks
    differences: NDArray[np.float64]  # (n, p), mean normalised difference of each pair
    # (n,), what these are right for: not where pixels are not finite, or differ by less, or by
    # more, than float32 divides by
    done: BoolArray


def summarise(patches: FloatArray, ranks: IntArray, pairs: IntArray, floors: FloatArray) -> Summary:
    """Return statistics of patches, ``(n, bands, height, width)``.

    Args:
        patches: the pixels.
        ranks: ascending positions ``(r,)`` among the sorted pixels of a band.
        pairs: two bands each, ``(p, 2)``.
        floors: the least that the magnitudes of a pair may sum to, ``(p,)``.
    """
    n, n_bands, height, width = patches.shape
    size = height * width
    pixels = np.ascontiguousarray(patches, dtype=np.float32).reshape(n, n_bands, size)
    within = np.ones(size - 1, dtype=np.float32)
    within[width - 1 :: width] = 0  # from the end of a row to the start of the next is no step
    moments = np.zeros((3, n, n_bands))
    ordered = np.zeros((n, n_bands, len(ranks)), dtype=np.float32)
    differences = np.zeros((n, len(pairs)))
    done = np.ones(n, dtype=bool)
    _summarise(
        pixels,
        pixels.view(np.int32),
        (height, width),
        within,
        min(max(size // _BARS, _FEWEST), _MOST),
        np.asarray(ranks, dtype=np.int64),
        np.asarray(pairs, dtype=np.int64),
        np.asarray(floors, dtype=np.float32),
        moments,
        ordered,
        differences,
        done,
    )
    return Summary(moments[0], moments[1], moments[2], ordered, differences, done)


def mean_vectors(pixels: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean vector of the pixels ``(n, bands, pixels)`` of patches, ``(n, bands)``.

    And the mean of their squared distances from it, ``(n,)``.
    """
    mean, apart = np.empty(pixels.shape[:2]), np.empty(len(pixels))
    _mean_vectors(np.ascontiguousarray(pixels, dtype=np.float32), mean, apart)
    return mean, apart


@compiled()
def _mean_vectors(pixels: Any, mean: Any, apart: Any) -> None:
    """Fill the last two."""
    n, n_bands, size = pixels.shape
    for i in range(n):
        total = 0.0
        for band in range(n_bands):
            mean[i, band] = _total(pixels[i, band]) / size
            total += _squares(pixels[i, band], mean[i, band])
        apart[i] = total / size


@compiled()
def _summarise(
    pixels: Any,
    bits: Any,
    shape: Any,
    within: Any,
    bars: Any,
    ranks: Any,
    pairs: Any,
    floors: Any,
    moments: Any,
    ordered: Any,
    differences: Any,
    done: Any,
) -> None:
    """Fill the last four; ``bits`` are the pixels as they lie in memory, int32."""
    n, n_bands, size = pixels.shape
    height, width = shape
    bar_of = np.empty(size, dtype=np.uint16)
    counts = np.empty(bars, dtype=np.uint32)
    place = np.empty(bars, dtype=np.uint8)
    wanted = np.empty(size + 1, dtype=np.int32)
    values = np.empty(size, dtype=np.float32)
    before = np.empty(len(ranks) + 1, dtype=np.int64)
    starts = np.empty(len(ranks) + 1, dtype=np.int64)
    ends = np.empty(len(ranks) + 1, dtype=np.int64)
    for i in range(n):
        for band in range(n_bands):
            x = pixels[i, band]
            mean = _total(x) / size
            if not math.isfinite(mean):
                done[i] = False
                break
            spread = math.sqrt(_squares(x, mean) / size)
            step = 0.0
            if width > 1:
                step += _across(x, within) / (height * (width - 1))
            if height > 1:
                step += _down(x, width) / ((height - 1) * width)
            moments[0, i, band] = mean
            moments[1, i, band] = spread
            moments[2, i, band] = step
            if len(ranks) == 0:
                continue
            low, high = _extremes(bits[i, band])
            out = ordered[i, band]
            if low == high:
                out[:] = low
                continue
            if _is_whole(x) and high - low < np.float32(bars):  # each bar is of one value
                _sort_into(x, low, np.float32(1.0), np.float32(bars - 1), bar_of)
                _count(bar_of, counts)
                _walk(counts, low, ranks, out)
                continue
            near = max(low, np.float32(mean - _NEAR * spread))
            far = min(high, np.float32(mean + _NEAR * spread))
            if near == far:
                near, far = low, high
            scale = np.float32(bars) / (far - near)
            if not 0 < scale < np.inf:
                done[i] = False
                break
            _sort_into(x, near, scale, np.float32(bars - 1), bar_of)
            _count(bar_of, counts)
            used = _wanted_bars(counts, ranks, place, before, starts)
            ends[:used] = starts[:used]
            _gather(x, bar_of, place, wanted, ends, values)
            _pick(values, ranks, before, starts, ends, out)
        if done[i]:
            for k in range(len(pairs)):
                a, b = pixels[i, pairs[k, 0]], pixels[i, pairs[k, 1]]
                differences[i, k] = _difference(a, b, floors[k]) / size


@compiled(fastmath=_IN_ANY_ORDER)
def _total(x: Any) -> Any:
    total = 0.0
    for i in range(len(x)):
        total += np.float64(x[i])
    return total


@compiled(fastmath=_IN_ANY_ORDER)
def _squares(x: Any, mean: Any) -> Any:
    total = 0.0
    for i in range(len(x)):
        apart = np.float64(x[i]) - mean
        total += apart * apart
    return total


@compiled(fastmath=_IN_ANY_ORDER)
def _across(x: Any, within: Any) -> Any:
    """Return the sum of steps to the right; ``within`` is 0 from row to row and else 1."""
    total = 0.0
    for i in range(len(within)):
        total += np.float64(abs(x[i + 1] - x[i]) * within[i])
    return total


@compiled(fastmath=_IN_ANY_ORDER)
def _down(x: Any, width: Any) -> Any:
    below = x[width:]  # whose indices, unlike a sum, are never negative: the loop has no branch
    total = 0.0
    for i in range(len(below)):
        total += np.float64(abs(below[i] - x[i]))
    return total


@compiled(fastmath=_IN_ANY_ORDER)
def _difference(a: Any, b: Any, floor: Any) -> Any:
    total = 0.0
    for i in range(len(a)):
        size = max(abs(a[i]) + abs(b[i]), floor)
        total += np.float64((a[i] - b[i]) / size)
    return total


@compiled()
def _extremes(bits: Any) -> Any:
    """Return the least and the largest of some floats, none not-a-number, by their bits.

    As integers with the lower bits of negative ones turned over, they are in the same order, and
    a processor compares many of those at once.
    """
    rest = np.int32(0x7FFFFFFF)
    low: Any = np.int32(bits[0] ^ ((bits[0] >> np.int32(31)) & rest))
    high: Any = low
    for i in range(len(bits)):
        value = np.int32(bits[i] ^ ((bits[i] >> np.int32(31)) & rest))
        low, high = min(low, value), max(high, value)
    both = np.empty(2, dtype=np.int32)
    both[0] = low ^ ((low >> np.int32(31)) & rest)
    both[1] = high ^ ((high >> np.int32(31)) & rest)
    ends = both.view(np.float32)
    return ends[0], ends[1]


@compiled()
def _is_whole(x: Any) -> Any:
    broken: Any = 0
    for i in range(len(x)):
        broken += np.int32(x[i] != np.floor(x[i]))
    return broken == 0


@compiled()
def _sort_into(x: Any, low: Any, scale: Any, last: Any, bar_of: Any) -> None:
    """Number the bar of each value: larger values never lie in a lower bar."""
    for i in range(len(x)):
        bar_of[i] = np.int32(min(max((x[i] - low) * scale, np.float32(0)), last))


@compiled()
def _count(bar_of: Any, counts: Any) -> None:
    counts[:] = 0
    for i in range(len(bar_of)):
        counts[bar_of[i]] += 1


@compiled()
def _walk(counts: Any, low: Any, ranks: Any, out: Any) -> None:
    """Find the values at the ranks where bars are of one value each, 1 apart from ``low`` on."""
    passed: Any = 0
    k = 0
    for bar in range(len(counts)):
        passed += np.int64(counts[bar])
        while k < len(ranks) and ranks[k] < passed:
            out[k] = low + np.float32(bar)
            k += 1


@compiled()
def _wanted_bars(counts: Any, ranks: Any, place: Any, before: Any, starts: Any) -> Any:
    """Find the bars that values at the ranks lie in, and return how many these are.

    ``place`` becomes the number of each among them, from 1, and 0 for other bars; ``before`` how
    many values lie in lower bars, and ``starts`` how many in lower ones of these.
    """
    passed: Any = 0
    taken: Any = 0
    k, used = 0, 0
    for bar in range(len(counts)):
        count = np.int64(counts[bar])
        place[bar] = 0
        if k < len(ranks) and ranks[k] < passed + count:
            before[used], starts[used] = passed, taken
            used += 1
            place[bar] = used
            taken += count
            while k < len(ranks) and ranks[k] < passed + count:
                k += 1
        passed += count
    return used


@compiled()
def _gather(x: Any, bar_of: Any, place: Any, wanted: Any, ends: Any, values: Any) -> None:
    """Collect the values of the wanted bars, bar by bar; ``ends`` moves behind the last of each."""
    n: Any = 0
    for i in range(len(x)):  # without a branch, which the processor would often guess wrongly
        wanted[n] = i
        n += np.int64(place[bar_of[i]] > 0)
    for j in range(n):
        i = wanted[j]
        bar = place[bar_of[i]] - 1
        values[ends[bar]] = x[i]
        ends[bar] += 1


@compiled()
def _pick(values: Any, ranks: Any, before: Any, starts: Any, ends: Any, out: Any) -> None:
    bar = 0
    for k in range(len(ranks)):
        while ranks[k] >= before[bar] + ends[bar] - starts[bar]:
            bar += 1
        start, end = starts[bar], ends[bar]
        if end - start > _SHORT and _is_even(values, start, end):
            out[k] = values[start]
        else:
            out[k] = _selected(values, start, end, start + ranks[k] - before[bar])


@compiled()
def _is_even(values: Any, start: Any, end: Any) -> Any:
    others: Any = 0
    for i in range(start, end):
        others += np.int32(values[i] != values[start])
    return others == 0


@compiled()
def _selected(values: Any, start: Any, end: Any, at: Any) -> Any:
    """Return what would be at ``at`` if ``values[start:end]`` were sorted; changes their order.

    Quickselect (Hoare: Algorithm 65, 1961).
    """
    low, high = start, end - 1
    while high - low >= _SHORT:
        middle = (low + high) // 2
        if values[middle] < values[low]:
            values[middle], values[low] = values[low], values[middle]
        if values[high] < values[low]:
            values[high], values[low] = values[low], values[high]
        if values[high] < values[middle]:
            values[high], values[middle] = values[middle], values[high]
        pivot = values[middle]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if at <= j:
            high = j
        elif at >= i:
            low = i
        else:
            return values[at]
    for i in range(low + 1, high + 1):
        value, j = values[i], i - 1
        while j >= low and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value
    return values[at]
