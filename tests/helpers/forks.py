"""Commands in processes of their own that start at once: to be killed, starved, run side by side.

A server imports owl-geo once and forks for every command, since importing takes seconds. A fork may
be killed after a while, or at the n-th instant at which the disk changes: before a file is opened
for writing, flushed, renamed, linked or removed, and before SQLite begins or commits.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SAID = ("out", "err", "instants")  # files of what a command prints, and of its instants
CHANGES = {"os.rename", "os.link", "os.rmdir", "os.chmod", "os.truncate"}


@dataclass(frozen=True)
class Done:
    """What became of a command: ``code`` is negative where a signal ended it."""

    code: int
    out: str
    err: str
    instants: tuple[str, ...]  # at which it could have been killed, in order
    seconds: float

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Forks:
    """The server, seen from a test; what it is asked for runs ``owl-geo`` in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kills = 0
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def run(self, *arguments: object, **how: Any) -> Done:
        """Run a command to its end.

        ``kill_at`` kills it at an instant, counted from 0, ``kill_after`` after seconds, both by
        ``signal`` if that is given. ``largest`` is the largest file in bytes that it may write,
        ``code`` a piece of Python that runs before it.
        """
        return self.wait(self.start(*arguments, **how))

    def start(self, *arguments: object, **how: Any) -> int:
        """Begin a command and return its number."""
        return int(self._ask({"arguments": [str(word) for word in arguments], **how})["number"])

    def wait(self, number: int) -> Done:
        """Wait for a command to end."""
        answer = self._ask({"number": number})
        done = Done(**{**answer, "instants": tuple(answer["instants"])})
        self.kills += done.killed
        return done

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {"folder": str(self.folder), **request}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


# --- the server -----------------------------------------------------------------------------------


def serve() -> None:
    """Answer requests until there are no more."""
    import torch

    torch.set_num_threads(1)
    gc.disable()  # it would touch, and so copy, all memory that forks share
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever else is printed is no answer
    started: dict[int, tuple[int, Path, float, dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as notes:
        for line in sys.stdin:
            request = json.loads(line)
            if "arguments" in request:
                number = len(started)
                place = Path(notes) / str(number)
                place.mkdir(mode=0o777)
                for name in _SAID:  # here, since it may be killed before it opens them
                    (place / name).touch(mode=0o666)
                process = os.fork()
                if process == 0:
                    _work(request, place)
                started[number] = (process, place, time.perf_counter(), request)
                answer: dict[str, Any] = {"number": number}
            else:
                answer = _ended(*started[request["number"]])
            os.write(answers, (json.dumps(answer) + "\n").encode())


def _ended(process: int, place: Path, began: float, request: dict[str, Any]) -> dict[str, Any]:
    if "kill_after" in request:
        time.sleep(max(0.0, began + request["kill_after"] - time.perf_counter()))
        os.kill(process, request.get("signal", signal.SIGKILL))
    _, status = os.waitpid(process, 0)
    seconds = time.perf_counter() - began
    _import_too(place / "modules")
    out, err, instants = (
        (place / name).read_text(encoding="utf-8", errors="replace") for name in _SAID
    )
    return {
        "code": os.waitstatus_to_exitcode(status),
        "out": out,
        "err": err,
        "instants": instants.splitlines(),
        "seconds": seconds,
    }


def _import_too(loaded: Path) -> None:
    """Load what a command has loaded, so that the next one has it already."""
    if loaded.exists():
        for name in loaded.read_text(encoding="utf-8").splitlines():
            if name not in sys.modules:
                with suppress(ImportError):
                    importlib.import_module(name)


def _work(request: dict[str, Any], place: Path) -> None:
    """Be the command; never returns."""
    code = 70
    try:
        os.chdir(request["folder"])
        # a shell that starts tests in the background has them ignore it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        files = [(place / name).open("ab", buffering=0) for name in _SAID]
        for number, file in enumerate(files[:2], start=1):
            os.dup2(file.fileno(), number)
        if "largest" not in request:
            _watch(files[2].fileno(), request)
        else:
            import resource

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest"], resource.RLIM_INFINITY))
        exec(request.get("code", ""), {})
        from owl_geo.cli import main

        main(request["arguments"])
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001 - the test sees it
        traceback.print_exc()
    finally:
        if "largest" not in request:
            (place / "modules").write_text("\n".join(sys.modules), encoding="utf-8")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watch(notes: int, request: dict[str, Any]) -> None:
    """Note every instant at which the disk below the folder changes, and be killed at one."""
    folder, kill_at, count = request["folder"], request.get("kill_at"), 0

    def instant(name: str) -> None:
        nonlocal count
        os.write(notes, f"{name}\n".encode())
        count += 1
        if count - 1 == kill_at:
            os.kill(os.getpid(), request.get("signal", signal.SIGKILL))

    def is_ours(path: Any) -> bool:
        # what is removed by its parent's descriptor has a relative name
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else "/"
        return text.startswith(folder) or not text.startswith("/")

    def changes(event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            return bool(arguments[2] & (os.O_CREAT | os.O_TRUNC)) and is_ours(arguments[0])
        if event == "os.mkdir":
            return is_ours(arguments[0]) and not Path(arguments[0]).exists()
        if event == "os.remove":  # by name or, within a folder that goes, by the folder's number
            return arguments[1] != -1 or Path(arguments[0]).exists()
        return event in CHANGES and is_ours(arguments[0])

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if changes(event, arguments):
            instant(f"{event} {arguments[0]}")

    inserted = 0

    def statement(text: str) -> None:
        nonlocal inserted
        is_insert = text.startswith('INSERT INTO "labels"')
        inserted += is_insert
        if text.startswith(("BEGIN", "COMMIT")) or (is_insert and inserted == 3):
            instant(f"sql {text.split('(')[0]}")

    flush, connect = os.fsync, sqlite3.connect

    def fsync(descriptor: int) -> None:
        instant("fsync")
        flush(descriptor)

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        if "signal" not in request:  # SQLite would swallow what a handler raises
            connection.set_trace_callback(statement)
        return connection

    os.fsync, sqlite3.connect = fsync, connected
    sys.addaudithook(hook)


def spread(total: int, count: int) -> Sequence[int]:
    """Return at most ``count`` numbers below ``total``, evenly spread, with the first and last."""
    if total <= count:
        return range(total)
    return sorted({round(k * (total - 1) / (count - 1)) for k in range(count)})


if __name__ == "__main__":
    serve()
