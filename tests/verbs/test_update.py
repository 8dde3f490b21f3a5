"""What an edit of owl.toml may change once a network has learnt."""

from __future__ import annotations

from pathlib import Path

import pytest
from rasters import coordinates, write_raster
from searches import make

from owl_geo import init, query
from owl_geo.errors import RunError
from owl_geo.verbs.update import update


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("another order", "they have another order"),
        ("one less", "near_industrial lost"),
        ("another name", "near_industrial lost and close new"),
    ],
)
def test_a_network_that_goes_on_keeps_its_concepts(change: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "run"
    tables = {"model": {"kind": "cnn"}, "training": {"epochs": 1}}
    query(make(path, **tables, acquisition={"weights": {"urban": 2.0}}), device="cpu")
    text = (path / "owl.toml").read_text()
    table = text[text.index("[concepts.near_industrial]") : text.index("[acquisition]")]
    rest = text.replace(table, "")
    if change == "another order":
        text = rest.replace("[concepts.urban]", table + "[concepts.urban]")
    else:
        text = rest if change == "one less" else text.replace("near_industrial", "close")
    (path / "owl.toml").write_text(text)
    index = (path / "patches.parquet").read_bytes()
    with pytest.raises(RunError, match=f"cnn has learnt .* cannot change: {said}; restore them"):
        update(path)
    assert (path / "patches.parquet").read_bytes() == index


def test_a_network_that_goes_on_from_other_values_says_so(tmp_path: Path, caplog) -> None:
    path = tmp_path / "run"
    tables = {"model": {"kind": "cnn"}, "training": {"epochs": 1}}
    query(make(path, **tables), device="cpu")
    update(path)
    assert "has learnt from other values" not in caplog.text
    settings = path / "owl.toml"
    settings.write_text(settings.read_text().replace("value = 0.3", "value = 0.6"))
    update(path)
    assert "cnn has learnt from other values of near_industrial, and goes on" in caplog.text


def test_pixels_of_a_view_that_a_network_has_learnt_from_are_other_values(
    tmp_path: Path, caplog
) -> None:
    values = coordinates(64, 64, bands=1) + 1
    scene = write_raster(tmp_path / "s.tif", values)
    views = [write_raster(tmp_path / name, values * n) for n, name in ((2, "a.tif"), (9, "b.tif"))]
    tables = {
        "source": {
            "kind": "geotiff",
            "scenes": [{"name": "s", "path": str(scene)}],
            "patch_size": 8,
        },
        "views": {"before": {"scenes": [{"name": "v", "path": str(views[0])}]}},
        "training": {"epochs": 1},
    }
    for name, model in (("net", {"kind": "cnn"}), ("head", {})):
        run = init(tmp_path / name, tables | {"model": model}).run
        query(run, device="cpu")
        settings = run.path / "owl.toml"
        settings.write_text(settings.read_text().replace("a.tif", "b.tif"))
        caplog.clear()
        update(run.path)
        said = "cnn has learnt from other values of the statistics of the bands" in caplog.text
        assert said == (name == "net")
