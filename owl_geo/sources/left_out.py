"""Scenes that are left out because they are of no use, and the error where none is left."""

from __future__ import annotations

from collections.abc import Sequence

from owl_geo.errors import SceneError, SourceError
from owl_geo.types import FailedScene


def failed_scene(name: str, error: SourceError) -> FailedScene:
    """Return a scene that was left out for an error, with a reason that names it."""
    return FailedScene(name, str(error) if isinstance(error, SceneError) else f"{name}: {error}")


class NoSceneLeft(SourceError):
    """Every scene was left out."""

    def __init__(self, failed: Sequence[FailedScene]) -> None:
        self.failed = tuple(failed)
        first = failed[0].reason
        several = len(failed) > 1
        super().__init__(
            f"all {len(failed):,} scenes failed; the first: {first}" if several else first
        )
