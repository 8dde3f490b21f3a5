"""Answers of the points, lines and polygons of a vector layer."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from pyproj import CRS
from pyproj.exceptions import CRSError, ProjError

from owl_geo.concepts.layers import CrsOption, Layer, load
from owl_geo.concepts.osm_files import is_osm
from owl_geo.concepts.outlines import warn_of_outlines
from owl_geo.concepts.pool import Pool
from owl_geo.concepts.sites import CLASS_COLUMNS, locate, why_not_alike
from owl_geo.concepts.values import has_value, shown, text_of
from owl_geo.errors import ConfigError, LayerError, suggestion
from owl_geo.ground.accuracy import warn_if_inaccurate
from owl_geo.run_folder.folder import Run
from owl_geo.schema import RESERVED_LABELS
from owl_geo.settings.concepts import LayerSettings
from owl_geo.types import AnyArray
from owl_geo.verbs.sites.files import LAYER
from owl_geo.verbs.sites.placed import SHARE, AsSites, Found, PlacedSites
from owl_geo.wording import plural

_log = logging.getLogger("owl_geo")


def sites_of_layer(run: Run, path: str, options: AsSites) -> tuple[Found, PlacedSites]:
    """Return the patches that sites lie in, with their labels, and what became of the sites.

    Raises ConfigError and LayerError as ``answers_at`` does.
    """
    layer = _layer(run, path, options)
    features = layer.features
    if options.column is None:
        if options.label is None:
            _check_are_alike(run, path, options, layer)
        label = options.label or run.settings.positive
        labels: AnyArray = np.full(len(features), label, dtype=object)
        other: dict[str, int] = {}
    else:
        labels, other = _labels(run, path, options, layer)
    known = ~pd.isna(labels)
    labels, geometries = labels[known], features.geometry.to_numpy()[known]
    if not layer.is_osm:
        warn_of_outlines(path, geometries, "only the patches that lines cross are answered")
    pool = Pool.of(run.index.windows)
    share = SHARE if options.share is None else options.share
    try:
        warn_if_inaccurate(path, features.crs, [scene.windows for scene in pool.scenes])
        found = locate(geometries, features.crs, pool, share=share)
    except ProjError as error:
        raise LayerError(
            f"{path} cannot be laid over the scenes of {run.called}: {error}"
        ) from error
    if len(found.patch) == 0:
        beyond, between = int(found.beyond.sum()), int(found.between.sum())
        none = "its only site lies in no patch"
        if len(labels) > 1:
            none = f"none of its {len(labels):,} sites lies in a patch"
        raise LayerError(
            f"{path}: {none} of {run.called}; "
            f"{beyond:,} {plural(beyond, 'is', 'are')} outside the pool, {between:,} between its "
            "patches",
            remedy="check the CRS of the file, or choose sites within the scenes",
        )
    placed = PlacedSites(
        patches=0,
        sites=len(labels),
        placed=len(np.unique(found.site)),
        other=other,
        beyond=int(found.beyond.sum()),
        between=int(found.between.sum()),
    )
    return Found(found.patch, labels[found.site]), placed


def _check_are_alike(run: Run, path: str, options: AsSites, layer: Layer) -> None:
    """Raise ConfigError where sites of which nothing is said seem to show several classes."""
    positive = run.settings.positive
    fault = why_not_alike(layer, (*run.settings.classes, *RESERVED_LABELS), positive)
    if fault is None:
        return
    raise ConfigError(
        f"{path}: {fault.what}",
        remedy=f"take what each shows from an attribute, with {options.command}--column "
        f"{fault.remedy or 'NAME'}, or say {options.command}--label {positive}",
    )


def _layer(run: Run, path: str, options: AsSites) -> Layer:
    """Return the features of a file with the column, or with those that may hold classes."""
    file, _, layer = path.partition(LAYER)
    if options.values is not None and options.column is None:
        raise ConfigError(
            f"{path} holds features, and --values says what values of an attribute mean",
            remedy="name the attribute with --column",
        )
    if is_osm(file) and options.column is None:
        raise LayerError(
            f"{file} is an OSM file",
            remedy="name the tag of the sites, and what its values mean, for example with "
            f"--column landuse --values quarry={run.settings.positive}",
        )
    crs = None if options.crs is None else _crs(options.crs)
    own = run.crs.to_authority()
    example = ":".join(own) if own else "EPSG:32617"
    settings = LayerSettings(path=file, layer=layer or None)
    keys = CLASS_COLUMNS if options.column is None else [options.column]
    return load(settings, keys, CrsOption(f"{options.command}--crs", example, crs))


def _crs(text: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise ConfigError(
            f"--crs {text!r} is not a CRS", remedy="give its code, for example EPSG:32617"
        ) from error


def _labels(run: Run, path: str, options: AsSites, layer: Layer) -> tuple[AnyArray, dict[str, int]]:
    """Return the label of each site, None for other values, and how often each of these comes."""
    column, values = options.column, options.values
    assert column is not None
    if column not in layer.features:
        raise LayerError(
            f"{path} has no attribute {column!r}", remedy=suggestion(column, layer.fields)
        )
    names = (*run.settings.classes, *RESERVED_LABELS)
    meanings = dict(zip(names, names, strict=True)) if values is None else values
    table = layer.features[column]
    labels: AnyArray = np.full(len(table), None, dtype=object)
    absent = []
    for value, label in meanings.items():
        has = has_value(table, (value,))
        labels[has] = label
        if values is not None and not has.any():
            absent.append(value)
    if pd.isna(labels).all():
        raise LayerError(
            f"{path}: no site has {column} = {' or '.join(meanings)}; there are {shown(table)}",
            remedy=(
                "name the column that holds the run's classes, or say with --values what its "
                "values mean"
                if values is None
                else "correct --values"
            ),
        )
    if absent:
        _log.warning("%s: no site has %s = %s", path, column, " or ".join(absent))
    counts = text_of(table)[pd.isna(labels)].value_counts()
    return labels, {str(value): int(n) for value, n in counts.items()}
