"""How much of its surroundings is shown with a patch, counted in pixels of the scene."""

from __future__ import annotations

_STEPS = (16, 24, 32, 48, 64, 100, 150, 200, 300, 450, 700, 1000, 1500, 2200, 3300, 5000, 7500)
_LEAST = 1.25  # times as wide as the patch, so that all of it is seen
_USUAL = 150  # pixels across
_USUAL_TIMES = 2  # times as wide as the patch, for large ones


class Surroundings:
    """The steps from close to wide for patches of one size, and where it stands.

    ``patch_size`` and ``across``, what is wanted, are pixels; without it, a usual number is taken.
    """

    def __init__(self, patch_size: int, across: float | None) -> None:
        self._patch_size = patch_size
        steps = [step for step in _STEPS if step >= _LEAST * patch_size]
        self.steps = steps or [_USUAL_TIMES * patch_size, 2 * _USUAL_TIMES * patch_size]
        wanted = max(_USUAL, _USUAL_TIMES * patch_size) if across is None else across
        self.place = min(
            range(len(self.steps)),
            key=lambda place: abs(self.steps[place] - wanted),
        )

    @property
    def across(self) -> int:
        """Pixels across."""
        return self.steps[self.place]

    @property
    def times(self) -> float:
        """How many times wider than the patch that is."""
        return self.across / self._patch_size

    def go_to(self, place: int) -> bool:
        """Stand at another step; return whether there is one."""
        if not 0 <= place < len(self.steps):
            return False
        self.place = place
        return True
