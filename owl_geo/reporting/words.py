"""Numbers in words: values of concepts, what the answers say about them, how a model ranks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from owl_geo.acquisition.relevance import Factor, RelevanceKind
from owl_geo.concepts.encoding import fit_encoding
from owl_geo.labels.agreement import AnnotatorRecord
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.run_folder.folder import Run
from owl_geo.settings.choices import RELEVANCE, chosen
from owl_geo.settings.concepts import Concept
from owl_geo.wording import per_cent, three_digits

_CONFUSIONS = 3  # that are named per annotator


def value(raw: object, concept: Concept) -> str:
    """Return a concept's value for one patch with its unit, "unknown" if it is missing."""
    if isinstance(raw, bool | np.bool_):
        return "yes" if raw else "no"
    if pd.isna(raw):
        return "unknown"
    if isinstance(raw, float | np.floating):
        return amount(float(raw), concept)
    return str(raw)


def amount(number: float, concept: Concept) -> str:
    """Return a concept's number with its unit, which depends on the concept's kind."""
    if concept.unit == "%":
        return per_cent(number)
    return f"{number:,.0f} {concept.unit}" if concept.unit else f"{number:.4g}"


def conditions(run: Run) -> dict[str, str]:
    """Return in words where each column of a run's encoded concepts applies, by column name."""
    return fit_encoding(run.index.concepts[: run.n_encoded]).conditions


def follows_answers(run: Run) -> bool:
    """Whether what the answers say about the concepts decides which patches are asked."""
    kind: RelevanceKind = chosen(RELEVANCE, run.settings.acquisition.relevance)
    return kind.follows_answers


def odds(run: Run, factors: tuple[Factor, ...]) -> str:
    """Say what the answers show about the concepts, one line for each in the order given."""
    where = conditions(run)
    (condition, times), *others = [(where[one.name], f"{one.factor:.2g} times") for one in factors]
    first = f"where {condition}, {run.settings.positive} is {times} as likely (odds)"
    return "\n".join([first, *(f"where {condition}, {times}" for condition, times in others)])


def confusions(one: AnnotatorRecord) -> str:
    """Say what an annotator most often answered where the consensus has another label."""
    return ", ".join(
        f"{own} for {other} {n:,}" for own, other, n in one.differences()[:_CONFUSIONS]
    )


def ranking(run: Run, row: RoundMetrics) -> str:
    """Say how well a round's model ranks; empty if that is not known."""
    auc, of = auc_of(row)
    if math.isnan(auc):
        return ""
    positive = run.settings.positive
    others = [name for name in run.settings.classes if name != positive]
    other = f"{_a(others[0])} one" if len(others) == 1 else "any other"
    cases = round(100 * auc)
    if 0 < auc < 1:  # what is not certain is not all, or none, of the cases
        cases = min(max(cases, 1), 99)
    return (
        f"ranks {_a(positive)} patch above {other} in {cases} of 100 cases "
        f"(AUC {auc_in_words(auc)}, {of})"
    )


def auc_in_words(auc: float) -> str:
    """Return an AUC with two digits, or with three where two would make 1.00 of less."""
    if auc < 1 and round(auc, 2) == 1:
        return three_digits(auc)
    return f"{auc:.2f}"


def why_no_auc(run: Run) -> str:
    """Say why the newest model has no AUC."""
    if any(entry.unmeasured is not None for entry in run.rounds()):
        return "not cross-validated yet"
    if run.settings.oracle is not None:
        return "the held-out patches have only one class"
    return "too few answers of each class"


def auc_of(row: RoundMetrics) -> tuple[float, str]:
    """Return the AUC of a round's model, nan if unknown, and how it was measured."""
    if not math.isnan(row.test_auc):
        return row.test_auc, "on held-out patches"
    return row.cv_auc, "cross-validated"


def _a(word: str) -> str:
    return f"an {word}" if word[:1].lower() in "aeiou" else f"a {word}"
