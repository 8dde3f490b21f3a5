"""Backbones, weights from elsewhere, frozen features, and models on disk."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models as torchvision_models

from owl_geo import SimpleCNN
from owl_geo.errors import ConfigError, RunError
from owl_geo.models import checkpoint, weights
from owl_geo.models.backbones import Backbone, calibrate, enlarged
from owl_geo.models.frozen import frozen_embedder
from owl_geo.settings.choices import MODELS
from owl_geo.sources.bands import common_names
from owl_geo.types import BandStatistics

CPU = torch.device("cpu")
BACKBONES = [name for name, choice in MODELS.items() if choice.is_backbone]
FIRST = "conv1.weight"
SENTINEL_2 = tuple("B1 B2 B3 B4 B5 B6 B7 B8 B8A B9 B10 B11 B12".split())  # noqa: SIM905


def state_of(kind: str = "resnet18", seed: int = 0) -> dict[str, torch.Tensor]:
    """A whole state dict as torchvision publishes it, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return getattr(torchvision_models, kind)().state_dict()


def for_bands(state: dict[str, torch.Tensor], n_bands: int) -> dict[str, torch.Tensor]:
    """The same with a first convolution whose filter of band i is the number i."""
    numbers = torch.arange(float(n_bands)).view(1, -1, 1, 1)
    return {**state, FIRST: numbers.expand(64, n_bands, 7, 7).contiguous()}


def torch_file(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def statistics(n_bands: int) -> BandStatistics:
    return BandStatistics(
        tuple(f"band_{i}" for i in range(n_bands)),
        np.full(n_bands, 0.5, dtype=np.float32),
        np.full(n_bands, 0.25, dtype=np.float32),
        10,
    )


def band_numbers(filters: torch.Tensor) -> list[float]:
    """What each band's filters are, where they are a number each."""
    return filters[0, :, 0, 0].tolist()


class TestNetworks:
    @pytest.mark.parametrize("kind", BACKBONES)
    @pytest.mark.parametrize(("n_bands", "size"), [(1, 8), (5, 33)])
    def test_backbones_take_any_bands_and_sizes(self, kind: str, n_bands: int, size: int) -> None:
        model = Backbone(kind, n_bands, n_classes=3, n_concepts=2).eval()
        x = torch.rand(2, n_bands, size, size)
        assert model.embed(x).shape == (2, {"resnet18": 512, "efficientnet_b0": 1280}[kind])
        assert model(x, torch.zeros(2, 2)).shape == (2, 3)

    def test_an_unknown_backbone_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="resnet19"):
            Backbone("resnet19", 3, 2)

    def test_small_patches_are_enlarged_in_their_aspect_ratio(self) -> None:
        assert enlarged(torch.zeros(1, 2, 8, 16)).shape == (1, 2, 64, 128)
        large = torch.rand(1, 2, 64, 200)
        assert enlarged(large) is large

    def test_the_cnn_embeds_and_its_last_layer_sees_the_concepts(self) -> None:
        model = SimpleCNN(3, 2, image_size=8, n_concepts=4).eval()
        x = torch.rand(5, 3, 8, 8)
        assert model.embed(x).shape == (5, 128)
        assert model.head.in_features == 132
        nothing, something = torch.zeros(5, 4), torch.ones(5, 4)
        added = model(x, something) - model(x, nothing)
        expected = model.head.weight[:, 128:].sum(dim=1).expand(5, 2)
        torch.testing.assert_close(added, expected)

    @pytest.mark.parametrize("width", [None, 1, 3])
    def test_concepts_must_be_those_it_was_built_for(self, width: int | None) -> None:
        model = SimpleCNN(1, 2, image_size=8, n_concepts=2)
        with pytest.raises(ValueError, match="takes 2 concepts"):
            model(torch.zeros(1, 1, 8, 8), None if width is None else torch.zeros(1, width))

    def test_training_mode_leaves_the_trunk_alone(self) -> None:
        model = Backbone("efficientnet_b0", 2, 2).train()
        modes = {name: m.training for name, m in model.named_modules() if name}
        assert [name for name, training in modes.items() if training] == ["dropout", "head"]


class TestCalibration:
    def test_statistics_become_those_of_the_sample(self) -> None:
        images = np.random.default_rng(0).normal(3, 2, (150, 2, 64, 64)).astype(np.float32)
        model = Backbone("resnet18", 2, 2)
        calibrate(model, images, CPU)
        with torch.inference_mode():
            maps = model.trunk.conv1(torch.from_numpy(images))
        means = maps.mean(dim=(0, 2, 3))
        torch.testing.assert_close(model.trunk.bn1.running_mean, means, atol=2e-3, rtol=1e-3)
        variances = maps.var(dim=(0, 2, 3))
        torch.testing.assert_close(model.trunk.bn1.running_var, variances, atol=2e-2, rtol=1e-2)
        assert not any(layer.training for layer in model.trunk.modules())

    def test_a_network_without_batch_normalisation_is_left_alone(self) -> None:
        model = SimpleCNN(2, 2, 8)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        calibrate(model, np.ones((4, 2, 8, 8), dtype=np.float32), CPU)
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


class TestCommonNames:
    @pytest.mark.parametrize(
        ("bands", "expected"),
        [
            (("B4", "B8"), ("red", "nir")),
            (("B02", "B8A"), ("blue", "nir08")),
            (("red", "Near Infrared", "swir1"), ("red", "nir", "swir1")),
            (("10", "20", "30"), (None, None, None)),
            (("band_1", "green"), (None, "green")),
            (("B3", "B4"), (None, None)),  # Landsat's or Sentinel-2's, nobody knows
        ],
    )
    def test_names_of_a_source(self, bands: tuple[str, ...], expected: tuple[str, ...]) -> None:
        assert common_names(bands) == expected


class TestWidening:
    def test_bands_find_their_filters_by_name_and_others_get_the_mean(self) -> None:
        rgb = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1)
        wide = weights.widened(rgb, ("red", "green", "blue"), ("nir", "blue", None, "red"))
        assert band_numbers(wide) == pytest.approx([3 * 0.75, 6 * 0.75, 3 * 0.75, 1 * 0.75])

    def test_the_activation_of_a_grey_patch_keeps_its_magnitude(self) -> None:
        rgb = torch.rand(8, 3, 3, 3)
        ours = ("blue", "green", "red", "nir", "swir1", "swir2", None)
        x = torch.rand(1, 1, 16, 16)
        one = nn.functional.conv2d(x.expand(1, 3, 16, 16), rgb)
        wide = weights.widened(rgb, ("red", "green", "blue"), ours)
        other = nn.functional.conv2d(x.expand(1, 7, 16, 16), wide)
        torch.testing.assert_close(one.norm(), other.norm(), rtol=0.02, atol=0)

    def test_exactly_the_bands_of_the_weights_take_them_as_they_are(self) -> None:
        rgb = torch.rand(8, 3, 3, 3)
        assert torch.equal(weights.widened(rgb, ("a", "b", "c"), ("a", "b", "c")), rgb)

    @pytest.mark.parametrize("kind", BACKBONES)
    def test_permuted_bands_give_the_same_output(self, kind: str, tmp_path: Path) -> None:
        file = torch_file(tmp_path / "w.pth", state_of(kind))
        names = ("red", "nir", "green", "blue", None)
        order = [3, 0, 4, 2, 1]
        x = torch.rand(2, 5, 64, 64)
        outputs, filters = [], []
        for places in (range(5), order):
            read = weights.read(kind, file, [names[place] for place in places])
            model = Backbone(kind, 5, 2).eval()
            model.load_trunk(read.tensors)
            with torch.inference_mode():
                outputs.append(model.embed(x[:, list(places)]))
            filters.append(next(iter(model.trunk.parameters())))
        torch.testing.assert_close(outputs[0], outputs[1], atol=1e-4, rtol=1e-4)
        assert torch.equal(filters[0][:, order], filters[1])
        assert not torch.equal(filters[0], filters[1])


class TestFiles:
    def test_torchvisions_layout_keeps_all_but_the_classification(self, tmp_path: Path) -> None:
        state = state_of()
        file = torch_file(tmp_path / "resnet18.pth", state)
        read = weights.read("resnet18", file, ("blue", "green", "red"))
        assert not any(name.startswith("fc") for name in read.tensors)
        assert torch.equal(read.tensors[FIRST], state[FIRST].flip(1))
        assert torch.equal(read.tensors["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])
        assert read.origin.startswith("resnet18.pth, sha256 ")

    def test_safetensors_too(self, tmp_path: Path) -> None:
        state = state_of()
        save_file(state, str(tmp_path / "w.safetensors"))
        file = str(tmp_path / "w.safetensors")
        read = weights.read("resnet18", file, ("red", "green", "blue"))
        assert torch.equal(read.tensors[FIRST], state[FIRST])

    def test_thirteen_bands_are_sentinel2s(self, tmp_path: Path) -> None:
        state = for_bands(state_of(), 13)
        state = {name: value for name, value in state.items() if not name.startswith("fc.")}
        file = torch_file(tmp_path / "all.pth", state)
        ours = common_names(("B8A", "B2", "B12", "B4"))
        read = weights.read("resnet18", file, ours)
        scale = 13 / 4
        assert band_numbers(read.tensors[FIRST]) == pytest.approx(
            [8 * scale, 1 * scale, 12 * scale, 3 * scale]
        )
        all_of_them = weights.read("resnet18", file, common_names(SENTINEL_2))
        assert torch.equal(all_of_them.tensors[FIRST], state[FIRST])
        mean = 6 * 13 / 2  # of the numbers 0 to 12, over two bands of which it knows none
        unknown = weights.read("resnet18", file, (None, "thermal"))
        assert band_numbers(unknown.tensors[FIRST]) == pytest.approx([mean, mean])

    def test_other_numbers_of_bands_must_be_ours(self, tmp_path: Path) -> None:
        file = torch_file(tmp_path / "five.pth", for_bands(state_of(), 5))
        read = weights.read("resnet18", file, (None, "red", None, None, None))
        assert band_numbers(read.tensors[FIRST]) == [0, 1, 2, 3, 4]
        viewed = weights.read("resnet18", file, (None, "red", *[None] * 5), 5)  # and two of a view
        expected = [number * 5 / 7 for number in (0, 1, 2, 3, 4, 2, 2)]  # the mean of the others
        assert band_numbers(viewed.tensors[FIRST]) == pytest.approx(expected)
        with pytest.raises(ConfigError, match=r"five\.pth: conv1\.weight takes 5 bands"):
            weights.read("resnet18", file, ("red", "nir"))

    @pytest.mark.parametrize(
        "prefix", ["module.", "model.", "backbone.", "encoder.", "module.encoder_q."]
    )
    def test_prefixes_of_larger_models(self, prefix: str, tmp_path: Path) -> None:
        state = state_of()
        renamed = {f"{prefix}{name}": value for name, value in state.items()}
        renamed["module.encoder_k.conv1.weight"] = torch.zeros(64, 3, 7, 7)
        renamed["module.queue"] = torch.zeros(3)
        file = torch_file(tmp_path / "w.ckpt", {"epoch": 3, "state_dict": renamed})
        read = weights.read("resnet18", file, ("red", "green", "blue"))
        assert torch.equal(read.tensors[FIRST], state[FIRST])

    def test_a_hostile_pickle_is_refused_and_does_nothing(self, tmp_path: Path) -> None:
        class Hostile:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "owned"),)

        file = torch_file(tmp_path / "bad.pth", {"conv1.weight": Hostile()})
        with pytest.raises(ConfigError, match=r"bad\.pth is not a plain state dict") as caught:
            weights.read("resnet18", file, ("red",))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "owned").exists()

    def test_what_is_no_file_of_weights(self, tmp_path: Path) -> None:
        state = state_of()
        cut = dict(list(state.items())[:20])
        first_missing = next(
            name for name in state if name not in cut and not name.endswith("tracked")
        )
        (tmp_path / "text.pth").write_text("not weights")
        (tmp_path / "text.safetensors").write_text("not weights")
        cases = {
            "absent.pth": "no weights file .*absent",
            "text.pth": "text.pth",
            "text.safetensors": "text.safetensors cannot be read as weights",
            torch_file(tmp_path / "list.pth", [1, 2]): "holds a list",
            torch_file(tmp_path / "cut.pth", cut): rf"cut\.pth: .*{first_missing} is missing",
            torch_file(tmp_path / "other.pth", state_of("efficientnet_b0")): "bn1|conv1",
            torch_file(
                tmp_path / "bent.pth", {**state, "bn1.bias": torch.zeros(3)}
            ): r"bn1\.bias is 3, not 64",
            torch_file(
                tmp_path / "flat.pth", {**state, FIRST: torch.zeros(64, 3)}
            ): r"conv1\.weight is 64 x 3, not 64 x 1 x 7 x 7",
            torch_file(
                tmp_path / "nan.pth", {**state, "bn1.bias": torch.full((64,), torch.nan)}
            ): r"bn1\.bias holds values that are not finite",
        }
        for name, message in cases.items():
            with pytest.raises(ConfigError, match=message) as caught:
                weights.read("resnet18", str(tmp_path / name), ("red",))
            assert "\n" not in str(caught.value)

    def test_imagenet_that_cannot_be_had_says_what_to_do(self, tmp_path, monkeypatch) -> None:
        (tmp_path / "file").touch()  # nothing can be downloaded into a folder below it
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file" / "below"))
        with pytest.raises(ConfigError, match=r"weights of resnet18 .* \(--weights\) to a file"):
            weights.read("resnet18", "imagenet", ("red",))

    def test_imagenet_is_torchvisions_own(self, tmp_path, monkeypatch) -> None:
        cache = tmp_path / "hub" / "checkpoints"
        cache.mkdir(parents=True)
        url = torchvision_models.ResNet18_Weights.IMAGENET1K_V1.url
        state = state_of()
        torch.save(state, cache / url.rsplit("/", 1)[1])
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        read = weights.read("resnet18", "imagenet", ("green", "blue", "red"))
        assert read.origin == "imagenet"
        assert torch.equal(read.tensors[FIRST], state[FIRST][:, [1, 2, 0]])

    def test_none_is_none(self) -> None:
        assert weights.read("resnet18", "none", ("red",)) is None


class TestFrozen:
    def test_features_are_those_of_the_file_in_the_sources_own_units(self, tmp_path: Path) -> None:
        state = state_of()
        file = torch_file(tmp_path / "w.pth", state)
        embedder = frozen_embedder("resnet18", ("blue", "green", "red"), file, statistics(3))
        plain = torchvision_models.resnet18()
        plain.load_state_dict(state)
        plain.fc = nn.Identity()
        x = torch.rand(2, 3, 64, 64)
        with torch.inference_mode():
            expected = plain.eval()(((x - 0.5) / 0.25).flip(1))
        torch.testing.assert_close(embedder(x), expected, atol=1e-4, rtol=1e-4)
        assert not embedder(x).requires_grad

    def test_fresh_weights_are_drawn_from_the_seed(self) -> None:
        x = torch.rand(2, 4, 8, 8)
        names = (None,) * 4
        one, again, other = (
            frozen_embedder("efficientnet_b0", names, "none", statistics(4), seed=seed)(x)
            for seed in (1, 1, 2)
        )
        assert one.shape == (2, 1280)
        assert torch.equal(one, again)
        assert not torch.equal(one, other)

    def test_a_sample_calibrates(self) -> None:
        sample = np.random.default_rng(0).random((40, 2, 8, 8), dtype=np.float32)
        x = torch.from_numpy(sample)
        plain = frozen_embedder("resnet18", (None, None), "none", statistics(2))
        calibrated = frozen_embedder("resnet18", (None, None), "none", statistics(2), sample)
        assert not any(m.training for m in calibrated.modules())
        # normalised layer by layer, what comes out neither explodes nor fades
        assert 0.1 < float(calibrated(x).mean()) < 3
        assert not torch.allclose(plain(x), calibrated(x))


class TestCheckpoint:
    def spec(self, **changes) -> checkpoint.ModelSpec:
        values = {"kind": "cnn", "bands": ("a", "b"), "classes": ("x", "y"), "patch_size": 8}
        return checkpoint.ModelSpec(**{**values, "dropout": 0.5, **changes})

    @pytest.mark.parametrize("kind", ["cnn", "efficientnet_b0"])
    def test_an_ensemble_comes_back_whole(self, kind: str, tmp_path: Path) -> None:
        spec = self.spec(
            kind=kind, n_concepts=3, members=2, weights="w.pth", common_names=("red", None)
        )
        models = [
            checkpoint.build(spec, checkpoint.member_seed(7, member)).eval() for member in range(2)
        ]
        checkpoint.save(tmp_path / "m.safetensors", models, spec)
        again, read = checkpoint.load(tmp_path / "m.safetensors")
        assert read == spec
        x, concepts = torch.rand(3, 2, 8, 8), torch.rand(3, 3)
        with torch.inference_mode():
            before = [model(x, concepts) for model in models]
            after = [model.eval()(x, concepts) for model in again]
        assert not torch.equal(before[0], before[1])
        for one, other in zip(before, after, strict=True):
            assert torch.equal(one, other)
        assert (tmp_path / "m.safetensors").stat().st_mode & 0o777 == 0o644

    def test_a_single_model_has_the_seed_of_the_first_member(self) -> None:
        one = checkpoint.build(self.spec(), 7).state_dict()
        first = checkpoint.build(self.spec(members=3), checkpoint.member_seed(7, 0)).state_dict()
        assert all(torch.equal(one[name], first[name]) for name in one)

    @pytest.mark.parametrize(
        "changes", [{"members": 0}, {"members": 10**9}, {"kind": "resnet19"}, {"members": 2}]
    )
    def test_a_senseless_header_is_one_line(self, changes, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        checkpoint.save(path, [checkpoint.build(self.spec(), 0)], self.spec())
        header = json.dumps(asdict(replace(self.spec(), **changes)))
        save_file(load_file(path), str(path), metadata={"owl_geo": header})
        with pytest.raises(RunError, match=r"m\.safetensors is not a model") as caught:
            checkpoint.load(path)
        assert "\n" not in str(caught.value)

    def test_only_a_trunk_learns_slowly(self) -> None:
        assert set(checkpoint.build(self.spec(), 0).rates().values()) == {1.0}
        rates = checkpoint.build(self.spec(kind="resnet18"), 0).rates()
        assert rates["network.trunk.conv1.weight"] == pytest.approx(0.1)
        assert rates["network.head.weight"] == 1.0
