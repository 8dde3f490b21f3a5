"""The features of the whole pool: computed once, scaled, and kept beside the run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from owl_geo.atomic import disk_errors
from owl_geo.config import ModelSettings
from owl_geo.features.statistics import SpectralStatistics
from owl_geo.models.frozen import frozen_embedder
from owl_geo.sources.bands import common_names
from owl_geo.sources.base import PatchSource
from owl_geo.types import BandStatistics, FloatArray, Progress

_BATCH = 256
_SAMPLE = 256  # patches that a backbone's batch normalisation is set to
_NORMAL_IQR = 1.349  # interquartile range of a standard normal
_LIMIT = 10.0  # scaled units; one odd patch should not stretch a feature's scale for all
_VERSION = 2  # of what is computed here; a change makes kept tables stale

Embed = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class FeatureTable:
    """Features of every patch of the index."""

    values: FloatArray  # float32 (N, d), each column with median 0 and scale 1, within +-10
    names: tuple[str, ...]


def feature_table(
    source: PatchSource,
    statistics: BandStatistics,
    model: ModelSettings,
    *,
    device: torch.device,
    seed: int,
    keep: Path | None = None,
    pool_id: str = "",
    progress: Progress | None = None,
) -> FeatureTable:
    """Return the features that ``model`` works on: a frozen backbone's, else spectral statistics.

    Columns are scaled by median and interquartile range over the pool.

    Args:
        source: the pool; it is streamed once.
        statistics: of its bands.
        model: which features.
        device: where a backbone works.
        seed: of a backbone's fresh weights.
        keep: a folder in which the table is kept for the next time, or None.
        pool_id: tells this pool from others, for what is kept.
        progress: told how many patches are done.

    Raises ConfigError where a backbone's weights cannot be had, RunError where the disk is full.
    """
    recipe = {
        "version": _VERSION,
        "pool": pool_id,
        "bands": source.bands,
        "kind": model.kind if model.frozen else "statistics",
        "weights": _weights_id(model) if model.frozen else None,
        "seed": seed if model.frozen else None,
        "scale": statistics.scale.tolist(),
    }
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    pool = hashlib.sha256(pool_id.encode()).hexdigest()[:8]
    path = keep / f"{pool}-{recipe['kind']}-{digest}.npy" if keep is not None else None
    embed, names = _embedder(source, statistics, model, device, seed)
    if path is not None and (kept := _kept(path, (len(source.index), len(names)))) is not None:
        return FeatureTable(kept, names)
    values = _scaled(_stream(source, embed, len(names), progress))
    if path is not None:
        _keep(path, values)
    return FeatureTable(values, names)


def _embedder(
    source: PatchSource,
    statistics: BandStatistics,
    model: ModelSettings,
    device: torch.device,
    seed: int,
) -> tuple[Embed, tuple[str, ...]]:
    commons = common_names(source.bands)
    if not model.frozen:
        spectral = SpectralStatistics(source.bands, commons, statistics)
        return spectral, spectral.names
    ids = source.index["patch_id"]
    chosen = np.unique(np.linspace(0, len(ids) - 1, min(len(ids), _SAMPLE)).round().astype(int))
    sample = source.read(ids.iloc[chosen].tolist())
    backbone = frozen_embedder(
        model.kind, commons, model.weights, statistics, sample, seed=seed, device=device
    )

    def embed(patches: FloatArray) -> FloatArray:
        with torch.inference_mode():
            x = torch.from_numpy(patches).to(device, memory_format=torch.channels_last)
            features: FloatArray = backbone(x).float().cpu().numpy()
        return features

    return embed, tuple(f"{model.kind}_{i}" for i in range(embed(sample[:1]).shape[1]))


def _stream(source: PatchSource, embed: Embed, width: int, progress: Progress | None) -> FloatArray:
    values = np.empty((len(source.index), width), dtype=np.float32)
    done = 0
    for part, patches in source.stream(batch_size=_BATCH):
        values[done : done + len(part)] = embed(patches)
        done += len(part)
        if progress is not None:
            progress(done, len(values))
    return values


def _scaled(values: FloatArray) -> FloatArray:
    """Scale each column over the pool, in place; one that does not vary becomes 0."""
    for column in values.T:
        low, median, high = np.quantile(column, [0.25, 0.5, 0.75])
        scale = (high - low) / _NORMAL_IQR or column.std()
        column -= median
        column /= scale if scale > 0 else 1.0
    return np.clip(values, -_LIMIT, _LIMIT, out=values)


def _weights_id(model: ModelSettings) -> list[object]:
    """Tell a file of weights by its size and time too: it may be replaced under its name."""
    path = Path(model.weights)
    if not path.is_file():
        return [model.weights]
    stat = path.stat()
    return [model.weights, stat.st_size, stat.st_mtime_ns]


def _kept(path: Path, shape: tuple[int, int]) -> FloatArray | None:
    """Return the table that is kept, or None where there is none that can be used."""
    try:
        values: FloatArray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return values if values.shape == shape and values.dtype == np.float32 else None


def _keep(path: Path, values: FloatArray) -> None:
    """Write the table, whole or not at all, in place of what was kept before."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.npy")
        np.save(partial, values, allow_pickle=False)
        partial.replace(path)
        pool = path.name.split("-")[0]
        for other in path.parent.glob("*-*-*.npy"):
            if other.name.split("-")[0] not in (pool, "." + pool):
                other.unlink(missing_ok=True)  # of a pool that is no more
