"""Coordinate systems by name and the ways between them, made once however many scenes ask.

PROJ takes a fraction of a millisecond for each, which a run of a thousand scenes asks for again and
again. Both kinds of object may be shared by threads.
"""

from __future__ import annotations

from functools import lru_cache

from pyproj import CRS, Transformer

GEOGRAPHIC = "EPSG:4326"


@lru_cache(maxsize=1024)
def crs_of(text: str) -> CRS:
    """Return the CRS that a code or WKT stands for."""
    return CRS.from_user_input(text)


@lru_cache(maxsize=1024)
def transformer(source: CRS, target: CRS) -> Transformer:
    """Return the way from one CRS to another, x before y."""
    return Transformer.from_crs(source, target, always_xy=True)


def same_crs(one: str, other: str) -> bool:
    """Say whether two codes or WKTs stand for one CRS."""
    return one == other or crs_of(one) == crs_of(other)
