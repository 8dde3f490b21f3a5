"""The owl-geo program in a separate process, so that QGIS stays usable while it works."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from qgis.PyQt.QtCore import QCoreApplication, QObject, QProcess, QProcessEnvironment, pyqtSignal

from .batch import annotator_of
from .places import SharedPlace, is_shared

translate = QCoreApplication.translate

# QGIS sets these for its own Python, GDAL and PROJ; they break another Python
_OF_QGIS = ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA")
_PROGRESS = re.compile(r"[^:]+: \d+ of \d+ \(\d+%\)")  # how owl-geo reports its progress


def environment() -> QProcessEnvironment:
    """Return the environment in which owl-geo is started."""
    variables = QProcessEnvironment.systemEnvironment()
    for name in _OF_QGIS:
        variables.remove(name)
    variables.insert("PYTHONUTF8", "1")
    variables.insert("PYTHONUNBUFFERED", "1")
    return variables


def error_line(stderr: str, exit_code: int) -> str:
    """Return owl-geo's own error line, or whatever comes closest to one."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line[len("error: ") :] for line in lines if line.startswith("error: ")]
    if errors:
        return errors[-1]
    if lines:
        return lines[-1]
    return translate("OwlGeo", "owl-geo ended with exit code {code}").format(code=exit_code)


def progress_line(stderr: str) -> str:
    """Return the last complete line that reports progress, or an empty string."""
    whole = stderr[: max(stderr.rfind("\n"), stderr.rfind("\r")) + 1]
    lines = [line.strip() for line in re.split(r"[\r\n]+", whole)]
    return next((line for line in reversed(lines) if _PROGRESS.match(line)), "")


def not_found() -> str:
    """Return what to do if there is no owl-geo."""
    return translate("OwlGeo", "owl-geo was not found; choose it in Settings")


class CoreProcess(QObject):
    """One run of owl-geo: ``done`` with its output, or ``failed`` with one line.

    ``unstarted``, with one line, replaces ``failed`` if the program cannot be started.
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
        """Start it; the result arrives as a signal."""
        self._process.start(self._program, list(arguments))

    def cancel(self) -> None:
        """Stop it at once; owl-geo can be stopped at any moment without losing anything."""
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
            self.failed.emit(translate("OwlGeo", "stopped; start it again to continue"))
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

    progressed = pyqtSignal(str, str)  # the step, and its progress once that is known
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

        If the batch is divided among a team, ``done`` names the part of ``annotator``. ``shared``
        publishes the batch in the team's database.
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
                "OwlGeo",
                "nothing to label for {name}: the batch is for {others}, or waits for "
                "their answers",
            )
            others = ", ".join(whose.values())
            self.failed.emit(message.format(name=self._annotator, others=others))
        else:
            self.failed.emit(translate("OwlGeo", "owl-geo query returned no batch"))
