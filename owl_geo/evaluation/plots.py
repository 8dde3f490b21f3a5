"""The curves of a comparison as pictures.

Figures are made without pyplot, so no window system is needed and no global state is left behind.
The same records give the same bytes with the same version of matplotlib.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.disk.atomic import writing_file
from owl_geo.disk.file_names import file_names
from owl_geo.evaluation.contestants import WORDS
from owl_geo.evaluation.curves import (
    BOUND,
    COUNTS,
    FEWEST_SEEDS,
    area_under_discovery,
    checked,
    count_text,
    curves,
    difference_curves,
    with_bound,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe & Ito 2008, distinguishable with colour blindness; their yellow is too pale on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
REFERENCE = "#555555"
_OTHER = "#B0B0B0"
_PNG_DPI = 150
_LINE_INCHES = 0.15  # height of a name beside the curves
_MOST = 7  # strategies that are drawn in colour
_MOST_BANDS = 4  # more of them run into one grey area; bars beside the panel take their place
_NAMES_AT = 0.035  # where names begin, beyond the right edge of a panel of width 1
_BAR_GAP = 0.012  # between two bars there


@dataclass(frozen=True)
class _Style:
    """How a strategy is drawn."""

    colour: str
    dashes: str | tuple[int, tuple[float, ...]]
    width: float
    interval: bool  # whether its 95 % interval is drawn
    level: int  # position in the drawing order


def plot_curves(
    records: pd.DataFrame,
    folder: Path,
    *,
    baseline: str = "random",
    svg: bool = False,
) -> list[Path]:
    """Draw the discovery and learning curves of each source as ``curves_<source>.png``.

    Returns the files. Lines are means over seeds. With five seeds or more, bands are their 95 % t
    intervals, clipped to possible values; of more than four strategies, bars at the right edge show
    those after the last label. All strategies are in colour, or the seven that found most if there
    are more; the others are thin and grey. The clairvoyant bound and the baseline are grey
    references.

    Args:
        records: rounds of searches, see ``curves.COLUMNS``.
        folder: created if it does not exist; files of the same name are replaced.
        baseline: the strategy to compare with.
        svg: also write ``curves_<source>.svg``.

    Raises RunError where the records contradict themselves, or the files cannot be written.
    """
    records = with_bound(checked(records))
    styles = _styles(records, baseline)
    found, auc = curves(records, "positives_found"), curves(records, "test_auc")
    files = _files(sorted(map(str, records["source"].unique())))
    written = []
    for source, rows in records.groupby("source", sort=True):
        pool, seeds = float(rows["pool"].mean()), rows["seed"].nunique()
        targets = float(rows.groupby("seed")["targets"].first().mean())
        figure, (left, right) = _figure(2, 1, width=13.5, height=5.6)
        _draw(left, found[found["source"] == source], styles, pool, within=(0.0, targets))
        whole_numbers(left.yaxis)
        left.set_title("Discovery", loc="left")
        left.set_ylabel(f"targets found (of {count_text(targets)})")
        _draw(right, auc[auc["source"] == source], styles, pool, within=(0.0, 1.0))
        right.set_title("Learning", loc="left")
        right.set_ylabel("ROC AUC on the test part")
        figure.suptitle(
            f"{source}: {count_text(targets)} targets in {count_text(pool)} patches, "
            f"{_seeds(seeds, as_bands=_as_bands(rows, styles))}"
        )
        written += _save(figure, folder, f"curves_{files[str(source)]}", svg)
    return written


def plot_differences(
    records: pd.DataFrame,
    folder: Path,
    *,
    baseline: str = "random",
    svg: bool = False,
) -> list[Path]:
    """Draw how much more each strategy found and learnt than the baseline; return the files.

    The picture, ``differences.png``, has a column per source: targets found at the top, test AUC
    below, each as the mean difference from the baseline on the same seeds with its 95 % interval,
    drawn as by ``plot_curves``. Where it includes 0, the seeds do not distinguish the two.
    Arguments and errors are those of ``plot_curves``; a baseline without records is a ConfigError.
    """
    records = checked(records)
    styles = _styles(records, baseline)
    columns = {
        f"targets found, more than {baseline}": "positives_found",
        f"ROC AUC, more than {baseline}": "test_auc",
    }
    sources = sorted(records["source"].unique())
    width = max(7.5, 6.6 * len(sources))
    figure, panels = _figure(len(sources), len(columns), width=width, height=9.0)
    for row, (label, column) in enumerate(columns.items()):
        differences = difference_curves(records, column, baseline)
        shown = differences[~differences["strategy"].isin([baseline, BOUND])]
        for number, source in enumerate(sources):
            axes = panels[row * len(sources) + number]
            of_source = records[records["source"] == source]
            pool = float(of_source["pool"].mean())
            axes.axhline(0, color=REFERENCE, linewidth=1.2, zorder=3)
            _draw(axes, shown[shown["source"] == source], styles, pool)
            axes.set_ylabel(label)
            if column in COUNTS:
                whole_numbers(axes.yaxis)
            if row == 0:
                seeds = of_source["seed"].nunique()
                as_bands = _as_bands(shown[shown["source"] == source], styles)
                axes.set_title(f"{source}, {_seeds(seeds, as_bands=as_bands)}", loc="left")
    figure.suptitle(f"Difference from {baseline}, between searches with the same seed")
    return _save(figure, folder, "differences", svg)


def _styles(records: pd.DataFrame, baseline: str) -> dict[str, _Style]:
    """Return how each strategy is drawn, the same for every source."""
    area = area_under_discovery(records).groupby("strategy").mean()
    best = [str(name) for name in area.sort_values(ascending=False, kind="stable").index]
    references = {
        baseline: _Style(REFERENCE, (0, (6, 2)), 1.6, interval=True, level=3),
        BOUND: _Style(REFERENCE, (0, (1, 1.3)), 1.6, interval=False, level=3),
    }
    named = [name for name in best if name not in references][:_MOST]
    styles = {name: _Style(_OTHER, "-", 0.9, interval=False, level=2) for name in best}
    for number, name in enumerate(named):
        colour = COLOURS[number % len(COLOURS)]
        dashes = _DASHES[number % len(_DASHES)]
        styles[name] = _Style(colour, dashes, 1.9, interval=True, level=4)
    return styles | references


def _figure(columns: int, rows: int, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return an empty figure, its size in inches, and its panels, row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    return figure, list(panels.ravel())


def _draw(
    axes: Axes,
    rows: pd.DataFrame,
    styles: dict[str, _Style],
    pool: float,
    *,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Draw a panel's lines and intervals, with the name of each line at its end."""
    ends: dict[str, tuple[float, float]] = {}
    bars: dict[str, tuple[float, float]] = {}
    as_bands = _as_bands(rows, styles)
    for name, part in rows[rows["mean"].notna()].groupby("strategy", sort=True):
        style = styles[str(name)]
        x, y = part["n_labeled"].to_numpy(), part["mean"].to_numpy()
        enough = part["seeds"] >= FEWEST_SEEDS
        low, high = (part[side].where(enough).clip(*within).to_numpy() for side in ("low", "high"))
        if style.interval and as_bands and enough.any():
            axes.fill_between(x, low, high, color=style.colour, alpha=0.1, linewidth=0, zorder=1)
        elif style.interval and not as_bands and enough.iloc[-1]:
            bars[str(name)] = float(low[-1]), float(high[-1])
        axes.plot(
            x,
            y,
            color=style.colour,
            linestyle=style.dashes,
            linewidth=style.width,
            marker="o" if len(x) == 1 else None,
            zorder=style.level,
        )
        ends[str(name)] = float(x[-1]), float(y[-1])
    axes.set_xlim(0, max((x for x, _ in ends.values()), default=1.0))
    whole_numbers(axes.xaxis)
    axes.set_xlabel(f"patches labelled (of {count_text(pool)})")
    axes.grid(color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    names = sorted(ends, key=lambda name: (ends[name][1], name))
    _draw_bars(axes, [(bars[name], styles[name].colour) for name in names if name in bars])
    _write_names(axes, names, ends, styles, beyond=_BAR_GAP * len(bars))


def _as_bands(rows: pd.DataFrame, styles: dict[str, _Style]) -> bool:
    """Return whether the intervals of these strategies can be told apart as bands."""
    return sum(styles[str(name)].interval for name in rows["strategy"].unique()) <= _MOST_BANDS


def _draw_bars(axes: Axes, bars: Sequence[tuple[tuple[float, float], str]]) -> None:
    """Draw intervals, each with its colour, as upright bars side by side at the right edge."""
    for number, ((low, high), colour) in enumerate(bars, start=1):
        at = 1 + _BAR_GAP * number
        axes.plot(
            [at, at],
            [low, high],
            color=colour,
            linewidth=1.6,
            solid_capstyle="butt",
            transform=axes.get_yaxis_transform(),  # x as a share of the panel's width
            clip_on=False,
        )


def whole_numbers(axis: Axis) -> None:
    """Make an axis of counts show only whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def _write_names(
    axes: Axes,
    names: Sequence[str],
    ends: dict[str, tuple[float, float]],
    styles: dict[str, _Style],
    beyond: float,
) -> None:
    """Write names beside the right edge, moved apart, each connected to the end of its line.

    The names are in the order of their lines, from the bottom up; ``beyond`` is the room that bars
    take up.
    """
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)  # the names must not change the limits
    wanted = np.array([(ends[name][1] - low) / (high - low) for name in names])
    height = cast("Figure", axes.figure).get_size_inches()[1]
    rows = axes.get_subplotspec().get_gridspec().nrows  # type: ignore[union-attr]  # in a grid
    gap = _LINE_INCHES / (0.78 * height / rows)
    for name, at in zip(names, _apart(wanted, gap), strict=True):
        style = styles[name]
        # the annotation's arrow is the thin line to the end of the curve
        axes.annotate(
            WORDS.get(name, name),
            xy=ends[name],
            xytext=(1 + _NAMES_AT + beyond, at),
            textcoords="axes fraction",
            va="center",
            fontsize=8.5 if style.level > 2 else 7.5,
            color=style.colour if style.level > 2 else "#777777",
            arrowprops={
                "arrowstyle": "-",
                "color": style.colour,
                "linewidth": 0.6,
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def _apart(wanted: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Move ascending positions as little as possible until neighbours are ``gap`` apart.

    They stay within [0, 1] as long as there is room for all.
    """
    from sklearn.isotonic import isotonic_regression

    if len(wanted) == 0:
        return wanted
    steps = gap * np.arange(len(wanted))
    moved = np.asarray(isotonic_regression(wanted - steps))
    return np.asarray(np.clip(moved, 0, max(0.0, 1 - steps[-1])) + steps)


def _save(figure: Figure, folder: Path, name: str, svg: bool) -> list[Path]:
    """Write the figure as PNG, and as SVG if requested, without a date."""
    from matplotlib import rc_context

    written = []
    with rc_context({"svg.hashsalt": "owl-geo"}):
        for suffix in ("png", "svg") if svg else ("png",):
            path = folder / f"{name}.{suffix}"
            omitted = {"Date": None} if suffix == "svg" else {"Software": None}
            with writing_file(path) as partial:
                figure.savefig(partial, dpi=_PNG_DPI, metadata=omitted, facecolor="white")
            written.append(path)
    return written


def _files(sources: Sequence[str]) -> dict[str, str]:
    """Return the sources' names with the characters that file systems refuse replaced.

    Names that would be one file's, even if case is ignored, are those that scenes would have.
    """
    plain = {name: re.sub(r"[^\w.-]+", "_", name).strip(".") or "source" for name in sources}
    often, apart = Counter(map(str.casefold, plain.values())), file_names(sources)
    return {
        name: file if often[file.casefold()] == 1 else apart[name] for name, file in plain.items()
    }


def _seeds(count: int, *, as_bands: bool) -> str:
    if count == 1:
        return "1 search"
    said = f"means of {count} searches"
    if count < FEWEST_SEEDS:
        return said
    return f"{said}, {'bands' if as_bands else 'bars at the right'}: their 95 % intervals"
