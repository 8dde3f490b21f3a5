"""Patches as small pictures, each with what is known about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from owl_geo.errors import OwlError
from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.measures.uncertainty import greatest
from owl_geo.reporting.colours import RgbArray, Stretch, as_seen, png
from owl_geo.reporting.markup import Markup, image, joined, tag
from owl_geo.reporting.survey import Survey, log
from owl_geo.reporting.views import ViewOfPatches
from owl_geo.reporting.words import value
from owl_geo.types import FloatArray, IntArray, SceneGrid
from owl_geo.wording import per_cent

_CONCEPTS = 8  # concepts that are shown per patch


@dataclass(frozen=True)
class Place:
    """Where a patch lies, in degrees; nan for generated patches, which have no location."""

    lon: float
    lat: float

    def __str__(self) -> str:
        return "" if math.isnan(self.lon) else f"{self.lon:.5f}, {self.lat:.5f}"


def place_of(survey: Survey, position: int) -> Place:
    """Return the centre of a patch in EPSG:4326."""
    run = survey.run
    if not run.settings.source.is_on_earth:
        return Place(math.nan, math.nan)
    window = run.index.windows.take(np.array([position]))
    lon, lat = window.centres_in(crs_of(GEOGRAPHIC))[0].tolist()
    return Place(lon, lat)


def pixels_of(survey: Survey, positions: Sequence[int]) -> dict[int, FloatArray]:
    """Read patches, by position in the index, leaving out scenes that cannot be read."""
    patches = survey.run.patches
    wanted = [
        position
        for position in dict.fromkeys(positions)
        if patches["scene"].iloc[position] not in survey.missing
    ]
    if survey.source is None or not wanted:
        return {}
    try:
        read = survey.source.read(patches["patch_id"].iloc[wanted].tolist())
    except OwlError as error:
        log.warning("no pictures of patches: %s", error)
        return {}
    return dict(zip(wanted, read, strict=True))


def gallery(
    survey: Survey,
    positions: IntArray,
    pixels: Mapping[int, FloatArray],
    views: Sequence[ViewOfPatches] = (),
) -> Markup:
    """Return the patches in the order given, as a list of pictures with their captions.

    All have the same stretch, which covers the usual values of the pool and of ``pixels``. The
    ``views`` of a patch stand beside it, each with a stretch of its own.
    """
    stretch = Stretch.of_statistics(survey.run.index.statistics)
    if pixels:  # targets may be brighter than is usual in the pool, and must not all be white
        stretch = stretch.widened(Stretch.of_pixels(np.concatenate([*pixels.values()], axis=2)))
    items = [
        _item(survey, rank, position, pixels.get(position), stretch, views)
        for rank, position in enumerate(positions.tolist(), start=1)
    ]
    return tag("ol", *items, class_="gallery")


def _item(
    survey: Survey,
    rank: int,
    position: int,
    pixels: FloatArray | None,
    stretch: Stretch,
    views: Sequence[ViewOfPatches],
) -> Markup:
    run, opinion = survey.run, survey.opinion
    row = run.patches.iloc[position]
    name = str(row["patch_id"])
    grid = run.grids[row["scene"]]
    chips = [tag("p", "The scene cannot be read.", class_="small")]
    if pixels is not None:
        chips = [
            _picture(stretch.to_rgb(pixels, how.bands), grid, f"{how.title} of patch {name}")
            for how in survey.composites
        ]
    if views:
        titles = [how.title for how in survey.composites] if pixels is not None else ["Scene"]
        chips = [_captioned(chip, title) for chip, title in zip(chips, titles, strict=True)]
        # beside the picture that they are to be compared with
        chips[1:1] = [_view(one, position, grid, name) for one in views]
    lines = []
    if math.isfinite(opinion.probability[position]):
        probability = f"{run.settings.positive} {opinion.probability[position]:.2f}"
        most = greatest(run.settings.uncertainty.measure, len(run.settings.classes))
        doubt = f"doubt {per_cent(opinion.uncertainty[position] / most)}"
        heading = joined([f"{rank}. {probability}, ", tag("span", doubt, class_="whole")])
        lines.append(tag("p", heading, class_="what"))
        if len(run.settings.classes) > 2:
            lines.append(tag("p", f"most probably {opinion.best[position]}", class_="small"))
    else:
        lines.append(tag("p", f"{rank}.", class_="what"))
    concepts = [
        f"{name}: {value(row[name], concept)}"
        for name, concept in list(run.settings.concepts.items())[:_CONCEPTS]
    ]
    if concepts:
        lines.append(tag("p", "; ".join(concepts), class_="small"))
    where = str(place_of(survey, position))
    lines.append(tag("p", f"{name} ({where})" if where else name, class_="small note"))
    kind = "chips captioned" if views else "chips"
    return tag("li", tag("div", *chips, class_=kind), *lines)


def _picture(rgb: RgbArray, grid: SceneGrid, alt: str) -> Markup:
    height, width, _ = rgb.shape
    return image(png(as_seen(rgb, grid)), "png", alt, width=width, height=height)


def _view(view: ViewOfPatches, position: int, grid: SceneGrid, patch: str) -> Markup:
    rgb = view.rgb(position)
    if rgb is None:
        return _captioned(tag("div", "not covered", class_="nothing"), view.name)
    return _captioned(_picture(rgb, grid, f"View {view.name} of patch {patch}"), view.name)


def _captioned(chip: Markup, title: str) -> Markup:
    return tag("figure", chip, tag("figcaption", title))
