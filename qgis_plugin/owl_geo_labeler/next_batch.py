"""Answers in, a batch out: by the process that stays where there is one, else by commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from .batch import annotator_of
from .core import CoreProcess, stopped
from .engine import Engine
from .errors import Problem
from .places import SharedPlace, is_shared

translate = QCoreApplication.translate

# The least probability in a review, which leaves room to slide the threshold, and patches at most.
REVIEW_FROM = 0.3
REVIEW_SIZE = 1000


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    ``query``, ``review`` of what the model takes for targets, or ``like``, a batch of what is most
    like ``patches``. ``leaves`` is whether a batch that waits for answers is left.
    """

    what: str = "query"
    leaves: bool = False
    patches: tuple[str, ...] = ()  # their ids

    def words(self) -> list[str]:
        """Return what follows the run in the command."""
        own = {
            "query": [],
            "review": [f"--threshold={REVIEW_FROM}", f"--size={REVIEW_SIZE}"],
            "like": [*self.patches, "--batch"],
        }[self.what]
        return [*own, *(["--go-on"] if self.leaves else [])]

    def params(self) -> dict[str, object]:
        """Return the params of the engine's method besides the run."""
        own: dict[str, object] = {
            "query": {},
            "review": {"threshold": REVIEW_FROM, "size": REVIEW_SIZE},
            "like": {"patches": list(self.patches), "batch": True},
        }[self.what]
        return {**own, **({"go_on": True} if self.leaves else {})}


QUERY = Wanted()


class NextBatch(QObject):
    """Take in answers and make a batch, as ``owl-geo ingest`` and what is wanted do."""

    progressed = pyqtSignal(str, str)  # the step, and its progress once that is known
    warned = pyqtSignal(str)  # by a command; the engine says so itself
    done = pyqtSignal(object)  # Path or SharedPlace of the new batch
    failed = pyqtSignal(str)
    unstarted = pyqtSignal(str)

    def __init__(
        self,
        program: str,
        run: Path,
        answered: Sequence[Path],
        annotator: str,
        engine: Engine,
        shared: bool = False,
        parent: QObject | None = None,
        wanted: Wanted = QUERY,
    ) -> None:
        """``answered`` are the batches to ingest first; empty for a run without any.

        ``annotator`` gave the answers without a name, as those typed into a layer's table. If the
        batch is divided among a team, ``done`` names their part. ``shared``
        publishes the batch in the team's database, which only commands do.
        """
        super().__init__(parent)
        self._program = program
        self._run = run
        self._answered = tuple(map(str, answered))
        self._annotator = annotator
        self._engine = engine
        self._by_engine = engine.is_running and not shared
        self._wanted = wanted
        self._asked = 0  # the number of the engine's request
        self._requests = self._all_requests()
        self._cancelled = False
        self._process: CoreProcess | None = None
        words = [*wanted.words(), *(["--to-store"] if shared else [])]
        self._steps: list[list[str]] = [[wanted.what, str(run), *words]]
        if answered:
            taken_in = ["ingest", str(run), *self._answered, "--annotator", annotator]
            self._steps.insert(0, taken_in)
        self._says = {
            "ingest": translate("OwlGeo", "Storing the answers"),
            "query": translate("OwlGeo", "Learning and choosing the next patches"),
            "review": translate("OwlGeo", "Learning and looking for targets"),
            "like": translate("OwlGeo", "Learning and looking for similar patches"),
        }

    def start(self) -> None:
        """Begin."""
        if not self._by_engine:
            self._next("")
            return
        self._engine.progressed.connect(self._on_progress)
        self._engine.answered.connect(self._on_answer)
        self._engine.refused.connect(self._on_refusal)
        self._engine.lost.connect(self._on_loss)
        self._on_progress(self._asked, "")
        self._ask_next()

    def cancel(self) -> None:
        """Stop at once."""
        self._cancelled = True
        if self._process is not None:
            self._process.cancel()
        elif self._by_engine:
            self._engine.cancel(self._asked)

    # --- by the engine ----------------------------------------------------------------------------

    def _all_requests(self) -> list[tuple[str, dict[str, object]]]:
        """Return the requests to the engine, one after the other, with their params."""
        run, wanted = {"run": str(self._run)}, self._wanted
        taken_in = {**run, "batches": self._answered, "annotator": self._annotator}
        if self._answered and wanted == QUERY:
            return [("next", taken_in)]
        asked = {**run, **wanted.params()}
        return [*([("ingest", taken_in)] if self._answered else []), (wanted.what, asked)]

    def _ask_next(self) -> None:
        method, params = self._requests.pop(0)
        self._asked = self._engine.ask(method, **params)

    def _on_progress(self, number: int, line: str) -> None:
        if number == self._asked:
            self.progressed.emit(self._says[self._wanted.what], line)

    def _on_answer(self, number: int, result: object) -> None:
        if number != self._asked:
            return
        if self._requests:
            self._ask_next()
        else:
            self._end(result.get("paths", ()) if isinstance(result, Mapping) else ())

    def _on_refusal(self, number: int, line: str) -> None:
        if number == self._asked:
            self.failed.emit(stopped() if self._cancelled else line)

    def _on_loss(self, number: int) -> None:
        if number == self._asked:
            if self._cancelled:
                self.failed.emit(stopped())
            else:
                self._next("")  # what was done is in the run, and is not done again

    # --- by commands ------------------------------------------------------------------------------

    def _next(self, output: str) -> None:
        if not self._steps:
            self._end([line.strip() for line in output.splitlines() if line.strip()])
            return
        arguments = self._steps.pop(0)
        step = self._says[arguments[0]]
        self.progressed.emit(step, "")
        self._process = CoreProcess(self._program, self)
        self._process.progressed.connect(lambda line: self.progressed.emit(step, line))
        self._process.warned.connect(self.warned)
        self._process.done.connect(self._next)
        self._process.failed.connect(self.failed)
        self._process.unstarted.connect(self.unstarted)
        self._process.start(arguments)

    # --- what came of it --------------------------------------------------------------------------

    def _end(self, lines: Sequence[str]) -> None:
        if lines and is_shared(lines[-1]):
            try:
                place = SharedPlace.parse(lines[-1])
            except Problem as problem:
                self.failed.emit(str(problem))
            else:
                self.done.emit(place)
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
            message = translate(
                "OwlGeo",
                "{program} {command} returned no batch; is it owl-geo? Choose another in Settings",
            )
            says = message.format(program=self._program, command=self._wanted.what)
            self.unstarted.emit(says)
