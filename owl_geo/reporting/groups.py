"""What the answers and the model say about each concept's values, for people who know them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from owl_geo.reporting.survey import Survey
from owl_geo.reporting.words import amount
from owl_geo.settings.concepts import Concept
from owl_geo.types import BoolArray

_MOST = 6  # categories that are shown per concept, the most frequent first


@dataclass(frozen=True)
class Group:
    """The patches where a concept has one value, or a value in one range."""

    name: str  # "land_cover = urban"
    patches: int
    answered: int  # with a class
    positive: int  # of these
    probability: float  # mean over those without an answer that the model scored; nan if none


def groups(survey: Survey) -> list[Group]:
    """Split the pool by each concept in turn, and count what is known about each part.

    Categories and yes/no concepts are split by value, numbers into thirds. Answered patches have
    no part in the model's mean: it has learnt what they are, and they say nothing of what is left.
    The groups show association, not causes: concepts overlap.
    """
    run = survey.run
    labels = survey.labels[survey.labels.isin(run.settings.classes)]
    at = survey.positions([str(name) for name in labels.index])
    is_open = np.ones(len(run.patches), dtype=bool)
    is_open[survey.positions([str(name) for name in survey.labels.index])] = False
    answered, positive = (np.zeros(len(run.patches), dtype=bool) for _ in range(2))
    answered[at] = True
    positive[at] = (labels == run.settings.positive).to_numpy()
    probability = survey.opinion.probability
    result = []
    for concept, declared in run.settings.concepts.items():
        for name, members in _parts(concept, declared, run.patches[concept]):
            scores = probability[members & is_open]
            scores = scores[np.isfinite(scores)]
            result.append(
                Group(
                    name,
                    int(members.sum()),
                    int((members & answered).sum()),
                    int((members & positive).sum()),
                    float(scores.mean()) if len(scores) else math.nan,
                )
            )
    return result


def _parts(concept: str, declared: Concept, column: pd.Series) -> Iterator[tuple[str, BoolArray]]:
    if pd.api.types.is_bool_dtype(column):
        yield concept, column.to_numpy(dtype=bool)
        yield f"not {concept}", ~column.to_numpy(dtype=bool)
        return
    yield from _of_values(concept, declared, column)
    unknown = column.isna().to_numpy(dtype=bool)
    if unknown.any():
        yield f"{concept} unknown", unknown


def _of_values(
    concept: str, declared: Concept, column: pd.Series
) -> Iterator[tuple[str, BoolArray]]:
    if not pd.api.types.is_numeric_dtype(column):
        found = column.value_counts()
        shown = found[found > 0].index[:_MOST]
        for value in shown:
            yield f"{concept} = {value}", (column == value).to_numpy(dtype=bool)
        others = (column.notna() & ~column.isin(shown)).to_numpy(dtype=bool)
        if others.any():
            yield f"{concept}: {column[others].nunique()} others", others
        return
    values = column.to_numpy(dtype=np.float64)
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return
    low, high = np.quantile(finite, [1 / 3, 2 / 3])
    low_, high_ = amount(low, declared), amount(high, declared)
    yield f"{concept} up to {low_}", values <= low
    if high > low:
        yield f"{concept} {low_} to {high_}", (values > low) & (values <= high)
    if (values > high).any():  # also where two thirds have the least value
        yield f"{concept} above {high_}", values > high
