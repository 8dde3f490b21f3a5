"""The command line: one file per command, errors to exit codes in one place.

Command modules import the core inside their functions, so that ``--help`` costs next to nothing.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from owl_geo import __version__
from owl_geo.cli import compare, ingest, init, plugin, predict, query, run, status
from owl_geo.cli.options import one_line


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: owl-geo run --source synthetic",
)
@click.version_option(__version__, "-V", "--version", prog_name="owl-geo")
def cli() -> None:
    """Tell which patches of satellite imagery to label next."""


COMMANDS = (
    run.run,
    init.init,
    query.query,
    ingest.ingest,
    status.status,
    predict.predict,
    compare.compare,
    plugin.plugin,
)
for command in COMMANDS:
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

    3 from ``predict``: finished, but some scenes failed.
    """
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="owl-geo",
            standalone_mode=False,
        )
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "owl-geo"
        click.echo(f"error: {one_line(error.format_message())}; see `{command} --help`", err=True)
        return 2
    except click.ClickException as error:
        click.echo(f"error: {one_line(error.format_message())}", err=True)
        return 1
    except click.exceptions.Abort:
        click.echo("stopped; the same command goes on from here", err=True)
        return 130
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        click.echo(f"error: cannot write the output: {error.strerror}", err=True)
        return 1
    return result if isinstance(result, int) else 0
