"""The places of a run that are most like some of its patches, whatever has been answered."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd

from owl_geo.acquisition.candidates import Scores
from owl_geo.disk import gpkg
from owl_geo.disk.atomic import writing_file
from owl_geo.disk.presence import exists, is_dir
from owl_geo.errors import ConfigError, RunError, check_number, check_texts
from owl_geo.ground.crs import GEOGRAPHIC, crs_of
from owl_geo.labels import consensus
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.paths import check_output
from owl_geo.run_folder.records import Round
from owl_geo.search.like import like as most_alike
from owl_geo.search.like import most_like
from owl_geo.search.records import Answers, Batch
from owl_geo.search.search import Search
from owl_geo.sources.base import find_positions, nearest_patch
from owl_geo.types import BoolArray, IntArray
from owl_geo.verbs.advance import advance_unless_waiting, size_of_batch
from owl_geo.verbs.measure import measure_rest
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    from owl_geo.learners.base import Learner

_log = logging.getLogger("owl_geo")

FILE_NAME = "like.gpkg"
LAYER = "like"


@dataclass(frozen=True)
class Alike:
    """What is most like some patches of a run.

    Args:
        path: the GeoPackage that was written.
        places: a row for each, the most alike first: rank, patch_id, likeness (0 to 1), label (the
            one that counts; None without one), lon and lat of the centre, scene, the concepts, and
            the footprint.
    """

    path: Path
    places: gpd.GeoDataFrame


def like(
    run: AnyRun,
    patches: Sequence[str],
    *,
    unlike: Sequence[str] = (),
    count: int = 20,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    device: str = "auto",
    workers: Workers | None = None,
    report: Reporter = silent,
) -> Alike:
    """Find the places most like some patches, and write them as a GeoPackage.

    They are compared by the features of the run's model, and its concepts, as for a first batch
    that begins with known targets; answers do not matter. Held-out patches are compared too. A
    place that several images show is there once, as the one that is most alike.

    Args:
        run: the run, or its folder.
        patches: ids of the patches to look for more of.
        unlike: ids of patches that look like them and are not meant.
        count: how many places to write, at most.
        out: the file; None = ``like.gpkg`` in the run's folder, which is replaced.
        overwrite: replace ``out`` if it exists.
        device: where a network computes features.
        workers: who does the pool's work; None = threads of this process.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.

    Raises ConfigError for a count below 1; RunError for no patch, one that the run has not, one
    that is named as both, a file that exists or is of a run, or a name that is not a GeoPackage's;
    SourceError where pixels cannot be read.
    """
    run = Run.of(run)
    path = run.path / FILE_NAME if out is None else Path(out)
    if is_dir(path):
        raise RunError(f"{path} is a folder", remedy="name a file")
    check_output(path)
    if path.suffix.lower() != ".gpkg":
        name = path.with_suffix(".gpkg").name
        raise RunError(f"{path} must be a GeoPackage", remedy=f"name it {name}")
    if out is not None and exists(path) and not overwrite:
        raise RunError(f"{path} exists", remedy="choose another name, or use --overwrite")
    check_number("count", count, whole=True)
    if count < 1:
        raise ConfigError(f"count is {count}, but must be at least 1")
    check_texts("patches", patches)
    if len(patches) == 0:
        raise RunError("no patch is named", remedy="name one as batches do")
    known, others = _both(run, patches, unlike)
    search = run.search(device, workers, report)
    positions, likeness = most_alike(search, known, others)
    once = _once(run, positions, np.concatenate([known, others]))
    positions, likeness = positions[once], likeness[once]
    places = _table(run, positions[:count], likeness[:count])
    _write(path, places)
    return Alike(path, places)


def more_like(
    run: AnyRun,
    patches: Sequence[str] = (),
    *,
    unlike: Sequence[str] = (),
    size: int | None = None,
    device: str = "auto",
    workers: Workers | None = None,
    report: Reporter = silent,
    go_on: bool = False,
    published: Callable[[Round], None] | None = None,
    measure: bool = True,
) -> Round:
    """Write a batch of what is most like some patches, and return its round.

    It is a round of its own: it is labelled, ingested and learnt from like any other. None of its
    patches count for the audit, since likeness chose them. As with ``query``, such a batch is
    returned again while it waits for answers, unless ``go_on`` is set.

    Args:
        run: the run, or its folder.
        patches: ids of the patches to look for more of; none = all that are answered as targets.
        unlike: ids of patches that look like them and are not meant.
        size: patches at most; None = the size of a batch.
        device: where networks learn and score.
        workers: who does the pool's work; None = threads of this process.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.
        go_on: make a new batch although the last one waits for answers.
        published: as for ``query``.
        measure: as for ``query``.

    Raises ConfigError for a size below 1; RunError as ``like`` does, and where no patch is named or
    answered as a target, where another batch waits for answers, or where nothing is left to ask.
    """
    run = Run.of(run)
    count = size_of_batch(run, size)
    _both(run, patches or _targets(run), unlike)  # tells what is wrong before any work

    def choose(search: Search, learner: Learner, answers: Answers, number: int) -> Batch:
        # in the pool as it is now that the run is locked
        known, others = _both(run, patches or _targets(run), unlike)
        return most_like(search, learner, answers, number, known, others, count)

    entry, search = advance_unless_waiting(
        run, device, workers, report, choose, "like", go_on=go_on
    )
    if search is None and (patches or unlike or size is not None):
        _log.warning(
            "batch %s waits as it was made; the patches named and the size take effect with the "
            "next one",
            entry.batch_id,
        )
    if published is not None:
        published(entry)
    if not measure:
        return entry
    measure_rest(run, search, device=device, workers=workers, report=report)
    return run.journal.now(entry)


def _targets(run: Run) -> list[str]:
    """Return the patches that are answered as targets; raises RunError where there are none."""
    current = run.labels.current()
    found: list[str] = current["patch_id"][current["label"] == run.settings.positive].tolist()
    if not found:
        raise RunError(
            f"{run.path} has no patch yet that is answered {run.settings.positive}",
            remedy="name some, as batches and maps have them",
        )
    return found


def _both(run: Run, patches: Sequence[str], unlike: Sequence[str]) -> tuple[IntArray, IntArray]:
    """Return the positions of patches that are meant, and not; RunError where one is both."""
    check_texts("patches", patches)
    check_texts("unlike", unlike)
    known, others = _positions(run, patches), _positions(run, unlike)
    both = np.intersect1d(known, others)
    if len(both):
        name = run.patches["patch_id"].iloc[both[0]]
        raise RunError(f"{name} cannot be both like and unlike itself", remedy="name it once")
    return known, others


def _positions(run: Run, ids: Sequence[str]) -> IntArray:
    """Return the sorted positions of patches; raises RunError for one that is not there."""
    at = find_positions(run.patches, ids)
    if (at < 0).any():
        name = ids[int(np.argmax(at < 0))]
        near = nearest_patch(run.patches, name)
        first = run.patches["patch_id"].iloc[0]
        remedy = f"the nearest is {near}" if near else f"name one as batches do, like {first}"
        raise RunError(f"{run.path} has no patch {name!r}", remedy=remedy)
    return np.unique(at).astype(np.int64)


def _once(run: Run, positions: IntArray, named: IntArray) -> BoolArray:
    """Return which patches, the most alike first, are the first of their place, ``(n,)``.

    None is at a place that a ``named`` patch shows: other images of it say nothing about others.
    """
    shared = run.index.shared
    if shared is None or len(positions) == 0:
        return np.ones(len(positions), dtype=bool)
    rank = np.full(len(run.patches), len(run.patches), dtype=np.int64)  # behind all that count
    rank[positions] = np.arange(len(positions))
    taken = shared.once(rank) & ~shared.shown_with(named)
    return np.asarray(taken[positions], dtype=bool)


def _table(run: Run, positions: IntArray, likeness: Scores) -> gpd.GeoDataFrame:
    patches = run.patches.iloc[positions].reset_index(drop=True)
    labels = consensus(run.labels.history()).set_index("patch_id")["label"]
    labels = labels.reindex(patches["patch_id"]).astype(object)
    # as a series of objects, or pandas would take the None among texts for not-a-number
    label = pd.Series(labels.where(labels.notna(), None).to_numpy(dtype=object), dtype=object)
    windows = run.index.windows.take(positions)
    lon, lat = np.full((2, len(positions)), np.nan)
    for rows, of_scene in windows.by_scene():
        lon[rows], lat[rows] = of_scene.centres_in(crs_of(GEOGRAPHIC)).T
    concepts = list(run.settings.concepts)
    return gpd.GeoDataFrame(
        {
            "rank": np.arange(1, len(positions) + 1, dtype=np.int64),
            "patch_id": patches["patch_id"],
            "likeness": likeness,
            "label": label,
            "lon": lon,
            "lat": lat,
            "scene": patches["scene"].astype(str),
            **{name: gpkg.typed(patches[name]) for name in concepts},
        },
        geometry=run.footprints(patches["patch_id"].tolist()).array,
        crs=run.crs,
    )


def _write(path: Path, places: gpd.GeoDataFrame) -> None:
    with writing_file(path) as partial:
        try:
            gpkg.create(partial, places, LAYER, spatial_index=True)
        except sqlite3.Error as error:
            raise OSError(str(error)) from error
