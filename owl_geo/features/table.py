"""The features of the whole pool: computed once, kept scene by scene, scaled together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from owl_geo.features.embedding import check_vectors
from owl_geo.features.kept import KeptFeatures
from owl_geo.features.narrow import narrow_vectors
from owl_geo.features.plan import Plan
from owl_geo.features.rows import FeatureRows, FeatureTable
from owl_geo.features.scaling import Scaling, fitted_scaling
from owl_geo.features.stored import Embed, StoredScene, StoredTable
from owl_geo.features.views import without_unknown
from owl_geo.settings.learning import ModelSettings
from owl_geo.sources.base import PatchSource
from owl_geo.types import AnyArray, BandStatistics, FloatArray, IntArray
from owl_geo.work.progress import Progress, stretch_of
from owl_geo.work.workers import Threads, Workers, pieces

if TYPE_CHECKING:
    from owl_geo.models.devices import Device

_BATCH = 256
_SAMPLE = 256  # patches that a backbone's batch normalisation is fitted to
_SCALED_BY = 100_000  # patches whose quantiles represent the pool's
_IN_MEMORY = 64 * 2**20  # bytes; the features of a larger pool stay on disk
_VECTORS = 4096  # patches of one pixel that are read together


def feature_table(
    source: PatchSource,
    statistics: BandStatistics,
    model: ModelSettings,
    *,
    device: Device,
    seed: int,
    keep: Path | None = None,
    scene_ids: Mapping[str, str] | None = None,
    n_scaled: int | None = None,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> FeatureRows:
    """Return the features that ``model`` uses: a frozen backbone's, or else spectral statistics.

    Columns are scaled by median and interquartile range over the pool. Features are kept before
    scaling, scene by scene: when a scene joins the pool, or a command was stopped, the other scenes
    are not read again. Those of a pool that is too large for memory stay on disk; see ``stored``.

    Args:
        source: the pool; scenes whose features are not kept are read once.
        statistics: statistics of its bands.
        model: the model, which decides the features.
        device: where a backbone runs.
        seed: seed of a backbone's random weights.
        keep: a folder that keeps features for the next time, in one that is there, or None.
        scene_ids: for each scene, an id that changes with its patches or pixels; features of scenes
            without an id are not kept.
        n_scaled: number of patches, from the first, that columns are scaled by; None = all.
        workers: what reads and computes; by default threads of this process.
        progress: called with the number of patches done.

    Raises ConfigError if a backbone's weights are not available, RunError if the disk is full,
    SourceError if pixels cannot be read.
    """
    check_vectors(model, statistics)
    plan = Plan(source, statistics, model)
    n = len(source.index) if n_scaled is None else n_scaled
    sample = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).round().astype(np.int64))
    workers = workers or Threads()
    kept = None
    if keep is not None:
        recipe = plan.recipe(sample, seed)
        kept = KeptFeatures(keep, model.features, recipe, scene_ids or {})
    if kept is not None and _is_large(plan, kept):
        stored = _stored_table(plan, kept, n, workers, progress)
        kept.forget_others()
        return stored
    embedder = partial(plan.embedder, sample, device, seed)
    whole = _unscaled(plan, embedder, kept, workers, progress)
    if statistics.origins:
        whole = without_unknown(whole, n)
    some = whole[: n : _step(n)]
    scaling = fitted_scaling(some, lambda at: float(whole[:n, at].std()), plan.directions)
    return FeatureTable(scaling.apply(whole), plan.names(whole.shape[1]))


def _unscaled(
    plan: Plan,
    embedder: Callable[[], Embed],
    kept: KeptFeatures | None,
    workers: Workers,
    progress: Progress | None,
) -> FloatArray:
    """Return the features ``(N, d)`` of all patches; those that are not kept are computed."""
    scenes = _scenes(plan.source)
    by_scene = {}
    if kept is not None:
        by_scene = {name: kept.read(name, len(at), plan.width) for name, at in scenes.items()}
    missing = {name: at for name, at in scenes.items() if by_scene.get(name) is None}
    if missing:
        work = _Piece(plan.source, embedder())
        with _one_thread_each(plan.model):
            for name, values in _computed(work, missing, workers, progress):
                by_scene[name] = values
                if kept is not None:
                    kept.write(name, values)
    whole = np.concatenate([by_scene.pop(name) for name in scenes])
    if kept is not None:
        kept.forget_others()
    return whole


def _is_large(plan: Plan, kept: KeptFeatures) -> bool:
    """Return whether the features are too large for memory and can stay on disk.

    What a view does not show is filled with what others show, in memory, and of a backbone's
    features nobody knows the number before.
    """
    if plan.width is None or plan.statistics.origins:
        return False
    size = len(plan.source.index) * plan.width * np.dtype(np.float32).itemsize
    return size > _IN_MEMORY and kept.has_all(_scenes(plan.source))


def _stored_table(
    plan: Plan, kept: KeptFeatures, n: int, workers: Workers, progress: Progress | None
) -> StoredTable:
    """Return the features of a large pool, of which those that are not kept yet are computed."""
    source, plain = plan.source, plan.plain
    widths = {len(plain.names)}
    work = _Piece(source, plan.compiled(plain))
    if plan.is_of_pixels:
        widths.add(len(source.bands))
        work = _Piece(source, narrow_vectors, batch=_VECTORS)
    scenes, done = [], 0
    for name, at in _scenes(source).items():
        if not kept.holds(name, len(at), widths):
            parts = workers.map(work, pieces(at, source.chunk_starts))
            of_scene = stretch_of(progress, done, len(source.index))
            kept.write_pieces(name, len(at), _counted(parts, len(at), of_scene))
        scenes.append(StoredScene(kept.path(name), len(at)))
        done += len(at)
    unscaled = StoredTable(tuple(scenes), plain.names, plain, Scaling.none(len(plain.names)))
    some = unscaled.rows(np.arange(0, n, _step(n), dtype=np.int64))
    scaling = fitted_scaling(some, lambda at: some[:, at].std(dtype=np.float64), plan.directions)
    return replace(unscaled, scaling=scaling)


def _counted(parts: Iterable[AnyArray], n: int, progress: Progress | None) -> Iterator[AnyArray]:
    """Yield the parts of n patches, and report how many there were."""
    done = 0
    for part in parts:
        done += len(part)
        if progress is not None:
            progress(done, n)
        yield part


def _one_thread_each(model: ModelSettings) -> AbstractContextManager[None]:
    """Let each thread of a backbone compute alone; other features have nothing to do with torch."""
    if not model.frozen:
        return nullcontext()
    from owl_geo.models.threads import one_thread_each

    return one_thread_each()


def _scenes(source: PatchSource) -> dict[str, IntArray]:
    """Return the positions of each scene's patches, which are adjacent in the index."""
    codes, names = pd.factorize(source.index["scene"], use_na_sentinel=False)
    ends = np.cumsum(np.bincount(codes, minlength=len(names))).tolist()
    starts = [0, *ends[:-1]]
    return {
        str(name): np.arange(start, end, dtype=np.int64)
        for name, start, end in zip(names, starts, ends, strict=True)
    }


@dataclass(frozen=True)
class _Piece:
    """Reads a piece of the pool and embeds it; pickled and sent to workers."""

    source: PatchSource
    embed: Callable[[FloatArray], AnyArray]
    batch: int = _BATCH

    def __call__(self, positions: IntArray) -> AnyArray:
        batches = self.source.stream(positions, batch_size=self.batch)
        return np.concatenate([self.embed(patches) for _, patches in batches])


def _computed(
    work: _Piece, scenes: Mapping[str, IntArray], workers: Workers, progress: Progress | None
) -> Iterator[tuple[str, FloatArray]]:
    """Yield the name and features of each scene as soon as its last patch is done."""
    everything = np.concatenate(list(scenes.values()))
    names = list(scenes)
    ends = np.cumsum([len(at) for at in scenes.values()])
    waiting: list[FloatArray] = []  # features that belong to scenes not yet yielded
    first = done = scene = 0
    for part in workers.map(work, pieces(everything, work.source.chunk_starts)):
        waiting.append(part)
        done += len(part)
        while scene < len(names) and ends[scene] <= done:
            together = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            size = ends[scene] - first
            yield names[scene], together[:size]
            waiting, first, scene = [together[size:]], int(ends[scene]), scene + 1
        if progress is not None:
            progress(done, len(everything))


def _step(n: int) -> int:
    return -(-n // _SCALED_BY)
