"""Commands as a user types them: a process each, and the one line that a mistake ends in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click


def owl(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``owl-geo`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "owl_geo", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "100"},
        check=False,
    )


def one_error(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Return the error line, after checking that it stands alone, with the right exit code."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def every_command(group: click.Group) -> Iterator[click.Command]:
    """Yield the commands of a group, and those of the groups in it."""
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from every_command(command)
