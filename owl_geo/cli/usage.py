"""Click's messages about wrong usage, with what was probably meant."""

from __future__ import annotations

import re

import click

from owl_geo.cli.logs import one_line
from owl_geo.cli.options import Command
from owl_geo.errors import did_you_mean, nearest

_ARGUMENTS = {
    "run_path": "RUN is the folder that `owl-geo init RUN` makes",
    "batches": "the run comes first, then its batch: owl-geo ingest RUN RUN/rounds/000/batch.gpkg",
}


def explained(error: click.UsageError) -> str:
    """Return what is wrong in one line, with a hint if there is one; no full stop."""
    text = one_line(error.format_message())
    hint = _hint(error, text)
    return f"{text}{hint}"


def help_flag(error: click.UsageError) -> str:
    """Return the option that explains what an error is about: a long help leaves out some."""
    command = error.ctx.command if error.ctx else None
    if not isinstance(command, Command):
        return "--help"
    named = set(re.findall(r"--[a-z-]+", error.format_message()))
    return "--help-all" if named & command.folded_flags else "--help"


def _hint(error: click.UsageError, text: str) -> str:
    if isinstance(error, click.MissingParameter):
        meaning = _ARGUMENTS.get(str(error.param.name) if error.param else "")
        return f"; {meaning}" if meaning else ""
    if isinstance(error, click.BadParameter):
        kind = error.param.type if error.param else None
        given = re.search(r"'([^']*)' is not one of", text)
        if isinstance(kind, click.Choice) and given:
            return _did_you_mean(given.group(1), [str(choice) for choice in kind.choices])
        return ""
    if "unexpected extra argument" in text:
        return "; join lists with commas (red,nir), and put a path with spaces in quotes"
    if isinstance(error, click.NoSuchOption) and "ean" not in text:  # an older click
        ctx = error.ctx
        options = [word for one in ctx.command.params for word in one.opts] if ctx else []
        return _did_you_mean(error.option_name, [word for word in options if word[:2] == "--"])
    unknown = re.match(r"No such command '([^']*)'", text)
    if unknown and "ean" not in text and error.ctx is not None:
        group = error.ctx.command
        commands = list(group.commands) if isinstance(group, click.Group) else []
        return did_you_mean(unknown.group(1), commands)
    return ""


def _did_you_mean(wrong: str, words: list[str]) -> str:
    near = nearest(wrong, words)
    return "" if near is None else f"; did you mean {near!r}?"
