"""Words agree with the numbers before them."""

from __future__ import annotations

import pytest

from owl_geo.wording import counted, plural, two_digits


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 patches"), (1, "1 patch"), (2, "2 patches"), (1000, "1,000 patches")]
)
def test_a_noun_agrees_with_its_number(count: int, said: str) -> None:
    assert counted(count, "patch") == said


def test_words_that_are_not_regular_are_named() -> None:
    assert [plural(n, "is", "are") for n in (0, 1, 2)] == ["are", "is", "are"]
    assert [plural(2, one) for one in ("class", "batch", "site", "index")] == [
        "classes",
        "batches",
        "sites",
        "indexes",
    ]


def test_two_digits_have_no_sign_where_they_are_zeros() -> None:
    assert [two_digits(n) for n in (-1e-17, -0.004, 0.0, -0.006, 0.456)] == [
        "0.00",
        "0.00",
        "0.00",
        "-0.01",
        "0.46",
    ]
