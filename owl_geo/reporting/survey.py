"""Everything that the pictures and the report of a run show, gathered once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from owl_geo.errors import BusyError, OwlError, RunError
from owl_geo.labels import consensus, disputed
from owl_geo.reporting.colours import Composite, composites
from owl_geo.reporting.opinion import Opinion, opinion
from owl_geo.reporting.quicklook import Quicklook, quicklook
from owl_geo.run_folder.folder import Run
from owl_geo.sources.base import PoolSource
from owl_geo.types import BandStatistics, BoolArray, IntArray
from owl_geo.verbs.predict import present_source
from owl_geo.work.progress import Reporter, silent

log = logging.getLogger("owl_geo")

MOST_SCENES = 4  # scenes for which maps are drawn


@dataclass(frozen=True)
class Survey:
    """A run at one moment: its answers, what the model predicts, and pixels to show."""

    run: Run
    history: pd.DataFrame  # of the answers, see ``LabelStore.history``
    labels: pd.Series  # one label per answered patch, by patch_id
    disputed: tuple[str, ...]  # patches whose labels tie
    waiting: tuple[str, ...]  # patches of the newest batch that nobody has answered since then
    opinion: Opinion
    source: PoolSource | None  # None where no pixels can be read
    missing: Mapping[str, str]  # scenes whose pixels cannot be read, and why

    @classmethod
    def of(cls, run: Run, *, device: str = "auto", report: Reporter = silent) -> Survey:
        """Gather the data; raises RunError or ConfigError if the run's folder is damaged."""
        history = run.labels.history()
        labels = consensus(history).set_index("patch_id")["label"]
        rounds = run.rounds()
        tied = disputed(history)
        source, missing = _pixels(run)
        return cls(
            run=run,
            history=history,
            labels=labels,
            disputed=tuple(tied),
            waiting=tuple(run.unanswered(rounds[-1], history)) if rounds else (),
            opinion=opinion(run, source, missing, device=device, report=report),
            source=source,
            missing=missing,
        )

    @cached_property
    def composites(self) -> tuple[Composite, ...]:
        """How pixels are shown."""
        statistics = self.run.index.statistics
        own = statistics.of_scene
        image = _image_beside(statistics) if own.dimensions(range(len(own.bands))) else None
        if image is None:
            return composites(own.bands, own.common_names)
        names = [statistics.bands[i] for i in image]
        commons = [statistics.origins[i].common for i in image]
        return tuple(
            replace(one, bands=(image[one.bands[0]], image[one.bands[1]], image[one.bands[2]]))
            for one in composites(names, commons)
        )

    @cached_property
    def askable(self) -> BoolArray:
        """Which patches may still be asked, ``(N,)``."""
        return self.run.askable(self.labels.rename_axis("patch_id").reset_index())

    def positions(self, ids: list[str]) -> IntArray:
        """Return the positions of patches in the index; raises RunError for one that it lacks."""
        positions = self._ids.get_indexer(pd.Index(ids, dtype=object))
        if (positions < 0).any():
            unknown = ids[int(np.argmax(positions < 0))]
            raise RunError(f"{self.run.path} has an answer for {unknown!r}, which its index lacks")
        return np.asarray(positions, dtype=np.int64)

    @cached_property
    def _ids(self) -> pd.Index:
        return pd.Index(self.run.patches["patch_id"], dtype=object)

    def most_probable(self, count: int) -> IntArray:
        """Return positions of the most probable unanswered patches, the most probable first."""
        return self._best(self.opinion.probability, count)

    def most_doubtful(self, count: int) -> IntArray:
        """Return positions of the unanswered patches that the model doubts most."""
        return self._best(self.opinion.uncertainty, count)

    def _best(self, scores: np.ndarray[tuple[int, ...], np.dtype[np.float32]], n: int) -> IntArray:
        open_ = np.flatnonzero(self.askable & np.isfinite(scores))
        return open_[np.argsort(-scores[open_], kind="stable")[:n]].astype(np.int64)

    @cached_property
    def scenes(self) -> tuple[str, ...]:
        """The scenes for which maps are drawn: those with the most answers and questions."""
        patches = [*self.labels.index, *self.disputed, *self.waiting]
        scene = self.run.patches["scene"]
        sizes = scene.value_counts(sort=False)
        asked_scenes = scene.iloc[self.positions(patches)] if patches else scene[:0]
        counts = asked_scenes.value_counts()
        asked = counts.reindex(sizes.index, fill_value=0)
        order = np.lexsort((-sizes.to_numpy(), -asked.to_numpy()))
        return tuple(str(sizes.index[number]) for number in sorted(order[:MOST_SCENES]))

    def of_scene(self, scene: str) -> IntArray:
        """Return positions of a scene's patches, ascending."""
        return np.flatnonzero((self.run.patches["scene"] == scene).to_numpy()).astype(np.int64)

    @cached_property
    def _quicklooks(self) -> dict[str, Quicklook | None]:
        return {}

    def quicklook(self, scene: str) -> Quicklook | None:
        """Return a scene at a glance in the first composite's bands; None if it cannot be read."""
        if scene not in self._quicklooks:
            self._quicklooks[scene] = self._read_quicklook(scene)
        return self._quicklooks[scene]

    def _read_quicklook(self, scene: str) -> Quicklook | None:
        if self.source is None or scene in self.missing:
            return None
        try:
            bands = self.composites[0].bands
            return quicklook(self.source, scene, bands, self.of_scene(scene))
        except OwlError as error:
            log.warning("no quicklook: %s", error)
            return None


def _image_beside(statistics: BandStatistics) -> tuple[int, ...] | None:
    """Return the positions of the bands of the first view that is an image; None if none is.

    It shows patches of an embedding, whose own bands look like nothing.
    """
    for view in statistics.views:
        bands = statistics.of(view)
        if not statistics.dimensions(bands):
            return bands
    return None


def _pixels(run: Run) -> tuple[PoolSource | None, Mapping[str, str]]:
    try:
        source, missing = present_source(run)
    except BusyError:
        raise
    except OwlError as error:
        log.warning("no pixels can be read: %s", error)
        return None, dict.fromkeys(run.grids, str(error))
    for name, why in missing.items():
        log.warning("scene %r cannot be read: %s", name, why)
    return source, missing
