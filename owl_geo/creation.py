"""Make a run: open the source, tile it, compute the concepts and the truth, write the folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyproj import CRS

from owl_geo import owl_toml, run_setup
from owl_geo.concepts.table import concept_table, describe
from owl_geo.config import Settings
from owl_geo.errors import RunError
from owl_geo.evaluation.oracle import truth_labels
from owl_geo.evaluation.split import hold_out
from owl_geo.run_folder import Run
from owl_geo.sources import open_source
from owl_geo.sources.base import PatchSource
from owl_geo.sources.statistics import band_statistics
from owl_geo.types import BandStatistics, Progress

# Given the name of a piece of work, returns what is called as it goes on.
Reporter = Callable[[str], Progress | None]


@dataclass(frozen=True)
class Summary:
    """What a new run holds, for people to read."""

    run: Run
    bands: tuple[str, ...]
    crs: str  # of the footprints: a code, or a name where it has none
    scenes: list[str]  # a line per scene
    concepts: list[str]  # a line per concept
    coverage: Mapping[str, float]  # share of the pool's extent that each layer covers
    truth: list[str]  # a line per class, and the held-out part; empty without an oracle


@dataclass(frozen=True)
class _Index:
    source: PatchSource
    patches: pd.DataFrame
    statistics: BandStatistics
    truth: pd.DataFrame | None
    coverage: Mapping[str, float]


def _silent(_work: str) -> Progress | None:
    return None


def init(
    path: str | os.PathLike[str],
    settings: Settings | Mapping[str, Any],
    *,
    overwrite: bool = False,
    report: Reporter = _silent,
) -> Summary:
    """Make a run folder at ``path``, whole or not at all.

    ``settings`` may be a mapping with the tables of owl.toml; ``report`` is given the name of each
    piece of work and returns what is told how it goes on.

    Raises ConfigError, SourceError, LayerError or RunError; then nothing is left behind.
    """
    path = Path(path)
    if not isinstance(settings, Settings):
        settings = owl_toml.parse(settings, "the settings")
    settings = owl_toml.from_folder(settings, Path.cwd())
    run_setup.check_free(path, overwrite=overwrite)
    made = _make_index(settings, report)
    named = settings.model_copy(update={"run_id": _run_id(settings, made.patches)})
    run = run_setup.create(
        path,
        named,
        made.patches,
        made.source.grids,
        made.statistics,
        made.truth,
        overwrite=overwrite,
    )
    return _summary(run, made)


def update(path: Path, *, report: Reporter = _silent) -> Summary:
    """Make the patch index of a run again after its owl.toml was edited; answers stay.

    Raises as ``init`` does, and RunError where an answered patch would no longer exist.
    """
    run = Run(path)
    made = _make_index(owl_toml.from_folder(run.settings, path), report)
    _check_answers_fit(run, made.source)
    updated = run_setup.update(run, made.patches, made.source.grids, made.statistics, made.truth)
    return _summary(updated, made)


def _check_answers_fit(run: Run, source: PatchSource) -> None:
    """Raise RunError where the answers so far are for other bands, classes or patches."""
    made_for = run.made_for()
    if not run.rounds() or made_for is None:  # a lost record of it is what update mends
        return
    now = run_setup.made_for(run.settings, source.bands)
    for name, before in made_for.items():
        if now[name] != before:
            raise RunError(
                f"{run.path}: {name} cannot change once batches were asked, the model and the "
                f"answers are for {before}; restore owl.toml, or make another run"
            )


def _make_index(settings: Settings, report: Reporter) -> _Index:
    source = open_source(settings.source, progress=report("Tiling"))
    index = source.index
    table = concept_table(
        index,
        source.grids,
        source.patch_size,
        settings.concepts,
        settings.layers,
        progress=report("Concepts"),
    )
    own = ["patch_id", "scene", "row_off", "col_off", "valid_fraction"]
    patches = pd.concat([index[own], table.columns], axis=1)
    statistics = band_statistics(source, np.random.default_rng([settings.seed, 0]))
    return _Index(source, patches, statistics, _truth(settings, source), table.coverage)


def _truth(settings: Settings, source: PatchSource) -> pd.DataFrame | None:
    """Return patch_id, label, held_out and tested for a run with an oracle."""
    if settings.oracle is None:
        return None
    index = source.index
    labels = truth_labels(settings, source)
    rng = np.random.default_rng([settings.seed, 1])
    held_out, test = hold_out(index, source.patch_size, settings.evaluation, rng)
    return pd.DataFrame(
        {"patch_id": index["patch_id"], "label": labels, "held_out": held_out, "tested": test}
    )


def _run_id(settings: Settings, patches: pd.DataFrame) -> str:
    """Name a run by what defines it, so that one seed gives the same batches, names included."""
    digest = hashlib.sha256(settings.model_dump_json(exclude={"run_id"}).encode())
    digest.update("\n".join(patches["patch_id"]).encode())
    return digest.hexdigest()[:8]


def _summary(run: Run, made: _Index) -> Summary:
    scenes = made.patches["scene"].value_counts(sort=False)
    counts = [f"{name}: {n} patches" for name, n in scenes.items()]
    # a source that leaves windows out says how many, and why
    summary = getattr(made.source, "summary", ())
    return Summary(
        run=run,
        bands=made.source.bands,
        crs=_crs_name(run.crs),
        scenes=[str(scene) for scene in summary] or counts,
        concepts=describe(run.concepts),
        coverage=made.coverage,
        truth=[] if made.truth is None else _describe_truth(made.truth),
    )


def _crs_name(crs: CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.name)


def _describe_truth(truth: pd.DataFrame) -> list[str]:
    lines = []
    for name, part in (("pool", truth[~truth["held_out"]]), ("held out", truth[truth["tested"]])):
        counts = part["label"].value_counts()
        shares = ", ".join(f"{label} {n} ({n / len(part):.1%})" for label, n in counts.items())
        unknown = int(part["label"].isna().sum())
        lines.append(
            f"{name}: {len(part)} patches: {shares or 'none'}"
            + (f", {unknown} without truth" if unknown else "")
        )
    return lines
