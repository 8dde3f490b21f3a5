"""A run kept open from one round to the next: the commands without the wait."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from owl_geo.engine.ahead import Ahead
from owl_geo.errors import OwlError
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.kept import KeptRun
from owl_geo.verbs.advance import Foreseen, foresee
from owl_geo.verbs.ingest import Ingested, expected_history
from owl_geo.verbs.ingest import ingest as ingest_into
from owl_geo.verbs.measure import measure, measure_rest, unmeasured
from owl_geo.verbs.query import query as query_run
from owl_geo.verbs.status import Status
from owl_geo.verbs.status import status as status_of
from owl_geo.work.progress import Reporter, silent

if TYPE_CHECKING:
    from owl_geo.run_folder.records import Round
    from owl_geo.search.records import Answers
    from owl_geo.search.search import Search
    from owl_geo.sources.unopened import OnError
    from owl_geo.verbs.like import Alike
    from owl_geo.verbs.predict import Summary
    from owl_geo.verbs.review import Review


class Engine:
    """Keeps a run open, so that the next batch follows the answers in a moment.

    Its methods are the functions of the same names, with the same files, locks and results to the
    last bit; but patches, features and scenes are read once, and what takes long is done in a
    thread, while people label: what the next batch needs whatever the answers are, the next round
    itself where ``foresee`` is told which answers will be taken in, and the cross-validation of the
    last round, which gives way to the next. Commands, other engines and
    other machines may work on the run in between: each call first takes in what they changed. Calls
    must not overlap.

    Use it in a ``with`` block, whose end waits until every round is measured, or ``close`` it: that
    ends the thread.

    Args:
        run: the run, or its folder.
        device: where networks learn and score: auto, cpu, cuda or mps.
        ahead: whether to begin before it is asked; else each call does what it needs.

    Raises ConfigError or RunError where the folder is not a run.

    Example:
        with owl_geo.Engine("RUN") as engine:
            entry = engine.query()
            ...  # label the batch
            engine.ingest(batches, annotator="ana")
            entry = engine.query()
    """

    def __init__(self, run: AnyRun, *, device: str = "auto", ahead: bool = True) -> None:
        self.run = KeptRun.of_run(run) if isinstance(run, Run) else KeptRun(run)
        self._device = device
        self._does_ahead = ahead
        self._ahead = Ahead()
        self.run.before_search = self._ahead.wait
        self._prepared: Search | None = None  # or being prepared
        self._expected: tuple[Answers, int] | None = None  # the next round, if it is done ahead
        self._foreseen: Foreseen | None = None  # what came of that
        self.prepare()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with suppress(OwlError):  # a run that is gone can be measured no more
                    self.measure()
        finally:
            self.close()

    def close(self) -> None:
        """Stop what is being done ahead; the engine can still be used."""
        self._ahead.stop()
        self._prepared = self._expected = self._foreseen = None

    def prepare(self) -> None:
        """Begin, in a thread, what the next batch needs, and what the last one was not measured by.

        Nothing is done where that is done already, or the engine was made with ``ahead=False``.
        """
        if not self._does_ahead or self._ahead.is_working:
            return
        try:
            missing = unmeasured(self.run)
            search = self.run.search(self._device, report=self._ahead.report)
        except OwlError:  # the next query raises it, where somebody waits for an answer
            return
        is_prepared = search is self._prepared
        if is_prepared and not missing:
            return
        self._ahead.start(
            _nothing if is_prepared else search.prepare,
            lambda: measure(self.run.journal, missing, search),
        )
        self._prepared = search

    def foresee(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        annotator: str,
        report: Reporter = silent,
    ) -> None:
        """Begin, in a thread, the round that follows if the answers in these batches are taken in.

        Nothing is stored. If ``ingest`` and ``query`` follow, and the answers are then the same,
        the batch is there in the time that it takes to write it; else they do all that they do.
        It waits for what is being done ahead and is needed, whose progress ``report`` gets. Does
        nothing where the engine was made with ``ahead=False``. Raises BatchError where ``ingest``
        does.
        """
        if not self._does_ahead:
            return
        self._take_in()
        history = expected_history(self.run, paths, annotator=annotator)
        rounds = self.run.rounds()
        number = len(rounds)
        answers = self.run.answers(history, rounds[-1].answers_seen if rounds else 0, rounds)
        if self._expects(answers, number):
            return
        self._change_plans()
        self._ahead.wait(report)
        search = self.run.search(self._device, report=self._ahead.report)
        missing = unmeasured(self.run)

        def work() -> None:
            self._foreseen = foresee(self.run, search, answers, number)

        self._expected, self._prepared = (answers, number), search
        self._ahead.start(work, lambda: measure(self.run.journal, missing, search))

    def _expects(self, answers: Answers, number: int) -> bool:
        return (
            self._expected is not None
            and self._expected[1] == number
            and self._expected[0].equals(answers)
        )

    def _change_plans(self) -> None:
        """Forget the round that is done ahead, and stop it if it is in hand."""
        if self._expected is not None and self._foreseen is None:
            self._ahead.stop()
        self._expected = self._foreseen = None

    def _look_ahead(self, answers: Answers, number: int, report: Reporter) -> Foreseen | None:
        """Return the round that was done ahead, once it is done, if it is this one."""
        if self._expects(answers, number):
            self._ahead.wait(report)
            return self._foreseen
        self._change_plans()
        return None

    def measure(self, *, report: Reporter = silent) -> None:
        """Measure completely every round that is not, and wait for it."""
        self._take_in()
        measure_rest(self.run, device=self._device, report=report)

    def status(self) -> Status:
        """Return where the run stands; see ``owl_geo.status``."""
        with self.at_one_moment() as run:
            return status_of(run)

    @contextmanager
    def at_one_moment(self) -> Iterator[Run]:
        """Take in what others changed, and let the run be that of now until the end of the block.

        For what looks at it several times: rounds are measured, and answers arrive, in between.
        Nothing may be added in the block. Raises ConfigError or RunError as opening the run does.
        """
        self._take_in()
        with self.run.at_one_moment():
            yield self.run

    def ingest(self, paths: Sequence[str | os.PathLike[str]], *, annotator: str) -> list[Ingested]:
        """Check and store the answers in labelled batches; see ``owl_geo.ingest``."""
        self._take_in()
        return ingest_into(self.run, paths, annotator=annotator)

    def query(
        self,
        *,
        annotators: Sequence[str] | None = None,
        overlap: float | None = None,
        go_on: bool = False,
        report: Reporter = silent,
        prepare: bool = True,
    ) -> Round:
        """Choose and write the next batch, and return its round; see ``owl_geo.query``.

        If it needs what is being done ahead, it waits for that, whose progress ``report`` gets too.
        The cross-validation of the round follows, as does what ``prepare`` begins; without
        ``prepare``, they wait for a call of that.
        """
        self._take_in()
        entry = query_run(
            self.run,
            device=self._device,
            report=report,
            annotators=annotators,
            overlap=overlap,
            go_on=go_on,
            measure=not self._does_ahead,
            foreseen=self._look_ahead,
        )
        self._change_plans()
        if prepare:
            self.prepare()
        return entry

    def review(
        self,
        *,
        threshold: float | None = None,
        size: int | None = None,
        go_on: bool = False,
        report: Reporter = silent,
        prepare: bool = True,
    ) -> Review:
        """Write a batch of what the model takes for targets; see ``owl_geo.review``.

        What follows, and ``prepare``, are as for ``query``.
        """
        from owl_geo.verbs.review import review as review_run

        self._take_in()
        done = review_run(
            self.run,
            threshold=threshold,
            size=size,
            device=self._device,
            report=report,
            go_on=go_on,
            measure=not self._does_ahead,
        )
        if prepare:
            self.prepare()
        return done

    def predict(
        self,
        *,
        out: str | os.PathLike[str] | None = None,
        top: int | None = None,
        threshold: float | None = None,
        scenes: Sequence[str] = (),
        on_error: OnError = "fail",
        overwrite: bool = False,
        report: Reporter = silent,
    ) -> Summary:
        """Write the probability of every patch as maps; see ``owl_geo.predict``."""
        from owl_geo.verbs.predict import predict as make_maps
        from owl_geo.verbs.target_areas import THRESHOLD

        self._take_in()
        summary = make_maps(
            self.run,
            out=out,
            top=top,
            threshold=THRESHOLD if threshold is None else threshold,
            scenes=scenes,
            on_error=on_error,
            overwrite=overwrite,
            device=self._device,
            report=report,
        )
        self.prepare()
        return summary

    def like(
        self,
        patches: Sequence[str],
        *,
        unlike: Sequence[str] = (),
        count: int = 20,
        out: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        report: Reporter = silent,
    ) -> Alike:
        """Find the places most like some patches; see ``owl_geo.like``."""
        from owl_geo.verbs.like import like as find_alike

        self._take_in()
        found = find_alike(
            self.run,
            patches,
            unlike=unlike,
            count=count,
            out=out,
            overwrite=overwrite,
            device=self._device,
            report=report,
        )
        self.prepare()
        return found

    def more_like(
        self,
        patches: Sequence[str] = (),
        *,
        unlike: Sequence[str] = (),
        size: int | None = None,
        go_on: bool = False,
        report: Reporter = silent,
        prepare: bool = True,
    ) -> Round:
        """Write a batch of what is most like some patches; see ``owl_geo.more_like``.

        What follows, and ``prepare``, are as for ``query``.
        """
        from owl_geo.verbs.like import more_like as make_batch

        self._take_in()
        entry = make_batch(
            self.run,
            patches,
            unlike=unlike,
            size=size,
            go_on=go_on,
            device=self._device,
            report=report,
            measure=not self._does_ahead,
        )
        if prepare:
            self.prepare()
        return entry

    def _take_in(self) -> None:
        """Take in what others have changed; what was being done ahead for the old is stopped."""
        if self.run.refresh():
            self.close()


def _nothing() -> None:
    """Do nothing ahead."""
