"""What init finds out for itself, and what it says before it makes anything."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
from commands import one_error, owl
from cubes import cube, write_zarr
from rasterio.transform import from_origin
from rasters import write_raster

from owl_geo import Run, init
from owl_geo.errors import LayerError
from owl_geo.settings import owl_toml
from owl_geo.settings.config import Settings
from owl_geo.settings.sources import CubeSettings, GeoTiffSettings, SceneSettings
from owl_geo.verbs.preview import (
    Preview,
    osm_beside,
    preview,
    suitable_patch_size,
)

SAMPLE = Path(__file__).parents[2] / "sample_data"


def empty_scene(path: Path, side: int, pixel: float, crs: str = "EPSG:32631") -> SceneSettings:
    values = np.ones((1, side, side), dtype="uint8")
    transform = from_origin(0, 0, pixel, pixel) if crs == "EPSG:4326" else None
    write_raster(path, values, pixel=pixel, crs=crs, transform=transform, compress="deflate")
    return SceneSettings(name=path.stem, path=str(path))


def guessed(scenes: tuple[SceneSettings, ...]) -> int | None:
    size = suitable_patch_size(GeoTiffSettings(scenes=scenes))
    return None if size is None else size.pixels


@pytest.mark.parametrize(
    ("side", "pixel", "size"),
    [
        (640, 5, 32),
        (640, 10, 32),
        (640, 30, 32),
        (640, 0.5, 64),
        (640, 250, 16),
        (300, 10, 16),  # 81 patches of 32
        (320, 10, 32),  # 100 of them
        (400, 0.2, 16),
    ],
)
def test_the_patch_size_suits_pixel_and_scene(side, pixel, size, tmp_path) -> None:
    scene = empty_scene(tmp_path / "s.tif", side, pixel)
    assert guessed((scene,)) == size


def test_many_small_scenes_keep_the_usual_size(tmp_path) -> None:
    scenes = tuple(empty_scene(tmp_path / f"{i}.tif", 64, 10) for i in range(30))
    assert guessed(scenes) == 32
    assert guessed(scenes[:5]) == 16


def test_it_is_said_for_which_pixels_a_size_was_chosen(tmp_path) -> None:
    scenes = tuple(empty_scene(tmp_path / f"{pixel}.tif", 640, pixel) for pixel in (10, 30))
    for chosen, pixels in ((scenes, "10 m to 30 m"), (scenes[:1], "10 m")):
        size = suitable_patch_size(GeoTiffSettings(scenes=chosen))
        assert size is not None and size.why == f"for pixels of {pixels}"


def test_a_scene_that_cannot_be_opened_does_not_spoil_the_guess(tmp_path) -> None:
    gone = SceneSettings(name="gone", path=str(tmp_path / "gone.tif"))
    assert guessed((gone,)) is None
    assert guessed((gone, empty_scene(tmp_path / "s.tif", 640, 0.5))) == 64


@pytest.mark.parametrize(
    ("pixel", "size"), [(10.0, 32), (0.5, 64), (100.0, 16)], ids=["usual", "fine", "coarse"]
)
def test_the_patch_size_suits_a_cube_too(pixel: float, size: int, tmp_path) -> None:
    place = write_zarr(tmp_path / "c.zarr", cube(np.ones((1, 640, 640), "uint8"), pixel=pixel))
    found = suitable_patch_size(CubeSettings(path=str(place), name="c"))
    assert found is not None and found.pixels == size


def test_init_of_a_small_cube_takes_small_patches(tmp_path) -> None:
    write_zarr(tmp_path / "c.zarr", cube(np.ones((2, 96, 96), "uint8")))
    done = owl("init", "r", "--source", "cube", "--scene", "c.zarr", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Patch size: 16 pixels, since 32 would give only 9 patches" in done.stdout
    assert Run(tmp_path / "r").settings.patch_size == 16


def test_init_says_which_patch_size_it_chose_and_why(tmp_path) -> None:
    empty_scene(tmp_path / "s.tif", 160, 10)
    done = owl("init", "r", "--scene", "s.tif", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = "Patch size: 16 pixels, since 32 would give only 25 patches; --patch-size"
    assert expected in done.stdout
    assert Run(tmp_path / "r").settings.patch_size == 16
    toml = tomllib.loads((tmp_path / "r" / "owl.toml").read_text())
    assert toml["source"]["patch_size"] == 16
    given = owl("init", "q", "--scene", "s.tif", "--patch-size", 32, cwd=tmp_path)
    assert "Patch size:" not in given.stdout
    assert Run(tmp_path / "q").settings.patch_size == 32


def test_init_says_that_a_band_counts_as_a_mask(tmp_path) -> None:
    write_raster(tmp_path / "s.tif", np.ones((4, 160, 160), "uint8"))
    note = "band 4 of {} is its alpha band and counts as a mask; if it is data"
    said = owl("init", "r", "--scene", "s.tif", cwd=tmp_path).stdout
    assert note.format(tmp_path / "s.tif") in said
    given = owl("init", "q", "--scene", "s.tif", "--bands", "1,2,3,4", cwd=tmp_path).stdout
    assert "alpha" not in given.partition("Scenes:")[2]


def test_init_says_of_views_too_which_bands_are_not_taken(tmp_path) -> None:
    write_raster(tmp_path / "s.tif", np.ones((3, 160, 160), "uint8"))
    write_raster(tmp_path / "alpha.tif", np.ones((4, 160, 160), "uint8"))
    descriptions = ("red", "green", "blue", "SCL")
    write_raster(tmp_path / "scl.tif", np.ones((4, 160, 160), "uint16"), descriptions=descriptions)
    views = ("--view", "a=alpha.tif", "--view", "b=scl.tif")
    said = owl("init", "r", "--scene", "s.tif", *views, cwd=tmp_path).stdout
    a = next(line for line in said.splitlines() if line.startswith("Note: view 'a': "))
    assert f"band 4 of {tmp_path / 'alpha.tif'} is its alpha band and counts as a mask" in a
    then = ", then run owl-geo init r --update"
    bands = 'bands = ["1", "2", "3", "4"]'
    assert a.endswith(f": {bands} under [views.a] in owl.toml{then}")
    b = next(line for line in said.splitlines() if line.startswith("Note: view 'b': "))
    assert "SCL is left out: by name, a mask" in b
    assert b.endswith(f': bands = [..., "SCL"] under [views.b] in owl.toml{then}')
    toml = tmp_path / "r" / "owl.toml"
    table = toml.read_text().partition("[views.a]")
    toml.write_text(f"{table[0]}[views.a]{table[2].replace('bands = []', bands, 1)}")
    said = owl("init", "r", "--update", cwd=tmp_path).stdout
    assert "view 'a'" not in said and "view 'b'" in said
    assert "a:alpha" in Run(tmp_path / "r").index.statistics.bands
    said = owl("init", "q", "--scene", "s.tif", *views, "--dry-run", cwd=tmp_path).stdout
    assert said.count("Note: view ") == 2 and "--update" not in said


def test_init_says_that_a_band_called_alpha_counts_as_data(tmp_path) -> None:
    described = {"descriptions": ("red", "green", "Alpha")}
    write_raster(tmp_path / "s.tif", np.ones((3, 160, 160), "uint16"), **described)
    said = owl("init", "r", "--scene", "s.tif", cwd=tmp_path).stdout
    assert f"band 3 of {tmp_path / 's.tif'} is called alpha but not marked" in said
    assert "gdal_edit.py -colorinterp_3 alpha" in said
    with rasterio.open(tmp_path / "s.tif", "r+") as file:
        file.colorinterp = (*file.colorinterp[:2], rasterio.enums.ColorInterp.alpha)
    said = owl("init", "q", "--scene", "s.tif", cwd=tmp_path).stdout
    assert "band 3" in said and "is its alpha band and counts as a mask" in said
    assert "not marked" not in said


def test_a_dry_run_says_all_and_writes_nothing(tmp_path) -> None:
    scene, osm = SAMPLE / "scene.tif", SAMPLE / "area.osm"
    before = sorted(SAMPLE.iterdir())
    done = owl("init", "r", "--scene", scene, "--osm", osm, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
    assert sorted(SAMPLE.iterdir()) == before
    lines = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    assert lines["Scenes"].strip() == "1: scene, 512 x 512 pixels of 10 m"
    assert lines["CRS"].strip() == "EPSG:32632"
    assert lines["Bands"].strip() == "4: blue, green, red, nir"
    assert lines["Patches"].strip() == "256 at most, 32 x 32 pixels, 320 m"
    assert "land_cover (category)" in lines["Concepts"]
    assert lines["Disk"].strip().startswith("about ")
    assert re.fullmatch(
        r"about \d+ s for init, \d+ s for the first query, \d+ s for predict", lines["Time"].strip()
    )


def test_the_time_and_the_disk_that_are_foretold_grow_with_the_pool(tmp_path) -> None:
    """A million patches take what the benchmark of the pool measured, four next to nothing."""
    source = {"kind": "geotiff", "patch_size": 8}

    def foretold(side: int) -> Preview:
        path = tmp_path / f"{side}.tif"
        options = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8"}
        place = from_origin(0, 0, 10, 10)
        with rasterio.open(
            path, "w", crs="EPSG:32631", transform=place, sparse_ok=True, tiled=True, **options
        ):
            pass  # a file without blocks, since only its header is read
        scenes = [{"name": "s", "path": str(path)}]
        settings = owl_toml.parse({"source": source | {"scenes": scenes}}, "test")
        return preview(tmp_path / "r", settings)

    small, large = foretold(16), foretold(8000)
    assert (small.n_patches, large.n_patches) == (4, 1_000_000)
    assert small.seconds == pytest.approx({"init": 2, "first query": 6.5, "predict": 5}, abs=0.01)
    assert large.seconds == pytest.approx(
        {"init": 2 + 33, "first query": 6.5 + 2.3, "predict": 5 + 12}, abs=0.1
    )
    assert small.n_bytes == pytest.approx(11 * 400_000, rel=0.01)
    # thirty statistics of the bands, three indices, and a row of the index
    assert large.n_bytes - small.n_bytes == pytest.approx(1e6 * (4 * 33 + 60), rel=0.01)


def test_a_dry_run_fails_where_init_would(tmp_path) -> None:
    empty_scene(tmp_path / "s.tif", 320, 10)
    assert owl("init", "r", "--scene", "s.tif", cwd=tmp_path).returncode == 0
    again = owl("init", "r", "--scene", "s.tif", "--patch-size", 32, "--dry-run", cwd=tmp_path)
    assert "already holds a run" in one_error(again)
    words = ("--scene", "s.tif", "--patch-size", 32, "--osm", "no.osm", "--dry-run")
    assert "no.osm does not exist" in one_error(owl("init", "q", *words, cwd=tmp_path))
    assert "--update takes" in one_error(owl("init", "r", "--update", "--dry-run", cwd=tmp_path), 2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (None, "has no layer with geometry"),
        ("table", "is a table without geometry"),
        ("other", "has no layer 'other'"),
    ],
)
def test_a_dry_run_fails_on_a_layer_without_geometry_as_init_does(tmp_path, name, said) -> None:
    empty_scene(tmp_path / "s.tif", 320, 10)
    pyogrio.write_dataframe(pd.DataFrame({"use": ["forest"]}), tmp_path / "t.gpkg", layer="table")
    layer = {"path": str(tmp_path / "t.gpkg")} | ({} if name is None else {"layer": name})
    concept = {"kind": "distance", "layer": "land", "where": ["use=forest"]}
    settings = Settings.model_validate(
        {
            "source": {
                "kind": "geotiff",
                "scenes": [{"name": "s", "path": str(tmp_path / "s.tif")}],
                "patch_size": 32,
            },
            "layers": {"land": layer},
            "concepts": {"far": concept},
        }
    )
    for make in (preview, init):
        with pytest.raises(LayerError, match=said):
            make(tmp_path / "run", settings)


def test_an_extract_beside_the_scene_is_named_and_not_used(tmp_path) -> None:
    for name in ("scene.tif", "area.osm"):
        shutil.copyfile(SAMPLE / name, tmp_path / name)
    done = owl("init", "r", "--scene", "scene.tif", cwd=tmp_path)
    assert f"{tmp_path / 'area.osm'} lies beside the scene; --osm" in done.stdout
    assert Run(tmp_path / "r").settings.concepts == {}
    assert osm_beside(tmp_path / "scene.tif") == tmp_path / "area.osm"
    used = owl("init", "q", "--scene", "scene.tif", "--osm", "area.osm", cwd=tmp_path)
    assert "lies beside" not in used.stdout


def test_degrees_are_fine_and_said(tmp_path) -> None:
    empty_scene(tmp_path / "s.tif", 320, 0.0001, "EPSG:4326")
    done = owl("init", "r", "--scene", "s.tif", cwd=tmp_path)
    assert "Note: the CRS is in degrees, which is fine" in done.stdout
    assert "pixels of 11.1 m" in done.stdout
