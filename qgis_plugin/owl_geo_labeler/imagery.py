"""The scenes below a batch: each is loaded when the first of its patches is shown."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QCoreApplication

from .batch import Batch, file_of
from .colouring import FALSE, PLAIN, redraw, ways_of
from .errors import Problem
from .layer_tree import SCENE, add_below, opened_again, set_for_good, set_for_now
from .messages import Messages
from .run_folder import RunFolder, SceneEntry, scene_beside
from .scene import Loaded, guessed_colours, known_scene, named_scene
from .session import Patch
from .shown import KnownScene, scenes_in

translate = QCoreApplication.translate

_PROPERTY = "owl_geo_scene"  # marks the layers that were loaded for a scene
_WHY_NOT = "owl_geo_why_not_false"  # holds why such a layer has no false colours


class Imagery:
    """Loads the scenes that a batch names, once each, below the batch.

    They are layers of their own, as the run knows them: one that the user has added stays as it is,
    and ours is drawn over it.
    """

    def __init__(
        self,
        batch: Batch,
        run: RunFolder | None,
        messages: Messages,
        false: bool = False,
        brightness: int = 0,
    ) -> None:
        """``false`` shows scenes in false colours if their bands are known."""
        self._batch = batch
        self._messages = messages
        self._run = run
        self._false = false
        self._brightness = brightness
        self._known = self._read()
        self._seen: dict[str, str] = {}  # ids of the layers of scenes, "" if there is none
        self._others: list[str] = []  # layers of these scenes that the user has added, by id
        self._aside: dict[str, QgsRasterLayer | None] = {}  # of scenes that are not on the map
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
        self._seen[patch.scene] = ""
        try:
            self._seen[patch.scene] = self._load(patch.scene)
        except Problem as problem:
            self._messages.warn(str(problem))

    def layer_of(self, patch: Patch) -> QgsRasterLayer | None:
        """Return a layer of the patch's scene, which need not be on the map; None if none opens."""
        layer = QgsProject.instance().mapLayer(self._seen.get(patch.scene, ""))
        if isinstance(layer, QgsRasterLayer):
            return layer
        if patch.scene not in self._aside:
            self._aside[patch.scene] = None
            with suppress(Problem):  # whoever shows the patch on the map is told
                self._aside[patch.scene] = self._off_the_map(patch.scene)
        return self._aside[patch.scene]

    def why_not_false(self, patch: Patch) -> str:
        """Return why the patch's scene cannot be shown in false colours; empty if it can."""
        layer = QgsProject.instance().mapLayer(self._seen.get(patch.scene, ""))
        if not isinstance(layer, QgsRasterLayer):
            return translate("OwlGeo", "no false colours: the scene is not on the map")
        return "" if FALSE in ways_of(layer) else str(layer.customProperty(_WHY_NOT) or "")

    def set_false_colours(self, on: bool) -> None:
        """Show near infrared, red and green instead of natural colours, from now on."""
        self._false = on
        self._redraw()

    def set_brightness(self, steps: int) -> None:
        """Show the scenes brighter or, below 0, darker than the batch says, from now on."""
        self._brightness = steps
        self._redraw()

    def hide(self) -> None:
        """Hide the scenes that are visible, until ``unhide``."""
        self._hidden += set_for_now((*self._seen.values(), *self._others), False)

    def unhide(self) -> None:
        """Show what ``hide`` has hidden."""
        set_for_good(self._hidden, True)
        self._hidden.clear()

    # --- layers -----------------------------------------------------------------------------------

    def _redraw(self) -> None:
        for layer_id in self._seen.values():
            layer = QgsProject.instance().mapLayer(layer_id)
            if isinstance(layer, QgsRasterLayer):
                self._draw(layer)
        for layer in self._aside.values():
            if layer is not None:
                self._draw(layer)

    def _draw(self, layer: QgsRasterLayer) -> None:
        redraw(layer, FALSE if self._false else PLAIN, self._brightness)

    def _read(self) -> dict[str, KnownScene]:
        """Return the scenes that the batch names; a team's batch has them in the run folder."""
        try:
            path = file_of(self._batch, self._run.path if self._run is not None else None)
            return scenes_in(path) if path is not None else {}
        except Problem as problem:
            self._messages.warn(str(problem))
            return {}

    def _load(self, name: str) -> str:
        """Add a scene to the project unless it is there; return the layer's id, "" for none."""
        if self._run is not None and not self._run.has_imagery():
            return ""
        known, entry = self._known.get(name), self._entry(name)
        if known is None and entry is None:
            message = translate(
                "OwlGeo",
                "the batch is not in its run folder, so the scene {name} cannot be found; add it "
                "to the project yourself",
            )
            raise Problem(message.format(name=name))
        paths = known.plain.paths if known is not None else tuple(map(str, entry.paths))
        mark = "|".join(paths)
        ours = self._in_project(mark, paths)
        if ours is None or not opened_again(ours) or not _is_as_known(ours, known):
            ours = self._add(known, entry, mark, ours)
        self._draw(ours)
        return str(ours.id())

    def _off_the_map(self, name: str) -> QgsRasterLayer | None:
        known, entry = self._known.get(name), self._entry(name)
        has_none = self._run is not None and not self._run.has_imagery()
        if has_none or (known is None and entry is None):
            return None
        layer = self._loaded(known, entry).layer
        self._draw(layer)
        return layer

    def _entry(self, name: str) -> SceneEntry | None:
        entry = self._run.scene(name) if self._run is not None else None
        if entry is None and self._batch.path is not None:
            entry = scene_beside(self._batch.path, name)
        return entry

    def _in_project(self, mark: str, paths: tuple[str, ...]) -> QgsRasterLayer | None:
        """Return our layer of a scene; take note of layers of it that the user has added."""
        ours, places = None, set(map(Path, paths))  # projects have / in the paths of Windows
        for layer in QgsProject.instance().mapLayers().values():
            if not isinstance(layer, QgsRasterLayer):
                continue
            is_here = Path(layer.source().split("|")[0]) in places
            marked = layer.customProperty(_PROPERTY)
            # one whose mark is of another place moved here with a project of relative paths
            if marked == mark or (marked and is_here):
                ours = layer
                ours.setCustomProperty(_PROPERTY, mark)
            elif is_here:
                self._others.append(layer.id())
        return ours

    def _add(
        self,
        known: KnownScene | None,
        entry: SceneEntry | None,
        mark: str,
        before: QgsRasterLayer | None,
    ) -> QgsRasterLayer:
        loaded = self._loaded(known, entry)
        if known is not None and known.is_guess and len(known.plain.bands) == 3:
            self._messages.note(guessed_colours(known))
        layer = loaded.layer
        layer.setCustomProperty(_PROPERTY, mark)
        layer.setCustomProperty(_WHY_NOT, loaded.why_not_false)
        run = self._run.path if self._run is not None else None
        add_below(layer, SCENE, self._batch.layer, run)
        if before is not None:  # from a batch that knew less, or its file has moved
            QgsProject.instance().removeMapLayer(before.id())
        return layer

    def _loaded(self, known: KnownScene | None, entry: SceneEntry | None) -> Loaded:
        if known is None:
            return named_scene(entry, self._brightness)
        beside: Path | None = self._batch.path.parent if self._batch.path is not None else None
        return known_scene(known, entry, beside, self._brightness)


def _is_as_known(layer: QgsRasterLayer, known: KnownScene | None) -> bool:
    """Whether a layer that is there already has the bands that the batch says.

    Its stretch stays, so that brightness is the same from batch to batch.
    """
    ways = ways_of(layer)
    if known is None:
        return bool(ways)
    is_one_file = len({*known.plain.paths, *(known.false.paths if known.false else ())}) == 1
    if not is_one_file:  # its bands have other numbers in the layer
        return PLAIN in ways and (known.false is None) == (FALSE not in ways)
    said = {PLAIN: known.plain.bands, **({FALSE: known.false.bands} if known.false else {})}
    return said == {name: way.bands for name, way in ways.items()}
