"""Patches out of a table of vectors: a row is a patch of one pixel."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from owl_geo.errors import SourceError
from owl_geo.ground.windows import Windows
from owl_geo.settings.sources import VectorsSettings
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.base import PoolSource, build_index, positions_of, read_at
from owl_geo.sources.vectors.paths import name_of_table
from owl_geo.sources.vectors.places import Placed, known_size, place
from owl_geo.sources.vectors.table import Group, VectorTable, by_group
from owl_geo.sources.vectors.times import warn_of_times
from owl_geo.types import EMBEDDING, BoolArray, FloatArray, IntArray, SceneGrid
from owl_geo.wording import counted
from owl_geo.work.progress import Progress
from owl_geo.work.workers import Threads

_log = logging.getLogger("owl_geo")

_FAR = 0.02  # of a place's size: one that is moved farther is worth a word


@dataclass(frozen=True)
class TableSummary:
    """What became of the rows of a table."""

    name: str
    rows: int
    kept: int
    placed: Placed
    without_vector: int
    overlapping: int = 0  # places, whose ground another place shows

    def with_overlapping(self, count: int) -> TableSummary:
        """Return the summary of a table that loses so many of its places to others of its own."""
        return replace(self, kept=self.kept - count, overlapping=self.overlapping + count)

    def __str__(self) -> str:
        width, height = self.placed.width, self.placed.height
        lost = [
            (self.placed.nowhere, "without a geometry"),
            (self.placed.again, "of places that another row has"),
            (self.without_vector, "without a vector"),
            (self.overlapping, "half or more on the ground of another place"),
        ]
        text = f"{self.name}: {self.kept:,} of {counted(self.rows, 'row')} kept, "
        text += f"places of {width:.4g} x {height:.4g} m"
        return text + "".join(f", {count:,} {why}" for count, why in lost if count)


class VectorSource(PoolSource):
    """A PatchSource over a table of vectors, each a place.

    The places become scenes whose pixels are as large as a place; see ``places``. Its bands are the
    dimensions of the vectors, and a patch is a pixel.

    Args:
        settings: the table, with a path that holds from anywhere.
        index: the patch index of an earlier scan; with it no vector is read until it is needed.
        progress: called with (rows done, rows in all) during the scan.
        grids: the lattices of the index; with them no geometry is read before a vector is.

    Raises SourceError.
    """

    def __init__(
        self,
        settings: VectorsSettings,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        grids: Mapping[str, SceneGrid] | None = None,
    ) -> None:
        self._settings = settings
        self._table = VectorTable.of(settings)
        self._summary: tuple[TableSummary, ...] = ()
        if index is not None and grids is not None:
            self._index, self._grids = index, dict(grids)
            return
        if index is not None:
            placed = self._placed_by_vectors()
            self._grids, self._index = _grids_of(placed), index
            self._rows = _rows_of(placed, index, settings.path)
            return
        placed = self._placed()
        there = self._with_vector(progress)
        if placed.again:
            placed = self._placed(there=there)
            twins = placed.twins[there[placed.twins[:, 1]]]
            warn_of_times(self._table, settings.path, *twins.T)
        self._grids = _grids_of(placed)
        self._index, self._rows = self._scanned(placed, there)
        lost = sum(len(one.rows) for one in placed.lattices) - len(self._rows)
        n, name = self._table.n_rows, name_of_table(settings)
        self._summary = (TableSummary(name, n, len(self._rows), placed, lost),)
        _tell_moved(placed, settings.path)

    def _placed(
        self, size: tuple[float, float] | None = None, there: BoolArray | None = None
    ) -> Placed:
        """Return where the places of the table lie, for which all geometries are read.

        Of several rows of one place it is the first, or the first whose vector is ``there``.
        """
        name, path = name_of_table(self._settings), self._settings.path
        table = self._table
        geometries, crs = table.geometries(), table.crs_of_rows()
        return place(geometries, crs, name, path, self._settings.footprint, size, there)

    def _placed_by_vectors(self, size: tuple[float, float] | None = None) -> Placed:
        """Do the same as the scan did; vectors are read only where a place has several rows."""
        placed = self._placed(size)
        return self._placed(size, self._with_vector()) if placed.again else placed

    @cached_property
    def _rows(self) -> IntArray:
        """The row of the table that each patch is, ``(n,)``; found when a vector is read first."""
        # to find the size of a place takes half of the time, and as much memory as all places
        placed = self._placed_by_vectors(known_size(self._grids.values()))
        now = _grids_of(placed)
        gone = [name for name, grid in self._grids.items() if now.get(name) != grid]
        if gone:
            raise SourceError(
                f"{self._settings.path} was replaced: the places of {gone[0]!r} lie elsewhere than "
                "when it was indexed",
                remedy="restore it, or run `owl-geo init RUN --update`",
            )
        return _rows_of(placed, self._index, self._settings.path)

    def _scanned(self, placed: Placed, there: BoolArray) -> tuple[pd.DataFrame, IntArray]:
        """Return the index of the places that have a vector, and the row of the table of each."""
        windows, rows = [], []
        for one in placed.lattices:
            here = there[one.rows]
            kept = slice(None) if here.all() else here  # of millions, nothing is copied
            at = {"row_off": one.row_off[kept], "col_off": one.col_off[kept]}
            windows.append(Windows(one.grid, patch_size=1, **at))
            rows.append(one.rows[kept])
        every = np.concatenate(rows) if len(rows) > 1 else rows[0]
        if len(every) == 0:
            raise SourceError(f"{self._settings.path} has no vectors in {self._table.vector!r}")
        return build_index(windows, {"valid_fraction": np.ones(len(every))}), every

    @property
    def bands(self) -> tuple[str, ...]:
        """The dimensions: the name of the column with a number behind it."""
        return tuple(f"{self._table.vector}_{i}" for i in range(self._table.dimensions))

    @property
    def known_bands(self) -> tuple[KnownBand, ...]:
        """The same, each known for a dimension of an embedding."""
        return tuple(KnownBand(name, EMBEDDING) for name in self.bands)

    @property
    def patch_size(self) -> int:
        """A patch is a pixel."""
        return 1

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """The lattices that places lie on, by name."""
        return self._grids

    @property
    def index(self) -> pd.DataFrame:
        """All places, lattice by lattice, in the order of the rows."""
        return self._index

    @property
    def summary(self) -> Sequence[object]:
        """A line about the rows of the table; empty where a stored index was given."""
        return self._summary

    @property
    def chunk_starts(self) -> IntArray:
        """Positions in the index where reading moves on to another row group or lattice."""
        group = by_group(self._table.groups, self._rows)
        scene, _ = pd.factorize(self._index["scene"], use_na_sentinel=False)
        moves = (np.diff(group) != 0) | (np.diff(scene) != 0)
        return np.concatenate([[0], np.flatnonzero(moves) + 1]).astype(np.int64)

    def keep(self, rows: BoolArray) -> None:
        """Leave out all places but those marked in ``rows``, ``(n,)``."""
        lost = int(np.count_nonzero(~rows))
        self._summary = tuple(entry.with_overlapping(lost) for entry in self._summary)
        self._index = self._index[rows].reset_index(drop=True)
        self._rows = self._rows[rows]

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as settings and index: another process opens the files for itself."""
        return VectorSource, (self._settings, self._index, None, self._grids)

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return float32 ``(n, bands, 1, 1)``, finite, in the order of ``ids``.

        Raises SourceError for an id that is not in the index, or vectors that cannot be read.
        """
        return read_at(self, positions_of(self._index, ids))

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield ``(positions, patches)``, at most ``batch_size`` at a time, as the index has them.

        Row groups are read as they come, a piece of one at a time.
        """
        if positions is None:
            positions = np.arange(len(self._index), dtype=np.int64)
        rows = self._rows[positions]
        groups = by_group(self._table.groups, rows)
        # rows ascend within a lattice, and begin anew with the next
        moves = (np.diff(groups) != 0) | (np.diff(rows) < 0)
        starts = np.concatenate([[0], np.flatnonzero(moves) + 1, [len(rows)]])
        for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            if start == stop:
                continue
            for first, vectors in self._of_group(int(groups[start]), rows[start:stop]):
                for low in range(0, len(vectors), batch_size):
                    part = vectors[low : low + batch_size]
                    at = start + first + low
                    yield positions[at : at + len(part)], part[:, :, None, None]

    def _of_group(self, group: int, rows: IntArray) -> Iterator[tuple[int, FloatArray]]:
        """Yield vectors of ascending rows of a row group, and the position of the first of them."""
        for start, vectors, there in self._table.vectors(self._table.groups[group]):
            low, high = np.searchsorted(rows, [start, start + len(vectors)]).tolist()
            if low < high:
                wanted = rows[low:high] - start
                if not there[wanted].all():
                    raise SourceError(
                        f"{self._settings.path}: a vector is no longer there",
                        remedy="the table changed since it was indexed: init --update",
                    )
                yield low, vectors[wanted]
            if high == len(rows):
                return

    def _with_vector(self, progress: Progress | None = None) -> BoolArray:
        """Return which rows of the table have a vector, ``(n,)``."""
        n = self._table.n_rows
        there = np.zeros(n, dtype=bool)
        for start, of_group in Threads().map(self._there_in, self._table.groups):
            there[start : start + len(of_group)] = of_group
            if progress is not None:
                progress(start + len(of_group), n)
        return there

    def _there_in(self, group: Group) -> tuple[int, BoolArray]:
        pieces = [of_piece for _, _, of_piece in self._table.vectors(group)]
        return group.start, np.concatenate([np.empty(0, dtype=bool), *pieces])


def _grids_of(placed: Placed) -> dict[str, SceneGrid]:
    return {lattice.grid.name: lattice.grid for lattice in placed.lattices}


def _rows_of(placed: Placed, index: pd.DataFrame, path: str) -> IntArray:
    """Return the row of the table that each patch of a stored index is; raises SourceError."""
    rows = np.full(len(index), -1, dtype=np.int64)
    codes, names = pd.factorize(index["scene"], use_na_sentinel=False)
    number = {str(name): code for code, name in enumerate(names)}
    row_off, col_off = (index[name].to_numpy(dtype=np.int64) for name in ("row_off", "col_off"))
    for one in placed.lattices:
        here = np.flatnonzero(codes == number.get(one.grid.name, -1))
        rows[here] = one.rows_at(row_off[here], col_off[here])
    if (rows < 0).any():
        gone = index["patch_id"][rows < 0].iloc[0]
        raise SourceError(
            f"the patch index has {gone}, which {path} has not",
            remedy="the table was replaced; restore it, or run `owl-geo init RUN --update`",
        )
    return rows


def _tell_moved(placed: Placed, path: str) -> None:
    if placed.moved > _FAR * placed.width:
        _log.warning(
            "the places of %s lie on no grid; they are shown up to %.3g m from where they are",
            path,
            placed.moved,
        )
