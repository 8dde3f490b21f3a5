"""Which option sets which setting, so that an error names the option that was typed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from owl_geo.errors import ConfigError

# By setting of owl.toml, the click parameters that set it; the first is the one that errors name,
# unless only another was given.
SETTINGS = {
    "seed": ("seed",),
    "classes": ("classes",),
    "positive": ("positive",),
    "labels": ("labels",),
    "source.scenes": ("scenes",),
    "source.path": ("scenes",),
    "source.name": ("scenes",),
    "source.bands": ("bands",),
    "source.common": ("common",),
    "source.patch_size": ("patch_size", "image_size"),  # the synthetic source's
    "source.stride": ("stride",),
    "source.min_valid": ("min_valid",),
    "source.mask_bad": ("mask_bad", "masks"),
    "source.mask_bands": ("mask_bands", "masks"),
    "source.aoi": ("aoi",),
    "source.time": ("time",),
    "source.crs": ("crs",),
    "source.vector_column": ("vector_column",),
    "source.footprint": ("footprint",),
    "source.n_samples": ("n_samples",),
    "source.image_size": ("image_size",),
    "source.n_bands": ("n_bands",),
    "source.signal": ("signal",),
    "source.seed": ("seed",),
    "views": ("views",),
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
    """Return the flag of a parameter of the current command."""
    flags = {p.name: p.opts[0] for p in click.get_current_context().command.params}
    return flags[parameter]


@contextmanager
def named_in_errors(options: Mapping[str, Any]) -> Iterator[None]:
    """Name the option instead of the setting in a ConfigError that an option caused.

    ``options`` are the command's parameters. A setting that did not come from them keeps its name.
    """
    try:
        yield
    except ConfigError as error:
        fault, remedy, was_given = error.fault, error.remedy, False
        for setting in error.settings:
            key = _known_setting(setting)
            parameters = [name for name in SETTINGS[key] if name in options] if key else []
            if key is None or not parameters:
                continue
            given = [name for name in parameters if options[name] not in (None, (), [])]
            was_given |= bool(given)
            parameter = parameters[0]
            if parameter == "patch_size" and "image_size" in given:
                parameter = "image_size"
            names = "|".join(re.escape(name) for name in (setting, key.rpartition(".")[2]))
            pattern = re.compile(rf"(?<![\w-])({names})\b")
            if pattern.search(fault):
                fault = pattern.sub(flag(parameter), fault, count=1)
            elif pattern.search(remedy):
                remedy = pattern.sub(flag(parameter), remedy, count=1)
            else:
                fault = f"{flag(parameter)}: {fault}"
        if was_given:
            raise ConfigError(fault, remedy=remedy) from error
        raise


def _known_setting(setting: str) -> str | None:
    """Return the key of ``SETTINGS`` for a setting: itself, or the list or table that it is in."""
    while setting and setting not in SETTINGS:
        setting = setting.rpartition(".")[0]
    return setting or None
