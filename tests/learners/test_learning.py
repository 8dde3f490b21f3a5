"""Network, training, Reptile, scoring, checkpoints."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from owl_geo import Reptile, SimpleCNN, SyntheticSource
from owl_geo.errors import ConfigError, RunError
from owl_geo.learners.meta_batches import concept_groups, diverse
from owl_geo.learners.reptile import mean_weights
from owl_geo.learners.scoring import predict_members
from owl_geo.learners.training import MetaBatch, fit, meta_update
from owl_geo.models import checkpoint
from owl_geo.models.devices import check_device, pick_device
from owl_geo.settings.learning import TrainingSettings
from owl_geo.sources.statistics import band_statistics
from owl_geo.types import BandStatistics

CPU = torch.device("cpu")


def spec(n_bands: int = 4, size: int = 32, classes=("absent", "present")) -> checkpoint.ModelSpec:
    return checkpoint.ModelSpec(
        kind="cnn",
        bands=tuple(f"band_{i + 1}" for i in range(n_bands)),
        classes=tuple(classes),
        patch_size=size,
        dropout=0.5,
    )


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("n_bands", [1, 4, 13])
@pytest.mark.parametrize("size", [4, 8, 33])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_cnn_takes_any_bands_size_and_classes(n_bands: int, size: int, n_classes: int) -> None:
    model = SimpleCNN(n_bands, n_classes, image_size=size)
    assert model(torch.zeros(3, n_bands, size, size)).shape == (3, n_classes)


def test_cnn_is_the_one_described() -> None:
    model = SimpleCNN(4, 2)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if p.dim() > 1}
    assert shapes == {
        "conv1.weight": (32, 4, 3, 3),
        "conv2.weight": (64, 32, 3, 3),
        "hidden.weight": (128, 64 * 8 * 8),
        "head.weight": (2, 128),
    }
    with pytest.raises(ValueError, match="4 x 4"):
        SimpleCNN(4, 2, image_size=3)


def test_fit_learns_what_is_there_and_leaves_the_global_generator_alone() -> None:
    source = SyntheticSource(240, 16, 4, signal=1.0)
    images = source.read(source.index["patch_id"].tolist())
    model = checkpoint.build(spec(size=16), seed=0)
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    loss = fit(
        model, images[:200], source.labels[:200], TrainingSettings(epochs=20), seed=1, device=CPU
    )
    assert torch.equal(torch.rand(3), expected)
    assert loss < 0.4
    with torch.inference_mode():
        said = model(torch.from_numpy(images[200:].copy())).argmax(dim=1).numpy()
    assert (said == source.labels[200:]).mean() > 0.8


def test_one_seed_one_result_another_seed_another() -> None:
    source = SyntheticSource(40, 8, 2)
    images, labels = source.read(source.index["patch_id"].tolist()), source.labels

    def train(seed: int) -> dict[str, torch.Tensor]:
        model = checkpoint.build(spec(2, 8), seed=0)
        fit(model, images, labels, TrainingSettings(), seed=seed, device=CPU)
        meta_update(model, images, labels, Reptile(), seed=seed, device=CPU)
        return weights(model)

    assert same(train(1), train(1))
    assert not same(train(1), train(2))


def test_fit_without_patches_changes_nothing() -> None:
    model = checkpoint.build(spec(2, 8), seed=0)
    before = weights(model)
    empty = np.empty((0, 2, 8, 8), dtype=np.float32)
    loss = fit(model, empty, np.empty(0, dtype=np.int64), TrainingSettings(), seed=0, device=CPU)
    assert math.isnan(loss)
    assert same(before, weights(model))


def test_reptile_goes_a_part_of_the_way() -> None:
    theta = {"w": torch.tensor([0.0, 10.0])}
    reptile = Reptile(meta_lr=0.25, inner_steps=4)
    adapted = reptile.adapt(theta, lambda w: {"w": w["w"] + 1.0})
    assert adapted["w"].tolist() == [4.0, 14.0]
    assert reptile.move(theta, adapted)["w"].tolist() == [1.0, 11.0]
    assert theta["w"].tolist() == [0.0, 10.0]
    with pytest.raises(ValueError, match="different names"):
        reptile.move(theta, {"v": theta["w"]})


def test_meta_update_is_meta_lr_times_plain_sgd() -> None:
    """Without dropout the update can be computed by hand from torch's own SGD."""
    source = SyntheticSource(10, 8, 2)
    images, labels = source.read(source.index["patch_id"].tolist()), source.labels
    plain = checkpoint.ModelSpec("cnn", ("a", "b"), ("x", "y"), 8, dropout=0.0)
    model, by_hand = checkpoint.build(plain, seed=3), checkpoint.build(plain, seed=3)
    theta = weights(by_hand)
    query_loss = meta_update(
        model,
        images,
        labels,
        Reptile(inner_lr=0.05, meta_lr=0.1, inner_steps=3),
        seed=5,
        device=CPU,
    )
    support, query = np.split(np.random.default_rng(5).permutation(10), [5])
    x, y = torch.from_numpy(images.copy()), torch.from_numpy(labels)
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(by_hand(x[support]), y[support]).backward()
        optimizer.step()
    wanted = float(torch.nn.functional.cross_entropy(by_hand(x[query]), y[query]).detach())
    assert query_loss == pytest.approx(wanted, rel=1e-5)
    adapted, moved = weights(by_hand), weights(model)
    for name, value in theta.items():
        torch.testing.assert_close(moved[name], value + 0.1 * (adapted[name] - value))


def test_the_query_loss_is_of_the_whole_network() -> None:
    """Dropout is for the steps; what the adapted weights are worth is judged without it."""
    source = SyntheticSource(10, 8, 2)
    images, labels = source.read(source.index["patch_id"].tolist()), source.labels
    model = checkpoint.build(spec(2, 8), seed=3)
    hardly = Reptile(inner_lr=1e-12, meta_lr=1.0, inner_steps=1)
    query_loss = meta_update(model, images, labels, hardly, seed=5, device=CPU)
    query = np.random.default_rng(5).permutation(10)[5:]
    with torch.inference_mode():
        logits = model.eval()(torch.from_numpy(images[query]))
    wanted = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels[query]))
    assert query_loss == pytest.approx(float(wanted), rel=1e-5)


def test_inner_steps_go_at_the_rate_of_each_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SyntheticSource(10, 8, 2)
    images, labels = source.read(source.index["patch_id"].tolist()), source.labels
    model = checkpoint.build(spec(2, 8), seed=3)
    before = weights(model)
    still = "network.conv1.weight"
    rates = {name: 0.0 if name == still else 1.0 for name in model.rates()}
    monkeypatch.setattr(model, "rates", lambda: rates)
    meta_update(model, images, labels, Reptile(), seed=5, device=CPU)
    moved = {name for name in rates if not torch.equal(weights(model)[name], before[name])}
    assert moved == set(rates) - {still}


def test_one_group_without_replay_is_plain_reptile() -> None:
    source = SyntheticSource(14, 8, 2)
    images, labels = source.read(source.index["patch_id"].tolist()), source.labels
    fresh = np.arange(14) >= 4
    one_group = np.zeros(14, dtype=np.int64)
    models = [checkpoint.build(spec(2, 8), seed=3) for _ in range(2)]
    plain = meta_update(models[0], images[fresh], labels[fresh], Reptile(), seed=5, device=CPU)
    batch = diverse(fresh, labels, one_group, 0.0, seed=5)
    ours = meta_update(models[1], images, labels, Reptile(), batch=batch, seed=5, device=CPU)
    assert ours == plain
    assert same(weights(models[0]), weights(models[1]))


def test_a_meta_batch_goes_towards_the_mean_of_its_tasks() -> None:
    """Each task starts at theta, not where the last one ended."""
    source = SyntheticSource(12, 8, 2)
    images, labels = source.read(source.index["patch_id"].tolist()), source.labels
    without = checkpoint.ModelSpec("cnn", ("a", "b"), ("x", "y"), 8, dropout=0.0)
    supports, query = [np.arange(3), np.arange(3, 8)], np.arange(8, 12)

    def moved(*tasks: np.ndarray) -> tuple[dict[str, torch.Tensor], float]:
        model = checkpoint.build(without, seed=0)
        batch = MetaBatch(tasks, query)
        loss = meta_update(
            model, images, labels, Reptile(meta_lr=0.5), batch=batch, seed=0, device=CPU
        )
        return weights(model), loss

    (first, loss_1), (second, loss_2), (both, loss) = (
        moved(supports[0]),
        moved(supports[1]),
        moved(*supports),
    )
    for name, value in both.items():
        torch.testing.assert_close(value, (first[name] + second[name]) / 2)
    assert not same(first, second)
    assert loss == pytest.approx((loss_1 + loss_2) / 2)


def test_the_mean_of_weights() -> None:
    tasks = [{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 6.0])}]
    assert mean_weights(tasks)["w"].tolist() == [2.0, 4.0]
    for wrong in ([], [{"w": torch.zeros(1)}, {"v": torch.zeros(1)}]):
        with pytest.raises(ValueError, match="same names"):
            mean_weights(wrong)


def test_a_task_that_diverges_moves_nothing() -> None:
    source = SyntheticSource(20, 8, 2)
    images = source.read(source.index["patch_id"].tolist())
    model = checkpoint.build(spec(2, 8), seed=0)
    before = weights(model)
    wild = Reptile(inner_lr=1e6, inner_steps=10)
    loss = meta_update(model, images, source.labels, wild, seed=0, device=CPU)
    assert not math.isfinite(loss)
    assert same(before, weights(model))


@pytest.mark.parametrize("replay", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_diverse_tasks_are_of_one_group_each_and_replay_all_classes(
    replay: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    fresh = np.arange(100) >= 70
    labels = (np.arange(100) % 10 == 0).astype(np.int64)  # rare: 7 of the 70 earlier ones
    groups = rng.integers(0, 3, 100)
    batch = diverse(fresh, labels, groups, replay, seed)
    new = [support[fresh[support]] for support in batch.supports]
    for support, own in zip(batch.supports, new, strict=True):
        replayed = support[~fresh[support]]
        assert len(np.unique(groups[own])) == 1
        wanted = min(70, round(len(own) * replay / (1 - replay)))
        assert len(replayed) == len(np.unique(replayed)) == wanted
        assert labels[replayed].sum() in (min(wanted // 2, 7), min((wanted + 1) // 2, 7))
    assert len({groups[own[0]] for own in new}) == len(new) == len(np.unique(groups[fresh]))
    asked = np.concatenate([*new, batch.query])
    np.testing.assert_array_equal(np.sort(asked), np.flatnonzero(fresh))
    assert len(batch.query) == 15


def test_replay_is_a_share_below_one() -> None:
    with pytest.raises(ValueError, match="replay is 1"):
        diverse(np.ones(4, bool), np.zeros(4, np.int64), np.zeros(4, np.int64), 1.0, 0)


def test_groups_of_concepts_are_rows_where_few_and_clusters_where_many() -> None:
    few = np.array([[0, 1], [1, 0], [0, 1], [1, 1]], dtype=np.float32)
    groups = concept_groups(few, seed=0)
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 3
    corners = np.array([[0, 0], [0, 9], [9, 0], [9, 9]], dtype=np.float32)
    place = np.arange(80) % 4
    noise = np.random.default_rng(0).random((80, 2), dtype=np.float32)
    many = concept_groups(corners[place] + noise, seed=0)
    assert len(set(zip(place.tolist(), many.tolist(), strict=True))) == 4
    assert concept_groups(np.empty((5, 0), np.float32), seed=0).tolist() == [0] * 5


@pytest.mark.parametrize("n", [0, 1])
def test_meta_update_needs_two_patches(n: int) -> None:
    model = checkpoint.build(spec(2, 8), seed=0)
    before = weights(model)
    images = np.ones((n, 2, 8, 8), dtype=np.float32)
    labels = np.zeros(n, dtype=np.int64)
    assert math.isnan(meta_update(model, images, labels, Reptile(), seed=0, device=CPU))
    assert same(before, weights(model))


def test_neither_fit_nor_meta_update_moves_the_band_statistics() -> None:
    source = SyntheticSource(20, 8, 2)
    images = source.read(source.index["patch_id"].tolist())
    model = checkpoint.build(spec(2, 8), seed=0)
    statistics = band_statistics(source, np.random.default_rng(0))
    checkpoint.set_statistics(model, statistics)
    fit(model, images, source.labels, TrainingSettings(), seed=0, device=CPU)
    meta_update(model, images, source.labels, Reptile(), seed=0, device=CPU)
    layer = model.get_submodule("standardize")
    np.testing.assert_array_equal(layer.median.ravel(), statistics.median)
    np.testing.assert_array_equal(layer.scale.ravel(), statistics.scale)


def test_statistics_are_robust_and_never_zero() -> None:
    class Spiked(SyntheticSource):
        def _at(self, positions):
            images = super()._at(positions)
            images[:, 0, 0, 0] = 1e6  # a few absurd pixels
            images[:, 1] = 5.0  # a band that says nothing
            return images

    statistics = band_statistics(Spiked(60, 8, 3), np.random.default_rng(0))
    assert statistics.median[0] == pytest.approx(0.5, abs=0.1)
    assert statistics.scale[0] == pytest.approx(0.5 / 1.349, abs=0.1)
    assert (statistics.median[1], statistics.scale[1]) == (5.0, 1.0)


def test_standardized_bands_do_not_depend_on_their_unit() -> None:
    images = np.random.default_rng(0).random((6, 2, 8, 8), dtype=np.float32)
    outputs = []
    for unit in (1.0, 10_000.0):
        model = checkpoint.build(spec(2, 8), seed=0).eval()
        statistics = BandStatistics(
            ("a", "b"),
            np.full(2, 0.5 * unit, dtype=np.float32),
            np.full(2, 0.3 * unit, dtype=np.float32),
            6,
        )
        checkpoint.set_statistics(model, statistics)
        with torch.inference_mode():
            outputs.append(model(torch.from_numpy(images * np.float32(unit))).numpy())
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-3, atol=1e-4)


def test_scoring_equals_one_pass_over_everything() -> None:
    source = SyntheticSource(300, 8, 3)
    ids = source.index["patch_id"].tolist()
    model = checkpoint.build(spec(3, 8), seed=0).eval()
    seen: list[tuple[int, int]] = []
    (streamed,) = predict_members(
        [model],
        source,
        np.arange(300),
        device=CPU,
        progress=lambda done, total: seen.append((done, total)),
    )
    with torch.inference_mode():
        whole = torch.softmax(model(torch.from_numpy(source.read(ids))), dim=1).numpy()
    np.testing.assert_allclose(streamed, whole, atol=1e-5)
    assert seen[-1] == (300, 300)
    assert len(seen) > 1


def test_checkpoint_round_trip_and_what_it_refuses(tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    model = checkpoint.build(spec(3, 8, ("a", "b", "c")), seed=4)
    checkpoint.save(path, [model], spec(3, 8, ("a", "b", "c")))
    (again,), read = checkpoint.load(path)
    assert read == spec(3, 8, ("a", "b", "c"))
    assert same(weights(model), weights(again))
    torch.save(model.state_dict(), tmp_path / "pickled.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-100])
    for bad in ("missing.safetensors", "pickled.safetensors", "cut.safetensors"):
        with pytest.raises(RunError, match=bad):
            checkpoint.load(tmp_path / bad)


def test_a_missing_device_is_one_line() -> None:
    assert pick_device("cpu") == CPU
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="--device cuda"):
            pick_device("cuda")
        with pytest.raises(ConfigError, match="--device cuda"):
            check_device("cuda")
