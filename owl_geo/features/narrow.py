"""Vectors in as few bytes as lose nothing: the kinds of numbers that a file of them may hold.

AlphaEarth publishes a byte for each of 64 dimensions; as float32, ten million would take 2.6 GB.
The type of a file's array tells which kind it holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from owl_geo.sources.quantization import dequantized, requantized
from owl_geo.types import AnyArray, FloatArray

Kind = np.dtype[Any]

# integers that stand for values as AlphaEarth's do, and are no values themselves
QUANTIZED: Kind = np.dtype([("quantized", np.int8)])

_WIDEST: Kind = np.dtype(np.float32)
KINDS: tuple[Kind, ...] = (np.dtype(np.int8), QUANTIZED, np.dtype(np.float16), _WIDEST)
_FEW = 16  # vectors that tell, as a rule, that a kind is too narrow


def narrow_vectors(patches: FloatArray) -> AnyArray:
    """Return patches of one pixel as vectors ``(n, bands)``, in the narrowest kind that fits."""
    vectors = patches[:, :, 0, 0]
    for kind in KINDS:
        if _narrowed(vectors[:_FEW], kind) is not None:
            narrow = _narrowed(vectors, kind)
            if narrow is not None:
                return narrow
    raise AssertionError("the widest kind holds all")


def _narrowed(vectors: FloatArray, kind: Kind) -> AnyArray | None:
    """Return vectors in a kind of numbers, None if that would change them."""
    if kind == QUANTIZED:
        integers = requantized(vectors)
        return None if integers is None else integers.view(QUANTIZED)
    with np.errstate(invalid="ignore", over="ignore"):
        narrow = vectors.astype(kind, copy=False)
    return narrow if kind == _WIDEST or np.array_equal(narrow, vectors) else None


def widened(narrow: AnyArray) -> FloatArray:
    """Return vectors of any kind as a new array of float32."""
    if narrow.dtype == QUANTIZED:
        return dequantized(narrow["quantized"])
    return np.array(narrow, dtype=_WIDEST)


def common_kind(one: Kind, other: Kind) -> Kind:
    """Return the narrowest kind that holds whatever two kinds hold."""
    if one != other and QUANTIZED in (one, other):
        return _WIDEST
    return np.promote_types(one, other)


def as_kind(narrow: AnyArray, kind: Kind) -> AnyArray:
    """Return vectors in another kind, which must hold them."""
    return narrow if narrow.dtype == kind else widened(narrow).astype(kind, copy=False)
