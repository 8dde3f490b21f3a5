"""What tells a run's settings and scenes from others: digests that say when to compute again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from owl_geo.errors import SourceError
from owl_geo.features import KEPT_SCENES
from owl_geo.run_folder.records import DAMAGE, IndexRecord
from owl_geo.settings import owl_toml
from owl_geo.settings.config import Settings
from owl_geo.sources import unopened_source
from owl_geo.sources.file_states import GONE, FileRecord, changes, record_files


class SceneFiles:
    """The files of a run's scenes: where they lie, and whether they are what they were.

    Args:
        settings: of the run.
        settings_here: the same with whole paths.
        record: what was known when the index was made.
        features: the folder in which features are kept.
    """

    def __init__(
        self, settings: Settings, settings_here: Settings, record: IndexRecord, features: Path
    ) -> None:
        self._settings = settings
        self._settings_here = settings_here
        self._record = record
        self._features = features

    @property
    def paths(self) -> dict[str, list[str]]:
        """Where the files of each scene lie; see ``scene_paths``."""
        return scene_paths(self._settings_here, self._record.grids)

    @cached_property
    def ids(self) -> dict[str, str]:
        """What tells each scene's patches and pixels from others, by scene: a digest.

        It is of the scene's entry in owl.toml, the bands, how scenes are cut, masks and area of
        interest, the scene's grid, and size and time of its files, with those behind a
        VRT. What lies behind a URL is not looked at.
        """
        identity = unopened_source(self._settings_here.source).identity(self._settings.source)
        shared = [identity.settings, list(self._record.statistics.bands), *identity.shared]
        # a source that says nothing of a scene of its own has one only
        scenes: dict[str, Sequence[Any]] = {name: [] for name in self._record.grids}
        scenes.update(identity.scenes)
        ids = {
            name: digest_of([name, shared, self._record.scenes.get(name), own])
            for name, own in scenes.items()
        }
        gone = [name for name, own in scenes.items() if GONE in own]
        return {**ids, **self._kept_ids(gone)}

    def _kept_ids(self, gone: Sequence[str]) -> dict[str, str]:
        """Return what told scenes apart when features were last kept, for those without a file.

        What was computed of a scene serves although its file is gone, until there is another.
        """
        if not gone:
            return {}
        try:
            values = json.loads((self._features / KEPT_SCENES).read_text(encoding="utf-8"))
            return {name: str(values[name]) for name in gone if name in values}
        except DAMAGE:
            return {}

    @cached_property
    def changed(self) -> dict[str, str]:
        """The scenes whose files are others than when the index was made: a digest of what is new.

        Moved or copied files are the same. Of a scene that is gone, or that an older version made,
        nothing is said.
        """
        changed = {}
        for name, paths in self.paths.items():
            records = self._record.files.get(name, [])
            try:
                differences = [changes(*both) for both in zip(paths, records, strict=False)]
            except OSError:  # whoever opens it says so
                continue
            if any(differences) or (records and len(records) != len(paths)):
                changed[name] = digest_of([differences, len(paths)])
        return changed

    def check_there(self, owl_toml_path: Path) -> None:
        """Raise SourceError where a file of a scene is gone."""
        for name, paths in self.paths.items():
            for path in paths:
                if owl_toml.is_local(path) and not Path(path).exists():
                    raise SourceError(
                        f"scene {name!r}: {path} does not exist",
                        remedy=f"put it back, or say in {owl_toml_path} where it is now",
                    )


def fingerprint(settings: Settings, *, places: bool = True) -> str:
    """Return a digest of the settings that decide the patch index, truth and held-out part.

    Without ``places`` it does not matter where on this machine the scenes lie.
    """
    decisive = {"seed", "classes", "source", "layers", "concepts", "oracle", "evaluation"}
    if places:
        text = settings.model_dump_json(include=decisive)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    values = settings.model_dump(mode="json", include=decisive)
    values["source"] = unopened_source(settings.source).anywhere()
    return digest_of([values])


def scene_paths(settings: Settings, names: Collection[str]) -> dict[str, list[str]]:
    """Return where the files of each of the scenes lie; nothing of a source that has no files."""
    files = unopened_source(settings.source).files
    return {name: list(paths) for name, paths in files.items() if name in names}


def record_scenes(
    settings: Settings, names: Collection[str]
) -> Mapping[str, list[list[FileRecord]]]:
    """Return what tells later whether the files of each scene changed, path by path.

    ``settings`` have whole paths. Raises SourceError.
    """
    files_in = unopened_source(settings.source).files_in
    records = {}
    for name, paths in scene_paths(settings, names).items():
        try:
            records[name] = [record_files(path, files_in) for path in paths]
        except OSError as error:
            reason = error.strerror or str(error)
            raise SourceError(f"scene {name!r} cannot be read: {reason}") from error
    return records


def digest_of(values: list[Any]) -> str:
    """Return a short digest of values that JSON can hold."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
