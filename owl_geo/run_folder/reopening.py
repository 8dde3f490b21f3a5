"""The scenes and views of a run, opened again: they must be those that it was made with."""

from __future__ import annotations

import logging
from pathlib import Path

from owl_geo.errors import RunError
from owl_geo.run_folder.identity import SceneFiles
from owl_geo.run_folder.index import PatchIndex
from owl_geo.run_folder.records import grid_record
from owl_geo.settings.config import Settings
from owl_geo.sources import unopened_source
from owl_geo.sources.band_choice import known_bands
from owl_geo.sources.band_wording import in_short
from owl_geo.sources.base import PoolSource
from owl_geo.wording import as_typed

log = logging.getLogger("owl_geo")


def reopened(index: PatchIndex, settings_here: Settings, toml: Path, called: Path) -> PoolSource:
    """Return the pixels of a run's patches; with the stored index, no scene is scanned again.

    Warns about scenes whose files have changed. Raises RunError if a scene's header is not that of
    the scene that was indexed, and SourceError if its file is gone.

    Args:
        index: what was computed from the pool.
        settings_here: the settings with absolute paths.
        toml: the file of settings, for messages.
        called: the run's folder, for messages.
    """
    patches, bands = index.patches, known_bands(index.statistics)
    index.scenes.check_there(toml)
    source = unopened_source(settings_here.source).open_again(patches, bands, index.grids)
    if source.bands != tuple(band.name for band in bands):
        raise RunError(
            f"the source's bands are {in_short(source.bands)}, but {called} was made for "
            f"{in_short([band.name for band in bands])}",
            remedy=f"restore them, or run `owl-geo init {as_typed(called)} --update`",
        )
    for name, grid in source.grids.items():
        if index.record.scenes.get(name) != grid_record(grid):
            raise RunError(
                f"scene {name!r} was replaced: its CRS, position or size is not what it was "
                f"when {called} was made",
                remedy=f"restore it, or run `owl-geo init {as_typed(called)} --update`",
            )
    warn_of_changes(index.scenes, called)
    viewed = with_views(source, index, settings_here)
    if viewed.bands != index.statistics.bands:
        raise RunError(
            f"with the views, the bands are {in_short(viewed.bands)}, but {called} was made for "
            f"{in_short(index.statistics.bands)}",
            remedy=f"restore them, or run `owl-geo init {as_typed(called)} --update`",
        )
    return viewed


def with_views(source: PoolSource, index: PatchIndex, settings_here: Settings) -> PoolSource:
    """Return a source of a run's scenes, or of some of them, with the run's views.

    It is the source as it is if there are none. Raises SourceError.
    """
    if not settings_here.views:
        return source
    from owl_geo.sources.views.opening import open_views
    from owl_geo.sources.views.source import ViewedSource

    views = open_views(settings_here.views, index.statistics)
    return ViewedSource(source, views, index.record.views, known_bands(index.statistics))


def warn_of_changes(scenes: SceneFiles, called: Path) -> None:
    """Warn of scenes and views whose files are not what they were; nothing is opened."""
    for name in scenes.changed_views:
        log.warning(
            "view %r changed since %s was made: its pixels are read again, but its levels and "
            "the statistics of its bands are the old ones; restore it, or run "
            "`owl-geo init %s --update`",
            *(name, called, as_typed(called)),
        )
    for name in scenes.changed_scenes:
        log.warning(
            "scene %r changed since %s was made: its pixels are read again, but its patches, "
            "their concepts and the statistics of the bands are the old ones; restore it, or "
            "run `owl-geo init %s --update`",
            *(name, called, as_typed(called)),
        )
