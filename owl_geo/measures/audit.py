"""What the random share of the batches says of the whole pool: targets left, quality, when to stop.

A strategy asks what it likes, so its answers say nothing of the rest. Part of each batch is
therefore drawn uniformly at random from the patches that could then be asked: the audit.

How many targets are left. Let ``L`` be the targets among the patches unanswered now. When round t
drew its ``a_t`` audit patches from ``n_t`` askable ones, these held ``L + s_t`` targets, where
``s_t``, the targets answered since, is known. The number of targets drawn then is hypergeometric
whatever the strategy had chosen before, so the product of these probabilities over the rounds is a
likelihood of ``L`` (a partial one: Cox 1975, Biometrika 62: 269-276; what the strategy found by
choice is left out, as it says nothing without trust in the model). ``n_t`` shrinks by what was
answered, so targets that are found late count towards the early rounds' draws, and an early lucky
draw does not suggest targets that have all been found since. The estimate is the most likely ``L``;
the interval holds the most probable numbers that together have 95 % if every number was equally
likely beforehand. It is wide: if n audit answers hold no target, up to 3/n of the pool may be one.
Where 0 is the most likely number it is hardly ever a likely one, so what people read then is the
interval's upper end and the probability of 0, never "none".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from owl_geo.measures.kappa import cohen_kappa
from owl_geo.measures.metrics import expected_calibration_error, roc_auc
from owl_geo.types import BoolArray, IntArray

FEW = 20  # audit answers below which nothing is claimed
STABLE = 0.99  # kappa from which predictions count as stable (Bloodgood & Vijay-Shanker 2009)
FEW_OF_A_CLASS = 5  # targets, or others, below which an AUC is noise
_RESAMPLES = 500
_GRID = 2000  # numbers of targets that are tried at once
_NATS = 25.0  # what is e^-25 times as likely as the best is not looked at


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; not-a-number where nothing can be said."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Answered:
    """Every patch answered so far, one entry each, ``(n,)``."""

    round: IntArray  # of the batch in which it was asked
    n_askable: IntArray  # patches that could be asked when that batch was drawn
    is_audit: BoolArray  # drawn uniformly at random from these
    is_target: BoolArray  # unsure and skip are no targets: nobody could say that they are
    probability: NDArray[np.floating]  # of a target, by that round's model; nan before one


@dataclass(frozen=True)
class TargetsLeft:
    """How many targets are still unanswered, and what the pool's prevalence is."""

    left: Estimate  # targets among the patches unanswered; its value is the most likely number
    n_left: int  # patches unanswered
    n_found: int  # targets answered
    n_answered: int
    n_audit: int  # answers that the estimate rests on
    chance_of_none: float  # probability that no target is left; not-a-number without an audit

    @property
    def is_bound(self) -> bool:
        """Whether only the interval's upper end says something: the likelihood falls from 0 on."""
        return self.left.value == 0

    @property
    def prevalence_left(self) -> Estimate:
        """Share of targets among the unanswered patches."""
        return _scaled(self.left, 0, self.n_left)

    @property
    def prevalence(self) -> Estimate:
        """Share of targets in the whole pool, answered or not."""
        return _scaled(self.left, self.n_found, self.n_left + self.n_answered)

    @property
    def recall(self) -> Estimate:
        """Share of all targets that are found."""
        left = self.left
        low, high = (self._share_found(value) for value in (left.high, left.low))
        return Estimate(self._share_found(left.value), low, high)

    def _share_found(self, left: float) -> float:
        total = self.n_found + left
        return self.n_found / total if total > 0 else math.nan


def targets_left(answered: Answered, n_left: int) -> TargetsLeft:
    """Estimate how many of the ``n_left`` unanswered patches are targets.

    The method is the module's. The interval holds for one look, at a moment chosen beforehand; of
    the intervals after every round of a search, one or the other misses the truth more often.
    Raises ValueError where more patches are left than could be asked before.
    """
    drawn, targets, n_askable, since = _rounds(answered)
    n_audit, n_found = int(drawn.sum()), int(answered.is_target.sum())
    highest = min([n_left, *(n_askable - since - (drawn - targets)).tolist()])
    if highest < 0 or (len(n_askable) and n_left > n_askable.min()):
        raise ValueError(f"{n_left} patches are left, but {n_askable.min()} could be asked before")
    left, none = Estimate(math.nan, 0.0, float(n_left)), math.nan
    if n_audit:
        left, none = _most_likely(drawn, targets, n_askable, since, highest)
    return TargetsLeft(left, n_left, n_found, len(answered.round), n_audit, none)


def _rounds(answered: Answered) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return per round with an audit: patches drawn, targets among them, askable, targets since."""
    rounds, first = np.unique(answered.round[answered.is_audit], return_index=True)
    at = np.searchsorted(rounds, answered.round[answered.is_audit])
    drawn = np.bincount(at, minlength=len(rounds))
    hits = answered.is_target[answered.is_audit]
    targets = np.bincount(at, weights=hits, minlength=len(rounds)).astype(np.int64)
    found = np.sort(answered.round[answered.is_target])
    since = len(found) - np.searchsorted(found, rounds)
    return drawn, targets, answered.n_askable[answered.is_audit][first], since


def _most_likely(
    drawn: IntArray, targets: IntArray, n_askable: IntArray, since: IntArray, highest: int
) -> tuple[Estimate, float]:
    """Maximise the likelihood over 0..highest targets left, and cut the 95 % set.

    The second number is the probability of 0.
    """
    low, high = 0, highest
    while True:  # the logarithm is concave, so one can close in on the part that matters
        step = max(1, (high - low) // _GRID)
        grid = np.unique(np.append(np.arange(low, high, step), high))
        held = grid[:, None] + since  # targets among the askable of each round
        log = _log_binomial(held, targets) + _log_binomial(n_askable - held, drawn - targets)
        likelihood = log.sum(axis=1)
        near = np.flatnonzero(likelihood > likelihood.max() - _NATS)
        closer = grid[max(near[0] - 1, 0)], grid[min(near[-1] + 1, len(grid) - 1)]
        if step == 1 or closer == (low, high):
            break
        low, high = int(closer[0]), int(closer[1])
    probability = np.exp(likelihood - likelihood.max())
    probability /= probability.sum()
    order = np.argsort(-probability, kind="stable")
    enough = int(np.searchsorted(np.cumsum(probability[order]), 0.95 - 1e-12)) + 1
    inside = grid[order[:enough]]
    none = float(probability[0]) if grid[0] == 0 else 0.0
    return Estimate(float(grid[order[0]]), float(inside.min()), float(inside.max())), none


def _log_binomial(n: IntArray, k: IntArray) -> NDArray[np.float64]:
    """Logarithm of n over k, for whole numbers; minus infinity where k > n."""
    from scipy.special import gammaln

    possible = n >= k
    m = np.where(possible, n, k)
    value = gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1)
    return np.asarray(np.where(possible, value, -np.inf))


def _scaled(left: Estimate, plus: int, total: int) -> Estimate:
    if total == 0:
        return Estimate(math.nan, math.nan, math.nan)
    return Estimate(*((value + plus) / total for value in (left.value, left.low, left.high)))


@dataclass(frozen=True)
class Quality:
    """How good the models were on audit answers that they had not seen.

    Each share is an estimate of what was left to ask when the audit was drawn, averaged over the
    rounds: not of the whole pool, whose clear cases a search answers first.
    """

    n: int  # audit answers with a prediction made before the answer
    n_targets: int
    precision: Estimate  # share of targets among the patches called targets; Wilson interval
    recall: Estimate  # share of the targets called targets; Wilson interval
    auc: Estimate  # ROC AUC; bootstrap interval
    brier: Estimate  # mean squared error of the probability; bootstrap interval
    ece: float  # expected calibration error; biased upwards in small samples, so no interval


def quality(answered: Answered, *, threshold: float = 0.5, seed: int = 0) -> Quality:
    """Measure the predictions that were made of the audit patches before they were answered.

    A patch is called a target where its probability reaches ``threshold``. The answers of several
    rounds, hence of several models, are taken together: it is the quality over the search, on what
    was left to ask in each round. The newest model is usually better, and of the whole pool both
    precision and recall usually are higher. The AUC is not-a-number below five targets or five
    others. Proportions have Wilson's interval (1927; recommended by Brown, Cai & DasGupta 2001, Stat. Sci.
    16), AUC and Brier score that of 500 bootstrap samples, drawn class by class from ``seed``
    (Efron 1979).
    """
    use = answered.is_audit & np.isfinite(answered.probability)
    is_target = answered.is_target[use]
    probability = np.asarray(answered.probability[use], dtype=np.float64)
    called = probability >= threshold
    hits = int((called & is_target).sum())
    both = np.stack([1 - probability, probability], axis=1)
    ece = expected_calibration_error(both, is_target.astype(np.int64))
    return Quality(
        n=len(is_target),
        n_targets=int(is_target.sum()),
        precision=wilson(hits, int(called.sum())),
        recall=wilson(hits, int(is_target.sum())),
        auc=_bootstrap(_auc, is_target, probability, seed),
        brier=_bootstrap(_brier, is_target, probability, seed),
        ece=ece,
    )


def wilson(successes: int, n: int) -> Estimate:
    """Return a proportion with Wilson's 95 % score interval; not-a-number where n is 0."""
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan)
    z2 = 1.959964**2
    share = successes / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def _auc(is_target: BoolArray, probability: NDArray[np.float64]) -> float:
    enough = is_target.sum() >= FEW_OF_A_CLASS and (~is_target).sum() >= FEW_OF_A_CLASS
    return roc_auc(is_target, probability) if enough else math.nan


def _brier(is_target: BoolArray, probability: NDArray[np.float64]) -> float:
    return float(np.square(probability - is_target).mean()) if len(is_target) else math.nan


def _bootstrap(
    measure: Callable[[BoolArray, NDArray[np.float64]], float],
    is_target: BoolArray,
    probability: NDArray[np.float64],
    seed: int,
) -> Estimate:
    """Return the measure and the middle 95 % of it over resampled answers."""
    value = measure(is_target, probability)
    if math.isnan(value) or len(is_target) < 2:
        return Estimate(value, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    classes = [
        part for part in (np.flatnonzero(is_target), np.flatnonzero(~is_target)) if len(part)
    ]
    values = []
    for _ in range(_RESAMPLES):
        drawn = np.concatenate([rng.choice(part, len(part)) for part in classes])
        values.append(measure(is_target[drawn], probability[drawn]))
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def prediction_stability(previous: IntArray, current: IntArray) -> float:
    """Return Cohen's kappa between two models' predicted classes of the same patches, ``(n,)``.

    1 = nothing changed, 0 = no more agreement than chance would make (Cohen 1960); its use to stop
    a search is by Bloodgood & Vijay-Shanker 2009, CoNLL. It is 1 where both models predict one and
    the same class throughout, not-a-number without patches. Raises ValueError where the lengths
    differ.
    """
    kappa = cohen_kappa(previous.tolist(), current.tolist())
    return 1.0 if math.isnan(kappa) and len(current) else kappa


@dataclass(frozen=True)
class Hint:
    """What an analyst may be told about stopping."""

    text: str  # one sentence, without a full stop
    targets_left: Estimate
    prediction_stability: float  # kappa of the last two models; not-a-number where there is one
    may_stop: bool


def hint(left: TargetsLeft, stability: float, *, wanted: float = 0.9) -> Hint:
    """Say whether it is time to think of stopping.

    It is where the predictions no longer change (kappa of 0.99 or more) and where, by the careful
    end of the interval, at least the share ``wanted`` of all targets is found. Stable predictions
    alone are not enough: a model that never saw a kind of target is stable too.
    """
    if left.n_left == 0:
        return Hint("every patch is answered: nothing is left to ask", left.left, stability, True)
    if left.n_audit < FEW:
        text = f"too few audit answers to say ({left.n_audit} of at least {FEW})"
        return Hint(text, left.left, stability, False)
    value = left.left
    text = _how_many(left)
    if math.isnan(stability):
        stable, text = False, f"{text}, and no two models to compare yet"
    else:
        stable = stability >= STABLE
        # cut, not rounded: 0.9899 must not read as 0.99
        kappa = f"kappa {math.floor(stability * 100) / 100:.2f}"
        text = f"{text}, predictions {'stable' if stable else 'still changing'} ({kappa})"
    enough = left.recall.low >= wanted
    if stable and enough:
        return Hint(f"{text}: consider stopping", value, stability, True)
    if stable:
        return Hint(f"{text}: too much may be left to stop", value, stability, False)
    return Hint(f"{text}: go on", value, stability, False)


def _how_many(left: TargetsLeft) -> str:
    """Say how many targets are left: the most likely number, or how many there are at most."""
    low, high = _count(left.left.low), _count(left.left.high)
    if left.is_bound:
        none = f"the chance of none is {percent(left.chance_of_none)}"
        return f"at most {high} of {left.n_left:,} left (95 %; {none})"
    return f"about {_count(left.left.value)} of {left.n_left:,} left ({low} to {high}, 95 %)"


def percent(probability: float) -> str:
    """Return a probability in whole per cent, never as the certainty that it is not."""
    if 0 < probability < 0.01:
        return "below 1 %"
    if 0.99 < probability < 1:
        return "above 99 %"
    return f"{probability:.0%}".replace("%", " %")


def _count(number: float) -> str:
    return f"{number:,.0f}"
