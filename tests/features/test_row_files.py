"""Tables of vectors on disk: any rows of them in any order, in the kind that all pieces fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from owl_geo.features import row_files
from owl_geo.features.narrow import QUANTIZED, narrow_vectors, widened
from owl_geo.features.row_files import read_rows, write_pieces
from owl_geo.sources.quantization import dequantized
from owl_geo.types import AnyArray

INTEGERS = np.arange(-127, 128, dtype=np.int8).repeat(4).reshape(-1, 5)  # (204, 5)


@pytest.fixture(params=["int8", "float16", "float32", "quantized"])
def table(request: pytest.FixtureRequest) -> AnyArray:
    if request.param == "quantized":
        return INTEGERS.view(QUANTIZED)
    return INTEGERS.astype(request.param)


@pytest.mark.parametrize("block", [1, 64, 2**18])
@pytest.mark.parametrize("gap", [0, 20, 2**14])
@pytest.mark.parametrize(
    "at",
    [[], [0], [203], [5, 6, 7, 100, 101, 203], [9, 9, 10], [200, 3, 3, 0, 77, 199], [*range(204)]],
)
def test_rows_are_read_in_any_order(
    table: AnyArray,
    at: list[int],
    block: int,
    gap: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    np.save(tmp_path / "x.npy", table)
    monkeypatch.setattr(row_files, "_BLOCK", block)
    monkeypatch.setattr(row_files, "_GAP", gap)
    rows = np.array(at, dtype=np.int64)
    found = read_rows(tmp_path / "x.npy", rows)
    assert found.dtype == table.dtype
    np.testing.assert_array_equal(found, table[rows])
    part = slice(3, 9)
    np.testing.assert_array_equal(read_rows(tmp_path / "x.npy", part), table[part])


def test_a_file_that_ends_too_early_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, INTEGERS)
    path.write_bytes(path.read_bytes()[:-3])
    assert read_rows(path, np.array([202])).tolist() == INTEGERS[[202]].tolist()
    with pytest.raises(OSError, match=r"x\.npy ends too early"):
        read_rows(path, np.array([0, 203]))


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        (["int8", "float16", "int8"], "float16"),
        (["quantized", "quantized"], QUANTIZED),
        (["quantized", "int8", "quantized"], "float32"),
        (["float16", "quantized"], "float32"),
    ],
)
def test_a_later_piece_may_be_wider(
    kinds: list[str], kind: np.typing.DTypeLike, tmp_path: Path
) -> None:
    pieces = [
        INTEGERS.view(QUANTIZED) if one == "quantized" else INTEGERS.astype(one) for one in kinds
    ]
    write_pieces(tmp_path / "x.npy", len(INTEGERS) * len(kinds), iter(pieces))
    found = np.load(tmp_path / "x.npy")
    assert found.dtype == kind
    np.testing.assert_array_equal(widened(found), np.concatenate([*map(widened, pieces)]))
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_vectors_are_kept_in_the_narrowest_kind_that_loses_nothing() -> None:
    values = dequantized(INTEGERS)
    close = values.copy()
    close[-1, -1] = np.nextafter(close[-1, -1], np.float32(2))
    out_of_reach = values.copy()
    out_of_reach[100] = 1.5
    for vectors, kind in (
        (INTEGERS, "int8"),
        (values, QUANTIZED),
        (close, "float32"),
        (out_of_reach, "float32"),
        (INTEGERS / 2, "float16"),
        (INTEGERS * 300.0, "float32"),
    ):
        narrow = narrow_vectors(vectors.astype(np.float32)[:, :, None, None])
        assert narrow.dtype == kind
        np.testing.assert_array_equal(widened(narrow), vectors)
