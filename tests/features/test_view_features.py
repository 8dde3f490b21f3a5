"""Features of views: none of two images, and nothing of a patch that a view does not show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from owl_geo.features.statistics import SpectralStatistics
from owl_geo.features.table import feature_table
from owl_geo.features.views import WithViews, without_unknown
from owl_geo.settings.learning import ModelSettings
from owl_geo.sources.base import positions_of
from owl_geo.sources.synthetic import SyntheticSource
from owl_geo.types import BandOrigin, BandStatistics, FloatArray, IntArray


def viewed_statistics() -> BandStatistics:
    """Two bands of a scene, and of a view two bands, one of them shared, and where it has data."""
    origins = (
        BandOrigin(),
        BandOrigin(),
        BandOrigin("old", "values", "red"),
        BandOrigin("old", "values", "nir"),
        BandOrigin("old", "values"),
        BandOrigin("old", "change", "red"),
        BandOrigin("old", "seen"),
    )
    names = ("red", "nir", "old:B4", "old:B8", "old:slope", "old:change:red", "old:seen")
    numbers = np.ones(len(names), np.float32)
    return BandStatistics(names, numbers, numbers, 9, ("red", "nir", *[None] * 5), origins)


def test_views_have_a_few_statistics_of_their_own() -> None:
    statistics = viewed_statistics()
    own = SpectralStatistics(("red", "nir"), ("red", "nir"), statistics.of_scene)
    features = WithViews(own, statistics)
    names = own.names + features.view_names
    assert names[-1] == "old:seen_mean"
    assert [name for name in names if "nd" in name] == ["ndvi"]
    of_each = {"red": 10, "nir": 10, "old:B4": 2, "old:B8": 2, "old:slope": 2, "old:change:red": 4}
    for band, count in of_each.items():
        assert len([name for name in names if name.startswith(f"{band}_")]) == count
    patches = np.random.default_rng(0).random((3, 7, 4, 4)).astype(np.float32) + 1
    patches[:, 6] = [[[1.0]], [[0.5]], [[0.0]]]
    found = dict(zip(names, features(patches).T, strict=True))
    assert found["old:B8_mean"][:2] == pytest.approx(patches[:2, 3].mean(axis=(1, 2)))
    assert found["old:change:red_mean"][:2] == pytest.approx(patches[:2, 5].mean(axis=(1, 2)))
    change = patches[:2, 5].reshape(2, -1)
    assert found["old:change:red_q98"][:2] == pytest.approx(np.quantile(change, 0.98, axis=1))
    assert found["old:B4_spread"][:2] == pytest.approx(
        np.log(patches[:2, 2].std(axis=(1, 2)) + 1e-3)
    )
    assert found["old:seen_mean"].tolist() == [1, 0.5, 0]
    assert np.array_equal(found["ndvi"], own(patches[:, :2])[:, own.names.index("ndvi")])
    unknown = {name for name, values in found.items() if np.isnan(values).any()}
    assert unknown == set(features.view_names) - {"old:seen_mean"}
    assert np.isnan(found["old:B4_mean"]).tolist() == [False, False, True]


def test_what_a_view_does_not_show_is_like_what_is_usual_in_it() -> None:
    nan = np.nan
    values = np.array([[1, nan, nan], [2, 4, nan], [3, 6, nan], [9, 8, nan], [9, nan, 5]], "f4")
    filled = without_unknown(values.copy(), 4)
    assert filled[:, 1].tolist() == [6, 4, 6, 8, 6]
    assert filled[:, 2].tolist() == [0, 0, 0, 0, 5]  # of the first rows none knows it
    assert np.array_equal(filled[:, 0], values[:, 0])


class Seen:
    """Patches of which a view shows every second one."""

    bands = viewed_statistics().bands
    patch_size = 8
    chunk_starts = np.array([0])

    def __init__(self, n: int = 12) -> None:
        plain = SyntheticSource(n_samples=n, image_size=8, n_bands=7, seed=1)
        self.grids, self.index = plain.grids, plain.index
        self.patches = np.abs(plain.read(plain.index["patch_id"].tolist()))
        self.patches[:, 6] = 1
        self.patches[::2, 2:] = 0

    def read(self, ids: Sequence[str]) -> FloatArray:
        return self.patches[positions_of(self.index, ids)]

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        at = np.arange(len(self.index)) if positions is None else positions
        for start in range(0, len(at), batch_size):
            part = at[start : start + batch_size]
            yield part, self.patches[part]


@pytest.mark.parametrize("frozen", [False, True])
def test_the_table_of_a_pool_with_views(frozen: bool, tmp_path: Path) -> None:
    source, statistics = Seen(), viewed_statistics()
    model = ModelSettings(kind="resnet18", frozen=True) if frozen else ModelSettings()
    how: dict[str, Any] = {
        "device": torch.device("cpu"),
        "seed": 0,
        "keep": tmp_path,
        "scene_ids": {"synthetic": "1"},
    }
    table = feature_table(source, statistics, model, **how)
    assert np.isfinite(table.values).all()
    assert len(table.names) == table.values.shape[1]
    columns = dict(zip(table.names, table.values.T, strict=True))
    views = [name for name in table.names if name.startswith("old:")]
    assert len(views) == 3 * 2 + 4 + 1  # three bands, the change, and whether it is seen
    for name in views[:-1]:
        assert (columns[name][::2] == columns[name][0]).all()
        assert columns[name][0] == pytest.approx(0, abs=1e-6)
    assert len(set(columns["old:seen_mean"])) == 2
    if frozen:  # it sees the scene's own bands alone
        assert table.names[:512] == tuple(f"resnet18_{i}" for i in range(512))
        assert len(table.names) == 512 + len(views)
    again = feature_table(source, statistics, model, **how)
    assert np.array_equal(again.values, table.values)
