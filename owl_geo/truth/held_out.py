"""Which patches are held out to test a model on.

Neighbouring patches resemble each other, so a random split flatters a model (Roberts et al. 2017,
Ecography 40: 913-929). Scenes are therefore held out in square blocks.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from owl_geo.errors import ConfigError
from owl_geo.ground.blocks import block_edge, block_of
from owl_geo.ground.windows import PoolWindows
from owl_geo.settings.config import EvaluationSettings
from owl_geo.types import AnyArray, BoolArray, IntArray

_DRAWS = 100
_BLOCKS = 50  # by default about as many: enough to draw a fifth of them, few enough to be wide


def hold_out(
    windows: PoolWindows,
    settings: EvaluationSettings,
    rng: np.random.Generator,
    labels: AnyArray | None = None,
    positive: str = "",
) -> tuple[BoolArray, BoolArray]:
    """Return which patches are held out and which of these are for testing, each bool ``(n,)``.

    ``labels`` is the truth, object ``(n,)``, None where it is unknown. With it, the draw is
    repeated until both the tested patches and the pool have some that are ``positive`` and some
    that are not, up to 100 times; if that never happens, the first draw counts.

    If patches overlap, those that reach into a held-out block from outside are held out but not
    tested: training on them would be training on test pixels. Raises ConfigError if all patches lie
    in one block.
    """
    first = _draw(windows, settings, rng)
    if labels is None:
        return first
    further = (_draw(windows, settings, rng) for _ in range(_DRAWS - 1))
    draws = itertools.chain([first], further)
    known = pd.notna(labels)
    kinds = known & (labels == positive), known & (labels != positive)

    def tells_apart(drawn: tuple[BoolArray, BoolArray]) -> bool:
        held_out, tested = drawn
        return all((part & kind).any() for part in (tested, ~held_out) for kind in kinds)

    return next((drawn for drawn in draws if tells_apart(drawn)), first)


def _draw(
    windows: PoolWindows, settings: EvaluationSettings, rng: np.random.Generator
) -> tuple[BoolArray, BoolArray]:
    n = len(windows)
    wanted = round(n * settings.test_share)
    if settings.split == "random" or wanted == 0:
        test = np.zeros(n, dtype=bool)
        test[rng.permutation(n)[:wanted]] = True
        return test, test
    return _hold_out_blocks(windows, settings, wanted, rng)


def hold_out_more(
    windows: PoolWindows,
    n_before: int,
    settings: EvaluationSettings,
    rng: np.random.Generator,
) -> tuple[BoolArray, BoolArray]:
    """Return the same for scenes that join a pool of ``n_before`` patches, which stay as they are.

    ``windows`` are those of the new patches only. Each of their blocks is held out with the
    probability ``test_share``: a scene may be too small for a fixed number of blocks.
    """
    n = len(windows)
    if settings.split == "random" or settings.test_share == 0:
        test: BoolArray = rng.random(n) < settings.test_share
        return test, test
    edge = settings.block_size or block_edge(n_before + n, _BLOCKS)
    pixels = edge * windows.patch_size
    blocks = np.unique(block_of(windows, pixels))
    return _in_blocks(windows, pixels, blocks[rng.random(len(blocks)) < settings.test_share])


def _hold_out_blocks(
    windows: PoolWindows,
    settings: EvaluationSettings,
    wanted: int,
    rng: np.random.Generator,
) -> tuple[BoolArray, BoolArray]:
    """Draw whole blocks until about ``wanted`` patches lie in them."""
    edge = settings.block_size or block_edge(len(windows), _BLOCKS)
    pixels = edge * windows.patch_size
    first = block_of(windows, pixels)
    blocks, sizes = np.unique(first, return_counts=True)
    if len(blocks) < 2:
        raise ConfigError(
            f"evaluation.block_size is {edge} patches, and all {len(windows)} patches lie in "
            "one block",
            remedy='choose a smaller block_size, or set split = "random"',
        )
    order = rng.permutation(len(blocks))
    enough = int(np.searchsorted(np.cumsum(sizes[order]), wanted)) + 1
    drawn = blocks[order[: min(enough, len(blocks) - 1)]]
    return _in_blocks(windows, pixels, drawn)


def _in_blocks(windows: PoolWindows, pixels: int, drawn: IntArray) -> tuple[BoolArray, BoolArray]:
    """Return which patches reach into one of the blocks, and which lie wholly within them."""
    last = windows.patch_size - 1
    corners: BoolArray = np.stack(
        [
            np.isin(block_of(windows, pixels, down, right), drawn)
            for down in (0, last)
            for right in (0, last)
        ]
    )
    return np.asarray(corners.any(axis=0)), np.asarray(corners.all(axis=0))
