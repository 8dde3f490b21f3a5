"""Ground truth per patch: from polygons, lines, points, a class raster, or the source itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from owl_geo.concepts.areas import DECIMALS, ROUNDING, PolygonLayer, class_shares
from owl_geo.concepts.areas import shares as shares_of_all
from owl_geo.concepts.extents import check as check_extent
from owl_geo.concepts.layers import Layer, load
from owl_geo.concepts.osm_files import is_osm
from owl_geo.concepts.outlines import warn_of_outlines
from owl_geo.concepts.pool import Pool
from owl_geo.concepts.rasters import (
    class_shares_of_raster,
    is_scaled,
    values_there,
    warn_of_absent,
    warn_of_no_data,
    warn_of_several_bands,
)
from owl_geo.concepts.rasters import extent as raster_extent
from owl_geo.concepts.sites import CLASS_COLUMNS, crossed, holding, pieces_of, why_not_alike
from owl_geo.concepts.values import folded, has_value, text_of
from owl_geo.errors import ConfigError, LayerError, suggestion
from owl_geo.ground.crs import around_the_earth, turned
from owl_geo.ground.raster_files import is_raster
from owl_geo.ground.transformations import reproject
from owl_geo.ground.windows import Points, Windows
from owl_geo.schema import RESERVED_LABELS
from owl_geo.settings.concepts import LayerSettings
from owl_geo.settings.config import Settings
from owl_geo.settings.truth import OracleSettings
from owl_geo.sources.base import PoolSource, windows_of
from owl_geo.types import AnyArray, BoolArray, IntArray
from owl_geo.wording import counted

Shares = NDArray[np.float64]  # (n, classes)
Share = NDArray[np.float64]  # (n,)

_log = logging.getLogger("owl_geo")

_SHOWN = 20  # how many values of a truth a message lists


def truth_labels(settings: Settings, source: PoolSource, *, a_part: bool = False) -> AnyArray:
    """Return the true class of each patch, object ``(n,)``, None where it is not known.

    A patch has the class with the largest share of it, if that reaches ``min_share``, and
    otherwise the first class, the background. Where two classes have as much of it, or ground that
    is not known could decide otherwise, neither is known. Raises ConfigError or LayerError for a
    truth that cannot be read, covers none of the patches, or lacks the column or values in the
    settings; patches that are ``a_part`` of a pool may lie beyond it, and need not have any of the
    values.
    """
    oracle = settings.oracle
    assert oracle is not None
    classes: AnyArray = np.array(settings.classes, dtype=object)
    if oracle.path is None:
        labels: AnyArray = classes[_own_labels(source, len(classes))]
        return labels
    _check_values(oracle)
    pool = Pool.of(windows_of(source))
    # the class that is searched for has the truth's own word for it where values name none
    named = {*oracle.values, settings.positive}
    wanted = [name for name in settings.classes[1:] if name in named] or [settings.positive]
    if is_raster(oracle.path):
        shares, unknown = _raster_shares(oracle, oracle.path, wanted, pool, a_part)
    else:
        names = (*settings.classes, *RESERVED_LABELS)
        shares, unknown = _vector_shares(oracle, oracle.path, wanted, pool, a_part, names)
    # sums and quotients differ in the last digits: a tie is a tie, and the threshold suffices
    shares = shares.round(DECIMALS)
    least = max(oracle.min_share - ROUNDING, ROUNDING)
    best = shares.argmax(axis=1)
    largest = shares[np.arange(len(best)), best]
    has_class = largest >= least
    labels = np.where(has_class, np.array(wanted, dtype=object)[best], classes[0])
    # unknown ground may lift a patch to the threshold, or another class above the largest
    may_reach = ~has_class & (largest + unknown >= least)
    is_open = np.zeros(len(best), dtype=bool)
    if len(wanted) > 1:
        second = np.partition(shares, -2, axis=1)[:, -2]
        is_open = (second >= largest - ROUNDING) | (second + unknown > largest + ROUNDING)
    labels[may_reach | (has_class & is_open)] = None
    return labels


def scaled_file(oracle: OracleSettings) -> str | None:
    """Return the truth if it is a raster with a scale or an offset in its header.

    Raises LayerError.
    """
    path = oracle.path
    return path if path is not None and is_raster(path) and is_scaled(path) else None


def _own_labels(source: PoolSource, n_classes: int) -> IntArray:
    labels = source.labels
    if labels is None:
        raise ConfigError(
            "oracle.path is missing, and this source has no truth of its own",
            remedy="set oracle.path in owl.toml",
        )
    if labels.max() >= n_classes:
        raise ConfigError(f"the source has {labels.max() + 1} classes, the run only {n_classes}")
    return labels


def _raster_shares(
    oracle: OracleSettings, path: str, wanted: list[str], pool: Pool, a_part: bool
) -> tuple[Shares, Share]:
    """Return each class's share of a patch's truth pixels, and the share that is not valid."""
    nameless = [name for name in wanted if name not in oracle.values]
    if nameless:
        missing = f"oracle.values{f'.{nameless[0]}' if oracle.values else ''}"
        raise ConfigError(
            f"{path} is a raster, and {missing} is missing; {values_there(path)}",
            remedy=(
                f"name the values that mean {_quoted(nameless)}, with --oracle-values or as "
                f"{missing} in owl.toml"
            ),
        )
    if oracle.column is not None:
        raise ConfigError(
            f"oracle.column needs a vector layer, but {path} is a raster",
            remedy="leave out oracle.column",
        )
    check_extent(path, raster_extent(path), pool, a_part=a_part, beyond="unknown")
    warn_of_several_bands(path, "take another out with gdal_translate -b")
    codes = [_codes(oracle.values[name], path) for name in wanted]
    flat = [code for group in codes for code in group]
    warn_of_no_data(path, flat)
    owner = np.repeat(np.arange(len(wanted)), [len(group) for group in codes])
    shares, unknown = np.zeros((len(pool), len(wanted))), np.zeros(len(pool))
    is_there = np.zeros(len(flat), dtype=bool)
    for part in pool.scenes:
        each, valid = class_shares_of_raster(path, part.windows, flat)
        unknown[part.positions] = 1 - valid
        is_there |= each.any(axis=0)
        for column in range(len(wanted)):
            shares[part.positions, column] = each[:, owner == column].sum(axis=1) * valid
    for column, name in enumerate(wanted):
        if not shares[:, column].any() and not a_part:
            values = " or ".join(oracle.values[name])
            raise LayerError(
                f"{path}: no pixel of any patch has {values}; {values_there(path)}",
                remedy=f"correct --oracle-values, or oracle.values.{name} in owl.toml",
            )
    if not a_part:
        warn_of_absent(path, flat, is_there, "oracle.values of owl.toml, or --oracle-values")
    return shares, unknown


def _check_values(oracle: OracleSettings) -> None:
    """Raise ConfigError for a value that is empty or of two classes, one of which would get it."""
    class_of: dict[str, str] = {}
    for name, values in oracle.values.items():
        for value in values:
            if not value.strip():
                raise ConfigError(
                    f"oracle.values.{name} has an empty value", remedy="leave it out in owl.toml"
                )
            if class_of.setdefault(value, name) != name:
                raise ConfigError(
                    f"{value!r} is among the values of two classes, oracle.values.{class_of[value]}"
                    f" and oracle.values.{name}",
                    remedy="leave it in one of them",
                )


def _all(oracle: OracleSettings) -> list[str]:
    return [value for values in oracle.values.values() for value in values]


def _codes(values: tuple[str, ...], path: str) -> list[float]:
    codes = []
    for value in values:
        try:
            codes.append(float(value))
        except ValueError as error:
            raise ConfigError(
                f"{path} is a raster, whose values are numbers, and {value!r} is not a number; "
                f"{values_there(path)}",
                remedy="correct --oracle-values, or oracle.values in owl.toml",
            ) from error
    return codes


def _quoted(words: list[str]) -> str:
    return " or ".join(map(repr, words))


def _vector_shares(
    oracle: OracleSettings,
    path: str,
    wanted: list[str],
    pool: Pool,
    a_part: bool,
    names: Sequence[str],
) -> tuple[Shares, Share]:
    """Return each class's share of a patch's area, and the share that is not known.

    Points and lines have no area: they count as the whole of each patch that they lie in.
    """
    keys = [oracle.column] if oracle.column else CLASS_COLUMNS
    if is_osm(path) and not oracle.column:
        raise ConfigError(
            f"{path} is an OSM file, and oracle.column is missing",
            remedy=(
                f"name the tags that mean {_quoted(wanted)}, for example with "
                "--oracle-column landuse --oracle-values industrial"
            ),
        )
    layer = load(LayerSettings(path=path, layer=oracle.layer), keys)
    beyond = "unknown" if oracle.elsewhere == "unknown" else names[0]
    check_extent(path, layer.extent, pool, a_part=a_part, beyond=beyond)
    codes, has_class = _class_of_features(oracle, layer, wanted, names)
    if not layer.is_osm:
        effect = "lines count for the patches that they cross"
        warn_of_outlines(path, layer.features.geometry.to_numpy()[codes < len(wanted)], effect)
    places = _Places.of(layer)
    shares, unknown = np.zeros((len(pool), len(wanted))), np.zeros(len(pool))
    for part in pool.parts:
        windows, footprints = part.windows, part.windows.footprints()
        # a last column for features of other classes: they too are known ground
        flat, of_flat = places.polygons.onto(windows)
        of_part = class_shares(footprints, flat, codes[of_flat], len(wanted) + 1)
        patch, feature = places.without_area(windows, footprints)
        of_part[patch, codes[feature]] = 1.0
        shares[part.positions] = of_part[:, :-1]
        if oracle.elsewhere == "unknown":
            # features of several classes may overlap, and those without a class tell nothing
            known = shares_of_all(footprints, flat[has_class[of_flat]])
            known[patch[has_class[feature]]] = 1.0  # a point stands for its whole patch
            unknown[part.positions] = 1 - known
    return shares, unknown


@dataclass(frozen=True)
class _Places:
    """The simple geometries of features by their kind, each with the position of its feature."""

    polygons: PolygonLayer
    lines: PolygonLayer
    points: Points
    of_point: IntArray
    crs: CRS

    @classmethod
    def of(cls, layer: Layer) -> _Places:
        crs = layer.features.crs
        pieces, owner = pieces_of(layer.features.geometry.to_numpy())
        dimension = shapely.get_dimensions(pieces)
        polygons, lines = (
            PolygonLayer(pieces[dimension == d], crs, owner[dimension == d]) for d in (2, 1)
        )
        is_point = (dimension == 0) & ~shapely.is_empty(pieces)
        points = shapely.get_coordinates(pieces[is_point])
        return cls(polygons, lines, points, owner[is_point], crs)

    def without_area(self, windows: Windows, footprints: AnyArray) -> tuple[IntArray, IntArray]:
        """Return the windows that points lie in and lines cross, and these features, ``(k,)``."""
        holds, point = holding(windows, _in_scene(self.points, self.crs, windows))
        lines, of_line = self.lines.onto(windows)
        crosses, line, _ = crossed(footprints, lines)
        return (
            np.concatenate([holds, crosses]),
            np.concatenate([self.of_point[point], of_line[line]]),
        )


def _in_scene(points: Points, crs: CRS, windows: Windows) -> Points:
    """Return points ``(n, 2)`` of a layer in the CRS of the windows' scene, on its side of 180."""
    local = reproject(points, crs, windows.crs, windows.place).copy()
    if whole := around_the_earth(windows.crs):
        west, _, east, _ = windows.bounds()
        local[:, 0] = turned(local[:, 0], (west + east) / 2, whole)
    return local


def _class_of_features(
    oracle: OracleSettings, layer: Layer, wanted: list[str], names: Sequence[str]
) -> tuple[IntArray, BoolArray]:
    """Return each feature's class as a position in ``wanted``, and whether it has any.

    Other classes, and none, are the length of ``wanted``.
    """
    if oracle.column is None:
        if oracle.values:
            raise ConfigError(
                f"oracle.column is missing: it names the attribute of {oracle.path} that holds "
                f"{' or '.join(_all(oracle))}; the file has {', '.join(layer.fields)}",
                remedy="name one of them with --oracle-column, or as oracle.column in owl.toml",
            )
        fault = why_not_alike(layer, names, wanted[0])
        if fault is not None:
            raise ConfigError(
                f"{oracle.path}: {fault.what}",
                remedy="name the attribute that says what each shows with --oracle-column, or as "
                "oracle.column in owl.toml",
            )
        n = len(layer.features)
        return np.zeros(n, dtype=np.int64), np.ones(n, dtype=bool)
    if oracle.column not in layer.features:
        raise LayerError(
            f"{oracle.path} has no attribute {oracle.column!r}",
            remedy=suggestion(oracle.column, layer.fields),
        )
    column = layer.features[oracle.column]
    text = text_of(column)
    codes = np.full(len(column), len(wanted), dtype=np.int64)
    for code, name in enumerate(wanted):
        values = oracle.values.get(name, (name,))
        of_class = has_value(column, values)
        if not of_class.any():
            present = sorted(set(text.tolist()))
            shown = ", ".join(map(repr, present[:_SHOWN]))
            raise LayerError(
                f"{oracle.path}: no feature has {oracle.column} = {' or '.join(values)}; there "
                f"are {shown}{' ...' if len(present) > _SHOWN else ''}",
                remedy="name the values with --oracle-values, or as oracle.values in owl.toml",
            )
        codes[of_class] = code
    has_class = np.asarray((text != "").to_numpy(dtype=bool) | (codes < len(wanted)))
    others = text[codes == len(wanted)]
    _warn_of_another_case(oracle, wanted, others)
    _warn_of_no_feature(oracle, wanted, column, others)
    left_out = [name for name in names[1:] if name not in (*wanted, *RESERVED_LABELS)]
    _warn_of_classes(oracle, left_out, others, names[0])
    return codes, has_class


def _warn_of_classes(
    oracle: OracleSettings, classes: Sequence[str], others: pd.Series, background: str
) -> None:
    """Warn of features that have the name of a class of the run, and count as background."""
    named = others[others.isin(classes)]
    if len(named):
        found = sorted(set(named))
        _log.warning(
            "%s: %s %s = %s, as a class of the run is called, but the truth takes only the classes "
            "in oracle.values, and they count as %s; if they are meant, name the values of %s too, "
            "as oracle.values in owl.toml",
            oracle.path,
            counted(len(named), "feature has", "features have"),
            oracle.column,
            " or ".join(found),
            background,
            "each class" if len(found) > 1 else found[0],
        )


def _warn_of_no_feature(
    oracle: OracleSettings, wanted: list[str], column: pd.Series, others: pd.Series
) -> None:
    """Warn of values that no feature has, not even in another spelling, beside those that exist."""
    nearly = set(others.map(folded))
    several = (values for name in wanted if len(values := oracle.values.get(name, ())) > 1)
    typed = (value for values in several for value in values)
    absent = [v for v in typed if folded(v) not in nearly and not has_value(column, (v,)).any()]
    if absent:
        _log.warning(
            "%s: no feature has %s = %s; if that is a mistake, correct it in oracle.values of "
            "owl.toml, or in --oracle-values, where a value with a comma stands in double quotes",
            *(oracle.path, oracle.column, " or ".join(absent)),
        )


def _warn_of_another_case(oracle: OracleSettings, wanted: list[str], others: pd.Series) -> None:
    """Warn of classes that are not taken, but differ from those that are only in their spelling."""
    taken = {folded(value) for name in wanted for value in oracle.values.get(name, (name,))}
    nearly = others[others.map(folded).isin(taken)]
    if len(nearly):
        in_case = {value.casefold() for n in wanted for value in oracle.values.get(n, (n,))}
        is_case = nearly.str.casefold().isin(in_case).all()
        _log.warning(
            "%s: %s %s = %s, %s than the class is named, and not taken for it; if it is meant, "
            "name it too, as oracle.values in owl.toml",
            oracle.path,
            counted(len(nearly), "feature has", "features have"),
            oracle.column,
            " or ".join(sorted(set(nearly))),
            "in another case" if is_case else "written otherwise",
        )
