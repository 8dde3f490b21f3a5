"""Makes the pictures of QGIS in docs/images, of the sample: a batch, linked maps, a review.

Needs what ``make test`` installs for the desktop test (QGIS, Xvfb, xdotool, ImageMagick). Usage:
``python docs/make_images.py [SAMPLE_FOLDER]``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
from PIL import Image

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
SCREEN = "1360x800"
ROUNDS = 3  # answered by the truth, so that the batch in the picture is a targeted one
LABELLED = 6
REVIEW_ROUNDS = 7  # until the model finds enough to review
REVIEWED = 4
PAUSE = 4  # seconds, as long as a person looks; the panel shows the pace

os.environ["OWL_QGIS_SCREEN"] = SCREEN
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / room) for room in ("helpers", "plugin"))]

from searches import label  # noqa: E402
from test_qgis_desktop import Desktop, owl_geo  # noqa: E402

from benchmarks.at_the_map import display  # noqa: E402


def answers(batch: Path, truth: gpd.GeoDataFrame) -> dict[str, str]:
    """Return the true label of each patch of a batch, in the order of rank."""
    patches = gpd.read_file(batch, layer="batch").sort_values("rank").to_crs(truth.crs)
    share = patches.geometry.intersection(truth.union_all()).area / patches.geometry.area
    labels = ["present" if covered >= 0.1 else "absent" for covered in share]
    return dict(zip(patches["patch_id"], labels, strict=True))


def make_run(folder: Path, sample: Path, truth: gpd.GeoDataFrame, rounds: int = ROUNDS) -> Path:
    """Make a run with some answered batches; return the path of the batch that is still open."""
    run = folder / "run"
    scene = ("--scene", sample / "scene.tif", "--patch-size", 16, "--osm", sample / "area.osm")
    owl_geo("init", run, *scene, "--batch-size", 12)
    for _ in range(rounds):
        batch = Path(owl_geo("query", run).splitlines()[-1])
        label(batch, answers(batch, truth))
        owl_geo("ingest", run, batch, "--annotator", "Ada")
    return Path(owl_geo("query", run).splitlines()[-1])


def make_profile(folder: Path) -> None:
    """Make a QGIS profile that has the plugin and the path of the program."""
    program = folder / "owl-geo"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m owl_geo "$@"\n')
    program.chmod(0o755)
    owl_geo("plugin", "install", "--profiles-path", folder / "home", "--profile", "t")
    ini = folder / "home" / "profiles" / "t" / "QGIS" / "QGIS3.ini"
    ini.parent.mkdir(parents=True)
    ini.write_text(
        "[PythonPlugins]\nowl_geo_labeler=true\n[app]\naskToSaveMemoryLayers=false\n"
        f"[owl_geo_labeler]\nannotator=Ada\nexecutable={program}\ncontext=8\n"
    )


def make_change(folder: Path, sample: Path) -> None:
    """Make a run whose view is the same land a year before."""
    run = folder / "run"
    dates = ("--scene", sample / "next_year.tif", "--view", f"before={sample / 'scene.tif'}")
    owl_geo("init", run, *dates, "--patch-size", 16, "--batch-size", 12)
    owl_geo("query", run)


@contextmanager
def desktop(folder: Path) -> Iterator[Desktop]:
    """Yield a QGIS that shows the newest batch of the run in a folder."""
    make_profile(folder)
    os.environ["OWL_QGIS_PICTURES"] = str(folder)
    with display(SCREEN) as name:
        shown = Desktop(name, folder)
        shown.wait(lambda state: state.get("batch"), 90)
        shown.focus()
        shown.wait(lambda state: state["focus"] and not state["drawing"], 90)
        yield shown
        shown.end()


def keep(picture: Path, name: str) -> None:
    """Keep a screenshot in true colours, without a palette: the labels keep theirs."""
    Image.open(picture).convert("RGB").save(IMAGES / name, optimize=True)


def truth_of(sample: Path) -> gpd.GeoDataFrame:
    truth = gpd.read_file(sample / "truth.gpkg")
    return truth[truth["class"] == "contaminated"]


def picture_labelling(sample: Path) -> None:
    """Make the picture of a batch that is half labelled."""
    truth = truth_of(sample)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        labels = list(answers(make_run(folder, sample, truth), truth).values())
        with desktop(folder) as shown:
            for done, answer in enumerate(labels[:LABELLED], 1):
                shown.press("2" if answer == "present" else "1")
                shown.wait(lambda state, done=done: state["answered"] == done)
                time.sleep(PAUSE)
            shown.wait(lambda state: not state["drawing"])
            shown.picture("labelling")
        keep(folder / "labelling.png", "qgis-labelling.png")


def picture_linked(sample: Path) -> None:
    """Make the picture of two dates side by side."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_change(folder, sample)
        with desktop(folder) as shown:
            shown.press("l")
            time.sleep(PAUSE)
            shown.wait(lambda state: state["linked"] and not state["drawing"])
            shown.picture("linked")
        keep(folder / "linked.png", "qgis-linked.png")


def picture_review(sample: Path) -> None:
    """Make the picture of a review that has begun."""
    truth = truth_of(sample)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_run(folder, sample, truth, REVIEW_ROUNDS)
        review = owl_geo("review", folder / "run", "--go-on", "--threshold", 0.3, "--size", 1000)
        labels = list(answers(Path(review.splitlines()[-1]), truth).values())
        with desktop(folder) as shown:
            shown.press("plus", "plus", "plus")  # closer: patches are small in small pictures
            for done, answer in enumerate(labels[:REVIEWED], 1):
                shown.press("a" if answer == "present" else "x")
                shown.wait(lambda state, done=done: state["answered"] == done)
                time.sleep(PAUSE)
            shown.wait(lambda state: not state["drawing"])
            shown.picture("review")
        keep(folder / "review.png", "qgis-review.png")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "sample_data"
    picture_labelling(place)
    picture_linked(place)
    picture_review(place)
