"""What the Processing algorithms share: each runs one command of the owl-geo program."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
)
from qgis.PyQt.QtCore import QCoreApplication, QProcess

from .core import (
    environment,
    error_line,
    not_found,
    not_owl_geo,
    progress_line,
    share_of,
    stopped,
    without_progress,
)
from .settings import PluginSettings

translate = QCoreApplication.translate

_POLL_MS = 200


class Done(NamedTuple):
    """What a command printed, without empty lines, and how it ended."""

    lines: list[str]
    exit_code: int


class CommandAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that starts owl-geo, shows its output and ends when it ends."""

    def createInstance(self) -> QgsProcessingAlgorithm:
        return type(self)()

    def text_of(self, name: str, parameters: dict[str, Any], context: QgsProcessingContext) -> str:
        """Return a parameter as text; empty where it is not given."""
        return self.parameterAsString(parameters, name, context).strip()

    def path_of(self, name: str, parameters: dict[str, Any], context: QgsProcessingContext) -> str:
        """Return a path that has to be given: owl-geo takes none for the folder that it is in."""
        path = self.text_of(name, parameters, context)
        if not path:
            title = self.parameterDefinition(name).description()
            message = translate("OwlGeo", "{name} is missing")
            raise QgsProcessingException(message.format(name=title))
        return path

    def run_command(
        self, arguments: list[str], feedback: QgsProcessingFeedback, good: Sequence[int] = (0,)
    ) -> Done:
        """Return what owl-geo printed; raises QgsProcessingException with its error line.

        ``good`` are the exit codes that do not mean an error.
        """
        program = PluginSettings().executable
        if program is None:
            raise QgsProcessingException(not_found())
        process = QProcess()
        process.setProcessEnvironment(environment())
        feedback.pushCommandInfo(shlex.join(["owl-geo", *arguments]))
        process.start(program, arguments)
        if not process.waitForStarted():
            raise QgsProcessingException(f"{program}: {process.errorString()}")
        errors = self._wait(process, feedback)
        output = bytes(process.readAllStandardOutput()).decode("utf-8", "replace")
        for line in output.splitlines():
            feedback.pushInfo(line)
        crashed = process.exitStatus() != QProcess.ExitStatus.NormalExit
        if crashed or process.exitCode() not in good:
            raise QgsProcessingException(error_line(program, errors, process.exitCode(), crashed))
        for line in without_progress(errors):
            feedback.pushWarning(line)
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        return Done(lines, process.exitCode())

    def _wait(self, process: QProcess, feedback: QgsProcessingFeedback) -> str:
        """Show how far the work is until it ends; return what went to standard error."""
        errors, shown = b"", ""
        while process.state() != QProcess.ProcessState.NotRunning:
            process.waitForFinished(_POLL_MS)
            errors += bytes(process.readAllStandardError())
            line = progress_line(errors.decode("utf-8", "replace"))
            if line != shown:
                shown = line
                feedback.setProgressText(line)
                feedback.setProgress(share_of(line))
            if feedback.isCanceled() and process.state() != QProcess.ProcessState.NotRunning:
                process.kill()
                process.waitForFinished()
                raise QgsProcessingException(stopped())
        return errors.decode("utf-8", "replace")

    def refusal(self, command: str) -> QgsProcessingException:
        """Return what to raise where a program ended well without doing what owl-geo does."""
        return QgsProcessingException(not_owl_geo(str(PluginSettings().executable), command))
