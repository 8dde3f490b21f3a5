"""Which values look as if they stood for missing data."""

from __future__ import annotations

import numpy as np
import pytest

from owl_geo.ground.stand_ins import stand_in
from owl_geo.types import AnyArray


def with_one(value: float, others: AnyArray, dtype: str = "float32") -> AnyArray:
    return np.concatenate([np.full(len(others), value), others]).astype(dtype)


@pytest.mark.parametrize(
    ("value", "others"),
    [
        (-9999, np.arange(300, 900)),
        (-9999, np.arange(0, 20_000)),  # negative where nothing else is
        (-999, np.arange(-30, 40)),
        (-32768, np.arange(-400, 8000)),
        (255, np.arange(101)),
        (65535, np.arange(10_001)),
    ],
)
def test_what_stands_apart(value: float, others: AnyArray) -> None:
    found = stand_in(with_one(value, others))
    assert found is not None and found.value == value and found.share == 0.5
    assert str(found).startswith(f"50 % are {value}, far from all others")


@pytest.mark.parametrize(
    ("value", "others"),
    [
        (0, np.arange(300, 900)),  # the sea
        (255, np.arange(255)),  # white
        (255, np.zeros(9)),  # a mask
        (-32768, np.arange(-32767, 32767)),  # radar in 16 bits
        (-9998, np.arange(300, 900)),
        (-9999, np.zeros(0)),
    ],
)
def test_what_may_be_a_value(value: float, others: AnyArray) -> None:
    assert stand_in(with_one(value, others)) is None


def test_no_pixels_say_nothing() -> None:
    assert stand_in(np.zeros(0, "float32")) is None
