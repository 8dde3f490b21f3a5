"""What is known about each patch: [layers] and [concepts]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from owl_geo.errors import suggestion
from owl_geo.schema import RESERVED_COLUMNS
from owl_geo.settings.files import File
from owl_geo.settings.sections import Section, Wrong, check_name, doc


class LayerSettings(Section):
    """A vector layer that concepts refer to by name."""

    path: File = doc(..., ".osm.pbf, .osm, .osm.gz, or anything GDAL reads")
    layer: str | None = doc(None, "the layer's name in a file of several layers")


Where = tuple[str, ...]  # tag filters: "landuse", "landuse=forest", "landuse=forest|wood"


class ConceptSection(Section):
    """The table [concepts.NAME] of one kind, and what holds of every concept of that kind.

    A new kind is registered by being a member of ``Concept``. In every kind ``of`` names a concept
    above it, and ``layer`` a table under [layers].
    """

    home: ClassVar[str]  # "package.module:name" of its ``concepts.kind.ConceptKind``
    is_yes_no: ClassVar[bool] = False  # can have a weight
    unit: ClassVar[str] = ""  # of its numbers: "m", or "%" of a share of 0 to 1


class CategoryConcept(ConceptSection):
    """The class with the largest share of the patch's area, `unknown` where there is none."""

    home = "owl_geo.concepts.from_layers:Category"

    kind: Literal["category"] = "category"
    layer: str = doc(..., "a name under [layers]")
    classes: dict[str, Where] = doc({}, "class = tag filters, any of which may match")
    column: str | None = doc(None, "the attribute that names the class, instead of classes")

    @model_validator(mode="after")
    def _one_way(self) -> CategoryConcept:
        if bool(self.classes) == bool(self.column):
            raise ValueError("a category needs either classes or column")
        return self


class ShareConcept(ConceptSection):
    """The share of the patch's area that the layer's polygons cover, 0 to 1."""

    home = "owl_geo.concepts.from_layers:Share"
    unit = "%"

    kind: Literal["share"] = "share"
    layer: str = doc(..., "a name under [layers]")
    where: Where = doc((), "tag filters; empty = every feature")


class DistanceConcept(ConceptSection):
    """Metres from the patch's centre to the nearest feature."""

    home = "owl_geo.concepts.from_layers:Distance"
    unit = "m"

    kind: Literal["distance"] = "distance"
    layer: str = doc(..., "a name under [layers]")
    where: Where = doc((), "tag filters; empty = every feature")


class EqualsConcept(ConceptSection):
    """Yes where a category has this value."""

    home = "owl_geo.concepts.derived:Equals"
    is_yes_no = True

    kind: Literal["equals"] = "equals"
    of: str = doc(..., "another concept")
    value: str = doc(..., "the class")


class BelowConcept(ConceptSection):
    """Yes where a number is below the value."""

    home = "owl_geo.concepts.derived:Below"
    is_yes_no = True

    kind: Literal["below"] = "below"
    of: str = doc(..., "another concept")
    value: float = doc(..., "the threshold, in that concept's unit")


class AboveConcept(ConceptSection):
    """Yes where a number is above the value."""

    home = "owl_geo.concepts.derived:Above"
    is_yes_no = True

    kind: Literal["above"] = "above"
    of: str = doc(..., "another concept")
    value: float = doc(..., "the threshold, in that concept's unit")


class RasterConcept(ConceptSection):
    """The majority class or the mean of another raster within the patch."""

    home = "owl_geo.concepts.from_rasters:OfRaster"

    kind: Literal["raster"] = "raster"
    path: File = doc(..., "any raster, in any CRS")
    band: int = doc(1, "the number of the band to read", ge=1)
    reduce: Literal["majority", "mean"] = doc("majority", "majority of classes, or mean")
    names: dict[str, str] = doc({}, "code = name of the class; other codes keep their number")


class GivenConcept(ConceptSection):
    """A concept that the source itself provides, as the synthetic one does."""

    home = "owl_geo.concepts.given:Given"

    kind: Literal["given"] = "given"


Concept = Annotated[
    CategoryConcept
    | ShareConcept
    | DistanceConcept
    | EqualsConcept
    | BelowConcept
    | AboveConcept
    | RasterConcept
    | GivenConcept,
    Field(discriminator="kind"),
]


def check_concepts(concepts: Mapping[str, Any], layers: Mapping[str, LayerSettings]) -> None:
    """Raise ValueError unless each concept refers to an existing layer or an earlier concept."""
    kinds: dict[str, str] = {}
    for name, concept in concepts.items():
        check_name("concept", name)
        if name.lower() in RESERVED_COLUMNS:
            raise Wrong(
                f"concepts.{name}: the batch has a column of that name", remedy="choose another"
            )
        twin = next((other for other in kinds if other.lower() == name.lower()), None)
        if twin is not None:
            raise Wrong(f"concepts.{name} and {twin} differ in case only", remedy="rename one")
        layer = getattr(concept, "layer", None)
        if layer is not None and layer not in layers:
            raise Wrong(f"concepts.{name}: no layer {layer!r}", remedy=suggestion(layer, layers))
        of = getattr(concept, "of", None)
        if of is not None and of not in kinds:
            raise Wrong(
                f"concepts.{name}: no concept {of!r} above it", remedy=suggestion(of, kinds)
            )
        kinds[name] = concept.kind
