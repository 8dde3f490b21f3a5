"""A head on kept features as a learner: fitted anew from all answers, in a second or two."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from owl_geo.errors import RunError
from owl_geo.features.table import FeatureTable
from owl_geo.learners.base import Lesson
from owl_geo.models import heads
from owl_geo.models.heads import Columns, Head
from owl_geo.settings.config import ModelSettings, UncertaintySettings
from owl_geo.types import BoolArray, FloatArray, IntArray
from owl_geo.work.progress import Progress
from owl_geo.work.workers import Threads, Workers

_CHUNK = 4096  # candidates at a time


@dataclass(frozen=True)
class HeadSpec:
    """What a head was fitted for; it travels in the file's header."""

    head: str
    features: tuple[str, ...]
    n_concepts: int
    n_places: int
    classes: tuple[str, ...]
    members: int  # heads of the ensemble; 1 is none
    seed: int


class _Heads:
    """The fitted heads of an ensemble, or the one; maps rows to members, as a head does."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self._heads = heads

    def __call__(self, rows: FloatArray) -> FloatArray:
        if len(self._heads) == 1:
            return self._heads[0](rows)
        # a member of the ensemble is a whole head, whatever it is made of
        return np.stack([head(rows).mean(axis=0) for head in self._heads])


class HeadLearner:
    """Fits a head of scikit-learn on features and concepts; it remembers nothing but the answers.

    An ensemble is so many heads, the first on all answers and the others each on as many drawn
    with replacement (bagging, Breiman 1996).

    What is saved are the answered patches' features and labels: the fit is quick and the same from
    the same seed, and no library's inner state has to be kept.

    Args:
        table: of features of every patch.
        concepts: float32 ``(N, k)``, encoded and scaled; not looked at unless ``model.concepts``.
        places: float32 ``(N, 3)``, in patches; not looked at unless ``model.neighbours``.
        classes: names of the classes, in the order of their numbers.
        model: which head.
        uncertainty: one head, or an ensemble.
        workers: who applies the head to the pool; threads of this process if none are named.
    """

    goes_on = False

    def __init__(
        self,
        table: FeatureTable,
        concepts: FloatArray,
        places: FloatArray,
        classes: Sequence[str],
        *,
        model: ModelSettings,
        uncertainty: UncertaintySettings,
        workers: Workers | None = None,
    ) -> None:
        assert not model.by_gradient  # as networks do
        self._table = table
        self._concepts = concepts if model.concepts else concepts[:, :0]
        self._places = places if model.neighbours else places[:, :0]
        self._head = model.head
        self._workers = workers or Threads()
        self._spec = HeadSpec(
            head=model.head,
            features=table.names,
            n_concepts=self._concepts.shape[1],
            n_places=self._places.shape[1],
            classes=tuple(classes),
            members=uncertainty.n_models,
            seed=0,
        )
        self._known = (self._rows(np.empty(0, np.int64)), np.empty(0, np.int64))
        self._fitted: _Heads | None = None

    def learn(
        self,
        positions: IntArray,
        labels: IntArray,
        fresh: BoolArray,
        seed: int,
        progress: Progress | None = None,
    ) -> Lesson:
        """Fit on all answers, in the order of the index so that their history does not matter."""
        order = np.argsort(positions)
        self._known = (self._rows(positions[order]), labels[order])
        self._spec = HeadSpec(**{**asdict(self._spec), "seed": seed})
        self._fitted = None
        if len(labels) == 0:
            return Lesson(math.nan, math.nan)
        said = self._heads(progress)(self._known[0]).mean(axis=0)
        of_truth = said[np.arange(len(labels)), labels[order]]
        return Lesson(float(-np.log(np.maximum(of_truth, 1e-7)).mean()), math.nan)

    def members(
        self, positions: IntArray, *, seed: int, progress: Progress | None = None
    ) -> FloatArray:
        """Return float32 ``(members, n, classes)`` of patches at sorted positions; see ``Learner``.

        ``seed`` is not needed: a fitted head draws nothing.
        """
        heads = self._heads()
        starts = range(0, max(len(positions), 1), _CHUNK)
        rows = (self._rows(positions[start : start + _CHUNK]) for start in starts)
        found = []
        for start, said in zip(starts, self._workers.map(heads, rows), strict=True):
            found.append(said)
            if progress is not None:
                progress(start + said.shape[1], len(positions))
        return np.concatenate(found, axis=1)

    def save(self, path: Path) -> None:
        """Write the answers' features and labels, and the spec; raises OSError."""
        features, labels = self._known
        try:
            save_file(
                {"features": torch.from_numpy(features), "labels": torch.from_numpy(labels)},
                str(path),
                metadata={"owl_geo": json.dumps(asdict(self._spec))},
            )
        except SafetensorError as error:  # what the operating system said, in another class
            raise OSError(str(error)) from error
        path.chmod(0o644)

    def restore(self, path: Path) -> None:
        """Take over the answers of a file; raises RunError where it is not for this search."""
        try:
            with safe_open(str(path), framework="np") as file:
                fields = json.loads((file.metadata() or {})["owl_geo"])
                features, labels = file.get_tensor("features"), file.get_tensor("labels")
            lists = {name: tuple(fields[name]) for name in ("features", "classes")}
            spec = HeadSpec(**{**fields, **lists})
            np.random.SeedSequence([spec.seed])  # raises for what is no seed
            width = len(spec.features) + spec.n_concepts + spec.n_places
            fits = labels.ndim == 1 and features.shape == (len(labels), width)
            if not fits or features.dtype != np.float32 or labels.dtype != np.int64:
                raise ValueError("features and labels do not belong together")
            if not np.isfinite(features).all():
                raise ValueError("a feature is not finite")
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(spec.classes):
                raise ValueError("a label is of no class")
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise RunError(f"{path} is no model of owl-geo, or is damaged: {reason}") from error
        for what, now, then in [
            ("classes", self._spec.classes, spec.classes),
            ("features", self._spec.features, spec.features),
            ("the number of concept columns", self._spec.n_concepts, spec.n_concepts),
            ("neighbours", self._spec.n_places, spec.n_places),
        ]:
            if now != then:
                raise RunError(
                    f"{path} was made for other {what}",
                    remedy="restore owl.toml, or make another run",
                )
        self._spec = HeadSpec(**{**asdict(self._spec), "seed": spec.seed})
        self._known = (features, labels)
        self._fitted = None

    def _rows(self, positions: IntArray) -> FloatArray:
        return np.concatenate(
            [self._table.values[positions], self._concepts[positions], self._places[positions]],
            axis=1,
        ).astype(np.float32)

    def _heads(self, progress: Progress | None = None) -> _Heads:
        if self._fitted is None:
            fitted = []
            for member in range(self._spec.members):
                fitted.append(self._fit(member))
                if progress is not None:
                    progress(member + 1, self._spec.members)
            self._fitted = _Heads(fitted)
        return self._fitted

    def _fit(self, member: int) -> Head:
        features, labels = self._known
        seed = self._spec.seed
        if member and len(labels):
            rng = np.random.default_rng([seed, member])
            seed = int(rng.integers(2**32))
            drawn = np.sort(rng.integers(len(labels), size=len(labels)))
            features, labels = features[drawn], labels[drawn]
        return heads.fit(
            self._head,
            features,
            labels,
            Columns(len(self._spec.features), self._spec.n_concepts, self._spec.n_places),
            n_classes=len(self._spec.classes),
            seed=seed,
        )
