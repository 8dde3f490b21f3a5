"""What a run's model predicts for imagery that is not in the run, as arrays for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from owl_geo.concepts.kept import KeptLayers
from owl_geo.concepts.table import concept_table
from owl_geo.maps.arrays import maps_of
from owl_geo.maps.cells import cells_of
from owl_geo.maps.outputs import ScenePrediction
from owl_geo.measures.uncertainty import uncertainty
from owl_geo.models.devices import check_device
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.paths import FEATURES, LAYERS
from owl_geo.search.search import Search
from owl_geo.sources import unopened_source
from owl_geo.sources.band_choice import known_bands
from owl_geo.sources.base import windows_of
from owl_geo.sources.joined import JoinedSource
from owl_geo.verbs.current_model import CurrentModel, log
from owl_geo.verbs.older_runs import check_scales
from owl_geo.verbs.prediction_folder import legend_of
from owl_geo.verbs.run_views import with_views_of
from owl_geo.work.progress import Reporter, silent

if TYPE_CHECKING:
    import xarray

_NAME = "elsewhere"
_LITTLE = 0.5  # of the patches: a view that shows fewer is missed


def predict_array(
    run: AnyRun,
    imagery: xarray.DataArray | xarray.Dataset,
    *,
    time: str = "median",
    crs: str | None = None,
    device: str = "auto",
    report: Reporter = silent,
) -> xarray.Dataset:
    """Return probability, uncertainty and class of every patch of ``imagery``.

    The model is the one that the run's next query would learn, and features, concepts and bands are
    scaled as in the run, so that the run's pool and other imagery are judged alike. The run's views
    are read on the grid of the imagery, where they show its ground; the model does without them
    elsewhere, and a warning says so where that is most of it. The run is not changed.

    Args:
        run: the run, or its folder.
        imagery: has the run's bands by name, x and y, and optionally dates; see ``CubeSource``.
        time: how several dates are combined; see ``CubeSource``.
        crs: CRS of the imagery, replacing its own.
        device: where a network runs.
        report: given the name of each long piece of work, returns a function that is called as it
            progresses.

    The result has ``probability`` and ``uncertainty`` as float32 and ``class`` as uint8, each
    ``(y, x)`` with one cell per patch, the coordinates of the cell centres and the CRS. Raises
    RunError if there is no answer to learn from, SourceError if the imagery does not fit the run.
    """
    from owl_geo.sources.cube.source import CubeSource

    run = Run.of(run)
    check_scales(run)
    model = CurrentModel.of(run)
    settings = run.settings_here
    tiling = unopened_source(settings.source).tiling
    like_run: dict[str, Any] = {}
    if tiling is not None:
        like_run = {"stride": tiling.stride, "min_valid": tiling.min_valid}
    source = CubeSource(
        imagery,
        name=_NAME,
        time=time,
        patch_size=settings.patch_size,
        crs=crs,
        known=known_bands(run.index.statistics),
        **like_run,
    )
    viewed, _, shown = with_views_of(run, source, report)
    for view in shown:
        if view.share < _LITTLE:
            log.warning("of the imagery, view %s; there the model does without it", view)
    columns = concept_table(
        source.index,
        windows_of(source),
        settings.concepts,
        settings.layers,
        a_part=True,
        kept=KeptLayers(run.path / LAYERS, like_before=True),
    ).columns
    new = pd.concat([source.index, columns], axis=1)[run.patches.columns]
    n = len(run.patches)
    check_device(device)
    search = Search(
        settings,
        pd.concat([run.patches, new], ignore_index=True),
        JoinedSource(run.source, viewed),
        run.index.statistics,
        device=device,
        report=report,
        keep=run.path / FEATURES,
        scene_ids=run.scenes.ids,
        n_encoded=run.n_encoded or n,
        n_scaled=n,
    )
    positions = np.arange(n, n + len(new), dtype=np.int64)
    learner = model.learner(run, search)
    members = search.members(learner, positions, model.number, report("Predicting"))
    cells = cells_of(windows_of(source).of_scene(_NAME))
    doubt = uncertainty(members, settings.uncertainty.measure).astype(np.float32)
    return maps_of(ScenePrediction(cells, members.mean(axis=0), doubt), legend_of(run))
