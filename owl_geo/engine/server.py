"""The engine over two streams: JSON-RPC 2.0, a message a line, requests one after the other.

A thread reads, so that a request can be cancelled while it is worked on; the thread that calls
``serve`` does the work. docs/reference/engine.md is the description for users.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from owl_geo.engine import messages
from owl_geo.engine.engine import Engine
from owl_geo.engine.messages import BadCall, Call, RpcError, notification
from owl_geo.errors import BusyError, OwlError, suggestion, system_error
from owl_geo.run_folder.folder import Run
from owl_geo.run_folder.records import Round
from owl_geo.verbs.status import Status
from owl_geo.work.progress import Progress

log = logging.getLogger("owl_geo")

Send = Callable[[Mapping[str, Any]], None]
Describe = Callable[[Run, Status], Sequence[tuple[str, str]]]

_TAKEN_IN = (
    *("path", "counts", "unanswered", "new", "unchanged"),
    *("noticed", "held_out", "replaced"),
)
_TELL_EVERY = 0.1  # seconds between two messages about the progress of one piece of work


def serve(
    lines: Iterable[bytes], send: Send, *, device: str, annotator: str, describe: Describe
) -> None:
    """Answer requests until there are no more lines, a shutdown is asked for, or nobody listens.

    What was asked before the end of the lines is still done.

    Args:
        lines: what comes in, a message each.
        send: sends a message; raises OSError where nobody listens any more.
        device: where networks learn and score.
        annotator: who answered, where neither a batch nor a request says so.
        describe: returns where a run stands in words, as (name, text).
    """
    _Server(send, device, annotator, describe).serve(lines)


class _Cancelled(BaseException):
    """The request in hand is no longer wanted; cleans up as an interrupted command does."""


class _Task:
    """A request from its arrival to its answer."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.is_cancelled = threading.Event()
        self.is_begun = False


def _path(text: str) -> str:
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise ValueError("it is not a path") from error
    if not text or "\0" in text:
        raise ValueError("it is not a path")
    return text


_Path = Annotated[str, AfterValidator(_path)]


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _None(_Params):
    pass


class _OfRun(_Params):
    run: _Path


class _Ingest(_OfRun):
    batches: list[_Path] = Field(min_length=1)
    annotator: str | None = Field(None, min_length=1)


class _Query(_OfRun):
    go_on: bool = False
    annotators: list[str] | None = None
    overlap: float | None = Field(None, ge=0, le=1)


class _Review(_OfRun):
    threshold: float | None = Field(None, gt=0, le=1)
    size: int | None = Field(None, ge=1)
    go_on: bool = False


class _Predict(_OfRun):
    out: _Path | None = None
    top: int | None = Field(None, ge=1)
    threshold: float | None = Field(None, gt=0, le=1)
    scenes: list[str] = []
    on_error: Literal["fail", "skip"] = "fail"
    overwrite: bool = False


class _Like(_OfRun):
    patches: list[str] = []  # with ``batch``, none = all that are answered as targets
    unlike: list[str] = []
    count: int | None = Field(None, ge=1)
    batch: bool = False  # make the next batch of them; its result is that of a query
    go_on: bool = False
    out: _Path | None = None
    overwrite: bool = False


class _Cancel(_Params):
    id: str | int | float


class _Server:
    def __init__(self, send: Send, device: str, annotator: str, describe: Describe) -> None:
        self._send_to = send
        self._device = device
        self._annotator = annotator
        self._describe = describe
        self._sending = threading.Lock()
        self._is_alone = threading.Event()  # nobody listens any more
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._pending: dict[object, _Task] = {}  # by id, from arrival to answer
        self._changing = threading.Lock()  # of what is pending, and begun
        self._engine: Engine | None = None
        self._working = threading.current_thread()
        self._now: _Task | None = None  # what it works on
        self._methods: dict[str, tuple[type[_Params], Callable[[Any], Any]]] = {
            "open": (_OfRun, self._open),
            "ingest": (_Ingest, self._ingest),
            "query": (_Query, self._query),
            "next": (_Ingest, self._next),
            "foresee": (_Ingest, self._foresee),
            "status": (_OfRun, self._status),
            "review": (_Review, self._review),
            "predict": (_Predict, self._predict),
            "like": (_Like, self._like),
            "shutdown": (_None, lambda _params: None),
        }

    def serve(self, lines: Iterable[bytes]) -> None:
        handler = _Forward(self._tell)
        log.addHandler(handler)
        reader = threading.Thread(
            target=self._read, args=(lines,), name="owl-geo-requests", daemon=True
        )
        reader.start()
        try:
            while (task := self._tasks.get()) is not None and not self._is_alone.is_set():
                self._do(task)
        finally:
            log.removeHandler(handler)
            if self._engine is not None:
                self._engine.close()

    # --- what comes in, in a thread of its own ----------------------------------------------------

    def _read(self, lines: Iterable[bytes]) -> None:
        try:
            for line in lines:
                if line.strip() and not self._take(line):
                    break
        finally:
            self._tasks.put(None)

    def _take(self, line: bytes) -> bool:
        """Take in a message; return whether there may be more."""
        try:
            call = messages.read_call(line)
            if call.method == "shutdown":
                self._params(_None, call)  # one that is wrong ends nothing
            if call.method == "cancel":
                done = self._cancel(self._params(_Cancel, call))
                if not call.is_notification:
                    self._send({"jsonrpc": "2.0", "id": call.id, "result": done})
                return True
            task = _Task(call)
            with self._changing:
                if call.id is not None:
                    if call.id in self._pending:
                        raise BadCall(
                            messages.INVALID_REQUEST,
                            f"the request with the id {call.id!r} has no answer yet",
                            call.id,
                        )
                    self._pending[call.id] = task
            self._tasks.put(task)
        except BadCall as error:
            self._send(error.answer(error.id))
            return True
        return call.method != "shutdown"

    def _cancel(self, params: _Cancel) -> bool:
        """Cancel a request; return whether there was one to cancel."""
        with self._changing:
            task = self._pending.get(params.id)
            if task is None:
                return False
            task.is_cancelled.set()
            if task.is_begun:
                return True  # it ends where it next reports its progress
            del self._pending[params.id]
        self._send(_was_cancelled().answer(params.id))
        return True

    # --- what is asked, one after the other -------------------------------------------------------

    def _do(self, task: _Task) -> None:
        with self._changing:
            task.is_begun = True
            if task.is_cancelled.is_set():
                return  # that is answered already
        self._now = task
        call = task.call
        try:
            answer = {"jsonrpc": "2.0", "id": call.id, "result": self._result(call)}
        except RpcError as error:
            answer = error.answer(call.id)
        finally:
            self._now = None
        with self._changing:
            self._pending.pop(call.id, None)
        if not call.is_notification:
            self._send(answer)
        self._prepare()

    def _prepare(self) -> None:
        """Begin what the next request needs, if there is none yet; nobody waits for it."""
        if self._engine is None or not self._tasks.empty():
            return
        try:
            self._engine.prepare()
        except Exception as error:  # noqa: BLE001 - whoever needs the result will meet the error too
            log.debug("not prepared: %s", error)
            self._drop()

    def _result(self, call: Call) -> Any:
        """Do what is asked; raises RpcError."""
        if call.method not in self._methods:
            raise RpcError(
                messages.NO_SUCH_METHOD,
                f"there is no method {call.method!r}",
                {"remedy": suggestion(call.method, [*self._methods, "cancel"])},
            )
        kind, method = self._methods[call.method]
        params = self._params(kind, call)
        try:
            return method(params)
        except RpcError:
            raise
        except _Cancelled as error:
            raise _was_cancelled() from error
        except OwlError as error:
            code = messages.BUSY if isinstance(error, BusyError) else messages.FAILED
            data = {"remedy": error.remedy, "kind": type(error).__name__}
            raise RpcError(code, " ".join(str(error).split()), data) from error
        except Exception as error:
            self._drop()  # it may be in no good state
            text = system_error(error)
            if text is not None:
                raise RpcError(messages.FAILED, text, {"remedy": "", "kind": "OSError"}) from error
            trace = "".join(traceback.format_exception(error))
            log.error("%s", trace)
            raise RpcError(
                messages.INTERNAL_ERROR, f"defect: {error!r}", {"traceback": trace}
            ) from error

    def _params(self, kind: type[_Params], call: Call) -> Any:
        try:
            return kind.model_validate(dict(call.params))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            names = ", ".join(kind.model_fields) or "none"
            raise BadCall(
                messages.INVALID_PARAMS,
                f"{call.method}: {where}: {first['msg']}",
                call.id,
                {"remedy": f"params: {names}"},
            ) from error

    def _of(self, params: _OfRun) -> Engine:
        """Return the engine of a run; the one of the run before it is dropped."""
        path = Path(params.run)
        if self._engine is not None and _same(self._engine.run.path, path):
            return self._engine
        self._drop()
        self._engine = Engine(path, device=self._device)
        return self._engine

    def _drop(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    def _open(self, params: _OfRun) -> dict[str, Any]:
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

    def _ingest(self, params: _Ingest) -> dict[str, Any]:
        done = self._of(params).ingest(
            params.batches, annotator=params.annotator or self._annotator
        )
        return {"ingested": [{name: getattr(one, name) for name in _TAKEN_IN} for one in done]}

    def _query(self, params: _Query) -> dict[str, Any]:
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
            report=self._report,
            prepare=False,
        )
        return {**_asked(run, entry), "is_new": entry.number >= before}

    def _next(self, params: _Ingest) -> dict[str, Any]:
        taken_in = self._ingest(params)
        self._check()
        return {**taken_in, **self._query(_Query(run=params.run))}

    def _foresee(self, params: _Ingest) -> None:
        self._of(params).foresee(params.batches, annotator=params.annotator or self._annotator)

    def _review(self, params: _Review) -> dict[str, Any]:
        engine = self._of(params)
        done = engine.review(
            threshold=params.threshold,
            size=params.size,
            go_on=params.go_on,
            report=self._report,
            prepare=False,
        )
        is_new = done.taken is not None
        return {**_asked(engine.run, done.round), "is_new": is_new, "taken": done.taken}

    def _status(self, params: _OfRun) -> dict[str, Any]:
        engine = self._of(params)
        now = engine.status()
        values = {name: value for name, value in vars(now).items() if name != "agreement"}
        return {**values, "facts": self._describe(engine.run, now)}

    def _predict(self, params: _Predict) -> dict[str, Any]:
        summary = self._of(params).predict(
            out=params.out,
            top=params.top,
            threshold=params.threshold,
            scenes=params.scenes,
            on_error=params.on_error,
            overwrite=params.overwrite,
            report=self._report,
        )
        return {
            "done": summary.done,
            "skipped": summary.skipped,
            "failed": summary.failed,
            "folder": summary.folder,
            "area": summary.area,
            "paths": [path for path in summary.shown if path.exists()],
        }

    def _like(self, params: _Like) -> dict[str, Any]:
        engine = self._of(params)
        if params.batch:
            if params.out is not None or params.overwrite:
                raise RpcError(messages.INVALID_PARAMS, "like: out does not go with batch")
            before = len(engine.run.rounds())
            entry = engine.more_like(
                params.patches,
                unlike=params.unlike,
                size=params.count,
                go_on=params.go_on,
                report=self._report,
                prepare=False,
            )
            return {**_asked(engine.run, entry), "is_new": entry.number >= before}
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
            report=self._report,
        )
        columns = ["rank", "patch_id", "likeness", "label", "lon", "lat", "scene"]
        return {"path": found.path, "places": found.places[columns].to_dict("records")}

    # --- what goes out ----------------------------------------------------------------------------

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._sending:
            try:
                self._send_to(message)
            except (OSError, ValueError):  # the other end, or the stream, is closed
                if not self._is_alone.is_set():
                    self._is_alone.set()
                    self._tasks.put(None)

    def _tell(self, level: str, message: str) -> None:
        task = self._now if threading.current_thread() is self._working else None
        id_ = None if task is None else task.call.id
        self._send(notification("log", id=id_, level=level, message=message))

    def _report(self, what: str) -> Progress:
        """Report the progress of the request in hand, and end it if it is no longer wanted."""
        self._check()
        task = self._now
        assert task is not None
        due = 0.0

        def update(done: int, total: int) -> None:
            nonlocal due
            self._check()
            now = time.monotonic()
            if total > 0 and (now >= due or done >= total):
                due = now + _TELL_EVERY
                told = notification("progress", id=task.call.id, what=what, done=done, of=total)
                self._send(told)

        return update

    def _check(self) -> None:
        """Raise _Cancelled if the request in hand was cancelled, or nobody listens any more."""
        assert self._now is not None
        if self._now.is_cancelled.is_set() or self._is_alone.is_set():
            raise _Cancelled


class _Forward(logging.Handler):
    """Sends log records as notifications too."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        super().__init__()
        self._tell_ = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell_(record.levelname.lower(), record.getMessage())


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


def _was_cancelled() -> RpcError:
    return RpcError(messages.CANCELLED, "cancelled")


def _same(one: Path, other: Path) -> bool:
    if one == other:
        return True
    with suppress(OSError):
        return one.samefile(other)
    return False
