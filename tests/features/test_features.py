"""Features of patches: what they say, how they are scaled, and that they are computed once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from owl_geo.errors import RunError
from owl_geo.features.rows import FeatureTable
from owl_geo.features.statistics import SpectralStatistics
from owl_geo.features.table import feature_table
from owl_geo.models.backbones import make_trunk
from owl_geo.models.randomness import seeded
from owl_geo.settings.learning import ModelSettings
from owl_geo.sources.statistics import band_statistics
from owl_geo.sources.synthetic import SyntheticSource
from owl_geo.types import BandStatistics, FloatArray, IntArray

CPU = torch.device("cpu")
PLAIN = ModelSettings()


def statistics_of(n_bands: int, scale: float = 1.0) -> BandStatistics:
    zeros = np.zeros(n_bands, dtype=np.float32)
    names = tuple(f"b{i}" for i in range(n_bands))
    return BandStatistics(names, zeros, zeros + np.float32(scale), 1)


def described(patches: FloatArray, commons: Sequence[str | None] | None = None) -> dict[str, float]:
    """Features of the first patch by name."""
    n_bands = patches.shape[1]
    spectral = SpectralStatistics(
        [f"b{i}" for i in range(n_bands)], commons or [None] * n_bands, statistics_of(n_bands)
    )
    values = spectral(patches)
    assert values.shape == (len(patches), len(spectral.names))
    assert values.dtype == np.float32
    return dict(zip(spectral.names, values[0].tolist(), strict=True))


class TestStatistics:
    def test_by_hand(self) -> None:
        first = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype=np.float32)
        second = np.full((3, 3), 2, dtype=np.float32)
        said = described(np.stack([first, second])[None])
        floor = 1e-3
        expected = {
            "b0_mean": 5,
            "b0_spread": np.log(np.std(np.arange(1, 10)) + floor),
            **{f"b0_q{q}": 1 + 8 * q / 100 for q in (2, 10, 25, 50, 75, 90, 98)},
            "b0_texture": np.log(3 + 1 + floor),  # a step of 3 downwards and of 1 to the right
            "b1_mean": 2,
            "b1_spread": np.log(floor),
            **{f"b1_q{q}": 2 for q in (2, 10, 25, 50, 75, 90, 98)},
            "b1_texture": np.log(floor),
            "nd_b0_b1": np.mean([(x - 2) / (x + 2) for x in range(1, 10)]),
        }
        assert said.keys() == expected.keys()
        for name, value in expected.items():
            assert said[name] == pytest.approx(value, rel=1e-5), name

    def test_indices_have_their_names_and_signs(self) -> None:
        commons = ["red", "nir", "green", "swir1", "swir2"]
        level = dict(zip(commons, [0.1, 0.5, 0.2, 0.3, 0.15], strict=True))
        patches = np.stack([np.full((4, 4), v, dtype=np.float32) for v in level.values()])[None]
        said = described(patches, commons)
        for name, (first, second) in {
            "ndvi": ("nir", "red"),
            "ndwi": ("green", "nir"),
            "mndwi": ("green", "swir1"),
            "ndmi": ("nir", "swir1"),
            "ndti": ("swir1", "swir2"),
        }.items():
            a, b = level[first], level[second]
            assert abs(said[name]) == pytest.approx(abs(a - b) / (a + b), rel=1e-5), name
        # five bands make ten pairs, the named among them
        assert len(said) == 10 * 5 + 10

    def test_of_many_bands_only_the_named_pairs(self) -> None:
        patches = np.random.default_rng(0).random((1, 7, 4, 4), dtype=np.float32)
        assert not [name for name in described(patches) if name.startswith("nd")]
        commons = [None, "red", None, "nir", "green", None, None]
        said = described(patches, commons)
        assert {name for name in said if name.startswith("nd")} == {"ndvi", "ndwi"}
        red, nir = patches[0, 1], patches[0, 3]
        assert said["ndvi"] == pytest.approx(float(np.mean((nir - red) / (nir + red))), rel=1e-4)

    @given(
        arrays.arrays(
            np.float32,
            (2, 3, 5, 5),
            elements=st.floats(-(2.0**20), 2.0**20, width=32, allow_subnormal=False),
        )
    )
    def test_any_finite_patch_has_finite_features(self, patches: FloatArray) -> None:
        assert np.isfinite(list(described(patches).values())).all()

    def test_texture_sees_where_pixels_stand_and_spread_does_not(self) -> None:
        rng = np.random.default_rng(0)
        smooth = np.sort(rng.random(64)).reshape(8, 8).astype(np.float32)
        rough = rng.permutation(smooth.ravel()).reshape(8, 8)
        a, b = described(smooth[None, None]), described(rough[None, None])
        assert a["b0_spread"] == pytest.approx(b["b0_spread"], rel=1e-4)
        assert a["b0_texture"] < b["b0_texture"] - 1


class Counting(SyntheticSource):
    """A source that counts how often its pool was streamed."""

    streams = 0

    def stream(
        self, positions: IntArray | None = None, *, batch_size: int = 256
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        self.streams += 1
        return super().stream(positions, batch_size=batch_size)


def bands_of(source: SyntheticSource) -> BandStatistics:
    return band_statistics(source, np.random.default_rng(0))


def table(source: SyntheticSource, model: ModelSettings = PLAIN, **given) -> FeatureTable:
    options = {"device": CPU, "seed": 1} | given
    return feature_table(source, bands_of(source), model, **options)


class TestTable:
    def test_each_column_is_scaled_over_the_pool(self) -> None:
        source = SyntheticSource(600, 8, 3, signal=1.0)
        found = table(source)
        spectral = SpectralStatistics(source.bands, [None] * 3, bands_of(source))
        raw = spectral(source.read(source.index["patch_id"].tolist()))
        low, median, high = np.quantile(raw, [0.25, 0.5, 0.75], axis=0)
        expected = ((raw - median) * 1.349 / (high - low)).clip(-10, 10)
        np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-3)
        assert found.values.dtype == np.float32
        assert found.names == spectral.names

    def test_what_never_varies_is_zero_and_what_stands_out_is_cut(self) -> None:
        class Flat(SyntheticSource):
            def _at(self, positions):
                patches = np.ones_like(super()._at(positions))
                ids = self.index["patch_id"].iloc[positions]
                patches[ids.str.endswith("/24").to_numpy()] = 1e6
                return patches

        values = table(Flat(16, 8, 2)).values  # in rows of four, the fourth at column 24
        assert (np.abs(values) <= 10).all()
        odd = np.arange(16) % 4 == 3
        assert (values[~odd] == values[0]).all()
        assert values[odd].max() > 1
        even = table(Flat(9, 8, 2)).values  # in rows of three, without an odd one
        assert (even == 0).all()

    def test_progress_reaches_the_end(self) -> None:
        seen: list[tuple[int, int]] = []
        table(SyntheticSource(300, 8, 2), progress=lambda done, total: seen.append((done, total)))
        assert seen[-1] == (300, 300)
        assert len(seen) > 2
        assert seen == sorted(seen)

    def test_a_kept_table_spares_the_stream(self, tmp_path: Path) -> None:
        source = Counting(60, 8, 2)
        first = table(source, keep=tmp_path / "kept", scene_ids={"synthetic": "a"})
        before = source.streams
        again = table(source, keep=tmp_path / "kept", scene_ids={"synthetic": "a"})
        assert source.streams - before == 1  # the statistics of the bands, which are not kept here
        assert np.array_equal(first.values, again.values)
        assert first.names == again.names
        assert len(list((tmp_path / "kept").glob("*.npy"))) == 1

    def test_another_pool_is_computed_and_the_old_one_goes(self, tmp_path: Path) -> None:
        one = table(SyntheticSource(60, 8, 2), keep=tmp_path, scene_ids={"synthetic": "a"})
        other = table(
            SyntheticSource(60, 8, 2, seed=7), keep=tmp_path, scene_ids={"synthetic": "b"}
        )
        assert not np.array_equal(one.values, other.values)
        assert len(list(tmp_path.glob("*.npy"))) == 1

    def test_another_scale_of_the_bands_is_computed(self, tmp_path: Path) -> None:
        source = SyntheticSource(60, 8, 2)
        given = {"device": CPU, "seed": 1, "keep": tmp_path, "scene_ids": {"synthetic": "a"}}
        feature_table(source, statistics_of(2), PLAIN, **given)
        feature_table(source, statistics_of(2, scale=3.0), PLAIN, **given)
        assert len(list(tmp_path.glob("*.npy"))) == 2

    def test_what_bands_are_known_to_be_is_part_of_what_is_kept(self, tmp_path: Path) -> None:
        source = SyntheticSource(60, 8, 7)
        given = {"device": CPU, "seed": 1, "keep": tmp_path, "scene_ids": {"synthetic": "a"}}
        plain = statistics_of(7)
        unknown = feature_table(source, plain, PLAIN, **given)
        assert not {"ndvi", "ndwi"} & set(unknown.names)
        # of these names alone nothing is known: features that were kept before still count
        as_before = replace(plain, common_names=(None,) * 7)
        assert feature_table(source, as_before, PLAIN, **given).names == unknown.names
        assert len(list(tmp_path.glob("*.npy"))) == 1
        for near in ("nir", "nir08"):  # the narrow one is the near infrared where it is alone
            told = replace(plain, common_names=("green", "red", near, *[None] * 4))
            known = feature_table(source, told, PLAIN, **given)
            assert known.names == (*unknown.names, "ndvi", "ndwi")
            assert known.values.shape == (60, len(known.names))
        assert len(list(tmp_path.glob("*.npy"))) == 3

    @pytest.mark.parametrize(
        "damage",
        [
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(b"\x93NUMPY nonsense"),
            lambda path: path.write_bytes(path.read_bytes()[:-40]),
            lambda path: np.save(path, np.zeros((3, 3), np.float32)),
            lambda path: np.save(path, np.load(path).astype(np.float64)),
            lambda path: np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True),
        ],
        ids=["empty", "nonsense", "cut", "shape", "dtype", "pickle"],
    )
    def test_a_damaged_table_is_computed_anew(self, tmp_path: Path, damage) -> None:
        source = SyntheticSource(60, 8, 2)
        first = table(source, keep=tmp_path, scene_ids={"synthetic": "a"})
        (path,) = tmp_path.glob("*.npy")
        before = np.load(path, allow_pickle=False)
        damage(path)
        assert np.array_equal(
            table(source, keep=tmp_path, scene_ids={"synthetic": "a"}).values, first.values
        )
        assert np.array_equal(np.load(path, allow_pickle=False), before)

    def test_it_is_kept_whole_or_not_at_all(self, tmp_path: Path, monkeypatch) -> None:
        source = SyntheticSource(60, 8, 2)

        def full(file: BinaryIO, values: FloatArray, **_options: object) -> None:
            file.write(values.tobytes()[:100])
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(np, "save", full)
            with pytest.raises(RunError, match="No space left on device"):
                table(source, keep=tmp_path, scene_ids={"synthetic": "a"})
        # what a process that was killed leaves behind is no table
        found = table(source, keep=tmp_path, scene_ids={"synthetic": "a"})
        complete = list(tmp_path.glob("[!.]*.npy"))
        assert len(complete) == 1
        assert np.isfinite(np.load(complete[0])).all()
        again = table(source, keep=tmp_path, scene_ids={"synthetic": "a"})
        assert np.array_equal(again.values, found.values)

    def test_a_backbones_features_follow_its_weights(self, tmp_path: Path) -> None:
        source = SyntheticSource(12, 16, 3)
        file = tmp_path / "weights.pth"
        kept = tmp_path / "kept"

        def write(seed: int) -> None:
            with seeded(seed, CPU):
                torch.save(make_trunk("resnet18", 3)[0].state_dict(), file)

        write(0)
        model = ModelSettings(kind="resnet18", frozen=True, weights=str(file))
        first = table(source, model, keep=kept, scene_ids={"synthetic": "a"})
        assert first.values.shape == (12, 512)
        assert first.names[:2] == ("resnet18_0", "resnet18_1")
        counting = Counting(12, 16, 3)
        table(counting, model, keep=kept, scene_ids={"synthetic": "a"})
        assert counting.streams == 1  # the band statistics
        write(1)
        os.utime(file, ns=(1, 1))
        other = table(source, model, keep=kept, scene_ids={"synthetic": "a"})
        assert not np.array_equal(first.values, other.values)
        assert len(list(kept.glob("*.npy"))) == 2
        # statistics stand beside them
        table(source, keep=kept, scene_ids={"synthetic": "a"})
        assert len(list(kept.glob("*.npy"))) == 3

    def test_a_fresh_backbone_follows_its_seed(self) -> None:
        source = SyntheticSource(12, 16, 3)
        model = ModelSettings(kind="resnet18", frozen=True)
        one, same, other = (table(source, model, seed=seed).values for seed in (1, 1, 2))
        assert np.array_equal(one, same)
        assert not np.allclose(one, other)
        plain = [table(source, seed=seed).values for seed in (1, 2)]
        assert np.array_equal(*plain)
