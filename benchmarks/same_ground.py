"""How long it takes to find the ground that a thousand scenes share, beside making the run.

    python -m benchmarks.same_ground [PATCHES]

Prints for each way in which scenes may overlap: patches, places, seconds, those of ``init`` on the
same scenes in the same process, and the former as a share of the latter, of which they are part.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from math import ceil
from pathlib import Path

import numpy as np
import rasterio

from owl_geo import init
from owl_geo.ground.same_ground import SharedGround
from owl_geo.settings.sources import GeoTiffSettings, SceneSettings
from owl_geo.sources.area import windows_in_area
from owl_geo.types import SceneGrid

SIZE = 8  # pixels a patch
_SCENES = 1024
_SIDE = 32  # scenes a side, of those that lie beside each other


Layout = Callable[[int], SceneGrid]  # from the number of a scene


def main(n_patches: int = 1_048_576) -> None:
    """Look for shared ground in each layout, and make a run on it."""
    _found(layouts(_SCENES)["the same, of two zones"])  # what is imported at first use
    print(f"{'scenes':<36}{'patches':>10}{'places':>10}{'seconds':>9}{'init':>9}{'share':>9}")
    for name, layout in layouts(n_patches).items():
        patches, places, seconds = _found(layout)
        whole = _seconds_of_init(layout)
        print(
            f"{name:<36}{patches:>10,}{places:>10,}{seconds:>9.1f}{whole:>9.0f}"
            f"{100 * seconds / whole:>7.1f} %",
            flush=True,
        )


def layouts(n_patches: int) -> dict[str, Layout]:
    """Return ways in which a thousand scenes of so many patches may overlap, by name."""
    per_side = ceil((n_patches / _SCENES) ** 0.5)  # patches
    pixels = per_side * SIZE
    edge = pixels * 10.0  # metres
    shifts = np.random.default_rng(0).integers(0, SIZE, (_SCENES, 2)) * 10.0
    tiles = [divmod(n, _SIDE) for n in range(_SCENES)]
    return {
        "tiles that overlap by a tenth": lambda n: _grid(
            n, pixels, tiles[n][0] * 0.9 * edge // 10 * 10, tiles[n][1] * 0.9 * edge // 10 * 10
        ),
        "the same, of two zones": lambda n: _in_a_zone(n, tiles[n], pixels, edge),
        "dates on one grid": lambda n: _grid(n, pixels, 0, 0),
        "dates, each with a grid of its own": lambda n: _grid(n, pixels, *shifts[n]),
    }


def _found(layout: Layout) -> tuple[int, int, float]:
    """Return how many patches and places the scenes have, and the seconds to find that."""
    grids = {f"s{n}": layout(n) for n in range(_SCENES)}
    windows = windows_in_area(grids, _settings([]))
    started = time.perf_counter()
    places = int(SharedGround(windows).once(np.zeros(len(windows))).sum())
    return len(windows), places, time.perf_counter() - started


def _seconds_of_init(layout: Layout) -> float:
    with tempfile.TemporaryDirectory() as folder:
        paths = [_written(Path(folder), layout(n)) for n in range(_SCENES)]
        started = time.perf_counter()
        init(Path(folder) / "run", {"source": _settings(paths).model_dump(exclude_none=True)})
        return time.perf_counter() - started


def _grid(n: int, pixels: int, x: float, y: float, crs: str = "EPSG:32631") -> SceneGrid:
    transform = (10.0, 0.0, 500_000.0 + x, 0.0, -10.0, 5_000_000.0 - y)
    return SceneGrid(f"s{n}", crs, transform, pixels, pixels)


def _in_a_zone(n: int, tile: tuple[int, int], pixels: int, edge: float) -> SceneGrid:
    """Return a scene of zone 31 or 32, in turns, on either side of 6 degrees east."""
    x, y = (0.9 * edge * step // 10 * 10 for step in tile)
    if n % 2:
        return _grid(n, pixels, x + 220_000, y)
    return _grid(n, pixels, x - 252_000, y, "EPSG:32632")


def _settings(paths: list[Path]) -> GeoTiffSettings:
    scenes = [SceneSettings(name=path.stem, path=str(path)) for path in paths]
    scenes = scenes or [SceneSettings(name="none", path="none")]
    return GeoTiffSettings(scenes=tuple(scenes), patch_size=SIZE)


def _written(folder: Path, grid: SceneGrid) -> Path:
    """Write a scene as most are: four bands of 16 bits with a no-data value."""
    rng = np.random.default_rng(int(grid.name[1:]))
    path = folder / f"{grid.name}.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=grid.height,
        width=grid.width,
        count=4,
        dtype="uint16",
        nodata=0,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
    ) as file:
        file.write(rng.integers(1, 4000, (4, grid.height, grid.width), dtype=np.uint16))
    return path


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
