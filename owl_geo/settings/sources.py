"""Where patches come from: [source] of each kind, and further views of the same ground."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from owl_geo.settings.files import File
from owl_geo.settings.known_masks import lack_values
from owl_geo.settings.sections import Section, Wrong, doc

_LONGEST_VIEW = 40  # characters in a view's name, which begins the names of its bands
SameGround = Literal["best", "first", "keep"]  # of which scenes that show it ground is taken
_VIEW_NAME = re.compile(r"\w[\w-]*")


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
    n_samples: int = doc(500, "patches to generate", ge=1)
    image_size: int = doc(32, "height and width of a patch in pixels", ge=4, le=2**14)
    n_bands: int = doc(4, "bands per patch", ge=1)
    seed: int = doc(42, "seed of the generator, separate from the run's seed", ge=0, lt=2**32)
    signal: float = doc(0.0, "0 = images are pure noise, 1 = strong signal in the bands", ge=0)

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self.image_size


class SceneSettings(Section):
    """One scene: one file, one folder, or several single-band files."""

    newer = ("names", "scale", "offset", "nodata", "date")

    name: str = doc(
        ..., "first part of every patch_id of this scene", min_length=1, max_length=1000
    )
    path: File | None = doc(None, "a raster, a .SAFE folder, a Landsat folder, a folder of bands")
    files: tuple[File, ...] = doc((), "single-band files, instead of path")
    names: tuple[str, ...] | None = doc(
        None, "names of all bands in order, instead of those in the files"
    )
    scale: tuple[float | Literal["own"], ...] | None = doc(
        None,
        "of all bands in order, or one for all: value = scale * pixel + offset; own = as the "
        "file says",
    )
    offset: tuple[float | Literal["own"], ...] | None = doc(None, "likewise")
    nodata: tuple[float | Literal["own"], ...] | None = doc(
        None, "likewise, the pixel that means no data"
    )
    mask: File | None = doc(
        None, "a raster, for example of clouds, whose bad values lower the valid share"
    )
    date: datetime.date | None = doc(
        None, "its date of acquisition, 2019-06-30; not set = as the file says"
    )

    @field_validator("date", mode="before")
    @classmethod
    def _as_date(cls, value: Any) -> datetime.date | None:
        """Take a date of TOML or one in quotes, also with a time; a number is none.

        A moment with an offset from UTC has its day in UTC, as the dates of files have.
        """
        try:
            moment = datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            moment = False
        if moment is None or type(moment) is datetime.date:
            return moment
        if isinstance(moment, datetime.datetime):
            return (moment.astimezone(datetime.UTC) if moment.tzinfo else moment).date()
        raise ValueError(f"{value!r} is not a date; write it as 2019-06-30")

    @model_validator(mode="after")
    def _one_place(self) -> SceneSettings:
        if bool(self.path) == bool(self.files):
            raise ValueError("a scene needs either path or files")
        return self


def _as_words(value: Any) -> Any:
    """Take the number of a band for the word that means it, in a list and in a table."""
    if isinstance(value, dict):
        return {name: _as_word(one) for name, one in value.items()}
    return tuple(map(_as_word, value)) if isinstance(value, list | tuple) else value


def _as_word(value: Any) -> Any:
    is_number = isinstance(value, Integral) and not isinstance(value, bool)
    return str(value) if is_number else value


BandNames = Annotated[tuple[str, ...], BeforeValidator(_as_words)]
# What bands are, where the files do not say: common name = number, description or name of a band.
CommonNames = Annotated[dict[str, str], BeforeValidator(_as_words)]
_COMMON = "what bands are where the files do not say, or say wrongly: nir = 4, red = 3"


class GeoTiffSettings(SourceSection):
    """Scenes cut into patches."""

    newer = ("mask_bands", "common", "same_ground")

    home = "owl_geo.sources.unopened_scenes:UnopenedScenes"

    kind: Literal["geotiff"] = "geotiff"
    scenes: tuple[SceneSettings, ...] = doc(..., "the scenes", min_length=1)
    bands: BandNames = doc((), "by number, description or common name; empty = all")
    common: CommonNames = doc({}, _COMMON)
    patch_size: int = doc(32, "height and width of a patch in pixels", ge=1, le=2**14)
    stride: int | None = doc(None, "pixels from patch to patch; not set = patch_size", ge=1)
    min_valid: float = doc(0.9, "share of valid pixels that a patch needs", gt=0, le=1)
    mask_bad: tuple[int, ...] = doc(
        (), "values of the scenes' mask that make a pixel invalid; empty = as its name tells"
    )
    mask_bands: tuple[Annotated[int, Field(ge=1)], ...] | None = doc(
        None, "numbers of the mask's bands; a bad value in any of them counts; not set = the first"
    )
    aoi: File | None = doc(None, "polygons; patches whose centre lies outside are left out")
    same_ground: SameGround = doc(
        "best",
        "ground that several scenes show: once, from the one that shows it best (valid share, then "
        "the newest date) or from the first; keep = in the pool from each, asked once",
    )

    @model_validator(mode="after")
    def _names_differ(self) -> GeoTiffSettings:
        _check_names(self.scenes)
        _check_masks(self.scenes, self.mask_bad)
        return self


class CubeSettings(SourceSection):
    """A data cube, Zarr or NetCDF, cut into patches."""

    newer = ("common",)

    home = "owl_geo.sources.cube.unopened:UnopenedCube"

    kind: Literal["cube"] = "cube"
    path: File = doc(..., "a Zarr folder, a .zarr.zip, a NetCDF file, or a URL that xarray opens")
    name: str | None = doc(
        None,
        "first part of every patch_id; not set = the file's name",
        min_length=1,
        max_length=1000,
    )
    bands: BandNames = doc((), "by number, name or common name; empty = all")
    common: CommonNames = doc({}, _COMMON)
    time: Literal["median", "mean", "min", "max", "first", "last", "stack"] = doc(
        "median", "how several dates become one, pixel by pixel; stack = the bands of every date"
    )
    patch_size: int = doc(32, "height and width of a patch in pixels", ge=1, le=2**14)
    stride: int | None = doc(None, "pixels from patch to patch; not set = patch_size", ge=1)
    min_valid: float = doc(0.9, "share of valid pixels that a patch needs", gt=0, le=1)
    aoi: File | None = doc(None, "polygons; patches whose centre lies outside are left out")
    crs: str | None = doc(None, "the cube's CRS, for example EPSG:32631, instead of its own")


class TileSettings(Section):
    """One tile of vectors in a NumPy array."""

    name: str = doc(..., "first part of every patch_id of this tile", min_length=1, max_length=1000)
    path: File = doc(
        ..., "the .npy file of its vectors; scales and land mask are found beside it by their names"
    )


class ArraysSettings(SourceSection):
    """Tiles of vectors in NumPy arrays, as TESSERA's, cut into patches."""

    home = "owl_geo.sources.arrays.unopened:UnopenedArrays"

    kind: Literal["arrays"] = "arrays"
    scenes: tuple[TileSettings, ...] = doc(..., "the tiles", min_length=1)
    patch_size: int = doc(8, "height and width of a patch in pixels", ge=1, le=2**14)
    stride: int | None = doc(None, "pixels from patch to patch; not set = patch_size", ge=1)
    min_valid: float = doc(0.9, "share of valid pixels that a patch needs", gt=0, le=1)
    aoi: File | None = doc(None, "polygons; patches whose centre lies outside are left out")
    same_ground: SameGround = doc(
        "best",
        "ground that several tiles show: once, from the one that shows it best (valid share, then "
        "the order of the tiles) or from the first; keep = in the pool from each, asked once",
    )

    @model_validator(mode="after")
    def _names_differ(self) -> ArraysSettings:
        _check_names(self.scenes)
        return self


def _check_names(scenes: Iterable[SceneSettings | TileSettings]) -> None:
    """Raise Wrong where two scenes have one name."""
    twice = [name for name, count in Counter(scene.name for scene in scenes).items() if count > 1]
    if twice:
        raise Wrong(f"two scenes are named {min(twice)!r}", remedy="give each a name of its own")


class VectorsSettings(SourceSection):
    """A table of vectors, GeoParquet, each of which is a patch."""

    home = "owl_geo.sources.vectors.unopened:UnopenedVectors"

    kind: Literal["vectors"] = "vectors"
    path: File = doc(..., "a GeoParquet file, or a folder of its parts")
    name: str | None = doc(
        None,
        "first part of every patch_id; not set = the file's name",
        min_length=1,
        max_length=1000,
    )
    vector_column: str | None = doc(None, "the column of vectors; not set = the one that has any")
    footprint: float | None = doc(
        None,
        "edge of a patch in metres, around the centre of each geometry; not set = that of the "
        "polygons, or the spacing of the points",
        gt=0,
        le=1e6,
    )
    crs: str | None = doc(None, "the CRS of the geometries, for example EPSG:4326, not their own")

    @property
    def patch_size(self) -> int:
        """A row of the table is a patch of one pixel."""
        return 1


SourceSettings = Annotated[
    SyntheticSettings | GeoTiffSettings | CubeSettings | VectorsSettings | ArraysSettings,
    Field(discriminator="kind"),
]


class ViewSettings(Section):
    """Further rasters of the pool's ground, such as an earlier date, read on the patches' grid."""

    scenes: tuple[SceneSettings, ...] = doc(..., "the rasters", min_length=1)
    bands: BandNames = doc((), "by number, description or common name; empty = all")
    mask_bad: tuple[int, ...] = doc(
        (), "values of the scenes' mask that make a pixel invalid; empty = as its name tells"
    )
    mask_bands: tuple[Annotated[int, Field(ge=1)], ...] | None = doc(
        None, "numbers of the mask's bands; a bad value in any of them counts; not set = the first"
    )

    @model_validator(mode="after")
    def _masks_have_values(self) -> ViewSettings:
        _check_masks(self.scenes, self.mask_bad)
        return self


def _check_masks(scenes: Iterable[SceneSettings], mask_bad: tuple[int, ...]) -> None:
    if lack_values(tuple(scene.mask for scene in scenes), mask_bad):
        raise Wrong("a mask needs mask_bad, the list of its bad values", "mask_bad")


def check_views(views: Mapping[str, ViewSettings], source: SourceSection) -> None:
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
