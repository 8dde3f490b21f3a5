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
        (-2147483647, np.arange(900)),  # LandScan
        (254, np.arange(101)),  # where Copernicus could not tell how much is sealed
    ],
)
def test_what_stands_apart(value: float, others: AnyArray) -> None:
    found = stand_in(with_one(value, others, "float64"))
    assert found is not None and found.values == (value,) and found.share == 0.5
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
        (254, np.arange(120)),  # a picture
        (254, np.arange(101) / 2 + 0.25),
        (253, np.arange(201, 240)),
    ],
)
def test_what_may_be_a_value(value: float, others: AnyArray) -> None:
    assert stand_in(with_one(value, others)) is None


def test_no_pixels_say_nothing() -> None:
    assert stand_in(np.zeros(0, "float32")) is None


@pytest.mark.parametrize(
    ("values", "others"),
    [
        ((255, 254), np.arange(101)),  # Copernicus: outside, and not told
        ((253, 200), np.arange(88)),  # MODIS' cover of trees: none, and water
        ((255, 250, 239, 237, 201, 200), np.arange(101)),  # MODIS' snow
        ((-32768, -9999), np.arange(300, 900)),
    ],
)
def test_several_may_stand_apart(values: tuple[float, ...], others: AnyArray) -> None:
    all_of_them = np.concatenate([others, *(np.full(len(others), value) for value in values)])
    found = stand_in(all_of_them.astype("float32"))
    assert found is not None and found.values == values
    assert found.share == pytest.approx(len(values) / (len(values) + 1))
    assert found.others == (others[0], others[-1])
    first, *rest = map(str, values)
    named = " and ".join(rest)
    assert found.remedy().endswith(f"-a_nodata {first}, once pixels of {named} are set to {first}")


def test_a_value_that_is_declared_already_stays_declared() -> None:
    found = stand_in(with_one(254, np.arange(101)))
    assert found is not None
    assert found.remedy(255).endswith("-a_nodata 255, once pixels of 254 are set to 255")
    assert found.remedy().endswith("-a_nodata 254")
