"""The settings of a run: what can be set, what it means, and what is refused; frozen.

``owl_toml`` reads and writes them. Each field's description becomes the comment beside it.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from owl_geo.errors import suggestion
from owl_geo.schema import CONSENSUS, LAYOUT_VERSION, RESERVED_COLUMNS, RESERVED_LABELS
from owl_geo.settings.choices import (
    DIVERSITY,
    HEADS,
    MEASURES,
    MODELS,
    PEERS,
    RELEVANCE,
    STARTS,
    STRATEGIES,
    Choice,
    MetaUpdate,
    default,
    in_words,
    listed,
    unknown_strategy,
)
from owl_geo.settings.files import File, NamesFile, named_files
from owl_geo.settings.stores import check_address, known_addresses

_LONGEST_NAME = 200  # characters in a class's or concept's name, which heads columns and buttons
_LEAST_FOR_NETWORKS = 4  # pixels a side of a patch, which they halve twice
_LONGEST_VIEW = 40  # characters in a view's name, which begins the names of its bands
_VIEW_NAME = re.compile(r"\w[\w-]*")


class Section(BaseModel):
    """A table of owl.toml: frozen, and strict about names."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a password, in the wrong place, must not reach a traceback
    )


class Wrong(ValueError):
    """What a validator finds wrong, with the names of the settings in its section at fault."""

    def __init__(self, text: str, *settings: str, remedy: str = "") -> None:
        super().__init__(text)
        self.settings = settings
        self.remedy = remedy


class OneOf:
    """The type of a setting whose value is a name in ``choices``; it fails as a Literal does."""

    def __init__(self, choices: Mapping[str, Choice]) -> None:
        self.choices = choices

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"enum": list(self.choices), "type": "string"}

    def _checked(self, name: Any) -> str:
        if isinstance(name, str) and name in self.choices:
            return name
        expected = in_words([repr(choice) for choice in self.choices])
        raise PydanticKnownError("literal_error", {"expected": expected})


def _doc(default: Any, text: str, **constraints: Any) -> Any:
    return Field(default, description=text, **constraints)


def _one_of(choices: Mapping[str, Choice], text: str = "") -> Any:
    """Return a setting of type ``OneOf(choices)``; its comment lists the choices after ``text``."""
    return _doc(default(choices), f"{text}: {listed(choices)}" if text else listed(choices))


# --- where patches come from ----------------------------------------------------------------------


class SourceSection(Section):
    """The table [source] of one kind, and what holds for every source of that kind.

    Adding a class to ``SourceSettings`` registers a new kind. The class has a ``kind``, which is
    the kind's name, and a ``patch_size``.
    """

    home: ClassVar[str]  # "package.module:name" of its ``sources.unopened.UnopenedSource``
    has_truth: ClassVar[bool] = False  # it knows the class of each patch itself
    is_on_earth: ClassVar[bool] = True  # False: its data are made up and have no location


class SyntheticSettings(SourceSection):
    """The tutorial's generator."""

    home = "owl_geo.sources.unopened_synthetic:UnopenedGenerator"
    has_truth = True
    is_on_earth = False

    kind: Literal["synthetic"] = "synthetic"
    n_samples: int = _doc(500, "patches to generate", ge=1)
    image_size: int = _doc(32, "height and width of a patch in pixels", ge=4, le=2**14)
    n_bands: int = _doc(4, "bands per patch", ge=1)
    seed: int = _doc(42, "seed of the generator, separate from the run's seed", ge=0, lt=2**32)
    signal: float = _doc(0.0, "0 = images are pure noise, 1 = strong signal in the bands", ge=0)

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self.image_size


class SceneSettings(Section):
    """One scene: one file, one folder, or several single-band files."""

    name: str = _doc(
        ..., "first part of every patch_id of this scene", min_length=1, max_length=1000
    )
    path: File | None = _doc(None, "a raster, a .SAFE folder, a Landsat folder, a folder of bands")
    files: tuple[File, ...] = _doc((), "single-band files, instead of path")
    names: tuple[str, ...] | None = _doc(
        None, "names of all bands in order, instead of those in the files"
    )
    scale: tuple[float | Literal["own"], ...] | None = _doc(
        None,
        "of all bands in order, or one for all: value = scale * pixel + offset; own = as the "
        "file says",
    )
    offset: tuple[float | Literal["own"], ...] | None = _doc(None, "likewise")
    nodata: tuple[float | Literal["own"], ...] | None = _doc(
        None, "likewise, the pixel that means no data"
    )
    mask: File | None = _doc(
        None, "a raster, for example of clouds, whose bad values lower the valid share"
    )
    date: datetime.date | None = _doc(
        None, "its date of acquisition, 2019-06-30; not set = as the file says"
    )

    @field_validator("date", mode="before")
    @classmethod
    def _as_date(cls, value: Any) -> datetime.date | None:
        """Take a date of TOML or one in quotes, also with a time; a number is none."""
        try:
            moment = datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            moment = False
        if moment is None or type(moment) is datetime.date:
            return moment
        if isinstance(moment, datetime.datetime):
            return moment.date()
        raise ValueError(f"{value!r} is not a date; write it as 2019-06-30")

    @model_serializer(mode="wrap")
    def _brief(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what older runs lack where it is not set, so that their digests stay."""
        values: dict[str, Any] = serialize(self)
        for name in ("names", "scale", "offset", "nodata", "date"):
            if getattr(self, name) is None:
                values.pop(name, None)
        return values

    @model_validator(mode="after")
    def _one_place(self) -> SceneSettings:
        if bool(self.path) == bool(self.files):
            raise ValueError("a scene needs either path or files")
        return self


def _as_words(value: Any) -> Any:
    """Take the number of a band for the word that means it."""
    if not isinstance(value, dict):
        return value
    return {
        name: str(word) if isinstance(word, int) and not isinstance(word, bool) else word
        for name, word in value.items()
    }


# What bands are, where the files do not say: common name = number, description or name of a band.
CommonNames = Annotated[dict[str, str], BeforeValidator(_as_words)]
_COMMON = "what bands are where the files do not say, or say wrongly: nir = 4, red = 3"


class GeoTiffSettings(SourceSection):
    """Scenes cut into patches."""

    home = "owl_geo.sources.unopened_scenes:UnopenedScenes"

    kind: Literal["geotiff"] = "geotiff"
    scenes: tuple[SceneSettings, ...] = _doc(..., "the scenes", min_length=1)
    bands: tuple[str, ...] = _doc((), "by number, description or common name; empty = all")
    common: CommonNames = _doc({}, _COMMON)
    patch_size: int = _doc(32, "height and width of a patch in pixels", ge=1, le=2**14)
    stride: int | None = _doc(None, "pixels from patch to patch; not set = patch_size", ge=1)
    min_valid: float = _doc(0.9, "share of valid pixels that a patch needs", gt=0, le=1)
    mask_bad: tuple[int, ...] = _doc((), "values of the scenes' mask that make a pixel invalid")
    mask_bands: tuple[Annotated[int, Field(ge=1)], ...] | None = _doc(
        None, "numbers of the mask's bands; a bad value in any of them counts; not set = the first"
    )
    aoi: File | None = _doc(None, "polygons; patches whose centre lies outside are left out")
    same_ground: Literal["best", "first", "keep"] = _doc(
        "best",
        "ground that several scenes show: once, from the one that shows it best (valid share, then "
        "the newest date) or from the first; keep = in the pool from each, asked once",
    )

    @model_serializer(mode="wrap")
    def _brief(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what older runs lack where it is not set, so that their digests stay."""
        values: dict[str, Any] = serialize(self)
        if self.mask_bands is None:
            values.pop("mask_bands", None)
        if not self.common:
            values.pop("common", None)
        if self.same_ground == "best":
            values.pop("same_ground", None)
        return values

    @model_validator(mode="after")
    def _names_differ(self) -> GeoTiffSettings:
        names = [scene.name for scene in self.scenes]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise Wrong(
                f"two scenes are named {min(twice)!r}", remedy="give each a name of its own"
            )
        if any(scene.mask for scene in self.scenes) and not self.mask_bad:
            raise Wrong("a mask needs mask_bad, the list of its bad values", "mask_bad")
        return self


class CubeSettings(SourceSection):
    """A data cube, Zarr or NetCDF, cut into patches."""

    home = "owl_geo.sources.cube.unopened:UnopenedCube"

    kind: Literal["cube"] = "cube"
    path: File = _doc(..., "a Zarr folder, a .zarr.zip, a NetCDF file, or a URL that xarray opens")
    name: str | None = _doc(
        None,
        "first part of every patch_id; not set = the file's name",
        min_length=1,
        max_length=1000,
    )
    bands: tuple[str, ...] = _doc((), "by number, name or common name; empty = all")
    common: CommonNames = _doc({}, _COMMON)
    time: Literal["median", "mean", "min", "max", "first", "last", "stack"] = _doc(
        "median", "how several dates become one, pixel by pixel; stack = the bands of every date"
    )
    patch_size: int = _doc(32, "height and width of a patch in pixels", ge=1, le=2**14)
    stride: int | None = _doc(None, "pixels from patch to patch; not set = patch_size", ge=1)
    min_valid: float = _doc(0.9, "share of valid pixels that a patch needs", gt=0, le=1)
    aoi: File | None = _doc(None, "polygons; patches whose centre lies outside are left out")
    crs: str | None = _doc(None, "the cube's CRS, for example EPSG:32631, instead of its own")

    @model_serializer(mode="wrap")
    def _brief(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what older runs lack where it is not set, so that their digests stay."""
        values: dict[str, Any] = serialize(self)
        if not self.common:
            values.pop("common", None)
        return values


class VectorsSettings(SourceSection):
    """A table of vectors, GeoParquet, each of which is a patch."""

    home = "owl_geo.sources.vectors.unopened:UnopenedVectors"

    kind: Literal["vectors"] = "vectors"
    path: File = _doc(..., "a GeoParquet file, or a folder of its parts")
    name: str | None = _doc(
        None,
        "first part of every patch_id; not set = the file's name",
        min_length=1,
        max_length=1000,
    )
    vector_column: str | None = _doc(None, "the column of vectors; not set = the one that has any")
    footprint: float | None = _doc(
        None,
        "edge of a patch in metres, around the centre of each geometry; not set = that of the "
        "polygons, or the spacing of the points",
        gt=0,
        le=1e6,
    )
    crs: str | None = _doc(None, "the CRS of the geometries, for example EPSG:4326, not their own")

    @property
    def patch_size(self) -> int:
        """A row of the table is a patch of one pixel."""
        return 1


SourceSettings = Annotated[
    SyntheticSettings | GeoTiffSettings | CubeSettings | VectorsSettings,
    Field(discriminator="kind"),
]


class ViewSettings(Section):
    """Further rasters of the pool's ground, such as an earlier date, read on the patches' grid."""

    scenes: tuple[SceneSettings, ...] = _doc(..., "the rasters", min_length=1)
    bands: tuple[str, ...] = _doc((), "by number, description or common name; empty = all")
    mask_bad: tuple[int, ...] = _doc((), "values of the scenes' mask that make a pixel invalid")
    mask_bands: tuple[Annotated[int, Field(ge=1)], ...] | None = _doc(
        None, "numbers of the mask's bands; a bad value in any of them counts; not set = the first"
    )

    @model_validator(mode="after")
    def _masks_have_values(self) -> ViewSettings:
        if any(scene.mask for scene in self.scenes) and not self.mask_bad:
            raise Wrong("a mask needs mask_bad, the list of its bad values", "mask_bad")
        return self


# --- what is known about each patch ---------------------------------------------------------------


class LayerSettings(Section):
    """A vector layer that concepts refer to by name."""

    path: File = _doc(..., ".osm.pbf, .osm, .osm.gz, or anything GDAL reads")
    layer: str | None = _doc(None, "the layer's name in a file of several layers")


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
    layer: str = _doc(..., "a name under [layers]")
    classes: dict[str, Where] = _doc({}, "class = tag filters, any of which may match")
    column: str | None = _doc(None, "the attribute that names the class, instead of classes")

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
    layer: str = _doc(..., "a name under [layers]")
    where: Where = _doc((), "tag filters; empty = every feature")


class DistanceConcept(ConceptSection):
    """Metres from the patch's centre to the nearest feature."""

    home = "owl_geo.concepts.from_layers:Distance"
    unit = "m"

    kind: Literal["distance"] = "distance"
    layer: str = _doc(..., "a name under [layers]")
    where: Where = _doc((), "tag filters; empty = every feature")


class EqualsConcept(ConceptSection):
    """Yes where a category has this value."""

    home = "owl_geo.concepts.derived:Equals"
    is_yes_no = True

    kind: Literal["equals"] = "equals"
    of: str = _doc(..., "another concept")
    value: str = _doc(..., "the class")


class BelowConcept(ConceptSection):
    """Yes where a number is below the value."""

    home = "owl_geo.concepts.derived:Below"
    is_yes_no = True

    kind: Literal["below"] = "below"
    of: str = _doc(..., "another concept")
    value: float = _doc(..., "the threshold, in that concept's unit")


class AboveConcept(ConceptSection):
    """Yes where a number is above the value."""

    home = "owl_geo.concepts.derived:Above"
    is_yes_no = True

    kind: Literal["above"] = "above"
    of: str = _doc(..., "another concept")
    value: float = _doc(..., "the threshold, in that concept's unit")


class RasterConcept(ConceptSection):
    """The majority class or the mean of another raster within the patch."""

    home = "owl_geo.concepts.from_rasters:OfRaster"

    kind: Literal["raster"] = "raster"
    path: File = _doc(..., "any raster, in any CRS")
    band: int = _doc(1, "the number of the band to read", ge=1)
    reduce: Literal["majority", "mean"] = _doc("majority", "majority of classes, or mean")
    names: dict[str, str] = _doc({}, "code = name of the class; other codes keep their number")


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


# --- ground truth ---------------------------------------------------------------------------------


class OracleSettings(Section):
    """Ground truth that answers in the annotator's place; for simulation and comparison only."""

    path: File | None = _doc(None, "polygons, points or a class raster; not set = the source's own")
    layer: str | None = _doc(None, "the layer's name in a file of several layers")
    column: str | None = _doc(None, "vector only: the attribute that holds the class")
    values: dict[str, tuple[str, ...]] = _doc({}, "class of the run = values in the truth")
    min_share: float = _doc(0.5, "smallest share of overlap that makes a class", gt=0, le=1)
    elsewhere: Literal["absent", "unknown"] = _doc(
        "absent", "vector only: what a patch without features counts as"
    )


# --- learning and choosing ------------------------------------------------------------------------


_DEFAULT_BEFORE = "committee"  # the head that networks of older runs name and do not have


Precision = Literal["float32", "bfloat16"]


class ModelSettings(Section):
    """The classifier."""

    kind: Annotated[str, OneOf(MODELS)] = _one_of(MODELS)
    frozen: bool = _doc(
        False, "a backbone's features are computed once and kept; only the head learns"
    )
    head: Annotated[str, OneOf(HEADS)] = _one_of(HEADS, "on statistics or frozen features")
    weights: Annotated[str, NamesFile("none", "imagenet")] = _doc(
        "none", "a backbone's first weights: none (fresh), imagenet (downloaded), or a file"
    )
    concepts: bool = _doc(True, "true = the model sees the concepts as well as the image")
    neighbours: bool = _doc(
        True, "true = a Gaussian process also learns how alike nearby patches are"
    )
    dropout: float = _doc(0.5, "dropout before a network's last layer", ge=0, lt=1)
    precision: Precision = _doc(
        "float32",
        "of a network that scores patches on a CPU; bfloat16 is faster where the processor has it, "
        "and ranks then depend on the processor",
    )

    @property
    def on_features(self) -> bool:
        """Whether a head learns on features that are computed once."""
        return MODELS[self.kind].on_features or self.frozen

    @property
    def by_gradient(self) -> bool:
        """Whether the model learns by gradient steps, so a meta-update can move its weights."""
        return HEADS[self.head].by_gradient or not self.on_features

    @property
    def features(self) -> str:
        """The kind of features; for a network on pixels, those that distances are measured in."""
        return self.kind if self.on_features else default(MODELS)

    @property
    def network(self) -> str:
        """The name of the network that learns, if one does: a head or a model kind."""
        return self.head if self.on_features else self.kind

    @model_validator(mode="after")
    def _fits_together(self) -> ModelSettings:
        backbones = in_words([name for name, choice in MODELS.items() if choice.is_backbone])
        is_backbone = MODELS[self.kind].is_backbone
        if not is_backbone and self.weights != "none":
            raise Wrong(
                "weights is for a backbone", "weights", "kind", remedy=f"set kind to {backbones}"
            )
        if not is_backbone and self.frozen:
            raise Wrong(
                "frozen is for a backbone", "frozen", "kind", remedy=f"set kind to {backbones}"
            )
        if self.precision != "float32" and MODELS[self.kind].on_features:
            raise Wrong(
                f"precision is for a network that sees pixels; {self.kind} has none",
                "precision",
                "kind",
                remedy="leave precision out, or set kind to cnn or a backbone",
            )
        if self.head not in (default(HEADS), _DEFAULT_BEFORE) and not self.on_features:
            raise Wrong(
                f"head {self.head!r} is for statistics or a frozen backbone; {self.kind} has its "
                "own last layer"
            )
        return self


class UncertaintySettings(Section):
    """How the model's doubt is measured."""

    measure: Annotated[str, OneOf(MEASURES)] = _one_of(MEASURES)
    members: Literal["single", "dropout", "ensemble"] = _doc(
        "single", "one model, passes with dropout on, or models from different seeds"
    )
    passes: int = _doc(15, "passes with dropout on", ge=2, le=100)
    ensemble_size: int = _doc(5, "models of the ensemble", ge=2, le=32)

    @property
    def n_models(self) -> int:
        """How many models learn side by side: 1, or the size of the ensemble."""
        return self.ensemble_size if self.members == "ensemble" else 1

    @property
    def n_passes(self) -> int:
        """How many passes go through each model with dropout on; 0 = one pass without dropout."""
        return self.passes if self.members == "dropout" else 0


class TrainingSettings(Section):
    """Fitting on the answered patches, once a round."""

    epochs: int = _doc(5, "passes over the answered patches in each round", ge=0)
    learning_rate: float = _doc(0.001, "Adam's learning rate", gt=0, le=1)
    batch_size: int = _doc(16, "patches per gradient step", ge=1)


class ReptileSettings(Section):
    """The meta-update after each answered batch (Nichol, Achiam, Schulman 2018)."""

    kind: Literal["auto", MetaUpdate] = _doc(
        "auto",
        "diverse = a task per group of concepts, with replay; auto = plain for models that learn "
        "by gradient steps, else none",
    )
    inner_lr: float = _doc(0.01, "SGD's learning rate within the update", gt=0, le=1)
    inner_steps: int = _doc(5, "SGD steps on the support set, at most", ge=1)
    meta_lr: float = _doc(0.1, "step towards the adapted weights", ge=0, le=1)
    replay: float = _doc(0.5, "diverse: share of earlier answers in a support set", ge=0, lt=1)


Exponent = Annotated[float, Field(ge=0, le=10)]


class PowersSettings(Section):
    """Exponents of score = uncertainty^a * relevance^b * probability^c."""

    uncertainty: Exponent = _doc(1.0, "of the uncertainty")
    relevance: Exponent = _doc(1.0, "of the concepts' relevance")
    probability: Exponent = _doc(0.0, "of the positive class's probability")


class AcquisitionSettings(Section):
    """Which patches to ask about next."""

    strategy: str = _doc(default(STRATEGIES), listed(STRATEGIES, f"{PEERS}NAME"))
    explore: float | Literal["ramp"] = _doc(
        "ramp",
        "discovery: smallest share of a batch for the uncertain; 'ramp' = 0.6 to 0.1 over rounds",
    )
    promising: float = _doc(
        0.5,
        "discovery: a patch below this probability gives way to an uncertain one",
        ge=0,
        le=1,
    )
    combine: Literal["sum", "product"] = _doc(
        "sum", "concept: alpha * uncertainty + (1 - alpha) * relevance, or a product of powers"
    )
    alpha: float | Literal["ramp"] = _doc(
        0.5, "sum: 1 = uncertainty only, 0 = relevance only, 'ramp' = min(1, round / rounds + 0.3)"
    )
    powers: PowersSettings = PowersSettings()
    relevance: Annotated[str, OneOf(RELEVANCE)] = _one_of(RELEVANCE)
    weights: dict[str, Annotated[float, Field(ge=0)]] = _doc(
        {}, "yes/no concept = factor by which relevance grows where it holds"
    )
    start: Annotated[str, OneOf(STARTS)] = _one_of(STARTS, "first batch")
    diversity: Annotated[str, OneOf(DIVERSITY)] = _one_of(
        DIVERSITY, "keeps a batch from repeating itself"
    )
    min_distance: float = _doc(
        0.0, "smallest distance between two patches of a batch, in metres", ge=0
    )
    candidates: int = _doc(
        250_000,
        "patches that a round scores in a larger pool, near answers or at random; 0 = all",
        ge=0,
    )
    audit_share: float = _doc(
        0.1, "share of each batch drawn at random, for honest estimates", ge=0, le=1
    )
    audit_common: float | None = _doc(
        None,
        "the same where the model takes a tenth of the pool for targets, or more; not set = "
        "audit_share",
        ge=0,
        le=1,
    )

    @model_serializer(mode="wrap")
    def _brief(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what older runs lack where it is not set, so that their digests stay."""
        values: dict[str, Any] = serialize(self)
        if self.audit_common is None:
            values.pop("audit_common", None)
        return values

    @model_validator(mode="after")
    def _known(self) -> AcquisitionSettings:
        for name in ("alpha", "explore"):
            value = getattr(self, name)
            if isinstance(value, float) and not 0 <= value <= 1:
                raise Wrong(f"{name} is {value:g}, but it must be between 0 and 1", name)
        unknown = unknown_strategy(self.strategy)
        if unknown is not None:
            raise ValueError(unknown)
        return self


class LoopSettings(Section):
    """How many patches, how often."""

    initial: int = _doc(20, "patches of the first batch", ge=1)
    rounds: int = _doc(
        10, "rounds planned after the first batch; a simulated search ends there", ge=0
    )
    batch_size: int = _doc(10, "patches per round", ge=1)
    labels_per_hour: float | None = _doc(
        None, "annotators' pace; with hours, it sets the batch size", gt=0, le=1e5
    )
    hours: float | None = _doc(None, "hours of labelling per round", gt=0, le=1e4)

    @property
    def query_budget(self) -> int:
        """The number of patches per round: the batch size, or what the annotators' pace allows."""
        if self.labels_per_hour is not None and self.hours is not None:
            return max(1, round(self.labels_per_hour * self.hours))
        return self.batch_size

    @model_validator(mode="after")
    def _pace_is_whole(self) -> LoopSettings:
        if (self.labels_per_hour is None) != (self.hours is None):
            raise Wrong("labels_per_hour and hours go together", "labels_per_hour", "hours")
        return self


class TeamSettings(Section):
    """Who labels, where several people share a batch."""

    annotators: tuple[str, ...] = _doc((), "each gets a part of every batch; empty = one batch")
    overlap: float = _doc(
        0.2, "share of a batch that all of them label, to measure agreement", ge=0, le=1
    )

    @model_validator(mode="after")
    def _known_apart(self) -> TeamSettings:
        for name in self.annotators:
            if not name.strip() or name != name.strip() or not name.isprintable():
                text = f"annotators has {name!r}, which cannot be a name"
                raise Wrong(text, "annotators", remedy="use plain words")
            if name == CONSENSUS:
                text = f"annotators has {name!r}, which stands for the label that several agreed on"
                raise Wrong(text, "annotators", remedy="choose another name")
        folded = Counter(name.casefold() for name in self.annotators)
        for name in self.annotators:
            if folded[name.casefold()] > 1:
                text = f"annotators has {name!r} twice"
                raise Wrong(text, "annotators", remedy="give each a name of their own")
        return self


class EvaluationSettings(Section):
    """The held-out part of the pool, where there is an oracle to judge by."""

    test_share: float = _doc(
        0.2, "share of the patches held out: never asked about, never trained on", ge=0, lt=1
    )
    split: Literal["random", "blocks"] = _doc("blocks", "blocks = neighbours stay together")
    block_size: int | None = _doc(
        None, "edge of a block in patches; not set = from the pool's size", ge=1
    )


class Settings(Section):
    """Everything that defines a run."""

    version: Literal[1] = _doc(LAYOUT_VERSION, "layout of the run folder")
    run_id: str = _doc("", "names this run in its batches; do not edit", max_length=200)
    seed: int = _doc(42, "the same seed gives the same batches", ge=0, lt=2**32)
    classes: tuple[str, ...] = _doc(
        ("absent", "present"), "the answers; the first is the background"
    )
    positive: str = _doc("present", "the class that is searched for")
    labels: str | None = _doc(
        None,
        f"where answers are kept: {known_addresses()}, without a password; not set = labels.gpkg",
    )
    source: SourceSettings
    views: dict[str, ViewSettings] = {}
    layers: dict[str, LayerSettings] = {}
    concepts: dict[str, Concept] = {}
    acquisition: AcquisitionSettings = AcquisitionSettings()
    loop: LoopSettings = LoopSettings()
    team: TeamSettings = TeamSettings()
    model: ModelSettings = ModelSettings()
    uncertainty: UncertaintySettings = UncertaintySettings()
    training: TrainingSettings = TrainingSettings()
    reptile: ReptileSettings = ReptileSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    oracle: OracleSettings | None = None

    @model_serializer(mode="wrap")
    def _brief(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the views where there are none, so that the digests of older runs stay."""
        values: dict[str, Any] = serialize(self)
        if not self.views:
            values.pop("views", None)
        return values

    @field_validator("labels", mode="before")
    @classmethod
    def _no_password(cls, labels: object) -> object:
        if labels is None:
            return None
        if not isinstance(labels, str):
            raise ValueError(f"it must be an address in quotes, {known_addresses()}")
        check_address(labels)
        return labels

    @model_validator(mode="after")
    def _names_agree(self) -> Settings:
        if self.patch_size < _LEAST_FOR_NETWORKS and not MODELS[self.model.kind].on_features:
            raise Wrong(
                f"patches of {self.patch_size} pixels are too small for {self.model.kind}, a "
                f"network, which needs {_LEAST_FOR_NETWORKS} or more a side",
                "source.patch_size",
                remedy=f"set model.kind to {default(MODELS)}",
            )
        _check_classes(self.classes, self.positive)
        _check_views(self.views, self.source)
        _check_concepts(self.concepts, self.layers)
        yes_no = [name for name, concept in self.concepts.items() if concept.is_yes_no]
        for name in self.acquisition.weights:
            if name not in yes_no:
                raise Wrong(
                    f"acquisition.weights.{name} is not a yes/no concept",
                    remedy=suggestion(name, yes_no),
                )
        _check_learning(self.model, self.uncertainty, self.reptile)
        if self.oracle is not None:
            for name in self.oracle.values:
                if name not in self.classes:
                    raise Wrong(
                        f"oracle.values.{name} is not a class",
                        remedy=suggestion(name, self.classes),
                    )
            if self.oracle.path is None and not self.source.has_truth:
                raise ValueError("oracle.path is missing: this source has no truth of its own")
        return self

    def named_files(self, *tables: str) -> list[tuple[str, str]]:
        """Return each setting that names a file, as ``layers.osm.path``, and the path in it.

        Only ``tables`` of owl.toml are searched, all of them if none is given. A path may be a URL.
        """
        values = self.model_dump(include=set(tables) if tables else None)
        return named_files(type(self), values)

    @property
    def reptile_kind(self) -> MetaUpdate:
        """The meta-update that ``reptile.kind`` stands for."""
        if self.reptile.kind == "auto":
            return "plain" if self.model.by_gradient else "none"
        return self.reptile.kind

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self.source.patch_size

    @property
    def units(self) -> dict[str, str]:
        """The units of the concepts that have one."""
        return {name: concept.unit for name, concept in self.concepts.items() if concept.unit}


def source_sections() -> dict[str, type[SourceSection]]:
    """Return the class of the table [source] for each kind of source, by the kind's name."""
    sections = get_args(Settings.model_fields["source"].annotation)
    return {section.model_fields["kind"].default: section for section in sections}


def _check_learning(
    model: ModelSettings, uncertainty: UncertaintySettings, reptile: ReptileSettings
) -> None:
    """Refuse settings that the chosen model would silently ignore."""
    head = f"the head {model.head!r}"
    if reptile.kind in ("plain", "diverse") and not model.by_gradient:
        heads = in_words([repr(name) for name, choice in HEADS.items() if choice.by_gradient])
        raise Wrong(
            f"reptile.kind is {reptile.kind}, but {head} is refitted, not moved by gradient steps",
            remedy=f"use head = {heads}, the cnn or an unfrozen backbone, or reptile.kind = 'auto'",
        )
    if uncertainty.n_passes and not model.by_gradient:
        raise Wrong(f"uncertainty.members is dropout, but {head} has none", remedy="use ensemble")
    if uncertainty.n_passes and model.dropout == 0:
        raise Wrong(
            "uncertainty.members is dropout, but model.dropout is 0",
            *("uncertainty.members", "model.dropout"),
            remedy="raise it, or use ensemble",
        )
    _check_members(model, uncertainty)


def _check_members(model: ModelSettings, uncertainty: UncertaintySettings) -> None:
    """Refuse a measure that compares more members than there are: it would be 0 everywhere."""
    needed: int = MEASURES[uncertainty.measure].implementation.fewest_members
    if needed == 1:
        return
    given = uncertainty.n_models * max(uncertainty.n_passes, 1)
    if given == 1 and not model.by_gradient:
        given = HEADS[model.head].implementation.members
    if given >= needed:
        return
    setting, name = ("model.head", model.head) if model.on_features else ("model.kind", model.kind)
    remedy = "set uncertainty.members to ensemble" + (" or dropout" if model.by_gradient else "")
    if model.on_features:
        heads = {name: choice for name, choice in HEADS.items() if not choice.by_gradient}
        enough = [name for name in heads if heads[name].implementation.members >= needed]
        remedy += f", or model.head to {in_words(enough)}"
    raise Wrong(
        (
            f"uncertainty.measure is {uncertainty.measure}, which compares members, but "
            f"{setting} {name} with uncertainty.members {uncertainty.members} gives {given}"
        ),
        *("uncertainty.measure", "uncertainty.members", setting),
        remedy=remedy,
    )


def _check_classes(classes: tuple[str, ...], positive: str) -> None:
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise Wrong(
            f"classes is {', '.join(classes) or 'empty'}, but it needs two or more names, all "
            "different, the background first: absent,present",
            "classes",
        )
    for name in classes:
        if name in RESERVED_LABELS:
            text = f"{name!r} cannot be a class: the word is reserved"
            raise Wrong(text, "classes")
        _check_name("class", name, "classes")
    if positive not in classes:
        raise Wrong(
            f"positive is {positive!r}, which is not a class",
            "positive",
            remedy=suggestion(positive, classes),
        )


def _check_views(views: Mapping[str, ViewSettings], source: SourceSection) -> None:
    """Raise ValueError for names that cannot begin those of bands, and where there is no ground."""
    folded = Counter(name.casefold() for name in views)
    for name in views:
        if not _VIEW_NAME.fullmatch(name) or len(name) > _LONGEST_VIEW:
            shown = name if len(name) <= _LONGEST_VIEW else f"{name[:_LONGEST_VIEW]}..."
            raise Wrong(
                (
                    f"{shown!r} cannot name a view: it needs letters, digits, _ or -, at most "
                    f"{_LONGEST_VIEW}"
                ),
                "views",
                remedy="choose a short word, for example before",
            )
        if folded[name.casefold()] > 1:
            raise Wrong(f"views.{name} differs from another in case only", "views")
    if views and not source.is_on_earth:
        raise Wrong(
            f"views.{next(iter(views))} is of some ground, but the source's data are made up",
            "views",
            remedy="leave the views out",
        )


def _check_name(kind: str, name: str, *settings: str) -> None:
    """Raise ValueError for a name that cannot head a column, a button and a legend of QGIS."""
    shown = repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}...")
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise Wrong(
            (
                f"the {kind} {shown} is empty, has characters that QGIS cannot show, or has more "
                f"than {_LONGEST_NAME}"
            ),
            *settings,
            remedy="rename it",
        )
    if "[%" in name or "%]" in name:
        raise Wrong(
            f"QGIS would take the {kind} {shown} for an expression", *settings, remedy="rename it"
        )


def _check_concepts(concepts: Mapping[str, Any], layers: Mapping[str, LayerSettings]) -> None:
    """Raise ValueError unless each concept refers to an existing layer or an earlier concept."""
    kinds: dict[str, str] = {}
    for name, concept in concepts.items():
        _check_name("concept", name)
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
