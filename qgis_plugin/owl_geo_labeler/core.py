"""The owl-geo program in a process of its own; QGIS goes on while it works."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from qgis.PyQt.QtCore import QCoreApplication, QObject, QProcess, QProcessEnvironment, pyqtSignal

from .batch import annotator_of
from .places import SharedPlace, is_shared

translate = QCoreApplication.translate

# QGIS sets these for its own Python, GDAL and PROJ; another Python breaks on them
_OF_QGIS = ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA")
_PROGRESS = re.compile(r"[^:]+: \d+ of \d+ \(\d+%\)")  # as owl-geo tells how far its work is


def environment() -> QProcessEnvironment:
    """Return the environment that owl-geo is started with."""
    variables = QProcessEnvironment.systemEnvironment()
    for name in _OF_QGIS:
        variables.remove(name)
    variables.insert("PYTHONUTF8", "1")
    variables.insert("PYTHONUNBUFFERED", "1")
    return variables


def error_line(stderr: str, exit_code: int) -> str:
    """Return owl-geo's own error line, or what comes nearest to one."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line[len("error: ") :] for line in lines if line.startswith("error: ")]
    if errors:
        return errors[-1]
    if lines:
        return lines[-1]
    return translate("OwlGeo", "owl-geo ended with exit code {code}").format(code=exit_code)


def progress_line(stderr: str) -> str:
    """Return the last whole line that tells how far the work is; empty where there is none."""
    whole = stderr[: max(stderr.rfind("\n"), stderr.rfind("\r")) + 1]
    lines = [line.strip() for line in re.split(r"[\r\n]+", whole)]
    return next((line for line in reversed(lines) if _PROGRESS.match(line)), "")


def not_found() -> str:
    """Return what to do where there is no owl-geo."""
    return translate("OwlGeo", "owl-geo was not found; choose it in Settings")


class CoreProcess(QObject):
    """One run of owl-geo: ``done`` with its output, or ``failed`` with one line.

    ``unstarted``, with one line, takes the place of ``failed`` where the program is none.
    """

    progressed = pyqtSignal(str)  # how far its work is
    done = pyqtSignal(str)
    failed = pyqtSignal(str)
    unstarted = pyqtSignal(str)

    def __init__(self, program: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._program = program
        self._stdout = self._stderr = ""
        self._cancelled = False
        self._process = QProcess(self)
        self._process.setProcessEnvironment(environment())
        self._process.readyReadStandardOutput.connect(self._read_output)
        self._process.readyReadStandardError.connect(self._read_errors)
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._error)

    def start(self, arguments: Sequence[str]) -> None:
        """Start it; the signals say the rest."""
        self._process.start(self._program, list(arguments))

    def cancel(self) -> None:
        """Stop it at once; owl-geo may be stopped at any instant and loses nothing."""
        self._cancelled = True
        self._process.kill()
        self._process.waitForFinished(2000)

    def _read_output(self) -> None:
        self._stdout += bytes(self._process.readAllStandardOutput()).decode("utf-8", "replace")

    def _read_errors(self) -> None:
        self._stderr += bytes(self._process.readAllStandardError()).decode("utf-8", "replace")
        line = progress_line(self._stderr)
        if line:
            self.progressed.emit(line)

    def _finish(self, exit_code: int, status: QProcess.ExitStatus) -> None:
        self._read_output()
        self._read_errors()
        if self._cancelled:
            self.failed.emit(translate("OwlGeo", "stopped; start it again to go on"))
        elif status == QProcess.ExitStatus.NormalExit and exit_code == 0:
            self.done.emit(self._stdout)
        else:
            self.failed.emit(error_line(self._stderr, exit_code))

    def _error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            message = translate("OwlGeo", "{program} cannot be started: {reason}")
            self.unstarted.emit(
                message.format(program=self._program, reason=self._process.errorString())
            )


class NextBatch(QObject):
    """Answers in, next batch out: ``owl-geo ingest``, then ``owl-geo query``."""

    progressed = pyqtSignal(str, str)  # the step, and how far it is, once that is known
    done = pyqtSignal(object)  # Path or SharedPlace of the new batch
    failed = pyqtSignal(str)
    unstarted = pyqtSignal(str)

    def __init__(
        self,
        program: str,
        run: Path,
        answered: Sequence[Path],
        annotator: str,
        shared: bool = False,
        parent: QObject | None = None,
    ) -> None:
        """``answered`` are the batches to ingest first; empty for a run without any.

        Of a team's batch, the part of ``annotator`` is meant; ``shared`` publishes the batch in the
        team's database.
        """
        super().__init__(parent)
        self._program = program
        self._annotator = annotator
        self._steps: list[list[str]] = [["query", str(run), *(["--to-store"] if shared else [])]]
        if answered:
            self._steps.insert(0, ["ingest", str(run), *map(str, answered)])
        self._process: CoreProcess | None = None

    def start(self) -> None:
        """Start the first command."""
        self._next("")

    def cancel(self) -> None:
        """Stop at once."""
        if self._process is not None:
            self._process.cancel()

    def _next(self, output: str) -> None:
        if not self._steps:
            self._end(output)
            return
        arguments = self._steps.pop(0)
        says = {
            "ingest": translate("OwlGeo", "Storing the answers"),
            "query": translate("OwlGeo", "Learning and choosing the next patches"),
        }
        step = says[arguments[0]]
        self.progressed.emit(step, "")
        self._process = CoreProcess(self._program, self)
        self._process.progressed.connect(lambda line: self.progressed.emit(step, line))
        self._process.done.connect(self._next)
        self._process.failed.connect(self.failed)
        self._process.unstarted.connect(self.unstarted)
        self._process.start(arguments)

    def _end(self, output: str) -> None:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        if lines and is_shared(lines[-1]):
            self.done.emit(SharedPlace.parse(lines[-1]))
            return
        paths = map(Path, lines)
        whose = {path: annotator_of(path) for path in paths if path.suffix == ".gpkg"}
        mine = [path for path, name in whose.items() if name in (None, self._annotator)]
        if mine:
            self.done.emit(mine[-1])
        elif whose:
            message = translate(
                "OwlGeo", "nothing for {name} now: the batch is for, or waits for, {others}"
            )
            others = ", ".join(whose.values())
            self.failed.emit(message.format(name=self._annotator, others=others))
        else:
            self.failed.emit(translate("OwlGeo", "owl-geo query named no batch"))
