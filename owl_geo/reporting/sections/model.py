"""What the report says of the model's opinion: where targets are likely, and by which concepts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np

from owl_geo.acquisition.relevance import Factor
from owl_geo.reporting.figures import rendered
from owl_geo.reporting.gallery import gallery, pixels_of, place_of
from owl_geo.reporting.groups import groups
from owl_geo.reporting.maps import likely_map
from owl_geo.reporting.markup import Markup, joined, table, tag
from owl_geo.reporting.page import map_figure, paragraph, section
from owl_geo.reporting.survey import Survey
from owl_geo.reporting.views import views_of
from owl_geo.reporting.words import conditions, follows_answers
from owl_geo.run_folder.folder import Run
from owl_geo.types import IntArray
from owl_geo.verbs.status import Status
from owl_geo.wording import counted

_TOP = 20  # patches in the table of the most probable
_GALLERY = 12  # patches in a gallery


def likely(survey: Survey) -> Markup:
    """Return a map of each scene's probabilities, and the most probable patches."""
    title, opinion = "What the model finds likely", survey.opinion
    if not opinion.is_known.any():
        return section(title, paragraph(f"There are no predictions: {opinion.lacking}."))
    positive, classes = survey.run.settings.positive, survey.run.settings.classes
    learnt = int(survey.labels.isin(classes).sum())
    labels = "the only label" if learnt == 1 else f"all {learnt:,} labels"
    parts = [paragraph(f"According to a model that has learnt from {labels}.")]
    parts += [paragraph(f"Note: {opinion.lacking}.", "note")] if opinion.lacking else []
    for scene in survey.scenes:
        here = survey.of_scene(scene)
        scored = here[opinion.is_known[here]]
        n_likely = int((opinion.probability[scored] >= 0.5).sum())
        alt = (
            f"Map of scene {scene}, the probability of {positive}: 0.5 or more in {n_likely:,} of "
            f"{counted(len(scored), 'patch')}."
        )
        caption = "Answered patches are included. Numbers are the ranks in the table below."
        parts.append(map_figure(rendered(likely_map(survey, scene), "jpg"), alt, caption))
    best = survey.most_probable(_TOP)
    if len(best):
        parts.append(_ranking(survey, best))
    return section(title, *parts)


def _ranking(survey: Survey, positions: IntArray) -> Markup:
    """Return a table of patches by rank; they have no location where patches are generated."""
    rows: list[tuple[str, ...]] = []
    for rank, position in enumerate(positions.tolist(), start=1):
        patch = str(survey.run.patches["patch_id"].iloc[position])
        where = str(place_of(survey, position))
        shown = f"{survey.opinion.probability[position]:.3f}"
        rows.append((str(rank), patch, shown, where) if where else (str(rank), patch, shown))
    head = ("Rank", "Patch", "Probability", "Longitude, latitude")[: len(rows[0])]
    caption = f"Most probably {survey.run.settings.positive}, not yet answered"
    return table(caption, head, rows, numbers=(0, 2))


def patches_to_look_at(survey: Survey) -> Markup:
    """Return pictures of the surest and most doubtful patches; without a model, of those asked."""
    shown = [(title, at) for title, at in _galleries(survey) if len(at)]
    if not shown:
        return Markup("")
    everything = list(chain.from_iterable(at.tolist() for _, at in shown))
    pixels, views = pixels_of(survey, everything), views_of(survey, everything)
    how = " and ".join(str(one) for one in survey.composites)
    measure = survey.run.settings.uncertainty.measure.replace("_", " ")
    lines = [paragraph(f"Not yet answered. Shown in {how}, all with the same stretch.")]
    if survey.opinion.is_known.any():
        note = f"The number is the probability. Doubt is the {measure}, as a share of its maximum."
        lines.append(paragraph(note, "note"))
    if views:
        names = ", ".join(view.name for view in views)
        lines.append(
            paragraph(
                f"Beside it, the same ground in the run's views ({names}), each with a stretch of "
                "its own.",
                "note",
            )
        )
    parts = [joined([tag("h3", title), gallery(survey, at, pixels, views)]) for title, at in shown]
    return section("Patches to look at", *lines, *parts)


def _galleries(survey: Survey) -> list[tuple[str, IntArray]]:
    """Return the title of each gallery, and the positions of its patches."""
    if not survey.opinion.is_known.any():
        return [("Asked now", survey.positions(list(survey.waiting[:_GALLERY])))]
    surest = survey.most_probable(_GALLERY)
    doubtful = survey.most_doubtful(2 * _GALLERY)
    others = doubtful[~np.isin(doubtful, surest)][:_GALLERY]
    positive = survey.run.settings.positive
    return [(f"Most probably {positive}", surest), ("Most in doubt, except these", others)]


def concepts(survey: Survey, now: Status) -> Markup:
    """Return what answers and model say about the concepts; empty where the run has none."""
    run = survey.run
    if not run.settings.concepts:
        return Markup("")
    parts = []
    # no answer changes a weight of 0
    factors = [factor for factor in now.relevance if math.isfinite(factor.coefficient)]
    if follows_answers(run) and factors and len(survey.labels):
        about = (
            f"How many times as likely {run.settings.positive} is there as elsewhere, as odds. The "
            "bar shows the strength, in either direction."
        )
        parts += [paragraph(about), _odds(run, factors)]
    parts += [
        paragraph(
            "The pool by each concept's values, with the answers there and the model's mean "
            "probability over the patches that have none. Most answered patches were chosen, not "
            "drawn at random, so the shares are not estimates."
        ),
        _by_concept(survey),
    ]
    return section("Concepts", *parts)


def _odds(run: Run, factors: Sequence[Factor]) -> Markup:
    """Return how much each condition changes the odds, before the answers and after."""
    where = conditions(run)
    longest = max(1e-9, *(abs(factor.coefficient) for factor in factors))
    rows = [
        (
            where[factor.name],
            f"x {math.exp(factor.prior):.2g}",
            joined([_bar(abs(factor.coefficient) / longest), f"x {factor.factor:.2g}"]),
        )
        for factor in factors
    ]
    return table("Odds", ("Where", "As given", "After the answers"), rows)


def _by_concept(survey: Survey) -> Markup:
    positive = survey.run.settings.positive
    head = ("Where", "Patches", f"{positive} among answers", "Model's mean of the others")
    rows: list[tuple[str, ...]] = []
    for group in groups(survey):
        share = group.probability
        model = "-" if math.isnan(share) else joined([_bar(share), f"{share:.2f}"])
        answers = f"{group.positive:,} of {group.answered:,}" if group.answered else "-"
        rows.append((group.name, f"{group.patches:,}", answers, model))
    return table("By concept", head, rows, numbers=(1,))


def _bar(share: float) -> Markup:
    width = 4 * min(max(share, 0.0), 1.0)
    return tag("span", "", class_="bar", style=f"width: {width:.2f}em", aria_hidden="true")
