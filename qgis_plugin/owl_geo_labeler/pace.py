"""How fast the analyst answers, not counting pauses."""

from __future__ import annotations

from typing import Callable

_RECENT = 30  # answers from which the pace is computed
_PAUSE = 120.0  # seconds without an answer that count as a pause


class Pace:
    """Answers per hour over the last answers of this sitting."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._times: list[float] = [seconds()]

    def count(self) -> None:
        """Note an answer now."""
        self._times.append(self._seconds())

    def uncount(self) -> None:
        """Forget the last answer, which was undone."""
        if len(self._times) > 1:
            self._times.pop()

    def per_hour(self) -> float | None:
        """Return answers per hour; None until there are enough of them."""
        recent = self._times[-_RECENT - 1 :]
        gaps = [after - before for before, after in zip(recent, recent[1:])]
        gaps = [gap for gap in gaps if gap <= _PAUSE]
        total = sum(gaps)
        return 3600.0 * len(gaps) / total if len(gaps) >= 3 and total > 0 else None

    def seconds_left(self, answers: int) -> float | None:
        """Return how long ``answers`` more will take at this pace; None while it is unknown."""
        rate = self.per_hour()
        return None if rate is None else 3600.0 * answers / rate
