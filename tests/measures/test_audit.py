"""What the random share of the batches says of the whole pool."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import hypergeom

from owl_geo.measures import audit as audit_
from owl_geo.measures.audit import (
    Answered,
    Estimate,
    Outlook,
    TargetsLeft,
    hint,
    percent,
    prediction_stability,
    quality,
    targets_left,
    wilson,
)
from owl_geo.measures.metrics import average_precision, expected_calibration_error


def answered(*rounds: tuple[int, int, int, int, int]) -> Answered:
    """Rounds as (askable, audit drawn, targets among them, others asked, targets among them)."""
    number, n_askable, is_audit, is_target = [], [], [], []
    for at, (askable, drawn, hits, others, found) in enumerate(rounds):
        number += [at] * (drawn + others)
        n_askable += [askable] * (drawn + others)
        is_audit += [True] * drawn + [False] * others
        is_target += [i < hits for i in range(drawn)] + [i < found for i in range(others)]
    return Answered(
        np.array(number, dtype=np.int64),
        np.array(n_askable, dtype=np.int64),
        np.array(is_audit, dtype=bool),
        np.array(is_target, dtype=bool),
        np.full(len(number), np.nan),
    )


def search(
    rng: np.random.Generator, skill: float, n_targets: int = 40, few: float = 1.0
) -> tuple[Answered, int]:
    """Search 1500 patches in 15 rounds of 4 audit and 16 chosen patches; return what is left too.

    ``skill`` is how far the scores of targets are above the others', in standard deviations. A
    round draws 2 patches where the share of targets among the answers has reached ``few``.
    """
    is_target = np.zeros(1500, dtype=bool)
    is_target[rng.permutation(1500)[:n_targets]] = True
    score = rng.normal(size=1500) + skill * is_target
    open_ = np.ones(1500, dtype=bool)
    rows = []
    for number in range(15):
        askable = np.flatnonzero(open_)
        draws = 2 if is_target[~open_].sum() >= few * max((~open_).sum(), 1) else 4
        audit = rng.choice(askable, draws, replace=False)
        rest = np.setdiff1d(askable, audit)
        chosen = rest[np.argsort(-score[rest])[: 20 - draws]]
        for part, is_audit in ((audit, True), (chosen, False)):
            rows += [(number, len(askable), is_audit, is_target[i], math.nan) for i in part]
            open_[part] = False
    number, n_askable, is_audit, hit, probability = map(np.array, zip(*rows, strict=True))
    return Answered(number, n_askable, is_audit, hit, probability), int(is_target[open_].sum())


@pytest.mark.parametrize("skill", [0.0, 1.5, 4.0], ids=["useless", "fair", "good"])
def test_the_interval_covers_the_truth_whatever_the_model_is_worth(skill: float) -> None:
    rng = np.random.default_rng(0)
    inside, errors = [], []
    for _ in range(200):
        done, truth = search(rng, skill)
        left = targets_left(done, 1200).left
        inside.append(left.low <= truth <= left.high)
        errors.append(left.value - truth)
    assert np.mean(inside) >= 0.9
    # right on average, within what 200 searches can tell
    assert abs(np.mean(errors)) <= 4


@pytest.mark.parametrize("skill", [0.0, 1.5, 4.0], ids=["useless", "fair", "good"])
def test_nor_does_it_matter_why_a_round_draws_fewer(skill: float) -> None:
    rng = np.random.default_rng(1)
    inside, errors, drawn = [], [], set()
    for _ in range(200):
        done, truth = search(rng, skill, n_targets=450, few=0.35)
        left = targets_left(done, 1200).left
        inside.append(left.low <= truth <= left.high)
        errors.append(left.value - truth)
        drawn |= set(np.bincount(done.round[done.is_audit]).tolist())
    assert drawn == {2, 4}
    assert np.mean(inside) >= 0.9
    assert abs(np.mean(errors)) <= 20  # of about 300 that are left


def test_targets_found_since_count_towards_early_draws() -> None:
    lucky = answered((1000, 40, 4, 0, 0), (960, 40, 0, 60, 36), (860, 40, 0, 60, 0))
    left = targets_left(lucky, 760)
    assert left.n_found == 40
    # 4 of 40 would be 100 targets in 1000; 40 are found, and 80 later draws held none
    assert left.left.value < 25
    assert left.left.low == 0
    unlucky = answered((1000, 40, 4, 0, 0), (960, 40, 0, 60, 0), (860, 40, 0, 60, 0))
    assert targets_left(unlucky, 760).left.value > left.left.value


def test_no_target_among_the_audit_answers_leaves_three_in_n() -> None:
    left = targets_left(answered((100_000, 300, 0, 0, 0)), 99_700).left
    assert (left.value, left.low) == (0, 0)
    assert left.high / 99_700 == pytest.approx(3 / 300, rel=0.02)


def test_none_is_never_promised_where_it_is_merely_the_most_likely_number() -> None:
    left = targets_left(answered((1020, 20, 0, 0, 0)), 1000)
    likelihood = hypergeom(1020, np.arange(1001), 20).pmf(0)
    likelihood /= likelihood.sum()
    assert left.is_bound
    assert left.chance_of_none == pytest.approx(likelihood[0])
    assert left.left.high == np.searchsorted(np.cumsum(likelihood), 0.95) == 134
    text = "at most 134 of 1,000 left (95 %; the chance of none is 2 %), predictions stable"
    assert hint(left, 1.0).text.startswith(text)
    found = targets_left(answered((1020, 20, 1, 0, 0)), 1000)
    assert not found.is_bound
    assert hint(found, 1.0).text.startswith("about 50 of 1,000 left (")
    assert found.chance_of_none == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0, "0 %"), (0.004, "below 1 %"), (0.02, "2 %"), (0.996, "above 99 %"), (1, "100 %")],
)
def test_a_chance_is_never_rounded_to_certainty(probability: float, text: str) -> None:
    assert percent(probability) == text


def test_everything_drawn_leaves_nothing_to_guess() -> None:
    whole = targets_left(answered((50, 30, 2, 0, 0), (20, 20, 1, 0, 0)), 0)
    assert whole.left == Estimate(0, 0, 0)
    assert whole.recall == Estimate(1, 1, 1)
    assert whole.prevalence.value == pytest.approx(3 / 50)


def test_a_small_pool_is_counted_exactly() -> None:
    # one patch is left, and of four drawn from five none was a target: 5 ways to one
    left = targets_left(answered((5, 4, 0, 0, 0)), 1).left
    assert left.value == 0
    assert left.high == 1


def test_large_pools_agree_with_small_ones_in_proportion() -> None:
    small = targets_left(answered((20_000, 200, 10, 0, 0)), 19_800).left
    large = targets_left(answered((2_000_000, 200, 10, 0, 0)), 1_999_800).left
    for one, other in (
        (small.value, large.value),
        (small.low, large.low),
        (small.high, large.high),
    ):
        assert one / 19_800 == pytest.approx(other / 1_999_800, rel=0.03)


def test_without_an_audit_nothing_is_known() -> None:
    left = targets_left(answered((100, 0, 0, 20, 5)), 80)
    assert math.isnan(left.left.value)
    assert (left.left.low, left.left.high) == (0, 80)
    assert math.isnan(left.recall.value)
    assert (left.n_found, left.n_audit) == (5, 0)
    with pytest.raises(ValueError, match="90 patches are left, but 80 could be asked before"):
        targets_left(answered((80, 10, 0, 0, 0)), 90)


def test_no_more_targets_were_answered_since_than_patches_are_gone() -> None:
    one = answered((10, 4, 1, 0, 0))
    # three more targets since, all of them one place: two names of it were answered besides
    again = Answered(
        round=np.append(one.round, [-1, -1, -1]),
        n_askable=np.append(one.n_askable, [0, 0, 0]),
        is_audit=np.append(one.is_audit, [False] * 3),
        is_target=np.append(one.is_target, [True] * 3),
        probability=np.append(one.probability, [math.nan] * 3),
        open_until=np.append(one.round, [0, 0, 0]),
    )
    left = targets_left(again, 5)
    likely = hypergeom(10, np.arange(6) + 2, 4).pmf(1)
    assert left.left.value == likely.argmax()


def test_prevalence_and_recall_follow_from_what_is_left() -> None:
    left = TargetsLeft(
        Estimate(10, 0, 30), n_left=900, n_found=10, n_answered=100, n_audit=50, chance_of_none=0.0
    )
    assert left.prevalence == Estimate(0.02, 0.01, 0.04)
    assert left.recall == Estimate(0.5, 0.25, 1)


# --- quality --------------------------------------------------------------------------------------


def predicted(probability: np.ndarray, is_target: np.ndarray, is_audit: np.ndarray) -> Answered:
    n = len(probability)
    return Answered(np.zeros(n, np.int64), np.full(n, 1000), is_audit, is_target, probability)


def test_quality_is_of_audit_answers_with_a_prediction() -> None:
    probability = np.array([0.9, 0.8, 0.7, 0.2, 0.1, math.nan, 0.0])
    is_target = np.array([True, False, True, True, False, True, True])
    is_audit = np.array([True] * 6 + [False])
    found = quality(predicted(probability, is_target, is_audit))
    assert (found.n, found.n_targets) == (5, 3)
    assert found.precision.value == pytest.approx(2 / 3)
    assert found.recall.value == pytest.approx(2 / 3)
    assert math.isnan(found.auc.value)  # three targets say nothing of an AUC
    assert found.brier.value == pytest.approx((0.01 + 0.64 + 0.09 + 0.64 + 0.01) / 5)
    strict = quality(predicted(probability, is_target, is_audit), threshold=0.85)
    assert strict.precision.value == 1
    assert strict.recall.value == pytest.approx(1 / 3)
    nothing = quality(predicted(probability[-1:], is_target[-1:], is_audit[-1:]))
    assert nothing.n == 0
    assert math.isnan(nothing.precision.value)
    assert math.isnan(nothing.brier.value)
    assert math.isnan(nothing.ece)


def test_quality_holds_for_what_was_left_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ranges hold how the model did on each round's rest, averaged, not on the whole pool."""
    monkeypatch.setattr(audit_, "_RESAMPLES", 1)  # for other measures than the one looked at
    rng = np.random.default_rng(3)
    of_the_rest, of_the_pool = [], []
    for _ in range(100):
        is_target = rng.random(2000) < 0.3
        score = 2 * is_target + rng.normal(size=2000)
        probability = 1 / (1 + np.exp(-(2 * score - 2 + math.log(0.3 / 0.7))))
        called = probability >= 0.5
        left, drawn, rest = np.arange(2000), [], []
        for _ in range(16):  # five at random in each round, then the 45 most probable
            rest.append(((called & is_target)[left].mean(), is_target[left].mean()))
            audit = rng.permutation(left)[:5]
            others = np.setdiff1d(left, audit)
            drawn.extend(audit.tolist())
            left = others[np.argsort(probability[others])[:-45]]
        recall = quality(
            predicted(probability[drawn], is_target[drawn], np.ones(len(drawn), dtype=bool))
        ).recall
        hits, targets = np.array(rest).sum(axis=0)
        of_the_rest.append(recall.low <= hits / targets <= recall.high)
        pool = (called & is_target).sum() / is_target.sum()
        of_the_pool.append(recall.low <= pool <= recall.high)
    assert np.mean(of_the_rest) >= 0.9
    assert np.mean(of_the_pool) < 0.9  # which is why nothing is claimed of the pool


def test_quality_has_intervals_that_a_seed_repeats() -> None:
    rng = np.random.default_rng(0)
    is_target = rng.random(120) < 0.3
    probability = np.clip(0.3 + 0.25 * is_target + rng.normal(scale=0.2, size=120), 0, 1)
    data = predicted(probability, is_target, np.ones(120, bool))
    first, again, other = quality(data, seed=1), quality(data, seed=1), quality(data, seed=2)
    assert first == again
    assert first.auc != other.auc
    assert first.auc.value == other.auc.value
    for estimate in (first.auc, first.brier, first.precision, first.recall):
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1


def test_wilsons_interval() -> None:
    # the interval of 1 in 10, as in Brown, Cai & DasGupta's formula (4)
    found = wilson(1, 10)
    assert (found.low, found.high) == pytest.approx((0.0179, 0.4042), abs=1e-4)
    assert wilson(0, 10).low == 0
    assert wilson(10, 10).high == pytest.approx(1)


def test_calibration_error() -> None:
    sure = np.tile([0.1, 0.9], (100, 1))
    right = np.ones(100, np.int64)
    assert expected_calibration_error(sure, right) == pytest.approx(0.1)
    right[:10] = 0
    assert expected_calibration_error(sure, right) == pytest.approx(0)
    # errors of two bins do not cancel: 0.55 is right always, 0.95 half the time
    mixed = np.array([[0.45, 0.55]] * 2 + [[0.05, 0.95]] * 2)
    labels = np.array([1, 1, 1, 0])
    assert expected_calibration_error(mixed, labels) == pytest.approx((0.45 + 0.45) / 2)
    assert expected_calibration_error(mixed, labels, bins=1) == pytest.approx(0)
    assert expected_calibration_error(np.array([[0.0, 1.0]]), np.array([1])) == 0
    assert math.isnan(expected_calibration_error(np.empty((0, 2)), np.empty(0, np.int64)))
    with pytest.raises(ValueError, match="4 rows of probabilities for 3 labels"):
        expected_calibration_error(mixed, labels[:3])


def test_average_precision() -> None:
    is_positive = np.array([True, False, True, False])
    assert average_precision(is_positive, np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx(5 / 6)
    assert average_precision(is_positive, np.zeros(4)) == pytest.approx(0.5)
    assert math.isnan(average_precision(~is_positive & is_positive, np.zeros(4)))


# --- when to stop ---------------------------------------------------------------------------------


def test_stability_is_agreement_beyond_chance() -> None:
    before = np.array([0, 0, 0, 0, 1, 1, 0, 0, 0, 0])
    now = np.array([0, 0, 0, 0, 1, 0, 1, 0, 0, 0])
    # 8 of 10 agree; chance has 0.8 * 0.8 + 0.2 * 0.2
    assert prediction_stability(before, now) == pytest.approx((0.8 - 0.68) / 0.32)
    assert prediction_stability(before, before) == 1
    same = np.zeros(5, np.int64)
    assert prediction_stability(same, same) == 1
    assert prediction_stability(same, same + 1) == 0
    assert math.isnan(prediction_stability(same[:0], same[:0]))
    with pytest.raises(ValueError, match="5 labels by one rater, 4 by the other"):
        prediction_stability(same, same[:4])


def left_of(value: float, high: float, *, found: int = 200, n_audit: int = 600) -> TargetsLeft:
    return TargetsLeft(Estimate(value, 0, high), 2700, found, 1000, n_audit, 0.2)


def test_the_hint_is_one_honest_sentence() -> None:
    good = hint(left_of(3, 14), 0.994)
    assert good.text == (
        "about 3 of 2,700 left (0 to 14, 95 %), predictions stable (kappa 0.99): consider stopping"
    )
    assert good.may_stop
    assert good.targets_left == Estimate(3, 0, 14)
    assert good.prediction_stability == 0.994
    wide = hint(left_of(0, 150), 1.0)
    assert wide.text == (
        "at most 150 of 2,700 left (95 %; the chance of none is 20 %), "
        "predictions stable (kappa 1.00): too much may be left to stop"
    )
    assert not wide.may_stop
    moving = hint(left_of(3, 14), 0.9899)
    assert moving.text.endswith("predictions still changing (kappa 0.98): go on")
    assert not moving.may_stop
    for stability, said in ((0.29, "0.29"), (-1e-17, "0.00")):
        assert hint(left_of(3, 14), stability).text.endswith(f"changing (kappa {said}): go on")
    first = hint(left_of(3, 14), math.nan)
    assert "no two models to compare" in first.text
    assert not first.may_stop
    few = hint(left_of(0, 14, n_audit=7), 1.0)
    assert few.text == "too few audit answers to say (7 of at least 20)"
    assert not few.may_stop
    done = hint(TargetsLeft(Estimate(0, 0, 0), 0, 3, 50, 50, 1.0), math.nan)
    assert done.may_stop


def test_a_search_that_found_nothing_is_never_told_to_stop() -> None:
    assert not hint(left_of(0, 0, found=0), 1.0).may_stop


# --- stopping, where no audit could tell ----------------------------------------------------------


def rare(hits: int = 0) -> TargetsLeft:
    """What an audit of 40 of 2,000 patches says, with 38 targets found."""
    return targets_left(answered((2000, 20, hits, 180, 38), (1800, 20, 0, 0, 0)), 1780)


def test_the_model_may_say_that_it_is_time_where_no_audit_could() -> None:
    left = rare()
    assert left.recall.low < 0.9  # and no number of answers that people give would raise it
    assert not hint(left, 1.0).may_stop
    said = hint(left, 0.5, outlook=Outlook(3.2, 38, 36, 1, 1800))
    assert said.may_stop
    assert said.text.startswith(
        "the model expected about 3 among the 1,800 left when it last chose, and of its last 36 "
        "choices 1 was a target; the audit alone says at most "
    )
    assert said.text.endswith(": consider stopping")


@pytest.mark.parametrize(
    "outlook",
    [
        Outlook(5.0, 38, 36, 1, 1800),  # it expects more than a tenth
        Outlook(3.0, 38, 36, 4, 1800),  # its last choices found some
        Outlook(3.0, 38, 19, 0, 1800),  # they are too few to tell
        Outlook(0.0, 0, 36, 0, 1800),  # nothing was found at all
        None,
    ],
)
def test_it_is_not_time_while_the_model_or_its_choices_speak_against_it(outlook) -> None:
    assert not hint(rare(), 0.5, outlook=outlook).may_stop


def test_nor_where_the_audit_contradicts_the_model() -> None:
    left = targets_left(answered((2000, 40, 12, 160, 0)), 1800)
    assert left.recall.high < 0.9
    assert not hint(left, 0.5, outlook=Outlook(0.5, 12, 36, 0, 1800)).may_stop
    few = targets_left(answered((2000, 10, 0, 190, 38)), 1800)
    assert not hint(few, 0.5, outlook=Outlook(1.0, 38, 36, 0, 1800)).may_stop
