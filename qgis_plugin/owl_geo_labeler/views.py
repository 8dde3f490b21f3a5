"""The views of a batch in the scene's place: one after another, or while a key is held."""

from __future__ import annotations

from time import monotonic
from typing import Callable

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from .batch import Batch, file_of
from .colouring import PLAIN, redraw
from .errors import Problem
from .imagery import Imagery
from .known_layer import Place, place_of
from .layer_tree import add_view, opened_again, set_for_good, set_for_now
from .messages import Messages
from .run_folder import RunFolder
from .shown import ShownRaster, View, views_in
from .view_layer import view_layer

translate = QCoreApplication.translate

_PROPERTY = "owl_geo_view"  # marks the layers that were loaded for a view
_HOLD = 0.35  # seconds from which a pressed key counts as held
_FEW = 12  # rasters of a view that are all loaded at once; of more, those that show the patch

Key = tuple[str, ShownRaster]  # a raster and the name of its view


class Views(QObject):
    """Shows the scene or one of the views of a batch.

    The layers of the views are in a group of their own and hidden at first. A new patch is always
    shown with the scene: that is what the answer is about.
    """

    changed = pyqtSignal()

    def __init__(
        self,
        batch: Batch,
        run: RunFolder | None,
        imagery: Imagery,
        messages: Messages,
        parent: QObject | None = None,
        *,
        brightness: int = 0,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(parent)
        self._batch = batch
        self._run = run.path if run is not None else None
        self._imagery, self._messages = imagery, messages
        self._brightness = brightness
        self._beside = [batch.path.parent] if batch.path is not None else []
        self._seconds = seconds
        self._views = self._read()
        self._number = 0  # of the view that is shown, from 1; 0 is the scene
        self._before = 0  # what was shown before the key was pressed
        self._pressed: float | None = None  # when the key was pressed, while it is down
        self._box = QgsRectangle()  # of the patch, in the batch's CRS
        self._around = 1.0  # how many times wider than the patch the map is
        self._layers: dict[Key, str] = {}  # their ids
        self._places: dict[Key, Place] = {}
        self._missing: set[Key] = set()

    @property
    def names(self) -> list[str]:
        """The names of the views; none if the batch has none."""
        return [view.name for view in self._views]

    @property
    def shown(self) -> str | None:
        """The name of the view that is shown; None for the scene."""
        return self._views[self._number - 1].name if self._number else None

    @property
    def is_here(self) -> bool:
        """Whether what is shown has an image of the current patch, as far as its extent tells."""
        return not self._number or self._has_image(self._views[self._number - 1])

    def layers(self, name: str) -> list[QgsMapLayer]:
        """Return the layers of a view, loaded now if need be; none without an image of the patch.

        Of a view with many rasters, they are those around the current patch and earlier ones.
        """
        view = next((view for view in self._views if view.name == name), None)
        if view is None or not self._load(view) or not self._has_image(view):
            return []
        found = (QgsProject.instance().mapLayer(layer_id) for layer_id in self._ids(view))
        return [layer for layer in found if layer is not None]

    def show_patch(self, box: QgsRectangle, around: float) -> None:
        """Go on to a patch, ``box`` in the batch's CRS: show the scene, and load what is few.

        The map is ``around`` times wider than the patch.
        """
        self._box, self._around = box, around
        self.back()
        for view in self._views:
            if len(view.rasters) <= _FEW:
                self._load(view)

    def press(self) -> None:
        """Show the next view; ``release`` returns from it if that comes late."""
        self._before = self._number
        self.next()
        self._pressed = self._seconds()  # loading does not count

    def release(self) -> None:
        """Return to what was shown if the key was held; after a short press, the view stays."""
        pressed, self._pressed = self._pressed, None
        if pressed is not None and self._seconds() - pressed >= _HOLD:
            self._show(self._before)

    def next(self) -> None:
        """Show the next view that can be loaded, and after the last one the scene."""
        for number in range(self._number + 1, len(self._views) + 1):
            if self._load(self._views[number - 1]):
                self._show(number)
                return
        self._show(0)

    def set_brightness(self, steps: int) -> None:
        """Show the views brighter or, below 0, darker than the batch says, from now on."""
        self._brightness = steps
        for layer_id in self._layers.values():
            layer = QgsProject.instance().mapLayer(layer_id)
            if isinstance(layer, QgsRasterLayer):
                redraw(layer, PLAIN, steps)

    def back(self) -> None:
        """Show the scene."""
        self._pressed = None
        self._show(0)

    def _show(self, number: int) -> None:
        if number == self._number:
            return
        if self._number == 0:
            self._imagery.hide()
        if self._number:
            set_for_good(self._ids(self._views[self._number - 1]), False)
        if number:
            set_for_now(self._ids(self._views[number - 1]), True)
        else:
            self._imagery.unhide()
        self._number = number
        self.changed.emit()

    # --- layers -----------------------------------------------------------------------------------

    def _read(self) -> list[View]:
        """Return the views that the batch names; a team's batch has them in the run folder."""
        try:
            path = file_of(self._batch, self._run)
            return views_in(path) if path is not None else []
        except Problem as problem:
            self._messages.warn(str(problem))
            return []

    def _has_image(self, view: View) -> bool:
        known = (self._places.get((view.name, raster)) for raster in view.rasters)
        return any(self._meets(place, self._box) for place in known if place is not None)

    def _ids(self, view: View) -> list[str]:
        found = (self._layers.get((view.name, raster)) for raster in view.rasters)
        return [layer_id for layer_id in found if layer_id is not None]

    def _load(self, view: View) -> bool:
        """Add the rasters of a view to the project, hidden; return whether any can be opened.

        Of a view with many rasters, only those around the current patch are added.
        """
        problems: list[Problem] = []
        for raster in view.rasters:
            key = (view.name, raster)
            is_done = key in self._missing or self._in_project(key)
            if is_done or (len(view.rasters) > _FEW and self._is_far(key)):
                continue
            try:
                layer = view_layer(view, raster, self._beside, self._brightness)
            except Problem as problem:
                self._missing.add(key)
                problems.append(problem)
                continue
            before = [one.id() for one in _of_project(key)]  # which cannot be opened any more
            layer.setCustomProperty(_PROPERTY, _mark(key))
            add_view(layer, self._batch.layer, self._run)
            QgsProject.instance().removeMapLayers(before)
            if view.name == self.shown:
                set_for_now([layer.id()], True)
            self._layers[key] = layer.id()
            self._places[key] = layer.crs(), layer.extent()
        self._say(problems)
        return any((view.name, raster) not in self._missing for raster in view.rasters)

    def _in_project(self, key: Key) -> bool:
        """Whether the raster is in the project, loaded for this batch or for another one."""
        project = QgsProject.instance()
        if project.mapLayer(self._layers.get(key, "")) is not None:
            return True
        for layer in _of_project(key):
            if opened_again(layer):
                self._layers[key] = layer.id()
                self._places[key] = layer.crs(), layer.extent()
                redraw(layer, PLAIN, self._brightness)
                return True
        return False

    def _is_far(self, key: Key) -> bool:
        """Whether a raster has nothing to show of the current patch and what is around it."""
        place = self._places.get(key) or place_of(key[1], self._beside)
        if place is None:
            return False
        self._places[key] = place
        around = QgsRectangle(self._box)
        around.scale(self._around)
        return not self._meets(place, around)

    def _meets(self, place: Place, box: QgsRectangle) -> bool:
        """Whether a raster's extent meets a box in the batch's CRS."""
        crs, extent = place
        project = QgsProject.instance()
        to_raster = QgsCoordinateTransform(self._batch.layer.crs(), crs, project)
        try:
            return extent.intersects(to_raster.transformBoundingBox(box))
        except QgsCsException:  # far from where the raster's CRS is of use
            return False

    def _say(self, problems: list[Problem]) -> None:
        """Say which raster cannot be shown, once for all of a view."""
        if len(problems) > 1:
            text = translate("OwlGeo", "{problem} ({n} more of its rasters missing)")
            self._messages.warn(text.format(problem=problems[0], n=len(problems) - 1))
        elif problems:
            self._messages.warn(str(problems[0]))


def _of_project(key: Key) -> list[QgsRasterLayer]:
    """Return the layers of the project that were loaded for a raster of a view."""
    layers = QgsProject.instance().mapLayers().values()
    rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer)]
    return [layer for layer in rasters if layer.customProperty(_PROPERTY) == _mark(key)]


def _mark(key: Key) -> str:
    name, raster = key
    return "|".join((name, *raster.paths))
