"""What every patch source promises once it is open, and the one way its index is laid out."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from owl_geo.errors import SourceError
from owl_geo.ground.windows import PoolWindows, Windows
from owl_geo.sources.band_choice import KnownBand, known_by_name
from owl_geo.sources.bands import Band
from owl_geo.sources.left_out import NoSceneLeft
from owl_geo.types import (
    AnyArray,
    BoolArray,
    FailedScene,
    FloatArray,
    IntArray,
    SceneGrid,
    ShownScene,
)


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
    names: AnyArray = np.array([windows.grid.name for windows in scenes], dtype=object)
    return pd.DataFrame(
        {
            "patch_id": [patch_id for windows in scenes for patch_id in windows.ids],
            "scene": np.repeat(names, [len(windows) for windows in scenes]),
            "row_off": np.concatenate([windows.row_off for windows in scenes]),
            "col_off": np.concatenate([windows.col_off for windows in scenes]),
            **columns,
        }
    )


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
    return positions_among(pd.Index(index["patch_id"]), ids)


def positions_among(all_ids: pd.Index, ids: Sequence[str]) -> IntArray:
    """Return the position of each id among all, as ``positions_of`` does.

    What pandas looks them up in is made once for each ``all_ids``, and is large in a large pool.
    """
    positions = all_ids.get_indexer(pd.Index(ids))
    if (positions < 0).any():
        unknown = ids[int(np.argmax(positions < 0))]
        raise SourceError(f"no patch {unknown!r} in the index of {len(all_ids)} patches")
    return np.asarray(positions, dtype=np.int64)
