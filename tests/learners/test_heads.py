"""Heads on features, and the learner that fits, keeps and restores them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.ensemble import ExtraTreesClassifier

from owl_geo.errors import RunError
from owl_geo.features.rows import FeatureTable
from owl_geo.learners.head import HeadLearner
from owl_geo.measures.metrics import roc_auc
from owl_geo.models import gaussian_process, heads
from owl_geo.models.heads import Columns
from owl_geo.settings.choices import HEADS
from owl_geo.settings.learning import ModelSettings, UncertaintySettings
from owl_geo.types import FloatArray, IntArray

KINDS = [name for name, choice in HEADS.items() if not choice.by_gradient]
MEMBERS = {"blend": 2, "committee": 2, "forest": 5, "gp": 1, "logistic": 1}
CLASSES = ("absent", "present")


def data(n: int = 60, *, noise: int = 3, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Features of which the first tells the class, the others nothing."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    features = rng.normal(size=(n, 1 + noise)).astype(np.float32)
    features[:, 0] += 4 * labels - 2
    return features, labels


def fit(kind: str, features: FloatArray, labels: IntArray, **given: Any) -> heads.Head:
    concepts, places = given.pop("n_concepts", 0), given.pop("n_places", 0)
    columns = Columns(features.shape[1] - concepts - places, concepts, places)
    return heads.fit(kind, features, labels, columns, **({"n_classes": 2, "seed": 1} | given))


@pytest.mark.parametrize("kind", KINDS)
class TestEveryHead:
    def test_members_are_distributions(self, kind: str) -> None:
        features, labels = data()
        members = fit(kind, features, labels)(features[:7])
        assert members.shape == (MEMBERS[kind], 7, 2)
        assert members.dtype == np.float32
        assert (members >= 0).all()
        np.testing.assert_allclose(members.sum(axis=2), 1, atol=1e-5)

    def test_it_learns_what_is_there(self, kind: str) -> None:
        features, labels = data()
        unseen, truth = data(seed=1)
        said = fit(kind, features, labels)(unseen).mean(axis=0)[:, 1]
        assert roc_auc(truth == 1, said) > 0.95
        mixed = np.random.default_rng(0).permutation(labels)
        blind = fit(kind, features, mixed)(unseen).mean(axis=0)[:, 1]
        assert roc_auc(truth == 1, blind) < 0.85

    def test_the_order_of_the_candidates_and_their_number_do_not_matter(self, kind: str) -> None:
        features, labels = data()
        candidates, _ = data(4105, seed=2)
        head = fit(kind, features, labels)
        whole = head(candidates)
        assert whole.shape[1] == 4105
        some = np.random.default_rng(0).permutation(len(candidates))[:40]
        np.testing.assert_allclose(head(candidates[some]), whole[:, some], atol=1e-6)

    def test_no_candidates(self, kind: str) -> None:
        features, labels = data()
        assert fit(kind, features, labels)(features[:0]).mean(axis=0).shape == (0, 2)

    @pytest.mark.parametrize("label", [0, 2])
    def test_one_class_only_is_laplaces_rule(self, kind: str, label: int) -> None:
        features, _ = data(7)
        head = fit(kind, features, np.full(7, label), n_classes=3)
        expected = np.full(3, 1 / 10)
        expected[label] = 8 / 10
        np.testing.assert_allclose(head(features[:4]), np.tile(expected, (1, 4, 1)), rtol=1e-6)

    def test_no_answer_at_all_is_laplaces_rule_too(self, kind: str) -> None:
        features, labels = data(4)
        members = fit(kind, features[:0], labels[:0])(features)
        np.testing.assert_allclose(members, np.full((1, 4, 2), 0.5))

    def test_a_class_without_an_answer_gets_nothing(self, kind: str) -> None:
        features, labels = data()
        members = fit(kind, features, labels * 2 + 1, n_classes=5)(features)
        assert members.shape[2] == 5
        assert (members[:, :, [0, 2, 4]] == 0).all()
        np.testing.assert_allclose(members.sum(axis=2), 1, atol=1e-5)
        two = fit(kind, features, labels)(features)
        np.testing.assert_allclose(members[:, :, [1, 3]], two, atol=1e-6)

    def test_three_classes(self, kind: str) -> None:
        rng = np.random.default_rng(0)
        labels = np.arange(90) % 3
        features = (np.eye(3)[labels] * 5 + rng.normal(size=(90, 3))).astype(np.float32)
        said = fit(kind, features, labels, n_classes=3)(features).mean(axis=0)
        assert (said.argmax(axis=1) == labels).mean() > 0.9

    def test_one_seed_one_head(self, kind: str) -> None:
        features, labels = data()
        unseen, _ = data(seed=1)
        one, same = (fit(kind, features, labels)(unseen) for _ in range(2))
        assert np.array_equal(one, same)
        if kind in ("forest", "committee", "blend"):  # the others draw nothing
            assert not np.array_equal(one, fit(kind, features, labels, seed=2)(unseen))

    def test_more_answers_than_a_gaussian_process_takes(self, kind: str) -> None:
        features, labels = data(gaussian_process._MOST + 150)
        rare = np.where(np.arange(len(labels)) < 40, labels, 0)  # 20 positives among 750
        features[:, 0] += 4 * (rare - labels)
        unseen, truth = data(seed=1)
        for seed in (1, 2):
            head = fit(kind, features, rare, seed=seed)
            assert roc_auc(truth == 1, head(unseen).mean(axis=0)[:, 1]) > 0.9
            assert np.array_equal(head(unseen), fit(kind, features, rare, seed=seed)(unseen))


def test_the_rare_class_is_never_left_out_of_the_draw() -> None:
    labels = np.zeros(5000, dtype=np.int64)
    labels[::500] = 1
    taken = gaussian_process._balanced(labels, 600, np.random.default_rng(0))
    assert len(taken) == 600
    assert (np.diff(taken) > 0).all()
    assert labels[taken].sum() == 10
    even = gaussian_process._balanced(np.arange(1000) % 2, 100, np.random.default_rng(0))
    assert (even % 2).sum() == 50


@pytest.mark.parametrize("seed", [0, 7, 11, 19])
def test_concepts_are_not_drowned_in_an_image_that_says_nothing(seed: int) -> None:
    """Two concept columns make the odds; beside them are thirty columns of noise."""
    rng = np.random.default_rng(seed)
    n = 700
    concepts = rng.random((n, 2)).astype(np.float32) * 2 - 1
    features = np.concatenate([rng.normal(size=(n, 30)), concepts], axis=1).astype(np.float32)
    odds = 4 * (np.abs(concepts[:, 0]) < 0.4) + 3 * concepts[:, 1] - 2
    labels = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    known, rest = slice(0, 110), slice(110, None)

    def auc(x: FloatArray, n_concepts: int) -> float:
        head = fit("gp", x[known], labels[known], n_concepts=n_concepts)
        return roc_auc(labels[rest] == 1, head(x[rest]).mean(axis=0)[:, 1])

    aware = auc(features, 2)
    assert aware > auc(features, 0) + 0.05
    assert aware > auc(concepts, 2) - 0.05  # nearly as if the noise were not there


def on_the_ground(seed: int) -> tuple[FloatArray, IntArray]:
    """Patches on a grid, features of noise, and targets that lie together in one corner."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).reshape(-1, 2)
    labels = (np.linalg.norm(places - rng.integers(5, 15, 2), axis=1) < 5).astype(np.int64)
    noise = rng.normal(size=(400, 6))
    return np.concatenate([noise, places], axis=1).astype(np.float32), labels


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_gaussian_process_looks_next_door(kind: str) -> None:
    table, labels = on_the_ground(3)
    known = np.random.default_rng(0).permutation(400)[:80]
    unknown = np.setdiff1d(np.arange(400), known)
    head = fit(kind, table[known], labels[known], n_places=2)
    said = head(table[unknown])
    moved = table[unknown].copy()
    moved[:, -2:] = 0
    if kind in ("gp", "committee", "blend"):
        assert roc_auc(labels[unknown] == 1, said.mean(axis=0)[:, 1]) > 0.9
        assert not np.allclose(head(moved), said)
    else:
        assert np.array_equal(head(moved), said)


N_FEATURES, N_CONCEPTS, N_PLACES, N = 4, 2, 3, 80
WIDTH = N_FEATURES + N_CONCEPTS + N_PLACES


def learner(
    kind: str = "committee",
    *,
    concepts: bool = True,
    ensemble: int = 0,
    names: tuple[str, ...] = ("a", "b", "c", "d"),
    classes: tuple[str, ...] = CLASSES,
    columns: int = N_CONCEPTS,
    neighbours: bool = True,
) -> HeadLearner:
    features, _ = data(N)
    given = np.random.default_rng(5).random((N, columns)).astype(np.float32)
    places = np.random.default_rng(6).random((N, N_PLACES)).astype(np.float32) * 9
    members: Any = {"members": "ensemble", "ensemble_size": ensemble} if ensemble else {}
    return HeadLearner(
        FeatureTable(features, names),
        given,
        places,
        classes,
        model=ModelSettings(head=kind, concepts=concepts, neighbours=neighbours),
        uncertainty=UncertaintySettings(**members),
    )


def everything(one: HeadLearner) -> FloatArray:
    return one.members(np.arange(N), seed=0)


def taught(one: HeadLearner, seed: int = 3) -> HeadLearner:
    positions = np.arange(50)
    one.learn(positions, positions % 2, np.ones(50, dtype=bool), seed)
    return one


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ensemble", [0, 3])
class TestLearner:
    def test_what_is_restored_says_the_same(self, kind, ensemble, tmp_path: Path) -> None:
        first = taught(learner(kind, ensemble=ensemble))
        first.save(tmp_path / "model.safetensors")
        other = learner(kind, ensemble=ensemble)
        other.restore(tmp_path / "model.safetensors")
        assert np.array_equal(everything(other), everything(first))
        other.save(tmp_path / "again.safetensors")
        again = (tmp_path / "again.safetensors").read_bytes()
        assert again == (tmp_path / "model.safetensors").read_bytes()

    def test_before_it_has_learnt_it_can_be_saved_and_knows_nothing(
        self, kind, ensemble, tmp_path: Path
    ) -> None:
        one = learner(kind, ensemble=ensemble)
        one.save(tmp_path / "m.safetensors")
        other = learner(kind, ensemble=ensemble)
        other.restore(tmp_path / "m.safetensors")
        for learnt_nothing in (one, other):
            np.testing.assert_allclose(everything(learnt_nothing), 0.5)

    def test_the_history_of_the_answers_does_not_matter(self, kind, ensemble) -> None:
        positions = np.arange(50)
        order = np.random.default_rng(0).permutation(50)
        at_once, later = learner(kind, ensemble=ensemble), learner(kind, ensemble=ensemble)
        taught(at_once)
        later.learn(positions[:10], positions[:10] % 2, np.ones(10, dtype=bool), 8)
        everything(later)
        shuffled = positions[order]
        later.learn(shuffled, shuffled % 2, order > 10, 3)
        assert np.array_equal(everything(later), everything(at_once))

    def test_members(self, kind, ensemble) -> None:
        members = everything(taught(learner(kind, ensemble=ensemble)))
        assert members.shape == (ensemble or MEMBERS[kind], N, 2)
        assert members.dtype == np.float32
        np.testing.assert_allclose(members.sum(axis=2), 1, atol=1e-5)
        if ensemble:
            assert len({member.tobytes() for member in members}) == ensemble


def test_the_lesson_is_the_mean_log_loss() -> None:
    one = learner()
    positions = np.arange(50)
    lesson = one.learn(positions, positions % 2, np.ones(50, dtype=bool), 3)
    said = one.members(positions, seed=0).mean(axis=0)[positions, positions % 2]
    assert lesson.train_loss == pytest.approx(-np.log(said).mean(), rel=1e-5)
    assert np.isnan(lesson.meta_query_loss)
    none = np.empty(0, np.int64)
    assert np.isnan(one.learn(none, none, np.empty(0, bool), 3).train_loss)
    np.testing.assert_allclose(everything(one), 0.5)


def test_the_first_of_an_ensemble_knows_all_answers() -> None:
    alone = taught(learner("logistic"))
    several = taught(learner("logistic", ensemble=4))
    assert np.array_equal(everything(several)[0], everything(alone)[0])


def test_a_rare_class_may_be_missing_from_a_resample() -> None:
    one = learner("gp", ensemble=8)
    labels = np.zeros(12, dtype=np.int64)
    labels[3] = 1
    one.learn(np.arange(12), labels, np.ones(12, dtype=bool), 3)
    members = everything(one)
    assert members.shape == (8, N, 2)
    np.testing.assert_allclose(members.sum(axis=2), 1, atol=1e-5)


def test_concepts_count_only_where_the_model_is_to_see_them() -> None:
    """The features of even and odd patches are the same; only a concept tells them apart."""
    table = FeatureTable(np.ones((N, 3), dtype=np.float32), ("a", "b", "c"))
    concepts = (np.arange(N) % 2)[:, None].astype(np.float32)
    said = {}
    for sees in (True, False):
        one = HeadLearner(
            table,
            concepts,
            np.zeros((N, 3), dtype=np.float32),
            CLASSES,
            model=ModelSettings(concepts=sees),
            uncertainty=UncertaintySettings(),
        )
        p = everything(taught(one)).mean(axis=0)[:, 1]
        said[sees] = p[1::2].mean() - p[::2].mean()
    assert said[True] > 0.5
    assert said[False] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_forest_is_the_one_of_scikit_learn(n_classes: int) -> None:
    rng = np.random.default_rng(n_classes)
    table = rng.normal(size=(30, 5)).astype(np.float32)
    labels = np.arange(30) % n_classes
    ours = heads.fit("forest", table, labels, Columns(5), n_classes=n_classes, seed=7)
    theirs = ExtraTreesClassifier(100, random_state=7).fit(table, labels)
    candidates = rng.normal(size=(50, 5)).astype(np.float32)
    trees = np.array([tree.predict_proba(candidates) for tree in theirs.estimators_])
    groves = trees.reshape(5, 20, 50, n_classes).mean(axis=1).astype(np.float32)
    np.testing.assert_array_equal(ours(candidates), groves)


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    one = taught(learner("logistic"))
    one.members(np.arange(9), seed=0, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (9, 9)


class TestFile:
    def saved(self, path: Path) -> Path:
        taught(learner("logistic")).save(path)
        return path

    def one_line(self, path: Path, one: HeadLearner | None = None) -> str:
        with pytest.raises(RunError) as caught:
            (one or learner("logistic")).restore(path)
        text = str(caught.value)
        assert "\n" not in text
        assert str(path) in text
        return text

    def rewritten(self, path: Path, spec: Any = None, **tensors: np.ndarray) -> Path:
        """The file with some of it put in place of what it held."""
        with safe_open(str(path), framework="np") as file:
            header = json.loads(file.metadata()["owl_geo"])
            known = {name: file.get_tensor(name) for name in ("features", "labels")}
        header = header | spec if isinstance(spec, dict) else (header if spec is None else spec)
        save_file(known | tensors, str(path), metadata={"owl_geo": json.dumps(header)})
        return path

    def test_nothing_but_numbers_and_json(self, tmp_path: Path) -> None:
        path = self.saved(tmp_path / "m")
        with safe_open(str(path), framework="np") as file:
            spec = json.loads(file.metadata()["owl_geo"])
            assert sorted(file.keys()) == ["features", "labels"]
            assert file.get_tensor("features").shape == (50, WIDTH)
        assert spec["head"] == "logistic"
        assert spec["features"] == ["a", "b", "c", "d"]

    @pytest.mark.parametrize(
        "content", [None, b"", b"not a model", b"\xff" * 64, b"\x10" + bytes(7) + b"{}" * 8]
    )
    def test_what_is_no_model(self, content: bytes | None, tmp_path: Path) -> None:
        path = tmp_path / "m"
        if content is not None:
            path.write_bytes(content)
        assert "is not a model of owl-geo, or is damaged" in self.one_line(path)

    def test_a_file_that_was_cut_off(self, tmp_path: Path) -> None:
        path = self.saved(tmp_path / "m")
        whole = path.read_bytes()
        for length in range(0, len(whole), 97):
            path.write_bytes(whole[:length])
            self.one_line(path)

    @pytest.mark.parametrize(
        "spec",
        [
            {"seed": "x" * 20, "unknown": 1},
            {"classes": None},
            {"features": 3},
            {"seed": "three"},
            {"seed": -1},
            {"seed": None},
            {"n_concepts": "2"},
            {"classes": [["a"], ["b"]]},
            [],
            "text",
        ],
        ids=str,
    )
    def test_a_foreign_header(self, spec: Any, tmp_path: Path) -> None:
        self.one_line(self.rewritten(self.saved(tmp_path / "m"), spec))

    @pytest.mark.parametrize(
        "tensors",
        [
            {"labels": np.zeros(49, np.int64)},
            {"labels": np.full(50, 2, np.int64)},
            {"labels": np.full(50, -1, np.int64)},
            {"labels": np.zeros(50, np.int32)},
            {"labels": np.zeros((50, 1), np.int64)},
            {"labels": np.array(3, np.int64)},
            {"features": np.zeros((50, 3), np.float32)},
            {"features": np.zeros((50, WIDTH), np.float64)},
            {"features": np.zeros((50, WIDTH, 1), np.float32)},
            {"features": np.full((50, WIDTH), np.nan, np.float32)},
        ],
    )
    def test_tensors_that_do_not_belong_together(self, tensors, tmp_path: Path) -> None:
        self.one_line(self.rewritten(self.saved(tmp_path / "m"), **tensors))

    def test_without_a_header(self, tmp_path: Path) -> None:
        save_file({"features": np.zeros((2, 6), np.float32)}, str(tmp_path / "m"))
        self.one_line(tmp_path / "m")

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            ({"classes": ("no", "yes")}, "different classes"),
            ({"names": ("a", "b", "c", "x")}, "different features"),
            ({"columns": 3}, "different concept columns"),
            ({"concepts": False}, "different concept columns"),
            ({"neighbours": False}, "different neighbours"),
        ],
    )
    def test_a_model_of_another_search(self, other: dict, said: str, tmp_path: Path) -> None:
        path = self.saved(tmp_path / "m")
        assert said in self.one_line(path, learner("logistic", **other))

    def test_another_head_may_take_over_the_answers(self, tmp_path: Path) -> None:
        path = self.saved(tmp_path / "m")
        one = learner("gp")
        one.restore(path)
        assert np.array_equal(everything(one), everything(taught(learner("gp"))))

    def test_a_disk_error_stays_one(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="No such file"):
            learner().save(tmp_path / "nowhere" / "m")
