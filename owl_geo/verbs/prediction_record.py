"""predictions.json: which scenes are finished, and what they were made from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from owl_geo.disk.presence import check_not_refused
from owl_geo.maps.cog import write_text
from owl_geo.run_folder.records import DAMAGE

FILE_NAME = "predictions.json"


@dataclass
class PredictionRecord:
    """The content of predictions.json: each finished scene's file and what it was made from."""

    path: Path
    scenes: dict[str, dict[str, Any]] = field(default_factory=dict)
    whole: str = ""  # what the mosaics and the GeoPackage were made from

    @classmethod
    def read(cls, path: Path) -> PredictionRecord:
        """Read the record; a damaged one counts as empty, so that its scenes are redone."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            scenes = {
                str(name): {key: str(entry[key]) for key in ("file", "made_from")}
                for name, entry in values["scenes"].items()
            }
            if any(not _is_own(entry["file"]) for entry in scenes.values()):
                raise ValueError("a file is outside the folder")  # and must not be deleted
            return cls(path, scenes, str(values["whole"]))
        except DAMAGE as error:
            check_not_refused(path, error)
            return cls(path)

    def write(self) -> None:
        """Write the whole record; raises RunError."""
        values = {"whole": self.whole, "scenes": self.scenes}
        write_text(self.path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def _is_own(file: str) -> bool:
    """Whether a file's name stays within the folder of predictions."""
    return bool(file) and file.isprintable() and not set(file) & set("/\\:") and file[0] != "."
