"""Making a run: check the settings, lay out the pool, and write the folder as a whole."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from owl_geo.acquisition.strategies import check_strategy
from owl_geo.features.embedding import check_vectors
from owl_geo.run_folder import setup as run_setup
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.setup import KeptPool
from owl_geo.settings import owl_toml
from owl_geo.settings.acquisition import LoopSettings
from owl_geo.settings.class_names import check_new_classes
from owl_geo.settings.config import Settings
from owl_geo.settings.learning import ModelSettings
from owl_geo.settings.paths import on_this_machine
from owl_geo.sources import unopened_source
from owl_geo.sources.bands import common_names
from owl_geo.sources.unopened import OnError, check_on_error
from owl_geo.types import BandStatistics, FailedScene
from owl_geo.verbs.examples import answer_examples, check_examples
from owl_geo.verbs.init_summary import Summary, summarise
from owl_geo.verbs.pool_index import make_index
from owl_geo.wording import counted
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

_log = logging.getLogger("owl_geo")

_AUDIT_COMMON = 0.05  # half of what is drawn at random otherwise
_FEW = 20  # patches: a smaller pool is not worth searching
_MANY = 100  # patches: a larger batch is too large, if it is more than a tenth of the pool
_NAMES_AT_ONCE = 100_000  # patches whose names are in memory one by one


def for_a_new_run(settings: Settings) -> Settings:
    """Return settings with what new runs have otherwise than older ones, where none was named."""
    acquisition = settings.acquisition
    if acquisition.model_fields_set & {"audit_share", "audit_common"}:
        return settings
    common = acquisition.model_copy(update={"audit_common": _AUDIT_COMMON})
    return settings.model_copy(update={"acquisition": common})


def init(
    path: str | os.PathLike[str],
    settings: Settings | Mapping[str, Any],
    *,
    overwrite: bool = False,
    on_error: OnError = "fail",
    workers: Workers | None = None,
    report: Reporter = silent,
    examples: str | os.PathLike[str] | None = None,
    annotator: str = "unknown",
) -> Summary:
    """Make a run folder at ``path``, completely or not at all.

    ``settings`` may be a mapping with the tables of owl.toml; ``report`` is given the name of each
    piece of work and returns a function that is called as it progresses. With ``on_error="skip"``,
    scenes that cannot be read, lack a band, or lie outside every layer are left out of the run and
    named in the summary. ``workers`` compute the concepts; the default is threads of this process.
    ``examples`` is a vector file of known places, or ``FILE|layername=NAME``: the patches that they
    lie in are answered as targets, in the name of ``annotator``, and the first batch is like them.

    Raises ConfigError, SourceError, LayerError or RunError, and then leaves nothing behind.
    """
    check_on_error(on_error)
    path = on_this_machine(path)
    if not isinstance(settings, Settings):
        settings = owl_toml.parse(settings, "the settings")
    settings = owl_toml.from_folder(for_a_new_run(settings), Path.cwd())
    run_setup.check_free(path, overwrite=overwrite)
    check_new_classes(settings.classes)
    check_strategy(settings.acquisition.strategy)
    if examples is not None:
        check_examples(os.fspath(examples), settings)
    made = make_index(settings, report, workers, on_error=on_error)
    check_vectors(settings.model, made.kept.statistics)
    _check_weights(settings.model, made.kept.statistics)
    _warn_of_size(settings.loop, made.kept)
    settings = _without(settings, made.failed)
    named = settings.model_copy(update={"run_id": _run_id(settings, made.kept.patches)})
    lines: list[str] = []

    def fill(run: Run) -> None:
        if examples is not None:
            lines.extend(answer_examples(run, os.fspath(examples), annotator))

    run = run_setup.create(path, named, made.kept, made.layers, overwrite=overwrite, fill=fill)
    return replace(summarise(run, made), examples=tuple(lines))


def _check_weights(model: ModelSettings, statistics: BandStatistics) -> None:
    """Raise ConfigError if a file holds other weights than this model's; round 0 loads them."""
    if model.weights in ("none", "imagenet"):
        return
    from owl_geo.models import weights  # torch, which takes seconds

    if model.frozen:  # it sees the scene's own bands
        statistics = statistics.of_scene
    commons = statistics.common_names or common_names(statistics.bands)
    weights.read(model.kind, model.weights, commons, len(statistics.of("")))


def _warn_of_size(loop: LoopSettings, pool: KeptPool) -> None:
    """Warn of a pool that is too small to search, and of batches too large to learn from often."""
    n = len(pool.patches) - (0 if pool.truth is None else int(pool.truth["held_out"].sum()))
    if n < _FEW:
        _log.warning(
            "the pool has %s: too few to search; use a smaller --patch-size, or more scenes",
            counted(n, "patch"),
        )
        return
    for what, size in (("first batch", loop.initial), ("batch", loop.query_budget)):
        if size > max(_MANY, n / 10):
            _log.warning(
                "a %s of %s in a pool of %s is large: nothing is learnt until it is labelled; "
                "use a smaller %s",
                *(
                    what,
                    f"{size:,}",
                    f"{n:,}",
                    "--initial" if what == "first batch" else "--batch-size",
                ),
            )


def _without(settings: Settings, failed: Sequence[FailedScene]) -> Settings:
    """Return the settings without the scenes that failed."""
    source = unopened_source(settings.source).without({scene.name for scene in failed})
    return settings.model_copy(update={"source": source})


def _run_id(settings: Settings, patches: pd.DataFrame) -> str:
    """Name a run by what defines it, so that the same seed gives the same batches and names."""
    # where answers are kept does not change what is asked
    digest = hashlib.sha256(settings.model_dump_json(exclude={"run_id", "labels"}).encode())
    for start in range(0, len(patches), _NAMES_AT_ONCE):
        part = patches["patch_id"].iloc[start : start + _NAMES_AT_ONCE]
        digest.update((("\n" if start else "") + "\n".join(part.to_numpy(dtype=object))).encode())
    return digest.hexdigest()[:8]
