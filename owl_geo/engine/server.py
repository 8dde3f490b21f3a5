"""The engine over two streams: JSON-RPC 2.0, a message a line, requests one after the other.

A thread reads, so that a request can be cancelled while it is worked on; the thread that calls
``serve`` does the work. docs/reference/engine.md is the description for users.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from owl_geo.engine import messages
from owl_geo.engine.messages import BadCall, Call, RpcError, notification
from owl_geo.engine.methods import Describe, Method, Methods
from owl_geo.engine.params import CancelParams, NoParams, OfRun, Params, checked
from owl_geo.errors import BusyError, OwlError, suggestion, system_error
from owl_geo.wording import with_run
from owl_geo.work.progress import Progress

log = logging.getLogger("owl_geo")

Send = Callable[[Mapping[str, Any]], None]

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


class _Server:
    """Takes requests in, has one after the other done, and sends what there is to send."""

    def __init__(self, send: Send, device: str, annotator: str, describe: Describe) -> None:
        self._send_to = send
        self._sending = threading.Lock()
        self._is_alone = threading.Event()  # nobody listens any more
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._pending: dict[object, _Task] = {}  # by id, from arrival to answer
        self._changing = threading.Lock()  # of what is pending, and begun
        self._working = threading.current_thread()
        self._now: _Task | None = None  # what it works on
        self._methods = Methods(self, device=device, annotator=annotator, describe=describe)
        self._by_name: dict[str, Method] = {
            **self._methods.by_name,
            "shutdown": (NoParams, lambda _params: None),
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
            self._methods.drop()

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
        except BadCall as error:
            self._send(error.answer(error.id))
            return True
        try:
            if call.method == "cancel":
                self._answer_cancel(call)
                return True
            if call.method == "shutdown":
                checked(NoParams, call)  # one that is wrong ends nothing
            self._put(_Task(call))
        except BadCall as error:
            if not call.is_notification:  # which is never answered, whatever is wrong with it
                self._send(error.answer(call.id))
            return True
        return call.method != "shutdown"

    def _put(self, task: _Task) -> None:
        """Let a request wait for its turn; raises BadCall where its id is taken."""
        id_ = task.call.id
        with self._changing:
            if id_ is not None:
                if id_ in self._pending:
                    text = f"the request with the id {id_!r} has no answer yet"
                    raise BadCall(messages.INVALID_REQUEST, text, id_)
                self._pending[id_] = task
        self._tasks.put(task)

    def _answer_cancel(self, call: Call) -> None:
        done = self._cancel(checked(CancelParams, call))
        if not call.is_notification:
            self._send(messages.result(call.id, done))

    def _cancel(self, params: CancelParams) -> bool:
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
            answer = messages.result(call.id, self._result(call))
        except RpcError as error:
            answer = error.answer(call.id)
        finally:
            self._now = None
        with self._changing:
            self._pending.pop(call.id, None)
        if not call.is_notification:
            self._send(answer)
        if self._tasks.empty():
            self._methods.prepare()

    def _result(self, call: Call) -> Any:
        """Do what is asked; raises RpcError."""
        if call.method not in self._by_name:
            raise RpcError(
                messages.NO_SUCH_METHOD,
                f"there is no method {call.method!r}",
                {"remedy": suggestion(call.method, [*self._by_name, "cancel"])},
            )
        kind, method = self._by_name[call.method]
        params = checked(kind, call)
        try:
            return method(params)
        except RpcError:
            raise
        except _Cancelled as error:
            raise _was_cancelled() from error
        except OwlError as error:
            raise _failed(error, params) from error
        except Exception as error:
            self._methods.drop()  # it may be in no good state
            raise _broken(error) from error

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

    def report(self, what: str) -> Progress:
        """Report the progress of the request in hand, and end it if it is no longer wanted."""
        self.check()
        task = self._now
        assert task is not None
        due, last = 0.0, (0, 0)

        def update(done: int, total: int) -> None:
            nonlocal due, last
            self.check()
            now = time.monotonic()
            if total > 0 and (done, total) != last and (now >= due or done >= total):
                due, last = now + _TELL_EVERY, (done, total)
                told = notification("progress", id=task.call.id, what=what, done=done, of=total)
                self._send(told)

        return update

    def check(self) -> None:
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


def _was_cancelled() -> RpcError:
    return RpcError(messages.CANCELLED, "cancelled")


def _failed(error: OwlError, params: Params) -> RpcError:
    """Return the answer where the command would have printed its line."""
    code = messages.BUSY if isinstance(error, BusyError) else messages.FAILED
    line, remedy = str(error), error.remedy
    if isinstance(params, OfRun):
        line, remedy = with_run(line, params.run), with_run(remedy, params.run)
    data = {"remedy": remedy, "kind": type(error).__name__}
    return RpcError(code, " ".join(line.split()), data)


def _broken(error: Exception) -> RpcError:
    """Return the answer to an error of the system, or to a defect, which is logged too."""
    of_system = system_error(error)
    if of_system is not None:
        data = {"remedy": of_system.remedy, "kind": "OSError"}
        return RpcError(messages.FAILED, str(of_system), data)
    trace = "".join(traceback.format_exception(error))
    log.error("%s", trace)
    return RpcError(messages.INTERNAL_ERROR, f"defect: {error!r}", {"traceback": trace})
