"""What the plugin reads from a run folder: its batches, and where the scenes are."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication

from .batch import annotator_of
from .errors import Problem, reading
from .on_disk import entries, is_file
from .places import SharedPlace, is_shared
from .toml_lines import read_toml

SETTINGS_FILE = "owl.toml"
ANSWERS_FILE = "labels.gpkg"
_MEANWHILE = 60.0  # seconds that taking answers in may last
_RESCUED = re.compile(r"-answers-\d{8}T\d{6}Z(-\d+)?$")  # what rescue.py writes beside a batch
_NAMED = 3  # runs that a message lists
_RASTERS = (".tif", ".tiff", ".jp2", ".vrt", ".img")


@dataclass(frozen=True)
class SceneEntry:
    """A scene as owl.toml names it: one file or folder, or several files."""

    name: str
    paths: tuple[Path, ...]


class RunFolder:
    """A run folder. Raises Problem if the folder is not a run.

    As do all of its methods where the folder cannot be read, as on a share that is disconnected.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            is_run = is_file(path / SETTINGS_FILE)
        if not is_run:
            inside = _runs_in(path)
            message = (
                QCoreApplication.translate(
                    "OwlGeo", "{path} is not a run folder; open the one inside it: {runs}"
                )
                if inside
                else QCoreApplication.translate(
                    "OwlGeo",
                    "{path} is not a run folder: it has no owl.toml; make one with owl-geo init",
                )
            )
            raise Problem(message.format(path=path, runs=", ".join(inside)))

    @classmethod
    def of_batch(cls, batch: Path) -> RunFolder | None:
        """Return the run that contains a batch; None for a batch that was copied elsewhere."""
        for folder in list(batch.absolute().parents)[:3]:
            with suppress(OSError):  # some other folder, which the batch does not need
                if is_file(folder / SETTINGS_FILE):
                    return cls(folder)
        return None

    def batches(self) -> list[Path]:
        """Return the batch files of all annotators, those of the newest round first.

        Copies of a file, which may hold answers too, come after it; see ``without_copies``.
        """
        with reading(self.path):
            rounds = [one for one in entries(self.path / "rounds") if one.name[0].isdigit()]
            found = [path for one in rounds for path in entries(one)]
        files = [path for path in found if path.match("batch*.gpkg")]
        files = [path for path in files if not _RESCUED.search(path.stem)]
        files.sort(key=lambda path: (len(path.stem), path))
        # as numbers of three digits or more
        return sorted(
            files, key=lambda path: (len(path.parent.name), path.parent.name), reverse=True
        )

    def newest(self) -> list[Path]:
        """Return the batch files of the newest round that has any: one, or one for each person."""
        files = without_copies(self.batches())
        return [path for path in files if path.parent == files[0].parent]

    def changed_batches(self) -> list[Path]:
        """Return the batch files that were written to after the run last took answers in.

        Or shortly before, as an answer may be written while others are taken in.
        """
        stored = _written(self.path / ANSWERS_FILE)
        if not stored:
            return []
        return [path for path in self.batches() if _written(path) > stored - _MEANWHILE]

    def settings(self) -> dict[str, Any]:
        """Return owl.toml as plain values."""
        return read_toml(self.path / SETTINGS_FILE)

    def store(self) -> SharedPlace | None:
        """Return the team's database that owl.toml names; None if the answers are in the folder."""
        labels = str(self.settings().get("labels", ""))
        return SharedPlace.parse(labels) if is_shared(labels) else None

    def run_id(self) -> str:
        """Return the id of this run, as its batches have it."""
        return str(self.settings().get("run_id", ""))

    def has_imagery(self) -> bool:
        """Whether the scenes can be shown; generated patches and vectors alone cannot."""
        kind = _table(self.settings(), "source").get("kind")
        return kind not in ("synthetic", "vectors", "arrays")

    def scene(self, name: str) -> SceneEntry | None:
        """Return the scene of this name; None if owl.toml has none."""
        source = _table(self.settings(), "source")
        # a data cube is the one scene of its run
        rows = [source] if source.get("kind") == "cube" else source.get("scenes")
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, dict) and row.get("name") == name:
                places = row.get("files") or [row.get("path", "")]
                if not isinstance(places, list):
                    places = [places]
                return SceneEntry(name, tuple(self._place(str(text)) for text in places))
        return None

    def patch_size(self) -> int | None:
        """Return height and width of a patch in pixels, as owl.toml has it; None if it does not."""
        source = _table(self.settings(), "source")
        size = source.get("patch_size", source.get("image_size"))
        return size if isinstance(size, int) and size > 0 else None

    def distances(self) -> list[str]:
        """Return the concepts that are distances, in metres."""
        concepts = _table(self.settings(), "concepts")
        return [name for name in concepts if _table(concepts, name).get("kind") == "distance"]

    def _place(self, text: str) -> Path:
        """A relative path in owl.toml starts at the run folder."""
        try:
            return self.path / Path(text).expanduser()
        except RuntimeError:  # ~ followed by an unknown user
            return self.path / text


def without_copies(files: list[Path]) -> list[Path]:
    """Leave out copies beside a batch file: of the same person's, with more behind its name.

    Cloud drives make them where two wrote at once, as in "batch (1)" or "batch (conflicted copy)".
    """
    return [
        path
        for path in files
        if not any(
            path.stem.startswith(other.stem) and annotator_of(path) == annotator_of(other)
            for other in files
            if other.parent == path.parent and other != path
        )
    ]


def _written(path: Path) -> float:
    """Return when a GeoPackage was last written to, in seconds; 0 if there is none."""
    times = [0.0]
    for one in (path, path.with_name(f"{path.name}-wal")):
        with suppress(OSError):
            times.append(one.stat().st_mtime)
    return max(times)


def _runs_in(folder: Path) -> list[str]:
    """Return the names of the runs in a folder that was mistaken for one of them."""
    try:
        return sorted(path.parent.name for path in folder.glob(f"*/{SETTINGS_FILE}"))[:_NAMED]
    except OSError:
        return []


def scene_beside(batch: Path, name: str) -> SceneEntry | None:
    """Return a raster named like the scene beside the batch, for a batch that was passed on.

    Raises Problem if the folder cannot be read.
    """
    paths = [batch.with_name(name + suffix) for suffix in _RASTERS]
    with reading(batch.parent):
        found = next((path for path in paths if is_file(path)), None)
    return None if found is None else SceneEntry(name, (found,))


def _table(settings: dict[str, Any], name: str) -> dict[str, Any]:
    table = settings.get(name, {})
    return table if isinstance(table, dict) else {}
