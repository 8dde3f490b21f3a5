"""What commands share: options, errors, and how progress is shown."""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from owl_geo.cli.logs import JSON_FLAG, QUICK, end, lines, show_log
from owl_geo.errors import ConfigError, OwlError
from owl_geo.settings.paths import on_this_machine
from owl_geo.wording import with_run

if TYPE_CHECKING:
    from click.types import OptionHelpExtra

    from owl_geo.work.progress import Progress

if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:
    _Choice = click.Choice  # not generic in older versions of click

F = TypeVar("F", bound=Callable[..., Any])

_VERBOSITY = "owl_geo.verbosity"
_DEBUG = "owl_geo.debug"
_JSON = "owl_geo.json"
_HELP_ALL = "owl_geo.help_all"


def files(_ctx: click.Context, _parameter: click.Parameter, word: str) -> list[CompletionItem]:
    """Let the shell complete file names, for options whose value may be more than a path."""
    return [CompletionItem(word, type="file")]


class OneOf(_Choice):
    """The type of an option whose value is a name that ``settings.choices`` registers."""

    case_sensitive = True

    def __init__(self, registered: Mapping[str, object]) -> None:
        self._registered = registered

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # what click only reads
        """The names that are registered at this moment."""
        return tuple(self._registered)


class LocalPath(click.Path):
    """The type of a path on this machine, of a run or of what is written; an address is refused."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path; an address is wrong usage."""
        try:
            return super().convert(on_this_machine(value), param, ctx)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


class Option(click.Option):
    """An option whose help writes what holds without it, a value or words, in one form."""

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Return what stands in brackets behind the help; click puts words in parentheses."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra


class Advanced(Option):
    """An option that a long help shows only with --help-all."""


_FEW = 4  # how many advanced options --help still shows among the others


class Command(click.Command):
    """A command that reports an OwlError as one line; any other error keeps its traceback.

    If it has many advanced options, --help leaves them out and --help-all lists them separately.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._folds = sum(isinstance(one, Advanced) for one in self.params) > _FEW
        if self._folds:
            self.params.append(
                click.Option(
                    ["--help-all"],
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=_help_all,
                    help="Show the advanced options too.",
                )
            )

    @property
    def folded_flags(self) -> frozenset[str]:
        """The options that --help leaves out, as they are typed."""
        if not self._folds:
            return frozenset()
        folded = [one for one in self.params if isinstance(one, Advanced)]
        return frozenset(flag for one in folded for flag in (*one.opts, *one.secondary_opts))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options; many advanced ones go under their own heading, or are left out."""
        if not self._folds:
            super().format_options(ctx, formatter)
            return
        groups: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
        for parameter in self.get_params(ctx):
            if not isinstance(parameter, click.Option):
                continue  # the usage line names them
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups[isinstance(parameter, Advanced)].append(record)
        with formatter.section("Options"):
            formatter.write_dl(groups[False])
        if ctx.meta.get(_HELP_ALL):
            with formatter.section("Advanced options"):
                formatter.write_dl(groups[True])

    def invoke(self, ctx: click.Context) -> Any:
        show_log(ctx.meta.get(_VERBOSITY, 0), as_json=bool(ctx.meta.get(_JSON)))
        try:
            return super().invoke(ctx)
        except OwlError as error:
            if ctx.meta.get(_DEBUG):
                raise
            run = ctx.params.get("run_path")
            line = str(error) if run is None else with_run(str(error), run)
            raise click.ClickException(line) from error


def _help_all(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        ctx.meta[_HELP_ALL] = True
        click.echo(ctx.get_help())
        ctx.exit()


def _keep(key: str, value: Callable[[bool], int]) -> Callable[..., None]:
    def callback(ctx: click.Context, _parameter: click.Parameter, given: bool) -> None:
        if given:
            ctx.meta[key] = value(given)

    return callback


def common(function: F) -> F:
    """Add -v, -q, --log-json and --debug."""
    for option in (
        click.option(
            "--debug",
            cls=Advanced,
            is_flag=True,
            expose_value=False,
            callback=_keep(_DEBUG, int),
            help="Show the traceback of an error.",
        ),
        click.option(
            JSON_FLAG,
            cls=Advanced,
            is_flag=True,
            expose_value=False,
            callback=_keep(_JSON, int),
            help="Log as JSON, one object per line.",
        ),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            expose_value=False,
            callback=_keep(_VERBOSITY, lambda given: -int(given)),
            help="Only results, warnings and errors.",
        ),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            expose_value=False,
            callback=_keep(_VERBOSITY, int),
            help="Print more.",
        ),
    ):
        function = option(function)
    return function


def device(function: F) -> F:
    """Add --device."""
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where the model runs.",
    )(function)


def cluster(function: F) -> F:
    """Add --cluster."""
    return click.option(
        "--cluster",
        cls=Advanced,
        metavar="local|ADDRESS",
        help="Distribute the work: to local processes, or to a Dask scheduler, tcp://HOST:8786.",
    )(function)


def run_folder(function: F) -> F:
    """Add the argument RUN."""
    return click.argument("run_path", metavar="RUN", type=LocalPath())(function)


def listed(text: str) -> list[str]:
    """Return the items of a list of values: one that has a comma stands in double quotes.

    What follows the closing quote belongs to the item, as in ``"a, b"=present``.
    """
    try:
        items = next(csv.reader([text], skipinitialspace=True), [""])
    except csv.Error:  # of several lines
        items = text.split(",")
    return [item.strip() for item in items]


def check_folder(path: Path | None) -> None:
    """Raise OwlError where a file has the name of the folder to write."""
    if path is not None and path.is_file():
        raise OwlError(f"{path} is a file", remedy="name a folder")


def given(**values: Any) -> dict[str, Any]:
    """Return the values that were given; None and empty tables and lists are left out."""
    return {name: value for name, value in values.items() if value not in (None, {}, (), [])}


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge nested tables; values in ``over`` replace those in ``base``."""
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[name] = merge(merged[name], value) if both else value
    return merged


def end_json(message: str, code: int) -> None:
    """Log the exit code of a command that had problems, if the log is in JSON."""
    if click.get_current_context().meta.get(_JSON):
        end(message, code, as_json=True)


def is_quiet() -> bool:
    """Whether -q was given."""
    return bool(click.get_current_context().meta.get(_VERBOSITY, 0) < 0)


def is_verbose() -> bool:
    """Whether -v was given."""
    return bool(click.get_current_context().meta.get(_VERBOSITY, 0) > 0)


def say(text: str) -> None:
    """Print a line that is not a result; -q suppresses it."""
    if not is_quiet():
        click.echo(text)


def progress(work: str) -> Progress | None:
    """Return a progress callback: a bar on a terminal, a line from time to time elsewhere."""
    if is_quiet():
        return None
    meta = click.get_current_context().meta
    as_json = bool(meta.get(_JSON))
    if sys.stderr.isatty() and not as_json:
        return _bar(work)
    return lines(work, as_json=as_json, timed=meta.get(_VERBOSITY, 0) > 0)


def _bar(work: str) -> Progress:
    bar: list[Any] = []
    begun = time.time()  # the bar uses the same clock

    def update(done: int, total: int) -> None:
        if total == 0:
            return
        if not bar:
            if time.time() - begun < QUICK or done >= total:
                return  # a bar that fills up at once only flickers
            bar.append(click.progressbar(length=total, label=work, file=sys.stderr))
            bar[0].start = bar[0].last_eta = begun
            bar[0].__enter__()
        bar[0].update(done - bar[0].pos)
        if done >= total:
            bar[0].__exit__(None, None, None)
            bar.clear()

    return update
