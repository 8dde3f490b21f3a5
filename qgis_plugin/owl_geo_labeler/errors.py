"""The one kind of error that the plugin shows instead of a stack trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qgis.PyQt.QtCore import QCoreApplication


class Problem(Exception):
    """Something the analyst can fix: one line that says what is wrong, where, and what to do."""


class NoBatch(Problem):
    """There is nothing to label yet."""


@contextmanager
def reading(path: object) -> Iterator[None]:
    """Make a Problem of what the file system says, as where a share is disconnected."""
    try:
        yield
    except OSError as error:
        message = QCoreApplication.translate("OwlGeo", "{path} cannot be read: {reason}")
        reason = error.strerror or str(error)
        raise Problem(message.format(path=error.filename or path, reason=reason)) from error
