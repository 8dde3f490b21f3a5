"""From batch to batch: what a run takes in, and what is asked of owl-geo for the next one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from .batch import (
    annotator_of,
    count_unanswered,
    edited_layer,
    is_batch,
    is_review,
    is_untouched,
)
from .core import not_found
from .dock import LabelDock
from .engine import Engine
from .errors import Problem
from .labelling import Labelling
from .messages import Messages
from .next_batch import QUERY, NextBatch, Wanted
from .places import SharedPlace
from .run_folder import RunFolder
from .session import Answer
from .settings import PluginSettings
from .shared_batch import count_open, is_unanswered, published

_NEXT = "next"  # key of the one message that says why there is no next batch


@dataclass(frozen=True)
class _Newest:
    """A batch of a run's newest round."""

    place: Path | SharedPlace
    run: RunFolder | None  # where the place does not say
    is_review: bool
    is_open: bool  # for this annotator, with patches that have no answer
    is_untouched: bool  # without any answer


def _newest_of(run: RunFolder, annotator: str) -> list[_Newest]:
    """Return the newest batches of a run: those in its database, if it has one, else the files.

    The files of a run with a database have no answers. Raises Problem if they cannot be read.
    """
    shared = run.store()
    if shared is None:
        return [
            _Newest(
                path.absolute(),
                None,
                is_review(path),
                annotator_of(path) in (None, annotator) and count_unanswered(path) > 0,
                is_untouched(path),
            )
            for path in run.newest()
        ]
    found = published(shared, run.run_id())
    return [
        _Newest(one.place, run, one.is_review, count_open(one.place) > 0, is_unanswered(one.place))
        for one in found
        if one.round == found[0].round
    ]


class Rounds(QObject):
    """Makes batches, one at a time, and keeps owl-geo ready for the run that is labelled."""

    ready = pyqtSignal(object, object)  # Path or SharedPlace to open, RunFolder or None
    settings_wanted = pyqtSignal()

    def __init__(
        self,
        dock: LabelDock,
        messages: Messages,
        settings: PluginSettings,
        ask_run: Callable[[], Path | None],
        parent: QObject | None = None,
    ) -> None:
        """``ask_run`` lets the user choose a run folder, where the batch is in none."""
        super().__init__(parent)
        self._dock, self._messages, self._settings = dock, messages, settings
        self._ask_run = ask_run
        self._engine = Engine(self)
        self._warned_of: set[str] = set()  # once is enough
        self._work: NextBatch | None = None
        self._asked: RunFolder | None = None  # the run of the batch that is being made
        # the batch that was open when another was asked for, how many answers had been given, and
        # to which patches
        self._given: tuple[Path | SharedPlace | None, int, frozenset[str]] | None = None
        self._opened: set[Path | SharedPlace] = set()  # batches that were labelled, or changed
        self._labelling: Labelling | None = None
        # the open batch, and what is to follow it once nothing is typed any more
        self._typed_for: tuple[Labelling | None, Path | SharedPlace, RunFolder | None] | None = None
        dock.footer.cancelled.connect(self.cancel)
        dock.typed.connect(self._on_typed)
        self._engine.warned.connect(self._warn)

    # --- a batch begins and ends ------------------------------------------------------------------

    def begin(self, labelling: Labelling) -> None:
        """Go with a batch that was opened; the next one is begun once all of it is answered."""
        self._messages.clear(_NEXT)  # of another batch
        self._labelling = labelling
        self._opened.add(labelling.batch.place)
        labelling.completed.connect(self._foresee)

    def end(self) -> None:
        """Let go of the batch."""
        self._messages.clear(_NEXT)
        if self._labelling is not None:
            # the run takes them in later
            self._opened.update(self._labelling.stores.changed_batches)
            self._labelling = None

    def close(self) -> None:
        """Stop everything, before the plugin goes."""
        self.cancel()
        self._engine.close()

    # --- what the analyst asks for ----------------------------------------------------------------

    def next_batch(self) -> None:
        """Store the answers of the open batch in its run, and open the next one."""
        if self._work is not None or self._labelling is None or not self._is_saved():
            return
        known = self._labelling.run
        if known is None and self._labelling.batch.path is None:
            self._open_newer()
            return
        run = known.path if known is not None else self._ask_run()
        if run is None:
            return
        batch, session = self._labelling.batch, self._labelling.session
        try:
            folder = RunFolder(run)
            answered = self._answered_in(folder)
            is_newest = batch.path is None or batch.path in folder.newest()
        except Problem as problem:
            self._messages.fail(str(problem), key=_NEXT)
            return
        # without any answer it would wait for one
        leaves = batch.is_review and is_newest and not session.n_answered
        self._ask_core(run, answered, Wanted(leaves=leaves))

    def review(self, run: Path, leaves: bool = False) -> None:
        """Open the review of a run that was begun last, else make one of what the model finds.

        ``leaves`` is whether a batch without any answer is left for that.
        """
        if self._work is not None or (self._labelling is not None and not self._is_saved()):
            return
        state = self._state_of(run)
        if state is None:
            return
        newest, answered = state
        begun = next((one for one in newest if one.is_review and one.is_open), None)
        if begun is not None:
            self.ready.emit(begun.place, begun.run)
        elif any(one.is_untouched for one in newest) and not leaves:
            self._offer_to_leave(
                self.tr("Leave it and review"), lambda: self.review(run, leaves=True)
            )
        else:
            self._ask_core(run, answered, Wanted("review", leaves))

    def more_like(self, leaves: bool = False) -> None:
        """Make the next batch of the patches that are most like the one in view.

        ``leaves`` is whether a batch without any answer is left for that.
        """
        if self._work is not None or self._labelling is None or not self._is_saved():
            return
        known, session = self._labelling.run, self._labelling.session
        run = known.path if known is not None else self._ask_run()
        if run is None:
            return
        state = self._state_of(run)
        if state is None:
            return
        newest, answered = state
        if any(one.is_untouched for one in newest) and not leaves:
            self._offer_to_leave(
                self.tr("Leave it for more like this"), lambda: self.more_like(leaves=True)
            )
        else:
            patch = session.patches[session.current].patch_id
            self._ask_core(run, answered, Wanted("like", leaves, (patch,)))

    def make(self, run: Path) -> None:
        """Make the next batch of a run without taking in answers."""
        self._ask_core(run, [])

    def cancel(self) -> None:
        """Stop the work on the next batch."""
        if self._work is not None:
            self._work.cancel()

    @property
    def is_answering(self) -> bool:
        """Whether answers were given since the batch was asked for that is opened now."""
        now = self._labelling
        if now is None or self._given is None:
            return False
        place, n, _ = self._given
        return now.n_given > (n if now.batch.place == place else 0)

    @property
    def late_answers(self) -> dict[str, Answer]:
        """Answers to patches that had none when the batch was asked for that is opened now.

        It may ask them, too. Those that had an answer before are only asked again for a reason.
        """
        now = self._labelling
        if now is None or self._given is None or now.batch.place != self._given[0]:
            return {}
        if now.run is None or now.run.path.absolute() != self._asked.path.absolute():
            return {}  # patches of another run may have the same names
        before = self._given[2]
        return {
            patch.patch_id: patch.answer
            for patch in now.session.patches
            if patch.older is None and patch.answer.label and patch.patch_id not in before
        }

    # --- which batches there are ------------------------------------------------------------------

    def _state_of(self, run: Path) -> tuple[list[_Newest], list[Path]] | None:
        """Return a run's newest batches and those to take in; None if it cannot be read: said."""
        try:
            folder = RunFolder(run)
            return _newest_of(folder, self._annotator), self._answered_in(folder)
        except Problem as problem:
            self._messages.fail(str(problem), key=_NEXT)
            return None

    def _answered_in(self, run: RunFolder) -> list[Path]:
        """Return the batches of this sitting that a run is to take in, the open one first.

        One may have been answered further since it was ingested, also while the batch after it was
        being made, and in an earlier sitting; twice is harmless.
        """
        batches = run.batches()
        changed = [path for path in run.changed_batches() if path not in self._opened]
        late = [path for path in changed if is_batch(path) and not is_untouched(path)]
        mine = [path for path in late if annotator_of(path) in (None, self._annotator)]
        opened = [path for path in batches if path in self._opened or path in mine]
        labelling = self._labelling
        if labelling is None:
            return opened
        path = labelling.batch.path
        is_of_run = labelling.run is None or labelling.run.path.absolute() == run.path.absolute()
        if path is None or not is_of_run:
            return opened
        return list(dict.fromkeys([path, *opened, *labelling.stores.changed_batches]))

    def _offer_to_leave(self, action: str, leave: Callable[[], None]) -> None:
        """Say that the newest batch has no answers, with a button that leaves it."""
        text = self.tr("the newest batch has no answers yet; its patches return to the pool")
        self._messages.warn(text, key=_NEXT, action=action, call=leave)

    def _is_saved(self) -> bool:
        """Whether every answer is stored, and every edit of the layer; if not, that is said."""
        layer = edited_layer(self._labelling.batch)
        if layer is not None:
            text = self.tr("the layer {name} has edits that are not saved; save or discard them")
            self._messages.warn(text.format(name=layer.name()))
            return False
        if self._labelling.is_saved():
            return True
        self._messages.warn(self.tr("some answers are not saved yet; try again in a moment"))
        return False

    @property
    def _annotator(self) -> str:
        labelling = self._labelling
        return labelling.session.annotator if labelling else self._settings.annotator

    def _open_newer(self) -> None:
        """Open a newer batch of the same run, if somebody else makes the batches."""
        batch = self._labelling.batch
        try:
            found = published(batch.place)
        except Problem as problem:
            self._messages.fail(str(problem), key=_NEXT)
            return
        runs = [one.run_id for one in found if one.place == batch.place]
        newer = [one for one in found if one.run_id in runs and one.round > batch.round]
        if not newer:
            self._messages.warn(
                self.tr(
                    "no newer batch has been published yet; whoever has the run folder makes it"
                )
            )
            return
        self.ready.emit(newer[0].place, None)

    # --- what owl-geo does ------------------------------------------------------------------------

    def prepare(self, run: RunFolder | None) -> None:
        """Begin what the next batch needs, while this one is labelled."""
        program = self._settings.executable
        with suppress(Problem):  # whoever asks for the next batch is told
            if run is not None and program is not None and run.store() is None:
                self._engine.follow(program, run.path)

    def _foresee(self) -> None:
        """Begin the next batch, now that every patch has an answer; nothing is stored yet."""
        run = self._labelling.run
        with suppress(Problem):  # whoever asks for the next batch is told
            if run is None or run.store() is not None or self._work is not None:
                return
            batches = [str(path) for path in self._answered_in(run)]
            if batches and self._engine.is_running:
                whose = self._annotator  # as when they are taken in
                self._engine.ask("foresee", run=str(run.path), batches=batches, annotator=whose)

    def _ask_core(self, run: Path, answered: list[Path], wanted: Wanted = QUERY) -> None:
        if self._work is not None:  # a button of an earlier message was pressed
            return
        self._messages.clear(_NEXT)
        program = self._settings.executable
        if program is None:
            self._fail_to_start(not_found())
            return
        annotator = self._annotator
        try:
            folder = RunFolder(run)
            shared = folder.store() is not None
        except Problem as problem:
            self._messages.fail(str(problem), key=_NEXT)
            return
        self._asked = folder
        self._given = None, 0, frozenset()
        if self._labelling is not None:
            self._labelling.take_keyboard()  # what was being typed is saved
            patches = self._labelling.session.patches
            answered_now = frozenset(patch.patch_id for patch in patches if patch.answer.label)
            self._given = self._labelling.batch.place, self._labelling.n_given, answered_now
        self._dock.show()  # it shows the progress, and has the button to stop
        self._dock.raise_()
        if not shared:
            self._engine.follow(program, run)
        self._work = NextBatch(
            program, run, answered, annotator, self._engine, shared, self, wanted
        )
        self._work.progressed.connect(self._dock.footer.set_working)
        self._work.warned.connect(self._warn)
        self._work.done.connect(self._on_next)
        self._work.failed.connect(self._on_failed)
        self._work.unstarted.connect(self._on_unstarted)
        self._work.start()

    def _warn(self, text: str) -> None:
        if text not in self._warned_of:
            self._warned_of.add(text)
            self._messages.warn(text)

    def _on_next(self, place: Path | SharedPlace) -> None:
        self._end_work()
        is_same = self._labelling is not None and self._labelling.batch.place == place
        if is_same:
            self._messages.warn(self.tr("no patch was answered, so there is no new batch yet"))
            return
        if self._dock.is_typing:  # what is typed next would label patches of the new batch
            self._typed_for = self._labelling, place, self._asked
            self._dock.footer.set_note(self.tr("the next batch is ready; Return opens it"))
            return
        self.ready.emit(place, self._asked)

    def _on_typed(self) -> None:
        """Go on to a batch that came while something was typed on the panel, if it is wanted."""
        QTimer.singleShot(0, self._open_later)

    def _open_later(self) -> None:
        if self._typed_for is None:
            return
        (labelling, place, run), self._typed_for = self._typed_for, None
        if labelling is self._labelling:  # the same batch is open
            self.ready.emit(place, run)

    def _on_failed(self, line: str) -> None:
        self._end_work()
        self._messages.fail(line, key=_NEXT)

    def _on_unstarted(self, line: str) -> None:
        self._end_work()
        self._fail_to_start(line)

    def _fail_to_start(self, line: str) -> None:
        choose = self.settings_wanted.emit
        self._messages.fail(line, key=_NEXT, action=self.tr("Settings…"), call=choose)

    def _end_work(self) -> None:
        self._dock.footer.set_working("")
        if self._work is not None:
            self._work.deleteLater()
            self._work = None
