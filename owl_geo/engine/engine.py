"""A run kept open from one round to the next: the commands without the wait."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from owl_geo.engine.ahead import Ahead
from owl_geo.errors import OwlError
from owl_geo.run_folder.folder import AnyRun, Run
from owl_geo.run_folder.kept import KeptRun
from owl_geo.verbs.ingest import Ingested
from owl_geo.verbs.ingest import ingest as ingest_into
from owl_geo.verbs.query import query as query_run
from owl_geo.verbs.status import Status
from owl_geo.verbs.status import status as status_of
from owl_geo.work.progress import Reporter, silent

if TYPE_CHECKING:
    from owl_geo.run_folder.records import Round
    from owl_geo.search import Search
    from owl_geo.verbs.like import Alike
    from owl_geo.verbs.predict import Summary


class Engine:
    """Keeps a run open, so that the next batch follows the answers in a moment.

    Its methods are the functions of the same names, with the same files, locks and results to the
    last bit; but patches, features and scenes are read once, and what takes long is done ahead, in
    a thread, while people label. Commands, other engines and other machines may work on the run in
    between: each call first takes in what they changed. Calls must not overlap.

    Use it in a ``with`` block, or ``close`` it: that ends the thread.

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
        self.prepare()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what is being done ahead; the engine can still be used."""
        self._ahead.stop()
        self._prepared = None

    def prepare(self) -> None:
        """Begin, in a thread, what the next batch needs whatever the answers are.

        Nothing is done where that is done already, or the engine was made with ``ahead=False``.
        """
        if not self._does_ahead or self._ahead.is_working:
            return
        try:
            search = self.run.search(self._device, report=self._ahead.report)
        except OwlError:  # the next query raises it, where somebody waits for an answer
            return
        if search is not self._prepared:
            self._ahead.start(search.prepare)
            self._prepared = search

    def status(self) -> Status:
        """Return where the run stands; see ``owl_geo.status``."""
        self._take_in()
        return status_of(self.run)

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
    ) -> Round:
        """Choose and write the next batch, and return its round; see ``owl_geo.query``.

        If it needs what is being done ahead, it waits for that, whose progress ``report`` gets too.
        """
        self._take_in()
        entry = query_run(
            self.run,
            device=self._device,
            report=report,
            annotators=annotators,
            overlap=overlap,
            go_on=go_on,
        )
        self.prepare()
        return entry

    def predict(
        self,
        *,
        out: str | os.PathLike[str] | None = None,
        top: int | None = None,
        threshold: float | None = None,
        scenes: Sequence[str] = (),
        on_error: str = "fail",
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
            on_error="skip" if on_error == "skip" else "fail",
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
    ) -> Round:
        """Write a batch of what is most like some patches; see ``owl_geo.more_like``."""
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
        )
        self.prepare()
        return entry

    def _take_in(self) -> None:
        """Take in what others have changed; what was being done ahead for the old is stopped."""
        if self.run.refresh():
            self.close()
