"""The pool's work on a cluster, by Dask distributed: any of its deployments, or processes here."""

from __future__ import annotations

import logging
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from threadpoolctl import threadpool_limits

from owl_geo.errors import ClusterError
from owl_geo.work.workers import Threads, Workers, processors

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

T = TypeVar("T")
R = TypeVar("R")

_log = logging.getLogger("owl_geo")

_AHEAD = 4  # items per thread of the cluster that are under way at once
_ATTEMPTS = 3  # at an item whose workers are lost
_PATIENCE = 60  # seconds that a scheduler is waited for
_GREETING = 10.0  # seconds for its first word
_LONGEST_GREETING = 2**20  # bytes


@contextmanager
def opened(where: str | None) -> Iterator[Workers]:
    """Give the workers at ``where``, until the end of the block.

    Args:
        where: None for threads of this process; ``local`` for a process per processor; or the
            address of a Dask scheduler, ``tcp://10.0.0.5:8786`` say, whose workers have owl-geo
            installed and see the scenes under the same paths.

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
                remedy="give local, or a scheduler's address such as tcp://10.0.0.5:8786",
            ) from error
        threads = sum(client.nthreads().values())
        _log.info("cluster %s: %d threads", client.scheduler.address, threads)
        yield DaskWorkers(client)


def _check_speaks_first(address: str) -> None:
    """Raise ClusterError where something listens at a ``tcp://`` address that is no scheduler.

    A scheduler greets whoever connects, with the length of its greeting first. Dask's client takes
    whatever comes for such a length, and waits for what does not speak first, as a web server.
    """
    scheme, _, place = address.rpartition("://")
    host, _, port = place.rpartition(":")
    if scheme not in ("", "tcp") or not host or not port.isdigit():
        return  # the client knows more kinds of address, and says what is wrong with one
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_GREETING) as there:
            length = int.from_bytes(there.recv(8, socket.MSG_WAITALL), "little")
    except TimeoutError:
        length = 0
    except OSError:
        _log.warning("nothing answers at %s yet; waiting, %d seconds at most", address, _PATIENCE)
        return
    if not 0 < length < _LONGEST_GREETING:
        raise ClusterError(
            f"no Dask scheduler answers at {address}, but something else",
            remedy="a scheduler's port is usually 8786, and 8787 its web page",
        )


@contextmanager
def local_cluster(n: int) -> Iterator[LocalCluster]:
    """Start ``n`` processes of this machine as a cluster, until the end of the block."""
    import dask
    from distributed import LocalCluster

    # Dask would set OMP_NUM_THREADS, in this process too: what it trains would differ by that
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": {}}),
        LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        yield cluster


class DaskWorkers:
    """Workers of a Dask cluster; a worker that is lost changes nothing in what comes out."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Yield results in order; the function is sent once to each worker.

        Raises ClusterError where an item's workers are lost again and again.
        """
        call = _Call(self._client, function)
        running: deque[tuple[T, Future]] = deque()
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
        """Send the function to every worker, once there is one."""
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
            return self._client.scatter(self._function, broadcast=True, hash=False)
        except (OSError, TimeoutError) as error:
            raise ClusterError(
                f"the cluster at {self._client.scheduler.address} has no worker that answers",
                remedy="start one, `dask worker` say, then run the same command again",
            ) from error

    def submit(self, item: Any) -> Future:
        return self._client.submit(_applied, self._sent, item, pure=False)

    def result(self, item: Any, future: Future) -> Any:
        from distributed.scheduler import KilledWorker

        for attempt in range(_ATTEMPTS):
            try:
                return future.result()
            except ImportError as error:  # of what a worker has to load
                raise ClusterError(
                    f"a worker of the cluster cannot do its work: {error}",
                    remedy="install the same owl-geo there, with the same extras",
                ) from error
            except (KilledWorker, CancelledError) as error:
                # all that held the function may be gone, and with it every task that waits for it
                _log.warning("a worker of the cluster was lost; its work is done again")
                if attempt == _ATTEMPTS - 1:
                    raise ClusterError(
                        "the cluster lost its workers three times in the same piece of work",
                        remedy="give them more memory, then run the same command again",
                    ) from error
                self._sent = self._send()
                future = self.submit(item)
        raise AssertionError("unreachable")


def _applied(function: Callable[[T], R], item: T) -> R:
    if "torch" in sys.modules:  # as among threads, so that not a bit differs
        sys.modules["torch"].set_num_threads(1)
    with threadpool_limits(1):
        return function(item)
