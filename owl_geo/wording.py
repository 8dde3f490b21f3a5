"""What sentences hold: words that agree with numbers, shares in per cent, and paths to be typed."""

from __future__ import annotations

import re
import shlex
import subprocess  # nosec B404 # only its quoting for Windows
import sys
from pathlib import PurePath

_COMMAND = re.compile(r"`owl-geo [^`]*`")
_RUN = re.compile(r"(?<!\S)RUN\b")
_ES = ("ch", "s", "x")  # nouns with such an ending take another syllable: batches, classes


def plural(count: float, one: str, many: str = "") -> str:
    """Return a word as it follows a whole number: ``one`` after 1, else ``many``.

    Without ``many``, ``one`` is a noun with a regular plural.
    """
    if count == 1:
        return one
    return many or one + ("es" if one.endswith(_ES) else "s")


def counted(count: int, one: str, many: str = "") -> str:
    """Return a whole number and a noun that agrees with it: ``1 patch``, ``1,024 patches``."""
    return f"{count:,} {plural(count, one, many)}"


def two_digits(number: float) -> str:
    """Return a number with two digits, without a sign where they are zeros: ``0.00``."""
    return f"{round(number, 2) + 0.0:.2f}"


def three_digits(share: float) -> str:
    """Return a share of 1 with three digits, and never as all of it where it is less: ``0.996``."""
    return f"{min(share, 0.999) if share < 1 else share:.3f}"


def per_cent(share: float, *, digits: int = 0) -> str:
    """Return a share of 1 in per cent, with a space before the sign: ``76.7 %``."""
    return f"{share:.{digits}%}".replace("%", " %")


def as_typed(path: PurePath | str) -> str:
    """Return a path as it is typed in the shell of this system, in quotes where it needs them."""
    if sys.platform == "win32":
        return subprocess.list2cmdline([str(path)])
    return shlex.quote(str(path))


def with_run(text: str, run: PurePath | str) -> str:
    """Return an error with a run's path in the commands that it names: `owl-geo query RUN`.

    What raises it may not know the run's folder, or how it was typed.
    """
    path = as_typed(run)
    return _COMMAND.sub(lambda found: _RUN.sub(lambda _: path, found[0]), text)
