"""Features of embeddings: a direction and a spread, of a scene and of a view."""

from __future__ import annotations

import numpy as np
import pytest

from owl_geo.features.embedding import MeanVector
from owl_geo.features.views import WithViews
from owl_geo.types import EMBEDDING, BandOrigin, BandStatistics


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
