"""Creating a run folder, rebuilding its patch index, and adding scenes to it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
from pyproj import CRS

from owl_geo.concepts.kept import KeptLayers
from owl_geo.disk.atomic import disk_errors, is_locked, replacing_files, writing_folder
from owl_geo.disk.presence import check_not_refused, exists, is_dir
from owl_geo.errors import ConfigError, RunError
from owl_geo.ground.footprints import common_crs
from owl_geo.ground.windows import PoolWindows
from owl_geo.labels import AnsweredRun, LabelStore, open_store
from owl_geo.labels.geopackage import FILE_NAME
from owl_geo.run_folder import patch_table
from owl_geo.run_folder.folder import EXAMPLES, ORACLE, Run
from owl_geo.run_folder.identity import (
    decisive,
    fingerprint,
    fingerprint_anywhere,
    record_scenes,
)
from owl_geo.run_folder.paths import (
    INDEX,
    LAYERS,
    LOCK,
    PATCHES,
    ROUNDS,
    TRUTH,
    WAITING,
    busy,
    is_run,
)
from owl_geo.run_folder.records import DAMAGE, grid_record, statistics_record, views_record
from owl_geo.run_folder.used import check_used
from owl_geo.settings import owl_toml
from owl_geo.settings.config import Settings
from owl_geo.sources.file_states import FileRecord
from owl_geo.sources.views.levels import ViewLevels
from owl_geo.sources.views.unopened import record_views
from owl_geo.types import BandStatistics, SceneGrid
from owl_geo.wording import counted


@dataclass(frozen=True)
class KeptPool:
    """What a run keeps of its pool."""

    patches: pd.DataFrame  # a row per patch, with its concepts
    grids: Mapping[str, SceneGrid]  # of each scene
    statistics: BandStatistics
    truth: pd.DataFrame | None  # a row per patch too; None without an oracle
    levels: Mapping[str, ViewLevels]  # of each view
    places_once: bool  # no place is there twice
    scaled: bool = True  # concepts and truth are in the units that rasters' headers give


def create(
    path: Path,
    settings: Settings,
    pool: KeptPool,
    layers: KeptLayers,
    *,
    overwrite: bool = False,
    fill: Callable[[Run], None] | None = None,
) -> Run:
    """Write a new run folder, whole or not at all.

    An existing run is replaced only with ``overwrite``, and never one that holds people's answers.
    ``fill`` is called with the run before it takes its place, to give it its first answers. Raises
    RunError, and whatever ``fill`` raises.
    """
    check_free(path, overwrite=overwrite)
    files = record_scenes(settings, pool.grids)
    views = views_record(pool.levels, record_views(settings.views))
    with writing_folder(path, replace=overwrite) as partial:
        (partial / owl_toml.FILE_NAME).write_text(owl_toml.dump(settings), encoding="utf-8")
        _write_index(partial, settings, pool, Growth(), files, views)
        layers.write(partial / LAYERS)
        (partial / ROUNDS).mkdir()
        if fill is not None:
            fill(Run(partial, called=path))  # nobody will see the folder
        check_free(path, overwrite=overwrite)  # somebody may have answered meanwhile
    return Run(path)


def update(run: Run, pool: KeptPool, layers: KeptLayers) -> Run:
    """Replace the patch index of a run after its owl.toml was edited; answers and rounds stay.

    The caller must hold the run's lock. Raises RunError if a patch that was in a batch or has an
    answer would no longer exist, be on other ground, or test the model that has learnt from it.
    """
    check_used(run, pool.patches, pool.grids, pool.truth)
    files = record_scenes(run.settings_here, pool.grids)
    views = views_record(pool.levels, record_views(run.settings_here.views))
    growth = growth_before(run, pool.patches["patch_id"]) or Growth(since=len(run.rounds()))
    with disk_errors(run.path):
        layers.write(run.path / LAYERS)
    with replacing_files(run.path, WAITING) as folder:
        _write_index(folder, run.settings, pool, growth, files, views)
        # answers are taken in meanwhile, and writing a large index takes a while
        check_used(run, pool.patches, pool.grids, pool.truth)
    if pool.truth is None:
        with disk_errors(run.path):
            (run.path / TRUTH).unlink(missing_ok=True)
    return Run(run.path)


def extend(
    run: Run,
    settings: Settings,
    text: str,
    patches: pd.DataFrame,
    grids: Mapping[str, SceneGrid],
    truth: pd.DataFrame | None,
    levels: Mapping[str, ViewLevels] | None = None,
) -> Run:
    """Add scenes to the run folder, all files at once; the caller must hold its lock.

    Args:
        run: the run before the addition.
        settings: the settings with the new scenes.
        text: the owl.toml with the new scenes.
        patches: all rows, the old ones first and unchanged.
        grids: grids of all scenes.
        truth: all rows too; None without an oracle.
        levels: of each view, of the new scenes too; None = as they were.

    Band statistics stay, since models depend on them. Raises RunError, and the run is then
    unchanged.
    """
    growth = Growth(run.index.parts, run.index.since)
    if len(patches) > len(run.patches):
        growth = Growth((*run.index.parts, len(patches)), len(run.rounds()))
    if common_crs(grids) != run.crs:
        for store in _stores(run, common_crs(grids)).values():
            store.reproject()
    fresh = grids.keys() - run.grids.keys()
    of_fresh = record_scenes(owl_toml.from_folder(settings, run.path), fresh)
    files = {**run.index.record.files, **of_fresh}
    record = run.index.record
    pool = KeptPool(
        patches,
        grids,
        run.index.statistics,
        truth,
        record.views if levels is None else levels,
        places_once=record.places_once,
        scaled=record.scaled,
    )
    views = views_record(pool.levels, record.view_files)
    with replacing_files(run.path, WAITING) as folder:
        (folder / owl_toml.FILE_NAME).write_text(text, encoding="utf-8")
        _write_index(folder, settings, pool, growth, files, views)
    return Run(run.path)


def with_settings(run: Run, settings: Settings, text: str) -> Run:
    """Write settings that leave the patch index as it is; the caller must hold the run's lock.

    ``text`` is the owl.toml with these settings. Raises RunError, and the run is then unchanged.
    """
    record = json.loads((run.path / INDEX).read_text(encoding="utf-8"))
    record |= _made_with(settings, run.index.statistics.bands)
    with replacing_files(run.path, WAITING) as folder:
        (folder / owl_toml.FILE_NAME).write_text(text, encoding="utf-8")
        (folder / INDEX).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return Run(run.path)


@dataclass(frozen=True)
class Growth:
    """How the pool grew; see ``PatchIndex.parts`` and ``PatchIndex.since``."""

    parts: tuple[int, ...] = ()
    since: int = 0


def growth_before(run: Run, ids: pd.Series) -> Growth | None:
    """Return how the pool grew before its index is rebuilt; None if the patches were others.

    Reads only the files, whatever owl.toml says now; an update repairs damaged ones.
    """
    try:
        before = run.index.ids_before
        record = json.loads((run.path / INDEX).read_text(encoding="utf-8"))
        if before.tolist() != ids.tolist():
            return None
        return Growth(tuple(int(n) for n in record.get("parts", ())), int(record.get("since", 0)))
    except (*DAMAGE, pyarrow.ArrowException) as error:
        check_not_refused(run.path / INDEX, error)
        return None


def _write_index(
    folder: Path,
    settings: Settings,
    pool: KeptPool,
    growth: Growth,
    files: Mapping[str, list[list[FileRecord]]],
    views: Mapping[str, Any],
) -> None:
    """Write patches, truth and index.json; ``files`` and ``views`` are as they are recorded."""
    windows = PoolWindows.from_index(pool.patches, pool.grids, settings.patch_size)
    patch_table.write(folder / PATCHES, pool.patches, windows)
    if pool.truth is not None:
        pool.truth.to_parquet(folder / TRUTH)
    record = {
        **_made_with(settings, pool.statistics.bands),
        "parts": list(growth.parts) or [len(pool.patches)],
        "since": growth.since,
        "files": files,
        "scaled": pool.scaled,
        "places_once": pool.places_once,
        "scenes": {name: grid_record(grid) for name, grid in pool.grids.items()},
        "statistics": statistics_record(pool.statistics),
        **({"views": views} if views else {}),
    }
    (folder / INDEX).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _made_with(settings: Settings, bands: Sequence[str]) -> dict[str, Any]:
    return {
        "made_from": fingerprint(settings),
        "made_from_elsewhere": fingerprint_anywhere(settings),
        "made_with": decisive(settings),
        "made_for": made_for(settings, bands),
    }


def made_for(settings: Settings, bands: Sequence[str]) -> dict[str, Any]:
    """Return the settings that answers and models depend on, as JSON values."""
    return {
        "bands": list(bands),
        "classes": list(settings.classes),
        "patch_size": settings.patch_size,
        "positive": settings.positive,
    }


def check_free(path: Path, *, overwrite: bool) -> None:
    """Raise RunError unless a new run may be written at ``path``."""
    if os.path.realpath(path) == str(Path.cwd()):  # Path.resolve breaks on a ring of links
        raise RunError(
            f"{path} is the folder you are in", remedy="give the run a folder of its own"
        )
    if not exists(path):
        return
    if not is_dir(path):
        raise RunError(
            f"{path} is a file",
            remedy="name a folder for the run first, and give scenes with --scene",
        )
    if not any(path.iterdir()):
        return
    if not is_run(path):
        raise RunError(f"{path} is not empty and not a run", remedy="choose another folder")
    if not overwrite:
        raise RunError(
            f"{path} already holds a run",
            remedy="go on with it, rebuild it after an edit with --update, or use --overwrite",
        )
    if is_locked(path / LOCK):
        raise busy(path)
    for place, people in _answers_by_people(path).items():
        if people:
            raise RunError(
                f"{place} holds {counted(people, 'answer')} by people, which --overwrite "
                "does not delete",
                remedy="move the folder away",
            )


def _answers_by_people(path: Path) -> dict[str, int]:
    """Count the answers of a run that people gave, by the place of the store that keeps them.

    Those that the run was made with are in a file of their own, and are not counted. If the run's
    owl.toml cannot be read, a store outside the folder is not counted.
    """
    try:
        run = Run(path)
    except ConfigError:
        if exists(path / FILE_NAME):
            raise
        return {}
    simulated = run.settings.oracle is not None
    counts = {}
    for place, store in _stores(run, None).items():
        history = store.history()
        by_people = history["batch_id"] != EXAMPLES
        if simulated:
            by_people &= history["annotator"] != ORACLE
        counts[place] = int(by_people.sum())
    return counts


def _stores(run: Run, crs: CRS | None) -> dict[str, LabelStore]:
    """Return the stores that hold answers of a run, by place; ``crs`` is that of the footprints.

    These are the store that owl.toml names and the one in the folder, which may be an earlier one.
    """
    owner = AnsweredRun(run.path, run.settings.run_id, crs)
    stores = (open_store(address, owner, check=False) for address in (None, run.settings.labels))
    return {store.place: store for store in stores}
