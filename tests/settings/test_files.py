"""Which settings name files, and what is asked of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from owl_geo.errors import ConfigError, LayerError
from owl_geo.settings import owl_toml
from owl_geo.settings.config import Settings
from owl_geo.settings.files import settings_of_files
from owl_geo.verbs.preview import preview

SCENES: dict[str, Any] = {
    "source": {
        "kind": "geotiff",
        "scenes": [
            {"name": "a", "path": "a.tif"},
            {"name": "b", "files": ["b1.tif", "b2.tif"], "mask": "clouds.tif"},
        ],
        "mask_bad": [1],
        "aoi": "here.gpkg",
    },
    "layers": {"osm": {"path": "x.osm"}, "far": {"path": "https://example.org/y.gpkg"}},
    "concepts": {
        "cover": {"kind": "raster", "path": "wc.tif"},
        "built": {"kind": "share", "layer": "osm", "where": ["building"]},
    },
    "oracle": {"path": "truth.gpkg"},
    "model": {"kind": "resnet18", "weights": "w.safetensors"},
}
FILES = {
    "source.scenes.0.path": "a.tif",
    "source.scenes.1.files.0": "b1.tif",
    "source.scenes.1.files.1": "b2.tif",
    "source.scenes.1.mask": "clouds.tif",
    "source.aoi": "here.gpkg",
    "layers.osm.path": "x.osm",
    "layers.far.path": "https://example.org/y.gpkg",
    "concepts.cover.path": "wc.tif",
    "oracle.path": "truth.gpkg",
    "model.weights": "w.safetensors",
}


def test_every_file_that_settings_name_is_listed() -> None:
    settings = owl_toml.parse(SCENES, "test")
    assert dict(settings.named_files()) == FILES
    assert settings.named_files("oracle", "model") == [
        ("model.weights", "w.safetensors"),
        ("oracle.path", "truth.gpkg"),
    ]
    assert set(settings_of_files(Settings)) == {"path", "files", "mask", "aoi", "weights"}


def test_of_a_cube_and_of_words_that_are_no_files() -> None:
    cube = {"kind": "cube", "path": "c.zarr"}
    model = {"kind": "resnet18", "weights": "imagenet"}
    settings = owl_toml.parse({"source": cube, "model": model}, "test")
    assert settings.named_files() == [("source.path", "c.zarr")]
    assert owl_toml.parse({"source": {"kind": "synthetic"}}, "test").named_files() == []


def test_all_of_them_start_at_the_folder_of_owl_toml() -> None:
    settings = owl_toml.from_folder(owl_toml.parse(SCENES, "test"), Path("/run"))
    whole = {name: path if "://" in path else f"/run/{path}" for name, path in FILES.items()}
    assert dict(settings.named_files()) == whole


@pytest.mark.parametrize(
    "values",
    [
        {"source": 5, "layers": [1], "concepts": {"a": 3}},
        {"source": {"kind": "cube", "path": 3}, "oracle": {"path": ["a"]}},
        {"source": {"kind": "lidar", "path": "a"}, "model": None},
        {"source": {"kind": "geotiff", "scenes": "a.tif"}, "layers": {"a": {"paht": "x"}}},
        {"source": {"kind": "geotiff", "scenes": ["a.tif", {"files": "b.tif"}]}},
    ],
)
def test_values_that_cannot_be_stay_as_they_are(values: dict[str, Any]) -> None:
    assert owl_toml.absolute_paths(values, Path("/run")) == values


def test_of_a_source_or_concept_whose_kind_is_said_elsewhere() -> None:
    values = {"source": {"path": "c.zarr", "aoi": "a.gpkg", "scenes": [{"path": "s.tif"}]}}
    assert owl_toml.absolute_paths(values, Path("/run")) == {
        "source": {"path": "/run/c.zarr", "aoi": "/run/a.gpkg", "scenes": [{"path": "/run/s.tif"}]}
    }


def test_a_backslash_in_any_path_is_explained() -> None:
    values = {**SCENES, "model": {"kind": "resnet18", "weights": "C:\new\\weights"}}
    with pytest.raises(ConfigError, match=r"model\.weights has control .*single quotes"):
        owl_toml.parse(values, "test")


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"layers": {"sites": {"path": "sites.gpkg"}}}, "layers.sites: "),
        ({"concepts": {"cover": {"kind": "raster", "path": "wc.tif"}}}, "concepts.cover: "),
        ({"oracle": {"path": "truth.gpkg"}}, "oracle: "),
    ],
)
def test_a_dry_run_misses_them(
    tables: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = {"kind": "geotiff", "scenes": [{"name": "a", "path": "a.tif"}]}
    settings = owl_toml.parse({"source": source, **tables}, "test")
    with pytest.raises(LayerError, match=rf"^{said}.*does not exist"):
        preview(tmp_path / "run", settings)
