"""Editions of an embedding: a dimension means another thing in each, so none are mixed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from owl_geo.errors import SourceError
from owl_geo.sources.bands import Band

_VERSION, _VARIANT = "TESSERA_DATASET_VERSION", "TESSERA_DATASET_VARIANT"


def edition_of(tags: Mapping[str, str]) -> str:
    """Return the edition that a file's metadata name, empty where they name none."""
    return edition(tags.get(_VERSION, ""), tags.get(_VARIANT, ""))


def edition(version: str, variant: str = "") -> str:
    """Return what an edition of TESSERA is called, empty without a version.

    ``v1`` and ``1.0`` are one version, as older and newer releases of geotessera spell it.
    """
    number, variant = version.strip().removeprefix("v").removesuffix(".0"), variant.strip()
    if not number:
        return ""
    return f"TESSERA {number} ({variant})" if variant else f"TESSERA {number}"


def check_editions(scenes: Iterable[tuple[str, Sequence[Band]]]) -> None:
    """Raise SourceError where scenes, with their names, are of several editions.

    Where one has no variant, any of its version may be meant.
    """
    first: dict[str, str] = {}
    for name, bands in scenes:
        for band in bands:
            if band.edition:
                first.setdefault(band.edition, name)
    editions = list(first)
    for one in editions:
        other = next((e for e in editions if not _may_be_one(one, e)), None)
        if other is not None:
            raise SourceError(
                f"scene {first[one]!r} is of {one} and scene {first[other]!r} of {other}: vectors "
                "of different versions cannot be compared",
                remedy="take scenes of one version",
            )


def _may_be_one(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other} (") or other.startswith(f"{one} (")
