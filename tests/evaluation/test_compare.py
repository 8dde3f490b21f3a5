"""Strategies compared on what is known: complete, repeatable, resumable, and the same as a run."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rasters import coordinates, write_raster
from searches import MODELS, make, over

import owl_geo
from owl_geo import Run
from owl_geo.cli import main
from owl_geo.errors import ConfigError, RunError
from owl_geo.evaluation.compare import compare
from owl_geo.evaluation.contestants import GROUPS, Contestant, contestants
from owl_geo.evaluation.curves import COLUMNS, with_bound
from owl_geo.evaluation.searches import Job, Plan, search_of
from owl_geo.evaluation.simulate import simulate
from owl_geo.settings.owl_toml import parse
from owl_geo.verbs.init import init
from owl_geo.verbs.update import update

RANDOM = Contestant("random", {"acquisition": {"strategy": "random", "start": "random"}})
TABLES = ("records", "summary")
QUICK = Contestant("quick", {"model": {"head": "logistic"}})


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Two small runs with an oracle, one of them with an image that says something."""
    folder = tmp_path_factory.mktemp("runs")
    make(folder / "noise", oracle={})
    make(folder / "signal", oracle={}, source={"n_samples": 60, "seed": 5, "signal": 1.0})
    return {"noise": folder / "noise", "signal": folder / "signal"}


def plan(folder: Path, runs: Mapping[str, Path], **given: Any) -> Plan:
    options: dict[str, Any] = {
        "contestants": (RANDOM, QUICK),
        "seeds": (0, 1),
        "budget": 0.25,
        "batch_size": 4,
        "initial": 6,
    }
    return Plan(folder=folder, runs=runs, **(options | given))


def files(folder: Path) -> dict[str, str]:
    """Every search's records without the seconds, which are never the same."""
    found = {}
    for path in sorted((folder / "searches").rglob("*.csv")):
        table = pd.read_csv(path, dtype=str).drop(columns="seconds", errors="ignore")
        found[str(path.relative_to(folder))] = table.to_csv()
    return found


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    left, right = (table.drop(columns="seconds") for table in (one, other))
    pd.testing.assert_frame_equal(left, right, check_exact=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, runs) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("undisturbed") / "work"
    return folder, compare(plan(folder, runs))


class TestRecords:
    def test_there_is_a_row_for_every_round_of_every_search(self, undisturbed) -> None:
        _, records = undisturbed
        assert list(records.columns) == [*COLUMNS, "full_auc"]
        searches = records.groupby(["source", "strategy", "seed"])
        assert len(searches) == 2 * 2 * 2
        for (source, _, _), rows in searches:
            pool = {"noise": 64, "signal": 48}[source]
            last = 18 if source == "noise" else 14  # a quarter, by batches: 6 + 4 + 4 (+ 4)
            assert rows["n_labeled"].tolist() == list(range(6, last + 1, 4))
            assert (rows["pool"] == pool).all()
            assert (rows["targets"] == rows["targets"].iloc[0]).all()
            assert rows["positives_found"].is_monotonic_increasing
            assert (rows["positives_found"] <= rows[["targets", "n_labeled"]].min(axis=1)).all()
            assert rows["test_auc"].between(0, 1).all()
            assert rows["test_ap"].between(0, 1).all()
            assert rows["test_ece"].between(0, 1).all()
            assert (rows["seconds"] > 0).all()
            assert rows["full_auc"].nunique() == 1

    def test_strategies_of_one_seed_share_what_is_held_out(self, undisturbed) -> None:
        _, records = undisturbed
        assert (records.groupby(["source", "seed"])[["targets", "full_auc"]].nunique() == 1).all(
            axis=None
        )
        assert records.groupby("source")["targets"].nunique().max() > 1  # and seeds do not

    def test_the_bound_is_above_all(self, undisturbed) -> None:
        _, records = undisturbed
        both = with_bound(records)
        key = ["source", "seed", "n_labeled"]
        bound = both[both["strategy"] == "clairvoyant"].set_index(key)["positives_found"]
        assert len(bound)
        for _, row in records.iterrows():
            assert row["positives_found"] <= bound.loc[tuple(row[key])]

    def test_an_unknown_truth_is_skipped(self, tmp_path: Path) -> None:
        run = make(tmp_path / "r", oracle={})
        truth = pd.read_parquet(run.path / "truth.parquet")
        truth.loc[::2, "label"] = None
        truth.to_parquet(run.path / "truth.parquet")
        records = compare(plan(tmp_path / "c", {"r": run.path}, seeds=(0,)))
        asked = records.groupby("strategy")["n_labeled"].max()
        assert (asked == 18).all()  # a label that teaches nothing is spent all the same
        assert records["targets"].max() < 20


class TestGoingOn:
    def test_a_finished_comparison_is_left_alone(self, undisturbed, runs) -> None:
        folder, records = undisturbed
        before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.csv")}
        told: list[tuple[int, int]] = []
        again = compare(plan(folder, runs), on_done=lambda *now: told.append(now))
        pd.testing.assert_frame_equal(again, records)
        assert {p: p.stat().st_mtime_ns for p in folder.rglob("*.csv")} == before
        assert told == [(12, 12)]

    def test_lost_searches_are_done_again(self, undisturbed, runs, tmp_path: Path) -> None:
        folder, records = undisturbed
        copy = tmp_path / "work"
        shutil.copytree(folder, copy)
        for path in sorted(copy.rglob("*.csv"))[::3]:
            path.unlink()
        told: list[tuple[int, int]] = []
        same(compare(plan(copy, runs), on_done=lambda *now: told.append(now)), records)
        assert files(copy) == files(folder)
        assert told == [(8, 12), (9, 12), (10, 12), (11, 12), (12, 12)]

    def test_two_processes_do_what_one_does(self, undisturbed, runs, tmp_path: Path) -> None:
        folder, records = undisturbed
        done = compare(plan(tmp_path / "work", runs, seeds=(1,)), jobs=2)
        same(done, records[records["seed"] == 1].reset_index(drop=True))
        mine = {name: text for name, text in files(folder).items() if name.endswith("/1.csv")}
        assert files(tmp_path / "work") == mine

    def test_killed_in_the_middle(self, undisturbed, runs, tmp_path: Path) -> None:
        """The process that compares is killed while it works, and the comparison given again."""
        folder, records = undisturbed
        work = tmp_path / "work"
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=compare, args=(plan(work, runs),))
        process.start()
        while process.is_alive() and len(list(work.rglob("[0-9]*.csv"))) < 3:
            time.sleep(0.005)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert 3 <= len(list(work.rglob("[0-9]*.csv"))) < 12
        same(compare(plan(work, runs)), records)
        assert files(work) == files(folder)

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups to signal")
    @pytest.mark.parametrize("whom", [os.killpg, os.kill])
    def test_interrupted_it_ends_at_once_without_a_traceback(self, whom, tmp_path) -> None:
        """A terminal interrupts all processes of a command, others only the one they know."""
        run = make(tmp_path / "run", oracle={}, source={"n_samples": 1500}).path
        command = [sys.executable, "-m", "owl_geo", "compare", str(tmp_path / "out"), "--run", run]
        command += ["--seeds", "2", "--budget", "0.9", "--strategies", "random", "--jobs", "2"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
        )
        while process.poll() is None and not list(tmp_path.rglob("compare.json")):
            time.sleep(0.05)
        # the others import, or search already
        time.sleep(1 if whom is os.killpg else 15)
        before = set(tmp_path.rglob("searches/**/*.csv"))
        whom(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=100)  # until all have closed the pipe
        assert set(tmp_path.rglob("searches/**/*.csv")) == before  # none was waited for
        assert (process.returncode, "Traceback" in said) == (130, False), said

    def test_more_seeds_and_strategies_may_be_added(self, undisturbed, runs, tmp_path) -> None:
        folder, records = undisturbed
        copy = tmp_path / "work"
        shutil.copytree(folder, copy)
        before = {p: p.stat().st_mtime_ns for p in copy.rglob("*.csv")}
        greedy = Contestant("greedy", {"acquisition": {"strategy": "greedy"}})
        more = compare(plan(copy, runs, contestants=(RANDOM, QUICK, greedy), seeds=(0, 1, 2)))
        assert len(more.groupby(["source", "strategy", "seed"])) == 18
        old = more[(more["strategy"] != "greedy") & (more["seed"] < 2)]
        key = ["source", "strategy", "seed", "n_labeled"]
        same(*(t.sort_values(key, ignore_index=True) for t in (old, records)))
        assert all(p.stat().st_mtime_ns == when for p, when in before.items())
        # and fewer asked for are fewer told of
        assert set(compare(plan(copy, runs, contestants=(QUICK,)))["strategy"]) == {"quick"}

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"budget": 0.3}, "another budget, 0.25"),
            ({"batch_size": 5}, "another batch size, 4"),
            ({"initial": None}, "another initial, 6"),
            (
                {"contestants": (RANDOM, Contestant("quick", {"model": {"head": "gp"}}))},
                "quick has changed since",
            ),
            ({"contestants": (RANDOM, Contestant("quick", QUICK.over, True))}, "quick has changed"),
            (
                {"contestants": (RANDOM, Contestant("quick", QUICK.over, round="a.module:b"))},
                "quick has changed",
            ),
        ],
    )
    def test_what_was_compared_may_not_change(self, change, said, undisturbed, runs) -> None:
        folder, _ = undisturbed
        before = files(folder), (folder / "compare.json").read_text()
        with pytest.raises(RunError, match=said) as caught:
            compare(plan(folder, runs, **change))
        assert "\n" not in str(caught.value)
        assert (files(folder), (folder / "compare.json").read_text()) == before

    def test_nor_may_a_run(self, tmp_path: Path) -> None:
        run = make(tmp_path / "r", oracle={})
        compare(plan(tmp_path / "c", {"r": run.path}, contestants=(RANDOM,), seeds=(0,)))
        toml = run.path / "owl.toml"
        toml.write_text(toml.read_text().replace("urban = 2.0", "urban = 4.0"))
        with pytest.raises(RunError, match="r has changed since"):
            compare(plan(tmp_path / "c", {"r": run.path}, contestants=(RANDOM,), seeds=(0,)))
        again = plan(tmp_path / "c", {"r": run.path}, contestants=(QUICK,), seeds=(1,))
        compare(again, overwrite=True)
        assert len(list((tmp_path / "c").rglob("*.csv"))) == 2  # none of the old one

    def test_nor_while_it_is_compared(self, tmp_path: Path) -> None:
        """Some searches were in the pool of before, others in the new one, without a word."""
        run = make(tmp_path / "r", oracle={})
        toml = run.path / "owl.toml"

        def meanwhile(done: int, _total: int) -> None:
            if done == 0:
                text = toml.read_text()
                toml.write_text(text.replace("value = 0.3", "value = 0.4"))
                update(run.path)

        one = plan(tmp_path / "c", {"r": run.path}, contestants=(RANDOM,), seeds=(0,))
        with pytest.raises(RunError, match="r was changed since the comparison began"):
            compare(one, on_done=meanwhile)
        compare(one, overwrite=True)

    def test_nor_its_truth(self, tmp_path: Path) -> None:
        """A mean over seeds that searched for different things would be of nothing."""
        scene, truth = tmp_path / "s.tif", tmp_path / "t.tif"
        write_raster(scene, coordinates(64, 64))
        where = np.zeros((1, 64, 64), dtype=np.uint8)
        where[:, :16] = 1
        write_raster(truth, where)
        source = {"kind": "geotiff", "patch_size": 8}
        source["scenes"] = [{"name": "s", "path": str(scene)}]
        oracle = {"path": str(truth), "values": {"present": ["1"]}}
        settings = {"source": source, "oracle": oracle, "model": {"head": "logistic"}}
        path = init(tmp_path / "r", parse(settings, "test")).run.path
        one = plan(tmp_path / "c", {"r": path}, contestants=(RANDOM,), seeds=(0,))
        compare(one)
        update(path)  # the same again
        compare(one)
        write_raster(truth, 1 - where)
        update(path)
        with pytest.raises(RunError, match="r has changed since"):
            compare(plan(tmp_path / "c", {"r": path}, contestants=(RANDOM,), seeds=(0, 1)))

    def test_comparisons_of_older_versions_go_on(self, undisturbed, runs, tmp_path) -> None:
        copy = tmp_path / "work"
        shutil.copytree(undisturbed[0], copy)
        record = json.loads((copy / "compare.json").read_text())
        del record["pools"]
        (copy / "compare.json").write_text(json.dumps(record))
        same(compare(plan(copy, runs)), undisturbed[1])

    def test_names_stay_as_they_are_written(self, runs, tmp_path: Path) -> None:
        """pandas reads NA as no name, and 007 as 7."""
        names = (RANDOM, Contestant("NA", RANDOM.over), Contestant("1e3", RANDOM.over))
        records = compare(
            plan(tmp_path / "c", {"007": runs["noise"]}, contestants=names, seeds=(0,))
        )
        assert set(records["source"]) == {"007"}
        assert set(records["strategy"]) == {"random", "NA", "1e3"}

    def test_damage_is_one_line(self, undisturbed, runs, tmp_path: Path) -> None:
        copy = tmp_path / "work"
        shutil.copytree(undisturbed[0], copy)
        path = copy / "searches" / "noise" / "quick" / "0.csv"
        path.write_bytes(b"")
        with pytest.raises(RunError, match=r"records are damaged .*use --overwrite"):
            compare(plan(copy, runs))
        for text in ("{", "[]", "{}", '{"budget": 0.25}'):
            (copy / "compare.json").write_text(text)
            with pytest.raises(RunError, match=r"compare\.json is damaged; use --overwrite"):
                compare(plan(copy, runs))
        same(compare(plan(copy, runs), overwrite=True), undisturbed[1])

    def test_a_folder_of_something_else_is_spared(self, runs, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("years of work")
        with pytest.raises(RunError, match="not empty and is not a comparison"):
            compare(plan(tmp_path, runs), overwrite=True)
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


class TestWhatCannotBe:
    @pytest.mark.parametrize("budget", [0.0, 1.5, -1.0])
    def test_a_budget_is_a_share(self, budget: float, runs, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="must be a share of the pool"):
            compare(plan(tmp_path / "c", runs, budget=budget))
        assert not (tmp_path / "c").exists()

    def test_nothing_to_compare(self, runs, tmp_path: Path) -> None:
        for nothing in ({"contestants": ()}, {"seeds": ()}):
            with pytest.raises(ConfigError, match="nothing to compare"):
                compare(plan(tmp_path / "c", runs, **nothing))

    def test_a_run_without_truth(self, tmp_path: Path) -> None:
        run = make(tmp_path / "r")
        with pytest.raises(RunError, match="has no oracle"):
            compare(plan(tmp_path / "c", {"r": run.path}))

    def test_settings_that_cannot_be_are_found_before_any_work(self, runs, tmp_path) -> None:
        bad = Contestant("bad", {"acquisition": {"explore": 2}})
        with pytest.raises(ConfigError, match=r"bad on noise.*explore is 2"):
            compare(plan(tmp_path / "c", runs, contestants=(RANDOM, bad)))
        assert not (tmp_path / "c").exists()

    @pytest.mark.parametrize("table", ["source", "concepts", "evaluation", "oracle", "classes"])
    def test_all_search_the_same_pool(self, table: str, runs, tmp_path: Path) -> None:
        other = {
            "source": {"n_samples": 30},
            "concepts": {"far": {"kind": "above", "of": "dist_industrial", "value": 0.5}},
            "evaluation": {"test_share": 0.5},
            "oracle": {"min_share": 0.1},
            "classes": ["absent", "present", "other"],
        }
        own = Contestant("own", {table: other[table]})
        with pytest.raises(ConfigError, match=f"own.*{table}") as caught:
            compare(plan(tmp_path / "c", runs, contestants=(own,)))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "c").exists()


class TestContestants:
    def test_groups_and_names_each_once(self) -> None:
        both = contestants(["baselines", "greedy", "gp"], {})
        names = [one.name for one in both]
        assert len(names) == len(set(names)) == len(GROUPS["baselines"]) + 1
        assert {"default", "random", "uncertainty", "greedy", "tutorial"} <= set(names)
        assert names[-1] == "gp"

    def test_an_unknown_name(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'greedy'") as caught:
            contestants(["gredy"], {})
        assert "\n" not in str(caught.value)

    def test_one_of_ones_own(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.toml"
        file.write_text("[acquisition]\nexplore = 0.5\n")
        (mine,) = contestants([], {"mine": file})
        assert mine == Contestant("mine", {"acquisition": {"explore": 0.5}})
        for name in ("greedy", "skactiveml_badge", "full", "clairvoyant", "../x", ""):
            with pytest.raises(ConfigError, match="cannot name a strategy of your own"):
                contestants([], {name: file})
        file.write_text("[acquisition\n")
        with pytest.raises(ConfigError, match="cannot be read as TOML"):
            contestants([], {"mine": file})

    @pytest.mark.parametrize("name", [one.name for group in GROUPS.values() for one in group])
    def test_the_settings_of_each_can_be(self, name: str, runs, tmp_path: Path) -> None:
        chosen = contestants([name], {})
        (job,) = [Job(plan(tmp_path, runs, contestants=chosen), "noise", one, 0) for one in chosen]
        search = search_of(job)
        assert search.settings.seed == 0
        for table, entries in job.contestant.over.items():
            now = getattr(search.settings, table).model_dump()
            assert now | dict(entries) == now

    def test_shuffled_concepts_are_those_of_other_patches(self, runs, tmp_path: Path) -> None:
        honest, mixed = (
            search_of(Job(plan(tmp_path, runs), "noise", one, 0))
            for one in (Contestant("a"), Contestant("b", shuffled=True))
        )
        names = list(honest.settings.concepts)
        rows = [
            sorted(map(tuple, one.patches[names].astype(str).to_numpy())) for one in (honest, mixed)
        ]
        assert rows[0] == rows[1]  # the same, whole rows of them
        moved = (honest.patches[names] != mixed.patches[names]).any(axis=1)
        assert moved.mean() > 0.5
        assert (honest.patches["patch_id"] == mixed.patches["patch_id"]).all()
        assert (honest.truth["label"] == mixed.truth["label"]).all()
        # and the run that all share is as it was
        assert (honest.patches[names] == Run(runs["noise"]).patches[names]).all(axis=None)


@pytest.mark.parametrize("model", MODELS)
def test_what_is_compared_is_what_a_run_does(model: str, tmp_path: Path) -> None:
    tables = over(MODELS[model], seed=7, loop={"initial": 8, "rounds": 4, "batch_size": 5})
    run = make(tmp_path / "r", oracle={}, **tables)
    simulate(run)
    done = [entry.metrics for entry in run.rounds()[1:]]
    budget = (8 + 4 * 5) / 64
    records = compare(Plan(tmp_path / "c", {"r": run.path}, (Contestant("default"),), (7,), budget))
    assert records["n_labeled"].tolist() == [8, 13, 18, 23, 28]
    assert records["n_labeled"].tolist() == [row.n_labeled for row in done]
    assert records["positives_found"].tolist() == [row.positives_found for row in done]
    np.testing.assert_allclose(records["test_auc"], [row.test_auc for row in done], atol=1e-6)
    np.testing.assert_allclose(records["test_ece"], [row.test_ece for row in done], atol=1e-5)


def owl(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "owl_geo", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "100"},
        check=False,
    )


class TestCommand:
    def test_the_table_and_the_files(self, runs, tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_text("[acquisition]\nstrategy = 'greedy'\n")
        command = [
            "compare", "out", "--run", runs["noise"], "--run", f"other={runs['signal']}",
            "--strategies", "random,logistic", "--with", "mine=mine.toml", "--seeds", 2,
            "--budget", 0.25, "--batch-size", 4, "--initial", 6, "--jobs", 1,
        ]  # fmt: skip
        done = owl(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        out = tmp_path / "out"
        for source in ("noise", "other"):
            block = done.stdout.split(f"{source}: ")[1]
            assert re.search(r"^\d+(\.\d)? targets in ", block)
            for name in ("clairvoyant", "random (baseline)", "logistic", "mine"):
                assert name in block
        assert "2 seeds" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 120
        records = pd.read_csv(out / "records.csv")
        assert set(records["strategy"]) == {"random", "logistic", "mine"}
        assert set(records["source"]) == {"noise", "other"}
        summary = pd.read_csv(out / "summary.csv")
        assert len(summary) == 2 * 4
        assert "| " in (out / "summary.md").read_text()
        pictures = sorted(path.name for path in out.glob("*.png"))
        assert len(pictures) >= 2
        assert all((out / name).read_bytes()[:4] == b"\x89PNG" for name in pictures)

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            ([], 2, "give --run RUN, or --source synthetic"),
            (["--run", "nowhere"], 1, "no run folder at nowhere"),
            (["--run", "RUN", "--strategies", "gredy"], 1, "did you mean 'greedy'"),
            (["--source", "synthetic", "--strategies", "gredy"], 1, "did you mean 'greedy'"),
            (["--run", "RUN", "--n-samples", "9"], 2, "--n-samples goes with --source"),
            (["--run", "RUN", "--with", "mine"], 2, "'mine' is not NAME=PATH"),
            (["--run", "RUN", "--with", "mine=x.toml"], 1, "x.toml does not exist"),
            (["--run", "RUN", "--baseline", "rnadom"], 1, "did you mean 'random'"),
            (["--run", "RUN", "--run", "RUN"], 2, "two runs are named 'noise'"),
            (["--run", "../b=nowhere"], 2, "'../b' cannot name a run in OUT"),
            (["--run", "synthetic=x", "--source", "synthetic"], 2, "like the source"),
        ],
    )
    def test_mistakes_are_one_line(
        self, arguments, code, said, runs, tmp_path: Path, monkeypatch, capsys
    ) -> None:
        monkeypatch.chdir(tmp_path)
        words = [str(runs["noise"]) if word == "RUN" else word for word in arguments]
        with pytest.raises(SystemExit) as done:
            main(["compare", "out", *words])
        assert done.value.code == code
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = printed.err.splitlines()
        assert line.startswith("error: ")
        assert said in line
        assert list(tmp_path.iterdir()) == []

    def test_generated_patches_are_made_once(self, tmp_path: Path) -> None:
        command = [
            "compare", "out", "--source", "synthetic", "--n-samples", 60, "--image-size", 8,
            "--n-bands", 2, "--strategies", "random", "--seeds", 1, "--jobs", 1, "--budget", 0.5,
            "-q",
        ]  # fmt: skip
        done = owl(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "synthetic: " in done.stdout
        settings = Run(tmp_path / "out" / "synthetic").settings
        assert settings.source.n_samples == 60
        plan_ = json.loads((tmp_path / "out" / "work" / "compare.json").read_text())
        assert plan_["budget"] == 0.5
        other = owl(*[70 if word == 60 else word for word in command], cwd=tmp_path)
        assert other.returncode == 1
        assert "was made with other generated patches" in other.stderr


class TestFromPython:
    def test_it_does_what_the_command_does(self, runs, tmp_path: Path) -> None:
        options = ("--strategies", "random,logistic", "--seeds", 2, "--first-seed", 3)
        sizes = ("--budget", 0.25, "--batch-size", 4, "--initial", 6, "--jobs", 1)
        command = ("compare", "typed", "--run", f"a={runs['noise']}", *options, *sizes)
        assert owl(*command, cwd=tmp_path).returncode == 0
        told: list[tuple[int, int]] = []
        found = owl_geo.compare(
            tmp_path / "called",
            {"a": Run(runs["noise"])},
            strategies=["random", "logistic"],
            seeds=range(3, 5),
            budget=0.25,
            batch_size=4,
            initial=6,
            report=lambda _: lambda done, total: told.append((done, total)),
        )
        assert told[0] == (0, 6)  # two searches of each strategy, and two fits on the whole pool
        assert told[-1] == (6, 6)
        assert found.left_out == ()
        tables = {name: pd.read_csv(tmp_path / "typed" / f"{name}.csv") for name in TABLES}
        same(pd.read_csv(tmp_path / "called" / "records.csv"), tables["records"])
        pd.testing.assert_frame_equal(
            *(table.drop(columns="seconds") for table in (found.records, tables["records"]))
        )
        assert files(tmp_path / "called" / "work") == files(tmp_path / "typed" / "work")
        assert list(found.summary["strategy"]) == list(tables["summary"]["strategy"])
        written = {path.name for path in (tmp_path / "called").iterdir()}
        assert written == {path.name for path in (tmp_path / "typed").iterdir()}
        assert written >= {path.name for path in found.plots} | {"summary.md"}

    @pytest.mark.parametrize("name", ["../b", "a:b", "..", ""])
    def test_a_name_that_leads_elsewhere_is_refused(self, name, runs, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot name a run"):
            owl_geo.compare(tmp_path / "out", {name: runs["noise"]})
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("given", "remedy"),
        [
            ({"strategies": "random"}, "write ['random']"),
            ({"seeds": 3}, "write range(3)"),
            ({"runs": "TRIAL"}, "write {'mine': 'RUN'}"),
            ({"runs": ["TRIAL"]}, "write {'mine': 'RUN'}"),
            ({"runs": {}}, "write {'mine': 'RUN'}"),
            ({"own": ["mine.toml"]}, "write {'mine': 'FILE.toml'}"),
            ({"runs": {3: "TRIAL"}}, ""),
            ({"budget": "0.2"}, ""),
            ({"budget": None}, ""),
            ({"seeds": "01"}, ""),
            ({"seeds": None}, ""),
            ({"initial": "5"}, ""),
            ({"batch_size": 2.5}, ""),
            ({"jobs": "2"}, ""),
            ({"baseline": 3}, ""),
            ({"strategies": [3]}, ""),
        ],
    )
    def test_what_has_another_shape_is_refused(self, given, remedy, runs, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            owl_geo.compare(tmp_path / "out", **{"runs": {"a": runs["noise"]}, **given})
        assert caught.value.remedy == remedy
        assert list(tmp_path.iterdir()) == []

    def test_a_strategy_of_ones_own_and_a_seed_that_is_there_twice(
        self, runs, tmp_path: Path
    ) -> None:
        (tmp_path / "mine.toml").write_text("[acquisition]\nstrategy = 'random'\n")
        found = owl_geo.compare(
            tmp_path / "out",
            {"a": runs["noise"]},
            strategies=[],
            own={"mine": str(tmp_path / "mine.toml")},
            seeds=[1, 1],
            budget=0.2,
        )
        assert set(found.records["strategy"]) == {"mine", "random"}
        assert not found.records.duplicated(["strategy", "seed", "n_labeled"]).any()


def test_what_needs_concepts_is_left_out_where_there_are_none(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "s.tif", coordinates(160, 160, 2))
    truth = np.tile(np.repeat([0, 1], 8), 10)[None, None, :].repeat(160, axis=1).astype("uint8")
    write_raster(tmp_path / "t.tif", truth)
    made = ("init", "run", "--scene", path, "--patch-size", 8, "--initial", 10)
    owl(*made, "--oracle", "t.tif", "--oracle-values", 1, cwd=tmp_path)
    done = owl(
        *("compare", "out", "--run", "run", "--seeds", 2, "--budget", 0.1, "--jobs", 1),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    told = "Left out because no run has concepts: concepts-only, shuffled\n"
    assert done.stdout.count(told) == 1
    table = done.stdout.replace(told, "")
    assert "shuffled" not in table and "concepts-only" not in table
    assert "AUC (area under the ROC curve)" in table
    assert table.count("±") == 1  # in the legend: two seeds have no interval
