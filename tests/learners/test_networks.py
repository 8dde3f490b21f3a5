"""Networks as learners: members, concepts, ensembles, what is kept and what is refused."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from searches import assert_same_story, make
from torchvision.models import resnet18

from owl_geo import SyntheticSource
from owl_geo.errors import ConfigError, RunError
from owl_geo.evaluation.simulate import run as simulate
from owl_geo.learners.base import Learner, Lesson, Material
from owl_geo.learners.network import NetworkLearner
from owl_geo.learners.scoring import predict_members
from owl_geo.learners.training import fit
from owl_geo.models import checkpoint
from owl_geo.settings.learning import (
    ModelSettings,
    ReptileSettings,
    TrainingSettings,
    UncertaintySettings,
)
from owl_geo.sources.statistics import band_statistics
from owl_geo.work.workers import Threads

CPU = torch.device("cpu")
CLASSES = ("absent", "present")
ENSEMBLE = {"members": "ensemble", "ensemble_size": 3}
DROPOUT = {"members": "dropout", "passes": 12}


class Counting(SyntheticSource):
    """Counts how many patches were streamed."""

    streamed = 0

    def stream(self, positions=None, *, batch_size=256):
        for part, patches in super().stream(positions, batch_size=batch_size):
            self.streamed += len(part)
            yield part, patches


def material(
    n: int = 60, *, signal: float = 1.0, concepts: np.ndarray | None = None, size: int = 8
) -> Material:
    source = Counting(n, size, 2, signal=signal)
    return Material(
        source,
        Threads(),
        band_statistics(source, np.random.default_rng(0)),
        np.empty((n, 0), np.float32) if concepts is None else concepts.astype(np.float32),
        np.zeros((n, 3), np.float32),
    )


def learner(of: Material, *, classes=CLASSES, seed: int = 3, **tables: dict) -> NetworkLearner:
    """A learner by these tables; a CNN that sees no concepts and has plain Reptile, else."""
    model = ModelSettings(**({"kind": "cnn", "concepts": False} | tables.get("model", {})))
    reptile = ReptileSettings(**({"kind": "plain"} | tables.get("reptile", {})))
    assert reptile.kind != "auto"
    return NetworkLearner(
        of,
        classes,
        model=model,
        training=TrainingSettings(**tables.get("training", {})),
        reptile=reptile,
        meta=reptile.kind,
        uncertainty=UncertaintySettings(**tables.get("uncertainty", {})),
        seed=seed,
        device=CPU,
    )


def taught(of: Material, n: int = 20, seed: int = 9, **tables: dict) -> tuple[Learner, Lesson]:
    """A learner that has heard the answers to the first n patches."""
    one = learner(of, **tables)
    positions = np.arange(n)
    return one, one.learn(positions, of.source.labels[positions], np.ones(n, bool), seed)


def everything(of: Material) -> np.ndarray:
    return np.arange(len(of.source.index))


def test_scoring_leaves_torch_as_many_threads_as_it_had() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        of = material(150)
        one, _ = taught(of)
        one.members(everything(of), seed=1)
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as pool:  # and those that begin later, too
            assert pool.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)


def buffers(path: Path) -> dict[str, torch.Tensor]:
    models, _ = checkpoint.load(path)
    return {name: b for name, b in models[0].named_buffers() if "num_batches" not in name}


class TestMembers:
    @pytest.mark.parametrize(("uncertainty", "expected"), [({}, 1), (DROPOUT, 12), (ENSEMBLE, 3)])
    def test_probabilities_of_each_member_from_one_reading(self, uncertainty, expected) -> None:
        of = material(150)
        one, _ = taught(of, uncertainty=uncertainty)
        of.source.streamed = 0
        seen: list[tuple[int, int]] = []
        chosen = everything(of)[::2]
        said = one.members(chosen, seed=1, progress=lambda done, total: seen.append((done, total)))
        assert said.shape == (expected, 75, 2)
        assert said.dtype == np.float32
        np.testing.assert_allclose(said.sum(axis=2), 1, rtol=1e-5)
        assert of.source.streamed == 75
        assert seen[-1] == (75, 75)
        # members disagree about every patch, and never in the same way
        assert len(np.unique(said[:, 0, 0])) == expected
        np.testing.assert_array_equal(said, one.members(chosen, seed=1))
        again = one.members(chosen, seed=2)
        assert np.array_equal(said, again) == (uncertainty != DROPOUT)

    def test_the_mean_of_many_dropout_passes_is_near_the_one_pass(self) -> None:
        of = material()
        single, _ = taught(of)
        sampled, _ = taught(of, uncertainty={"members": "dropout", "passes": 100})
        once = single.members(everything(of), seed=0)[0]
        spread = sampled.members(everything(of), seed=0)
        assert np.abs(spread.mean(axis=0) - once).max() < 0.1
        assert spread.std(axis=0).mean() > 0.01

    def test_a_single_pass_is_one_with_dropout(self) -> None:
        of = material()
        one, _ = taught(of)
        network, positions = one._networks()[:1], everything(of)
        plain, dropped, again = (
            predict_members(network, of.source, positions, passes=passes, seed=1, device=CPU)
            for passes in (0, 1, 1)
        )
        assert plain.shape == dropped.shape == (1, 60, 2)
        assert not np.array_equal(plain, dropped)
        np.testing.assert_array_equal(dropped, again)

    def test_dropout_is_off_again_after_scoring_and_torchs_generator_is_put_back(self) -> None:
        of = material()
        one, _ = taught(of, uncertainty=DROPOUT)
        torch.manual_seed(99)
        expected = torch.rand(3)
        torch.manual_seed(99)
        one.members(everything(of), seed=0)
        assert torch.equal(torch.rand(3), expected)
        assert not any(m.training for model in one._networks() for m in model.modules())

    def test_no_patches_have_no_probabilities(self) -> None:
        one, _ = taught(material())
        assert one.members(np.empty(0, np.int64), seed=0).shape == (1, 0, 2)

    def test_positions_must_grow(self) -> None:
        one, _ = taught(material())
        with pytest.raises(ValueError, match="must ascend"):
            one.members(np.array([3, 1]), seed=0)

    def test_diverged_training_is_one_line(self) -> None:
        of = material()
        one, _ = taught(of)
        for parameter in one._networks()[0].parameters():
            parameter.data.fill_(math.nan)
        with pytest.raises(RunError, match="training has diverged"):
            one.members(everything(of), seed=0)


class TestLearning:
    def test_a_concept_that_decides_is_learnt_only_by_the_network_that_sees_it(self) -> None:
        rng = np.random.default_rng(0)
        truth = rng.integers(0, 2, 200)
        of = material(200, signal=0.0, concepts=np.stack([truth, rng.random(200)], axis=1))
        answered, rest = np.arange(40), np.arange(40, 200)
        right = {}
        for concepts in (False, True):
            one = learner(of, model={"concepts": concepts}, training={"epochs": 10})
            one.learn(answered, truth[answered], np.ones(40, bool), seed=1)
            said = one.members(rest, seed=0).mean(axis=0).argmax(axis=1)
            right[concepts] = (said == truth[rest]).mean()
        assert right[True] > 0.9
        assert 0.3 < right[False] < 0.7

    def test_concepts_that_say_nothing_do_not_hide_the_image(self) -> None:
        of = material(200, concepts=np.random.default_rng(1).random((200, 3)))
        answered, rest = np.arange(60), np.arange(60, 200)
        one = learner(of, model={"concepts": True}, training={"epochs": 10})
        one.learn(answered, of.source.labels[answered], np.ones(60, bool), seed=1)
        said = one.members(rest, seed=0)[0].argmax(axis=1)
        assert (said == of.source.labels[rest]).mean() > 0.8

    def test_answers_of_one_class_are_learnt_with_concepts_too(self) -> None:
        of = material(30, concepts=np.ones((30, 2)))
        one = learner(of, model={"concepts": True})
        one.learn(np.arange(6), np.zeros(6, np.int64), np.ones(6, bool), seed=0)
        assert (one.members(everything(of), seed=0)[0, :, 0] > 0.5).all()

    @pytest.mark.parametrize("uncertainty", [{}, ENSEMBLE])
    @pytest.mark.parametrize("kind", ["none", "plain", "diverse"])
    def test_one_seed_one_result(self, kind: str, uncertainty: dict, tmp_path: Path) -> None:
        concepts = np.random.default_rng(0).random((60, 3))
        of = material(concepts=concepts)
        files = []
        for number, seed in enumerate((1, 1, 2)):
            one, lesson = taught(of, seed=seed, reptile={"kind": kind}, uncertainty=uncertainty)
            assert math.isnan(lesson.meta_query_loss) == (kind == "none")
            assert lesson.train_loss > 0
            one.save(tmp_path / f"{number}.safetensors")
            files.append((tmp_path / f"{number}.safetensors").read_bytes())
        assert files[0] == files[1]
        assert files[0] != files[2]

    def test_the_kinds_of_reptile_differ(self) -> None:
        of = material(concepts=np.random.default_rng(0).random((60, 3)))
        said = []
        for kind in ("none", "plain", "diverse"):
            one = learner(of, reptile={"kind": kind})
            positions = np.arange(30)
            fresh = positions >= 20
            one.learn(positions, of.source.labels[positions], fresh, seed=1)
            said.append(one.members(everything(of), seed=0))
        assert not np.array_equal(said[0], said[1])
        assert not np.array_equal(said[1], said[2])

    def test_it_goes_on_from_the_weights_it_has(self, tmp_path: Path) -> None:
        of = material()
        one, _ = taught(of, 10)
        one.save(tmp_path / "m.safetensors")
        other = learner(of, seed=77)  # whatever it would have started with
        other.restore(tmp_path / "m.safetensors")
        positions = np.arange(20)
        for each in (one, other):
            each.learn(positions, of.source.labels[positions], positions >= 10, seed=5)
        np.testing.assert_array_equal(
            one.members(everything(of), seed=0), other.members(everything(of), seed=0)
        )
        # the first fit counts: from fresh weights the second leads elsewhere
        fresh = learner(of)
        fresh.learn(positions, of.source.labels[positions], positions >= 10, seed=5)
        assert not np.array_equal(
            one.members(everything(of), seed=0), fresh.members(everything(of), seed=0)
        )

    def test_without_answers_nothing_happens(self) -> None:
        of = material()
        one = learner(of)
        before = one.members(everything(of), seed=0)
        none = np.empty(0, dtype=np.int64)
        lesson = one.learn(none, none, none.astype(bool), seed=0)
        assert math.isnan(lesson.train_loss)
        assert math.isnan(lesson.meta_query_loss)
        np.testing.assert_array_equal(before, one.members(everything(of), seed=0))

    def test_an_ensemble_is_its_single_networks(self) -> None:
        """The first member is the network that would have been trained alone."""
        of = material()
        single, _ = taught(of)
        several, _ = taught(of, uncertainty=ENSEMBLE)
        alone = single.members(everything(of), seed=0)[0]
        together = several.members(everything(of), seed=0)
        np.testing.assert_allclose(together[0], alone, atol=1e-6)


class TestBackbones:
    def test_batch_normalisation_is_set_to_the_pool_once_and_never_moved(self, tmp_path) -> None:
        of = material(40)
        one = learner(of, model={"kind": "resnet18"}, uncertainty=DROPOUT, training={"epochs": 1})
        one.save(tmp_path / "before.safetensors")
        positions = np.arange(9)  # the last batch of one: too few for statistics of its own
        labels = of.source.labels[positions]
        one.learn(positions, labels, np.ones(9, bool), seed=0)
        said = one.members(everything(of), seed=0)
        one.save(tmp_path / "after.safetensors")
        before, after = (buffers(tmp_path / f"{n}.safetensors") for n in ("before", "after"))
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert before["network.trunk.bn1.running_mean"].abs().max() > 0  # no longer the fresh 0
        assert said.std(axis=0).min() > 0

    def test_one_patch_in_a_batch_is_no_obstacle(self) -> None:
        of = material(10)
        one, lesson = taught(
            of, 3, model={"kind": "efficientnet_b0"}, training={"epochs": 1, "batch_size": 1}
        )
        assert math.isfinite(lesson.train_loss)
        assert np.isfinite(one.members(everything(of), seed=0)).all()

    def test_a_fresh_backbone_learns_what_is_there(self) -> None:
        of = material(110)
        tables = {"training": {"epochs": 4}, "reptile": {"kind": "none"}}
        one, _ = taught(of, 50, model={"kind": "resnet18"}, **tables)
        rest = np.arange(50, 110)
        said = one.members(rest, seed=0)[0].argmax(axis=1)
        assert (said == of.source.labels[rest]).mean() > 0.75  # the larger class is 0.65 of them

    def test_weights_are_read_once_and_their_origin_travels(self, tmp_path: Path) -> None:
        file = tmp_path / "w.pth"
        torch.save(resnet18().state_dict(), file)
        of = material(20)
        two = {"members": "ensemble", "ensemble_size": 2}
        tables = {"model": {"kind": "resnet18", "weights": str(file)}, "uncertainty": two}
        one = learner(of, **tables)
        one.save(tmp_path / "m.safetensors")
        models, spec = checkpoint.load(tmp_path / "m.safetensors")
        assert spec.weights.startswith("w.pth, sha256 ")
        first, second = (model.state_dict() for model in models)
        name = "network.trunk.layer1.0.conv1.weight"
        assert torch.equal(first[name], second[name])
        assert not torch.equal(first["network.head.weight"], second["network.head.weight"])
        file.unlink()
        again = learner(of, **tables)
        again.restore(tmp_path / "m.safetensors")
        again.save(tmp_path / "again.safetensors")
        assert checkpoint.load(tmp_path / "again.safetensors")[1] == spec
        with pytest.raises(ConfigError, match=r"there is no weights file .*w\.pth"):
            learner(of, **tables).members(everything(of), seed=0)

    def test_a_trunk_takes_a_tenth_of_the_learning_rate(self) -> None:
        """Adam's first step is the learning rate itself, whatever the gradient."""
        spec = checkpoint.ModelSpec("resnet18", ("a", "b"), CLASSES, 8, 0.0)
        model = checkpoint.build(spec, 0)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        images = np.random.default_rng(0).random((4, 2, 8, 8), dtype=np.float32)
        settings = TrainingSettings(epochs=1, learning_rate=0.01)
        fit(model, images, np.array([0, 1, 0, 1]), settings, seed=0, device=CPU)
        steps = {
            name: float((p.detach() - before[name]).abs().max())
            for name, p in model.named_parameters()
        }
        assert steps["network.head.weight"] == pytest.approx(0.01, rel=0.01)
        assert steps["network.trunk.layer4.1.conv2.weight"] == pytest.approx(0.001, rel=0.01)

    def test_weights_without_a_backbone_are_refused(self) -> None:
        with pytest.raises(ValueError, match="weights is for a backbone"):
            ModelSettings(kind="cnn", weights="imagenet")


class TestRestoring:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"classes": ("absent", "mine")},
                "classes was absent, present and is now absent, mine",
            ),
            ({"model": {"kind": "resnet18"}}, r"model\.kind was cnn and is now resnet18"),
            ({"model": {"concepts": True}}, "concepts it sees was 0 and is now 2"),
            ({"uncertainty": ENSEMBLE}, "size of the ensemble was 1 and is now 3"),
        ],
    )
    def test_what_was_made_for_another_search(self, change, message, tmp_path: Path) -> None:
        of = material(20, concepts=np.zeros((20, 2)))
        learner(of).save(tmp_path / "m.safetensors")
        with pytest.raises(RunError, match=message) as caught:
            learner(of, **change).restore(tmp_path / "m.safetensors")
        assert "\n" not in str(caught.value)

    def test_other_patches(self, tmp_path: Path) -> None:
        learner(material(20)).save(tmp_path / "m.safetensors")
        with pytest.raises(RunError, match="patch_size was 8 and is now 12"):
            learner(material(20, size=12)).restore(tmp_path / "m.safetensors")

    def test_damaged_or_missing(self, tmp_path: Path) -> None:
        (tmp_path / "bad.safetensors").write_bytes(b"no model")
        for name in ("bad.safetensors", "absent.safetensors"):
            with pytest.raises(RunError, match=name):
                learner(material(20)).restore(tmp_path / name)

    def test_dropout_may_be_changed_between_rounds(self, tmp_path: Path) -> None:
        of = material(20)
        learner(of).save(tmp_path / "m.safetensors")
        other = learner(of, model={"dropout": 0.1}, uncertainty=DROPOUT)
        other.restore(tmp_path / "m.safetensors")
        other.save(tmp_path / "n.safetensors")
        assert checkpoint.load(tmp_path / "n.safetensors")[1].dropout == 0.1


@pytest.mark.parametrize(
    "tables",
    [
        {"model": {"kind": "cnn"}, "uncertainty": ENSEMBLE, "reptile": {"kind": "diverse"}},
        {"model": {"kind": "resnet18"}, "uncertainty": DROPOUT, "training": {"epochs": 1}},
        {"model": {"kind": "resnet18", "frozen": True}},
        {"model": {"head": "mlp"}, "reptile": {"kind": "diverse"}},
        {"uncertainty": ENSEMBLE | {"measure": "mutual_information"}},
    ],
)
def test_a_whole_search_is_repeatable(tables: dict, tmp_path: Path) -> None:
    source = {"kind": "synthetic", "n_samples": 30, "image_size": 8, "n_bands": 2}
    for name in ("one", "other"):
        simulate(make(tmp_path / name, oracle={}, source=source, loop={"rounds": 1}, **tables))
    assert_same_story(tmp_path / "one", tmp_path / "other")
