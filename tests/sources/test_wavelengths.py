"""What a band is by its centre wavelength, and wavelengths in texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from owl_geo.sources.wavelengths import by_wavelength, fits, nanometres, wavelength_in

S2 = (443, 490, 560, 665, 705, 740, 783, 842, 865, 945, 1375, 1610, 2190)
S2_NAMES = (
    *("coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08"),
    *("nir09", "cirrus", "swir1", "swir2"),
)


@pytest.mark.parametrize(
    ("centres", "names"),
    [
        (S2, S2_NAMES),
        (
            (443, 482, 561, 655, 865, 1609, 2201, 1373, 10895),  # Landsat 8
            ("coastal", "blue", "green", "red", "nir", "swir1", "swir2", "cirrus", "thermal"),
        ),
        ((490, 565, 665, 865), ("blue", "green", "red", "nir")),  # PlanetScope
        ((475, 560, 668, 717, 842), ("blue", "green", "red", "rededge1", "nir")),  # MicaSense
        ((550, 660, 735, 790), ("green", "red", "rededge1", "nir")),  # Sequoia
        ((645, 858.5, 469, 555, 1240, 1640, 2130), ("red", "nir", "blue", "green", None, "swir1",
                                                    "swir2")),  # MODIS
        ((None, 665, 5000), (None, "red", None)),
        ((665, 842, 665, 842), ("red", "nir", "red", "nir")),  # of two dates
        ((660, 670), ("red", None)),
    ],
)  # fmt: skip
def test_bands_of_sensors(centres: tuple[float, ...], names: tuple[str, ...]) -> None:
    assert by_wavelength(centres) == names


def test_of_hundreds_of_bands_the_nearest_has_the_name() -> None:
    centres = [400 + 7 * i for i in range(300)]
    names = by_wavelength(centres)
    assert {name: centres[names.index(name)] for name in ("blue", "green", "red", "nir")} == {
        "blue": 491,
        "green": 561,
        "red": 666,
        "nir": 841,
    }
    assert all(names.count(name) == 1 for name in names if name is not None)


def test_a_wide_visible_band_is_panchromatic() -> None:
    assert by_wavelength([590, 560], [170, 60]) == ("pan", "green")
    assert by_wavelength([830], [140]) == ("nir",)


@given(st.lists(st.floats(300, 15_000), max_size=30))
def test_no_band_has_a_name_that_does_not_fit(centres: list[float]) -> None:
    for centre, name in zip(centres, by_wavelength(centres), strict=True):
        assert name is None or name == "rededge1" or fits(name, centre)


@pytest.mark.parametrize(
    ("text", "centre"),
    [
        ("490 Nanometers", 490),
        ("blue (0.49 Micrometers)", 490),
        ("B4, central wavelength 665 nm", 665),
        ("0.63 - 0.69 µm", 660),
        ("band 5 (845-885 nm)", 865),
        ("band 6 (1,565-1,651 nm)", 1608),
        ("10,900 nm", 10_900),
        ("1,609.5 nm", 1609.5),
        ("0,8 µm", 800),
        ("0,630 - 0,690 µm", 660),
        ("664,9 nm", 664.9),
        ("B4,665 nm", 665),
        ("band 8, 0.8 µm", 800),
        ("490,560,665 nm", 665),
        ("10 m", None),
        ("B4", None),
        ("aerosol optical thickness at 550 nm", None),
        ("500 numbers", None),
        ("3 nm", None),
    ],
)
def test_wavelengths_in_descriptions(text: str, centre: float | None) -> None:
    assert wavelength_in(text) == pytest.approx(centre)


@pytest.mark.parametrize(
    ("value", "unit", "centre"),
    [
        ("490", "Nanometers", 490),
        ("0.49", "Micrometers", 490),
        (0.49, "um", 490),
        ("490", None, 490),
        ("0.49", "Unknown", 490),
        ("490", "GHz", None),
        ("0.64\xa0µm\xa0(0.6-0.68\xa0µm)", "%", 640),  # satpy's, with the range behind it
        ("18.7 GHz", None, None),
        ("many", "nm", None),
        (-9999, "nm", None),
    ],
)
def test_units(value: object, unit: str | None, centre: float | None) -> None:
    assert nanometres(value, unit) == pytest.approx(centre)
