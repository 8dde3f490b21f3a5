"""``owl-geo report``: a run as one HTML file, for people who decide what happens next."""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tomlkit

from owl_geo import schema
from owl_geo.disk.atomic import writing_file
from owl_geo.errors import RunError
from owl_geo.labels.base import newest_answers
from owl_geo.measures.audit import FEW, Estimate, percent
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.reporting.curves import Curves, curves_of, discovery, learning
from owl_geo.reporting.facts import facts
from owl_geo.reporting.figures import rendered
from owl_geo.reporting.gallery import gallery, pixels_of, place_of
from owl_geo.reporting.groups import groups
from owl_geo.reporting.maps import answers_map, likely_map
from owl_geo.reporting.markup import Markup, image, joined, table, tag
from owl_geo.reporting.page import page, paragraph, section
from owl_geo.reporting.survey import MOST_SCENES, Survey
from owl_geo.reporting.views import views_of
from owl_geo.reporting.words import auc_of, conditions, follows_answers, ranking, why_no_auc
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.paths import check_output
from owl_geo.run_folder.records import Round
from owl_geo.sources.band_choice import in_short
from owl_geo.verbs.status import Status, status
from owl_geo.work.progress import Reporter, silent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE_NAME = "report.html"
_TOP = 20  # patches in the table of the most probable
_GALLERY = 12  # patches in a gallery
_COMMENTS = 20  # newest comments that are shown
_SCENES = 20  # scenes that the settings list


def report(
    run: AnyRun,
    path: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    device: str = "auto",
    report: Reporter = silent,
) -> Path:
    """Write a run's report, one HTML file that includes its pictures, and return its path.

    No answers are needed: a run has a report even before its first batch. Scenes that cannot be
    read are named, and their pictures are missing.

    Args:
        run: the run, or its folder.
        path: the file; None = ``report.html`` in the run's folder, which is always replaced.
        overwrite: replace another file that exists.
        device: where a network runs.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.

    Raises RunError if the run is damaged, or the file exists or cannot be written.
    """
    run = Run.of(run)
    own = run.path / FILE_NAME
    target = Path(path) if path is not None else own
    if target.is_dir():
        raise RunError(
            f"{target} is a folder", remedy=f"name a file in it, such as {target / FILE_NAME}"
        )
    check_output(target)
    if target.exists() and not overwrite and target.resolve() != own.resolve():
        raise RunError(f"{target} exists", remedy="choose another name, or use --overwrite")
    text = _document(run, device, report)
    with writing_file(target) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")
    return target


def _document(run: Run, device: str, report: Reporter) -> str:
    now = status(run)
    survey = Survey.of(run, device=device, report=report)
    curves = curves_of(survey, now)
    parts = [
        _introduction(survey, now),
        _standing(run, now),
        _answers(survey),
        _course(survey, curves, now),
        _likely(survey),
        _patches(survey),
        _concepts(survey, now),
        _chance(run, now),
        _people(survey, now),
        _comments(survey),
        _settings(run),
    ]
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    title = f"Search for {run.settings.positive}"
    return page(title, [part for part in parts if part], f"owl-geo {version('owl-geo')}, {when}")


_NOTHING = Markup("")


def _introduction(survey: Survey, now: Status) -> Markup:
    run = survey.run
    size, scenes = run.settings.patch_size, len(run.grids)
    others = [name for name in run.settings.classes if name != run.settings.positive]
    bands = run.index.statistics.of_scene.bands
    lines = [
        f"{now.patches:,} patches of {size} x {size} pixels in "
        f"{scenes:,} scene{'s' * (scenes > 1)}, bands {in_short(bands)}. "
        f"Searched for: {run.settings.positive}, as opposed to {', '.join(others)}."
    ]
    if run.truth is not None:
        lines.append("Answers come from known truth: this is a simulated search.")
    if not run.settings.source.is_on_earth:
        lines.append("The patches are generated and have no location on Earth.")
    parts = [paragraph(" ".join(lines)), paragraph(f"Folder: {run.path.resolve()}", "note")]
    missing = list(survey.missing.items())[:MOST_SCENES]
    if survey.source is None:
        parts.append(paragraph(f"No pixels can be read: {missing[0][1]}.", "note"))
        return joined(parts)
    for scene, why in missing:
        parts.append(paragraph(f"Scene {scene} cannot be read: {why}.", "note"))
    return joined(parts)


def _standing(run: Run, now: Status) -> Markup:
    rows = facts(run, now)
    todo = dict(rows).get("Next", "")
    entries = [
        joined([tag("dt", name), tag("dd", text)]) for name, text in rows if name not in ("Next",)
    ]
    return section(
        "Where it stands",
        tag("dl", *entries),
        tag("p", tag("strong", "Next: "), todo, class_="next"),
    )


def _answers(survey: Survey) -> Markup:
    parts = []
    if len(survey.labels) == 0 and not survey.waiting:
        parts.append(paragraph("Nothing has been asked yet."))
    more = len(survey.run.grids) - len(survey.scenes)
    if more > 0:
        parts.append(
            paragraph(
                f"The {len(survey.scenes)} scenes with the most questions; {more} are not shown."
            )
        )
    for scene in survey.scenes:
        counts = _counts(survey, scene)
        alt = f"Map of scene {scene}. {counts}"
        caption = f"{scene}: {counts} Background: {survey.composites[0]}."
        parts.append(_map(answers_map(survey, scene), alt, caption))
    return section("Batches and answers", *parts)


def _counts(survey: Survey, scene: str) -> str:
    """Describe in words what a map of answers shows."""
    at = survey.positions([str(name) for name in survey.labels.index])
    here = (survey.run.patches["scene"].iloc[at] == scene).to_numpy()
    counts = survey.labels[here].value_counts()
    phrases = [f"{n} {label}" for label, n in counts.items()]
    open_ = survey.positions(list(survey.waiting))
    waiting = int((survey.run.patches["scene"].iloc[open_] == scene).sum())
    phrases += [f"{waiting} asked but not answered"] * bool(waiting)
    return f"{', '.join(phrases)}." if phrases else "No answers."


def _map(figure: Figure, alt: str, caption: str) -> Markup:
    picture = image(rendered(figure, "jpg"), "jpeg", alt)
    return tag("figure", picture, tag("figcaption", caption), class_="map")


def _n_asked(entry: Round) -> str:
    if entry.batch_id is None:
        return "none (final fit)"
    return f"{len(entry.patch_ids)}{' (review)' if entry.is_review else ''}"


def _course(survey: Survey, curves: Curves, now: Status) -> Markup:
    run = survey.run
    rows = [
        (
            str(entry.number),
            _n_asked(entry),
            str(entry.metrics.n_labeled),
            str(entry.metrics.positives_found),
            _auc(entry.metrics),
        )
        for entry in run.rounds()
    ]
    if not rows:
        return _NOTHING
    end = curves.labels[-1]
    summary = f"{curves.found[-1]} {run.settings.positive} found with {end} labels."
    if curves.expected is not None and end:
        about = "at most" if curves.expected_is_bound else "about"
        expected = f"{about} {curves.expected.value * end:.1f}"
        summary += f" A random search would have found {expected}."
    quality = f"No AUC: {why_no_auc(run)}."
    if now.model is not None and (ranks := ranking(run, now.model)):
        quality = f"The newest model {ranks}."
    drawn = [
        (discovery(curves, run.settings.positive), f"Discovery curve. {summary}"),
        (learning(curves), f"Learning curve. {quality}"),
    ]
    pictures = [
        tag("figure", image(rendered(figure, "svg"), "svg+xml", alt)) for figure, alt in drawn
    ]
    head = ("Round", "Asked", "Labels", "Found", "AUC")
    numbers = table("Round by round", head, rows, numbers=range(5))
    return section(
        "How the search went",
        paragraph(f"{summary} {quality}"),
        tag("div", *pictures, class_="pair"),
        tag("details", tag("summary", "The same in numbers"), numbers),
    )


def _auc(row: RoundMetrics) -> str:
    value, _ = auc_of(row)
    return "-" if math.isnan(value) else f"{value:.3f}"


def _likely(survey: Survey) -> Markup:
    title, opinion = "What the model finds likely", survey.opinion
    if not opinion.is_known.any():
        return section(title, paragraph(f"There are no predictions: {opinion.lacking}."))
    positive, classes = survey.run.settings.positive, survey.run.settings.classes
    learnt = int(survey.labels.isin(classes).sum())
    parts = [paragraph(f"According to a model that has learnt from all {learnt} labels.")]
    parts += [paragraph(f"Note: {opinion.lacking}.", "note")] if opinion.lacking else []
    for scene in survey.scenes:
        here = survey.of_scene(scene)
        scored = here[opinion.is_known[here]]
        likely = int((opinion.probability[scored] >= 0.5).sum())
        alt = (
            f"Map of scene {scene}, the probability of {positive}: 0.5 or more in {likely:,} of "
            f"{len(scored):,} patches."
        )
        caption = "Answered patches are included. Numbers are the ranks in the table below."
        parts.append(_map(likely_map(survey, scene), alt, caption))
    best = survey.most_probable(_TOP).tolist()
    if best:
        rows = []
        for rank, position in enumerate(best, start=1):
            patch = str(survey.run.patches["patch_id"].iloc[position])
            where = str(place_of(survey, position))
            shown = f"{opinion.probability[position]:.3f}"
            rows.append((str(rank), patch, shown, where) if where else (str(rank), patch, shown))
        head = ("Rank", "Patch", "Probability", "Longitude, latitude")[: len(rows[0])]
        caption = f"Most probably {positive}, not yet answered"
        parts.append(table(caption, head, rows, numbers=(0, 2)))
    return section(title, *parts)


def _patches(survey: Survey) -> Markup:
    """The gallery: the surest and most doubtful patches, or, without a model, those asked now."""
    positive = survey.run.settings.positive
    surest = survey.most_probable(_GALLERY)
    doubtful = survey.most_doubtful(2 * _GALLERY)
    doubtful = doubtful[~np.isin(doubtful, surest)][:_GALLERY]
    shown = [(f"Most probably {positive}", surest), ("Most in doubt, except these", doubtful)]
    if not survey.opinion.is_known.any():
        shown = [("Asked now", survey.positions(list(survey.waiting[:_GALLERY])))]
    shown = [(title, at) for title, at in shown if len(at)]
    if not shown:
        return _NOTHING
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


def _concepts(survey: Survey, now: Status) -> Markup:
    run = survey.run
    if not run.settings.concepts:
        return _NOTHING
    positive, parts = run.settings.positive, []
    if follows_answers(run) and now.relevance and len(survey.labels):
        where = conditions(run)
        longest = max(max(abs(factor.coefficient) for factor in now.relevance), 1e-9)
        rows = [
            (
                where[factor.name],
                f"x {math.exp(factor.prior):.2g}",
                joined([_bar(abs(factor.coefficient) / longest), f"x {factor.factor:.2g}"]),
            )
            for factor in now.relevance
            if math.isfinite(factor.coefficient)
        ]
        parts += [
            paragraph(
                f"How many times as likely {positive} is there as elsewhere, as odds. The bar "
                "shows the strength, in either direction."
            ),
            table("Odds", ("Where", "As given", "After the answers"), rows),
        ]
    parted: list[tuple[str, ...]] = []
    for group in groups(survey):
        share = group.probability
        model = "-" if math.isnan(share) else joined([_bar(share), f"{share:.2f}"])
        answers = f"{group.positive} of {group.answered}" if group.answered else "-"
        parted.append((group.name, f"{group.patches:,}", answers, model))
    head = ("Where", "Patches", f"{positive} among answers", "Model's mean")
    parts += [
        paragraph(
            "The pool by each concept's values, with the answers there and the model's mean "
            "probability. Most answered patches were chosen, not drawn at random, so the shares "
            "are not estimates."
        ),
        table("By concept", head, parted, numbers=(1,)),
    ]
    return section("Concepts", *parts)


def _bar(share: float) -> Markup:
    width = 4 * min(max(share, 0.0), 1.0)
    return tag("span", "", class_="bar", style=f"width: {width:.2f}em", aria_hidden="true")


def _chance(run: Run, now: Status) -> Markup:
    """What the answers to patches drawn at random show, in words."""
    positive = run.settings.positive
    if now.left is None:
        return _NOTHING
    left = now.left
    lines = [
        f"{left.n_audit} of the answers are for patches that were drawn at random, regardless of "
        "the model. Only they show what holds for all patches."
    ]
    if left.n_audit < FEW:
        lines.append(
            f"Once there are {FEW} such answers, this section estimates how many {positive} are "
            "left."
        )
    elif left.is_bound:
        lines.append(
            f"Of all patches, at most {left.prevalence.high:.1%} are {positive}. {left.n_found} "
            f"have been found; at most {left.left.high:,.0f} more are left, and the chance that "
            f"none is left is {percent(left.chance_of_none)}."
        )
        if left.n_found:
            lines.append(
                f"So the search has found at least {left.recall.low:.1%} of all there are."
            )
    elif not math.isnan(left.prevalence.value):
        lines.append(
            f"Of all patches, {_percent(left.prevalence)} are {positive}. {left.n_found} have been "
            f"found; about {left.left.value:,.0f} more are left, somewhere between "
            f"{left.left.low:,.0f} and {left.left.high:,.0f}."
        )
        if not math.isnan(left.recall.value):
            lines.append(f"So the search has found {_percent(left.recall)} of them all.")
    if now.quality is not None and now.quality.n >= FEW:
        for name, estimate in (
            (f"Where the model predicted {positive}, it was right in", now.quality.precision),
            (f"Of the patches that are {positive}, it had recognised", now.quality.recall),
        ):
            if not math.isnan(estimate.value):
                lines.append(f"{name} {_percent(estimate)}.")
        lines.append(
            "That is how the rounds' models did on what was left to ask when they chose. A search "
            "answers the clear cases first, so for the whole pool both shares are usually higher."
        )
    if now.hint is not None:
        lines.append(f"When to stop: {now.hint.text}.")
    parts = [paragraph(line) for line in lines]
    if left.n_audit >= FEW:
        parts.append(paragraph("Ranges contain the truth in 95 of 100 cases like this.", "note"))
    return section("What the random audit says", *parts)


def _percent(estimate: Estimate) -> str:
    share = f"{estimate.value:.1%}"
    if math.isnan(estimate.low):
        return share
    return f"{share} ({estimate.low:.1%} to {estimate.high:.1%})"


def _people(survey: Survey, now: Status) -> Markup:
    team = now.agreement
    if team is None:
        return _NOTHING
    rows = []
    for one in team.annotators:
        differs = ", ".join(f"{own} for {other} {n}" for own, other, n in one.differences()[:3])
        same = f"{one.same:.0%} of {one.n}" if one.n else "-"
        rows.append((one.annotator, f"{one.n_labeled}", same, differs or "-"))
    head = ("Annotator", "Labelled", "Agrees with the consensus", "Differs most")
    parts = [table("Annotators", head, rows, numbers=(1,))]
    if team.pairs:
        pairs = [
            (" and ".join(pair.annotators), str(pair.n), f"{pair.same:.0%}", _kappa(pair.kappa))
            for pair in team.pairs
        ]
        head = ("Pair", "Patches", "The same", "Cohen's kappa")
        parts.append(table("In pairs", head, pairs, numbers=(1, 2, 3)))
    shared = f"{team.n_shared} patches were labelled by two or more."
    if team.n_shared:
        shared += f" Fleiss' kappa is {_kappa(team.fleiss)}: 1 is full agreement, 0 is chance."
    if survey.disputed:
        shared += f" {len(survey.disputed)} patches are disputed and will be asked again."
    return section("The team", paragraph(shared), *parts)


def _kappa(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.2f}"


def _comments(survey: Survey) -> Markup:
    newest = newest_answers(survey.history)
    commented = newest[newest["comment"].notna() & (newest["comment"] != "")]
    if len(commented) == 0:
        return _NOTHING
    commented = commented.sort_values("seq", ascending=False)[:_COMMENTS]
    rows = [
        (str(row.patch_id), str(row.label), str(row.annotator), str(row.comment))
        for row in commented.itertuples(index=False)
    ]
    return section("Comments", table("The newest", ("Patch", "Label", "By", "Comment"), rows))


def _settings(run: Run) -> Markup:
    settings = run.settings
    model, asked = settings.model, settings.acquisition
    head = f", head {model.head}" if model.on_features else ""
    matter = [
        ("Classes", ", ".join((*settings.classes, *schema.RESERVED_LABELS))),
        ("Model", f"{model.kind}{head}"),
        ("Doubt", f"{settings.uncertainty.measure}, {settings.uncertainty.members}"),
        ("Strategy", f"{asked.strategy}, start {asked.start}, audit {asked.audit_share:.0%}"),
        ("Batches", f"{settings.loop.initial} first, then {settings.loop.query_budget}"),
        ("Seed", str(settings.seed)),
    ]
    entries = [joined([tag("dt", name), tag("dd", text)]) for name, text in matter]
    # defaults say nothing; where answers are kept is nobody else's business
    changed = settings.model_dump(
        mode="json", exclude_defaults=True, exclude_none=True, exclude={"labels", "run_id"}
    )
    scenes = changed.get("source", {}).get("scenes", [])
    cut = f"# and {len(scenes) - _SCENES} more scenes\n" if len(scenes) > _SCENES else ""
    if cut:
        changed["source"]["scenes"] = scenes[:_SCENES]
    for name, view in changed.get("views", {}).items():
        if len(view["scenes"]) > _SCENES:
            cut += f"# and {len(view['scenes']) - _SCENES} more scenes of view {name}\n"
            view["scenes"] = view["scenes"][:_SCENES]
    return section(
        "Settings",
        tag("dl", *entries),
        tag(
            "details",
            tag("summary", "What differs from the defaults"),
            tag("pre", tomlkit.dumps(changed) + cut),
            class_="on-screen",
        ),
    )
