"""Where patches come from: one protocol, PatchSource, and what implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from owl_geo.settings.config import CubeSettings, SourceSettings, SyntheticSettings

if TYPE_CHECKING:
    import pandas as pd

    from owl_geo.sources.base import PatchSource
    from owl_geo.work.progress import Progress


def open_source(
    settings: SourceSettings,
    index: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> PatchSource:
    """Open the source that the settings describe.

    With ``index``, the patch index that a run keeps, no scene is scanned again; without it
    ``progress`` is told how the scan goes. Raises SourceError.
    """
    if isinstance(settings, SyntheticSettings):
        from owl_geo.sources.synthetic import SyntheticSource

        return SyntheticSource.from_settings(settings)
    if isinstance(settings, CubeSettings):
        from owl_geo.sources.cube.source import CubeSource

        return CubeSource.from_settings(settings, index=index, progress=progress)
    from owl_geo.sources.geotiff import GeoTiffSource

    return GeoTiffSource.from_settings(settings, index=index, progress=progress)
