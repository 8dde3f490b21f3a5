"""How a search went, round by round: targets found per label, and how well the model ranks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from owl_geo.evaluation.plots import COLOURS, REFERENCE, whole_numbers
from owl_geo.measures.audit import FEW, Estimate
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.reporting.facts import true_labels
from owl_geo.reporting.figures import drawing, figure, shortened
from owl_geo.reporting.survey import Survey
from owl_geo.reporting.words import auc_in_words, why_no_auc
from owl_geo.verbs.status import Status
from owl_geo.wording import counted, per_cent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Value = TypeVar("_Value", int, float)

_WIDTH, _HEIGHT = 5.2, 3.4  # inches


@dataclass(frozen=True)
class Curves:
    """The points of both curves."""

    labels: tuple[int, ...]  # patches answered with a class, starting at 0
    found: tuple[int, ...]  # targets among them
    expected: Estimate | None  # share of targets in the pool, which a random search would find
    expected_by: str  # where that share comes from
    auc_labels: tuple[int, ...]
    auc: tuple[float, ...]
    auc_of: str  # what the AUC is measured on, or why there is none

    @property
    def expected_is_bound(self) -> bool:
        """Whether random answers would have found at most ``expected``, perhaps far fewer."""
        share = self.expected
        return share is not None and share.low < share.high == share.value


def curves_of(survey: Survey, now: Status) -> Curves:
    """Return a run's curves; answers that no round has learnt from yet give the last point."""
    run = survey.run
    rows = [entry.metrics for entry in run.rounds()]
    decided = survey.labels[survey.labels.isin(run.settings.classes)]
    current = len(decided), int((decided == run.settings.positive).sum())
    found = ((row.n_labeled, row.positives_found) for row in rows)
    course = _course([(0, 0), *found, current])
    expected, by = _expected(survey, now)
    auc_labels, auc, auc_of = _auc(rows)
    return Curves(
        tuple(labels for labels, _ in course),
        tuple(found for _, found in course),
        expected,
        by,
        auc_labels,
        auc,
        auc_of or why_no_auc(run),
    )


def _course(states: Iterable[tuple[int, _Value]]) -> list[tuple[int, _Value]]:
    """Return states (labels, value), in order of labels, without those that a later one corrects.

    A later state has fewer labels where answers turned into unsure, or annotators came to disagree,
    and as many where a batch was left or made beside the search, as by ``review`` and ``like``.
    """
    course: list[tuple[int, _Value]] = []
    for state in states:
        while course and course[-1][0] >= state[0]:
            course.pop()
        course.append(state)
    return course


def _expected(survey: Survey, now: Status) -> tuple[Estimate | None, str]:
    positive = survey.run.settings.positive
    if survey.run.truth is not None:
        current = survey.labels.rename_axis("patch_id").reset_index()
        labels = true_labels(survey.run, current).dropna()
        if len(labels):
            share = float((labels == positive).mean())
            known = f"chance, by the truth: {per_cent(share, digits=1)}"
            return Estimate(share, share, share), known
    if now.left is not None and now.left.n_audit >= FEW:
        share_of = now.left.prevalence
        if now.left.is_bound:
            most = Estimate(share_of.high, share_of.low, share_of.high)
            return most, f"chance, by the audit: at most {per_cent(share_of.high, digits=1)}"
        value = per_cent(share_of.value, digits=1)
        return share_of, f"chance, by the audit: {value}, with its 95 % interval"
    return None, ""


def _auc(rows: Sequence[RoundMetrics]) -> tuple[tuple[int, ...], tuple[float, ...], str]:
    for name, of in (
        ("test_auc", "on held-out patches"),
        ("cv_auc", "cross-validated"),
    ):
        measured = ((row.n_labeled, float(getattr(row, name))) for row in rows)
        course = _course(state for state in measured if not math.isnan(state[1]))
        if course:
            labels, values = zip(*course, strict=True)
            return labels, values, of
    return (), (), ""


def discovery(curves: Curves, positive: str) -> Figure:
    """Draw the targets found against the labels spent, and what a random search would find."""
    with drawing():
        made, axes = figure(_WIDTH, _HEIGHT)
        axes.set_title(f"Discovery: {shortened(positive)} found", loc="left")
        _frame(axes, "patches labelled", "found")
        if len(curves.labels) < 2:
            _say(axes, "nothing has been labelled yet")
            return made
        end = curves.labels[-1]
        if curves.expected is not None:
            share = curves.expected
            if share.high > share.low:
                axes.fill_between(
                    [0, end], [0, share.low * end], [0, share.high * end], color="#DDDDDD"
                )
            label = curves.expected_by
            ends = [0, share.value * end]
            axes.plot([0, end], ends, color=REFERENCE, linestyle=(0, (6, 2)), label=label)
        found_label = f"this search: {curves.found[-1]} found with {counted(end, 'label')}"
        axes.plot(
            curves.labels,
            curves.found,
            color=COLOURS[0],
            marker="o",
            markersize=4,
            linewidth=1.9,
            label=found_label,
            clip_on=False,  # the last point lies on the edge
        )
        axes.set_xlim(0, end)
        axes.set_ylim(0, max(1, axes.get_ylim()[1]))
        whole_numbers(axes.yaxis)
        _legend(made)
    return made


def learning(curves: Curves) -> Figure:
    """Draw the AUC of each round's model."""
    with drawing():
        made, axes = figure(_WIDTH, _HEIGHT)
        axes.set_title("Learning: how well the model ranks", loc="left")
        _frame(axes, "patches labelled", "ROC AUC")
        if not curves.auc:
            _say(axes, f"no AUC: {curves.auc_of}")
            return made
        chance = "0.5: no better than chance"
        axes.axhline(0.5, color=REFERENCE, linestyle=(0, (6, 2)), label=chance)
        axes.plot(
            curves.auc_labels,
            curves.auc,
            color=COLOURS[1],
            marker="s",
            markersize=4,
            linewidth=1.9,
            label=f"this search, {curves.auc_of}: {auc_in_words(curves.auc[-1])}",
        )
        axes.set_xlim(0, max(curves.auc_labels) * 1.02)
        axes.set_ylim(min(0.42, *curves.auc) - 0.02, 1.01)
        _legend(made)
    return made


def _legend(made: Figure) -> None:
    """Put the legend below the panel, where it cannot cover a line."""
    made.legend(loc="outside lower left", frameon=False, fontsize=9)


def _frame(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    whole_numbers(axes.xaxis)
    axes.grid(color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _say(axes: Axes, text: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.text(0.5, 0.5, text, ha="center", va="center", color="#555555", fontsize=11)
