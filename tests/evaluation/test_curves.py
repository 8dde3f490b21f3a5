"""From records to curves, paired differences, tables and pictures."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from records import drawn, search

from owl_geo.errors import ConfigError, RunError
from owl_geo.evaluation import curves, plots, report

SKILLS = {"random": 0.0, "good": 0.6, "fair": 0.3}


# --- numbers of one search ------------------------------------------------------------------------


def test_budgets_between_two_rounds_are_interpolated() -> None:
    records = curves.checked(search("a", 0, [10, 30], [2, 12], auc=[0.6, 0.8]))
    row = curves.measures(records, [0.1, 0.15]).loc["here", "a", 0]
    assert row["found_10"] == pytest.approx(7)  # at 20 of 200
    assert row["recall_10"] == pytest.approx(7 / 20)
    assert row["enrichment_10"] == pytest.approx((7 / 20) / (20 / 200))
    assert row["of_bound_10"] == pytest.approx(7 / 20)
    assert row["auc_10"] == pytest.approx(0.7)
    assert row["found_15"] == 12
    assert row["of_bound_15"] == pytest.approx(12 / 20)  # 20 targets, 30 labels


def test_a_budget_is_whole_labels_and_what_was_not_reached_is_not_known() -> None:
    records = curves.checked(search("a", 0, [10, 20], [1, 2], pool=207))
    row = curves.measures(records, [0.01, 0.1, 0.2]).loc["here", "a", 0]
    assert row["found_10"] == 2  # 20.7 labels would be beyond the last record
    assert math.isnan(row["found_20"])
    assert row["found_1"] == pytest.approx(0.2)  # nothing is found without labels
    assert math.isnan(row["auc_1"])  # but no model is known there
    for broken in (0, 1.5, -0.1):
        with pytest.raises(ConfigError, match="share of the pool"):
            curves.measures(records, [broken])


def test_area_under_the_discovery_curve() -> None:
    records = curves.checked(
        pd.concat(
            [
                search("best", 0, [10, 20, 30], [10, 20, 20]),
                search("none", 0, [10, 20, 30], [0, 0, 0]),
                search("half", 0, [10, 20, 30], [5, 10, 10]),
                search("late", 0, [10, 20, 30], [0, 0, 20]),
            ]
        )
    )
    area = curves.area_under_discovery(records)["here"].droplevel("seed")
    assert area.to_dict() == pytest.approx(
        {"best": 1, "none": 0, "half": 0.5, "late": 100 / (50 + 150 + 200)}
    )
    longer = pd.concat([records, search("long", 0, [10, 20, 30, 40], [10, 20, 20, 20])])
    again = curves.area_under_discovery(curves.checked(longer))["here"].droplevel("seed")
    assert again[area.index].to_dict() == pytest.approx(area.to_dict())  # up to what all reached
    assert again["long"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("auc", "expected"),
    [
        ([0.5, 0.86, 0.87, 0.88], 20),
        ([0.86, 0.5, 0.86, 0.87], 30),  # one lucky round does not count
        ([0.5, 0.5, 0.5, 0.9], math.inf),  # nor does the last one
        ([0.5, math.nan, 0.9, 0.9], 30),
        ([0.5, 0.5, 0.5, 0.5], math.inf),
    ],
)
def test_labels_until_the_auc_is_near_that_of_the_whole_pool(auc, expected) -> None:
    records = curves.checked(search("a", 0, [10, 20, 30, 40], [0, 1, 2, 3], auc=auc))
    assert curves.labels_to(records, 0.95).item() == expected  # the mark is 0.855


def test_labels_to_a_mark_that_nobody_knows() -> None:
    records = search("a", 0, [10, 20], [0, 1], auc=[0.9, 0.9])
    unknown = curves.labels_to(curves.checked(records.assign(full_auc=np.nan)))
    assert math.isnan(unknown.item())
    missing = curves.labels_to(curves.checked(records.drop(columns="full_auc")))
    assert math.isnan(missing.item())


def test_the_bound_finds_a_target_with_each_label() -> None:
    records = curves.with_bound(curves.checked(search("a", 0, [15, 25, 40], [1, 2, 3])))
    bound = records[records["strategy"] == curves.BOUND]
    assert bound[["n_labeled", "positives_found"]].to_numpy().tolist() == [
        [15, 15],
        [20, 20],
        [25, 20],
        [40, 20],
    ]
    assert curves.with_bound(records).equals(records)
    row = curves.measures(records, [0.1]).loc["here", curves.BOUND, 0]
    assert row["of_bound_10"] == 1
    assert row["audc"] == pytest.approx(1)


# --- over seeds -----------------------------------------------------------------------------------


def test_mean_curves_have_t_intervals() -> None:
    parts = [search("a", seed, [10], [found]) for seed, found in enumerate([2, 4, 6])]
    rows = curves.curves(curves.checked(pd.concat(parts)), "positives_found")
    last = rows[rows["n_labeled"] == 10].iloc[0]
    half = 4.302653 * 2 / math.sqrt(3)  # t of 2 degrees of freedom
    assert (last["mean"], last["seeds"]) == (4, 3)
    assert (last["low"], last["high"]) == pytest.approx((4 - half, 4 + half))
    one = curves.curves(curves.checked(parts[0]), "positives_found").iloc[-1]
    assert one["mean"] == 2
    assert math.isnan(one["low"])


def test_differences_are_paired_by_seed() -> None:
    # seeds differ by far more than the strategies do
    base, gain = [1, 6, 11], [2, 3, 1]
    parts = [search("random", seed, [20], [n]) for seed, n in enumerate(base)]
    parts += [
        search("a", seed, [20], [n + more])
        for seed, (n, more) in enumerate(zip(base, gain, strict=True))
    ]
    parts += [search("a", 9, [20], [0])]  # the baseline has no such seed
    parts += [search("single", 1, [20], [5])]
    values = curves.measures(curves.checked(pd.concat(parts)), [0.1])["found_10"]
    rows = curves.paired(values, "random").loc["here"]
    half = 4.302653 * 1 / math.sqrt(3)
    assert rows.loc["a", ["mean", "low", "high"]].tolist() == pytest.approx([2, 2 - half, 2 + half])
    assert rows.loc["a", ["seeds", "won", "lost", "tied"]].tolist() == [3, 3, 0, 0]
    assert rows.loc["random", ["mean", "low", "high", "tied"]].tolist() == [0, 0, 0, 3]
    assert rows.loc["single", ["seeds", "won", "lost", "tied"]].tolist() == [1, 0, 1, 0]
    assert rows.loc["single", ["mean", "low", "high"]].isna().all()
    with pytest.raises(ConfigError, match="did you mean 'random'"):
        curves.paired(values, "randon")


def test_what_is_equal_but_for_the_rounding_of_floats_is_tied() -> None:
    """Between two rounds, counts are interpolated: 6 of 10 on the way from 0 to 6 and 3 to 4."""
    parts = [
        search("random", 0, [10, 20], [0, 6], auc=[0.5, 0.619485294117647]),
        search("a", 0, [10, 20], [3, 4], auc=[0.5, 0.6194852941176471]),
        search("random", 1, [10, 20], [3, 4], auc=[0.5, 0.6194852941176471]),
        search("a", 1, [10, 20], [0, 6], auc=[0.5, 0.619485294117647]),
    ]
    values = curves.measures(curves.checked(pd.concat(parts)), [0.08, 0.1])
    for column in ("found_8", "auc_10"):
        rows = curves.paired(values[column], "random").loc["here", "a"]
        assert rows[["won", "lost", "tied"]].tolist() == [0, 0, 2], column


def test_records_that_contradict_themselves() -> None:
    good = search("a", 0, [10, 20], [1, 2])
    for wrong, message in [
        (good.drop(columns="targets"), "no column 'targets'"),
        (good.iloc[:0], "no records"),
        (pd.concat([good, good]), "here, a, seed 0, 10 labels: appears twice"),
        (good.assign(positives_found=[1, 21]), "20 labels: has found more targets than there"),
        (good.assign(positives_found=[11, 12]), "10 labels: has found more targets than there"),
        (good.assign(pool=[200, 190]), "20 labels: has a different pool"),
    ]:
        with pytest.raises(RunError, match=message):
            curves.checked(wrong)


# --- the table ------------------------------------------------------------------------------------


def test_the_summary_orders_strategies_and_says_who_is_who() -> None:
    rows = report.summary(drawn(SKILLS, sources=("b", "a")))
    assert rows["source"].tolist() == ["a"] * 4 + ["b"] * 4
    assert rows["strategy"].tolist()[:4] == ["clairvoyant", "good", "fair", "random"]
    assert rows["role"].tolist()[:4] == ["bound", "", "", "baseline"]
    good = rows.iloc[1]
    assert good["seeds"] == 5
    assert 0 < good["gain_found_10_low"] < good["gain_found_10"] < good["gain_found_10_high"]
    assert good[["gain_found_10_won", "gain_found_10_lost"]].tolist() == [5, 0]
    assert good["audc_low"] < good["audc"] < good["audc_high"]
    assert good["auc_20"] > rows.iloc[3]["auc_20"]
    assert rows.iloc[0]["audc"] == pytest.approx(1)


def test_another_baseline_and_one_that_is_not_there() -> None:
    rows = report.summary(drawn(SKILLS), baseline="good").set_index("strategy")
    assert rows.loc["good", "role"] == "baseline"
    assert rows.loc["random", "gain_found_20"] < 0
    with pytest.raises(ConfigError, match="did you mean 'good'"):
        report.summary(drawn(SKILLS), baseline="goot")


def test_a_mark_that_most_seeds_miss_is_not_averaged_away() -> None:
    reach = [0.9, 0.9, 0.9]
    parts = [
        search("a", seed, [10, 20, 30], [1, 2, 3], auc=auc)
        for seed, auc in enumerate([reach, [0.5, 0.5, 0.5], [0.5, 0.5, 0.6]])
    ]
    parts += [search("random", seed, [10, 20, 30], [1, 2, 3], auc=reach) for seed in range(3)]
    rows = report.summary(pd.concat(parts)).set_index("strategy")
    assert rows.loc["a", "labels_to_95"] == math.inf
    assert rows.loc["a", "reached_95"] == 1
    assert rows.loc["random", "labels_to_95"] == 10
    text = report.table(rows.reset_index())
    (line,) = [line for line in text.splitlines() if "not by" in line]
    assert line.split("not by ")[1].split()[0] == "30"


def test_the_table_fits_a_terminal() -> None:
    skills = {f"a strategy with a rather long name, number {n:02}": n / 20 for n in range(14)}
    rows = report.summary(drawn({"random": 0.0, **skills}), budgets=[0.05, 0.1, 0.15, 0.2, 0.25])
    text = report.table(rows)
    assert max(map(len, text.splitlines())) <= 120
    lines = text.splitlines()
    assert lines[0] == "here: 20 targets in 200 patches (10.00 %), 5 seeds, 100 labels"
    heads = [number for number, line in enumerate(lines) if line.startswith("    ")]
    assert len(heads) > 1
    for head in heads:
        assert lines[head + 1].startswith("clairvoyant (bound)")
        assert len({len(line) for line in lines[head : head + 17]}) == 1  # aligned
    printed = " ".join(lines[head] for head in heads)
    for title in ("found 25 %", "gain 5 %", "AUDC", "recall 25 %", "AP", "ECE", "s/round"):
        assert title in printed


def test_cells_have_intervals_and_single_seeds_have_none() -> None:
    text = report.table(report.summary(drawn(SKILLS)))
    good = next(line for line in text.splitlines() if line.startswith("good"))
    assert good.count("±") >= 4
    assert "+" in good
    alone = report.table(report.summary(drawn(SKILLS, seeds=1)))
    good = next(line for line in alone.splitlines() if line.startswith("good"))
    assert "±" not in good
    assert "nan" not in alone
    assert "1 seed, " in alone


def test_markdown_is_a_table() -> None:
    text = report.markdown(report.summary(drawn({"random": 0.0, "a|b": 0.5})))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert len({row.replace("\\|", "").count("|") for row in rows}) == 1
    assert rows[2].startswith("| clairvoyant (bound) | ")
    assert rows[3].startswith("| a\\|b | ")


def test_csv_comes_back_and_is_the_same_every_time(tmp_path: Path) -> None:
    records = drawn(SKILLS)
    records.loc[3, "test_auc"] = np.nan
    first, second = tmp_path / "new" / "a.csv", tmp_path / "b.csv"
    report.write_csv(records, first)
    back = pd.read_csv(first)
    assert report.table(report.summary(back)) == report.table(report.summary(records))
    shuffled = records.sample(frac=1, random_state=0)
    for path, frame in ((first, records), (second, shuffled)):
        report.write_csv(report.summary(frame), path)
    assert first.read_bytes() == second.read_bytes()
    assert b"\r" not in first.read_bytes()
    assert [path.name for path in tmp_path.rglob(".*")] == []


def test_a_csv_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write"):
        report.write_csv(search("a", 0, [10], [1]), tmp_path / "file" / "below.csv")


# --- pictures -------------------------------------------------------------------------------------


def test_pictures_are_written_and_the_same_every_time(tmp_path: Path) -> None:
    records = drawn(SKILLS, sources=("a/b", "c"))
    first = plots.plot_curves(records, tmp_path / "1", svg=True)
    second = plots.plot_curves(records, tmp_path / "2", svg=True)
    names = ["curves_a_b.png", "curves_a_b.svg", "curves_c.png", "curves_c.svg"]
    assert [path.name for path in first] == names
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")
    (difference,) = plots.plot_differences(records, tmp_path / "1")
    assert difference.name == "differences.png"


def test_each_source_has_a_picture_of_its_own(tmp_path: Path) -> None:
    sources = ("C", "a b", "a_b", "c", "d é")
    records = drawn({"random": 0.0}, seeds=1, sources=sources)
    files = [path.name for path in plots.plot_curves(records, tmp_path)]
    assert len({name.casefold() for name in files}) == 5
    assert {"curves_a_b.png", "curves_d_é.png"} < set(files)


def test_pictures_say_what_they_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "none")  # text stays text
    records = drawn(SKILLS)
    files = plots.plot_curves(records, tmp_path, svg=True)
    text = files[1].read_text(encoding="utf-8")
    for words in (
        "here: 20 targets in 200 patches, means of 5 searches",
        "patches labelled (of 200)",
        "targets found (of 20)",
        "ROC AUC on the test part",
        *(f">{name}<" for name in ("random", "good", "fair", "a target with each label")),
    ):
        assert words in text, words
    text = plots.plot_differences(records, tmp_path, svg=True)[1].read_text(encoding="utf-8")
    assert "more than random" in text
    assert ">random<" not in text  # a line at 0 would be no news


def test_names_that_do_not_say_what_they_are_are_put_into_words(
    tmp_path: Path, monkeypatch
) -> None:
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "none")
    records = drawn({"random": 0.0, "shuffled": 0.2, "no-concept-head": 0.5})
    drawn_ = plots.plot_curves(records, tmp_path, svg=True)[1].read_text(encoding="utf-8")
    rows = report.summary(records)
    for name, words in (
        ("shuffled", "concepts of other patches"),
        ("no-concept-head", "concepts not seen by the model"),
        ("clairvoyant", "a target with each label"),
    ):
        assert f">{words}<" in drawn_ and f">{name}<" not in drawn_
        for text in (report.table(rows), report.markdown(rows)):
            assert f"{name}: {words}." in text


def test_counts_are_marked_by_whole_numbers(tmp_path: Path, monkeypatch) -> None:
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "none")
    records = search("random", 0, [1, 2, 3], [0, 1, 1], targets=3, pool=5, auc=math.nan)
    text = plots.plot_curves(records, tmp_path, svg=True)[1].read_text(encoding="utf-8")
    discovery = text.partition("patches labelled")[0]
    marks = re.findall(r">(\d+(?:\.\d+)?)<", discovery)
    assert set(marks) == {"0", "1", "2", "3"}


@pytest.mark.parametrize(
    ("seeds", "others", "bands", "bars", "said"),
    [
        (5, 3, 4, 0, "bands: their 95 % intervals"),
        (5, 5, 0, 6, "bars at the right: their 95 % intervals"),
        (4, 3, 0, 0, "means of 4 searches"),
        (4, 5, 0, 0, "means of 4 searches"),
    ],
)
def test_intervals_are_drawn_where_they_say_something_and_can_be_told_apart(
    seeds: int, others: int, bands: int, bars: int, said: str, tmp_path: Path, monkeypatch
) -> None:
    skills = {"random": 0.0} | {f"s{n}": 0.1 * n for n in range(1, others + 1)}
    records = drawn(skills)
    records = records[records["seed"] < seeds]
    figures: list[Any] = []
    monkeypatch.setattr(plots, "_save", lambda figure, *_: figures.append(figure) or [])
    plots.plot_curves(records, tmp_path)
    left = figures[0].axes[0]
    assert len(left.collections) == bands
    beyond = [line.get_xydata() for line in left.lines if line.get_xdata()[0] > 1]
    beside = [line for line in beyond if line[0, 0] == line[1, 0] and line[0, 0] < 2]
    assert len(beside) == bars
    assert str(figures[0].get_suptitle()).endswith(said)
    if bars:  # from the bottom up, at the last label; found targets and their interval by hand
        last = records[records["n_labeled"] == records["n_labeled"].max()]
        best = last[last["strategy"] == f"s{others}"]["positives_found"].to_numpy(float)
        half = 2.7764 * best.std(ddof=1) / 5**0.5  # t of 4 degrees of freedom, 95 %
        expected = [best.mean() - half, min(best.mean() + half, 20)]
        assert sorted(beside[-1][:, 1]) == pytest.approx(expected, abs=1e-3)


def test_pictures_of_little(tmp_path: Path) -> None:
    one = search("random", 0, [10], [1], auc=math.nan)
    (path,) = plots.plot_curves(one, tmp_path)
    assert path.stat().st_size > 0
    (path,) = plots.plot_differences(one, tmp_path)
    assert path.stat().st_size > 0
    with pytest.raises(ConfigError, match="no records of the baseline 'best'"):
        plots.plot_differences(drawn(SKILLS), tmp_path, baseline="best")
    with pytest.raises(RunError, match="cannot write"):
        plots.plot_curves(one, path)


@pytest.mark.parametrize("n", [0, 1, 3, 14])
def test_names_beside_the_lines_do_not_overlap(n: int) -> None:
    wanted = np.sort(np.random.default_rng(n).uniform(0.4, 0.5, n))
    moved = plots._apart(wanted, 0.05)
    assert (np.diff(moved) >= 0.05 - 1e-9).all()
    assert ((moved >= 0) & (moved <= 1)).all()


def test_the_table_needs_no_matplotlib() -> None:
    code = (
        "import sys, owl_geo.evaluation.report, owl_geo.evaluation.plots, owl_geo.measures.audit;"
        "print([m for m in ('matplotlib', 'torch', 'rasterio', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
