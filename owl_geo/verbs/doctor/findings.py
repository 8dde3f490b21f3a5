"""What a check finds. A check that breaks is a finding too, never a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from owl_geo.errors import OwlError, system_error

REINSTALL = "reinstall owl-geo in an environment of its own"

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """What one check found, and what to do about it, which is empty if there is nothing to do."""

    state: State
    what: str
    remedy: str = ""


Check = tuple[str, Callable[[], Iterable[Finding]]]


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run checks one by one and yield what they find; a check that breaks is itself a problem."""
    for name, check in checks:
        try:
            yield from check()
        except OwlError as error:
            remedy = error.remedy or "fix that, then run the check again"
            yield Finding("problem", f"{name}: {error.message}", remedy)
        except Exception as error:  # noqa: BLE001 - whatever is broken, the other checks must run
            of_system = system_error(error)
            if of_system is not None:
                yield Finding("problem", f"{name}: {of_system.message}", of_system.remedy)
                continue
            text = " ".join(f"{type(error).__name__}: {error}".split())
            yield Finding("problem", f"{name}: {text}", REINSTALL)
