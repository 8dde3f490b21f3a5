"""What the engine does for each request: a method's params in, its result out.

How requests arrive, are cancelled and answered is ``server.py``'s affair.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from owl_geo.engine import messages
from owl_geo.engine.engine import Engine
from owl_geo.engine.messages import RpcError
from owl_geo.engine.params import (
    IngestParams,
    LikeParams,
    OfRun,
    Params,
    PredictParams,
    QueryParams,
    ReviewParams,
)
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.records import Round
from owl_geo.verbs.status import Status, status
from owl_geo.work.progress import Progress

log = logging.getLogger("owl_geo")

Describe = Callable[[Run, Status], Sequence[tuple[str, str]]]
Method = tuple[type[Params], Callable[[Any], Any]]  # what it is given, and what it does

_TAKEN_IN = (
    *("path", "counts", "unanswered", "new", "unchanged"),
    *("noticed", "held_out", "replaced"),
)


class InHand(Protocol):
    """The request that is worked on."""

    def report(self, what: str) -> Progress:
        """Return a function that tells of the progress of a piece of work."""

    def check(self) -> None:
        """Raise an exception that nothing here catches if the request is no longer wanted."""


class Methods:
    """The methods, which share the engine of one run: the one that was named last.

    Args:
        in_hand: the request that is worked on, whichever it is.
        device: where networks learn and score.
        annotator: who answered, where neither a batch nor a request says so.
        describe: returns where a run stands in words, as (name, text).
    """

    def __init__(self, in_hand: InHand, *, device: str, annotator: str, describe: Describe) -> None:
        self._in_hand = in_hand
        self._device = device
        self._annotator = annotator
        self._describe = describe
        self._engine: Engine | None = None
        self.by_name: dict[str, Method] = {
            "open": (OfRun, self._open),
            "ingest": (IngestParams, self._ingest),
            "query": (QueryParams, self._query),
            "next": (IngestParams, self._next),
            "foresee": (IngestParams, self._foresee),
            "status": (OfRun, self._status),
            "review": (ReviewParams, self._review),
            "predict": (PredictParams, self._predict),
            "like": (LikeParams, self._like),
        }

    def prepare(self) -> None:
        """Begin what the next request needs; nobody waits for it."""
        if self._engine is None:
            return
        try:
            self._engine.prepare()
        except Exception as error:  # noqa: BLE001 - whoever needs the result will meet the error too
            log.debug("not prepared: %s", error)
            self.drop()

    def drop(self) -> None:
        """Close the engine, if there is one; the next request opens its own."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    def _of(self, params: OfRun) -> Engine:
        """Return the engine of a run; the one of the run before it is dropped."""
        path = Path(params.run)
        if self._engine is not None and _same(self._engine.run.path, path):
            return self._engine
        self.drop()
        self._engine = Engine(path, device=self._device)
        return self._engine

    # --- the methods ------------------------------------------------------------------------------

    def _open(self, params: OfRun) -> dict[str, Any]:
        engine = self._of(params)
        now = engine.status()
        return {
            "run": str(engine.run.path.absolute()),
            "patches": now.patches,
            "askable": now.askable,
            "batches": now.batches,
            "labels": now.labels,
            "waiting": now.waiting,
            "next_step": now.next_step,
        }

    def _ingest(self, params: IngestParams) -> dict[str, Any]:
        done = self._of(params).ingest(
            params.batches, annotator=params.annotator or self._annotator
        )
        return {"ingested": [{name: getattr(one, name) for name in _TAKEN_IN} for one in done]}

    def _query(self, params: QueryParams) -> dict[str, Any]:
        engine = self._of(params)
        run = engine.run
        if params.overlap is not None:
            run.refresh()
            if not (params.annotators or run.settings.team.annotators):
                raise RpcError(messages.INVALID_PARAMS, "query: overlap goes with annotators")
        before = len(run.rounds())
        entry = engine.query(
            annotators=params.annotators,
            overlap=params.overlap,
            go_on=params.go_on,
            report=self._in_hand.report,
            prepare=False,
        )
        return {**_asked(run, entry), "is_new": entry.number >= before}

    def _next(self, params: IngestParams) -> dict[str, Any]:
        taken_in = self._ingest(params)
        self._in_hand.check()
        return {**taken_in, **self._query(QueryParams(run=params.run))}

    def _foresee(self, params: IngestParams) -> None:
        self._of(params).foresee(
            params.batches,
            annotator=params.annotator or self._annotator,
            report=self._in_hand.report,
        )

    def _review(self, params: ReviewParams) -> dict[str, Any]:
        engine = self._of(params)
        done = engine.review(
            threshold=params.threshold,
            size=params.size,
            go_on=params.go_on,
            report=self._in_hand.report,
            prepare=False,
        )
        is_new = done.taken is not None
        return {**_asked(engine.run, done.round), "is_new": is_new, "taken": done.taken}

    def _status(self, params: OfRun) -> dict[str, Any]:
        with self._of(params).at_one_moment() as run:  # numbers and words are of the same
            now = status(run)
            told = self._describe(run, now)
        values = {name: value for name, value in vars(now).items() if name != "agreement"}
        return {**values, "facts": told}

    def _predict(self, params: PredictParams) -> dict[str, Any]:
        summary = self._of(params).predict(
            out=params.out,
            top=params.top,
            threshold=params.threshold,
            scenes=params.scenes,
            on_error=params.on_error,
            overwrite=params.overwrite,
            report=self._in_hand.report,
        )
        return {
            "done": summary.done,
            "skipped": summary.skipped,
            "failed": summary.failed,
            "folder": summary.folder,
            "area": summary.area,
            "paths": [path for path in summary.shown if path.exists()],
        }

    def _like(self, params: LikeParams) -> dict[str, Any]:
        engine = self._of(params)
        if params.batch:
            return self._batch_alike(engine, params)
        if not params.patches:
            raise RpcError(messages.INVALID_PARAMS, "like: name patches, or set batch")
        if params.go_on:
            raise RpcError(messages.INVALID_PARAMS, "like: go_on goes with batch")
        found = engine.like(
            params.patches,
            unlike=params.unlike,
            count=20 if params.count is None else params.count,
            out=params.out,
            overwrite=params.overwrite,
            report=self._in_hand.report,
        )
        columns = ["rank", "patch_id", "likeness", "label", "lon", "lat", "scene"]
        return {"path": found.path, "places": found.places[columns].to_dict("records")}

    def _batch_alike(self, engine: Engine, params: LikeParams) -> dict[str, Any]:
        if params.out is not None or params.overwrite:
            raise RpcError(messages.INVALID_PARAMS, "like: out does not go with batch")
        before = len(engine.run.rounds())
        entry = engine.more_like(
            params.patches,
            unlike=params.unlike,
            size=params.count,
            go_on=params.go_on,
            report=self._in_hand.report,
            prepare=False,
        )
        return {**_asked(engine.run, entry), "is_new": entry.number >= before}


def _asked(run: Run, entry: Round) -> dict[str, Any]:
    """Return what to say of a batch that was asked for."""
    waiting = run.waits(entry)
    files = {name: path for name, path in run.batch_paths(entry).items() if path in waiting}
    return {
        "number": entry.number,
        "batch_id": entry.batch_id,
        "paths": list(files.values()),
        "annotators": list(files),  # None: for everybody
        "patches": len(entry.patch_ids),
        "askable": entry.metrics.n_pool,
    }


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one folder."""
    if one == other:
        return True
    with suppress(OSError):
        return one.samefile(other)
    return False
