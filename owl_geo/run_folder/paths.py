"""Where each file of a run lies, and which folder is a run."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from owl_geo.disk.file_names import file_names
from owl_geo.run_folder.records import Round
from owl_geo.settings import owl_toml

PATCHES = "patches.parquet"
TRUTH = "truth.parquet"
INDEX = "index.json"
METRICS = "metrics.csv"
ROUNDS = "rounds"
BATCH = "batch.gpkg"
MODEL = "model.safetensors"
RECORD = "round.json"
FEATURES = "features"
LAYERS = "layers"
LOCK = ".lock"
WAITING = ".adding"  # files of an addition that is decided and not yet in place


@dataclass(frozen=True)
class RunPaths:
    """The files of the run in a folder."""

    folder: Path

    def round_folder(self, number: int) -> Path:
        """Where round ``number`` lies, or will."""
        return self.folder / ROUNDS / f"{number:03d}"

    def batch(self, number: int) -> Path:
        """The batch GeoPackage of a round that was not dealt out to a team."""
        return self.round_folder(number) / BATCH

    def batches(self, entry: Round) -> dict[str | None, Path]:
        """The files of a round's batch by annotator; under None the one for everybody.

        Whoever gets nothing of a batch that is smaller than the team has no file.
        """
        if not entry.team:
            return {None: self.batch(entry.number)}
        names = file_names([*entry.team])
        whole = self.batch(entry.number)
        return {
            annotator: whole.with_stem(f"{whole.stem}-{names[annotator]}")
            for annotator, ranks in entry.team.items()
            if ranks
        }

    def model(self, number: int) -> Path:
        """The model that chose the batch of a round."""
        return self.round_folder(number) / MODEL


def is_run(path: Path) -> bool:
    """Whether the folder holds a run."""
    return (path / owl_toml.FILE_NAME).is_file()


def no_run(path: Path) -> str | None:
    """Return why ``path`` is no run folder, and which run may be meant; None where it is one.

    A run may lie around the path, in it, or beside it under a like name.
    """
    if is_run(path):
        return None
    around, inside = _run_around(path), _runs_in(path)
    if path.is_dir() and not around and not inside:
        return None  # whoever reads its owl.toml says what is missing
    if around is not None:
        # as the user would write it: the path given, cut short
        levels = path.absolute().parents.index(around)
        meant = path.parents[levels] if levels < len(path.parents) else around
        return f"no run folder at {path}; did you mean {str(meant)!r}, the run that it lies in?"
    if inside:
        named = " or ".join(repr(str(path / name)) for name in inside[:3])
        return f"no run folder at {path}, but in it; did you mean {named}?"
    runs = _runs_in(path.absolute().parent)
    folded = {name.casefold(): name for name in runs}
    near = difflib.get_close_matches(path.name.casefold(), list(folded), n=1)
    meant_name = f"did you mean {str(path.parent / folded[near[0]])!r}? If not, " if near else ""
    return f"no run folder at {path}; {meant_name}make one with `owl-geo init`"


def _runs_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if is_run(entry))
    except OSError:
        return []


def _run_around(path: Path) -> Path | None:
    """Return the run that a file or folder lies in; a run of its own is no part of another."""
    return next((parent for parent in path.absolute().parents if is_run(parent)), None)
