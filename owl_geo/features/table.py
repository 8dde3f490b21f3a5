"""The features of the whole pool: computed once, kept scene by scene, scaled together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from owl_geo.disk.atomic import clear_partials, writing_file
from owl_geo.features import KEPT_SCENES
from owl_geo.features.embedding import EmbeddingFeatures, check_vectors
from owl_geo.features.statistics import in_loops, worth_fusing
from owl_geo.features.stored import (
    Scaling,
    StoredScene,
    StoredTable,
    narrow_vectors,
    write_pieces,
)
from owl_geo.features.views import WithViews, without_unknown
from owl_geo.settings.choices import MODELS, chosen
from owl_geo.settings.learning import ModelSettings
from owl_geo.sources.bands import common_names
from owl_geo.sources.base import PatchSource, read_at
from owl_geo.types import AnyArray, BandStatistics, FloatArray, IntArray
from owl_geo.work.progress import Progress
from owl_geo.work.workers import Threads, Workers, pieces

if TYPE_CHECKING:
    from owl_geo.models.devices import Device

_BATCH = 256
_SAMPLE = 256  # patches that a backbone's batch normalisation is fitted to
_SCALED_BY = 100_000  # patches whose quantiles represent the pool's
_NORMAL_IQR = 1.349  # interquartile range of a standard normal
_LIMIT = 10.0  # scaled units; one odd patch should not stretch a feature's scale for all
_IN_MEMORY = 64 * 2**20  # bytes; the features of a larger pool stay on disk
_VECTORS = 4096  # patches of one pixel that are read together
_VERSION = 3  # of the computation here; a new number makes kept features stale

Embed = Callable[[FloatArray], FloatArray]


class Features(Protocol):
    """Features that need no learned weights; ``settings.choices.MODELS`` gives each kind a name."""

    names: tuple[str, ...]  # of the d features

    def __init__(
        self,
        bands: Sequence[str],
        common_names: Sequence[str | None],
        statistics: BandStatistics,
    ) -> None:
        """Take the bands' names, common names (None for a band without one) and statistics."""

    def __call__(self, patches: FloatArray) -> FloatArray:
        """Return the features, float32 ``(n, d)``, of patches ``(n, bands, height, width)``."""


class FeatureRows(Protocol):
    """The features of every patch of the index, in memory or on disk.

    Each column has median 0 and scale 1 over the pool, within +-10.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the d features."""

    def __len__(self) -> int:
        """The number of patches."""

    def rows(self, positions: IntArray) -> FloatArray:
        """Return the features of some patches, in any order, float32 ``(k, d)``."""

    def components(self, width: int, workers: Workers | None = None) -> FloatArray:
        """Return the first principal components of all patches, float32 ``(N, width)``."""


@dataclass(frozen=True)
class FeatureTable:
    """``FeatureRows`` in memory."""

    values: FloatArray  # float32 (N, d)
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, positions: IntArray) -> FloatArray:
        """Return the features of some patches, in any order, float32 ``(k, d)``.

        Those of patches that lie behind one another are not copied.
        """
        if len(positions) and (np.diff(positions) == 1).all():
            return self.values[positions[0] : positions[-1] + 1]
        return self.values[positions]

    def components(self, width: int, workers: Workers | None = None) -> FloatArray:
        """Return the first principal components of all patches, float32 ``(N, width)``."""
        from sklearn.decomposition import PCA

        width = min(width, *self.values.shape)
        pca = PCA(width, random_state=0, svd_solver="covariance_eigh")
        with np.errstate(invalid="ignore"):  # where all are alike, none has a share of no variance
            return np.asarray(pca.fit_transform(self.values), dtype=np.float32)


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
        keep: a folder that keeps features for the next time, or None.
        scene_ids: for each scene, an id that changes with its patches or pixels; features of scenes
            without an id are not kept.
        n_scaled: number of patches, from the first, that columns are scaled by; None = all.
        workers: what reads and computes; by default threads of this process.
        progress: called with the number of patches done.

    Raises ConfigError if a backbone's weights are not available, RunError if the disk is full,
    SourceError if pixels cannot be read.
    """
    check_vectors(model, statistics)
    n = len(source.index) if n_scaled is None else n_scaled
    sample = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).round().astype(np.int64))
    commons = _common_names(statistics)
    recipe: dict[str, object] = {
        "version": _VERSION,
        "bands": source.bands,
        "scale": statistics.scale.tolist(),
    }
    if commons != common_names(source.bands):
        recipe["common_names"] = commons
    if statistics.origins:
        recipe["origins"] = [
            [origin.view, origin.what, origin.common] for origin in statistics.origins
        ]
    if model.frozen:
        recipe["weights"] = _weights_id(model)
        recipe["seed"] = seed
        if model.precision != "float32":
            recipe["precision"] = model.precision
        recipe["sample"] = source.index["patch_id"].iloc[sample].tolist()
    kept = None if keep is None else _Kept(keep, model.features, recipe, scene_ids or {})
    scenes = _scenes(source)
    width = None if model.frozen else len(_plain_names(source, statistics, model))
    if kept is not None and width is not None and _is_large(source, statistics, width, kept):
        table = _stored_table(source, statistics, model, kept, n, workers or Threads(), progress)
        kept.forget_others()
        return table
    by_scene = (
        {name: kept.read(name, len(at), width) for name, at in scenes.items()} if kept else {}
    )
    missing = {name: at for name, at in scenes.items() if by_scene.get(name) is None}
    if missing:
        embed = _embedder(source, statistics, model, sample, device, seed)
        work = _Piece(source, embed)
        with _one_thread_each(model):
            for name, values in _computed(work, missing, workers or Threads(), progress):
                by_scene[name] = values
                if kept is not None:
                    kept.write(name, values)
    whole = np.concatenate([by_scene.pop(name) for name in scenes])
    if kept is not None:
        kept.forget_others()
    if statistics.origins:
        whole = without_unknown(whole, n)
    together = _directions(source, statistics, model)
    scaling = _scaling(whole[: n : _step(n)], lambda at: whole[:n, at].std(), together)
    return FeatureTable(scaling.apply(whole), _names(source, statistics, model, whole.shape[1]))


def _is_large(source: PatchSource, statistics: BandStatistics, width: int, kept: _Kept) -> bool:
    """Return whether the features are too large for memory and can stay on disk.

    What a view does not show is filled with what others show, in memory.
    """
    size = len(source.index) * width * np.dtype(np.float32).itemsize
    return size > _IN_MEMORY and not statistics.origins and kept.has_all(_scenes(source))


def _stored_table(
    source: PatchSource,
    statistics: BandStatistics,
    model: ModelSettings,
    kept: _Kept,
    n: int,
    workers: Workers,
    progress: Progress | None,
) -> StoredTable:
    """Return the features of a large pool, of which those that are not kept yet are computed."""
    plain = _plain(source, statistics, model)
    n_dimensions = getattr(plain, "n_dimensions", 0)
    is_vector = source.patch_size == 1 and n_dimensions == len(source.bands)
    widths = {len(plain.names), n_dimensions} if is_vector else {len(plain.names)}
    work = _Piece(source, in_loops(plain) if _is_fused(source) else plain)
    if is_vector:
        work = _Piece(source, narrow_vectors, batch=_VECTORS)
    scenes, done = [], 0
    for name, at in _scenes(source).items():
        if not kept.holds(name, len(at), widths):
            told = partial(_tell, progress, done, len(source.index))
            parts = workers.map(work, pieces(at, source.chunk_starts))
            kept.write_pieces(name, len(at), _counted(parts, told))
        scenes.append(StoredScene(kept.path(name), len(at)))
        done += len(at)
    unscaled = StoredTable(tuple(scenes), plain.names, plain, Scaling.none(len(plain.names)))
    some = unscaled.rows(np.arange(0, n, _step(n), dtype=np.int64))
    together = _directions(source, statistics, model)
    scaling = _scaling(some, lambda at: some[:, at].std(dtype=np.float64), together)
    return replace(unscaled, scaling=scaling)


def _counted(parts: Iterable[AnyArray], told: Callable[[int], None]) -> Iterator[AnyArray]:
    done = 0
    for part in parts:
        done += len(part)
        told(done)
        yield part


def _tell(progress: Progress | None, before: int, of: int, done: int) -> None:
    if progress is not None:
        progress(before + done, of)


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


def _embedder(
    source: PatchSource,
    statistics: BandStatistics,
    model: ModelSettings,
    sample: IntArray,
    device: Device,
    seed: int,
) -> Embed:
    own = _own_embedder(source, statistics, model, sample, device, seed)
    embed = WithViews(own, statistics) if statistics.origins else own
    return in_loops(embed) if _is_fused(source) else embed


def _own_embedder(
    source: PatchSource,
    statistics: BandStatistics,
    model: ModelSettings,
    sample: IntArray,
    device: Device,
    seed: int,
) -> Embed:
    """Return what computes the features of the scene's own bands."""
    if not model.frozen:
        return _plain(source, statistics, model)
    patches = read_at(source, sample)
    if statistics.origins:
        patches = np.ascontiguousarray(patches[:, list(statistics.of(""))])
    from owl_geo.features.backbone import backbone  # imports torch

    own = statistics.of_scene
    return backbone(
        model, _common_names(own), own, patches, len(source.index), seed=seed, device=device
    )


def _names(
    source: PatchSource, statistics: BandStatistics, model: ModelSettings, width: int
) -> tuple[str, ...]:
    if model.frozen:
        of_views = _view_names(statistics)
        return tuple(f"{model.kind}_{i}" for i in range(width - len(of_views))) + of_views
    return _plain_names(source, statistics, model)


def _plain(source: PatchSource, statistics: BandStatistics, model: ModelSettings) -> Features:
    """Return the function that computes features without learned weights of the scene's bands."""
    kind: type[Features] = chosen(MODELS, model.features)
    own = statistics.of_scene
    commons = _common_names(own)
    if own.common_names and "nir" not in commons:  # then the narrow one is it
        commons = tuple("nir" if name == "nir08" else name for name in commons)
    if own.dimensions(range(len(own.bands))):  # which mean nothing one by one
        kind = EmbeddingFeatures
    return kind(own.bands, commons, own)


def _is_fused(source: PatchSource) -> bool:
    """Return whether compiled loops are worth it for a pool."""
    return worth_fusing(len(source.index) * len(source.bands) * source.patch_size**2)


def _plain_names(
    source: PatchSource, statistics: BandStatistics, model: ModelSettings
) -> tuple[str, ...]:
    """Return the names of all features of a model without learned weights."""
    return _plain(source, statistics, model).names + _view_names(statistics)


def _view_names(statistics: BandStatistics) -> tuple[str, ...]:
    return WithViews(lambda patches: patches, statistics).view_names


def _common_names(statistics: BandStatistics) -> tuple[str | None, ...]:
    """Return what the bands are; of a run that has not written it down, what their names say."""
    return statistics.common_names or common_names(statistics.bands)


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


def _directions(
    source: PatchSource, statistics: BandStatistics, model: ModelSettings
) -> list[slice]:
    """Return the columns that have one scale together, since the model looks at vectors."""
    if not MODELS[model.features].of_vectors:
        return []
    own = _plain(source, statistics, model)
    n_own = getattr(own, "n_dimensions", 0)
    start = len(own.names)
    of_views = WithViews(lambda patches: patches, statistics).directions
    of_views = [slice(start + at.start, start + at.stop) for at in of_views]
    return [slice(0, n_own), *of_views] if n_own else of_views


def _step(n: int) -> int:
    return -(-n // _SCALED_BY)


def _scaling(
    some: FloatArray, deviation: Callable[[int], float], together: Sequence[slice] = ()
) -> Scaling:
    """Return how columns are scaled, by some of their rows; a constant column becomes 0.

    ``deviation`` is asked for the standard deviation of a column whose quartiles are equal. Columns
    ``together`` have one scale, the root of the mean of their squares. So the distance of two
    vectors of unit length follows from the angle between them, whatever their dimensions vary.
    """
    scales, medians = np.empty((2, some.shape[1]))
    for number, column in enumerate(some.T):
        low, medians[number], high = np.quantile(column, [0.25, 0.5, 0.75])
        scales[number] = (high - low) / _NORMAL_IQR or deviation(number)
    apart = np.ones(some.shape[1], dtype=bool)
    for at in together:
        scales[at] = np.sqrt((scales[at] ** 2).mean())
        apart[at] = False  # no vector is longer than 1
    scales = np.where(scales > 0, scales, 1.0)
    return Scaling(medians, scales.astype(np.float32), apart, _LIMIT)


def _weights_id(model: ModelSettings) -> list[object]:
    """Identify a file of weights by size and time too: it may be replaced under the same name."""
    path = Path(model.weights)
    if not path.is_file():
        return [model.weights]
    stat = path.stat()
    return [model.weights, stat.st_size, stat.st_mtime_ns]


class _Kept:
    """Features in files, one per scene and recipe: ``<scene>-<kind>-<recipe>.npy``."""

    def __init__(
        self, folder: Path, kind: str, recipe: Mapping[str, object], scene_ids: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._scene_ids = dict(scene_ids)
        self._scenes = {name: _digest([name, scene_id]) for name, scene_id in scene_ids.items()}
        self._suffix = f"-{kind}-{_digest(recipe)}.npy"

    def read(self, scene: str, n: int, width: int | None) -> FloatArray | None:
        """Return the features ``(n, d)`` of a scene, or None if there are none that fit.

        ``width`` is d, None where it is not known.
        """
        if scene not in self._scenes:
            return None
        try:
            values: FloatArray = np.load(self.path(scene), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        fits = values.ndim == 2 and len(values) == n and values.dtype == np.float32
        return values if fits and width in (None, values.shape[1]) else None

    def write(self, scene: str, values: FloatArray) -> None:
        """Write the features of a scene, whole or not at all."""
        if scene not in self._scenes:
            return
        with (
            writing_file(self.path(scene), shared=True) as partial,
            partial.open("wb") as file,
        ):
            np.save(file, values, allow_pickle=False)

    def has_all(self, scenes: Iterable[str]) -> bool:
        """Return whether all scenes have an id, so that they can be kept."""
        return all(name in self._scenes for name in scenes)

    def holds(self, scene: str, n: int, widths: Collection[int]) -> bool:
        """Return whether there are features of a scene, or the vectors that they follow from."""
        try:
            values = np.load(self.path(scene), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return False
        return values.ndim == 2 and len(values) == n and values.shape[1] in widths

    def write_pieces(self, scene: str, n: int, parts: Iterable[AnyArray]) -> None:
        """Write what the features of a scene follow from, piece by piece."""
        write_pieces(self.path(scene), n, parts)

    def forget_others(self) -> None:
        """Remove the features of scenes that are gone or changed, and unfinished files.

        The ids of the scenes are recorded, for scenes whose files may be gone the next time.
        """
        text = json.dumps(self._scene_ids, indent=1, ensure_ascii=False) + "\n"
        record = self._folder / KEPT_SCENES
        if self._folder.exists() and not (record.exists() and record.read_text("utf-8") == text):
            with writing_file(record, shared=True) as partial:
                partial.write_text(text, encoding="utf-8")
        current = set(self._scenes.values())
        for path in self._folder.glob("*.npy"):
            if path.name.removeprefix(".").split("-")[0] not in current:
                path.unlink(missing_ok=True)
        clear_partials(self._folder)

    def path(self, scene: str) -> Path:
        """Return the file of a scene, which need not be there."""
        return self._folder / f"{self._scenes[scene]}{self._suffix}"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
