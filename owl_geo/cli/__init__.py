"""The command line: one file per command; errors become exit codes in one place, here.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but some scenes failed, 130 interrupted,
143 terminated.

Command modules import the core inside their functions, so that ``--help`` starts fast.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from owl_geo import __version__
from owl_geo.cli import (
    add,
    classes,
    compare,
    completion,
    doctor,
    engine,
    ingest,
    init,
    labels,
    like,
    logs,
    patches,
    plot,
    plugin,
    predict,
    query,
    report,
    review,
    run,
    sample,
    status,
    store,
    usage,
)
from owl_geo.cli.logs import one_line
from owl_geo.errors import system_error

# Imports make some hundred thousand objects that stay. To look for garbage among the young ones
# after each few hundred, as Python does, takes a tenth of a small command's time.
_YOUNG = 1_000_000


class _InOrder(click.Group):
    """Lists commands in the order in which a search needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: owl-geo sample first",
)
@click.version_option(__version__, "-V", "--version", prog_name="owl-geo")
def cli() -> None:
    """Choose which patches of satellite imagery to label next."""


COMMANDS = (
    sample.sample,
    init.init,
    query.query,
    ingest.ingest,
    status.status,
    predict.predict,
    review.review,
    report.report,
    plot.plot,
    patches.patches,
    like.like,
    add.add,
    classes.classes,
    labels.labels,
    run.run,
    engine.engine,
    compare.compare,
    plugin.plugin,
    store.store,
    doctor.doctor,
    completion.completion,
)
for command in COMMANDS:
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    0 done, 1 failed, 2 wrong usage, 3 finished but some scenes failed, 130 interrupted (Ctrl-C),
    143 terminated (SIGTERM).
    """
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    sys.unraisablehook = _without_gdals_text
    with _ending_in_order():
        code = _run(sys.argv[1:] if arguments is None else list(arguments))
    # Everything is written. To look for garbage once more as it ends, among all that was imported,
    # takes Python a fifth of a small command's time.
    gc.freeze()
    sys.exit(code)


class _Terminated(BaseException):
    """SIGTERM, from a scheduler or a machine that shuts down."""


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM clean up as Ctrl-C does; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():  # Python has no signals there
        yield
        return

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _without_gdals_text(unraisable: sys.UnraisableHookArgs) -> None:
    """Suppress rasterio's failure to log a GDAL message about a file with broken text in it."""
    if not str(unraisable.object).startswith("rasterio._env"):
        sys.__unraisablehook__(unraisable)


def _run(arguments: list[str]) -> int:
    as_json = logs.wants_json(arguments)

    def end(message: str, code: int) -> int:
        return logs.end(message, code, as_json=as_json)

    try:
        result = cli.main(args=arguments, prog_name="owl-geo", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        return end(error.format_message(), 2)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "owl-geo"
        seen = f"see `{command} {usage.help_flag(error)}`"
        return end(f"error: {usage.explained(error)}; {seen}", 2)
    except click.ClickException as error:
        return end(f"error: {one_line(error.format_message())}", 1)
    except click.exceptions.Abort:
        return end("stopped; the same command goes on from here", 130)
    except _Terminated:
        return end("stopped; the same command goes on from here", 143)
    except BrokenPipeError:  # the reader, for example `head`, has stopped reading
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        of_system = system_error(error)
        if of_system is not None:
            return end(f"error: {of_system}", 1)
        if not as_json:
            raise
        logs.defect(error)
        return 1
    return result if isinstance(result, int) else 0
