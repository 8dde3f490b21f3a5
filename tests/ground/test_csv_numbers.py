"""Coordinates that have lost digits in a spreadsheet are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pyproj import CRS

from owl_geo.ground.vector_files import read


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            "5.00E+05,5.00E+06\n5.01E+05,5.00E+06\n",
            "easting are rounded to 1,000, such as 5.00E+05",
        ),
        ('"5,00E+05","5,00E+06"\n', "easting are rounded to 1,000, such as 5,00E+05"),
        ("500100,4.99990E+06\n500200,5.00E+06\n", None),
        ("5e+05,4.9e+06\n500100,4999900\n", None),  # as R writes round numbers
        ("5.001234E+05,4.999912E+06\n", None),
        ("5.00123456E+05,4.99991234E+06\n500100,\n", None),
    ],
)
def test_coordinates_that_a_spreadsheet_has_rounded(
    rows: str, said: str | None, tmp_path: Path
) -> None:
    """The format of its cells leaves two digits, and all sites lie in one place."""
    (tmp_path / "a.csv").write_text(f"easting,northing\n{rows}")
    if said is None:
        assert len(read(str(tmp_path / "a.csv"), crs=CRS("EPSG:32632")))
        return
    with pytest.raises(ValueError, match=re.escape(said)):
        read(str(tmp_path / "a.csv"), crs=CRS("EPSG:32632"))


def test_degrees_that_a_spreadsheet_has_rounded(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("lon,lat\n9.00E+00,4.52E+01\n9.01E+00,4.51E+01\n")
    with pytest.raises(ValueError, match=r"lon are rounded to 0\.01, such as 9\.00E\+00"):
        read(str(tmp_path / "a.csv"))
    (tmp_path / "a.csv").write_text("lon,lat\n9.00123E+00,4.521234E+01\n")
    assert len(read(str(tmp_path / "a.csv"))) == 1
