"""Servers that refuse in a language of their own, or take a connection and say nothing more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from owl_geo.errors import RunError
from owl_geo.labels import database
from owl_geo.labels.database import Database

pytest.importorskip("psycopg")

# In a process of its own, as a ping lets no other thread run. Says its port, then refuses everyone
# with a code and words, or keeps silent where there are none.
_SERVER = r"""
import socket, struct, sys
code, words = sys.argv[1:]
fields = (("S", "ВАЖНО"), ("V", "FATAL"), ("C", code), ("M", words))
body = b"".join(name.encode() + text.encode() + b"\0" for name, text in fields) + b"\0"
listener, kept = socket.create_server(("127.0.0.1", 0)), []
print(listener.getsockname()[1], flush=True)
while True:
    kept.append(listener.accept()[0])
    while code and kept[-1].recv(1024)[4:8] == struct.pack("!i", 80877103):
        kept[-1].sendall(b"N")  # no TLS
    if code:
        kept.pop().sendall(b"E" + struct.pack("!i", len(body) + 4) + body)
"""


@pytest.fixture
def listen() -> Iterator[Callable[[str, str], str]]:
    """Call with a code and words to start a server; returns the address of its database."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str = "", words: str = "") -> str:
        server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, code, words],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(server)
        assert server.stdout is not None
        return f"postgresql://127.0.0.1:{server.stdout.readline().strip()}/team"

    yield start
    for server in started:
        server.kill()
        server.communicate()


@pytest.mark.parametrize(
    ("code", "words", "remedy"),
    [
        ("28P01", "пользователь не прошёл проверку подлинности", "check user, password and"),
        ("3D000", "база данных не существует", "check user, password and database"),
        ("57P03", "система баз данных запускается", "try again once the server has started"),
    ],
)
def test_what_helps_does_not_depend_on_the_language_of_the_server(
    code: str,
    words: str,
    remedy: str,
    listen: Callable[[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "RETRY_SECONDS", 0.3)
    with pytest.raises(RunError) as caught:
        Database(listen(code, words)).where()
    assert f"{words}; {remedy}" in str(caught.value)


def test_a_server_that_says_nothing_is_given_up(
    listen: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database._PATIENCE, "connect_timeout", "2")
    with pytest.raises(RunError, match="check host and port of the address"):
        Database(listen()).where()
