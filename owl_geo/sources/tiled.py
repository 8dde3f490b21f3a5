"""What sources over stored pixels share: the scan, the index, and patches cut chunk by chunk."""

from __future__ import annotations

import datetime
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
from pydantic import ValidationError

from owl_geo.errors import SourceError
from owl_geo.ground.tiling import Chunk, chunks
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.sources.area import AreaOfInterest
from owl_geo.sources.band_choice import KnownBand
from owl_geo.sources.bands import Band
from owl_geo.sources.base import PoolSource, positions_of, read_at
from owl_geo.sources.chunked import ChunkedScene, Pixels
from owl_geo.sources.cutting import cut
from owl_geo.sources.left_out import NoSceneLeft
from owl_geo.sources.prefetch import prefetched
from owl_geo.sources.scan import Scan, SceneSummary, scan
from owl_geo.sources.unopened import TiledSettings
from owl_geo.types import BoolArray, FailedScene, FloatArray, IntArray, SceneGrid
from owl_geo.work.progress import Progress

# Patches that fill less of a chunk than this are read block by block.
_SPARSE = 0.25


SceneT = TypeVar("SceneT", bound=ChunkedScene)


class TiledSource(PoolSource, Generic[SceneT]):
    """A PatchSource over scenes that are cut into windows; the index is scanned when first needed.

    Args:
        scenes: with the same bands, each with a name of its own.
        settings: patch size, stride, the share of valid pixels and the area of interest.
        index: the patch index of an earlier scan; with it no scene is scanned.
        progress: called with (windows done, windows in all) during the scan.
        skip: whether scenes that cannot be read are left out; ``failed`` names them.
        may_be_empty: whether the index may be without a patch.

    Raises SourceError.
    """

    def __init__(
        self,
        scenes: Sequence[SceneT],
        settings: TiledSettings,
        index: pd.DataFrame | None,
        progress: Progress | None,
        *,
        skip: bool = False,
        may_be_empty: bool = False,
    ) -> None:
        self._skip = skip
        self._may_be_empty = may_be_empty
        self._failed: tuple[FailedScene, ...] = ()
        self._tiled = {scene.name: scene for scene in scenes}
        self._bands = tuple(band.name for band in scenes[0].bands)
        self._known_bands = tuple(KnownBand(band.name, band.common) for band in scenes[0].bands)
        self._tiling = settings
        self._progress = progress
        self._area = AreaOfInterest(settings.aoi) if settings.aoi and index is None else None
        self._layout: _Layout | None = None
        self._summary: tuple[SceneSummary, ...] = ()
        if index is not None:
            self._lay_out(Scan(index, ()))

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the second axis of ``read``."""
        return self._bands

    @property
    def known_bands(self) -> tuple[KnownBand, ...]:
        """The same bands with what is known of each."""
        return self._known_bands

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self._tiling.patch_size

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """The pixel grid of each scene, by scene name."""
        return {name: scene.grid for name, scene in self._tiled.items()}

    @property
    def dates(self) -> Mapping[str, datetime.date]:
        """The day on which each scene was taken, by scene name; none for one that is unknown."""
        days = ((name, scene.date) for name, scene in self._tiled.items())
        return {name: day for name, day in days if day is not None}

    def scene(self, name: str) -> SceneT:
        """Return what holds the pixels of a scene; KeyError where there is none."""
        return self._tiled[name]

    @property
    def index(self) -> pd.DataFrame:
        """All patches in reading order; the first call scans the scenes."""
        return self._scanned().index

    @property
    def summary(self) -> tuple[SceneSummary, ...]:
        """What became of each scene's windows; empty where a stored index was given."""
        self._scanned()
        return self._summary

    @property
    def failed(self) -> tuple[FailedScene, ...]:
        """Scenes that were left out, and why; always empty unless errors are skipped."""
        self._scanned()
        return self._failed

    def leave_out(self, scenes: Sequence[FailedScene]) -> None:
        """Leave out scenes that turned out to be of no use; raises NoSceneLeft where all are."""
        layout = self._scanned()
        names = {scene.name for scene in scenes}
        if names.issuperset(self._tiled):
            raise NoSceneLeft([*self._failed, *scenes])
        kept = layout.index[~layout.index["scene"].isin(names)].reset_index(drop=True)
        summary = tuple(entry for entry in self._summary if entry.scene not in names)
        self._lay_out(Scan(kept, summary, tuple(scenes)))

    def keep(self, rows: BoolArray) -> None:
        """Leave out all patches but those marked in ``rows``, ``(n,)``."""
        if rows.all():
            return
        index = self._scanned().index
        lost = index["scene"][~rows].value_counts()
        self._summary = tuple(
            entry.with_seen_elsewhere(int(lost.get(entry.scene, 0))) for entry in self._summary
        )
        self._lay_out(Scan(index[rows].reset_index(drop=True), self._summary))

    @property
    def chunk_starts(self) -> IntArray:
        """Positions in the index, 0 first, where reading moves on to other blocks or scenes."""
        layout = self._scanned()
        windows = layout.windows
        shapes = [self._tiled[name].chunk_shape(self.patch_size) for name in windows.grids]
        rows, cols = np.array(shapes, dtype=np.int64)[windows.scene].T
        moves = np.diff(windows.scene) != 0
        moves |= np.diff(windows.row_off // rows) != 0
        moves |= np.diff(windows.col_off // cols) != 0
        return np.concatenate([[0], np.flatnonzero(moves) + 1])

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as settings, index and bands: another process opens the files for itself."""
        return _reopened, (type(self), self._tiling, self.index, self._known_bands)

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return float32 ``(n, bands, height, width)``, finite, in the order of ``ids``.

        Raises SourceError for an id that is not in the index or pixels that cannot be read.
        """
        return read_at(self, positions_of(self.index, ids))

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield ``(positions, patches)``, at most ``batch_size`` at a time, as the index has them.

        All patches, or those at ascending positions. Pixels are read in chunks of whole blocks, the
        next one while the caller works on this one; two chunks are in memory at once.
        """
        layout = self._scanned()
        if positions is None:
            positions = np.arange(len(layout.index), dtype=np.int64)
        done = 0
        for patches in self._patches(layout, positions, batch_size):
            yield positions[done : done + len(patches)], patches
            done += len(patches)

    def _scanned(self) -> _Layout:
        if self._layout is None:
            self._check_scannable()
            try:
                result = scan(
                    tuple(self._tiled.values()),
                    size=self.patch_size,
                    stride=self._tiling.stride or self.patch_size,
                    min_valid=self._tiling.min_valid,
                    area=self._area,
                    progress=self._progress,
                    check=lambda scene: self._check_scene(self._tiled[scene.name]),
                    skip=self._skip,
                    may_be_empty=self._may_be_empty,
                )
            except NoSceneLeft as error:
                raise NoSceneLeft([*self._failed, *error.failed]) from error
            self._look_at(result.summary)
            return self._lay_out(result)
        return self._layout

    def _check_scannable(self) -> None:
        """Raise SourceError where a scan would make no sense; for sources that know of a reason."""

    def _check_scene(self, scene: SceneT) -> None:
        """Raise SourceError for a scene that cannot serve; for sources that know of a reason."""

    def _look_at(self, summary: Sequence[SceneSummary]) -> None:
        """Warn of what a scan found, where that looks like a mistake."""

    def _lay_out(self, result: Scan) -> _Layout:
        for scene in result.failed:
            del self._tiled[scene.name]
        self._failed += result.failed
        self._layout = _Layout.of(result.index, self.grids, self.patch_size)
        self._summary = result.summary
        return self._layout

    def _patches(
        self, layout: _Layout, positions: IntArray, batch_size: int
    ) -> Generator[FloatArray, None, None]:
        """Yield the patches at ascending positions of the index, ``batch_size`` at most at once."""
        if len(positions) == 0:
            return

        def loaded() -> Generator[tuple[Windows, list[_Piece]], None, None]:
            for windows in layout.windows.take(positions).runs():
                scene = self._tiled[windows.grid.name]
                with scene.reader() as reader:
                    for chunk in chunks(windows, *scene.chunk_shape(self.patch_size)):
                        yield (
                            windows,
                            [
                                _Piece(members, reader.pixels(part))
                                for members, part in _parts(chunk, windows, scene.blocks)
                            ],
                        )

        for windows, pieces in prefetched(loaded()):
            bands = self._tiled[windows.grid.name].bands
            first = min(int(piece.members[0]) for piece in pieces)
            last = max(int(piece.members[-1]) for piece in pieces) + 1
            for start in range(first, last, batch_size):
                which = slice(start, min(start + batch_size, last))
                if len(pieces) == 1:
                    yield cut(pieces[0].pixels, bands, windows.take(which))
                else:
                    yield _collect(pieces, bands, windows, which)


def _reopened(
    kind: Any, settings: object, index: pd.DataFrame, known: Sequence[KnownBand]
) -> TiledSource[Any]:
    source: TiledSource[Any] = kind.from_settings(settings, index=index, known=known)
    return source


def _collect(
    pieces: Sequence[_Piece], bands: Sequence[Band], windows: Windows, which: slice
) -> FloatArray:
    """Cut the patches of the windows at ``which`` from the pieces that they lie in."""
    size = windows.patch_size
    patches = np.empty((which.stop - which.start, len(bands), size, size), dtype=np.float32)
    for piece in pieces:
        low, high = np.searchsorted(piece.members, [which.start, which.stop])
        mine = piece.members[low:high]
        patches[mine - which.start] = cut(piece.pixels, bands, windows.take(mine))
    return patches


@dataclass(frozen=True)
class _Piece:
    """Pixels, and the patches that are cut from them."""

    members: IntArray  # positions among the windows of a scene, ascending
    pixels: Pixels


@dataclass(frozen=True)
class _Layout:
    """The index, and where its patches lie."""

    index: pd.DataFrame
    windows: PoolWindows

    @classmethod
    def of(cls, index: pd.DataFrame, grids: Mapping[str, SceneGrid], size: int) -> _Layout:
        """Raises SourceError where the index has patches that the scenes have not."""
        is_unknown = ~index["scene"].isin(list(grids))
        if is_unknown.any():
            unknown = index["scene"][is_unknown].iloc[0]
            raise SourceError(
                f"the patch index has scene {unknown!r}, the settings have {', '.join(grids)}"
            )
        windows = PoolWindows.from_index(index, grids, size)
        height = np.array([grid.height for grid in grids.values()])[windows.scene]
        width = np.array([grid.width for grid in grids.values()])[windows.scene]
        outside = (windows.row_off + size > height) | (windows.col_off + size > width)
        if outside.any():
            raise SourceError(
                f"the patch index does not fit the scenes: {index['patch_id'][outside].iloc[0]} "
                "reaches past the edge",
                remedy="the scene was replaced, or patch_size changed: restore it, or run `owl-geo "
                "init RUN --update`",
            )
        return cls(index, windows)


def one_line(error: ValidationError) -> str:
    """Return the first of pydantic's findings on a source's arguments, in one line."""
    first = error.errors()[0]
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    where = ".".join(str(part) for part in first["loc"])
    return f"{where} is {first['input']!r}, but it {first['msg'].removeprefix('Input ')}"


def _parts(
    chunk: Chunk, windows: Windows, blocks: tuple[int, int]
) -> Iterator[tuple[IntArray, Chunk]]:
    """Split a chunk with few patches into cells of a block; yield each with its patches."""
    size = windows.patch_size
    members = np.arange(chunk.first, chunk.last, dtype=np.int64)
    if len(members) * size**2 >= _SPARSE * chunk.height * chunk.width:
        yield members, chunk
        return
    height, width = max(blocks[0], size), max(blocks[1], size)
    row_off, col_off = windows.row_off[members], windows.col_off[members]
    members = members[np.lexsort((members, col_off // width, row_off // height))]
    for cell in chunks(windows.take(members), height, width):
        yield members[cell.first : cell.last], cell
