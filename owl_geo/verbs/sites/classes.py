"""Answers of the classes of a raster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pyproj.exceptions import ProjError

from owl_geo.concepts.pool import Pool
from owl_geo.concepts.rasters import values_there, warn_of_absent, warn_of_no_data
from owl_geo.concepts.sites import locate_classes
from owl_geo.errors import ConfigError, LayerError
from owl_geo.ground.raster_files import band_names, tells_missing
from owl_geo.run_folder.folder import Run
from owl_geo.verbs.sites.placed import SHARE, AsSites, Found, PlacedClasses


def classes_of_raster(run: Run, path: str, options: AsSites) -> tuple[Found, PlacedClasses]:
    """Return the patches that a class covers, with its label, and what became of the raster.

    Raises ConfigError and LayerError as ``answers_at`` does.
    """
    classes, share = run.settings.classes, SHARE if options.share is None else options.share
    for name in ("label", "column", "crs"):
        if name in options.given:
            raise ConfigError(
                f"{path} is a raster, and --{name} is for features",
                remedy=f"leave out --{name}"
                if name == "crs"
                else f"say what its values mean, for example with --values 1={classes[-1]}; "
                f"{values_there(path)}",
            )
    if len(band_names(path)) > 1:
        raise LayerError(
            f"{path} has {len(band_names(path))} bands, and classes are in one",
            remedy="take that out, for example with gdal_translate -b",
        )
    values = options.values
    if values is None:
        values = {str(number): name for number, name in enumerate(classes)}
    labels = list(dict.fromkeys(values.values()))
    numbers = [[_number(path, v) for v, of in values.items() if of == label] for label in labels]
    flat = [number for of_label in numbers for number in of_label]
    if options.values is not None:
        warn_of_no_data(path, flat)
    pool = Pool.of(run.index.windows)
    try:
        found = locate_classes(path, numbers, pool, share=share)
    except ProjError as error:
        raise LayerError(
            f"{path} cannot be laid over the scenes of {run.called}: {error}"
        ) from error
    if options.values is None:
        _check_numbers_of_classes(path, classes, found.others, bool(found.exist[0]))
        values = {str(number): classes[number] for number in np.flatnonzero(found.exist)}
    if not found.exist.any():
        raise LayerError(
            f"{path}: no pixel of any patch has {' or '.join(values)}; {values_there(path)}",
            remedy="correct --values" if options.values else "",
        )
    if options.values is not None:
        warn_of_absent(path, flat, found.exist, "--values")
    if len(found.patch) == 0:
        raise LayerError(
            f"{path}: no class covers {100 * share:g} % of any patch",
            remedy="choose a smaller --share",
        )
    placed = PlacedClasses(
        patches=0, pool=len(pool), values=values, share=share, without=found.without
    )
    return Found(found.patch, np.array(labels, dtype=object)[found.code]), placed


def _check_numbers_of_classes(
    path: str, classes: Sequence[str], others: bool, has_zero: bool
) -> None:
    """Raise ConfigError unless the values of a raster can only be the numbers of the classes."""
    example = ",".join(f"{number}={name}" for number, name in enumerate(classes) if number)
    if others:
        raise ConfigError(
            f"{path}: its values are not the numbers of the classes, 0 to {len(classes) - 1}; "
            f"{values_there(path)}",
            remedy=f"say what they mean, for example with --values {example}",
        )
    if has_zero and not tells_missing(path):
        raise ConfigError(
            f"{path} has the value 0, which may mean {classes[0]} or that nobody looked, since the "
            "raster names no value for missing data",
            remedy=f"say which values to take, with --values {example} or "
            f"--values 0={classes[0]},{example}",
        )


def _number(path: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ConfigError(
            f"{path} is a raster, whose values are numbers, and {value!r} is not a number; "
            f"{values_there(path)}",
            remedy="correct --values",
        ) from error
