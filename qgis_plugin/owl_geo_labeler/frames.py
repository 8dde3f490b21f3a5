"""What lies over the imagery, hidden for as long as a key is held."""

from __future__ import annotations

from .layer_tree import over_imagery, set_for_good, set_for_now
from .map import PatchMap


class Frames:
    """The frames of patches, predictions and the outline of the current patch."""

    def __init__(self, patch_map: PatchMap) -> None:
        self._map = patch_map
        self._hidden: list[str] = []  # layers, by id

    def hide(self) -> None:
        """Show the imagery alone, until ``show``."""
        self._hidden += set_for_now(over_imagery(), False)
        self._map.set_outline_visible(False)

    def show(self) -> None:
        """Show what ``hide`` has hidden."""
        set_for_good(self._hidden, True)
        self._hidden.clear()
        self._map.set_outline_visible(True)
