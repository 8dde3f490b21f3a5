"""Features that a run keeps from one command to the next, a file for each scene."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np

from owl_geo.disk.atomic import clear_partials, writing_file
from owl_geo.disk.presence import exists
from owl_geo.features import KEPT_SCENES
from owl_geo.features.row_files import write_pieces
from owl_geo.types import AnyArray, FloatArray


class KeptFeatures:
    """Features in files, one per scene and recipe: ``<scene>-<kind>-<recipe>.npy``.

    Their folder is made as they are written, in one that is there.
    """

    def __init__(
        self, folder: Path, kind: str, recipe: Mapping[str, object], scene_ids: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._scene_ids = dict(scene_ids)
        self._scenes = {name: _digest([name, scene_id]) for name, scene_id in scene_ids.items()}
        self._suffix = f"-{kind}-{_digest(recipe)}.npy"

    def read(self, scene: str, n: int, width: int | None) -> FloatArray | None:
        """Return the features ``(n, d)`` of a scene, or None if there are none that fit.

        ``width`` is d, None where it is not known.
        """
        if scene not in self._scenes:
            return None
        try:
            values: FloatArray = np.load(self.path(scene), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        fits = values.ndim == 2 and len(values) == n and values.dtype == np.float32
        return values if fits and width in (None, values.shape[1]) else None

    def write(self, scene: str, values: FloatArray) -> None:
        """Write the features of a scene, whole or not at all."""
        if scene not in self._scenes:
            return
        with (
            writing_file(self.path(scene), shared=True, parents=False) as partial,
            partial.open("wb") as file,
        ):
            np.save(file, values, allow_pickle=False)

    def has_all(self, scenes: Iterable[str]) -> bool:
        """Return whether all scenes have an id, so that they can be kept."""
        return all(name in self._scenes for name in scenes)

    def holds(self, scene: str, n: int, widths: Collection[int]) -> bool:
        """Return whether there are features of a scene, or the vectors that they follow from."""
        try:
            values = np.load(self.path(scene), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return False
        return values.ndim == 2 and len(values) == n and values.shape[1] in widths

    def write_pieces(self, scene: str, n: int, parts: Iterable[AnyArray]) -> None:
        """Write what the features of a scene follow from, piece by piece."""
        write_pieces(self.path(scene), n, parts)

    def forget_others(self) -> None:
        """Remove the features of scenes that are gone or changed, and unfinished files.

        The ids of the scenes are recorded, for scenes whose files may be gone the next time.
        """
        text = json.dumps(self._scene_ids, indent=1, ensure_ascii=False) + "\n"
        record = self._folder / KEPT_SCENES
        if exists(self._folder) and not (exists(record) and record.read_text("utf-8") == text):
            with writing_file(record, shared=True, parents=False) as partial:
                partial.write_text(text, encoding="utf-8")
        current = set(self._scenes.values())
        for path in self._folder.glob("*.npy"):
            if path.name.removeprefix(".").split("-")[0] not in current:
                path.unlink(missing_ok=True)
        clear_partials(self._folder)

    def path(self, scene: str) -> Path:
        """Return the file of a scene, which need not be there."""
        return self._folder / f"{self._scenes[scene]}{self._suffix}"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
