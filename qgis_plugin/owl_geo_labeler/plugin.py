"""The plugin's life in QGIS: its menu and toolbar, opening batches, and the way to the next one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProject,
)
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QCoreApplication, QLocale, QObject, Qt, QTimer, QTranslator
from qgis.PyQt.QtGui import QIcon, QKeySequence
from qgis.PyQt.QtWidgets import QAction, QDialog, QFileDialog, QInputDialog, QLineEdit, QToolBar

from .batch import Batch, annotator_of, count_unanswered, is_review, is_untouched, open_batch
from .core import not_found
from .dock import LabelDock
from .drop import BatchDrop
from .engine import Engine
from .errors import NoBatch, Problem
from .labelling import Labelling
from .layer_tree import add_batch
from .lingering import Lingering
from .linked import LinkedMaps
from .linked_dock import LinkedDock
from .messages import Messages
from .next_batch import QUERY, NextBatch, Wanted
from .places import SharedPlace
from .predictions import hide_predictions, show_predictions
from .predictions_menu import PredictionsMenu
from .provider import OwlGeoProvider
from .review import Review
from .review_dock import ReviewDock
from .run_folder import RunFolder
from .settings import PluginSettings
from .settings_dialog import SettingsDialog
from .shared_batch import count_open, open_shared, published

_FOLDER = Path(__file__).parent
_MENU = "owl-geo"
_TAKE_BACK = "F8"
_NEXT = "next"  # key of the one message that says why there is no next batch


class OwlGeoPlugin(QObject):
    """Created by QGIS. ``iface`` is None in qgis_process, which only uses the algorithms."""

    def __init__(self, iface: QgisInterface | None) -> None:
        super().__init__()
        self._iface = iface
        self._translator = _install_translation()
        self._settings = PluginSettings()
        self._provider: OwlGeoProvider | None = None
        self._toolbar: QToolBar | None = None
        self._actions: list[QAction] = []
        self._engine = Engine(self)
        self._work: NextBatch | None = None
        self._asked: RunFolder | None = None  # the run of the batch that is being made
        self._sitting: set[Path | SharedPlace] = set()  # batches that were opened
        self._last: Path | SharedPlace | None = None  # the batch that was opened last
        self.labelling: Labelling | None = None
        self._review: Review | None = None  # of the open batch, if it is one

    # --- life cycle -------------------------------------------------------------------------------

    def initProcessing(self) -> None:
        """Offer the algorithms; all that qgis_process calls."""
        self._provider = OwlGeoProvider(QIcon(str(_FOLDER / "icon.svg")))
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Add menu, toolbar, dock and drag and drop."""
        self.initProcessing()
        window = self._iface.mainWindow()
        self._messages = Messages(self._iface.messageBar())
        self._lingering = Lingering(self._messages, self)
        QgsApplication.instance().aboutToQuit.connect(self._on_quit)
        self.dock = LabelDock(window)
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()
        self.dock.batch_wanted.connect(self.choose_batch)
        self.dock.run_wanted.connect(self.choose_run)
        self.dock.next_wanted.connect(self.next_batch)
        self.dock.cancelled.connect(self._cancel_work)
        self.dock.predictions_wanted.connect(self.switch_predictions)
        self.dock.review_wanted.connect(self.review)
        self.dock.more_wanted.connect(self.more_like)
        self.review_dock = ReviewDock(window)
        self._iface.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.review_dock)
        self.review_dock.hide()
        self._predictions_menu = PredictionsMenu(self._iface, self)
        self._predictions_menu.wanted.connect(self.review_run)
        self._add_linked()
        self._toolbar = self._iface.addToolBar(_MENU)
        self._toolbar.setObjectName("OwlGeoToolBar")
        icon = QIcon(str(_FOLDER / "icon.svg"))
        toggle = self.dock.toggleViewAction()
        toggle.setIcon(icon)
        toggle.setText(self.tr("Labelling panel"))
        self._add(toggle, in_toolbar=True)
        for text, call in (
            (self.tr("Open batch…"), self.choose_batch),
            (self.tr("Open run folder…"), self.choose_run),
            (self.tr("Open shared batch…"), self.choose_shared),
            (self.tr("Show predictions"), self.show_predictions),
            (self.tr("Review what the model finds"), self.review),
            (self.tr("Label with clicks and keys"), self.take_back),
            (self.tr("Settings…"), self.open_settings),
        ):
            action = QAction(text, window)
            action.triggered.connect(call)
            if call == self.take_back:
                action.setShortcut(QKeySequence(_TAKE_BACK))
            self._add(action, in_toolbar=call == self.choose_batch)
        self._drop = BatchDrop(self.open)
        self._iface.registerCustomDropHandler(self._drop)

    def unload(self) -> None:
        """Remove everything again; answers that are still waiting go into a file."""
        self._cancel_work()
        self._engine.close()
        try:
            if self._toolbar is not None:
                QgsApplication.instance().aboutToQuit.disconnect(self._on_quit)
                self._on_quit()
                self._messages.close()
        finally:
            self._remove()

    def _remove(self) -> None:
        """Take away what QGIS shows of the plugin."""
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
        if self._toolbar is not None:
            self._iface.unregisterCustomDropHandler(self._drop)
            for action in self._actions:
                self._iface.removePluginMenu(_MENU, action)
                if action.parent() is self._iface.mainWindow():  # the dock keeps its own
                    action.deleteLater()
            self._actions.clear()
            self._predictions_menu.remove()
            for dock in (self.dock, self.review_dock, self.linked_dock):
                self._iface.removeDockWidget(dock)
                dock.deleteLater()
            self._toolbar.deleteLater()
            self._toolbar = None
        if self._translator is not None:
            QCoreApplication.removeTranslator(self._translator)

    def _on_quit(self) -> None:
        """Leave nothing that waits behind."""
        self._lingering.is_ending = True
        with ExitStack() as steps:  # each is gone through, whatever fails in another
            steps.callback(self.linked.close)
            steps.callback(self._lingering.finish)
            self._close_labelling()

    # --- opening ----------------------------------------------------------------------------------

    def choose_batch(self) -> None:
        """Ask for a batch and open it."""
        path, _ = QFileDialog.getOpenFileName(
            self._iface.mainWindow(),
            self.tr("Open batch"),
            self._settings.folder,
            self.tr("Batches (*.gpkg)"),
        )
        if path:
            self._settings.folder = str(Path(path).parent)
            self.open(Path(path))

    def choose_run(self) -> None:
        """Ask for a run folder and open its newest batch."""
        path = self._ask_run()
        if path is not None:
            self.open_run(path)

    def choose_shared(self) -> None:
        """Ask for the address of a batch in a team's database, and open it."""
        text, accepted = QInputDialog.getText(
            self._iface.mainWindow(),
            self.tr("Open shared batch"),
            self.tr("Address, as printed by owl-geo query --to-store:"),
            QLineEdit.EchoMode.Normal,
            self._settings.shared or "postgresql://HOST/DB",
        )
        if not accepted or not text.strip():
            return
        try:
            place = SharedPlace.parse(text)
            if not place.layer:
                place = self._newest(place, None)
        except Problem as problem:
            self._messages.fail(str(problem))
            return
        self._settings.shared = text.strip()
        self.open(place)

    def open(self, place: Path | SharedPlace, run: RunFolder | None = None) -> None:
        """Open a batch and begin to label, at its first unanswered patch.

        ``run`` is its run folder; for a file, that follows from its own path.
        """
        if self.labelling is not None:  # it may be this batch, which is read anew
            self.labelling.is_saved()
        try:
            batch = open_batch(place) if isinstance(place, Path) else open_shared(place)
            run = RunFolder.of_batch(batch.path) if batch.path is not None else run
        except Problem as problem:
            self._messages.fail(str(problem))
            return
        if batch.lacks_wal:
            message = self.tr(
                "{path} was saved by a program that keeps answers in a second file, {name}-wal, "
                "which is missing; if the batch was copied while open in QGIS, copy both files"
            )
            self._messages.warn(message.format(path=batch.path, name=batch.path.name))
        canvas = self._iface.mapCanvas()
        canvas.freeze(True)  # the map is drawn once, when all of it is in place
        try:
            self._show(batch, run)
        finally:
            canvas.freeze(False)
            canvas.refresh()
        self.dock.show()
        self.dock.raise_()
        self.labelling.take_keyboard()
        self._prepare_next(run)

    def _show(self, batch: Batch, run: RunFolder | None) -> None:
        """Put a batch in the place of the one before."""
        self._close_labelling()
        folder = run.path if run is not None else None
        if batch.place != self._last and hide_predictions(folder):
            self._messages.note(
                self.tr("predictions were hidden, so that they do not influence you")
            )
        self._last = batch.place
        self._sitting.add(batch.place)
        project = QgsProject.instance()
        was_empty = not project.mapLayers()
        add_batch(batch.layer, batch.round, folder)
        if was_empty:
            # a batch over several CRSs is in degrees, where square patches are not square
            crs = QgsCoordinateReferenceSystem(batch.patches[0].scene_crs)
            project.setCrs(crs if crs.isValid() else batch.layer.crs())
        self.labelling = Labelling(
            batch,
            self.dock,
            self._iface.mapCanvas(),
            self._messages,
            self._settings,
            run,
            self._lingering,
            self,
        )
        try:
            self._go_with(self.labelling)
        except BaseException:
            self._close_labelling()
            raise

    def _go_with(self, labelling: Labelling) -> None:
        """Let what is beside the panel go with a sitting that has begun."""
        labelling.ended.connect(self._forget_labelling)
        labelling.reopened.connect(self._open_later)
        labelling.completed.connect(self._foresee_next)
        self.linked.begin(labelling.batch, labelling.run, labelling.map, labelling.views)
        if labelling.batch.is_review:
            canvas = self._iface.mapCanvas()
            self._review = Review(labelling, self.review_dock, canvas, self.dock)
        self._iface.setActiveLayer(labelling.batch.layer)

    def open_run(self, folder: Path) -> None:
        """Open the newest batch of a run that has unanswered patches, else its newest batch.

        In a team, only the batches of this annotator count.
        """
        try:
            run = RunFolder(folder)
            shared = run.store()
            if shared is not None:
                self.open(self._newest(shared, run.run_id()), run)
                return
            batches = run.batches()
        except NoBatch as problem:
            self._messages.warn(
                str(problem),
                action=self.tr("Make the next batch"),
                call=lambda: self._ask_core(folder, []),
            )
            return
        except Problem as problem:
            self._messages.fail(str(problem))
            return
        if not batches:
            self._messages.warn(
                self.tr("{path} has no batch yet").format(path=folder),
                action=self.tr("Make the first batch"),
                call=lambda: self._ask_core(folder, []),
            )
            return
        whose = {path: annotator_of(path) for path in batches}
        mine = [path for path, name in whose.items() if name in (None, self._settings.annotator)]
        if not mine:
            message = self.tr(
                "the batches in {path} are for {names}; enter your name in the settings, "
                "or open one of the files"
            )
            names = ", ".join(dict.fromkeys(name for name in whose.values() if name))
            self._messages.warn(
                message.format(path=folder, names=names),
                action=self.tr("Settings…"),
                call=self.open_settings,
            )
            return
        self.open(next((path for path in mine if count_unanswered(path)), mine[0]))

    def show_predictions(self) -> None:
        """Show the maps of the open batch's run, or of a run that the user chooses."""
        labelling = self.labelling
        run = labelling.run.path if labelling is not None and labelling.run else self._ask_run()
        if run is None:
            return
        try:
            show_predictions(run, labelling.batch.layer if labelling is not None else None)
        except Problem as problem:
            self._messages.fail(str(problem))

    def switch_predictions(self) -> None:
        """Hide the maps of the open batch's run if they are shown, else show them."""
        known = self.labelling.run if self.labelling is not None else None
        if not hide_predictions(known.path if known is not None else None):
            self.show_predictions()

    def take_back(self) -> None:
        """Let clicks on the map and keys label again."""
        if self.labelling is None:
            return
        self.dock.show()
        self.dock.raise_()
        self.labelling.take_back()

    def open_settings(self) -> None:
        """Ask for the program and the annotator's name."""
        dialog = SettingsDialog(self._settings, self._iface.mainWindow())
        accepted = dialog.exec() == QDialog.DialogCode.Accepted
        if accepted and self.labelling is not None:
            name = self.labelling.batch.annotator or self._settings.annotator
            self.labelling.session.annotator = name

    # --- the next batch ---------------------------------------------------------------------------

    def next_batch(self) -> None:
        """Store the answers of the open batch in its run, and open the next one."""
        if self._work is not None or self.labelling is None or not self._is_saved():
            return
        known = self.labelling.run
        if known is None and self.labelling.batch.path is None:
            self._open_newer()
            return
        run = known.path if known is not None else self._ask_run()
        if run is None:
            return
        batch, session = self.labelling.batch, self.labelling.session
        try:
            folder = RunFolder(run)
            answered = self._answered_in(folder)
            is_newest = batch.path is None or batch.path in folder.newest()
        except Problem as problem:
            self._messages.fail(str(problem))
            return
        # without any answer it would wait for one
        leaves = batch.is_review and is_newest and not session.n_answered
        self._ask_core(run, answered, Wanted(leaves=leaves))

    def review(self) -> None:
        """Show the open review, or hide it if it is shown; without one, that of the run."""
        if self._review is not None:
            self._review.switch()
            return
        known = self.labelling.run if self.labelling is not None else None
        run = known.path if known is not None else self._ask_run()
        if run is not None:
            self.review_run(run)

    def review_run(self, run: Path, leaves: bool = False) -> None:
        """Open the review of a run that was begun last, else make one of what the model finds.

        ``leaves`` is whether a batch without any answer is left for that.
        """
        if self._work is not None or (self.labelling is not None and not self._is_saved()):
            return
        state = self._state_of(run)
        if state is None:
            return
        newest, answered = state
        mine = [path for path in newest if annotator_of(path) in (None, self._annotator)]
        begun = next((path for path in mine if is_review(path) and count_unanswered(path)), None)
        if begun is not None:
            self._open_review(begun)
        elif any(is_untouched(path) for path in newest) and not leaves:
            self._offer_to_leave(
                self.tr("Leave it and review"), lambda: self.review_run(run, leaves=True)
            )
        else:
            self._ask_core(run, answered, Wanted("review", leaves))

    def more_like(self, leaves: bool = False) -> None:
        """Make the next batch of the patches that are most like the one in view.

        ``leaves`` is whether a batch without any answer is left for that.
        """
        if self._work is not None or self.labelling is None or not self._is_saved():
            return
        known, session = self.labelling.run, self.labelling.session
        run = known.path if known is not None else self._ask_run()
        if run is None:
            return
        state = self._state_of(run)
        if state is None:
            return
        newest, answered = state
        if any(is_untouched(path) for path in newest) and not leaves:
            self._offer_to_leave(
                self.tr("Leave it for more like this"), lambda: self.more_like(leaves=True)
            )
        else:
            patch = session.patches[session.current].patch_id
            self._ask_core(run, answered, Wanted("like", leaves, (patch,)))

    def _state_of(self, run: Path) -> tuple[list[Path], list[Path]] | None:
        """Return a run's newest batches and those to take in; None if it cannot be read: said."""
        try:
            folder = RunFolder(run)
            return folder.newest(), self._answered_in(folder)
        except Problem as problem:
            self._messages.fail(str(problem))
            return None

    def _offer_to_leave(self, action: str, leave: Callable[[], None]) -> None:
        """Say that the newest batch has no answers, with a button that leaves it."""
        text = self.tr("the newest batch has no answers yet; its patches return to the pool")
        self._messages.warn(text, action=action, call=leave)

    def _open_review(self, path: Path) -> None:
        is_open = self.labelling is not None and self.labelling.batch.path == path.absolute()
        if is_open and self._review is not None:
            self._review.show()
        else:
            self.open(path)

    def _is_saved(self) -> bool:
        """Whether every answer is stored; if not, that is said."""
        if self.labelling.is_saved():
            return True
        self._messages.warn(self.tr("some answers are not saved yet; try again in a moment"))
        return False

    def _answered_in(self, run: RunFolder) -> list[Path]:
        """Return the batches of this sitting that a run is to take in, the open one first.

        One may have been answered further since it was ingested; twice is harmless.
        """
        batches = run.batches()
        opened = [path for path in batches if path in self._sitting]
        labelling = self.labelling
        if labelling is None:
            return opened
        path = labelling.batch.path
        is_of_run = labelling.run is None or labelling.run.path.absolute() == run.path.absolute()
        if path is None or not is_of_run:
            return opened
        return list(dict.fromkeys([path, *opened, *labelling.changed_batches]))

    @property
    def _annotator(self) -> str:
        labelling = self.labelling
        return labelling.session.annotator if labelling else self._settings.annotator

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
        self.dock.show()  # it shows the progress, and has the button to stop
        self.dock.raise_()
        if not shared:
            self._engine.follow(program, run)
        self._work = NextBatch(
            program, run, answered, annotator, self._engine, shared, self, wanted
        )
        self._work.progressed.connect(self.dock.set_working)
        self._work.done.connect(self._on_next)
        self._work.failed.connect(self._on_failed)
        self._work.unstarted.connect(self._on_unstarted)
        self._work.start()

    def _prepare_next(self, run: RunFolder | None) -> None:
        """Begin what the next batch needs, while this one is labelled."""
        program = self._settings.executable
        with suppress(Problem):  # whoever asks for the next batch is told
            if run is not None and program is not None and run.store() is None:
                self._engine.follow(program, run.path)

    def _foresee_next(self) -> None:
        """Begin the next batch, now that every patch has an answer; nothing is stored yet."""
        run = self.labelling.run
        with suppress(Problem):  # whoever asks for the next batch is told
            if run is None or run.store() is not None or self._work is not None:
                return
            batches = [str(path) for path in self._answered_in(run)]
            if batches and self._engine.is_running:
                self._engine.ask("foresee", run=str(run.path), batches=batches)

    def _on_next(self, place: Path | SharedPlace) -> None:
        self._end_work()
        is_same = self.labelling is not None and self.labelling.batch.place == place
        if is_same:
            self._messages.warn(self.tr("no patch was answered, so there is no new batch yet"))
            return
        self.open(place, self._asked)

    def _newest(self, store: SharedPlace, run_id: str | None) -> SharedPlace:
        """Return the newest published batch with open patches, else the newest.

        Raises NoBatch if there is none, Problem if the database cannot be read.
        """
        places = [one.place for one in published(store, run_id)]
        if not places:
            message = self.tr("no batch has been published in {place} yet")
            raise NoBatch(message.format(place=store.with_layer("")))
        return next((place for place in places if count_open(place)), places[0])

    def _open_newer(self) -> None:
        """Open a newer batch of the same run, if somebody else makes the batches."""
        batch = self.labelling.batch
        try:
            found = published(batch.place)
        except Problem as problem:
            self._messages.fail(str(problem))
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
        self.open(newer[0].place)

    def _on_failed(self, line: str) -> None:
        self._end_work()
        self._messages.fail(line, key=_NEXT)

    def _on_unstarted(self, line: str) -> None:
        self._end_work()
        self._fail_to_start(line)

    def _fail_to_start(self, line: str) -> None:
        self._messages.fail(line, key=_NEXT, action=self.tr("Settings…"), call=self.open_settings)

    def _cancel_work(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def _end_work(self) -> None:
        self.dock.set_working("")
        if self._work is not None:
            self._work.deleteLater()
            self._work = None

    # --- helpers ----------------------------------------------------------------------------------

    def _add(self, action: QAction, in_toolbar: bool) -> None:
        self._iface.addPluginToMenu(_MENU, action)
        self._actions.append(action)
        if in_toolbar:
            self._toolbar.addAction(action)

    def _add_linked(self) -> None:
        """Add the dock of the linked maps, between the map and the panel."""
        self.linked_dock = LinkedDock(self._iface.mainWindow())
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.linked_dock)
        self.linked_dock.hide()
        self.linked = LinkedMaps(
            self.linked_dock, self._iface.mapCanvas(), self._settings, self.dock, self
        )
        self.dock.linked_wanted.connect(self.linked.switch)

    def _ask_run(self) -> Path | None:
        path = QFileDialog.getExistingDirectory(
            self._iface.mainWindow(), self.tr("Open run folder"), self._settings.folder
        )
        if not path:
            return None
        self._settings.folder = path
        return Path(path)

    def _open_later(self, path: Path) -> None:
        """Open a batch once the signal that asked for it has returned."""
        layer = self.labelling.batch.layer
        self._close_labelling()
        QgsProject.instance().removeMapLayer(layer.id())
        QTimer.singleShot(0, lambda: self.open(path) if self._toolbar is not None else None)

    def _close_labelling(self) -> None:
        if self.labelling is not None:
            try:
                self.labelling.close()
            finally:
                self._forget_labelling()

    def _forget_labelling(self) -> None:
        labelling, self.labelling = self.labelling, None
        review, self._review = self._review, None
        if labelling is None:
            return
        self._sitting.update(labelling.changed_batches)  # the run takes them in later
        with ExitStack() as steps:
            steps.callback(labelling.deleteLater)
            steps.callback(self.linked.end)
            if review is not None:
                steps.callback(review.close)


def _install_translation() -> QTranslator | None:
    translator = QTranslator()
    if not translator.load(QLocale(), "owl_geo_labeler", "_", str(_FOLDER / "i18n")):
        return None
    QCoreApplication.installTranslator(translator)
    return translator
