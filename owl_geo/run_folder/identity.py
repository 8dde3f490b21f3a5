"""Digests of a run's settings and scenes, which show when something must be computed again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from owl_geo.disk.presence import absence, check_not_refused
from owl_geo.errors import SceneError, SourceError
from owl_geo.features import KEPT_SCENES
from owl_geo.run_folder.records import DAMAGE, IndexRecord
from owl_geo.settings.config import Settings
from owl_geo.settings.paths import is_local
from owl_geo.sources import unopened_source
from owl_geo.sources.file_states import GONE, FileRecord, changes, record_files
from owl_geo.sources.views.unopened import anywhere, files_of, identity_of


class SceneFiles:
    """The files of a run's scenes and views: where they are, and whether they changed.

    Args:
        settings: settings of the run.
        settings_here: the same with absolute paths.
        record: what was recorded when the index was made.
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
        """The paths of each scene's files; see ``scene_paths``."""
        return scene_paths(self._settings_here, self._record.grids)

    @property
    def view_paths(self) -> dict[str, list[str]]:
        """The paths of each view's files."""
        return files_of(self._settings_here.views)

    @cached_property
    def ids(self) -> dict[str, str]:
        """For each scene, a digest that changes with its patches or pixels.

        It covers the scene's entry in owl.toml, the bands, how scenes are cut, masks and area of
        interest, the scene's grid, and the size and time of its files and of those behind a
        VRT; likewise all views. Data behind a URL is not checked.
        """
        identity = unopened_source(self._settings_here.source).identity(self._settings.source)
        shared = [identity.settings, list(self._record.statistics.bands), *identity.shared]
        if self._settings.views:
            shared.append(identity_of(self._settings_here.views, self._settings.views))
        # a source that does not list its scenes has only one
        scenes: dict[str, Sequence[Any]] = {name: [] for name in self._record.grids}
        scenes.update(identity.scenes)
        ids = {
            name: digest_of(
                [name, shared, self._record.scenes.get(name), own, *self._levels_of(name)]
            )
            for name, own in scenes.items()
        }
        gone = [name for name, own in scenes.items() if GONE in own]
        return {**ids, **self._kept_ids(gone)}

    def _levels_of(self, scene: str) -> list[Any]:
        """Return what the values of views on a scene depend on besides their files."""
        return [[name, view.only(scene).to_json()] for name, view in self._record.views.items()]

    def _kept_ids(self, gone: Sequence[str]) -> dict[str, str]:
        """Return the ids from when features were last kept, for scenes whose files are gone.

        The features of such a scene remain usable until it has another file.
        """
        if not gone:
            return {}
        path = self._features / KEPT_SCENES
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return {name: str(values[name]) for name in gone if name in values}
        except DAMAGE as error:
            check_not_refused(path, error)
            return {}

    @cached_property
    def changed(self) -> dict[str, str]:
        """The scenes whose patches look different since the index was made, with a digest of why.

        Their own files changed, or those of a view, which then counts for every scene. Moved or
        copied files are the same. Scenes that are gone, and runs of older versions that recorded no
        files, are left out.
        """
        views = self.changed_views
        if not views:
            return self.changed_scenes
        own = self.changed_scenes
        return {name: digest_of([own.get(name), views]) for name in self._record.scenes}

    @cached_property
    def changed_scenes(self) -> dict[str, str]:
        """The scenes whose own files changed, each with a digest of changes."""
        return _changed(self.paths, self._record.files)

    @cached_property
    def changed_views(self) -> dict[str, str]:
        """The views whose files changed, each with a digest of changes."""
        return _changed(self.view_paths, self._record.view_files)

    def check_there(self, owl_toml_path: Path) -> None:
        """Raise SourceError if a file of a scene or of a view is gone."""
        for kind, name, what in self.missing:
            raise SourceError(
                f"{kind} {name!r}: {what}",
                remedy=f"put it back, or set its new path in {owl_toml_path}",
            )

    @property
    def missing(self) -> Iterator[tuple[Literal["scene", "view"], str, str]]:
        """The files that are gone or away: whether of a scene or a view, its name, and which."""
        both: tuple[tuple[Literal["scene", "view"], dict[str, list[str]]], ...]
        both = (("scene", self.paths), ("view", self.view_paths))
        for kind, of_each in both:
            for name, paths in of_each.items():
                for path in paths:
                    if is_local(path) and (fault := absence(path)) is not None:
                        yield kind, name, fault.what


def _changed(
    of_each: Mapping[str, Sequence[str]], recorded: Mapping[str, list[list[FileRecord]]]
) -> dict[str, str]:
    """Return those whose files are not as they were recorded, each with a digest of changes."""
    changed = {}
    for name, paths in of_each.items():
        records = recorded.get(name, [])
        try:
            differences = [changes(*both) for both in zip(paths, records, strict=False)]
        except OSError:  # opening the file will report it
            continue
        if any(differences) or (records and len(records) != len(paths)):
            changed[name] = digest_of([differences, len(paths)])
    return changed


_DECISIVE = {"seed", "classes", "source", "views", "layers", "concepts", "oracle", "evaluation"}


def fingerprint(settings: Settings) -> str:
    """Return a digest of the settings that decide the patch index, truth and held-out part."""
    text = settings.model_dump_json(include=_DECISIVE)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint_anywhere(settings: Settings) -> str:
    """Return the same, wherever on this machine the scenes are; see ``decisive``."""
    return digest_of([decisive(settings)])


def decisive(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide the patch index, without where on this machine scenes are."""
    values = settings.model_dump(mode="json", include=_DECISIVE)
    values["source"] = unopened_source(settings.source).anywhere()
    if settings.views:
        values["views"] = anywhere(settings.views)
    return values


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the settings that differ, as in owl.toml: ``concepts.urban.value``."""
    names = []
    for name in dict.fromkeys((*now, *before)):
        one, other = before.get(name), now.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            names += [f"{name}.{part}" for part in changed_settings(one, other)]
        elif one != other:
            names.append(name)
    return names


def scene_paths(settings: Settings, names: Collection[str]) -> dict[str, list[str]]:
    """Return the paths of each scene's files; empty for a source without files."""
    files = unopened_source(settings.source).files
    return {name: list(paths) for name, paths in files.items() if name in names}


def record_scenes(
    settings: Settings, names: Collection[str]
) -> Mapping[str, list[list[FileRecord]]]:
    """Return records that show later whether the files of each scene changed, path by path.

    ``settings`` must have absolute paths. Raises SourceError.
    """
    files_in = unopened_source(settings.source).files_in
    records = {}
    for name, paths in scene_paths(settings, names).items():
        try:
            records[name] = [record_files(path, files_in) for path in paths]
        except OSError as error:
            reason = error.strerror or str(error)
            raise SceneError(f"scene {name!r} cannot be read: {reason}") from error
    return records


def digest_of(values: list[Any]) -> str:
    """Return a short digest of values that can be stored as JSON."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
