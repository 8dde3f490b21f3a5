"""The plugin's life in QGIS: its menu and toolbar, and opening batches."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsProject
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QCoreApplication, QLocale, QObject, Qt, QTimer, QTranslator
from qgis.PyQt.QtGui import QIcon, QKeySequence
from qgis.PyQt.QtWidgets import QDialog

from .batch import Batch, annotator_of, count_unanswered, edited_layer, open_batch
from .choosers import choose_batch, choose_run, choose_shared
from .dock import LabelDock
from .drop import BatchDrop
from .errors import NoBatch, Problem
from .labelling import Labelling
from .layer_tree import add_batch, put_away_old
from .lingering import Lingering
from .linked import LinkedMaps
from .linked_dock import LinkedDock
from .menu import Menu
from .messages import Messages
from .places import SharedPlace
from .predictions import hide_predictions, show_predictions
from .predictions_menu import PredictionsMenu
from .provider import OwlGeoProvider
from .review import Review
from .review_dock import ReviewDock
from .rounds import Rounds
from .run_folder import RunFolder, without_copies
from .settings import PluginSettings
from .settings_dialog import SettingsDialog
from .shared_batch import newest_published, open_shared
from .whereabouts import types_elsewhere
from .workplace import Workplace

_FOLDER = Path(__file__).parent
_TAKE_BACK = "F8"
_OPEN, _MAPS = "open", "predictions"  # keys of messages: why there is no batch, or no maps


class OwlGeoPlugin(QObject):
    """Created by QGIS. ``iface`` is None in qgis_process, which only uses the algorithms."""

    def __init__(self, iface: QgisInterface | None) -> None:
        super().__init__()
        self._iface = iface
        self._translator = _install_translation()
        self._settings = PluginSettings()
        self._provider: OwlGeoProvider | None = None
        self._menu: Menu | None = None  # while QGIS shows the plugin
        self._last: Path | SharedPlace | None = None  # the batch that was opened last
        self.labelling: Labelling | None = None
        self._review: Review | None = None  # of the open batch, if it is one

    # --- life cycle -------------------------------------------------------------------------------

    def initProcessing(self) -> None:
        """Offer the algorithms; all that qgis_process calls."""
        self._provider = OwlGeoProvider(QIcon(str(_FOLDER / "icon.svg")))
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Add menu, toolbar, docks and drag and drop."""
        self.initProcessing()
        self._messages = Messages(self._iface.messageBar())
        self._lingering = Lingering(self._messages, self)
        QgsApplication.instance().aboutToQuit.connect(self._on_quit)
        self._add_panel()
        self.review_dock = ReviewDock(self._iface.mainWindow())
        self._iface.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.review_dock)
        self.review_dock.hide()
        self.rounds = Rounds(self.dock, self._messages, self._settings, self._ask_run, self)
        self.rounds.ready.connect(self._go_to)
        self.rounds.settings_wanted.connect(self.open_settings)
        self._predictions_menu = PredictionsMenu(self._iface, self)
        self._predictions_menu.wanted.connect(self.review_run)
        self._add_linked()
        self._add_menu()
        self._drop = BatchDrop(self.open)
        self._iface.registerCustomDropHandler(self._drop)

    def unload(self) -> None:
        """Remove everything again; answers that are still waiting go into a file."""
        try:
            if self._menu is not None:
                self.rounds.close()
                QgsApplication.instance().aboutToQuit.disconnect(self._on_quit)
                self._on_quit()
                self._messages.close()
        finally:
            self._remove()

    def _remove(self) -> None:
        """Take away what QGIS shows of the plugin."""
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
        if self._menu is not None:
            self._iface.unregisterCustomDropHandler(self._drop)
            self._menu.remove()
            self._predictions_menu.remove()
            self.rounds.deleteLater()
            for dock in (self.dock, self.review_dock, self.linked_dock):
                self._iface.removeDockWidget(dock)
                dock.deleteLater()
            self._menu = None
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
        path = choose_batch(self._iface.mainWindow(), self._settings)
        if path is not None:
            self.open(path)

    def choose_run(self) -> None:
        """Ask for a run folder and open its newest batch."""
        path = self._ask_run()
        if path is not None:
            self.open_run(path)

    def _ask_run(self) -> Path | None:
        return choose_run(self._iface.mainWindow(), self._settings)

    def choose_shared(self) -> None:
        """Ask for the address of a batch in a team's database, and open it."""
        try:
            place = choose_shared(self._iface.mainWindow(), self._settings)
        except Problem as problem:
            self._messages.fail(str(problem), key=_OPEN)
            return
        if place is not None:
            self.open(place)

    def open(
        self,
        place: Path | SharedPlace,
        run: RunFolder | None = None,
        takes_keyboard: bool = True,
    ) -> None:
        """Open a batch and begin to label, at its first unanswered patch.

        ``run`` is its run folder; for a file, that follows from its own path. ``takes_keyboard`` is
        whether keys label from now on, wherever they went before.
        """
        self._messages.clear(_OPEN)
        if self.labelling is not None:  # it may be this batch, which is read anew
            self.labelling.is_saved()
        try:
            shown = self.labelling.batch.layer if self.labelling is not None else None
            is_file = isinstance(place, Path)
            batch = open_batch(place, shown) if is_file else open_shared(place, shown)
            run = RunFolder.of_batch(batch.path) if batch.path is not None else run
        except Problem as problem:
            self._messages.fail(str(problem), key=_OPEN)
            return
        if batch.lacks_wal:
            message = self.tr(
                "{path} was saved by a program that keeps answers in a second file, {name}-wal, "
                "which is missing; if the batch was copied while open in QGIS, copy both files"
            )
            self._messages.warn(message.format(path=batch.path, name=batch.path.name))
        edited = edited_layer(batch)
        if edited is not None:
            message = self.tr(
                "the layer {name} has edits that are not saved, so the panel does not show them; "
                "save or discard them, or they replace later answers"
            )
            self._messages.warn(message.format(name=edited.name()))
        canvas = self._iface.mapCanvas()
        canvas.freeze(True)  # the map is drawn once, when all of it is in place
        try:
            self._show(batch, run)
        finally:
            canvas.freeze(False)
            canvas.refresh()
        self.dock.show()
        self.dock.raise_()
        if takes_keyboard:
            self.labelling.take_keyboard()
        self.rounds.prepare(run)

    def _show(self, batch: Batch, run: RunFolder | None) -> None:
        """Put a batch in the place of the one before."""
        self._close_labelling()
        folder = run.path if run is not None else None
        if batch.place != self._last and hide_predictions(folder):
            self._messages.note(
                self.tr("predictions were hidden, so that they do not influence you")
            )
        self._last = batch.place
        project = QgsProject.instance()
        was_empty = not project.mapLayers()
        add_batch(batch.layer, batch.round, folder)
        if put_away_old(batch.layer, folder):
            self._iface.mapCanvas().clearCache()  # which holds their images
        if was_empty:
            # a batch over several CRSs is in degrees, where square patches are not square
            crs = QgsCoordinateReferenceSystem(batch.patches[0].scene_crs)
            project.setCrs(crs if crs.isValid() else batch.layer.crs())
        self.labelling = Labelling(batch, run, self._workplace, self)
        try:
            self._go_with(self.labelling)
        except BaseException:
            self._close_labelling()
            raise

    def _go_with(self, labelling: Labelling) -> None:
        """Let what is beside the panel go with a sitting that has begun."""
        labelling.ended.connect(self._forget_labelling)
        labelling.reopened.connect(self._open_later)
        self.rounds.begin(labelling)
        self.linked.begin(labelling.batch, labelling.run, labelling.map, labelling.sight.views)
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
                self.open(newest_published(shared, run.run_id()), run)
                return
            batches = run.batches()
        except NoBatch as problem:
            self._messages.warn(
                str(problem),
                key=_OPEN,
                action=self.tr("Make the next batch"),
                call=lambda: self.rounds.make(folder),
            )
            return
        except Problem as problem:
            self._messages.fail(str(problem), key=_OPEN)
            return
        if batches:
            self._open_one_of(batches, folder)
            return
        self._messages.warn(
            self.tr("{path} has no batch yet").format(path=folder),
            key=_OPEN,
            action=self.tr("Make the first batch"),
            call=lambda: self.rounds.make(folder),
        )

    def _open_one_of(self, batches: list[Path], folder: Path) -> None:
        """Open the first of a run's batches that is for this annotator and has unanswered patches.

        If none has any, it is the first that is for this annotator.
        """
        whose = {path: annotator_of(path) for path in without_copies(batches)}
        mine = [path for path, name in whose.items() if name in (None, self._settings.annotator)]
        if mine:
            self.open(next((path for path in mine if count_unanswered(path)), mine[0]))
            return
        message = self.tr(
            "the batches in {path} are for {names}; enter your name in the settings, "
            "or open one of the files"
        )
        names = ", ".join(dict.fromkeys(name for name in whose.values() if name))
        self._messages.warn(
            message.format(path=folder, names=names),
            key=_OPEN,
            action=self.tr("Settings…"),
            call=self.open_settings,
        )

    def show_predictions(self) -> None:
        """Show the maps of the open batch's run, or of a run that the user chooses."""
        labelling = self.labelling
        run = labelling.run.path if labelling is not None and labelling.run else self._ask_run()
        if run is None:
            return
        self._messages.clear(_MAPS)
        try:
            show_predictions(run, labelling.batch.layer if labelling is not None else None)
        except Problem as problem:
            self._messages.fail(str(problem), key=_MAPS)

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
        self.rounds.next_batch()

    def more_like(self) -> None:
        """Make the next batch of the patches that are most like the one in view."""
        self.rounds.more_like()

    def review(self) -> None:
        """Show the open review, or hide it if it is shown; without one, that of the run."""
        if self._review is not None:
            self._review.switch()
            return
        known = self.labelling.run if self.labelling is not None else None
        run = known.path if known is not None else self._ask_run()
        if run is not None:
            self.review_run(run)

    def review_run(self, run: Path) -> None:
        """Open the review of a run that was begun last, else make one of what the model finds."""
        self.rounds.review(run)

    def _go_to(self, place: Path | SharedPlace, run: RunFolder | None) -> None:
        """Open a batch, or show the review that is open already."""
        if self._review is not None and self.labelling.batch.place == place:
            self._review.show()
            return
        is_answering, before = self.rounds.is_answering, self.labelling
        late = self.rounds.late_answers
        self.open(place, run, takes_keyboard=not types_elsewhere(self.dock))
        if is_answering and self.labelling is not before:
            self.labelling.carry_over(late)
            self.labelling.wait_for_eyes()

    # --- menu and docks ---------------------------------------------------------------------------

    def _add_panel(self) -> None:
        """Add the dock for labelling."""
        self.dock = LabelDock(self._iface.mainWindow())
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()
        self.dock.batch_wanted.connect(self.choose_batch)
        self.dock.run_wanted.connect(self.choose_run)
        self.dock.footer.next_wanted.connect(self.next_batch)
        self.dock.map_panel.predictions_wanted.connect(self.switch_predictions)
        self.dock.map_panel.review_wanted.connect(self.review)
        self.dock.map_panel.more_wanted.connect(self.more_like)
        self._workplace = Workplace(
            self.dock, self._iface.mapCanvas(), self._messages, self._settings, self._lingering
        )

    def _add_menu(self) -> None:
        """Add what the menu offers."""
        self._menu = Menu(self._iface)
        toggle = self.dock.toggleViewAction()
        toggle.setIcon(QIcon(str(_FOLDER / "icon.svg")))
        toggle.setText(self.tr("Labelling panel"))
        self._menu.add_action(toggle, in_toolbar=True)
        self._menu.add(self.tr("Open batch…"), self.choose_batch, in_toolbar=True)
        self._menu.add(self.tr("Open run folder…"), self.choose_run)
        self._menu.add(self.tr("Open shared batch…"), self.choose_shared)
        self._menu.add(self.tr("Show predictions"), self.show_predictions)
        self._menu.add(self.tr("Review what the model finds"), self.review)
        take_back = self._menu.add(self.tr("Label with clicks and keys"), self.take_back)
        take_back.changed.connect(self._note_key)  # QGIS's settings give it another one
        take_back.setShortcut(QKeySequence(_TAKE_BACK))
        self._menu.add(self.tr("Settings…"), self.open_settings)

    def _note_key(self) -> None:
        """Let the panel name the key that brings clicks and keys back."""
        form = QKeySequence.SequenceFormat.NativeText
        self.dock.take_back_key = self.sender().shortcut().toString(form)

    def _add_linked(self) -> None:
        """Add the dock of the linked maps, between the map and the panel."""
        self.linked_dock = LinkedDock(self._iface.mainWindow())
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.linked_dock)
        self.linked_dock.hide()
        self.linked = LinkedMaps(
            self.linked_dock, self._iface.mapCanvas(), self._settings, self.dock, self
        )
        self.dock.map_panel.linked_wanted.connect(self.linked.switch)

    # --- the end of a sitting ---------------------------------------------------------------------

    def _open_later(self, path: Path) -> None:
        """Open a batch once the signal that asked for it has returned."""
        layer = self.labelling.batch.layer
        self._close_labelling()
        QgsProject.instance().removeMapLayer(layer.id())
        QTimer.singleShot(0, lambda: self.open(path) if self._menu is not None else None)

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
        with ExitStack() as steps:
            steps.callback(self._messages.clear, _MAPS)
            steps.callback(self._messages.clear, _OPEN)
            steps.callback(labelling.deleteLater)
            steps.callback(self.rounds.end)
            steps.callback(self.linked.end)
            if review is not None:
                steps.callback(review.close)


def _install_translation() -> QTranslator | None:
    translator = QTranslator()
    if not translator.load(QLocale(), "owl_geo_labeler", "_", str(_FOLDER / "i18n")):
        return None
    QCoreApplication.installTranslator(translator)
    return translator
