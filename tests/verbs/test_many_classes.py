"""Searches of many classes and many answers, by every head, through the commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import searches

from owl_geo import Run
from owl_geo.cli import _run as owl

HEADS = ("blend", "committee", "forest", "gp", "logistic", "mlp")
POOL = 1100
SOURCE = {"kind": "synthetic", "n_samples": POOL, "image_size": 4, "n_bands": 1}


def class_names(count: int) -> list[str]:
    return ["absent", "present", *(f"other{number}" for number in range(2, count))]


def make(folder: Path, head: str, count: int, n_samples: int = POOL) -> Run:
    classes = class_names(count)
    return searches.make(
        folder,
        classes=classes,
        positive="present",
        source=SOURCE | {"n_samples": n_samples},
        model={"head": head},
    )


def answer(run: Run, labels: Sequence[str]) -> None:
    """Answer the first patches of the pool by ``owl-geo labels import``."""
    table = pd.DataFrame({"patch_id": run.patches["patch_id"][: len(labels)], "label": labels})
    path = run.path.parent / "answers.csv"
    table.to_csv(path, index=False)
    assert owl(["labels", "import", str(run.path), str(path), "--annotator", "ana", "-q"]) == 0


def of_every_class(count: int, n: int, n_present: int = 4) -> list[str]:
    """Labels of ``n`` answers: few of the class that is searched for, the others at random.

    Four are too few to cross-validate by, which would fit five models more.
    """
    others = [name for name in class_names(count) if name != "present"]
    numbers = np.random.default_rng(n).integers(len(others), size=n - n_present - len(others))
    return ["present"] * n_present + others + [others[number] for number in numbers]


def learn_and_predict(run: Run) -> gpd.GeoDataFrame:
    """Ask the next batch and predict, by commands; return the batch."""
    before = len(Run(run.path).rounds())
    assert owl(["query", str(run.path), "--go-on", "-q"]) == 0
    assert owl(["predict", str(run.path), "-q"]) == 0
    assert owl(["status", str(run.path)]) == 0
    entry = Run(run.path).rounds()[-1]
    assert entry.number == before
    batch = gpd.read_file(run.batch_path(entry.number), layer="batch")
    assert len(batch) == 4
    return batch


@pytest.mark.parametrize(
    ("head", "count"), [*((head, 3) for head in HEADS), ("blend", 30), ("mlp", 30)]
)
def test_few_answers_and_more_than_a_kernel_is_tuned_on(
    head: str, count: int, tmp_path: Path
) -> None:
    run = make(tmp_path / "r", head, count)
    assert owl(["query", str(run.path), "-q"]) == 0
    for n in (35, 151):
        answer(run, of_every_class(count, n))
        batch = learn_and_predict(run)
        assert batch["probability"].between(0, 1).all()
        assert batch["uncertainty"].between(0, np.log(count) + 1e-6).all()


@pytest.mark.parametrize("head", ["blend", "logistic"])
def test_a_thousand_answers(head: str, tmp_path: Path) -> None:
    run = make(tmp_path / "r", head, 5)
    assert owl(["query", str(run.path), "-q"]) == 0
    answer(run, of_every_class(5, 1000))
    assert learn_and_predict(run)["probability"].between(0, 1).all()


def test_five_thousand_answers_are_cross_validated_too(tmp_path: Path) -> None:
    run = make(tmp_path / "r", "blend", 3, n_samples=5100)
    assert owl(["query", str(run.path), "-q"]) == 0
    answer(run, of_every_class(3, 5000, n_present=1000))
    assert learn_and_predict(run)["probability"].between(0, 1).all()
    assert 0 < Run(run.path).rounds()[-1].metrics.cv_auc < 1


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    "labels",
    [["present"], ["absent"] * 9, ["present"] * 9, ["unsure"] * 9, ["unsure", "skip", "other2"]],
    ids=["one", "absent", "present", "unsure", "mixed"],
)
def test_answers_that_tell_nothing_apart(labels: list[str], head: str, tmp_path: Path) -> None:
    run = make(tmp_path / "r", head, 3, n_samples=60)
    assert owl(["query", str(run.path), "-q"]) == 0
    answer(run, labels)
    assert owl(["query", str(run.path), "--go-on", "-q"]) == 0
    assert len(Run(run.path).rounds()[-1].patch_ids) == 4
    has_a_class = not {"unsure", "skip"} >= set(labels)
    assert owl(["predict", str(run.path), "-q"]) == (0 if has_a_class else 1)


@pytest.mark.parametrize("count", [3, 30])
def test_the_classes_of_watched_patches_are_read_back(count: int, tmp_path: Path) -> None:
    """So that stability is a number, and the hint to stop can speak."""
    run = make(tmp_path / "r", "forest", count, n_samples=300)
    assert owl(["query", str(run.path), "-q"]) == 0
    for n in (120, 140):
        answer(run, of_every_class(count, n))
        assert owl(["query", str(run.path), "--go-on", "-q"]) == 0
    rounds = Run(run.path).rounds()
    assert [len(entry.watched) for entry in rounds] == [0, 300, 300]
    assert set(rounds[2].watched) <= set(range(count))
    if count == 30:
        assert max(rounds[2].watched) > 9
    assert 0 <= rounds[2].metrics.stability <= 1


def test_one_against_the_rest_tells_classes_apart(tmp_path: Path) -> None:
    """By features that show the class, past the number of answers that kernels are tuned on."""
    from owl_geo.models import heads

    rng = np.random.default_rng(0)
    labels = np.arange(240) % 4
    rows = (3 * np.eye(4)[labels] + rng.normal(size=(240, 4))).astype(np.float32)
    fitted = heads.fit("gp", rows[:200], labels[:200], heads.Columns(4), n_classes=4, seed=0)
    probabilities = fitted(rows[200:])[0]
    assert (probabilities.argmax(axis=1) == labels[200:]).mean() > 0.85
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
