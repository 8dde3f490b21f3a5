"""A run that stays open from one round to the next, and takes in only what has changed since.

A command opens a run, does one thing and ends. A process that stays keeps what the answers do not
change: the patches, the scenes, the features and what was computed from them. Answers are read
anew each time. What others do to the folder meanwhile, commands, other machines or people, is
noticed by the state of the files: ``refresh`` compares them, and forgets what is no longer so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from owl_geo.disk.atomic import FileState, file_state, finish_replacing
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.identity import SceneFiles
from owl_geo.run_folder.paths import FEATURES, INDEX, PATCHES, TRUTH, WAITING, no_run
from owl_geo.settings import owl_toml
from owl_geo.sources.base import PatchSource
from owl_geo.work.progress import Reporter, silent
from owl_geo.work.workers import Workers

if TYPE_CHECKING:
    from owl_geo.models.devices import Device
    from owl_geo.search.search import Search

_FROM_SETTINGS = ("settings_here", "index", "source", "labels")  # cached properties of a run


class KeptRun(Run):
    """A run whose pool stays in memory; what it gives is what a run that is opened anew gives.

    It is used by one thread at a time. Call ``refresh`` before each piece of work.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # called by ``search``: whoever uses the search in another thread must have ended by then
        self.before_search: Callable[[Reporter], None] | None = None
        self._state: _FolderState | None = None
        self._kept: _KeptSearch | None = None
        before = _FolderState.of(Path(path))  # a change while the run is opened is noticed later
        super().__init__(path)
        self._state = before

    @classmethod
    def of_run(cls, run: Run) -> KeptRun:
        """Return the run itself if it is one that is kept, or else open its folder as one."""
        return run if isinstance(run, KeptRun) else cls(run.path)

    def refresh(self) -> bool:
        """Take in what has changed in the folder and the scenes; return whether it was much.

        It was if the pool, or anything computed from it, will be read or computed again. Raises
        ConfigError or RunError as opening the run does.
        """
        why_not = no_run(self.path)
        if why_not is not None:
            raise why_not
        self._finish_addition()
        forgotten = self._take_in_folder()
        return self._take_in_scenes() or forgotten

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from adding a round; see ``Run.locked``.

        What they changed before the lock was taken is taken in.
        """
        with super().locked():
            if self._state is not None:
                finish_replacing(self.path, WAITING)
                self._take_in_folder()
            yield

    def search(
        self,
        device: Device,
        workers: Workers | None = None,
        report: Reporter = silent,
        source: PatchSource | None = None,
    ) -> Search:
        """Return the search over this run's pool, the same one as long as nothing has changed.

        That of another ``source`` is not kept.
        """
        if self.before_search is not None:
            self.before_search(report)
        if source is not None and source is not self.source:
            return super().search(device, workers, report, source)
        if self._kept is None or self._kept.device != device:
            self._kept = None  # its memory is needed
            self._kept = _KeptSearch(super().search(device), device, self._weights())
        self._kept.search.work_for(workers, report)
        return self._kept.search

    def _take_in_folder(self) -> bool:
        """Read the settings and the pool anew if their files changed; return whether they did."""
        state = _FolderState.of(self.path)
        if state != self._state:
            settings = self._read_settings()
            same_pool = self._state is not None and state.index == self._state.index
            self._state = state
            # else it was a comment, or the order of lines
            if not same_pool or settings != self.settings:
                self.settings = settings
                self._forget(*_FROM_SETTINGS)
                return True
        self.__dict__.pop("labels", None)  # whoever keeps the answers is asked anew
        return False

    def _take_in_scenes(self) -> bool:
        """Open the scenes anew if their files changed; return whether they did."""
        if "index" not in self.__dict__:
            return False
        if "source" not in self.__dict__ and self._kept is None:
            vars(self.index).pop("scenes", None)
            return False
        now = SceneFiles(self.settings, self.settings_here, self.index.record, self.path / FEATURES)
        same_weights = self._kept is None or self._kept.weights == self._weights()
        if same_weights and now.ids == self.scenes.ids and next(now.missing, None) is None:
            return False
        self._forget("index", "source")  # a run that was moved lives only with unchanged scenes
        return True

    def _weights(self) -> FileState:
        """Return the state of the file with a backbone's weights, if they come from one."""
        return file_state(Path(self.settings_here.model.weights))

    def _forget(self, *names: str) -> None:
        self._kept = None
        for name in names:
            self.__dict__.pop(name, None)


@dataclass(frozen=True)
class _KeptSearch:
    search: Search
    device: Device
    weights: FileState  # of the file that they come from


@dataclass(frozen=True)
class _FolderState:
    """The files of a run that what is kept was made from."""

    settings: bytes | None  # the text: an editor may write twice within a tick of the clock
    index: Mapping[str, FileState]

    @classmethod
    def of(cls, folder: Path) -> _FolderState:
        try:
            settings = (folder / owl_toml.FILE_NAME).read_bytes()
        except OSError:
            settings = None  # opening the run says why
        return cls(settings, {n: file_state(folder / n) for n in (INDEX, PATCHES, TRUTH)})
