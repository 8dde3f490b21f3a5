"""A head on stored features as a learner: refitted on all answers, in a second or two."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from owl_geo.errors import RunError
from owl_geo.features.rows import FeatureRows
from owl_geo.learners.base import Lesson
from owl_geo.models import heads
from owl_geo.models.heads import Columns, Head
from owl_geo.settings.learning import ModelSettings, UncertaintySettings
from owl_geo.types import BoolArray, FloatArray, IntArray
from owl_geo.work.progress import Progress
from owl_geo.work.workers import Threads, Workers

_CHUNK = 4096  # candidates at a time


@dataclass(frozen=True)
class HeadSpec:
    """What a head was fitted for, kept in the header of its file."""

    head: str
    features: tuple[str, ...]
    n_concepts: int
    n_places: int
    classes: tuple[str, ...]
    members: int  # heads of the ensemble; 1 means no ensemble
    seed: int


class _Heads:
    """The fitted heads of an ensemble, or the only head; maps rows to members, as a head does."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self._heads = heads

    def __call__(self, rows: FloatArray) -> FloatArray:
        if len(self._heads) == 1:
            return self._heads[0](rows)
        # a member of the ensemble is a whole head, however many members that has
        return np.stack([head(rows).mean(axis=0) for head in self._heads])


class HeadLearner:
    """Fits a head of scikit-learn on features and concepts; it remembers only the answers.

    In an ensemble, the first head is fitted on all answers, and each of the others on as many
    answers drawn with replacement (bagging, Breiman 1996).

    Only the features and labels of the answered patches are saved: the fit is quick and
    reproducible from the seed, so no internal state of a library needs to be stored.

    Args:
        table: the features of every patch.
        concepts: float32 ``(N, k)``, encoded and scaled; ignored unless ``model.concepts``.
        places: float32 ``(N, 3)``, in units of a patch; ignored unless ``model.neighbours``.
        classes: names of the classes, in the order of their numbers.
        model: names the head.
        uncertainty: one head, or an ensemble.
        workers: apply the head to the pool; threads of this process by default.
    """

    goes_on = False

    def __init__(
        self,
        table: FeatureRows,
        concepts: FloatArray,
        places: FloatArray,
        classes: Sequence[str],
        *,
        model: ModelSettings,
        uncertainty: UncertaintySettings,
        workers: Workers | None = None,
    ) -> None:
        assert not model.by_gradient  # networks are learnt by another learner
        self._table = table
        self._concepts = concepts if model.concepts else concepts[:, :0]
        self._places = places if model.neighbours else places[:, :0]
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
        self._answers = (self._rows(np.empty(0, np.int64)), np.empty(0, np.int64))
        self._fitted: _Heads | None = None

    def learn(
        self,
        positions: IntArray,
        labels: IntArray,
        fresh: BoolArray,
        seed: int,
        progress: Progress | None = None,
    ) -> Lesson:
        """Fit on all answers, sorted by the index so that the order of arrival has no effect."""
        order = np.argsort(positions)
        self._answers = (self._rows(positions[order]), labels[order])
        self._spec = replace(self._spec, seed=seed)
        self._fitted = None
        if len(labels) == 0:
            return Lesson(math.nan, math.nan)
        self._heads(progress)
        probabilities = self._members_of(self._answers[0]).mean(axis=0)
        of_truth = probabilities[np.arange(len(labels)), labels[order]]
        return Lesson(float(-np.log(np.maximum(of_truth, 1e-7)).mean()), math.nan)

    def members(
        self, positions: IntArray, *, seed: int, progress: Progress | None = None
    ) -> FloatArray:
        """Return float32 ``(members, n, classes)`` of patches at sorted positions; see ``Learner``.

        ``seed`` is ignored: a fitted head draws no random numbers.
        """
        heads = self._heads()
        starts = range(0, max(len(positions), 1), _CHUNK)
        parts = (positions[start : start + _CHUNK] for start in starts)
        members: FloatArray | None = None
        # the rows lie here, whoever the workers are
        chunks = self._workers.map(heads, parts, fetch=self._rows)
        for start, chunk in zip(starts, chunks, strict=True):
            if members is None:  # how many there are, the first chunk tells
                members = np.empty((len(chunk), len(positions), chunk.shape[2]), dtype=chunk.dtype)
            done = start + chunk.shape[1]
            members[:, start:done] = chunk
            if progress is not None:
                progress(done, len(positions))
        assert members is not None  # there is a chunk even of no patches
        return members

    def _members_of(self, rows: FloatArray) -> FloatArray:
        """Return float32 ``(members, n, classes)`` of rows ``(n, d)`` that are in memory."""
        chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
        return np.concatenate(list(self._workers.map(self._heads(), chunks)), axis=1)

    def save(self, path: Path) -> None:
        """Write the answers' features and labels, and the spec; raises OSError."""
        features, labels = self._answers
        try:
            save_file(
                {"features": features, "labels": labels},
                str(path),
                metadata={"owl_geo": json.dumps(asdict(self._spec))},
            )
        except SafetensorError as error:  # an error of the operating system in another class
            raise OSError(str(error)) from error
        path.chmod(0o644)

    def restore(self, path: Path) -> None:
        """Load the answers of a file; raises RunError if it was not made for this search."""
        spec, features, labels = _read(path)
        for what, now, then in [
            ("classes", self._spec.classes[: len(spec.classes)], spec.classes),  # more may follow
            ("features", self._spec.features, spec.features),
            ("concept columns", self._spec.n_concepts, spec.n_concepts),
            ("neighbours", self._spec.n_places, spec.n_places),
        ]:
            if now != then:
                raise RunError(
                    f"{path} was made for different {what}",
                    remedy="restore owl.toml, or make another run",
                )
        self._spec = replace(self._spec, seed=spec.seed)
        self._answers = (features, labels)
        self._fitted = None

    def _rows(self, positions: IntArray) -> FloatArray:
        rows = self._table.rows(positions)
        beside = [part[positions] for part in (self._concepts, self._places) if part.shape[1]]
        if beside:
            rows = np.concatenate([rows, *beside], axis=1)
        return rows.astype(np.float32, copy=False)

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
        features, labels = self._answers
        seed = self._spec.seed
        if member and len(labels):
            rng = np.random.default_rng([seed, member])
            seed = int(rng.integers(2**32))
            drawn = np.sort(rng.integers(len(labels), size=len(labels)))
            features, labels = features[drawn], labels[drawn]
        return heads.fit(
            self._spec.head,
            features,
            labels,
            Columns(len(self._spec.features), self._spec.n_concepts, self._spec.n_places),
            n_classes=len(self._spec.classes),
            seed=seed,
        )


def _read(path: Path) -> tuple[HeadSpec, FloatArray, IntArray]:
    """Return spec, features ``(n, d)`` and labels ``(n,)`` of a file; raises RunError."""
    try:
        with safe_open(str(path), framework="np") as file:
            fields = json.loads((file.metadata() or {})["owl_geo"])
            features, labels = file.get_tensor("features"), file.get_tensor("labels")
        lists = {name: tuple(fields[name]) for name in ("features", "classes")}
        spec = HeadSpec(**{**fields, **lists})
        np.random.SeedSequence([spec.seed])  # raises for a bad seed
        width = len(spec.features) + spec.n_concepts + spec.n_places
        fits = labels.ndim == 1 and features.shape == (len(labels), width)
        if not fits or features.dtype != np.float32 or labels.dtype != np.int64:
            raise ValueError("features and labels do not match")
        if not np.isfinite(features).all():
            raise ValueError("a feature is not finite")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(spec.classes):
            raise ValueError("a label belongs to no class")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{path} is not a model of owl-geo, or is damaged: {reason}") from error
    return spec, features, labels
