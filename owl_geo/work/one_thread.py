"""Linear algebra on one thread, whose results then do not follow from the number of processors."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


def one_thread(user_api: str | None = None) -> AbstractContextManager[object]:
    """Let the libraries of this process compute on one thread, or those of one kind ("blas")."""
    limited: AbstractContextManager[object] = _libraries(len(sys.modules)).limit(
        limits=1, user_api=user_api
    )
    return limited


@lru_cache(maxsize=1)
def _libraries(_n_modules: int) -> ThreadpoolController:
    """Return the libraries that have threads, looked for again when more has been imported.

    To look for them among all that is loaded takes milliseconds, and a round does so ten times.
    """
    return ThreadpoolController()
