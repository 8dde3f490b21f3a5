"""Patches drawn from a seed, with labels that follow concepts: for tests, demos and tutorials.

The draws are those of the well-known tutorial generator, so its numbers can be compared with ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from pydantic import ValidationError

from owl_geo.errors import SourceError
from owl_geo.ground.windows import Windows
from owl_geo.settings.sources import SyntheticSettings
from owl_geo.sources.base import PoolSource, build_index, positions_of
from owl_geo.sources.unopened_synthetic import NEAR
from owl_geo.types import AnyArray, FloatArray, IntArray, SceneGrid

LAND_COVER = ("forest", "urban", "water", "agricultural")

_URBAN = LAND_COVER.index("urban")
_BLOCK = 256  # patches between two kept generator states
_SCENE = "synthetic"
_PIXEL = 10.0  # metres


class SyntheticSource(PoolSource):
    """A PatchSource whose images are noise and whose labels follow two concepts.

    Per patch, one legacy ``RandomState(seed)`` draws in this order: the image, uniform in [0, 1);
    the land cover by ``randint(0, 4)``; the distance to industry by ``rand()``, without a unit; and
    one ``rand()`` that makes the label 1 where it is below 0.1, plus 0.3 where urban, plus 0.4
    where the distance is below 0.3.

    With ``signal`` above 0, land cover shifts the mean of each band, and a target brightens the
    patch's centre, more in some patches than in others; the draws above stay as they are.

    Patches lie edge to edge on a square grid of 10 m pixels in EPSG:32631, in the ocean off
    Null Island. Images are drawn again whenever they are read, so memory does not grow with
    ``n_samples``.

    Attributes:
        labels: int64 ``(n_samples,)``, 1 = target.
        concepts: a table with ``land_cover`` (text) and ``dist_industrial`` (0 to 1, no unit).
    """

    def __init__(
        self,
        n_samples: int = 500,
        image_size: int = 32,
        n_bands: int = 4,
        seed: int = 42,
        signal: float = 0.0,
    ) -> None:
        try:
            settings = SyntheticSettings(
                n_samples=n_samples,
                image_size=image_size,
                n_bands=n_bands,
                seed=seed,
                signal=signal,
            )
        except ValidationError as error:
            from owl_geo.sources.tiled import one_line  # which the generator does not wait for

            raise SourceError(one_line(error)) from error
        self._draw(settings)

    @classmethod
    def from_settings(cls, settings: SyntheticSettings) -> SyntheticSource:
        """Build the source that owl.toml describes."""
        source = cls.__new__(cls)
        source._draw(settings)
        return source

    def _draw(self, settings: SyntheticSettings) -> None:
        """Draw all but the images, and keep the generator's states from which these follow."""
        n_samples, seed = settings.n_samples, settings.seed
        self._settings = settings
        self._shape = (settings.n_bands, settings.image_size, settings.image_size)
        self._states: list[dict[str, object]] = []
        self._land_cover = np.empty(n_samples, dtype=np.int64)
        distance = np.empty(n_samples, dtype=np.float64)
        self.labels: IntArray = np.empty(n_samples, dtype=np.int64)

        random = np.random.RandomState(seed)
        for i in range(n_samples):
            if i % _BLOCK == 0:
                self._states.append(random.get_state(legacy=False))
            random.random_sample(self._shape)
            self._land_cover[i] = random.randint(0, 4)  # nosec B311
            distance[i] = random.rand()
            probability = 0.1
            probability += 0.3 if self._land_cover[i] == _URBAN else 0.0
            probability += 0.4 if distance[i] < NEAR else 0.0
            self.labels[i] = int(random.rand() < probability)

        self.concepts = pd.DataFrame(
            {
                "land_cover": np.array(LAND_COVER, dtype=object)[self._land_cover],
                "dist_industrial": distance,
            }
        )
        # how visible each target is: a generator of its own, so that the tutorial's draws stay
        self._visibility = np.random.default_rng([seed, 1]).random(n_samples).astype(np.float32)
        self._block = lru_cache(maxsize=4)(self._draw_block)
        self._index = self._lay_out()

    @property
    def bands(self) -> tuple[str, ...]:
        """``band_1`` and so on."""
        return tuple(f"band_{i + 1}" for i in range(self._settings.n_bands))

    @property
    def patch_size(self) -> int:
        """Height and width of a patch in pixels."""
        return self._settings.image_size

    @property
    def grids(self) -> Mapping[str, SceneGrid]:
        """The one made-up scene."""
        return {_SCENE: self._grid}

    @property
    def index(self) -> pd.DataFrame:
        """All patches, with the two concepts that the generator gives."""
        return self._index

    @property
    def chunk_starts(self) -> IntArray:
        """Where the generator's blocks begin."""
        return np.arange(0, max(self._settings.n_samples, 1), _BLOCK, dtype=np.int64)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as settings: the same seed gives the same patches anywhere."""
        return type(self).from_settings, (self._settings,)

    def read(self, ids: Sequence[str]) -> FloatArray:
        """Return the patches in the order of ``ids``, float32 ``(n, bands, height, width)``."""
        return self._at(positions_of(self._index, ids))

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield ``(positions, patches)``, at most ``batch_size`` at a time, in index order."""
        if positions is None:
            positions = np.arange(len(self._index), dtype=np.int64)
        for start in range(0, len(positions), batch_size):
            part = positions[start : start + batch_size]
            yield part, self._at(part)

    def _at(self, positions: IntArray) -> FloatArray:
        """Return the patches at positions of the index, in their order."""
        images = np.empty((len(positions), *self._shape), dtype=np.float32)
        for block in np.unique(positions // _BLOCK):
            mine = np.flatnonzero(positions // _BLOCK == block)
            images[mine] = self._block(int(block))[positions[mine] % _BLOCK]
        return images

    def _lay_out(self) -> pd.DataFrame:
        size, n = self._settings.image_size, self._settings.n_samples
        columns = int(np.ceil(np.sqrt(n)))
        rows = int(np.ceil(n / columns))
        self._grid = SceneGrid(
            name=_SCENE,
            crs="EPSG:32631",
            transform=(_PIXEL, 0.0, 500_000.0, 0.0, -_PIXEL, rows * size * _PIXEL),
            height=rows * size,
            width=columns * size,
        )
        order = np.arange(n, dtype=np.int64)
        windows = Windows(
            self._grid,
            row_off=order // columns * size,
            col_off=order % columns * size,
            patch_size=size,
        )
        return build_index(
            [windows],
            {
                "valid_fraction": np.ones(n),
                **{name: self.concepts[name].tolist() for name in self.concepts},
            },
        )

    def _draw_block(self, block: int) -> FloatArray:
        """Draw the images of one block again, from the state kept where the block begins."""
        random = np.random.RandomState()
        random.set_state(self._states[block])
        first = block * _BLOCK
        last = min(first + _BLOCK, self._settings.n_samples)
        images = np.empty((last - first, *self._shape), dtype=np.float32)
        for i in range(last - first):
            images[i] = random.random_sample(self._shape)
            random.randint(0, 4)  # nosec B311
            random.random_sample(2)
        if self._settings.signal > 0:
            self._add_signal(images, slice(first, last))
        images.setflags(write=False)  # blocks are shared between calls
        return images

    def _add_signal(self, images: FloatArray, which: slice) -> None:
        """Shift band means by land cover and brighten the centre of targets, in place."""
        n_bands, size, _ = self._shape
        strength = np.float32(self._settings.signal)
        phase = np.arange(4)[:, None] / 4 + np.arange(n_bands)[None, :] / n_bands
        signature: AnyArray = 0.25 * np.cos(2 * np.pi * phase).astype(np.float32)
        images += strength * signature[self._land_cover[which], :, None, None]
        inner = slice(size // 4, size - size // 4)
        glow = strength * self.labels[which] * self._visibility[which]
        images[:, :, inner, inner] += glow[:, None, None, None].astype(np.float32)
