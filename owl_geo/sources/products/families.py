"""Which folders are products, and which files are their metadata."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from owl_geo.sources.products.landsat import LANDSAT
from owl_geo.sources.products.product import Family, Product
from owl_geo.sources.products.sentinel2 import SENTINEL_2

_FAMILIES = (SENTINEL_2, LANDSAT)


def is_product(folder: Path) -> bool:
    """Return whether a folder is a product that is read as such."""
    return _family(folder) is not None


def read_product(folder: Path) -> Product | None:
    """Read a folder as the product that it is; None where it is none.

    Raises SourceError where the metadata or the images are missing or damaged.
    """
    family = _family(folder)
    return None if family is None else family.read(folder)


def product_of(path: Path) -> Path | None:
    """Return the folder of the product that a file is the metadata of; None of any other file."""
    folders = [family.described_by(path) for family in _FAMILIES]
    folder = next((one for one in folders if one is not None), None)
    return folder if folder is not None and path.is_file() and is_product(folder) else None


def product_around(folder: Path) -> Path | None:
    """Return the product that a folder of images is a part of; None where it is of none."""
    return next(
        (
            parent
            for family in _FAMILIES
            for parent in folder.absolute().parents[: family.depth]
            if family.holds(parent)
        ),
        None,
    )


def lacks_metadata(paths: Sequence[Path]) -> str:
    """Say what bands of a product among some files lack without its metadata; else nothing."""
    notes = (family.raw_bands(paths) for family in _FAMILIES)
    return next((note for note in notes if note), "")


def _family(folder: Path) -> Family | None:
    return next((family for family in _FAMILIES if family.holds(folder)), None)
