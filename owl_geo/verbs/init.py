"""Making a run: open the source, tile it, compute the concepts and the truth, write the folder."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyproj import CRS

from owl_geo.acquisition.strategies import check_strategy
from owl_geo.concepts.kept import KeptLayers
from owl_geo.concepts.table import ConceptTable, concept_table, describe, with_share
from owl_geo.errors import RunError
from owl_geo.features.embedding import check_vectors
from owl_geo.features.statistics import has_no_index
from owl_geo.ground.footprints import common_crs
from owl_geo.ground.windows import PoolWindows
from owl_geo.labels import newest_answers
from owl_geo.run_folder import setup as run_setup
from owl_geo.run_folder.folder import ORACLE, Run
from owl_geo.run_folder.paths import LAYERS
from owl_geo.settings import owl_toml
from owl_geo.settings.acquisition import LoopSettings
from owl_geo.settings.class_names import check_new_classes
from owl_geo.settings.concepts import Concept
from owl_geo.settings.config import Settings
from owl_geo.settings.learning import ModelSettings
from owl_geo.sources import unopened_source
from owl_geo.sources.bands import common_names
from owl_geo.sources.base import PoolSource, windows_of
from owl_geo.sources.statistics import band_statistics
from owl_geo.sources.unopened import OnError, check_on_error
from owl_geo.sources.views.levels import ViewLevels
from owl_geo.sources.views.measuring import ViewSummary, check_ground, with_views
from owl_geo.sources.views.opening import check_views, open_views
from owl_geo.truth.held_out import Before, hold_out, hold_out_more
from owl_geo.truth.oracle import truth_labels
from owl_geo.types import EMBEDDING, AnyArray, BandStatistics, BoolArray, FailedScene
from owl_geo.verbs.examples import answer_examples, check_examples
from owl_geo.verbs.same_ground import take_each_place_once, take_places_again
from owl_geo.wording import counted
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

_log = logging.getLogger("owl_geo")

_AUDIT_COMMON = 0.05  # half of what is drawn at random otherwise
_FEW = 20  # patches: a smaller pool is not worth searching
_MANY = 100  # patches: a larger batch is too large, if it is more than a tenth of the pool
_NAMES_AT_ONCE = 100_000  # patches whose names are in memory one by one
_NEARLY_ALL = 0.8  # of the patches: a concept that holds for more says little


@dataclass(frozen=True)
class Summary:
    """What a new run contains, for people to read."""

    run: Run
    bands: tuple[str, ...]
    crs: str  # of the footprints: a code, or its name if it has no code
    scenes: list[str]  # one line per scene
    concepts: list[str]  # one line per concept
    coverage: Mapping[str, float]  # share of the pool's extent that each layer covers
    truth: list[str]  # a line for the pool and one for the held-out part; empty without an oracle
    failed: tuple[FailedScene, ...] = ()  # scenes that were left out
    views: tuple[ViewSummary, ...] = ()  # what each view shows
    notes: tuple[str, ...] = ()  # what the model does without
    examples: tuple[str, ...] = ()  # what became of the places that the run begins with


@dataclass(frozen=True)
class _Index:
    source: PoolSource
    patches: pd.DataFrame
    statistics: BandStatistics
    truth: pd.DataFrame | None
    coverage: Mapping[str, float]
    failed: tuple[FailedScene, ...]
    layers: KeptLayers
    places_once: bool  # no place is there twice
    levels: Mapping[str, ViewLevels]
    views: tuple[ViewSummary, ...]


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
    path = Path(path)
    if not isinstance(settings, Settings):
        settings = owl_toml.parse(settings, "the settings")
    settings = owl_toml.from_folder(for_a_new_run(settings), Path.cwd())
    run_setup.check_free(path, overwrite=overwrite)
    check_new_classes(settings.classes)
    check_strategy(settings.acquisition.strategy)
    if examples is not None:
        check_examples(os.fspath(examples), settings)
    made = _make_index(settings, report, workers, on_error=on_error)
    check_vectors(settings.model, made.statistics)
    _check_weights(settings.model, made.statistics)
    _warn_of_size(settings.loop, made)
    settings = _without(settings, made.failed)
    named = settings.model_copy(update={"run_id": _run_id(settings, made.patches)})
    said: list[str] = []

    def fill(run: Run) -> None:
        if examples is not None:
            said.extend(answer_examples(run, os.fspath(examples), annotator))

    run = run_setup.create(
        path,
        named,
        made.patches,
        made.source.grids,
        made.statistics,
        made.truth,
        made.layers,
        made.levels,
        places_once=made.places_once,
        overwrite=overwrite,
        fill=fill,
    )
    return replace(_summary(run, made), examples=tuple(said))


def _warn_of_size(loop: LoopSettings, made: _Index) -> None:
    """Warn of a pool that is too small to search, and of batches too large to learn from often."""
    n = len(made.patches) - (0 if made.truth is None else int(made.truth["held_out"].sum()))
    if n < _FEW:
        _log.warning(
            "the pool has %s: too few to search; use a smaller --patch-size, or more scenes",
            counted(n, "patch"),
        )
        return
    for what, size in (("first batch", loop.initial), ("batch", loop.query_budget)):
        if size > max(_MANY, n / 10):
            _log.warning(
                "a %s of %d in a pool of %d is large: nothing is learnt until it is labelled; "
                "use a smaller %s",
                *(what, size, n, "--initial" if what == "first batch" else "--batch-size"),
            )


def update(path: Path, *, workers: Workers | None = None, report: Reporter = silent) -> Summary:
    """Rebuild the patch index of a run after its owl.toml was edited; answers are kept.

    Raises as ``init`` does, and RunError where an answered patch would no longer exist.
    """
    run = Run(path)
    made = _make_index(owl_toml.from_folder(run.settings, path), report, workers, before=run)
    _check_answers_fit(run, made.source)
    _warn_of_another_truth(run, made)
    updated = run_setup.update(
        run,
        made.patches,
        made.source.grids,
        made.statistics,
        made.truth,
        made.layers,
        made.levels,
        places_once=made.places_once,
    )
    return _summary(updated, made)


def _check_answers_fit(run: Run, source: PoolSource) -> None:
    """Raise RunError where the existing answers are for other bands, classes or patches."""
    made_for = run.index.made_for
    if not run.rounds() or made_for is None:  # the update restores a record that was lost
        return
    now = run_setup.made_for(run.settings, source.bands)
    for name, before in made_for.items():
        if now[name] != before:
            add = "restore owl.toml and use `owl-geo classes add`"
            raise RunError(
                f"{run.path}: {name} cannot change once a batch has been made, because the model "
                f"and the answers are for {before}",
                remedy=f"{add if name == 'classes' else 'restore owl.toml'}, or make another run",
            )


def _warn_of_another_truth(run: Run, made: _Index) -> None:
    """Warn where the truth that answered a simulated search says something else now."""
    if made.truth is None:
        return
    history = run.label_store(common_crs(made.source.grids), check=False).history()
    given = newest_answers(history[history["annotator"] == ORACLE])
    now = made.truth.set_index("patch_id")["label"].reindex(given["patch_id"]).to_numpy()
    other = given["patch_id"][~pd.isna(now) & (now != given["label"].to_numpy())]
    if len(other):
        _log.warning(
            "%s: the truth answered %s otherwise before, for example %s; what it said then stays "
            "and is learnt from: make another run if it is wrong",
            *(run.path, counted(len(other), "patch"), other.iloc[0]),
        )


def _make_index(
    settings: Settings,
    report: Reporter,
    workers: Workers | None,
    *,
    on_error: OnError = "fail",
    before: Run | None = None,
) -> _Index:
    """Tile the source and compute everything; ``before`` is the run whose index is replaced."""
    views = open_views(settings.views)
    check_views(views)
    unopened = unopened_source(settings.source)
    source = unopened.open(progress=report("Tiling"), on_error=on_error)
    source.check_bands(settings.oracle.path if settings.oracle else None)
    check_ground(views, source.grids)
    rule = unopened.same_ground
    if before is None:
        once = take_each_place_once(source, rule)
    else:
        once = take_places_again(source, rule, before, run_setup.used_patches(before, source.grids))
    kept = KeptLayers(before.path / LAYERS if before is not None else None)
    table = concepts_of(settings, source, report, workers, kept, skip=on_error == "skip")
    _warn_of_concepts(table.columns, settings.concepts)
    patches = with_concepts(source.index, table.columns)
    progress = report("Views") if views else None
    source, levels, shown = with_views(source, views, settings.seed, progress)
    statistics = band_statistics(source, np.random.default_rng([settings.seed, 0]))
    grown = run_setup.growth_before(before, patches["patch_id"]) if before is not None else None
    truth = _truth(settings, source, grown[0] if grown else ())
    return _Index(
        source,
        patches,
        statistics,
        truth,
        table.coverage,
        source.failed,
        kept,
        once,
        levels,
        shown,
    )


def _check_weights(model: ModelSettings, statistics: BandStatistics) -> None:
    """Raise ConfigError if a file holds other weights than this model's; round 0 loads them."""
    if model.weights in ("none", "imagenet"):
        return
    from owl_geo.models import weights  # torch, which takes seconds

    if model.frozen:  # it sees the scene's own bands
        statistics = statistics.of_scene
    commons = statistics.common_names or common_names(statistics.bands)
    weights.read(model.kind, model.weights, commons, len(statistics.of("")))


def _warn_of_concepts(columns: pd.DataFrame, concepts: Mapping[str, Concept]) -> None:
    """Warn of yes/no concepts that have the same value nearly everywhere."""
    for name in columns.select_dtypes(bool):
        share = float(columns[name].mean())
        of = getattr(concepts[str(name)], "of", None)
        if share == 0 and of is not None and columns[of].isna().all():
            continue  # the concept that it derives from is warned of instead
        if share > _NEARLY_ALL or share == 0:
            _log.warning(
                "concepts.%s holds for %s of the patches, so it says little; change it in "
                "owl.toml, or leave it out",
                name,
                f"{share:.0%}" if share else "none",
            )


def concepts_of(
    settings: Settings,
    source: PoolSource,
    report: Reporter,
    workers: Workers | None,
    kept: KeptLayers,
    *,
    skip: bool,
    a_part: bool = False,
) -> ConceptTable:
    """Compute the concepts; with ``skip``, scenes outside every layer leave the source."""
    table = concept_table(
        source.index,
        windows_of(source),
        settings.concepts,
        settings.layers,
        progress=report("Concepts"),
        a_part=a_part,
        skip=skip,
        workers=workers,
        kept=kept,
    )
    if not table.outside:
        return table
    kept = ~source.index["scene"].isin(table.outside).to_numpy()
    source.leave_out(
        [FailedScene(name, f"scene {name!r} lies outside every layer") for name in table.outside]
    )
    return ConceptTable(table.columns[kept].reset_index(drop=True), table.coverage, table.outside)


def with_concepts(index: pd.DataFrame, columns: pd.DataFrame) -> pd.DataFrame:
    """Return the patch index in the form that the run keeps."""
    own = ["patch_id", "scene", "row_off", "col_off", "valid_fraction"]
    return pd.concat([index[own], columns], axis=1)


def _without(settings: Settings, failed: Sequence[FailedScene]) -> Settings:
    """Return the settings without the scenes that failed."""
    source = unopened_source(settings.source).without({scene.name for scene in failed})
    return settings.model_copy(update={"source": source})


def _truth(
    settings: Settings, source: PoolSource, parts: Sequence[int] = ()
) -> pd.DataFrame | None:
    """Return patch_id, label, held_out and tested for a run with an oracle, else None.

    If the pool grew in ``parts``, each part keeps the held-out patches that it had at the time.
    """
    if settings.oracle is None:
        return None
    labels = truth_labels(settings, source)
    windows = windows_of(source)
    first = parts[0] if parts else len(windows)
    rng = np.random.default_rng([settings.seed, 1])
    oldest = windows.take(slice(first))
    held = [hold_out(oldest, settings.evaluation, rng, labels[:first], settings.positive)]
    for start, stop in pairwise(parts):
        so_far = [np.concatenate(part) for part in zip(*held, strict=True)]
        before = Before(windows.take(slice(start)), *so_far)
        held.append(held_out_later(settings, windows.take(slice(start, stop)), before))
    truth = truth_table(source.index, labels, held)
    _warn_of_one_sided(truth, settings.positive)
    return truth


def _warn_of_one_sided(truth: pd.DataFrame, positive: str) -> None:
    """Warn where a model cannot be judged: the pool or the held-out part is all of one kind."""
    labelled = truth[truth["label"].notna()]
    is_positive = labelled["label"] == positive
    tested = is_positive[labelled["tested"]]
    if not is_positive.any():
        _log.warning(
            "no patch is %s: the truth covers too little of each; try a smaller --oracle-share or "
            "--patch-size",
            positive,
        )
    elif is_positive.all():
        _log.warning("every patch is %s: there is nothing to search for", positive)
    elif len(tested) and tested.nunique() < 2:
        _log.warning(
            "%s in the held-out part, so there will be no AUC; try another --seed",
            f"nothing but {positive}" if tested.any() else f"no {positive}",
        )


def held_out_later(
    settings: Settings, windows: PoolWindows, before: Before
) -> tuple[BoolArray, BoolArray]:
    """Return which of the patches added to those ``before`` are held out, and which tested."""
    rng = np.random.default_rng([settings.seed, 1, len(before.windows)])
    return hold_out_more(windows, before, settings.evaluation, rng)


def truth_table(
    index: pd.DataFrame, labels: AnyArray, held: Sequence[tuple[BoolArray, BoolArray]]
) -> pd.DataFrame:
    """Return the truth as the run keeps it; ``held`` has one entry per part of the pool."""
    held_out, tested = (np.concatenate(part) for part in zip(*held, strict=True))
    return pd.DataFrame(
        {"patch_id": index["patch_id"], "label": labels, "held_out": held_out, "tested": tested}
    )


def _run_id(settings: Settings, patches: pd.DataFrame) -> str:
    """Name a run by what defines it, so that the same seed gives the same batches and names."""
    # where answers are kept does not change what is asked
    digest = hashlib.sha256(settings.model_dump_json(exclude={"run_id", "labels"}).encode())
    for start in range(0, len(patches), _NAMES_AT_ONCE):
        part = patches["patch_id"].iloc[start : start + _NAMES_AT_ONCE]
        digest.update((("\n" if start else "") + "\n".join(part.to_numpy(dtype=object))).encode())
    return digest.hexdigest()[:8]


def _summary(run: Run, made: _Index) -> Summary:
    scenes = made.patches["scene"].value_counts(sort=False)
    counts = [f"{name}: {counted(n, 'patch')}" for name, n in scenes.items()]
    return Summary(
        run=run,
        bands=made.source.bands,
        crs=_crs_name(run.crs),
        scenes=[str(scene) for scene in made.source.summary] or counts,
        concepts=describe(made.patches[list(run.settings.concepts)]),
        coverage=made.coverage,
        truth=[] if made.truth is None else _describe_truth(made.truth),
        failed=made.failed,
        views=made.views,
        notes=_notes(run.settings.model, made.statistics),
    )


def _notes(model: ModelSettings, statistics: BandStatistics) -> tuple[str, ...]:
    """Say it where features lack the indices, since nothing tells which band is which."""
    own = statistics.of_scene
    commons = own.common_names or common_names(own.bands)
    rest = [i for i, common in enumerate(commons) if common != EMBEDDING]
    names = [own.bands[i] for i in rest]
    plain = model.kind == model.features and not model.frozen
    if not plain or not has_no_index(names, [commons[i] for i in rest]):
        return ()
    return (
        f"nothing tells which of the {len(rest)} bands are red, near infrared and so on, so "
        "there are no indices such as NDVI; descriptions of the bands, or names of the scene in "
        "owl.toml, would tell",
    )


def _crs_name(crs: CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.name)


def _describe_truth(truth: pd.DataFrame) -> list[str]:
    lines = []
    for name, part in (("pool", truth[~truth["held_out"]]), ("held out", truth[truth["tested"]])):
        counts = part["label"].value_counts()
        shares = ", ".join(with_share(label, n, len(part)) for label, n in counts.items())
        unknown = int(part["label"].isna().sum())
        lines.append(
            f"{name}: {counted(len(part), 'patch')}: {shares or 'none'}"
            + (f", {unknown} without truth" if unknown else "")
        )
    neither = int((truth["held_out"] & ~truth["tested"]).sum())
    if neither:
        lines.append(
            f"neither: {counted(neither, 'patch')} on ground that the held-out ones show in part"
        )
    return lines
