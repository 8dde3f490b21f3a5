"""Options of the synthetic source, as `run` and `init` offer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from owl_geo.cli.options import Advanced

F = TypeVar("F", bound=Callable[..., Any])

GENERATOR = ("n_samples", "image_size", "n_bands", "signal")


def generator_options(function: F) -> F:
    """Add the options that decide the generated patches."""
    for option in reversed(
        (
            click.option(
                "--n-samples",
                cls=Advanced,
                type=int,
                help="Synthetic: number of patches.",
                show_default="500",
            ),
            click.option(
                "--image-size",
                cls=Advanced,
                type=int,
                help="Synthetic: pixels a side.",
                show_default="32",
            ),
            click.option(
                "--n-bands",
                cls=Advanced,
                type=int,
                help="Synthetic: bands per patch.",
                show_default="4",
            ),
            click.option(
                "--signal",
                cls=Advanced,
                type=float,
                help="Synthetic: 0 = noise, 1 = strong.",
                show_default="0",
            ),
        )
    ):
        function = option(function)
    return function


@dataclass(frozen=True, kw_only=True)
class Generator:
    """The options that ``generator_options`` adds to a command; None = not given."""

    n_samples: int | None
    image_size: int | None
    n_bands: int | None
    signal: float | None


def settings(generator: Generator, seed: int | None) -> dict[str, Any]:
    """Return the source, its concepts and their weights as tables of owl.toml."""
    from owl_geo.sources.unopened_synthetic import UnopenedGenerator

    return UnopenedGenerator.named("synthetic", vars(generator) | {"seed": seed}).tables
