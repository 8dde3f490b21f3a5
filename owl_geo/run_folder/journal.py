"""The rounds of a run on disk: each appears whole or not at all, and metrics.csv follows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from owl_geo.disk.atomic import (
    FileState,
    check_still_there,
    clear_partials,
    file_state,
    writing_file,
    writing_folder,
)
from owl_geo.disk.listing import entries
from owl_geo.disk.presence import check_not_refused, exists
from owl_geo.errors import RunError, no_access
from owl_geo.measures.metrics import to_csv
from owl_geo.run_folder.paths import LATER, METRICS, RECORD, ROUNDS, RunPaths, in_order
from owl_geo.run_folder.records import DAMAGE, Round, later_text


class Journal:
    """Reads and writes the rounds of a run."""

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        # rounds that were read, with the state of their files, which are written only once
        self._read: dict[Path, tuple[tuple[FileState, FileState], Round]] = {}

    def rounds(self) -> list[Round]:
        """Return every round on disk, oldest first; raises RunError if one is damaged."""
        rounds_folder = self._paths.folder / ROUNDS
        rounds = []
        try:
            folders = [one for one in entries(rounds_folder) if one.name[0].isdigit()]
        except OSError as error:
            fault = no_access(rounds_folder, error)
            raise RunError(fault.what, remedy=fault.remedy) from error
        for folder in sorted(folders, key=in_order):
            rounds.append(self._round(folder))
        for number, entry in enumerate(rounds):
            if entry.number != number:
                raise RunError(
                    f"{rounds_folder} lacks round {number:03d}", remedy="restore that folder"
                )
        return rounds

    def _round(self, folder: Path) -> Round:
        record, later = folder / RECORD, folder / LATER
        state = (file_state(record), file_state(later))
        known = self._read.get(folder)
        if known is not None and known[0] == state:
            return known[1]
        try:
            entry = Round.from_json(record.read_text(encoding="utf-8"))
        except DAMAGE as error:
            check_not_refused(record, error)
            raise RunError(
                f"{record} is damaged ({error})", remedy=f"restore it, or move {folder} away"
            ) from error
        if entry.unmeasured is not None and state[1] is not None:
            try:
                entry = entry.measured(later.read_text(encoding="utf-8"))
            except DAMAGE as error:
                check_not_refused(later, error)
                raise RunError(
                    f"{later} is damaged ({error})",
                    remedy="delete it, and the next query measures that again",
                ) from error
        self._read[folder] = (state, entry)
        return entry

    def beside(self, entry: Round) -> list[Path]:
        """Return the GeoPackages in a round's folder that are not its batch, such as copies of it.

        Raises RunError where the folder cannot be read.
        """
        folder = self._paths.round_folder(entry.number)
        own = {path.name for path in self._paths.batches(entry).values()}
        try:
            found = entries(folder)
        except OSError as error:
            fault = no_access(folder, error)
            raise RunError(fault.what, remedy=fault.remedy) from error
        return [one for one in found if one.suffix.lower() == ".gpkg" and one.name not in own]

    def publish(self, entry: Round, write: Callable[[Path], None]) -> None:
        """Write a round as a whole: ``write`` fills a folder that is then renamed.

        Raises RunError if the disk is full, or the folder is gone or cannot be written.
        """
        check_still_there(self._paths.folder)
        with writing_folder(self._paths.round_folder(entry.number)) as partial:
            write(partial)
            (partial / RECORD).write_text(entry.to_json(), encoding="utf-8")
        self.sync_metrics()

    def complete(self, number: int, cv_auc: float) -> None:
        """Add what was measured after a round was written, unless that is known by now.

        It is in a file of its own, which appears whole: a round is never written again. No lock is
        needed, so that whoever does a round meanwhile is not kept from it: all who measure come to
        the same number. A round that was taken out of the run meanwhile is left out. Raises
        RunError as ``publish`` does.
        """
        check_still_there(self._paths.folder)
        if any(entry.unmeasured is not None for entry in self.rounds()[number : number + 1]):
            folder = self._paths.round_folder(number)
            with writing_file(folder / LATER, shared=True, parents=False) as partial:
                partial.write_text(later_text(cv_auc), encoding="utf-8")
            clear_partials(folder)
        self.sync_metrics()

    def now(self, entry: Round) -> Round:
        """Return a round as it is on disk by now, or as it was if it is there no more."""
        return next(iter(self.rounds()[entry.number : entry.number + 1]), entry)

    def sync_metrics(self) -> None:
        """Make metrics.csv match the rounds; a file that already does is left alone.

        Several processes may do it at once: each looks again after it has written, so that the last
        one leaves the file as the rounds are. Raises RunError as ``publish`` does.
        """
        check_still_there(self._paths.folder)
        path = self._paths.folder / METRICS
        clear_partials(self._paths.folder)
        while True:
            text = to_csv(entry.metrics for entry in self.rounds())
            if exists(path) and path.read_text(encoding="utf-8") == text:
                return
            with writing_file(path, shared=True, parents=False) as partial:
                partial.write_text(text, encoding="utf-8")
