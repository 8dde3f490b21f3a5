"""Reading patches through the source, compared with rasterio's own limit and the naive way."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from benchmarks.scenes import make_scene
from benchmarks.timing import interleaved, table
from owl_geo import GeoTiffSource

SIDE, BLOCK, SIZE = 6144, 512, 32


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = make_scene(Path(folder) / "scene.tif", SIDE, block=BLOCK)
        source = GeoTiffSource(path, patch_size=SIZE)
        n = len(source.index)
        windows = source.index[["row_off", "col_off"]].to_numpy()
        some = np.random.default_rng(0).permutation(n)[:500]

        def ours() -> int:
            # reopened, because GDAL's block cache would still hold what the last turn decoded
            fresh = GeoTiffSource(path, patch_size=SIZE, index=source.index)
            return sum(len(ids) for ids, _ in fresh.stream())

        def whole() -> int:
            with rasterio.open(path, num_threads="all_cpus") as scene:
                scene.read()
            return n

        def strip_by_strip() -> int:
            with rasterio.open(path, num_threads="all_cpus") as scene:
                for row in range(0, SIDE, BLOCK):
                    scene.read(window=Window(0, row, SIDE, BLOCK))
            return n

        def window_by_window() -> int:
            with rasterio.open(path, num_threads="all_cpus") as scene:
                for row, col in windows:
                    scene.read(window=Window(col, row, SIZE, SIZE)).astype(np.float32)
            return n

        def file_per_patch() -> int:
            for row, col in windows[some]:
                with rasterio.open(path) as scene:
                    scene.read(window=Window(col, row, SIZE, SIZE)).astype(np.float32)
            return len(some)

        rates = interleaved(
            {
                "rasterio, the file whole": whole,
                "rasterio, by rows of blocks": strip_by_strip,
                "owl-geo, patches in order": ours,
                "rasterio, window by window": window_by_window,
                "rasterio, opened per patch": file_per_patch,
            },
            repeats=3,
        )
    print(table(f"Reading {n:,} patches of 4 x 32 x 32 uint16", rates, "owl-geo, patches in order"))


if __name__ == "__main__":
    main()
