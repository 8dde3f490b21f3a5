"""Engines that are killed at random while a search goes on.

They are forks of one process, which has imported the libraries once for all of them. It must be one
that has done nothing else: the threads of what it did before would be missing in its forks, which
wait for them for ever.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from contents import contents, differences
from searches import label, make

from owl_geo.engine.messages import line_of
from owl_geo.engine.server import serve
from owl_geo.reporting.facts import facts

LIBRARIES = (
    *("sklearn.linear_model", "sklearn.decomposition", "sklearn.metrics", "sklearn.pipeline"),
    *("owl_geo.features.table", "owl_geo.learners.choice", "owl_geo.verbs.predict"),
)
THINKING = 0.1  # seconds that the annotator takes, in which the engine measures its last round


class _Ended(Exception):
    """The engine is no more."""


@dataclass
class Forked:
    """An engine in a fork of this process, which has the libraries already."""

    kill_after: float | None
    process: int = 0
    killed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        asked, self._ask = os.pipe()
        answers, answer = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(self._ask)
            os.close(answers)
            self._serve(asked, answer)
        os.close(asked)
        os.close(answer)
        self._answers = os.fdopen(answers, "rb")
        if self.kill_after is not None:
            self._timer = threading.Timer(self.kill_after, self._kill)
            self._timer.start()

    def _serve(self, asked: int, answer: int) -> None:
        """Be the engine; never returns."""
        try:
            with os.fdopen(asked, "rb") as lines:
                serve(
                    lines,
                    lambda message: os.write(answer, line_of(message)),
                    device="auto",
                    annotator="ana",
                    describe=facts,
                )
        finally:
            os._exit(0)

    def _kill(self) -> None:
        self.killed.set()
        os.kill(self.process, signal.SIGKILL)

    def ask(self, method: str, **params: object) -> dict[str, Any]:
        """Return the result of a request; raises _Ended where the engine is killed before."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            os.write(self._ask, (json.dumps(call) + "\n").encode())
        except BrokenPipeError as error:
            raise _Ended from error
        for line in self._answers:
            if not line.endswith(b"\n"):
                break
            message = json.loads(line)
            if "method" not in message:
                assert "result" in message, message
                return dict(message["result"] or {})
        raise _Ended

    def end(self) -> None:
        """Let it end with its input, if it is not killed before."""
        os.close(self._ask)
        os.waitpid(self.process, 0)
        if self.kill_after is not None:
            self._timer.cancel()
        self._answers.close()


def searched(run: Path, rounds: int, lives: Callable[[int], float | None]) -> tuple[int, float]:
    """Do a search by engines, each of which lives for some seconds.

    Returns how many were killed, and the seconds that the last round took.
    """
    kills, entry, batch, began = 0, 0, "", 0.0
    engine = Forked(lives(kills))
    while entry < rounds:
        try:
            if not batch:
                batch = engine.ask("query", run=str(run))["paths"][0]
            began = time.perf_counter()
            answer(Path(batch))
            if entry % 2:
                engine.ask("foresee", run=str(run), batches=[batch])
            time.sleep(THINKING)
            done = engine.ask("next", run=str(run), batches=[batch])
            entry, batch = done["number"], done["paths"][0]
        except _Ended:
            engine.end()
            kills += 1
            engine = Forked(lives(kills))
    seconds = time.perf_counter() - began
    engine.end()
    kills += engine.killed.is_set()
    engine = Forked(None)  # measures what is left
    while not all((run / f"rounds/{n:03d}/later.json").exists() for n in range(1, rounds + 1)):
        engine.ask("open", run=str(run))
        time.sleep(0.02)
    engine.end()
    return kills, seconds


def answer(batch: Path) -> None:
    ids = sorted(_patches(batch))
    label(batch, {patch: ("absent", "present")[n % 2] for n, patch in enumerate(ids)})


def _patches(batch: Path) -> list[str]:
    record = json.loads((batch.parent / "round.json").read_text(encoding="utf-8"))
    return list(record["patch_ids"])


def compare(folder: Path, most: int) -> str:
    """Do a search by one engine, and again with ``most`` of them killed, until it is done.

    Returns what to print. Raises AssertionError where they differ.
    """
    tables: dict[str, Any] = {"model": {"head": "logistic"}, "loop": {"initial": 10}}
    begun = make(folder / "begun", **tables).path
    for name in LIBRARIES:
        importlib.import_module(name)  # once, and not in each engine
    rounds = 2 if most < 10 else 4
    whole = Path(shutil.copytree(begun, folder / "whole"))
    none, seconds = searched(whole, rounds, lambda _kills: None)
    assert none == 0
    expected = contents(whole, hours=False)
    rng, kills, searches = np.random.default_rng(5), 0, 0

    def lives(here: int) -> float | None:
        if kills + here >= most:
            return None
        return float(rng.uniform(0.1, 1.5) * seconds * 1.2**here)  # so that it comes to its end

    while kills < most:
        killed = Path(shutil.copytree(begun, folder / f"killed-{searches}"))
        kills += searched(killed, rounds, lives)[0]
        assert differences(contents(killed, hours=False), expected) == [], f"search {searches}"
        searches += 1
    return f"{kills} kills in {searches} searches, all the same"
