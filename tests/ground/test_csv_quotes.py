"""A quote too many makes rows of a CSV a part of a value, which is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from owl_geo.ground.vector_files import read

_ROWS = [f"9.{i},47.{i},n{i}" for i in range(6)]


def _write(path: Path, rows: list[str], header: str = "lon,lat,name") -> str:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def _with(number: int, text: str, rows: list[str] = _ROWS) -> list[str]:
    changed = rows.copy()
    changed[number] = changed[number].replace(f"n{number}", text)
    return changed


@pytest.mark.parametrize(
    ("rows", "begins", "held"),
    [
        (_with(1, '"a"" '), 3, "4 lines that are rows"),  # up to the end of the file
        (['"' + _ROWS[0], *_ROWS[1:]], 2, "5 lines that are rows"),
        (_with(3, '"b"" ', _with(1, '"a"" ')), 3, "1 line that is a row"),
        (_with(4, '"the last but one'), 6, "1 line that is a row"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_rows_within_a_value_are_refused(
    tmp_path: Path, rows: list[str], begins: int, held: str, delimiter: str
) -> None:
    header, *rest = (row.replace(",", delimiter) for row in ["lon,lat,name", *rows])
    path = _write(tmp_path / "a.csv", rest, header)
    with pytest.raises(ValueError, match=rf"begins on line {begins} holds {held}: a quote within"):
        read(path)


def test_rows_of_wkt_within_a_value_are_refused(tmp_path: Path) -> None:
    rows = [f'"POINT (9.{i} 47)",n{i}' for i in range(4)]
    path = _write(tmp_path / "a.csv", _with(1, '"a"" ', rows), "WKT,name")
    with pytest.raises(ValueError, match="begins on line 3 holds 1 line that is a row"):
        read(path)


@pytest.mark.parametrize(
    "text",
    [
        '5" pipe',  # GDAL and Python take a quote within a value as it is
        '"5"" pipe"',
        '"several\nlines\nof text"',
        '"several, and with\ncommas, in each\nof them, too"',
        '""',
    ],
)
def test_texts_with_quotes_or_several_lines_are_read(tmp_path: Path, text: str) -> None:
    found = read(_write(tmp_path / "a.csv", _with(1, text)))
    assert len(found) == 6 and found.geometry.x.tolist() == [9.0, 9.1, 9.2, 9.3, 9.4, 9.5]
    assert found["name"][1] == (text[1:-1].replace('""', '"') if text[0] == '"' else text) or None


def test_a_text_before_the_coordinates_may_have_several_lines(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", ['"two\nlines",9,47', "one,9.1,47"], "name,lon,lat")
    assert read(path)["name"].tolist() == ["two\nlines", "one"]
