"""From the records of simulated searches to curves and numbers, per search and over seeds.

Records are a long table with one row per round of a search, which is a (source, strategy, seed):
see ``COLUMNS``. A curve is taken to be straight between two records, and unknown (not-a-number)
before the first and after the last record of a search, except that nothing is found without labels.
So budgets need not coincide with the ends of rounds, and different batch sizes can be compared.

All intervals are 95 % t intervals over seeds, and not-a-number for a single seed. They show how
much of a result is due to the luck of the seed on *this* source, not what to expect of another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from owl_geo.errors import ConfigError, RunError, suggestion

FEWEST_SEEDS = 5  # with fewer, an interval says too little to be shown
BOUND = "clairvoyant"  # the strategy that knows the truth; no other can find more
SEARCH = ["source", "strategy", "seed"]
_SAME = 1e-9  # what equal counts and AUCs may differ by, which are sums of fractions in floats
COUNTS = ("seed", "n_labeled", "positives_found", "targets", "pool")
COLUMNS = (
    *SEARCH,
    "n_labeled",  # patches answered so far
    "positives_found",  # targets among them
    "targets",  # in the pool that could be asked at the start
    "pool",  # patches that could be asked at the start
    "test_auc",
    "test_ap",  # average precision
    "test_ece",  # expected calibration error
    "seconds",  # of this round
)  # and, if there is one, full_auc: test AUC of the model fitted on the whole pool


def checked(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records sorted by search and labels, with ``full_auc`` (nan where not given).

    Raises RunError if there are none, a column is missing, a search has two records with the same
    number of labels, or its counts contradict each other.
    """
    for name in COLUMNS:
        if name not in records:
            raise RunError(
                f"the records have no column {name!r}", remedy=suggestion(name, records.columns)
            )
    if records.empty:
        raise RunError("there are no records", remedy="run a comparison first")
    records = records.sort_values([*SEARCH, "n_labeled"], ignore_index=True)
    if "full_auc" not in records:
        records["full_auc"] = np.nan
    double = records.duplicated([*SEARCH, "n_labeled"])
    most = records[["n_labeled", "targets"]].min(axis=1)
    fixed = records.groupby(SEARCH)[["targets", "pool"]].transform("first")
    changed = (fixed != records[["targets", "pool"]]).any(axis=1)
    for wrong, why in [
        (double, "appears twice; were two experiments combined?"),
        (records["positives_found"] > most, "has found more targets than there are"),
        (changed, "has a different pool from its first round"),
    ]:
        if wrong.any():
            row = records[wrong].iloc[0]
            raise RunError(
                f"records: {row['source']}, {row['strategy']}, seed {row['seed']}, "
                f"{row['n_labeled']} labels: {why}"
            )
    return records


def with_bound(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records together with those of a search that finds a target with each label.

    Its strategy is ``clairvoyant``; it has no model, so its test measures are not-a-number. Records
    that have this strategy already are returned as they are.
    """
    if BOUND in set(records["strategy"]):
        return records
    nothing = dict.fromkeys(["test_auc", "test_ap", "test_ece", "seconds", "full_auc"], np.nan)
    bound = records.assign(strategy=BOUND, **nothing)
    # the curve bends where all targets are found, which need not be the end of a round
    last = bound.groupby(SEARCH)["n_labeled"].transform("max")
    bend = bound[bound["targets"] < last].assign(n_labeled=lambda rows: rows["targets"])
    bound = pd.concat([bound, bend]).drop_duplicates([*SEARCH, "n_labeled"])
    bound["positives_found"] = bound[["n_labeled", "targets"]].min(axis=1)
    both = pd.concat([records, bound])
    return both.sort_values([*SEARCH, "n_labeled"], ignore_index=True)


def common_end(records: pd.DataFrame) -> pd.Series:
    """Return for each source the largest number of labels that all of its searches reached."""
    ends = records.groupby(SEARCH)["n_labeled"].max()
    return ends.groupby("source").min()


def at_labels(
    records: pd.DataFrame, column: str, labels: Sequence[float] | NDArray[np.floating]
) -> pd.DataFrame:
    """Return a column's value after each of these numbers of labels: a row per search.

    Values are not-a-number outside the range that the search recorded; ``positives_found`` starts
    at 0 with 0 labels.
    """
    labels = np.asarray(labels, dtype=np.float64)
    values = {}
    for search, part in records.groupby(SEARCH, sort=True):
        recorded = part[[column]].notna().to_numpy()[:, 0]
        x = part["n_labeled"].to_numpy(dtype=np.float64)[recorded]
        y = part[column].to_numpy(dtype=np.float64)[recorded]
        if column == "positives_found" and (len(x) == 0 or x[0] > 0):
            x, y = np.append(0.0, x), np.append(0.0, y)
        empty = np.full(len(labels), np.nan)
        values[search] = np.interp(labels, x, y, np.nan, np.nan) if len(x) else empty
    frame = pd.DataFrame.from_dict(values, orient="index", columns=labels)
    frame.index = pd.MultiIndex.from_tuples(frame.index, names=SEARCH)
    return frame


def curves(records: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the mean curve of each (source, strategy) over seeds with its interval.

    Columns: source, strategy, n_labeled, mean, low, high, seeds. ``positives_found`` makes the
    discovery curve, ``test_auc`` the learning curve. They run from 0 labels to ``common_end``, so
    that every point of a curve covers the same seeds, provided they have a value there.
    """
    return _over_seeds(records, column, baseline=None)


def difference_curves(records: pd.DataFrame, column: str, baseline: str) -> pd.DataFrame:
    """Return the mean paired difference from the baseline on the same seeds, as ``curves`` does.

    Raises ConfigError if no search has the baseline's strategy.
    """
    _require(records, baseline)
    return _over_seeds(records, column, baseline)


def _over_seeds(records: pd.DataFrame, column: str, baseline: str | None) -> pd.DataFrame:
    parts = []
    ends = common_end(records)
    for source, of_source in records.groupby("source", sort=True):
        labels = np.unique(np.append(0.0, of_source["n_labeled"].to_numpy(dtype=np.float64)))
        values = at_labels(of_source, column, labels[labels <= ends[source]])
        if baseline is not None:
            values = _paired(values, baseline)
        tall = values.reset_index().melt(SEARCH, var_name="n_labeled", value_name="value")
        tall["n_labeled"] = tall["n_labeled"].astype(np.float64)
        parts.append(mean_interval(tall.groupby(["source", "strategy", "n_labeled"])["value"]))
    return pd.concat(parts).reset_index()


def mean_interval(values: pd.api.typing.SeriesGroupBy) -> pd.DataFrame:
    """Return mean, low, high and seeds (how many had a value) of each group."""
    from scipy.special import stdtrit

    mean, deviation, seeds = values.mean(), values.std(ddof=1), values.count()
    half = stdtrit((seeds - 1).clip(lower=1), 0.975) * deviation / np.sqrt(seeds.clip(lower=1))
    return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half, "seeds": seeds})


def measures(records: pd.DataFrame, budgets: Sequence[float] = (0.05, 0.1, 0.2)) -> pd.DataFrame:
    """Return what each search achieved, with one row per (source, strategy, seed), the index.

    A budget is a share of the pool, in whole labels; b in a column name is the budget in per cent.

    ============== =================================================================
    found_b        targets found with that many labels
    recall_b       found / targets
    enrichment_b   (found / labels) / (targets / pool): a random search has 1
    of_bound_b     found / min(targets, labels): 1 is the best possible
    auc_b, ap_b,   test measures with that many labels
    ece_b
    audc           area under the discovery curve, see ``area_under_discovery``
    auc, ap, ece   test measures at the source's ``common_end``
    labels_to_95   labels until the test AUC is 95 % of full_auc, see ``labels_to``
    seconds        median of a round
    ============== =================================================================
    """
    check_budgets(budgets)
    first = records.groupby(SEARCH)[["targets", "pool"]].first()
    result = first.copy()
    ends = common_end(records)
    for budget in budgets:
        labels = np.floor(budget * first["pool"] + 1e-9)
        found = _each_at(records, "positives_found", labels)
        name = percent(budget)
        result[f"found_{name}"] = found
        result[f"recall_{name}"] = found / first["targets"]
        result[f"enrichment_{name}"] = (found / labels) / (first["targets"] / first["pool"])
        result[f"of_bound_{name}"] = found / np.minimum(first["targets"], labels)
        for measure in ("auc", "ap", "ece"):
            result[f"{measure}_{name}"] = _each_at(records, f"test_{measure}", labels)
    result["audc"] = area_under_discovery(records)
    last = pd.Series(ends.reindex(first.index.get_level_values("source")).to_numpy(), first.index)
    for name in ("auc", "ap", "ece"):
        result[name] = _each_at(records, f"test_{name}", last)
    result["n_last"] = last
    result["labels_to_95"] = labels_to(records, 0.95)
    result["seconds"] = records.groupby(SEARCH)["seconds"].median()
    return result


def percent(budget: float) -> str:
    """Return a budget as it appears in column names: 0.05 -> ``5``, 0.025 -> ``2.5``."""
    return f"{100 * budget:.6g}"


def count_text(value: float) -> str:
    """Format a count, or the mean of counts that differ between seeds."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def check_budgets(budgets: Sequence[float]) -> None:
    """Raise ConfigError unless there are budgets and each is a share of the pool."""
    if not budgets or not all(0 < budget <= 1 for budget in budgets):
        raise ConfigError(
            f"budgets are {', '.join(f'{b:g}' for b in budgets) or 'none'}, but each must be a "
            "share of the pool, above 0 and up to 1"
        )


def _each_at(records: pd.DataFrame, column: str, labels: pd.Series) -> pd.Series:
    """Return each search's value after the number of labels given for it."""
    grid = np.unique(labels.to_numpy(dtype=np.float64))
    values = at_labels(records, column, grid).reindex(labels.index)
    column_of = np.searchsorted(grid, labels.to_numpy(dtype=np.float64))
    return pd.Series(values.to_numpy()[np.arange(len(values)), column_of], labels.index)


def area_under_discovery(records: pd.DataFrame) -> pd.Series:
    """Return the normalised area under each search's discovery curve, at most 1.

    Both the curve of targets found and its bound, min(labels, targets), are integrated by the
    trapezoid rule from 0 labels to the source's ``common_end``, at the numbers of labels that any
    search of the source recorded; the result is the ratio of the two. The bound, and so a strategy
    that knows the truth from the first label on, has exactly 1.
    """
    parts = []
    ends = common_end(records)
    for source, of_source in records.groupby("source", sort=True):
        recorded = of_source["n_labeled"].to_numpy(dtype=np.float64)
        labels = np.unique(np.append(0.0, recorded[recorded <= ends[source]]))
        found = at_labels(of_source, "positives_found", labels)
        targets = of_source.groupby(SEARCH)["targets"].first().reindex(found.index).to_numpy()
        bound = np.minimum(labels, targets[:, None])
        with np.errstate(invalid="ignore", divide="ignore"):
            area = _trapezoids(found.to_numpy(), labels) / _trapezoids(bound, labels)
        parts.append(pd.Series(area, found.index))
    return pd.concat(parts)


def _trapezoids(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = ((values[:, 1:] + values[:, :-1]) / 2) @ np.diff(at)
    return result


def labels_to(records: pd.DataFrame, share: float = 0.95) -> pd.Series:
    """Return how many labels each search took to reach ``share`` of its ``full_auc``.

    This is the first record whose test AUC reaches that mark and whose successor does too, so that
    one lucky round does not count. Only records up to ``common_end`` are considered. The result is
    infinite if there is no such record, even if the last one alone reaches the mark, and
    not-a-number if ``full_auc`` is.
    """
    records = records[records["n_labeled"] <= records["source"].map(common_end(records))]
    mark = share * records["full_auc"]
    at_mark = records["test_auc"] >= mark
    search = [records[name] for name in SEARCH]
    held = at_mark & at_mark.groupby(search).shift(-1, fill_value=False)
    first = records["n_labeled"].where(held).groupby(search).min()
    return first.fillna(np.inf).where(records.groupby(SEARCH)["full_auc"].first().notna())


def paired(values: pd.Series, baseline: str) -> pd.DataFrame:
    """Compare each strategy with the baseline on the same seeds.

    Args:
        values: one number per search, indexed by (source, strategy, seed), as ``measures`` gives.
        baseline: the strategy to compare with.

    Returns:
        A row per (source, strategy): mean, low, high (paired t interval of the difference, nan for
        fewer than two seeds), seeds (in common), won, lost, tied (seeds above, below, equal to the
        baseline). Differences between infinities are left out.

    Raises:
        ConfigError: no search has the baseline's strategy.
    """
    _require(values.index.to_frame(index=False), baseline)
    difference = _paired(values.to_frame("value"), baseline)["value"]
    difference = difference[np.isfinite(difference)]
    by = ["source", "strategy"]
    strategies = values.groupby(by).size().index
    result = mean_interval(difference.groupby(by))
    result["won"] = (difference > _SAME).groupby(by).sum()
    result["lost"] = (difference < -_SAME).groupby(by).sum()
    result["tied"] = (difference.abs() <= _SAME).groupby(by).sum()
    result = result.reindex(strategies)
    counts = ["seeds", "won", "lost", "tied"]
    result[counts] = result[counts].fillna(0).astype(np.int64)
    result.loc[result["seeds"] < 2, ["mean", "low", "high"]] = np.nan
    return result


def _paired(values: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Subtract the baseline's row of the same source and seed; rows without one are dropped."""
    if baseline not in values.index.get_level_values("strategy"):
        return values.iloc[:0]
    base = values.xs(baseline, level="strategy")
    pairs = pd.MultiIndex.from_arrays(
        [values.index.get_level_values("source"), values.index.get_level_values("seed")]
    )
    return (values - base.reindex(pairs).to_numpy()).loc[pairs.isin(base.index)]


def _require(records: pd.DataFrame, baseline: str) -> None:
    strategies = records["strategy"].unique()
    if baseline not in strategies:
        raise ConfigError(
            f"there are no records of the baseline {baseline!r}",
            remedy=suggestion(baseline, strategies),
        )
