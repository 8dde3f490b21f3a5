"""Patches that were asked or answered: what a rebuilt index has to leave as it is."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow

from owl_geo.disk.presence import check_not_refused
from owl_geo.errors import RunError
from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.ground.footprints import common_crs
from owl_geo.ground.same_ground import are_shown
from owl_geo.ground.windows import PoolWindows
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.paths import TRUTH
from owl_geo.types import SceneGrid
from owl_geo.wording import plural


def used_patches(run: Run, grids: Mapping[str, SceneGrid]) -> pd.Index:
    """Return the patches that were in a batch of a run or have an answer, by patch_id.

    ``grids`` are those of the run's scenes, whose index need not be readable.
    """
    chosen = [patch for entry in run.rounds() for patch in entry.patch_ids]
    answered = run.label_store(common_crs(grids), check=False).history()["patch_id"]
    return pd.Index([*chosen, *answered], dtype=object).unique()


def check_used(
    run: Run,
    patches: pd.DataFrame,
    grids: Mapping[str, SceneGrid],
    truth: pd.DataFrame | None,
) -> None:
    """Raise RunError if an index would lose a used patch, move it, or test the model with it.

    ``patches``, ``grids`` and ``truth`` are what the index of the run is to be.
    """
    used = used_patches(run, grids)
    lost = used.difference(patches["patch_id"], sort=False)
    if len(lost):
        raise RunError(
            f"{run.path}: {_used(len(lost))}, for example "
            f"{lost[0]}, would not exist with these settings",
            remedy="restore patch_size, stride, scenes and area, or make another run",
        )
    moved = _moved(run, used, patches, grids)
    if len(moved):
        raise RunError(
            f"{run.path}: {_used(len(moved))}, for example "
            f"{moved[0]}, would be on other ground with these scenes",
            remedy="restore the scenes and their names, or make another run and take the answers "
            "there with `owl-geo labels export` and `import`, which go by the ground",
        )
    tested = used.intersection(_held_out(truth), sort=False)
    tested = tested.difference(_held_out(_truth_before(run)), sort=False)
    if len(tested):
        raise RunError(
            f"{run.path}: {_used(len(tested))}, for example "
            f"{tested[0]}, would be held out to test the model with these settings",
            remedy="undo the change to oracle, evaluation, seed or source, or make another run and "
            "take the answers there with `owl-geo labels export` and `import`",
        )


def _moved(
    run: Run, used: pd.Index, patches: pd.DataFrame, grids: Mapping[str, SceneGrid]
) -> pd.Index:
    """Return the ``used`` patches whose names would stand for other ground than before."""
    try:
        before, made_for = run.index.grids, run.index.made_for
    except RunError:  # the record is lost, and the update makes it anew
        return used[:0]
    if made_for is None:
        return used[:0]
    old, new = int(made_for["patch_size"]), run.settings.patch_size
    changed = [
        name
        for name in before.keys() & grids.keys()
        if (before[name].crs, before[name].transform, old)
        != (grids[name].crs, grids[name].transform, new)
    ]
    rows = patches[patches["scene"].isin(changed) & patches["patch_id"].isin(used)]
    if rows.empty:
        return used[:0]
    corners = PoolWindows.from_index(rows, before, old).corners_in(crs_of(GEOGRAPHIC))
    shown = are_shown(PoolWindows.from_index(rows, grids, new), corners)
    return pd.Index(rows["patch_id"][~shown])


def _held_out(truth: pd.DataFrame | None) -> pd.Index:
    """Return the patches that test the model, by patch_id."""
    return pd.Index([] if truth is None else truth.loc[truth["held_out"], "patch_id"], dtype=object)


def _truth_before(run: Run) -> pd.DataFrame | None:
    """Return the truth that a run had, whatever owl.toml says now; None if it is lost."""
    path = run.path / TRUTH
    try:
        return pd.read_parquet(path, columns=["patch_id", "held_out"])
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        check_not_refused(path, error)
        return None


def _used(count: int) -> str:
    what = plural(count, "patch that was", "patches that were")
    return f"{count:,} {what} in a batch or {plural(count, 'has', 'have')} an answer"
