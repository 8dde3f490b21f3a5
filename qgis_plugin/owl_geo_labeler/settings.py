"""What the plugin remembers between sittings."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings

_PREFIX = "owl_geo_labeler/"


class PluginSettings:
    """Named values in the user's QGIS profile."""

    @property
    def executable(self) -> str | None:
        """The owl-geo program: the one that was chosen, else the one on PATH, else None."""
        chosen = self.chosen_executable
        return chosen if chosen and os.access(chosen, os.X_OK) else shutil.which("owl-geo")

    @property
    def chosen_executable(self) -> str:
        """The program that was chosen by hand; empty for the one on PATH."""
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
    def context(self) -> float:
        """How many times wider than the patch the view is."""
        return float(self._get("context", 4.0))

    @context.setter
    def context(self, times: float) -> None:
        self._set("context", times)

    @property
    def shared(self) -> str:
        """The address of the batch in a database that was opened last."""
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

    def _get(self, name: str, default: object) -> object:
        return QgsSettings().value(_PREFIX + name, default)

    def _set(self, name: str, value: object) -> None:
        QgsSettings().setValue(_PREFIX + name, value)
