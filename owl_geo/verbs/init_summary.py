"""What a new run contains, for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from owl_geo.concepts.table import describe, with_share
from owl_geo.features.statistics import has_no_index
from owl_geo.ground.crs import around_the_earth, crs_of
from owl_geo.run_folder.folder import Run
from owl_geo.settings.choices import HEADS, default
from owl_geo.settings.config import Settings
from owl_geo.settings.learning import ModelSettings
from owl_geo.sources.band_wording import explained
from owl_geo.sources.bands import common_names
from owl_geo.sources.base import known_bands_of
from owl_geo.sources.views.measuring import ViewSummary
from owl_geo.types import EMBEDDING, BandStatistics, BoolArray, FailedScene
from owl_geo.verbs.pool_index import PoolIndex
from owl_geo.wording import counted

_SPECTRUM = 50  # bands that an image has only where they are a spectrum, or a stack of dates


@dataclass(frozen=True)
class Summary:
    """What a new run contains, for people to read."""

    run: Run
    bands: tuple[str, ...]
    crs: str  # of the scenes: a code, a name if it has no code, or how many CRSs there are
    scenes: list[str]  # one line per scene
    concepts: list[str]  # one line per concept
    coverage: Mapping[str, float]  # share of the pool's extent that each layer covers
    truth: list[str]  # a line for the pool and one for the held-out part; empty without an oracle
    failed: tuple[FailedScene, ...] = ()  # scenes that were left out
    views: tuple[ViewSummary, ...] = ()  # what each view shows
    notes: tuple[str, ...] = ()  # what the model does without
    examples: tuple[str, ...] = ()  # what became of the places that the run begins with
    explained: str = ""  # the bands, with what each is where its name does not say so


def concept_lines(patches: pd.DataFrame, settings: Settings) -> list[str]:
    """Return a line per concept of these patches; see ``concepts.table.describe``."""
    units = {name: unit for name, unit in settings.units.items() if unit != "%"}
    return describe(patches[list(settings.concepts)], units)  # shares are shown as they are set


def summarise(run: Run, made: PoolIndex) -> Summary:
    scenes = made.kept.patches["scene"].value_counts(sort=False)
    counts = [f"{name}: {counted(n, 'patch')}" for name, n in scenes.items()]
    return Summary(
        run=run,
        bands=made.source.bands,
        explained=explained(known_bands_of(made.source)),
        crs=_crs_name(run),
        scenes=[str(scene) for scene in made.source.summary] or counts,
        concepts=concept_lines(made.kept.patches, run.settings),
        coverage=made.coverage,
        truth=[] if made.kept.truth is None else _describe_truth(made.kept.truth, _places(run)),
        failed=made.failed,
        views=made.views,
        notes=_notes(run.settings.model, made.kept.statistics) + _round_the_earth(made),
    )


def _notes(model: ModelSettings, statistics: BandStatistics) -> tuple[str, ...]:
    """Say what the statistics of bands lack, and which head suits as many."""
    own = statistics.of_scene
    commons = own.common_names or common_names(own.bands)
    rest = [i for i, common in enumerate(commons) if common != EMBEDDING]
    names = [own.bands[i] for i in rest]
    if model.kind != model.features or model.frozen:
        return ()
    notes = []
    if has_no_index(names, [commons[i] for i in rest]):
        notes.append(
            f"nothing tells which of the {len(rest)} bands are red, near infrared and so on, so "
            "there are no indices such as NDVI; descriptions of the bands, or names of the scene "
            "in owl.toml, would tell"
        )
    if len(rest) >= _SPECTRUM and model.head == default(HEADS):
        notes.append(
            f"if the {len(rest)} bands are a spectrum, targets that differ in a few of them are "
            "found sooner by the head logistic: --head logistic, or head in owl.toml before the "
            "first query"
        )
    return tuple(notes)


def _round_the_earth(made: PoolIndex) -> tuple[str, ...]:
    """Say of which scenes the pool has the same ground at both ends, since they go all round."""
    notes = []
    for name, patches in made.kept.patches.groupby("scene", observed=True, sort=False):
        grid = made.kept.grids[str(name)]
        a, b, _, d, _, _ = grid.transform
        turn = around_the_earth(crs_of(grid.crs)) if b == d == 0 else 0.0
        if not turn:
            continue
        columns = np.ptp(patches["col_off"].to_numpy()) + made.source.patch_size
        twice = columns - turn / abs(a)  # columns
        if twice >= made.source.patch_size / 2:
            notes.append(
                f"scene {str(name)!r} goes {columns * abs(a) / turn * 360:.6g} degrees round the "
                f"Earth, so the pool has the ground of {twice * abs(a) / turn * 360:.4g} of them "
                "twice; cut it to 360 degrees first"
            )
    return tuple(notes)


def _crs_name(run: Run) -> str:
    authority = run.crs.to_authority()
    name = ":".join(authority) if authority else str(run.crs.name)
    several = {crs_of(text) for text in {grid.crs for grid in run.grids.values()}}
    return name if len(several) < 2 else f"{len(several)} CRSs, footprints in {name}"


def _places(run: Run) -> BoolArray | None:
    """Return the patches of the pool that may be asked, one for each place; None if they all are.

    A search can find no more targets than there are among these.
    """
    if run.index.shared is None:
        return None
    return run.askable(pd.DataFrame({"patch_id": []}))


def _describe_truth(truth: pd.DataFrame, places: BoolArray | None) -> list[str]:
    parts = [("pool", truth[~truth["held_out"]]), ("held out", truth[truth["tested"]])]
    if places is not None and places.sum() < len(parts[0][1]):
        parts.insert(1, ("of these, one for each place", truth[places]))
    lines = []
    for name, part in parts:
        counts = part["label"].value_counts()
        shares = ", ".join(with_share(label, n, len(part)) for label, n in counts.items())
        unknown = int(part["label"].isna().sum())
        lines.append(
            f"{name}: {counted(len(part), 'patch')}: {shares or 'none'}"
            + (f", {unknown:,} without truth" if unknown else "")
        )
    neither = int((truth["held_out"] & ~truth["tested"]).sum())
    if neither:
        lines.append(
            f"neither: {counted(neither, 'patch')} on ground that the held-out ones show in part"
        )
    return lines
