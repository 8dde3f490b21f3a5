"""Tag filters: what they take, and what they pass."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from owl_geo.concepts import filters
from owl_geo.concepts.filters import TagFilter
from owl_geo.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("landuse", TagFilter("landuse")),
        ("landuse=forest", TagFilter("landuse", ("forest",))),
        (" landuse = forest | wood ", TagFilter("landuse", ("forest", "wood"))),
        ("name=a=b", TagFilter("name", ("a=b",))),
        ("building=*", TagFilter("building")),
    ],
)
def test_parse(text: str, wanted: TagFilter) -> None:
    assert filters.parse(text, "concepts.x") == wanted


@pytest.mark.parametrize("text", ["", "=forest", "landuse=", "landuse=a||b", "a|b", "a|b=c", " "])
def test_a_malformed_filter_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^concepts\.x: .* is not a tag filter; write 'key'"):
        filters.parse(text, "concepts.x")


def test_any_filter_may_hold() -> None:
    features = pd.DataFrame(
        {"landuse": ["forest", "farm", None, ""], "natural": [None, "wood", "wood", None]}
    )
    both = filters.parse_all(["landuse=forest|farm", "natural=wood"], "x")
    assert filters.matches(features, both).tolist() == [True, True, True, False]
    assert filters.matches(features, both[:1]).tolist() == [True, True, False, False]
    assert filters.matches(features, ()).all()


def test_a_key_alone_passes_every_value_but_no() -> None:
    features = pd.DataFrame({"building": ["yes", "no", "barn", None, "", " "]})
    passed = filters.matches(features, [TagFilter("building")])
    assert passed.tolist() == [True, False, True, False, False, False]


def test_one_of_several_values_passes() -> None:
    features = pd.DataFrame({"resource": ["gold;copper", "copper; gold", "copper", "golden;tin"]})
    wanted = filters.parse_all(["resource=gold"], "x")
    assert filters.matches(features, wanted).tolist() == [True, True, False, False]
    wanted = filters.parse_all(["resource=gold;copper"], "x")
    assert filters.matches(features, wanted).tolist() == [True, False, False, False]


def test_values_are_tested_exactly_and_a_missing_column_passes_nothing() -> None:
    features = pd.DataFrame({"landuse": ["Forest", "forests", "forest"]})
    wanted = filters.parse_all(["landuse=forest", "natural"], "x")
    assert filters.matches(features, wanted).tolist() == [False, False, True]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([5, 6, 7]),
        pd.Series([5.0, np.nan, 7.0]),
        pd.Series(["5", None, "7"], dtype=object),
        pd.Series([5, None, 7], dtype="Int64"),
    ],
)
def test_codes_are_compared_as_text(column: pd.Series) -> None:
    passed = filters.matches(pd.DataFrame({"code": column}), [TagFilter("code", ("5", "7"))])
    assert passed.tolist() == [True, False, True]
