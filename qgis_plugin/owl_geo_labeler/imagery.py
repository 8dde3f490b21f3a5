"""The scenes below a batch: each is loaded when the first of its patches is shown."""

from __future__ import annotations

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QCoreApplication

from .batch import Batch
from .errors import Problem
from .layer_tree import SCENE, add_below, set_visible
from .messages import Messages
from .run_folder import RunFolder, SceneEntry, scene_beside
from .scene import has_false_colours, scene_layer, set_colours
from .session import Patch

translate = QCoreApplication.translate

_PROPERTY = "owl_geo_scene"  # marks the layers that were loaded for a scene


class Imagery:
    """Loads the scenes that a batch names, once each, below the batch."""

    def __init__(
        self, batch: Batch, run: RunFolder | None, messages: Messages, false: bool = False
    ) -> None:
        """``false`` shows scenes in false colours if their bands are known."""
        self._batch = batch
        self._messages = messages
        self._run = run
        self._false = false
        self._seen: set[str] = set()
        self._layers: list[str] = []  # of the scenes that were shown, by id
        self._others: list[str] = []  # layers of these scenes that the user has added, by id
        self._hidden: list[str] = []  # layers that ``hide`` has hidden, by id

    def distances(self) -> list[str]:
        """Return the concepts that are in metres; none if there is no owl.toml."""
        try:
            return [] if self._run is None else self._run.distances()
        except Problem as problem:
            self._messages.warn(str(problem))
            self._run = None
            return []

    def show(self, patch: Patch) -> None:
        """Make sure that the patch's scene is below it, if it can be found."""
        if not patch.scene or patch.scene in self._seen:
            return
        self._seen.add(patch.scene)
        try:
            entry = self._entry(patch.scene)
            if entry is not None:
                self._load(entry)
        except Problem as problem:
            self._messages.warn(str(problem))

    def has_false_colours(self) -> bool:
        """Whether one of the scenes that were shown has a near infrared, red and green."""
        return any(has_false_colours(layer) for layer in self._loaded())

    def set_false_colours(self, on: bool) -> None:
        """Show near infrared, red and green instead of natural colours, from now on."""
        self._false = on
        for layer in self._loaded():
            set_colours(layer, on)

    def hide(self) -> None:
        """Hide the scenes that are visible, until ``unhide``."""
        self._hidden += set_visible((*self._layers, *self._others), False)

    def unhide(self) -> None:
        """Show what ``hide`` has hidden."""
        set_visible(self._hidden, True)
        self._hidden.clear()

    def _loaded(self) -> list[QgsRasterLayer]:
        found = [QgsProject.instance().mapLayer(layer_id) for layer_id in self._layers]
        return [layer for layer in found if isinstance(layer, QgsRasterLayer)]

    def _entry(self, name: str) -> SceneEntry | None:
        if self._run is not None and not self._run.has_imagery():
            return None
        entry = self._run.scene(name) if self._run is not None else None
        if entry is None and self._batch.path is not None:
            entry = scene_beside(self._batch.path, name)
        if entry is None:
            message = translate(
                "OwlGeo",
                "the batch is not in its run folder, so the scene {name} cannot be found; add it "
                "to the project yourself",
            )
            raise Problem(message.format(name=name))
        return entry

    def _load(self, entry: SceneEntry) -> None:
        project = QgsProject.instance()
        mark = "|".join(str(path) for path in entry.paths)
        for known in project.mapLayers().values():
            if known.customProperty(_PROPERTY) == mark:
                set_colours(known, self._false)
                self._layers.append(known.id())
                return
            if known.source() == mark:
                self._others.append(known.id())
                return
        layer = scene_layer(entry)
        layer.setCustomProperty(_PROPERTY, mark)
        set_colours(layer, self._false)
        run = self._run.path if self._run is not None else None
        add_below(layer, SCENE, self._batch.layer, run)
        self._layers.append(layer.id())
