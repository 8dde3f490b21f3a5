"""Maps of a scene: how long its scale bar is, and where it has none."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from rasterio.transform import from_origin
from rasters import write_raster
from searches import make

from owl_geo import init
from owl_geo.reporting import maps
from owl_geo.reporting.scale_bar import _round_down, draw_scale_bar
from owl_geo.reporting.survey import Survey
from owl_geo.run_folder.folder import Run
from owl_geo.types import SceneGrid

UTM = "EPSG:32631"


def run_on(path: Path, pixel: float, crs: str = UTM) -> Run:
    """A run on a scene of 64 x 64 pixels, whose middle row lies at 50 degrees north in degrees."""
    place = from_origin(3, 50 + 32 * pixel, pixel, pixel) if crs == "EPSG:4326" else None
    values = np.full((1, 64, 64), 5, dtype=np.uint8)
    scene = write_raster(path / "s.tif", values, pixel=pixel, crs=crs, transform=place)
    source = {"kind": "geotiff", "patch_size": 16, "scenes": [{"name": "s", "path": str(scene)}]}
    return init(path / "run", {"source": source}).run


def scale_bar(figure: Figure) -> tuple[float, str] | None:
    """Return the bar's share of the map's width, and what stands above it; None without a bar."""
    (axes,) = figure.axes
    bars = [line for line in axes.lines if line.get_transform() is axes.transAxes]
    texts = [text.get_text() for text in axes.texts if text.get_transform() is axes.transAxes]
    if not bars:
        assert texts == []
        return None
    (bar,), (text,) = bars, texts
    left, right = bar.get_xdata()
    return right - left, text


@pytest.mark.parametrize(
    ("crs", "pixel", "text", "metres"),
    [
        (UTM, 10, "100 m", 100),  # a quarter of the map is 160 m
        (UTM, 62.6, "1 km", 1000),  # a quarter is a little over a kilometre
        (UTM, 62.2, "500 m", 500),  # and here a little under it
        (UTM, 300, "2 km", 2000),
        (UTM, 0.5, "5 m", 5),
        # a degree of longitude is 71.7 km at 50 degrees north, so a quarter of the map is 1147 m
        ("EPSG:4326", 0.001, "1 km", 1000),
    ],
)
def test_the_scale_bar_is_as_long_on_the_map_as_on_the_ground(
    crs: str, pixel: float, text: str, metres: float, tmp_path: Path
) -> None:
    run = run_on(tmp_path, pixel, crs)
    width = 64 * pixel * (71_700 if crs == "EPSG:4326" else 1)
    for drawn in (maps.answers_map, maps.likely_map):
        bar = scale_bar(drawn(Survey.of(run, device="cpu"), "s"))
        assert bar is not None
        assert bar == (pytest.approx(metres / width, rel=0.01), text)


@pytest.mark.parametrize(
    ("degrees", "text", "metres"),
    # a degree of the equator is 111.32 km; straight through the Earth, half of it is 12,756 km
    [(60, "1,000 km", 1e6), (180, "5,000 km", 5e6), (360, "10,000 km", 1e7)],
)
def test_the_scale_bar_of_much_of_the_earth_goes_around_it(
    degrees: float, text: str, metres: float
) -> None:
    figure = Figure()
    transform = (degrees / 64, 0.0, -degrees / 2, 0.0, -1.0, 32.0)
    draw_scale_bar(figure.add_subplot(), SceneGrid("s", "EPSG:4326", transform, 64, 64))
    bar = scale_bar(figure)
    assert bar is not None and bar[1] == text
    assert bar[0] == pytest.approx(metres / (degrees * 111_319.5), rel=1e-3)


@pytest.mark.parametrize(
    ("metres", "length"),
    [(1000.0, 1000), (math.nextafter(1000, 0), 500), (math.nextafter(0.2, 0), 0.1), (7e6, 5e6)],
)
def test_a_scale_bar_has_a_round_length(metres: float, length: float) -> None:
    assert _round_down(metres) == pytest.approx(length)


def test_numbers_of_patches_side_by_side_can_be_read() -> None:
    """Four in a row and one below, as neighbours are; points of the paper."""
    marks = np.array([(0, 0), (8, 0), (16, 0), (24, 0), (24, -8)], dtype=float)
    offsets = maps._beside(marks, np.array([3, 12, 19, 1, 15]), (-99, -99, 99, 99))
    boxes = [
        (x + dx, y + dy, x + dx + 5.2 * digits, y + dy + 6.4)
        for (x, y), (dx, dy), digits in zip(marks, offsets, (1, 2, 2, 1, 2), strict=True)
    ]
    for number, (left, bottom, right, top) in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert right <= other[0] or other[2] <= left or top <= other[1] or other[3] <= bottom


def test_numbers_of_patches_at_the_edge_stay_on_the_map() -> None:
    marks, frame = (
        np.array([(4, -4), (96, -4), (4, -96), (96, -96)], dtype=float),
        (0, -100, 100, 0),
    )
    for (x, y), (dx, dy) in zip(
        marks, maps._beside(marks, np.array([11, 12, 13, 14]), frame), strict=True
    ):
        assert 0 <= x + dx <= 100 - 10.4 and -100 <= y + dy <= -6.4


def test_generated_patches_have_no_scale(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    (scene,) = run.grids
    assert scale_bar(maps.answers_map(Survey.of(run, device="cpu"), scene)) is None


@pytest.mark.parametrize(
    "transform",
    [
        (10.0, 0.0, 1e12, 0.0, -10.0, 1e12),  # no place on Earth
        (0.0, 0.0, 5e5, 0.0, -10.0, 57e5),  # all columns on one place
    ],
    ids=["beyond the Earth", "no width"],
)
def test_a_scene_of_no_width_on_the_ground_has_no_scale(
    transform: tuple[float, float, float, float, float, float],
) -> None:
    figure = Figure()
    draw_scale_bar(figure.add_subplot(), SceneGrid("s", UTM, transform, 64, 64))
    assert scale_bar(figure) is None
