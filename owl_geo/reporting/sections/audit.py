"""What the report says of the answers to patches that were drawn at random, in plain sentences.

They alone show what holds for all patches, and estimates of few of them would mislead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from owl_geo.measures.audit import FEW, Estimate, Quality, TargetsLeft, percent
from owl_geo.reporting.markup import Markup
from owl_geo.reporting.page import paragraph, section
from owl_geo.verbs.status import Status
from owl_geo.wording import counted, per_cent, plural


def audit(positive: str, now: Status) -> Markup:
    """Return the section about the audit in a search for ``positive``, empty without an audit."""
    left = now.left
    if left is None:
        return Markup("")
    lines = [
        f"Of the answers, {counted(left.n_audit, 'is for a patch', 'are for patches')} drawn at "
        "random, regardless of the model. Only these show what holds for all patches.",
        *targets_left(positive, left),
    ]
    if now.quality is not None and now.quality.n >= FEW:
        lines += model_quality(positive, now.quality)
    if now.hint is not None:
        lines.append(f"When to stop: {now.hint.text}.")
    parts = [paragraph(line) for line in lines]
    if left.n_audit >= FEW:
        parts.append(paragraph("Ranges contain the truth in 95 of 100 cases like this.", "note"))
    return section("What the random audit says", *parts)


def targets_left(positive: str, left: TargetsLeft) -> Iterator[str]:
    """Yield sentences about how many targets there are, and how many were found."""
    if left.n_audit < FEW:
        yield (
            f"Once there are {FEW} such answers, this section estimates how many {positive} are "
            "left."
        )
    elif left.is_bound:
        yield (
            f"Of all patches, at most {per_cent(left.prevalence.high, digits=1)} are {positive}. "
            f"{_found(left)}; at most {_more(left.left.high)}, and the chance that none is left is "
            f"{percent(left.chance_of_none)}."
        )
        if left.n_found:
            least = per_cent(left.recall.low, digits=1)
            yield f"So the search has found at least {least} of all there are."
    elif not math.isnan(left.prevalence.value):
        yield (
            f"Of all patches, {_share(left.prevalence)} are {positive}. {_found(left)}; about "
            f"{_more(left.left.value)}, somewhere between "
            f"{left.left.low:,.0f} and {left.left.high:,.0f}."
        )
        if not math.isnan(left.recall.value):
            yield f"So the search has found {_share(left.recall)} of them all."


def model_quality(positive: str, quality: Quality) -> Iterator[str]:
    """Yield sentences about how good the rounds' models were before the answers came."""
    if not math.isnan(quality.precision.value):
        right = _share(quality.precision)
        yield f"Where the model predicted {positive}, it was right in {right}."
    if not math.isnan(quality.recall.value):
        recognised = _share(quality.recall)
        yield f"Of the patches that are {positive}, it had recognised {recognised}."
    yield (
        "That is how the rounds' models did on what was left to ask when they chose. A search "
        "answers the clear cases first, so for the whole pool both shares are usually higher."
    )


def _found(left: TargetsLeft) -> str:
    return f"{counted(left.n_found, 'has', 'have')} been found"


def _more(number: float) -> str:
    return f"{number:,.0f} more {plural(round(number), 'is', 'are')} left"


def _share(estimate: Estimate) -> str:
    """Return a share in per cent, with its interval if it has one."""
    share = per_cent(estimate.value, digits=1)
    if math.isnan(estimate.low):
        return share
    return f"{share} ({per_cent(estimate.low, digits=1)} to {per_cent(estimate.high, digits=1)})"
