"""Whether a database's server responds, asked before QGIS waits for it, and what it says.

QGIS waits for as long as the system keeps a connection on which nothing comes any more, a quarter
of an hour or longer, and its window with it.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from qgis.core import QgsApplication

from .places import SharedPlace

# The question whether a server speaks TLS: it needs no user, and is answered by one byte. The
# system of a server that hangs, or a tunnel whose other end is gone, would still take a connection.
_QUESTION = struct.pack("!ii", 8, 80877103)
_SECONDS = 2.0
_PORT = 5432
_LOG = "PostGIS"  # under which QGIS logs what it hears from a server
# "ERROR:  ...", in the language of the server; what QGIS puts before it has one space
_SAYS = re.compile(r"(?:^|\s)[^\s:]+: {2}(\S.*?)\s*(?:\n|$)")
_RETURNED = re.compile(r" returned \d+ \[([^\]\n]+)")  # behind a whole statement
_FAILED = "Connection to database failed\n"


class Reach:
    """Asks the server of a place that was reached just now.

    Where that cannot be asked, as of a socket's folder, a service or several hosts, it is taken to
    respond.
    """

    def __init__(self, place: SharedPlace) -> None:
        self._at: tuple[str, int] | None = None  # as a number: a name may take long to look up
        host, port = place.host, place.port or str(_PORT)
        if not host or host.startswith("/") or "," in host or not port.isdecimal():
            return
        with suppress(OSError):
            for *_, there in socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM):
                if _answers(there[:2]):
                    self._at = there[:2]
                    return

    def responds(self) -> bool:
        """Return whether the server responds, within two seconds."""
        return self._at is None or _answers(self._at)


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=_SECONDS) as connection:
            connection.sendall(_QUESTION)
            return bool(connection.recv(1))
    except OSError:
        return False


@contextmanager
def hearing() -> Iterator[list[str]]:
    """Collect what QGIS logs of servers: a layer that is not valid does not say why."""
    heard: list[str] = []

    def note(text: str, tag: str, *_level: object) -> None:
        if tag == _LOG:
            heard.append(text)

    log = QgsApplication.messageLog()
    log.messageReceived.connect(note)
    try:
        yield heard
    finally:
        log.messageReceived.disconnect(note)


def said_in(text: str) -> str | None:
    """Return what a server said in one line of a text; None if it said nothing."""
    found = _SAYS.search(text)
    return found[1] if found else None


def reason_in(heard: list[str]) -> str:
    """Return in one line why a database cannot be read: what the server said, or the first line."""
    whole = "\n".join(text.replace(_FAILED, "") for text in heard)
    returned = _RETURNED.search(whole)
    first_line = whole.strip().partition("\n")[0].strip()
    return said_in(whole) or (returned[1] if returned else first_line)
