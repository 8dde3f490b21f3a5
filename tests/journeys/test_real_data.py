"""The main job on real scenes, real OpenStreetMap polygons and a real land cover map."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
from searches import label

from owl_geo import Run, ingest, init, query
from owl_geo.cli import _run as owl
from owl_geo.evaluation.simulate import simulate


@pytest.mark.parametrize(("size", "kept", "windows"), [(16, 288, 546), (32, 68, 130)])
def test_apartado_from_init_to_the_second_batch(
    test_data: Path, tmp_path: Path, capsys, size: int, kept: int, windows: int
) -> None:
    scene, osm = (test_data / "apartado" / name for name in ("CO_001.tif", "CO_001.shp"))
    run_path = tmp_path / "r"
    arguments = ["init", run_path, "--source", "geotiff", "--scene", scene, "--osm", osm]
    arguments += ["--bands", "B2,B3,B4,B8", "--patch-size", size]
    assert owl([str(word) for word in arguments]) == 0
    said = capsys.readouterr()
    assert f"{kept} patches of {size} x {size} pixels in EPSG:3857" in said.out
    assert f"CO_001: {kept} of {windows} windows kept" in said.out
    assert "the distance is unknown everywhere" in said.err

    run = Run(run_path)
    first = query(run)
    batch = gpd.read_file(run.batch_path(0), layer="batch")
    assert batch.crs.to_epsg() == 3857
    assert batch.area.round().eq((10 * size) ** 2).all()
    answers = {patch: "present" if i % 3 else "absent" for i, patch in enumerate(first.patch_ids)}
    label(run.batch_path(0), answers)
    (done,) = ingest(run, [run.batch_path(0)], annotator="x")
    assert done.counts == {"present": 13, "absent": 7}
    second = query(run)
    assert second.metrics.n_labeled == 20
    assert len(second.patch_ids) == 10
    assert not set(second.patch_ids) & set(first.patch_ids)


def north_carolina(test_data: Path, path: Path, value: str, share: float) -> Run:
    from owl_geo.settings.owl_toml import parse

    folder = test_data / "north_carolina"
    scene = {"name": "nc", "path": str(folder)}
    bands = ["10", "20", "30", "40", "50"]
    oracle = {"path": str(folder / "strata.tif"), "values": {"present": [value]}}
    settings = parse(
        {
            "source": {"kind": "geotiff", "scenes": [scene], "bands": bands, "patch_size": 8},
            "acquisition": {"strategy": "uncertainty"},
            "oracle": oracle | {"min_share": share},
        },
        "test",
    )
    return init(path, settings).run


def test_north_carolina_developed_is_learned(test_data: Path, tmp_path: Path) -> None:
    run = north_carolina(test_data, tmp_path / "r", "1", 0.5)
    assert len(run.patches) == 2786
    assert run.crs.to_epsg() == 32119
    share = (run.truth["label"] == "present").mean()
    assert share == pytest.approx(0.31, abs=0.01)
    simulate(run)
    rows = pd.read_csv(run.path / "metrics.csv")
    assert rows["n_labeled"].iloc[-1] == 120
    assert rows["test_auc"].iloc[-1] > 0.8
    assert rows["test_auc"].iloc[-1] > rows["test_auc"].iloc[1]


def test_north_carolina_water_has_the_known_prevalence(test_data: Path, tmp_path: Path) -> None:
    run = north_carolina(test_data, tmp_path / "r", "6", 0.25)
    assert (run.truth["label"] == "present").mean() == pytest.approx(0.02, abs=0.005)


def test_a_layer_elsewhere_on_earth(test_data: Path, tmp_path: Path, capsys) -> None:
    scene = test_data / "apartado" / "CO_001.tif"
    for extract in ("liechtenstein-ogcapi.osm.pbf", "krems.osm.gz", "test.osm.pbf"):
        osm = test_data / "osm" / extract
        arguments = ["init", tmp_path / "r", "--scene", scene, "--bands", "B2", "--osm", osm]
        assert owl([str(word) for word in arguments]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ")
        assert "covers none of the scenes" in error
        assert "-76.6" in error  # where the scene is
        assert not (tmp_path / "r").exists()
