"""Several annotators on one batch: dealt out, taken in in any order, compared with each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import searches
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from owl_geo import Run, import_answers, ingest, query
from owl_geo.batches import dealt, read_batch
from owl_geo.cli import cli
from owl_geo.errors import ConfigError, RunError
from owl_geo.labels import agreement
from owl_geo.measures.kappa import cohen_kappa, fleiss_kappa
from owl_geo.verbs.status import status


def owl(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def team(path: Path, **tables: object) -> Run:
    return searches.make(path, loop={"initial": 10, "batch_size": 10}, **tables)


def patches_of(path: Path) -> list[str]:
    return gpd.read_file(path, layer="batch").sort_values("rank")["patch_id"].tolist()


def answer(run: Run, said: Mapping[str, Mapping[str, str] | str]) -> None:
    """Each annotator answers the own part of the last batch, and it is ingested."""
    entry = run.rounds()[-1]
    for name, path in run.batch_paths(entry).items():
        if name not in said:
            continue
        words = said[name]
        if isinstance(words, str):
            words = dict.fromkeys(patches_of(path), words)
        searches.label(path, words, annotator=name)
        ingest(run, [path], annotator="nobody")


# --- dealing --------------------------------------------------------------------------------------


@given(
    n=st.integers(1, 60),
    people=st.integers(1, 6),
    overlap=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_everything_is_dealt_and_nobody_has_much_more(
    n: int, people: int, overlap: float, seed: int
) -> None:
    patches, names = [f"p{i}" for i in range(n)], [f"a{i}" for i in range(people)]
    parts = dealt(patches, names, overlap, np.random.default_rng(seed))
    assert set().union(*parts.values()) == set(patches)
    shared = set.intersection(*map(set, parts.values()))
    wanted = n if people == 1 else max(round(overlap * n), int(overlap > 0))
    assert len(shared) == wanted
    if people > 1:
        for patch in set(patches) - shared:
            assert sum(patch in part for part in parts.values()) == 1
    sizes = [len(part) for part in parts.values()]
    assert max(sizes) - min(sizes) <= 1
    for part in parts.values():
        assert part == [patch for patch in patches if patch in part]  # by rank
    assert parts == dealt(patches, names, overlap, np.random.default_rng(seed))


def test_what_is_asked_again_goes_to_somebody_else_or_to_all() -> None:
    known = {"p0": {"ana", "ben"}, "p1": {"ana", "ben", "eva"}, "p2": {"zoe"}}
    for seed in range(20):
        parts = dealt(
            ["p0", "p1", "p2", "p3"], ["ana", "ben", "eva"], 0, np.random.default_rng(seed), known
        )
        assert [name for name, part in parts.items() if "p0" in part] == ["eva"]
        assert [name for name, part in parts.items() if "p1" in part] == ["ana", "ben", "eva"]
        assert sum("p2" in part for part in parts.values()) == 1


# --- batches --------------------------------------------------------------------------------------


def test_a_file_for_each_annotator(tmp_path: Path) -> None:
    run = team(tmp_path / "run")
    done = owl("query", run.path, "--annotators", "ana, ben", "--overlap", "0.2", "-q")
    assert done.exit_code == 0, done.output
    paths = [Path(line) for line in done.output.splitlines()]
    folder = run.path / "rounds" / "000"
    assert paths == [folder / "batch-ana.gpkg", folder / "batch-ben.gpkg"]
    assert sorted(path.name for path in folder.glob("*.gpkg")) == [path.name for path in paths]
    entry = run.rounds()[0]
    parts = [patches_of(path) for path in paths]
    assert len(entry.patch_ids) == 10
    assert set(parts[0]) | set(parts[1]) == set(entry.patch_ids)
    assert len(set(parts[0]) & set(parts[1])) == 2
    assert [len(part) for part in parts] == [6, 6]
    for name, path in zip(("ana", "ben"), paths, strict=True):
        rows = gpd.read_file(path, layer="batch")
        assert sorted(rows["rank"]) == list(range(1, len(rows) + 1))
        assert set(rows["annotator"]) == {name}
        assert rows["label"].isna().all()
        assert read_batch(path).annotator == name
    for overlap in ((), ("--overlap", 0.2)):
        again = owl("query", run.path, "--annotators", "ana,ben", *overlap, "-q")
        assert again.output == done.output
    other = owl("query", run.path, "--annotators", "ana,ben", "--overlap", 0.5)
    assert "waits as it was made, with 2 of its 10 patches for everyone" in other.output
    assert "--overlap takes effect with the next" in other.output


def test_owl_toml_may_name_the_team_and_one_seed_deals_the_same(tmp_path: Path) -> None:
    people = {"annotators": ["ana", "José/2", "eva"], "overlap": 0.5}
    parts = []
    for name in ("one", "two"):
        run = team(tmp_path / name, team=people)
        entry = query(run)
        files = run.batch_paths(entry)
        assert list(files) == people["annotators"]
        assert all(
            path.parent == run.files.round_folder(0) and path.is_file() for path in files.values()
        )
        parts.append(entry.team)
    assert parts[0] == parts[1]
    assert query(run, go_on=True).team != parts[0]
    assert query(run, annotators=["zoe"], go_on=True).team.keys() == {"zoe"}


def test_a_batch_waits_for_each_of_the_team(tmp_path: Path) -> None:
    run = team(tmp_path / "run", team={"annotators": ["ana", "ben"]})
    first = query(run)
    answer(run, {"ana": "absent"})
    assert query(run).number == 0
    (left,) = run.waits(first)
    assert left.name == "batch-ben.gpkg"
    told = owl("query", run.path)
    assert "no answers from ben yet" in told.output
    assert told.output.splitlines()[-1] == str(left)
    assert f"label {left}" in owl("status", run.path).output
    # somebody who is not of the team may have answered in ben's place
    searches.label(left, {patches_of(left)[0]: "present"}, annotator="bens-laptop")
    ingest(run, [left], annotator="nobody")
    assert query(run).number == 1
    other = [set(run.rounds()[number].patch_ids) for number in (0, 1)]
    answered = set(run.labels.history()["patch_id"])
    assert not answered & other[1]


def test_going_on_without_those_who_have_not_answered(tmp_path: Path) -> None:
    run = team(tmp_path / "run")
    assert query(run).number == 0
    with pytest.raises(RunError, match="for one annotator, waits for answers"):
        query(run, annotators=["ana", "ben"])
    assert owl("query", run.path, "--go-on", "-q").output.endswith("001/batch.gpkg\n")
    assert [entry.number for entry in run.rounds()] == [0, 1]


def test_what_is_no_team(tmp_path: Path) -> None:
    run = team(tmp_path / "run")
    for names in ("ana,ANA", "ana,", " ", "ana,b\nen", "consensus,ana"):
        done = owl("query", run.path, "--annotators", names)
        assert done.exit_code == 1
        assert "--annotators" in done.output or "\n" in names
        assert len(done.output.splitlines()) == 1
    with pytest.raises(ConfigError, match="overlap"):
        query(run, annotators=["ana"], overlap=2.0)
    assert owl("query", run.path, "--overlap", "0.2").exit_code == 2
    assert owl("query", run.path, "--overlap", "2", "--annotators", "a").exit_code == 2
    assert not run.rounds()


def test_files_in_any_order_and_any_number_of_times(tmp_path: Path) -> None:
    seen = []
    for place, order in enumerate(itertools.permutations((0, 1, 2))):
        run = team(tmp_path / str(place), team={"annotators": ["ana", "ben", "eva"]}, run_id="x")
        entry = query(run)
        files = list(run.batch_paths(entry).values())
        for number, path in enumerate(files):
            words = ("present", "absent", "present")[number]
            searches.label(path, dict.fromkeys(patches_of(path), words), annotator=None)
        for number in (*order, *reversed(order), order[1]):
            ingest(run, [files[number]], annotator="nobody")
        assert ingest(run, files, annotator="nobody")[0].new == 0
        history = run.labels.history()
        assert set(history["annotator"]) == {"ana", "ben", "eva"}  # the file's, not the login's
        current = run.labels.current().drop(columns="seq")
        seen.append(
            (
                sorted(
                    zip(history["patch_id"], history["annotator"], history["label"], strict=True)
                ),
                sorted(current.itertuples(index=False, name=None)),
            )
        )
    assert all(one == seen[0] for one in seen)


# --- ties -----------------------------------------------------------------------------------------


def test_a_tie_is_asked_again_first_and_of_somebody_else(tmp_path: Path) -> None:
    run = team(tmp_path / "run")
    entry = query(run, annotators=["ana", "ben"], overlap=1.0)
    one, two = entry.patch_ids[0], entry.patch_ids[3]
    base = dict.fromkeys(entry.patch_ids, "absent") | {entry.patch_ids[1]: "present"}
    answer(run, {"ana": base | {one: "present", two: "present"}, "ben": base})
    assert set(run.labels.current()["patch_id"]) == set(entry.patch_ids) - {one, two}
    now = status(run)
    assert now.disputed == 2
    assert "2 disputed" in owl("status", run.path).output

    again = query(run, annotators=["ana", "ben", "eva"], overlap=0)
    assert set(again.patch_ids[:3]) >= {one, two}  # a place may be the audit's
    asked_of = {
        name: {again.patch_ids[place] for place in places} for name, places in again.team.items()
    }
    assert {one, two} <= asked_of["eva"]
    assert not {one, two} & (asked_of["ana"] | asked_of["ben"])
    answer(run, {"eva": {one: "present", two: "skip"}})
    labels = run.labels.current().set_index("patch_id")["label"]
    assert labels[one] == "present"
    assert labels[two] == "unsure"  # three words for it, and it was asked twice
    assert status(run).disputed == 0


def test_who_changes_their_mind_ends_the_tie_and_the_history_keeps_both(tmp_path: Path) -> None:
    run = team(tmp_path / "run")
    entry = query(run, annotators=["ana", "ben"], overlap=1.0)
    patch = entry.patch_ids[0]
    answer(run, {"ana": {patch: "present"}, "ben": {patch: "absent"}})
    assert len(run.labels.current()) == 0
    files = run.batch_paths(entry)
    searches.label(files["ben"], {patch: "present"}, annotator="ben")
    ingest(run, [files["ben"]], annotator="nobody")
    assert run.labels.current()["label"].tolist() == ["present"]
    told = owl("labels", "history", run.path, "--patch", patch).output.splitlines()
    assert len(told) == 4
    marks = [line.startswith("*") for line in told[1:]]
    assert marks == [True, False, True]
    assert "absent" in told[2]


def test_ties_leave_room_for_what_is_new(tmp_path: Path) -> None:
    run = team(tmp_path / "run", acquisition={"audit_share": 0})
    entry = query(run, annotators=["ana", "ben"], overlap=1.0)
    answer(run, {"ana": "present", "ben": "absent"})
    assert status(run).disputed == 10
    again = query(run, annotators=["ana", "ben"])
    assert len(again.patch_ids) == 10
    assert len(set(again.patch_ids) & set(entry.patch_ids)) >= 5
    assert status(run).asked == len({*entry.patch_ids, *again.patch_ids}) <= 15
    assert set(again.patch_ids[:5]) <= set(entry.patch_ids)


# --- agreement ------------------------------------------------------------------------------------


def test_fleiss_own_table() -> None:
    """The worked example of 10 things, 14 raters and 5 labels that textbooks give 0.210 for."""
    votes = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    assert round(fleiss_kappa(np.array(votes)), 3) == 0.210


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_cohen_as_scikit_learn_has_it(pairs: list[tuple[str, str]]) -> None:
    one, other = zip(*pairs, strict=True)
    found = cohen_kappa(one, other)
    if len({*one, *other}) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(cohen_kappa_score(one, other))


def test_two_raters_agree_by_fleiss_as_by_scott() -> None:
    one, other = list("aabbbacab"), list("ababbacbb")
    votes = np.array(
        [[(a == w) + (b == w) for w in "abc"] for a, b in zip(one, other, strict=True)]
    )
    shares = np.array([(one + other).count(w) for w in "abc"]) / 18
    same = np.mean([a == b for a, b in zip(one, other, strict=True)])
    by_chance = (shares**2).sum()
    assert fleiss_kappa(votes) == pytest.approx((same - by_chance) / (1 - by_chance))


def test_nothing_to_agree_on() -> None:
    assert math.isnan(cohen_kappa([], []))
    assert math.isnan(fleiss_kappa(np.zeros((0, 3), dtype=np.int64)))
    assert math.isnan(fleiss_kappa(np.array([[1, 0], [0, 1]])))
    with pytest.raises(ValueError, match="1 labels by one rater, 2"):
        cohen_kappa(["a"], ["a", "b"])


def history(*said: tuple[str, str, str]) -> pd.DataFrame:
    rows = [
        (seq, patch, label, who, f"2026-01-01T00:00:{seq:02}Z", "b", 1, None)
        for seq, (who, patch, label) in enumerate(said)
    ]
    columns = ("seq", "patch_id", "label", "annotator", "labelled_at", "batch_id", "round")
    return pd.DataFrame(rows, columns=[*columns, "comment"])


def test_each_annotator_against_the_consensus() -> None:
    told = history(
        *(("ana", f"p{i}", "present") for i in range(4)),
        *(("ben", f"p{i}", "present") for i in range(3)),
        *(("eva", f"p{i}", "absent") for i in range(4)),
        ("ben", "p3", "absent"),
        ("eva", "p9", "present"),
        ("eva", "p0", "present"),
    )
    found = agreement(told)
    assert found is not None
    assert found.n_shared == 4
    ana, ben, eva = found.annotators
    assert (ana.n_labeled, ana.n, ana.same) == (4, 4, 0.75)
    assert ana.confusion.loc["present", "absent"] == 1
    assert (ben.n, ben.same) == (4, 1.0)
    assert (eva.n_labeled, eva.n, eva.same) == (5, 4, 0.5)
    assert eva.confusion.loc["absent", "present"] == 2
    of = {pair.annotators: pair for pair in found.pairs}
    assert of["ana", "eva"].same == 0.25
    assert of["ben", "eva"].kappa == pytest.approx(
        cohen_kappa_score(["present"] * 3 + ["absent"], ["present", "absent", "absent", "absent"])
    )
    assert agreement(told[told["annotator"] == "ana"]) is None


def test_annotators_of_other_patches_neither_agree_nor_differ() -> None:
    found = agreement(history(("ana", "p0", "present"), ("ben", "p1", "absent")))
    assert found is not None
    assert (found.n_shared, found.pairs) == (0, ())
    assert math.isnan(found.fleiss)
    assert [one.n_labeled for one in found.annotators] == [1, 1]


def test_status_tells_of_the_team(tmp_path: Path) -> None:
    run = team(tmp_path / "run")
    assert "Team" not in owl("status", run.path).output
    entry = query(run, annotators=["ana", "ben"], overlap=1.0)
    base = dict.fromkeys(entry.patch_ids, "absent") | dict.fromkeys(entry.patch_ids[:4], "present")
    answer(run, {"ana": base, "ben": base | {entry.patch_ids[0]: "absent"}})
    told = owl("status", run.path).output
    kappa = cohen_kappa_score(["present"] * 4 + ["absent"] * 6, ["present"] * 3 + ["absent"] * 7)
    assert f"ana and ben: agree on 90 % of 10, Cohen's kappa {kappa:.2f}" in told
    assert "10 patches labelled by two or more, Fleiss' kappa" in told
    assert "ana: 10 labelled, agrees with the consensus on 100 % of 9" in told


def test_a_batch_smaller_than_the_team_has_no_empty_files(tmp_path: Path) -> None:
    run = searches.make(tmp_path / "run", loop={"initial": 2})
    people = ["ana", "ben", "eva", "zoe"]
    done = owl("query", run.path, "--annotators", ",".join(people), "--overlap", 0, "-q")
    paths = [Path(line) for line in done.output.splitlines()]
    assert [len(patches_of(path)) for path in paths] == [1, 1]
    assert sorted(run.files.round_folder(0).glob("*.gpkg")) == sorted(paths)
    assert run.waits(run.rounds()[0]) == paths
    for path in paths:
        searches.label(path, {patches_of(path)[0]: "absent"}, annotator=None)
    ingest(run, paths, annotator="nobody")
    assert run.waiting() is None


@pytest.mark.parametrize("model", searches.MODELS.values(), ids=searches.MODELS)
def test_whose_answers_come_first_does_not_change_the_search(model, tmp_path: Path) -> None:
    """A network learns in an order, and that is the batch's, with what was imported before it."""
    runs = []
    for number, names in enumerate((["ana", "ben"], ["ben", "ana"])):
        run = team(tmp_path / str(number), **model)
        query(run, annotators=["ana", "ben"])
        asked = run.rounds()[0].patch_ids
        others = [name for name in run.patches["patch_id"] if name not in asked][:2]
        known = tmp_path / f"known{number}.csv"
        rows = zip(others, ["present", "absent"], strict=True)
        known.write_text("patch_id,label\n" + "".join(f"{a},{b}\n" for a, b in rows))
        for name in names:
            given = dict(zip(asked, ["present", "absent", "absent"] * 4, strict=False))
            answer(run, {name: given})
            if name == "ana":
                import_answers(run, known, annotator="eva")
        runs.append((query(run), run.files.model(1).read_bytes()))
    assert runs[1][0].patch_ids == runs[0][0].patch_ids
    assert runs[1][1] == runs[0][1]
