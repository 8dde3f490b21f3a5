"""What the random share of the batches tells about the pool: targets left, quality, when to stop.

A strategy chooses its patches, so their answers tell nothing about the rest. Part of each batch is
therefore drawn uniformly at random from all patches that could be asked at that time: the audit.

How many targets are left: Let ``L`` be the number of targets among the patches not answered now.
When round t drew its ``a_t`` audit patches from ``n_t`` candidates, these contained ``L + s_t``
targets, where ``s_t``, the number of targets answered since, is known. The number of targets drawn
is then hypergeometric, whatever the strategy had chosen before, so the product of these
probabilities over the rounds is a likelihood of ``L`` (a partial one: Cox 1975, Biometrika 62:
269-276; the targets that the strategy chose are left out, as using them would mean trusting the
model). ``n_t`` shrinks as patches are answered, so targets found late count towards the draws of
early rounds, and an early lucky draw does not suggest targets that have all been found since.
``s_t`` is all of them, whether a batch asked them or not: a known site that is imported after round
t was among its candidates. The
estimate is the most likely ``L``; the interval holds the most probable numbers that together have
95 % if every number was equally likely beforehand. It is wide: if n audit answers contain no
target, up to 3/n of the pool may be targets. Where 0 is the most likely number, it is rarely a
probable one: people are then shown the upper end of the interval and the probability of 0, never
"none".
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
from owl_geo.wording import counted, per_cent, two_digits

FEW = 20  # audit answers below which no estimate is shown
STABLE = 0.99  # kappa from which predictions count as stable (Bloodgood & Vijay-Shanker 2009)
FEW_OF_A_CLASS = 5  # targets, or others, below which an AUC is noise
_ENOUGH = 0.9  # of all targets: once that share is found, stopping may be considered
_RESAMPLES = 500
_GRID = 2000  # numbers of targets that are evaluated at once
_NATS = 25.0  # numbers less likely than e^-25 times the best are ignored


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; not-a-number if it is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Answered:
    """All patches answered so far, one entry each, ``(n,)``."""

    round: IntArray  # whose batch asked the patch; -1 if none did
    n_askable: IntArray  # patches that could be asked when that batch was drawn
    is_audit: BoolArray  # drawn uniformly at random from these
    is_target: BoolArray  # unsure and skip do not count as targets
    probability: NDArray[np.floating]  # of a target, by that round's model; nan if there was none
    # the last round that could ask the patch, -1 if it was answered before the first; None = round
    open_until: IntArray | None = None


@dataclass(frozen=True)
class TargetsLeft:
    """How many targets are not answered yet, and the prevalence in the pool."""

    left: Estimate  # targets among the patches without an answer; value: the most likely number
    n_left: int  # patches without an answer
    n_found: int  # targets answered
    n_answered: int
    n_audit: int  # answers that the estimate rests on
    chance_of_none: float  # probability that no target is left; not-a-number without an audit

    @property
    def is_bound(self) -> bool:
        """Whether only the interval's upper end says something: the likelihood falls from 0 on."""
        return self.left.value == 0

    @property
    def prevalence(self) -> Estimate:
        """Share of targets in the whole pool, answered or not."""
        total = self.n_left + self.n_answered
        if total == 0:
            return Estimate(math.nan, math.nan, math.nan)
        ends = (self.left.value, self.left.low, self.left.high)
        return Estimate(*((value + self.n_found) / total for value in ends))

    @property
    def recall(self) -> Estimate:
        """Share of all targets that have been found."""
        left = self.left
        low, high = (self._share_found(value) for value in (left.high, left.low))
        return Estimate(self._share_found(left.value), low, high)

    def _share_found(self, left: float) -> float:
        total = self.n_found + left
        return self.n_found / total if total > 0 else math.nan


def targets_left(answered: Answered, n_left: int) -> TargetsLeft:
    """Estimate how many of the ``n_left`` unanswered patches are targets.

    The module's docstring describes the method. The interval is valid for a single look at a moment
    chosen beforehand; if you look after every round, some interval will miss the truth more often.
    Raises ValueError if more patches are left than could be asked before.
    """
    drawn, targets, n_askable, since = _rounds(answered)
    n_audit, n_found = int(drawn.sum()), int(answered.is_target.sum())
    if len(n_askable) and n_left > n_askable.min():
        raise ValueError(f"{n_left} patches are left, but {n_askable.min()} could be asked before")
    # a place that was answered under two names, in two images, could be asked once
    since = np.minimum(since, np.maximum(n_askable - n_left - (drawn - targets), targets))
    highest = max(0, min([n_left, *(n_askable - since - (drawn - targets)).tolist()]))
    left, none = Estimate(math.nan, 0.0, float(n_left)), math.nan
    if n_audit:
        left, none = _most_likely(drawn, targets, n_askable, since, highest)
    return TargetsLeft(left, n_left, n_found, len(answered.round), n_audit, none)


def _rounds(answered: Answered) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return per audited round: patches drawn, targets drawn, patches askable, targets since."""
    rounds, first = np.unique(answered.round[answered.is_audit], return_index=True)
    at = np.searchsorted(rounds, answered.round[answered.is_audit])
    drawn = np.bincount(at, minlength=len(rounds))
    hits = answered.is_target[answered.is_audit]
    targets = np.bincount(at, weights=hits, minlength=len(rounds)).astype(np.int64)
    until = answered.round if answered.open_until is None else answered.open_until
    target_rounds = np.sort(until[answered.is_target])
    since = len(target_rounds) - np.searchsorted(target_rounds, rounds)
    return drawn, targets, answered.n_askable[answered.is_audit][first], since


def _most_likely(
    drawn: IntArray, targets: IntArray, n_askable: IntArray, since: IntArray, highest: int
) -> tuple[Estimate, float]:
    """Maximise the likelihood over 0 to ``highest`` targets left, and find the 95 % set.

    The second number is the probability of 0.
    """
    low, high = 0, highest
    while True:  # the logarithm is concave, so the search can close in on the peak
        step = max(1, (high - low) // _GRID)
        grid = np.unique(np.append(np.arange(low, high, step), high))
        held = grid[:, None] + since  # targets among the candidates of each round
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
    """Return the logarithm of n over k, for whole numbers; minus infinity where k > n.

    A product of k factors, since k, what a round drew, is small; SciPy's gamma function is slow to
    import.
    """
    possible = n >= k
    m = np.where(possible, n, k)
    value = np.zeros(m.shape)
    for factor in range(int(k.max(initial=0))):
        value += np.log(np.where(factor < k, (m - factor) / (factor + 1), 1.0))
    return np.where(possible, value, -np.inf)


@dataclass(frozen=True)
class Quality:
    """How good the models were on audit answers that they had not seen.

    Each share is an estimate of what was left to ask when the audit was drawn, averaged over the
    rounds: not of the whole pool, whose clear cases a search answers first.
    """

    n: int  # audit answers with a prediction made before the answer
    n_targets: int
    precision: Estimate  # share of targets among the patches predicted as such; Wilson interval
    recall: Estimate  # share of the targets that are predicted as such; Wilson interval
    auc: Estimate  # ROC AUC; bootstrap interval
    brier: Estimate  # mean squared error of the probability; bootstrap interval
    ece: float  # expected calibration error; biased upwards in small samples, so no interval


def quality(answered: Answered, *, threshold: float = 0.5, seed: int = 0) -> Quality:
    """Measure the predictions made for the audit patches before they were answered.

    A patch is predicted to be a target if its probability reaches ``threshold``. The answers of
    several rounds, and so of several models, are pooled: this is the quality over the whole search,
    on what was left to ask in each round. The newest model is usually better, and both precision
    and recall are usually higher over the whole pool. The AUC is not-a-number below five targets or
    others. Proportions have Wilson's interval (1927; recommended by Brown, Cai & DasGupta 2001,
    Stat. Sci. 16), AUC and Brier score that of 500 bootstrap samples, drawn class by class from
    ``seed`` (Efron 1979).
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
    """Return a proportion with Wilson's 95 % score interval; not-a-number if n is 0."""
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
    """Return the measure and its central 95 % over resampled answers."""
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

    1 = nothing changed, 0 = no more agreement than by chance (Cohen 1960). Bloodgood and
    Vijay-Shanker (2009, CoNLL) use it to stop a search. It is 1 if both models predict the same
    single class everywhere, and not-a-number without patches. Raises ValueError if the lengths
    differ.
    """
    kappa = cohen_kappa(previous.tolist(), current.tolist())
    return 1.0 if math.isnan(kappa) and len(current) else kappa


@dataclass(frozen=True)
class Outlook:
    """What the model says about the rest, and how its last choices turned out."""

    expected: float  # targets among the patches without an answer: the sum of their probabilities
    n_found: int  # targets answered when the model was fitted
    n_recent: int  # the newest answers for patches that the strategy chose
    n_recent_targets: int  # targets among them
    n_open: int  # the patches without an answer that ``expected`` is about, before its batch

    def is_nearly_done(self) -> bool:
        """Return whether nine tenths of all targets have been found, by the model.

        Its word counts only where at most a tenth of its last choices were targets.
        """
        found = self.n_found / (self.n_found + self.expected) if self.n_found else 0.0
        few = self.n_recent_targets <= (1 - _ENOUGH) * self.n_recent
        return found >= _ENOUGH and self.n_recent >= FEW and few


@dataclass(frozen=True)
class Hint:
    """Advice for the analyst about stopping."""

    text: str  # one sentence, without a full stop
    targets_left: Estimate
    prediction_stability: float  # kappa of the last two models; not-a-number if there is only one
    may_stop: bool


def hint(left: TargetsLeft, stability: float, *, outlook: Outlook | None = None) -> Hint:
    """Say whether it is time to consider stopping.

    It is time if the predictions no longer change (kappa of 0.99 or more) and if, by the lower end
    of the interval, at least nine tenths of all targets have been found. Stable predictions alone
    are not enough: a model that has never seen a kind of target is stable too.

    Where targets are rare, no audit that people would label can show that: to rule out 5 of 2,000,
    it would have to draw more than half. It is therefore also time if the model expects no more
    than the last tenth, its last choices found as little, and the audit does not contradict. The
    text then says what either of them says.
    """
    if left.n_left == 0:
        return Hint("every patch is answered: nothing is left to ask", left.left, stability, True)
    if left.n_audit < FEW:
        text = f"too few audit answers to say ({left.n_audit:,} of at least {FEW})"
        return Hint(text, left.left, stability, False)
    value = left.left
    text = _how_many(left)
    if math.isnan(stability):
        stable, text = False, f"{text}, and no two models to compare yet"
    else:
        stable = stability >= STABLE
        # cut, not rounded: 0.9899 must not read as 0.99; nor may 0.29, 0.28999 in floats, as 0.28
        kappa = f"kappa {two_digits(math.floor(stability * 100 + 1e-9) / 100)}"
        text = f"{text}, predictions {'stable' if stable else 'still changing'} ({kappa})"
    enough = left.recall.low >= _ENOUGH
    if stable and enough:
        return Hint(f"{text}: consider stopping", value, stability, True)
    if outlook is not None and outlook.is_nearly_done() and left.recall.high >= _ENOUGH:
        text = (
            f"the model expected about {_count(outlook.expected)} among the {outlook.n_open:,} "
            f"left when it last chose, and of its last {outlook.n_recent:,} choices "
            f"{counted(outlook.n_recent_targets, 'was a target', 'were targets')}; the "
            f"audit alone says {_how_many(left)}"
        )
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
    return per_cent(probability)


def _count(number: float) -> str:
    return f"{number:,.0f}"
