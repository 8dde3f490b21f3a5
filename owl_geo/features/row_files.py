"""Tables of vectors as ``.npy`` files: written piece by piece, read by the rows that are needed.

They are read, not mapped. A system with large pages maps 2 MB for each row that is touched, and a
few hundred rows anywhere take as much of the process's memory as the whole file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from owl_geo.disk.atomic import writing_file
from owl_geo.features.narrow import Kind, as_kind, common_kind
from owl_geo.types import AnyArray, IntArray

_BLOCK = 2**18  # bytes at most that are read at once, of which some rows are taken
_GAP = 2**14  # bytes that are read as soon as the file is asked once more


def read_rows(path: Path, at: IntArray | slice) -> AnyArray:
    """Return some rows of a table, ``(k, d)``, in any order, in the kind of numbers that it holds.

    Raises OSError, also where the file ends before them.
    """
    with path.open("rb", buffering=0) as file:
        n, width, kind = _read_header(file)
        table = _Rows(file, file.tell(), width * kind.itemsize)
        if isinstance(at, slice):
            first, last, _ = at.indices(n)
            rows = table.span(first, last)
        elif (np.diff(at) >= 0).all():
            rows = table.ascending(at)
        else:
            order = np.argsort(at)
            rows = table.ascending(at[order])[np.argsort(order)]
    return rows.view(kind)


@dataclass(frozen=True)
class _Rows:
    """Rows of ``size`` bytes each, of which the first begins at ``start``."""

    file: FileIO
    start: int
    size: int

    def span(self, first: int, last: int) -> AnyArray:
        """Return rows that lie behind one another, uint8 ``(last - first, size)``."""
        rows = np.empty((last - first, self.size), dtype=np.uint8)
        self._fill(rows, first)
        return rows

    def ascending(self, at: IntArray) -> AnyArray:
        """Return rows at ascending numbers, uint8 ``(k, size)``.

        Those that lie near each other are read together, with what lies between them.
        """
        rows = np.empty((len(at), self.size), dtype=np.uint8)
        block = np.empty((max(_BLOCK // self.size, 1), self.size), dtype=np.uint8)
        moves_on = np.diff(at, prepend=0) > _GAP // self.size
        moves_on |= np.diff(at // len(block), prepend=-1) != 0
        begins = np.flatnonzero(moves_on)
        ends = np.append(begins, len(at))[1:]
        together = zip(*(part.tolist() for part in (begins, ends, at[begins])), strict=True)
        for begin, end, first in together:
            if end - begin == 1:
                self._fill(rows[begin:end], first)
                continue
            offsets = at[begin:end] - first
            part = block[: offsets[-1] + 1]
            self._fill(part, first)
            np.take(part, offsets, axis=0, out=rows[begin:end], mode="clip")  # copied directly
        return rows

    def _fill(self, rows: AnyArray, first: int) -> None:
        self.file.seek(self.start + first * self.size)
        rest = rows.reshape(-1).data
        while len(rest):
            count = self.file.readinto(rest)
            if not count:
                raise OSError(f"{self.file.name} ends too early")
            rest = rest[count:]


def _read_header(file: BinaryIO) -> tuple[int, int, Kind]:
    """Return rows, columns and kind of a table, of which the rows come next."""
    np.lib.format.read_magic(file)
    (n, width), _, kind = np.lib.format.read_array_header_1_0(file)
    return n, width, kind


def write_pieces(path: Path, n: int, pieces: Iterable[AnyArray]) -> None:
    """Write pieces of a table of n rows as one ``.npy``, in the widest type among them.

    It appears whole or not at all; raises OSError.
    """
    with writing_file(path, shared=True, parents=False) as partial:
        kind: Kind | None = None
        width = 0
        for piece in pieces:
            if kind is None:
                kind, width = piece.dtype, piece.shape[1]
                with partial.open("wb") as file:
                    _write_header(file, (n, width), kind)
            elif (wider := common_kind(kind, piece.dtype)) != kind:
                _widen(partial, (n, width), wider)
                kind = wider
            with partial.open("ab") as file:
                file.write(as_kind(piece, kind).tobytes())


def _write_header(file: BinaryIO, shape: tuple[int, int], kind: Kind) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False}
    np.lib.format.write_array_header_1_0(file, {**header, "shape": shape})


def _widen(path: Path, shape: tuple[int, int], kind: Kind) -> None:
    """Write the rows that a file has so far again, as another type."""
    narrow = path.with_name(f"{path.name}.narrow")
    path.rename(narrow)
    try:
        with narrow.open("rb") as source, path.open("wb") as file:
            _, width, old = _read_header(source)
            _write_header(file, shape, kind)
            size = width * old.itemsize
            while block := source.read(max(_BLOCK // size, 1) * size):
                file.write(as_kind(np.frombuffer(block, dtype=old), kind).tobytes())
    finally:
        narrow.unlink()
