"""The owl-geo program in a separate process, so that QGIS stays usable while it works."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qgis.PyQt.QtCore import QCoreApplication, QObject, QProcess, QProcessEnvironment, pyqtSignal

translate = QCoreApplication.translate

# QGIS sets these for its own Python, GDAL and PROJ; they break another Python
_OF_QGIS = ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA")
_STOPPED = (130, 143)  # exit codes after an interruption
_WARNING = "warning: "  # how the lines begin in which owl-geo warns
_PROGRESS = re.compile(r"[^:]+: [\d,]+ of [\d,]+ \((\d+) ?%\)")  # how owl-geo reports its progress


def environment() -> QProcessEnvironment:
    """Return the environment in which owl-geo is started."""
    variables = QProcessEnvironment.systemEnvironment()
    for name in _OF_QGIS:
        variables.remove(name)
    variables.insert("PYTHONUTF8", "1")
    variables.insert("PYTHONUNBUFFERED", "1")
    return variables


def own_error(stderr: str) -> str:
    """Return owl-geo's own error line; empty if there is none."""
    lines = [line.strip() for line in stderr.splitlines()]
    errors = [line[len("error: ") :] for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else ""


def error_line(program: str, stderr: str, exit_code: int, crashed: bool = False) -> str:
    """Return owl-geo's own error line, or what is known of a program that ended without one.

    ``crashed`` is whether it was killed.
    """
    own = own_error(stderr)
    if own:
        return own
    if crashed:
        message = translate(
            "OwlGeo",
            "{program} was killed, perhaps for lack of memory; start it again to continue",
        )
        return message.format(program=program)
    said = without_progress(stderr)
    says = said[-1] if said else translate("OwlGeo", "exit code {code}").format(code=exit_code)
    if exit_code in _STOPPED:
        return says
    message = translate(
        "OwlGeo",
        "{program} failed: {line}; run owl-geo doctor, or choose another program in Settings",
    )
    return message.format(program=program, line=says)


def progress_line(stderr: str) -> str:
    """Return the last complete line that reports progress, or an empty string."""
    whole = stderr[: max(stderr.rfind("\n"), stderr.rfind("\r")) + 1]
    lines = [line.strip() for line in re.split(r"[\r\n]+", whole)]
    return next((line for line in reversed(lines) if _PROGRESS.match(line)), "")


def share_of(line: str) -> float:
    """Return how many per cent of its work a progress line tells to be done; 0 of no such line."""
    found = _PROGRESS.match(line)
    return float(found[1]) if found else 0.0


def without_progress(stderr: str) -> list[str]:
    """Return the lines of standard error that are not progress."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", stderr) if line.strip()]
    return [line for line in lines if not _PROGRESS.match(line)]


def warnings_in(stderr: str) -> list[str]:
    """Return what owl-geo warned of."""
    lines = without_progress(stderr)
    return [line[len(_WARNING) :] for line in lines if line.startswith(_WARNING)]


def not_owl_geo(program: str, command: str) -> str:
    """Return what to say of a program that ends well, but does not do what owl-geo does."""
    message = translate(
        "OwlGeo",
        "{program} {command} did not do what owl-geo does; choose another program in Settings",
    )
    return message.format(program=program, command=command)


def not_found() -> str:
    """Return what to do if there is no owl-geo."""
    return translate("OwlGeo", "owl-geo was not found; choose it in Settings")


def stopped() -> str:
    """Return what to say of work that the user stopped."""
    return translate("OwlGeo", "stopped; start it again to continue")


class CoreProcess(QObject):
    """One run of owl-geo: ``done`` with its output, or ``failed`` with one line.

    ``unstarted``, with one line, replaces ``failed`` if the program cannot be started, or fails
    without an error line of owl-geo's own, so that another program may be wanted.
    """

    progressed = pyqtSignal(str)  # how far its work is
    warned = pyqtSignal(str)  # of what the analyst should know
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
        for text in warnings_in(self._stderr):
            self.warned.emit(text)
        if self._cancelled:
            self.failed.emit(stopped())
        elif status == QProcess.ExitStatus.NormalExit and exit_code == 0:
            self.done.emit(self._stdout)
        else:
            crashed = status != QProcess.ExitStatus.NormalExit
            says = error_line(self._program, self._stderr, exit_code, crashed)
            (self.failed if crashed or own_error(self._stderr) else self.unstarted).emit(says)

    def _error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            message = translate("OwlGeo", "{program} cannot be started: {reason}")
            self.unstarted.emit(
                message.format(program=self._program, reason=self._process.errorString())
            )
