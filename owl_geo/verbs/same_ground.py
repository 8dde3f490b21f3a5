"""Ground that several scenes show: which of them gives the patch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.ground.same_ground import SharedGround
from owl_geo.ground.windows import PoolWindows
from owl_geo.run_folder.folder import Run
from owl_geo.sources.base import PoolSource, windows_of
from owl_geo.sources.unopened import SameGround
from owl_geo.types import IntArray


def take_each_place_once(source: PoolSource, rule: SameGround) -> bool:
    """Leave out of a source what shows ground that another of its scenes shows better.

    Returns whether each place is there once, which ``rule`` may not ask for.
    """
    if rule == "keep":
        return False
    windows = windows_of(source)
    source.keep(SharedGround(windows).once(_rank_in(source, windows, rule)))
    return True


def take_places_again(source: PoolSource, rule: SameGround, run: Run, used: pd.Index) -> bool:
    """Do the same for a run whose index is rebuilt, and that may have grown since it was made.

    What the run has ``used``, by patch_id, stays, and what its index had goes before what it had
    not. Returns whether each place is there once.
    """
    if rule == "keep":
        return False
    windows = windows_of(source)
    ids = source.index["patch_id"]
    stay = ids.isin(used).to_numpy()
    rank = _rank_in(source, windows, rule)
    rank[~ids.isin(run.index.ids_before).to_numpy()] += len(rank)
    shared = SharedGround(windows)
    source.keep(shared.once(rank, stay))
    return not (shared.shown_with(np.flatnonzero(stay)) & stay).any()


def leave_out_known_places(source: PoolSource, rule: SameGround, pool: PoolWindows) -> None:
    """Leave out of a source of further scenes what shows places of a pool, or one place twice."""
    if rule == "keep":
        return
    windows = windows_of(source)
    n = len(pool)
    rank = np.concatenate([np.zeros(n, dtype=np.int64), _rank_in(source, windows, rule)])
    is_old = np.arange(n + len(windows)) < n
    source.keep(SharedGround(pool.joined(windows)).once(rank, is_old)[n:])


def places_of_each(
    windows: PoolWindows, rule: SameGround, dates: Mapping[str, date]
) -> dict[str, tuple[int, int]]:
    """Return of each scene, by name, how many places it gives and how many others give instead.

    As if every pixel were valid.
    """
    n = len(windows)
    kept = np.ones(n, dtype=bool)
    if rule != "keep":
        kept = SharedGround(windows).once(_rank(windows, rule, dates, np.ones(n)))
    both = (
        np.bincount(windows.scene[rows], minlength=len(windows.grids)) for rows in (kept, ~kept)
    )
    return dict(
        zip(windows.grids, zip(*(each.tolist() for each in both), strict=True), strict=True)
    )


def _rank_in(source: PoolSource, windows: PoolWindows, rule: SameGround) -> IntArray:
    valid = source.index["valid_fraction"].to_numpy(dtype=np.float64)
    return _rank(windows, rule, source.dates, valid)


def _rank(
    windows: PoolWindows, rule: SameGround, dates: Mapping[str, date], valid: NDArray[np.float64]
) -> IntArray:
    """Return the order in which patches are taken, ``(n,)``: 0 is the first."""
    if rule == "first":
        return np.zeros(len(windows), dtype=np.int64)
    days = [dates[name].toordinal() if name in dates else 0 for name in windows.grids]
    newest_first = -np.array(days, dtype=np.int64)[windows.scene]
    order = np.lexsort((newest_first, -valid))  # stable: among equals scenes keep their order
    rank = np.empty(len(windows), dtype=np.int64)
    rank[order] = np.arange(len(windows))
    return rank
