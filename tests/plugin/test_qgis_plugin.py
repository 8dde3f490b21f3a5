"""Start the tests of the QGIS plugin inside QGIS, with batches and runs written here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely.affinity
from chosen import CONCEPTS, chosen_patches
from qgis_tests import BATCHES, BINARY, CORE_PYTHON, QGIS_TESTS
from rasterio.transform import from_bounds, from_origin
from rasterio.warp import transform_bounds
from rasters import coordinates, write_raster

from owl_geo.batches import grid_info, write_batch
from owl_geo.ground.windows import PoolWindows
from owl_geo.types import SceneGrid, ShownRaster, ShownScene

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Batches of all sorts, expected.json that says what they hold, and the scenes of a run."""
    expected = {}
    batches = {**BATCHES, "large": (BINARY, chosen_patches(5000))}
    for name, (classes, patches) in batches.items():
        write_batch(
            tmp_path / f"{name}.gpkg",
            patches,
            classes=classes,
            positive=classes[1],
            concepts=CONCEPTS,
            batch_id="run-001",
            round=1,
        )
        expected[name] = {"classes": classes, "patch_ids": patches["patch_id"].tolist()}
    (tmp_path / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    write_scenes(tmp_path / "scenes")
    write_views(tmp_path / "views")
    write_rounds(tmp_path / "beside")
    write_shown(tmp_path / "shown")
    return tmp_path


def write_scenes(folder: Path) -> None:
    """One file with named bands, and a folder of single bands in another CRS."""
    values = coordinates(96, 96, bands=4)
    write_raster(folder / "east.tif", values, descriptions=("B2", "B3", "B4", "B8"))
    for name, band in zip(("B02", "B03", "B04", "B08"), values, strict=True):
        write_raster(folder / "west" / f"T31_{name}.tif", band[np.newaxis], crs="EPSG:32630")


def write_rounds(folder: Path) -> None:
    """A run of two rounds, in whose grid are further patches, also of a scene that is turned."""
    grids = {
        "scene": SceneGrid("scene", "EPSG:32631", (10, 0, 5e5, 0, -10, 5.6e6), 200, 200),
        "turned": SceneGrid("turned", "EPSG:32631", (8, 6, 503_000, 6, -8, 5.6e6), 64, 64),
    }
    rows, cols = np.divmod(np.arange(36), 6)
    windows = PoolWindows(
        grids,
        scene=np.array([0] * 36 + [1] * 4),
        row_off=np.append(rows * 32, [0, 0, 32, 32]),
        col_off=np.append(cols * 32, [0, 32, 0, 32]),
        patch_size=32,
    )
    may_answer = np.arange(40) != 35  # not scene/160/160
    patches = chosen_patches(16)
    for number, asked in enumerate((patches[:9], patches[9:])):
        path = folder / "rounds" / f"{number:03d}" / "batch.gpkg"
        path.parent.mkdir(parents=True)
        write_batch(
            path,
            asked,
            classes=BINARY,
            positive=BINARY[1],
            concepts=CONCEPTS,
            batch_id=f"run-{number:03d}",
            round=number,
            grid=grid_info(windows, may_answer),
        )
    (folder / "owl.toml").write_text('classes = ["absent", "present"]\n')


def write_shown(folder: Path) -> None:
    """Batches of small patches of scenes that the run knows: with false colours; without; with red
    and green in one file and near infrared in another; and one that makes no sense."""
    folder.mkdir()
    place = from_origin(499_000, 5_601_000, 10, 10)
    pixels = np.zeros((4, 240, 320), np.uint16) + np.uint16([[[100]], [[200]], [[300]], [[400]]])
    one = str(write_raster(folder / "scene.tif", pixels, transform=place))
    nir = str(write_raster(folder / "nir.tif", pixels[3:], transform=place))
    stretch = ((0.0, 400.0), (0.0, 400.0), (0.0, 400.0))

    def shown(colours: str, paths: tuple[str, ...], *bands: int, unknown: str = "") -> ShownScene:
        words = tuple(unknown.split())
        return ShownScene("scene", colours, paths, bands, stretch[: len(bands)], words)

    batches = {
        "known": [shown("natural", (one,), 3, 2, 1), shown("false", (one,), 4, 3, 2)],
        "no_nir": [shown("natural", (one,), 3, 2, 1, unknown="nir")],
        "guess": [shown("first", (one,), 1, 2, 3, unknown="red green blue nir")],
        "files": [shown("natural", (one,), 3, 2, 1), shown("false", (nir, one, one), 1, 3, 2)],
        "gone": [shown("natural", ("/gone/scene.tif",), 3, 2, 1)],
        "damaged": [shown("natural", (one,), 3, 2, 0)],
    }
    for name, scenes in batches.items():
        write_batch(
            folder / f"{name}.gpkg",
            chosen_patches(4, edge=80),
            classes=BINARY,
            positive=BINARY[1],
            concepts=CONCEPTS,
            batch_id=f"run-{name}",
            round=1,
            patch_size=8,
            scenes=scenes,
        )

    write_review(folder / "review.gpkg", stretch)


def write_review(path: Path, stretch: tuple[tuple[float, float], ...]) -> None:
    """A review of 24 patches with probabilities from 0.955 down in steps of 0.03; the n-th has the
    value 10 n on a ground of 0, and the last two lie half on each other."""
    patches = chosen_patches(24, edge=80)
    patches["probability"] = 0.955 - 0.03 * np.arange(24)
    patches["score"] = patches["probability"]
    polygons = patches.geometry.to_numpy().copy()
    polygons[23] = shapely.affinity.translate(polygons[22], 40, 0)
    patches = patches.set_geometry(gpd.GeoSeries(polygons, crs=patches.crs))
    pixels = np.zeros((1, 240, 320), np.uint16)
    for n in range(23):
        row, col = 100 + n // 4 * 8, 100 + n % 4 * 8
        pixels[0, row : row + 8, col : col + 8] = 10 * n
    place = from_origin(499_000, 5_601_000, 10, 10)
    tiff = str(write_raster(path.with_suffix(".tif"), pixels, transform=place))
    write_batch(
        path,
        patches,
        classes=("absent", "other", "present"),
        positive="present",
        concepts=CONCEPTS,
        batch_id="run-003-review",
        round=3,
        patch_size=8,
        scenes=[ShownScene("scene", "first", (tiff,), (1,), stretch[:1], ("red",))],
    )


def write_views(folder: Path) -> None:
    """A batch over one scene, with views: a file, files that are missing, a file for each colour,
    and sixteen small rasters. Each has one colour, which no other has."""
    place = from_origin(499_000, 5_601_000, 10, 10)

    def flat(name: str, *values: int, **options: Any) -> str:
        pixels = np.zeros((len(values), 240, 320), np.uint16) + np.reshape(values, (-1, 1, 1))
        path = folder / f"{name}.tif"
        return str(write_raster(path, pixels.astype(np.uint16), transform=place, **options))

    # dark where the first patch is
    pixels = np.full((3, 240, 320), 900, np.uint16)
    pixels[:, 80:160, 80:160] = 10
    write_raster(folder / "scene.tif", pixels, transform=place)
    colours = tuple(flat(f"H_B{number}", 10 * number) for number in (4, 3, 2))
    views = [
        ShownRaster(
            "before",
            (flat("old", 1000, 0, 3000, scales=(0.5,) * 3),),
            (3, 2, 1),
            ((0.0, 1500.0), (0.0, 10.0), (0.0, 1000.0)),
        ),
        *(ShownRaster("gone", (f"/gone/{n}.tif",), (1,), ((0.0, 1.0),)) for n in range(3)),
        ShownRaster("height", colours, (1, 1, 1), ((0.0, 40.0), (0.0, 60.0), (20.0, 60.0))),
        *(ShownRaster("many", (tile(folder, n),), (1,), ((0.0, 10.0),)) for n in range(16)),
    ]
    write_batch(
        folder / "batch.gpkg",
        chosen_patches(9),
        classes=BINARY,
        positive=BINARY[1],
        concepts=CONCEPTS,
        batch_id="run-001",
        round=1,
        views=views,
    )


def tile(folder: Path, number: int) -> str:
    """Write what one patch lies in, or nobody beyond the ninth, in another CRS."""
    x, y = 500_000 + number % 4 * 320, 5_600_000 - number // 4 * 320
    west, south, east, north = transform_bounds(
        "EPSG:32631", "EPSG:4326", x + 80, y - 240, x + 240, y - 80
    )
    return str(
        write_raster(
            folder / f"tile{number}.tif",
            np.full((1, 32, 32), 10, np.uint8),
            crs="EPSG:4326",
            transform=from_bounds(west, south, east, north, 32, 32),
        )
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The command owl-geo of this checkout, as pip makes it for an environment."""
    path = tmp_path / "environment" / "bin" / "owl-geo"
    path.parent.mkdir(parents=True)
    path.write_text(
        f"#!{CORE_PYTHON}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from owl_geo.cli import main\nmain()\n"
    )
    path.chmod(0o755)
    return path


def as_a_user() -> list[str]:
    """Let file modes hold for root as well, who writes into read-only files otherwise."""
    if os.name == "nt" or os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    drop = "-dac_override,-dac_read_search"
    return ["setpriv", f"--inh-caps={drop}", f"--bounding-set={drop}"]


@pytest.mark.parametrize("part", sorted(path.name for path in QGIS_TESTS.glob("test_plugin_*.py")))
def test_plugin_in_qgis(
    part: str, qgis_python: str, folder: Path, program: Path, tmp_path: Path
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    command = [*as_a_user(), qgis_python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-c", os.devnull]
    command += ["--rootdir", str(QGIS_TESTS), str(QGIS_TESTS / part)]
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(runtime),
        "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "profile"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OWL_QGIS_FOLDER": str(folder),
        "OWL_CORE_PYTHON": CORE_PYTHON,
        "OWL_CORE_PROGRAM": str(program),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    # a crash while QGIS shuts down shows only in the return code
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nreturn code {done.returncode}"


def test_the_installed_plugin_finds_owl_geo_in_qgis_process(program: Path, tmp_path: Path) -> None:
    # Debian's wrapper passes a flag on that qgis_process does not know
    tool = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    if tool is None:
        pytest.skip("qgis_process is missing; it comes with QGIS's desktop")
    home = tmp_path / "home"
    run([str(program), "plugin", "install", "--profiles-path", str(home)])
    ini = home / "profiles" / "default" / "QGIS" / "QGIS3.ini"
    ini.parent.mkdir(parents=True)
    ini.write_text("[PythonPlugins]\nowl_geo_labeler=true\n")
    search = tmp_path / "search"
    run([str(program), "init", str(search), "--source", "synthetic", "--n-samples", "40"])
    # as from the desktop's menu: the environment that installed the plugin is not on PATH
    environment = {"QT_QPA_PLATFORM": "offscreen", "QGIS_CUSTOM_CONFIG_PATH": str(home), "PATH": ""}
    shown = run([tool, "run", "owlgeo:nextbatch", f"--RUN={search}"], **environment)
    assert f"BATCH:\t{search}/rounds/000/batch.gpkg" in shown


def run(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
