"""Plain values that several rooms share; no behaviour beyond what their fields imply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
AnyArray = NDArray[Any]

# What a band is that is a dimension of an embedding, where others are red or near infrared.
EMBEDDING = "embedding"

# Values beyond it are taken for missing ones: nothing measures as much, and float32 holds the
# squares of these and their sums. What programs write for no data, such as -3.4e38, is one.
LARGEST = 1e18


@dataclass(frozen=True)
class SceneGrid:
    """The pixel grid of one scene.

    ``transform`` holds the six affine terms ``(a, b, c, d, e, f)`` in the order of
    ``rasterio.Affine``: ``x = a*col + b*row + c``, ``y = d*col + e*row + f``, in units of ``crs``.
    Any invertible transform is allowed, including those of south-up and rotated scenes.
    """

    name: str
    crs: str  # "EPSG:32631", or WKT if the CRS has no authority code
    transform: tuple[float, float, float, float, float, float]
    height: int  # rows
    width: int  # columns


@dataclass(frozen=True)
class FailedScene:
    """A scene that was left out, and the reason in one line that names it."""

    name: str
    reason: str


@dataclass(frozen=True)
class BandOrigin:
    """What a band is of: the scene itself, or a view, a further raster of the same ground."""

    view: str = ""  # the view's name; empty = the band is the scene's own
    # the view's own values, their difference from those of the scene, or where the view has data
    what: Literal["values", "change", "seen"] = "values"
    common: str | None = None  # red, nir, ... of a view's band; None where that is unknown


OF_SCENE = BandOrigin()


@dataclass(frozen=True)
class BandStatistics:
    """Robust centre and spread of each band over a sample of the pool, float32 ``(bands,)``.

    Those of a view are taken where it has data.
    """

    bands: tuple[str, ...]
    median: FloatArray
    scale: FloatArray  # interquartile range / 1.349, as for a normal distribution; never 0
    n_patches: int  # size of the sample
    # what each band is: red, nir, ...; None where unknown, empty where only the names tell
    # (None for bands of views, whose origin tells)
    common_names: tuple[str | None, ...] = ()
    origins: tuple[BandOrigin, ...] = ()  # of each band; empty where all are the scene's own
    # whether products told what bands are, where older runs went by the colours of the files alone
    by_product: bool = True

    def of(self, view: str, what: str = "values") -> tuple[int, ...]:
        """Return the positions of the bands of a view, or of the scene if ``view`` is empty."""
        origins = self.origins or (OF_SCENE,) * len(self.bands)
        return tuple(i for i, one in enumerate(origins) if (one.view, one.what) == (view, what))

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views that there are bands of."""
        return tuple(dict.fromkeys(origin.view for origin in self.origins if origin.view))

    def take(self, positions: Sequence[int]) -> BandStatistics:
        """Return the statistics of some bands, in the order of ``positions``."""
        at = list(positions)
        return BandStatistics(
            tuple(self.bands[i] for i in at),
            self.median[at],
            self.scale[at],
            self.n_patches,
            tuple(self.common_names[i] for i in at) if self.common_names else (),
            tuple(self.origins[i] for i in at) if self.origins else (),
            self.by_product,
        )

    @property
    def of_scene(self) -> BandStatistics:
        """The statistics of the scene's own bands, as if there were no view."""
        return replace(self.take(self.of("")), origins=()) if self.origins else self

    def dimensions(self, positions: Sequence[int]) -> tuple[int, ...]:
        """Return which of the bands at some positions are dimensions of an embedding."""
        return tuple(i for i in positions if self._common(i) == EMBEDDING)

    def _common(self, i: int) -> str | None:
        origin = self.origins[i] if self.origins else OF_SCENE
        if origin.view:
            return origin.common
        return self.common_names[i] if self.common_names else None


@dataclass(frozen=True)
class Answer:
    """One annotator's label for one patch."""

    patch_id: str
    label: str | None  # a class, "unsure" or "skip"; None withdraws the annotator's earlier answer
    annotator: str
    labelled_at: str  # UTC, "2026-01-31T12:00:00Z"
    batch_id: str
    round: int
    comment: str | None = None
    stamped: bool = True  # False: the annotator gave no time; labelled_at is when it was ingested


@dataclass(frozen=True)
class ShownRaster:
    """One raster of a view as QGIS shows it: which of its bands, and between which values.

    The values are those that GDAL reads, with the scale and the offset in the file's header.
    """

    view: str
    paths: tuple[str, ...]  # as GDAL opens them: one file, or a file for each of the bands
    bands: tuple[int, ...]  # red, green and blue, or one in grey; numbers within the files, from 1
    stretch: tuple[tuple[float, float], ...]  # of each band, what is black and what is brightest


@dataclass(frozen=True)
class ShownScene:
    """A way in which QGIS shows a scene: which of its bands, and between which values.

    The values are those that GDAL reads, with the scale and the offset in the file's header.
    """

    scene: str
    colours: str  # natural, false, or first: the first bands, since nothing says what they are
    paths: tuple[str, ...]  # as GDAL opens them: one file, or a file for each of the bands
    bands: tuple[int, ...]  # shown as red, green and blue, or one in grey; from 1
    stretch: tuple[tuple[float, float], ...]  # of each band, what is black and what is brightest
    unknown: tuple[str, ...]  # of red, green, blue and nir, what no band is known to be
