"""Maps beside the main one that show its ground otherwise: a view, or a layer of the project."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsMapLayer, QgsProject, QgsRectangle
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer
from qgis.PyQt.QtWidgets import QDockWidget

from .batch import Batch
from .layer_tree import frames_among, others, scenes_beside
from .linked_dock import MOST, LinkedDock, LinkedMap
from .map import PatchMap
from .run_folder import RunFolder
from .settings import PluginSettings
from .views import Views

_SCENE, _VIEW, _LAYER = "scene", "view:", "layer:"  # what a map shows; a name follows the last two
_KEY_EVENTS = (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress, QEvent.Type.KeyRelease)
_SHARE = 2  # the dock takes one part in so many of the main map
_LEAST_WIDTH = 200  # pixels that it can have beside the map, or it goes below
_SETTLED_MS = 50  # until a window has laid out a dock that came or went


class LinkedMaps(QObject):
    """Keeps the maps of a dock on the ground of the main map, in both directions.

    The ground across the shorter side is the same on all of them, so that each shows the whole
    surroundings of a patch, whatever its shape. Over what a map shows are the frames that the main
    map has. What is shown, and whether the dock is open, is remembered for each run.
    """

    def __init__(
        self,
        dock: LinkedDock,
        canvas: QgsMapCanvas,
        settings: PluginSettings,
        panel: QDockWidget,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._dock, self._canvas, self._panel = dock, canvas, panel
        self._settings = settings
        self._batch: Batch | None = None
        self._run: Path | None = None
        self._map: PatchMap | None = None
        self._views: Views | None = None
        self._is_open = False
        self._is_moving = False  # whether maps are moved from here
        self._widths: list[int] = []  # of dock and panel, while the dock was open last
        self._height = 0  # of the dock, once it has gone below the map
        # sizes and layers change in bursts, a next batch follows at once upon the last, and a
        # window takes widths only after it has laid out the dock
        self._follow_later, self._show_later, self._hide_later, self._widen_later = self._later = [
            self._timer(call) for call in (self._follow, self._show, self._hide, self._give_widths)
        ]
        dock.closed.connect(self._on_closed)
        dock.installEventFilter(self)

    # --- a batch begins and ends ------------------------------------------------------------------

    def begin(self, batch: Batch, run: RunFolder | None, patch_map: PatchMap, views: Views) -> None:
        """Go with a batch that was opened; the dock opens if it was open for the run."""
        self._batch, self._map, self._views = batch, patch_map, views
        self._run = run.path if run is not None else None
        self._hide_later.stop()
        self._dock.set_wanted(True)
        self._connect()
        is_open, shown = self._settings.linked_maps(self._place())
        if is_open:
            self._open(shown)
        else:
            self._hide()

    def end(self) -> None:
        """Let go of the batch and of all layers."""
        if self._batch is None:
            return
        self._disconnect()
        for timer in self._later:
            timer.stop()
        for one in self._dock.maps:
            one.close_map()
        self._batch = self._map = self._views = None
        self._is_open = False
        self._dock.set_wanted(False)
        self._hide_later.start(0)

    def close(self) -> None:
        """Take every map away, before the dock goes: nothing is to be done later."""
        self.end()
        for timer in self._later:
            timer.stop()
        self._dock.removeEventFilter(self)
        self._dock.clear()

    def switch(self) -> None:
        """Open the dock, or close it if it is open."""
        if self._batch is None:
            return
        if self._is_open:
            self._dock.close()
        else:
            self._open(self._settings.linked_maps(self._place())[1])
            self._remember()

    @property
    def is_open(self) -> bool:
        """Whether the maps are shown."""
        return self._is_open

    # --- opening and closing ----------------------------------------------------------------------

    def _open(self, shown: list[str]) -> None:
        self._is_open = True
        wanted = shown[:MOST] or [self._next_choice()]
        while len(self._dock.maps) > len(wanted):
            self._dock.remove_map(self._dock.maps[-1])
        while len(self._dock.maps) < len(wanted):
            self._add_map()
        for one, key in zip(self._dock.maps, wanted):
            one.key = key
        self._widen()
        self._dock.show()
        self._show()
        self._follow()

    def _add_map(self) -> LinkedMap:
        one = self._dock.add_map()
        one.canvas.setCanvasColor(self._canvas.canvasColor())
        one.chosen.connect(lambda key: self._choose(one, key))
        one.moved.connect(lambda: self._lead(one))
        one.resized.connect(lambda: self._follow_later.start(0))
        one.clicked.connect(self._on_click)
        one.added.connect(self._on_added)
        one.removed.connect(lambda: self._on_removed(one))
        return one

    def _widen(self) -> None:
        """Give the dock its last width or, when it opens for the first time, half of the map's.

        Where the window is so narrow that little of that could be had, the dock goes below the map.
        """
        if not self._is_beside_panel():
            return
        if not self._widths:
            window, across = self._dock.parentWidget(), Qt.Orientation.Horizontal
            # the panel may have the room that the dock left when it was hidden
            width = min(self._panel.width(), self._panel.sizeHint().width())
            room = self._canvas.width() + self._panel.width() - width
            if room - window.centralWidget().minimumSizeHint().width() < _LEAST_WIDTH:
                self._height = self._canvas.height() // _SHARE
                window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self._dock)
                self._widen_later.start(_SETTLED_MS)
                return
            window.splitDockWidget(self._dock, self._panel, across)
            self._widths = [room // _SHARE, width]
        self._widen_later.start(_SETTLED_MS)

    def _keep_widths(self) -> None:
        """Remember the widths before the dock is hidden, and leave its room to the map."""
        # one that QGIS opened at its start has no maps, and a width that nobody has chosen
        if self._dock.maps and self._dock.isVisible() and self._is_beside_panel():
            self._widths = [self._dock.width(), self._panel.width()]
            self._widen_later.start(_SETTLED_MS)

    def _give_widths(self) -> None:
        if self._height:
            docks, heights = [self._dock], [self._height]
            self._dock.parentWidget().resizeDocks(docks, heights, Qt.Orientation.Vertical)
            self._height = 0
            return
        # without the dock, the panel alone keeps its width
        n = 0 if self._dock.isVisible() else 1
        docks, widths = [self._dock, self._panel][n:], self._widths[n:]
        self._dock.parentWidget().resizeDocks(docks, widths, Qt.Orientation.Horizontal)

    def _is_beside_panel(self) -> bool:
        docks, window = (self._dock, self._panel), self._dock.parentWidget()
        right = Qt.DockWidgetArea.RightDockWidgetArea
        return not any(d.isFloating() or window.dockWidgetArea(d) != right for d in docks)

    def _hide(self) -> None:
        self._keep_widths()
        self._dock.hide()
        self._dock.clear()

    def _on_closed(self) -> None:
        if self._batch is None or not self._is_open:
            return
        self._is_open = False
        self._keep_widths()
        self._remember()
        for one in self._dock.maps:
            one.close_map()

    def _on_added(self) -> None:
        if self._batch is None:  # the maps go a moment after it
            return
        self._add_map().key = self._next_choice()
        self._show()
        self._follow()
        self._remember()

    def _on_removed(self, one: LinkedMap) -> None:
        self._dock.remove_map(one)
        self._follow_later.start(0)
        self._remember()

    def _on_click(self, point: object) -> None:
        if self._map is not None:
            self._map.choose(point)

    def _remember(self) -> None:
        if self._batch is None:
            return
        shown = [one.key for one in self._dock.maps]
        self._settings.set_linked_maps(self._place(), self._is_open, shown)

    def _place(self) -> str:
        """Return what the choices are remembered for: the run, or the batch without one."""
        return str(self._run if self._run is not None else self._batch.place)

    # --- what is shown ----------------------------------------------------------------------------

    def _choices(self) -> dict[str, str]:
        """Return what a map can show, text by key."""
        choices = {_SCENE: self.tr("scene")}
        choices.update({_VIEW + name: name for name in self._views.names})
        for layer in others():
            if layer.isSpatial():
                choices.setdefault(_LAYER + layer.name(), layer.name())
        return choices

    def _next_choice(self) -> str:
        """Return what no map shows yet: a view if there is one, else a layer, else the scene."""
        shown = [one.key for one in self._dock.maps]
        left = [key for key in self._choices() if key != _SCENE and key not in shown]
        return left[0] if left else _SCENE

    def _choose(self, one: LinkedMap, key: str) -> None:
        one.key = key
        self._show()
        self._remember()

    def _show(self) -> None:
        """Show on each map what was chosen, below the frames of the main map."""
        if not self._is_open:
            return
        choices = self._choices()
        frames = frames_among(self._canvas.layers())
        for one in self._dock.maps:
            name = one.key.partition(":")[2]
            # what was chosen may come back: the layer of another project, the view of another batch
            one.offer({**choices, **({} if one.key in choices else {one.key: name})})
            layers = self._layers(one.key)
            caption = "" if layers else self._missing(one.key, name, one.key in choices)
            one.show_layers([*frames, *layers], caption)
            one.set_outline(self._map.outlined_patch, self._batch.layer)

    def _layers(self, key: str) -> list[QgsMapLayer]:
        kind, colon, name = key.partition(":")
        if kind + colon == _VIEW:
            return self._views.layers(name)
        if kind + colon == _LAYER:
            return [layer for layer in others() if layer.name() == name][:1]
        return scenes_beside(self._batch.layer)

    def _missing(self, key: str, name: str, is_known: bool) -> str:
        """Return what to say on a map that has nothing to show."""
        if key == _SCENE:
            return self.tr("no scene is loaded")
        text = self.tr("{view}: no image here") if is_known else self.tr("{view} is not here")
        return text.format(view=name)

    # --- where the maps are -----------------------------------------------------------------------

    def _follow(self) -> None:
        self._move(self._canvas, [one.canvas for one in self._dock.maps])

    def _lead(self, one: LinkedMap) -> None:
        """Move the main map, and with it the others, to where the user has moved one."""
        others = [other.canvas for other in self._dock.maps if other is not one]
        self._move(one.canvas, [self._canvas, *others])

    def _move(self, leader: QgsMapCanvas, canvases: list[QgsMapCanvas]) -> None:
        """Show the ground of one map on others; what they say of that moves no map again."""
        if not self._is_open or self._is_moving or leader.extent().isEmpty():
            return
        self._is_moving = True
        try:
            for canvas in canvases:
                _copy_ground(leader, canvas)
        finally:
            self._is_moving = False

    # --- wiring -----------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let keys over a dock that is a window of its own label as well; notice a new size."""
        if watched is self._canvas and event.type() == QEvent.Type.Resize:
            self._follow_later.start(0)
        elif watched is self._dock:
            if event.type() == QEvent.Type.Show:
                self._on_dock_shown()
            elif event.type() in _KEY_EVENTS and self._batch is not None:
                return bool(QCoreApplication.sendEvent(self._canvas, event))
        return False

    def _on_dock_shown(self) -> None:
        """Fill a dock that QGIS's list of panels opened; hide one that QGIS opens at its start."""
        if not self._dock.is_wanted:
            self._hide_later.start(0)
        elif not self._is_open:
            QTimer.singleShot(0, self.switch)

    def _timer(self, call: object) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(call)
        return timer

    def _wires(self) -> list[tuple[object, object]]:
        project = QgsProject.instance()
        return [
            (self._canvas.extentsChanged, self._follow),
            (self._canvas.rotationChanged, self._on_moved),
            (self._canvas.destinationCrsChanged, self._follow),
            (self._canvas.layersChanged, self._show),
            (self._map.outlined, self._show),
            (project.layersAdded, self._on_layers),
            (project.layersRemoved, self._on_layers),
            (project.layersWillBeRemoved, self._on_layers_go),
        ]

    def _connect(self) -> None:
        self._canvas.installEventFilter(self)
        for signal, slot in self._wires():
            signal.connect(slot)

    def _disconnect(self) -> None:
        self._canvas.removeEventFilter(self)
        for signal, slot in self._wires():
            signal.disconnect(slot)

    def _on_moved(self, _rotation: float) -> None:
        self._follow()

    def _on_layers(self, _layers: object) -> None:
        self._show_later.start(0)

    def _on_layers_go(self, ids: list[str]) -> None:
        """Let go of layers before they go: one that is drawn just then would crash QGIS."""
        for one in self._dock.maps:
            left = [layer for layer in one.canvas.layers() if layer.id() not in ids]
            if len(left) < len(one.canvas.layers()):
                one.canvas.stopRendering()
                one.canvas.setLayers(left)


def _copy_ground(leader: QgsMapCanvas, canvas: QgsMapCanvas) -> None:
    """Show the centre of a map, in its CRS and rotation, and as much across the shorter side."""
    crs = leader.mapSettings().destinationCrs()
    if canvas.mapSettings().destinationCrs() != crs:
        canvas.setDestinationCrs(crs)
    if canvas.rotation() != leader.rotation():
        canvas.setRotation(leader.rotation())
    size = leader.mapSettings().outputSize()
    across = leader.mapUnitsPerPixel() * min(size.width(), size.height())
    canvas.setExtent(QgsRectangle.fromCenterAndSize(leader.center(), across, across))
    canvas.refresh()
