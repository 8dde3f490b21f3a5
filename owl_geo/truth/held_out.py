"""Which patches are held out to test a model on.

Neighbouring patches resemble each other, so a random split flatters a model (Roberts et al. 2017,
Ecography 40: 913-929). Scenes are therefore held out in square blocks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from owl_geo.errors import ConfigError
from owl_geo.ground.blocks import Blocks, block_edge
from owl_geo.ground.same_ground import SharedGround
from owl_geo.ground.windows import PoolWindows
from owl_geo.settings.truth import EvaluationSettings
from owl_geo.types import AnyArray, BoolArray, IntArray
from owl_geo.wording import counted

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

    Patches that share ground with a tested one, of whatever scene, are held out too, since training
    on them would be training on test pixels; and ground that several scenes show is tested once.
    Raises ConfigError if all patches lie in one block.
    """
    ground = _Ground(windows)
    first = _draw(ground, settings, rng)
    if labels is None:
        return ground.apart(*first)
    further = (_draw(ground, settings, rng) for _ in range(_DRAWS - 1))
    draws = itertools.chain([first], further)
    known = pd.notna(labels)
    kinds = known & (labels == positive), known & (labels != positive)

    def tells_apart(drawn: tuple[BoolArray, BoolArray]) -> bool:
        held_out, tested = drawn
        return all((part & kind).any() for part in (tested, ~held_out) for kind in kinds)

    return ground.apart(*next((drawn for drawn in draws if tells_apart(drawn)), first))


@dataclass(frozen=True)
class Before:
    """A pool that others join: its patches, and which of them are held out and tested."""

    windows: PoolWindows
    held_out: BoolArray
    tested: BoolArray


def hold_out_more(
    windows: PoolWindows,
    before: Before,
    settings: EvaluationSettings,
    rng: np.random.Generator,
) -> tuple[BoolArray, BoolArray]:
    """Return the same for scenes that join a pool, whose patches stay as they are.

    ``windows`` are those of the new patches only. Each of their blocks is held out with the
    probability ``test_share``: a scene may be too small for a fixed number of blocks. A patch on
    ground that is tested already is held out, one on ground of the pool is not tested, and one on
    both is neither asked nor tested.
    """
    n = len(windows)
    ground = _Ground(windows)
    if settings.split == "random" or settings.test_share == 0:
        drawn = rng.random(n) < settings.test_share
        held_out, tested = ground.apart(drawn, drawn)
    else:
        edge = settings.block_size or block_edge(len(before.windows) + n, _BLOCKS)
        pixels = edge * windows.patch_size
        blocks = np.unique(ground.blocks.at(pixels))
        chosen = blocks[rng.random(len(blocks)) < settings.test_share]
        held_out, tested = ground.apart(*_in_blocks(ground.blocks, pixels, chosen))
    both = SharedGround(before.windows.joined(windows))
    new = slice(len(before.windows), None)
    in_pool, is_tested = (
        both.overlapping(np.flatnonzero(rows))[new] for rows in (~before.held_out, before.tested)
    )
    # what is tested must not be shown by the pool under another name, whoever was there first
    tested &= ~in_pool & ~is_tested
    held_out = (held_out & ~in_pool) | tested | is_tested
    return held_out | ground.shared.overlapping(np.flatnonzero(tested)), tested


class _Ground:
    """The ground of some windows: the blocks that divide it, and who shows the same."""

    def __init__(self, windows: PoolWindows) -> None:
        self.windows = windows
        self.blocks = Blocks(windows)
        self.shared = SharedGround(windows)

    def apart(self, held_out: BoolArray, tested: BoolArray) -> tuple[BoolArray, BoolArray]:
        """Hold out whatever shares ground with what is tested, and test each place once."""
        held_out = held_out | self.shared.overlapping(np.flatnonzero(tested))
        return held_out, tested & self.shared.once(np.where(tested, 0, 1))


def _draw(
    ground: _Ground, settings: EvaluationSettings, rng: np.random.Generator
) -> tuple[BoolArray, BoolArray]:
    n = len(ground.windows)
    wanted = round(n * settings.test_share)
    if settings.split == "random" or wanted == 0:
        test = np.zeros(n, dtype=bool)
        test[_enough(ground, rng.permutation(n), wanted)] = True
        return test, test
    return _hold_out_blocks(ground, settings, wanted, rng)


def _enough(ground: _Ground, order: IntArray, wanted: int) -> IntArray:
    """Return the first of some patches, ``wanted`` of them or with what shares ground with them."""
    one, other = ground.shared.overlaps()
    if len(one) == 0 or wanted == 0:
        return order[:wanted]
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    out_after = rank.copy()  # so many are drawn, and the patch is held out
    np.minimum.at(out_after, one, rank[other])
    np.minimum.at(out_after, other, rank[one])
    return order[: int(np.sort(out_after)[wanted - 1]) + 1]


def _hold_out_blocks(
    ground: _Ground,
    settings: EvaluationSettings,
    wanted: int,
    rng: np.random.Generator,
) -> tuple[BoolArray, BoolArray]:
    """Draw whole blocks until about ``wanted`` patches lie in them."""
    windows = ground.windows
    edge = settings.block_size or block_edge(len(windows), _BLOCKS)
    pixels = edge * windows.patch_size
    first = ground.blocks.at(pixels)
    blocks, sizes = np.unique(first, return_counts=True)
    if len(blocks) < 2:
        raise ConfigError(
            f"evaluation.block_size is {counted(edge, 'patch')}, and all {len(windows):,} patches "
            "lie in one block",
            remedy='choose a smaller block_size, or set split = "random"',
        )
    order = rng.permutation(len(blocks))
    enough = int(np.searchsorted(np.cumsum(sizes[order]), wanted)) + 1
    drawn = blocks[order[: min(enough, len(blocks) - 1)]]
    return _in_blocks(ground.blocks, pixels, drawn)


def _in_blocks(blocks: Blocks, pixels: int, drawn: IntArray) -> tuple[BoolArray, BoolArray]:
    """Return which patches reach into one of the blocks, and which lie wholly within them."""
    last = blocks.windows.patch_size - 1
    corners: BoolArray = np.stack(
        [
            np.isin(blocks.at(pixels, down, right), drawn)
            for down in (0, last)
            for right in (0, last)
        ]
    )
    return np.asarray(corners.any(axis=0)), np.asarray(corners.all(axis=0))
