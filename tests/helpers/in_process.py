"""Commands within this process, where a test can put something else in a module's place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from owl_geo.cli import _run


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Owl = Callable[..., Done]


@pytest.fixture
def owl(capsys: pytest.CaptureFixture[str]) -> Iterator[Owl]:
    """Run ``owl-geo`` in this process."""

    def run(*words: object) -> Done:
        capsys.readouterr()
        code = _run([str(word) for word in words])
        out, err = capsys.readouterr()
        return Done(code, out, err)

    with without_log():
        yield run


@contextmanager
def without_log() -> Iterator[None]:
    """Take away what commands put into the log: it writes into a stream that is gone."""
    try:
        yield
    finally:
        for name in ("owl_geo", None):
            log = logging.getLogger(name)
            log.handlers = [h for h in log.handlers if "owl_geo" not in type(h).__module__]
        logging.getLogger("owl_geo").propagate = True
