"""The result of a comparison of strategies: one table, for a terminal, Markdown and CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from owl_geo.disk.atomic import writing_file
from owl_geo.evaluation.contestants import WORDS
from owl_geo.evaluation.curves import (
    BOUND,
    FEWEST_SEEDS,
    checked,
    count_text,
    mean_interval,
    measures,
    paired,
    percent,
    with_bound,
)
from owl_geo.wording import counted

WIDTH = 120  # columns of a terminal
_NAME = 30  # of which for a strategy's name
_NONE = "-"


def summary(
    records: pd.DataFrame,
    baseline: str = "random",
    budgets: Sequence[float] = (0.05, 0.1, 0.2),
) -> pd.DataFrame:
    """Return one row per (source, strategy) with what it achieved, as means over seeds.

    ``records`` have the columns ``curves.COLUMNS``; a budget is a share of the pool, and b in a
    column name is the budget in per cent.

    =================================== =========================================================
    source, strategy, role              role: ``bound``, ``baseline`` or empty
    seeds, targets, pool, n_last        searches; means over seeds; labels that all of them reached
    found_b, recall_b, enrichment_b,    see ``curves.measures``; each with _low and _high, the 95 %
    of_bound_b, audc, auc_b, ap_b,      t interval over seeds
    ece_b, auc, ap, ece
    labels_to_95, reached_95            median over seeds, infinite if most never reached it; the
                                        number of seeds that did
    seconds                             median of the seeds' median round
    gain_found_b, gain_auc_b            mean difference from the baseline on the same seeds; _low,
                                        _high (paired t interval), _won, _lost, _tied (seeds)
    =================================== =========================================================

    The clairvoyant bound comes first, then the strategies by their area under the discovery curve.
    Raises RunError for records that contradict themselves, ConfigError for a baseline that is not
    among them or a budget that is not a share.
    """
    records = with_bound(checked(records))
    each = measures(records, budgets)
    by = each.groupby(["source", "strategy"])
    columns: dict[str, pd.Series] = {"seeds": by.size()}
    columns |= {name: by[name].mean() for name in ("targets", "pool", "n_last")}
    names = [percent(budget) for budget in budgets]
    kinds = ("found", "recall", "enrichment", "of_bound", "auc", "ap", "ece")
    wanted = [f"{kind}_{name}" for kind in kinds for name in names]
    for column in [*wanted, "audc", "auc", "ap", "ece"]:
        over = mean_interval(by[column])
        columns |= {column: over["mean"], f"{column}_low": over["low"]}
        columns[f"{column}_high"] = over["high"]
    columns["labels_to_95"] = by["labels_to_95"].median()
    columns["reached_95"] = np.isfinite(each["labels_to_95"]).groupby(["source", "strategy"]).sum()
    columns["seconds"] = by["seconds"].median()
    for column in [f"{kind}_{name}" for kind in ("found", "auc") for name in names]:
        difference = paired(each[column], baseline).drop(columns="seeds")
        difference.columns = [_gain_name(column, part) for part in difference.columns]
        columns |= dict(difference.items())
    result = pd.DataFrame(columns).reset_index()
    role = np.select([result["strategy"] == BOUND, result["strategy"] == baseline], [0, 1], 2)
    result.insert(2, "role", np.array(["bound", "baseline", ""])[role])
    result["rank"] = -result["audc"].where(role > 0, np.inf)
    result = result.sort_values(["source", "rank", "strategy"], ignore_index=True)
    return result.drop(columns="rank")


def _gain_name(column: str, part: str) -> str:
    return f"gain_{column}" if part == "mean" else f"gain_{column}_{part}"


@dataclass(frozen=True)
class _Column:
    """A column of the printed table: its heading, and how the cell of a row is formatted."""

    title: str
    cell: Callable[[pd.Series], str]


def table(summary: pd.DataFrame) -> str:
    """Return the summary as aligned text, with a block per source, at most ``WIDTH`` wide.

    Columns that do not fit beside the names continue below, in further parts of the block.
    """
    parts = []
    for _, rows in summary.groupby("source", sort=True):
        names = [_short(_name(row)) for _, row in rows.iterrows()]
        left = max(len(name) for name in names)
        lines = [_headline(rows), ""]
        for columns in _fitting(_cells(rows), WIDTH - left):
            widths = [max(map(len, column)) for column in columns]
            for name, *cells in zip(["", *names], *columns, strict=True):
                padded = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
                lines.append("  ".join([name.ljust(left), *padded]).rstrip())
            lines.append("")
        parts.append("\n".join(lines))
    return "\n".join([*parts, *_legend(summary)]) + "\n"


def markdown(summary: pd.DataFrame) -> str:
    """Return the summary as Markdown: a heading and a table per source, then a legend."""
    lines = []
    for source, rows in summary.groupby("source", sort=True):
        columns = [["strategy", *(_name(row) for _, row in rows.iterrows())], *_cells(rows)]
        head, *body = [[_escaped(cell) for cell in row] for row in zip(*columns, strict=True)]
        lines += [f"### {_escaped(str(source))}", "", f"{_headline(rows)}.", ""]
        lines.append(f"| {' | '.join(head)} |")
        lines.append(f"| --- |{' ---: |' * (len(head) - 1)}")
        lines += [f"| {' | '.join(row)} |" for row in body]
        lines.append("")
    return "\n".join([*lines, " ".join(_legend(summary))]) + "\n"


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write records or a summary as CSV, completely or not at all.

    The same numbers give the same bytes, with six significant digits and ``nan`` and ``inf``
    spelled out. Raises RunError if the file cannot be written.
    """
    text = frame.to_csv(index=False, float_format="%.6g", na_rep="nan", lineterminator="\n")
    with writing_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def _cells(rows: pd.DataFrame) -> list[list[str]]:
    """Return the columns of a source's table, each with its title and a cell per row."""
    return [
        [column.title, *(column.cell(row) for _, row in rows.iterrows())]
        for column in _columns(rows)
    ]


def _columns(rows: pd.DataFrame) -> list[_Column]:
    names = [match[1] for match in (re.fullmatch(r"found_([\d.]+)", c) for c in rows) if match]
    reached = [name for name in names if rows[f"found_{name}"].notna().any()]
    last = (reached or names)[-1]
    return [
        *(_Column(f"found {name} %", _mean(f"found_{name}", 1)) for name in names),
        _Column("AUDC", _mean("audc", 2)),
        *(_Column(f"gain {name} %", _gain(f"gain_found_{name}", 1)) for name in names),
        _Column(f"w-l-t {last} %", _won(f"gain_found_{last}")),
        _Column(f"recall {last} %", _mean(f"recall_{last}", 2)),
        _Column("enrichment", _mean(f"enrichment_{last}", 1)),
        _Column("AUC", _mean("auc", 3)),
        _Column(f"AUC gain {last} %", _gain(f"gain_auc_{last}", 3)),
        _Column("AP", _mean("ap", 2)),
        _Column("ECE", _mean("ece", 2)),
        _Column("to 95 %", _labels),
        _Column("s/round", lambda row: _number(row["seconds"], 2)),
    ]


def _mean(column: str, digits: int) -> Callable[[pd.Series], str]:
    def cell(row: pd.Series) -> str:
        half = (row[f"{column}_high"] - row[f"{column}_low"]) / 2
        text = _number(row[column], digits)
        few = math.isnan(half) or row["seeds"] < FEWEST_SEEDS
        return text if few else f"{text} ±{_number(half, digits)}"

    return cell


def _gain(column: str, digits: int) -> Callable[[pd.Series], str]:
    plain = _mean(column, digits)

    def cell(row: pd.Series) -> str:
        if row["role"] == "baseline" or math.isnan(row[column]):
            return _NONE
        return plain(row) if row[column] < 0 else f"+{plain(row)}"

    return cell


def _won(column: str) -> Callable[[pd.Series], str]:
    def cell(row: pd.Series) -> str:
        counts = [row[f"{column}_{part}"] for part in ("won", "lost", "tied")]
        if row["role"] == "baseline" or not sum(counts):
            return _NONE
        return "-".join(f"{count:.0f}" for count in counts)

    return cell


def _labels(row: pd.Series) -> str:
    if math.isinf(row["labels_to_95"]):
        return f"not by {row['n_last']:.0f}"
    return _number(row["labels_to_95"], 0)


def _number(value: float, digits: int) -> str:
    return _NONE if math.isnan(value) else f"{value:.{digits}f}"


def _name(row: pd.Series) -> str:
    return f"{row['strategy']} ({row['role']})" if row["role"] else str(row["strategy"])


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _headline(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    low, high = rows["seeds"].min(), rows["seeds"].max()
    seeds = counted(high, "seed") if low == high else f"{low} to {high} seeds"
    prevalence = 100 * first["targets"] / first["pool"]
    targets, pool, labels = (count_text(first[name]) for name in ("targets", "pool", "n_last"))
    return (
        f"{first['source']}: {targets} targets in {pool} patches ({prevalence:.2f} %), {seeds}, "
        f"{labels} labels"
    )


def _fitting(columns: list[list[str]], width: int) -> list[list[list[str]]]:
    """Split columns into groups at most ``width`` wide, with two spaces before each column."""
    groups: list[list[list[str]]] = []
    room = 0
    for column in columns:
        needed = 2 + max(map(len, column))
        if not groups or needed > room:
            groups.append([])
            room = width
        groups[-1].append(column)
        room -= needed
    return groups


def _legend(summary: pd.DataFrame) -> list[str]:
    baselines = summary.loc[summary["role"] == "baseline", "strategy"]
    baseline = baselines.iloc[0] if len(baselines) else "the baseline"
    explained = [name for name in dict.fromkeys(summary["strategy"]) if name in WORDS]
    return [
        *(f"{name}: {WORDS[name]}." for name in explained),
        "found, gain, recall: once that percentage of the pool has been labelled.",
        f"±: half the width of the 95 % t interval over seeds, shown for {FEWEST_SEEDS} or more.",
        f"gain: difference from {baseline} on the same seeds;",
        "w-l-t: seeds won, lost and tied.",
        "AUDC: area under the discovery curve, 1 for the bound.",
        "enrichment: targets found relative to a random draw, at the budget of recall.",
        "AUC (area under the ROC curve), AP (average precision), ECE (expected calibration error):",
        "on the test part, after the last label.",
        "to 95 %: median number of labels until the AUC is 95 % of that with all labels.",
    ]
