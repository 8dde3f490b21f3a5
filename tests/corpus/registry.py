"""Every layout of the corpus, by what it is: one line registers a layout."""

from __future__ import annotations

from cube_stores import CUBE_STORES
from image_files import IMAGE_FILES
from landsat_products import LANDSAT
from layouts import Layout
from sentinel2_products import SENTINEL_2
from stac_items import STAC_ITEMS

FAMILIES: dict[str, tuple[Layout, ...]] = {
    "Sentinel-2 products": SENTINEL_2,
    "Landsat products": LANDSAT,
    "Files and folders": IMAGE_FILES,
    "STAC items": STAC_ITEMS,
    "Data cubes": CUBE_STORES,
}
LAYOUTS = tuple(layout for family in FAMILIES.values() for layout in family)
