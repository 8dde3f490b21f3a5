"""The run folder: everything about one search, on disk, so that any process can go on with it.

Each file has one writer and appears whole: the folder itself and every round are written under a
temporary name and then renamed. Only the answers are appended to.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
from pyproj import CRS

from owl_geo.disk.atomic import file_state, finish_replacing, locked
from owl_geo.disk.presence import exists, is_dir
from owl_geo.errors import RunError, SourceError
from owl_geo.ground.same_ground import are_shown
from owl_geo.labels import (
    AnsweredRun,
    LabelStore,
    not_withdrawn,
    open_store,
    settled,
)
from owl_geo.labels.exchange import corners_of
from owl_geo.models.devices import check_device
from owl_geo.run_folder.identity import SceneFiles
from owl_geo.run_folder.index import PatchIndex
from owl_geo.run_folder.journal import Journal
from owl_geo.run_folder.paths import FEATURES, INDEX, LOCK, WAITING, RunPaths, busy, no_run
from owl_geo.run_folder.records import Round, in_order_asked
from owl_geo.run_folder.reopening import reopened, warn_of_changes, with_views
from owl_geo.run_folder.waiting import labelled_since, waiting_files
from owl_geo.schema import RESERVED_LABELS
from owl_geo.settings import owl_toml
from owl_geo.settings.config import Settings
from owl_geo.sources.base import PatchSource, PoolSource, find_positions
from owl_geo.types import AnyArray, BoolArray, SceneGrid
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    from owl_geo.models.devices import Device
    from owl_geo.search.records import Answers
    from owl_geo.search.search import Search

log = logging.getLogger("owl_geo")

ORACLE = "oracle"  # the annotator's name in simulated answers
EXAMPLES = "examples"  # the batch's name in the answers that a run was made with


class Run:
    """A run folder, opened; raises ConfigError or RunError if it is not a run.

    Its parts are ``files``, the paths; ``index``, what was computed from the pool; ``scenes``, the
    scenes' files and whether they changed; ``journal``, the rounds; and ``labels``, the answers.
    Messages name the folder as it is ``called``: while a run is made, that is not yet its path.
    """

    def __init__(self, path: str | os.PathLike[str], *, called: Path | None = None) -> None:
        self.path = Path(path)
        self.called = called or self.path
        self.files = RunPaths(self.path)
        self.journal = Journal(self.files)
        self._then: list[Round] | None = None  # the rounds of the moment that is looked at
        why_not = no_run(self.path)
        if why_not is not None:
            raise why_not
        self._finish_addition()
        self.settings: Settings = self._read_settings()

    def __repr__(self) -> str:
        return f"Run({str(self.called)!r})"

    @classmethod
    def of(cls, run: AnyRun) -> Run:
        """Return the run itself if one is given, or else open the run in a folder."""
        return run if isinstance(run, Run) else cls(run)

    def _read_settings(self) -> Settings:
        self._indexed = file_state(self.path / INDEX)  # before, so that a change since is noticed
        return owl_toml.load(self.path / owl_toml.FILE_NAME)

    @cached_property
    def settings_here(self) -> Settings:
        """The settings with relative paths resolved from the run's folder."""
        return owl_toml.from_folder(self.settings, self.path)

    # --- the pool ---------------------------------------------------------------------------------

    @cached_property
    def index(self) -> PatchIndex:
        """What was computed from the pool when the run was made."""
        return PatchIndex(self.path, self.settings, self.settings_here, self._indexed)

    @property
    def patches(self) -> pd.DataFrame:
        """The patch index with one column per concept; see ``PatchIndex.patches``."""
        return self.index.patches

    @property
    def truth(self) -> pd.DataFrame | None:
        """What is known about each patch; see ``PatchIndex.truth``."""
        return self.index.truth

    @property
    def grids(self) -> dict[str, SceneGrid]:
        """The pixel grid of each scene when it was indexed."""
        return self.index.grids

    @property
    def crs(self) -> CRS:
        """The CRS of the footprints: the scenes' own if they share one, else EPSG:4326."""
        return self.index.crs

    def footprints(self, ids: Sequence[str]) -> gpd.GeoSeries:
        """Return the polygons of patches, by patch_id; raises SourceError for an unknown id."""
        return self.index.footprints(ids)

    @property
    def scenes(self) -> SceneFiles:
        """The scenes' files, and whether they changed."""
        return self.index.scenes

    @cached_property
    def source(self) -> PoolSource:
        """The patches' pixels; with the stored index, scenes need not be scanned again.

        Warns about scenes whose files have changed. Raises RunError if a scene's header is not that
        of the scene that was indexed, and SourceError if its file is gone.
        """
        toml = self.path / owl_toml.FILE_NAME
        return reopened(self.index, self.settings_here, toml, self.called)

    def with_views(self, source: PoolSource) -> PoolSource:
        """Return a source of the run's scenes, or of some of them, with the run's views."""
        return with_views(source, self.index, self.settings_here)

    def warn_of_changes(self) -> None:
        """Warn of scenes and views whose files are not what they were; nothing is opened."""
        warn_of_changes(self.scenes, self.called)

    # --- answers ----------------------------------------------------------------------------------

    @cached_property
    def labels(self) -> LabelStore:
        """Every answer ever given; see ``label_store``."""
        return self.label_store()

    def label_store(self, crs: CRS | None = None, *, check: bool = True) -> LabelStore:
        """Open the store that owl.toml names; ``open_store`` explains ``check`` and RunError.

        ``crs`` is the CRS of the footprints, instead of the run's own.
        """
        crs = self.crs if crs is None else crs
        labels = (*self.settings.classes, *RESERVED_LABELS) if check else None
        owner = AnsweredRun(self.path, self.settings.run_id, crs, self.called, labels)
        store = open_store(self.settings.labels, owner, check=check)
        if check:
            self.check_ground(store)
        return store

    @property
    def n_encoded(self) -> int | None:
        """The number of patches, from the first, that concepts are encoded by; None for all.

        A model that goes on from round to round needs the same inputs.
        """
        return self.index.parts[0] if self.settings.model.by_gradient else None

    def check_ground(self, store: LabelStore) -> None:
        """Raise RunError where the store knows patches under these names on other ground.

        Another run has the same id where it was made with the same settings and the same names, and
        its file may have been copied here. A scene is on other ground where all that is known of it
        is: polygons in a file can be moved one by one, and its answers go by their names.
        """
        ground = store.ground()
        if not ground:
            return
        try:
            at = find_positions(self.patches, list(ground))
        except RunError:  # whatever needs the index says why it cannot be read
            return
        names: AnyArray = np.array(list(ground), dtype=object)
        corners = corners_of(np.array(list(ground.values()), dtype=object))
        known = np.flatnonzero((at >= 0) & np.isfinite(corners).all(axis=(1, 2)))
        windows = self.index.windows.take(at[known])
        shown = are_shown(windows, corners[known])
        elsewhere = names[known[~np.isin(windows.scene, windows.scene[shown])]]
        if len(elsewhere):
            raise store.elsewhere(str(elsewhere[0]), self.called)

    def answers(self, history: pd.DataFrame, seen: int, rounds: Sequence[Round]) -> Answers:
        """Return the answers as positions in the index; those after ``seen`` are fresh.

        They are in the order in which ``rounds`` asked for them, whoever answered first: a network
        learns in that order. Raises RunError where the index lacks an answered patch.
        """
        from owl_geo.search.records import Answers, class_numbers  # takes a while to import

        current, tied = settled(history)
        current = in_order_asked(current, rounds)
        try:
            closed = self.index.positions(current["patch_id"].tolist())
        except SourceError as error:
            raise RunError(
                f"{self.labels.place} has an answer to another pool's patch: {error}",
                remedy="correct it where it was edited, or restore it",
            ) from error
        has_class = current["label"].isin(self.settings.classes).to_numpy(dtype=bool)
        labelled = current[has_class]
        return Answers(
            positions=closed[has_class],
            labels=class_numbers(self.settings.classes, labelled["label"]),
            fresh=(labelled["seq"] > seen).to_numpy(),
            closed=closed,
            again=self.index.positions(tied),
        )

    def lacking(self, history: pd.DataFrame) -> Round | None:
        """Return the round that learned from the newest answers if the store has these no more."""
        newest = int(history["seq"].max()) if len(history) else 0
        last = max(self.rounds(), key=lambda entry: entry.answers_seen, default=None)
        return last if last is not None and last.answers_seen > newest else None

    def askable(self, current: pd.DataFrame) -> BoolArray:
        """Return which patches may be labelled, bool ``(n,)``; see ``search.askable``.

        ``current`` has the labels in the store at this moment.
        """
        from owl_geo.search.askable import askable

        at = find_positions(self.patches, current["patch_id"].tolist())
        closed = np.sort(at[at >= 0])
        return askable(self.patches, self.index.shared, self.truth, closed, closed[:0])

    # --- rounds -----------------------------------------------------------------------------------

    def rounds(self) -> list[Round]:
        """Return every round on disk, oldest first; raises RunError if one is damaged."""
        return self.journal.rounds() if self._then is None else self._then.copy()

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Let rounds and answers be those of now until the end, for what reads them several times.

        Others add to them meanwhile, and what it says would be partly of before, partly of after.
        Nothing may be added here. Raises RunError where they cannot be read.
        """
        if self._then is not None:
            yield
            return
        rounds = self.rounds()  # first, so that the answers are there that they have learnt from
        labels = self.labels
        self.labels = labels.as_now()
        self._then = rounds
        try:
            yield
        finally:
            self.labels, self._then = labels, None

    def batch_path(self, number: int) -> Path:
        """Return the batch GeoPackage of a round that was not divided among a team."""
        return self.files.batch(number)

    def batch_paths(self, entry: Round) -> dict[str | None, Path]:
        """Return the files of a round's batch by annotator; see ``RunPaths.batches``."""
        return self.files.batches(entry)

    def waiting(self) -> Round | None:
        """Return the last round if its batch waits for answers, else None; see ``waits``."""
        rounds = self.rounds()
        return rounds[-1] if rounds and self.waits(rounds[-1]) else None

    def waits(self, entry: Round, history: pd.DataFrame | None = None) -> list[Path]:
        """Return the files of a round's batch that wait for answers; see ``waiting_files``.

        ``history`` holds the answers where they have been read, None = as they are now.
        """
        if history is None:
            history = self.labels.history()
        labelled = labelled_since(entry, history, self.index)
        return waiting_files(self.files, entry, not_withdrawn(history), labelled)

    def unanswered(self, entry: Round, history: pd.DataFrame) -> list[str]:
        """Return the patches of a round's batch that nobody has labelled since it was made."""
        given = not_withdrawn(history)
        answered = {*given.loc[given["batch_id"] == entry.batch_id, "patch_id"]}
        answered |= labelled_since(entry, history, self.index).keys()
        return [patch for patch in entry.patch_ids if patch not in answered]

    def check_waiting(self, entry: Round) -> None:
        """Raise RunError where no file that waits for answers is there any more; warn of each else.

        In a database, people label without the files.
        """
        waiting = self.waits(entry)
        gone = [path for path in waiting if not exists(path)]
        if self.labels.has_layers or not gone:
            return
        if len(gone) == len(waiting):
            raise RunError(
                f"batch {entry.batch_id} waits for answers, but {gone[0]} is gone",
                remedy="restore it, ingest it from where it is, or make another batch with --go-on",
            )
        for path in gone:
            log.warning(
                "batch %s waits for answers, but %s is gone; ingest it from where it is",
                *(entry.batch_id, path),
            )

    def is_finished(self) -> bool:
        """Return whether the last fit is done, and the budget of rounds in owl.toml is spent.

        Only a search with an oracle ends; people stop when they have found enough.
        """
        rounds = self.rounds()
        if self.settings.oracle is None or not rounds or rounds[-1].batch_id is not None:
            return False
        return not self.budget_is_left(rounds)

    def budget_is_left(self, rounds: Sequence[Round]) -> bool:
        """Return whether a search with an oracle has another batch to label."""
        # the first batch included
        asked = sum(entry.batch_id is not None and not entry.is_review for entry in rounds)
        if asked > self.settings.loop.rounds:
            return False
        return bool(self.askable(self.labels.current()).any())

    def search(
        self,
        device: Device,
        workers: Workers | None = None,
        report: Reporter = silent,
        source: PatchSource | None = None,
    ) -> Search:
        """Return the search over this run's pool, in memory; ``source`` replaces the run's own.

        Raises ConfigError where this machine lacks the device.
        """
        from owl_geo.search.search import Search

        check_device(device)
        return Search(
            self.settings_here,
            self.patches,
            self.source if source is None else source,
            self.index.statistics,
            self.truth,
            device=device,
            keep=self.path / FEATURES,
            scene_ids=self.scenes.ids,
            workers=workers,
            report=report,
            n_encoded=self.n_encoded,
            places_once=self.index.record.places_once,
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from adding a round; the lock ends with this process.

        Raises RunError if another process holds it.
        """
        with locked(self.path / LOCK, busy(self.called)):
            yield

    def _finish_addition(self) -> None:
        """Finish an addition of scenes whose process was killed after all files were written."""
        if is_dir(self.path / WAITING):
            with self.locked():
                finish_replacing(self.path, WAITING)


AnyRun = Run | str | os.PathLike[str]  # a run, or its folder
