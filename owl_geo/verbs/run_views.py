"""A run's views on imagery that is not in its pool."""

from __future__ import annotations

from collections.abc import Mapping

from owl_geo.run_folder.folder import Run
from owl_geo.sources.band_choice import known_bands
from owl_geo.sources.base import PoolSource
from owl_geo.sources.views.levels import ViewLevels
from owl_geo.sources.views.measuring import ViewSummary, with_views
from owl_geo.sources.views.opening import open_views
from owl_geo.work.progress import Reporter


def with_views_of(
    run: Run, source: PoolSource, report: Reporter
) -> tuple[PoolSource, Mapping[str, ViewLevels], tuple[ViewSummary, ...]]:
    """Return imagery with the run's views on its grid, the levels of all, and what they show.

    Levels that the run has stay as they are. Raises SourceError where pixels cannot be read.
    """
    views = open_views(run.settings_here.views, run.index.statistics)
    return with_views(
        source,
        views,
        run.settings.seed,
        report("Views") if views else None,
        before=run.index.record.views,
        own=known_bands(run.index.statistics),
    )
