"""``owl-geo engine``: a process that stays, for programs that ask for one batch after another."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from owl_geo.cli import options as opt
from owl_geo.cli.ingest import login_name

if TYPE_CHECKING:
    from owl_geo.engine.server import Send

_AT_ONCE = 65_536  # bytes


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo engine < requests.jsonl",
    short_help="Answer requests of a program, without starting anew for each.",
)
@opt.device
@opt.common
def engine(device: str) -> None:
    """Answer requests in JSON-RPC 2.0, a message a line, from standard input to standard output.

    The process keeps the run in memory, so that the next batch follows the answers in a moment, and
    begins long work before it is asked for it. Files, locks and results are those of the commands,
    which may be used meanwhile. It ends with its input.
    """
    from owl_geo.engine.server import serve
    from owl_geo.reporting.facts import facts

    with _streams() as (source, sink):
        serve(
            _lines(source),
            _sender(sink),
            device=device,
            annotator=login_name(),
            describe=facts,
        )


@contextmanager
def _streams() -> Iterator[tuple[int, BinaryIO]]:
    """Take standard input and output for messages; whatever else is printed goes to stderr."""
    # where a program closed one, Python has None in its place, and its number may be another file's
    for name, stream in (("input", sys.stdin), ("output", sys.stdout)):
        if stream is None:
            raise click.ClickException(
                f"standard {name} is closed; connect it to the program that asks"
            )
    sys.stdout.flush()
    source, sink = os.dup(0), os.fdopen(os.dup(1), "wb")
    nothing, printed = os.open(os.devnull, os.O_RDONLY), sys.stdout
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield source, sink
    finally:
        sys.stdout = printed
        os.dup2(sink.fileno(), 1)
        os.dup2(source, 0)
        sink.close()


def _lines(source: int) -> Iterator[bytes]:
    """Yield the lines of a stream as they arrive.

    Not through a Python file: a thread that waits in one keeps the process from ending.
    """
    begun: list[bytes] = []  # of a line, which may be as large as memory allows
    while data := os.read(source, _AT_ONCE):
        end, *further = data.split(b"\n")
        begun.append(end)
        if further:
            *lines, rest = b"".join(begun), *further
            begun = [rest]
            yield from lines
    if last := b"".join(begun):
        yield last


def _sender(sink: BinaryIO) -> Send:
    from owl_geo.engine.messages import line_of

    def send(message: Mapping[str, Any]) -> None:
        sink.write(line_of(message))
        sink.flush()

    return send
