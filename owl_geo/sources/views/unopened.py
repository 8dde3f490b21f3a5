"""What the settings say of views before they are opened: their files, and what names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from owl_geo.errors import SourceError
from owl_geo.settings.sources import GeoTiffSettings, ViewSettings
from owl_geo.sources.file_states import FileRecord, record_files
from owl_geo.sources.named_bands import of_view
from owl_geo.sources.unopened_scenes import UnopenedScenes

Views = Mapping[str, ViewSettings]


def as_scenes(view: ViewSettings) -> UnopenedScenes:
    """Return the scenes of a view as if they were a pool's."""
    fields = ("scenes", "bands", "mask_bad", "mask_bands")
    return UnopenedScenes(
        GeoTiffSettings.model_validate({name: getattr(view, name) for name in fields})
    )


def files_of(views: Views) -> dict[str, list[str]]:
    """Return the paths or URLs of the files and folders that each view is made of, by view."""
    return {
        name: [path for paths in as_scenes(view).files.values() for path in paths]
        for name, view in views.items()
    }


def identity_of(views: Views, as_written: Views) -> list[Any]:
    """Return what tells views from others: their settings and the states of their files.

    ``as_written`` are the same settings with paths as owl.toml has them; see
    ``UnopenedSource.identity``. All of it JSON can hold.
    """
    parts: list[Any] = []
    for name, view in views.items():
        identity = as_scenes(view).identity(as_scenes(as_written[name]).settings)
        parts.append([name, dict(identity.settings), list(identity.shared), dict(identity.scenes)])
    return parts


def anywhere(views: Views) -> dict[str, Any]:
    """Return the settings as JSON has them, the same wherever on this machine the files lie."""
    return {name: as_scenes(view).anywhere() for name, view in views.items()}


def notes_of(views: Views) -> dict[str, list[str]]:
    """Say of each view which files and bands are not taken; see ``UnopenedSource.notes``."""
    notes = {}
    for name, view in views.items():
        with of_view(name):
            notes[name] = as_scenes(view).notes()
    return notes


def record_views(views: Views) -> dict[str, list[list[FileRecord]]]:
    """Return records that show later whether files of each view changed, path by path.

    Paths must be whole. Raises SourceError.
    """
    records = {}
    for name, paths in files_of(views).items():
        files_in = as_scenes(views[name]).files_in
        try:
            records[name] = [record_files(path, files_in) for path in paths]
        except OSError as error:
            reason = error.strerror or str(error)
            raise SourceError(f"view {name!r} cannot be read: {reason}") from error
    return records


def named_views(words: Sequence[str]) -> dict[str, Any]:
    """Return the tables [views] that words stand for, each ``NAME=PATH[,PATH...]``.

    A path is anything that names scenes; see ``scene_words.find_scenes``. A word whose whole is the
    path of a file may hold commas. Raises SourceError for words that name nothing, or one name
    twice.
    """
    from pathlib import Path

    from owl_geo.sources.scene_words import find_scenes

    tables: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        name = name.strip()
        if not sign or not name or not text.strip(" ,"):
            raise SourceError(
                f"{word!r} does not name a view",
                remedy="write NAME=PATH, for example before=2019.tif",
            )
        if name in tables:
            raise SourceError(
                f"the view {name!r} is named twice",
                remedy=f"write its paths together, {name}=PATH,PATH",
            )
        whole = [text.strip()] if Path(text.strip()).exists() else text.split(",")
        paths = [path.strip() for path in whole if path.strip()]
        try:
            found = find_scenes(paths)
        except SourceError as error:
            raise SourceError(f"view {name!r}: {error.message}", remedy=error.remedy) from error
        tables[name] = {
            "scenes": [scene.model_dump(exclude_none=True) for scene in found.scenes],
            **({"mask_bad": list(found.mask_bad)} if found.mask_bad else {}),
        }
    return tables
