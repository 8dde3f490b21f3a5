"""What a run that an older owl-geo made has otherwise than a new one would, and must not mix."""

from __future__ import annotations

from owl_geo.concepts.kind import kinds_of
from owl_geo.errors import RunError
from owl_geo.run_folder.folder import Run
from owl_geo.truth.oracle import scaled_file
from owl_geo.wording import as_typed


def check_scales(run: Run) -> None:
    """Raise RunError if new patches would have concepts or truth in other units than the run's.

    Raises LayerError if a raster cannot be opened.
    """
    if run.index.record.scaled:
        return
    settings = run.settings_here
    kinds = kinds_of(settings.concepts, settings.layers).values()
    files = [kind.scaled_file() for kind in kinds]
    if settings.oracle is not None:
        files.append(scaled_file(settings.oracle))
    for path in files:
        if path is not None:
            raise RunError(
                f"{run.path} was made without the scale and offset in the header of {path}, which "
                "new patches would have",
                remedy=f"run `owl-geo init {as_typed(run.path)} --update` first",
            )
