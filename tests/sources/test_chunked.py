"""Chunks: how much of a scene is read at once."""

from __future__ import annotations

import pytest

from owl_geo.sources.chunked import chunk_shape


@pytest.mark.parametrize(
    ("width", "blocks", "size", "expected"),
    [
        (1000, (256, 256), 32, (1024, 1000)),  # 4 rows of blocks fit, and 5 would not
        (4096, (256, 256), 32, (256, 4096)),
        (10_000, (256, 256), 32, (256, 3584)),  # 14, 14 and 12 blocks, where 16 and 8 would fit
        (10_000, (256, 256), 300, (512, 2048)),  # a patch reaches across blocks
        (8192, (256, 4096), 32, (256, 4096)),
        (8192, (256, 5000), 32, (256, 5000)),  # a block does not fit, and is read all the same
        (10_000, (5000, 10_000), 32, (104, 10_000)),  # blocks of whole rows
        (100_000, (1, 100_000), 32, (32, 25_024)),
    ],
)
def test_chunks_are_whole_blocks_as_far_as_memory_allows(
    width: int, blocks: tuple[int, int], size: int, expected: tuple[int, int]
) -> None:
    assert chunk_shape(width, blocks, 1, size, 2**20) == expected
