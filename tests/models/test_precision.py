"""What bfloat16 changes, and what happens where there is none."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from owl_geo import SyntheticSource
from owl_geo.errors import ConfigError
from owl_geo.features.table import feature_table
from owl_geo.learners import scoring
from owl_geo.learners.base import Material
from owl_geo.learners.network import NetworkLearner
from owl_geo.models import checkpoint, precision
from owl_geo.settings.learning import (
    ModelSettings,
    ReptileSettings,
    TrainingSettings,
    UncertaintySettings,
)
from owl_geo.settings.owl_toml import load
from owl_geo.types import BandStatistics, FloatArray
from owl_geo.work.workers import Threads

CPU = torch.device("cpu")
N = 200


@pytest.fixture
def has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take it for granted: torch emulates bfloat16 where there are no instructions for it."""
    monkeypatch.setattr(precision, "computes_bfloat16", lambda: True)


@pytest.fixture
def lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_bfloat16", lambda: False)
    precision._warn.cache_clear()


def statistics_of(source: SyntheticSource) -> BandStatistics:
    n = len(source.bands)
    return BandStatistics(source.bands, np.full(n, 0.5, np.float32), np.full(n, 0.3, np.float32), 1)


def scored(kind: str, *, worth_it: int = 10**9, **options) -> FloatArray:
    source = SyntheticSource(N, 32, 3, signal=1.0)
    names = ("blue", "green", "red")
    spec = checkpoint.ModelSpec(kind, source.bands, ("a", "b"), 32, 0.3, common_names=names)
    model = checkpoint.build(spec, seed=1)
    checkpoint.set_statistics(model, statistics_of(source))
    with torch.no_grad():
        model.network.head.weight *= 20  # as confident as a trained network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "WORTH_IT", worth_it)
        everything = np.arange(N)
        return scoring.predict_members([model], source, everything, device=CPU, **options)[0, :, 1]


def check_close(half: FloatArray, full: FloatArray) -> None:
    assert not np.array_equal(half, full)
    assert 1e-5 < np.abs(half - full).max() < 0.05
    assert spearmanr(half, full).statistic > 0.99


@pytest.mark.usefixtures("has_it")
def test_scores_are_nearly_those_in_float32() -> None:
    full = scored("cnn")
    check_close(scored("cnn", precision="bfloat16"), full)
    assert np.array_equal(scored("cnn", precision="float32"), full)


def test_a_compiled_network_too() -> None:
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16")
    full = scored("cnn", worth_it=1)
    check_close(scored("cnn", worth_it=1, precision="bfloat16"), full)


@pytest.mark.usefixtures("lacks_it")
def test_where_there_is_none_it_is_float32_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    full = scored("cnn")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert np.array_equal(scored("cnn", precision="bfloat16"), full)
    (record,) = caplog.records
    assert "no instructions for it" in record.getMessage()


@pytest.mark.usefixtures("has_it")
def test_the_setting_reaches_what_scores() -> None:
    source = SyntheticSource(N, 32, 3, signal=1.0)
    nothing = np.zeros((N, 0), np.float32)
    material = Material(source, Threads(1), statistics_of(source), nothing, nothing)
    found = []
    for value in ("float32", "bfloat16"):
        learner = NetworkLearner(
            material,
            ("a", "b"),
            model=ModelSettings(kind="cnn", precision=value),
            training=TrainingSettings(),
            reptile=ReptileSettings(),
            meta="none",
            uncertainty=UncertaintySettings(),
            seed=1,
            device=CPU,
        )
        found.append(learner.members(np.arange(N), seed=0)[0, :, 1])
    assert not np.array_equal(found[0], found[1])
    assert spearmanr(*found).statistic > 0.98


@pytest.mark.usefixtures("has_it")
def test_frozen_features_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SyntheticSource(40, 16, 3)
    ids = dict.fromkeys(source.grids, "1")
    tables = []
    for value in ("float32", "bfloat16", "float32"):
        model = ModelSettings(kind="resnet18", frozen=True, precision=value)
        table = feature_table(
            source,
            statistics_of(source),
            model,
            device=CPU,
            seed=1,
            keep=tmp_path,
            scene_ids=ids,
        )
        tables.append(table.rows(np.arange(40)))
    assert np.array_equal(tables[0], tables[2])
    assert not np.array_equal(tables[0], tables[1])
    assert np.median(np.abs(tables[0] - tables[1])) < 0.1  # of what varies over the pool


@pytest.mark.parametrize("kind", ["statistics", "embedding"])
def test_a_model_without_a_network_refuses_it(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "owl.toml"
    path.write_text(
        f'[source]\nkind = "synthetic"\n[model]\nkind = "{kind}"\nprecision = "bfloat16"\n'
    )
    with pytest.raises(ConfigError, match=f"precision is for a network that sees pixels; {kind}"):
        load(path)
