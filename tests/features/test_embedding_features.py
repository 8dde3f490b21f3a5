"""Features of embeddings: a direction and a spread, of a scene and of a view."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from embeddings import squares, write_table

from owl_geo.errors import ConfigError
from owl_geo.features.embedding import MeanVector
from owl_geo.features.table import feature_table
from owl_geo.features.views import WithViews
from owl_geo.settings.learning import ModelSettings
from owl_geo.settings.sources import VectorsSettings
from owl_geo.sources import open_source
from owl_geo.sources.base import PatchSource
from owl_geo.sources.statistics import band_statistics
from owl_geo.sources.synthetic import SyntheticSource
from owl_geo.types import EMBEDDING, BandOrigin, BandStatistics, FloatArray


def test_a_direction_and_a_spread_by_hand() -> None:
    # two pixels, (1, 0) and (0, 1): their mean is (0.5, 0.5), of length 0.7071
    patches = np.array([[[[1, 0]], [[0, 1]]], [[[0, 0]], [[1, 1]]]], np.float32)
    vector = MeanVector(["A00", "A01"])
    features = vector(patches)
    assert vector.names == ("A00_mean", "A01_mean", "embedding_spread")
    expected = [[np.sqrt(0.5), np.sqrt(0.5), np.log(np.sqrt(0.5) + 1e-3)], [0, 1, np.log(1e-3)]]
    np.testing.assert_allclose(features, expected, rtol=1e-6)


def test_a_pixel_alone_is_its_own_direction() -> None:
    features = MeanVector(["A00", "A01"])(np.array([[[[0.6]], [[-0.8]]]], np.float32))
    np.testing.assert_allclose(features[0, :2], [0.6, -0.8], rtol=1e-6)


def test_an_embedding_as_a_view_has_a_direction_too() -> None:
    origins = (
        BandOrigin(),
        *(BandOrigin("aef", "values", EMBEDDING) for _ in range(2)),
        BandOrigin("aef", "seen"),
    )
    names = ("red", "aef:A00", "aef:A01", "aef:seen")
    ones = np.ones(4, np.float32)
    statistics = BandStatistics(names, ones, ones, 1, ("red", None, None, None), origins)
    both = WithViews(lambda patches: patches[:, :, 0, 0], statistics)
    assert both.view_names == (
        *("aef:A00_mean", "aef:A01_mean", "aef:embedding_spread", "aef:seen_mean"),
    )
    patch = np.array([7, 0.3, 0.4, 1], np.float32)[None, :, None, None]
    assert both(patch)[0].tolist() == pytest.approx([7, 0.6, 0.8, np.log(1e-3), 1])


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> PatchSource:
    """A source whose first dimension varies ten times as much as the others."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 16)) * 0.05 + 1
    vectors[:, 0] += rng.normal(size=60) * 0.5
    path = tmp_path_factory.mktemp("vectors") / "t.parquet"
    write_table(path, vectors.tolist(), squares(6, 10, 320.0))
    return open_source(VectorsSettings(path=str(path)))


def dimensions(source: PatchSource, kind: str) -> FloatArray:
    statistics = band_statistics(source, np.random.default_rng(0))
    model = ModelSettings(kind=kind)
    table = feature_table(source, statistics, model, device=torch.device("cpu"), seed=0)
    return table.values[:, :16]


def test_distances_of_a_model_of_vectors_follow_from_angles(uneven: PatchSource) -> None:
    vectors = uneven.read(uneven.index["patch_id"].tolist())[:, :, 0, 0].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = vectors @ vectors.T
    values = dimensions(uneven, "embedding")
    apart = ((values[:, None] - values[None]) ** 2).sum(axis=2)
    off = ~np.eye(60, dtype=bool)
    ratio = apart[off] / (2 - 2 * cosine[off])  # |a - b|^2 = 2 - 2 cos
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-3)
    assert 0.5 < values.std() < 2  # as wide as columns that are scaled one by one


def test_statistics_scale_each_column(uneven: PatchSource) -> None:
    by_column = dimensions(uneven, "statistics").std(axis=0)
    together = dimensions(uneven, "embedding").std(axis=0)
    assert by_column.max() / by_column.min() < 3 < together[0] / np.median(together)


def test_a_model_of_vectors_needs_some() -> None:
    source = SyntheticSource(n_samples=10, image_size=8)
    statistics = band_statistics(source, np.random.default_rng(0))
    model = ModelSettings(kind="embedding")
    with pytest.raises(ConfigError, match="neither a scene nor a view is an embedding"):
        feature_table(source, statistics, model, device=torch.device("cpu"), seed=0)


def test_the_vectors_of_a_view_have_one_scale_too() -> None:
    origins = (*(BandOrigin("v", "values", EMBEDDING) for _ in range(2)), BandOrigin("v", "seen"))
    ones = np.ones(4, np.float32)
    statistics = BandStatistics(
        ("red", "v:A00", "v:A01", "v:seen"), ones, ones, 1, (), (BandOrigin(), *origins)
    )
    assert WithViews(lambda patches: patches, statistics).directions == [slice(0, 2)]
