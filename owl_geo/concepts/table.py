"""The table of concepts: one column per declared concept, one row per patch of the index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from owl_geo.concepts.kept import KeptLayers
from owl_geo.concepts.kind import ConceptKind, Values, Work, kinds_of
from owl_geo.concepts.pool import Pool
from owl_geo.errors import ConfigError, suggestion
from owl_geo.ground.windows import PoolWindows
from owl_geo.settings.concepts import Concept, LayerSettings
from owl_geo.wording import per_cent, plural
from owl_geo.work.progress import Progress
from owl_geo.work.workers import Threads, Workers

_CLASSES_SHOWN = 12


@dataclass(frozen=True)
class ConceptTable:
    """The concepts of all patches, and how much of the patches the layers behind them cover."""

    columns: pd.DataFrame  # object (text), float64 or bool, in the order declared
    coverage: dict[str, float]  # layer, or path of a raster -> share of the patches' area, 0 to 1
    outside: tuple[str, ...] = ()  # scenes that no layer reaches, if ``skip`` was set


def concept_table(
    index: pd.DataFrame,
    windows: PoolWindows,
    concepts: Mapping[str, Concept],
    layers: Mapping[str, LayerSettings],
    progress: Progress | None = None,
    *,
    a_part: bool = False,
    skip: bool = False,
    workers: Workers | None = None,
    kept: KeptLayers | None = None,
) -> ConceptTable:
    """Compute the declared concepts for every row of a source's index, which has these windows.

    A layer is read once, however many concepts use it; ``progress`` counts concepts. The index may
    be ``a_part`` of a pool, and may then lie beyond a layer. With ``skip``, scenes that lie outside
    every layer and raster are named in ``outside``; their rows are computed as if nothing were
    there. ``workers`` share the work; by default these are threads of this process. With ``kept``,
    extracts that were read before are not read again.
    Raises ConfigError for concepts that do not fit together, and LayerError for a layer or raster
    that cannot be read, lacks what the concepts need, or lies elsewhere.
    """
    kinds = kinds_of(concepts, layers)
    _check(kinds, index)
    work = Work(
        index,
        Pool.of(windows),
        layers,
        [kind.selection for kind in kinds.values() if kind.selection is not None],
        a_part=a_part,
        workers=workers or Threads(),
        kept=kept or KeptLayers(),
    )
    for done, (name, kind) in enumerate(kinds.items()):
        if progress is not None:
            progress(done, len(kinds))
        work.columns[name] = kind.column(work)
    if progress is not None:
        progress(len(kinds), len(kinds))
    series = {
        name: pd.Series(values, index=index.index, dtype=values.dtype)
        for name, values in work.columns.items()
    }
    outside = work.untouched() if skip else ()
    return ConceptTable(pd.DataFrame(series, index=index.index), work.coverage, outside)


def _check(kinds: Mapping[str, ConceptKind[Any]], index: pd.DataFrame) -> None:
    """Raise ConfigError for a concept that does not fit the one it is derived from."""
    values: dict[str, Values] = {}
    for name, kind in kinds.items():
        values[name] = kind.values(index)
        if kind.of is None:
            continue
        if kind.of not in values or kind.of == name:
            above = [other for other in values if other != name]
            raise ConfigError(
                f"concepts.{name}: no concept {kind.of!r} above it",
                remedy=suggestion(kind.of, above),
            )
        if kind.compares not in (None, values[kind.of]):
            raise ConfigError(
                f"concepts.{name}: {kind.settings.kind} compares a {kind.compares}, "
                f"but {kind.of!r} is a {values[kind.of]}",
                remedy=kinds[kind.of].remedy_for(kind.compares),
            )


def describe(columns: pd.DataFrame, units: Mapping[str, str]) -> list[str]:
    """Return one line per concept: the counts of classes, range of numbers, or share of yes.

    ``units`` has what to write behind the numbers of a concept, such as metres.
    """
    return [f"{name}: {_summary(columns[name], units.get(str(name), ''))}" for name in columns]


def _summary(column: pd.Series, unit: str) -> str:
    n = max(len(column), 1)
    if pd.api.types.is_bool_dtype(column):
        return f"yes {column.sum():,} ({per_cent(column.sum() / n, digits=1)})"
    if pd.api.types.is_numeric_dtype(column):
        missing = int(column.isna().sum())
        if missing == len(column):
            return "no patch has a value"
        ends = ", ".join(
            f"{word} {_number(value)}"
            for word, value in (
                ("min", column.min()),
                ("median", column.median()),
                ("max", column.max()),
            )
        )
        return f"{ends}{f' {unit}' if unit else ''}, missing {missing:,}"
    counts = column.value_counts(sort=False)
    counts = counts.sort_values(ascending=False, kind="stable")
    shown = [with_share(word, k, n) for word, k in counts.head(_CLASSES_SHOWN).items()]
    rest = len(counts) - len(shown)
    return ", ".join(shown + ([f"{rest:,} more {plural(rest, 'class')}"] if rest else []))


def with_share(word: object, count: int, n: int) -> str:
    """Return a class with its count: ``forest: 148 (14.5 %)``; classes may be numbers too."""
    return f"{word}: {count:,} ({per_cent(count / n, digits=1)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
