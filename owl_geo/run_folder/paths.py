"""Where each file of a run is, and which folder is a run."""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from owl_geo.disk.file_names import file_names
from owl_geo.disk.presence import is_dir, is_file
from owl_geo.errors import BusyError, RunError, no_access
from owl_geo.run_folder.records import Round
from owl_geo.settings import owl_toml
from owl_geo.settings.stores import store_choice
from owl_geo.wording import as_typed, plural

PATCHES = "patches.parquet"
TRUTH = "truth.parquet"
INDEX = "index.json"
METRICS = "metrics.csv"
ROUNDS = "rounds"
BATCH = "batch.gpkg"
MODEL = "model.safetensors"
RECORD = "round.json"
LATER = "later.json"  # of a round: what was measured after it was written
FEATURES = "features"
LAYERS = "layers"
LOCK = ".lock"
WAITING = ".adding"  # complete files of an addition, not yet moved into place
_LABELS = store_choice(None).address
_OWN = {owl_toml.FILE_NAME, PATCHES, TRUTH, INDEX, METRICS, ROUNDS, FEATURES, LAYERS, LOCK, WAITING}


@dataclass(frozen=True)
class RunPaths:
    """The files of the run in a folder."""

    folder: Path

    def round_folder(self, number: int) -> Path:
        """Return the folder of round ``number``, which need not exist yet."""
        return self.folder / ROUNDS / f"{number:03d}"

    def batch(self, number: int) -> Path:
        """Return the batch GeoPackage of a round that was not divided among a team."""
        return self.round_folder(number) / BATCH

    def batches(self, entry: Round) -> dict[str | None, Path]:
        """Return the files of a round's batch by annotator; the one for everybody is under None.

        If the batch is smaller than the team, annotators without a patch have no file.
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
        """Return the file of the model that chose the batch of a round."""
        return self.round_folder(number) / MODEL


def in_order(round_folder: Path) -> tuple[int, str]:
    """Return what sorts the folders of rounds by their numbers, which have three digits or more."""
    return len(round_folder.name), round_folder.name


def is_run(path: Path) -> bool:
    """Return whether the folder holds a run; raises OSError where nobody can tell."""
    return is_file(path / owl_toml.FILE_NAME)


def busy(path: Path) -> BusyError:
    """Return the error for a run whose lock another process holds."""
    return BusyError(
        f"another owl-geo is working on {path}", remedy="wait until it is done, then try again"
    )


def check_output(path: Path) -> None:
    """Raise RunError for an output that would replace a file of a run, or lie among its files.

    Settings, answers and batches must survive whatever a command writes, ``--overwrite`` included.
    """
    whole = Path(os.path.realpath(path))
    for folder in whole.parents:
        name = whole.relative_to(folder).parts[0].casefold()
        if (name in _OWN or name.startswith(_LABELS)) and is_run(folder):
            raise RunError(
                f"{path} is one of the files of the run {folder}, which no output replaces",
                remedy="choose another name",
            )


def no_run(path: Path) -> RunError | None:
    """Return an error that says which run may be meant; None if ``path`` is a run folder.

    A run may be in a folder above the path, in the path, or next to it under a similar name. Of a
    path that cannot be reached or read, nothing is said but that.
    """
    try:
        is_folder = is_dir(path)
        if is_run(path):
            return None
    except OSError as error:
        fault = no_access(error.filename or path, error)
        return RunError(fault.what, remedy=fault.remedy)
    around, inside = _run_around(path), _runs_in(path)
    if is_folder and not around and not inside:
        return None  # reading its owl.toml will report what is missing
    if around is not None:
        # as the user would write it: the given path, shortened
        levels = path.absolute().parents.index(around)
        meant = path.parents[levels] if levels < len(path.parents) else around
        remedy = f"did you mean {str(meant)!r}, the run that it is in?"
        return RunError(f"no run folder at {path}", remedy=remedy)
    if inside:
        candidates = " or ".join(repr(str(path / name)) for name in inside[:3])
        there = plural(len(inside), "there is one", "there are some")
        return RunError(
            f"no run folder at {path}, but {there} in it",
            remedy=f"did you mean {candidates}?",
        )
    runs = _runs_in(path.absolute().parent)
    folded = {name.casefold(): name for name in runs}
    near = difflib.get_close_matches(path.name.casefold(), list(folded), n=1)
    meant_name = f"did you mean {str(path.parent / folded[near[0]])!r}? If not, " if near else ""
    make = f"make one with `owl-geo init {as_typed(path)} --scene FILE`"
    return RunError(f"no run folder at {path}", remedy=f"{meant_name}{make}")


def _runs_in(folder: Path) -> list[str]:
    with suppress(OSError):
        return sorted(entry.name for entry in folder.iterdir() if _may_be_run(entry))
    return []


def _run_around(path: Path) -> Path | None:
    """Return the run that a file or folder is in; a run itself is not part of another."""
    return next((parent for parent in path.absolute().parents if _may_be_run(parent)), None)


def _may_be_run(folder: Path) -> bool:
    """Return whether a folder that nobody has named can be proposed as a run."""
    with suppress(OSError):
        return is_run(folder)
    return False
