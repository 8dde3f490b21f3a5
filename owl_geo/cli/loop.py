"""The options of a search itself: its batches, its strategy and its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from owl_geo.cli.options import Advanced, OneOf, Option, files, given, merge
from owl_geo.settings.choices import (
    HEADS,
    MODELS,
    PEERS,
    STARTS,
    STRATEGIES,
    default,
    unknown_strategy,
)
from owl_geo.settings.presets import PRESETS

F = TypeVar("F", bound=Callable[..., Any])


def loop_options(function: F) -> F:
    """Add the options for the size and number of batches, the strategy and the model."""
    for option in reversed(
        (
            click.option(
                "--initial",
                cls=Advanced,
                type=int,
                help="Patches in the first batch.",
                show_default="20",
            ),
            click.option(
                "--rounds",
                cls=Advanced,
                type=int,
                help="Rounds after the first batch.",
                show_default="10",
            ),
            click.option(
                "--batch-size", type=int, help="Patches per round.", show_default="10", cls=Option
            ),
            click.option(
                "--labels-per-hour",
                cls=Advanced,
                type=float,
                help="The annotators' pace; goes with --hours.",
            ),
            click.option(
                "--hours",
                cls=Advanced,
                type=float,
                help="Hours of labelling per round; pace x hours = batch size.",
            ),
            click.option(
                "--preset",
                cls=Advanced,
                type=OneOf(PRESETS),
                help="tutorial: the tutorial's CNN on images alone, fixed weights, sum, plain "
                "Reptile, random start.",
            ),
            click.option(
                "--strategy",
                cls=Advanced,
                callback=_strategy,
                shell_complete=_strategies,
                metavar="NAME",
                help=f"{', '.join(STRATEGIES)}, or {PEERS}NAME.",
                show_default=f"{default(STRATEGIES)}",
            ),
            click.option(
                "--alpha", cls=Advanced, help="concept: 0 = relevance .. 1 = uncertainty, or ramp."
            ),
            click.option(
                "--start",
                cls=Advanced,
                type=OneOf(STARTS),
                help="How the first batch is chosen.",
                show_default=f"{default(STARTS)}",
            ),
            click.option(
                "--audit-share",
                cls=Advanced,
                type=float,
                help="Share of each batch drawn at random.",
                show_default="0.1; 0.05 where targets are common",
            ),
            click.option(
                "--model",
                cls=Advanced,
                type=OneOf(MODELS),
                help="The model that learns.",
                show_default=f"{default(MODELS)}",
            ),
            click.option(
                "--weights",
                cls=Advanced,
                shell_complete=files,
                help="A backbone's initial weights: none, imagenet, or a file.",
            ),
            click.option(
                "--frozen",
                cls=Advanced,
                is_flag=True,
                default=None,
                help="Train only a head on the backbone.",
            ),
            click.option(
                "--head",
                cls=Advanced,
                type=OneOf(HEADS),
                help="The head on statistics or frozen features.",
                show_default=f"{default(HEADS)}",
            ),
            click.option(
                "--seed",
                type=int,
                help="One seed gives the same batches.",
                show_default="42",
                cls=Option,
            ),
        )
    ):
        function = option(function)
    return function


def _strategies(
    _ctx: click.Context, _parameter: click.Parameter, word: str
) -> list[CompletionItem]:
    """Complete the name of a strategy."""
    return [CompletionItem(name) for name in STRATEGIES if name.startswith(word)]


def _strategy(_ctx: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    if name is None:
        return None
    unknown = unknown_strategy(name)
    if unknown is not None:
        raise click.BadParameter(unknown, param_hint="--strategy")
    return name


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """What ``loop_options`` add to a command; None = not given."""

    initial: int | None
    rounds: int | None
    batch_size: int | None
    labels_per_hour: float | None
    hours: float | None
    preset: str | None
    strategy: str | None
    alpha: str | None  # a number, or ramp
    start: str | None
    audit_share: float | None
    model: str | None
    weights: str | None
    frozen: bool | None
    head: str | None
    seed: int | None


def loop_settings(options: LoopOptions) -> dict[str, Any]:
    """Return the part of owl.toml that ``loop_options`` set, without options not given."""
    if options.batch_size is not None and options.labels_per_hour is not None:
        raise click.UsageError("give either --batch-size, or --labels-per-hour and --hours")
    alpha: float | str | None = options.alpha
    if alpha is not None and alpha != "ramp":
        try:
            alpha = float(alpha)
        except ValueError as error:
            raise click.BadParameter(
                f"{alpha!r} is neither a number nor ramp", param_hint="--alpha"
            ) from error
    strategy = options.strategy
    if alpha is not None and strategy is None:
        strategy = "concept"  # the only one with an alpha
    if alpha is not None and strategy != "concept":
        raise click.UsageError("--alpha goes with --strategy concept")
    weights, head, model = options.weights, options.head, options.model
    on_pixels = model is not None and not MODELS[model].on_features and not options.frozen
    if head is not None and on_pixels:
        raise click.UsageError(f"--head goes with --frozen; --model {model} has its own last layer")
    if weights not in (None, "none", "imagenet"):
        from owl_geo.settings.paths import absolute, expanded

        weights = str(absolute(expanded(weights)))
    over = given(
        seed=options.seed,
        loop=given(
            initial=options.initial,
            rounds=options.rounds,
            batch_size=options.batch_size,
            labels_per_hour=options.labels_per_hour,
            hours=options.hours,
        ),
        acquisition=given(
            strategy=strategy,
            alpha=alpha,
            start=options.start,
            audit_share=options.audit_share,
        ),
        model=given(kind=model, frozen=options.frozen, head=head, weights=weights),
    )
    if options.preset is None:
        return over
    return merge(dict(PRESETS[options.preset]), over)
