"""What the report says of the answers: where they lie, what they have found, and who gave them."""

from __future__ import annotations

import math

from owl_geo.labels import Agreement
from owl_geo.labels.base import newest_answers
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.reporting.curves import Curves, curves_of, discovery, learning
from owl_geo.reporting.figures import rendered
from owl_geo.reporting.maps import answers_map
from owl_geo.reporting.markup import Markup, image, table, tag
from owl_geo.reporting.page import map_figure, paragraph, section
from owl_geo.reporting.survey import Survey
from owl_geo.reporting.words import auc_of, confusions, ranking, why_no_auc
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.records import Round
from owl_geo.verbs.status import Status
from owl_geo.wording import counted, per_cent, plural, three_digits, two_digits

_COMMENTS = 20  # newest comments that are shown


def maps(survey: Survey) -> Markup:
    """Return a map of each scene with its answers, and with what is asked now."""
    parts = []
    if len(survey.labels) == 0 and not survey.waiting:
        parts.append(paragraph("Nothing has been asked yet."))
    more = len(survey.run.grids) - len(survey.scenes)
    if more > 0:
        parts.append(
            paragraph(
                f"The {len(survey.scenes):,} scenes with the most questions; {more:,} more "
                f"{plural(more, 'is', 'are')} not shown."
            )
        )
    for scene in survey.scenes:
        counts = _counts(survey, scene)
        alt = f"Map of scene {scene}. {counts}"
        background = f"Background: {survey.composites[0]}."
        if survey.quicklook(scene) is None:
            background = "No background: the scene cannot be read."
        caption = f"{scene}: {counts} {background}"
        parts.append(map_figure(rendered(answers_map(survey, scene), "jpg"), alt, caption))
    return section("Batches and answers", *parts)


def _counts(survey: Survey, scene: str) -> str:
    """Describe in words what a map of answers shows."""
    at = survey.positions([str(name) for name in survey.labels.index])
    here = (survey.run.patches["scene"].iloc[at] == scene).to_numpy()
    counts = survey.labels[here].value_counts()
    phrases = [f"{n:,} {label}" for label, n in counts.items()]
    open_ = survey.positions(list(survey.waiting))
    waiting = int((survey.run.patches["scene"].iloc[open_] == scene).sum())
    phrases += [f"{waiting} of the last batch not answered"] * bool(waiting)
    return f"{', '.join(phrases)}." if phrases else "No answers."


def course(survey: Survey, now: Status) -> Markup:
    """Return how the search went, as curves and round by round; empty before the first round."""
    run = survey.run
    if not run.rounds():
        return Markup("")
    curves = curves_of(survey, now)
    found, quality = _found(curves, run.settings.positive), _quality(run, now)
    drawn = [
        (discovery(curves, run.settings.positive), f"Discovery curve. {found}"),
        (learning(curves), f"Learning curve. {quality}"),
    ]
    pictures = [
        tag("figure", image(rendered(figure, "svg"), "svg+xml", alt)) for figure, alt in drawn
    ]
    return section(
        "How the search went",
        paragraph(f"{found} {quality}"),
        tag("div", *pictures, class_="pair"),
        tag("details", tag("summary", "The same in numbers"), _round_by_round(run)),
    )


def _found(curves: Curves, positive: str) -> str:
    """Say what was found, and what a random search would have found, as far as that is known."""
    end = curves.labels[-1]
    text = f"{curves.found[-1]} {positive} found with {counted(end, 'label')}."
    if curves.expected is None or not end:
        return text
    about = "at most" if curves.expected_is_bound else "about"
    return f"{text} A random search would have found {about} {curves.expected.value * end:.1f}."


def _quality(run: Run, now: Status) -> str:
    """Say how well the newest model ranks."""
    if now.model is not None and (ranks := ranking(run, now.model)):
        return f"The newest model {ranks}."
    return f"No AUC: {why_no_auc(run)}."


def _round_by_round(run: Run) -> Markup:
    head = ("Round", "Asked", "Labels", "Found", "AUC")
    rows = [
        (
            str(entry.number),
            n_asked(entry),
            str(entry.metrics.n_labeled),
            str(entry.metrics.positives_found),
            _auc(entry.metrics),
        )
        for entry in run.rounds()
    ]
    return table("Round by round", head, rows, numbers=range(5))


def n_asked(entry: Round) -> str:
    """Say how many patches a round asked, and why if they were not chosen by the strategy."""
    if entry.batch_id is None:
        return "none (final fit)"
    return f"{len(entry.patch_ids):,}{'' if entry.kind == 'chosen' else f' ({entry.kind})'}"


def _auc(row: RoundMetrics) -> str:
    value, _ = auc_of(row)
    return "-" if math.isnan(value) else three_digits(value)


def team(survey: Survey, now: Status) -> Markup:
    """Return how far the annotators agree; empty where there is no team."""
    agreement = now.agreement
    if agreement is None:
        return Markup("")
    shared = counted(agreement.n_shared, "patch was", "patches were")
    shared += " labelled by two or more."
    if agreement.n_shared:
        fleiss = _kappa(agreement.fleiss)
        shared += f" Fleiss' kappa is {fleiss}: 1 is full agreement, 0 is chance."
    if survey.disputed:
        tied = counted(len(survey.disputed), "patch is", "patches are")
        shared += f" {tied} disputed and will be asked again."
    parts = [paragraph(shared), _annotators(agreement)]
    if agreement.pairs:
        parts.append(_pairs(agreement))
    return section("The team", *parts)


def _annotators(agreement: Agreement) -> Markup:
    head = ("Annotator", "Labelled", "Agrees with the consensus", "Differs most")
    rows = []
    for one in agreement.annotators:
        same = f"{per_cent(one.same)} of {one.n:,}" if one.n else "-"
        rows.append((one.annotator, f"{one.n_labeled:,}", same, confusions(one) or "-"))
    return table("Annotators", head, rows, numbers=(1,))


def _pairs(agreement: Agreement) -> Markup:
    head = ("Pair", "Patches", "The same", "Cohen's kappa")
    rows = [
        (" and ".join(pair.annotators), str(pair.n), per_cent(pair.same), _kappa(pair.kappa))
        for pair in agreement.pairs
    ]
    return table("In pairs", head, rows, numbers=(1, 2, 3))


def _kappa(value: float) -> str:
    return "unknown" if math.isnan(value) else two_digits(value)


def comments(survey: Survey) -> Markup:
    """Return the newest comments; empty where there are none."""
    newest = newest_answers(survey.history)
    commented = newest[newest["comment"].notna() & (newest["comment"] != "")]
    if len(commented) == 0:
        return Markup("")
    commented = commented.sort_values("seq", ascending=False)[:_COMMENTS]
    rows = [
        (str(row.patch_id), str(row.label), str(row.annotator), str(row.comment))
        for row in commented.itertuples(index=False)
    ]
    return section("Comments", table("The newest", ("Patch", "Label", "By", "Comment"), rows))
