"""A real browser for tests: headless Chromium, told what to do through a pipe (DevTools protocol).

OWL_BROWSER names the program, chromium by default. Without one, tests skip, unless
OWL_REQUIRE_BROWSER=1 is set.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
)
_PATIENCE = 120  # seconds until a browser that says nothing is given up

# a browser reads what it is told from file 3 and answers into file 4
_START = """
import fcntl, os, sys
reads, writes = (fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """A browser with one page; raises AssertionError where it reports an error."""

    def __init__(self, process: subprocess.Popen[bytes], told: int, said: int) -> None:
        self._process, self._told, self._said = process, told, said
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result; events are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._told, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path: Path, width: int = 1200, height: int = 900) -> None:
        """Show a file in a window of so many pixels, and wait until it is loaded."""
        self.resize(width, height)
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def resize(self, width: int, height: int = 900) -> None:
        """Make the window so large."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def ask(self, expression: str) -> Any:
        """Return the value of an expression in the page; a promise is awaited."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def pdf(self) -> bytes:
        """Return the page as it would be printed."""
        result = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return base64.b64decode(result["data"])

    def screenshot(self) -> bytes:
        """Return all of the page as PNG."""
        result = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(result["data"])

    def complaints(self) -> list[str]:
        """Return what the console would show since the page was opened: errors and warnings."""
        texts = []
        for event in self.events:
            parameters = event.get("params", {})
            if event.get("method") == "Log.entryAdded":
                texts.append(parameters["entry"]["text"])
            if event.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                texts.append(json.dumps(parameters))
        return texts

    def requests(self) -> list[str]:
        """Return what was fetched since the page was opened, apart from what it holds itself."""
        urls = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            assert self._process.poll() is None, "the browser has ended"
            ready, _, _ = select.select([self._said], [], [], 1.0)
            assert time.monotonic() < deadline, "the browser says nothing"
            if ready:
                self._buffer += os.read(self._said, 2**20)
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


def browser_program() -> str:
    """Return the browser's path; skips the test where there is none."""
    named = os.environ.get("OWL_BROWSER", "chromium")
    found = shutil.which(named)
    if found is None:
        message = f"no browser {named}; OWL_BROWSER may name a Chromium"
        if os.environ.get("OWL_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found


@contextmanager
def opened_browser(folder: Path) -> Iterator[Browser]:
    """Start a browser with a fresh profile in ``folder``, and end it."""
    program = browser_program()
    reads, told = os.pipe()
    said, writes = os.pipe()
    flags = [*FLAGS, f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"]
    command = [sys.executable, "-c", _START, str(reads), str(writes), program, *flags]
    with (folder / "stderr.txt").open("wb") as log:
        process = subprocess.Popen(
            command,
            pass_fds=(reads, writes),
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(folder)},
        )
    os.close(reads)
    os.close(writes)
    try:
        yield Browser(process, told, said)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(told)
        os.close(said)
