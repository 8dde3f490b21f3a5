"""What every patch source promises once it is open, and the one way its index is laid out."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from owl_geo.errors import SourceError, nearest
from owl_geo.ground.windows import PoolWindows, Windows, parse_patch_id
from owl_geo.sources.band_choice import KnownBand, known_by_name
from owl_geo.sources.bands import Band
from owl_geo.sources.left_out import NoSceneLeft
from owl_geo.types import (
    BoolArray,
    FailedScene,
    FloatArray,
    IntArray,
    SceneGrid,
    ShownScene,
)

_MANY = 100_000  # patches of an index whose names are not made, or compared, one by one


@runtime_checkable
class PatchSource(Protocol):
    """Where patches come from; nothing downstream asks which kind of source it has."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, in the order of the second axis of ``read``."""

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """The pixel grid of each scene, by scene name."""

    @property
    def index(self) -> pd.DataFrame:
        """All patches in reading order: patch_id, scene, row_off, col_off, valid_fraction, and any
        concept the source itself gives. ``windows_of`` says where they lie."""

    @property
    def chunk_starts(self) -> IntArray:
        """Ascending positions in the index, 0 first, where reading moves on to other blocks.

        Patches between two of them are read together; work that is shared out is cut here.
        """

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return float32 ``(n, bands, height, width)``, finite, in the order of ``ids``.

        Raises SourceError for an id that is not in the index or pixels that cannot be read.
        """

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield ``(positions, patches)``, at most ``batch_size`` at a time, as the index has them.

        All patches, or those at ``positions`` of the index, which must ascend; memory stays
        bounded. Raises SourceError for pixels that cannot be read.
        """


class PoolSource(PatchSource, Protocol):
    """A patch source that a run can be made on.

    What is added here has answers that suit a source of one scene, which can be read or cannot.
    """

    labels: IntArray | None = None  # the class of each patch, ``(n,)``, where the source knows it

    @property
    def known_bands(self) -> tuple[KnownBand, ...]:
        """The bands by name, in their order, with what is known of each."""
        return known_by_name(self.bands)

    @property
    def dates(self) -> Mapping[str, datetime.date]:
        """The day on which each scene was taken, by scene name; none for one that is unknown."""
        return {}

    @property
    def failed(self) -> tuple[FailedScene, ...]:
        """Scenes that were left out, and why; always empty unless errors are skipped."""
        return ()

    @property
    def summary(self) -> Sequence[object]:
        """What became of each scene's windows, a line each as text; empty if nothing is known."""
        return ()

    def keep(self, rows: BoolArray) -> None:
        """Leave out all patches but those marked in ``rows``, ``(n,)``: others show their ground.

        A source of one scene keeps all that it has, since nothing else shows what it shows.
        """
        if not rows.all():
            raise SourceError(f"{int((~rows).sum())} patches show the same ground as others")

    def leave_out(self, scenes: Sequence[FailedScene]) -> None:
        """Leave out scenes that turned out to be of no use; raises NoSceneLeft where all are."""
        if scenes:
            raise NoSceneLeft(scenes)

    def check_bands(self, truth: str | None = None) -> None:
        """Warn of bands that nobody asked for and that do not look like bands.

        Raises SourceError where a band is the mask of its scene, or the ``truth``, a path.
        """
        return

    def raster_bands(self, scene: str) -> tuple[Band, ...]:
        """Return the bands of a scene that GDAL can read through overviews; none if it cannot.

        Raises SourceError for a scene that is missing.
        """
        return ()

    def shown(self, scene: str, rows: IntArray, cols: IntArray) -> tuple[ShownScene, ...]:
        """Return the ways in which QGIS can show a scene around some patches; none if it cannot.

        ``rows`` and ``cols`` are the pixels of the patches' upper left corners, ``(n,)``. Raises
        SourceError for a scene that is missing or cannot be read.
        """
        return ()


def known_bands_of(source: PatchSource) -> tuple[KnownBand, ...]:
    """Return the bands of a source with what is known of each; by their names, if nothing else."""
    known: tuple[KnownBand, ...] | None = getattr(source, "known_bands", None)
    return known_by_name(source.bands) if known is None else known


def build_index(
    scenes: Sequence[Windows],
    columns: Mapping[str, ArrayLike],
) -> pd.DataFrame:
    """Lay out a source's index: scene by scene, each with its windows in the order given.

    ``columns`` has further columns over all patches.
    """
    names = list(dict.fromkeys(windows.grid.name for windows in scenes))
    numbers = np.array([names.index(windows.grid.name) for windows in scenes], dtype=np.int64)
    scene = np.repeat(numbers, [len(windows) for windows in scenes])
    return pd.DataFrame(
        {
            "patch_id": _ids(scenes, len(scene)),
            "scene": pd.Categorical.from_codes(scene, names),  # a few names, millions of times
            "row_off": _joined([windows.row_off for windows in scenes]),
            "col_off": _joined([windows.col_off for windows in scenes]),
            **columns,
        }
    )


def _joined(parts: Sequence[IntArray]) -> IntArray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)  # of millions, without a copy


def _ids(scenes: Sequence[Windows], n: int) -> pd.Series | list[str]:
    """Return the patch_id of each of n patches; of millions, no Python object is made of each."""
    if n < _MANY:
        return [patch_id for windows in scenes for patch_id in windows.ids]
    ids = []
    for windows in scenes:
        name = pa.scalar(windows.grid.name, pa.large_string())
        for start in range(0, len(windows), _MANY):
            rows = slice(start, start + _MANY)
            offsets = (windows.row_off[rows], windows.col_off[rows])
            texts = [pc.cast(pa.array(values), pa.large_string()) for values in offsets]
            ids.append(pc.binary_join_element_wise(name, *texts, pa.scalar("/", name.type)))
    # the type that pandas gives to text
    return pa.table({"patch_id": pa.chunked_array(ids).combine_chunks()}).to_pandas()["patch_id"]


def windows_of(source: PatchSource) -> PoolWindows:
    """Return where the patches of a source lie, in the order of its index."""
    return PoolWindows.from_index(source.index, source.grids, source.patch_size)


def read_at(source: PatchSource, positions: IntArray) -> FloatArray:
    """Return the patches at positions of the index, in the order given, as ``read`` does of ids."""
    ascending, back = np.unique(positions, return_inverse=True)
    size = source.patch_size
    patches = np.empty((len(ascending), len(source.bands), size, size), dtype=np.float32)
    done = 0
    for part, values in source.stream(ascending):
        patches[done : done + len(part)] = values
        done += len(part)
    return patches if np.array_equal(back, np.arange(len(positions))) else patches[back]


def positions_of(index: pd.DataFrame, ids: Sequence[str]) -> IntArray:
    """Return the row of each id in the index, ``(n,)``; raises SourceError for an unknown id."""
    positions = find_positions(index, ids)
    if (positions < 0).any():
        unknown = ids[int(np.argmax(positions < 0))]
        raise SourceError(f"no patch {unknown!r} in the index of {len(index)} patches")
    return positions


def find_positions(index: pd.DataFrame, ids: Sequence[str]) -> IntArray:
    """Return the row of each id in the index, ``(n,)``, -1 for an unknown one.

    In a large index, only patches in the rows and columns that the ids name are looked at: to sort
    millions of names for a few of them takes longer than a round.
    """
    if len(ids) == 0:
        return np.empty(0, dtype=np.int64)
    near = np.arange(len(index)) if len(index) < _MANY else _near(index, ids)
    try:
        positions = _among(index, near, ids)
    except UnicodeEncodeError:  # a word of a command may be any bytes, which name no patch
        names = [one if str(one).isprintable() else "" for one in ids]
        return find_positions(index, names)
    if len(near) < len(index) and (positions < 0).any():  # names may be other than usual
        positions = _among(index, np.arange(len(index)), ids)
    return positions


def nearest_patch(index: pd.DataFrame, patch_id: str) -> str | None:
    """Return the id of the patch that lies nearest to where an unknown id would, in its scene.

    The scene may be misspelt. None where the id names no place: no scene, row and column.
    """
    try:
        scene, row, column = parse_patch_id(patch_id)
        place = float(row), float(column)
    except (ValueError, OverflowError):
        return None
    near = nearest(scene, [str(name) for name in index["scene"].unique()])
    if near is None:
        return None
    there = np.flatnonzero((index["scene"] == near).to_numpy())
    rows, columns = (index[name].to_numpy()[there] for name in ("row_off", "col_off"))
    distance = np.hypot(rows - place[0], columns - place[1])
    return str(index["patch_id"].iloc[there[int(distance.argmin())]])


def _near(index: pd.DataFrame, ids: Sequence[str]) -> IntArray:
    """Return the rows of the index that lie in rows and columns of pixels that ids name."""
    try:
        offsets = np.array([parse_patch_id(one)[1:] for one in ids], dtype=np.int64)
    except (ValueError, OverflowError, AttributeError):
        return np.arange(len(index))
    rows, columns = offsets.reshape(-1, 2).T
    near = np.flatnonzero(_is_one_of(index["row_off"].to_numpy(), rows))
    return near[_is_one_of(index["col_off"].to_numpy()[near], columns)]


def _is_one_of(values: IntArray, wanted: IntArray) -> BoolArray:
    """Return which of some whole numbers, 0 or more, are among those wanted."""
    known = np.zeros(int(values.max(initial=0)) + 1, dtype=bool)
    known[wanted[(wanted >= 0) & (wanted < len(known))]] = True
    return known[values]


def _among(index: pd.DataFrame, rows: IntArray, ids: Sequence[str]) -> IntArray:
    names = index["patch_id"] if len(rows) == len(index) else index["patch_id"].iloc[rows]
    found = pd.Index(names).get_indexer(pd.Index(ids))
    return np.where(found < 0, -1, rows[found] if len(rows) else -1).astype(np.int64)
