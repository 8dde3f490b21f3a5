"""The scenes under a batch: each is loaded when the first of its patches is shown."""

from __future__ import annotations

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QCoreApplication

from .batch import Batch
from .errors import Problem
from .messages import Messages
from .run_folder import RunFolder, SceneEntry, scene_beside
from .scene import scene_layer
from .session import Patch

translate = QCoreApplication.translate

_PROPERTY = "owl_geo_scene"  # marks the layers that were loaded for a scene


class Imagery:
    """Loads the scenes that a batch names, once each, below the batch."""

    def __init__(self, batch: Batch, run: RunFolder | None, messages: Messages) -> None:
        self._batch = batch
        self._messages = messages
        self._run = run
        self._seen: set[str] = set()

    def distances(self) -> list[str]:
        """Return the concepts that are in metres; none where owl.toml is not at hand."""
        try:
            return [] if self._run is None else self._run.distances()
        except Problem as problem:
            self._messages.warn(str(problem))
            self._run = None
            return []

    def show(self, patch: Patch) -> None:
        """Make sure that the patch's scene lies under it, where it can be found."""
        if not patch.scene or patch.scene in self._seen:
            return
        self._seen.add(patch.scene)
        try:
            entry = self._entry(patch.scene)
            if entry is not None:
                self._load(entry)
        except Problem as problem:
            self._messages.warn(str(problem))

    def _entry(self, name: str) -> SceneEntry | None:
        if self._run is not None and self._run.is_synthetic():
            return None
        entry = self._run.scene(name) if self._run is not None else None
        if entry is None and self._batch.path is not None:
            entry = scene_beside(self._batch.path, name)
        if entry is None:
            message = translate(
                "OwlGeo",
                "the batch does not lie in its run folder, so the scene {name} is not found; "
                "add it to the project yourself",
            )
            raise Problem(message.format(name=name))
        return entry

    def _load(self, entry: SceneEntry) -> None:
        project = QgsProject.instance()
        mark = "|".join(str(path) for path in entry.paths)
        if any(
            layer.customProperty(_PROPERTY) == mark or layer.source() == mark
            for layer in project.mapLayers().values()
        ):
            return
        layer = scene_layer(entry)
        layer.setCustomProperty(_PROPERTY, mark)
        project.addMapLayer(layer, False)
        root = project.layerTreeRoot()
        batch = root.findLayer(self._batch.layer.id())
        if batch is None:
            root.insertLayer(-1, layer)
            return
        group = batch.parent()
        group.insertLayer(group.children().index(batch) + 1, layer)
