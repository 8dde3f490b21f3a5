"""The pool's work on a Dask cluster: any deployment, or processes on this machine."""

from __future__ import annotations

import logging
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from owl_geo.errors import ClusterError
from owl_geo.wording import counted
from owl_geo.work.one_thread import one_thread
from owl_geo.work.workers import Threads, Workers, processors

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

T = TypeVar("T")
R = TypeVar("R")

_log = logging.getLogger("owl_geo")

_AHEAD = 4  # items in progress at once, per thread of the cluster
_ATTEMPTS = 3  # tries per item when its workers are lost
_PATIENCE = 60  # seconds to wait for a scheduler
_GREETING = 10.0  # seconds to wait for the scheduler's greeting
_LONGEST_GREETING = 2**20  # bytes


@contextmanager
def opened(where: str | None) -> Iterator[Workers]:
    """Provide the workers at ``where`` until the end of the block.

    Args:
        where: None for threads of this process; ``local`` for a process per processor; or the
            address of a Dask scheduler, for example ``tcp://10.0.0.5:8786``, whose workers have
            owl-geo installed and see the scenes under the same paths.

    Raises ClusterError where Dask is missing or the scheduler does not answer.
    """
    if where is None:
        yield Threads()
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            "a cluster needs Dask distributed", remedy="pip install 'owl-geo[cluster]'"
        ) from error
    with ExitStack() as stack:
        try:
            address: Any = where
            if where == "local":
                address = stack.enter_context(local_cluster(processors()))
            else:
                _check_speaks_first(where)
            client = stack.enter_context(Client(address, timeout=_PATIENCE))
        except (OSError, TimeoutError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ClusterError(
                f"no cluster at {where}: {reason}",
                remedy="use local, or a scheduler's address such as tcp://10.0.0.5:8786",
            ) from error
        threads = sum(client.nthreads().values())
        _log.info("cluster %s: %s", client.scheduler.address, counted(threads, "thread"))
        yield DaskWorkers(client)


def _check_speaks_first(address: str) -> None:
    """Raise ClusterError where whatever listens at a ``tcp://`` address is not a scheduler.

    A scheduler greets every client, sending the length of its greeting first. Dask's client takes
    whatever arrives for such a length, and waits for a server that never speaks first, such as a
    web server.
    """
    scheme, _, host_and_port = address.rpartition("://")
    host, _, port = host_and_port.rpartition(":")
    if scheme not in ("", "tcp") or not host or not port.isdigit():
        return  # the client accepts other kinds of address, and reports those it cannot use
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_GREETING) as server:
            length = int.from_bytes(server.recv(8, socket.MSG_WAITALL), "little")
    except TimeoutError:
        length = 0
    except OSError:
        _log.warning("nothing answers at %s yet; waiting up to %d seconds", address, _PATIENCE)
        return
    if not 0 < length < _LONGEST_GREETING:
        raise ClusterError(
            f"what answers at {address} is not a Dask scheduler",
            remedy="give the scheduler's port, usually 8786, not that of its web page, 8787",
        )


@contextmanager
def local_cluster(n: int) -> Iterator[LocalCluster]:
    """Run ``n`` processes on this machine as a cluster until the end of the block."""
    import dask
    from distributed import LocalCluster

    # Dask would set OMP_NUM_THREADS, in this process too, which changes what it trains
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": {}}),
        LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        yield cluster


class DaskWorkers:
    """Workers of a Dask cluster; losing a worker does not change the results."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def map(
        self,
        function: Callable[[T], R],
        items: Iterable[Any],
        *,
        fetch: Callable[[Any], T] | None = None,
    ) -> Iterator[R]:
        """Yield results in order; the function is sent once to each worker.

        Raises ClusterError where an item's workers are lost repeatedly.
        """
        if fetch is not None:
            items = Threads().map(fetch, items)
        call = _Call(self._client, function)
        running: deque[tuple[Any, Future]] = deque()
        most = _AHEAD * max(sum(self._client.nthreads().values()), 1)
        try:
            for item in items:
                running.append((item, call.submit(item)))
                if len(running) > most:
                    yield call.result(*running.popleft())
            while running:
                yield call.result(*running.popleft())
        finally:
            self._client.cancel([future for _, future in running])


class _Call:
    """A function on the cluster."""

    def __init__(self, client: Client, function: Callable[[Any], Any]) -> None:
        self._client = client
        self._function = function
        self._sent = self._send()

    def _send(self) -> Future:
        """Send the function to every worker, waiting until there is one."""
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
            return self._client.scatter(self._function, broadcast=True, hash=False)
        except (OSError, TimeoutError) as error:
            raise ClusterError(
                f"the cluster at {self._client.scheduler.address} has no worker that answers",
                remedy="start one, for example with `dask worker`, then run the command again",
            ) from error

    def submit(self, item: Any) -> Future:
        return self._client.submit(_applied, self._sent, item, pure=False)

    def result(self, item: Any, future: Future) -> Any:
        from distributed.scheduler import KilledWorker

        for attempt in range(_ATTEMPTS):
            try:
                return future.result()
            except ImportError as error:  # raised while a worker loads the function
                raise ClusterError(
                    f"a worker of the cluster cannot do its work: {error}",
                    remedy="install the same owl-geo there, with the same extras",
                ) from error
            except (KilledWorker, CancelledError) as error:
                # the lost workers may have held the only copies of the function
                _log.warning("the cluster lost a worker; its work is being redone")
                if attempt == _ATTEMPTS - 1:
                    raise ClusterError(
                        "the cluster lost its workers three times during the same piece of work",
                        remedy="give them more memory, then run the command again",
                    ) from error
                self._sent = self._send()
                future = self.submit(item)
        raise AssertionError("unreachable")


def _applied(function: Callable[[T], R], item: T) -> R:
    if "torch" in sys.modules:  # one thread, as in ``Threads``, so that results are identical
        sys.modules["torch"].set_num_threads(1)
    with one_thread():
        return function(item)
