"""owl-geo as a process that stays, so that the next batch follows the answers in a moment.

It is spoken to in JSON-RPC 2.0, a message a line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from qgis.PyQt.QtCore import QObject, QProcess, QTimer, pyqtSignal

from .core import environment

_ENOUGH = 1000  # milliseconds in which it stops by itself


class Engine(QObject):
    """``owl-geo engine``, which keeps the run that is being labelled in memory.

    Each request ends in one of three signals with its number: ``answered``, ``refused`` with a line
    to show, or ``lost`` if the process is gone, in which case commands can do the same.
    """

    answered = pyqtSignal(int, object)  # the result: a dict, or None where nothing was asked for
    refused = pyqtSignal(int, str)
    lost = pyqtSignal(int)
    progressed = pyqtSignal(int, str)  # how far its work is
    warned = pyqtSignal(str)  # of what the analyst should know

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._program = ""
        self._run: Path | None = None
        self._begun = b""  # of a line
        self._asked: set[int] = set()  # requests without an answer
        self._last = 0

    @property
    def is_running(self) -> bool:
        """Whether there is a process to ask."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The number of the process; 0 without one."""
        return 0 if self._process is None else int(self._process.processId())

    def follow(self, program: str, run: Path) -> None:
        """Let ``program`` keep a run in memory, and begin what its next batch needs."""
        if self._process is not None and (self._program, self._run) == (program, run):
            return
        if self._program != program:
            self.close()
        if self._process is None:
            self._start(program)
        self._run = run
        self.ask("open", run=str(run))

    def ask(self, method: str, **params: object) -> int:
        """Send a request, and return its number."""
        self._last += 1
        self._asked.add(self._last)
        self._send({"id": self._last, "method": method, "params": params})
        return self._last

    def cancel(self, number: int) -> None:
        """Stop a request, or the process if that takes long.

        owl-geo can be stopped at any moment without losing anything.
        """
        self._send({"method": "cancel", "params": {"id": number}})
        QTimer.singleShot(_ENOUGH, lambda: self._insist(number))

    def close(self) -> None:
        """End the process and whatever it is doing."""
        process, busy = self._process, bool(self._asked)
        if process is None:
            return
        process.blockSignals(True)
        process.closeWriteChannel()
        if busy or not process.waitForFinished(_ENOUGH):
            process.kill()
            process.waitForFinished(_ENOUGH)
        self._forget()

    def _start(self, program: str) -> None:
        process = QProcess(self)
        process.setProcessEnvironment(environment())
        process.setStandardErrorFile(QProcess.nullDevice())  # errors are answers, too
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._forget)
        process.errorOccurred.connect(self._on_error)
        self._process, self._program = process, program
        process.start(program, ["engine"])

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:  # all others are followed by finished
            self._forget()

    def _forget(self, *_ended: object) -> None:
        """Take it that there is no process any more."""
        if self._process is None:
            return
        self._process.deleteLater()
        self._process, self._run, self._begun = None, None, b""
        lost, self._asked = sorted(self._asked), set()
        for number in lost:
            self.lost.emit(number)

    def _insist(self, number: int) -> None:
        if number in self._asked:
            self.close()

    def _send(self, message: Mapping[str, object]) -> None:
        if self._process is not None:
            text = json.dumps({"jsonrpc": "2.0", **message})
            self._process.write(text.encode("utf-8") + b"\n")

    def _read(self) -> None:
        if self._process is None:
            return
        text = self._begun + bytes(self._process.readAllStandardOutput())
        *lines, self._begun = text.split(b"\n")
        for line in lines:
            try:
                self._take(json.loads(line))
            except (ValueError, TypeError, AttributeError, LookupError):
                self.close()  # a program of the same name that is not owl-geo
                return

    def _take(self, message: Mapping[str, object]) -> None:
        if message.get("method") == "progress":
            params = message["params"]
            per_cent = 100 * params["done"] / params["of"]
            share = f"{params['done']} of {params['of']} ({per_cent:.0f} %)"
            self.progressed.emit(params["id"], f"{params['what']}: {share}")
        elif message.get("method") == "log" and message["params"]["level"] == "warning":
            self.warned.emit(" ".join(message["params"]["message"].split()))
        if "method" in message or message.get("id") not in self._asked:
            return
        number = message["id"]
        if "error" in message:
            signal, says = self.refused, str(message["error"]["message"])
        else:
            signal, says = self.answered, message["result"]
        self._asked.discard(number)  # an answer that makes no sense is none
        signal.emit(number, says)
