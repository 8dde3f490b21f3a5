"""Networks compiled by OpenVINO say what they say in torch."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from owl_geo import SyntheticSource
from owl_geo.features import backbone, table
from owl_geo.learners import scoring
from owl_geo.models import checkpoint
from owl_geo.models.compiled import Compiled
from owl_geo.types import BandStatistics

pytest.importorskip("openvino")
CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["cnn", "resnet18", "efficientnet_b0"])
@pytest.mark.parametrize("passes", [0, 3], ids=["once", "dropout"])
def test_a_pool_scored_by_it_has_the_same_ranks(
    kind: str, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SyntheticSource(80, 32, 3, signal=1.0)
    names = ("blue", "green", "red")
    spec = checkpoint.ModelSpec(kind, source.bands, ("a", "b"), 32, 0.3, common_names=names)
    model = checkpoint.build(spec, seed=1)
    statistics = BandStatistics(
        source.bands, np.full(3, 0.5, np.float32), np.full(3, 0.3, np.float32), 1
    )
    checkpoint.set_statistics(model, statistics)
    calls: list[int] = []
    plain = Compiled.__call__
    monkeypatch.setattr(
        Compiled, "__call__", lambda self, x: calls.append(len(x)) or plain(self, x)
    )
    said = []
    for worth_it in (10**9, 1):
        monkeypatch.setattr(scoring, "WORTH_IT", worth_it)
        said.append(
            scoring.predict_members(
                [model, model], source, np.arange(80), passes=passes, seed=3, device=CPU
            )
        )
        assert sum(calls) == (160 if worth_it == 1 else 0)
    np.testing.assert_allclose(said[1], said[0], atol=2e-5)
    ranks = [members.mean(axis=0)[:, 1].argsort() for members in said]
    assert (ranks[0] == ranks[1]).mean() > 0.97  # neighbours in rank may be equal to six digits


def test_frozen_features_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SyntheticSource(40, 16, 3)
    statistics = BandStatistics(
        source.bands, np.full(3, 0.5, np.float32), np.full(3, 0.3, np.float32), 1
    )
    model = table.ModelSettings(kind="resnet18", frozen=True)
    found = []
    for worth_it in (10**9, 1):
        monkeypatch.setattr(backbone, "WORTH_IT", worth_it)
        found.append(table.feature_table(source, statistics, model, device=CPU, seed=1).values)
    np.testing.assert_allclose(found[1], found[0], atol=2e-3)
    assert not np.array_equal(found[1], found[0])


def test_threads_and_other_processes_share_it() -> None:
    images = np.random.default_rng(0).random((64, 2, 8, 8), dtype=np.float32)
    compiled = Compiled(
        torch.nn.Sequential(torch.nn.Conv2d(2, 3, 8), torch.nn.Flatten()), (2, 8, 8)
    )
    whole = compiled(images)
    assert whole.shape == (64, 3)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda start: compiled(images[start : start + 4]), range(0, 64, 4)))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    again = pickle.loads(pickle.dumps(compiled))
    np.testing.assert_array_equal(again(images), whole)
