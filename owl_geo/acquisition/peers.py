"""Strategies of scikit-activeml, applied to our probabilities and features for comparison.

They choose by the output of our model instead of training their own, so only strategies are
compared. Strategies that cannot work this way are missing: committees need many models (query by
committee, BALD), expected error reduction retrains a model for every candidate, cost embedding
trains its own regressors, DropQuery scores altered patches, strategies for regression need
numbers as answers, and QUIRE and expected average precision take minutes on a pool of thousands.

Source: scikit-activeml, Kottke et al. 2021; each strategy cites its own paper below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from owl_geo.acquisition.candidates import Candidates, Scores, Terms, constant
from owl_geo.acquisition.samplers import ScoreSampler
from owl_geo.acquisition.selection import RandomState, as_generator
from owl_geo.errors import ConfigError, suggestion
from owl_geo.settings.choices import PEERS
from owl_geo.types import IntArray

_SAMPLE = 500  # rows that ProbCover's radii are computed from
_RADII = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # as quantiles of the distances


@dataclass(frozen=True)
class _Task:
    """A choice in scikit-activeml's terms: answered patches first, then the candidates."""

    features: NDArray[np.float64]  # (n, d)
    classes: NDArray[np.float64]  # (n,), not-a-number if unanswered
    probabilities: NDArray[np.float64]  # (n, classes)
    candidates: IntArray  # (m,) rows
    batch_size: int
    seed: int

    @property
    def n_classes(self) -> int:
        return int(self.probabilities.shape[1])

    def ask(
        self, strategy: Any, features: NDArray[np.float64] | None = None, **given: Any
    ) -> IntArray:
        """Return the rows that the strategy chooses, in its order."""
        rows = strategy.query(
            X=self.features if features is None else features,
            y=self.classes,
            candidates=self.candidates,
            batch_size=self.batch_size,
            **given,
        )
        return np.asarray(rows, dtype=np.int64)


def peer_names() -> tuple[str, ...]:
    """Return the names that ``choose_by`` accepts; needs no package."""
    return tuple(_STRATEGIES)


def choose_by(
    name: str,
    *,
    probabilities: NDArray[np.floating],
    features: NDArray[np.floating],
    labelled_features: NDArray[np.floating],
    labelled_classes: IntArray,
    batch_size: int,
    rng: np.random.Generator,
) -> IntArray:
    """Return the positions of the candidates that the named strategy chooses, best first, ``(k,)``.

    ``k`` is ``batch_size`` or the number of candidates, whichever is less. The positions are
    distinct; if the strategy chooses too few, the rest are drawn at random.

    Args:
        name: one of ``peer_names()``.
        probabilities: class probabilities of the candidates, ``(n, classes)``.
        features: features of the candidates, ``(n, d)``, with the columns on one scale: distances
            are computed as they are.
        labelled_features: features of the answered patches, ``(a, d)``; a may be 0.
        labelled_classes: their class numbers, int64 ``(a,)``. Where a strategy compares
            probabilities with those of answered patches, it takes these as certain.
        batch_size: how many.
        rng: draws a single seed, which determines everything else.

    Raises:
        ConfigError: for an unknown name, if scikit-activeml is not installed, or if the strategy
            does not support this number of classes.
        ValueError: if shapes do not agree, or if a row of probabilities is not a distribution.
    """
    check_peer(name)
    n, answered = len(features), len(labelled_features)
    candidate_p = _distributions(probabilities, n)
    if len(labelled_classes) != answered:
        raise ValueError(f"{answered:,} answered patches have {len(labelled_classes)} classes")
    labelled_p = np.eye(candidate_p.shape[1])[labelled_classes]
    k = min(batch_size, n)
    seed = int(rng.integers(2**31 - 1))
    if k < 1 or n == 1:
        return np.arange(max(k, 0), dtype=np.int64)
    task = _Task(
        features=np.concatenate([labelled_features, features]).astype(np.float64),
        classes=np.concatenate([labelled_classes.astype(np.float64), np.full(n, np.nan)]),
        probabilities=np.concatenate([labelled_p, candidate_p]),
        candidates=np.arange(answered, answered + n),
        batch_size=k,
        seed=seed,
    )
    return _filled_up(_STRATEGIES[name](task) - answered, n, k, seed)


def check_peer(name: str) -> None:
    """Raise ConfigError for an unknown name, or if scikit-activeml is not installed."""
    _check_name(name)
    try:
        import skactiveml.pool  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"strategy {name!r} needs scikit-activeml", remedy="install owl-geo[activeml]"
        ) from error


def _check_name(name: str) -> None:
    if name not in _STRATEGIES:
        raise ConfigError(f"no strategy {name!r}", remedy=suggestion(name, _STRATEGIES))


def _distributions(probabilities: NDArray[np.floating], n: int) -> NDArray[np.float64]:
    """Return rows that sum to exactly 1: float32 is off by more than scikit-activeml tolerates."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or len(p) != n:
        raise ValueError(f"probabilities must have the shape ({n}, classes), not {p.shape}")
    total = p.sum(axis=1, keepdims=True)
    if not np.isfinite(p).all() or (p < 0).any() or not np.allclose(total, 1, atol=1e-3):
        raise ValueError("probabilities must be finite, not negative, and sum to 1 in each row")
    return np.asarray(p / total)


def _filled_up(chosen: IntArray, n: int, k: int, seed: int) -> IntArray:
    """Drop repeats, which TypiClust gives when its clusters run out, and fill up at random."""
    first = dict.fromkeys(chosen.tolist())
    rest = np.setdiff1d(np.arange(n), list(first))
    others = np.random.default_rng(seed).permutation(rest)[: k - len(first)]
    return np.array([*first, *others.tolist()], dtype=np.int64)


def _random(task: _Task) -> IntArray:
    from skactiveml.pool import RandomSampling

    return task.ask(RandomSampling(random_state=task.seed))


def _uncertainty(method: str) -> Callable[[_Task], IntArray]:
    """Settles 2009, section 3.1."""

    def choose(task: _Task) -> IntArray:
        from skactiveml.pool import UncertaintySampling

        strategy = UncertaintySampling(method=method, random_state=task.seed)
        return _with_model(task, strategy, "clf")

    return choose


def _epistemic(task: _Task) -> IntArray:
    """Nguyen, Destercke, Hüllermeier 2019."""
    if task.n_classes != 2:
        raise ConfigError(
            f"strategy 'skactiveml:epistemic' separates two classes, not {task.n_classes}",
            remedy="choose 'skactiveml:probabilistic'",
        )
    from skactiveml.pool import EpistemicUncertaintySampling

    return _with_frequencies(
        task, EpistemicUncertaintySampling(precompute=True, random_state=task.seed)
    )


def _probabilistic(task: _Task) -> IntArray:
    """Kottke et al. 2016, multi-class probabilistic active learning."""
    from skactiveml.pool import ProbabilisticAL

    return _with_frequencies(task, ProbabilisticAL(random_state=task.seed))


def _four_ds(task: _Task) -> IntArray:
    """Reitmaier, Sick 2013: distance, density, distribution, diversity."""
    from skactiveml.pool import FourDs

    from owl_geo.acquisition.peer_models import GivenMixture

    model = GivenMixture(task.probabilities[task.candidates], task.features, task.seed)
    return task.ask(FourDs(random_state=task.seed), clf=model, fit_clf=False)


def _badge(task: _Task) -> IntArray:
    """Ash et al. 2020."""
    from skactiveml.pool import Badge

    return _with_model(task, Badge(random_state=task.seed), "clf", embeddings=True)


def _contrastive(task: _Task) -> IntArray:
    """Margatina et al. 2021."""
    from skactiveml.pool import ContrastiveAL

    return _with_model(task, ContrastiveAL(random_state=task.seed), "clf", embeddings=True)


def _clue(task: _Task) -> IntArray:
    """Prabhu et al. 2021."""
    from skactiveml.pool import Clue

    # its clustering would otherwise draw from the global generator
    strategy = Clue(cluster_algo_dict={"random_state": task.seed}, random_state=task.seed)
    return _with_model(task, strategy, "estimator", embeddings=True)


def _falcun(task: _Task) -> IntArray:
    """Gilhuber et al. 2024."""
    from skactiveml.pool import Falcun

    return _with_model(task, Falcun(random_state=task.seed), "clf")


def _coreset(task: _Task) -> IntArray:
    """Sener, Savarese 2018."""
    from skactiveml.pool import CoreSet

    return task.ask(CoreSet(random_state=task.seed))


def _typiclust(task: _Task) -> IntArray:
    """Hacohen, Dekel, Weinshall 2022."""
    from skactiveml.pool import TypiClust

    return task.ask(TypiClust(random_state=task.seed))


def _probcover(task: _Task) -> IntArray:
    """Yehuda et al. 2022; radii from the pool's distances instead of those between unit vectors."""
    from skactiveml.pool import ProbCover
    from sklearn.metrics import pairwise_distances

    rows = np.random.default_rng(task.seed).permutation(len(task.features))[:_SAMPLE]
    distances = pairwise_distances(task.features[rows])
    radii = np.quantile(distances[np.triu_indices(len(rows), 1)], _RADII)
    radii[0] = 0.0  # pure in any pool, so that there is always a valid radius
    return task.ask(ProbCover(n_classes=task.n_classes, deltas=radii, random_state=task.seed))


def _max_herding(task: _Task) -> IntArray:
    """Bae et al. 2024."""
    from skactiveml.pool import MaxHerding

    return task.ask(MaxHerding(random_state=task.seed))


def _greedy_x(task: _Task) -> IntArray:
    """Wu, Lin, Huang 2019."""
    from skactiveml.pool import GreedySamplingX

    return task.ask(GreedySamplingX(random_state=task.seed))


def _discriminative(task: _Task) -> IntArray:
    """Gissin, Shalev-Shwartz 2019; the discriminator is a logistic regression."""
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import DiscriminativeAL
    from sklearn.linear_model import LogisticRegression

    discriminator = SklearnClassifier(LogisticRegression(max_iter=1000), classes=[0, 1])
    return task.ask(DiscriminativeAL(random_state=task.seed), discriminator=discriminator)


def _with_model(task: _Task, strategy: Any, role: str, *, embeddings: bool = False) -> IntArray:
    from owl_geo.acquisition.peer_models import GivenProbabilities, numbered

    model = GivenProbabilities(task.probabilities, embeddings)
    return task.ask(strategy, numbered(task.features), **{role: model, f"fit_{role}": False})


def _with_frequencies(task: _Task, strategy: Any) -> IntArray:
    from owl_geo.acquisition.peer_models import GivenFrequencies, evidence, numbered

    counts = evidence(task.features, task.classes, task.n_classes)
    model = GivenFrequencies(task.probabilities, counts)
    return task.ask(strategy, numbered(task.features), clf=model, fit_clf=False)


class PeerSampler(ScoreSampler):
    """A strategy of scikit-activeml in place of our own; it chooses patches without scoring them.

    Args:
        name: one of ``peer_names()``.
        weights, measure: for the relevance and uncertainty that are shown with its choice.

    Raises ConfigError for an unknown name.
    """

    def __init__(self, name: str, weights: Mapping[str, float], *, measure: str) -> None:
        super().__init__(weights, measure=measure)
        _check_name(name)
        self.name = name

    @property
    def needs_features(self) -> bool:
        """Always true: most of these strategies measure distances."""
        return True

    def score(self, uncertainty: Scores, relevance: Scores, probability: Scores) -> Scores:
        """Return not-a-number for every candidate: nothing is scored."""
        return constant(math.nan, len(relevance))

    def choose(
        self, terms: Terms, candidates: Candidates, batch_size: int, random_state: RandomState
    ) -> IntArray:
        """Return what the strategy chooses from the model's probabilities and the features."""
        assert candidates.members is not None
        return choose_by(
            self.name,
            probabilities=candidates.members.mean(axis=0),
            features=candidates.features,
            labelled_features=candidates.known_features,
            labelled_classes=candidates.known_labels,
            batch_size=batch_size,
            rng=as_generator(random_state),
        )


_STRATEGIES: dict[str, Callable[[_Task], IntArray]] = {
    f"{PEERS}{word}": choose
    for word, choose in {
        "random": _random,
        "uncertainty-entropy": _uncertainty("entropy"),
        "uncertainty-margin": _uncertainty("margin_sampling"),
        "uncertainty-least-confident": _uncertainty("least_confident"),
        "epistemic": _epistemic,
        "probabilistic": _probabilistic,
        "four-ds": _four_ds,
        "badge": _badge,
        "contrastive": _contrastive,
        "clue": _clue,
        "falcun": _falcun,
        "coreset": _coreset,
        "typiclust": _typiclust,
        "probcover": _probcover,
        "max-herding": _max_herding,
        "greedy-x": _greedy_x,
        "discriminative": _discriminative,
    }.items()
}
