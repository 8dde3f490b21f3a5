"""Square blocks of ground: patches that lie together and are held out together.

Neighbouring patches resemble each other, so testing a model on neighbours of its training patches
flatters it (Roberts et al. 2017, Ecography 40: 913-929).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from owl_geo.ground.windows import PoolWindows
from owl_geo.types import IntArray

WIDEST = 16  # patches per side: wider blocks would leave too few to draw from


def ground_blocks(windows: PoolWindows, n_blocks: int) -> IntArray:
    """Return the number of the block that each window's upper left pixel lies in, int64 ``(n,)``.

    ``block_edge`` sets the width of the blocks, so there are about ``n_blocks`` of them, and more
    where scenes have ragged edges. Overlapping windows may reach into the neighbouring block.
    """
    return block_of(windows, block_edge(len(windows), n_blocks) * windows.patch_size)


def block_edge(n_patches: int, n_blocks: int) -> int:
    """Return the side of a block in patches, 1 to 16, that makes about ``n_blocks`` of them."""
    return int(np.clip(np.sqrt(n_patches / n_blocks), 1, WIDEST))


def block_of(windows: PoolWindows, pixels: int, down: int = 0, right: int = 0) -> IntArray:
    """Return a number for the block in which each window's pixel (down, right) lies, ``(n,)``.

    A block is ``pixels`` rows high and ``pixels`` columns wide, counted from the scene's first
    pixel; no block spans two scenes. Scenes are numbered in the order of their first windows.
    """
    scene = pd.factorize(windows.scene)[0].astype(np.int64)
    row = (windows.row_off + down) // pixels
    col = (windows.col_off + right) // pixels
    return np.asarray((scene << 44) | (row << 22) | col)
