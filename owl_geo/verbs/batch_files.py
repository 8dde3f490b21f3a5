"""The files of a batch: a GeoPackage for each annotator, with what QGIS shows beside it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd

from owl_geo.batches import write_batch
from owl_geo.errors import SourceError
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.records import Round
from owl_geo.schema import WHY_COLUMNS
from owl_geo.search.records import Batch
from owl_geo.types import BoolArray, ShownRaster, ShownScene

log = logging.getLogger("owl_geo")


def write_batch_files(
    folder: Path,
    run: Run,
    entry: Round,
    batch: Batch,
    scenes: Sequence[ShownScene],
    may_answer: BoolArray,
) -> None:
    """Write a round's batch, each annotator's part into a file of its own.

    Args:
        folder: of the round, where the files go.
        run: whose round it is.
        entry: the round, which names the batch and deals it out.
        batch: the patches, with the terms of their scores.
        scenes: of these patches, as ``shown_scenes`` returned them.
        may_answer: patches of the pool that people may answer, also outside the batch, ``(n,)``.
    """
    if entry.batch_id is None:
        raise ValueError(f"round {entry.number} has no batch")
    table = _table(run, batch)
    views = _views(run)
    grid = run.index.pool_grids.info(may_answer)
    for annotator, path in run.batch_paths(entry).items():
        own = slice(None) if annotator is None else list(entry.team[annotator])
        write_batch(
            folder / path.name,
            table.iloc[own],
            classes=run.settings.classes,
            positive=run.settings.positive,
            concepts=list(run.settings.concepts),
            batch_id=entry.batch_id,
            round=entry.number,
            annotator=annotator,
            units=run.settings.units,
            patch_size=run.settings.patch_size,
            scenes=scenes,
            views=views,
            grid=grid,
        )


def shown_scenes(run: Run, batch: Batch) -> Sequence[ShownScene]:
    """Return the scenes of a batch as the run knows them, for QGIS to show."""
    rows = run.patches.iloc[batch.positions]
    shown: list[ShownScene] = []
    for name, of_scene in rows.groupby("scene", sort=False, observed=True):
        corners = of_scene.sort_values(["row_off", "col_off"])
        try:
            shown += run.source.shown(
                str(name), corners["row_off"].to_numpy(), corners["col_off"].to_numpy()
            )
        except SourceError as error:
            log.warning("scene %r is not shown as the run knows it: %s", name, error)
    return shown


def _views(run: Run) -> Sequence[ShownRaster]:
    """Return the rasters of the run's views, for QGIS to show."""
    if not run.settings.views:
        return ()
    from owl_geo.sources.shown_views import shown_views  # imports rasterio

    return shown_views(run.settings_here.views)


def _table(run: Run, batch: Batch) -> gpd.GeoDataFrame:
    """Return the batch in rank order, with the terms of each patch's score."""
    rows = run.patches.iloc[batch.positions].reset_index(drop=True)
    table = gpd.GeoDataFrame(
        rows, geometry=run.footprints(rows["patch_id"].tolist()).array, crs=run.crs
    )
    for column in WHY_COLUMNS:
        table[column.name] = getattr(batch.terms, column.name)
    table["scene_crs"] = [run.source.grids[scene].crs for scene in table["scene"]]
    return table
