"""How far annotators agree with each other, and each of them with the consensus."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from owl_geo.labels.base import consensus, newest_answers
from owl_geo.measures.kappa import cohen_kappa, fleiss_kappa
from owl_geo.schema import CONSENSUS


@dataclass(frozen=True)
class PairAgreement:
    """Two annotators on the patches that both have labelled."""

    annotators: tuple[str, str]
    n: int
    same: float  # share of these with the same label
    kappa: float  # Cohen's; not-a-number where both give the same label throughout


@dataclass(frozen=True)
class AnnotatorRecord:
    """One annotator against the consensus, on the patches that others have labelled too."""

    annotator: str
    n_labeled: int  # patches labelled in all
    # over patches with another annotator's label and a consensus, which includes the own label
    confusion: pd.DataFrame  # counts: the annotator's label by the consensus' label

    @property
    def n(self) -> int:
        """The number of patches that the confusion is counted over."""
        return int(self.confusion.to_numpy().sum())

    @property
    def same(self) -> float:
        """Share of them where the annotator agrees with the consensus; not-a-number if none."""
        table = self.confusion
        agreed = sum(int(table.loc[name, name]) for name in table.index if name in table.columns)
        return agreed / self.n if self.n else math.nan

    def differences(self) -> list[tuple[str, str, int]]:
        """Return (own label, the consensus', count) where they differ, most frequent first."""
        counts = [
            (own, decided, int(n))
            for own, row in self.confusion.iterrows()
            for decided, n in row.items()
            if own != decided and n
        ]
        return sorted(counts, key=lambda one: -one[2])


@dataclass(frozen=True)
class Agreement:
    """What several annotators' answers to the same patches say about the annotators."""

    n_shared: int  # patches with labels by at least two annotators
    fleiss: float  # Fleiss' kappa over them
    pairs: tuple[PairAgreement, ...]
    annotators: tuple[AnnotatorRecord, ...]


def agreement(history: pd.DataFrame) -> Agreement | None:
    """Compare the annotators' newest labels; None while fewer than two have labelled anything.

    ``unsure`` and ``skip`` count as labels like the others. An imported consensus is not an
    annotator: it agrees with those that it was made from.
    """
    history = history[history["annotator"] != CONSENSUS]
    newest = newest_answers(history)
    people = sorted(newest["annotator"].unique())
    if len(people) < 2:
        return None
    by_annotator = newest.pivot(index="patch_id", columns="annotator", values="label")
    shared = by_annotator[by_annotator.notna().sum(axis=1) >= 2]
    decided = consensus(history).set_index("patch_id")["label"]
    # a row per patch and a column per label; none where nobody labelled what another did
    votes = pd.crosstab(newest["patch_id"], newest["label"]).reindex(shared.index)
    return Agreement(
        n_shared=len(shared),
        fleiss=fleiss_kappa(votes.to_numpy(dtype=np.int64)),
        pairs=tuple(
            _pair(shared, one, other)
            for one, other in combinations(people, 2)
            if shared[[one, other]].notna().all(axis=1).any()
        ),
        annotators=tuple(
            AnnotatorRecord(
                annotator=name,
                n_labeled=int(by_annotator[name].notna().sum()),
                confusion=_confusion(shared[name].dropna(), decided),
            )
            for name in people
        ),
    )


def _pair(shared: pd.DataFrame, one: str, other: str) -> PairAgreement:
    both = shared[[one, other]].dropna()
    first, second = both[one].tolist(), both[other].tolist()
    same = float(np.mean([a == b for a, b in zip(first, second, strict=True)]))
    return PairAgreement((one, other), len(both), same, cohen_kappa(first, second))


def _confusion(own: pd.Series, decided: pd.Series) -> pd.DataFrame:
    compared = own[own.index.isin(decided.index)]
    return pd.crosstab(compared.rename("own"), decided.loc[compared.index].rename("consensus"))
