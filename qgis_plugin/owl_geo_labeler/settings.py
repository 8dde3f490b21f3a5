"""What the plugin remembers between sittings."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication

from .errors import Problem, reading
from .on_disk import exists, is_dir, is_file

_PREFIX = "owl_geo_labeler/"
_INSTALLED = Path(__file__).parent / "program.txt"  # left there by ``owl-geo plugin install``
_MOST_RUNS = 30  # whose linked maps are remembered
# where it is in the folder of an environment, or in the folder of its programs
_INSIDE = ("owl-geo", "owl-geo.exe", "bin/owl-geo", "Scripts/owl-geo.exe")


def program_at(text: str) -> str:
    """Return the program named by a file, by a folder that contains it, or by a command.

    Raises Problem if there is no such program.
    """
    try:
        place = Path(text).expanduser().absolute()
    except RuntimeError:  # ~ followed by an unknown user
        place = Path(text).absolute()
    with reading(place):
        is_there, is_folder = exists(place), is_dir(place)
    if is_folder:
        found = next((place / name for name in _INSIDE if _can_start(place / name)), None)
        if found is not None:
            return str(found)
        message = QCoreApplication.translate("OwlGeo", "{path} is a folder without owl-geo")
        raise Problem(message.format(path=text))
    if _can_start(place):
        return str(place)
    command = shutil.which(text) if Path(text).name == text else None
    if command is not None:
        return command
    message = (
        QCoreApplication.translate("OwlGeo", "{path} is not a program")
        if is_there
        else QCoreApplication.translate("OwlGeo", "{path} does not exist")
    )
    raise Problem(message.format(path=text))


def installed_program() -> str | None:
    """Return the owl-geo that installed this plugin; None if it is unknown or gone."""
    try:
        place = Path(_INSTALLED.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return None
    return str(place) if place.is_absolute() and _can_start(place) else None


def _can_start(path: Path) -> bool:
    with suppress(OSError):
        return is_file(path) and os.access(path, os.X_OK)
    return False


class PluginSettings:
    """Named values in the user's QGIS profile, and one that lasts until QGIS ends."""

    def __init__(self) -> None:
        self.brightness = 0  # steps brighter than a batch says; each scene has its own light

    @property
    def executable(self) -> str | None:
        """The owl-geo program: the chosen one, else ``found_executable``."""
        try:
            chosen = self.chosen_executable
            return program_at(chosen) if chosen else self.found_executable
        except Problem:
            return self.found_executable

    @property
    def found_executable(self) -> str | None:
        """The owl-geo that installed the plugin, else the one on PATH, else None."""
        return installed_program() or shutil.which("owl-geo")

    @property
    def chosen_executable(self) -> str:
        """The program chosen by hand; empty to use ``found_executable``."""
        return str(self._get("executable", ""))

    @chosen_executable.setter
    def chosen_executable(self, path: str) -> None:
        self._set("executable", path)

    @property
    def annotator(self) -> str:
        """The name that goes with each answer."""
        name = str(self._get("annotator", "")).strip()
        return name or QgsApplication.userFullName() or QgsApplication.userLoginName() or "unknown"

    @annotator.setter
    def annotator(self, name: str) -> None:
        self._set("annotator", name)

    @property
    def auto_advance(self) -> bool:
        """Whether an answer moves on to the next unanswered patch."""
        return str(self._get("auto_advance", True)).lower() == "true"

    @auto_advance.setter
    def auto_advance(self, on: bool) -> None:
        self._set("auto_advance", on)

    @property
    def across(self) -> float | None:
        """How many pixels wide the view of a patch is; None if nobody has chosen that."""
        try:
            pixels = float(self._get("across", None))
        except (TypeError, ValueError):  # never chosen, or not what was written here
            return None
        return pixels if 0 < pixels < math.inf else None

    @across.setter
    def across(self, pixels: float) -> None:
        self._set("across", pixels)

    @property
    def false_colours(self) -> bool:
        """Whether scenes are shown in near infrared, red and green."""
        return str(self._get("false_colours", False)).lower() == "true"

    @false_colours.setter
    def false_colours(self, on: bool) -> None:
        self._set("false_colours", on)

    @property
    def shared(self) -> str:
        """The address of the shared batch that was opened last."""
        return str(self._get("shared", ""))

    @shared.setter
    def shared(self, address: str) -> None:
        self._set("shared", address)

    @property
    def folder(self) -> str:
        """Where a file dialog starts."""
        return str(self._get("folder", str(Path.home())))

    @folder.setter
    def folder(self, path: str) -> None:
        self._set("folder", path)

    def linked_maps(self, place: str) -> tuple[bool, list[str]]:
        """Whether the linked maps of a run are open, and what each shows."""
        is_open, shown = self._all_linked().get(place, (False, []))
        return bool(is_open), [str(key) for key in shown]

    def set_linked_maps(self, place: str, is_open: bool, shown: Sequence[str]) -> None:
        """Remember the linked maps of a run; of many runs, those that were opened last."""
        known = self._all_linked()
        known.pop(place, None)
        known[place] = (is_open, list(shown))
        self._set("linked_maps", json.dumps(dict(list(known.items())[-_MOST_RUNS:])))

    def _all_linked(self) -> dict[str, tuple[bool, list[str]]]:
        try:
            known = json.loads(str(self._get("linked_maps", "{}")))
            return {str(place): (is_open, list(shown)) for place, (is_open, shown) in known.items()}
        except (AttributeError, TypeError, ValueError):  # not what was written here
            return {}

    def _get(self, name: str, default: object) -> object:
        return QgsSettings().value(_PREFIX + name, default)

    def _set(self, name: str, value: object) -> None:
        QgsSettings().setValue(_PREFIX + name, value)
