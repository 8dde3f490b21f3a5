"""The synthetic source keeps the tutorial's draws, whatever it adds."""

from __future__ import annotations

import numpy as np
import pytest

from owl_geo import SyntheticSource
from owl_geo.errors import SourceError
from owl_geo.ground.footprints import footprints
from owl_geo.sources.base import windows_of

LAND_COVER = ("forest", "urban", "water", "agricultural")


def tutorial(n_samples: int, image_size: int, n_bands: int, seed: int):
    """The tutorial's generator, written down a second time in its plainest form."""
    random = np.random.RandomState(seed)
    images, land_cover, distance, labels = [], [], [], []
    for _ in range(n_samples):
        images.append(random.rand(n_bands, image_size, image_size).astype(np.float32))
        land_cover.append(random.randint(0, 4))
        distance.append(random.rand())
        probability = 0.1
        if land_cover[-1] == 1:
            probability += 0.3
        if distance[-1] < 0.3:
            probability += 0.4
        labels.append(1 if random.rand() < probability else 0)
    return np.stack(images), land_cover, distance, labels


def test_draws_are_the_tutorials() -> None:
    images, land_cover, distance, labels = tutorial(300, 8, 3, seed=7)
    source = SyntheticSource(300, 8, 3, seed=7)
    ids = source.index["patch_id"].tolist()
    np.testing.assert_array_equal(source.read(ids), images)
    assert source.concepts["land_cover"].tolist() == [LAND_COVER[i] for i in land_cover]
    assert source.concepts["dist_industrial"].tolist() == distance
    assert source.labels.tolist() == labels


def test_the_known_positive_ratio() -> None:
    assert SyntheticSource(n_samples=500, seed=42).labels.mean() == 0.314


def test_signal_changes_the_images_only() -> None:
    plain, loud = SyntheticSource(400, 16, 4), SyntheticSource(400, 16, 4, signal=1.0)
    assert (plain.labels == loud.labels).all()
    assert plain.concepts.equals(loud.concepts)
    ids = plain.index["patch_id"].tolist()
    before, after = plain.read(ids), loud.read(ids)
    centre = (after - before)[:, :, 4:12, 4:12].mean(axis=(1, 2, 3))
    edge = (after - before)[:, :, :4].mean(axis=(1, 2, 3))
    glow = centre - edge
    assert (glow[loud.labels == 0] == pytest.approx(0, abs=1e-5)) is True
    assert glow[loud.labels == 1].mean() > 0.3
    means = after[:, 0].mean(axis=(1, 2))
    by_cover = [means[loud.concepts["land_cover"] == name].mean() for name in LAND_COVER]
    assert max(by_cover) - min(by_cover) > 0.3


def test_patches_lie_edge_to_edge_on_the_map() -> None:
    source = SyntheticSource(10, 16, 1)
    polygons = footprints(windows_of(source))
    assert polygons.crs.to_epsg() == 32631
    assert (polygons.area == (16 * 10.0) ** 2).all()
    assert polygons.union_all().area == pytest.approx(polygons.area.sum())
    touching = polygons.iloc[0].intersection(polygons.iloc[1])
    assert touching.length == 160.0


@pytest.mark.parametrize(("name", "value"), [("n_samples", 0), ("image_size", 2), ("seed", -1)])
def test_what_cannot_be_generated_is_one_line(name: str, value: int) -> None:
    with pytest.raises(SourceError, match=f"^{name} is {value}, but it should be greater") as told:
        SyntheticSource(**{name: value})
    assert "\n" not in str(told.value)
