"""The concepts that ``init --osm`` declares: land cover, and the distance to industry."""

from __future__ import annotations

from owl_geo.settings.concepts import (
    BelowConcept,
    CategoryConcept,
    Concept,
    DistanceConcept,
    EqualsConcept,
)

NEAR_METRES = 2000.0

_LAND_COVER = {
    "forest": ("landuse=forest", "natural=wood"),
    "urban": (
        "landuse=residential|commercial|retail|industrial|garages|construction|railway|education"
        "|institutional|religious",
    ),
    "water": (
        "natural=water|bay",
        "water",
        "waterway=riverbank|dock",
        "landuse=reservoir|basin|salt_pond",
    ),
    "agricultural": (
        "landuse=farmland|farmyard|meadow|orchard|vineyard|plant_nursery|greenhouse_horticulture"
        "|animal_keeping|aquaculture|paddy",
    ),
}

_INDUSTRY = (
    "landuse=industrial",
    "man_made=works|kiln",
    "building=industrial|factory|manufacture|warehouse",
    "power=plant",
)


def osm_preset(layer: str = "osm") -> dict[str, Concept]:
    """Return the four concepts to start with, for an OSM layer of the given name.

    These are ``land_cover`` (category) and ``dist_industrial`` (metres), and derived from them
    ``urban`` and ``near_industrial`` (yes/no, nearer than 2 km).
    """
    return {
        "land_cover": CategoryConcept(layer=layer, classes=_LAND_COVER),
        "dist_industrial": DistanceConcept(layer=layer, where=_INDUSTRY),
        "urban": EqualsConcept(of="land_cover", value="urban"),
        "near_industrial": BelowConcept(of="dist_industrial", value=NEAR_METRES),
    }
