"""How a patch is seen: scene or view, colours, brightness, surroundings, and frames over it."""

from __future__ import annotations

from contextlib import ExitStack

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .batch import Batch
from .errors import Problem
from .frames import Frames
from .imagery import Imagery
from .layer_tree import undo_for_now
from .map import PatchMap
from .run_folder import RunFolder
from .session import Patch
from .surroundings import Surroundings
from .views import Views
from .workplace import Workplace

_USUAL_SIZE = 32  # pixels of a patch, where neither batch nor run say


class Sight(QObject):
    """Shows patches of one batch on the map as the analyst wants to see them.

    What is chosen holds for every patch from then on, and is kept in the settings.
    """

    looks_changed = pyqtSignal()  # colours, brightness or surroundings, of every patch
    frames_switched = pyqtSignal(bool)  # whether they are visible

    def __init__(
        self,
        batch: Batch,
        run: RunFolder | None,
        workplace: Workplace,
        patch_map: PatchMap,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._panel, self._footer = workplace.dock.map_panel, workplace.dock.footer
        self._settings = workplace.settings
        self._map = patch_map
        # a project may have been saved while a view was shown, and opened again
        undo_for_now()
        self._patch: Patch | None = None  # that is shown
        self._frames = Frames(patch_map)
        self._surroundings = Surroundings(_patch_size(batch, run), self._settings.across)
        patch_map.context = self._surroundings.times
        messages, bright = workplace.messages, self._settings.brightness
        self.imagery = Imagery(batch, run, messages, self._settings.false_colours, bright)
        self.distances = self.imagery.distances()  # concepts that are in metres
        self.views = Views(batch, run, self.imagery, messages, self, brightness=bright)
        self.views.changed.connect(self._say_view)
        self._panel.show_context(self._surroundings.steps, self._surroundings.place)
        self._panel.show_brightness(bright)
        self._panel.offer_views(self.views.names)
        self._say_view()

    def close(self) -> None:
        """Show the scene and all that lies over it again."""
        with ExitStack() as steps:  # each is gone through, whatever fails in another
            steps.callback(self._frames.show)
            self.views.back()

    def show(self, patch: Patch) -> None:
        """Go to a patch, and show it with its scene."""
        self._patch = patch
        self._frames.show()
        self.imagery.show(patch)
        self.views.show_patch(self._map.box(patch.fid), self._surroundings.times)
        self._map.show(patch.fid)
        self._panel.show_colours(self.imagery.why_not_false(patch), self._settings.false_colours)

    # --- what the analyst chooses -----------------------------------------------------------------

    def set_context(self, place: int) -> None:
        """Show more or less of the surroundings, from now on; ``place`` is among the steps."""
        if self._surroundings.go_to(place):
            self._settings.across = self._surroundings.across
            self._panel.show_context(self._surroundings.steps, place)
            self._map.set_context(self._surroundings.times)
            self.looks_changed.emit()

    def widen(self, step: int) -> None:
        """Show more of the surroundings by a step or, below 0, less."""
        self.set_context(self._surroundings.place + step)

    def set_brightness(self, steps: int) -> None:
        """Show scenes and views brighter or, below 0, darker, until QGIS ends."""
        self._panel.show_brightness(steps)
        steps = self._panel.brightness  # as far as it goes
        self._settings.brightness = steps
        self.imagery.set_brightness(steps)
        self.views.set_brightness(steps)
        self.looks_changed.emit()

    def brighten(self, step: int) -> None:
        """Show scenes and views brighter by a step or, below 0, darker."""
        self.set_brightness(self._panel.brightness + step)

    def set_false_colours(self, on: bool) -> None:
        """Show the scenes in false or natural colours, from now on."""
        self._settings.false_colours = on
        self.imagery.set_false_colours(on)
        self.looks_changed.emit()

    def switch_colours(self) -> None:
        """Show false colours, or natural ones again; say why if there are none."""
        why_not = self.imagery.why_not_false(self._patch)
        if why_not:
            self._footer.set_note(why_not)
        else:
            self._panel.false_colours.click()

    def hide_frames(self, on: bool) -> None:
        """Show the imagery without anything over it, or everything again."""
        if on:
            self._frames.hide()
        else:
            self._frames.show()
        self.frames_switched.emit(not on)

    def _say_view(self) -> None:
        """Say on the panel and on the map which view is shown."""
        name = self.views.shown
        if name is None:
            self._panel.show_view(self.tr("scene"), False)
            self._map.set_caption("")
            return
        if not self.views.is_here:
            name = self.tr("{view}: no image here").format(view=name)
        self._panel.show_view(name, True)
        self._map.set_caption(name)


def _patch_size(batch: Batch, run: RunFolder | None) -> int:
    """Return height and width of a patch in pixels, as batch or run say; else the usual one."""
    try:
        known = batch.patch_size or (run.patch_size() if run else None)
    except Problem:  # owl.toml cannot be read, which is said where more depends on it
        known = None
    return known or _USUAL_SIZE
