"""The report's sentences about the audit, from numbers given by hand."""

from __future__ import annotations

import math

from owl_geo.measures.audit import Estimate, Quality, TargetsLeft
from owl_geo.reporting.sections.audit import model_quality, targets_left
from owl_geo.reporting.sections.overview import audit_share
from owl_geo.settings.acquisition import AcquisitionSettings

UNKNOWN = Estimate(math.nan, math.nan, math.nan)


def left(value: float, *, n_found: int = 10, n_audit: int = 20) -> TargetsLeft:
    """80 of 100 patches are not answered, and 0 to 30 targets are left among them."""
    estimate = Estimate(value, 0, 30)
    return TargetsLeft(
        estimate, n_left=80, n_found=n_found, n_answered=20, n_audit=n_audit, chance_of_none=0.25
    )


def quality(precision: Estimate, recall: Estimate) -> Quality:
    return Quality(40, 20, precision, recall, UNKNOWN, UNKNOWN, math.nan)


def test_few_answers_promise_a_number_and_give_none() -> None:
    (only,) = targets_left("pit", left(8, n_audit=19))
    assert only == "Once there are 20 such answers, this section estimates how many pit are left."


def test_an_estimate_is_said_with_its_interval() -> None:
    total, share = targets_left("pit", left(6))
    assert total.startswith(
        "Of all patches, 16.0 % (10.0 % to 40.0 %) are pit. 10 have been found; "
    )
    assert total.endswith("about 6 more are left, somewhere between 0 and 30.")
    assert share == "So the search has found 62.5 % (25.0 % to 100.0 %) of them all."


def test_where_nothing_more_is_the_most_likely_only_bounds_are_said() -> None:
    total, share = targets_left("pit", left(0))
    assert total.startswith(
        "Of all patches, at most 40.0 % are pit. 10 have been found; at most 30"
    )
    assert "the chance that none is left is 25" in total
    assert share == "So the search has found at least 25.0 % of all there are."
    assert len(list(targets_left("pit", left(0, n_found=0)))) == 1  # at least 0 % says nothing


def test_what_is_not_known_of_the_model_is_not_said() -> None:
    right, recognised, warning = model_quality(
        "pit", quality(Estimate(0.8, 0.6, 0.9), Estimate(0.5, math.nan, math.nan))
    )
    assert right == "Where the model predicted pit, it was right in 80.0 % (60.0 % to 90.0 %)."
    assert recognised == "Of the patches that are pit, it had recognised 50.0 %."
    assert list(model_quality("pit", quality(UNKNOWN, UNKNOWN))) == [warning]


def test_the_share_that_is_drawn_at_random_is_said_with_that_of_common_targets() -> None:
    both = AcquisitionSettings(audit_share=0.1, audit_common=0.05)
    assert audit_share(both) == "10 %, 5 % where targets are common"
    assert audit_share(AcquisitionSettings(audit_share=0.1)) == "10 %"
    assert audit_share(AcquisitionSettings(audit_share=0.1, audit_common=0.1)) == "10 %"
