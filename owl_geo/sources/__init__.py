"""Where patches come from: what a source is once open, what it says before, and each kind of it.

``base.PoolSource`` is a source that is open, ``unopened.UnopenedSource`` what its settings say of
it. A further kind is a module with these two, and a member of ``settings.sources.SourceSettings``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from owl_geo.settings.choices import implementation

if TYPE_CHECKING:
    import pandas as pd

    from owl_geo.settings.sources import SourceSection
    from owl_geo.sources.base import PoolSource
    from owl_geo.sources.unopened import UnopenedSource
    from owl_geo.work.progress import Progress


def unopened_source(settings: SourceSection) -> UnopenedSource[Any]:
    """Return what the settings, with paths that hold from anywhere, say of a source."""
    source: UnopenedSource[Any] = implementation(settings.home)(settings)
    return source


def open_source(
    settings: SourceSection,
    index: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> PoolSource:
    """Open the source that the settings describe.

    With ``index``, the patch index that a run keeps, no scene is scanned again; without it
    ``progress`` is told how the scan goes. Raises SourceError.
    """
    return unopened_source(settings).open(index, progress)
