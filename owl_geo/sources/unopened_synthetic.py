"""The generator of patches before it draws: its settings, and the concepts that come with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from owl_geo.settings.sources import SyntheticSettings
from owl_geo.sources.unopened import NamedSource, OnError, UnopenedSource
from owl_geo.work.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from owl_geo.sources.synthetic import SyntheticSource

NEAR = 0.3  # distance to industry below which a target is more likely


class UnopenedGenerator(UnopenedSource[SyntheticSettings]):
    """The generator before it draws: it is made of no file."""

    options = ("n_samples", "image_size", "n_bands", "signal")

    @classmethod
    def named(cls, kind: str, options: Mapping[str, Any]) -> NamedSource:
        """Return the source, which has the run's seed, with its concepts and their weights."""
        (source,) = super().named(kind, options).tables.values()
        if options["seed"] is not None:
            source["seed"] = options["seed"]
        return NamedSource(
            {
                "source": source,
                "evaluation": {"split": "random"},  # neighbours have nothing in common here
                "concepts": {
                    "land_cover": {"kind": "given"},
                    "dist_industrial": {"kind": "given"},
                    "urban": {"kind": "equals", "of": "land_cover", "value": "urban"},
                    "near_industrial": {"kind": "below", "of": "dist_industrial", "value": NEAR},
                },
                "acquisition": {"weights": {"urban": 2.0, "near_industrial": 3.0}},
            }
        )

    @property
    def files(self) -> Mapping[str, Sequence[str]]:
        """None."""
        return {}

    def open(
        self,
        index: pd.DataFrame | None = None,
        progress: Progress | None = None,
        on_error: OnError = "fail",
    ) -> SyntheticSource:
        """Draw the patches."""
        from owl_geo.sources.synthetic import SyntheticSource  # imports pandas

        return SyntheticSource.from_settings(self.settings)
