"""Which option decides which setting, so that an error names what was typed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from owl_geo.errors import ConfigError

# What options decide, by its place in owl.toml: the parameter of click that holds it, to be named
# first, and those that speak of it too.
SETTINGS = {
    "seed": ("seed",),
    "classes": ("classes",),
    "positive": ("positive",),
    "labels": ("labels",),
    "source.scenes": ("scenes",),
    "source.path": ("scenes",),
    "source.name": ("scenes",),
    "source.bands": ("bands",),
    "source.patch_size": ("patch_size", "image_size"),  # the synthetic source's
    "source.stride": ("stride",),
    "source.min_valid": ("min_valid",),
    "source.mask_bad": ("mask_bad", "masks"),
    "source.aoi": ("aoi",),
    "source.time": ("time",),
    "source.crs": ("crs",),
    "source.n_samples": ("n_samples",),
    "source.image_size": ("image_size",),
    "source.n_bands": ("n_bands",),
    "source.signal": ("signal",),
    "source.seed": ("seed",),
    "oracle.path": ("oracle",),
    "oracle.layer": ("oracle",),
    "oracle.column": ("oracle_column",),
    "oracle.values": ("oracle_values",),
    "oracle.min_share": ("oracle_share",),
    "loop.initial": ("initial",),
    "loop.rounds": ("rounds",),
    "loop.batch_size": ("batch_size",),
    "loop.labels_per_hour": ("labels_per_hour",),
    "loop.hours": ("hours",),
    "acquisition.strategy": ("strategy",),
    "acquisition.alpha": ("alpha",),
    "acquisition.start": ("start",),
    "acquisition.audit_share": ("audit_share",),
    "model.kind": ("model",),
    "model.weights": ("weights",),
    "model.frozen": ("frozen",),
    "model.head": ("head",),
    "team.annotators": ("annotators",),
    "team.overlap": ("overlap",),
}


def flag(parameter: str) -> str:
    """Return how the command at hand calls a parameter on the command line."""
    known = {p.name: p.opts[0] for p in click.get_current_context().command.params}
    return known[parameter]


@contextmanager
def named_in_errors(options: Mapping[str, Any]) -> Iterator[None]:
    """Name the option in the ConfigError of a setting that an option made wrong.

    ``options`` are the parameters of the command; of what came from elsewhere the setting is named.
    """
    try:
        yield
    except ConfigError as error:
        fault, was_given = error.fault, False
        for setting in error.settings:
            place = _place(setting)
            if place is None or not any(name in options for name in SETTINGS[place]):
                continue
            given = [name for name in SETTINGS[place] if options.get(name) not in (None, (), [])]
            was_given |= bool(given)
            parameter = next(name for name in (*SETTINGS[place], *given) if name in options)
            if parameter == "patch_size" and "image_size" in given:
                parameter = "image_size"
            names = "|".join(re.escape(name) for name in (setting, place.rpartition(".")[2]))
            found = re.sub(rf"(?<![\w-])({names})\b", flag(parameter), fault, count=1)
            fault = found if found != fault else f"{flag(parameter)}: {fault}"
        if was_given:
            raise ConfigError(fault, remedy=error.remedy) from error
        raise


def _place(setting: str) -> str | None:
    """Return what an option decides of a setting: itself, or the list or table that it is in."""
    while setting and setting not in SETTINGS:
        setting = setting.rpartition(".")[0]
    return setting or None
