"""Whom a batch still waits for."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from owl_geo.measures.metrics import RoundMetrics
from owl_geo.run_folder.paths import RunPaths
from owl_geo.run_folder.records import Round
from owl_geo.run_folder.waiting import waiting_files

PATCHES = ("s/0/0", "s/0/10", "s/0/20", "s/0/30")


def entry(
    number: int, *, asks: bool = True, team: dict[str, tuple[int, ...]] | None = None
) -> Round:
    return Round(
        number=number,
        batch_id=f"r-{number:03d}" if asks else None,
        patch_ids=PATCHES if asks else (),
        answers_seen=10 * number,
        metrics=RoundMetrics(number, 10 * number, number, 0.5, 0.75, math.nan, 1.25, 100),
        audit={},
        watched=(),
        team=team or {},
    )


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(tmp_path)


def history(*answers: tuple[str, int], batch_id: str = "r-001") -> pd.DataFrame:
    """Answers as pairs of annotator and rank in the batch."""
    return pd.DataFrame(
        [(name, PATCHES[rank], batch_id) for name, rank in answers],
        columns=["annotator", "patch_id", "batch_id"],
    )


def waiting(paths: RunPaths, one: Round, answers: pd.DataFrame) -> list[str]:
    return [path.name for path in waiting_files(paths, one, answers, {})]


def test_a_batch_for_everybody_waits_for_any_answer_to_it(paths: RunPaths) -> None:
    assert waiting(paths, entry(1), history()) == ["batch.gpkg"]
    assert waiting(paths, entry(1), history(("ana", 0), batch_id="r-000")) == ["batch.gpkg"]
    assert waiting(paths, entry(1), history(("ana", 0))) == []
    assert waiting(paths, entry(1, asks=False), history()) == []


def test_answers_to_another_batch_of_that_name_are_none(paths: RunPaths) -> None:
    other = history(("ana", 0)).assign(patch_id="s/5/5")
    assert waiting(paths, entry(1), other) == ["batch.gpkg"]
    dealt = entry(1, team={"ana": (0, 1), "ben": (2, 3)})
    assert waiting(paths, dealt, other) == ["batch-ana.gpkg", "batch-ben.gpkg"]


@pytest.mark.parametrize(
    ("answers", "files"),
    [
        ([], ["batch-ana.gpkg", "batch-ben.gpkg"]),
        ([("ana", 0)], ["batch-ben.gpkg"]),
        ([("ben", 3)], ["batch-ana.gpkg"]),
        ([("ana", 2)], ["batch-ben.gpkg"]),  # a patch that both have says nothing of ben
        ([("ana", 0), ("ben", 3)], []),
        # somebody who is not of the team answers for whoever has the patch
        ([("eve", 0)], ["batch-ben.gpkg"]),
        ([("eve", 2)], []),
        # and all that ben alone had is answered, by ana
        ([("ana", 0), ("ana", 3)], []),
    ],
)
def test_a_part_waits_for_its_annotator_or_for_somebody_in_their_place(
    answers: list[tuple[str, int]], files: list[str], paths: RunPaths
) -> None:
    dealt = entry(1, team={"ana": (0, 1, 2), "ben": (2, 3), "cy": ()})
    assert waiting(paths, dealt, history(*answers)) == files


def test_a_part_that_others_have_too_waits_for_its_annotator(paths: RunPaths) -> None:
    dealt = entry(1, team={"ana": (0, 1), "ben": (1,)})
    assert waiting(paths, dealt, history()) == ["batch-ana.gpkg", "batch-ben.gpkg"]
    assert waiting(paths, dealt, history(("ana", 1))) == ["batch-ben.gpkg"]


@pytest.mark.parametrize(
    ("labelled", "files"),
    [
        ({0: "eve", 1: "ana", 2: "eve"}, ["batch-ben.gpkg"]),
        ({0: "eve", 1: "ana", 2: "ana"}, ["batch-ben.gpkg"]),
        ({2: "eve", 3: "eve"}, ["batch-ana.gpkg"]),
        ({3: "ana"}, ["batch-ana.gpkg"]),  # ben's alone, by whomever
        ({2: "ana"}, ["batch-ana.gpkg", "batch-ben.gpkg"]),
        ({0: "eve", 1: "eve", 2: "eve", 3: "eve"}, []),
    ],
)
def test_what_is_labelled_in_another_way_is_not_waited_for(
    labelled: dict[int, str], files: list[str], paths: RunPaths
) -> None:
    given = {PATCHES[rank]: {name} for rank, name in labelled.items()}
    dealt = entry(1, team={"ana": (0, 1, 2), "ben": (2, 3), "cy": ()})
    assert [path.name for path in waiting_files(paths, dealt, history(), given)] == files
    whole = ["batch.gpkg"] if len(given) < len(PATCHES) else []
    assert [path.name for path in waiting_files(paths, entry(1), history(), given)] == whole


def test_others_of_the_team_do_not_label_for_one_what_all_are_to_label(paths: RunPaths) -> None:
    dealt = entry(1, team={"ana": (0, 1), "ben": (0, 1)})
    by_ana = {patch: {"ana"} for patch in PATCHES}
    (left,) = waiting_files(paths, dealt, history(), by_ana)
    assert left.name == "batch-ben.gpkg"
    by_both = {patch: {"ana", "ben"} for patch in PATCHES}
    assert waiting_files(paths, dealt, history(), by_both) == []
